//! Makes a folder with settings and a ledger of two weeks, and serves a simulated account in which something of
//! everything happens: what the status page is looked at and tested with.
//!
//! `cargo run --example status-page -- --folder FOLDER`
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
#![expect(
    clippy::disallowed_methods,
    reason = "what was is told from now on backwards, and no loop is here that hands it in"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use unthrottled::domain::history::Fact;
use unthrottled::edge::ledger::Ledger;
use unthrottled::simulator::{Account, Clock, DockerClient, Durations, Options, Simulator};

const SETTINGS: &str = r#"[daemon]
mode = "apply"
poll_interval = "2s"

[ledger]
path = "unthrottled.ledger"

[credential.dockerhub]
secret = "dockerhub"

[[policy]]
name = "frozen"
projects = ["svc-cart"]
mode = "apply"
[[policy.freeze]]
cron = "* * * * *"
duration = "1h"

[[policy]]
name = "cautious"
projects = ["svc-search", "svc-hostile", "*script*"]

[[policy]]
name = "hasty"
projects = ["svc-quarterly"]
mode = "apply"
verify_within = "2s"
settle = "1s"
[policy.limits]
max_share = "100%"

[[policy]]
name = "services"
projects = ["svc-*"]
exclude = ["svc-mail"]
mode = "apply"
settle = "1s"
[policy.limits]
max_share = "100%"
"#;

const DOCKER_BUILD: &str = "version: 0.2
phases:
  build:
    commands:
      - docker build -t app .
";

/// Whoever edits a project can write this into it, and the diff shows the line beside the one that is put in.
const HOSTILE_BUILD: &str = "version: 0.2
phases:
  build:
    commands:
      - docker build -t app . && echo '</pre></script><img src=x onerror=alert(1)>'
";

/// No project of CodeBuild can be called so; the page does not rely on that.
const HOSTILE_NAME: &str = "</script><script>alert('\u{202e}gnp.exe')</script>\"><img src=x onerror=alert(1)>";

/// A simulated AWS account to look at the status page by.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; a loopback address.
    #[arg(long, default_value = "127.0.0.1:4599")]
    listen: SocketAddr,
    /// Where the settings and the ledger are made; it has to be there.
    #[arg(long)]
    folder: PathBuf,
    /// Also projects whose name and buildspec are markup.
    #[arg(long)]
    hostile: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    write_past(&arguments.folder.join("unthrottled.ledger"), Timestamp::now()).await?;
    let simulator = Simulator::start(Options {
        listen: arguments.listen,
        clock: Clock::Wall { speed: 1.0 },
        durations: Durations::brief(),
        ..Options::default()
    })?;
    simulator.account(|account| populate(account, arguments.hostile));
    let settings = format!("{SETTINGS}\n{}", simulator.hub_settings());
    std::fs::write(arguments.folder.join("unthrottled.toml"), settings)?;
    println!("A simulated AWS account listens on {}", simulator.endpoint());
    println!();
    println!("  cd {}", arguments.folder.display());
    println!("  export AWS_ENDPOINT_URL={}", simulator.endpoint());
    println!("  export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated");
    println!("  export AWS_EC2_METADATA_DISABLED=true");
    println!("  unthrottled run");
    println!();
    println!("The page is then at http://127.0.0.1:8787/. Ctrl-C ends the account.");
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// One project for each way in which things go.
fn populate(a: &mut Account, hostile: bool) {
    let (often, once) = (SignedDuration::from_secs(8), SignedDuration::from_hours(24));
    a.hub().limit_anonymous(0).account("acme", "simulated-password");
    a.secret("dockerhub").login("acme", "simulated-password");
    a.throttle_ecr_public();
    a.role("bounded-build").path("/service-role/").boundary(json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["logs:*", "s3:*", "codebuild:*"], "Resource": "*"}],
    }));
    // Proven; proven; taken back; held; proposed; left alone; a person is called; waits for its proof.
    a.project("svc-web").image("node:22").role("web-build").builds_every(once);
    a.project("svc-api").role("api-build").buildspec(DOCKER_BUILD).builds_every(often);
    a.project("svc-billing").image("eclipse-temurin:21").role("bounded-build").builds_every(once);
    a.project("svc-cart").role("cart-build").buildspec(DOCKER_BUILD).builds_every(once);
    a.project("svc-search")
        .role("search-build")
        .buildspec(DOCKER_BUILD)
        .dockerfile(["python:3.12-slim"])
        .docker_client(DockerClient::BuildKit)
        .builds_every(once);
    let public = ["public.ecr.aws/docker/library/python:3.12"];
    a.project("svc-docs").role("docs-build").buildspec(DOCKER_BUILD).dockerfile(public).builds_every(once);
    a.project("svc-quarterly").role("quarterly-build").buildspec(DOCKER_BUILD).builds_every(once);
    a.project("svc-nightly").role("nightly-build").buildspec(DOCKER_BUILD).builds_every(once);
    a.project("svc-mail").buildspec("version: 0.2\nphases: {build: {commands: [npm test]}}\n").builds_every(once);
    if hostile {
        a.project(HOSTILE_NAME).role("hostile-build").image("node:22").builds_every(once);
        a.project("svc-hostile").role("hostile-build").buildspec(HOSTILE_BUILD).builds_every(once);
    }
}

/// A ledger of throttled builds that a login does not cure, more of them a day and a half ago.
async fn write_past(path: &Path, now: Timestamp) -> Result<(), Box<dyn std::error::Error>> {
    let ledger = Ledger::open(path).await?;
    let (mut seq, mut build) = (0, 0_u32);
    for hours in (2..14 * 24).rev() {
        let day = if (24..44).contains(&hours) { 5 } else { 2 };
        for _ in 0..(hours * 7919 % 13 * day / 14) {
            build += 1;
            let (project, diagnosis, reason) = past(build);
            let ended =
                now - SignedDuration::from_hours(hours) + SignedDuration::from_secs((i64::from(build) * 131) % 3_600);
            let id = format!("{project}:{build:08x}-0000-4000-8000-000000000000");
            let detected =
                json!({ "detected": { "build": id, "number": build, "ended": ended, "diagnosis": diagnosis } });
            let left = json!({ "left": { "reason": reason.0, "detail": reason.1 } });
            let judged = json!({ "judged": { "build": id, "judgement": left } });
            for fact in [detected, judged] {
                let fact: Fact = serde_json::from_value(fact)?;
                let at = ended + SignedDuration::from_secs(5 + i64::from(build % 11));
                seq = ledger.append(seq, at, "default", &fact).await?.seq;
            }
        }
    }
    Ok(ledger.set_emitted(seq).await?)
}

/// Whose build it was, what was refused, and why nothing was done.
fn past(build: u32) -> (&'static str, serde_json::Value, (&'static str, &'static str)) {
    let diagnosis = |cause, registry, login| {
        json!({ "cause": cause, "registry": registry, "login": login, "site": "docker_client", "phase": "BUILD",
            "recovered": false, "reason": null, "evidence": [] })
    };
    match build % 7 {
        0 | 3 => (
            "svc-docs",
            diagnosis("other_registry", "ecr_public", "unknown"),
            ("other_registry", "another registry throttled; a Docker Hub login does nothing for it"),
        ),
        1 => (
            "svc-mobile",
            diagnosis("hub_pull_limit", "docker_hub", "anonymous"),
            ("untrusted_build", "the build is of a pull request, whose author can write its log"),
        ),
        _ => (
            "svc-etl",
            diagnosis("hub_pull_limit", "docker_hub", "authenticated"),
            ("already_authenticated", "the pull was authenticated: the Docker account itself has reached its limit"),
        ),
    }
}
