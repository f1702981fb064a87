//! `unthrottled survey`: who pulls from Docker Hub without a login, before it fails.

use super::exit::Exit;
use super::frame::Frame;
use super::output::{self, Cell, Format, Table, Tone, paint};
use super::run::cannot_start;
use super::shared;
use crate::domain::classify::Site;
use crate::domain::decide::{Decision, HoldReason, Judgement};
use crate::domain::policy::Remedy;
use crate::domain::survey::{self, Row, Standing, Way};
use crate::edge::clock;
use crate::reconcile::{Access, Daemon, as_configured};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

/// List the projects that pull from Docker Hub without a login, before they fail
///
/// Looks at the projects that the policies match: at the build image, and at the commands of an inline buildspec. A
/// `docker build` counts as a pull, as Dockerfiles are not read. What stands in a repository, in S3 or behind a script
/// can't be seen, and is said to be so. The busiest projects come first, by their builds in the look-back. Only reads:
/// each secret once, to see whether it holds a text for `DOCKER_AUTH_CONFIG`; roles are not looked at. Exits with 3 if a part could not be read.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled survey
  unthrottled survey --set daemon.lookback=24h      (count the builds of a day)
  unthrottled survey --all                          (also projects with a login, or without a pull)
  unthrottled survey --detailed-exitcode --format json
                                                    (exit 2: a pull without a login is seen)")]
pub struct Args {
    /// Also show projects that log in, and those that pull nothing
    #[arg(long)]
    pub all: bool,
    /// Exit with 2 if a pull without a login is seen
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Terminals narrower than this get a paragraph a project instead of a table.
const TABLE_WIDTH: u16 = 80;

/// Looks once.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let mut daemon = Daemon::open(settings, Access::Read, &as_configured).await.map_err(cannot_start)?;
    let progress = frame.progress("listing projects");
    let (mut rows, mut unread, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let (book, scopes) = daemon.parts();
    let several = scopes.len() > 1;
    for scope in scopes.iter_mut() {
        let name = scope.scope().to_string();
        let said = |n: usize, of: usize| progress.say(format!("{name}: {n} of {of} projects read"));
        match scope.survey_projects(book, clock::now(), said).await {
            Ok(surveyed) => rows.extend(surveyed.rows),
            Err(failure) => failed.push((name.clone(), failure)),
        }
        let prefix = if several { format!("scope `{name}`: ") } else { String::new() };
        unread.extend(scope.unread().iter().map(|(word, detail)| (word.clone(), format!("{prefix}{detail}"))));
    }
    drop(progress);
    if let [(name, failure), ..] = failed.as_slice()
        && failed.len() == scopes.len()
    {
        return Err(shared::unreadable(name, failure).into());
    }
    for (name, failure) in &failed {
        unread.push((failure.word().to_string(), shared::unreadable(name, failure).to_string()));
    }
    let report = Report { looked_at: rows.len(), several, lookback: settings.daemon.lookback };
    let found = rows.iter().any(Row::is_found);
    rows.retain(|row| args.all || row.is_open());
    survey::sort(&mut rows);
    let mut out = frame.out();
    match args.format {
        Format::Json => print_json(&mut out, &rows)?,
        Format::Text => write!(out, "{}", report.text(&rows, output::terminal_width()))?,
    }
    finish(frame, &unread, args.detailed_exitcode && found)
}

fn finish(frame: &Frame, unread: &[(String, String)], found: bool) -> anyhow::Result<ExitCode> {
    let mut err = frame.err();
    for (word, detail) in unread {
        writeln!(err, "{} {detail} ({word})", paint(Tone::Warn, "not read:"))?;
    }
    Ok(match (unread.is_empty(), found) {
        (false, _) => Exit::Incomplete,
        (true, true) => Exit::Pending,
        (true, false) => Exit::Done,
    }
    .into())
}

fn print_json(out: &mut impl Write, rows: &[Row]) -> anyhow::Result<()> {
    for row in rows {
        let line = json!({
            "project_name": row.project,
            "scope": row.scope,
            "builds": row.builds,
            "policy": row.policy,
            "ways": row.ways.iter().map(|(way, decision)| way_json(way, decision.as_ref())).collect::<Vec<_>>(),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn way_json(way: &Way, decision: Option<&Decision>) -> Value {
    let (word, remedy, reason, detail) = match decision {
        None => ("none", None, None, None),
        Some(Decision::Remediate(plan)) => ("remediate", Some(plan.remedy), None, None),
        Some(Decision::Judge(Judgement::Proposed { plan, .. })) => ("propose", Some(plan.remedy), None, None),
        Some(Decision::Judge(Judgement::Held { reason, detail, .. })) => {
            ("hold", None, Some(reason.word()), Some(detail.clone()))
        }
        Some(Decision::Judge(Judgement::Left { reason, detail })) => {
            ("leave", None, Some(reason.word()), Some(detail.clone()))
        }
        Some(Decision::Judge(Judgement::ForOwner { patch })) => {
            ("propose", Some(Remedy::ProposePatch), None, Some(patch.why.clone()))
        }
        Some(Decision::Judge(judgement @ Judgement::SetBack { plan, .. })) => {
            ("propose", Some(plan.remedy), Some(HoldReason::SetBack.word()), Some(judgement.to_string()))
        }
        Some(Decision::Judge(Judgement::Repeated { .. })) => ("propose", Some(Remedy::ProposePatch), None, None),
        Some(Decision::Judge(Judgement::Superseded { by })) => ("covered", None, None, Some(by.to_string())),
        Some(Decision::Judge(Judgement::Covered { by })) => ("covered", None, None, Some(by.to_string())),
    };
    json!({
        "site": way.site,
        "standing": way.standing,
        "evidence": way.evidence,
        "line": way.line,
        "decision": word,
        "remedy": remedy,
        "reason": reason,
        "detail": detail,
    })
}

/// What is said besides the rows.
struct Report {
    /// Projects that a policy matches and that were read.
    looked_at: usize,
    /// Whether rows need their scope's name.
    several: bool,
    lookback: SignedDuration,
}

impl Report {
    /// Rows and summary, for a terminal of this width or for a pipe.
    fn text(&self, rows: &[Row], width: Option<u16>) -> String {
        if self.looked_at == 0 {
            return "No policy matches a project: look at `projects` of the policies, and at the region.\n".to_string();
        }
        let rows_text = match width {
            _ if rows.is_empty() => String::new(),
            Some(width) if width < TABLE_WIDTH => self.paragraphs(rows, width.into()),
            width => self.table(rows, width),
        };
        let gap = if rows.is_empty() { "" } else { "\n" };
        let summary = wrapped(&self.summary(rows), "", "", width.map_or(usize::MAX, usize::from));
        format!("{rows_text}{gap}{summary}")
    }

    fn table(&self, rows: &[Row], width: Option<u16>) -> String {
        let mut table = Table::new(["PROJECT", "BUILDS", "PULLS BY", "EVIDENCE", "IF REFUSED"]);
        table.right(1);
        if let Some(width) = width {
            table.width(width);
        }
        for row in rows {
            let builds = row.builds.map_or_else(|| "?".to_string(), |count| count.to_string());
            let none = (Cell::new(Tone::Dim, "nothing seen"), String::new(), Cell::default());
            let cells = |(way, decision): &(Way, Option<Decision>)| (by(way), way.evidence.clone(), would(decision));
            let ways = if row.ways.is_empty() { vec![none] } else { row.ways.iter().map(cells).collect() };
            for (by, evidence, would) in ways {
                table.row([self.name(row).into(), builds.clone().into(), by, evidence.into(), would]);
            }
        }
        table.render()
    }

    /// A few lines a project, for terminals on which no table can be read.
    fn paragraphs(&self, rows: &[Row], width: usize) -> String {
        let mut text = String::new();
        for row in rows {
            let builds = match row.builds {
                None => "builds not counted".to_string(),
                Some(1) => "1 build".to_string(),
                Some(count) => format!("{count} builds"),
            };
            text.push_str(&format!("{}  {builds}\n", paint(Tone::Strong, self.name(row))));
            for (way, decision) in &row.ways {
                let by = by(way).text().to_string();
                text.push_str(&wrapped(&format!("{by}: {}", way.evidence), "  ", "    ", width));
                if let Some(decision) = decision {
                    text.push_str(&wrapped(&format!("if refused: {}", words(decision)), "    ", "      ", width));
                }
            }
        }
        text
    }

    fn name(&self, row: &Row) -> String {
        if self.several { format!("{}/{}", row.scope, row.project) } else { row.project.to_string() }
    }

    fn summary(&self, rows: &[Row]) -> String {
        let best = |row: &Row| row.ways.iter().map(|(way, _)| way.standing).min();
        let count = |standing| rows.iter().filter(|row| best(row) == Some(standing)).count();
        let (seen, perhaps, hidden) =
            (count(Standing::Anonymous), count(Standing::Perhaps), count(Standing::NotReadable));
        let looked_at = self.looked_at;
        if seen + perhaps + hidden == 0 {
            return format!(
                "None of {looked_at} projects pulls from Docker Hub without a login, as far as can be seen."
            );
        }
        let lookback = output::duration(self.lookback);
        let pull = if seen == 1 { "pulls" } else { "pull" };
        format!(
            "{seen} of {looked_at} projects {pull} from Docker Hub without a login; {perhaps} more may, {hidden} can't be \
             read. BUILDS are of the last {lookback}."
        )
    }
}

/// Who pulls, and how sure that is.
fn by(way: &Way) -> Cell {
    let who = match way.site {
        Site::BuildImage => "build image",
        Site::DockerClient => "commands",
    };
    match way.standing {
        Standing::Anonymous => Cell::new(Tone::Warn, who),
        Standing::Perhaps => Cell::new(Tone::Plain, format!("perhaps {who}")),
        Standing::NotReadable => Cell::new(Tone::Dim, "not readable"),
        Standing::LoggedIn => Cell::new(Tone::Good, format!("{who}, logged in")),
    }
}

fn would(decision: &Option<Decision>) -> Cell {
    let Some(decision) = decision else { return Cell::default() };
    let tone = match decision {
        Decision::Remediate(_) => Tone::Good,
        Decision::Judge(Judgement::Proposed { .. }) => Tone::Warn,
        Decision::Judge(_) => Tone::Plain,
    };
    Cell::new(tone, words(decision))
}

/// What would be done, in a few words; JSON has the reason at length.
fn words(decision: &Decision) -> String {
    match decision {
        Decision::Remediate(plan) => plan.remedy.to_string(),
        Decision::Judge(Judgement::Proposed { plan, .. }) => format!("{}, proposed", plan.remedy),
        Decision::Judge(Judgement::Held { reason, .. }) => format!("held ({})", reason.word()),
        Decision::Judge(Judgement::Left { reason, .. }) => format!("nothing ({})", reason.word()),
        Decision::Judge(Judgement::ForOwner { .. } | Judgement::Repeated { .. } | Judgement::SetBack { .. }) => {
            "patch for the owner".to_string()
        }
        Decision::Judge(Judgement::Covered { .. } | Judgement::Superseded { .. }) => "cure under way".to_string(),
    }
}

/// The text in lines no longer than the width, unless a word is; what begins the first line, and the others.
fn wrapped(text: &str, first: &str, others: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = first.to_string();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let blank = usize::from(!is_empty);
        if !is_empty && line.chars().count() + blank + word.chars().count() > width {
            lines.push_str(&line);
            lines.push('\n');
            line = others.to_string();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    format!("{lines}{line}\n")
}

#[cfg(test)]
mod tests;
