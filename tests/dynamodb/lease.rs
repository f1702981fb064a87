//! One holder at a time, each with a higher token than all before it.

use super::{LEASE, cleared, key, new_table, person, records, set};
use aws_sdk_dynamodb::types::AttributeValue;
use records::{SCOPE, at};
use unthrottled::edge::ledger::lease::{self, Lease, LeaseError};
use unthrottled::edge::ledger::table::TableStore;
use unthrottled::edge::ledger::{Ledger, LedgerError, Store};

const ITEM: (&str, &str) = ("ledger", "lease");

async fn place() -> (TableStore, Store) {
    let table = new_table().await;
    (table.clone(), Store::DynamoDb(table))
}

async fn attribute(table: &TableStore, name: &str) -> AttributeValue {
    let call = person().await.get_item().table_name(&table.table).set_key(Some(key(ITEM.0, ITEM.1)));
    call.consistent_read(true).send().await.unwrap().item.unwrap().remove(name).unwrap()
}

async fn token(table: &TableStore) -> u64 {
    attribute(table, "token").await.as_n().unwrap().parse().unwrap()
}

async fn ledger_under(store: &Store, lease: &Lease) -> Ledger {
    Ledger::open(store).await.unwrap().under(lease)
}

/// What is left of a holder that was killed: its lease, which nobody renews.
async fn kill(lease: Lease) {
    drop(lease);
}

#[tokio::test]
async fn while_one_holds_it_others_are_told_who() {
    let (_, store) = place().await;
    let lease = lease::take(&store).await.unwrap();
    let error = lease::take(&store).await.unwrap_err();
    let ourselves = format!("pid {} on ", std::process::id());
    assert!(matches!(&error, LeaseError::Held { holder, .. } if holder.starts_with(&ourselves)), "{error}");
    assert!(error.to_string().contains("ledger.table"), "{error}");
    assert!(lease::holder(&store).await.unwrap().is_some_and(|holder| holder.starts_with(&ourselves)));
    lease.release().await;
    assert_eq!(lease::holder(&store).await.unwrap(), None);
    lease::take(&store).await.unwrap();
}

/// However long that takes: the waiting one only gets it because it was given back.
#[tokio::test]
async fn a_holder_that_renews_keeps_it() {
    let (table, store) = place().await;
    let _lease = lease::take(&store).await.unwrap();
    let first = attribute(&table, "version").await;
    let renewed = async {
        let (mut renewals, mut last) = (0, first);
        let mut often = tokio::time::interval(LEASE / 20);
        while renewals < 5 {
            often.tick().await;
            let now = attribute(&table, "version").await;
            if now != last {
                (renewals, last) = (renewals + 1, now);
            }
        }
    };
    tokio::select! {
        () = renewed => (),
        _ = lease::wait(&store, |_| ()) => panic!("taken from a holder that is alive"),
    }
    assert_eq!(token(&table).await, 1);
}

#[tokio::test]
async fn what_is_given_back_is_taken_by_who_waits() {
    let (table, store) = place().await;
    let first = lease::take(&store).await.unwrap();
    let mut told = Vec::new();
    let waits = lease::wait(&store, |holder: &str| told.push(holder.to_string()));
    let (second, ()) = tokio::join!(waits, first.release());
    let second = second.unwrap();
    assert_eq!(token(&table).await, 2);
    let ledger = ledger_under(&store, &second).await;
    ledger.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_holder_left_is_taken_over_and_fenced() {
    let (table, store) = place().await;
    let first = lease::take(&store).await.unwrap();
    let stale = ledger_under(&store, &first).await;
    stale.append(0, at("10:00:00"), SCOPE, &cleared("a")).await.unwrap();
    kill(first).await;
    let second = lease::wait(&store, |_| ()).await.unwrap();
    assert_eq!(token(&table).await, 2);
    // As if it had only been stopped, and were woken now: it does not know, and the table does.
    let error = stale.append(1, at("10:00:00"), SCOPE, &cleared("b")).await.unwrap_err();
    assert!(matches!(error, LedgerError::LeaseLost { .. }), "{error}");
    assert!(error.to_string().contains("nothing was recorded"), "{error}");
    let ledger = ledger_under(&store, &second).await;
    ledger.append(1, at("10:00:00"), SCOPE, &cleared("c")).await.unwrap();
    // And from then on it knows.
    assert!(matches!(stale.head().await.unwrap_err(), LedgerError::LeaseLost { .. }));
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_no_longer_good_for_an_append() {
    let (_, store) = place().await;
    let lease = lease::take(&store).await.unwrap();
    let ledger = ledger_under(&store, &lease).await;
    lease.release().await;
    let error = ledger.append(0, at("10:00:00"), SCOPE, &cleared("a")).await.unwrap_err();
    assert!(matches!(error, LedgerError::LeaseLost { .. }), "{error}");
}

/// The holder's clock, or ours, is years off.
#[tokio::test]
async fn no_clock_is_compared_with_another() {
    let (table, store) = place().await;
    let lease = lease::take(&store).await.unwrap();
    // By its holder's clock it ended long ago; but it is renewed.
    set(&table, ITEM, "until", AttributeValue::S("1999-12-31T00:00:00Z".to_string())).await;
    let error = lease::take(&store).await.unwrap_err();
    assert!(error.is_held(), "{error}");
    kill(lease).await;
    // By its holder's clock it has long to go; but nobody renews it.
    set(&table, ITEM, "until", AttributeValue::S("2999-12-31T00:00:00Z".to_string())).await;
    lease::wait(&store, |_| ()).await.unwrap();
    assert_eq!(token(&table).await, 2);
}

#[tokio::test]
async fn of_many_that_wait_one_gets_it() {
    let (table, store) = place().await;
    kill(lease::take(&store).await.unwrap()).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = store.clone();
        waiting.spawn(async move { lease::wait(&store, |_| ()).await.unwrap() });
    }
    // Each gives it back, and the next gets it: six holders, six tokens.
    while let Some(lease) = waiting.join_next().await {
        let lease = lease.unwrap();
        let ledger = ledger_under(&store, &lease).await;
        let head = ledger.head().await.unwrap();
        ledger.append(head, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
        lease.release().await;
    }
    assert_eq!(token(&table).await, 7);
    assert_eq!(Ledger::open(&store).await.unwrap().head().await.unwrap(), 6);
}

/// A person's commands append beside the daemon, and the number alone decides.
#[tokio::test]
async fn a_command_without_the_lease_appends_beside_its_holder() {
    let (_, store) = place().await;
    let lease = lease::take(&store).await.unwrap();
    let daemon = ledger_under(&store, &lease).await;
    let command = Ledger::open(&store).await.unwrap();
    command.append(0, at("10:00:00"), SCOPE, &cleared("a")).await.unwrap();
    assert!(daemon.append(0, at("10:00:00"), SCOPE, &cleared("b")).await.unwrap_err().is_conflict());
    daemon.append(1, at("10:00:00"), SCOPE, &cleared("b")).await.unwrap();
}
