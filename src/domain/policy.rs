//! What the operator allows: which policy a project falls under, and how far it may go.

use crate::domain::build::{Project, ProjectName};
use crate::domain::classify::Site;
use globset::GlobSet;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The stop switch: a project that carries this tag with the value [`STOP_VALUE`] is never touched.
pub const STOP_TAG: &str = "unthrottled";

/// The value of [`STOP_TAG`] that stops.
pub const STOP_VALUE: &str = "off";

/// How far the daemon may go. Ordered: the least of several wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Diagnose and report.
    Observe,
    /// Also say what would be done.
    Propose,
    /// Also do it.
    Apply,
}

impl Mode {
    /// The name in settings and events.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Propose => "propose",
            Mode::Apply => "apply",
        }
    }
}

/// A kind of fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// The project's environment pulls its image with a Docker Hub secret.
    RegistryCredential,
    /// The project's inline buildspec logs in before the first docker use.
    BuildspecLogin,
    /// The project's builds get `DOCKER_AUTH_CONFIG`, which docker reads by itself.
    DockerAuthVariable,
    /// The project's environment takes the same image from ECR Public.
    MirrorImage,
    /// Nothing is changed: the project's owner gets the exact patch.
    ProposePatch,
}

impl Remedy {
    /// Every remedy.
    pub const ALL: [Remedy; 5] = [
        Remedy::RegistryCredential,
        Remedy::BuildspecLogin,
        Remedy::DockerAuthVariable,
        Remedy::MirrorImage,
        Remedy::ProposePatch,
    ];

    /// The name in settings and events.
    pub fn name(self) -> &'static str {
        match self {
            Remedy::RegistryCredential => "registry_credential",
            Remedy::BuildspecLogin => "buildspec_login",
            Remedy::DockerAuthVariable => "docker_auth_variable",
            Remedy::MirrorImage => "mirror_image",
            Remedy::ProposePatch => "propose_patch",
        }
    }

    /// Where a refused pull must have happened for this remedy to cure it; none if it may be anywhere.
    pub fn site(self) -> Option<Site> {
        match self {
            Remedy::RegistryCredential | Remedy::MirrorImage => Some(Site::BuildImage),
            Remedy::BuildspecLogin | Remedy::DockerAuthVariable => Some(Site::DockerClient),
            Remedy::ProposePatch => None,
        }
    }

    /// Whether it changes the project, and not only says what its owner could change.
    pub fn changes_project(self) -> bool {
        self != Remedy::ProposePatch
    }

    /// Whether the project comes to name the secret, so that its role is granted it first.
    pub fn needs_secret(self) -> bool {
        self != Remedy::MirrorImage
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What becomes of throttles that a log alone shows, where a stranger can have written it or it proves too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UntrustedBuilds {
    /// They cause nothing.
    Ignore,
    /// They cause proposals at the most.
    Propose,
    /// They are treated as any other.
    Apply,
}

/// What becomes of a grant on a role through which strangers could get at the credential: a project of the role is public, or
/// builds pull requests of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SharedWithPublic {
    /// It is not made without a person.
    Refuse,
    /// It is made as any other.
    Allow,
}

/// Which failed builds are started again once their remedy is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// None.
    Never,
    /// Those that failed in PROVISIONING: no command of the customer's has run, so nothing runs twice.
    Provisioning,
    /// Also those that failed later, which may deploy twice.
    Always,
}

impl Retry {
    /// Whether a build that failed at this site is started again.
    pub fn covers(self, site: Site) -> bool {
        match self {
            Retry::Never => false,
            Retry::Provisioning => site == Site::BuildImage,
            Retry::Always => true,
        }
    }
}

/// What becomes of a remedy that did not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnIneffective {
    /// It is taken back.
    Rollback,
    /// It stays, and a person is called. What made things worse is taken back all the same.
    Keep,
}

/// What becomes of a remedy that the code which owns the project has set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    /// It stays out, and the owner gets the patch for that code.
    Hold,
    /// The next throttled build has it applied again, later and later, as long as attempts are left.
    Reapply,
}

/// A Docker Hub secret and the names under which it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// Its name in the settings.
    pub name: String,
    /// The secret's name or full ARN.
    pub secret: String,
    /// The secret's key that holds the user name.
    pub username_key: String,
    /// The secret's key that holds the password or access token.
    pub password_key: String,
    /// The secret's key that holds the text of `DOCKER_AUTH_CONFIG`.
    pub auth_config_key: String,
    /// The environment variable that a project gets the user name in.
    pub username_variable: String,
    /// The environment variable that a project gets the password in.
    pub password_variable: String,
    /// The inline policy's name on service roles.
    pub policy_name: String,
}

/// How much at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Remediations under way at once.
    pub max_open: usize,
    /// Remediations begun within an hour.
    pub max_per_hour: usize,
    /// Remediations under way at once, as a share (0 to 1) of the projects that the policy matches; at least one.
    pub max_share: f64,
    /// Remediations of one project, then a person must clear it.
    pub attempts_per_project: usize,
}

/// A window without changes: from each firing of the schedule, for the duration.
#[derive(Clone, Debug, Serialize)]
pub struct Freeze {
    /// The schedule, in UTC, as written in the settings.
    pub cron: String,
    /// How long each window lasts.
    pub duration: SignedDuration,
    /// The schedule, read.
    #[serde(skip)]
    pub schedule: croner::Cron,
}

/// What the operator allows for the projects that it matches.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Globs on the project's name; any of them.
    #[serde(skip)]
    pub projects: GlobSet,
    /// The same globs as written.
    pub project_globs: Vec<String>,
    /// Globs on names that it leaves out.
    #[serde(skip)]
    pub exclude: GlobSet,
    /// The same globs as written.
    pub exclude_globs: Vec<String>,
    /// Tags that a project must carry; all of them.
    pub tags: BTreeMap<String, String>,
    /// Scopes; empty means all.
    pub scopes: Vec<String>,
    /// How far it may go.
    pub mode: Mode,
    /// The credential that its remedies use.
    pub credential: Credential,
    /// For PROVISIONING: the first that applies is taken.
    pub provisioning: Vec<Remedy>,
    /// For later phases: the first that applies is taken.
    pub later_phase: Vec<Remedy>,
    /// The most that is done to projects that CloudFormation, CDK or Terraform own.
    pub iac_owned: Mode,
    /// What becomes of builds whose log a stranger can write, or proves too little.
    pub untrusted_builds: UntrustedBuilds,
    /// In how many builds of a project a throttle has to be seen that a log alone shows.
    pub sightings: usize,
    /// What becomes of a grant on a role through which strangers could get at the credential.
    pub shared_with_public: SharedWithPublic,
    /// Which failed builds are started again.
    pub retry: Retry,
    /// How long a grant is given to propagate.
    pub settle: SignedDuration,
    /// How long a later build may take to prove the remedy.
    pub verify_within: SignedDuration,
    /// What becomes of a remedy that did not help.
    pub on_ineffective: OnIneffective,
    /// What becomes of a remedy that the code which owns the project has set back.
    pub on_drift: OnDrift,
    /// How much at once.
    pub limits: Limits,
    /// Windows without changes.
    pub freezes: Vec<Freeze>,
}

impl Policy {
    /// Whether it is for the projects of this scope.
    pub fn is_for_scope(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|allowed| allowed == scope)
    }

    /// Whether the project's name alone lets the policy match.
    pub fn matches_name(&self, scope: &str, name: &ProjectName) -> bool {
        self.is_for_scope(scope) && self.projects.is_match(name.as_str()) && !self.exclude.is_match(name.as_str())
    }

    /// Whether the policy matches.
    pub fn matches(&self, scope: &str, project: &Project) -> bool {
        self.matches_name(scope, &project.name)
            && self.tags.iter().all(|(key, value)| project.tag(key) == Some(value.as_str()))
    }

    /// The remedies for a refused pull at this site, in the operator's order.
    pub fn remedies(&self, site: Site) -> &[Remedy] {
        match site {
            Site::BuildImage => &self.provisioning,
            Site::DockerClient => &self.later_phase,
        }
    }

    /// The end of the freeze that `now` lies in, the latest of several.
    pub fn frozen_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.freezes.iter().filter_map(|freeze| freeze.until(now)).max()
    }
}

impl Freeze {
    /// Reads a schedule of five fields, or six with seconds first.
    pub fn new(cron: &str, duration: SignedDuration) -> Result<Freeze, String> {
        use croner::parser::{CronParser, Seconds};
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let schedule = parser.parse(cron).map_err(|error| error.to_string())?;
        Ok(Freeze { cron: cron.to_string(), duration, schedule })
    }

    /// The end of the window that `now` lies in.
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let at = now.to_zoned(jiff::tz::TimeZone::UTC);
        let opened = self.schedule.find_previous_occurrence(&at, true).ok()?;
        let end = opened.timestamp().checked_add(self.duration).ok()?;
        (now < end).then_some(end)
    }
}

/// Whether the project carries the tag that stops.
pub fn is_stopped(project: &Project) -> bool {
    project.tag(STOP_TAG).is_some_and(|value| value.eq_ignore_ascii_case(STOP_VALUE))
}

/// The first policy that matches a project decides.
pub fn policy_for<'a>(policies: &'a [Policy], scope: &str, project: &Project) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.matches(scope, project))
}

#[cfg(test)]
mod tests;
