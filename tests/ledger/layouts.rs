//! Ledgers of every layout that was ever written, which all still load.

use super::*;
use std::process::Command;
use unthrottled::domain::history::History;

const V1: &str = include_str!("v1.sql");

#[tokio::test]
async fn a_ledger_of_layout_1_still_loads() {
    let dir = dir();
    let path = path_in(&dir);
    Connection::open(&path).unwrap().execute_batch(V1).unwrap();
    let ledger = Ledger::open(&path).await.unwrap();
    assert_eq!(ledger.id(), "b7f6b0c2-54b1-4a43-9d5e-2f6a2b0d7c11");
    assert_eq!(ledger.emitted().await.unwrap(), 36);
    assert!(ledger.watch(SCOPE).await.unwrap().is_some());
    let records = ledger.load().await.unwrap();
    let history = History::replay(&records).unwrap();
    let ends: Vec<String> =
        history.remediations().map(|(id, remediation)| format!("{id}: {:?}", remediation.stage())).collect();
    assert_eq!(
        ends,
        [
            "api-000000070b7d: Closed(RolledBack)",
            "batch-000000010b7d: Closed(Escalated)",
            "ops-000000030b7d: RollingBack",
            "web-000000410b7d: Closed(Verified)",
        ]
    );
    assert_eq!(records.len(), 39);
}

/// What SQLite holds of the layout, in order.
fn layout(connection: &Connection) -> Vec<String> {
    let mut statement =
        connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_changed_layout_needs_a_new_number_and_a_fixture() {
    let dir = dir();
    let path = path_in(&dir);
    drop(Ledger::open(&path).await.unwrap());
    let old = Connection::open_in_memory().unwrap();
    old.execute_batch(V1).unwrap();
    assert_eq!(layout(&Connection::open(&path).unwrap()), layout(&old));
}

#[test]
#[ignore = "writes tests/ledger/new.sql, the fixture of a new layout; needs sqlite3"]
fn write_fixture() {
    let dir = dir();
    let path = path_in(&dir);
    block_on(async {
        let ledger = ledger_of(&path, &story()).await;
        ledger.save_watch(SCOPE, &Watch::default()).await.unwrap();
        ledger.set_emitted(36).await.unwrap();
    });
    let dump = Command::new("sqlite3").arg(&path).arg(".dump").output();
    let dump = String::from_utf8(dump.unwrap().stdout).unwrap();
    let connection = Connection::open(&path).unwrap();
    let header = ["application_id", "user_version"].map(|name| {
        let value: i64 = connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        format!("PRAGMA {name} = {value};\n")
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger/new.sql");
    fs::write(file, format!("{}{dump}", header.concat())).unwrap();
}
