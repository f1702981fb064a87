//! How a command ends: the exit codes, and the one place where an error is printed.

use crate::edge::settings::SettingsError;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use super::output::{Tone, paint, wrapped};

/// The exit codes; interface and scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or stopped by a signal.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Changes are pending or findings present; only where the caller asked for this code.
    Pending = 2,
    /// Part of what should have been looked at could not be.
    Incomplete = 3,
    /// Bad usage.
    Usage = 64,
    /// The ledger or its lease is not available.
    Unavailable = 69,
    /// Bad settings.
    Settings = 78,
}

impl Exit {
    /// An error that ends the process with this code.
    pub fn because(self, error: impl Into<anyhow::Error>) -> Failure {
        Failure::new(self, error)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error that knows its exit code, and perhaps what to do about it.
#[derive(Debug)]
pub struct Failure {
    error: anyhow::Error,
    exit: Exit,
    hint: Option<String>,
}

impl Failure {
    /// An error with its exit code.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Failure {
        Failure { error: error.into(), exit, hint: None }
    }

    /// With a sentence on what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Failure {
        Failure { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// The end of the process: prints the error, if there is one, with its causes and a hint, in so many columns.
pub fn report(result: anyhow::Result<ExitCode>, err: &mut impl Write, width: Option<usize>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if is_closed_pipe(&error) {
        return Exit::Done.into();
    }
    // Nobody is left to tell if standard error is gone.
    let _ = print(&error, err, width);
    exit_of(&error).into()
}

/// The end of the process when the arguments make no sense, or ask for help or the version.
pub fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match (error.use_stderr(), printed) {
        (false, Ok(())) => Exit::Done.into(),
        (false, Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done.into(),
        (false, Err(_)) => Exit::Failed.into(),
        (true, _) => Exit::Usage.into(),
    }
}

fn exit_of(error: &anyhow::Error) -> Exit {
    let by_cause = |cause: &(dyn std::error::Error + 'static)| {
        let failure = cause.downcast_ref::<Failure>().map(|failure| failure.exit);
        failure.or_else(|| cause.is::<SettingsError>().then_some(Exit::Settings))
    };
    error.chain().find_map(by_cause).unwrap_or(Exit::Failed)
}

/// The reader of a pipe has seen enough, as in `unthrottled history | head`.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn print(error: &anyhow::Error, err: &mut impl Write, width: Option<usize>) -> io::Result<()> {
    let wrapped = |says: &str, label: &str| wrapped(says, label.len() + 1, width);
    let label = paint(Tone::Bad, "error:");
    if let Some(SettingsError { problems }) = error.downcast_ref() {
        for problem in problems {
            writeln!(err, "{label} {}", wrapped(&problem.to_string(), "error:"))?;
        }
        return Ok(());
    }
    let mut last = String::new();
    for (n, cause) in error.chain().enumerate() {
        let text = cause.to_string();
        match n {
            0 => writeln!(err, "{label} {}", wrapped(&text, "error:"))?,
            // Some libraries repeat the cause in their own text.
            _ if last.ends_with(&text) => (),
            _ => writeln!(err, "  caused by: {}", wrapped(&text, "  caused by:"))?,
        }
        last = text;
    }
    let hint = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()?.hint.as_deref());
    match hint {
        Some(hint) => writeln!(err, "\n{} {}", paint(Tone::Good, "hint:"), wrapped(hint, "hint:")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::settings::{Settings, Sources};
    use anyhow::Context;
    use insta::assert_snapshot;

    fn printed(error: anyhow::Error) -> (String, ExitCode) {
        let mut err = anstream::StripStream::new(Vec::new());
        let code = report(Err(error), &mut err, None);
        (String::from_utf8(err.into_inner()).unwrap(), code)
    }

    #[test]
    fn an_error_is_printed_once_with_its_causes_and_a_hint() {
        let cause = io::Error::other("disk full");
        let error = Failure::new(Exit::Unavailable, anyhow::Error::from(cause).context("can't write the ledger"))
            .hint("make room on the volume");
        let error = anyhow::Error::from(error).context("can't go on");
        let (text, code) = printed(error);
        assert_snapshot!(text, @r#"
        error: can't go on
          caused by: can't write the ledger
          caused by: disk full

        hint: make room on the volume
        "#);
        assert_eq!(code, Exit::Unavailable.into());
    }

    #[test]
    fn an_error_is_broken_between_words_on_a_terminal() {
        let error = Failure::new(Exit::Failed, anyhow::anyhow!("the ledger could not be written, as the disk is full"));
        let mut err = anstream::StripStream::new(Vec::new());
        report(Err(error.hint("make room on the volume that it lies on").into()), &mut err, Some(40));
        let text = String::from_utf8(err.into_inner()).unwrap();
        assert_snapshot!(text, @"
        error: the ledger could not be written,
               as the disk is full

        hint: make room on the volume that it
              lies on
        ");
    }

    #[test]
    fn bad_settings_are_one_line_each_and_78() {
        let sources = Sources::text("policy = []\n[daemon]\nmode = 1\n");
        let error = Settings::load(&sources).unwrap_err();
        let (text, code) = printed(error.into());
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.starts_with("error: unthrottled.toml:")));
        assert_eq!(code, Exit::Settings.into());
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        let (text, code) = printed(Err::<(), _>(gone).context("can't write").unwrap_err());
        assert_eq!(text, "");
        assert_eq!(code, Exit::Done.into());
    }

    #[test]
    fn any_other_error_is_1() {
        assert_eq!(printed(anyhow::anyhow!("no")).1, Exit::Failed.into());
    }
}
