//! Whether the limits and freezes of a policy leave room for one more remediation now.

use super::{HoldReason, Judgement, ROOM, held};
use crate::domain::history::History;
use crate::domain::plan::Plan;
use crate::domain::policy::Policy;
use jiff::{SignedDuration, Timestamp};

/// Whether the limits leave no room now.
pub(super) fn room(
    history: &History,
    policy: &Policy,
    plan: &Plan,
    matched: usize,
    now: Timestamp,
) -> Option<Judgement> {
    let limits = &policy.limits;
    let open = history.open_of_policy(&policy.name);
    if let Some(until) = policy.frozen_until(now) {
        let detail = format!("policy `{}` makes no changes before {until}", policy.name);
        return Some(Judgement::Held { reason: HoldReason::Freeze, detail, until });
    }
    if open >= limits.max_open {
        return Some(held(HoldReason::MaxOpen, format!("{open} remediations are under way"), now, ROOM));
    }
    if open >= share(limits.max_share, matched) {
        let detail = format!("{open} of {matched} matched projects are under way");
        return Some(held(HoldReason::MaxShare, detail, now, ROOM));
    }
    let begun = history.begun_within_hour(&policy.name, now);
    if begun.len() >= limits.max_per_hour {
        // There is room again once as many have aged out as are too many.
        let last_in_the_way = begun.get(begun.len() - limits.max_per_hour);
        let oldest = last_in_the_way.copied().unwrap_or(now);
        let until = oldest.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
        let detail = format!("{} remediations began within the hour", begun.len());
        return Some(Judgement::Held { reason: HoldReason::MaxPerHour, detail, until });
    }
    let unproven = history.unproven_on_role(&plan.role, plan.secret.as_ref()?)?;
    let detail =
        format!("remediation {} must first prove that role `{}` can read the secret", unproven.plan().id, plan.role);
    Some(held(HoldReason::RoleUnproven, detail, now, ROOM))
}

/// A share of the matched projects in whole projects, rounded down, but never none. The share is a decimal fraction that
/// a float may miss by a hair: 29 % of 100 is 29.
pub(super) fn share(max_share: f64, matched: usize) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most tens of thousands of projects"
    )]
    let whole = (max_share * matched as f64 + 1e-9).floor() as usize;
    whole.max(1)
}
