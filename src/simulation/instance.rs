//! One daemon of the simulation: it starts, ticks when it is told to, and dies at any call.

use crate::edge::aws::{Connection, Retries};
use crate::edge::clock::Clock;
use crate::edge::event::Event;
use crate::edge::event::collect::Collector;
use crate::edge::settings::Settings;
use crate::reconcile::{Access, Daemon, Tick};
use crate::simulator::{Simulator, Waiting};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
    pub(super) fn start(name: String, settings: Settings, access: Access, sim: &Simulator, skew: i64) -> Instance {
        let (ticks, to_tick) = mpsc::unbounded_channel();
        let (sender, said) = mpsc::unbounded_channel();
        let collector = Collector::default();
        let listening = tracing_subscriber::registry().with(collector.clone());
        let skew = Arc::new(AtomicI64::new(skew));
        let (seconds, of_account) = (Arc::clone(&skew), sim.clone());
        let clock = Clock::of(move || {
            let now = of_account.now();
            now.saturating_add(SignedDuration::from_secs(seconds.load(Ordering::Relaxed))).unwrap_or(now)
        });
        let life =
            live(settings, access, sim.endpoint().to_string(), clock, to_tick, sender).with_subscriber(listening);
        let task = tokio::task::spawn_local(life);
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

async fn live(
    settings: Settings,
    access: Access,
    endpoint: String,
    clock: Clock,
    mut ticks: mpsc::UnboundedReceiver<()>,
    said: mpsc::UnboundedSender<Said>,
) {
    // Each call is sent once, so that the schedule sees every one; a next tick is the retry.
    let connect = move |_: &_| Connection { retries: Retries::none(), ..Connection::to_loopback(endpoint.clone()) };
    let mut daemon = match Daemon::open(&settings, access, &connect).await {
        Ok(daemon) => daemon,
        Err(error) => {
            let _ = said.send(Said::NotStarted(crate::reconcile::chain(&error)));
            return;
        }
    };
    daemon.parts().0.emit_missed();
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
