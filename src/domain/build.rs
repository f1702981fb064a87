//! What we know of builds, projects, roles and secrets, in our words and not the SDK's.
//!
//! Nothing here can hold the value of a plain environment variable or of a secret: what is not kept can't leak.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Makes a string of one meaning its own type, so that a role is never passed where a project is expected.
macro_rules! name_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; AWS decides what is valid.
            pub fn new(text: impl Into<String>) -> $name {
                $name(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

name_types! {
    /// The id of one build: `<project>:<uuid>`.
    BuildId;
    /// A CodeBuild project's name: 2 to 150 letters, digits, `-` and `_`.
    ProjectName;
    /// An IAM role's name, without its path: what IAM's role policy calls take.
    RoleName;
    /// A secret's full ARN, with the six characters that Secrets Manager adds. A secret made again under its name
    /// has another ARN.
    SecretArn;
}

impl BuildId {
    /// The project's part: everything before the first colon, as a project's name can't hold one.
    pub fn project(&self) -> ProjectName {
        let name = self.0.split(':').next().unwrap_or_default();
        ProjectName::new(name)
    }

    /// The part after the first colon, unique in all accounts.
    pub fn uuid(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, uuid)| uuid)
    }
}

impl RoleName {
    /// The name in a role's ARN or in a bare name: `Build.serviceRole` is documented as a name and answered as an ARN.
    pub fn of(arn_or_name: &str) -> RoleName {
        RoleName::new(arn_or_name.rsplit('/').next().unwrap_or_default())
    }
}

/// One of CodeBuild's phases, by CodeBuild's own name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct PhaseName(String);

impl PhaseName {
    /// CodeBuild could not, or did, pull the build image here.
    pub const PROVISIONING: &str = "PROVISIONING";
    /// Secret references of the project are resolved and the buildspec is parsed here.
    pub const DOWNLOAD_SOURCE: &str = "DOWNLOAD_SOURCE";

    /// The documented order. A phase that is not in it has no place, and nothing is concluded from it.
    const ORDER: [&str; 11] = [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
        "COMPLETED",
    ];

    /// Any text: a phase that AWS adds tomorrow is kept by its name.
    pub fn new(text: impl Into<String>) -> PhaseName {
        PhaseName(text.into())
    }

    /// CodeBuild's own name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Place in the documented order, or none for a phase never seen before.
    pub fn position(&self) -> Option<usize> {
        Self::ORDER.iter().position(|name| *name == self.0)
    }

    /// Whether commands of the customer run in it, so that a docker client can be refused in it.
    pub fn runs_commands(&self) -> bool {
        matches!(self.0.as_str(), "INSTALL" | "PRE_BUILD" | "BUILD" | "POST_BUILD")
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Status of a build or of a phase. CodeBuild answers values that its model does not list (`CLIENT_ERROR`), so
/// anything else is kept by name and is neither success nor a known failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Not ended.
    InProgress,
    /// Ended well.
    Succeeded,
    /// Ended badly: FAILED, FAULT, TIMED_OUT, STOPPED or CLIENT_ERROR.
    Failed(String),
    /// A word never seen before: nothing is concluded from it.
    Unknown(String),
}

impl Status {
    /// From CodeBuild's word.
    pub fn of(word: &str) -> Status {
        match word {
            "IN_PROGRESS" => Status::InProgress,
            "SUCCEEDED" => Status::Succeeded,
            "FAILED" | "FAULT" | "TIMED_OUT" | "STOPPED" | "CLIENT_ERROR" => Status::Failed(word.to_string()),
            other => Status::Unknown(other.to_string()),
        }
    }
}

/// What CodeBuild says about a phase's end: a code and a text, either of which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// For example `COMMAND_EXECUTION_ERROR`.
    pub code: String,
    /// Cut by CodeBuild at 255 characters for a refused build image.
    pub message: String,
}

/// One phase of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Which.
    pub name: PhaseName,
    /// None while it runs, and for COMPLETED.
    pub status: Option<Status>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it ended so.
    pub contexts: Vec<Context>,
}

/// How an environment variable gets its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VariableSource {
    /// The value stands in the project. It is not kept here.
    Plaintext,
    /// A reference into Secrets Manager: `<secret>[:<json key>[:<stage>[:<version>]]]`. A reference is no secret.
    SecretsManager(String),
    /// Parameter Store, or a type never seen before. The reference is not kept.
    Other(String),
}

/// An environment variable without its plain value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where the value comes from.
    pub source: VariableSource,
}

/// The members of a build's or a project's environment that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// For example `LINUX_CONTAINER`.
    pub kind: String,
    /// The image reference.
    pub image: String,
    /// The secret that the image is pulled with: its name or full ARN, as written.
    pub registry_credential: Option<String>,
    /// `CODEBUILD` or `SERVICE_ROLE`; absent means the former.
    pub pull_credentials: Option<String>,
    /// In the project's order.
    pub variables: Vec<Variable>,
}

impl Environment {
    /// The variable of this name; CodeBuild takes the last one of a name, and so does this.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().rev().find(|variable| variable.name == name)
    }
}

/// Where a build's buildspec comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Buildspec {
    /// The text stands in the project.
    Inline(String),
    /// It is somewhere else, and not the project's to edit.
    Elsewhere(BuildspecPlace),
}

/// Where a buildspec is that does not stand in the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildspecPlace {
    /// `buildspec.yml` in the root of the source.
    DefaultFile,
    /// Another file of the source, by its path.
    File(String),
    /// An object in S3, by its ARN.
    S3(String),
}

impl fmt::Display for BuildspecPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildspecPlace::DefaultFile => write!(f, "in the repository, `buildspec.yml`"),
            BuildspecPlace::File(path) => write!(f, "in the repository, `{path}`"),
            BuildspecPlace::S3(arn) => write!(f, "in S3, `{arn}`"),
        }
    }
}

impl Buildspec {
    /// Reads `source.buildspec` as CodeBuild must: undocumented, so the working rule is that text with a line break, or
    /// that begins as a JSON object, is inline. Everything else is a path, an ARN, or the default file.
    pub fn of(text: Option<&str>) -> Buildspec {
        match text {
            Some(text) if text.trim().contains('\n') || text.trim_start().starts_with('{') => {
                Buildspec::Inline(text.to_string())
            }
            other => Buildspec::Elsewhere(BuildspecPlace::of(other.unwrap_or_default().trim())),
        }
    }
}

impl BuildspecPlace {
    fn of(text: &str) -> BuildspecPlace {
        match text {
            "" => BuildspecPlace::DefaultFile,
            _ if text.starts_with("arn:") && text.contains(":s3:::") => BuildspecPlace::S3(text.to_string()),
            path => BuildspecPlace::File(path.to_string()),
        }
    }
}

/// Where a build's log can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// CloudWatch Logs.
    CloudWatch {
        /// Log group.
        group: String,
        /// Log stream.
        stream: String,
    },
    /// The build has no CloudWatch log: turned off, only in S3, or not created.
    None,
}

/// One build as one look showed it, with its own snapshot of the configuration it ran with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// Its number within the project.
    pub number: Option<i64>,
    /// The project it belongs to, which may be gone.
    pub project: ProjectName,
    /// How it stands.
    pub status: Status,
    /// Whether CodeBuild says that it is over.
    pub complete: bool,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// In the order answered.
    pub phases: Vec<Phase>,
    /// The environment it ran in.
    pub environment: Environment,
    /// The buildspec it ran.
    pub buildspec: Buildspec,
    /// The type of its source, for example `GITHUB` or `NO_SOURCE`.
    pub source_kind: String,
    /// The role it ran with.
    pub role: Option<RoleName>,
    /// Where its log is.
    pub log: LogPlace,
    /// Who started it: a user, `codepipeline/<name>`, `GitHub-Hookshot/…`.
    pub initiator: Option<String>,
    /// What was asked to be built: a branch, a commit, `pr/7`.
    pub source_version: Option<String>,
    /// The commit that it came to.
    pub resolved_source_version: Option<String>,
    /// Set for a member of a batch.
    pub batch: Option<String>,
    /// Set where CodeBuild itself retries this build.
    pub next_auto_retry: Option<String>,
}

impl Build {
    /// The failed phases, earliest first. After BUILD fails, POST_BUILD and others still run and may succeed, so the
    /// last phase proves nothing.
    pub fn failed_phases(&self) -> impl Iterator<Item = &Phase> {
        self.phases.iter().filter(|phase| matches!(phase.status, Some(Status::Failed(_))))
    }

    /// Whether a pipeline started it, which may have given it another buildspec and other sources.
    pub fn is_of_a_pipeline(&self) -> bool {
        let initiator = self.initiator.as_deref().unwrap_or_default();
        initiator.starts_with("codepipeline/") || self.source_kind == "CODEPIPELINE"
    }

    /// The phase of this name.
    pub fn phase(&self, name: &str) -> Option<&Phase> {
        self.phases.iter().find(|phase| phase.name.as_str() == name)
    }
}

/// Who may see a project's builds with their logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The account's own people.
    Private,
    /// Everyone, or a word that was never seen before.
    Public,
}

/// Whose pull requests a project's webhook builds without anyone's leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullRequests {
    /// Nobody's: it has no webhook, or one for other events.
    Nobodys,
    /// Those of people whom the webhook names, or whom a person who may write to the repository has approved.
    Approved,
    /// Anybody's, or it can't be told whose.
    Anybodys,
}

/// One project as one look showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// When it was made: a project made again under its name is another one.
    pub created: Option<Timestamp>,
    /// The environment of its next build.
    pub environment: Environment,
    /// The buildspec of its next build.
    pub buildspec: Buildspec,
    /// The type of its source.
    pub source_kind: String,
    /// Its service role's ARN.
    pub role_arn: Option<String>,
    /// Sorted by key.
    pub tags: Vec<(String, String)>,
    /// Who sees its builds.
    pub visibility: Visibility,
    /// Whose pull requests it builds without anyone's leave.
    pub pull_requests: PullRequests,
    /// Whether a webhook makes it a runner, which ignores the buildspec's commands and may take another image.
    pub is_runner: bool,
    /// Whether it runs batch builds, whose members may take curated images.
    pub has_batch: bool,
    /// Paths of members that the SDK would lose if what was read were sent back; a project that has any is not written.
    pub unrepresentable: Vec<String>,
}

impl Project {
    /// The service role's name.
    pub fn role(&self) -> Option<RoleName> {
        self.role_arn.as_deref().map(RoleName::of)
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }
}

/// An inline policy of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlinePolicy {
    /// Its name.
    pub name: String,
    /// Its document, decoded; none if what is there is no JSON.
    pub document: Option<serde_json::Value>,
    /// Characters that count towards the 10,240 that a role may have: white space does not.
    pub size: usize,
}

/// A service role as one look showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// Its path, `/` or `/service-role/`.
    pub path: String,
    /// All inline policies.
    pub inline: Vec<InlinePolicy>,
}

impl Role {
    /// Service-linked roles belong to AWS and refuse every change.
    pub fn is_service_linked(&self) -> bool {
        self.path.starts_with("/aws-service-role/")
    }

    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&InlinePolicy> {
        self.inline.iter().find(|policy| policy.name == name)
    }
}

/// A usable Docker Hub secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its full ARN.
    pub arn: SecretArn,
    /// The customer's key, or none for the key that AWS manages, which needs no grant.
    pub key: Option<SecretKey>,
    /// Whether it also holds a text for `DOCKER_AUTH_CONFIG`, which only one remedy needs.
    pub auth_config: AuthConfig,
}

/// Whether a secret holds a text that docker takes for `DOCKER_AUTH_CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthConfig {
    /// It does, for the login of the secret's other keys.
    Usable,
    /// It does not, for this reason, in a sentence without anything of its text.
    Unusable(String),
    /// Nobody looked, or could: why, in a sentence.
    Unknown(String),
}

/// The customer-managed KMS key of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretKey {
    /// By the key's ARN.
    Key(String),
    /// By an alias, `alias/<name>`, which IAM does not take as a resource; `keys` is the ARN pattern of all keys of the
    /// secret's account and region.
    Alias {
        /// `alias/<name>`.
        alias: String,
        /// `arn:aws:kms:<region>:<account>:key/*`.
        keys: String,
    },
}

impl Build {
    /// Whether it is over and not well.
    pub fn has_failed(&self) -> bool {
        self.complete && self.status != Status::Succeeded
    }
}

impl Project {
    /// Whether the project's environment names the secret: by its full ARN, its ARN without the suffix, or its name.
    pub fn names_secret(&self, secret: &SecretArn) -> bool {
        let is_it = |reference: &str| secret.is_meant_by(reference);
        let environment = &self.environment;
        environment.registry_credential.as_deref().is_some_and(is_it)
            || environment.variables.iter().any(
                |variable| matches!(&variable.source, VariableSource::SecretsManager(reference) if is_it(reference)),
            )
    }
}

impl SecretArn {
    /// Whether a reference in a project means this secret: by its full ARN, its ARN without the suffix, or its name.
    pub fn is_meant_by(&self, reference: &str) -> bool {
        let full = self.as_str();
        let name_at = full.rfind(':').map_or(0, |colon| colon + 1);
        let partial = full.get(..name_at + self.name().len()).unwrap_or(full);
        let of_arn =
            |arn: &str| reference.strip_prefix(arn).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        let by_name = !reference.starts_with("arn:") && reference.split(':').next() == Some(self.name());
        by_name || of_arn(full) || of_arn(partial)
    }

    /// The secret's name: what follows `secret:`, without the hyphen and six characters that Secrets Manager adds.
    pub fn name(&self) -> &str {
        let tail = self.0.split(':').nth(6).unwrap_or_default();
        match tail.rsplit_once('-') {
            Some((name, suffix)) if suffix.len() == 6 => name,
            _ => tail,
        }
    }
}

#[cfg(test)]
mod tests;
