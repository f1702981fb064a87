//! The table: what is done next, by the remediation's stage and by where each of its changes is.

use super::{Direction, Entry, EscalationReason, GrantUse, Outcome, Remediation, RetryState};
use super::{RollbackReason, Seen, Stage, Step};
use crate::domain::build::{BuildId, Project};
use crate::domain::change::{Change, GrantSeen, Position};
use crate::domain::plan::RetryPlan;
use crate::domain::policy::OnIneffective;
use crate::domain::verdict::{Ineffective, Verdict};
use jiff::Timestamp;

/// What taking one change back needs now.
enum Undo {
    /// This step, before any earlier change is looked at.
    Next(Step),
    /// Nothing: it is back, or was never ours.
    Through,
    /// A person, once the other changes are through.
    Stuck(EscalationReason, String),
}

impl Remediation {
    /// The one thing to do next. Asks only what is, never what was attempted.
    ///
    /// # Guarantees
    /// - A write is only asked for where the resource is exactly as it was (forward) or exactly as we left it (back); of
    ///   a buildspec that others edited meanwhile only our line is taken, and only where it is unmistakably ours.
    /// - With the same `seen` it comes to rest: no two steps undo each other.
    pub fn next_step(&self, seen: &Seen, now: Timestamp) -> Step {
        match self.stage {
            Stage::Planned => self.step_forward(seen, now),
            Stage::Applied => self.step_proving(seen, now),
            Stage::RollingBack => self.step_back(seen, now),
            Stage::Closed(Outcome::RolledBack) => self.step_for_grant(seen, now),
            Stage::Closed(Outcome::Verified | Outcome::Escalated) => Step::Done,
        }
    }

    /// What an update comes to that AWS accepted and did not carry out, as the project in its answer shows: sent again
    /// it would be accepted again, and so for ever.
    pub fn unmoved(&self, change: usize, direction: Direction, answer: &Project) -> Option<Entry> {
        let resource = self.plan.changes.get(change)?;
        let what = resource.what();
        match (direction, resource.position(Some(answer), &GrantSeen::Absent)) {
            (Direction::Forward, Position::Before) => Some(Entry::RollbackDecided {
                reason: RollbackReason::WriteRejected,
                detail: format!("{what} was accepted and not carried out"),
                by: None,
            }),
            (Direction::Back, Position::After | Position::AmidOthers) => Some(Entry::Escalated {
                reason: EscalationReason::RollbackRefused,
                detail: format!("{what} stays, although AWS accepted that it be taken back"),
            }),
            _ => None,
        }
    }

    fn step_forward(&self, seen: &Seen, now: Timestamp) -> Step {
        if let Some(step) = self.void(seen) {
            return step;
        }
        let last = self.plan.changes.len().saturating_sub(1);
        for (n, change) in self.plan.changes.iter().enumerate() {
            let settled = self.in_place[n].map(|at| self.settled(at.max(seen.since)));
            match (change.position(seen.project.as_ref(), &seen.grant), settled) {
                // The intent first: what is there at a later look may be ours from now on.
                (Position::Before, None) if self.is_someone_elses(n) => {
                    return Step::Record(Entry::Begun { change: n });
                }
                (Position::Before, None) => {
                    return Step::Write { change: n, direction: Direction::Forward };
                }
                // Just written and seen: an older answer may still come once more.
                (Position::Before, Some(until)) if now < until => return Step::Wait { until },
                (Position::Before, Some(_)) => return Step::Record(self.taken_away(change, seen.project.as_ref())),
                (Position::After | Position::AmidOthers, None) if self.is_someone_elses(n) => {
                    let detail = "someone else set the project up in the same way, so it is theirs".to_string();
                    return roll_back(RollbackReason::ProjectChanged, detail);
                }
                (Position::After | Position::AmidOthers, None) => {
                    return Step::Record(Entry::InPlace { change: n });
                }
                // Only what something else depends on has to settle.
                (Position::After | Position::AmidOthers, Some(until)) if n < last && now < until => {
                    return Step::Wait { until };
                }
                (Position::After | Position::AmidOthers, Some(_)) => (),
                (Position::Gone, _) => {
                    let detail = format!("{} is gone", change.what());
                    return roll_back(RollbackReason::RoleGone, detail);
                }
                (Position::Neither | Position::WithoutOurs, _) => {
                    let detail = format!("{} is neither as it was nor as planned", change.what());
                    return roll_back(RollbackReason::ProjectChanged, detail);
                }
            }
        }
        Step::Record(Entry::Applied)
    }

    /// What makes the plan void before it is complete.
    fn void(&self, seen: &Seen) -> Option<Step> {
        if let Some(step) = self.uprooted(seen) {
            return Some(step);
        }
        let image = &seen.project.as_ref()?.environment.image;
        (!self.plan.allows_image(image)).then(|| {
            let detail = format!("the project's image is no longer `{}`", self.plan.image);
            roll_back(RollbackReason::ProjectChanged, detail)
        })
    }

    /// The project is gone, or it runs with a role that was never granted the secret.
    fn uprooted(&self, seen: &Seen) -> Option<Step> {
        let Some(project) = &seen.project else {
            let detail = "the project was deleted".to_string();
            return Some(roll_back(RollbackReason::ProjectGone, detail));
        };
        let granted = self.plan.grant().is_some();
        (granted && project.role().as_ref() != Some(&self.plan.role)).then(|| {
            let detail = format!("the project no longer runs with role `{}`", self.plan.role);
            roll_back(RollbackReason::RoleGone, detail)
        })
    }

    fn step_proving(&self, seen: &Seen, now: Timestamp) -> Step {
        if let Some(step) = self.uprooted(seen).or_else(|| self.drift(seen, now)) {
            return step;
        }
        match seen.verdicts.iter().find(|(_, verdict)| !matches!(verdict, Verdict::Inconclusive(_))) {
            Some((by, Verdict::Effective)) => {
                return Step::Record(Entry::Verified { by: by.clone() });
            }
            Some((by, Verdict::Ineffective(why))) => return self.step_on_ineffective(by, *why),
            Some((_, Verdict::Inconclusive(_))) | None => (),
        }
        match (&self.plan.retry, self.retry) {
            (RetryPlan::Once, RetryState::NotAsked) => return Step::Record(Entry::RetryIntended),
            (RetryPlan::Once, RetryState::Intended(intended)) => return Step::Retry { intended },
            (RetryPlan::Once, RetryState::Over) | (RetryPlan::No(_), _) => (),
        }
        let until = self.stage_since.saturating_add(self.plan.verify_within).unwrap_or(Timestamp::MAX);
        if now < until {
            return Step::Wait { until };
        }
        if !seen.builds_read {
            return Step::Wait { until: self.settled(now) };
        }
        escalate(
            EscalationReason::NotProven,
            "no later build of the project proved or disproved the remedy in time".to_string(),
        )
    }

    /// Something that we changed is not as we left it.
    fn drift(&self, seen: &Seen, now: Timestamp) -> Option<Step> {
        for (n, change) in self.plan.changes.iter().enumerate() {
            let position = change.position(seen.project.as_ref(), &seen.grant);
            if change.is_in_place(seen.project.as_ref(), &seen.grant) {
                continue;
            }
            let settled = self.in_place[n].map(|at| self.settled(at));
            if let Some(until) = settled.filter(|until| now < *until) {
                return Some(Step::Wait { until });
            }
            let what = change.what();
            return Some(match position {
                Position::Before | Position::WithoutOurs => {
                    Step::Record(self.taken_away(change, seen.project.as_ref()))
                }
                Position::Gone => {
                    escalate(EscalationReason::RoleGone, format!("{what} is gone while the project names the secret"))
                }
                Position::Neither | Position::After | Position::AmidOthers => escalate(
                    EscalationReason::Drift,
                    format!("{what} was changed by someone else; it is left as they made it"),
                ),
            });
        }
        None
    }

    fn step_on_ineffective(&self, by: &BuildId, why: Ineffective) -> Step {
        let detail = format!("{why}, as build {by} shows");
        if !why.made_worse() && self.plan.on_ineffective == OnIneffective::Keep {
            return escalate(EscalationReason::KeptThoughIneffective, detail);
        }
        let reason = if why.made_worse() { RollbackReason::MadeWorse } else { RollbackReason::StillThrottled };
        Step::Record(Entry::RollbackDecided { reason, detail, by: Some(by.clone()) })
    }

    /// In reverse. A change that can't be taken back does not keep an earlier one: a grant that nothing live needs goes
    /// even where someone has changed the project, and a person is called after that.
    fn step_back(&self, seen: &Seen, now: Timestamp) -> Step {
        let mut stuck = None;
        for n in (0..self.plan.changes.len()).rev() {
            match self.undo(n, seen, now) {
                Undo::Next(step) => return step,
                Undo::Through => (),
                Undo::Stuck(reason, detail) => {
                    stuck.get_or_insert((reason, detail));
                }
            }
        }
        match stuck {
            Some((reason, detail)) => escalate(reason, detail),
            None => Step::Record(Entry::RolledBack),
        }
    }

    /// What taking change `n` back needs now.
    fn undo(&self, n: usize, seen: &Seen, now: Timestamp) -> Undo {
        let change = &self.plan.changes[n];
        if change.was_there() {
            return Undo::Through;
        }
        if self.is_someone_elses(n) {
            return Undo::Through;
        }
        match change.position(seen.project.as_ref(), &seen.grant) {
            Position::Gone => Undo::Through,
            Position::After if self.is_grant(n) && seen.grant_use != GrantUse::Free => self.keep(&seen.grant_use),
            Position::After | Position::AmidOthers if self.put_back_by_someone(n, now) => Undo::Through,
            Position::After | Position::AmidOthers => Undo::Next(Step::Write { change: n, direction: Direction::Back }),
            Position::Before | Position::WithoutOurs if self.never_begun(n) => Undo::Through,
            // Through only when seen undone long enough ago that no older answer can have been meant.
            Position::Before | Position::WithoutOurs => match self.undone[n].map(|at| self.settled(at.max(seen.since)))
            {
                None => Undo::Next(Step::Record(Entry::Undone { change: n })),
                Some(until) if now < until => Undo::Next(Step::Wait { until }),
                Some(_) => Undo::Through,
            },
            // Seen undone, or never written: what is there is not ours.
            Position::Neither if self.undone[n].is_some() || self.never_begun(n) => Undo::Through,
            // Written and not seen in place before others edited it: then part of it is still as we set it.
            Position::Neither if self.in_place[n].is_none() && !change.is_partly_there(seen.project.as_ref()) => {
                Undo::Through
            }
            Position::Neither => self.stuck(change, seen),
        }
    }

    /// A grant that others need stays, and is looked at again once the rest was taken back.
    fn keep(&self, needed: &GrantUse) -> Undo {
        match (needed, &self.kept) {
            (GrantUse::Needed(by), None) => Undo::Next(Step::Record(Entry::GrantKept { by: by.clone() })),
            _ => Undo::Through,
        }
    }

    /// What was ours is neither as we left it nor as it was.
    fn stuck(&self, change: &Change, seen: &Seen) -> Undo {
        if change.kept_credential(seen.project.as_ref()) {
            let detail = "registryCredential stays set, although everything else was taken back; \
                          UpdateProject has no documented way to clear it";
            return Undo::Stuck(EscalationReason::RollbackRefused, detail.to_string());
        }
        let what = change.what();
        let detail = match change.line_of_ours(seen.project.as_ref()) {
            Some(line) => format!(
                "{what} can't be taken back: someone changed the buildspec, and our line is not to be told from theirs; \
                 take `{line}` and its variables out by hand"
            ),
            None => format!("{what} was changed by someone else, so it can't be taken back"),
        };
        Undo::Stuck(EscalationReason::Drift, detail)
    }

    /// Whether change `n` is one of the project that we never were about to make: what is there is not ours, be its value
    /// the same. A grant is another matter, as remediations of one role share it.
    fn is_someone_elses(&self, n: usize) -> bool {
        !self.is_grant(n) && !self.has_begun(n)
    }

    /// Whether change `n` may have been written.
    pub fn has_begun(&self, n: usize) -> bool {
        // Entries from before this was recorded go by what was seen.
        [&self.begun, &self.in_place].iter().any(|times| times.get(n).is_some_and(Option::is_some))
    }

    /// Whether change `n` can't have been written: the one before it had not been seen in place.
    fn never_begun(&self, n: usize) -> bool {
        n > 0 && self.in_place[n - 1].is_none()
    }

    /// Whether change `n` was seen in place, then undone, each for so long that no older answer can have been meant.
    fn put_back_by_someone(&self, n: usize, now: Timestamp) -> bool {
        match (self.in_place[n], self.undone[n]) {
            (Some(made), Some(undone)) => self.settled(made) <= undone && self.settled(undone) <= now,
            _ => false,
        }
    }

    /// When a read of what was written at that time can no longer answer what was there before.
    pub(super) fn settled(&self, at: Timestamp) -> Timestamp {
        at.saturating_add(self.plan.settle).unwrap_or(Timestamp::MAX)
    }
}

fn roll_back(reason: RollbackReason, detail: String) -> Step {
    Step::Record(Entry::RollbackDecided { reason, detail, by: None })
}

fn escalate(reason: EscalationReason, detail: String) -> Step {
    Step::Record(Entry::Escalated { reason, detail })
}

#[cfg(test)]
mod tests;
