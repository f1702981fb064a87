//! How a simulated account behaves: its clock, its pace, and the readings of what AWS leaves open.

use std::net::{Ipv4Addr, SocketAddr};

use jiff::{SignedDuration, Timestamp};

/// Settings of a [`Simulator`](super::Simulator).
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; always a loopback address.
    pub listen: SocketAddr,
    /// What moves the simulated time.
    pub clock: Clock,
    /// The account's number.
    pub account_id: String,
    /// The only region there is.
    pub region: String,
    /// How long the phases of a build take.
    pub durations: Durations,
    /// The readings of what AWS does not document.
    pub unknowns: Unknowns,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::Manual(Timestamp::constant(1_795_255_200, 0)),
            account_id: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            durations: Durations::default(),
            unknowns: Unknowns::default(),
        }
    }
}

/// What moves the simulated time.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// Only `advance` does; it starts here.
    Manual(Timestamp),
    /// The wall clock, from the start of the simulator on this many times as fast.
    Wall {
        /// 1.0 is real time.
        speed: f64,
    },
}

/// How long the phases of a build take. INSTALL to POST_BUILD take as long as their commands.
#[derive(Debug, Clone)]
pub struct Durations {
    /// SUBMITTED and QUEUED together.
    pub queued: SignedDuration,
    /// PROVISIONING, the pull of the environment image included.
    pub provisioning: SignedDuration,
    /// DOWNLOAD_SOURCE.
    pub download_source: SignedDuration,
    /// One command.
    pub command: SignedDuration,
    /// One image that a docker command pulls, in addition.
    pub pull: SignedDuration,
    /// UPLOAD_ARTIFACTS.
    pub upload_artifacts: SignedDuration,
    /// FINALIZING.
    pub finalizing: SignedDuration,
}

impl Default for Durations {
    fn default() -> Self {
        Durations {
            queued: SignedDuration::from_secs(1),
            provisioning: SignedDuration::from_secs(19),
            download_source: SignedDuration::from_secs(4),
            command: SignedDuration::from_secs(3),
            pull: SignedDuration::from_secs(6),
            upload_artifacts: SignedDuration::from_secs(1),
            finalizing: SignedDuration::from_secs(2),
        }
    }
}

impl Durations {
    /// A whole build in about a second, for a person who watches.
    #[must_use]
    pub fn brief() -> Self {
        Durations {
            queued: SignedDuration::from_millis(100),
            provisioning: SignedDuration::from_millis(300),
            download_source: SignedDuration::from_millis(150),
            command: SignedDuration::from_millis(100),
            pull: SignedDuration::from_millis(200),
            upload_artifacts: SignedDuration::from_millis(50),
            finalizing: SignedDuration::from_millis(100),
        }
    }
}

/// What AWS does not document, one switch each; a daemon has to come out right under every reading.
#[derive(Debug, Clone, Default)]
pub struct Unknowns {
    /// Where `RetryBuild` takes the configuration from.
    pub retry_build: RetryReads,
    /// `environmentVariables` left out of a sent `environment`.
    pub omitted_variables: Omitted,
    /// `registryCredential` left out of a sent `environment`.
    pub omitted_credential: OmittedCredential,
    /// `tags` left out of `UpdateProject`. Terraform's provider found that they go.
    pub omitted_tags: OmittedTags,
    /// Tags of AWS's own (`aws:...`) that a caller sends back.
    pub system_tags: SystemTags,
    /// How much later builds see a change of a role's policy than `GetRolePolicy` does.
    pub iam_propagation: SignedDuration,
    /// How much later BatchGetProjects, ListProjects and ListBuilds show a change.
    pub stale_reads: SignedDuration,
    /// How long after the end of a build its last lines (from the failing phase on) become readable.
    pub late_logs: SignedDuration,
    /// How the log reads fill their pages.
    pub log_pages: LogPages,
    /// What a build shows as its buildspec where it was given another than the project's.
    pub given_buildspec: GivenBuildspec,
    /// Whether the lists of builds have the builds of a batch.
    pub batch_members: BatchMembers,
    /// Whether the log of a runner's build has what the steps of the job printed.
    pub runner_log: RunnerLog,
}

/// What `source.buildspec` of a build says where StartBuild, a pipeline or a batch gave it another than the project's. AWS documents
/// the member, not what it holds then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GivenBuildspec {
    /// What it was given.
    #[default]
    Shown,
    /// The project's, which it does not run.
    Hidden,
}

/// Whether ListBuilds and ListBuildsForProject have the builds of a batch, which are started by StartBuild but belong to the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchMembers {
    /// As any other build.
    #[default]
    Listed,
    /// Only the calls about batches know them.
    Unlisted,
}

/// Whether the log of a runner's build has what the steps of its job printed, or only that the job failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunnerLog {
    /// All of it.
    #[default]
    Whole,
    /// The steps write to the other side only.
    JobOnly,
}

/// Where `RetryBuild` takes the configuration from. AWS says only "Restarts a build".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryReads {
    /// The retried build's own snapshot.
    #[default]
    Original,
    /// The project as it is now.
    Current,
}

/// What becomes of a member that a sent structure leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Omitted {
    /// It stays as it was.
    #[default]
    Kept,
    /// It goes.
    Cleared,
}

/// [`Omitted`] for `registryCredential`, where a rollback by omission is hoped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OmittedCredential {
    /// It goes.
    #[default]
    Cleared,
    /// It stays as it was: then nothing in the model can take it away.
    Kept,
}

/// [`Omitted`] for tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OmittedTags {
    /// They go.
    #[default]
    Cleared,
    /// They stay as they were.
    Kept,
}

/// What becomes of `aws:` tags that a caller sends back. AWS reserves the prefix; whether CodeBuild shows and takes such tags is not
/// documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SystemTags {
    /// They are tags like others.
    #[default]
    Accepted,
    /// The request is refused; left out, they stay.
    Refused,
}

/// How the log reads fill their pages. AWS documents that a page may be short or empty and still have a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogPages {
    /// Up to the documented maximum.
    #[default]
    Full,
    /// Every page is cut short, and every second one is empty, with a token.
    Ragged,
}
