//! `unthrottled run`: the daemon.

use super::exit::{Exit, Failure};
use super::frame::Frame;
use super::page;
use crate::edge::aws::calls::CountCalls;
use crate::edge::aws::{ConnectError, Connection};
use crate::edge::clock::{self, Clock};
use crate::edge::event;
use crate::edge::http::{self, Health};
use crate::edge::ledger::Store;
use crate::edge::ledger::lease::{self, Lease, LeaseError};
use crate::edge::metrics::Metrics;
use crate::edge::settings::{ScopeSettings, Settings};
use crate::reconcile::{Access, Board, Daemon, Ended, StartError, as_configured, store};
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
/// A signal ends the wait and lets the step under way finish; the exit code is then 0. Where the ledger is a DynamoDB
/// table, a second daemon waits for the first to end or to fall silent, and then takes over.
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

/// How often a daemon that waits says that it is alive, and tries a table again that it can't reach.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Runs the daemon until a signal.
pub async fn run(_args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let settings = frame.settings()?;
    let metrics = Metrics::default();
    frame.start_log(&metrics)?;
    let shutdown = CancellationToken::new();
    let hangup = Arc::new(Notify::new());
    listen_to_signals(&shutdown, &hangup)?;

    let calls = CountCalls::of(metrics.clone());
    let ledger = store(&settings.ledger).counting(&calls);
    // A file's lease is had at once or not at all, and is told before anything listens. A table's may be waited for: two
    // tasks overlap in each deployment, and the new one has to be healthy before the old one is stopped.
    let mut lease = match &ledger {
        Store::File(_) => Some(lease::take(&ledger).await.map_err(StartError::from).map_err(cannot_start)?),
        Store::DynamoDb(_) => None,
    };
    let poll = settings.daemon.poll_interval;
    let health = Health::new((poll * PATIENCE_POLLS).max(PATIENCE), clock::now);
    let listener = http::listen(&settings.daemon.http_listen.to_string()).await.map_err(|error| {
        Failure::new(Exit::Failed, error)
            .hint("set `daemon.http_listen` to a free address, for example \"127.0.0.1:8788\"")
    })?;
    let board = Board::default();
    let page = page::page(board.clone(), health.clone(), settings.daemon.page.clone());
    let end = shutdown.clone().cancelled_owned();
    let served = tokio::spawn(http::serve(listener, health.clone(), metrics.clone(), page, end));
    let connect = move |scope: &ScopeSettings| Connection { calls: calls.clone(), ..as_configured(scope) };
    let mut table = Table::NotReached;
    loop {
        let taken = match lease.take() {
            Some(lease) => Some(lease),
            None => wait(&ledger, table, &health, &shutdown).await.map_err(StartError::from).map_err(cannot_start)?,
        };
        let Some(taken) = taken else { break };
        table = Table::Reached;
        // They may have changed while the lease was waited for; the ledger stays.
        let mut in_force = Settings::load(frame.sources()).unwrap_or_else(|_| settings.clone());
        in_force.ledger = settings.ledger.clone();
        let daemon =
            Daemon::open_under(taken, &ledger, &in_force, Access::Write, &connect).await.map_err(cannot_start)?;
        let daemon = daemon.counting(metrics.clone()).showing(board.clone());
        let stop = shutdown.clone().cancelled_owned();
        match daemon.run(frame.sources(), health.clone(), &Clock::wall(), &hangup, stop).await {
            Ended::Stopped => break,
            Ended::LeaseLost => {
                board.clear();
                event::emit(&event::lease_lost(&ledger.to_string(), clock::now()));
            }
        }
    }
    shutdown.cancel();
    // An open connection must not hold the stop up.
    let _ = tokio::time::timeout(Duration::from_millis(500), served).await;
    Ok(Exit::Done.into())
}

/// Whether the ledger's table could be used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    /// What is wrong with it may be so for good: it is told, and the daemon ends.
    NotReached,
    /// What is wrong with it may pass.
    Reached,
}

/// Waits for the lease; none if the daemon was told to stop meanwhile. The loop counts as alive.
async fn wait(
    ledger: &Store,
    table: Table,
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<Option<Lease>, LeaseError> {
    let mut told = false;
    let mut held = |holder: &str| {
        if !std::mem::replace(&mut told, true) {
            event::emit(&event::lease_awaited(&ledger.to_string(), holder, clock::now()));
        }
    };
    let alive = async {
        loop {
            health.progress(clock::now());
            tokio::time::sleep(SIGN_OF_LIFE).await;
        }
    };
    let taken = async {
        loop {
            match lease::wait(ledger, &mut held).await {
                Err(error) if table == Table::Reached && error.may_pass() => tokio::time::sleep(SIGN_OF_LIFE).await,
                other => break other,
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(None),
        () = alive => Ok(None),
        taken = taken => taken.map(Some),
    }
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
        StartError::Lease(LeaseError::Table(_)) | StartError::Ledger(_) | StartError::Book(_) => {
            Failure::new(Exit::Unavailable, error)
        }
        StartError::Connect { source: ConnectError::NoRoots(_), .. } => Failure::new(Exit::Failed, error),
        StartError::Connect { .. } => Failure::new(Exit::Settings, error),
    }
}
