//! `unthrottled history`: everything that the ledger knows.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::output::{self, Cell, Format, Table, Tone};
use super::shared;
use crate::domain::build::ProjectName;
use crate::domain::history::{Fact, Record};
use crate::domain::plan::RemediationId;
use crate::domain::remediation::Entry;
use crate::edge::clock;
use crate::edge::ledger::Ledger;
use crate::reconcile::store;
use jiff::civil::Date;
use jiff::fmt::friendly::SpanParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, SpanRelativeTo, Timestamp};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;

/// Show everything that the ledger knows
///
/// Detections, decisions and every step of every remediation, oldest first. Reads the ledger and asks nothing of AWS;
/// works beside a running daemon.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled history
  unthrottled history --project web --since 24h
  unthrottled history --since 2026-11-20
  unthrottled history --since 2026-11-20T18:00:00Z --format json")]
pub struct Args {
    /// Only of this project
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Only from then on: a length of time before now, a date in UTC, or a moment
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A moment, as people say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// As long before now.
    Ago(SignedDuration),
    /// Then.
    At(Timestamp),
}

impl Since {
    /// The moment.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Since::Ago(duration) => now.saturating_sub(duration).unwrap_or(Timestamp::MIN),
            Since::At(at) => at,
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse() {
        return Ok(Since::At(at));
    }
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC);
    if let Ok(midnight) = text.parse().and_then(midnight) {
        return Ok(Since::At(midnight.timestamp()));
    }
    let duration =
        SpanParser::new().parse_span(text).and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    match duration {
        Ok(duration) => Ok(Since::Ago(duration.abs())),
        Err(_) => Err("write 24h, 7d, 2026-11-20 or 2026-11-20T18:00:00Z".to_string()),
    }
}

/// Records that are read at once: a ledger may be larger than the memory.
const PAGE: usize = 1_000;

/// Everything that the ledger knows.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let unavailable = |error: anyhow::Error| Failure::new(Exit::Unavailable, error);
    let ledger = Ledger::open_existing(&store(&settings.ledger)).await.map_err(|error| unavailable(error.into()))?;
    let mut wanted = Wanted { since: args.since.map(|since| since.at(clock::now())), ..Wanted::of(args.project) };
    let mut out = frame.out();
    let mut table = Table::new(["#", "TIME", "PROJECT", "WHAT HAPPENED"]);
    let mut seq = 0;
    while let Some(ledger) = &ledger {
        let page = ledger.page(seq, PAGE).await.map_err(|error| unavailable(error.into()))?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        for record in &page {
            let Some(project) = wanted.project(record) else { continue };
            match args.format {
                Format::Json => writeln!(out, "{}", serde_json::to_string(record)?)?,
                Format::Text => {
                    let time = output::time(record.at);
                    table.row([record.seq.to_string().into(), time.into(), project.into(), told(&record.fact)]);
                }
            }
        }
    }
    match args.format {
        Format::Json => (),
        Format::Text if table.is_empty() => {
            writeln!(out, "The ledger {} holds nothing of that.", store(&settings.ledger))?;
        }
        Format::Text => write!(out, "{}", table.render())?,
    }
    Ok(Exit::Done.into())
}

/// Which records are shown.
#[derive(Debug, Default)]
struct Wanted {
    name: Option<String>,
    since: Option<Timestamp>,
    /// The projects of remediations, which only their plans name.
    planned: BTreeMap<RemediationId, ProjectName>,
}

impl Wanted {
    fn of(name: Option<String>) -> Wanted {
        Wanted { name, ..Wanted::default() }
    }

    /// The project of a record that is to be shown. Has to be asked of each record, in order.
    fn project(&mut self, record: &Record) -> Option<String> {
        if let Fact::Remediation { id, entry: Entry::Planned(plan) } = &record.fact {
            self.planned.insert(id.clone(), plan.project.clone());
        }
        let project = match &record.fact {
            Fact::Remediation { id, .. } | Fact::PasswordResetAdvised { id, .. } => self.planned.get(id).cloned(),
            _ => record.project(),
        };
        let project = project.map(|project| project.to_string());
        let is_of_project = self.name.is_none() || self.name == project;
        let is_recent = self.since.is_none_or(|since| record.at >= since);
        (is_of_project && is_recent).then(|| project.unwrap_or_default())
    }
}

/// A fact in a sentence.
pub fn told(fact: &Fact) -> Cell {
    let plain = |text: String| Cell::new(Tone::Plain, text);
    match fact {
        Fact::Detected(detected) => {
            let phase = detected.diagnosis.phase.as_ref().map_or("", |phase| phase.as_str());
            plain(format!("throttled in {phase}: {} ({})", shared::diagnosis(&detected.diagnosis), detected.build))
        }
        Fact::Undecided { build, reason } => {
            Cell::new(Tone::Warn, format!("could not be diagnosed, as {}: {build}", shared::undecided(*reason)))
        }
        Fact::Judged { judgement, .. } => shared::judgement(judgement),
        Fact::Remediation { id, entry } => shared::entry(entry).with(&format!(" ({id})")),
        Fact::PasswordResetAdvised { credential, .. } => {
            Cell::new(Tone::Warn, format!("resetting the password of credential {credential} was advised"))
        }
        Fact::CredentialRotated { credential } => {
            plain(format!("a new password was stored for credential {credential}"))
        }
        Fact::Cleared { .. } => plain("cleared by a person: it may be remediated again".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("24h", "2026-11-20T10:00:00Z")]
    #[case("2d 1h", "2026-11-19T09:00:00Z")]
    #[case("1h ago", "2026-11-21T09:00:00Z")]
    #[case("2026-11-20", "2026-11-20T00:00:00Z")]
    #[case("2026-11-20T18:00:00+01:00", "2026-11-20T17:00:00Z")]
    fn a_moment_can_be_said_in_several_ways(#[case] text: &str, #[case] at: &str) {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        assert_eq!(since(text).unwrap().at(now), at.parse().unwrap());
    }

    #[test]
    fn other_words_are_refused_with_examples() {
        let error = since("yesterday").unwrap_err();
        assert_eq!(error, "write 24h, 7d, 2026-11-20 or 2026-11-20T18:00:00Z");
    }
}
