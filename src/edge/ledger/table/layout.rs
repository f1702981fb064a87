//! What the table's items are called and hold, for people who look at it in the console too.
//!
//! | `part` | `item` | attributes |
//! | --- | --- | --- |
//! | `ledger` | `head` | `layout`, `id`, `head`: the number of the last entry |
//! | `ledger` | `emitted` | `seq`: up to which entry the events were written out |
//! | `ledger` | `lease` | `owner`, `token`, `version`, `milliseconds`, `until`, `released`; see [`super::lease`] |
//! | `entry` | `00000000000000000041` | `seq`, `at`, `scope`, `kind`, `project`, `build`, `remediation`, `body`, `mark` |
//! | `watch` | the scope | `body` |
//! | `account` | the scope | `account` |

use super::trouble::TableError;
use crate::domain::history::Record;
use crate::edge::ledger::row::{Columns, Row};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

/// The layout that is written, and the newest that is read.
pub(super) const LAYOUT: u64 = 1;

/// The partition key, a text. Its name is unlike other programs', so that a table of theirs has other keys.
pub(super) const PART: &str = "part";

/// The sort key, a text.
pub(super) const ITEM: &str = "item";

/// What DynamoDB keeps in one item, in bytes and with the names of its attributes.
const LARGEST: usize = 409_600;

/// The most that a number takes.
const NUMBER: usize = 21;

/// An item as DynamoDB gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A kind of item: the partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What the ledger knows of itself.
    Ledger,
    /// What happened.
    Entry,
    /// What each scope waits for.
    Watch,
    /// Where each scope is.
    Account,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Ledger => "ledger",
            Part::Entry => "entry",
            Part::Watch => "watch",
            Part::Account => "account",
        }
    }

    /// The key of one item.
    pub fn key(self, item: &str) -> Item {
        HashMap::from([(PART.to_string(), text(self.name())), (ITEM.to_string(), text(item))])
    }
}

pub(super) const HEAD: &str = "head";
pub(super) const EMITTED: &str = "emitted";
pub(super) const LEASE: &str = "lease";

/// The sort key of an entry: as texts they are in the order of the numbers.
pub(super) fn entry_item(seq: u64) -> String {
    format!("{seq:020}")
}

/// A record as an item. `mark` is what its writer knows it again by.
pub(super) fn entry(table: &str, record: &Record, mark: &str) -> Result<Item, TableError> {
    let columns = Columns::of(record);
    let body = serde_json::to_string(&record.fact).map_err(|error| {
        let what = format!("entry {}", record.seq);
        TableError::Broken { table: table.to_string(), detail: format!("{what} can't be written: {error}") }
    })?;
    let mut item = Part::Entry.key(&entry_item(record.seq));
    let mut put = |name: &str, value: AttributeValue| item.insert(name.to_string(), value);
    put("seq", number(record.seq));
    put("at", text(record.at.to_string()));
    put("scope", text(&record.scope));
    put("kind", text(columns.kind));
    put("body", text(body));
    put("mark", text(mark));
    for (name, value) in [("project", columns.project), ("build", columns.build), ("remediation", columns.remediation)]
    {
        if let Some(value) = value {
            put(name, text(value));
        }
    }
    fits(table, || format!("entry {} (`{}`)", record.seq, columns.kind), &item)?;
    Ok(item)
}

/// An entry as it stands in the table, or what it lacks.
pub(super) fn row(item: &Item) -> Result<Row, String> {
    let get = |name: &str| text_of(item, name).map(str::to_string).ok_or_else(|| format!("it has no `{name}`"));
    Ok(Row {
        seq: number_of(item, "seq").ok_or("it has no `seq`")?,
        at: get("at")?,
        scope: get("scope")?,
        kind: get("kind")?,
        body: get("body")?,
    })
}

/// DynamoDB would refuse what is larger, in words that name neither the item nor what to do.
pub(super) fn fits(table: &str, what: impl FnOnce() -> String, item: &Item) -> Result<(), TableError> {
    let size = item.iter().map(|(name, value)| name.len() + value.as_s().map_or(NUMBER, String::len)).sum();
    if size <= LARGEST {
        return Ok(());
    }
    Err(TableError::TooLarge { table: table.to_string(), what: what(), size, most: LARGEST })
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn text_of<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(super) fn number_of(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
