//! The settings as people write them: every key, its type, its default and one sentence.
//!
//! The one description of the settings' shape. The JSON Schema, the check of unknown keys and wrong types and
//! `docs/settings.md` are all made of it. The defaults of `[daemon]` and `[ledger]` are in `config/unthrottled.toml`;
//! those of tables that can be there several times are the `Default`s below.

use crate::domain::policy::{Mode, OnDrift, OnIneffective, Remedy, Retry, SharedWithPublic, UntrustedBuilds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of `unthrottled`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["policy"]))]
pub struct RawSettings {
    /// The daemon itself.
    pub daemon: RawDaemon,
    /// Where the daemon records what it is about to do, before it does it.
    pub ledger: RawLedger,
    /// Docker Hub, which is asked whether a login works and what its account has left.
    pub docker_hub: RawDockerHub,
    /// The accounts and regions to look after; none means those of the SDK's own credentials, under the name `default`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<RawScope>,
    /// What is known of images beforehand.
    #[serde(skip_serializing_if = "RawImages::is_built_in")]
    pub images: RawImages,
    /// Docker Hub credentials, by the name that policies use.
    pub credential: BTreeMap<String, RawCredential>,
    /// What is allowed on which projects; the first policy that matches a project decides.
    #[schemars(length(min = 1))]
    pub policy: Vec<RawPolicy>,
}

/// The daemon itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawDaemon {
    /// How long the daemon waits between two looks at CodeBuild.
    pub poll_interval: Option<String>,
    /// How far back a first start looks for throttled builds.
    pub lookback: Option<String>,
    /// The most that any policy may do.
    pub mode: Option<Mode>,
    /// The address that `/healthz`, `/readyz`, `/metrics` and the status page answer on.
    pub http_listen: Option<String>,
    /// Who gets the status page, which names projects: who reaches a loopback address, who reaches `http_listen`, nobody.
    pub page: Option<RawPage>,
    /// The host names that the status page may be asked for by, besides IP addresses and localhost.
    #[schemars(extend("examples" = [["unthrottled.internal"]]))]
    pub page_hosts: Option<Vec<String>>,
    /// The metrics that are written among the events: none, or those of `/metrics` as CloudWatch takes them from JSON lines.
    pub metrics: Option<RawMetrics>,
}

/// Who gets the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawPage {
    /// Whoever reaches `http_listen`, where that is a loopback address.
    Loopback,
    /// Whoever reaches `http_listen`.
    On,
    /// Nobody.
    Off,
}

/// The metrics among the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawMetrics {
    /// None; `/metrics` has them all.
    None,
    /// CloudWatch's embedded metric format.
    Emf,
}

/// Where the daemon records what it is about to do, before it does it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLedger {
    /// The kind of store.
    pub store: Option<RawStore>,
    /// The ledger's file, on a disk that outlives the process.
    #[schemars(length(min = 1))]
    pub path: Option<String>,
    /// The DynamoDB table of `store = "dynamodb"`, in the account and region of the SDK's own credentials.
    #[schemars(length(min = 1))]
    pub table: Option<String>,
}

/// The kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawStore {
    /// A file on this machine, for one daemon.
    File,
    /// A DynamoDB table, for daemons that take turns.
    DynamoDb,
}

/// Docker Hub, which is asked whether a login works and what its account has left.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawDockerHub {
    /// Whether Docker Hub is asked at all; asking spends no pull.
    pub probe: Option<bool>,
    /// Whether the daemon asks what an account has left before a remedy gives its login to another project, and holds the remedy if that is too little.
    pub quota_guard: Option<bool>,
    /// How much of an account's limit has to be left for that; at least one pull for each project that has its login, up to half of the limit.
    pub quota_floor: Option<String>,
    /// Where Docker Hub gives tokens for a login.
    #[schemars(length(min = 1))]
    pub auth_url: Option<String>,
    /// Where Docker Hub serves images.
    #[schemars(length(min = 1))]
    pub registry_url: Option<String>,
}

/// An account and region to look after.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub struct RawScope {
    /// The name that policies and events use.
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = ["prod-eu"]))]
    pub name: String,
    /// The region; without it, the SDK's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["eu-central-1"]))]
    pub region: Option<String>,
    /// The role to assume; without it, the SDK's own credentials are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["arn:aws:iam::111122223333:role/unthrottled"]))]
    pub role_arn: Option<String>,
    /// The external ID that the role asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["unthrottled-prod-eu"]))]
    pub external_id: Option<String>,
}

/// What is known of images beforehand.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawImages {
    /// A table of the curated images and their docker; without it, the built-in `config/curated-images.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = ["config/curated-images.toml"]))]
    pub curated: Option<String>,
    /// A table of the official images that have a mirror; without it, the built-in `config/official-images.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = ["config/official-images.toml"]))]
    pub official: Option<String>,
}

impl RawImages {
    fn is_built_in(&self) -> bool {
        self.curated.is_none() && self.official.is_none()
    }
}

/// A Docker Hub credential in Secrets Manager, and the names under which it is used.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["secret"]))]
pub struct RawCredential {
    /// The secret's name or full ARN; never the password itself.
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = ["dockerhub"]))]
    pub secret: String,
    /// The secret's key that holds the user name.
    #[schemars(length(min = 1))]
    pub username_key: String,
    /// The secret's key that holds the password or access token.
    #[schemars(length(min = 1))]
    pub password_key: String,
    /// The secret's key that holds the text of `DOCKER_AUTH_CONFIG`, for the remedy `docker_auth_variable`.
    #[schemars(length(min = 1))]
    pub auth_config_key: String,
    /// The environment variable that a project gets the user name in.
    pub username_variable: String,
    /// The environment variable that a project gets the password in.
    pub password_variable: String,
    /// The name of the inline policy on service roles; without it, `unthrottled-` and the credential's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["unthrottled-dockerhub"]))]
    pub policy_name: Option<String>,
}

impl Default for RawCredential {
    fn default() -> RawCredential {
        RawCredential {
            secret: String::new(),
            username_key: "username".to_string(),
            password_key: "password".to_string(),
            auth_config_key: "docker_auth_config".to_string(),
            username_variable: "DOCKERHUB_USERNAME".to_string(),
            password_variable: "DOCKERHUB_PASSWORD".to_string(),
            policy_name: None,
        }
    }
}

/// What is allowed on the projects that it matches.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "projects"]))]
pub struct RawPolicy {
    /// The name that events and `rollback --policy` use.
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = ["services"]))]
    pub name: String,
    /// Globs on the project's name, any of which must match; `["*"]` is every project.
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = [["svc-*"]]))]
    pub projects: Vec<String>,
    /// Globs on names that the policy leaves out.
    pub exclude: Vec<String>,
    /// Tags that a project must carry, all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The names of the scopes that the policy is for; none means all.
    pub scopes: Vec<String>,
    /// How far the policy goes, as far as `daemon.mode` lets it.
    pub mode: Mode,
    /// The credential that its remedies use; may be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["dockerhub"]))]
    pub credential: Option<String>,
    /// Remedies for a refused build image; the first that applies is taken.
    pub provisioning: Vec<ProvisioningRemedy>,
    /// Remedies for pulls refused in later phases; the first that applies is taken.
    pub later_phase: Vec<LaterPhaseRemedy>,
    /// The most that is done to projects that CloudFormation, CDK or Terraform own, as their next deployment undoes it.
    pub iac_owned: Mode,
    /// What becomes of throttles that only a log shows, where a stranger can have written it or its line proves too little.
    pub untrusted_builds: UntrustedBuilds,
    /// In how many builds of a project, within a day, a throttle has to be seen that only a log shows.
    #[schemars(range(min = 1))]
    pub sightings: u32,
    /// What becomes of a grant on a role that a public project shares, or one that builds pull requests of anybody.
    pub shared_with_public: SharedWithPublic,
    /// Which throttled builds are started again once their remedy is in place.
    pub retry: Retry,
    /// How long a grant is given to propagate before a project relies on it.
    pub settle: String,
    /// How long a later build may take to prove the remedy, before a person is called.
    pub verify_within: String,
    /// What becomes of a remedy that did not help; one that made things worse is always taken back.
    pub on_ineffective: OnIneffective,
    /// What becomes of a remedy that a deployment of the code that owns the project has set back.
    pub on_drift: OnDrift,
    /// How much at once.
    pub limits: RawLimits,
    /// Windows without changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<RawFreeze>,
}

impl Default for RawPolicy {
    fn default() -> RawPolicy {
        RawPolicy {
            name: String::new(),
            projects: Vec::new(),
            exclude: Vec::new(),
            tags: BTreeMap::new(),
            scopes: Vec::new(),
            mode: Mode::Propose,
            credential: None,
            provisioning: vec![ProvisioningRemedy::RegistryCredential],
            later_phase: vec![LaterPhaseRemedy::BuildspecLogin, LaterPhaseRemedy::DockerAuthVariable],
            iac_owned: Mode::Propose,
            untrusted_builds: UntrustedBuilds::Ignore,
            sightings: 1,
            shared_with_public: SharedWithPublic::Refuse,
            retry: Retry::Provisioning,
            settle: "15s".to_string(),
            verify_within: "24h".to_string(),
            on_ineffective: OnIneffective::Rollback,
            on_drift: OnDrift::Hold,
            limits: RawLimits::default(),
            freeze: Vec::new(),
        }
    }
}

/// A remedy for a refused build image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvisioningRemedy {
    /// The project's environment pulls its image with the credential.
    RegistryCredential,
    /// The project's environment takes the same official image from ECR Public, without a credential.
    MirrorImage,
    /// Nothing is changed: the project's owner gets the exact patch.
    ProposePatch,
}

impl From<ProvisioningRemedy> for Remedy {
    fn from(remedy: ProvisioningRemedy) -> Remedy {
        match remedy {
            ProvisioningRemedy::RegistryCredential => Remedy::RegistryCredential,
            ProvisioningRemedy::MirrorImage => Remedy::MirrorImage,
            ProvisioningRemedy::ProposePatch => Remedy::ProposePatch,
        }
    }
}

/// A remedy for a pull refused in a later phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaterPhaseRemedy {
    /// The project's inline buildspec logs in before the first docker use.
    BuildspecLogin,
    /// The project's builds get `DOCKER_AUTH_CONFIG`, where their docker is known to read it.
    DockerAuthVariable,
    /// Nothing is changed: the project's owner gets the exact patch.
    ProposePatch,
}

impl From<LaterPhaseRemedy> for Remedy {
    fn from(remedy: LaterPhaseRemedy) -> Remedy {
        match remedy {
            LaterPhaseRemedy::BuildspecLogin => Remedy::BuildspecLogin,
            LaterPhaseRemedy::DockerAuthVariable => Remedy::DockerAuthVariable,
            LaterPhaseRemedy::ProposePatch => Remedy::ProposePatch,
        }
    }
}

/// How much at once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimits {
    /// Remediations under way at once.
    #[schemars(range(min = 1))]
    pub max_open: u32,
    /// Remediations begun within an hour.
    #[schemars(range(min = 1))]
    pub max_per_hour: u32,
    /// Remediations under way at once, as a share of the projects that the policy matches; one is always let through.
    pub max_share: String,
    /// Remediations of one project before it is escalated, until a person clears it.
    #[schemars(range(min = 1))]
    pub attempts_per_project: u32,
}

impl Default for RawLimits {
    fn default() -> RawLimits {
        RawLimits { max_open: 5, max_per_hour: 10, max_share: "10%".to_string(), attempts_per_project: 2 }
    }
}

/// A window without changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cron", "duration"]))]
pub struct RawFreeze {
    /// When the window opens, in UTC: five fields of cron, or six with seconds first.
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = ["0 18 * * FRI"]))]
    pub cron: String,
    /// How long the window lasts.
    #[schemars(length(min = 1))]
    #[schemars(extend("examples" = ["60h"]))]
    pub duration: String,
}
