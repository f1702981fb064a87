//! The words of a judgement: bounded ones for events, sentences for people.

use super::{HoldReason, Judgement, KeptOut, LeaveReason};
use crate::domain::plan::Plan;
use crate::domain::policy::Remedy;
use std::fmt;

impl HoldReason {
    /// Whether of the builds that wait so only the newest goes on. Those that wait for one another are counted.
    pub fn supersedes(self) -> bool {
        self != HoldReason::SecondSighting
    }

    /// The bounded word in events.
    pub fn word(self) -> &'static str {
        match self {
            HoldReason::MaxOpen => "max_open",
            HoldReason::MaxPerHour => "max_per_hour",
            HoldReason::MaxShare => "max_share",
            HoldReason::Freeze => "freeze",
            HoldReason::ProjectBusy => "project_busy",
            HoldReason::RoleUnproven => "role_unproven",
            HoldReason::CredentialUnusable => "credential_unusable",
            HoldReason::CredentialQuotaLow => "credential_quota_low",
            HoldReason::SetBack => "set_back",
            HoldReason::SecondSighting => "second_sighting",
        }
    }
}

impl LeaveReason {
    /// The bounded word in events.
    pub fn word(self) -> &'static str {
        match self {
            LeaveReason::AlreadyAuthenticated => "already_authenticated",
            LeaveReason::OtherRegistry => "other_registry",
            LeaveReason::AbuseLimit => "abuse_limit",
            LeaveReason::LoginLimit => "login_limit",
            LeaveReason::NoPolicy => "no_policy",
            LeaveReason::ObserveOnly => "observe_only",
            LeaveReason::StopSwitch => "stop_switch",
            LeaveReason::UntrustedBuild => "untrusted_build",
            LeaveReason::WeakEvidence => "weak_evidence",
            LeaveReason::SeenOnce => "seen_once",
            LeaveReason::SharedWithPublic => "shared_with_public",
            LeaveReason::ProjectGone => "project_gone",
            LeaveReason::BuildGone => "build_gone",
            LeaveReason::RoleGone => "role_gone",
            LeaveReason::RoleDisproved => "role_disproved",
            LeaveReason::NoRemedy => "no_remedy",
            LeaveReason::AttemptsExhausted => "attempts_exhausted",
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Judgement::Proposed { plan, .. } => {
                write!(f, "proposed: {} for {}", plan.remedy, plan.project)
            }
            Judgement::ForOwner { patch } => {
                write!(f, "proposed: {} for {}: {}", Remedy::ProposePatch, patch.project, patch.why)
            }
            Judgement::Repeated { build } => write!(f, "proposed already, because of build {build}"),
            Judgement::Held { reason, detail, until } => write!(f, "held until {until} ({}): {detail}", reason.word()),
            Judgement::Left { reason, detail } => {
                write!(f, "left alone ({}): {detail}", reason.word())
            }
            Judgement::SetBack { plan, times, kept, .. } => write!(f, "{}", kept_out(plan, *times, *kept)),
            Judgement::Superseded { by } => write!(f, "superseded by build {by}, which waits for the same"),
            Judgement::Covered { by } => write!(f, "covered by remediation {by}"),
        }
    }
}

/// Why a remedy that was set back stays out, and what ends that, in a sentence.
pub fn kept_out(plan: &Plan, times: usize, kept: KeptOut) -> String {
    let (remedy, project) = (plan.remedy, &plan.project);
    let times = match times {
        1 => "once".to_string(),
        2 => "twice".to_string(),
        times => format!("{times} times"),
    };
    let set_back = format!("deployments of its owner's code set `{remedy}` back {times}");
    let merge = format!("merge the patch into that code, or run `unthrottled clear --project {project}`");
    match kept {
        KeptOut::ByPolicy => format!("{set_back}, and `on_drift` is `hold`; {merge}"),
        KeptOut::AfterAttempts => format!("{set_back}, and no attempt is left; {merge}"),
    }
}
