//! The ledger's file while it is open: read in order, written one transaction at a time.

use super::LedgerError;
use super::row::{Columns, Row};
use super::whole::{self, broken, fault};
use crate::domain::history::Record;
use crate::domain::watch::Watch;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::{Path, PathBuf};

/// The open file.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    id: String,
    connection: Connection,
}

impl File {
    /// Opens it for the daemon: made if there is none, and proven to be writable.
    pub fn open(path: &Path) -> Result<File, LedgerError> {
        let path = whole::absolute(path)?;
        if !whole::exists(&path)? {
            whole::create(&path)?;
        }
        let mut file = File::attach(path)?;
        file.prove_writable()?;
        Ok(file)
    }

    /// Opens it if it is there.
    pub fn open_existing(path: &Path) -> Result<Option<File>, LedgerError> {
        let path = whole::absolute(path)?;
        if whole::exists(&path)? { File::attach(path).map(Some) } else { Ok(None) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn head(&self) -> Result<u64, LedgerError> {
        head(&self.connection).map_err(|error| self.fault(error))
    }

    pub fn page(&self, seq: u64, most: usize) -> Result<Vec<Record>, LedgerError> {
        let rows = rows_since(&self.connection, seq, most).map_err(|error| self.fault(error))?;
        let head = self.head()?;
        if head < seq {
            let detail = format!("it ends at record {head}, and record {seq} was in it before");
            return Err(broken(&self.path, detail));
        }
        let mut records = Vec::with_capacity(rows.len());
        for (expected, row) in (seq + 1..).zip(rows) {
            if row.seq != expected {
                let detail = format!("record {expected} is missing");
                return Err(broken(&self.path, detail));
            }
            let record = row.read().map_err(|detail| self.unknown(row, detail));
            records.push(record?);
        }
        Ok(records)
    }

    pub fn append(&mut self, record: &Record) -> Result<(), LedgerError> {
        let expected = record.seq - 1;
        let head = try_append(&mut self.connection, expected, record).map_err(|error| fault(&self.path, error))?;
        if head == expected { Ok(()) } else { Err(LedgerError::Conflict { expected, head }) }
    }

    pub fn watch(&self, scope: &str) -> Result<Option<Watch>, LedgerError> {
        let body: Option<String> = self
            .connection
            .query_row("SELECT body FROM watch WHERE scope = ?1", [scope], |row| row.get(0))
            .optional()
            .map_err(|error| self.fault(error))?;
        let read = |body: String| {
            serde_json::from_str(&body).map_err(|error| {
                let detail = format!("the watch of scope `{scope}` can't be read: {error}");
                broken(&self.path, detail)
            })
        };
        body.map(read).transpose()
    }

    pub fn save_watch(&mut self, scope: &str, watch: &Watch) -> Result<(), LedgerError> {
        let body = serde_json::to_string(watch).map_err(|error| self.failed(error))?;
        let sql =
            "INSERT INTO watch (scope, body) VALUES (?1, ?2) ON CONFLICT (scope) DO UPDATE SET body = excluded.body";
        self.connection.execute(sql, [scope, &body]).map(|_| ()).map_err(|error| self.fault(error))
    }

    pub fn account(&self, scope: &str) -> Result<Option<String>, LedgerError> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let read = self.connection.query_row(sql, [account_key(scope)], |row| row.get(0)).optional();
        read.map_err(|error| self.fault(error))
    }

    pub fn set_account(&mut self, scope: &str, account: &str) -> Result<(), LedgerError> {
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
        let written = self.connection.execute(sql, [account_key(scope), account.to_string()]);
        written.map(|_| ()).map_err(|error| self.fault(error))
    }

    pub fn emitted(&self) -> Result<u64, LedgerError> {
        let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'emitted'";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.fault(error))
    }

    pub fn set_emitted(&mut self, seq: u64) -> Result<(), LedgerError> {
        let sql = "UPDATE meta SET value = ?1 WHERE key = 'emitted' AND CAST(value AS INTEGER) < ?1";
        self.connection.execute(sql, [seq]).map(|_| ()).map_err(|error| self.fault(error))
    }

    fn attach(path: PathBuf) -> Result<File, LedgerError> {
        let (connection, id) = whole::attach(&path)?;
        Ok(File { path, id, connection })
    }

    /// Writes what is there already: a page goes through the journal, so that a disk or directory that refuses it shows.
    fn prove_writable(&mut self) -> Result<(), LedgerError> {
        self.connection
            .execute("UPDATE meta SET value = value WHERE key = 'id'", [])
            .map(|_| ())
            .map_err(|error| self.fault(error))
    }

    fn fault(&self, error: rusqlite::Error) -> LedgerError {
        fault(&self.path, error)
    }

    fn unknown(&self, row: Row, detail: String) -> LedgerError {
        LedgerError::UnknownFact { path: self.path.clone(), seq: row.seq, kind: row.kind, detail }
    }

    fn failed(&self, error: impl std::error::Error + Send + Sync + 'static) -> LedgerError {
        LedgerError::Failed { path: self.path.clone(), source: Box::new(error) }
    }
}

fn head(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM entries";
    connection.query_row(sql, [], |row| row.get(0))
}

fn rows_since(connection: &Connection, seq: u64, most: usize) -> rusqlite::Result<Vec<Row>> {
    let sql = "SELECT seq, at, scope, kind, body FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map((seq, most), |row| {
        Ok(Row { seq: row.get(0)?, at: row.get(1)?, scope: row.get(2)?, kind: row.get(3)?, body: row.get(4)? })
    })?;
    rows.collect()
}

/// Inserts the record if the head is the expected one. Answers the head that was found. The check and the insertion are
/// one transaction, which holds the write lock from its first statement.
fn try_append(connection: &mut Connection, expected: u64, record: &Record) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let head = head(&transaction)?;
    if head != expected {
        return Ok(head);
    }
    let body = serde_json::to_string(&record.fact)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let columns = Columns::of(record);
    transaction
        .prepare_cached(
            "INSERT INTO entries (seq, at, scope, kind, project, build, remediation, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            record.seq,
            record.at.to_string(),
            &record.scope,
            columns.kind,
            columns.project,
            columns.build,
            columns.remediation,
            body,
        ))?;
    transaction.commit()?;
    Ok(head)
}

/// Where a scope's account stands among what the ledger knows of itself.
fn account_key(scope: &str) -> String {
    format!("account:{scope}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::build::ProjectName;
    use crate::domain::history::Fact;
    use std::fs;
    use std::time::Duration;

    fn record(seq: u64, length: usize) -> Record {
        Record {
            seq,
            at: "2026-01-05T10:00:00Z".parse().unwrap(),
            scope: "prod".to_string(),
            fact: Fact::Cleared { project: ProjectName::new("x".repeat(length)) },
        }
    }

    #[test]
    fn a_full_disk_is_told_and_leaves_what_was_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = File::open(&dir.path().join("l")).unwrap();
        let limit = |file: &File, pages: i64| {
            file.connection.pragma_update(None, "max_page_count", pages).unwrap();
        };
        let pages = whole::number(&file.connection, "page_count").unwrap();
        limit(&file, pages + 4);
        let refused = (1..).find_map(|seq| Some((seq, file.append(&record(seq, 3000)).err()?)));
        let (seq, error) = refused.unwrap();
        assert!(matches!(error, LedgerError::Full { .. }), "{error}");
        assert!(error.to_string().contains("make room on its disk"), "{error}");
        assert!(seq > 1);
        assert_eq!(file.page(0, usize::MAX).unwrap().len() as u64, seq - 1);

        limit(&file, pages + 40);
        file.append(&record(seq, 3000)).unwrap();
        assert_eq!(file.head().unwrap(), seq);
    }

    #[test]
    fn a_lock_that_another_keeps_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let mut file = File::open(&path).unwrap();
        let other = File::open(&path).unwrap();
        file.connection.busy_timeout(Duration::ZERO).unwrap();
        other.connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let error = file.append(&record(1, 1)).unwrap_err();
        assert!(matches!(error, LedgerError::Busy { .. }), "{error}");
        other.connection.execute_batch("ROLLBACK").unwrap();
        file.append(&record(1, 1)).unwrap();
    }

    #[test]
    fn of_many_that_make_it_at_once_all_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let open = || File::open(&path).unwrap().id().to_string();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        // Nothing of the making is left.
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_commit_is_synced_with_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::open(&dir.path().join("l")).unwrap();
        const EXTRA: i64 = 3;
        assert_eq!(whole::number(&file.connection, "synchronous").unwrap(), EXTRA);
        let journal: String = file.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(journal, "delete");
    }
}
