//! `unthrottled check`: whether the settings are good, and what they come to.

use super::exit::Exit;
use super::frame::Frame;
use super::output::{Cell, Format, Table, Tone, paint};
use crate::domain::policy::{Mode, Policy};
use crate::edge::settings::{Problem, Settings, SettingsError};
use serde_json::{Value as Json, json};
use std::io::{self, Write};
use std::process::ExitCode;

/// Check the settings, offline
///
/// Reads all layers as `run` does (built-in defaults, file, environment, arguments) and reports every mistake at once,
/// each with its place, its key, what was read and what is allowed. Asks nothing of AWS.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled check
  unthrottled check --config config/examples/one-account.toml --show
  unthrottled check --format json | jq -r '.problems[].key'")]
pub struct Args {
    /// Also print all settings in force, as TOML that reads back to the same
    #[arg(long)]
    pub show: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Runs the command.
pub fn run(args: &Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let mut out = frame.out();
    match (frame.settings(), args.format) {
        (Ok(settings), Format::Text) => {
            print(settings, frame, &mut out)?;
            if args.show {
                write!(out, "\n{}", settings.summary())?;
            }
            Ok(Exit::Done.into())
        }
        (Ok(settings), Format::Json) => {
            let mut result = json!({"valid": true, "problems": []});
            if args.show {
                result["settings"] = settings.summary().into();
            }
            writeln!(out, "{result:#}")?;
            Ok(Exit::Done.into())
        }
        (Err(error), Format::Text) => Err(error.into()),
        (Err(SettingsError { problems }), Format::Json) => {
            let problems: Vec<Json> = problems.iter().map(problem).collect();
            writeln!(out, "{:#}", json!({"valid": false, "problems": problems}))?;
            Ok(Exit::Settings.into())
        }
    }
}

fn print(settings: &Settings, frame: &Frame, out: &mut impl Write) -> io::Result<()> {
    let file = match frame.sources().path() {
        Some(path) => path.display().to_string(),
        None => "settings without a file".to_string(),
    };
    writeln!(out, "{} {file}\n", paint(Tone::Good, "good:"))?;
    let mut table = Table::new(["POLICY", "PROJECTS", "SCOPES", "MODE", "CREDENTIAL"]);
    for policy in &settings.policies {
        table.row([
            policy.name.as_str().into(),
            policy.project_globs.join(", ").into(),
            scopes(policy).into(),
            mode(policy.mode, settings.daemon.mode),
            policy.credential.name.as_str().into(),
        ]);
    }
    write!(out, "{}", table.render())?;
    if settings.policies.iter().any(|policy| policy.mode > settings.daemon.mode) {
        let most = settings.daemon.mode;
        let note = format!("`daemon.mode` lets no policy go further than `{}`", most.name());
        writeln!(out, "\n{} {note}", paint(Tone::Warn, "note:"))?;
    }
    Ok(())
}

fn scopes(policy: &Policy) -> String {
    match policy.scopes.as_slice() {
        [] => "all".to_string(),
        scopes => scopes.join(", "),
    }
}

fn mode(policy: Mode, most: Mode) -> Cell {
    if policy <= most {
        return policy.name().into();
    }
    Cell::new(Tone::Warn, format!("{} (of {})", most.name(), policy.name()))
}

fn problem(problem: &Problem) -> Json {
    json!({
        "origin": problem.origin.to_string(),
        "key": problem.key,
        "read": problem.read,
        "problem": problem.problem,
        "allowed": problem.allowed,
    })
}
