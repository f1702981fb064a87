//! What can be wrong with the place that the program is started in, and what each command then says: what happened, why,
//! and what next, with the exit code of the interface. The snapshots are read as a person reads a terminal.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use support::cast::SCRIPT;
use unthrottled::domain::build::{BuildId, PhaseName};
use unthrottled::domain::classify::{Cause, Diagnosis, Login, Registry, Site};
use unthrottled::domain::detect::{Evidence, Place};
use unthrottled::domain::history::{Detected, Fact};
use unthrottled::domain::trust::Weight;
use unthrottled::edge::ledger::Ledger;
use unthrottled::simulator::{Fault, Options, Simulator};

/// Found anywhere but in the account, it has leaked.
const PASSWORD: &str = "dckr_pat_MARKED-0123456789";

const BUILD: &str = "web:0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a";

/// Every command that looks at something outside, and one that does not.
const COMMANDS: [&str; 8] = [
    "scan",
    "plan",
    "explain BUILD",
    "doctor",
    "check",
    "status",
    "secret create dockerhub --username acme",
    "secret rotate dockerhub",
];

struct Stage {
    sim: Simulator,
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
    settings: String,
}

impl Stage {
    /// An account in which a build was throttled, and settings that are good.
    fn new() -> Stage {
        let stage = Stage::empty();
        stage.sim.account(|account| drop(account.project("web").image("node:22").buildspec(SCRIPT)));
        assert_eq!(stage.sim.run_build("web").status, "FAILED");
        stage
    }

    /// The same without a project.
    fn empty() -> Stage {
        let sim = Simulator::start(Options::default()).expect("a port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", PASSWORD);
            account.secret("dockerhub").login("acme", PASSWORD);
            let all =
                json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
            drop(account.role("daemon").called_by("simulated").inline_policy("all", all));
        });
        let (url, port) = (sim.hub_url(), free_port());
        let settings = format!(
            "[daemon]\nhttp_listen = \"127.0.0.1:{port}\"\n[docker_hub]\nauth_url = \"{url}\"\nregistry_url = \"{url}\"\n\
             [credential.dockerhub]\nsecret = \"dockerhub\"\n[[policy]]\nname = \"all\"\nprojects = [\"*\"]\n"
        );
        let environment = [
            ("AWS_ENDPOINT_URL", sim.endpoint().to_string()),
            ("AWS_REGION", "us-east-1".to_string()),
            ("AWS_ACCESS_KEY_ID", "simulated".to_string()),
            ("AWS_SECRET_ACCESS_KEY", "simulated".to_string()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_string()),
            // Each call is sent once: three take as long as three.
            ("AWS_MAX_ATTEMPTS", "1".to_string()),
        ];
        Stage { sim, folder: tempfile::tempdir().expect("a folder"), environment: environment.into(), settings }
    }

    fn set(mut self, name: &'static str, value: &str) -> Stage {
        self.environment.push((name, value.to_string()));
        self
    }

    fn without(mut self, names: &[&str]) -> Stage {
        self.environment.retain(|(name, _)| !names.contains(name));
        self
    }

    fn settings(mut self, more: &str) -> Stage {
        self.settings.push_str(more);
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        std::fs::write(self.folder.path().join("unthrottled.toml"), &self.settings).expect("settings");
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.args(arguments).env_clear().current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What a person sees who types it, and how it ended.
    fn typed(&self, line: &str) -> String {
        let arguments: Vec<&str> = line.split(' ').map(|word| if word == "BUILD" { BUILD } else { word }).collect();
        let mut child = self.command(&arguments).spawn().expect("the program starts");
        // Not all of them read it.
        let _ = child.stdin.take().expect("a pipe").write_all(PASSWORD.as_bytes());
        let end = child.wait_with_output().expect("an end");
        let (out, err) = (text(&end.stdout), text(&end.stderr));
        let code = end.status.code().map_or("a signal".to_string(), |code| code.to_string());
        self.plain(&format!("$ unthrottled {line}\n{out}{err}[{code}]\n"))
    }

    /// What the daemon says until this event, without what it says at its start.
    fn daemon(&self, until: &str) -> String {
        let mut child =
            self.command(&["run", "--log-format", "text", "--log-level", "debug"]).spawn().expect("the program starts");
        let mut lines = Vec::new();
        let mut stopped = false;
        for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
            lines.push(line.expect("text"));
            // A look without what is waited for is told, too.
            let is_over = |line: &String| line.contains(until) || line.contains("TickCompleted");
            if lines.last().is_some_and(is_over) && !std::mem::replace(&mut stopped, true) {
                let pid = child.id().to_string();
                assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
            }
        }
        let mut err = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
        let code = child.wait().expect("an end").code().map_or("a signal".to_string(), |code| code.to_string());
        let of_event = |line: &&String| {
            !line.starts_with("   ") && !["DaemonSt", "TickCompleted"].iter().any(|of_course| line.contains(of_course))
        };
        let told: Vec<&str> = lines.iter().filter(of_event).map(|line| line.get(10..).unwrap_or(line)).collect();
        let told = told.iter().map(|line| format!("{line}\n")).collect::<String>();
        self.plain(&format!("$ unthrottled run\n{told}{err}[{code}]\n"))
    }

    /// What all commands and the daemon say.
    fn all(&self) -> String {
        let told: Vec<String> = COMMANDS.iter().map(|command| self.typed(command)).collect();
        format!("{}\n{}", told.join("\n"), self.daemon("ScanIncomplete"))
    }

    /// Without what differs from run to run.
    fn plain(&self, told: &str) -> String {
        assert!(!told.contains("MARKED"), "the password leaked: {told}");
        assert!(!told.contains("panicked"), "{told}");
        let host = self.sim.endpoint().trim_start_matches("http://").to_string();
        let arn = self.sim.account(|account| account.secret("dockerhub").arn());
        let told = told.replace(&arn, "SECRET-ARN").replace(&host, "HOST");
        let told = told.replace(&self.folder.path().display().to_string(), "FOLDER");
        told.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port()
}

fn deny_all() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
}

/// A scope whose role is another's.
const OF_ROLE: &str = "[[scope]]\nname = \"prod\"\nregion = \"us-east-1\"\n\
                       role_arn = \"arn:aws:iam::111122223333:role/member\"\nexternal_id = \"x1\"\n";

#[test]
fn no_credentials() {
    let stage = Stage::new().without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    insta::assert_snapshot!(stage.all());
}

#[test]
fn expired_credentials() {
    let stage = Stage::new().set("UNTHROTTLED_DOCKER_HUB__PROBE", "false");
    stage.sim.fault("*", .., Fault::ExpiredToken);
    insta::assert_snapshot!(stage.all());
}

/// In a region that the account has not enabled, AWS does not know the key.
#[test]
fn a_region_that_is_not_enabled() {
    let stage = Stage::new().set("AWS_REGION", "eu-south-2").set("UNTHROTTLED_DOCKER_HUB__PROBE", "false");
    stage.sim.fault("*", .., Fault::UnknownKey);
    insta::assert_snapshot!(stage.all());
}

/// Nothing there is wrong, so nothing is refused: where it was looked is what tells.
#[test]
fn a_region_with_nothing_in_it() {
    let stage = Stage::empty().set("AWS_REGION", "eu-west-3");
    let told: Vec<String> = ["scan", "plan", "explain BUILD", "doctor"].map(|command| stage.typed(command)).into();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn no_region_and_one_that_is_none() {
    let without = Stage::new().without(&["AWS_REGION"]);
    let none = Stage::new().set("AWS_REGION", "eu west 1");
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}\n{}",
        without.typed("scan"),
        without.daemon("ScanIncomplete"),
        none.typed("scan"),
        none.typed("doctor")
    ));
}

#[test]
fn aws_that_is_not_reached() {
    let stage = Stage::new().set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    insta::assert_snapshot!(stage.all());
}

#[test]
fn a_role_that_can_not_be_assumed() {
    let stage = Stage::new().settings(OF_ROLE);
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": "arn:aws:iam::111122223333:role/another"}}]});
    stage.sim.account(|account| drop(account.role("member").trust(trust)));
    insta::assert_snapshot!(stage.all());
}

#[test]
fn an_organization_that_denies_everything() {
    let stage = Stage::new();
    stage.sim.account(|account| account.service_control_policy(deny_all()));
    insta::assert_snapshot!(stage.all());
}

#[test]
fn no_root_certificates() {
    let stage = Stage::new().set("SSL_CERT_FILE", "/nonexistent/roots.pem");
    let told: Vec<String> = COMMANDS.iter().map(|command| stage.typed(command)).collect();
    insta::assert_snapshot!(format!("{}\n{}", told.join("\n"), stage.daemon("no event")));
}

#[test]
fn docker_hub_that_can_not_be_asked() {
    let mut told = String::new();
    let asked = ["doctor", "secret create other --username acme"];
    for (what, fault) in [
        ("unreachable", Fault::DropBefore),
        ("401", Fault::AccessDenied),
        ("429", Fault::Throttled),
        ("HTML", Fault::ServerError(200)),
        ("502", Fault::ServerError(502)),
    ] {
        let stage = Stage::new();
        stage.sim.fault("HubToken", .., fault);
        told += &format!("--- {what}\n");
        for command in asked {
            let said = stage.typed(command);
            let of_hub = |line: &&str| {
                ["Docker Hub", "HOST", "repair:", "hint:", "[", "$"].iter().any(|word| line.contains(word))
            };
            told += &said.lines().filter(of_hub).map(|line| format!("{line}\n")).collect::<String>();
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_port_in_use() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = held.local_addr().expect("an address").port();
    let stage = Stage::new().set("UNTHROTTLED_DAEMON__HTTP_LISTEN", &format!("127.0.0.1:{port}"));
    insta::assert_snapshot!(stage.daemon("nothing").replace(&port.to_string(), "PORT"));
}

/// Names come from outside. JSON is read back to what was written; a terminal gets nothing to obey.
#[tokio::test]
async fn a_name_that_would_turn_the_writing_or_move_the_cursor() {
    const HOSTILE: &str = "web\u{202e}gpj.exe\u{1b}[2J\u{1b}[8m\u{200b}:41";
    let stage = Stage::new();
    let ledger = Ledger::open(&stage.folder.path().join("unthrottled.ledger")).await.expect("a ledger");
    let build = BuildId::new(HOSTILE);
    let evidence = Evidence { place: Place::Log(7), quote: "toomanyrequests \u{2066}\u{9b}2J".to_string() };
    let diagnosis = Diagnosis {
        cause: Cause::HubPullLimit,
        registry: Registry::DockerHub,
        login: Login::Anonymous,
        site: Some(Site::DockerClient),
        phase: Some(PhaseName::new("BUILD")),
        recovered: false,
        reason: None,
        evidence: vec![evidence],
        weight: Weight::Unknown,
    };
    let detected = Detected { build: build.clone(), number: None, ended: None, diagnosis };
    let at = "2026-11-20T10:00:00Z".parse().expect("a time");
    ledger.append(0, at, "default", &Fact::Detected(detected)).await.expect("an entry");
    let deceives = |c: char| c != '\n' && unthrottled::domain::legible::deceives(c);
    for command in ["status", "history", "status --color always", "status --format json"] {
        let told = stage.typed(command);
        assert!(told.contains("web\\u202egpj.exe\\u001b[2J\\u001b[8m\\u200b"), "{command}: {told}");
        let plain = anstream::adapter::strip_str(&told).to_string();
        assert!(!plain.contains(deceives), "{command}: {told:?}");
        assert_eq!(told.contains('\u{1b}'), command.ends_with("always"), "{command}: {told:?}");
    }
    let told = stage.typed("status --format json");
    let json: Value = serde_json::from_str(told.lines().nth(1).expect("a line")).expect("JSON");
    assert_eq!(json["build_id"], HOSTILE);
}

/// What a person with a narrow terminal sees. Only what is copied, such as a command that repairs something, is longer.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_of_40_columns() {
    let stage = Stage::new();
    let typed = |line: &str, stage: &Stage| {
        let arguments: Vec<&str> = line.split(' ').map(|word| if word == "BUILD" { BUILD } else { word }).collect();
        // Writes the settings, and knows the program and its environment.
        let inner = stage.command(&arguments);
        let program = inner.get_program().to_string_lossy().into_owned();
        let shell = format!("stty cols 40 rows 40; exec {program} {}", arguments.join(" "));
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &shell, "/dev/null"]).env_clear().env("TERM", "xterm");
        command.env("PATH", "/usr/bin:/bin").current_dir(stage.folder.path()).stdin(Stdio::null());
        command.envs(stage.environment.iter().map(|(name, value)| (*name, value.as_str())));
        let end = command.output().expect("`script` of util-linux");
        // A sign of life is written over.
        let over = |line: &str| format!("{}\n", line.rsplit('\r').next().unwrap_or_default());
        let told: String = text(&end.stdout).replace("\r\n", "\n").lines().map(over).collect();
        let told = anstream::adapter::strip_str(&told).to_string();
        stage.plain(&format!("$ unthrottled {line}\n{told}[{}]\n", end.status.code().expect("an exit code")))
    };
    let mut told =
        ["scan", "plan", "explain BUILD", "doctor", "check", "status"].map(|line| typed(line, &stage)).join("\n");
    let stage = stage.without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    for line in ["scan", "explain BUILD", "doctor", "secret rotate dockerhub"] {
        told += &format!("\n{}", typed(line, &stage));
    }
    let is_copied = |line: &str| line.contains("repair:") || line.starts_with("$ ") || line.contains("SECRET-ARN");
    let words = |line: &str| line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or_default();
    let wide = told.lines().filter(|line| line.chars().count() > 40 && words(line) < 24 && !is_copied(line));
    assert_eq!(wide.collect::<Vec<_>>(), [] as [&str; 0], "{told}");
    insta::assert_snapshot!(told);
}
