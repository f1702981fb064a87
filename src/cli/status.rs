//! `unthrottled status`: remediations that are under way.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::output::{self, Cell, Format, Table, Tone, paint};
use super::shared;
use crate::domain::history::AccountLow;
use crate::edge::clock;
use crate::edge::ledger::Ledger;
use crate::reconcile::{Book, Memory, store};
use serde_json::json;
use std::io::Write as _;
use std::process::ExitCode;

/// Show the remediations that are under way
///
/// Reads the ledger and asks nothing of AWS; works beside a running daemon.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled status
  unthrottled status --format json")]
pub struct Args {
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Open remediations and builds that wait.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let book = ledger_of(frame).await?;
    print(frame, &book, args.format)?;
    Ok(Exit::Done.into())
}

/// The ledger alone; nothing is asked of AWS.
pub async fn ledger_of(frame: &Frame) -> anyhow::Result<Book> {
    let settings = frame.settings()?;
    let unavailable = |error: anyhow::Error| Failure::new(Exit::Unavailable, error);
    let ledger = Ledger::open_existing(&store(&settings.ledger)).await.map_err(|error| unavailable(error.into()))?;
    // What is over is not shown, and may be far more than what is open.
    let memory = Memory::Bounded { lookback: settings.daemon.lookback };
    Book::open(ledger, Vec::new(), memory).await.map_err(|error| unavailable(error.into()).into())
}

/// Prints what is open.
pub fn print(frame: &Frame, book: &Book, format: Format) -> anyhow::Result<()> {
    let mut out = frame.out();
    let now = clock::now();
    let mut open = Table::new(["REMEDIATION", "PROJECT", "REMEDY", "STAGE", "SINCE"]);
    let mut waiting = Table::new(["PROJECT", "BUILD", "HELD", "UNTIL"]);
    let mut kept = Table::new(["GRANT KEPT ON ROLE", "NEEDED BY", "SINCE", "OF"]);
    let (mut opened, mut held, mut grants) = (0, 0, 0);
    for scope in book.scopes() {
        let history = book.history(&scope);
        for (id, remediation) in history.open() {
            opened += 1;
            let plan = remediation.plan();
            let stage = remediation.stage();
            if format == Format::Json {
                let line = json!({ "scope": scope, "remediation_id": id, "stage": stage.word(),
                    "since": remediation.stage_since(), "plan": plan });
                writeln!(out, "{line}")?;
            }
            let since = output::ago(remediation.stage_since(), now);
            let project = plan.project.to_string();
            let cells = [id.to_string(), project, plan.remedy.to_string(), stage.to_string(), since];
            open.row(cells.map(Cell::from));
        }
        for (id, remediation, grant) in history.kept_grants() {
            grants += 1;
            let role = remediation.plan().role.to_string();
            if format == Format::Json {
                let line = json!({ "scope": scope, "remediation_id": id, "role": role, "grant": "kept",
                    "needed_by": grant.by, "since": grant.since });
                writeln!(out, "{line}")?;
            }
            let by = grant.by.to_string();
            kept.row([role, by, output::ago(grant.since, now), id.to_string()].map(Cell::from));
        }
        let mut pending = history.pending();
        pending.sort_by_key(|pending| (pending.detected.build.project(), pending.detected.number));
        for pending in pending {
            held += 1;
            let detected = &pending.detected;
            if format == Format::Json {
                let line =
                    json!({ "scope": scope, "build_id": detected.build, "held": pending.last, "until": pending.due });
                writeln!(out, "{line}")?;
            }
            let why = pending.last.as_ref().map_or_else(|| "to be decided".into(), shared::judgement);
            let build = detected.number.map_or_else(|| detected.build.to_string(), |n| format!("#{n}"));
            let project = detected.build.project().to_string();
            waiting.row([project.into(), build.into(), why, output::time(pending.due).into()]);
        }
    }
    if format == Format::Json {
        for (scope, credential) in to_reset(book) {
            writeln!(out, "{}", json!({ "scope": scope, "credential": credential, "password": "to be reset" }))?;
        }
        for (scope, credential, low) in low_accounts(book) {
            let line = json!({ "scope": scope, "credential": credential, "quota": "low", "reason": low.reason,
                "detail": low.detail, "since": low.since });
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    if opened == 0 {
        writeln!(out, "No remediation is open.")?;
    } else {
        write!(out, "{}", open.render())?;
    }
    if held > 0 {
        write!(out, "\n{}", waiting.render())?;
    }
    if grants > 0 {
        write!(out, "\n{}", kept.render())?;
        let text = "A daemon looks at them again every hour, and takes away what nothing needs any more.";
        writeln!(out, "{}", output::sentence(text, 0))?;
    }
    for (scope, credential) in to_reset(book) {
        let secret = frame.settings()?.credential(&credential).map_or("NAME", |credential| credential.secret.as_str());
        let scope = if frame.settings()?.scopes.len() > 1 { format!(" --scope {scope}") } else { String::new() };
        let text = format!(
            "Reset the password of credential `{credential}`: builds that log in may have logged it. \
             Then store it with `unthrottled secret rotate {secret}{scope}`."
        );
        writeln!(out, "\n{}", paint(Tone::Warn, output::sentence(&text, 0)))?;
    }
    for (scope, credential, low) in low_accounts(book) {
        let scope = if frame.settings()?.scopes.len() > 1 { format!(" in scope `{scope}`") } else { String::new() };
        let text = format!(
            "The Docker account of credential `{credential}`{scope} would be the next to be throttled, since {} ({}): \
             {}. Remedies with it wait until it has enough again; a paid plan has no such limit.",
            output::time(low.since),
            output::ago(low.since, now),
            low.detail
        );
        writeln!(out, "\n{}", paint(Tone::Warn, output::sentence(&text, 0)))?;
    }
    Ok(())
}

/// The credentials whose Docker account has too few pulls left, by scope: each scope has a secret of its own.
fn low_accounts(book: &Book) -> Vec<(String, String, AccountLow)> {
    let of = |scope: String| {
        let low = book.history(&scope).accounts_low();
        low.map(|(credential, low)| (scope.clone(), credential.to_string(), low.clone())).collect::<Vec<_>>()
    };
    book.scopes().into_iter().flat_map(of).collect()
}

/// The credentials whose password is to be reset, by scope: each scope has a secret of its own.
fn to_reset(book: &Book) -> Vec<(String, String)> {
    let of = |scope: String| {
        let credentials: Vec<String> = book.history(&scope).passwords_to_reset().map(str::to_string).collect();
        credentials.into_iter().map(move |credential| (scope.clone(), credential))
    };
    book.scopes().into_iter().flat_map(of).collect()
}
