//! Holds the invariants that the compiler does not.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::{Path, PathBuf};

/// The source files below a folder, with their production part: everything before the tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let production = text.split("#[cfg(test)]").next().unwrap_or_default().to_string();
                found.push((path, production));
            }
        }
    }
    assert!(!found.is_empty(), "no source below {folder}");
    found
}

/// Lines of code, without comments, that hold one of the words.
fn offences(folder: &str, words: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for (path, text) in sources(folder) {
        for (n, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| code.contains(**word)) {
                offences.push(format!("{}:{}: {word}", path.display(), n + 1));
            }
        }
    }
    offences
}

#[test]
fn the_domain_knows_nothing_of_the_outside() {
    let outside = [
        "async ",
        ".await",
        "tokio",
        "tracing",
        "aws_sdk",
        "aws_config",
        "aws_smithy",
        "figment",
        "rusqlite",
        "axum",
        "reqwest",
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant::",
        "Timestamp::now",
        "Zoned::now",
        "rand::",
        "Uuid",
        "crate::edge",
        "crate::reconcile",
        "crate::cli",
        "crate::simulator",
        "println!",
        "eprintln!",
    ];
    assert_eq!(offences("src/domain", &outside), Vec::<String>::new());
}

#[test]
fn edges_know_neither_the_loop_nor_the_commands_nor_the_simulator() {
    let inside = ["crate::reconcile", "crate::cli", "crate::simulator"];
    assert_eq!(offences("src/edge", &inside), Vec::<String>::new());
}

#[test]
fn the_loop_knows_no_sdk_type_and_no_simulator() {
    let others = ["aws_sdk", "aws_config", "aws_smithy", "crate::cli", "crate::simulator", "rusqlite", "figment"];
    assert_eq!(offences("src/reconcile", &others), Vec::<String>::new());
}

#[test]
fn only_one_file_reads_the_clock() {
    let readers: Vec<String> = offences("src", &["Timestamp::now(", "SystemTime::now(", "Instant::now("]);
    let elsewhere: Vec<&String> =
        readers.iter().filter(|at| !at.contains("edge/clock.rs") && !at.contains("simulator/clock.rs")).collect();
    assert_eq!(elsewhere, Vec::<&String>::new());
}

#[test]
fn nothing_but_the_commands_prints() {
    let printing = ["println!(", "eprintln!(", "print!(", "eprint!(", "dbg!("];
    for folder in ["src/domain", "src/edge", "src/reconcile", "src/simulator"] {
        assert_eq!(offences(folder, &printing), Vec::<String>::new());
    }
}

#[test]
fn every_file_says_in_its_first_line_what_it_answers() {
    let silent: Vec<PathBuf> =
        sources("src").into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

#[test]
fn no_lint_is_allowed_without_a_reason() {
    let allowed = offences("src", &["#[allow", "#![allow"]);
    assert_eq!(allowed, Vec::<String>::new());
}

/// The last column of its tables names tests. One that was renamed or dropped shows nothing any more.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let shown = model.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2);
    let named: Vec<&str> = shown
        .filter_map(|line| line.trim_end_matches(" |").rsplit_once(" | "))
        .flat_map(|(_, last)| last.split('`').skip(1).step_by(2))
        .filter(|name| name.len() > 20 && name.contains('_'))
        .collect();
    assert!(named.len() > 40, "{named:?}");
    let mut code = String::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let missing: Vec<&str> = named.into_iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert_eq!(missing, Vec::<&str>::new(), "docs/threat-model.md names tests that there are not");
}
