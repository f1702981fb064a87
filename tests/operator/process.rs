//! The program itself: metrics over HTTP and among the events.

use super::support::world::SETTINGS;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use unthrottled::simulator::{Clock, Durations, Options, Simulator};

/// Killed when dropped, whatever becomes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[tokio::test]
async fn a_running_daemon_tells_the_same_over_http_and_among_its_events() {
    let sim = Simulator::start(Options {
        clock: Clock::Wall { speed: 10.0 },
        durations: Durations::brief(),
        ..Options::default()
    })
    .expect("a loopback port");
    sim.account(|account| {
        account.hub().limit_anonymous(0).account("acme", "hub-pw");
        account.secret("dockerhub").login("acme", "hub-pw");
        account.project("web").image("node:22").buildspec("version: 0.2\n");
    });
    sim.run_build("web");
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |name: &str| folder.path().join(name);
    let settings =
        SETTINGS.replace("[daemon]", &format!("[daemon]\nmetrics = \"emf\"\nhttp_listen = \"127.0.0.1:{port}\""));
    fs::write(
        file("unthrottled.toml"),
        format!("{settings}\n[ledger]\npath = {:?}\n{}", file("ledger"), sim.hub_settings()),
    )
    .unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("unthrottled"));
    command.args(["run", "--log-format", "json", "--log-level", "error"]).current_dir(folder.path());
    command.env("AWS_ENDPOINT_URL", sim.endpoint()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    let running =
        Running(command.stdout(Stdio::from(File::create(file("out")).unwrap())).spawn().expect("the program starts"));

    let mut often = tokio::time::interval(Duration::from_millis(20));
    let told = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            often.tick().await;
            let out = fs::read_to_string(file("out")).unwrap();
            if out.contains("\"Throttles\":1") {
                break out;
            }
        }
    });
    let out = told.await.expect("a line with the throttled build");
    for line in out.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line.get("_aws").is_some(), "at level error nothing else is written: {line}");
    }
    let answer = get(port, "/metrics").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("text/plain; version=0.0.4"), "{answer}");
    let series = "unthrottled_throttles_total{diagnosis=\"hub_pull_limit\",registry=\"docker_hub\"} 1";
    assert!(answer.lines().any(|line| line == series), "{answer}");
    assert!(!answer.contains("web"), "no name of a project: {answer}");
    let calls = "unthrottled_calls_total{service=\"CodeBuild\",operation=\"ListBuilds\",status=\"ok\"}";
    assert!(answer.contains(calls), "{answer}");

    // A stop tells what was counted last: `DaemonStopped` is the last event of all.
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    let told = tokio::time::timeout(Duration::from_secs(60), async {
        while !fs::read_to_string(file("out")).unwrap().contains("\"name\":\"DaemonStopped\"") {
            often.tick().await;
        }
    });
    told.await.expect("the last line");
}
