//! The throttled build once more: whether it may be started again, and whether it was already.
//!
//! A token makes `RetryBuild` and `StartBuild` idempotent, but for five minutes only. After that a build that looks like
//! ours is looked for before another is started.

use crate::domain::build::{Build, BuildId, Project};
use crate::domain::classify::Site;
use crate::domain::plan::{Plan, RetryPlan};
use crate::domain::policy::Retry;
use crate::domain::trust;
use jiff::{SignedDuration, Timestamp};

/// How long a token is trusted: CodeBuild documents five minutes.
const TOKEN_TRUSTED: SignedDuration = SignedDuration::from_mins(4);

/// How to go about a retry that was decided at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// Ask for it: the token still makes a second request the first.
    Ask,
    /// Look first for a build that is it.
    LookFirst,
}

/// Whether the throttled build is to be started again, and why not.
pub fn plan(build: &Build, project: &Project, retry: Retry, site: Site) -> RetryPlan {
    let no = |reason: &str| RetryPlan::No(reason.to_string());
    if !retry.covers(site) {
        no("the policy does not retry builds that failed in this phase")
    } else if build.batch.is_some() {
        no("it is a member of a batch")
    } else if build.is_of_a_pipeline() {
        no("a pipeline started it and must retry its stage")
    } else if project.is_runner {
        no("it ran a runner's job, whose token holds for one build")
    } else if build.next_auto_retry.is_some() {
        no("CodeBuild retries it itself")
    } else {
        RetryPlan::Once
    }
}

/// The token of `RetryBuild` for a throttled build, the same after a crash.
pub fn retry_token(because: &BuildId) -> String {
    format!("unthrottled-retry-{}", because.uuid())
}

/// The token of `StartBuild` for a throttled build that `RetryBuild` ran with its old configuration.
pub fn start_token(because: &BuildId) -> String {
    format!("unthrottled-start-{}", because.uuid())
}

/// How to go about it now.
pub fn approach(intended: Timestamp, now: Timestamp) -> Approach {
    let trusted_until = intended.saturating_add(TOKEN_TRUSTED).unwrap_or(Timestamp::MAX);
    if now < trusted_until { Approach::Ask } else { Approach::LookFirst }
}

/// A build that was started after the retry was decided and builds the same thing: it is the retry, or as good.
pub fn found<'a>(because: &Build, candidates: &'a [Build], intended: Timestamp) -> Option<&'a Build> {
    let later = |build: &&Build| build.id != because.id && build.started.is_some_and(|at| at >= intended);
    // A build that has just begun has not resolved its version yet; ours are started with the resolved one.
    let same = |build: &&Build| match (&because.resolved_source_version, &build.resolved_source_version) {
        (Some(a), Some(b)) => a == b,
        (Some(_), None) if build.source_version == because.resolved_source_version => true,
        _ => because.source_version == build.source_version,
    };
    candidates.iter().filter(later).find(same)
}

/// Why a build whose retry ran with its old configuration can't be started afresh: `StartBuild` would not give it what
/// it was started with.
pub fn not_startable(plan: &Plan, because: &Build, project: &Project) -> Option<&'static str> {
    let initiator = because.initiator.as_deref().unwrap_or_default();
    let names =
        |build: &[crate::domain::build::Variable]| -> Vec<String> { build.iter().map(|v| v.name.clone()).collect() };
    let ours: Vec<String> = names(&project.environment.variables);
    let (ran, now) = (&because.environment.image, &project.environment.image);
    let same_image = ran == now || *ran == plan.image && plan.allows_image(now);
    let overridden = names(&because.environment.variables).into_iter().any(|name| !ours.contains(&name));
    if initiator.starts_with("GitHub-Hookshot/")
        || initiator.starts_with("Bitbucket")
        || initiator.starts_with("GitLab")
    {
        Some("a webhook started it, and a new build would lack what the webhook gave it")
    } else if trust::is_of_pull_request(because) {
        // It would be started by the commit, and nothing of it would show whose it is.
        Some("it built a pull request, and a new build would not show that")
    } else if overridden {
        Some("it was started with variables of its own")
    } else if !same_image {
        Some("it was started with an image of its own")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
