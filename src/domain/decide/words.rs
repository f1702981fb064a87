//! The words of a judgement: bounded ones for events, sentences for people.

use super::{HoldReason, Judgement, LeaveReason};
use crate::domain::policy::Remedy;
use std::fmt;

impl HoldReason {
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
            Judgement::Covered { by } => write!(f, "covered by remediation {by}"),
        }
    }
}
