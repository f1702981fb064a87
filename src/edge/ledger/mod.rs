//! What happened, in order, never rewritten: one SQLite file that a person can read with `sqlite3`.
//!
//! `sqlite3 unthrottled.ledger 'select * from timeline'` shows it.
//!
//! # Expected flow
//! The daemon takes the [`lease`], opens the ledger, loads and folds it. From then on it appends one fact at a time, each
//! under the sequence number that it was decided on, and acts on a fact only once `append` has returned.
//!
//! # Guarantees
//! - What [`Ledger::append`] returned is on the disk, and is in every later [`Ledger::load`].
//! - A fact decided on an older history is refused with [`LedgerError::Conflict`], and nothing is written.
//! - A ledger that can't be read as a whole is refused: no record is ever skipped.
//!
//! # Assumptions
//! The disk keeps what it has synced, and the file system knows POSIX locks (SQLite's own). Of several processes one is
//! the daemon; the others are commands of a person, which append and go.
//!
//! # Caveats
//! A future of this type that is dropped half-way may still have done its work. The next `append` then answers
//! `Conflict`, and the caller reads what is new.

mod file;
pub mod lease;
mod row;
mod whole;

use crate::domain::history::{Fact, Record};
use crate::domain::watch::Watch;
use file::File;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    id: String,
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

/// Why the ledger can't be used. Each says what is wrong, with which file, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Somebody else appended in between. Not a fault: read what is new and decide again.
    #[error("the ledger is at record {head} and no longer at {expected}")]
    Conflict {
        /// What the fact was decided on.
        expected: u64,
        /// What is there.
        head: u64,
    },
    /// Not one of ours.
    #[error(
        "`{}` is no ledger: {detail}; set `ledger.path` to another file, or restore this one from a backup",
        path.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        detail: String,
    },
    /// Made by a newer version.
    #[error(
        "ledger `{}` has layout {found}, and this version ({}) knows layouts up to {known}: use the version that wrote it, or a newer one",
        path.display(),
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// The newest layout known.
        known: i64,
    },
    /// A record that this version can't read. It is not skipped: what it says may decide what is done next.
    #[error(
        "record {seq} (`{kind}`) of ledger `{}` can't be read by this version ({}): {detail}; a newer version wrote it, or it was changed by hand: use the version that wrote it",
        path.display(),
        env!("CARGO_PKG_VERSION")
    )]
    UnknownFact {
        /// Which file.
        path: PathBuf,
        /// Which record.
        seq: u64,
        /// Its kind, as the file says.
        kind: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Damaged.
    #[error(
        "ledger `{}` is damaged: {detail}; it was left as it is: restore it from a backup, or move it away to begin a new one, which knows nothing of remediations under way",
        path.display()
    )]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file of no bytes: a ledger never is, not even while it is made.
    #[error(
        "`{}` is an empty file and no ledger: if it was one, restore it from a backup; if not, delete it and a new one is made",
        path.display()
    )]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// A directory, a device or the like.
    #[error("`{}` is not a file: set `ledger.path` to a file", path.display())]
    NotAFile {
        /// What.
        path: PathBuf,
    },
    /// No permission, no such directory, a read-only disk.
    #[error(
        "ledger `{}` can't be written: {detail}; let the daemon write the file and make files beside it",
        path.display()
    )]
    NotWritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// No permission to read.
    #[error("ledger `{}` can't be opened: {detail}; let this user read it", path.display())]
    NotReadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// No space left.
    #[error(
        "no space is left for ledger `{}`: make room on its disk; nothing was recorded, and nothing is changed that is not recorded",
        path.display()
    )]
    Full {
        /// Which file.
        path: PathBuf,
    },
    /// Locked for longer than an append takes.
    #[error(
        "another process keeps ledger `{}` locked: end it (an open `sqlite3` for example), then try again",
        path.display()
    )]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// Anything else, told by the cause.
    #[error("ledger `{}` failed", path.display())]
    Failed {
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LedgerError {
    /// Whether somebody else appended in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, LedgerError::Conflict { .. })
    }
}

impl Ledger {
    /// Opens the ledger, makes it if there is no file, and proves that it can be written.
    ///
    /// # Errors
    /// Whatever keeps the daemon from recording: better told now than at the first plan.
    pub async fn open(path: &Path) -> Result<Ledger, LedgerError> {
        let wanted = path.to_path_buf();
        let file = blocking(path, move || File::open(&wanted)).await?;
        Ok(Ledger::of(file))
    }

    /// Opens the ledger, or answers none if there is no file. One that can only be read is good enough to look at.
    pub async fn open_existing(path: &Path) -> Result<Option<Ledger>, LedgerError> {
        let wanted = path.to_path_buf();
        let file = blocking(path, move || File::open_existing(&wanted)).await?;
        Ok(file.map(Ledger::of))
    }

    /// Unique to this ledger: with a sequence number it names one fact for good.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last record's sequence number; 0 if there is none.
    pub async fn head(&self) -> Result<u64, LedgerError> {
        self.with(|file| file.head()).await
    }

    /// Every record, in order.
    pub async fn load(&self) -> Result<Vec<Record>, LedgerError> {
        self.since(0).await
    }

    /// Every record after `seq`, in order.
    ///
    /// # Errors
    /// [`LedgerError::Broken`] also if the ledger ends before `seq`: then it is not the one that was read before.
    pub async fn since(&self, seq: u64) -> Result<Vec<Record>, LedgerError> {
        self.with(move |file| file.since(seq)).await
    }

    /// The first records after `seq`, `most` of them at the most, in order; none if there is none.
    ///
    /// # Errors
    /// As those of [`Ledger::since`].
    pub async fn page(&self, seq: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        self.with(move |file| file.page(seq, most)).await
    }

    /// Appends one fact as number `expected` + 1.
    ///
    /// # Guarantees
    /// The record is on the disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if the last record is not number `expected`. Nothing is written then, nor at any other
    /// error.
    pub async fn append(&self, expected: u64, at: Timestamp, scope: &str, fact: &Fact) -> Result<Record, LedgerError> {
        let record = Record { seq: expected + 1, at, scope: scope.to_string(), fact: fact.clone() };
        self.with(move |file| file.append(&record).map(|()| record)).await
    }

    /// What a scope's watch remembered last.
    pub async fn watch(&self, scope: &str) -> Result<Option<Watch>, LedgerError> {
        let scope = scope.to_string();
        self.with(move |file| file.watch(&scope)).await
    }

    /// Keeps what a scope's watch remembers. It is no fact: a lost one costs reading some builds again.
    pub async fn save_watch(&self, scope: &str, watch: &Watch) -> Result<(), LedgerError> {
        let (scope, watch) = (scope.to_string(), watch.clone());
        self.with(move |file| file.save_watch(&scope, &watch)).await
    }

    /// The account that a scope was last seen to be in, so that an event that is written out again after a kill says the
    /// same.
    pub async fn account(&self, scope: &str) -> Result<Option<String>, LedgerError> {
        let scope = scope.to_string();
        self.with(move |file| file.account(&scope)).await
    }

    /// Notes the account that a scope is in.
    pub async fn set_account(&self, scope: &str, account: &str) -> Result<(), LedgerError> {
        let (scope, account) = (scope.to_string(), account.to_string());
        self.with(move |file| file.set_account(&scope, &account)).await
    }

    /// Up to which record the events were written out.
    pub async fn emitted(&self) -> Result<u64, LedgerError> {
        self.with(|file| file.emitted()).await
    }

    /// Notes up to which record the events were written out. Never goes back.
    pub async fn set_emitted(&self, seq: u64) -> Result<(), LedgerError> {
        self.with(move |file| file.set_emitted(seq)).await
    }

    fn of(file: File) -> Ledger {
        Ledger { id: file.id().to_string(), path: file.path().to_path_buf(), file: Arc::new(Mutex::new(file)) }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let file = Arc::clone(&self.file);
        blocking(&self.path, move || {
            // A panic while it was held can't leave half a fact behind: SQLite rolls the transaction back.
            work(&mut file.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
    }
}

/// Syncing takes milliseconds and waiting for a lock takes seconds: neither may stop the loop that answers `/healthz`.
async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(LedgerError::Failed { path: path.to_path_buf(), source: Box::new(error) }),
    }
}
