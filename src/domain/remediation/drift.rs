//! Who undid what we had done, and what follows: what people take out stays out; what the owner's deployment sets back is
//! a matter for the owner's code.
//!
//! The two look alike, for nothing in the project says who wrote it last. A deployment is assumed only where a tag says
//! whose code owns the project, and where all that we set is at once exactly as it was before us. Everything else counts
//! as a person's doing, which is never undone.

use super::{Entry, Outcome, Remediation, RollbackReason, Stage};
use crate::domain::build::Project;
use crate::domain::change::{Change, GrantSeen, Position};
use crate::domain::patch::{self, Owner};
use jiff::Timestamp;

impl Remediation {
    /// What has become of a proven remedy, by its project alone: the entry that closes it, if someone undid it.
    ///
    /// What is neither as we set it nor as it was is someone's own configuration by now, and none of ours.
    pub fn undone_by_others(&self, project: &Project, now: Timestamp) -> Option<Entry> {
        let change = self.proven_project_change(now)?;
        match change.position(Some(project), &GrantSeen::Absent) {
            Position::Before | Position::WithoutOurs => Some(self.taken_away(change, Some(project))),
            Position::After | Position::AmidOthers | Position::Gone | Position::Neither => None,
        }
    }

    /// The entry that closes a proven remedy whose project is gone, so that its grant does not outlive it.
    pub fn gone_with_its_project(&self, now: Timestamp) -> Option<Entry> {
        self.proven_project_change(now)?;
        let detail = "the project was deleted".to_string();
        Some(Entry::RollbackDecided { reason: RollbackReason::ProjectGone, detail, by: None })
    }

    /// What a proven remedy set on its project, if no read is older than that any more.
    fn proven_project_change(&self, now: Timestamp) -> Option<&Change> {
        if self.stage != Stage::Closed(Outcome::Verified) {
            return None;
        }
        let changes = self.plan.changes.iter().zip(&self.in_place);
        let (change, at) = changes.into_iter().find(|(change, _)| matches!(change, Change::Project { .. }))?;
        at.is_some_and(|at| self.settled(at) <= now).then_some(change)
    }

    /// What follows from a change of ours that is not there any more.
    pub(super) fn taken_away(&self, change: &Change, project: Option<&Project>) -> Entry {
        if let Some(owner) = project.and_then(|project| self.set_back_by(project)) {
            return Entry::SetBack { owner };
        }
        let what = change.what();
        let (reason, how) = match change {
            Change::Grant { .. } => (RollbackReason::GrantTakenAway, "taken away"),
            Change::Project { .. } => (RollbackReason::TakenOut, "taken out"),
        };
        Entry::RollbackDecided { reason, detail: format!("{what} was {how} by someone"), by: None }
    }

    /// Whose deployment set the project back, as far as can be told.
    fn set_back_by(&self, project: &Project) -> Option<Owner> {
        let was = |change: &Change| match change {
            Change::Grant { .. } => true,
            Change::Project { .. } => change.position(Some(project), &GrantSeen::Absent) == Position::Before,
        };
        self.plan.changes.iter().all(was).then(|| patch::owner(project)).flatten()
    }
}

#[cfg(test)]
mod tests;
