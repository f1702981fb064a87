//! The calls to one DynamoDB table, with errors that say what to do.

use super::layout::{self, ITEM, Item, PART, Part};
use super::trouble::TableError;
use crate::edge::aws::Connection;
use crate::edge::aws::failure::{CallError, Failure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, TableDescription, TransactWriteItem};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::collections::HashMap;

const SERVICE: &str = "DynamoDB";

/// What DynamoDB answers where a key does not fit the table.
const BAD_REQUEST: &str = "ValidationException";

/// One table, whatever it holds.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub client: Client,
    pub table: String,
    pub region: String,
}

/// A write under a condition.
#[derive(Clone, Debug)]
pub(super) struct Update<'u> {
    /// Which item.
    pub key: Item,
    /// `SET a = :b`, with every name as `#name`.
    pub expression: &'u str,
    /// What must hold.
    pub condition: &'u str,
    /// The `:values` of both.
    pub values: Vec<(&'u str, AttributeValue)>,
}

/// Whether a conditional write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It was.
    Done,
    /// The condition did not hold, and nothing was written.
    Refused,
}

/// Why a transaction was not done.
#[derive(Debug)]
pub(super) enum Cancelled {
    /// The conditions of these parts of it did not hold; nothing was written.
    Conditions(Vec<usize>),
    /// Another transaction wrote to the same items at the same moment, or there were too many; nothing was written.
    Collided,
    /// The call failed. Whether anything was written is known only if the error says so.
    Failed(TableError),
}

impl Link {
    /// Sends no call.
    pub async fn connect(table: &str, connection: &Connection) -> Result<Link, TableError> {
        let table = table.to_string();
        let (config, region) = match connection.configured().await {
            Ok(configured) => configured,
            Err(source) => return Err(TableError::Connect { table, source }),
        };
        let config = aws_sdk_dynamodb::config::Builder::from(&config).interceptor(connection.calls.clone()).build();
        Ok(Link { client: Client::from_conf(config), table, region })
    }

    /// One item, as of now.
    pub async fn item(&self, part: Part, item: &str) -> Result<Option<Item>, TableError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(part.key(item))).consistent_read(true);
        match call.send().await {
            Ok(answer) => Ok(answer.item),
            Err(error) => Err(self.explained("GetItem", &error).await),
        }
    }

    /// The items of a part after this one, so many at the most, in order, as of now. An answer holds up to a megabyte.
    pub async fn items_after(&self, part: Part, after: &str, most: usize) -> Result<Vec<Item>, TableError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let wanted = i32::try_from(most - items.len()).ok();
            let call = self.client.query().table_name(&self.table).consistent_read(true).set_limit(wanted);
            let call = call
                .key_condition_expression("#part = :part AND #item > :after")
                .set_expression_attribute_names(Some(names("#part #item")))
                .expression_attribute_values(":part", layout::text(part.name()))
                .expression_attribute_values(":after", layout::text(after))
                .set_exclusive_start_key(start);
            let answer = match call.send().await {
                Ok(answer) => answer,
                Err(error) => return Err(self.explained("Query", &error).await),
            };
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }

    /// Writes an item whole.
    pub async fn put(&self, item: Item) -> Result<(), TableError> {
        match self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explained("PutItem", &error).await),
        }
    }

    /// Writes an item if there is none of its key.
    pub async fn put_new(&self, item: Item) -> Result<Put, TableError> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let call = call.condition_expression("attribute_not_exists(#part)").expression_attribute_names("#part", PART);
        match call.send().await {
            Ok(_) => Ok(Put::Done),
            Err(error) if is_refused(&error) => Ok(Put::Refused),
            Err(error) => Err(self.explained("PutItem", &error).await),
        }
    }

    /// Changes an item if the condition holds.
    pub async fn update(&self, update: Update<'_>) -> Result<Put, TableError> {
        let call = self.client.update_item().table_name(&self.table).set_key(Some(update.key));
        let named = format!("{} {}", update.expression, update.condition);
        let call = call
            .update_expression(update.expression)
            .condition_expression(update.condition)
            .set_expression_attribute_names(Some(names(&named)))
            .set_expression_attribute_values(Some(values(update.values)));
        match call.send().await {
            Ok(_) => Ok(Put::Done),
            Err(error) if is_refused(&error) => Ok(Put::Refused),
            Err(error) => Err(self.explained("UpdateItem", &error).await),
        }
    }

    /// Writes all or nothing. Sent twice under the same `mark`, it is done once.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>, mark: &str) -> Result<(), Cancelled> {
        let call = self.client.transact_write_items().set_transact_items(Some(writes)).client_request_token(mark);
        let Err(error) = call.send().await else { return Ok(()) };
        let cancelled = error.as_service_error().and_then(|error| {
            match error {
            aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
                cancelled,
            ) => Some(cancelled.cancellation_reasons()),
            _ => None,
        }
        });
        let codes = cancelled.unwrap_or_default().iter().map(|reason| reason.code().unwrap_or_default());
        let codes: Vec<&str> = codes.collect();
        let refused = (0..).zip(&codes).filter(|(_, code)| **code == "ConditionalCheckFailed").map(|(n, _)| n);
        let refused: Vec<usize> = refused.collect();
        if !refused.is_empty() {
            return Err(Cancelled::Conditions(refused));
        }
        const PASSING: [&str; 4] =
            ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"];
        let collided = codes.iter().any(|code| PASSING.contains(code))
            || matches!(error.code(), Some("TransactionConflictException" | "TransactionInProgressException"));
        if collided {
            return Err(Cancelled::Collided);
        }
        Err(Cancelled::Failed(self.explained("TransactWriteItems", &error).await))
    }

    /// The table as DynamoDB describes it, or none.
    pub async fn describe(&self) -> Result<Option<TableDescription>, TableError> {
        match self.client.describe_table().table_name(&self.table).send().await {
            Ok(answer) => Ok(answer.table),
            Err(error) => match self.failed("DescribeTable", &error) {
                TableError::NoTable { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// A failed call; where the table itself may be why, it is looked at.
    async fn explained<E>(&self, operation: &'static str, error: &SdkError<E, HttpResponse>) -> TableError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failed = self.failed(operation, error);
        let suspicious = match &failed {
            TableError::NoTable { .. } => true,
            TableError::Call { source, .. } => source.code() == Some(BAD_REQUEST),
            _ => false,
        };
        if !suspicious {
            return failed;
        }
        match self.describe().await {
            Ok(Some(table)) => self.unfit(&table).unwrap_or(failed),
            Ok(None) | Err(_) => failed,
        }
    }

    /// Why the described table can't hold a ledger, if it can't.
    pub fn unfit(&self, described: &TableDescription) -> Option<TableError> {
        let kind = |name: &str| {
            let all = described.attribute_definitions().iter();
            all.into_iter().find(|one| one.attribute_name() == name).map(|one| one.attribute_type().as_str())
        };
        let key = described.key_schema().iter();
        let key: Vec<(&str, &str)> =
            key.map(|one| (one.attribute_name(), kind(one.attribute_name()).unwrap_or("?"))).collect();
        if key != [(PART, "S"), (ITEM, "S")] {
            let found: Vec<String> = key.iter().map(|(name, kind)| format!("`{name}` ({kind})")).collect();
            return Some(TableError::OtherKeys { table: self.table.clone(), found: found.join(" and ") });
        }
        match described.table_status().map(|status| status.as_str()) {
            Some("ACTIVE" | "UPDATING") | None => None,
            Some(status) => Some(TableError::NotActive { table: self.table.clone(), status: status.to_string() }),
        }
    }

    /// A failed call, by what AWS said alone.
    pub fn failed<E>(&self, operation: &'static str, error: &SdkError<E, HttpResponse>) -> TableError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let source = CallError::new(SERVICE, operation, format!("table `{}`", self.table), error);
        let table = self.table.clone();
        match source.failure() {
            Failure::Gone => TableError::NoTable { table, region: self.region.clone() },
            _ => TableError::Call { table, source: Box::new(source) },
        }
    }

    /// The ledger in this table is damaged.
    pub fn broken(&self, detail: impl Into<String>) -> TableError {
        TableError::Broken { table: self.table.clone(), detail: detail.into() }
    }
}

fn is_refused<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ConditionalCheckFailedException")
}

/// Each `#name` of an expression stands for the attribute of that name: many plain ones are words of DynamoDB's own.
pub(super) fn names(expressions: &str) -> HashMap<String, String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let after = expressions.split('#').skip(1);
    let found = after.map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default());
    found.map(|name| (format!("#{name}"), name.to_string())).collect()
}

/// The `:values` of an expression.
pub(super) fn values(values: Vec<(&str, AttributeValue)>) -> HashMap<String, AttributeValue> {
    values.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}
