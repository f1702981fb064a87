//! `unthrottled apply`: a saved plan, carried out.

use super::drive::Drive;
use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::plan::SavedPlans;
use crate::domain::plan::Approval;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Carry a saved plan out, if nothing that it names has changed since
///
/// Records the plan in the ledger and makes its changes in order. Refused if the project, its role or its secret is
/// not as it was when the plan was made: nothing is sent then. A running daemon proves it, or takes it back.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled plan --project web --out web.plan.json
  unthrottled apply web.plan.json")]
pub struct Args {
    /// A plan that `plan --out` saved
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Applies a saved plan.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let name = args.file.display();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("the plan {name} could not be read"))?;
    let saved: SavedPlans = serde_json::from_str(&text)
        .with_context(|| format!("{name} is no plan; make one with `unthrottled plan --out FILE`"))?;
    anyhow::ensure!(saved.schema == 1, "{name} has format {}, and this version reads format 1", saved.schema);
    if saved.plans.is_empty() {
        writeln!(frame.out(), "{name} holds no plan.")?;
        return Ok(Exit::Done.into());
    }
    one_of_each_project(&saved)?;
    let mut drive = Drive::open(frame).await?;
    let done = carry_out(&mut drive, saved, frame).await;
    drive.close().await;
    done
}

async fn carry_out(drive: &mut Drive, saved: SavedPlans, frame: &Frame) -> anyhow::Result<ExitCode> {
    // All or nothing: a file of which one plan is out of date is refused before any other is begun.
    for each in &saved.plans {
        drive.check(each).await?;
    }
    let mut ids = Vec::new();
    for mut each in saved.plans {
        each.plan.by = Approval::Person;
        ids.push((each.scope.clone(), each.plan.id.clone()));
        drive.begin(each).await?;
    }
    drive.until_at_rest(frame, &ids).await
}

/// Two remedies of one project go one after the other, as the second is judged by what the first left.
fn one_of_each_project(saved: &SavedPlans) -> anyhow::Result<()> {
    let mut projects = BTreeSet::new();
    for each in &saved.plans {
        if !projects.insert((&each.scope, &each.plan.project)) {
            let error = anyhow::anyhow!("the file has two plans for project {}", each.plan.project);
            let hint = "save each by itself with `unthrottled plan --build ID --out FILE`, and apply the second when the first is proven";
            return Err(Failure::new(Exit::Failed, error).hint(hint).into());
        }
    }
    Ok(())
}
