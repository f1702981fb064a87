//! Proven remedies that others undid: looked for every few minutes, and before anything is decided about their project.
//!
//! What a remediation that waits for proof is looked at for by its own steps, a proven one is looked at for here: who took
//! it out is noted, and its grant goes if nothing else needs it.

use crate::domain::build::{Project, ProjectName};
use crate::domain::history::Fact;
use crate::domain::plan::RemediationId;
use crate::domain::policy::{self, Mode};
use crate::domain::remediation::Entry;
use crate::reconcile::act::DRIFT_LOOK;
use crate::reconcile::{Book, BookError, Reconciler};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl Reconciler {
    /// Looks at every project with a proven remedy, if the last look is long enough ago.
    pub(super) async fn look_for_drift(&mut self, book: &mut Book, now: Timestamp) -> Result<(), BookError> {
        let is_fresh = |at: Timestamp| now.duration_since(at).abs() < DRIFT_LOOK;
        if self.rules.mode < Mode::Apply || self.looked_for_drift.is_some_and(is_fresh) {
            return Ok(());
        }
        let history = book.history(&self.scope);
        let names: BTreeSet<ProjectName> = history.in_place().map(|(_, r)| r.plan().project.clone()).collect();
        if !names.is_empty() {
            let names: Vec<ProjectName> = names.into_iter().collect();
            match self.aws.codebuild.projects(&names).await {
                Ok(projects) => self.note_drift(book, &projects, now).await?,
                Err(error) => {
                    self.incomplete(book, "projects could not be read", &error.into(), now);
                    return Ok(());
                }
            }
        }
        self.looked_for_drift = Some(now);
        Ok(())
    }

    /// Notes which proven remedies of these projects others undid. Where another remediation is under way, or the owner
    /// stops us, nothing is noted yet.
    pub(super) async fn note_drift<'p>(
        &mut self,
        book: &mut Book,
        projects: impl IntoIterator<Item = &'p Project>,
        now: Timestamp,
    ) -> Result<(), BookError> {
        if self.rules.mode < Mode::Apply {
            return Ok(());
        }
        for project in projects {
            let history = book.history(&self.scope);
            if policy::is_stopped(project) || history.open_on_project(&project.name).is_some() {
                continue;
            }
            let of_project = history.in_place().filter(|(_, r)| r.plan().project == project.name);
            let undone = of_project.filter_map(|(id, r)| Some((id.clone(), r.undone_by_others(project, now)?)));
            let undone: Vec<(RemediationId, Entry)> = undone.collect();
            for (id, entry) in undone {
                match book.record(&self.scope, Fact::Remediation { id, entry }, now).await {
                    Ok(()) => (),
                    // Another process has written: what was seen is held against the newer history in the next tick.
                    Err(BookError::Overtaken) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}
