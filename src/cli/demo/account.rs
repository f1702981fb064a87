//! The simulated account of the demo: nine projects, each with a trouble of its own.

use crate::simulator::Simulator;
use jiff::SignedDuration;
use serde_json::json;

/// The projects in the order of the closing table, each with what it is there to show.
pub const PROJECTS: &[(&str, &str)] = &[
    ("shop-web", "its build image is refused in PROVISIONING"),
    ("shop-api", "its `docker build` is refused in BUILD"),
    ("pay-gateway", "shares its role with pay-ledger"),
    ("pay-ledger", "shares its role with pay-gateway"),
    ("vault-signer", "its secret has a customer-managed key"),
    ("legacy-batch", "a permissions boundary makes the remedy harmful"),
    ("ml-train", "ECR Public throttles it, not Docker Hub"),
    ("data-etl", "logs in already; its account is at its limit"),
    ("mobile-app", "its policy only proposes"),
    ("docs-site", "fails for a reason of its own"),
];

/// The demo's settings: what a platform team would write.
pub const SETTINGS: &str = r#"
[daemon]
poll_interval = "15s"
mode = "apply"

[credential.dockerhub]
secret = "dockerhub"

[credential.vault]
secret = "vault-dockerhub"
policy_name = "unthrottled-vault"

[[policy]]
name = "mobile"
projects = ["mobile-*"]
mode = "propose"
credential = "dockerhub"

[[policy]]
name = "vault"
projects = ["vault-*"]
mode = "apply"
credential = "vault"

[[policy]]
name = "everything"
projects = ["*"]
mode = "apply"
credential = "dockerhub"
[policy.limits]
max_share = "100%"
max_open = 10
"#;

/// A developer's push, so long after the beginning.
pub struct Push {
    /// The project that it builds.
    pub project: &'static str,
    /// When.
    pub after: SignedDuration,
}

/// Builds the account; answers what its developers will push.
pub fn build(simulator: &Simulator) -> Vec<Push> {
    simulator.account(|account| {
        account.hub().limit_anonymous(0).account("acme", "demo-password");
        account.hub().account("etl", "demo-password-2").limit(0);
        account.throttle_ecr_public();
        account.secret("dockerhub").login("acme", "demo-password");
        account
            .secret("vault-dockerhub")
            .login("acme", "demo-password")
            .kms_key("1234abcd-12ab-34cd-56ef-1234567890ab");
        account.secret("etl-dockerhub").login("etl", "demo-password-2");
        account.role("payments-build").path("/service-role/");
        account.role("legacy-build").path("/service-role/").boundary(json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Action": ["logs:*", "s3:*", "codebuild:*"], "Resource": "*" }],
        }));
        account.command("npm test").fails(["  1) renders the menu", "  AssertionError: expected 3 entries, got 2"]);
    });
    hub_images(simulator);
    docker_clients(simulator);
    pushes()
}

/// Projects whose build image comes from Docker Hub.
fn hub_images(simulator: &Simulator) {
    simulator.account(|account| {
        account.project("shop-web").image("node:22").buildspec(SCRIPT).tag("team", "shop");
        account.project("pay-gateway").image("eclipse-temurin:21").role("payments-build").buildspec(SCRIPT);
        account.project("pay-ledger").image("eclipse-temurin:21").role("payments-build").buildspec(SCRIPT);
        account.project("vault-signer").image("golang:1.25").buildspec(SCRIPT);
        account.project("mobile-app").image("node:22").buildspec(SCRIPT);
    });
}

/// Projects whose commands pull, or fail.
fn docker_clients(simulator: &Simulator) {
    let etl = etl_buildspec();
    simulator.account(|account| {
        account.project("shop-api").dockerfile(["python:3.13-slim"]).buildspec(DOCKER_BUILD);
        account.project("legacy-batch").dockerfile(["debian:12"]).role("legacy-build").buildspec(DOCKER_BUILD);
        account.project("ml-train").dockerfile(["public.ecr.aws/docker/library/python:3.13"]).buildspec(DOCKER_BUILD);
        let secret = account.secret("etl-dockerhub").arn();
        let statement = json!({ "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret });
        account
            .role("etl-build")
            .inline_policy("read-dockerhub", json!({ "Version": "2012-10-17", "Statement": [statement] }));
        account
            .project("data-etl")
            .role("etl-build")
            .dockerfile(["apache/spark:4.0.0"])
            .secret_variable("HUB_USER", &format!("{secret}:username"))
            .secret_variable("HUB_PASSWORD", &format!("{secret}:password"))
            .buildspec(etl);
        account.project("docs-site").buildspec(NPM_TEST);
    });
}

fn pushes() -> Vec<Push> {
    let first = [
        ("shop-web", 0),
        ("shop-api", 20),
        ("pay-gateway", 45),
        ("pay-ledger", 50),
        ("vault-signer", 70),
        ("legacy-batch", 90),
        ("ml-train", 110),
        ("data-etl", 130),
        ("mobile-app", 150),
        ("docs-site", 160),
    ];
    // Builds that failed in a later phase are not started again by the daemon: the next push proves the remedy.
    let later = [("shop-api", 300), ("legacy-batch", 330), ("legacy-batch", 600)];
    let push = |(project, seconds): &(&'static str, i64)| Push { project, after: SignedDuration::from_secs(*seconds) };
    first.iter().chain(&later).map(push).collect()
}

const SCRIPT: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - ./build.sh\n";

const NPM_TEST: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - npm test\n";

const DOCKER_BUILD: &str = "\
version: 0.2
phases:
  pre_build:
    commands:
      - echo Building $CODEBUILD_RESOLVED_SOURCE_VERSION
  build:
    commands:
      # the tests run inside the image
      - docker build -t app .
      - docker run --rm app ./test.sh
";

fn etl_buildspec() -> &'static str {
    "\
version: 0.2
phases:
  build:
    commands:
      - echo \"${HUB_PASSWORD}\" | docker login -u \"${HUB_USER}\" --password-stdin
      - docker build -t etl .
"
}
