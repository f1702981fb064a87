//! The permissions that `iam-policy` asks for on the table: enough for a ledger under a lease, and no action more.

use super::proxy::Proxy;
use super::{cleared, new_table, records, table_at};
use records::{SCOPE, at};
use std::error::Error;
use unthrottled::domain::permissions::LEDGER;
use unthrottled::domain::watch::Watch;
use unthrottled::edge::aws::{Connection, Retries};
use unthrottled::edge::ledger::table::TableStore;
use unthrottled::edge::ledger::{Ledger, Store, lease};

/// What a daemon does with its ledger.
async fn live(store: &TableStore) -> Result<usize, Box<dyn Error>> {
    let store = Store::DynamoDb(store.clone());
    let lease = lease::take(&store).await?;
    let ledger = Ledger::open(&store).await?.under(&lease);
    ledger.append(ledger.head().await?, at("10:00:00"), SCOPE, &cleared("web")).await?;
    ledger.set_account(SCOPE, "111122223333").await?;
    ledger.save_watch(SCOPE, &Watch::default()).await?;
    ledger.set_emitted(ledger.head().await?).await?;
    let records = ledger.load().await?.len();
    lease.release().await;
    Ok(records)
}

/// As somebody whose role may do this and no more.
async fn live_with(actions: &[&str]) -> Result<usize, Box<dyn Error>> {
    let store = new_table().await;
    let proxy = Proxy::start().await;
    proxy.allow(actions);
    let by_way = table_at(&proxy.address, &store.table);
    let connection = Connection { retries: Retries::none(), ..*by_way.connection };
    live(&TableStore { connection: Box::new(connection), ..by_way }).await
}

#[tokio::test]
async fn a_ledger_lives_by_these_actions_and_by_none_less() {
    let all = LEDGER.map(|one| one.action);
    assert_eq!(live_with(&all).await.unwrap(), 1);
    for without in all {
        let less: Vec<&str> = all.into_iter().filter(|action| *action != without).collect();
        let denied = live_with(&less).await.expect_err(without);
        let mut told = String::new();
        let mut cause: Option<&dyn Error> = Some(denied.as_ref());
        while let Some(error) = cause {
            told.push_str(&error.to_string());
            cause = error.source();
        }
        assert!(told.contains("AccessDenied") || told.contains("denied"), "{without}: {told}");
    }
}
