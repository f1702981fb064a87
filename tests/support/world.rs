//! A simulated account, the daemon's settings and its ledger: what a scenario is told with.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tracing_subscriber::layer::SubscriberExt as _;
use unthrottled::domain::history::{Fact, Record};
use unthrottled::domain::iam_policy::{self, Account, Bounds, Document, Grantee, Place};
use unthrottled::domain::plan::RemediationId;
use unthrottled::domain::remediation::{Entry, Remediation, RollbackReason};
use unthrottled::edge::aws::{Connection, Retries};
use unthrottled::edge::clock::Clock;
use unthrottled::edge::event::Event;
use unthrottled::edge::event::collect::Collector;
use unthrottled::edge::ledger::Ledger;
use unthrottled::edge::settings::{ScopeSettings, Settings, Sources};
use unthrottled::reconcile::{Access, Daemon, StartError, Tick};
use unthrottled::simulator::{Options, Simulator};

/// The settings of a scenario: everything may be applied, and nothing waits long.
pub const SETTINGS: &str = r#"
[daemon]
mode = "apply"
poll_interval = "30s"
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
"#;

/// The role that the daemon runs with. It is held to the policy that `iam-policy` prints for the world's settings, so that
/// every scenario shows that nothing is lacking there.
pub const ROLE: &str = "unthrottled";

/// The inline policy that the daemon puts on service roles.
pub const GRANT: &str = "unthrottled-dockerhub";

/// A world.
pub struct World {
    pub sim: Simulator,
    pub collector: Collector,
    settings: String,
    folder: tempfile::TempDir,
    /// What was emitted in ticks that came to their end.
    told: RefCell<Vec<Event>>,
    /// What the daemon's role may do, where it is not what the settings need.
    policy_for: RefCell<Option<Value>>,
}

impl World {
    /// An account whose Docker Hub refuses every anonymous pull, and a good secret.
    pub fn new() -> World {
        World::with(Options::default())
    }

    /// The same with the account's unknowns set.
    pub fn with(options: Options) -> World {
        listen_everywhere();
        let sim = Simulator::start(options).expect("a loopback port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "hub-pw");
            account.secret("dockerhub").login("acme", "hub-pw");
            // The access key of `Connection::to_loopback`.
            account.role(ROLE).called_by("unthrottled");
        });
        World {
            sim,
            policy_for: RefCell::default(),
            collector: Collector::default(),
            settings: SETTINGS.to_string(),
            folder: folder(),
            told: RefCell::default(),
        }
    }

    /// Puts a text in the place of another in the settings.
    pub fn set(mut self, from: &str, to: &str) -> World {
        assert!(self.settings.contains(from), "the settings hold no `{from}`");
        self.settings = self.settings.replace(from, to);
        self
    }

    /// Docker Hub is not asked before a remedy: what it would have said shows in the builds.
    pub fn unguarded(self) -> World {
        self.set("[daemon]", "[docker_hub]\nquota_guard = false\n[daemon]")
    }

    /// Adds lines to the one policy.
    pub fn policy(self, lines: &str) -> World {
        self.set("projects = [\"*\"]\n", &format!("projects = [\"*\"]\n{lines}\n"))
    }

    /// The ledger's file.
    pub fn ledger(&self) -> PathBuf {
        self.folder.path().join("test.ledger")
    }

    /// The parsed settings.
    pub fn parsed(&self) -> Settings {
        let hub = if self.settings.contains("[docker_hub]") { String::new() } else { self.sim.hub_settings() };
        let text = format!("{}\n[ledger]\npath = {:?}\n{hub}", self.settings, self.ledger());
        Settings::load(&Sources::text(&text)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A daemon that takes up the world's ledger, and says what a killed one before it did not come to say.
    pub async fn daemon(&self) -> Daemon {
        let mut daemon = self.open(Access::Write).await.expect("the daemon starts");
        daemon.parts().0.emit_missed();
        daemon
    }

    /// A daemon, or why it does not start. Calls are sent once, so that a fault is not hidden by a retry of the SDK.
    pub async fn open(&self, access: Access) -> Result<Daemon, StartError> {
        self.set_role();
        let endpoint = self.sim.endpoint().to_string();
        let connect = move |_: &_| Connection { retries: Retries::none(), ..Connection::to_loopback(endpoint.clone()) };
        Daemon::open(&self.parsed(), access, &connect).await
    }

    /// Gives the daemon's role what it may do.
    pub fn set_role(&self) {
        let policy = self.policy_for.borrow().clone().unwrap_or_else(|| needed(&self.parsed()).json());
        self.sim.account(|account| drop(account.role(ROLE).managed_policy("unthrottled", policy)));
    }

    /// From the next daemon on, its role may do this, whatever the settings need.
    pub fn role_may(&self, policy: Value) {
        self.policy_for.replace(Some(policy));
    }

    /// The simulated time.
    pub fn clock(&self) -> Clock {
        let sim = self.sim.clone();
        Clock::of(move || sim.now())
    }

    /// One tick now.
    pub async fn tick(&self, daemon: &mut Daemon) -> Tick {
        let tick = daemon.tick(&self.clock()).await.expect("a ledger that can be written");
        self.hear();
        daemon.book().events_written().await.expect("a ledger that can be written");
        tick
    }

    fn hear(&self) {
        self.told.borrow_mut().extend(self.collector.take());
    }

    /// What was emitted since the last time.
    pub fn told(&self) -> Vec<Event> {
        self.hear();
        self.told.take()
    }

    /// The daemon is killed: what it emitted and had not noted as written out is lost with it.
    pub fn kill(&self, daemon: Daemon) {
        drop(daemon);
        self.collector.take();
        self.sim.release();
    }

    /// Ticks as the daemon would, for so long.
    pub async fn play(&self, daemon: &mut Daemon, length: SignedDuration) {
        let end = self.sim.now() + length;
        while self.sim.now() < end {
            let tick = self.tick(daemon).await;
            self.sim.advance(pause(self.sim.now(), tick.wake, end));
        }
        self.tick(daemon).await;
    }

    /// Plays until nothing is under way any more, and fails if that does not come within an hour.
    pub async fn rest(&self, daemon: &mut Daemon) {
        let end = self.sim.now() + SignedDuration::from_hours(1);
        loop {
            let tick = self.tick(daemon).await;
            if tick.is_whole() && tick.counts.builds_waiting == 0 && tick.counts.remediations_open == 0 {
                return;
            }
            assert!(self.sim.now() < end, "no rest within an hour: {tick:?}");
            self.sim.advance(pause(self.sim.now(), tick.wake, end));
        }
    }

    /// Every record in the ledger.
    pub async fn records(&self) -> Vec<Record> {
        let ledger = Ledger::open(&self.ledger()).await.expect("a ledger");
        ledger.load().await.expect("records")
    }

    /// Every remediation in the ledger, folded.
    pub async fn remediations(&self) -> Vec<Remediation> {
        let mut entries: BTreeMap<RemediationId, Vec<(Timestamp, Entry)>> = BTreeMap::new();
        for record in self.records().await {
            if let Fact::Remediation { id, entry } = record.fact {
                entries.entry(id).or_default().push((record.at, entry));
            }
        }
        entries.values().map(|entries| Remediation::replay(entries).expect("a sound history")).collect()
    }

    /// How each remediation stands, as `web: verified`, sorted.
    pub async fn stages(&self) -> Vec<String> {
        let mut stages: Vec<String> =
            self.remediations().await.iter().map(|r| format!("{}: {}", r.plan().project, r.stage().word())).collect();
        stages.sort();
        stages
    }

    /// A person takes back what was done to a project, beside the daemon that runs. What that process says is not collected.
    pub async fn roll_back(&self, project: &str) {
        let ids: Vec<RemediationId> = self
            .remediations()
            .await
            .into_iter()
            .filter(|r| r.plan().project.as_str() == project && r.stage().word() != "rolled_back")
            .map(|r| r.plan().id.clone())
            .collect();
        assert!(!ids.is_empty(), "nothing to take back from {project}");
        for id in ids {
            let entry =
                Entry::RollbackDecided { reason: RollbackReason::Operator, detail: "asked for".to_string(), by: None };
            self.record(Fact::Remediation { id, entry }).await;
        }
    }

    /// Another process records beside the daemon that runs. What that process says is not collected.
    pub async fn record(&self, fact: Fact) {
        let _unheard = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
        let mut second = self.open(Access::Append).await.expect("a second process may append");
        let (book, scopes) = second.parts();
        let scope = scopes[0].scope().to_string();
        book.record(&scope, fact, self.sim.now()).await.expect("an entry");
    }

    /// How often each operation of AWS was called since the calls were forgotten.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for call in self.sim.calls().into_iter().filter(|call| call.service != "hub") {
            *calls.entry(call.operation).or_insert(0) += 1;
        }
        calls
    }

    /// How often Docker Hub was asked since the calls were forgotten.
    pub fn hub_calls(&self) -> usize {
        self.sim.calls().iter().filter(|call| call.operation == "HubToken").count()
    }

    /// What was written since the calls were forgotten, as `UpdateProject web`.
    pub fn writes(&self) -> Vec<String> {
        self.sim.writes().iter().map(|call| format!("{} {}", call.operation, call.target)).collect()
    }
}

/// What `iam-policy` prints for settings whose projects, roles, log groups and keys may have any name.
pub fn needed(settings: &Settings) -> Document {
    let region = "us-east-1".to_string();
    let place = |scope: &ScopeSettings| Place { scope: scope.name.clone(), region: region.clone() };
    let own = settings.scopes.iter().filter(|scope| scope.role_arn.is_none());
    let any = || vec!["*".to_string()];
    iam_policy::document(&Grantee {
        account: Account { partition: "aws".to_string(), number: "111122223333".to_string() },
        policies: &settings.policies,
        most: settings.daemon.mode,
        scopes: own.map(place).collect(),
        table: None,
        members: settings.scopes.iter().filter_map(|scope| scope.role_arn.clone()).collect(),
        bounds: Bounds {
            roles: any(),
            log_groups: any(),
            keys: vec!["arn:aws:kms:us-east-1:111122223333:key/*".to_string()],
            ..Bounds::default()
        },
    })
}

/// In memory where the machine has such a place: no test is about a disk that forgets, and waiting for it is most of the time.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Gives the process a subscriber for good. Without one, `tracing` may take an event for unwanted while the collectors of
/// tests on other threads come and go.
fn listen_everywhere() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let everywhere = tracing_subscriber::registry().with(Collector::default());
        tracing::subscriber::set_global_default(everywhere).expect("the first");
    });
}

/// How long to the next tick: as the daemon asked, at the latest the poll.
fn pause(now: Timestamp, wake: Option<Timestamp>, end: Timestamp) -> SignedDuration {
    let poll = now + SignedDuration::from_secs(30);
    let next = wake.map_or(poll, |wake| wake.min(poll)).min(end);
    now.duration_until(next).max(SignedDuration::from_secs(1))
}
