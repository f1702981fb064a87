//! A whole ledger or none: made in one go, and looked over before it is trusted.

use super::LedgerError;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Marks the file as ours (`file` and SQLite know the field): "untr".
const APPLICATION_ID: i64 = 0x756e_7472;

/// The layout that is written, and the newest that is read.
const LAYOUT: i64 = 1;

/// How long another process's append is waited for. One takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// SQLite gives names like `:memory:` a meaning of their own, but not to an absolute path.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, LedgerError> {
    std::path::absolute(path).map_err(|error| LedgerError::Failed { path: path.to_path_buf(), source: Box::new(error) })
}

pub(super) fn exists(path: &Path) -> Result<bool, LedgerError> {
    let path = path.to_path_buf();
    match fs::metadata(&path) {
        Ok(there) if !there.is_file() => Err(LedgerError::NotAFile { path }),
        Ok(there) if there.len() == 0 => Err(LedgerError::Empty { path }),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(LedgerError::NotReadable { path, detail: error.to_string() }),
    }
}

/// Opens a file that is there, and answers it with its id once it was looked over.
///
/// Nothing but SQLite opens the file: closing it in any other way would free the locks that this process holds on it.
pub(super) fn attach(path: &Path) -> Result<(Connection, String), LedgerError> {
    let connection = connect(path).map_err(|error| not_opened(path, error))?;
    let id = check(&connection, path)?;
    Ok((connection, id))
}

/// SQLite does not say why a file can't be opened; the system does.
fn not_opened(path: &Path, error: rusqlite::Error) -> LedgerError {
    match fs::File::open(path) {
        Err(why) => LedgerError::NotReadable { path: path.to_path_buf(), detail: why.to_string() },
        Ok(_) => fault(path, error),
    }
}

/// Makes the whole ledger beside its place and then puts it there in one go: a kill leaves none or a whole one, and of
/// two processes that do this at once the second uses the first's.
pub(super) fn create(path: &Path) -> Result<(), LedgerError> {
    let refused = |error: io::Error| LedgerError::NotWritable { path: path.to_path_buf(), detail: error.to_string() };
    let id = uuid::Uuid::new_v4().to_string();
    let mut name = OsString::from(path);
    name.push(format!(".{id}.new"));
    let draft = PathBuf::from(name);
    fs::File::create_new(&draft).map_err(refused)?;
    let placed =
        lay_out(&draft, &id).map_err(|error| fault(path, error)).and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(refused(error)),
            _ => Ok(()),
        });
    fs::remove_file(&draft).map_err(refused)?;
    placed?;
    sync_directory(path).map_err(refused)
}

fn lay_out(draft: &Path, id: &str) -> rusqlite::Result<()> {
    let mut connection = connect(draft)?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    let sql = "INSERT INTO meta (key, value) VALUES ('id', ?1), ('emitted', '0')";
    transaction.execute(sql, [id])?;
    transaction.commit()
}

/// Makes the file's name as durable as its content.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if cfg!(unix) => fs::File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

/// One file at rest: the journal is there only while a transaction is under way, and `EXTRA` also syncs the directory
/// after the journal's removal, which is what commits.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Whether the file is a ledger, of a layout that is known, and whole. Answers its id.
fn check(connection: &Connection, path: &Path) -> Result<String, LedgerError> {
    let failed = |error| fault(path, error);
    // No other process writes to the file while this reads.
    let reading = connection.unchecked_transaction().map_err(failed)?;
    check_layout(&reading, path)?;
    check_whole(&reading, path)?;
    let sql = "SELECT value FROM meta WHERE key = 'id'";
    let id: Option<String> = reading.query_row(sql, [], |row| row.get(0)).optional().map_err(failed)?;
    id.ok_or_else(|| broken(path, "it has lost its id".to_string()))
}

fn check_layout(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let application = number(connection, "application_id").map_err(|e| fault(path, e))?;
    let found = number(connection, "user_version").map_err(|e| fault(path, e))?;
    let path = path.to_path_buf();
    if application != APPLICATION_ID {
        let detail = "it is another program's SQLite file".to_string();
        Err(LedgerError::Foreign { path, detail })
    } else if found > LAYOUT {
        let known = LAYOUT;
        Err(LedgerError::Newer { path, found, known })
    } else if found < LAYOUT {
        Err(broken(&path, format!("layout {found} was never written")))
    } else {
        Ok(())
    }
}

/// SQLite reads what is missing from the last page as zeros, so the length is checked before the structure.
fn check_whole(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let failed = |error| fault(path, error);
    let pages = number(connection, "page_count").map_err(failed)?;
    let wanted = pages * number(connection, "page_size").map_err(failed)?;
    let length = fs::metadata(path).map_err(|error| broken(path, error.to_string()))?.len();
    if i128::from(length) < i128::from(wanted) {
        let detail = format!("it has {length} of its {wanted} bytes");
        return Err(broken(path, detail));
    }
    let complaint: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).map_err(failed)?;
    if complaint == "ok" { Ok(()) } else { Err(broken(path, complaint)) }
}

pub(super) fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, pragma, |row| row.get(0))
}

pub(super) fn broken(path: &Path, detail: String) -> LedgerError {
    LedgerError::Broken { path: path.to_path_buf(), detail }
}

/// What an answer of SQLite's means for a person.
pub(super) fn fault(path: &Path, error: rusqlite::Error) -> LedgerError {
    let path = path.to_path_buf();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            LedgerError::Foreign { path, detail: "it is no SQLite file, or its beginning is damaged".to_string() }
        }
        Some(ErrorCode::DatabaseCorrupt) => broken(&path, error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Busy { path },
        Some(ErrorCode::DiskFull) => LedgerError::Full { path },
        Some(ErrorCode::SystemIoFailure) => LedgerError::Disk { path, detail: error.to_string() },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            LedgerError::NotWritable { path, detail: error.to_string() }
        }
        _ => LedgerError::Failed { path, source: Box::new(error) },
    }
}
