//! The ledger gives back every record that it acknowledged, or refuses; whatever became of its file.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "ledger/contract.rs"]
mod contract;
#[path = "ledger/damaged.rs"]
mod damaged;
#[path = "ledger/layouts.rs"]
mod layouts;
#[path = "ledger/processes.rs"]
mod processes;
#[path = "support/records.rs"]
mod records;

use jiff::Timestamp;
use proptest::prelude::*;
use records::{SCOPE, at, story};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use unthrottled::domain::build::{BuildId, ProjectName};
use unthrottled::domain::classify::Site;
use unthrottled::domain::decide::{HoldReason, Judgement};
use unthrottled::domain::history::{Detected, Fact, Record};
use unthrottled::domain::plan::RemediationId;
use unthrottled::domain::remediation::Entry;
use unthrottled::domain::watch::Watch;
use unthrottled::edge::ledger::{Ledger, LedgerError, Store};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// In memory where there is such a place: for tests that open thousands of files, none of which power can fail.
fn dir_in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { dir() }
}

/// Where the ledger of one test of the contract is, and what keeps that place.
async fn fresh() -> (Store, TempDir) {
    let dir = dir_in_memory();
    (Store::from(&path_in(&dir)), dir)
}

fn path_in(dir: &TempDir) -> PathBuf {
    dir.path().join("unthrottled.ledger")
}

async fn load(path: &Path) -> Result<Vec<Record>, LedgerError> {
    Ledger::open(path).await?.load().await
}

async fn ledger_of(place: impl Into<Store>, records: &[Record]) -> Ledger {
    let ledger = Ledger::open(place).await.unwrap();
    append_all(&ledger, records).await;
    ledger
}

async fn append_all(ledger: &Ledger, records: &[Record]) {
    for record in records {
        let appended = ledger.append(record.seq - 1, record.at, &record.scope, &record.fact).await;
        assert_eq!(appended.unwrap(), *record);
    }
}

fn cleared(project: &str) -> Fact {
    Fact::Cleared { project: ProjectName::new(project) }
}

#[tokio::test]
async fn a_ledger_is_one_file_with_an_id_of_its_own() {
    let dir = dir();
    let first = ledger_of(&path_in(&dir), &records::records(records::cured())).await;
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["unthrottled.ledger"]);

    let same = Ledger::open_existing(&path_in(&dir)).await.unwrap().unwrap();
    let other = Ledger::open(&dir.path().join("other")).await.unwrap();
    assert_eq!(same.id(), first.id());
    assert_ne!(other.id(), first.id());
}

#[tokio::test]
async fn looking_for_a_ledger_makes_none() {
    let dir = dir();
    assert!(Ledger::open_existing(&path_in(&dir)).await.unwrap().is_none());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn of_writers_that_race_each_record_has_one() {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let dir = dir_in_memory();
    let path = path_in(&dir);
    let write = |writer: usize| {
        block_on(async {
            let ledger = Ledger::open(&path).await.unwrap();
            let mut head = 0;
            let mut won = Vec::new();
            while won.len() < EACH {
                let fact = cleared(&format!("{writer}-{}", won.len()));
                match ledger.append(head, at("10:00:00"), SCOPE, &fact).await {
                    Ok(record) => {
                        head = record.seq;
                        won.push(record);
                    }
                    Err(LedgerError::Conflict { head: there, .. }) => head = there,
                    Err(error) => panic!("{error}"),
                }
            }
            won
        })
    };
    let mut won: Vec<Record> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        let records = threads.into_iter().map(|thread| thread.join().unwrap());
        records.flatten().collect()
    });
    won.sort_by_key(|record| record.seq);
    assert_eq!(won.len(), WRITERS * EACH);
    assert_eq!(block_on(load(&path)).unwrap(), won);
}

#[tokio::test]
async fn a_person_reads_it_with_sqlite() {
    let dir = dir();
    let path = path_in(&dir);
    drop(ledger_of(&path, &story()).await);
    let connection = Connection::open(&path).unwrap();
    let mut rows = connection.prepare("SELECT seq, at, kind, project, build, remediation, why FROM timeline").unwrap();
    let text = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
        let seq: u64 = row.get(0)?;
        let mut cells = vec![seq.to_string()];
        for n in 1..7 {
            cells.push(row.get::<_, Option<String>>(n)?.unwrap_or_default());
        }
        Ok(cells.join(" | "))
    };
    let lines: Vec<String> = rows.query_map([], text).unwrap().map(Result::unwrap).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_person_can_not_rewrite_it_by_mistake() {
    let dir = dir();
    let path = path_in(&dir);
    drop(ledger_of(&path, &story()).await);
    let connection = Connection::open(&path).unwrap();
    for sql in [
        "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)",
        "UPDATE entries SET scope = 'other' WHERE seq = 3",
        "INSERT INTO entries (seq, at, scope, kind, body) VALUES (1000, '', '', '', '{}')",
    ] {
        let error = connection.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("the ledger is"), "{error}");
    }
    assert_eq!(load(&path).await.unwrap(), story());
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    let seconds = Timestamp::MIN.as_second() + 1..Timestamp::MAX.as_second();
    let time = |(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap();
    (seconds, 0..1_000_000_000_i32).prop_map(time)
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let text = any::<String>;
    let held = (text(), text(), any_time()).prop_map(|(build, detail, until)| Fact::Judged {
        build: BuildId::new(build),
        judgement: Judgement::Held { reason: HoldReason::Freeze, detail, until },
    });
    let quoted = (text(), text(), any_time(), any::<i64>()).prop_map(|(build, quote, ended, number)| {
        let mut diagnosis = records::anonymous(Site::DockerClient);
        diagnosis.evidence[0].quote = quote;
        Fact::Detected(Detected { build: BuildId::new(build), number: Some(number), ended: Some(ended), diagnosis })
    });
    let refused = (text(), text()).prop_map(|(id, detail)| Fact::Remediation {
        id: RemediationId::new(id),
        entry: Entry::RetryRefused { detail },
    });
    let cleared = text().prop_map(|project| cleared(&project));
    prop_oneof![held, quoted, refused, cleared]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_and_time_come_back_as_they_were(
        facts in proptest::collection::vec((any_time(), any::<String>(), any_fact()), 1..6),
        scope in any::<String>(),
    ) {
        let dir = dir_in_memory();
        let number = |(seq, (at, scope, fact))| Record { seq, at, scope, fact };
        let records: Vec<Record> = (1..).zip(facts).map(number).collect();
        block_on(async {
            let ledger = ledger_of(&path_in(&dir), &records).await;
            ledger.save_watch(&scope, &Watch::default()).await.unwrap();
            assert_eq!(ledger.watch(&scope).await.unwrap(), Some(Watch::default()));
            drop(ledger);
            assert_eq!(load(&path_in(&dir)).await.unwrap(), records);
        });
    }
}
