//! `docs/first-hour.md`: what a newcomer goes through, from an empty account to a cured project. The file is the script of
//! the test: its commands are run in order, and what they print must be what stands there, but for times and ids.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

use serde_json::Value;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use unthrottled::simulator::{Clock, Durations, Options, Simulator};

const FILE: &str = "docs/first-hour.md";

/// Given to `secret create`; found anywhere else, it has leaked.
const TOKEN: &str = "dckr_pat_MARKED-0123456789";

/// The access key whose calls are held to the policies of the role `unthrottled`.
const DAEMON: &str = "daemon";
const ADMINISTRATOR: &str = "administrator";

const DOCKER_BUILD: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t api .\n";

const TESTS: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - npm test\n";

struct Newcomer {
    sim: Simulator,
    folder: tempfile::TempDir,
    access_key: &'static str,
    port: u16,
}

impl Newcomer {
    /// An account whose builds were throttled, and a role for the daemon that may do nothing.
    fn new() -> Newcomer {
        let options =
            Options { clock: Clock::Wall { speed: 20.0 }, durations: Durations::brief(), ..Options::default() };
        let sim = Simulator::start(options).expect("a loopback port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", TOKEN);
            // Where the console makes them.
            for project in ["web", "api"] {
                drop(account.role(&format!("codebuild-{project}")).path("/service-role/"));
            }
            account.project("web").image("node:22").buildspec(TESTS).role("codebuild-web");
            account.project("api").dockerfile(["python:3.13"]).buildspec(DOCKER_BUILD).role("codebuild-api");
            account.role("unthrottled").called_by(DAEMON);
        });
        for project in ["web", "api"] {
            assert_eq!(sim.run_build(project).status, "FAILED");
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("token.txt"), format!("{TOKEN}\n")).expect("a file");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        Newcomer { sim, folder, access_key: ADMINISTRATOR, port }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shell(&self, line: &str) -> Command {
        let binary: &Path = Path::new(env!("CARGO_BIN_EXE_unthrottled"));
        let folder = binary.parent().expect("a folder").display();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{{ {line}; }} 2>&1")]).env_clear().current_dir(self.folder.path());
        command.env("PATH", format!("{folder}:/usr/bin:/bin")).env("AWS_ENDPOINT_URL", self.sim.endpoint());
        command.env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", self.access_key).env("AWS_SECRET_ACCESS_KEY", "simulated");
        // Where the account's Docker Hub is; a real one needs none of it.
        for key in ["AUTH_URL", "REGISTRY_URL"] {
            command.env(format!("UNTHROTTLED_DOCKER_HUB__{key}"), self.sim.hub_url());
        }
        command.env("UNTHROTTLED_DAEMON__HTTP_LISTEN", format!("127.0.0.1:{}", self.port));
        command.env("UNTHROTTLED_DAEMON__POLL_INTERVAL", "1s");
        command
    }

    fn run(&self, line: &str) -> String {
        let output = self.shell(line).output().expect("a shell");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!text.contains(TOKEN), "{line}: the token leaked");
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// What happens between two commands.
    async fn happens(&mut self, what: &str) {
        match what {
            "as the administrator" => self.access_key = ADMINISTRATOR,
            "as the daemon" => self.access_key = DAEMON,
            "the policy is attached" => {
                let text = fs::read_to_string(self.file("policy.json")).expect("a policy");
                let policy: Value = serde_json::from_str(&text).expect("JSON");
                self.sim.account(|account| drop(account.role("unthrottled").inline_policy("unthrottled", policy)));
            }
            "the settings apply" => {
                let settings = fs::read_to_string(self.file("unthrottled.toml")).expect("settings");
                // A newcomer has the time for the default, 15 s.
                let more = "mode = \"apply\"\nsettle = \"1s\"\n\n[policy.limits]\nmax_share = \"100%\"\n";
                let settings = format!("[daemon]\nmode = \"apply\"\n\n{settings}{more}");
                fs::write(self.file("unthrottled.toml"), settings).expect("settings");
            }
            "the daemon runs until both projects are cured" => self.cure().await,
            other => panic!("{FILE}: `{other}` is nothing that can happen"),
        }
    }

    async fn cure(&self) {
        let out = File::create(self.file("events")).expect("a file");
        let mut daemon = self.shell("exec unthrottled run").stdout(Stdio::from(out)).spawn().expect("a shell");
        let mut often = tokio::time::interval(Duration::from_millis(200));
        let cured = tokio::time::timeout(Duration::from_secs(240), async {
            while self.events("RemediationVerified") < 2 {
                if self.events("RemediationApplied") == 2 {
                    for project in ["web", "api"] {
                        self.sim.run_build(project);
                    }
                }
                often.tick().await;
            }
        });
        let cured = cured.await;
        let stop = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status().expect("kill");
        let end = daemon.wait().expect("an end");
        let events = fs::read_to_string(self.file("events")).expect("events");
        assert!(cured.is_ok() && stop.success() && end.success(), "{events}");
        assert!(!events.contains(TOKEN));
    }

    fn events(&self, kind: &str) -> usize {
        let told = fs::read_to_string(self.file("events")).unwrap_or_default();
        told.matches(&format!("\"event\":\"{kind}\"")).count()
    }
}

/// The file with what its commands print now.
async fn told_anew(file: &str) -> String {
    let mut newcomer = Newcomer::new();
    let mut told = String::new();
    let mut lines = file.lines();
    while let Some(line) = lines.next() {
        told += &format!("{line}\n");
        if let Some(what) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            newcomer.happens(what).await;
        } else if line == "```toml" {
            let block: String = lines.by_ref().take_while(|line| *line != "```").map(|l| format!("{l}\n")).collect();
            fs::write(newcomer.file("unthrottled.toml"), &block).expect("settings");
            told += &format!("{block}```\n");
        } else if line == "```console" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            for command in block.iter().filter_map(|line| line.strip_prefix("$ ")) {
                told += &format!("$ {command}\n{}", newcomer.run(command));
            }
            told += "```\n";
        }
    }
    told
}

/// The words of a line. A time, a length of time, an id and the number of an entry are different in each run.
fn words(line: &str) -> Vec<String> {
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    let is_length = |text: &str| {
        let unit = text.trim_end_matches([',', '.']).trim_start_matches(|c: char| c.is_ascii_digit());
        has_digit(text) && ["ms", "s", "m", "h"].contains(&unit)
    };
    let is_moment = |text: &str| has_digit(text) && (text.contains(':') || text.matches('-').count() > 1);
    let is_entry = |n: usize, text: &str| n == 0 && text.chars().all(|c| c.is_ascii_digit());
    let word = |(n, text): (usize, &str)| -> String {
        let varies = is_length(text) || is_moment(text) || is_entry(n, text) || text.starts_with("(web-");
        if varies { "#".to_string() } else { text.to_string() }
    };
    line.split_whitespace().enumerate().map(word).collect()
}

#[tokio::test]
async fn the_first_hour_is_as_the_file_tells_it() {
    let file = fs::read_to_string(FILE).expect("the file");
    let now = told_anew(&file).await;
    for (n, (told, is)) in file.lines().zip(now.lines()).enumerate() {
        assert_eq!(words(told), words(is), "{FILE}:{}: bless it if it is right\n{told}\n{is}\n{now}", n + 1);
    }
    assert_eq!(file.lines().count(), now.lines().count(), "{now}");
}

#[tokio::test]
#[ignore = "writes docs/first-hour.md"]
async fn bless() {
    let file = fs::read_to_string(FILE).expect("the file");
    fs::write(FILE, told_anew(&file).await).expect("a file");
}
