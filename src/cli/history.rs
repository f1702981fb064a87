//! `unthrottled history`: everything that the ledger knows.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::output::{self, Cell, Format, Table, Tone, paint};
use super::{shared, timeline};
use crate::domain::build::BuildId;
use crate::domain::course::{Course, Courses, Standing};
use crate::domain::history::{Fact, Record};
use crate::edge::clock;
use crate::edge::ledger::Ledger;
use crate::reconcile::store;
use clap::builder::PossibleValuesParser;
use jiff::civil::Date;
use jiff::fmt::friendly::SpanParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, SpanRelativeTo, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::ExitCode;

/// Show everything that the ledger knows
///
/// Detections, decisions and every step of every remediation, oldest first, and what they come to. With the ID of a
/// remediation or a throttled build, its course as a line through time. Reads the ledger and asks nothing of AWS; works
/// beside a running daemon.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled history
  unthrottled history --project web --since 24h
  unthrottled history --outcome escalated --totals
  unthrottled history --policy services --since 2026-11-20
  unthrottled history web-000000410b7d
  unthrottled history --since 2026-11-20T18:00:00Z --format json")]
pub struct Args {
    /// The course of this remediation or throttled build alone
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Only of this project
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Only from then on: a length of time before now, a date in UTC, or a moment
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// Only until then
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub until: Option<Since>,
    /// Only of throttled builds that ended so, or stand so now
    #[arg(long, value_name = "OUTCOME", value_parser = outcomes())]
    pub outcome: Option<String>,
    /// Only of what was planned or proposed under this policy
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// Only with this remedy
    #[arg(long, value_name = "NAME")]
    pub remedy: Option<String>,
    /// Only in this scope
    #[arg(long, value_name = "NAME")]
    pub scope: Option<String>,
    /// Only what it all comes to
    #[arg(long)]
    pub totals: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

fn outcomes() -> PossibleValuesParser {
    PossibleValuesParser::new(Standing::ALL.iter().map(|standing| standing.word()))
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
///
/// The ledger is read twice, a page at a time: what becomes of a build stands at its end.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let ledger = Ledger::open_existing(&store(&settings.ledger)).await.map_err(unavailable)?;
    let mut courses = Courses::default();
    each(ledger.as_ref(), |record| {
        courses.add(&record);
        Ok(())
    })
    .await?;
    let now = clock::now();
    let mut out = frame.out();
    let mut numbers = BTreeSet::new();
    let mut table = head();
    let mut of_one = Vec::new();
    let mut seen = 0_usize;
    each(ledger.as_ref(), |record| {
        if !args.wants(&record, &courses, now) {
            return Ok(());
        }
        seen += 1;
        numbers.extend(courses.number(&record));
        match (args.format, &args.id) {
            _ if args.totals => (),
            (Format::Json, _) => writeln!(out, "{}", serde_json::to_string(&record)?)?,
            (Format::Text, Some(_)) => of_one.push(record),
            (Format::Text, None) => row(&mut table, &courses, &record),
        }
        Ok(())
    })
    .await?;
    let totals = Totals::of(&courses, &numbers);
    match args.format {
        Format::Json if args.totals => writeln!(out, "{}", totals.json())?,
        Format::Json => (),
        Format::Text if seen == 0 => {
            writeln!(out, "The ledger {} holds nothing of that.", store(&settings.ledger))?;
        }
        Format::Text if args.totals => write!(out, "{}", totals.text())?,
        Format::Text if args.id.is_some() => print_course(&mut out, &courses, &of_one)?,
        Format::Text => write!(out, "{}\n{}", table.render(), totals.text())?,
    }
    // Asked for by name, it has to be there.
    let missing = args.id.is_some() && seen == 0;
    Ok(if missing { Exit::Failed } else { Exit::Done }.into())
}

fn unavailable(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Exit::Unavailable, error.into())
}

/// Takes each record of the ledger, in order.
async fn each(ledger: Option<&Ledger>, mut take: impl FnMut(Record) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut seq = 0;
    while let Some(ledger) = ledger {
        let page = ledger.page(seq, PAGE).await.map_err(unavailable)?;
        let Some(last) = page.last() else { break };
        seq = last.seq;
        page.into_iter().try_for_each(&mut take)?;
    }
    Ok(())
}

impl Args {
    fn wants(&self, record: &Record, courses: &Courses, now: Timestamp) -> bool {
        let course = courses.of_record(record);
        let project = course.map(|course| course.project.clone()).or_else(|| record.project());
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| found == Some(w));
        let named = |id: &String| {
            course.is_some_and(|course| {
                let build = BuildId::new(id.rsplit_once("build/").map_or(id.as_str(), |(_, id)| id));
                course.build == build || course.remediation().as_str() == id
            })
        };
        self.id.as_ref().is_none_or(named)
            && is(&self.project, project.as_ref().map(|project| project.as_str()))
            && is(&self.scope, Some(&record.scope))
            && is(&self.outcome, course.map(|course| course.standing.word()))
            && is(&self.policy, course.and_then(|course| course.policy.as_deref()))
            && is(&self.remedy, course.and_then(|course| course.remedy).map(|remedy| remedy.name()))
            && self.since.is_none_or(|since| record.at >= since.at(now))
            && self.until.is_none_or(|until| record.at < until.at(now))
    }
}

fn head() -> Table {
    Table::new(["#", "TIME", "PROJECT", "WHAT HAPPENED"])
}

fn row(table: &mut Table, courses: &Courses, record: &Record) {
    let project = courses.of_record(record).map(|course| course.project.clone()).or_else(|| record.project());
    let project = project.map(|project| project.to_string()).unwrap_or_default();
    table.row([record.seq.to_string().into(), output::time(record.at).into(), project.into(), told(&record.fact)]);
}

/// One course: what it is about, and its line through time.
fn print_course(out: &mut impl Write, courses: &Courses, records: &[Record]) -> anyhow::Result<()> {
    let Some(course) = records.first().and_then(|record| courses.of_record(record)) else { return Ok(()) };
    writeln!(out, "{}", paint(Tone::Strong, format!("{}: {}", course.project, course.standing.told())))?;
    writeln!(out, "  build        {}", course.build)?;
    if let Some(remedy) = course.remedy {
        writeln!(out, "  remedy       {remedy}")?;
    }
    if let Some(policy) = &course.policy {
        writeln!(out, "  policy       {policy}")?;
    }
    if course.applied.is_some() {
        writeln!(out, "  remediation  {}", course.remediation())?;
    }
    if let Some(ended) = course.ended {
        writeln!(out, "  ended        {}", output::time(ended))?;
    }
    write!(out, "\n{}", timeline::table(Some(course), &records.iter().collect::<Vec<_>>()).render())?;
    Ok(())
}

/// What the records come to.
struct Totals {
    builds: usize,
    projects: usize,
    standing: BTreeMap<Standing, usize>,
    /// From a build's end to its remedy being in place, shortest first.
    took: Vec<SignedDuration>,
}

impl Totals {
    /// Of the courses with these numbers.
    fn of(courses: &Courses, numbers: &BTreeSet<usize>) -> Totals {
        let of: Vec<&Course> = numbers.iter().filter_map(|number| courses.all().get(*number)).collect();
        let mut standing = BTreeMap::new();
        for course in &of {
            *standing.entry(course.standing).or_insert(0) += 1;
        }
        let projects: BTreeSet<_> = of.iter().map(|course| &course.project).collect();
        let mut took: Vec<SignedDuration> = of.iter().filter_map(|course| course.took()).collect();
        took.sort();
        Totals { builds: of.len(), projects: projects.len(), standing, took }
    }

    fn median(&self) -> Option<SignedDuration> {
        self.took.get(self.took.len().saturating_sub(1) / 2).copied()
    }

    fn text(&self) -> String {
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let standing = self.standing.iter().map(|(standing, n)| format!("{n} {}", standing.told()));
        let standing: Vec<String> = standing.collect();
        let mut text = format!("{} of {}", plural(self.builds, "throttled build"), plural(self.projects, "project"));
        if !standing.is_empty() {
            text.push_str(&format!(": {}", standing.join(", ")));
        }
        text.push('\n');
        if let (Some(median), Some(longest)) = (self.median(), self.took.last()) {
            let (median, longest) = (output::duration(median), output::duration(*longest));
            text.push_str(&format!(
                "From the build's end to its remedy in place: median {median}, longest {longest}\n"
            ));
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let standing: BTreeMap<&str, usize> = self.standing.iter().map(|(standing, n)| (standing.word(), *n)).collect();
        let seconds = |took: SignedDuration| took.as_millis_f64() / 1_000.0;
        serde_json::json!({
            "builds": self.builds,
            "projects": self.projects,
            "outcomes": standing,
            "applied_seconds": { "median": self.median().map(seconds), "longest": self.took.last().copied().map(seconds) },
        })
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
        Fact::CredentialQuotaLow { credential, detail, .. } => {
            Cell::new(Tone::Warn, format!("the account of credential {credential} has few pulls left: {detail}"))
        }
        Fact::QuotaRestored { credential } => {
            plain(format!("the account of credential {credential} has enough pulls left again"))
        }
        Fact::Cleared { .. } => plain("cleared by a person: it may be remediated again".to_string()),
    }
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
