//! `unthrottled plan`: what would be changed.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::output::{Tone, paint};
use super::run::cannot_start;
use super::shared;
use crate::domain::build::{BuildId, ProjectName};
use crate::domain::decide::{Decision, Judgement};
use crate::domain::history::Detected;
use crate::domain::plan::Plan;
use crate::edge::clock;
use crate::reconcile::{self, Access, Assessment, Book, Daemon, Reconciler, as_configured};
use anyhow::Context as _;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what would be changed, as a diff or as data, and save it
///
/// Plans the remedy of the newest throttled build of each project, unless the mode is `observe`, and changes nothing.
/// What a limit or a freeze holds back for now is planned as well, and said. A saved plan can be reviewed and then
/// carried out with `apply`, which refuses it if anything it names has changed since.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled plan
  unthrottled plan --project web
  unthrottled plan --build web:0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a --out web.plan.json
  unthrottled plan --as json | jq '.plans[].plan.changes'")]
pub struct Args {
    /// Only for this project
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Only for this build, however old it is
    #[arg(long, value_name = "ID")]
    pub build: Option<String>,
    /// Save the plan for `apply`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// As a diff, or as data
    #[arg(long = "as", alias = "format", value_enum, default_value_t, value_name = "FORM")]
    pub form: Form,
    /// Exit with 2 if there is anything to change
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// The form of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A diff that a person reads.
    #[default]
    Text,
    /// The plan as data.
    Json,
}

/// A plan in a file, for `apply`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedPlans {
    /// The format: 1.
    pub schema: u32,
    /// When it was made.
    #[schemars(with = "String")]
    pub made: Timestamp,
    /// Each plan with the scope and the throttled build it is for.
    pub plans: Vec<SavedPlan>,
}

/// One plan in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// The scope.
    pub scope: String,
    /// The throttled build.
    pub detected: Detected,
    /// What shall be changed.
    pub plan: Plan,
}

/// Shows what would be done.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let mut daemon = Daemon::open(settings, Access::Read, &as_configured).await.map_err(cannot_start)?;
    let progress = frame.progress("reading builds");
    let now = clock::now();
    let mut found: Vec<(String, Assessment)> = Vec::new();
    let mut unread = Vec::new();
    let (book, scopes) = daemon.parts();
    for scope in scopes {
        let name = scope.scope().to_string();
        let assessed = assess(scope, book, &args, now).await.map_err(|failure| shared::unreadable(&name, &failure))?;
        found.extend(assessed.into_iter().map(|assessment| (name.clone(), assessment)));
        unread.extend(scope.unread().to_vec());
    }
    drop(progress);
    if let (Some(build), true) = (&args.build, found.is_empty()) {
        let error = anyhow::anyhow!("CodeBuild knows no build `{build}`");
        return Err(Failure::new(Exit::Failed, error)
            .hint("a build's id is PROJECT:UUID, as `scan --format json` and CodeBuild's console show it")
            .into());
    }
    let saved = SavedPlans { schema: 1, made: now, plans: found.iter().filter_map(save).collect() };
    if let Some(file) = &args.out {
        let text = serde_json::to_string_pretty(&saved)?;
        std::fs::write(file, text + "\n")
            .with_context(|| format!("the plan could not be written to {}", file.display()))?;
    }
    let mut out = frame.out();
    match args.form {
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&saved)?)?,
        Form::Text => print(&mut out, &found, &args)?,
    }
    for (word, detail) in &unread {
        writeln!(frame.err(), "{} {detail} ({word})", paint(Tone::Warn, "not read:"))?;
    }
    Ok(if !unread.is_empty() {
        Exit::Incomplete
    } else if args.detailed_exitcode && !saved.plans.is_empty() {
        Exit::Pending
    } else {
        Exit::Done
    }
    .into())
}

/// One build, one project's newest throttled build, or all of the look-back, of each project the newest.
async fn assess(
    scope: &mut Reconciler,
    book: &Book,
    args: &Args,
    now: Timestamp,
) -> Result<Vec<Assessment>, reconcile::Failure> {
    if let Some(id) = &args.build {
        let Some(build) = scope.build(&BuildId::new(id)).await? else { return Ok(Vec::new()) };
        return Ok(vec![scope.assess(book, &build, now).await?]);
    }
    if let Some(project) = &args.project {
        let failed = match scope.failed_builds_of(&ProjectName::new(project)).await {
            Err(failure) if failure.kind == reconcile::Kind::Gone => return Ok(Vec::new()),
            other => other?,
        };
        for build in failed {
            let assessment = scope.assess(book, &build, now).await?;
            if assessment.diagnosis.is_throttled() {
                return Ok(vec![assessment]);
            }
        }
        return Ok(Vec::new());
    }
    let mut newest = BTreeMap::new();
    for assessment in scope.survey(book, now, |_, _| ()).await? {
        if assessment.diagnosis.is_throttled() {
            newest.insert((assessment.build.project.clone(), assessment.diagnosis.site), assessment);
        }
    }
    Ok(newest.into_values().collect())
}

fn save((scope, assessment): &(String, Assessment)) -> Option<SavedPlan> {
    let plan = assessment.plan.clone()?;
    let build = &assessment.build;
    let diagnosis = assessment.diagnosis.clone();
    let detected = Detected { build: build.id.clone(), number: build.number, ended: build.ended, diagnosis };
    Some(SavedPlan { scope: scope.clone(), detected, plan })
}

fn print(out: &mut impl Write, found: &[(String, Assessment)], args: &Args) -> anyhow::Result<()> {
    let mut planned = 0;
    for (_, assessment) in found {
        match &assessment.plan {
            Some(plan) => {
                planned += 1;
                writeln!(out, "{}", shared::plan(plan))?;
                if let Some(Decision::Judge(Judgement::Held { .. })) = &assessment.decision {
                    writeln!(out, "  but         {}", shared::decision(assessment).painted())?;
                }
                writeln!(out)?;
            }
            None => {
                let build = &assessment.build;
                let what = shared::diagnosis(&assessment.diagnosis);
                writeln!(out, "{}: {} ({what})\n", build.project, shared::decision(assessment).painted())?;
            }
        }
    }
    match (planned, found.is_empty(), &args.out) {
        (0, true, _) => {
            let of = args.project.as_ref().map_or_else(String::new, |name| format!(" of a project `{name}`"));
            writeln!(out, "No throttled build{of} found, so there is nothing to plan.")?;
        }
        (0, false, _) => writeln!(out, "No change is planned.")?,
        (n, _, Some(file)) => writeln!(out, "{n} planned. Apply with: unthrottled apply {}", file.display())?,
        (n, _, None) => writeln!(out, "{n} planned. Save with --out FILE, then `unthrottled apply FILE`.")?,
    }
    Ok(())
}
