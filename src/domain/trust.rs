//! What a diagnosis rests on: who can have written it, and how much it proves.
//!
//! The contexts of PROVISIONING are CodeBuild's own words. A line of a log is anybody's whose code the build ran: whoever
//! can open a pull request can print the very message of Docker Hub. So a log counts only where the build is of the
//! project's own people, and a line only where it stands in the phase that failed, of a command that may have pulled from
//! Docker Hub; which command failed is told by CodeBuild, not by the log.

use crate::domain::build::{Build, Buildspec, Phase, PhaseName, Project, PullRequests, Visibility};
use crate::domain::buildspec::login::Shell;
use crate::domain::buildspec::pulls::{Pulls, pulls};
use crate::domain::buildspec::sight::{Sight, sight};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a diagnosis proves, beside what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// CodeBuild said so itself, in the context of a phase.
    CodeBuild,
    /// A line of the log says so, in the phase that failed and of a command that may have pulled from Docker Hub.
    Command,
    /// A line of the log says so, and it may stand outside of the phase that failed.
    Unplaced,
    /// A line of the log says so, and the command that failed pulls nothing.
    NoPull,
    /// A line of the log says so, and the command that failed pulls from other registries.
    OtherRegistry,
    /// It is not known which command failed, or what it was weighed by.
    #[default]
    Unknown,
}

impl Weight {
    /// Whether nothing is known of it, as in what older versions recorded.
    pub fn is_unknown(&self) -> bool {
        *self == Weight::Unknown
    }

    /// What it lacks to be acted on, in a sentence.
    pub fn lacks(self) -> Option<&'static str> {
        Some(match self {
            Weight::CodeBuild | Weight::Command => return None,
            Weight::Unplaced => "the line of the log may stand outside of the phase that failed",
            Weight::NoPull => "the command that failed pulls nothing, so the line in the log is none of Docker Hub's",
            Weight::OtherRegistry => "the command that failed pulls from other registries than Docker Hub",
            Weight::Unknown => "CodeBuild does not tell which command failed, nor does the project's buildspec",
        })
    }
}

/// What a line of the log weighs: `phase` is the one that it stands in, as far as the log tells.
pub fn weight(build: &Build, failed: &Phase, phase: Option<&PhaseName>) -> Weight {
    if phase != Some(&failed.name) {
        return Weight::Unplaced;
    }
    let by_command = failed_command(failed).and_then(|command| match pulls(&command) {
        // What was cut may go on with anything.
        Pulls::Nothing | Pulls::Elsewhere if is_cut(failed) => None,
        pulls => Some(pulls),
    });
    match (by_command, &build.buildspec) {
        (Some(Pulls::Perhaps), _) => Weight::Command,
        (Some(Pulls::Nothing), _) => Weight::NoPull,
        (Some(Pulls::Elsewhere), _) => Weight::OtherRegistry,
        (None, Buildspec::Inline(text)) => match sight(text, Shell::Sh) {
            Sight::Pulls { .. } | Sight::Perhaps { .. } | Sight::LoggedIn { .. } => Weight::Command,
            Sight::Nothing => Weight::NoPull,
            Sight::Unreadable(_) => Weight::Unknown,
        },
        (None, Buildspec::Elsewhere(_)) => Weight::Unknown,
    }
}

const COMMAND: &str = "Error while executing command: ";

/// CodeBuild cuts a context at about this length.
const CUT_AT: usize = 250;

/// The command that failed the phase, by its context: CodeBuild's own words.
fn failed_command(failed: &Phase) -> Option<String> {
    let command = failed.contexts.iter().find_map(|context| context.message.split_once(COMMAND))?.1;
    let command = command.rsplit_once(". Reason: ").map_or(command, |(command, _)| command);
    Some(command.to_string()).filter(|command| !command.trim().is_empty())
}

fn is_cut(failed: &Phase) -> bool {
    let is_cut = |message: &str| message.chars().count() >= CUT_AT && !message.contains(". Reason: ");
    failed.contexts.iter().any(|context| context.message.contains(COMMAND) && is_cut(&context.message))
}

/// Why a stranger can have written the build's log, or may have as far as is known; in a sentence.
///
/// `is_ours` is a build that the daemon started again: its version need not be told as it was the first time.
pub fn stranger(build: &Build, project: &Project, is_ours: bool) -> Option<&'static str> {
    let initiator = build.initiator.as_deref().unwrap_or_default().trim();
    let version = build.source_version.as_deref().unwrap_or_default().trim();
    if build.project != project.name || build.id.project() != project.name {
        Some("the build is of another project")
    } else if project.visibility == Visibility::Public {
        Some("the project is public")
    } else if is_of_pull_request(build) {
        Some("the build is of a pull request, whose author can write its log")
    } else if initiator.is_empty() {
        Some("CodeBuild does not tell who started the build")
    } else if build.source_kind == "NO_SOURCE" {
        // It runs the project's own commands and nobody's code.
        None
    } else if is_webhook(initiator) && version.is_empty() {
        Some("a webhook started the build, and CodeBuild does not tell of what")
    } else if project.pull_requests != PullRequests::Nobodys && may_hide_one(build, initiator, version, is_ours) {
        Some("the project builds pull requests, and CodeBuild does not tell whether this build is of one")
    } else {
        None
    }
}

/// Whether the version says that it is of a pull request. CodeBuild documents `pr/<number>` for those of GitHub.
pub fn is_of_pull_request(build: &Build) -> bool {
    let version = build.source_version.as_deref().unwrap_or_default().trim().to_ascii_lowercase();
    let begins = |start: &&str| version.strip_prefix("refs/").unwrap_or(&version).starts_with(start);
    ["pr/", "mr/", "pull/", "pull-requests/", "merge-requests/"].iter().any(begins)
        || version.contains("merge-requests/")
}

/// Where pull requests are built, only GitHub's webhook tells them by the version: those of Bitbucket and GitLab, and the
/// members of a batch, come as a plain commit. So does what a person starts again.
fn may_hide_one(build: &Build, initiator: &str, version: &str, is_ours: bool) -> bool {
    if initiator.starts_with("codepipeline/") {
        return false;
    }
    let is_github = matches!(build.source_kind.as_str(), "GITHUB" | "GITHUB_ENTERPRISE");
    if build.batch.is_some() || is_ours {
        true
    } else if is_webhook(initiator) {
        !(is_github && initiator.starts_with("GitHub-Hookshot/"))
    } else {
        is_commit(version)
    }
}

/// CodeBuild names what sent the webhook by its user agent, `GitHub-Hookshot/…`.
fn is_webhook(initiator: &str) -> bool {
    let initiator = initiator.to_ascii_lowercase();
    ["github", "bitbucket", "gitlab", "atlassian"].iter().any(|host| initiator.starts_with(host))
}

fn is_commit(version: &str) -> bool {
    (7..=64).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
