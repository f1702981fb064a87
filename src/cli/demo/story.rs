//! What the demo prints: a timeline of the account and of the daemon, and a closing table.

use crate::cli::output::{self, Cell, Table, Tone, paint};
use crate::cli::shared;
use crate::domain::build::ProjectName;
use crate::domain::classify::Registry;
use crate::domain::history::History;
use crate::domain::policy::Remedy;
use crate::domain::remediation::{Outcome, Remediation, Stage};
use crate::edge::event::collect::Collector;
use crate::edge::event::{Event, Kind};
use crate::simulator::{BuildSummary, Simulator};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// What stands before the lines below an entry.
const INDENT: &str = "           ";

/// The characters of evidence that fit beside it on 80 columns.
const QUOTE: usize = 62;

/// The demo's teller.
pub struct Story<'a> {
    simulator: &'a Simulator,
    collector: Collector,
    projects: &'a [(&'a str, &'a str)],
    began: BTreeSet<String>,
    ended: BTreeSet<String>,
    /// What the daemon said of each project, for the closing table.
    said: BTreeMap<String, Vec<Event>>,
}

/// One line of the timeline.
struct Line {
    at: Timestamp,
    /// The daemon speaks after the account at the same instant.
    by_daemon: bool,
    project: String,
    text: String,
    below: Option<String>,
}

impl<'a> Story<'a> {
    /// A story about these projects.
    pub fn new(simulator: &'a Simulator, collector: Collector, projects: &'a [(&'a str, &'a str)]) -> Story<'a> {
        Story { simulator, collector, projects, began: BTreeSet::new(), ended: BTreeSet::new(), said: BTreeMap::new() }
    }

    /// Introduces the account.
    pub fn open(&self, out: &mut impl Write) -> anyhow::Result<()> {
        writeln!(out, "{}", paint(Tone::Strong, "A simulated AWS account whose builds pull from Docker Hub"))?;
        writeln!(
            out,
            "Docker Hub refuses every anonymous pull from now on. Ten projects, and what each is here to show:\n"
        )?;
        for (project, what) in self.projects {
            writeln!(out, "  {project:<14} {what}")?;
        }
        let daemon = paint(Tone::Strong, "unthrottled");
        writeln!(out, "\nThe timeline: what happens in the account, and, marked with ●, what {daemon} does about it.")?;
        writeln!(out, "Times are of the simulated clock.\n")?;
        Ok(())
    }

    /// Tells what has happened since the last time.
    pub fn tell(&mut self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut lines = self.builds();
        for event in self.collector.take() {
            if let Some(project) = &event.project_name {
                self.said.entry(project.to_string()).or_default().push(event.clone());
            }
            lines.extend(told(&event));
        }
        lines.sort_by_key(|line| (line.at, line.by_daemon));
        for line in lines {
            let mark = if line.by_daemon { paint(Tone::Strong, "●") } else { " ".to_string() };
            let time = line.at.strftime("%H:%M:%S").to_string();
            let text = self.with_numbers(&without_project(&line.text, &line.project));
            writeln!(out, "{} {mark} {:<13} {text}", paint(Tone::Dim, &time), line.project)?;
            if let Some(below) = line.below {
                for changed in output::diff(&below).lines() {
                    writeln!(out, "{INDENT}{changed}")?;
                }
            }
        }
        out.flush()?;
        Ok(())
    }

    /// Builds by their numbers, as the timeline names them, in place of their ids.
    fn with_numbers(&self, text: &str) -> String {
        let builds = self.projects.iter().flat_map(|(project, _)| self.simulator.builds_of(project));
        builds.fold(text.to_string(), |text, build| text.replace(&build.id, &format!("#{}", build.number)))
    }

    /// Builds that began or ended since the last time.
    fn builds(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (project, _) in self.projects {
            for build in self.simulator.builds_of(project) {
                if self.began.insert(build.id.clone()) {
                    let text = paint(Tone::Dim, format!("build #{} starts", build.number));
                    lines.push(Line::account(build.started, project, text));
                }
                if let Some(at) = build.ended
                    && build.complete
                    && self.ended.insert(build.id.clone())
                {
                    lines.push(Line::account(at, project, ended(&build)));
                }
            }
        }
        lines
    }

    /// The closing table. `Err` says what did not come out as the demo promises.
    pub fn close(
        &mut self,
        out: &mut impl Write,
        history: &History,
        before: &Value,
    ) -> anyhow::Result<Result<(), String>> {
        let after = self.simulator.snapshot();
        let restored = before["projects"]["legacy-batch"] == after["projects"]["legacy-batch"]
            && before["roles"]["legacy-build"] == after["roles"]["legacy-build"];
        // 80 columns and no more: what was diagnosed stands in the timeline.
        let mut table = Table::new(["PROJECT", "PHASE", "REMEDY AND OUTCOME", "SEC"]);
        table.right(3);
        let mut outcomes = BTreeMap::new();
        for (project, _) in self.projects {
            let row = self.row(project, history);
            outcomes.insert(*project, row.outcome.clone());
            let outcome = Cell::new(row.tone, row.remedy_and_outcome());
            table.row([(*project).into(), row.phase.into(), outcome, row.seconds.into()]);
        }
        writeln!(out, "\n{}", table.render())?;
        let word = if restored { paint(Tone::Good, "yes") } else { paint(Tone::Bad, "no") };
        writeln!(out, "legacy-batch and its role byte-identical to before: {word}")?;
        writeln!(out, "SEC: simulated seconds, from the throttled build's end to the outcome.")?;
        Ok(expected(&outcomes, restored))
    }

    fn row(&self, project: &str, history: &History) -> Row {
        let events = self.said.get(project).map(Vec::as_slice).unwrap_or_default();
        let find = |kind: Kind| events.iter().find(|event| event.event == kind);
        let Some(detected) = find(Kind::ThrottleDetected) else { return Row::ignored() };
        let name = ProjectName::new(project);
        let remediation = history.remediations().map(|(_, r)| r).find(|r| r.plan().project == name);
        let outcome_event = [
            Kind::RemediationVerified,
            Kind::RemediationRolledBack,
            Kind::RemediationProposed,
            Kind::RemedyUnavailable,
        ]
        .into_iter()
        .find_map(find);
        let (outcome, tone) = outcome(remediation, outcome_event);
        let ended = detected.timestamp.as_millisecond() - detected.duration_ms.unwrap_or_default();
        let seconds = outcome_event.map(|event| (event.timestamp.as_millisecond() - ended) / 1000);
        Row {
            phase: detected.phase.as_ref().map(ToString::to_string).unwrap_or_default(),
            registry: detected.registry.filter(|registry| *registry != Registry::DockerHub),
            remedy: remediation.map(|r| r.plan().remedy).or_else(|| outcome_event.and_then(|e| e.remedy)),
            outcome,
            tone,
            seconds: seconds.map(|s| s.to_string()).unwrap_or_default(),
        }
    }
}

/// One row of the closing table.
struct Row {
    phase: String,
    /// Whose limit it was, if not Docker Hub's.
    registry: Option<Registry>,
    remedy: Option<Remedy>,
    outcome: String,
    tone: Tone,
    seconds: String,
}

impl Row {
    fn ignored() -> Row {
        let (phase, outcome) = ("–".to_string(), "ignored: not throttled".to_string());
        Row { phase, registry: None, remedy: None, tone: Tone::Dim, outcome, seconds: String::new() }
    }

    fn remedy_and_outcome(&self) -> String {
        match (self.remedy, self.registry) {
            (Some(remedy), _) => format!("{remedy} {}", self.outcome),
            (None, Some(registry)) => format!("{} ({})", self.outcome, shared::registry(registry)),
            (None, None) => self.outcome.clone(),
        }
    }
}

impl Line {
    fn account(at: Timestamp, project: &str, text: String) -> Line {
        Line { at, by_daemon: false, project: project.to_string(), text, below: None }
    }
}

/// How a build ended, in a line.
fn ended(build: &BuildSummary) -> String {
    match &build.failed_phase {
        None => paint(Tone::Good, format!("build #{} succeeds", build.number)),
        Some(phase) => paint(Tone::Bad, format!("build #{} fails in {phase}", build.number)),
    }
}

/// An event of the daemon as a line; the quiet ones are left out.
fn told(event: &Event) -> Option<Line> {
    let shown = match event.event {
        Kind::TickCompleted | Kind::DaemonStarted | Kind::DaemonStopped => return None,
        Kind::RemediationVerified => paint(Tone::Good, &event.message),
        Kind::RollbackDecided | Kind::RemediationRolledBack | Kind::RemediationHeld => {
            paint(Tone::Warn, &event.message)
        }
        Kind::RemediationEscalated | Kind::CredentialUnusable => paint(Tone::Bad, &event.message),
        _ => event.message.clone(),
    };
    let below = match event.event {
        Kind::RemediationPlanned | Kind::RemediationProposed => event.changes.clone(),
        Kind::ThrottleDetected => event.evidence.as_deref().map(quoted),
        _ => None,
    };
    let project = event.project_name.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(Line { at: event.timestamp, by_daemon: true, project, text: shown, below })
}

/// The text without the project's name, which stands in a column of its own.
fn without_project(text: &str, project: &str) -> String {
    let text = text.replace(&format!(" cure project `{project}`"), " cure it");
    ["of", "in", "for", "from", "about"]
        .iter()
        .fold(text, |text, word| text.replace(&format!(" {word} project `{project}`"), ""))
}

/// The evidence on one line of a terminal: from the word that tells on.
fn quoted(evidence: &str) -> String {
    let telling = evidence.find("toomanyrequests").unwrap_or_default();
    let (before, rest) = evidence.split_at(telling);
    let cut: String = rest.chars().take(QUOTE).collect();
    let begins = if before.is_empty() { "" } else { "… " };
    let ends = if cut.len() < rest.len() { "…" } else { "" };
    format!("“{begins}{cut}{ends}”")
}

fn outcome(remediation: Option<&Remediation>, event: Option<&Event>) -> (String, Tone) {
    match (remediation.map(Remediation::stage), event) {
        (Some(Stage::Closed(Outcome::Verified)), _) => ("cured and verified".to_string(), Tone::Good),
        (Some(Stage::Closed(Outcome::RolledBack)), _) => ("made worse, taken back".to_string(), Tone::Warn),
        (Some(stage), _) => (stage.to_string(), Tone::Bad),
        (None, Some(event)) if event.event == Kind::RemediationProposed => {
            ("proposed, nothing changed".to_string(), Tone::Warn)
        }
        (None, Some(event)) => (format!("left alone: {}", event.reason.as_deref().unwrap_or_default()), Tone::Dim),
        (None, None) => ("nothing was decided".to_string(), Tone::Bad),
    }
}

/// Whether the story ended as it should.
fn expected(outcomes: &BTreeMap<&str, String>, restored: bool) -> Result<(), String> {
    let wanted = [
        ("shop-web", "cured and verified"),
        ("shop-api", "cured and verified"),
        ("pay-gateway", "cured and verified"),
        ("pay-ledger", "cured and verified"),
        ("vault-signer", "cured and verified"),
        ("legacy-batch", "made worse, taken back"),
        ("ml-train", "left alone: other_registry"),
        ("data-etl", "left alone: already_authenticated"),
        ("mobile-app", "proposed, nothing changed"),
        ("docs-site", "ignored: not throttled"),
    ];
    let odd: Vec<String> = wanted
        .iter()
        .filter(|(project, outcome)| outcomes.get(project).is_none_or(|there| there != outcome))
        .map(|(project, outcome)| format!("{project} should have ended as “{outcome}”"))
        .chain((!restored).then(|| "legacy-batch differs from before".to_string()))
        .collect();
    if odd.is_empty() { Ok(()) } else { Err(odd.join("; ")) }
}
