//! `unthrottled clear`: a project that was given up is let back in.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use crate::domain::build::ProjectName;
use crate::domain::history::Fact;
use crate::edge::clock;
use crate::edge::ledger::Ledger;
use crate::reconcile::{Book, Memory, store};
use std::io::Write as _;
use std::process::ExitCode;

/// Let a project that was given up be remediated again
///
/// After `limits.attempts_per_project` attempts, or when a remedy was disproved, the daemon leaves a project to people.
/// Once the cause is mended, this starts its count anew.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled clear --project web")]
pub struct Args {
    /// The project
    #[arg(long, value_name = "NAME")]
    pub project: String,
}

/// Lets a project be remediated again.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let unavailable = |error: anyhow::Error| Failure::new(Exit::Unavailable, error);
    let ledger = Ledger::open_existing(&store(&settings.ledger)).await.map_err(|error| unavailable(error.into()))?;
    let mut book = Book::open(ledger, Vec::new(), Memory::Whole).await.map_err(|error| unavailable(error.into()))?;
    let project = ProjectName::new(&args.project);
    let mut out = frame.out();
    let mut cleared = false;
    for scope in book.scopes() {
        let known = book.history(&scope).remediations().any(|(_, r)| r.plan().project == project);
        if known {
            book.record(&scope, Fact::Cleared { project: project.clone() }, clock::now()).await?;
            cleared = true;
        }
    }
    if cleared {
        writeln!(out, "Project {project} may be remediated again, from its next throttled build on.")?;
        Ok(Exit::Done.into())
    } else {
        writeln!(out, "The ledger knows no remediation of project {project}, so there is nothing to clear.")?;
        Ok(Exit::Failed.into())
    }
}
