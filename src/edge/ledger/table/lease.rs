//! The lease as an item of the table: taken, renewed, given back, and taken over from whoever fell silent.
//!
//! # Expected flow
//! The holder renews it at a third of its length, each time under a new version. Who wants it and sees one version
//! unchanged for the whole length takes it over; nobody's clock is compared with another's. The holder counts two thirds
//! from the renewal that it sent last and went well, and then acts no more: what it sent in that moment is over before
//! anyone else begins.
//!
//! # Guarantees
//! Each holder has a token, higher than all before it. An append names it, so that even a holder that was stopped and does
//! not know what time it is can't write once another has taken over.

use super::layout::{LEASE, Part, number, number_of, text, text_of};
use super::link::{Link, Put, Update};
use super::{TableError, TableStore};
use crate::edge::clock;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// How long others leave a lease alone that is not renewed. A call to AWS takes up to 8 s, which is less than a third.
pub(in crate::edge::ledger) const LENGTH: Duration = Duration::from_secs(30);

/// How long the stop of a daemon waits for the table to take its lease back.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// Holds while the lease is with the holder whose values are [`ours`].
pub(super) const IS_OURS: &str = "#token = :token AND #released = :no";

const WRITE: &str = "SET #owner = :owner, #token = :token, #version = :version, #milliseconds = :milliseconds, #until = :until, #released = :no";

/// A lease that is held and renewed.
#[derive(Debug)]
pub(in crate::edge::ledger) struct TableLease {
    link: Link,
    fence: Fence,
    keeper: JoinHandle<()>,
}

/// What an append must prove.
#[derive(Clone, Debug)]
pub(in crate::edge::ledger) struct Fence {
    pub(super) token: u64,
    lost: CancellationToken,
}

/// The lease as it stands in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    owner: String,
    token: u64,
    version: String,
    length: Duration,
    /// By its holder's clock: only ever a reason to leave it alone.
    until: Option<Timestamp>,
    released: bool,
}

/// A lease that can't be had.
#[derive(Debug)]
pub(in crate::edge::ledger) enum NotTaken {
    /// This one has it.
    Held(String),
    /// The table can't be used.
    Failed(TableError),
}

impl From<TableError> for NotTaken {
    fn from(error: TableError) -> NotTaken {
        NotTaken::Failed(error)
    }
}

/// Takes the lease if it is free, or if its holder is seen to have fallen silent.
pub(in crate::edge::ledger) async fn take(store: &TableStore, owner: &str) -> Result<TableLease, NotTaken> {
    let link = store.link().await?;
    loop {
        let seen = read(&link).await?;
        if let Some(held) = seen.as_ref().filter(|seen| !seen.released) {
            // Its holder may be dead, and then this says no for at most as long as the lease is.
            if held.until.is_some_and(|until| until > clock::now()) || !fell_silent(&link, held).await? {
                return Err(NotTaken::Held(held.owner.clone()));
            }
        }
        if let Some(lease) = put(&link, seen.as_ref(), owner, store.lease).await? {
            return Ok(lease);
        }
    }
}

/// Waits until it can be taken. `held` is told who has it meanwhile.
///
/// # Errors
/// Whatever keeps the first look from the table; later, only what does not pass by itself.
pub(in crate::edge::ledger) async fn wait(
    store: &TableStore,
    owner: &str,
    mut held: impl FnMut(&str),
) -> Result<TableLease, TableError> {
    let link = store.link().await?;
    read(&link).await?;
    loop {
        match wait_once(&link, store, owner, &mut held).await {
            Ok(Some(lease)) => return Ok(lease),
            Ok(None) => (),
            Err(error) if error.may_pass() => sleep(pause(store.lease)).await,
            Err(error) => return Err(error),
        }
    }
}

async fn wait_once(
    link: &Link,
    store: &TableStore,
    owner: &str,
    held: &mut impl FnMut(&str),
) -> Result<Option<TableLease>, TableError> {
    let seen = read(link).await?;
    if let Some(other) = seen.as_ref().filter(|seen| !seen.released) {
        held(&other.owner);
        if !fell_silent(link, other).await? {
            return Ok(None);
        }
    }
    put(link, seen.as_ref(), owner, store.lease).await
}

/// Who holds it, as far as the table tells.
pub(in crate::edge::ledger) async fn holder(store: &TableStore) -> Result<Option<String>, TableError> {
    let link = store.link().await?;
    Ok(read(&link).await?.filter(|seen| !seen.released).map(|seen| seen.owner))
}

/// Looks at the lease for its whole length, by a clock that only goes forward. Answers whether it stayed as it was.
async fn fell_silent(link: &Link, held: &Seen) -> Result<bool, TableError> {
    let changes = async {
        loop {
            sleep(pause(held.length)).await;
            if read(link).await?.as_ref() != Some(held) {
                return Ok(());
            }
        }
    };
    match tokio::time::timeout(held.length, changes).await {
        Ok(Ok(())) => Ok(false),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(true),
    }
}

/// Between two looks at another's lease.
fn pause(length: Duration) -> Duration {
    (length / 15).max(Duration::from_millis(20))
}

async fn read(link: &Link) -> Result<Option<Seen>, TableError> {
    let Some(item) = link.item(Part::Ledger, LEASE).await? else { return Ok(None) };
    let damaged = |name: &str| link.broken(format!("its item `ledger`/`lease` has no `{name}`"));
    Ok(Some(Seen {
        owner: text_of(&item, "owner").unwrap_or("which has not said who it is").to_string(),
        token: number_of(&item, "token").ok_or_else(|| damaged("token"))?,
        version: text_of(&item, "version").ok_or_else(|| damaged("version"))?.to_string(),
        length: Duration::from_millis(number_of(&item, "milliseconds").ok_or_else(|| damaged("milliseconds"))?),
        until: text_of(&item, "until").and_then(|until| until.parse().ok()),
        released: item.get("released").and_then(|value| value.as_bool().ok()).copied().unwrap_or(false),
    }))
}

/// Writes ourselves into the lease, if it still is as it was seen.
async fn put(
    link: &Link,
    seen: Option<&Seen>,
    owner: &str,
    length: Duration,
) -> Result<Option<TableLease>, TableError> {
    let version = uuid::Uuid::new_v4().to_string();
    let token = seen.map_or(0, |seen| seen.token) + 1;
    let mut values = terms(&version, length);
    values.extend([(":owner", text(owner)), (":token", number(token)), (":no", AttributeValue::Bool(false))]);
    let condition = match seen {
        None => "attribute_not_exists(#version)",
        Some(seen) => {
            values.push((":seen", text(&seen.version)));
            "#version = :seen"
        }
    };
    let valid = Box::pin(sleep(acting(length)));
    let update = Update { key: Part::Ledger.key(LEASE), expression: WRITE, condition, values };
    // Refused also if the first of two attempts was done and its answer was lost.
    let done = match link.update(update).await {
        Ok(Put::Done) => true,
        Ok(Put::Refused) => read(link).await?.is_some_and(|now| now.version == version),
        Err(error) if error.may_pass() => match read(link).await? {
            Some(now) if now.version == version => true,
            _ => return Err(error),
        },
        Err(error) => return Err(error),
    };
    if !done {
        return Ok(None);
    }
    let fence = Fence { token, lost: CancellationToken::new() };
    let keeper = tokio::spawn(keep(link.clone(), fence.clone(), length, valid));
    Ok(Some(TableLease { link: link.clone(), fence, keeper }))
}

pub(super) fn ours(fence: &Fence) -> Vec<(&'static str, AttributeValue)> {
    vec![(":token", number(fence.token)), (":no", AttributeValue::Bool(false))]
}

fn terms(version: &str, length: Duration) -> Vec<(&'static str, AttributeValue)> {
    let lasts = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    let until = clock::now().saturating_add(lasts).unwrap_or(Timestamp::MAX);
    let milliseconds = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    vec![(":version", text(version)), (":milliseconds", number(milliseconds)), (":until", text(until.to_string()))]
}

/// How long a holder acts after a renewal.
fn acting(length: Duration) -> Duration {
    length * 2 / 3
}

/// Renews the lease until it is lost.
async fn keep(link: Link, fence: Fence, length: Duration, mut valid: Pin<Box<Sleep>>) {
    loop {
        tokio::select! {
            () = &mut valid => break,
            renewed = renew(&link, &fence, length) => match renewed {
                Some(longer) => valid = longer,
                None => break,
            },
        }
    }
    fence.lose();
}

/// Renews it in a third of its length, and answers how long it holds then; none if another has it.
async fn renew(link: &Link, fence: &Fence, length: Duration) -> Option<Pin<Box<Sleep>>> {
    sleep(length / 3).await;
    loop {
        let longer = Box::pin(sleep(acting(length)));
        let mut values = terms(&uuid::Uuid::new_v4().to_string(), length);
        values.extend(ours(fence));
        let expression = "SET #version = :version, #milliseconds = :milliseconds, #until = :until";
        let update = Update { key: Part::Ledger.key(LEASE), expression, condition: IS_OURS, values };
        match link.update(update).await {
            Ok(Put::Done) => return Some(longer),
            Ok(Put::Refused) => return None,
            Err(_) => sleep(pause(length)).await,
        }
    }
}

impl TableLease {
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Gives it back, so that the next need not wait until it has expired.
    pub async fn release(self) {
        self.keeper.abort();
        let mut values = ours(&self.fence);
        values.push((":yes", AttributeValue::Bool(true)));
        let expression = "SET #released = :yes";
        let update = Update { key: Part::Ledger.key(LEASE), expression, condition: IS_OURS, values };
        // If it can't be told to the table, it expires.
        let _ = tokio::time::timeout(GIVE_BACK, self.link.update(update)).await;
    }
}

impl Drop for TableLease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Fence {
    /// Resolves once the lease is lost.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    pub(super) fn lose(&self) {
        self.lost.cancel();
    }
}
