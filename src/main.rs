//! `unthrottled`: arguments and environment in, one command run, an exit code out.

use clap::Parser;
use std::process::ExitCode;
use unthrottled::cli::exit::{self, Exit};
use unthrottled::cli::frame::Frame;
use unthrottled::cli::{self, Cli};

fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let frame = Frame::new(global, environment());
    // One thread: the daemon waits for AWS nearly all the time, and one thing at a time is easier to follow.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(cli::dispatch(command, &frame)),
        Err(error) => Err(exit::Failure::new(Exit::Failed, error).into()),
    };
    exit::report(result, &mut frame.err(), frame.err_width())
}

/// The environment, read here and nowhere else of ours. Variables that are no text are none of ours.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))).collect()
}
