//! Whether something is done about a throttled build: situation, policy, history and time in; a decision out.
//!
//! Two steps, so that the second's reads (role, secret) are only made where the first lets them: [`screen`] needs the
//! build and the project, [`decide`] the rest.

mod choose;
mod drift;
mod room;
mod words;

pub use choose::first_plan;
pub use words::kept_out;

use crate::domain::build::{BuildId, Project, Role, RoleName, Secret, SecretArn};
use crate::domain::classify::{Cause, Login, Site};
use crate::domain::history::{Detected, History};
use crate::domain::images::KnownImages;
use crate::domain::patch::{self, Owner, Patch};
use crate::domain::plan::{Plan, RemediationId};
use crate::domain::policy::{self, Mode, Policy, SharedWithPublic, UntrustedBuilds};
use crate::domain::reach::Reach;
use crate::domain::remediation::Stage;
use crate::domain::trust;
use crate::domain::{build::Build, verdict};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a build that waits for room (a limit, a busy role or project) waits before the next look.
const ROOM: SignedDuration = SignedDuration::from_secs(60);

/// How long a build waits for another of its project to be throttled, too.
const SIGHTING: SignedDuration = SignedDuration::from_hours(24);

/// How long a build waits for a credential to be mended.
const CREDENTIAL: SignedDuration = SignedDuration::from_mins(5);

/// What was decided about a throttled build. A build that is being remediated has a plan instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// There is a plan, and the mode does not let it through.
    Proposed {
        /// What would be done.
        plan: Box<Plan>,
        /// The mode that holds it back.
        mode: Mode,
        /// Whose code owns the project, if a tag tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// No other remedy applies, and the project's owner can cure it.
    ForOwner {
        /// What the owner has to change.
        patch: Box<Patch>,
    },
    /// The very same was proposed for an earlier build.
    Repeated {
        /// Which.
        build: BuildId,
    },
    /// Something holds a plan back for now; it is decided again.
    Held {
        /// What.
        reason: HoldReason,
        /// More about it, in a sentence.
        detail: String,
        /// When it is worth deciding again.
        #[schemars(with = "String")]
        until: Timestamp,
    },
    /// Nothing is done.
    Left {
        /// Why.
        reason: LeaveReason,
        /// More about it, in a sentence.
        detail: String,
    },
    /// A deployment of the code that owns the project has set this remedy back, so its cure belongs into that code.
    SetBack {
        /// What that code would have to keep.
        plan: Box<Plan>,
        /// Whose code owns the project, if a tag still tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// How often it was set back.
        times: usize,
        /// What keeps it out.
        kept: KeptOut,
    },
    /// A newer build of the project, throttled in the same place, waits for the same.
    Superseded {
        /// Which.
        by: BuildId,
    },
    /// A remediation that is under way already is its cure.
    Covered {
        /// Which.
        by: RemediationId,
    },
}

/// What keeps a remedy out that was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeptOut {
    /// The policy's `on_drift` is `hold`.
    ByPolicy,
    /// It was applied as often as is allowed; a person must look.
    AfterAttempts,
}

/// What holds a plan back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// As many remediations as allowed are under way.
    MaxOpen,
    /// As many as allowed began within the hour.
    MaxPerHour,
    /// As large a share of the matched projects as allowed is under way.
    MaxShare,
    /// A window without changes.
    Freeze,
    /// Another remediation of the project is under way.
    ProjectBusy,
    /// Another remediation must first prove that the role can read the secret.
    RoleUnproven,
    /// The secret can't be used.
    CredentialUnusable,
    /// The credential's Docker account would be the next to be throttled.
    CredentialQuotaLow,
    /// A deployment has set it back not long ago.
    SetBack,
    /// The policy wants the throttle seen in another build of the project, too.
    SecondSighting,
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// The pull was authenticated: the account itself has reached its limit.
    AlreadyAuthenticated,
    /// Another registry throttled.
    OtherRegistry,
    /// Docker Hub's abuse limit, which a login does not lift.
    AbuseLimit,
    /// Docker Hub refuses logins for there were too many.
    LoginLimit,
    /// No policy matches the project.
    NoPolicy,
    /// The mode is `observe`.
    ObserveOnly,
    /// The project carries the tag that stops.
    StopSwitch,
    /// A stranger can have written the log.
    UntrustedBuild,
    /// The line of the log proves too little.
    WeakEvidence,
    /// No other build of the project was throttled in time.
    SeenOnce,
    /// Strangers could get at the credential through the role.
    SharedWithPublic,
    /// The project is gone.
    ProjectGone,
    /// The build is gone.
    BuildGone,
    /// The project has no service role, or it is gone.
    RoleGone,
    /// The remedy made another project of the same role worse; a person must clear that project.
    RoleDisproved,
    /// None of the policy's remedies applies.
    NoRemedy,
    /// As many attempts as allowed were made; a person must clear the project.
    AttemptsExhausted,
}

/// What shall be done about a throttled build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Carry this plan out.
    Remediate(Box<Plan>),
    /// Record this, and do nothing.
    Judge(Judgement),
}

/// What the first step came to.
#[derive(Clone, Debug)]
pub enum Screened<'a> {
    /// The role and the secret are worth reading.
    Proceed {
        /// The policy that the project falls under.
        policy: &'a Policy,
        /// The most that may be done.
        mode: Mode,
        /// Where the pull was refused.
        site: Site,
    },
    /// It is decided already.
    Judge(Judgement),
}

/// Where a throttled build stands in its project.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The scope's name.
    pub scope: &'a str,
    /// The build and its diagnosis.
    pub detected: &'a Detected,
    /// The build with its own snapshot.
    pub build: &'a Build,
    /// The project now.
    pub project: &'a Project,
    /// What happened so far.
    pub history: &'a History,
}

/// What has to be read before a plan can be made.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// The project's service role.
    pub role: &'a Role,
    /// The policy's secret, or why it can't be used; what is in the way only matters to remedies that need it.
    pub secret: Result<&'a Secret, &'a str>,
    /// How many projects the policy matches.
    pub matched: usize,
    /// What is known of images beforehand.
    pub images: &'a KnownImages,
    /// Whom a grant on the role reaches, once somebody looked.
    pub reach: Option<&'a Reach>,
}

/// What the diagnosis alone decides: a throttle that no login cures is left alone.
pub fn incurable(detected: &Detected) -> Option<Judgement> {
    let diagnosis = &detected.diagnosis;
    let (reason, detail) = match diagnosis.cause {
        Cause::HubPullLimit if diagnosis.login == Login::Authenticated => (
            LeaveReason::AlreadyAuthenticated,
            "the pull was authenticated: the Docker account itself has reached its limit, so another login cures nothing",
        ),
        Cause::HubPullLimit => return None,
        Cause::HubAbuseLimit => {
            (LeaveReason::AbuseLimit, "Docker Hub's abuse limit holds for an address whoever is logged in")
        }
        Cause::HubLoginLimit => (LeaveReason::LoginLimit, "Docker Hub refused a login, as there were too many"),
        Cause::OtherRegistry => {
            (LeaveReason::OtherRegistry, "another registry throttled; a Docker Hub login does nothing for it")
        }
        Cause::NotThrottled | Cause::NeedsLog | Cause::Unknown => return None,
    };
    Some(left(reason, detail))
}

/// The first step: everything that the build, the project, the policy and the history decide.
pub fn screen<'a>(case: Case<'_>, policies: &'a [Policy], most: Mode, now: Timestamp) -> Screened<'a> {
    let Case { scope, detected, build, project, history } = case;
    if let Some(judgement) = incurable(detected) {
        return Screened::Judge(judgement);
    }
    if let Some(caused) = history.caused(&build.id) {
        return Screened::Judge(Judgement::Covered { by: caused.plan().id.clone() });
    }
    let Some(site) = detected.diagnosis.site else {
        return Screened::Judge(left(LeaveReason::NoRemedy, "it is not known who pulled"));
    };
    if policy::is_stopped(project) {
        return Screened::Judge(left(LeaveReason::StopSwitch, "the project is tagged `unthrottled = off`"));
    }
    let Some(policy) = policy::policy_for(policies, scope, project) else {
        return Screened::Judge(left(LeaveReason::NoPolicy, "no policy matches the project"));
    };
    let mode = match mode_for(case, policy, site, most) {
        Ok(mode) => mode,
        Err(judgement) => return Screened::Judge(judgement),
    };
    if let Some(open) = history.open_on_project(&project.name) {
        let plan = open.plan();
        let will_hold = matches!(open.stage(), Stage::Planned | Stage::Applied);
        if will_hold && plan.site == site && !verdict::carries(plan, build) {
            return Screened::Judge(Judgement::Covered { by: plan.id.clone() });
        }
        let detail = format!("remediation {} of the project is under way", plan.id);
        return Screened::Judge(held(HoldReason::ProjectBusy, detail, now, ROOM));
    }
    if let Some(judgement) = unless_seen_again(case, policy, site, now) {
        return Screened::Judge(judgement);
    }
    Screened::Proceed { policy, mode, site }
}

/// The most that may be done, or why nothing may.
fn mode_for(case: Case<'_>, policy: &Policy, site: Site, most: Mode) -> Result<Mode, Judgement> {
    let mut mode = policy.mode.min(most);
    if patch::owner(case.project).is_some() {
        mode = mode.min(policy.iac_owned);
    }
    if let Some((reason, why)) = doubt(case, site) {
        match policy.untrusted_builds {
            UntrustedBuilds::Ignore => return Err(left(reason, why)),
            UntrustedBuilds::Propose => mode = mode.min(Mode::Propose),
            UntrustedBuilds::Apply => (),
        }
    }
    match mode {
        Mode::Observe => Err(left(LeaveReason::ObserveOnly, "the mode is `observe`")),
        mode => Ok(mode),
    }
}

/// Why a log is not enough to act on, if it is what there is. Phase contexts are CodeBuild's own words.
fn doubt(case: Case<'_>, site: Site) -> Option<(LeaveReason, &'static str)> {
    let Case { detected, build, project, history, .. } = case;
    if site == Site::BuildImage {
        return None;
    }
    let stranger = trust::stranger(build, project, history.started_again(&build.id));
    let lacks = || detected.diagnosis.weight.lacks().map(|why| (LeaveReason::WeakEvidence, why));
    stranger.map(|why| (LeaveReason::UntrustedBuild, why)).or_else(lacks)
}

/// What keeps a throttle waiting that was seen in fewer builds than the policy wants, where a log is all that shows it.
fn unless_seen_again(case: Case<'_>, policy: &Policy, site: Site, now: Timestamp) -> Option<Judgement> {
    let Case { detected, history, .. } = case;
    let seen = 1 + history.sightings_beside(detected);
    if site == Site::BuildImage || seen >= policy.sightings {
        return None;
    }
    let since = history.waits_since(&detected.build).unwrap_or(now);
    let until = since.saturating_add(SIGHTING).unwrap_or(Timestamp::MAX);
    let detail =
        format!("the throttle was seen in {seen} of the {} builds that `sightings` asks for", policy.sightings);
    Some(if now < until {
        Judgement::Held { reason: HoldReason::SecondSighting, detail, until }
    } else {
        left(LeaveReason::SeenOnce, &detail)
    })
}

/// What a credential that can't be used leads to.
pub fn unusable(detail: &str, now: Timestamp) -> Judgement {
    held(HoldReason::CredentialUnusable, detail.to_string(), now, CREDENTIAL)
}

/// What a role that is not there leads to.
pub fn without_role(detail: &str) -> Judgement {
    left(LeaveReason::RoleGone, detail)
}

/// What a project that is not there leads to.
pub fn without_project() -> Judgement {
    left(LeaveReason::ProjectGone, "the project was deleted")
}

/// What a build that is not there leads to.
pub fn without_build() -> Judgement {
    left(LeaveReason::BuildGone, "the build was deleted")
}

/// The second step: the first remedy that applies, if the limits let it.
pub fn decide(case: Case<'_>, screened: (&Policy, Mode, Site), means: Means<'_>, now: Timestamp) -> Decision {
    let (policy, mode, site) = screened;
    let choice = first_plan(case, policy, site, means, now);
    let secret = match &choice {
        Ok(plan) => plan.secret.as_ref(),
        Err(Judgement::ForOwner { patch }) => Some(&patch.secret),
        Err(_) => None,
    };
    if let Some(judgement) = secret.and_then(|secret| role_disproved(case.history, &means.role.name, secret)) {
        return Decision::Judge(judgement);
    }
    let plan = match choice {
        Ok(plan) => plan,
        Err(judgement) => return Decision::Judge(once(case, judgement)),
    };
    if mode < Mode::Apply {
        let owner = patch::owner(case.project);
        return Decision::Judge(once(case, Judgement::Proposed { plan: Box::new(plan), mode, owner }));
    }
    if let Some(judgement) = opened(policy, &plan) {
        return Decision::Judge(judgement);
    }
    if let Some(judgement) = drift::kept_out(case, policy, &plan, now) {
        return Decision::Judge(once(case, judgement));
    }
    match room::room(case.history, policy, &plan, means.matched, now) {
        Some(judgement) => Decision::Judge(judgement),
        None => Decision::Remediate(Box::new(plan)),
    }
}

/// What speaks against a grant that strangers can get at the credential through.
fn opened(policy: &Policy, plan: &Plan) -> Option<Judgement> {
    plan.grant().filter(|_| policy.shared_with_public == SharedWithPublic::Refuse)?;
    let role = &plan.role;
    let detail = match &plan.reach {
        Some(reach) if !reach.is_open() => return None,
        Some(reach) => format!(
            "strangers could get at the credential through role `{role}`, as project {}; `shared_with_public` is `refuse`",
            reach.openings()
        ),
        None => format!("it was not looked who shares role `{role}`, and `shared_with_public` is `refuse`"),
    };
    Some(left(LeaveReason::SharedWithPublic, &detail))
}

/// What the role's other projects show: a secret that it can't use is proposed to nobody.
fn role_disproved(history: &History, role: &RoleName, secret: &SecretArn) -> Option<Judgement> {
    let by = history.disproved_by(role, secret)?;
    let detail = format!(
        "the secret made project `{by}` of the same role `{role}` worse; once that is mended, \
         `unthrottled clear --project {by}` allows it again"
    );
    Some(left(LeaveReason::RoleDisproved, &detail))
}

/// A proposal is made once for a project and a cause, and not for each build that fails for want of it.
fn once(case: Case<'_>, judgement: Judgement) -> Judgement {
    match case.history.proposed_for(&judgement) {
        Some(build) if *build != case.build.id => Judgement::Repeated { build: build.clone() },
        _ => judgement,
    }
}

fn left(reason: LeaveReason, detail: &str) -> Judgement {
    Judgement::Left { reason, detail: detail.to_string() }
}

fn held(reason: HoldReason, detail: String, now: Timestamp, wait: SignedDuration) -> Judgement {
    Judgement::Held { reason, detail, until: now.saturating_add(wait).unwrap_or(Timestamp::MAX) }
}

/// Of the builds of a project that wait for the same only the newest goes on waiting, so that no more wait than there are
/// projects: what becomes of it is the answer to all of them.
pub fn unless_superseded(history: &History, detected: &Detected, judgement: Judgement) -> Judgement {
    let Judgement::Held { reason, .. } = &judgement else { return judgement };
    if !reason.supersedes() {
        return judgement;
    }
    match history.newer_in_wait(detected, *reason) {
        Some(by) => Judgement::Superseded { by: by.clone() },
        None => judgement,
    }
}

/// Whether a build was judged in the same way before: a held build is recorded once a reason, not once a look.
pub fn same_reason(before: Option<&Judgement>, now: &Judgement) -> bool {
    match (before, now) {
        (Some(Judgement::Held { reason: a, .. }), Judgement::Held { reason: b, .. }) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
