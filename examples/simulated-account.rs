//! Serves a small simulated AWS account on loopback, for trying the daemon (or the AWS CLI) by hand.
//!
//! `cargo run --example simulated-account -- --listen 127.0.0.1:4599`
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::net::SocketAddr;

use clap::Parser;
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::simulator::{Account, Clock, DockerClient, Durations, Options, Simulator};

const DOCKER_BUILD: &str = "version: 0.2
phases:
  pre_build:
    commands:
      - echo preparing
  build:
    commands:
      - docker build -t app .
";
const NPM_TEST: &str = "version: 0.2
phases:
  build:
    commands:
      - npm test
";

/// A simulated AWS account whose builds Docker Hub throttles.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; a loopback address.
    #[arg(long, default_value = "127.0.0.1:4599")]
    listen: SocketAddr,
    /// Seconds between two builds of a project.
    #[arg(long, default_value_t = 30)]
    every: i64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let simulator = Simulator::start(Options {
        listen: arguments.listen,
        clock: Clock::Wall { speed: 1.0 },
        durations: Durations::brief(),
        ..Options::default()
    })?;
    simulator.account(|account| populate(account, SignedDuration::from_secs(arguments.every.max(1))));
    println!("A simulated AWS account listens on {}", simulator.endpoint());
    println!();
    println!("  export AWS_ENDPOINT_URL={}", simulator.endpoint());
    println!("  export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated");
    println!("  export AWS_EC2_METADATA_DISABLED=true");
    let hub = simulator.hub_url();
    println!("  export UNTHROTTLED_DOCKER_HUB__AUTH_URL={hub} UNTHROTTLED_DOCKER_HUB__REGISTRY_URL={hub}");
    println!("  aws codebuild list-builds");
    println!();
    println!("Ctrl-C ends it.");
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Two kinds of throttled projects, one that fails by itself, one under a customer's key, one at ECR Public.
fn populate(a: &mut Account, every: SignedDuration) {
    a.hub().limit_anonymous(0).account("acme", "simulated-password");
    a.secret("dockerhub").login("acme", "simulated-password");
    a.secret("dockerhub-own-key").login("acme", "simulated-password").kms_key("alias/dockerhub");
    a.throttle_ecr_public();
    a.role("shop-build").path("/service-role/");
    a.role("bounded-build").path("/service-role/").boundary(json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["logs:*", "s3:*", "codebuild:*"], "Resource": "*"}],
    }));
    a.project("svc-web").image("node:22").role("shop-build").tag("team", "shop").builds_every(every);
    a.project("svc-cart")
        .role("shop-build")
        .buildspec(DOCKER_BUILD)
        .docker_client(DockerClient::Classic)
        .tag("team", "shop")
        .builds_every(every);
    a.project("svc-search")
        .role("search-build")
        .buildspec(DOCKER_BUILD)
        .dockerfile(["python:3.12-slim"])
        .docker_client(DockerClient::BuildKit)
        .builds_every(every);
    a.project("svc-billing").image("eclipse-temurin:21").role("bounded-build").builds_every(every);
    a.project("svc-docs")
        .buildspec(DOCKER_BUILD)
        .dockerfile(["public.ecr.aws/docker/library/python:3.12"])
        .builds_every(every);
    a.project("svc-mail")
        .buildspec(NPM_TEST)
        .builds_every(every)
        .command("npm test")
        .fails(["  12 passing", "  1 failing"]);
    a.project("svc-ledger").buildspec(NPM_TEST).builds_every(every);
}
