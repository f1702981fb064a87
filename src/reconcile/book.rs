//! The ledger as the loop sees it: what was recorded, folded, and the one function that records.
//!
//! [`Book::record`] alone appends and emits, so that ledger and log tell the same story. An entry is decided on the
//! history as it was folded; if another process has appended meanwhile, the ledger refuses it, the book catches up, and
//! the next look decides anew.

use crate::domain::build::BuildId;
use crate::domain::history::{Fact, History, Record};
use crate::domain::plan::RemediationId;
use crate::domain::recent::Recent;
use crate::domain::remediation::{BrokenHistory, Entry, Remediation};
use crate::domain::watch::Watch;
use crate::edge::event::{self, Event, Place};
use crate::edge::ledger::{Ledger, LedgerError};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Records that are read at once: the ledger is never in memory as a whole.
const PAGE: usize = 1_000;

/// How much of what happened is kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// All of it: a person may ask for anything.
    Whole,
    /// What decisions still ask about; the rest is read from the ledger when something happens to it.
    Bounded {
        /// How far back builds are looked for.
        lookback: SignedDuration,
    },
}

/// The ledger, folded by scope.
#[derive(Debug)]
pub struct Book {
    ledger: Option<Ledger>,
    memory: Memory,
    head: u64,
    histories: BTreeMap<String, History>,
    /// What happened lately in all scopes, for people who look.
    recent: Recent,
    places: BTreeMap<String, Place>,
    /// Scopes whose account stands in the ledger.
    noted: BTreeSet<String>,
    /// Events of entries whose process may have been killed before it wrote them out.
    missed: Vec<Event>,
    /// Whether the simulation took the fence down, to see that it is missed.
    #[cfg(feature = "simulator")]
    unfenced: bool,
}

/// Why the book can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Another process has appended; the book has caught up, and what was decided may no longer hold.
    #[error("another process has written to the ledger meanwhile")]
    Overtaken,
    /// The store failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no ledger to write to.
    #[error("there is no ledger")]
    None,
    /// The ledger is of another account.
    #[error(
        "scope `{scope}` is in account {found}, and its ledger tells of account {known}: use that account's credentials or role, or name another ledger in the settings"
    )]
    OtherAccount {
        /// Which scope.
        scope: String,
        /// What the ledger says.
        known: String,
        /// Where the scope is.
        found: String,
    },
    /// The entries contradict each other.
    #[error("the ledger's entry {seq} can't have happened: {broken}")]
    Broken {
        /// Which entry.
        seq: u64,
        /// What is wrong with it.
        broken: BrokenHistory,
    },
}

impl Book {
    /// Reads and folds the whole ledger, a page at a time; without one there is nothing to read, and nothing can be
    /// recorded.
    pub async fn open(ledger: Option<Ledger>, places: Vec<Place>, memory: Memory) -> Result<Book, BookError> {
        let places = places.into_iter().map(|place| (place.scope.clone(), place)).collect();
        let mut book = Book {
            ledger,
            memory,
            head: 0,
            histories: BTreeMap::new(),
            recent: Recent::default(),
            places,
            noted: BTreeSet::new(),
            missed: Vec::new(),
            #[cfg(feature = "simulator")]
            unfenced: false,
        };
        let Some(ledger) = &book.ledger else { return Ok(book) };
        for (scope, place) in &mut book.places {
            let known = ledger.account(scope).await?;
            if known.is_some() {
                book.noted.insert(scope.clone());
            }
            match (&place.account, known) {
                (Some(found), Some(known)) if *found != known => {
                    return Err(BookError::OtherAccount { scope: scope.clone(), known, found: found.clone() });
                }
                (Some(_), _) => (),
                (None, known) => place.account = known,
            }
        }
        let emitted = ledger.emitted().await?;
        let mut watches: BTreeMap<String, Watch> = BTreeMap::new();
        loop {
            let page = book.page().await?;
            let Some(last) = page.last() else { return Ok(book) };
            let at = last.at;
            book.recall(&page).await?;
            for record in page {
                let event = book.fold(&record)?;
                if record.seq > emitted {
                    book.missed.extend(event);
                }
            }
            book.recent.forget(at);
            if let Memory::Bounded { lookback } = book.memory {
                for scope in book.histories.keys().cloned().collect::<Vec<String>>() {
                    if !watches.contains_key(&scope) {
                        watches.insert(scope.clone(), book.watch(&scope).await?);
                    }
                    // Later records and the present are later than this, so nothing is let go too early.
                    let since = watches[&scope].horizon(lookback, at);
                    book.forget_before(&scope, since);
                }
            }
        }
    }

    /// Lets go what decisions ask about no more, where no build is of interest that ended before `since`.
    pub fn forget_before(&mut self, scope: &str, since: Timestamp) {
        if self.memory != Memory::Whole {
            self.history_mut(scope).forget_before(since);
        }
    }

    /// What happened lately.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Lets go what is no longer recent.
    pub fn forget_old(&mut self, now: Timestamp) {
        self.recent.forget(now);
    }

    /// The next records that were not folded yet.
    async fn page(&self) -> Result<Vec<Record>, BookError> {
        match &self.ledger {
            Some(ledger) => Ok(ledger.page(self.head, PAGE).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Reads again what was let go and these records tell more of, as when a person takes back what was proven long ago.
    async fn recall(&mut self, records: &[Record]) -> Result<(), BookError> {
        let (Some(ledger), Memory::Bounded { .. }) = (&self.ledger, self.memory) else { return Ok(()) };
        let mut planned = BTreeSet::new();
        let mut wanted: BTreeMap<(String, RemediationId), Vec<(Timestamp, Entry)>> = BTreeMap::new();
        for record in records {
            let Fact::Remediation { id, entry } = &record.fact else { continue };
            let key = (record.scope.clone(), id.clone());
            if matches!(entry, Entry::Planned(_)) {
                planned.insert(key);
            } else if !planned.contains(&key) && self.history(&record.scope).remediation(id).is_none() {
                wanted.entry(key).or_default();
            }
        }
        let mut seq = 0;
        while !wanted.is_empty() && seq < self.head {
            let page = ledger.page(seq, PAGE).await?;
            let Some(last) = page.last() else { break };
            seq = last.seq;
            for record in page.into_iter().filter(|record| record.seq <= self.head) {
                if let Fact::Remediation { id, entry } = record.fact
                    && let Some(entries) = wanted.get_mut(&(record.scope, id))
                {
                    entries.push((record.at, entry));
                }
            }
        }
        for ((scope, id), entries) in wanted {
            // One that was never planned is refused when its entry is folded.
            if !entries.is_empty() {
                let remediation =
                    Remediation::replay(&entries).map_err(|broken| BookError::Broken { seq: self.head, broken })?;
                self.history_mut(&scope).recall(id, remediation);
            }
        }
        Ok(())
    }

    /// Emits the events of entries that an earlier process appended, and was killed before it wrote them out.
    ///
    /// # Guarantees
    /// Every entry's event comes at least once, and twice only under the same `event_id`.
    pub fn emit_missed(&mut self) {
        std::mem::take(&mut self.missed).iter().for_each(event::emit);
    }

    /// Where a scope is.
    pub fn place(&self, scope: &str) -> Place {
        let unknown = || Place { scope: scope.to_string(), account: None, region: String::new() };
        self.places.get(scope).cloned().unwrap_or_else(unknown)
    }

    /// Learns the account that a scope is in, and keeps it: events that are written out again after a kill say the same.
    ///
    /// # Errors
    /// [`BookError::OtherAccount`] if it was in another one before: what the ledger tells is not of this account.
    pub async fn set_account(&mut self, scope: &str, account: &str) -> Result<(), BookError> {
        let Some(place) = self.places.get_mut(scope) else { return Ok(()) };
        if let Some(known) = place.account.as_ref().filter(|known| *known != account) {
            let (known, found) = (known.clone(), account.to_string());
            return Err(BookError::OtherAccount { scope: scope.to_string(), known, found });
        }
        place.account = Some(account.to_string());
        if let Some(ledger) = self.ledger.as_ref().filter(|_| !self.noted.contains(scope)) {
            ledger.set_account(scope, account).await?;
            self.noted.insert(scope.to_string());
        }
        Ok(())
    }

    /// What happened in a scope.
    pub fn history(&self, scope: &str) -> &History {
        static NOTHING: std::sync::LazyLock<History> = std::sync::LazyLock::new(History::default);
        self.histories.get(scope).unwrap_or(&NOTHING)
    }

    /// What happened, by scope.
    pub fn histories(&self) -> impl Iterator<Item = (&str, &History)> {
        self.histories.iter().map(|(scope, history)| (scope.as_str(), history))
    }

    /// The same, to note what is not worth an entry.
    pub fn history_mut(&mut self, scope: &str) -> &mut History {
        self.histories.entry(scope.to_string()).or_default()
    }

    /// Takes in what other processes have appended. Answers whether there was anything.
    pub async fn catch_up(&mut self) -> Result<Caught, BookError> {
        let Some(ledger) = &self.ledger else { return Ok(Caught::Nothing) };
        if ledger.head().await? == self.head {
            return Ok(Caught::Nothing);
        }
        loop {
            let new = self.page().await?;
            if new.is_empty() {
                return Ok(Caught::Up);
            }
            self.learn_accounts(&new).await?;
            self.recall(&new).await?;
            for record in new {
                self.fold(&record)?.iter().for_each(event::emit);
            }
        }
    }

    /// Who appended them knew the account, perhaps before we did; their events are told in the same words by all.
    async fn learn_accounts(&mut self, records: &[Record]) -> Result<(), BookError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        for record in records {
            if let Some(place) = self.places.get_mut(&record.scope)
                && place.account.is_none()
            {
                place.account = ledger.account(&record.scope).await?;
            }
        }
        Ok(())
    }

    /// Appends a fact and emits its event.
    ///
    /// # Guarantees
    /// When it returns well the fact is durable. Time never goes backwards in the ledger, whatever the clock does.
    ///
    /// # Errors
    /// [`BookError::Overtaken`]: nothing was appended, and the book has caught up.
    pub async fn record(&mut self, scope: &str, fact: Fact, now: Timestamp) -> Result<(), BookError> {
        let at = self.history(scope).last().map_or(now, |last| last.max(now));
        let ledger = self.ledger.as_ref().ok_or(BookError::None)?;
        match ledger.append(self.decided_on(ledger).await?, at, scope, &fact).await {
            Ok(record) => {
                self.fold(&record)?.iter().for_each(event::emit);
                Ok(())
            }
            Err(LedgerError::Conflict { .. }) => {
                self.catch_up().await?;
                Err(BookError::Overtaken)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The entry that the next one is decided on.
    async fn decided_on(&self, ledger: &Ledger) -> Result<u64, BookError> {
        #[cfg(feature = "simulator")]
        if self.unfenced {
            return Ok(ledger.head().await?);
        }
        let _ = ledger;
        Ok(self.head)
    }

    /// From now on entries are appended whatever others have appended: a deliberate mistake of the simulation.
    #[cfg(feature = "simulator")]
    pub(crate) fn take_fence_down(&mut self) {
        self.unfenced = true;
    }

    /// Notes that all events so far were written out.
    pub async fn events_written(&self) -> Result<(), BookError> {
        match &self.ledger {
            Some(ledger) if ledger.emitted().await? < self.head => Ok(ledger.set_emitted(self.head).await?),
            Some(_) | None => Ok(()),
        }
    }

    /// The scopes that the ledger or the settings know.
    pub fn scopes(&self) -> Vec<String> {
        let mut scopes: Vec<String> = self.histories.keys().chain(self.places.keys()).cloned().collect();
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// Every fact about one build, and about the remediation that it led to.
    pub async fn facts_about(&self, build: &BuildId) -> Result<Vec<Record>, BookError> {
        let Some(ledger) = &self.ledger else { return Ok(Vec::new()) };
        let id = RemediationId::of(build);
        let about = |record: &Record| {
            record.build() == Some(build) || matches!(&record.fact, Fact::Remediation { id: there, .. } if *there == id)
        };
        let (mut facts, mut seq) = (Vec::new(), 0);
        loop {
            let page = ledger.page(seq, PAGE).await?;
            let Some(last) = page.last() else { return Ok(facts) };
            seq = last.seq;
            facts.extend(page.into_iter().filter(about));
        }
    }

    /// What the scope's watch remembered.
    pub async fn watch(&self, scope: &str) -> Result<Watch, BookError> {
        match &self.ledger {
            Some(ledger) => Ok(ledger.watch(scope).await?.unwrap_or_default()),
            None => Ok(Watch::default()),
        }
    }

    /// Saves what the scope's watch remembers.
    pub async fn save_watch(&self, scope: &str, watch: &Watch) -> Result<(), BookError> {
        let ledger = self.ledger.as_ref().ok_or(BookError::None)?;
        Ok(ledger.save_watch(scope, watch).await?)
    }

    fn fold(&mut self, record: &Record) -> Result<Option<Event>, BookError> {
        let history = self.histories.entry(record.scope.clone()).or_default();
        let of_remediation = match &record.fact {
            Fact::Remediation { id, .. } => history.remediation(id).map(Remediation::plan),
            _ => None,
        };
        self.recent.take(record, of_remediation);
        history.apply(record).map_err(|broken| BookError::Broken { seq: record.seq, broken })?;
        self.head = record.seq;
        let place = self.place(&record.scope);
        let ledger = self.ledger.as_ref().map_or("", Ledger::id);
        Ok(event::of_record(record, self.history(&record.scope), &place, ledger))
    }
}

/// Whether other processes had appended anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// They had not.
    Nothing,
    /// They had.
    Up,
}
