//! What the daemon takes over simulated months: memory, open files, ledger, and how late it is.
//!
//! `cargo run --release --example soak -- --days 30`
//!
//! The daemon is the real one (loop, ledger in a file, SDK clients) in simulated time. The account is another process, so
//! that the memory measured is the daemon's. Linux tells it. Exit code 1 if it grows.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

mod account;
mod measure;

use account::Fleet;
use anyhow::{Context as _, bail};
use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use measure::{Sample, Trend};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use unthrottled::edge::aws::Connection;
use unthrottled::edge::clock::{self, Clock};
use unthrottled::edge::event::Kind;
use unthrottled::edge::event::collect::Collector;
use unthrottled::edge::settings::{Settings, Sources};
use unthrottled::reconcile::{Access, Daemon};

/// Runs the daemon through simulated days.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// How many days
    #[arg(long, default_value_t = 30)]
    days: i64,
    /// How many of them count as the warm-up: closed remediations and builds are remembered for three days and the lookback,
    /// and the memory that the allocator keeps for threads fills for some days more
    #[arg(long, default_value_t = 14)]
    warm_up: usize,
    /// Seconds between two polls
    #[arg(long, default_value_t = 60)]
    poll: i64,
    #[command(flatten)]
    fleet: Fleet,
    /// Be the account, for the process that asks for it
    #[arg(long, hide = true)]
    account: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if args.account {
        runtime.block_on(account::serve(args.fleet))?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime.block_on(soak(&args))
}

/// The account's process.
struct Account {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    endpoint: String,
}

impl Drop for Account {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Account {
    fn start() -> anyhow::Result<Account> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).arg("--account").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the account's process")?;
        let (orders, answers) = (child.stdin.take().context("stdin")?, child.stdout.take().context("stdout")?);
        let mut account = Account { child, orders, answers: BufReader::new(answers).lines(), endpoint: String::new() };
        account.endpoint = account.answer()?;
        Ok(account)
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        Ok(self.answers.next().context("the account has ended")??)
    }

    /// Moves its time; answers how many builds were started so far.
    fn advance(&mut self, now: Timestamp) -> anyhow::Result<u64> {
        writeln!(self.orders, "{}", now.as_second())?;
        self.orders.flush()?;
        Ok(self.answer()?.parse()?)
    }
}

async fn soak(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let path = folder.path().join("soak.ledger");
    let mut account = Account::start()?;
    let settings = settings(&path, &account.endpoint)?;
    let endpoint = account.endpoint.clone();
    let connect = move |_: &_| Connection::to_loopback(endpoint.clone());
    let collector = Collector::default();
    let _heard = collector.install();

    let time = Arc::new(AtomicI64::new(account::START.as_second()));
    let shown = Arc::clone(&time);
    let clock = Clock::of(move || Timestamp::from_second(shown.load(Ordering::Relaxed)).unwrap_or(Timestamp::MAX));
    let mut daemon = Daemon::open(&settings, Access::Write, &connect).await?;
    let mut trend = Trend::default();
    let began = clock::now();
    println!("{}", Sample::HEAD);
    for day in 1..=args.days {
        let mut sample = Sample::default();
        let end = account::START + SignedDuration::from_hours(24 * day);
        while clock.now() < end {
            sample.builds = account.advance(clock.now())?;
            let asked = clock::now();
            let tick = daemon.tick(&clock).await?;
            sample.longest_tick = sample.longest_tick.max(clock::now().duration_since(asked));
            daemon.book().events_written().await?;
            sample.ticks += 1;
            sample.incomplete += tick.incomplete.len();
            for event in collector.take() {
                sample.events += 1;
                match event.event {
                    Kind::ThrottleDetected => sample.late(event.duration_ms),
                    Kind::RemediationVerified => sample.verified += 1,
                    Kind::RemediationEscalated | Kind::RemediationRolledBack => sample.not_cured += 1,
                    _ => (),
                }
            }
            let poll = clock.now() + SignedDuration::from_secs(args.poll);
            let next = tick.wake.map_or(poll, |wake| wake.min(poll)).max(clock.now() + SignedDuration::from_secs(1));
            time.store(next.as_second(), Ordering::Relaxed);
        }
        sample.measure(&path, daemon.book().history("default").held())?;
        println!("{}", sample.row(day, clock::now().duration_since(began)));
        if day > i64::try_from(args.warm_up)? {
            trend.add(&sample);
        }
    }
    drop(daemon);
    let asked = clock::now();
    let daemon = Daemon::open(&settings, Access::Write, &connect).await?;
    let took = clock::now().duration_since(asked);
    println!("\nOpened anew in {} ms: {:?}", took.as_millis(), daemon.book().history("default").held());
    let Some(verdict) = trend.verdict() else { bail!("too few days after the warm-up for a verdict") };
    println!("{verdict}");
    Ok(if verdict.grows() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn settings(ledger: &std::path::Path, endpoint: &str) -> anyhow::Result<Settings> {
    let text = format!(
        r#"
        [daemon]
        mode = "apply"
        [ledger]
        path = {ledger:?}
        [credential.dockerhub]
        secret = "dockerhub"
        [[policy]]
        name = "all"
        projects = ["*"]
        mode = "apply"
        [policy.limits]
        max_open = 50
        max_per_hour = 100
        max_share = "100%"
        [docker_hub]
        auth_url = "{endpoint}/hub"
        registry_url = "{endpoint}/hub"
        "#
    );
    Ok(Settings::load(&Sources::text(text))?)
}
