//! Tables that are not there, are made, or are another program's.

use super::{cleared, new_name, new_table, open, person, records, table_at, url};
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use records::{SCOPE, at, story};
use unthrottled::edge::ledger::table::{self, Recovery, TableError, TableStore};
use unthrottled::edge::ledger::{Ledger, LedgerError, Store};

/// Another program's table.
async fn foreign(keys: &[(&str, ScalarAttributeType)]) -> TableStore {
    let store = table_at(&url(), &new_name());
    let mut call = person().await.create_table().table_name(&store.table).billing_mode(BillingMode::PayPerRequest);
    for ((name, kind), place) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let key = KeySchemaElement::builder().attribute_name(*name).key_type(place).build().unwrap();
        let kind = AttributeDefinition::builder().attribute_name(*name).attribute_type(kind.clone()).build().unwrap();
        call = call.key_schema(key).attribute_definitions(kind);
    }
    call.send().await.unwrap();
    store
}

#[tokio::test]
async fn a_table_is_made_once() {
    let store = table_at(&url(), &new_name());
    let made = table::create(&store).await.unwrap();
    assert!(made.now && made.region == "us-east-1", "{made:?}");
    open(&store).await.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();

    let again = table::create(&store).await.unwrap();
    assert_eq!((again.now, again.recovery), (false, Recovery::Untouched));
    assert_eq!(open(&store).await.load().await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_that_make_it_at_once_both_get_the_same_ledger() {
    let store = table_at(&url(), &new_name());
    let (one, two) = tokio::join!(table::create(&store), table::create(&store));
    one.unwrap();
    two.unwrap();
    let (one, two) = tokio::join!(open(&store), open(&store));
    assert_eq!(one.id(), two.id());
}

#[tokio::test]
async fn a_missing_table_is_told_with_the_command_that_makes_it() {
    let store = Store::DynamoDb(table_at(&url(), &new_name()));
    for error in [Ledger::open(&store).await.unwrap_err(), Ledger::open_existing(&store).await.unwrap_err()] {
        assert!(matches!(error, LedgerError::Table(TableError::NoTable { .. })), "{error}");
        let text = error.to_string();
        assert!(text.contains("unthrottled ledger create") && text.contains("us-east-1"), "{text}");
    }
}

#[tokio::test]
async fn a_table_with_another_key_is_refused_and_left_as_it_is() {
    use ScalarAttributeType::{N, S};
    for (keys, found) in [
        (vec![("id", S)], "`id` (S)"),
        (vec![("part", S)], "`part` (S)"),
        (vec![("part", S), ("item", N)], "`part` (S) and `item` (N)"),
        (vec![("pk", S), ("sk", S)], "`pk` (S) and `sk` (S)"),
    ] {
        let store = foreign(&keys).await;
        let opened = Ledger::open(Store::DynamoDb(store.clone())).await.unwrap_err();
        let made = table::create(&store).await.unwrap_err();
        for text in [opened.to_string(), made.to_string()] {
            assert!(text.contains(&format!("its key is {found}")) && text.contains("ledger.table"), "{text}");
        }
        let items = person().await.scan().table_name(&store.table).send().await.unwrap().count;
        assert_eq!(items, 0);
    }
}

#[tokio::test]
async fn a_history_of_many_pages_is_read_whole() {
    let store = new_table().await;
    let ledger = open(&store).await;
    let long = "x".repeat(100_000);
    for seq in 0..25 {
        ledger.append(seq, at("10:00:00"), SCOPE, &cleared(&long)).await.unwrap();
    }
    let records = open(&store).await.load().await.unwrap();
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), (1..=25).collect::<Vec<_>>());
    assert_eq!(ledger.since(23).await.unwrap(), records[23..]);
}

#[tokio::test]
async fn a_fact_that_is_too_large_is_told_and_nothing_is_written() {
    let store = new_table().await;
    let ledger = open(&store).await;
    // The name is in it twice, as a column and in the fact. What DynamoDB itself would refuse, and what it would not:
    let error = ledger.append(0, at("10:00:00"), SCOPE, &cleared(&"x".repeat(204_800))).await.unwrap_err();
    assert!(matches!(error, LedgerError::Table(TableError::TooLarge { .. })), "{error}");
    assert!(error.to_string().starts_with("entry 1 (`cleared`) has 4097"), "{error}");
    assert_eq!(ledger.head().await.unwrap(), 0);
    ledger.append(0, at("10:00:00"), SCOPE, &cleared(&"x".repeat(204_600))).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_what_to_look_at() {
    let store = Store::DynamoDb(table_at("http://127.0.0.1:9", "unthrottled"));
    let error = Ledger::open(&store).await.unwrap_err();
    assert!(error.to_string().contains("AWS_ENDPOINT_URL_DYNAMODB"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "DynamoDB GetItem of table `unthrottled` failed");
}

#[tokio::test]
async fn a_person_finds_an_entry_by_what_stands_in_its_columns() {
    let store = new_table().await;
    super::append_all(&open(&store).await, &story()).await;
    let call = person().await.query().table_name(&store.table).key_condition_expression("part = :part");
    let call = call.filter_expression("#kind = :kind").expression_attribute_names("#kind", "kind");
    let text = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.to_string());
    let call =
        call.expression_attribute_values(":part", text("entry")).expression_attribute_values(":kind", text("planned"));
    let planned = call.send().await.unwrap().items.unwrap();
    assert!(
        !planned.is_empty() && planned.iter().all(|item| item.contains_key("project") && item.contains_key("body"))
    );
}

/// A stack makes the table that the command makes.
#[tokio::test]
async fn the_table_of_the_template_is_a_ledger() {
    let template = include_str!("../../deploy/ledger-table.yaml");
    let template: serde_norway::Value = serde_norway::from_str(template).unwrap();
    let properties = &template["Resources"]["Ledger"]["Properties"];
    let text = |value: &serde_norway::Value| value.as_str().unwrap().to_string();
    let keys: Vec<(String, ScalarAttributeType)> = (0..2)
        .map(|n| {
            let (key, kind) = (&properties["KeySchema"][n], &properties["AttributeDefinitions"][n]);
            assert_eq!(key["AttributeName"], kind["AttributeName"]);
            (text(&key["AttributeName"]), ScalarAttributeType::from(text(&kind["AttributeType"]).as_str()))
        })
        .collect();
    let keys: Vec<(&str, ScalarAttributeType)> =
        keys.iter().map(|(name, kind)| (name.as_str(), kind.clone())).collect();
    let store = foreign(&keys).await;
    assert!(!table::create(&store).await.unwrap().now);
    open(&store).await.append(0, at("10:00:00"), SCOPE, &cleared("web")).await.unwrap();
}
