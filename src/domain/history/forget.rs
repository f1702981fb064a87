//! What is let go, so that memory does not grow with the ledger: the ledger on the disk has it all.
//!
//! # Guarantees
//! What decisions ask is answered as if nothing had been let go: a remediation that is over leaves what it counts for as
//! an attempt and as a proof, and stays whole as long as its remedy is in place, its grant is kept, or it may still be
//! asked about.
//!
//! What stays is bounded by the number of projects, roles and remedies, by the builds that are listed within the time
//! that is looked back, and by the remediations that the limits allow in that time.

use super::History;
use crate::domain::build::{ProjectName, RoleName, SecretArn};
use crate::domain::plan::RemediationId;
use crate::domain::policy::Remedy;
use crate::domain::remediation::{Outcome, Remediation, Stage};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How much longer than it may be listed a build is remembered, so that it is not dealt with again. Longer than a build
/// can run (36 h) and wait (8 h) together.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(72);

/// What remediations count for that were let go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Forgotten {
    attempts: BTreeMap<ProjectName, Attempts>,
    /// How many of them proved that a role can read a secret.
    proofs: BTreeMap<(RoleName, SecretArn), usize>,
}

/// Remediations of one project since a person last cleared it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Attempts {
    unproven: usize,
    proven: BTreeMap<Remedy, usize>,
}

/// How much a history holds in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Whole remediations.
    pub remediations: usize,
    /// Throttled builds that wait for a decision.
    pub pending: usize,
    /// Ids of builds that were dealt with.
    pub known: usize,
    /// Projects, roles and remedies that something is remembered about.
    pub remembered: usize,
}

impl History {
    /// Lets go what nothing asks about any more, where no build is listed again that ended before `since`.
    pub fn forget_before(&mut self, since: Timestamp) {
        let Ok(limit) = since.checked_sub(REMEMBERED) else { return };
        self.known.retain(|_, at| *at >= limit);
        self.again.retain(|build, at| *at >= limit || self.pending.contains_key(build));
        let over = |id: &RemediationId, r: &Remediation| {
            let is_needed = self.is_in_place(id, r) || self.keeps_grant(id);
            matches!(r.stage(), Stage::Closed(_)) && r.stage_since() < limit && !is_needed
        };
        let gone = self.remediations.iter().filter(|(id, r)| over(id, r));
        let gone: Vec<RemediationId> = gone.map(|(id, _)| id.clone()).collect();
        for id in gone {
            if let Some(remediation) = self.remediations.remove(&id) {
                let counts = self.counts_as_attempt(&remediation);
                self.forgotten.count(&remediation, counts, |n| n + 1);
            }
        }
    }

    /// Takes a remediation back in that was let go, as the ledger has it up to here.
    pub fn recall(&mut self, id: RemediationId, remediation: Remediation) {
        let counts = self.counts_as_attempt(&remediation);
        self.forgotten.count(&remediation, counts, |n| n.saturating_sub(1));
        self.remediations.insert(id, remediation);
    }

    /// How much is held.
    pub fn held(&self) -> Held {
        let of_projects = self.cleared.len() + self.against.len() + self.set_back.len() + self.failed_roles.len();
        let proposed: usize = self.proposed.values().map(Vec::len).sum();
        let counted = self.forgotten.attempts.len() + self.forgotten.proofs.len();
        Held {
            remediations: self.remediations.len(),
            pending: self.pending.len(),
            known: self.known.len(),
            remembered: of_projects
                + proposed
                + counted
                + self.newest.len()
                + self.again.len()
                + self.granted.len()
                + self.kept.len()
                + self.advised.len(),
        }
    }

    /// Whether no person has cleared the project since it was planned.
    fn counts_as_attempt(&self, remediation: &Remediation) -> bool {
        self.cleared.get(&remediation.plan().project).is_none_or(|at| remediation.planned() > *at)
    }
}

impl Forgotten {
    /// Changes what the remediation counts for.
    fn count(&mut self, remediation: &Remediation, as_attempt: bool, change: impl Fn(usize) -> usize) {
        let plan = remediation.plan();
        let proven = remediation.stage() == Stage::Closed(Outcome::Verified);
        if as_attempt {
            let attempts = self.attempts.entry(plan.project.clone()).or_default();
            let of = if proven { attempts.proven.entry(plan.remedy).or_default() } else { &mut attempts.unproven };
            *of = change(*of);
        }
        if proven && let Some(secret) = &plan.secret {
            let proofs = self.proofs.entry((plan.role.clone(), secret.clone())).or_default();
            *proofs = change(*proofs);
        }
    }

    /// A person clears a project: what was tried before counts no more.
    pub(super) fn clear(&mut self, project: &ProjectName) {
        self.attempts.remove(project);
    }

    pub(super) fn attempts(&self, project: &ProjectName, remedy: Remedy) -> usize {
        let of = |attempts: &Attempts| attempts.unproven + attempts.proven.get(&remedy).copied().unwrap_or_default();
        self.attempts.get(project).map_or(0, of)
    }

    pub(super) fn is_proven(&self, role: &RoleName, secret: &SecretArn) -> bool {
        self.proofs.get(&(role.clone(), secret.clone())).is_some_and(|proofs| *proofs > 0)
    }
}

#[cfg(test)]
mod tests;
