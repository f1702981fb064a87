//! Grants: who needs one, and those that a rollback left for others.
//!
//! A grant that was kept is looked at again at the start and once an hour. As long as the project that needed it does, that
//! is a hundredth of a call: those projects are read a hundred at once. Only where one has let go, all projects are read,
//! for a few grants a tick.

use crate::domain::build::{Project, ProjectName, RoleName, SecretArn};
use crate::domain::plan::{Plan, RemediationId};
use crate::domain::policy::Mode;
use crate::domain::remediation::{GrantUse, KEPT_LOOK};
use crate::edge::clock::Clock;
use crate::reconcile::act::DRIFT_LOOK;
use crate::reconcile::{Book, BookError, Failure, Kind, Reconciler};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Kept grants for which all projects are read in one tick, at the most.
const AT_ONCE: usize = 5;

/// Projects a page of `BatchGetProjects`.
const PAGE: usize = 100;

/// A kept grant that is due for a look.
struct Due {
    id: RemediationId,
    role: RoleName,
    secret: SecretArn,
    /// The project that needed it, unless it was seen that nothing does.
    by: Option<ProjectName>,
}

impl Reconciler {
    /// Looks again at the grants that rollbacks left for others, and takes those away that nothing needs any more.
    pub(super) async fn look_at_kept_grants(&mut self, book: &mut Book, clock: &Clock) -> Result<(), BookError> {
        let now = clock.now();
        if self.rules.mode < Mode::Apply {
            return Ok(());
        }
        let due = self.kept_grants_due(book, now);
        if due.is_empty() {
            return Ok(());
        }
        let holders: BTreeSet<ProjectName> = due.iter().filter_map(|due| due.by.clone()).collect();
        let holders = match self.read_whole(&holders.into_iter().collect::<Vec<ProjectName>>()).await {
            Ok(projects) => projects,
            Err(failure) => {
                self.incomplete(book, "the projects that kept grants are for could not be read", &failure, now);
                return Ok(());
            }
        };
        let holders: BTreeMap<&ProjectName, &Project> = holders.iter().map(|there| (&there.name, there)).collect();
        let still_needs = |due: &Due| {
            let holder = due.by.as_ref().and_then(|by| holders.get(by));
            holder.is_some_and(|holder| needs(holder, &due.role, &due.secret))
        };
        let (needed, let_go): (Vec<&Due>, Vec<&Due>) = due.iter().partition(|due| still_needs(due));
        for due in needed {
            self.look_at_grant_after(&due.id, KEPT_LOOK, now);
        }
        for due in let_go.into_iter().take(AT_ONCE) {
            // What can't be read or written now is not tried again in every tick.
            self.look_at_grant_after(&due.id, DRIFT_LOOK, now);
            self.advance(book, &due.id, clock).await?;
        }
        Ok(())
    }

    fn kept_grants_due(&self, book: &Book, now: Timestamp) -> Vec<Due> {
        let is_due = |id: &RemediationId| self.next_look.get(id).is_none_or(|at| *at <= now);
        let kept = book.history(&self.scope).kept_grants().filter(|(id, _, _)| is_due(id));
        let due = kept.filter_map(|(id, remediation, kept)| {
            let plan = remediation.plan();
            let by = kept.unneeded.is_none().then(|| kept.by.clone());
            Some(Due { id: id.clone(), role: plan.role.clone(), secret: plan.secret.clone()?, by })
        });
        due.collect()
    }

    fn look_at_grant_after(&mut self, id: &RemediationId, wait: SignedDuration, now: Timestamp) {
        self.next_look.insert(id.clone(), now.saturating_add(wait).unwrap_or(Timestamp::MAX));
    }

    /// Whether anything still needs the grant: asked of the live projects, not of our records alone.
    pub(super) async fn grant_use(&self, book: &Book, plan: &Plan) -> Result<GrantUse, Failure> {
        let Some((role, policy)) = plan.grant() else { return Ok(GrantUse::Free) };
        if let Some(by) = book.history(&self.scope).grant_relied_on(role, policy, &plan.id) {
            return Ok(GrantUse::Needed(by.clone()));
        }
        let Some(secret) = &plan.secret else { return Ok(GrantUse::Free) };
        let names = self.aws.codebuild.list_projects().await?;
        let projects = self.read_whole(&names).await?;
        let needing = projects.into_iter().find(|project| needs(project, role, secret));
        Ok(needing.map_or(GrantUse::Free, |project| GrantUse::Needed(project.name)))
    }

    /// These projects, each of which is either read or said to be gone: one that is not answered for may need a grant.
    pub(super) async fn read_whole(&self, names: &[ProjectName]) -> Result<Vec<Project>, Failure> {
        let mut projects = Vec::new();
        for chunk in names.chunks(PAGE) {
            let looked = self.aws.codebuild.look_at_projects(chunk).await?;
            let is_told = |name: &&ProjectName| {
                looked.missing.contains(name) || looked.projects.iter().any(|project| project.name == **name)
            };
            if let Some(name) = chunk.iter().find(|name| !is_told(name)) {
                let detail = format!("BatchGetProjects says nothing about project `{name}`");
                return Err(Failure { kind: Kind::Again, detail });
            }
            projects.extend(looked.projects);
        }
        Ok(projects)
    }
}

/// Whether the builds of a project read the secret with the role.
fn needs(project: &Project, role: &RoleName, secret: &SecretArn) -> bool {
    project.role().as_ref() == Some(role) && project.names_secret(secret)
}
