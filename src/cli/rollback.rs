//! `unthrottled rollback`: remediations, taken back.

use super::drive::Drive;
use super::exit::Exit;
use super::frame::Frame;
use std::io::Write as _;
use std::process::ExitCode;

/// Take remediations back in the safe order
///
/// The project goes back first, then the grant on its role, and only if no other project relies on it. What someone
/// changed meanwhile is left as they made it and reported. Everything else in the account stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled rollback web-0f4ae2c63fa0
  unthrottled rollback --project web
  unthrottled rollback --policy services
  unthrottled rollback --all")]
#[group(id = "what", required = true, multiple = false)]
pub struct Args {
    /// This remediation; `status` and `history` name it
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Those of this project
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Those that this policy led to
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// All that are in place
    #[arg(long)]
    pub all: bool,
}

/// Takes remediations back.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let mut drive = Drive::open(frame).await?;
    let done = take_back(&mut drive, args, frame).await;
    drive.close().await;
    done
}

async fn take_back(drive: &mut Drive, args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let ids = drive.chosen(|remediation| {
        let plan = remediation.plan();
        args.all
            || args.id.as_deref() == Some(plan.id.as_str())
            || args.project.as_deref() == Some(plan.project.as_str())
            || args.policy.as_deref() == Some(plan.policy.as_str())
    });
    if ids.is_empty() {
        let mut out = frame.out();
        writeln!(out, "Nothing to take back: the ledger has no such remediation in place.")?;
        return Ok(if args.id.is_some() { Exit::Failed } else { Exit::Done }.into());
    }
    for (scope, id) in &ids {
        drive.roll_back(scope, id).await?;
    }
    drive.until_at_rest(frame, &ids).await
}
