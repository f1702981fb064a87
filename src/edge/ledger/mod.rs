//! What happened, in order, never rewritten: one SQLite file, or one DynamoDB table.
//!
//! `sqlite3 unthrottled.ledger 'select * from timeline'` shows the file; [`table`] tells what the table's items are.
//!
//! # Expected flow
//! The daemon takes the [`lease`], opens the ledger, loads and folds it. From then on it appends one fact at a time, each
//! under the sequence number that it was decided on, and acts on a fact only once `append` has returned.
//!
//! # Guarantees
//! - What [`Ledger::append`] returned is durable, and is in every later [`Ledger::load`].
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
mod store;
pub mod table;
mod whole;

pub use store::Store;

use crate::domain::history::{Fact, Record};
use crate::domain::watch::Watch;
use file::File;
use jiff::Timestamp;
use lease::Lease;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use table::{Table, TableError};

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    id: String,
    opened: Opened,
}

#[derive(Debug)]
enum Opened {
    File { path: PathBuf, file: Arc<Mutex<File>> },
    Table(Table),
}

/// Why the ledger can't be used. Each says what is wrong, with which file or table, and what to do next.
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
    /// A quota, a limit of the process, or a disk that fails.
    #[error(
        "the disk did not take a write to ledger `{}`, or did not give back what is on it ({detail}): look at its quota, at the process's limit of file sizes, and at the disk itself; nothing was recorded, and nothing is changed that is not recorded",
        path.display()
    )]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What SQLite says of it.
        detail: String,
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
    /// The daemon no longer is the one that acts.
    #[error(
        "the lease on the ledger in {ledger} is lost, as another daemon took it over or the table could not be reached: nothing was recorded, and nothing is changed before the lease is held again"
    )]
    LeaseLost {
        /// Which.
        ledger: String,
    },
    /// The table can't be used.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl LedgerError {
    /// Whether somebody else appended in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, LedgerError::Conflict { .. })
    }
}

impl Ledger {
    /// Opens the ledger, begins it if there is none, and proves that it can be written: a file by writing to it, a table
    /// by the lease that is taken first, or by the first append.
    ///
    /// # Errors
    /// Whatever keeps the daemon from recording: better told now than at the first plan. A table has to be there.
    pub async fn open(store: impl Into<Store>) -> Result<Ledger, LedgerError> {
        match store.into() {
            Store::File(path) => {
                let wanted = path.clone();
                Ok(Ledger::of_file(blocking(&path, move || File::open(&wanted)).await?))
            }
            Store::DynamoDb(store) => Ok(Ledger::of_table(Table::open(&store).await?)),
        }
    }

    /// Opens the ledger, or answers none if none was begun. One that can only be read is good enough to look at.
    pub async fn open_existing(store: impl Into<Store>) -> Result<Option<Ledger>, LedgerError> {
        match store.into() {
            Store::File(path) => {
                let wanted = path.clone();
                let file = blocking(&path, move || File::open_existing(&wanted)).await?;
                Ok(file.map(Ledger::of_file))
            }
            Store::DynamoDb(store) => Ok(Table::open_existing(&store).await?.map(Ledger::of_table)),
        }
    }

    /// Under a lease: once that is lost, nothing is read or written any more.
    pub fn under(self, lease: &Lease) -> Ledger {
        match (self.opened, lease.fence()) {
            (Opened::Table(table), Some(fence)) => Ledger { opened: Opened::Table(table.fenced(fence)), ..self },
            // A file's lock can't be lost.
            (opened, _) => Ledger { opened, ..self },
        }
    }

    /// Its own id, which no other ledger has.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number of the last record; 0 if there is none.
    pub async fn head(&self) -> Result<u64, LedgerError> {
        match &self.opened {
            Opened::File { path, file } => with(path, file, |file| file.head()).await,
            Opened::Table(table) => table.head().await,
        }
    }

    /// Every record, in order.
    pub async fn load(&self) -> Result<Vec<Record>, LedgerError> {
        self.since(0).await
    }

    /// Every record after `seq`, in order.
    ///
    /// # Errors
    /// `Broken` also if the ledger ends before `seq`: then it is not the one that was read before.
    pub async fn since(&self, seq: u64) -> Result<Vec<Record>, LedgerError> {
        self.page(seq, usize::MAX).await
    }

    /// The first records after `seq`, `most` of them at the most, in order; none if there is none.
    ///
    /// # Errors
    /// As those of [`Ledger::since`].
    pub async fn page(&self, seq: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        match &self.opened {
            Opened::File { path, file } => with(path, file, move |file| file.page(seq, most)).await,
            Opened::Table(table) => table.page(seq, most).await,
        }
    }

    /// Appends one fact as number `expected` + 1.
    ///
    /// # Guarantees
    /// The record is durable when this returns well.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] if the last record is not number `expected`. Nothing is written then, nor at any other
    /// error, but for a call to DynamoDB that timed out and may still be done: the next `append` then answers `Conflict`.
    pub async fn append(&self, expected: u64, at: Timestamp, scope: &str, fact: &Fact) -> Result<Record, LedgerError> {
        let record = Record { seq: expected + 1, at, scope: scope.to_string(), fact: fact.clone() };
        match &self.opened {
            Opened::File { path, file } => with(path, file, move |file| file.append(&record).map(|()| record)).await,
            Opened::Table(table) => table.append(&record).await.map(|()| record),
        }
    }

    /// What a scope's watch remembered last.
    pub async fn watch(&self, scope: &str) -> Result<Option<Watch>, LedgerError> {
        match &self.opened {
            Opened::File { path, file } => {
                let scope = scope.to_string();
                with(path, file, move |file| file.watch(&scope)).await
            }
            Opened::Table(table) => table.watch(scope).await,
        }
    }

    /// Keeps what a scope's watch remembers. It is no fact: a lost one costs reading some builds again.
    pub async fn save_watch(&self, scope: &str, watch: &Watch) -> Result<(), LedgerError> {
        match &self.opened {
            Opened::File { path, file } => {
                let (scope, watch) = (scope.to_string(), watch.clone());
                with(path, file, move |file| file.save_watch(&scope, &watch)).await
            }
            Opened::Table(table) => table.save_watch(scope, watch).await,
        }
    }

    /// The account that a scope was last seen to be in, so that an event that is written out again after a kill says the
    /// same.
    pub async fn account(&self, scope: &str) -> Result<Option<String>, LedgerError> {
        match &self.opened {
            Opened::File { path, file } => {
                let scope = scope.to_string();
                with(path, file, move |file| file.account(&scope)).await
            }
            Opened::Table(table) => table.account(scope).await,
        }
    }

    /// Notes the account that a scope is in.
    pub async fn set_account(&self, scope: &str, account: &str) -> Result<(), LedgerError> {
        match &self.opened {
            Opened::File { path, file } => {
                let (scope, account) = (scope.to_string(), account.to_string());
                with(path, file, move |file| file.set_account(&scope, &account)).await
            }
            Opened::Table(table) => table.set_account(scope, account).await,
        }
    }

    /// Up to which record the events were written out.
    pub async fn emitted(&self) -> Result<u64, LedgerError> {
        match &self.opened {
            Opened::File { path, file } => with(path, file, |file| file.emitted()).await,
            Opened::Table(table) => table.emitted().await,
        }
    }

    /// Notes up to which record the events were written out. Never goes back.
    pub async fn set_emitted(&self, seq: u64) -> Result<(), LedgerError> {
        match &self.opened {
            Opened::File { path, file } => with(path, file, move |file| file.set_emitted(seq)).await,
            Opened::Table(table) => table.set_emitted(seq).await,
        }
    }

    fn of_file(file: File) -> Ledger {
        let (id, path) = (file.id().to_string(), file.path().to_path_buf());
        Ledger { id, opened: Opened::File { path, file: Arc::new(Mutex::new(file)) } }
    }

    fn of_table(table: Table) -> Ledger {
        Ledger { id: table.id().to_string(), opened: Opened::Table(table) }
    }
}

async fn with<T: Send + 'static>(
    path: &Path,
    file: &Arc<Mutex<File>>,
    work: impl FnOnce(&mut File) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let file = Arc::clone(file);
    blocking(path, move || {
        // A panic while it was held can't leave half a fact behind: SQLite rolls the transaction back.
        work(&mut file.lock().unwrap_or_else(PoisonError::into_inner))
    })
    .await
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
