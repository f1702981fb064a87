//! What people type: the arguments of every command, and which function each leads to.

pub mod apply;
pub mod buildspec;
mod cards;
pub mod check;
pub mod clear;
#[cfg(feature = "simulator")]
pub mod demo;
pub mod diagnose;
pub mod doctor;
mod drive;
pub mod exit;
pub mod explain;
pub mod frame;
pub mod healthcheck;
pub mod history;
pub mod iam_policy;
pub mod ledger;
pub mod output;
mod page;
pub mod plain;
pub mod plan;
pub mod rollback;
pub mod run;
pub mod scan;
pub mod schema;
pub mod secret;
mod shared;
#[cfg(feature = "simulator")]
pub mod simulate;
pub mod status;
pub mod survey;
mod timeline;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};
use frame::{Frame, Global};
use std::process::ExitCode;

/// Finds AWS CodeBuild builds that Docker Hub throttled and cures them, with proof and rollback.
#[derive(Debug, Parser)]
#[command(
    name = "unthrottled",
    version,
    arg_required_else_help = true,
    propagate_version = false,
    styles = STYLES,
    after_help = AFTER_HELP,
    max_term_width = 110
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
AWS credentials, profiles, regions and endpoints come from the standard variables and files, as with every AWS tool.

Exit codes:
  0   done, or stopped by a signal
  1   failed
  2   changes pending or findings present (only with --detailed-exitcode)
  3   the scan was incomplete
  64  bad usage
  69  ledger or lease not available
  78  bad settings";

/// What to do.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "the help of a command is the documentation of its arguments, which one of the variant would replace"
)]
pub enum Command {
    Run(run::Args),
    Scan(scan::Args),
    Survey(survey::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Rollback(rollback::Args),
    Status(status::Args),
    History(history::Args),
    Explain(explain::Args),
    Clear(clear::Args),
    /// Diagnose log text or builds, offline
    ///
    /// Says whether the text shows a refused pull, by which registry, whether a login would cure it, and quotes the
    /// lines that tell. Nothing leaves this machine. Exits with 1 if an input could not be read.
    #[command(after_long_help = DIAGNOSE_EXAMPLES)]
    Diagnose(diagnose::Args),
    /// Put a Docker Hub login into a buildspec, offline
    #[command(after_long_help = BUILDSPEC_EXAMPLES)]
    Buildspec(buildspec::Args),
    Secret(secret::Args),
    Ledger(ledger::Args),
    Doctor(doctor::Args),
    IamPolicy(iam_policy::Args),
    Check(check::Args),
    Schema(schema::Args),
    #[cfg(feature = "simulator")]
    Demo(demo::Args),
    #[cfg(feature = "simulator")]
    Simulate(simulate::Args),
    Healthcheck(healthcheck::Args),
}

const DIAGNOSE_EXAMPLES: &str = "\
Examples:
  unthrottled diagnose build.log
  aws logs tail /aws/codebuild/web --format short | unthrottled diagnose --phase BUILD
  aws codebuild batch-get-builds --ids web:0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a > build.json
  unthrottled diagnose --build build.json build.log --format json";

const BUILDSPEC_EXAMPLES: &str = "\
Examples:
  unthrottled buildspec login --diff buildspec.yml
  unthrottled buildspec login --check ci/*.yml
  unthrottled buildspec login --write buildspec.yml";

/// Runs the command.
pub async fn dispatch(command: Command, frame: &Frame) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args, frame).await,
        Command::Scan(args) => scan::run(args, frame).await,
        Command::Survey(args) => survey::run(args, frame).await,
        Command::Plan(args) => plan::run(args, frame).await,
        Command::Apply(args) => apply::run(args, frame).await,
        Command::Rollback(args) => rollback::run(args, frame).await,
        Command::Status(args) => status::run(args, frame).await,
        Command::History(args) => history::run(args, frame).await,
        Command::Explain(args) => explain::run(args, frame).await,
        Command::Clear(args) => clear::run(args, frame).await,
        Command::Diagnose(args) => diagnose::run(&args, &mut frame.out(), &mut frame.err()),
        Command::Buildspec(args) => buildspec::run(&args),
        Command::Secret(args) => secret::run(args, frame).await,
        Command::Ledger(args) => ledger::run(args, frame).await,
        Command::Doctor(args) => doctor::run(args, frame).await,
        Command::IamPolicy(args) => iam_policy::run(args, frame).await,
        Command::Check(args) => check::run(&args, frame),
        Command::Schema(args) => schema::run(&args, frame),
        #[cfg(feature = "simulator")]
        Command::Demo(args) => demo::run(args, frame).await,
        #[cfg(feature = "simulator")]
        Command::Simulate(args) => simulate::run(args, frame).await,
        Command::Healthcheck(args) => healthcheck::run(args, frame).await,
    }
}
