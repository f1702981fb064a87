//! Several processes at one ledger: one that is killed, one that may not write, one in a directory of its own.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use unthrottled::edge::ledger::lease::{LeaseError, take_lease};

/// Runs an ignored test of this file in a process of its own. Its only argument is the directory that it runs in.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments(test));
    command.current_dir(dir);
    command
}

fn arguments(test: &str) -> [String; 4] {
    let test = format!("processes::{test}");
    ["--ignored", "--exact", &test, "--nocapture"].map(String::from)
}

/// Whether this process is such a child, and not someone's `cargo test -- --ignored`.
fn is_child() -> bool {
    Path::new("this-is-a-child").exists()
}

#[test]
#[ignore = "a child of `no_acknowledged_record_is_lost_by_a_kill`"]
fn appends_until_it_is_killed() {
    if !is_child() {
        return;
    }
    let path = Path::new("unthrottled.ledger");
    let _lease = take_lease(path).unwrap();
    block_on(async {
        let ledger = Ledger::open(path).await.unwrap();
        let mut head = ledger.head().await.unwrap();
        loop {
            let fact = cleared(&format!("project-{}", head + 1));
            let record = ledger.append(head, at("10:00:00"), SCOPE, &fact).await;
            head = record.unwrap().seq;
            println!("\nacknowledged {head}");
            ledger.save_watch(SCOPE, &Watch::default()).await.unwrap();
        }
    });
}

#[tokio::test]
async fn no_acknowledged_record_is_lost_by_a_kill() {
    let dir = dir();
    let path = path_in(&dir);
    fs::write(dir.path().join("this-is-a-child"), "").unwrap();
    let mut acknowledged = 0;
    for round in 1..=15 {
        let mut child = child("appends_until_it_is_killed", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some(seq) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            acknowledged = seq.parse().unwrap();
            seen += 1;
            if seen == round {
                let pid = format!("pid {} on", child.id());
                let held = take_lease(&path).unwrap_err();
                assert!(matches!(&held, LeaseError::Held { holder, .. } if holder.starts_with(&pid)));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= round, "the child ended by itself");
        drop(take_lease(&path).unwrap());
        let records = load(&path).await.unwrap();
        assert!(records.len() as u64 >= acknowledged);
        for record in records {
            assert_eq!(record.fact, cleared(&format!("project-{}", record.seq)));
        }
    }
}

#[tokio::test]
async fn a_name_that_sqlite_would_take_for_memory_is_a_file() {
    let dir = dir();
    fs::write(dir.path().join("this-is-a-child"), "").unwrap();
    let output = child("appends_to_memory", dir.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let records = load(&dir.path().join(":memory:")).await.unwrap();
    assert_eq!(records[0].fact, cleared("web"));
}

#[tokio::test]
#[ignore = "a child of `a_name_that_sqlite_would_take_for_memory_is_a_file`"]
async fn appends_to_memory() {
    if !is_child() {
        return;
    }
    let ledger = Ledger::open(Path::new(":memory:")).await.unwrap();
    let fact = cleared("web");
    let appended = ledger.append(0, at("10:00:00"), SCOPE, &fact).await;
    appended.unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_or_directory_that_may_not_be_written_is_told() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let dir = dir();
    let path = path_in(&dir);
    block_on(async { drop(ledger_of(&path, &story()).await) });
    fs::copy(&path, dir.path().join("secret.ledger")).unwrap();
    fs::write(dir.path().join("this-is-a-child"), "").unwrap();
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    permit(&dir.path().join("secret.ledger"), 0o000);
    permit(&path, 0o444);
    permit(dir.path(), 0o555);
    let output = if fs::metadata(&path).unwrap().uid() == 0 {
        as_nobody("may_not_write", dir.path())
    } else {
        child("may_not_write", dir.path()).output().unwrap()
    };
    permit(dir.path(), 0o755);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Permissions don't hold for root, in a container for example. The binary's own place may not be open to others.
#[cfg(unix)]
fn as_nobody(test: &str, dir: &Path) -> Output {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = place.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    Command::new(binary).args(arguments(test)).current_dir(dir).uid(NOBODY).gid(NOBODY).output().unwrap()
}

#[tokio::test]
#[ignore = "a child of `a_file_or_directory_that_may_not_be_written_is_told`"]
async fn may_not_write() {
    if !is_child() {
        return;
    }
    let path = Path::new("unthrottled.ledger");
    let error = Ledger::open(path).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotWritable { .. }), "{error}");
    let error = Ledger::open(Path::new("new.ledger")).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotWritable { .. }), "{error}");
    let error = Ledger::open(Path::new("secret.ledger")).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotReadable { .. }), "{error}");
    let error = take_lease(path).unwrap_err();
    assert!(matches!(error, LeaseError::Failed { .. }), "{error}");

    let ledger = Ledger::open_existing(path).await.unwrap().unwrap();
    assert_eq!(ledger.load().await.unwrap(), story());
    let refused = ledger.append(story().len() as u64, at("14:00:00"), SCOPE, &cleared("web")).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, LedgerError::NotWritable { .. }), "{error}");
}
