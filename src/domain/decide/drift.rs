//! What becomes of a remedy that deployments of the owner's code have set back.
//!
//! A deployment is not fought: nothing is applied again before a build has been throttled for want of it, and each time
//! only after a longer pause, as a deployment may come in several steps. What is applied again is a plan like any other,
//! with the limits, freezes and attempts of its policy.

use super::{Case, HoldReason, Judgement, KeptOut};
use crate::domain::patch;
use crate::domain::plan::Plan;
use crate::domain::policy::{OnDrift, Policy};
use jiff::{SignedDuration, Timestamp};

/// How long after it was first set back a remedy is not applied again; twice as long after each further time.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// What keeps the plan out, if its remedy was set back before.
pub(super) fn kept_out(case: Case<'_>, policy: &Policy, plan: &Plan, now: Timestamp) -> Option<Judgement> {
    let set_back = case.history.set_back(&plan.project, plan.remedy)?;
    let attempts = case.history.attempts(&plan.project, plan.remedy);
    let kept = match policy.on_drift {
        OnDrift::Hold => KeptOut::ByPolicy,
        OnDrift::Reapply if attempts >= policy.limits.attempts_per_project => KeptOut::AfterAttempts,
        OnDrift::Reapply => {
            let until = set_back.last.saturating_add(pause(set_back.times)).unwrap_or(Timestamp::MAX);
            let detail =
                format!("a deployment set `{}` back at {:.0}; it is applied again later", plan.remedy, set_back.last);
            return (now < until).then_some(Judgement::Held { reason: HoldReason::SetBack, detail, until });
        }
    };
    let owner = patch::owner(case.project);
    Some(Judgement::SetBack { plan: Box::new(plan.clone()), owner, times: set_back.times, kept })
}

/// How long after the last of so many times.
fn pause(times: usize) -> SignedDuration {
    let doublings = times.saturating_sub(1).min(10);
    (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;
