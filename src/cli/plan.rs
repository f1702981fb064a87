//! `unthrottled plan`: what would be changed.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::output::{self, Tone, paint};
use super::run::cannot_start;
use super::shared;
use crate::domain::build::Buildspec;
use crate::domain::build::{BuildId, ProjectName};
use crate::domain::buildspec::refusal::Refusal;
use crate::domain::decide::{Decision, Judgement};
use crate::domain::history::Detected;
use crate::domain::patch::{self, FileProblem, Patch, Sheet};
use crate::domain::plan::Plan;
use crate::edge::clock;
use crate::reconcile::{self, Access, Assessment, Book, Daemon, Reconciler, as_configured};
use anyhow::Context as _;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show what would be changed, as a diff, as data, or as a patch for the project's owner
///
/// Plans the remedy of the newest throttled build of each project, unless the mode is `observe`, and changes nothing.
/// What a limit or a freeze holds back for now is planned as well, and said. A saved plan can be reviewed and then
/// carried out with `apply`, which refuses it if anything it names has changed since.
///
/// Where the change is not ours to make (the buildspec is in the repository, code owns the project), the patch is for
/// its owner: `--as` writes any plan in the words of that code, and `--buildspec` makes the diff of a buildspec file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled plan
  unthrottled plan --project web
  unthrottled plan --build web:0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a --out web.plan.json
  unthrottled plan --as json | jq '.plans[].plan.changes'
  unthrottled plan --project web --as terraform
  unthrottled plan --project web --buildspec ci/buildspec.yml | git apply")]
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
    /// The buildspec that the project's builds read from a file: shows its diff
    #[arg(long, value_name = "FILE")]
    pub buildspec: Option<PathBuf>,
    /// As a diff, as data, or in the words of the owner's code
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
    /// Blocks for Terraform.
    Terraform,
    /// YAML for a CloudFormation template.
    #[value(name = "cloudformation")]
    CloudFormation,
    /// TypeScript for an app of the AWS CDK.
    Cdk,
    /// A script of AWS CLI commands.
    Cli,
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
    /// What is for the owners of projects to change. `apply` leaves it alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<SavedPatch>,
}

/// One patch in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedPatch {
    /// The scope.
    pub scope: String,
    /// The throttled build.
    pub detected: Detected,
    /// What has to be changed.
    pub patch: Patch,
    /// The buildspec's unified diff, where its text is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildspec_diff: Option<String>,
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
    if args.buildspec.is_some() && args.project.is_none() && args.build.is_none() {
        let error = anyhow::anyhow!("--buildspec is for the buildspec of one project");
        return Err(Failure::new(Exit::Usage, error).hint("name it with --project NAME").into());
    }
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
    let looked = shared::looked_at(&daemon);
    if let (Some(build), true) = (&args.build, found.is_empty()) {
        let error = anyhow::anyhow!("CodeBuild knows no build `{build}`");
        return Err(Failure::new(Exit::Failed, error)
            .hint("a build's id is PROJECT:UUID, as `scan --format json` and CodeBuild's console show it")
            .into());
    }
    let sheets = sheets(&found, &args)?;
    let patches = found.iter().zip(&sheets).filter_map(save_patch).collect();
    let saved = SavedPlans { schema: 1, made: now, plans: found.iter().filter_map(save).collect(), patches };
    if let Some(file) = &args.out {
        let text = serde_json::to_string_pretty(&saved)?;
        std::fs::write(file, text + "\n")
            .with_context(|| format!("the plan could not be written to {}", file.display()))?;
    }
    // A diff of a file goes to `git apply`.
    let mut out = if args.buildspec.is_some() { frame.data() } else { frame.out() };
    match args.form {
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&saved)?)?,
        Form::Text => print(&mut out, &found, &sheets, &args, &looked)?,
        Form::Terraform => print_patches(frame, &found, sheets, patch::Form::Terraform)?,
        Form::CloudFormation => print_patches(frame, &found, sheets, patch::Form::CloudFormation)?,
        Form::Cdk => print_patches(frame, &found, sheets, patch::Form::Cdk)?,
        Form::Cli => print_patches(frame, &found, sheets, patch::Form::Cli)?,
    }
    for (word, detail) in &unread {
        writeln!(frame.err(), "{} {detail} ({word})", paint(Tone::Warn, "not read:"))?;
    }
    Ok(if !unread.is_empty() {
        Exit::Incomplete
    } else if args.detailed_exitcode && !(saved.plans.is_empty() && saved.patches.is_empty()) {
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
    Some(SavedPlan { scope: scope.clone(), detected: detected(assessment), plan })
}

fn save_patch(((scope, assessment), sheet): (&(String, Assessment), &Option<Sheet<'_>>)) -> Option<SavedPatch> {
    let patch = assessment.patch.clone()?;
    let buildspec_diff = sheet.as_ref().and_then(Sheet::diff).map(str::to_string);
    Some(SavedPatch { scope: scope.clone(), detected: detected(assessment), patch, buildspec_diff })
}

fn detected(assessment: &Assessment) -> Detected {
    let build = &assessment.build;
    let diagnosis = assessment.diagnosis.clone();
    Detected { build: build.id.clone(), number: build.number, ended: build.ended, diagnosis }
}

/// What a patch says for each build, if there is anything to be changed.
fn sheets<'a>(found: &'a [(String, Assessment)], args: &Args) -> anyhow::Result<Vec<Option<Sheet<'a>>>> {
    let sheets = found.iter().map(|(_, assessment)| {
        let sheet = match (&assessment.plan, &assessment.patch) {
            (Some(plan), _) => Sheet::of_plan(plan),
            (None, Some(patch)) => Sheet::of_patch(patch),
            (None, None) => return None,
        };
        match assessment.project.as_ref().map(|project| &project.buildspec) {
            Some(Buildspec::Inline(text)) => Some(sheet.with_text(text)),
            _ => Some(sheet),
        }
    });
    let mut sheets: Vec<Option<Sheet<'_>>> = sheets.collect();
    if let Some(file) = &args.buildspec {
        let (one, project) = match (sheets.as_mut_slice(), found) {
            ([one], [(_, assessment)]) => (one, &assessment.build.project),
            ([], _) => {
                let error = anyhow::anyhow!("there is no throttled build whose buildspec {} could be", file.display());
                return Err(Failure::new(Exit::Failed, error).hint("name its project with --project NAME").into());
            }
            _ => {
                let error = anyhow::anyhow!("--buildspec is for one project, and {} scopes have it", found.len());
                return Err(Failure::new(Exit::Usage, error).hint("name a build of it with --build ID").into());
            }
        };
        *one = match one.take() {
            Some(sheet) => Some(with_file(sheet, file, project)?),
            None => None,
        };
    }
    Ok(sheets)
}

fn with_file<'a>(sheet: Sheet<'a>, file: &Path, project: &ProjectName) -> anyhow::Result<Sheet<'a>> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("the buildspec {name} could not be read"))?;
    sheet.with_file(&name, &text).map_err(|problem| {
        let place = problem.place().map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        let error = anyhow::anyhow!("{name}{place}: {problem}");
        let hint = match &problem {
            FileProblem::NotTheProjects => {
                format!("leave out --buildspec: `unthrottled plan --project {project}` knows the text")
            }
            FileProblem::NoBuildspecChange => "the pull was refused before the buildspec was read".to_string(),
            FileProblem::LoggedInAlready(_) => {
                "the refused pull has another cause, or the build ran another version of the file".to_string()
            }
            FileProblem::Refused(Refusal::NoDockerUse { .. } | Refusal::BatchOnly { .. })
            | FileProblem::NotNeeded(..) => {
                "is it the file that the build ran? A script that it calls may pull".to_string()
            }
            FileProblem::Refused(_) => {
                "leave out --buildspec to see the line that goes in, and put it there by hand".to_string()
            }
        };
        Failure::new(Exit::Failed, error).hint(hint).into()
    })
}

/// The patches on standard output; what has none on standard error.
fn print_patches(
    frame: &Frame,
    found: &[(String, Assessment)],
    sheets: Vec<Option<Sheet<'_>>>,
    form: patch::Form,
) -> anyhow::Result<()> {
    for ((_, assessment), sheet) in found.iter().zip(&sheets) {
        if sheet.is_none() {
            writeln!(frame.err(), "{}: {}", assessment.build.project, shared::decision(assessment).painted())?;
        }
    }
    let sheets: Vec<Sheet<'_>> = sheets.into_iter().flatten().collect();
    if sheets.is_empty() {
        writeln!(frame.err(), "No change is planned, so there is no patch.")?;
        return Ok(());
    }
    write!(frame.data(), "{}", patch::render(form, &sheets))?;
    Ok(())
}

fn print(
    out: &mut impl Write,
    found: &[(String, Assessment)],
    sheets: &[Option<Sheet<'_>>],
    args: &Args,
    looked: &str,
) -> anyhow::Result<()> {
    let (mut planned, mut patched) = (0, 0);
    for ((_, assessment), sheet) in found.iter().zip(sheets) {
        if let (None, Some(patch), Some(sheet)) = (&assessment.plan, &assessment.patch, sheet) {
            patched += 1;
            writeln!(out, "{}", shared::patch(patch, sheet))?;
            continue;
        }
        match &assessment.plan {
            Some(plan) => {
                planned += 1;
                writeln!(out, "{}", shared::plan(plan))?;
                if let (Some(_), Some(diff)) = (&args.buildspec, sheet.as_ref().and_then(Sheet::diff)) {
                    write!(out, "\n{diff}")?;
                }
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
            let text = format!("No throttled build{of} found in {looked}, so there is nothing to plan.");
            writeln!(out, "{}", output::sentence(text, 0))?;
        }
        (0, false, _) if patched == 0 => writeln!(out, "No change is planned.")?,
        (0, false, _) => (),
        (n, _, Some(file)) => writeln!(out, "{n} planned. Apply with: unthrottled apply {}", file.display())?,
        (n, _, None) => {
            let text = format!("{n} planned. Save with --out FILE, then `unthrottled apply FILE`.");
            writeln!(out, "{}", output::sentence(text, 0))?;
        }
    }
    if patched > 0 {
        let forms = "--as terraform, cloudformation, cdk or cli";
        let text = format!("{patched} for the owner to change: {forms} writes it in the words of the owner's code.");
        writeln!(out, "{}", output::sentence(text, 0))?;
    }
    Ok(())
}
