//! Proven remedies that others undid: looked for every few minutes, and before anything is decided about their project.
//!
//! What a remediation that waits for proof is looked at for by its own steps, a proven one is looked at for here: who took
//! it out is noted, and its grant goes if nothing else needs it. So it goes for a project that was deleted.

use crate::domain::build::{Project, ProjectName};
use crate::domain::history::Fact;
use crate::domain::plan::RemediationId;
use crate::domain::policy::{self, Mode};
use crate::domain::remediation::{Entry, Remediation};
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
            match self.aws.codebuild.look_at_all(&names).await {
                Ok(looked) => {
                    self.note_drift(book, &looked.projects, now).await?;
                    self.note_gone(book, looked.missing, now).await?;
                }
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
        for project in projects.into_iter().filter(|project| !policy::is_stopped(project)) {
            self.note(book, &project.name, now, |remediation| remediation.undone_by_others(project, now)).await?;
        }
        Ok(())
    }

    /// Notes proven remedies whose project CodeBuild does not have, at two looks in a row: one that is made anew under its
    /// name, as a replacement is, is there again at the second.
    async fn note_gone(&mut self, book: &mut Book, missing: Vec<ProjectName>, now: Timestamp) -> Result<(), BookError> {
        let before = std::mem::replace(&mut self.missing, missing.into_iter().collect());
        let gone: Vec<ProjectName> = self.missing.intersection(&before).cloned().collect();
        for name in &gone {
            self.note(book, name, now, |remediation| remediation.gone_with_its_project(now)).await?;
        }
        Ok(())
    }

    /// Records what has become of the proven remedies of a project on which nothing is under way.
    async fn note(
        &mut self,
        book: &mut Book,
        name: &ProjectName,
        now: Timestamp,
        become_of: impl Fn(&Remediation) -> Option<Entry>,
    ) -> Result<(), BookError> {
        let history = book.history(&self.scope);
        if history.open_on_project(name).is_some() {
            return Ok(());
        }
        let of_project = history.in_place().filter(|(_, r)| &r.plan().project == name);
        let ended = of_project.filter_map(|(id, r)| Some((id.clone(), become_of(r)?)));
        let ended: Vec<(RemediationId, Entry)> = ended.collect();
        for (id, entry) in ended {
            match book.record(&self.scope, Fact::Remediation { id, entry }, now).await {
                Ok(()) => (),
                // Another process has written: what was seen is held against the newer history in the next tick.
                Err(BookError::Overtaken) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
