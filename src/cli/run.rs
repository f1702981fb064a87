//! `unthrottled run`: the daemon.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use crate::edge::clock::{self, Clock};
use crate::edge::http::{self, Health};
use crate::edge::ledger::lease::LeaseError;
use crate::reconcile::{Access, Daemon, StartError, as_configured};
use anyhow::Context as _;
use jiff::SignedDuration;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Run the daemon: look, think, act, until SIGTERM or SIGINT
///
/// Looks at CodeBuild every `daemon.poll_interval`, diagnoses failed builds, applies the remedies that the policies
/// allow, proves each by a later build and takes back what made things worse. What it is about to do stands in the
/// ledger first, so it can be killed at any point and goes on where it was. Events go to standard output, one a line.
/// A signal ends the wait and lets the step under way finish; the exit code is then 0.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled run
  unthrottled run --config /etc/unthrottled/unthrottled.toml --log-format json
  unthrottled run --set daemon.mode=observe
  AWS_PROFILE=ci AWS_REGION=eu-central-1 unthrottled run")]
pub struct Args {}

/// How many polls without progress mean that the loop is stuck; AWS that throttles delays a tick, but not so long.
const PATIENCE_POLLS: i32 = 10;

/// The shortest patience, as a single tick of a large account may take minutes on its first sweep.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

/// Runs the daemon until a signal.
pub async fn run(_args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    frame.start_log()?;
    let shutdown = CancellationToken::new();
    let hangup = Arc::new(Notify::new());
    listen_to_signals(&shutdown, &hangup)?;

    let daemon = Daemon::open(settings, Access::Write, &as_configured).await.map_err(cannot_start)?;
    let poll = settings.daemon.poll_interval;
    let health = Health::new((poll * PATIENCE_POLLS).max(PATIENCE), clock::now);
    let listener = http::listen(&settings.daemon.http_listen.to_string()).await.map_err(|error| {
        Failure::new(Exit::Failed, error)
            .hint("set `daemon.http_listen` to a free address, for example \"127.0.0.1:8788\"")
    })?;
    let served = tokio::spawn(http::serve(listener, health.clone(), shutdown.clone().cancelled_owned()));
    daemon.run(frame.sources(), health, &Clock::wall(), &hangup, shutdown.clone().cancelled_owned()).await;
    shutdown.cancel();
    // An open connection must not hold the stop up.
    let _ = tokio::time::timeout(Duration::from_millis(500), served).await;
    Ok(Exit::Done.into())
}

/// SIGTERM and SIGINT stop, SIGHUP reads the settings again.
fn listen_to_signals(shutdown: &CancellationToken, hangup: &Arc<Notify>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be listened to")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT can't be listened to")?;
    let mut hangups = signal(SignalKind::hangup()).context("SIGHUP can't be listened to")?;
    let (shutdown, hangup) = (shutdown.clone(), Arc::clone(hangup));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangups.recv() => hangup.notify_one(),
            }
        }
        shutdown.cancel();
    });
    Ok(())
}

/// The exit code and the next step for a daemon that can't start.
pub fn cannot_start(error: StartError) -> Failure {
    match &error {
        StartError::Lease(LeaseError::Held { .. }) => Failure::new(Exit::Unavailable, error)
            .hint("`status`, `history`, `apply` and `rollback` work beside a running daemon"),
        StartError::Lease(LeaseError::Failed { .. }) => Failure::new(Exit::Unavailable, error)
            .hint("set `ledger.path` to a file in a folder that is there and that this user may write to"),
        StartError::Ledger(_) | StartError::Book(_) => Failure::new(Exit::Unavailable, error),
        StartError::Connect { .. } => Failure::new(Exit::Settings, error),
    }
}
