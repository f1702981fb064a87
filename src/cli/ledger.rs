//! `unthrottled ledger`: the place where the daemon records what it does, made beforehand.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::output::Format;
use crate::edge::ledger::table::{self, Made, Recovery, TableStore};
use crate::edge::ledger::{Ledger, LedgerError, Store};
use crate::reconcile::store;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Make the place that the ledger is kept in
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled ledger create
  unthrottled ledger create --set ledger.store=dynamodb --set ledger.table=unthrottled-try")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with the ledger.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the ledger that the settings name, if it is not there
    ///
    /// With `ledger.store = "dynamodb"` it makes the table, with on-demand capacity and point-in-time recovery, and waits
    /// until it can be used. A table that is there already is left as it is, and refused if its key is not a ledger's.
    #[command(after_long_help = "\
Examples:
  unthrottled ledger create
  unthrottled ledger create --set ledger.store=dynamodb --set ledger.table=unthrottled-try
  AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:8000 unthrottled ledger create --set ledger.store=dynamodb")]
    Create(CreateArgs),
}

/// How it is told.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the command.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let Command::Create(args) = args.command;
    match store(&frame.settings()?.ledger) {
        Store::File(path) => create_file(&path, args.format, frame).await,
        Store::DynamoDb(store) => create_table(&store, args.format, frame).await,
    }
}

fn unavailable(error: impl Into<LedgerError>) -> Failure {
    Failure::new(Exit::Unavailable, error.into())
}

async fn create_file(path: &Path, format: Format, frame: &Frame) -> anyhow::Result<ExitCode> {
    let made = Ledger::open_existing(path).await.map_err(unavailable)?.is_none();
    let ledger = Ledger::open(path).await.map_err(unavailable)?;
    let entries = ledger.head().await.map_err(unavailable)?;
    let mut out = frame.out();
    match (format, made) {
        (Format::Json, _) => {
            let id = ledger.id();
            let line =
                json!({ "schema": 1, "store": "file", "path": path, "made": made, "id": id, "entries": entries });
            writeln!(out, "{line}")?;
        }
        (Format::Text, true) => writeln!(out, "Made the ledger {}.", path.display())?,
        (Format::Text, false) => writeln!(out, "The ledger {} is there, with {entries} entries.", path.display())?,
    }
    Ok(Exit::Done.into())
}

async fn create_table(store: &TableStore, format: Format, frame: &Frame) -> anyhow::Result<ExitCode> {
    let progress = frame.progress("making the table");
    let made = table::create(store).await;
    drop(progress);
    let Made { region, now, recovery } = made.map_err(unavailable)?;
    // What begins the ledger, and shows that this version can use one that was begun before.
    let ledger = Ledger::open(&Store::DynamoDb(store.clone())).await.map_err(unavailable)?;
    let entries = ledger.head().await.map_err(unavailable)?;
    let mut out = frame.out();
    let table = &store.table;
    if format == Format::Json {
        let (word, why) = match &recovery {
            Recovery::On => ("on", None),
            Recovery::Untouched => ("untouched", None),
            Recovery::Off(why) => ("off", Some(why)),
        };
        let line = json!({ "schema": 1, "store": "dynamodb", "table": table, "region": region, "made": now,
            "id": ledger.id(), "entries": entries, "point_in_time_recovery": word, "detail": why });
        writeln!(out, "{line}")?;
        return Ok(Exit::Done.into());
    }
    if now {
        writeln!(out, "Made DynamoDB table {table} in {region}, with on-demand capacity, and began a ledger in it.")?;
    } else {
        writeln!(out, "DynamoDB table {table} in {region} is there and right: its ledger has {entries} entries.")?;
    }
    match recovery {
        Recovery::On => writeln!(out, "It can be restored to any moment of the last 35 days.")?,
        Recovery::Off(why) => writeln!(out, "Point-in-time recovery could not be switched on: {why}")?,
        Recovery::Untouched => (),
    }
    Ok(Exit::Done.into())
}
