//! What the daemon's memory of a ledger takes, day by day: `cargo run --example soak -- --days 30`.
//!
//! Each simulated minute some of the builds are throttled: half of them are remedied, proven and taken back again, the
//! others left alone. The ledger is a real file, and is opened anew at the end, as by a restart. Linux tells the memory.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use anyhow::Context as _;
use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use std::fs;
use unthrottled::domain::history::{Fact, Held};
use unthrottled::edge::ledger::Ledger;
use unthrottled::reconcile::{Book, Memory};

/// A ledger of each kind of fact, whose lines are made into others.
const FACTS: &str = include_str!("../src/domain/history/ledger.jsonl");

const SCOPE: &str = "soak";

const LOOKBACK: SignedDuration = SignedDuration::from_hours(2);

/// Fills a ledger with simulated days and prints what is held of it in memory.
#[derive(Parser)]
struct Args {
    /// How many days
    #[arg(long, default_value_t = 30)]
    days: i64,
    /// How many of a hundred builds a minute are throttled
    #[arg(long, default_value_t = 2)]
    throttled: u64,
    /// How many projects they are of
    #[arg(long, default_value_t = 200)]
    projects: u64,
}

/// Facts about a throttled build `web:41`, as the ledger has them: those of its remedy, or of its being left alone.
fn facts(is_remedied: bool) -> anyhow::Result<Vec<String>> {
    let lines: Vec<&str> = FACTS.lines().collect();
    let numbers: &[usize] = if is_remedied { &[0, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18] } else { &[0, 6] };
    let fact = |n: &usize| {
        let record: serde_json::Value = serde_json::from_str(lines.get(*n).context("a line")?)?;
        Ok(record["fact"].to_string().replace("api:7", "web:41"))
    };
    numbers.iter().map(fact).collect()
}

fn resident() -> anyhow::Result<String> {
    let status = fs::read_to_string("/proc/self/status").context("only Linux tells the memory of a process")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).context("no VmRSS")?;
    Ok(line.trim_start_matches("VmRSS:").trim().to_string())
}

fn print(day: &str, book: &Book) -> anyhow::Result<()> {
    let Held { remediations, pending, known, remembered } = book.history(SCOPE).held();
    let resident = resident()?;
    println!("{day}: {remediations} remediations, {pending} pending, {known} builds, {remembered} others; {resident}");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let path = folder.path().join("soak.ledger");
    let memory = Memory::Bounded { lookback: LOOKBACK };
    let mut book = Book::open(Some(Ledger::open(&path).await?), Vec::new(), memory).await?;
    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let ways = [facts(true)?, facts(false)?];
    let mut build = 0;
    for minute in 0..args.days * 24 * 60 {
        let now = start + SignedDuration::from_mins(minute);
        for _ in 0..args.throttled {
            build += 1;
            let project = format!("project-{}", build % args.projects);
            for fact in &ways[(build % 2) as usize] {
                let fact = fact.replace("web:41", &format!("{project}:{build:012}"));
                let fact = fact.replace("web-41", &format!("{project}-{build:012}"));
                let fact = fact.replace("\"project\":\"web\"", &format!("\"project\":\"{project}\""));
                book.record(SCOPE, serde_json::from_str::<Fact>(&fact)?, now).await?;
            }
        }
        book.forget_before(SCOPE, now - LOOKBACK);
        if (minute + 1) % (24 * 60) == 0 {
            print(&format!("day {}", (minute + 1) / (24 * 60)), &book)?;
        }
    }
    drop(book);
    let size = fs::metadata(&path)?.len() / 1024 / 1024;
    let book = Book::open(Some(Ledger::open(&path).await?), Vec::new(), memory).await?;
    print(&format!("opened anew, {size} MiB on the disk"), &book)
}
