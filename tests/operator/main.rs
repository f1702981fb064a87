//! What an operator has in hand: metrics, alarms, dashboard, saved queries and the runbook, each held against the program.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../support/records.rs"]
mod records;
#[path = "../support/mod.rs"]
mod support;

mod insights;
mod metrics;
mod monitoring;
mod process;
mod queries;
mod runbook;

use std::fs;
use std::path::PathBuf;

/// A file of the project.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Its text.
fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
