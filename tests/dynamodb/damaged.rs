//! A table that somebody has changed by hand, or that a newer version wrote.

use super::{append_all, cleared, delete, new_table, open, records, set};
use aws_sdk_dynamodb::types::AttributeValue;
use records::{SCOPE, at, story};
use unthrottled::edge::ledger::table::{TableError, TableStore};
use unthrottled::edge::ledger::{Ledger, LedgerError, Store};

const HEAD: (&str, &str) = ("ledger", "head");

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

async fn with_a_story() -> TableStore {
    let store = new_table().await;
    append_all(&open(&store).await, &story()).await;
    store
}

async fn refused(store: &TableStore) -> LedgerError {
    match Ledger::open(Store::DynamoDb(store.clone())).await {
        Ok(ledger) => ledger.load().await.expect_err("a damaged ledger was read"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_newer_layout_is_refused_at_the_start_and_in_the_middle() {
    let store = with_a_story().await;
    let before = open(&store).await;
    set(&store, HEAD, "layout", AttributeValue::N("2".to_string())).await;
    let error = refused(&store).await;
    assert!(matches!(error, LedgerError::Table(TableError::Newer { found: 2, known: 1, .. })), "{error}");
    assert!(error.to_string().contains("use the version that wrote it"), "{error}");
    let head = story().len() as u64;
    let error = before.append(head, at("14:00:00"), SCOPE, &cleared("web")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Table(TableError::Newer { .. })), "{error}");
}

#[tokio::test]
async fn a_fact_of_a_newer_version_is_refused_and_not_skipped() {
    let store = with_a_story().await;
    set(&store, ("entry", "00000000000000000003"), "body", text(r#"{"healed":{"project":"web"}}"#)).await;
    let error = refused(&store).await;
    assert!(matches!(error, LedgerError::Table(TableError::UnknownFact { seq: 3, .. })), "{error}");
}

#[tokio::test]
async fn a_ledger_that_lacks_an_entry_is_refused() {
    for gone in [1, 7, story().len()] {
        let store = with_a_story().await;
        delete(&store, "entry", &format!("{gone:020}")).await;
        let error = refused(&store).await;
        assert!(error.to_string().contains(&format!("entry {gone} is missing")), "{error}");
        assert!(matches!(error, LedgerError::Table(TableError::Broken { .. })), "{error}");
    }
}

#[tokio::test]
async fn a_ledger_that_lost_its_head_is_refused_and_not_begun_anew() {
    let store = with_a_story().await;
    delete(&store, HEAD.0, HEAD.1).await;
    for _ in 0..2 {
        let error = refused(&store).await;
        assert!(error.to_string().contains("its item `ledger`/`head` is gone"), "{error}");
    }
}

/// A head that was set back by hand: the next number is taken.
#[tokio::test]
async fn nothing_is_written_over() {
    let store = with_a_story().await;
    let ledger = open(&store).await;
    set(&store, HEAD, "head", AttributeValue::N("5".to_string())).await;
    let error = ledger.append(5, at("14:00:00"), SCOPE, &cleared("web")).await.unwrap_err();
    assert!(matches!(error, LedgerError::Table(TableError::Broken { .. })), "{error}");
    set(&store, HEAD, "head", AttributeValue::N(story().len().to_string())).await;
    assert_eq!(open(&store).await.load().await.unwrap(), story());
}

#[tokio::test]
async fn entries_with_attributes_that_are_gone_are_refused() {
    for name in ["seq", "at", "scope", "kind", "body"] {
        let store = with_a_story().await;
        // Of another type, which is as good as gone.
        set(&store, ("entry", "00000000000000000002"), name, AttributeValue::Bool(true)).await;
        let error = refused(&store).await;
        assert!(error.to_string().contains(&format!("entry 2: it has no `{name}`")), "{error}");
    }
}
