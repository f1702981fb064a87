//! One daemon at a time: a lock beside the ledger's file that the kernel frees, however its holder ends, or an item of
//! the ledger's table.

use super::Store;
use super::table::lease::{Fence, NotTaken, TableLease};
use super::table::{self, TableError};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held by the one daemon that may act on a ledger. A file's is freed when this is dropped, and a table's by
/// [`Lease::release`], or by others once it has expired.
///
/// # Caveats
/// On a network file system the lock is as good as that system's locks. The ledger's sequence number fences even two
/// holders: the one that decided on an older history is refused.
#[derive(Debug)]
pub struct Lease(Held);

#[derive(Debug)]
enum Held {
    /// Locked for as long as it is open.
    File(#[expect(dead_code, reason = "only has to stay open")] File),
    Table(TableLease),
}

/// Why the lease is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another daemon works on this ledger.
    #[error("another daemon ({holder}) holds {what}: only one may act on a ledger; stop it first, or set {instead}")]
    Held {
        /// The lock file or the table.
        what: String,
        /// What the holder says of itself.
        holder: String,
        /// Which setting leads to another ledger.
        instead: &'static str,
    },
    /// The lock file can't be made or locked.
    #[error("`{}` can't be locked; let the daemon make files beside the ledger", path.display())]
    Failed {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The table can't be used.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl LeaseError {
    /// Whether another daemon has it.
    pub fn is_held(&self) -> bool {
        matches!(self, LeaseError::Held { .. })
    }

    /// Whether the same may go well later, without anyone's doing.
    pub fn may_pass(&self) -> bool {
        matches!(self, LeaseError::Table(error) if error.may_pass())
    }
}

impl Lease {
    /// Resolves once the lease is lost, which a file's never is.
    pub async fn lost(&self) {
        match self.fence() {
            Some(fence) => fence.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Gives it back.
    pub async fn release(self) {
        match self.0 {
            Held::File(_) => (),
            Held::Table(lease) => lease.release().await,
        }
    }

    pub(super) fn fence(&self) -> Option<Fence> {
        match &self.0 {
            Held::File(_) => None,
            Held::Table(lease) => Some(lease.fence()),
        }
    }
}

/// Takes the ledger's lease if nobody has it. To see that the holder of a table's has fallen silent takes as long as the
/// lease is.
pub async fn take(store: &Store) -> Result<Lease, LeaseError> {
    match store {
        Store::File(path) => take_lease(path),
        Store::DynamoDb(store) => match table::lease::take(store, &ourselves()).await {
            Ok(lease) => Ok(Lease(Held::Table(lease))),
            Err(NotTaken::Held(holder)) => Err(LeaseError::Held {
                what: format!("DynamoDB table `{}`", store.table),
                holder,
                instead: "`ledger.table` to another table",
            }),
            Err(NotTaken::Failed(error)) => Err(error.into()),
        },
    }
}

/// Takes the ledger's lease once nobody has it; `held` is told who has it meanwhile. A file is not waited for: its
/// holder is on the same machine, where somebody started two.
pub async fn wait(store: &Store, held: impl FnMut(&str)) -> Result<Lease, LeaseError> {
    match store {
        Store::File(path) => take_lease(path),
        Store::DynamoDb(store) => Ok(Lease(Held::Table(table::lease::wait(store, &ourselves(), held).await?))),
    }
}

/// Who holds the ledger's lease, if anybody does.
pub async fn holder(store: &Store) -> Result<Option<String>, LeaseError> {
    match store {
        Store::DynamoDb(store) => Ok(table::lease::holder(store).await?),
        Store::File(path) => match take_lease(path) {
            Ok(_given_back) => Ok(None),
            Err(LeaseError::Held { holder, .. }) => Ok(Some(holder)),
            Err(error) => Err(error),
        },
    }
}

/// Takes the lease of the ledger in the file `ledger`, without waiting.
pub fn take_lease(ledger: &Path) -> Result<Lease, LeaseError> {
    let path = lock_path(ledger);
    let failed = |source| LeaseError::Failed { path: path.clone(), source };
    // Not truncated: until it is locked, what stands in it is another's. Never deleted: whoever waits would lock a
    // file that no one else finds.
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => (),
        Err(TryLockError::WouldBlock) => {
            let holder = holder_in(&mut file);
            let what = format!("`{}`", path.display());
            return Err(LeaseError::Held { what, holder, instead: "`ledger.path` to another file" });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    sign(&mut file).map_err(failed)?;
    Ok(Lease(Held::File(file)))
}

/// `<ledger>.lock`: a file of its own, as a lock on the ledger would get in SQLite's way.
fn lock_path(ledger: &Path) -> PathBuf {
    let mut name = OsString::from(ledger);
    name.push(".lock");
    PathBuf::from(name)
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(ourselves().as_bytes())?;
    file.flush()
}

fn holder_in(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.escape_debug().to_string(),
        _ => "which has not said who it is".to_string(),
    }
}

/// How others find us.
fn ourselves() -> String {
    format!("pid {} on {}", std::process::id(), host())
}

/// The host's name where the kernel tells it as a file; in a container that is the container's id.
fn host() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(name) => name.trim().to_string(),
        Err(_) => "this host".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_holds_the_lease() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l");
        let first = take_lease(&ledger).unwrap();
        let refused = take_lease(&ledger).unwrap_err().to_string();
        let holder = format!("(pid {} on {})", std::process::id(), host());
        assert!(refused.contains(&holder), "{refused}");
        drop(first);
        take_lease(&ledger).unwrap();
    }

    #[test]
    fn a_shorter_name_leaves_nothing_of_a_longer_one() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l");
        std::fs::write(lock_path(&ledger), "pid 4194304 on ".repeat(20)).unwrap();
        let _lease = take_lease(&ledger).unwrap();
        let signed = std::fs::read_to_string(lock_path(&ledger)).unwrap();
        assert_eq!(signed, format!("pid {} on {}", std::process::id(), host()));
    }

    #[test]
    fn no_directory_to_lock_in_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let error = take_lease(&dir.path().join("gone").join("l")).unwrap_err();
        assert!(error.to_string().contains("gone/l.lock"), "{error}");
        assert!(matches!(error, LeaseError::Failed { .. }));
    }
}
