//! `unthrottled schema`: the JSON Schema of what people write and programs read.

use super::exit::Exit;
use super::frame::Frame;
use super::plan::SavedPlans;
use crate::edge::{event, settings};
use std::io::Write;
use std::process::ExitCode;

/// Print the JSON Schema of settings, events or plans
///
/// Editors check and complete a settings file by its schema; programs that read events or plans can rely on theirs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled schema settings > unthrottled.schema.json
  unthrottled schema events
  unthrottled schema settings --as markdown > docs/settings.md")]
pub struct Args {
    /// Of what
    #[arg(value_enum)]
    pub of: Of,
    /// As JSON Schema, or as text for people
    #[arg(long = "as", value_enum, default_value_t, value_name = "FORM")]
    pub form: Form,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Of {
    /// The settings file.
    Settings,
    /// The events on standard output.
    Events,
    /// A file of `plan --out`.
    Plan,
}

/// The form of a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// JSON Schema, draft 2020-12.
    #[default]
    Json,
    /// A reference in Markdown; of the settings only.
    Markdown,
}

/// Runs the command.
pub fn run(args: &Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let mut out = frame.out();
    let schema = match (args.of, args.form) {
        (Of::Settings, Form::Markdown) => {
            write!(out, "{}", settings::reference())?;
            return Ok(Exit::Done.into());
        }
        (Of::Events | Of::Plan, Form::Markdown) => {
            let error = anyhow::anyhow!("there is no Markdown of this schema");
            return Err(super::exit::Failure::new(Exit::Usage, error)
                .hint("leave `--as markdown` out, or ask for `settings`")
                .into());
        }
        (Of::Settings, Form::Json) => settings::schema(),
        (Of::Events, Form::Json) => event::schema().into(),
        (Of::Plan, Form::Json) => schemars::schema_for!(SavedPlans).into(),
    };
    writeln!(out, "{schema:#}")?;
    Ok(Exit::Done.into())
}
