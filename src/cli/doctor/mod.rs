//! `unthrottled doctor`: whether everything that the daemon needs is there, with the one command that repairs what is not.

mod permissions;
mod scope;
mod secret;
mod tree;

use super::exit::Exit;
use super::frame::Frame;
use super::output::{Format, Tone, paint};
use crate::edge::ledger::lease;
use crate::edge::ledger::table::TableError;
use crate::edge::ledger::{Ledger, LedgerError, Store};
use crate::edge::settings::Settings;
use crate::reconcile::{chain, store};
use console::Term;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tree::{Check, State};

/// Check that everything the daemon needs is there, and say how to repair what is not
///
/// Works with the daemon's own credentials and roles: reads a page of everything that the daemon reads, resolves the
/// secrets and checks their keys, asks IAM which permissions are held of those that the settings need, and asks Docker
/// Hub whether it takes the login, which plan it has and what is left. Changes nothing, spends no pull and prints no
/// secret. Exits with 1 if anything FAILED.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled doctor
  unthrottled doctor --scope prod-eu
  unthrottled doctor --set docker_hub.probe=false
  unthrottled doctor --format json | jq '.. | select(.state? == \"failed\" and .repair?) | .repair'")]
pub struct Args {
    /// Only this scope of the settings
    #[arg(long, value_name = "NAME")]
    pub scope: Option<String>,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

const LEDGER: &str = "ledger";

/// Checks everything.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let chosen = |name: &str| args.scope.as_deref().is_none_or(|wanted| wanted == name);
    let scopes: Vec<_> = settings.scopes.iter().filter(|scope| chosen(&scope.name)).collect();
    if scopes.is_empty() {
        let names: Vec<&str> = settings.scopes.iter().map(|scope| scope.name.as_str()).collect();
        let error = anyhow::anyhow!("the settings have no scope `{}`", args.scope.unwrap_or_default());
        return Err(Exit::Usage.because(error).hint(format!("there are: {}", names.join(", "))).into());
    }
    let mut checks = vec![of_settings(settings, frame), of_ledger(&store(&settings.ledger)).await];
    for scope in scopes {
        checks.push(scope::check(scope, settings, frame).await);
    }
    print(&checks, args.format, frame)?;
    let failed = checks.iter().any(|check| check.state() == State::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Done }.into())
}

/// They could be read, or nothing else would be checked.
fn of_settings(settings: &Settings, frame: &Frame) -> Check {
    let file = frame.sources().path().map_or("no file".to_string(), |path| path.display().to_string());
    let (policies, scopes) = (settings.policies.len(), settings.scopes.len());
    Check::ok(
        "settings",
        format!("{file}: {}, {}", count(policies, "policy", "policies"), count(scopes, "scope", "scopes")),
    )
}

/// It can be opened, and by whom it is used.
async fn of_ledger(store: &Store) -> Check {
    let ledger = match Ledger::open_existing(store).await {
        Ok(Some(ledger)) => ledger,
        Ok(None) => return of_no_ledger(store),
        Err(error) => return Check::failed(LEDGER, chain(&error)).repair(repair(store, &error)),
    };
    let entries = match ledger.head().await {
        Ok(head) => count(usize::try_from(head).unwrap_or_default(), "entry", "entries"),
        Err(error) => return Check::failed(LEDGER, chain(&error)),
    };
    match lease::holder(store).await {
        Ok(None) => Check::ok(LEDGER, format!("{store}: {entries}; no daemon works on it")),
        Ok(Some(holder)) => Check::ok(LEDGER, format!("{store}: {entries}; a daemon ({holder}) works on it")),
        Err(error) => {
            let failed = Check::failed(LEDGER, chain(&error));
            match store {
                Store::File(_) => failed.repair(format!("chown \"$(id -u)\" {store}*")),
                Store::DynamoDb(_) => failed,
            }
        }
    }
}

/// Whether one can be begun.
fn of_no_ledger(store: &Store) -> Check {
    let Store::File(path) = store else {
        return Check::ok(LEDGER, format!("{store} is empty; `unthrottled run` begins a ledger in it"));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        return Check::ok(LEDGER, format!("{store} is not there yet; `unthrottled run` makes it"));
    }
    let folder = folder.display();
    Check::failed(LEDGER, format!("{store} can't be made: there is no folder {folder}"))
        .repair(format!("mkdir -p {folder}"))
}

fn repair(store: &Store, error: &LedgerError) -> &'static str {
    match (store, error) {
        (Store::File(_), _) => "set `ledger.path` to a file that can be used",
        (_, LedgerError::Table(TableError::NoTable { .. })) => "unthrottled ledger create",
        (Store::DynamoDb(_), _) => "set `ledger.table` to a table that can be used",
    }
}

fn print(checks: &[Check], format: Format, frame: &Frame) -> anyhow::Result<()> {
    let mut out = frame.out();
    let all = |state| checks.iter().map(|check| check.count(state)).sum::<usize>();
    let (ok, failed, skipped) = (all(State::Ok), all(State::Failed), all(State::Skipped));
    if format == Format::Json {
        let checks: Vec<_> = checks.iter().map(Check::json).collect();
        let json = json!({ "schema": 1, "ok": ok, "failed": failed, "skipped": skipped, "checks": checks });
        writeln!(out, "{json:#}")?;
        return Ok(());
    }
    let width = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    for check in checks {
        write!(out, "{}", check.render(width))?;
    }
    let sum = format!("{ok} ok, {failed} FAILED, {skipped} skipped");
    writeln!(out, "\n{}", paint(if failed > 0 { Tone::Bad } else { Tone::Good }, sum))?;
    Ok(())
}

/// `1 policy`, `2 policies`
fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
