//! `unthrottled demo`: the daemon itself against a simulated account, as a story with a beginning and an end.
//!
//! Nothing here decides: the daemon is the one of `run`, and the account answers as AWS does. The demo only lets
//! developers push, moves the simulated clock from one look to the next, and tells what it sees.

mod account;
mod story;

use crate::cli::exit::Exit;
use crate::cli::frame::Frame;
use crate::edge::aws::Connection;
use crate::edge::clock::Clock;
use crate::edge::event::collect::Collector;
use crate::edge::settings::{Settings, Sources};
use crate::reconcile::{Access, Daemon};
use crate::simulator::{Options, RetryReads, Simulator, Unknowns};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;
use std::process::ExitCode;
use story::Story;
use tokio::signal::unix::{self, SignalKind};

/// See the daemon at work on a simulated account; needs no AWS
///
/// Starts an AWS account of its own on the loopback, with throttled builds of several kinds, and runs the daemon
/// against it: diagnoses, remedies, proof by later builds and one rollback. Ends by itself in under a minute.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled demo
  cargo run -- demo")]
pub struct Args {}

/// How long the story may take, by the simulated clock.
const LENGTH: SignedDuration = SignedDuration::from_mins(30);

/// The simulated pause between two looks.
const POLL: SignedDuration = SignedDuration::from_secs(15);

/// Runs the demo.
pub async fn run(_args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    // AWS does not say what a retry builds from. Here it is the project as it is now, which makes the shorter story.
    let unknowns = Unknowns { retry_build: RetryReads::Current, ..Unknowns::default() };
    let options = Options { unknowns, ..Options::default() };
    let simulator = Simulator::start(options).context("no loopback port for the simulated account")?;
    let pushes = account::build(&simulator);
    let before = simulator.snapshot();

    let place = Place::new()?;
    let places = format!("[ledger]\npath = {:?}\n{}", place.0.join("demo.ledger"), simulator.hub_settings());
    let text = format!("{}\n{places}", account::SETTINGS);
    let settings = Settings::load(&Sources::text(&text))?;
    let endpoint = simulator.endpoint().to_string();
    let connect = move |_: &_| Connection::to_loopback(endpoint.clone());
    let mut daemon = Daemon::open(&settings, Access::Write, &connect).await?;

    let collector = Collector::default();
    let _listening = collector.install();

    let mut out = frame.out();
    let mut story = Story::new(&simulator, collector, account::PROJECTS);
    story.open(&mut out)?;
    tokio::select! {
        played = play(&simulator, &mut daemon, &mut story, &pushes, &mut out) => played?,
        // Ended as any other future, so that the demo's folder goes.
        stopped = signal() => return stopped.map(|()| Exit::Done.into()),
    }
    match story.close(&mut out, daemon.book().history("default"), &before)? {
        Ok(()) => Ok(Exit::Done.into()),
        Err(odd) => Err(anyhow::anyhow!("the demo did not end as it should: {odd}")),
    }
}

/// Ctrl-C, or the end of the terminal or of the machine.
async fn signal() -> anyhow::Result<()> {
    let listen = |kind| unix::signal(kind).context("signals can't be listened to");
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
        _ = hangup.recv() => (),
    }
    Ok(())
}

/// Lets time pass: developers push, builds run, the daemon ticks when it asked to or at its next poll.
async fn play(
    simulator: &Simulator,
    daemon: &mut Daemon,
    story: &mut Story<'_>,
    pushes: &[account::Push],
    out: &mut impl std::io::Write,
) -> anyhow::Result<()> {
    let began = simulator.now();
    let clock = simulator.clone();
    let clock = Clock::of(move || clock.now());
    let end = began.checked_add(LENGTH)?;
    let mut pushes: Vec<(Timestamp, &str)> =
        pushes.iter().map(|push| Ok((began.checked_add(push.after)?, push.project))).collect::<anyhow::Result<_>>()?;
    pushes.sort();
    pushes.reverse();
    loop {
        let now = simulator.now();
        while let Some((_, project)) = pushes.pop_if(|(at, _)| *at <= now) {
            simulator.start_build(project);
        }
        let tick = daemon.tick(&clock).await?;
        story.tell(out)?;
        let idle = daemon.book().history("default").open().count() == 0 && pushes.is_empty();
        let is_over = |project: &str| simulator.builds_of(project).iter().all(|build| build.complete);
        let quiet = account::PROJECTS.iter().all(|(project, _)| is_over(project));
        if idle && quiet || now >= end {
            return Ok(());
        }
        let next_push = pushes.last().map(|(at, _)| *at);
        let poll = now.checked_add(POLL)?;
        let next = [Some(poll), tick.wake, next_push].into_iter().flatten().min().unwrap_or(poll);
        simulator.advance(now.duration_until(next).max(SignedDuration::from_secs(1)));
        story.tell(out)?;
    }
}

/// A folder of the demo's own, gone when it ends.
struct Place(PathBuf);

impl Place {
    fn new() -> anyhow::Result<Place> {
        let path = std::env::temp_dir().join(format!("unthrottled-demo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).with_context(|| format!("{} can't be made", path.display()))?;
        Ok(Place(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
