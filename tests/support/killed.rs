//! The real program, killed with SIGKILL at random moments of its work and started again; and what must hold at rest.
//!
//! The moment is a seed's: after so many calls to AWS, and some milliseconds more, which may fall into a call, into an
//! append to the ledger or between the two. `KILLS` and `KILL_SEED` in the environment say how often and from which seed.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use unthrottled::domain::history::{Fact, History, Record};
use unthrottled::domain::remediation::{Entry, Outcome, Stage};
use unthrottled::edge::event::{self, Event, Level, Place};
use unthrottled::edge::ledger::{Ledger, Store, lease};
use unthrottled::simulator::{Clock, Durations, Options, Simulator};

/// Kills where nobody asks for more: what every test run can afford.
const FEW: u32 = 12;

/// Throttled projects that wait for their cure at any time, so that each kill meets work.
const WAITING: usize = 3;

/// Throttled builds of a project: one leads to the remedy, and the other must not lead to a second.
const BUILDS: usize = 2;

/// No state takes as long on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

const SCOPE: &str = "default";

/// Where the ledger of a loop is.
pub struct Kept {
    /// The `[ledger]` table of the settings.
    pub settings: String,
    /// What the program needs in its environment to find it.
    pub variables: Vec<(&'static str, String)>,
    /// How the test itself opens it.
    pub store: Store,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    kills: u32,
    seed: u64,
}

/// Operation and target of a call that changed something.
type Write = (String, String);

/// An account in which Docker Hub throttles project after project, and the program that is killed at work.
struct Loop {
    sim: Simulator,
    kept: Kept,
    folder: tempfile::TempDir,
    projects: Vec<String>,
    throttled: Vec<String>,
    writes: Vec<Write>,
    lives: u32,
}

/// The program at work; it does not outlive the test.
struct Life(Child);

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Plan {
    /// As the environment says, or a few kills from any seed.
    pub fn asked() -> Plan {
        let kills = number("KILLS").map_or(FEW, |kills| u32::try_from(kills).expect("KILLS"));
        Plan { kills, seed: number("KILL_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000)) }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no other arguments; the program's settings are named otherwise"
)]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect(name))
}

/// Kills the program as often as planned, and then looks at what it leaves. `buried` is called after each kill.
#[expect(clippy::print_stderr, reason = "whoever reads of a failure needs the seed")]
pub async fn in_a_loop(plan: Plan, folder: tempfile::TempDir, kept: Kept, buried: impl AsyncFn()) {
    eprintln!("{plan:?}: again with KILLS={} KILL_SEED={}", plan.kills, plan.seed);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let mut it = Loop::new(folder, kept);
    for _ in 0..plan.kills {
        it.bring_work();
        let mut life = it.start();
        let (calls, pause) = (random.usize(0..60), Duration::from_micros(random.u64(0..40_000)));
        it.wait_for("calls", Some(&mut life), async |it: &Loop| it.sim.calls().len() >= calls).await;
        tokio::time::sleep(pause).await;
        drop(life);
        buried().await;
        it.note_writes();
    }
    it.come_to_rest().await;
    it.look_at_the_end().await;
    eprintln!("{} kills, {} projects cured, {} entries", plan.kills, it.projects.len(), it.records().await.len());
}

impl Loop {
    fn new(folder: tempfile::TempDir, kept: Kept) -> Loop {
        // A token of RetryBuild holds for five minutes of this clock, which has to be longer than any restart.
        let clock = Clock::Wall { speed: 4.0 };
        let options = Options { clock, durations: Durations::brief(), ..Options::default() };
        let sim = Simulator::start(options).expect("a port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "hub-pw");
            account.secret("dockerhub").login("acme", "hub-pw");
        });
        let settings = format!(
            r#"
            [daemon]
            mode = "apply"
            poll_interval = "50ms"
            http_listen = "127.0.0.1:0"
            [ledger]
            {}
            [credential.dockerhub]
            secret = "dockerhub"
            [[policy]]
            name = "all"
            projects = ["*"]
            mode = "apply"
            settle = "100ms"
            retry = "always"
            [policy.limits]
            max_open = 1000
            max_per_hour = 10000
            max_share = "100%"
            {}"#,
            kept.settings,
            sim.hub_settings()
        );
        std::fs::write(folder.path().join("settings.toml"), settings).expect("a settings file");
        Loop { sim, kept, folder, projects: Vec::new(), throttled: Vec::new(), writes: Vec::new(), lives: 0 }
    }

    /// Lets projects be throttled until enough wait for their cure.
    fn bring_work(&mut self) {
        let cured = self.projects.iter().filter(|project| self.is_cured(project)).count();
        for _ in self.projects.len()..cured + WAITING {
            let project = format!("svc-{}", self.projects.len());
            self.sim.account(|account| {
                account.project(&project).image("node:22");
            });
            for _ in 0..BUILDS {
                let build = self.sim.run_build(&project);
                assert_eq!(build.status, "FAILED");
                self.throttled.push(build.id);
            }
            self.projects.push(project);
        }
    }

    /// Whether a build with the secret ran to its end.
    fn is_cured(&self, project: &str) -> bool {
        let builds = self.sim.builds_of(project);
        let mut ended = builds.iter().filter(|build| build.status == "SUCCEEDED");
        ended.any(|build| self.sim.build_json(&build.id)["environment"].to_string().contains(":secret:"))
    }

    fn start(&mut self) -> Life {
        self.lives += 1;
        let log = File::create(self.log(self.lives)).expect("a log");
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.args(["run", "--log-format", "json", "--config"]).arg(self.folder.path().join("settings.toml"));
        command.env("AWS_ENDPOINT_URL", self.sim.endpoint()).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(self.kept.variables.iter().cloned());
        command.current_dir(self.folder.path()).stdout(log).stderr(Stdio::inherit());
        Life(command.spawn().expect("the program starts"))
    }

    fn log(&self, life: u32) -> PathBuf {
        self.folder.path().join(format!("life-{life}.log"))
    }

    /// Waits for a state; a program that ends by itself has failed.
    async fn wait_for(&self, what: &str, mut life: Option<&mut Life>, reached: impl AsyncFn(&Loop) -> bool) {
        let poll = async {
            let mut often = tokio::time::interval(Duration::from_millis(2));
            while !reached(self).await {
                if let Some(Life(child)) = &mut life {
                    let ended = child.try_wait().expect("a status");
                    assert_eq!(ended, None, "life {} ended by itself, before: {what}", self.lives);
                }
                often.tick().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "never came: {what} (life {})", self.lives);
    }

    fn note_writes(&mut self) {
        self.writes.extend(self.sim.writes().into_iter().map(|call| (call.operation, call.target)));
        self.sim.forget_calls();
    }

    /// Lets the program live until nothing is left to do and it has looked twice more; then stops it.
    async fn come_to_rest(&mut self) {
        let mut life = self.start();
        self.wait_for("rest", Some(&mut life), async |it: &Loop| it.is_at_rest().await).await;
        self.note_writes();
        let looks = |it: &Loop| it.sim.calls().iter().filter(|call| call.operation == "ListBuilds").count();
        self.wait_for("three more looks", Some(&mut life), async |it: &Loop| looks(it) > 3).await;
        assert_eq!(self.sim.writes().len(), 0, "writes at rest");
        let sent = Command::new("kill").arg("-TERM").arg(life.0.id().to_string()).status().expect("kill");
        assert!(sent.success());
        self.wait_for("the stop", None, async |_: &Loop| true).await;
        let status = life.0.wait().expect("a status");
        assert_eq!(status.code(), Some(0));
    }

    async fn is_at_rest(&self) -> bool {
        self.projects.iter().all(|project| self.is_cured(project)) && {
            let history = folded(&self.records().await);
            history.pending().is_empty() && history.open().next().is_none()
        }
    }

    async fn ledger(&self) -> Ledger {
        Ledger::open_existing(&self.kept.store).await.expect("it can be read").expect("it was begun")
    }

    async fn records(&self) -> Vec<Record> {
        match Ledger::open_existing(&self.kept.store).await.expect("it can be read") {
            Some(ledger) => ledger.load().await.expect("it can be read"),
            None => Vec::new(),
        }
    }

    async fn look_at_the_end(&self) {
        let records = self.records().await;
        self.each_was_remedied_once(&records);
        assert_eq!(lease::holder(&self.kept.store).await.expect("a lease"), None, "a lock is left");
        for name in std::fs::read_dir(self.folder.path()).expect("a folder") {
            let name = name.expect("a name").file_name().into_string().expect("a text");
            let is_ours = ["settings.toml", "l.ledger", "l.ledger.lock"].contains(&name.as_str());
            assert!(is_ours || name.starts_with("life-"), "{name} is left");
        }
        self.events_tell_the_ledger(&records, self.ledger().await.id());
    }

    fn each_was_remedied_once(&self, records: &[Record]) {
        let mut done: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        // A build may be told to stop until a life has noted that it was.
        let stops: BTreeSet<&Write> = self.writes.iter().filter(|(operation, _)| operation == "StopBuild").collect();
        let others = self.writes.iter().filter(|(operation, _)| operation != "StopBuild");
        for (operation, target) in stops.into_iter().chain(others) {
            // Of a build its project counts.
            let project = target.split(':').next().unwrap_or_default();
            *done.entry((operation, project.trim_start_matches("codebuild-"))).or_default() += 1;
        }
        for ((operation, project), times) in &done {
            assert_eq!(*times, 1, "{operation} of {project}");
        }
        let of_each = ["PutRolePolicy", "UpdateProject", "RetryBuild", "StopBuild", "StartBuild"];
        assert_eq!(done.len(), of_each.len() * self.projects.len(), "{done:?}");
        let history = folded(records);
        let verified = history.remediations().filter(|(_, r)| r.stage() == Stage::Closed(Outcome::Verified)).count();
        assert_eq!(verified, self.projects.len());
        let is_plan = |record: &&Record| matches!(&record.fact, Fact::Remediation { entry: Entry::Planned(_), .. });
        assert_eq!(records.iter().filter(is_plan).count(), self.projects.len());
        for build in &self.throttled {
            let is_it = |record: &&Record| matches!(&record.fact, Fact::Detected(it) if it.build.as_str() == build);
            assert_eq!(records.iter().filter(is_it).count(), 1, "{build}");
        }
    }

    /// Every entry's event was written out by some life, always in the same words, and no other was.
    fn events_tell_the_ledger(&self, records: &[Record], ledger: &str) {
        let mut told: BTreeMap<String, Event> = BTreeMap::new();
        for life in 1..=self.lives {
            let text = std::fs::read_to_string(self.log(life)).expect("a log");
            // What a kill cut has no end.
            for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
                let event: Event = serde_json::from_str(line).unwrap_or_else(|_| panic!("life {life} said: {line}"));
                let Some(id) = event.event_id.clone() else { continue };
                let before = told.insert(id, event.clone());
                assert!(before.as_ref().is_none_or(|before| *before == event), "{before:?} became {event:?}");
            }
        }
        let account = Some(Options::default().account_id);
        let place = Place { scope: SCOPE.to_string(), account, region: "us-east-1".to_string() };
        let mut history = History::default();
        for record in records {
            history.apply(record).expect("what can have happened");
            let event = event::of_record(record, &history, &place, ledger).filter(|event| event.level != Level::Debug);
            let Some(event) = event else { continue };
            let told = told.remove(event.event_id.as_deref().expect("an id"));
            assert_eq!(told, Some(event), "entry {}", record.seq);
        }
        assert_eq!(told, BTreeMap::new(), "told and not in the ledger");
    }
}

fn folded(records: &[Record]) -> History {
    let mut history = History::default();
    for record in records {
        history.apply(record).expect("what can have happened");
    }
    history
}
