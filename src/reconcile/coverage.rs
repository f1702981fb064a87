//! How much of what there is to see a scope's watch sees, for the metrics: no call is made for it.

use crate::domain::build::{BuildId, ProjectName};
use crate::edge::metrics::Coverage;
use crate::edge::secrets::SecretCheck;
use crate::reconcile::{Reconciler, Tick};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Reconciler {
    /// Of the tick that ended just now. The watch keeps the newest builds of the list whatever their age and their
    /// policy, so that a quiet weekend is told from a daemon that watches nothing.
    pub(super) fn coverage(&self, tick: &Tick, now: Timestamp) -> Coverage {
        let projects: BTreeSet<ProjectName> = self.watch.recent().iter().map(BuildId::project).collect();
        let seen = projects.iter().filter(|project| self.matches(project)).count();
        Coverage {
            projects_seen: seen as u64,
            projects_unwatched: (projects.len() - seen) as u64,
            scopes_watching_nothing: u64::from(seen == 0),
            scopes_incomplete: u64::from(!tick.is_whole()),
            oldest_unread: self.watch.oldest_unread(now),
            credentials_unusable: self.unusable() as u64,
            ..self.quotas.coverage()
        }
    }

    /// Whether the project's name lets some policy match: the policies are what is watched.
    pub(super) fn matches(&self, project: &ProjectName) -> bool {
        self.rules.policies.iter().any(|policy| policy.matches_name(&self.scope, project))
    }

    /// Credentials that could not be used when they were last needed, be it for the secret or for Docker Hub.
    fn unusable(&self) -> usize {
        let of_secret = self.known.secrets.iter().filter(|(_, (_, check))| matches!(check, SecretCheck::Unusable(_)));
        let names: BTreeSet<&str> = of_secret.map(|(name, _)| name.as_str()).chain(self.quotas.refused()).collect();
        names.len()
    }
}
