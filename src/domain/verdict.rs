//! What one later build tells about a remedy.

use crate::domain::build::{Build, Buildspec, PhaseName, Status, VariableSource};
use crate::domain::buildspec::splice::Digest;
use crate::domain::buildspec::take_back;
use crate::domain::change::Edit;
use crate::domain::classify::{Cause, Diagnosis, Site};
use crate::domain::plan::Plan;
use crate::domain::policy::Remedy;
use crate::domain::trouble::Trouble;
use crate::domain::trust;
use std::fmt;

/// What one later build tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It carried the remedy and got past the point of failure.
    Effective,
    /// It carried the remedy and failed all the same, or because of it.
    Ineffective(Ineffective),
    /// It tells nothing.
    Inconclusive(Inconclusive),
}

/// How a remedy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineffective {
    /// Throttled again.
    StillThrottled,
    /// The role can't read the secret, or not decrypt it.
    SecretUnreadable,
    /// Docker Hub refused the credential.
    LoginRefused,
    /// CodeBuild can't read the buildspec.
    BuildspecBroken,
    /// CodeBuild can't pull the build image for another reason than before.
    ImageRefused,
    /// The registry that the image now comes from throttled it.
    MirrorThrottled,
    /// Docker Hub refused our login what the build's own login may do.
    AccessDenied,
}

/// Why a build tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inconclusive {
    /// It ran with a configuration that does not hold the remedy.
    WithoutTheRemedy,
    /// It did not get to the point of failure.
    NotReached,
    /// It failed there for a reason that has nothing to do with the remedy, or that could not be read.
    OtherFailure,
    /// It is of a pull request, whose author decides what its commands do and what its log says.
    Untrusted,
}

impl Ineffective {
    /// Whether builds that ran before the remedy now fail because of it.
    pub fn made_worse(self) -> bool {
        !matches!(self, Ineffective::StillThrottled | Ineffective::MirrorThrottled)
    }
}

impl fmt::Display for Ineffective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ineffective::StillThrottled => "Docker Hub throttled it again",
            Ineffective::SecretUnreadable => "the service role can't read the secret",
            Ineffective::LoginRefused => "Docker Hub refused the credential",
            Ineffective::BuildspecBroken => "CodeBuild can't read the buildspec",
            Ineffective::ImageRefused => "CodeBuild can't pull the build image",
            Ineffective::MirrorThrottled => "the mirror's registry throttled it",
            Ineffective::AccessDenied => "Docker Hub refused the credential a repository that the build uses",
        })
    }
}

/// Whether the build ran with the remedy: its own snapshot says so, whatever the clocks say.
pub fn carries(plan: &Plan, build: &Build) -> bool {
    plan.edits().iter().all(|edit| match edit {
        Edit::RegistryCredential { after } => build.environment.registry_credential.as_ref() == Some(after),
        Edit::PullCredentials { after, .. } => build.environment.pull_credentials.as_ref() == Some(after),
        Edit::Image { after, .. } => build.environment.image == *after,
        Edit::Variable { name, reference } => matches!(
            build.environment.variable(name).map(|variable| &variable.source),
            Some(VariableSource::SecretsManager(there)) if there == reference
        ),
        // With others' edits around our line it is still our line that ran.
        Edit::Buildspec { after, splice, .. } => match &build.buildspec {
            Buildspec::Inline(text) => Digest::of(text) == *after || take_back(text, splice).is_some(),
            Buildspec::Elsewhere(_) => false,
        },
    })
}

/// What a finished build tells about a plan.
pub fn judge(plan: &Plan, build: &Build, diagnosis: &Diagnosis, trouble: Option<Trouble>) -> Verdict {
    if !carries(plan, build) {
        return Verdict::Inconclusive(Inconclusive::WithoutTheRemedy);
    }
    let trouble = trouble.filter(|_| !pulled_with_our_secret(plan, build));
    if let Some(why) = trouble.and_then(|trouble| caused_by_us(plan, trouble)) {
        return Verdict::Ineffective(why);
    }
    let same_site = diagnosis.site == Some(plan.site);
    if diagnosis.cause == Cause::HubPullLimit && same_site && !diagnosis.recovered {
        return Verdict::Ineffective(Ineffective::StillThrottled);
    }
    if diagnosis.cause == Cause::OtherRegistry && same_site && !diagnosis.recovered && moves_the_image(plan) {
        return Verdict::Ineffective(Ineffective::MirrorThrottled);
    }
    match build.phase(plan.phase.as_str()).and_then(|phase| phase.status.as_ref()) {
        Some(Status::Succeeded) => Verdict::Effective,
        Some(Status::Failed(_) | Status::Unknown(_)) => Verdict::Inconclusive(Inconclusive::OtherFailure),
        Some(Status::InProgress) | None if got_past(plan, build) => Verdict::Effective,
        Some(Status::InProgress) | None => Verdict::Inconclusive(Inconclusive::NotReached),
    }
}

/// Whether what the build tells of the plan is its author's to decide: which commands it ran and what its log says. What it
/// failed of before its first command is told by CodeBuild.
pub fn is_a_strangers(plan: &Plan, build: &Build) -> bool {
    let failed_early = build.failed_phases().next().is_some_and(|phase| !phase.name.runs_commands());
    plan.site == Site::DockerClient && trust::is_of_pull_request(build) && !failed_early
}

fn moves_the_image(plan: &Plan) -> bool {
    plan.edits().iter().any(|edit| matches!(edit, Edit::Image { .. }))
}

/// Whether CodeBuild read the secret and pulled the build image with it: all that a registry credential is for. A secret
/// that can't be read or a login that is refused later in the build is the customer's own.
fn pulled_with_our_secret(plan: &Plan, build: &Build) -> bool {
    let pulled = build.phase(PhaseName::PROVISIONING);
    plan.site == Site::BuildImage && pulled.and_then(|phase| phase.status.as_ref()) == Some(&Status::Succeeded)
}

/// What our own change broke. A trouble of a kind that the remedy can't cause is somebody else's.
fn caused_by_us(plan: &Plan, trouble: Trouble) -> Option<Ineffective> {
    let has_login = plan.secret.is_some();
    match trouble {
        Trouble::SecretUnreadable | Trouble::KmsDenied => has_login.then_some(Ineffective::SecretUnreadable),
        Trouble::LoginRefused => has_login.then_some(Ineffective::LoginRefused),
        // Docker takes our variable before the login of the build itself. A login in the buildspec gives way to a later.
        Trouble::AccessDenied => (plan.remedy == Remedy::DockerAuthVariable).then_some(Ineffective::AccessDenied),
        Trouble::BuildspecBroken => {
            let edits_it = plan.edits().iter().any(|edit| matches!(edit, Edit::Buildspec { .. }));
            edits_it.then_some(Ineffective::BuildspecBroken)
        }
        Trouble::PullRefusedOtherwise => (plan.site == Site::BuildImage).then_some(Ineffective::ImageRefused),
    }
}

/// Whether a build without the plan's phase ended well in one behind it: the project's phases may have changed.
fn got_past(plan: &Plan, build: &Build) -> bool {
    let Some(wanted) = plan.phase.position() else {
        return build.status == Status::Succeeded;
    };
    build.phases.iter().any(|phase| {
        let behind = phase.name.position().is_some_and(|position| position > wanted);
        behind && phase.status == Some(Status::Succeeded) && build.status == Status::Succeeded
    })
}

#[cfg(test)]
mod tests;
