//! A grant that a rollback left, because something else needed it: looked at again until nothing does.
//!
//! # Guarantees
//! - It goes only while it is exactly as we made it, and after no live project of its role named the secret at two looks
//!   that are further apart than any read lags.
//! - What someone changed, and what we may not take away, is left to people for good.

use super::{Entry, GrantUse, Outcome, Remediation, Seen, Stage, Step};
use crate::domain::build::ProjectName;
use crate::domain::change::{Change, Position};
use crate::domain::remediation::Direction;
use jiff::{SignedDuration, Timestamp};

/// How often a grant that was kept is looked at again.
pub const KEPT_LOOK: SignedDuration = SignedDuration::from_hours(1);

/// A grant that stays for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The project that needed it when it was looked at last, as far as is recorded.
    pub by: ProjectName,
    /// Since when that is known.
    pub since: Timestamp,
    /// When it was first seen that nothing needs it any more.
    pub unneeded: Option<Timestamp>,
}

impl Remediation {
    /// The grant that its rollback left, as long as it is there.
    pub fn kept_grant(&self) -> Option<&Kept> {
        let is_there = self.grant_change().is_some_and(|change| self.undone[change].is_none());
        self.kept.as_ref().filter(|_| is_there && self.stage == Stage::Closed(Outcome::RolledBack))
    }

    /// Whether we took the kept grant away, and nobody else did.
    pub fn took_kept_grant(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.unneeded.is_some())
    }

    /// What is to be done about the grant that the rollback left.
    pub(super) fn step_for_grant(&self, seen: &Seen, now: Timestamp) -> Step {
        let (Some(kept), Some(change)) = (self.kept_grant(), self.grant_change()) else { return Step::Done };
        let what = self.plan.changes[change].what();
        match (self.plan.changes[change].position(seen.project.as_ref(), &seen.grant), &seen.grant_use) {
            (Position::Before | Position::Gone, _) => Step::Record(Entry::Undone { change }),
            (Position::After, GrantUse::NotAsked) => Step::Wait { until: later(now) },
            (Position::After, GrantUse::Needed(by)) if *by == kept.by && kept.unneeded.is_none() => {
                Step::Wait { until: later(now) }
            }
            (Position::After, GrantUse::Needed(by)) => Step::Record(Entry::GrantKept { by: by.clone() }),
            (Position::After, GrantUse::Free) => match kept.unneeded.map(|at| self.settled(at.max(seen.since))) {
                None => Step::Record(Entry::GrantUnneeded),
                Some(until) if now < until => Step::Wait { until },
                Some(_) => Step::Write { change, direction: Direction::Back },
            },
            (Position::Neither | Position::WithoutOurs | Position::AmidOthers, _) => {
                let detail = format!("{what} was changed by someone else, so it is theirs now");
                Step::Record(Entry::GrantLeft { detail })
            }
        }
    }

    /// Whether an entry can come after the rollback.
    pub(super) fn may_follow_for_grant(&self, entry: &Entry) -> bool {
        match entry {
            Entry::GrantKept { .. } | Entry::GrantLeft { .. } => self.kept_grant().is_some(),
            Entry::GrantUnneeded => self.kept_grant().is_some_and(|kept| kept.unneeded.is_none()),
            Entry::Undone { change } => self.kept_grant().is_some() && self.is_grant(*change),
            _ => false,
        }
    }

    /// Whether change `n` is the grant.
    pub(super) fn is_grant(&self, n: usize) -> bool {
        self.grant_change() == Some(n)
    }

    fn grant_change(&self) -> Option<usize> {
        self.plan.changes.iter().position(|change| matches!(change, Change::Grant { .. }))
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(KEPT_LOOK).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
