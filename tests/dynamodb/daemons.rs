//! Daemons that take turns on one table, as the tasks of a deployment do: the real program, told to stop and killed.
//!
//! Nothing here waits for a time to pass: each wait is for a state, and fails if that does not come.

use super::{new_name, table_at, url};
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;
use unthrottled::domain::history::Fact;
use unthrottled::domain::remediation::{Entry, Outcome, Stage};
use unthrottled::edge::ledger::table::TableStore;
use unthrottled::edge::ledger::{Ledger, Store, lease};
use unthrottled::reconcile::{Book, Memory};
use unthrottled::simulator::{Clock, Durations, Options, Simulator};

pub const PROJECTS: usize = 40;
const BUILDS: usize = 5;

/// No state takes as long on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A stop has to be obeyed within this time.
const GRACE: Duration = Duration::from_secs(12);

/// An account with throttled builds, a table without a ledger, and the program's settings.
pub struct Setting {
    pub sim: Simulator,
    pub table: TableStore,
    /// Where the program finds DynamoDB.
    pub dynamodb: String,
    folder: tempfile::TempDir,
}

impl Setting {
    pub fn new() -> Setting {
        // A token of RetryBuild holds for five minutes of this clock, which has to be longer than a takeover.
        let clock = Clock::Wall { speed: 4.0 };
        let options = Options { clock, durations: Durations::brief(), ..Options::default() };
        let sim = Simulator::start(options).expect("a port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "hub-pw");
            account.secret("dockerhub").login("acme", "hub-pw");
            for project in projects() {
                account.project(&project).image("node:22");
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let table = table_at(&url(), &new_name());
        let settings = format!(
            r#"
            [daemon]
            mode = "apply"
            poll_interval = "100ms"
            [ledger]
            store = "dynamodb"
            table = "{}"
            [credential.dockerhub]
            secret = "dockerhub"
            [[policy]]
            name = "all"
            projects = ["*"]
            mode = "apply"
            settle = "100ms"
            retry = "always"
            [policy.limits]
            max_open = {PROJECTS}
            max_per_hour = 1000
            max_share = "100%"
            {}"#,
            table.table,
            sim.hub_settings()
        );
        std::fs::write(folder.path().join("settings.toml"), settings).expect("a settings file");
        Setting { sim, table, dynamodb: url(), folder }
    }

    /// Answers the builds.
    pub fn throttle(&self) -> Vec<String> {
        let mut builds = Vec::new();
        for project in projects() {
            for _ in 0..BUILDS {
                let build = self.sim.run_build(&project);
                assert_eq!(build.status, "FAILED");
                builds.push(build.id);
            }
        }
        builds
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.args(arguments).arg("--config").arg(self.folder.path().join("settings.toml"));
        command.env("AWS_ENDPOINT_URL", self.sim.endpoint()).env("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb);
        command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
        command.env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.current_dir(self.folder.path());
        command
    }

    /// What a command prints on standard output and standard error, and its exit code.
    pub fn says(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        words(self.command(arguments).output().expect("the program runs"))
    }

    /// The same where this process has to serve what the program asks.
    pub async fn said(&self, arguments: &[&str]) -> (String, String, Option<i32>) {
        let mut command = self.command(arguments);
        let ended = tokio::task::spawn_blocking(move || command.output());
        words(ended.await.expect("no panic").expect("the program runs"))
    }

    /// Starts a daemon.
    pub fn run(&self, name: &str) -> Daemon {
        let log = self.folder.path().join(name);
        // Free now; nobody else takes ports by number on this machine.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut command = self.command(&["run", "--log-format", "json"]);
        command.arg("--set").arg(format!("daemon.http_listen=127.0.0.1:{port}"));
        command.stdout(File::create(&log).expect("a log"));
        command.stderr(File::create(log.with_extension("err")).expect("a log"));
        Daemon { child: command.spawn().expect("the program starts"), log, port }
    }

    /// Projects with a build that ran to its end with the secret.
    pub fn proven(&self) -> usize {
        let is_proof = |project: &String| {
            let builds = self.sim.builds_of(project);
            let mut ended = builds.iter().filter(|build| build.status == "SUCCEEDED");
            ended.any(|build| self.sim.build_json(&build.id)["environment"].to_string().contains(":secret:"))
        };
        projects().iter().filter(|project| is_proof(project)).count()
    }

    pub async fn all_are_verified(&self) {
        until("every proof", async || self.proven() == PROJECTS).await;
        until("every verdict", async || {
            let book = self.book().await;
            let verified = |stage| stage == Stage::Closed(Outcome::Verified);
            book.history("default").remediations().filter(|(_, r)| verified(r.stage())).count() == PROJECTS
        })
        .await;
    }

    /// Every project has one grant, one change and one retry, and every throttled build one entry and an outcome.
    pub async fn each_was_remedied_once(&self, throttled: &[String]) {
        let writes = self.sim.writes();
        for operation in ["UpdateProject", "PutRolePolicy", "RetryBuild"] {
            let done = writes.iter().filter(|call| call.operation == operation);
            // Of a retried build its project counts.
            let mut targets: Vec<&str> = done.map(|call| call.target.split(':').next().unwrap_or_default()).collect();
            targets.sort_unstable();
            let all = targets.len();
            targets.dedup();
            assert_eq!((all, targets.len()), (PROJECTS, PROJECTS), "{operation}");
        }
        let ledger = Ledger::open(Store::DynamoDb(self.table.clone())).await.expect("a ledger");
        let records = ledger.load().await.expect("a history");
        let mut detected: Vec<&str> = Vec::new();
        for record in &records {
            if let Fact::Detected(found) = &record.fact {
                detected.push(found.build.as_str());
            }
        }
        for build in throttled {
            assert_eq!(detected.iter().filter(|id| *id == build).count(), 1, "{build}");
        }
        let plans =
            records.iter().filter(|record| matches!(&record.fact, Fact::Remediation { entry: Entry::Planned(_), .. }));
        assert_eq!(plans.count(), PROJECTS);
        assert_eq!(self.book().await.history("default").pending().len(), 0, "every build has an outcome");
    }

    async fn book(&self) -> Book {
        let ledger = Ledger::open(Store::DynamoDb(self.table.clone())).await.expect("a ledger");
        Book::open(Some(ledger), Vec::new(), Memory::Whole).await.expect("a history")
    }
}

fn projects() -> Vec<String> {
    (0..PROJECTS).map(|n| format!("svc-{n}")).collect()
}

fn words(output: Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

pub async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let poll = async {
        let mut often = tokio::time::interval(Duration::from_millis(20));
        while !reached().await {
            often.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "never came: {what}");
}

/// The program at work; it does not outlive the test.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    port: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn has_said(&self, event: &str) -> bool {
        std::fs::read_to_string(&self.log).expect("a log").contains(&format!(r#""event":"{event}""#))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// It ends by itself: its exit code, and what it complained of.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let mut status = None;
        until("the end", async || {
            status = self.child.try_wait().expect("a status");
            status.is_some()
        })
        .await;
        let problem = std::fs::read_to_string(self.log.with_extension("err")).expect("a log");
        (status.and_then(|status| status.code()), problem)
    }

    pub async fn says(&self, event: &str) {
        until(event, async || self.has_said(event)).await;
    }

    /// SIGTERM, as ECS sends it.
    pub async fn stop(mut self) -> ExitStatus {
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().expect("kill");
        assert!(sent.success());
        let ended = async {
            let mut often = tokio::time::interval(Duration::from_millis(5));
            loop {
                if let Some(status) = self.child.try_wait().expect("a status") {
                    return status;
                }
                often.tick().await;
            }
        };
        tokio::time::timeout(GRACE, ended).await.expect("it obeys")
    }
}

#[tokio::test]
async fn two_processes_on_one_table_remedy_each_of_200_throttled_builds_once() {
    let stage = Setting::new();
    let (made, problems, code) = stage.says(&["ledger", "create"]);
    assert_eq!(code, Some(0), "{problems}");
    assert!(made.starts_with("Made DynamoDB table t-"), "{made}");
    let throttled = stage.throttle();

    let first = stage.run("first.log");
    until("writes", async || stage.sim.writes().len() > 10).await;
    // A deployment: the new task is healthy before the old one is stopped, and does nothing.
    let second = stage.run("second.log");
    second.says("LeaseAwaited").await;
    let address = format!("127.0.0.1:{}", second.port);
    assert_eq!(stage.says(&["healthcheck", "--address", &address]).2, Some(0));
    assert!(!second.has_said("DaemonStarted"));
    assert_eq!(first.stop().await.code(), Some(0));
    second.says("DaemonStarted").await;

    // The next one is killed in the middle of its work, and one waits for it to fall silent.
    let third = stage.run("third.log");
    third.says("LeaseAwaited").await;
    let before = stage.sim.writes().len();
    until("more writes", async || stage.sim.writes().len() > before || stage.proven() == PROJECTS).await;
    drop(second);
    third.says("DaemonStarted").await;
    stage.all_are_verified().await;
    assert_eq!(third.stop().await.code(), Some(0));
    assert_eq!(lease::holder(&Store::DynamoDb(stage.table.clone())).await.expect("a lease"), None);
    stage.each_was_remedied_once(&throttled).await;
}

#[tokio::test]
async fn without_its_table_nothing_starts_and_the_way_out_is_told() {
    let stage = Setting::new();
    for command in ["run", "status", "history", "rollback --all"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        let (_, problem, code) = stage.says(&arguments);
        assert_eq!(code, Some(69), "{command}: {problem}");
        assert!(problem.contains("make it with `unthrottled ledger create`"), "{command}: {problem}");
    }
    let (tree, _, code) = stage.says(&["doctor", "--set", "docker_hub.probe=false"]);
    assert_eq!(code, Some(1));
    assert!(tree.contains("repair: unthrottled ledger create"), "{tree}");

    let (json, _, code) = stage.says(&["ledger", "create", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["made"], &json["entries"]), (Some(0), &true.into(), &0.into()));
    let (again, _, code) = stage.says(&["ledger", "create"]);
    assert_eq!(code, Some(0));
    assert!(again.contains("is there and right: its ledger has 0 entries"), "{again}");
    assert_eq!(stage.says(&["status"]).0, "No remediation is open.\n");
}
