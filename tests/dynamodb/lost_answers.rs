//! Calls that time out or break off, before and after the table has done what they ask.

use super::proxy::{ALL, Fault, Proxy, WRITES};
use super::{cleared, new_table, open, records, table_at};
use records::{SCOPE, at};
use std::time::Duration;
use unthrottled::edge::aws::{Connection, Retries};
use unthrottled::edge::ledger::lease;
use unthrottled::edge::ledger::table::TableStore;
use unthrottled::edge::ledger::{Ledger, LedgerError, Store};

/// The same table by way of the proxy, each call sent so often.
pub fn by_way_of(proxy: &Proxy, store: &TableStore, attempts: u32) -> TableStore {
    let by_way = table_at(&proxy.address, &store.table);
    let retries = Retries { attempts, initial_backoff: Duration::from_millis(1) };
    TableStore { connection: Box::new(Connection { retries, ..*by_way.connection }), ..by_way }
}

pub async fn projects(store: &TableStore) -> Vec<String> {
    let records = open(store).await.load().await.unwrap();
    records.iter().map(|record| record.project().unwrap().to_string()).collect()
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_done_once() {
    for attempts in [1, 3] {
        let store = new_table().await;
        let proxy = Proxy::start().await;
        let ledger = open(&by_way_of(&proxy, &store, attempts)).await;
        for lost in 1..=3 {
            proxy.fail(&WRITES, Fault::LostAnswer, lost);
            let head = ledger.head().await.unwrap();
            let record = ledger.append(head, at("10:00:00"), SCOPE, &cleared(&format!("p{lost}"))).await.unwrap();
            assert_eq!(record.seq, u64::from(lost), "{attempts} attempts");
            proxy.heal();
        }
        assert_eq!(projects(&store).await, ["p1", "p2", "p3"]);
    }
}

/// Nobody but its writer takes the entry for its own.
#[tokio::test]
async fn an_append_that_another_overtook_while_its_answer_was_lost_is_a_conflict() {
    let store = new_table().await;
    let proxy = Proxy::start().await;
    let ledger = open(&by_way_of(&proxy, &store, 3)).await;
    proxy.fail(&WRITES, Fault::LostCall, 1);
    let other = open(&store).await;
    other.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
    let error = ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Conflict { expected: 0, head: 1 }), "{error}");
    assert_eq!(projects(&store).await, ["web"]);
}

#[tokio::test]
async fn an_append_that_never_arrived_is_told_and_can_be_done_again() {
    let store = new_table().await;
    let proxy = Proxy::start().await;
    let ledger = open(&by_way_of(&proxy, &store, 2)).await;
    proxy.fail(&WRITES, Fault::LostCall, ALL);
    let error = ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap_err();
    assert!(!error.is_conflict(), "{error}");
    assert_eq!(projects(&store).await, [""; 0]);
    proxy.heal();
    ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
    assert_eq!(projects(&store).await, ["web"]);
}

#[tokio::test]
async fn a_ledger_whose_beginning_was_not_answered_is_begun_once() {
    let store = new_table().await;
    let proxy = Proxy::start().await;
    proxy.fail(&WRITES, Fault::LostAnswer, 1);
    let ledger = open(&by_way_of(&proxy, &store, 3)).await;
    assert_eq!(open(&store).await.id(), ledger.id());
}

#[tokio::test]
async fn a_lease_whose_taking_was_not_answered_is_held_and_given_back() {
    for attempts in [1, 3] {
        let store = new_table().await;
        let proxy = Proxy::start().await;
        let here = Store::DynamoDb(by_way_of(&proxy, &store, attempts));
        proxy.fail(&WRITES, Fault::LostAnswer, 1);
        let lease = lease::take(&here).await.unwrap();
        let ledger = Ledger::open(&here).await.unwrap().under(&lease);
        ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
        lease.release().await;
        assert_eq!(lease::holder(&here).await.unwrap(), None);
    }
}

/// The table can't be reached: whoever holds the lease stops before others may begin.
#[tokio::test]
async fn a_holder_that_can_not_renew_stops_and_another_takes_over() {
    let store = new_table().await;
    let proxy = Proxy::start().await;
    let here = Store::DynamoDb(by_way_of(&proxy, &store, 1));
    let there = Store::DynamoDb(store.clone());
    let lease = lease::take(&here).await.unwrap();
    let ledger = Ledger::open(&here).await.unwrap().under(&lease);
    proxy.fail(&WRITES, Fault::LostCall, ALL);
    let lost = async {
        lease.lost().await;
        let error = ledger.head().await.unwrap_err();
        assert!(matches!(error, LedgerError::LeaseLost { .. }), "{error}");
        "the holder stops"
    };
    let taken = async {
        let next = lease::wait(&there, |_| ()).await.unwrap();
        next.release().await;
        "the next begins"
    };
    // The order in which they end is what matters.
    let (first, _rest) = {
        let (mut lost, mut taken) = (std::pin::pin!(lost), std::pin::pin!(taken));
        tokio::select! {
            first = &mut lost => (first, taken.await),
            first = &mut taken => (first, lost.await),
        }
    };
    assert_eq!(first, "the holder stops");
    // Back on the table, it stays out.
    proxy.heal();
    let error = ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap_err();
    assert!(matches!(error, LedgerError::LeaseLost { .. }), "{error}");
}
