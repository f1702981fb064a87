//! The daemon: tick, wait, stop.

use crate::domain::plan::RemediationId;
use crate::domain::remediation::{Remediation, Stage};
use crate::edge::aws::{Aws, ConnectError, Connection, account_of};
use crate::edge::clock::Clock;
use crate::edge::event::{self, Place};
use crate::edge::http::{Health, Reached};
use crate::edge::ledger::lease::{self, Lease, LeaseError};
use crate::edge::ledger::table::TableStore;
use crate::edge::ledger::{Ledger, LedgerError, Store};
use crate::edge::metrics::Metrics;
use crate::edge::settings::{
    DockerHubSettings, LedgerSettings, LedgerStore, MetricLines, ScopeSettings, Settings, Sources,
};
use crate::reconcile::view::{Board, LastTick, Sight};
use crate::reconcile::{Book, BookError, Guard, Memory, Reconciler, Rules, Tick, chain};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a tick under way is given to finish its step when the daemon is told to stop; ECS kills after 30 s, and the
/// longest call takes 8 s.
const GRACE: Duration = Duration::from_secs(9);

/// The shortest pause between two ticks, so that an overdue look can't spin.
const PAUSE: SignedDuration = SignedDuration::from_millis(10);

/// Whether the ledger will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads what is there; nothing is made.
    Read,
    /// Acts: appends, and holds the lease, which one process can.
    Write,
    /// The same for once, as a person asks: whatever ever happened can be taken back.
    Once,
    /// Appends what a person decided, beside the process that acts.
    Append,
}

/// Why the daemon can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger can't be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Its entries can't be used.
    #[error(transparent)]
    Book(#[from] BookError),
    /// Another process acts on this ledger.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// AWS can't be reached with what was configured.
    #[error("scope `{scope}`")]
    Connect {
        /// Which scope.
        scope: String,
        /// Why.
        source: ConnectError,
    },
}

/// The ledger and every scope, ready to tick.
#[derive(Debug)]
pub struct Daemon {
    book: Book,
    scopes: Vec<Reconciler>,
    settings: Settings,
    stop: CancellationToken,
    /// The last complaint about new settings, so that it is made once.
    complaint: Option<String>,
    lease: Option<Lease>,
    metrics: Metrics,
    /// Where what there is to see is put after each tick.
    board: Option<Board>,
    /// What the last tick saw of each scope.
    sights: BTreeMap<String, Sight>,
    last_tick: Option<LastTick>,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// Another daemon may be the one that acts. Opened anew under a new lease, the daemon goes on as after a restart.
    LeaseLost,
}

/// How a scope is connected to: as the settings say, or in tests to a server of their own.
pub type Connect<'a> = &'a dyn Fn(&ScopeSettings) -> Connection;

/// Connects as the settings and the standard AWS variables say.
pub fn as_configured(scope: &ScopeSettings) -> Connection {
    Connection {
        region: scope.region.clone(),
        role_arn: scope.role_arn.clone(),
        external_id: scope.external_id.clone(),
        ..Connection::default()
    }
}

/// Where the settings say that the ledger is.
pub fn store(settings: &LedgerSettings) -> Store {
    match settings.store {
        LedgerStore::File => Store::File(settings.path.clone()),
        LedgerStore::DynamoDb => Store::DynamoDb(TableStore::new(&settings.table)),
    }
}

impl Daemon {
    /// Opens the ledger and connects every scope. With [`Access::Write`] and [`Access::Once`] it takes the lease: one process acts at a time.
    pub async fn open(settings: &Settings, access: Access, connect: Connect<'_>) -> Result<Daemon, StartError> {
        let store = store(&settings.ledger);
        let ledger = match access {
            Access::Read => Ledger::open_existing(&store).await?,
            Access::Append => Some(Ledger::open(&store).await?),
            Access::Write | Access::Once => {
                return Daemon::open_under(lease::take(&store).await?, &store, settings, access, connect).await;
            }
        };
        Daemon::of(ledger, settings, access, connect).await
    }

    /// The same under a lease of this ledger that was taken before; it is given back if the daemon can't start.
    pub async fn open_under(
        lease: Lease,
        store: &Store,
        settings: &Settings,
        access: Access,
        connect: Connect<'_>,
    ) -> Result<Daemon, StartError> {
        let opened = match Ledger::open(store).await {
            Ok(ledger) => Daemon::of(Some(ledger.under(&lease)), settings, access, connect).await,
            Err(error) => Err(error.into()),
        };
        match opened {
            Ok(daemon) => Ok(Daemon { lease: Some(lease), ..daemon }),
            Err(error) => {
                lease.release().await;
                Err(error)
            }
        }
    }

    async fn of(
        ledger: Option<Ledger>,
        settings: &Settings,
        access: Access,
        connect: Connect<'_>,
    ) -> Result<Daemon, StartError> {
        let mut connected = Vec::new();
        for scope in &settings.scopes {
            let wrap = |source| StartError::Connect { scope: scope.name.clone(), source };
            let aws = Aws::connect(&connect(scope)).await.map_err(wrap)?;
            let account = scope.role_arn.as_deref().and_then(account_of).map(str::to_string);
            connected.push((Place { scope: scope.name.clone(), account, region: aws.region.clone() }, aws));
        }
        let places = connected.iter().map(|(place, _)| place.clone()).collect();
        let memory = match access {
            Access::Write => Memory::Bounded { lookback: settings.daemon.lookback },
            Access::Read | Access::Once | Access::Append => Memory::Whole,
        };
        let book = Book::open(ledger, places, memory).await?;
        let stop = CancellationToken::new();
        let mut scopes = Vec::new();
        for (place, aws) in connected {
            scopes.push(Reconciler::open(&book, &place.scope, aws, rules(settings), stop.clone()).await?);
        }
        let metrics = Metrics::default();
        Ok(Daemon {
            book,
            scopes,
            settings: settings.clone(),
            stop,
            complaint: None,
            lease: None,
            metrics,
            board: None,
            sights: BTreeMap::new(),
            last_tick: None,
        })
    }

    /// Counts into these metrics.
    pub fn counting(self, metrics: Metrics) -> Daemon {
        Daemon { metrics, ..self }
    }

    /// Shows on this board how it stands.
    pub fn showing(self, board: Board) -> Daemon {
        Daemon { board: Some(board), ..self }
    }

    /// One tick of every scope.
    pub async fn tick(&mut self, clock: &Clock) -> Result<Tick, BookError> {
        let mut all = Tick::default();
        for scope in &mut self.scopes {
            if self.stop.is_cancelled() {
                break;
            }
            let tick = scope.tick(&mut self.book, clock).await?;
            let sight = Sight::after(self.sights.get(scope.scope()), &tick, clock.now());
            self.sights.insert(scope.scope().to_string(), sight);
            all.add(tick);
        }
        Ok(all)
    }

    /// Puts what there is to see where people see it.
    fn show(&mut self, now: Timestamp) {
        self.book.forget_old(now);
        if let Some(board) = &self.board {
            board.show(self.view(now));
        }
    }

    /// Ticks until `shutdown` resolves. `hangup` asks for the settings to be read again at once; a changed file is noticed
    /// before each tick as well.
    ///
    /// # Guarantees
    /// Ends within ten seconds of `shutdown`, and two more where DynamoDB does not take the lease back: the step under way
    /// is finished, or given up, which is as safe as a kill. It is given up at once when the lease is lost.
    pub async fn run(
        mut self,
        sources: &Sources,
        health: Health,
        clock: &Clock,
        hangup: &Notify,
        shutdown: impl Future<Output = ()>,
    ) -> Ended {
        let lease = self.lease.take();
        let ended = tokio::select! {
            // Looked at first: what the loop would do next is no longer its business.
            biased;
            () = lost(lease.as_ref()) => Ended::LeaseLost,
            () = self.ticks(sources, health, clock, hangup, shutdown) => Ended::Stopped,
        };
        if let Some(lease) = lease {
            lease.release().await;
        }
        ended
    }

    /// Ticks until `shutdown` resolves.
    async fn ticks(
        &mut self,
        sources: &Sources,
        health: Health,
        clock: &Clock,
        hangup: &Notify,
        shutdown: impl Future<Output = ()>,
    ) {
        let mut shutdown = pin!(shutdown);
        event::emit(&event::daemon_started(self.settings.summary(), clock.now()));
        self.book.emit_missed();
        loop {
            self.reload(sources, clock.now());
            self.show(clock.now());
            let began = clock.now();
            health.progress(began);
            let stop = self.stop.clone();
            let ticked = tokio::select! {
                ticked = self.tick(clock) => Some(ticked),
                () = async {
                    (&mut shutdown).await;
                    stop.cancel();
                    tokio::time::sleep(GRACE).await;
                } => None,
            };
            if stop.is_cancelled() {
                break;
            }
            // Whether or not this is noted, the events were written: at the worst they come twice.
            let _ = self.book.events_written().await;
            let pause = self.after_tick(ticked, &health, began, clock.now());
            self.show(clock.now());
            tokio::select! {
                () = tokio::time::sleep(pause) => (),
                () = hangup.notified() => (),
                () = &mut shutdown => break,
            }
        }
        event::emit(&event::daemon_stopped(clock.now()));
        // What the last tick counted may be what an alarm waits for.
        self.tell_metrics(clock.now());
    }

    /// Writes what was counted since the last time among the events, where that is wanted.
    fn tell_metrics(&self, now: Timestamp) {
        if self.settings.daemon.metrics == MetricLines::Emf {
            self.metrics.tell(now);
        }
    }

    /// Gives the lease back, so that the next need not wait for it to expire.
    pub async fn close(self) {
        if let Some(lease) = self.lease {
            lease.release().await;
        }
    }

    /// Says how the tick went, and how long to wait for the next.
    fn after_tick(
        &mut self,
        ticked: Option<Result<Tick, BookError>>,
        health: &Health,
        began: Timestamp,
        now: Timestamp,
    ) -> Duration {
        let failed = ticked.as_ref().and_then(|ticked| ticked.as_ref().err()).map(|error| chain(error));
        self.last_tick = Some(LastTick { ended: now, took: now.duration_since(began), failed });
        let poll = self.settings.daemon.poll_interval;
        let mut until = began.saturating_add(poll).unwrap_or(Timestamp::MAX);
        match ticked {
            Some(Ok(tick)) => {
                health.ticked(now, if tick.is_whole() { Reached::All } else { Reached::Part });
                self.metrics.ticked(tick.counts, tick.coverage, began, now);
                event::emit(&event::tick_completed(&self.place(), tick.counts, now.duration_since(began), now));
                if let Some(wake) = tick.wake {
                    until = until.min(wake);
                }
            }
            Some(Err(error)) => {
                health.ticked(now, Reached::Part);
                self.metrics.tick_failed(began, now);
                event::emit(&event::scan_incomplete(&self.place(), "ledger_unavailable", &chain(&error), now));
            }
            None => (),
        }
        self.tell_metrics(now);
        let pause = now.duration_until(until).max(PAUSE).min(poll);
        Duration::try_from(pause).unwrap_or_default()
    }

    /// Puts changed settings in force; bad ones are complained about once, and the last good ones stay.
    fn reload(&mut self, sources: &Sources, now: Timestamp) {
        match Settings::load(sources) {
            Ok(settings) => {
                self.complaint = None;
                if settings.fingerprint() == self.settings.fingerprint() {
                    return;
                }
                for scope in &mut self.scopes {
                    scope.set_rules(rules(&settings));
                }
                event::emit(&event::settings_reloaded(settings.summary(), now));
                self.settings = settings;
            }
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    event::emit(&event::settings_rejected(&complaint, now));
                    self.complaint = Some(complaint);
                }
            }
        }
    }

    fn place(&self) -> Place {
        match self.scopes.as_slice() {
            [only] => self.book.place(only.scope()),
            _ => Place { scope: String::new(), account: None, region: String::new() },
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the last tick saw of a scope.
    pub(super) fn sight(&self, scope: &str) -> Option<&Sight> {
        self.sights.get(scope)
    }

    /// The last tick that ended, however it did.
    pub(super) fn last_tick(&self) -> Option<&LastTick> {
        self.last_tick.as_ref()
    }

    /// The ledger, folded.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The ledger and one scope.
    pub fn parts(&mut self) -> (&mut Book, &mut [Reconciler]) {
        (&mut self.book, &mut self.scopes)
    }

    /// The names of the scopes.
    pub fn scope_names(&self) -> Vec<String> {
        self.scopes.iter().map(|scope| scope.scope().to_string()).collect()
    }

    /// Remediations whose changes are being made or taken back.
    pub fn under_way(&self) -> usize {
        let moving = |r: &Remediation| matches!(r.stage(), Stage::Planned | Stage::RollingBack);
        let of = |scope: &Reconciler| self.book.history(scope.scope()).open().filter(|(_, r)| moving(r)).count();
        self.scopes.iter().map(of).sum()
    }

    /// Advances these remediations and no others; answers when the next look is worth it.
    pub async fn advance(
        &mut self,
        ids: &[(String, RemediationId)],
        clock: &Clock,
    ) -> Result<Option<Timestamp>, BookError> {
        self.book.catch_up().await?;
        let mut wake: Option<Timestamp> = None;
        for (name, id) in ids {
            if let Some(scope) = self.scopes.iter_mut().find(|scope| scope.scope() == name)
                && let Some(at) = scope.advance_only(&mut self.book, id, clock).await?
            {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            }
        }
        Ok(wake)
    }
}

/// Resolves once the lease is lost; without one there is nothing to lose.
async fn lost(lease: Option<&Lease>) {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        policies: settings.policies.clone(),
        mode: settings.daemon.mode,
        lookback: settings.daemon.lookback,
        images: settings.images.clone(),
        guard: guard(&settings.docker_hub),
    }
}

fn guard(hub: &DockerHubSettings) -> Option<Guard> {
    (hub.probe && hub.quota_guard).then(|| Guard {
        auth_url: hub.auth_url.clone(),
        registry_url: hub.registry_url.clone(),
        floor: hub.quota_floor,
    })
}
