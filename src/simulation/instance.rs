//! One daemon of the simulation: it starts, ticks when it is told to, and dies at any call.

use super::mistake::Mistake;
use crate::edge::aws::{Connection, Retries};
use crate::edge::clock::Clock;
use crate::edge::event::Event;
use crate::edge::event::collect::Collector;
use crate::edge::settings::Settings;
use crate::reconcile::{Access, Daemon, Tick};
use crate::simulator::{Simulator, Waiting};
use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

/// What an instance says when it comes to rest.
#[derive(Debug)]
pub(super) enum Said {
    /// It is up.
    Started,
    /// It could not start, in a sentence.
    NotStarted(String),
    /// It looked, thought and acted.
    Ticked(Tick),
    /// It could not use the ledger, in a sentence.
    Failed(String),
    /// The ledger has the entry that it was to live to.
    Killed,
}

/// What an instance is born with.
pub(super) struct Birth {
    pub(super) access: Access,
    /// How far its clock is from the account's, in seconds.
    pub(super) skew: i64,
    pub(super) mistake: Option<Mistake>,
    /// It is killed as soon as the ledger has this entry.
    pub(super) until: Option<u64>,
}

/// Where an instance stands between two turns of the schedule.
pub(super) enum State {
    /// Waits for its next tick.
    Idle,
    /// In the middle of a tick, at a call.
    At(Waiting),
}

/// A running daemon.
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) state: State,
    /// How far its clock is from the account's, in seconds.
    pub(super) skew: Arc<AtomicI64>,
    /// When it wants to look again, by the account's clock.
    pub(super) due: Timestamp,
    /// The turn in which its tick began.
    pub(super) began: u64,
    ticks: mpsc::UnboundedSender<()>,
    said: mpsc::UnboundedReceiver<Said>,
    collector: Collector,
    task: JoinHandle<()>,
}

impl Instance {
    /// Starts a daemon. It says that it is up, or why not, before it makes its first call.
    pub(super) fn start(name: String, settings: Settings, born: Birth, sim: &Simulator) -> Instance {
        let (ticks, to_tick) = mpsc::unbounded_channel();
        let (sender, said) = mpsc::unbounded_channel();
        let collector = Collector::default();
        let listening = tracing_subscriber::registry().with(collector.clone());
        let skew = Arc::new(AtomicI64::new(born.skew));
        let (seconds, of_account) = (Arc::clone(&skew), sim.clone());
        let clock = Clock::of(move || {
            let now = of_account.now();
            now.saturating_add(SignedDuration::from_secs(seconds.load(Ordering::Relaxed))).unwrap_or(now)
        });
        let until = born.until.map(|entry| (settings.ledger.path.clone(), entry));
        let life = live(settings, born, sim.endpoint().to_string(), clock, to_tick, sender.clone());
        let life = async move {
            match until {
                Some((ledger, entry)) => until_entry(&ledger, entry, life, &sender).await,
                None => life.await,
            }
        };
        let task = tokio::task::spawn_local(life.with_subscriber(listening));
        Instance { name, state: State::Idle, skew, due: sim.now(), began: 0, ticks, said, collector, task }
    }

    /// Tells it to look now.
    pub(super) fn tick(&mut self, turn: u64) {
        self.began = turn;
        // If it has died, `said` tells.
        let _ = self.ticks.send(());
    }

    /// What it says next.
    pub(super) async fn says(&mut self) -> Said {
        self.said.recv().await.unwrap_or_else(|| Said::Failed("it ended by itself".to_string()))
    }

    /// What it emitted and wrote out since the last time.
    pub(super) fn told(&self) -> Vec<Event> {
        self.collector.take()
    }

    /// Kills it. What it emitted and had not noted as written out is lost with it.
    pub(super) async fn kill(self) -> Option<Waiting> {
        self.task.abort();
        // Its lease and connections are gone only when the task is.
        let _ = self.task.await;
        match self.state {
            State::At(waiting) => Some(waiting),
            State::Idle => None,
        }
    }
}

/// Lives until the ledger has an entry. The append is over before the daemon is polled again, so it never hears of it.
async fn until_entry(ledger: &Path, entry: u64, life: impl Future<Output = ()>, said: &mpsc::UnboundedSender<Said>) {
    let mut life = std::pin::pin!(life);
    let reached = std::future::poll_fn(|context| {
        if head(ledger).is_some_and(|head| head >= entry) {
            return Poll::Ready(true);
        }
        life.as_mut().poll(context).map(|()| false)
    });
    if reached.await {
        let _ = said.send(Said::Killed);
    }
}

/// The last entry, if the ledger is there and nobody writes to it right now.
fn head(ledger: &Path) -> Option<u64> {
    let connection = rusqlite::Connection::open_with_flags(ledger, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.query_row("SELECT coalesce(max(seq), 0) FROM entries", [], |row| row.get(0)).ok()
}

async fn live(
    settings: Settings,
    Birth { access, mistake, .. }: Birth,
    endpoint: String,
    clock: Clock,
    mut ticks: mpsc::UnboundedReceiver<()>,
    said: mpsc::UnboundedSender<Said>,
) {
    // Each call is sent once and alone, so that the schedule sees every one; a next tick is the retry.
    let connect = move |_: &_| Connection {
        retries: Retries::none(),
        in_flight: Some(NonZeroUsize::MIN),
        ..Connection::to_loopback(endpoint.clone())
    };
    let mut daemon = match Daemon::open(&settings, access, &connect).await {
        Ok(daemon) => daemon,
        Err(error) => {
            let _ = said.send(Said::NotStarted(crate::reconcile::chain(&error)));
            return;
        }
    };
    if mistake == Some(Mistake::NoFence) {
        daemon.parts().0.take_fence_down();
    }
    if mistake != Some(Mistake::EventLost) {
        daemon.parts().0.emit_missed();
    }
    let _ = said.send(Said::Started);
    while let Some(()) = ticks.recv().await {
        let ticked = daemon.tick(&clock).await;
        let noted = daemon.book().events_written().await;
        let _ = said.send(match (ticked, noted) {
            (Ok(tick), Ok(())) => Said::Ticked(tick),
            (Err(error), _) | (_, Err(error)) => Said::Failed(crate::reconcile::chain(&error)),
        });
    }
}
