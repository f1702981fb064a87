//! The real program, killed again and again while its ledger and its lease are in a table.

use super::{killed, new_table, person, set, url};
use aws_sdk_dynamodb::types::AttributeValue;
use unthrottled::edge::ledger::Store;
use unthrottled::edge::ledger::table::TableStore;

/// A killed holder's lease is left alone for half a minute. Its own word for how long is what the next one goes by, so
/// with another word there the wait is over, and the takeover is the same.
async fn let_the_lease_run_out(table: &TableStore) {
    let call = person().await.get_item().table_name(&table.table).set_key(Some(super::key("ledger", "lease")));
    if call.consistent_read(true).send().await.unwrap().item.is_some() {
        set(table, ("ledger", "lease"), "milliseconds", AttributeValue::N("60".to_string())).await;
    }
}

/// `docs/simulation.md` says how to kill it more often.
#[tokio::test]
async fn killed_again_and_again_at_random_moments_it_remedies_each_build_once() {
    let table = new_table().await;
    let kept = killed::Kept {
        settings: format!("store = \"dynamodb\"\ntable = {:?}", table.table),
        variables: vec![("AWS_ENDPOINT_URL_DYNAMODB", url())],
        store: Store::DynamoDb(table.clone()),
    };
    let folder = tempfile::tempdir().unwrap();
    killed::in_a_loop(killed::Plan::asked(), folder, kept, async || let_the_lease_run_out(&table).await).await;
}
