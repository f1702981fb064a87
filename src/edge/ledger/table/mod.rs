//! The ledger in a DynamoDB table: for Amazon ECS, where the tasks of a deployment overlap and have no disk in common.
//!
//! # Expected flow
//! An entry and the number of the last one are written in one transaction: the entry if there is none of its number, the
//! number if it is the one before, and both only under the lease that the writer has. A person's commands have none; the
//! number alone fences them.
//!
//! # Guarantees
//! - Entries have no gaps, and none is ever rewritten.
//! - An append whose answer was lost is known again by its mark: it is neither lost nor done twice.
//! - Reads are consistent: what was appended by anyone is seen at once.

mod create;
mod layout;
pub(super) mod lease;
mod link;
mod trouble;

pub use create::{Made, Recovery, create};
pub use trouble::TableError;

use super::LedgerError;
use crate::domain::history::Record;
use crate::domain::watch::Watch;
use crate::edge::aws::Connection;
use aws_sdk_dynamodb::types::{ConditionCheck, Put as PutNew, TransactWriteItem, Update as Change};
use layout::{EMITTED, HEAD, Item, LAYOUT, Part, number, number_of, text, text_of};
use lease::Fence;
use link::{Cancelled, Link, Put, Update, names, values};
use std::time::Duration;

/// How often an append is sent again that met another one in its way.
const COLLISIONS: u32 = 8;

/// How often more what can't be is looked at before it is believed.
const LOOKS: u32 = 3;

/// The pause before that, for the first time; then a little more each time.
const STEP_ASIDE: Duration = Duration::from_millis(20);

/// Which table, and how it is reached.
#[derive(Clone, Debug)]
pub struct TableStore {
    /// The table's name.
    pub table: String,
    /// As whom, and where; by default as the SDK's own chain says.
    pub connection: Box<Connection>,
    /// How long others leave a lease alone that is not renewed.
    pub lease: Duration,
}

/// An open table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    link: Link,
    id: String,
    fence: Option<Fence>,
}

impl TableStore {
    /// A table as the SDK's own chain of credentials, regions and endpoints finds it.
    pub fn new(table: impl Into<String>) -> TableStore {
        TableStore { table: table.into(), connection: Box::default(), lease: lease::LENGTH }
    }

    async fn link(&self) -> Result<Link, TableError> {
        Link::connect(&self.table, &self.connection).await
    }
}

impl Table {
    /// Opens the ledger, and begins one if the table is empty.
    pub async fn open(store: &TableStore) -> Result<Table, TableError> {
        let link = store.link().await?;
        if let Some(table) = Table::attach(&link).await? {
            return Ok(table);
        }
        let mut head = Part::Ledger.key(HEAD);
        head.insert("layout".to_string(), number(LAYOUT));
        head.insert("id".to_string(), text(uuid::Uuid::new_v4().to_string()));
        head.insert("head".to_string(), number(0));
        // Refused if another process was faster: then its ledger is used.
        link.put_new(head).await?;
        Table::attach(&link).await?.ok_or_else(|| link.broken("the item `ledger`/`head` was written and is gone"))
    }

    /// Opens the ledger if one was begun in the table.
    pub async fn open_existing(store: &TableStore) -> Result<Option<Table>, TableError> {
        Table::attach(&store.link().await?).await
    }

    async fn attach(link: &Link) -> Result<Option<Table>, TableError> {
        let Some(head) = link.item(Part::Ledger, HEAD).await? else {
            let rest = link.items_after(Part::Entry, "0", 1).await?;
            return match rest.is_empty() {
                true => Ok(None),
                false => Err(link.broken("it has entries, and its item `ledger`/`head` is gone")),
            };
        };
        check_layout(link, &head)?;
        let id = text_of(&head, "id").ok_or_else(|| link.broken("it has lost its id"))?;
        Ok(Some(Table { link: link.clone(), id: id.to_string(), fence: None }))
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// From now on nothing is read or written unless the lease is held.
    pub fn fenced(self, fence: Fence) -> Table {
        Table { fence: Some(fence), ..self }
    }

    /// The number of the last entry. Under a lease it is also the question whether that is still held.
    pub async fn head(&self) -> Result<u64, LedgerError> {
        self.check_held()?;
        let item = self.link.item(Part::Ledger, HEAD).await?;
        let item = item.ok_or_else(|| self.link.broken("its item `ledger`/`head` is gone"))?;
        check_layout(&self.link, &item)?;
        self.check_held()?;
        Ok(number_of(&item, "head").ok_or_else(|| self.link.broken("its item `ledger`/`head` has no `head`"))?)
    }

    /// The items of a transaction may be seen one after the other, so what is missing is looked for again.
    pub async fn page(&self, seq: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        let mut pause = STEP_ASIDE;
        for _ in 0..LOOKS {
            match self.look(seq, most).await {
                Err(LedgerError::Table(TableError::Broken { .. })) => tokio::time::sleep(pause).await,
                other => return other,
            }
            pause += STEP_ASIDE;
        }
        self.look(seq, most).await
    }

    async fn look(&self, seq: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        let head = self.head().await?;
        if head < seq {
            let detail = format!("it ends at entry {head}, and entry {seq} was in it before");
            return Err(self.link.broken(detail).into());
        }
        if head == seq {
            return Ok(Vec::new());
        }
        let items = self.link.items_after(Part::Entry, &layout::entry_item(seq), most).await?;
        let mut records = Vec::with_capacity(items.len());
        for (expected, item) in (seq + 1..).zip(&items) {
            records.push(self.read(expected, item)?);
        }
        let end = records.last().map_or(seq, |last| last.seq);
        if end < head && records.len() < most {
            return Err(self.link.broken(format!("entry {} is missing", end + 1)).into());
        }
        Ok(records)
    }

    fn read(&self, expected: u64, item: &Item) -> Result<Record, TableError> {
        let row = layout::row(item).map_err(|detail| self.link.broken(format!("entry {expected}: {detail}")))?;
        if row.seq != expected {
            return Err(self.link.broken(format!("entry {expected} is missing")));
        }
        row.read().map_err(|detail| {
            let table = self.link.table.clone();
            TableError::UnknownFact { table, seq: row.seq, kind: row.kind.clone(), detail }
        })
    }

    pub async fn append(&self, record: &Record) -> Result<(), LedgerError> {
        self.check_held()?;
        let mark = uuid::Uuid::new_v4().to_string();
        let entry = layout::entry(&self.link.table, record, &mark)?;
        let mut pause = STEP_ASIDE;
        let mut last = LedgerError::from(TableError::Busy { table: self.link.table.clone() });
        for _ in 0..COLLISIONS {
            match self.link.transact(self.writes(&entry, record.seq)?, &mark).await {
                Ok(()) => return Ok(()),
                Err(Cancelled::Collided) => (),
                // The first of two attempts may have been done and its answer lost.
                Err(Cancelled::Conditions(_)) if self.is_there(record.seq, &mark).await? => return Ok(()),
                Err(Cancelled::Conditions(which)) => match self.refusal(record.seq - 1, &which).await? {
                    // The other's entry may be seen before the head that it moved.
                    damaged @ LedgerError::Table(TableError::Broken { .. }) => last = damaged,
                    refusal => return Err(refusal),
                },
                // An attempt whose answer was lost may have been done, whatever the last one met.
                Err(Cancelled::Failed(error)) if error.may_pass() => {
                    return self.unless_there(record.seq, &mark, error.into()).await;
                }
                Err(Cancelled::Failed(error)) => return Err(error.into()),
            }
            tokio::time::sleep(pause).await;
            pause += STEP_ASIDE;
        }
        self.unless_there(record.seq, &mark, last).await
    }

    /// The error, unless the entry is there all the same.
    async fn unless_there(&self, seq: u64, mark: &str, error: LedgerError) -> Result<(), LedgerError> {
        match self.is_there(seq, mark).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(error),
        }
    }

    /// The transaction that appends. [`Table::refusal`] knows their order.
    fn writes(&self, entry: &Item, seq: u64) -> Result<Vec<TransactWriteItem>, TableError> {
        let incomplete = |error: aws_sdk_dynamodb::error::BuildError| self.link.broken(error.to_string());
        let put = PutNew::builder()
            .table_name(&self.link.table)
            .set_item(Some(entry.clone()))
            .condition_expression("attribute_not_exists(#part)")
            .set_expression_attribute_names(Some(names("#part")))
            .build()
            .map_err(incomplete)?;
        let head = Change::builder()
            .table_name(&self.link.table)
            .set_key(Some(Part::Ledger.key(HEAD)))
            .update_expression("SET #head = :seq")
            .condition_expression("#head = :expected AND #layout = :layout")
            .set_expression_attribute_names(Some(names("#head #layout")))
            .set_expression_attribute_values(Some(values(vec![
                (":seq", number(seq)),
                (":expected", number(seq - 1)),
                (":layout", number(LAYOUT)),
            ])))
            .build()
            .map_err(incomplete)?;
        let mut writes =
            vec![TransactWriteItem::builder().put(put).build(), TransactWriteItem::builder().update(head).build()];
        if let Some(fence) = &self.fence {
            let held = ConditionCheck::builder()
                .table_name(&self.link.table)
                .set_key(Some(Part::Ledger.key(layout::LEASE)))
                .condition_expression(lease::IS_OURS)
                .set_expression_attribute_names(Some(names(lease::IS_OURS)))
                .set_expression_attribute_values(Some(values(lease::ours(fence))))
                .build()
                .map_err(incomplete)?;
            writes.push(TransactWriteItem::builder().condition_check(held).build());
        }
        Ok(writes)
    }

    /// What it means that these parts of the transaction were refused.
    async fn refusal(&self, expected: u64, which: &[usize]) -> Result<LedgerError, LedgerError> {
        if let (Some(fence), true) = (&self.fence, which.contains(&2)) {
            fence.lose();
            return Ok(self.lost());
        }
        let head = self.head().await?;
        if head == expected {
            return Ok(self.link.broken(format!("its head is {head}, and entry {} is there", head + 1)).into());
        }
        Ok(LedgerError::Conflict { expected, head })
    }

    /// Whether the entry is the one with this mark.
    async fn is_there(&self, seq: u64, mark: &str) -> Result<bool, TableError> {
        let item = self.link.item(Part::Entry, &layout::entry_item(seq)).await?;
        Ok(item.is_some_and(|item| text_of(&item, "mark") == Some(mark)))
    }

    pub async fn watch(&self, scope: &str) -> Result<Option<Watch>, LedgerError> {
        let Some(item) = self.link.item(Part::Watch, scope).await? else { return Ok(None) };
        let body = text_of(&item, "body").unwrap_or_default();
        let watch = serde_json::from_str(body)
            .map_err(|error| self.link.broken(format!("the watch of scope `{scope}` can't be read: {error}")))?;
        Ok(Some(watch))
    }

    pub async fn save_watch(&self, scope: &str, watch: &Watch) -> Result<(), LedgerError> {
        let body = serde_json::to_string(watch).map_err(|error| self.link.broken(error.to_string()))?;
        let mut item = Part::Watch.key(scope);
        item.insert("body".to_string(), text(body));
        layout::fits(&self.link.table, || format!("the watch of scope `{scope}`"), &item)?;
        Ok(self.link.put(item).await?)
    }

    pub async fn account(&self, scope: &str) -> Result<Option<String>, LedgerError> {
        let item = self.link.item(Part::Account, scope).await?;
        Ok(item.and_then(|item| text_of(&item, "account").map(str::to_string)))
    }

    pub async fn set_account(&self, scope: &str, account: &str) -> Result<(), LedgerError> {
        let mut item = Part::Account.key(scope);
        item.insert("account".to_string(), text(account));
        Ok(self.link.put(item).await?)
    }

    pub async fn emitted(&self) -> Result<u64, LedgerError> {
        let item = self.link.item(Part::Ledger, EMITTED).await?;
        Ok(item.and_then(|item| number_of(&item, "seq")).unwrap_or(0))
    }

    pub async fn set_emitted(&self, seq: u64) -> Result<(), LedgerError> {
        let update = Update {
            key: Part::Ledger.key(EMITTED),
            expression: "SET #seq = :seq",
            condition: "attribute_not_exists(#seq) OR #seq < :seq",
            values: vec![(":seq", number(seq))],
        };
        match self.link.update(update).await? {
            // Refused where as much was noted already.
            Put::Done | Put::Refused => Ok(()),
        }
    }

    fn check_held(&self) -> Result<(), LedgerError> {
        match &self.fence {
            Some(fence) if fence.is_lost() => Err(self.lost()),
            Some(_) | None => Ok(()),
        }
    }

    fn lost(&self) -> LedgerError {
        LedgerError::LeaseLost { ledger: format!("DynamoDB table `{}`", self.link.table) }
    }
}

fn check_layout(link: &Link, head: &Item) -> Result<(), TableError> {
    match number_of(head, "layout") {
        Some(LAYOUT) => Ok(()),
        Some(found) if found > LAYOUT => Err(TableError::Newer { table: link.table.clone(), found, known: LAYOUT }),
        Some(found) => Err(link.broken(format!("layout {found} was never written"))),
        None => Err(link.broken("its item `ledger`/`head` has no `layout`")),
    }
}
