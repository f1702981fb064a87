//! Which event a ledger record is told as, and in which words.

use super::{Event, Kind, milliseconds};
use crate::domain::build::{BuildId, ProjectName};
use crate::domain::classify::{Cause, Diagnosis, Login, Registry, Site, UnknownReason};
use crate::domain::decide::{self, HoldReason, Judgement, KeptOut, LeaveReason};
use crate::domain::history::{Detected, Fact, History, Record};
use crate::domain::patch::{self, Form, Owner, Patch, Sheet};
use crate::domain::plan::{Plan, RemediationId};
use crate::domain::policy::{Mode, Remedy};
use crate::domain::quota::Low;
use crate::domain::remediation::{Entry, EscalationReason, Remediation, RollbackReason};
use jiff::Timestamp;
use serde::Serialize;

/// The event, without its place and id.
pub(super) fn event(record: &Record, history: &History) -> Option<Event> {
    let at = record.at;
    match &record.fact {
        Fact::Detected(detected) => Some(throttle_detected(detected, at)),
        Fact::Undecided { build, reason } => Some(undecided(build, *reason, at)),
        Fact::Judged { build, judgement } => judged(build, judgement, history, at),
        Fact::Remediation { id, entry } => entered(history.remediation(id)?, entry, history, at),
        Fact::PasswordResetAdvised { credential, id } => Some(password_reset_advised(credential, id, history, at)),
        Fact::CredentialRotated { credential } => Some(credential_rotated(credential, at)),
        Fact::CredentialQuotaLow { credential, reason, detail } => {
            Some(credential_quota_low(credential, *reason, detail, at))
        }
        Fact::QuotaRestored { credential } => Some(quota_restored(credential, at)),
        Fact::Cleared { .. } => None,
    }
}

/// An event about a plan, with all that the plan says.
pub(super) fn about(plan: &Plan, kind: Kind, message: String, at: Timestamp) -> Event {
    Event {
        project_name: Some(plan.project.clone()),
        build_id: Some(plan.because.clone()),
        phase: Some(plan.phase.clone()),
        site: Some(plan.site),
        policy: Some(plan.policy.clone()),
        remedy: Some(plan.remedy),
        remediation_id: Some(plan.id.clone()),
        ..Event::new(kind, message, at)
    }
}

fn throttle_detected(detected: &Detected, at: Timestamp) -> Event {
    let project = detected.build.project();
    let message = refusal(detected, &project);
    let took = detected.ended.map(|ended| milliseconds(at.duration_since(ended)));
    Event { duration_ms: took, ..with_diagnosis(detected, Event::new(Kind::ThrottleDetected, message, at)) }
}

/// Who refused what, where, and why, in a sentence.
fn refusal(detected: &Detected, project: &ProjectName) -> String {
    let diagnosis = &detected.diagnosis;
    let registry = registry_name(diagnosis.registry);
    let what = match diagnosis.site {
        Some(Site::BuildImage) => "the build image",
        Some(Site::DockerClient) => "a docker client",
        None => "a pull",
    };
    let build = match detected.number {
        Some(number) => format!("build {number}"),
        None => format!("build {}", detected.build),
    };
    let phase = match &diagnosis.phase {
        Some(phase) => format!(" ({phase})"),
        None => String::new(),
    };
    let limit = limit(diagnosis);
    format!("{registry} refused {what} of project `{project}` in {build}{phase}: {limit}")
}

fn limit(diagnosis: &Diagnosis) -> &'static str {
    match (diagnosis.cause, diagnosis.login) {
        (Cause::HubPullLimit, Login::Anonymous) => "its limit for pulls without a login is reached",
        (Cause::HubPullLimit, Login::Authenticated) => "the logged-in account's own pull limit is reached",
        (Cause::HubPullLimit, Login::Unknown) => "its pull limit is reached",
        (Cause::HubAbuseLimit, _) => "its abuse limit is reached, which no login lifts",
        (Cause::HubLoginLimit, _) => "there were too many logins",
        (Cause::OtherRegistry, _) => "it throttles, and a Docker Hub login does nothing for it",
        (Cause::NotThrottled | Cause::NeedsLog | Cause::Unknown, _) => "it is not known why",
    }
}

fn registry_name(registry: Registry) -> &'static str {
    match registry {
        Registry::DockerHub => "Docker Hub",
        Registry::EcrPublic => "ECR Public",
        Registry::EcrPrivate => "ECR",
        Registry::Ecr => "ECR (public or private)",
        Registry::Ghcr => "GitHub's registry",
        Registry::Quay => "Quay",
        Registry::Gitlab => "GitLab's registry",
        Registry::Gcr => "Google's registry",
        Registry::Mcr => "Microsoft's registry",
        Registry::Other | Registry::Unknown => "A registry",
    }
}

fn undecided(build: &BuildId, reason: UnknownReason, at: Timestamp) -> Event {
    let why = match reason {
        UnknownReason::MessageCut => "its message is cut before it says why",
        UnknownReason::LogNotReadable => "its log can't be read",
        UnknownReason::LogTooLong => "its log is longer than what is read of one",
        UnknownReason::NotUnderstood => "it has a phase or a status never seen before",
    };
    let message = format!("Failed build {build} could not be diagnosed: {why}");
    let event = of_build(build, Event::new(Kind::ScanIncomplete, message, at));
    Event { diagnosis: Some(Cause::Unknown), reason: word(reason), detail: Some(why.to_string()), ..event }
}

fn judged(build: &BuildId, judgement: &Judgement, history: &History, at: Timestamp) -> Option<Event> {
    let event = match judgement {
        Judgement::Proposed { plan, mode, owner } => return Some(proposed(plan, *mode, *owner, at)),
        Judgement::ForOwner { patch } => return Some(for_owner(patch, history, at)),
        Judgement::SetBack { plan, owner, times, kept } => return Some(kept_out(plan, *owner, *times, *kept, at)),
        Judgement::Covered { .. } | Judgement::Repeated { .. } | Judgement::Superseded { .. } => return None,
        Judgement::Held { reason, detail, until } => held(build, *reason, detail, *until, at),
        Judgement::Left { reason, detail } => left(build, *reason, detail, at),
    };
    Some(match history.diagnosed(build) {
        Some(detected) => with_diagnosis(detected, event),
        None => of_build(build, event),
    })
}

fn proposed(plan: &Plan, mode: Mode, owner: Option<Owner>, at: Timestamp) -> Event {
    let mode_word = word(mode).unwrap_or_default();
    let message =
        format!("`{}` would cure project `{}`, and mode `{mode_word}` changes nothing", plan.remedy, plan.project);
    for_code(plan, owner, Event { mode: Some(mode), ..about(plan, Kind::RemediationProposed, message, at) })
}

/// A remedy that deployments set back, at the first build that would have needed it.
fn kept_out(plan: &Plan, owner: Option<Owner>, times: usize, kept: KeptOut, at: Timestamp) -> Event {
    let kind = match kept {
        KeptOut::ByPolicy => Kind::RemediationProposed,
        KeptOut::AfterAttempts => Kind::RemediationEscalated,
    };
    let detail = decide::kept_out(plan, times, kept);
    let message = format!("`{}` stays out of project `{}`: {detail}", plan.remedy, plan.project);
    for_code(plan, owner, about(plan, kind, message, at).because(HoldReason::SetBack.word(), &detail))
}

fn set_back(plan: &Plan, owner: Owner, at: Timestamp) -> Event {
    let (remedy, project, title) = (plan.remedy, &plan.project, owner.title());
    let message = format!("{title} set `{remedy}` back in project `{project}`; the patch is for the code that owns it");
    for_code(plan, Some(owner), about(plan, Kind::RemediationSetBack, message, at))
}

/// With the plan as a patch for the code that owns the project.
fn for_code(plan: &Plan, owner: Option<Owner>, event: Event) -> Event {
    Event {
        changes: Some(plan.to_string()),
        owner,
        patch: Some(written(owner, &Sheet::of_plan(plan), &plan.project)),
        ..event
    }
}

fn for_owner(patch: &Patch, history: &History, at: Timestamp) -> Event {
    let place = patch.owner.map_or_else(String::new, |owner| format!(", in {}", owner.title()));
    let message = format!("The patch for project `{}` is for its owner to merge{place}: {}", patch.project, patch.why);
    let event = Event::new(Kind::RemediationProposed, message, at);
    let event = match history.diagnosed(&patch.because) {
        Some(detected) => with_diagnosis(detected, event),
        None => of_build(&patch.because, event),
    };
    Event {
        phase: Some(patch.phase.clone()),
        site: Some(patch.site),
        policy: Some(patch.policy.clone()),
        credential: Some(patch.credential.clone()),
        remedy: Some(Remedy::ProposePatch),
        changes: Some(patch.to_string()),
        owner: patch.owner,
        patch: Some(written(patch.owner, &Sheet::of_patch(patch), &patch.project)),
        detail: Some(patch.why.clone()),
        ..event
    }
}

/// CloudWatch Logs cuts an event at 256 KB, and people read it.
const MOST_OF_A_PATCH: usize = 64 * 1024;

/// The patch in the form that the owner can merge.
fn written(owner: Option<Owner>, sheet: &Sheet<'_>, project: &ProjectName) -> String {
    let text = patch::render(Form::of(owner), std::slice::from_ref(sheet));
    if text.len() > MOST_OF_A_PATCH {
        let form = owner.map_or("cli", Owner::name);
        return format!("too long for an event: `unthrottled plan --project {project} --as {form}` shows it");
    }
    text
}

fn held(build: &BuildId, reason: HoldReason, detail: &str, until: Timestamp, at: Timestamp) -> Event {
    let message = format!("Nothing is done about project `{}` before {until:.0}: {detail}", build.project());
    Event::new(Kind::RemediationHeld, message, at).because(reason.word(), detail)
}

fn left(build: &BuildId, reason: LeaveReason, detail: &str, at: Timestamp) -> Event {
    let project = build.project();
    let (kind, message) = match reason {
        LeaveReason::StopSwitch
        | LeaveReason::UntrustedBuild
        | LeaveReason::WeakEvidence
        | LeaveReason::SeenOnce
        | LeaveReason::SharedWithPublic
        | LeaveReason::ObserveOnly => {
            (Kind::RemediationHeld, format!("Nothing is done about project `{project}`: {detail}"))
        }
        LeaveReason::AttemptsExhausted => {
            (Kind::RemediationEscalated, format!("A person must look at project `{project}`: {detail}"))
        }
        LeaveReason::AlreadyAuthenticated
        | LeaveReason::OtherRegistry
        | LeaveReason::AbuseLimit
        | LeaveReason::LoginLimit
        | LeaveReason::NoPolicy
        | LeaveReason::ProjectGone
        | LeaveReason::BuildGone
        | LeaveReason::RoleGone
        | LeaveReason::RoleDisproved
        | LeaveReason::NoRemedy => (Kind::RemedyUnavailable, format!("No remedy for project `{project}`: {detail}")),
    };
    Event::new(kind, message, at).because(reason.word(), detail)
}

/// The event of an entry of a remediation, if it has one.
fn entered(remediation: &Remediation, entry: &Entry, history: &History, at: Timestamp) -> Option<Event> {
    let plan = remediation.plan();
    let (remedy, project) = (plan.remedy, &plan.project);
    let tell = |kind, message| about(plan, kind, message, at);
    let since_planned = Some(milliseconds(at.duration_since(remediation.planned())));
    Some(match entry {
        Entry::Planned(_) => planned(plan, history, at),
        Entry::Applied => {
            let message = format!("`{remedy}` is in place in project `{project}`; a later build has to prove it");
            Event { duration_ms: since_planned, ..tell(Kind::RemediationApplied, message) }
        }
        Entry::Verified { by } => {
            let message = format!("`{remedy}` is proven for project `{project}` by build {by}");
            Event { duration_ms: since_planned, by: Some(by.to_string()), ..tell(Kind::RemediationVerified, message) }
        }
        Entry::RollbackDecided { reason, detail, by } => rollback_decided(plan, *reason, detail, by.as_ref(), at),
        Entry::SetBack { owner } => set_back(plan, *owner, at),
        Entry::RolledBack => {
            let message = format!("`{remedy}` was taken back from project `{project}`");
            Event { duration_ms: since_planned, ..tell(Kind::RemediationRolledBack, message) }
        }
        Entry::Escalated { reason, detail } => escalated(plan, *reason, detail, at),
        Entry::Retried { build } => {
            let message = format!("The throttled build of project `{project}` was started again, as {build}");
            Event { by: Some(build.to_string()), ..tell(Kind::BuildRetried, message) }
        }
        Entry::RetryRefused { detail } => {
            let message = format!("The throttled build of project `{project}` was not started again: {detail}");
            Event { detail: Some(detail.clone()), ..tell(Kind::RetryRefused, message) }
        }
        Entry::GrantKept { by } => grant_kept(plan, by, at),
        Entry::GrantLeft { detail } => grant_left(plan, detail, at),
        // Only after the rollback it is news of its own.
        Entry::Undone { .. } if !remediation.is_open() => grant_removed(plan, remediation.took_kept_grant(), at),
        Entry::Begun { .. }
        | Entry::InPlace { .. }
        | Entry::Undone { .. }
        | Entry::GrantUnneeded
        | Entry::RetryIntended => return None,
    })
}

fn planned(plan: &Plan, history: &History, at: Timestamp) -> Event {
    let message =
        format!("`{}` is planned for project `{}`, as build {} was throttled", plan.remedy, plan.project, plan.because);
    Event {
        changes: Some(plan.to_string()),
        attempt: Some(history.attempts(&plan.project, plan.remedy)),
        ..about(plan, Kind::RemediationPlanned, message, at)
    }
}

fn rollback_decided(plan: &Plan, reason: RollbackReason, detail: &str, by: Option<&BuildId>, at: Timestamp) -> Event {
    let message = format!("`{}` is being taken back from project `{}`: {detail}", plan.remedy, plan.project);
    let by = match (by, reason) {
        (Some(build), _) => Some(build.to_string()),
        (None, RollbackReason::Operator) => Some("operator".to_string()),
        (None, _) => None,
    };
    Event {
        reason: word(reason),
        detail: Some(detail.to_string()),
        by,
        ..about(plan, Kind::RollbackDecided, message, at)
    }
}

fn escalated(plan: &Plan, reason: EscalationReason, detail: &str, at: Timestamp) -> Event {
    let message = format!("A person must look at `{}` in project `{}`: {detail}", plan.remedy, plan.project);
    Event {
        changes: Some(plan.to_string()),
        reason: word(reason),
        detail: Some(detail.to_string()),
        ..about(plan, Kind::RemediationEscalated, message, at)
    }
}

fn grant_kept(plan: &Plan, by: &ProjectName, at: Timestamp) -> Event {
    let detail = format!("project `{by}` needs it");
    let message = format!("The grant of role `{}` is kept, because {detail}; it is looked at again", plan.role);
    let event = Event { by: Some(by.to_string()), ..about(plan, Kind::GrantKept, message, at) };
    event.because("grant_needed", &detail)
}

fn grant_removed(plan: &Plan, by_us: bool, at: Timestamp) -> Event {
    let (reason, detail) = if by_us {
        ("grant_unneeded", "no project of the role names the secret any more")
    } else {
        ("grant_taken_away", "someone took it away, or the role")
    };
    let message = format!("The grant of role `{}`, which was kept for others, is gone: {detail}", plan.role);
    about(plan, Kind::GrantRemoved, message, at).because(reason, detail)
}

fn grant_left(plan: &Plan, detail: &str, at: Timestamp) -> Event {
    let message = format!("The grant of role `{}`, which was kept for others, is left to people: {detail}", plan.role);
    about(plan, Kind::GrantLeft, message, at).because("grant_left", detail)
}

fn password_reset_advised(credential: &str, id: &RemediationId, history: &History, at: Timestamp) -> Event {
    let kind = Kind::PasswordResetAdvised;
    let message = format!(
        "Reset the password of credential `{credential}`: the login of remediation {id} may have recorded it in build logs"
    );
    let event = match history.remediation(id) {
        Some(remediation) => about(remediation.plan(), kind, message, at),
        None => Event::new(kind, message, at),
    };
    Event { credential: Some(credential.to_string()), remediation_id: Some(id.clone()), ..event }
}

fn credential_rotated(credential: &str, at: Timestamp) -> Event {
    let message =
        format!("A new password was stored for credential `{credential}`; builds use it from their next start");
    let event = Event::new(Kind::CredentialRotated, message, at);
    Event { credential: Some(credential.to_string()), by: Some("operator".to_string()), ..event }
}

fn credential_quota_low(credential: &str, reason: Low, detail: &str, at: Timestamp) -> Event {
    let message =
        format!("The Docker account of credential `{credential}` would be the next to be throttled: {detail}");
    let event = Event::new(Kind::CredentialQuotaLow, message, at).because(reason.word(), detail);
    Event { credential: Some(credential.to_string()), ..event }
}

fn quota_restored(credential: &str, at: Timestamp) -> Event {
    let message = format!("The Docker account of credential `{credential}` has enough pulls left again");
    let event = Event::new(Kind::QuotaRestored, message, at);
    Event { credential: Some(credential.to_string()), ..event }
}

fn of_build(build: &BuildId, event: Event) -> Event {
    Event { project_name: Some(build.project()), build_id: Some(build.clone()), ..event }
}

fn with_diagnosis(detected: &Detected, event: Event) -> Event {
    let diagnosis = &detected.diagnosis;
    Event {
        build_number: detected.number,
        phase: diagnosis.phase.clone(),
        site: diagnosis.site,
        registry: Some(diagnosis.registry),
        login: Some(diagnosis.login),
        diagnosis: Some(diagnosis.cause),
        // The shortest is first.
        evidence: diagnosis.evidence.first().map(|e| e.quote.clone()),
        ..of_build(&detected.build, event)
    }
}

/// The bounded word of an enum without data: its own name in the ledger.
pub(crate) fn word(value: impl Serialize) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}
