//! The real program, killed with SIGKILL at any call to AWS and started again; and what it does at a signal.
//!
//! The program runs as a child process on the wall clock. Nothing here waits for a time to pass: each wait is for a state
//! of the simulated account, and fails if that does not come.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

#[path = "kill/disk.rs"]
mod disk;
#[path = "support/killed.rs"]
mod killed;
mod support;

use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use support::cast::{DOCKER_BUILD, SCRIPT};
use support::world::GRANT;
use unthrottled::simulator::{Clock, Durations, Moment, Options, Simulator};

/// No state of the account takes as long on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A signal has to be obeyed within this time.
const GRACE: Duration = Duration::from_secs(10);

/// An account with a project that fails in PROVISIONING and one that fails in BUILD, and the program's settings.
struct Stage {
    sim: Simulator,
    folder: tempfile::TempDir,
    /// Below the folder.
    ledger: &'static str,
}

impl Stage {
    fn new() -> Stage {
        Stage::with_ledger("l.ledger")
    }

    fn with_ledger(ledger: &'static str) -> Stage {
        let clock = Clock::Wall { speed: 10.0 };
        let sim =
            Simulator::start(Options { clock, durations: Durations::brief(), ..Options::default() }).expect("a port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "hub-pw");
            account.secret("dockerhub").login("acme", "hub-pw");
            account.project("web").image("node:22").buildspec(SCRIPT);
            account.project("api").dockerfile(["python:3.13"]).buildspec(DOCKER_BUILD);
        });
        for project in ["web", "api"] {
            assert_eq!(sim.run_build(project).status, "FAILED");
        }
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let settings = format!(
            r#"
            [daemon]
            mode = "apply"
            poll_interval = "50ms"
            http_listen = "127.0.0.1:0"
            [ledger]
            path = {:?}
            [credential.dockerhub]
            secret = "dockerhub"
            [[policy]]
            name = "all"
            projects = ["*"]
            mode = "apply"
            settle = "100ms"
            retry = "always"
            [policy.limits]
            max_share = "100%"
            {}"#,
            folder.path().join(ledger),
            sim.hub_settings()
        );
        std::fs::write(folder.path().join("settings.toml"), settings).expect("a settings file");
        Stage { sim, folder, ledger }
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join(self.ledger)
    }

    /// Starts the program.
    fn run(&self) -> Running {
        let mut command = self.command(&["run", "--log-format", "json"]);
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        Running(command.spawn().expect("the program starts"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.args(arguments).arg("--config").arg(self.folder.path().join("settings.toml"));
        command.env("AWS_ENDPOINT_URL", self.sim.endpoint()).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
        command.current_dir(self.folder.path());
        command
    }

    /// Whether both projects were cured and each has one build with the secret that ran to its end.
    fn is_cured(&self) -> bool {
        ["web", "api"].iter().all(|project| self.proofs(project) >= 1)
    }

    fn proofs(&self, project: &str) -> usize {
        let builds = self.sim.builds_of(project);
        let ended = builds.iter().filter(|build| build.status == "SUCCEEDED");
        ended.filter(|build| self.sim.build_json(&build.id)["environment"].to_string().contains(":secret:")).count()
    }

    /// Waits for a state of the account.
    async fn wait_for(&self, what: &str, reached: impl Fn(&Stage) -> bool) {
        let poll = async {
            let mut often = tokio::time::interval(Duration::from_millis(5));
            while !reached(self) {
                often.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, poll).await;
        assert!(waited.is_ok(), "never came: {what}; {:?}", self.sim.writes());
    }

    async fn look_twice(&self) {
        let looks = |stage: &Stage| stage.sim.calls().iter().filter(|call| call.operation == "ListBuilds").count();
        let before = looks(self);
        self.wait_for("two more looks", |stage| looks(stage) > before + 2).await;
    }

    /// Everything that must be the same however often the program was killed.
    fn end(&self) -> Value {
        let mut account = self.sim.snapshot();
        for project in ["web", "api"] {
            // Each account begins at its own time.
            account["projects"][project]["created"] = Value::Null;
        }
        json!({
            "account": account,
            "grants": [self.sim.role_policy("codebuild-web", GRANT), self.sim.role_policy("codebuild-api", GRANT)],
            "proofs": [self.proofs("web"), self.proofs("api")],
        })
    }
}

/// The program at work; it does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(sent.expect("kill").success(), "kill -{name}");
    }

    /// Stops the program as ECS does, and fails if it does not obey. The standard library only knows the signal that kills.
    async fn stop(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        let ended = async {
            let mut often = tokio::time::interval(Duration::from_millis(5));
            loop {
                if let Some(status) = self.0.try_wait().expect("a status") {
                    return status;
                }
                often.tick().await;
            }
        };
        tokio::time::timeout(GRACE, ended).await.expect("it obeys within ten seconds")
    }
}

/// Plays until both are cured and the program has looked twice more, so that what is still to come would have come.
async fn play(stage: &Stage) -> Value {
    let child = stage.run();
    stage.wait_for("the cure", Stage::is_cured).await;
    stage.look_twice().await;
    assert!(child.stop("TERM").await.success());
    stage.end()
}

/// How many calls the unkilled program makes until both projects are cured.
async fn unkilled() -> (u32, Value) {
    let stage = Stage::new();
    let end = play(&stage).await;
    let calls = stage.sim.calls();
    let last = calls.iter().rposition(|call| call.took_effect).expect("writes");
    (u32::try_from(last + 1).expect("few"), end)
}

/// Kills the program at a call and starts it again. Answers whether that call had an effect.
async fn killed(call: u32, moment: Moment, reference: &Value) -> bool {
    let stage = Stage::new();
    stage.sim.hold_call(call, moment);
    let child = stage.run();
    tokio::time::timeout(PATIENCE, stage.sim.held()).await.expect("the call is reached");
    drop(child);
    let effect = stage.sim.calls().last().is_some_and(|call| call.took_effect);
    stage.sim.release();
    assert_eq!(play(&stage).await, *reference, "killed at call {call} ({moment:?})");
    effect
}

/// A call that has no effect is the same before and after it.
async fn killed_at_each(calls: impl Iterator<Item = u32>, reference: &Value) -> usize {
    let mut effects = 0;
    for call in calls {
        if killed(call, Moment::AfterEffect, reference).await {
            effects += 1;
            killed(call, Moment::BeforeEffect, reference).await;
        }
    }
    effects
}

#[tokio::test]
async fn killed_at_any_call_and_started_again_it_ends_as_if_it_had_not_been_killed() {
    let (calls, reference) = unkilled().await;
    assert!(calls >= 40, "{calls}");
    // Two at a time, as each mostly waits.
    let odd = killed_at_each((1..=calls).step_by(2), &reference);
    let even = killed_at_each((2..=calls).step_by(2), &reference);
    let (odd, even) = tokio::join!(odd, even);
    assert!(odd + even >= 6, "two grants, two projects and two retries: {odd} and {even}");
}

#[tokio::test]
async fn a_signal_stops_it_with_exit_code_0() {
    for name in ["TERM", "INT"] {
        let stage = Stage::new();
        let child = stage.run();
        stage.wait_for("a look", |stage| !stage.sim.calls().is_empty()).await;
        assert_eq!(child.stop(name).await.code(), Some(0), "{name}");
    }
}

/// AWS does not answer: the stop does not wait for it.
#[tokio::test]
async fn a_signal_stops_it_while_a_call_hangs() {
    for name in ["TERM", "INT"] {
        let stage = Stage::new();
        stage.sim.hold_call(1, Moment::BeforeEffect);
        let child = stage.run();
        tokio::time::timeout(PATIENCE, stage.sim.held()).await.expect("the call is reached");
        assert_eq!(child.stop(name).await.code(), Some(0), "{name}");
    }
}

/// `docs/simulation.md` says how to kill it more often.
#[tokio::test]
async fn killed_again_and_again_at_random_moments_it_remedies_each_build_once() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let path = folder.path().join("l.ledger");
    let kept = killed::Kept { settings: format!("path = {path:?}"), variables: Vec::new(), store: (&path).into() };
    killed::in_a_loop(killed::Plan::asked(), folder, kept, async || ()).await;
}
