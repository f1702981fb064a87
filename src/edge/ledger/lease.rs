//! One daemon at a time: a lock beside the ledger that the kernel frees, however its holder ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held by the one daemon that may act on a ledger. Dropping it frees it.
///
/// # Caveats
/// On a network file system the lock is as good as that system's locks. The ledger's sequence number fences even two
/// holders: the one that decided on an older history is refused.
#[derive(Debug)]
pub struct Lease {
    /// Locked for as long as it is open.
    _file: File,
}

/// Why the lease is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another daemon works on this ledger.
    #[error(
        "another daemon ({holder}) holds `{}`: only one may act on a ledger; stop it first, or set `ledger.path` to another file",
        path.display()
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote into it.
        holder: String,
    },
    /// The lock file can't be made or locked.
    #[error("`{}` can't be locked; let the daemon make files beside the ledger", path.display())]
    Failed {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Takes the lease of the ledger at `ledger`, without waiting.
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
            let holder = holder(&mut file);
            return Err(LeaseError::Held { path, holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    sign(&mut file).map_err(failed)?;
    Ok(Lease { _file: file })
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
    write!(file, "pid {} on {}", std::process::id(), host())?;
    file.flush()
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.escape_debug().to_string(),
        _ => "which has not said who it is".to_string(),
    }
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
