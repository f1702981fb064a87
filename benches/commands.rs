//! How long a person waits for a command: `cargo bench --bench commands`.
//!
//! `check`, `doctor`, `plan`, `explain` and others, each as a process of its own, on a simulated account with 1,000 projects of
//! which 20 were throttled, on loopback. Medians of wall time. Exits with 1 if one of those four takes longer than [`BAR`].

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "it measures and prints, and stops at what it did not expect"
)]

use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use unthrottled::simulator::{Clock, Options, Simulator};

const BAR: Duration = Duration::from_secs(1);
const PROJECTS: usize = 1_000;
/// One in so many pulls its build image from Docker Hub, and was refused.
const THROTTLED: usize = 50;
const ROUNDS: usize = 7;

const SETTINGS: &str = r#"
[ledger]
path = "unthrottled.ledger"
[credential.dockerhub]
secret = "dockerhub"
[[policy]]
name = "all"
projects = ["*"]
"#;

fn main() -> ExitCode {
    let began = Timestamp::now().saturating_sub(SignedDuration::from_mins(20)).expect("a time");
    let sim = Simulator::start(Options { clock: Clock::Manual(began), ..Options::default() }).expect("a loopback port");
    let throttled = populate(&sim);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = format!("{SETTINGS}\n{}", sim.hub_settings());
    std::fs::write(folder.path().join("unthrottled.toml"), settings).expect("settings");

    let judged: [(&str, Vec<&str>); 4] = [
        ("check", vec!["check"]),
        ("doctor", vec!["doctor"]),
        ("plan", vec!["plan", "--project", "svc-0000"]),
        ("explain", vec!["explain", &throttled]),
    ];
    let others = [("plan, all", vec!["plan"]), ("scan", vec!["scan"]), ("survey", vec!["survey"])];
    println!("{PROJECTS} projects, {} of them throttled; medians of {ROUNDS}", PROJECTS / THROTTLED);
    println!("\n{:<12} {:>8}", "command", "wall");
    let mut code = ExitCode::SUCCESS;
    for (name, arguments) in &judged {
        let wall = median(&sim, folder.path(), arguments);
        let verdict = if wall > BAR { "too slow" } else { "" };
        println!("{name:<12} {:>5} ms {verdict}", wall.as_millis());
        if wall > BAR {
            code = ExitCode::FAILURE;
        }
    }
    for (name, arguments) in &others {
        println!("{name:<12} {:>5} ms", median(&sim, folder.path(), arguments).as_millis());
    }
    println!("\nbar for the first four: {} ms", BAR.as_millis());
    code
}

/// Answers a throttled build.
fn populate(sim: &Simulator) -> String {
    sim.account(|account| {
        account.hub().limit_anonymous(0).account("acme", "hub-pw");
        account.secret("dockerhub").login("acme", "hub-pw");
        for n in 0..PROJECTS {
            let project = account.project(&format!("svc-{n:04}")).buildspec("version: 0.2\n");
            let project = project.role(&format!("codebuild-{}", n % 100));
            match n % THROTTLED {
                0 => drop(project.image("node:22")),
                _ => drop(project.image("aws/codebuild/standard:7.0")),
            }
        }
    });
    for n in 0..PROJECTS {
        sim.start_build(&format!("svc-{n:04}"));
    }
    sim.settle_builds();
    let builds = sim.builds_of("svc-0000");
    builds.first().expect("a build").id.clone()
}

fn median(sim: &Simulator, folder: &Path, arguments: &[&str]) -> Duration {
    let mut walls: Vec<Duration> = (0..ROUNDS).map(|_| once(sim, folder, arguments)).collect();
    walls.sort_unstable();
    walls[ROUNDS / 2]
}

fn once(sim: &Simulator, folder: &Path, arguments: &[&str]) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottled"));
    command.args(arguments).current_dir(folder).env_clear().env("AWS_ENDPOINT_URL", sim.endpoint());
    command.env("AWS_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "simulated").env("AWS_SECRET_ACCESS_KEY", "simulated");
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("the program");
    let wall = began.elapsed();
    if !output.status.success() {
        eprintln!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(output.status.success(), "{arguments:?} ended with {:?}", output.status);
    wall
}
