//! What people were told to look at, so that they are told once.

use crate::domain::build::ProjectName;
use crate::domain::classify::Site;
use crate::domain::decide::{Judgement, KeptOut};
use crate::domain::patch::Patch;
use crate::domain::plan::Plan;

/// What people were told to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// A plan that a mode or the policy held back.
    Plan(Box<Plan>),
    /// A plan that was set back until no attempt was left.
    GivenUp(Box<Plan>),
    /// A patch.
    Patch(Box<Patch>),
}

impl Proposal {
    pub(super) fn of(judgement: &Judgement) -> Option<Proposal> {
        match judgement {
            Judgement::Proposed { plan, .. } | Judgement::SetBack { plan, kept: KeptOut::ByPolicy, .. } => {
                Some(Proposal::Plan(plan.clone()))
            }
            Judgement::SetBack { plan, kept: KeptOut::AfterAttempts, .. } => Some(Proposal::GivenUp(plan.clone())),
            Judgement::ForOwner { patch } => Some(Proposal::Patch(patch.clone())),
            Judgement::Held { .. }
            | Judgement::Left { .. }
            | Judgement::Repeated { .. }
            | Judgement::Superseded { .. }
            | Judgement::Covered { .. } => None,
        }
    }

    pub(super) fn project(&self) -> &ProjectName {
        match self {
            Proposal::Plan(plan) | Proposal::GivenUp(plan) => &plan.project,
            Proposal::Patch(patch) => &patch.project,
        }
    }

    pub(super) fn site(&self) -> Site {
        match self {
            Proposal::Plan(plan) | Proposal::GivenUp(plan) => plan.site,
            Proposal::Patch(patch) => patch.site,
        }
    }

    /// Whether people would read the same in both.
    pub(super) fn is_like(&self, other: &Proposal) -> bool {
        match (self, other) {
            (Proposal::Plan(a), Proposal::Plan(b)) | (Proposal::GivenUp(a), Proposal::GivenUp(b)) => {
                a.site == b.site && a.remedy == b.remedy && a.changes == b.changes
            }
            (Proposal::Patch(a), Proposal::Patch(b)) => a.is_like(b),
            (Proposal::Plan(_) | Proposal::GivenUp(_) | Proposal::Patch(_), _) => false,
        }
    }
}
