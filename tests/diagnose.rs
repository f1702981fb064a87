//! What `unthrottled diagnose` says of inputs that are no ordinary log.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use wait4::Wait4 as _;

const REFUSED: &[u8] =
    b"Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit. \
    https://www.docker.com/increase-rate-limit";

/// How it ended, what it printed, what it said, and the most memory that it held.
fn diagnose(arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String, u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fs::write(&file, input).unwrap();
    diagnose_file(arguments, &file)
}

fn diagnose_file(arguments: &[&str], file: &Path) -> (Option<i32>, String, String, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottled"));
    command.env_clear().arg("diagnose").args(arguments).stdin(File::open(file).unwrap());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut errors) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let end = child.wait4().unwrap();
    (end.status.code(), out, errors, end.rusage.maxrss)
}

/// What is said of an input that can't be diagnosed.
fn refused(arguments: &[&str], input: &[u8]) -> String {
    let (code, out, errors, _) = diagnose(arguments, input);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{errors}");
    errors
}

/// What is printed of an input that is one throttled log, and what is said beside it.
fn throttled(input: &[u8]) -> (serde_json::Value, String) {
    let (code, out, errors, _) = diagnose(&["--format", "json"], input);
    assert_eq!(code, Some(0), "{errors}");
    let result: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(result["diagnosis"], "hub_pull_limit", "{out}");
    let quote = result["evidence"][0]["text"].as_str().unwrap();
    assert!(!quote.chars().any(char::is_control), "{quote:?}");
    (result, errors)
}

#[test]
fn what_is_no_text_is_named() {
    assert!(refused(&[], b"").contains("standard input: is empty"));
    assert!(refused(&[], b"\x1f\x8b\x08\0\0\0\0\0").contains("is compressed with gzip; unpack it first"));
    assert!(refused(&[], b"BZh91AY&SY").contains("bzip2"));
    assert!(refused(&[], b"\xff\xfet\0o\0o\0").contains("is UTF-16 text; convert it first"));
    assert!(refused(&[], b"\xfe\xff\0t\0o\0o").contains("is UTF-16"));
    assert!(refused(&[], b"t\0o\0o\0m\0a\0").contains("is UTF-16"), "without a byte-order mark");
    assert!(refused(&["."], b"x").contains("is a directory, not a log"));
}

#[test]
fn json_of_another_shape_is_named() {
    for (json, word) in [
        (&b"{}"[..], "it has no `builds`"),
        (b"7", "it is no object"),
        (b"{\"builds\": 1}", "its `builds` is no list"),
        (b"{\"builds\": [{}]}", "build 1 of the answer is not as CodeBuild writes it: missing field `id`"),
        (b"toomanyrequests", "not JSON (a log is named without `--build`)"),
        (b"", "is empty"),
        (b"\x1f\x8b\x08", "gzip"),
    ] {
        let errors = refused(&["--build", "-"], json);
        assert!(errors.contains(word), "{errors}");
    }
    assert!(refused(&[], b"{\n  \"builds\": [\n    {}]}").contains("`unthrottled diagnose --build FILE`"));
}

#[test]
fn what_is_odd_in_a_text_is_noted_and_the_text_is_read() {
    let (_, note) = throttled(&[b"a\0b\n", REFUSED].concat());
    assert!(note.contains("standard input: note: holds zero bytes"), "{note}");
    let (_, note) = throttled(&[b"caf\xe9\n", REFUSED].concat());
    assert!(note.contains("note: is not all UTF-8"), "{note}");
    let (_, note) = throttled(&["\u{feff}café\n".as_bytes(), REFUSED].concat());
    assert_eq!(note, "", "UTF-8 with a byte-order mark is a text like any other");
}

#[test]
fn a_log_may_end_inside_an_escape() {
    for end in ["\x1b", "\x1b[", "\x1b[3", "\x1b]0;title", "\x1b]8;;https://x\x1b"] {
        let (result, note) = throttled(&[REFUSED, end.as_bytes()].concat());
        assert_eq!((result["evidence"][0]["line"].as_u64(), note.as_str()), (Some(1), ""), "{end:?}");
    }
}

#[test]
fn a_line_of_100_mib_is_not_held_in_memory() {
    const LONG: usize = 100 * 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    // Written in pieces: what this process held when it started the other one would count as the other's.
    let mut log = File::create(&file).unwrap();
    log.write_all(b"first\n").unwrap();
    (0..100).for_each(|_| log.write_all(&vec![b'x'; LONG / 100]).unwrap());
    log.write_all(&[b": ", REFUSED, b" and so on"].concat()).unwrap();
    let (code, out, errors, memory) = diagnose_file(&["--format", "json"], &file);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(out.contains("\"hub_pull_limit\"") && out.contains("\"line\":2") && out.len() < 1_000, "{out}");
    assert!(memory < LONG as u64 / 2, "{memory} bytes");
}
