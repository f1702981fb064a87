//! `unthrottled explain`: why the daemon acted on a build, or why not.

use super::exit::Exit;
use super::frame::Frame;
use super::output::{self, Format, Tone, paint};
use super::run::cannot_start;
use super::{shared, timeline};
use crate::domain::build::BuildId;
use crate::domain::classify::Site;
use crate::domain::course::Courses;
use crate::domain::detect::{self, Place};
use crate::domain::history::Record;
use crate::edge::clock;
use crate::edge::settings::Settings;
use crate::reconcile::{Access, Assessment, Daemon, Failure, as_configured};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

/// Tell why the daemon acted on a build, or why not
///
/// The evidence, what it means, the policy that the project falls under, the limits that held anything back, and what
/// became of it. For a build that the ledger does not know, reads the build and says what would be decided now.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled explain web:0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a
  unthrottled explain web:0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a --format json")]
pub struct Args {
    /// The build's ID or ARN
    #[arg(value_name = "BUILD_ID")]
    pub build: String,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Why the daemon acted on a build, or why not.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let id = BuildId::new(build_id(&args.build));
    let settings = frame.settings()?;
    let mut daemon = Daemon::open(settings, Access::Read, &as_configured).await.map_err(cannot_start)?;
    let progress = frame.progress("reading the build");
    let now = clock::now();
    let facts = daemon.book().facts_about(&id).await?;
    let (book, scopes) = daemon.parts();
    let mut live = None;
    let mut trouble = None;
    for scope in scopes {
        match scope.build(&id).await {
            Ok(Some(build)) => {
                match scope.assess(book, &build, now).await {
                    Ok(assessment) => (live, trouble) = (Some(assessment), None),
                    Err(failure) => trouble = Some(failure),
                }
                break;
            }
            Ok(None) => (),
            Err(failure) => trouble = Some(failure),
        }
    }
    drop(progress);
    let explained = Explained { id, facts, live, trouble, looked: shared::looked_at(&daemon) };
    match args.format {
        Format::Json => explained.print_json(&mut frame.out())?,
        Format::Text => explained.print_text(&mut frame.out(), settings)?,
    }
    if let Some(failure) = &explained.trouble {
        if let Some(next) = shared::what_next(failure) {
            let next = output::wrapped(next, "hint: ".len(), frame.err_width());
            writeln!(frame.err(), "\n{} {next}", paint(Tone::Good, "hint:"))?;
        }
        return Ok(Exit::Incomplete.into());
    }
    let nothing = explained.facts.is_empty() && explained.live.is_none();
    Ok(if nothing { Exit::Failed } else { Exit::Done }.into())
}

/// The id in what people paste: the id itself, or an ARN.
fn build_id(text: &str) -> &str {
    text.rsplit_once("build/").map_or(text, |(_, id)| id)
}

/// What is known about one build.
struct Explained {
    id: BuildId,
    facts: Vec<Record>,
    live: Option<Assessment>,
    trouble: Option<Failure>,
    /// Where it was looked for.
    looked: String,
}

impl Explained {
    fn print_json(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let live = self.live.as_ref();
        let line = json!({
            "build_id": self.id,
            "recorded": self.facts,
            "diagnosis": live.map(|assessment| &assessment.diagnosis),
            "policy": live.and_then(|assessment| assessment.policy.as_ref()),
            "plan": live.and_then(|assessment| assessment.plan.as_ref()),
            "now": live.map(shared::decision_plain),
            "not_read": self.trouble.as_ref().map(|failure| &failure.detail),
        });
        writeln!(out, "{line}")?;
        Ok(())
    }

    fn print_text(&self, out: &mut impl Write, settings: &Settings) -> anyhow::Result<()> {
        writeln!(out, "{}", paint(Tone::Strong, format!("Build {}", self.id)))?;
        self.print_build(out)?;
        writeln!(out, "\n{}", paint(Tone::Strong, "What was recorded"))?;
        if self.facts.is_empty() {
            let why = self.why_not(settings);
            let text = format!("nothing: the daemon has not dealt with this build{why}");
            writeln!(out, "  {}", output::sentence(text, 2))?;
        }
        if let Some(first) = self.facts.first() {
            let courses = Courses::of(&self.facts);
            let course = courses.of_record(first);
            let facts: Vec<&Record> = self.facts.iter().collect();
            let begin = course.and_then(|course| course.ended).unwrap_or(first.at);
            writeln!(out, "  from {}", output::time(begin))?;
            for line in timeline::table(course, &facts).indented().render().lines() {
                writeln!(out, "  {line}")?;
            }
        }
        if let Some(assessment) = &self.live {
            writeln!(out, "\n{}", paint(Tone::Strong, "What would be done now"))?;
            if assessment.diagnosis.is_throttled() {
                let policy = assessment.policy.as_deref().unwrap_or("none matches");
                writeln!(out, "  policy    {policy}; `daemon.mode` is `{}`", settings.daemon.mode.name())?;
            }
            writeln!(out, "  decision  {}", shared::decision(assessment).painted())?;
            if let Some(plan) = &assessment.plan {
                writeln!(out, "\n{}", shared::plan(plan))?;
            }
        }
        if let Some(trouble) = &self.trouble {
            let says = output::sentence(trouble.to_string(), "not read: ".len());
            writeln!(out, "\n{} {says}", paint(Tone::Warn, "not read:"))?;
        }
        Ok(())
    }

    fn print_build(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let Some(assessment) = &self.live else {
            let why = match &self.trouble {
                Some(_) => "could not be read".to_string(),
                None => format!("not known to CodeBuild in {}: an id is PROJECT:UUID", self.looked),
            };
            writeln!(out, "  {}", output::sentence(why, 2))?;
            return Ok(());
        };
        let (build, diagnosis) = (&assessment.build, &assessment.diagnosis);
        writeln!(out, "  project    {}", build.project)?;
        writeln!(out, "  image      {}", detect::redact(&build.environment.image))?;
        if let Some(phase) = &diagnosis.phase {
            writeln!(out, "  phase      {phase}")?;
        }
        writeln!(out, "  diagnosis  {}", shared::diagnosis(diagnosis))?;
        if let Some(reason) = diagnosis.reason {
            writeln!(out, "  undecided  {}", shared::undecided(reason))?;
        }
        for evidence in &diagnosis.evidence {
            let place = match &evidence.place {
                Place::Context(phase) => format!("context of {phase}"),
                Place::Log(line) => format!("log line {line}"),
            };
            let text = output::sentence(format!("{place}: {}", evidence.quote), 13);
            writeln!(out, "  evidence   {text}")?;
        }
        if let (Some(Site::DockerClient), Some(why)) = (diagnosis.site, diagnosis.weight.lacks()) {
            writeln!(out, "  doubt      {why}")?;
        }
        Ok(())
    }

    fn why_not(&self, settings: &Settings) -> String {
        match &self.live {
            None => String::new(),
            Some(a) if !a.build.complete => ", as it is not over".to_string(),
            Some(a) if !a.build.has_failed() => ", as it succeeded".to_string(),
            Some(a) if !a.diagnosis.is_throttled() => ", as it was not throttled".to_string(),
            Some(a) if !settings.policies.iter().any(|p| p.projects.is_match(a.build.project.as_str())) => {
                ", as no policy matches the project".to_string()
            }
            Some(_) => "; is it running, and was the build within its look-back?".to_string(),
        }
    }
}
