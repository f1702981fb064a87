//! The accounts that are played: projects, roles, the secret, and the settings of the daemon.

use crate::simulator::{
    DockerClient, LogPages, Omitted, OmittedCredential, OmittedTags, Options, RetryReads, Simulator,
};
use crate::simulator::{Durations, Unknowns};
use jiff::SignedDuration;
use serde_json::json;

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Everything at once.
    Mixed,
    /// Faults and kills, and nobody but the daemon edits anything.
    Faults,
    /// People and infrastructure code edit everything, and every call is answered.
    People,
    /// Two instances act at once, as if the lease had failed: the ledger alone keeps them apart.
    Rivals,
    /// One build image is refused, cured and taken back: what the exhaustive passes disturb.
    RegistryCredential,
    /// The same for a pull in the build.
    BuildspecLogin,
}

impl Scenario {
    /// Whether calls fail and instances are killed.
    pub(super) fn has_faults(self) -> bool {
        matches!(self, Scenario::Mixed | Scenario::Faults | Scenario::Rivals)
    }

    /// Whether people edit.
    pub(super) fn has_people(self) -> bool {
        matches!(self, Scenario::Mixed | Scenario::People)
    }

    /// Whether it is the story of one remedy, which the exhaustive passes disturb.
    pub fn is_of_one_remedy(self) -> bool {
        self.only().is_some()
    }

    /// The one project of an exhaustive pass.
    pub(super) fn only(self) -> Option<&'static str> {
        match self {
            Scenario::RegistryCredential => Some("web"),
            Scenario::BuildspecLogin => Some("api"),
            Scenario::Mixed | Scenario::Faults | Scenario::People | Scenario::Rivals => None,
        }
    }

    /// Whether two may act at once, as if the lease had failed.
    pub(super) fn lease_fails(self) -> bool {
        self == Scenario::Rivals || self.only().is_some()
    }

    /// Whether hours may pass before a killed daemon is started again.
    pub(super) fn has_gaps(self) -> bool {
        matches!(self, Scenario::Mixed | Scenario::Faults)
    }

    /// How many instances act at once.
    pub(super) fn instances(self) -> usize {
        if self == Scenario::Rivals { 2 } else { 1 }
    }
}

/// Everything may be applied, and nothing waits for days.
pub(super) const SETTINGS: &str = r#"
[daemon]
mode = "apply"
poll_interval = "30s"
lookback = "6h"
[credential.dockerhub]
secret = "dockerhub"
[[policy]]
name = "all"
projects = ["*"]
mode = "apply"
retry = "always"
settle = "15s"
verify_within = "20m"
iac_owned = "apply"
on_drift = "reapply"
[policy.limits]
max_open = 50
max_per_hour = 100
max_share = "100%"
attempts_per_project = 3
"#;

/// The inline policy that the daemon puts on service roles.
pub(super) const GRANT: &str = "unthrottled-dockerhub";

/// Every project, in the order in which a seed picks from them.
pub(super) const PROJECTS: [&str; 7] = ["web", "api", "pay-a", "pay-b", "legacy", "tests", "kit"];

const DOCKER: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      # keep me\n      - docker build -t app .   \n      - echo done\n";
const COMPOSE: &str = "version: 0.2\r\nphases:\r\n  pre_build:\r\n    commands:\r\n    - docker pull redis:7\r\n  build:\r\n    commands:\r\n    - ./test.sh";
const SCRIPT: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - ./build.sh\n";

/// The readings of what AWS leaves open, as the seed has it. Delays stay below `settle`, which is what that is for.
pub(super) fn options(rng: &mut fastrand::Rng) -> Options {
    let seconds = |rng: &mut fastrand::Rng, most| SignedDuration::from_secs(rng.i64(0..=most));
    let unknowns = Unknowns {
        retry_build: if rng.bool() { RetryReads::Original } else { RetryReads::Current },
        omitted_variables: if rng.bool() { Omitted::Kept } else { Omitted::Cleared },
        omitted_credential: if rng.u8(0..4) > 0 { OmittedCredential::Cleared } else { OmittedCredential::Kept },
        omitted_tags: if rng.bool() { OmittedTags::Kept } else { OmittedTags::Cleared },
        iam_propagation: seconds(rng, 9),
        stale_reads: if rng.bool() { SignedDuration::ZERO } else { seconds(rng, 9) },
        late_logs: if rng.bool() { SignedDuration::ZERO } else { seconds(rng, 40) },
        log_pages: if rng.u8(0..4) > 0 { LogPages::Full } else { LogPages::Ragged },
        ..Unknowns::default()
    };
    Options { durations: Durations::brief(), unknowns, ..Options::default() }
}

/// Builds the account. Docker Hub refuses every pull without a login.
pub(super) fn build(sim: &Simulator, rng: &mut fastrand::Rng, scenario: Scenario) {
    let customer_key = rng.bool();
    sim.account(|account| {
        account.hub().limit_anonymous(0).account("acme", "hub-pw");
        account.secret("dockerhub").login("acme", "hub-pw");
        if customer_key {
            account.secret("dockerhub").kms_key("alias/hub");
        }
        if scenario.only() == Some("web") {
            account.project("web").image("node:22").buildspec(SCRIPT).variable("STAGE", "prod");
            return;
        }
        if scenario.only() == Some("api") {
            let api = account.project("api");
            api.dockerfile(["python:3.13"])
                .buildspec(DOCKER)
                .docker_client(DockerClient::BuildKit)
                .variable("STAGE", "prod");
            return;
        }
        account.project("web").image("node:22").buildspec(SCRIPT);
        account.project("api").dockerfile(["python:3.13"]).buildspec(DOCKER).docker_client(DockerClient::BuildKit);
        account.project("kit").buildspec(COMPOSE);
        for name in ["pay-a", "pay-b"] {
            account.project(name).image("node:22").buildspec(SCRIPT).role("payments");
        }
        account.project("legacy").dockerfile(["ruby:3.4"]).buildspec(DOCKER);
        account.role("codebuild-legacy").boundary(json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"},
        ]}));
        account.project("tests").buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - npm test\n");
        account.project("tests").command("npm test").fails(["1 failing"]);
        for name in ["web", "api", "pay-b"] {
            account.project(name).tag("ManagedBy", "Terraform");
        }
        for name in PROJECTS {
            account.project(name).variable("STAGE", "prod");
        }
    });
}
