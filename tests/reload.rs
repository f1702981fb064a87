//! The real program gets other settings while it runs: on SIGHUP, and when the file has changed.
//!
//! Nothing here waits for a time to pass: each wait is for an event or a state of the simulated account.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use unthrottled::simulator::{Clock, Durations, Options, Simulator};

/// No event takes as long on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An account with a project that fails in PROVISIONING, the program's settings, and what it says.
struct Stage {
    sim: Simulator,
    folder: tempfile::TempDir,
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

impl Stage {
    fn new(mode: &str, poll: &str) -> Stage {
        let clock = Clock::Wall { speed: 10.0 };
        let sim =
            Simulator::start(Options { clock, durations: Durations::brief(), ..Options::default() }).expect("a port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "hub-pw");
            account.secret("dockerhub").login("acme", "hub-pw");
            account.project("web").image("node:22").buildspec("version: 0.2\n");
        });
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
        let stage = Stage { sim, folder };
        stage.set(mode, poll);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the settings as a deployment does: the new file takes the place of the old one at once.
    fn write(&self, settings: &str) {
        fs::write(self.path("new"), settings).expect("a settings file");
        fs::rename(self.path("new"), self.path("settings.toml")).expect("a settings file");
    }

    fn set(&self, mode: &str, poll: &str) {
        self.write(&format!(
            r#"
            [daemon]
            mode = "{mode}"
            poll_interval = "{poll}"
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
            {}"#,
            self.path("l.ledger"),
            self.sim.hub_settings()
        ));
    }

    fn run(&self) -> Running {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.args(["run", "--log-format", "json", "--config"]).arg(self.path("settings.toml"));
        command.env("AWS_ENDPOINT_URL", self.sim.endpoint()).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.current_dir(self.folder.path());
        command.stdout(Stdio::from(File::create(self.path("events")).expect("a file"))).stderr(Stdio::inherit());
        Running(command.spawn().expect("the program starts"))
    }

    /// How often an event was told whose line holds these words.
    fn told(&self, event: &str, words: &str) -> usize {
        let events = fs::read_to_string(self.path("events")).expect("events");
        let name = format!("\"event\":\"{event}\"");
        events.lines().filter(|line| line.contains(&name) && line.contains(words)).count()
    }

    /// Waits until an event was told so often.
    async fn wait_for(&self, event: &str, words: &str, times: usize) {
        let poll = async {
            let mut often = tokio::time::interval(Duration::from_millis(5));
            while self.told(event, words) < times {
                often.tick().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, poll).await;
        let events = fs::read_to_string(self.path("events")).expect("events");
        assert!(waited.is_ok(), "never came: {times} {event} {words}; {events}");
    }
}

impl Running {
    /// The standard library only knows the signal that kills.
    fn hang_up(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.0.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }
}

/// A poll takes an hour: only the signal can have it look again.
#[tokio::test]
async fn sighup_puts_another_mode_in_force_at_once() {
    let stage = Stage::new("observe", "1h");
    stage.sim.run_build("web");
    let daemon = stage.run();
    stage.wait_for("RemediationHeld", "observe_only", 1).await;
    assert!(stage.sim.writes().is_empty());

    stage.set("apply", "1h");
    stage.sim.run_build("web");
    daemon.hang_up();
    stage.wait_for("SettingsReloaded", "", 1).await;
    stage.wait_for("BuildRetried", "", 1).await;

    // The switch that stops everything.
    stage.set("observe", "1h");
    stage.sim.account(|account| {
        account.project("api").image("node:22").buildspec("version: 0.2\n");
    });
    stage.sim.forget_calls();
    stage.sim.run_build("api");
    daemon.hang_up();
    stage.wait_for("RemediationHeld", "observe_only", 2).await;
    assert_eq!(stage.told("SettingsReloaded", ""), 2);
    assert!(stage.sim.writes().is_empty(), "{:?}", stage.sim.writes());
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_a_signal() {
    let stage = Stage::new("observe", "100ms");
    let _daemon = stage.run();
    stage.wait_for("DaemonStarted", "", 1).await;
    stage.set("apply", "100ms");
    stage.wait_for("SettingsReloaded", "", 1).await;
    stage.sim.run_build("web");
    stage.wait_for("RemediationVerified", "", 1).await;
}

#[tokio::test]
async fn bad_settings_are_told_once_and_the_last_good_ones_stay() {
    let stage = Stage::new("apply", "100ms");
    let daemon = stage.run();
    stage.wait_for("DaemonStarted", "", 1).await;
    stage.write("[daemon]\nmood = \"apply\"\n");
    daemon.hang_up();
    stage.wait_for("SettingsRejected", "mood", 1).await;
    stage.sim.run_build("web");
    stage.wait_for("RemediationVerified", "", 1).await;
    assert_eq!(stage.told("SettingsRejected", ""), 1, "once, however often it looks");
    stage.set("observe", "100ms");
    stage.wait_for("SettingsReloaded", "observe", 1).await;
}
