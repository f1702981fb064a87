//! A ledger whose file is cut, half-written, of another program, of another version or lacks records.

use super::*;

/// A ledger of small pages, so that a short file has many.
async fn small_ledger(path: &Path, records: &[Record]) {
    drop(ledger_of(path, records).await);
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA page_size = 512; VACUUM").unwrap();
}

async fn look(path: &Path) -> Result<Vec<Record>, LedgerError> {
    let ledger = Ledger::open_existing(path).await?;
    ledger.expect("there is a file").load().await
}

#[tokio::test]
async fn a_file_cut_at_any_byte_is_refused() {
    let dir = dir_in_memory();
    let path = path_in(&dir);
    let records = records::records(records::cured());
    small_ledger(&path, &records).await;
    let whole = fs::read(&path).unwrap();
    assert_eq!(load(&path).await.unwrap(), records);
    let file = fs::File::options().write(true).open(&path).unwrap();
    for length in (0..whole.len() as u64).rev() {
        file.set_len(length).unwrap();
        let refused = load(&path).await;
        let error = refused.expect_err("a part was taken for the whole");
        assert!(error.to_string().contains("unthrottled.ledger"), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), length, "{error}");
    }
}

/// The file and the journal as a process leaves them that is killed in the middle of a commit.
async fn killed_while_committing(path: &Path, records: &[Record], next: &Record) -> (Vec<u8>, Vec<u8>) {
    small_ledger(path, records).await;
    let before = fs::read(path).unwrap();
    let connection = Connection::open(path).unwrap();
    // With a cache of one page, pages go to the file before the commit, in the way a commit itself writes them.
    connection.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN IMMEDIATE").unwrap();
    connection
        .execute(
            "INSERT INTO entries VALUES (?1, ?2, ?3, 'planned', NULL, NULL, NULL, ?4)",
            (next.seq, next.at.to_string(), &next.scope, serde_json::to_string(&next.fact).unwrap()),
        )
        .unwrap();
    connection.execute("UPDATE meta SET value = value || '0'", []).unwrap();
    let file = fs::read(path).unwrap();
    let journal = fs::read(beside(path, "-journal")).unwrap();
    assert_ne!(file, before, "the kill came before anything was written");
    (file, journal)
}

/// Three short records, and one that takes several pages.
fn few_and_a_long_one() -> (Vec<Record>, Record) {
    let short = |name: &str| (at("09:00:00"), cleared(name));
    let mut facts = vec![short("a"), short("b"), short("c")];
    facts.extend(records::cured().into_iter().nth(1));
    let mut records = records::records(facts);
    let long = records.pop().unwrap();
    (records, long)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[tokio::test]
async fn a_commit_that_a_kill_cut_short_is_as_if_it_had_not_been() {
    let dir = dir();
    let (records, next) = few_and_a_long_one();
    let (file, journal) = killed_while_committing(&path_in(&dir), &records, &next).await;
    let path = dir.path().join("left");
    fs::write(&path, &file).unwrap();
    fs::write(beside(&path, "-journal"), &journal).unwrap();
    assert_eq!(look(&path).await.unwrap(), records);
}

/// What was acknowledged is there, or nothing is; the record under way may be there, as its place in the order is right.
#[tokio::test]
async fn a_journal_or_its_file_cut_at_any_byte_loses_nothing_silently() {
    let dir = dir_in_memory();
    let (records, next) = few_and_a_long_one();
    let all = [records.as_slice(), std::slice::from_ref(&next)].concat();
    let (file, journal) = killed_while_committing(&path_in(&dir), &records, &next).await;
    let path = dir.path().join("left");
    let cut_journals = (0..journal.len()).map(|length| (&file[..], &journal[..length]));
    let cut_files = (0..file.len()).map(|length| (&file[..length], &journal[..]));
    for (file, journal) in cut_journals.chain(cut_files) {
        fs::write(&path, file).unwrap();
        fs::write(beside(&path, "-journal"), journal).unwrap();
        if let Ok(loaded) = look(&path).await {
            let (file, journal) = (file.len(), journal.len());
            assert!(loaded == records || loaded == all, "file cut at {file}, journal at {journal}");
        }
    }
}

#[tokio::test]
async fn what_is_no_ledger_is_refused_and_left_as_it_is() {
    let dir = dir();
    let text = dir.path().join("notes.txt");
    fs::write(&text, "not a ledger, and longer than SQLite's header of 100 bytes. ".repeat(9)).unwrap();
    let foreign = dir.path().join("other.sqlite");
    let connection = Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(connection);
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let refusals = [
        (&text, "is no ledger: it is no SQLite file"),
        (&foreign, "is no ledger: it is another program's SQLite file"),
        (&empty, "is an empty file and no ledger"),
    ];
    for (path, says) in refusals {
        let before = fs::read(path).unwrap();
        for refused in [load(path).await, look(path).await] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        assert_eq!(fs::read(path).unwrap(), before);
    }
    let error = load(dir.path()).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotAFile { .. }), "{error}");
    let error = load(&dir.path().join("gone").join("l")).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("No such file or directory"), "{error}");
}

#[tokio::test]
async fn a_newer_layout_is_refused() {
    let dir = dir();
    let path = path_in(&dir);
    drop(ledger_of(&path, &story()).await);
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    let error = look(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Newer { found: 2, known: 1, .. }));
    assert!(error.to_string().contains("use the version that wrote it"), "{error}");
}

#[tokio::test]
async fn a_fact_of_a_newer_version_is_refused_and_not_skipped() {
    let dir = dir();
    let path = path_in(&dir);
    let ledger = ledger_of(&path, &records::records(records::cured())).await;
    let connection = Connection::open(&path).unwrap();
    let sql = r#"INSERT INTO entries VALUES (9, '2026-01-05T10:04:00Z', 'prod-eu', 'paused', NULL, NULL, NULL, '{"paused":{}}')"#;
    connection.execute(sql, []).unwrap();
    for refused in [ledger.load().await, ledger.since(8).await] {
        let error = refused.unwrap_err();
        assert!(matches!(&error, LedgerError::UnknownFact { seq: 9, kind, .. } if kind == "paused"));
        let text = error.to_string();
        assert!(text.contains("unknown variant `paused`"), "{text}");
        assert!(text.contains("use the version that wrote it"), "{text}");
    }
}

#[tokio::test]
async fn a_ledger_that_lacks_a_record_is_refused() {
    let dir = dir();
    let path = path_in(&dir);
    let ledger = ledger_of(&path, &story()).await;
    let gone = ledger.since(story().len() as u64 + 1).await.unwrap_err();
    let last = story().len();
    let words = format!("it ends at record {last}, and record {} was in it before", last + 1);
    assert!(gone.to_string().contains(&words), "{gone}");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DROP TRIGGER entries_are_not_deleted; DELETE FROM entries WHERE seq = 3").unwrap();
    let error = ledger.load().await.unwrap_err();
    assert!(error.to_string().contains("record 3 is missing"), "{error}");
    assert_eq!(ledger.since(3).await.unwrap(), story()[3..]);
}
