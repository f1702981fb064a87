//! The ledger and its lease in a DynamoDB table, against a DynamoDB that nobody here wrote.
//!
//! `tests/dynamodb/run.sh` starts one and runs this. Every test makes a table of its own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../ledger/contract.rs"]
mod contract;
mod daemons;
mod damaged;
mod faults;
#[path = "../support/killed.rs"]
mod killed;
mod kills;
mod lease;
mod lost_answers;
mod page;
mod permissions;
mod proxy;
#[path = "../support/records.rs"]
mod records;
mod tables;
mod troubles;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use std::time::Duration;
use unthrottled::domain::build::ProjectName;
use unthrottled::domain::history::{Fact, Record};
use unthrottled::edge::aws::Connection;
use unthrottled::edge::ledger::table::{self, TableStore};
use unthrottled::edge::ledger::{Ledger, Store};

/// Long enough to be renewed on a busy machine, short enough to be waited for.
const LEASE: Duration = Duration::from_secs(3);

#[expect(
    clippy::disallowed_methods,
    reason = "the address of a server that the caller started can only come from outside"
)]
fn url() -> String {
    std::env::var("DYNAMODB_URL").expect("DYNAMODB_URL: a running DynamoDB; tests/dynamodb/run.sh starts one")
}

/// A table that is not there yet, as somebody reaches it who goes by this address.
fn table_at(address: &str, name: &str) -> TableStore {
    TableStore { connection: Box::new(Connection::to_loopback(address)), lease: LEASE, ..TableStore::new(name) }
}

fn new_name() -> String {
    format!("t-{}", uuid::Uuid::new_v4())
}

/// An empty table.
async fn new_table() -> TableStore {
    let store = table_at(&url(), &new_name());
    table::create(&store).await.unwrap();
    store
}

async fn fresh() -> (Store, ()) {
    (Store::DynamoDb(new_table().await), ())
}

async fn open(store: &TableStore) -> Ledger {
    Ledger::open(Store::DynamoDb(store.clone())).await.unwrap()
}

async fn ledger_of(place: &Store, records: &[Record]) -> Ledger {
    let ledger = Ledger::open(place).await.unwrap();
    append_all(&ledger, records).await;
    ledger
}

async fn append_all(ledger: &Ledger, records: &[Record]) {
    for record in records {
        let appended = ledger.append(record.seq - 1, record.at, &record.scope, &record.fact).await;
        assert_eq!(appended.unwrap(), *record);
    }
}

fn cleared(project: &str) -> Fact {
    Fact::Cleared { project: ProjectName::new(project) }
}

/// A person with the AWS CLI, past the ledger.
async fn person() -> Client {
    let keys = aws_sdk_dynamodb::config::Credentials::new("person", "person", None, None, "test");
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(url())
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(keys);
    Client::new(&config.load().await)
}

fn key(part: &str, item: &str) -> HashMap<String, AttributeValue> {
    let text = |value: &str| AttributeValue::S(value.to_string());
    HashMap::from([("part".to_string(), text(part)), ("item".to_string(), text(item))])
}

/// A person writes one attribute of an item.
async fn set(store: &TableStore, item: (&str, &str), name: &str, value: AttributeValue) {
    let call = person().await.update_item().table_name(&store.table).set_key(Some(key(item.0, item.1)));
    let call = call.update_expression("SET #name = :value").expression_attribute_names("#name", name);
    call.expression_attribute_values(":value", value).send().await.unwrap();
}

/// A person deletes an item.
async fn delete(store: &TableStore, part: &str, item: &str) {
    let call = person().await.delete_item().table_name(&store.table).set_key(Some(key(part, item)));
    call.send().await.unwrap();
}
