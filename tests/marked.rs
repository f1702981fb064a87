//! Marked secrets: the password of the credential, the plain values of projects and a login in a source's address are looked
//! for in everything that commands, the daemon, its page and its files write, at trace level, well and under faults.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

use rstest::rstest;
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use unthrottled::simulator::{Clock, Durations, Fault, Options, Simulator};

/// What no output may show. The user name is no secret.
const MARKS: [&str; 3] = [
    "MARKED",
    // The password, and the login with it, in base64 as docker has them.
    "TUFSS0VELXBhc3N3b3Jk",
    "YWNtZTpNQVJLRUQtcGFz",
];

const BUILDSPEC: &str = "version: 0.2\nenv:\n  variables:\n    IN_SPEC: MARKED-plain-in-buildspec\nphases:\n  build:\n    commands:\n      - docker build -t app .\n";

/// An account with secrets in every place where people keep them.
struct Stage {
    sim: Simulator,
    folder: tempfile::TempDir,
    port: u16,
}

/// Killed when dropped, whatever becomes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    fn new() -> Stage {
        let clock = Clock::Wall { speed: 10.0 };
        let sim = Simulator::start(Options { clock, durations: Durations::brief(), ..Options::default() });
        let sim = sim.expect("a loopback port");
        sim.account(|account| {
            account.hub().limit_anonymous(0).account("acme", "MARKED-password-7f3a");
            let auth =
                json!({"auths": {"https://index.docker.io/v1/": {"auth": "YWNtZTpNQVJLRUQtcGFzc3dvcmQtN2YzYQ=="}}});
            account.secret("dockerhub").json(json!({
                "username": "acme",
                "password": "MARKED-password-7f3a",
                "docker_auth_config": auth.to_string(),
                "unrelated": "MARKED-other-key-1b2c",
            }));
            let source = |project: &str, buildspec: &str| {
                let location = format!("https://acme:MARKED-address-9d8e@github.com/acme/{project}.git");
                json!({"type": "GITHUB", "location": location, "buildspec": buildspec})
            };
            let web = account.project("web").image("node:22").variable("DEPLOY_KEY", "MARKED-plain-web");
            web.source(source("web", "version: 0.2\nphases:\n  build:\n    commands:\n      - ls\n"));
            let api = account.project("api").dockerfile(["python:3.13"]).variable("DEPLOY_KEY", "MARKED-plain-api");
            api.source(source("api", BUILDSPEC));
            let repo = account.project("repo").dockerfile(["python:3.13"]).variable("DEPLOY_KEY", "MARKED-plain-repo");
            repo.repository_buildspec(BUILDSPEC);
            // Somebody else's, which is read only because it may share a role.
            account.project("foreign").variable("ROOT_PASSWORD", "MARKED-plain-foreign").public();
        });
        for project in ["web", "api", "repo"] {
            assert_eq!(sim.run_build(project).status, "FAILED", "{project}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let settings = format!(
            "[daemon]\nmode = \"apply\"\npoll_interval = \"1s\"\npage = \"loopback\"\nhttp_listen = \"127.0.0.1:{port}\"\n[ledger]\n\
             path = {:?}\n[credential.dockerhub]\nsecret = \"dockerhub\"\n[[policy]]\nname = \"all\"\nprojects = [\"*\"]\n\
             mode = \"apply\"\niac_owned = \"apply\"\nsettle = \"100ms\"\n[policy.limits]\nmax_share = \"100%\"\nmax_open = 9\n{}",
            folder.path().join("l.ledger"),
            sim.hub_settings()
        );
        fs::write(folder.path().join("unthrottled.toml"), settings).expect("a settings file");
        Stage { sim, folder, port }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
        command.current_dir(self.folder.path()).env("AWS_ENDPOINT_URL", self.sim.endpoint());
        command.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "simulated").env("RUST_BACKTRACE", "1");
        command.env("AWS_SECRET_ACCESS_KEY", "simulated").env("AWS_EC2_METADATA_DISABLED", "true");
        command.args(["--log-level", "trace"]).args(arguments);
        command
    }

    /// Runs a command to its end and looks at all that it wrote.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("the program runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        // For programs nothing is an answer.
        assert!(
            !text.is_empty() || arguments.contains(&"json"),
            "{arguments:?} wrote nothing, so nothing was looked at"
        );
        search(&format!("{arguments:?}"), text.as_bytes());
        text
    }

    fn id(&self, project: &str) -> String {
        self.sim.builds_of(project).first().expect("a build").id.clone()
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Every command that only reads.
    fn read_along(&self) {
        for form in ["text", "json", "terraform", "cloudformation", "cdk", "cli"] {
            self.run(&["plan", "--as", form]);
        }
        for project in ["web", "api", "repo"] {
            self.run(&["explain", &self.id(project)]);
            self.run(&["explain", "--format", "json", &self.id(project)]);
        }
        for arguments in [
            &["scan"][..],
            &["scan", "--format", "json"],
            &["survey"],
            &["survey", "--format", "json"],
            &["status"],
            &["status", "--format", "json"],
            &["history"],
            &["history", "--format", "json"],
            &["doctor"],
            &["doctor", "--format", "json"],
            &["check", "--show"],
            &["iam-policy", "--account", "111122223333", "--region", "us-east-1"],
        ] {
            self.run(arguments);
        }
    }

    /// The daemon until an event; its page and metrics meanwhile.
    async fn daemon(&self, until: &str) -> String {
        let log = self.folder.path().join("daemon.log");
        let out = File::create(&log).expect("a log");
        let err = out.try_clone().expect("a log");
        let mut command = self.command(&["run", "--log-format", "json"]);
        let child = command.stdout(Stdio::from(out)).stderr(Stdio::from(err)).spawn();
        let mut running = Running(child.expect("the program starts"));
        let mut often = tokio::time::interval(Duration::from_millis(50));
        let read = || String::from_utf8_lossy(&fs::read(&log).expect("a log")).into_owned();
        let told = tokio::time::timeout(Duration::from_secs(120), async {
            while !read().contains(until) {
                often.tick().await;
                for project in ["web", "api"] {
                    if self.sim.builds_under_way() == 0 {
                        self.sim.start_build(project);
                    }
                }
            }
            read()
        });
        let told = told.await.unwrap_or_else(|_| panic!("no {until}:\n{}", read()));
        for path in ["/", "/metrics", "/readyz"] {
            let answer = self.get(path).expect("an answer");
            search(path, answer.as_bytes());
        }
        let pid = running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        running.0.wait().expect("it ends");
        told
    }

    /// Every file that was written: ledger, plans, logs.
    fn search_files(&self) {
        let mut files = 0;
        for entry in fs::read_dir(self.folder.path()).expect("a folder") {
            let path = entry.expect("a file").path();
            if path.is_file() {
                files += 1;
                search(&path.display().to_string(), &fs::read(&path).expect("a file"));
            }
        }
        assert!(files > 2, "the settings, the ledger, the log");
        assert!(Path::new(&self.folder.path().join("l.ledger")).exists(), "a ledger was looked at");
    }
}

fn search(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for mark in MARKS {
        if let Some(at) = text.find(mark) {
            let from = (0..=at.saturating_sub(300)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            panic!("{what} shows {mark}: …{}", &text[from..at + mark.len()]);
        }
    }
}

#[test]
fn the_search_finds_what_is_there() {
    let found = std::panic::catch_unwind(|| search("a text", b"x MARKED-plain-web y"));
    assert!(found.is_err());
    search("a text", b"x acme y");
}

#[tokio::test]
async fn no_secret_is_written_anywhere() {
    let stage = Stage::new();
    stage.read_along();
    stage.run(&["plan", "--project", "web", "--out", "web.plan.json"]);
    let told = stage.daemon("\"event\":\"RemediationVerified\"").await;
    assert!(told.contains("\"event\":\"RemediationApplied\""), "something was written with the secret");
    stage.read_along();
    stage.run(&["apply", "web.plan.json"]);
    stage.run(&["rollback", "--all"]);
    stage.run(&["secret", "rotate", "dockerhub"]);
    stage.search_files();
}

/// Errors quote what they are about.
#[rstest]
#[case("BatchGetProjects", Fault::AccessDenied)]
#[case("BatchGetProjects", Fault::TruncatedBody)]
#[case("GetSecretValue", Fault::AccessDenied)]
#[case("GetSecretValue", Fault::TruncatedBody)]
#[case("UpdateProject", Fault::AccessDenied)]
#[case("UpdateProject", Fault::TruncatedBody)]
#[case("BatchGetBuilds", Fault::TruncatedBody)]
fn no_error_quotes_a_secret(#[case] operation: &str, #[case] fault: Fault) {
    let stage = Stage::new();
    stage.sim.fault(operation, 0.., fault);
    stage.run(&["scan", "--apply"]);
    stage.run(&["doctor"]);
    stage.run(&["plan"]);
    stage.run(&["survey"]);
    stage.run(&["explain", &stage.id("api")]);
    stage.search_files();
}
