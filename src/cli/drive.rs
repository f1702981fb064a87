//! What `apply` and `rollback` share: a person's decision goes to the ledger, and is carried out by this process, or by
//! the daemon that holds the lease.

use crate::cli::exit::{Exit, Failure};
use crate::cli::frame::Frame;
use crate::cli::output::{Cell, Table, Tone};
use crate::cli::plan::SavedPlan;
use crate::cli::run::cannot_start;
use crate::domain::change::Position;
use crate::domain::history::Fact;
use crate::domain::plan::RemediationId;
use crate::domain::remediation::{Entry, Outcome, Remediation, RollbackReason, Stage};
use crate::edge::clock::{self, Clock};
use crate::reconcile::{Access, Daemon, StartError, as_configured};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// How often the ledger is looked at while another process does the work.
const LOOK: Duration = Duration::from_secs(1);

/// The longest pause between two looks of our own.
const LONGEST: SignedDuration = SignedDuration::from_secs(5);

/// A remediation in its scope.
pub type Named = (String, RemediationId);

/// The ledger, and whoever acts on it.
pub struct Drive {
    daemon: Daemon,
    acts: Acts,
}

/// Who carries the decision out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acts {
    Here,
    TheDaemon,
}

impl Drive {
    /// Opens the ledger; takes the lease if it is free.
    pub async fn open(frame: &Frame) -> anyhow::Result<Drive> {
        let settings = frame.settings()?;
        match Daemon::open(settings, Access::Once, &as_configured).await {
            Ok(daemon) => Ok(Drive { daemon, acts: Acts::Here }),
            Err(StartError::Lease(error)) if error.is_held() => {
                let daemon = Daemon::open(settings, Access::Append, &as_configured).await.map_err(cannot_start)?;
                Ok(Drive { daemon, acts: Acts::TheDaemon })
            }
            Err(error) => Err(cannot_start(error).into()),
        }
    }

    /// The remediations in place that are chosen, newest first.
    pub fn chosen(&self, is_chosen: impl Fn(&Remediation) -> bool) -> Vec<Named> {
        let mut chosen: Vec<(Timestamp, Named)> = Vec::new();
        for scope in self.daemon.scope_names() {
            for (id, remediation) in self.daemon.book().history(&scope).remediations() {
                let in_place = remediation.stage() != Stage::Closed(Outcome::RolledBack);
                if in_place && is_chosen(remediation) {
                    chosen.push((remediation.planned(), (scope.clone(), id.clone())));
                }
            }
        }
        chosen.sort_by(|a, b| b.cmp(a));
        chosen.into_iter().map(|(_, named)| named).collect()
    }

    /// Refuses a plan that was applied, or whose resources have changed since it was made.
    pub async fn check(&mut self, saved: &SavedPlan) -> anyhow::Result<()> {
        let plan = &saved.plan;
        let (book, scopes) = self.daemon.parts();
        let Some(scope) = scopes.iter_mut().find(|scope| scope.scope() == saved.scope) else {
            let names: Vec<&str> = scopes.iter().map(|scope| scope.scope()).collect();
            anyhow::bail!("the plan is for scope `{}`, and the settings have {}", saved.scope, names.join(", "));
        };
        let history = book.history(&saved.scope);
        if history.remediation(&plan.id).is_some() {
            let error = anyhow::anyhow!("plan {} was applied before", plan.id);
            let hint = format!("`unthrottled history --project {}` shows what became of it", plan.project);
            return Err(Failure::new(Exit::Failed, error).hint(hint).into());
        }
        if let Some(open) = history.open_on_project(&plan.project) {
            anyhow::bail!("remediation {} of project {} is under way", open.plan().id, plan.project);
        }
        let remediation = Remediation::begin(plan.clone(), clock::now());
        let seen = scope.see(book, &remediation).await.context("the account could not be read")?;
        for change in &plan.changes {
            match change.position(seen.project.as_ref(), &seen.grant) {
                Position::Before | Position::After => (),
                Position::Gone => anyhow::bail!("{} is gone since the plan was made", change.what()),
                Position::Neither | Position::AmidOthers | Position::WithoutOurs => {
                    let what = change.what();
                    let error = anyhow::anyhow!("project {}: {what} has changed since the plan was made", plan.project);
                    return Err(Failure::new(Exit::Failed, error).hint("make a new plan and read it").into());
                }
            }
        }
        if let (Some(project), true) = (&seen.project, plan.grant().is_some()) {
            let shown = plan.reach.as_ref().map_or(0, |reach| reach.open_projects);
            let reach =
                scope.reach(project, &plan.role, clock::now()).await.context("the account could not be read")?;
            if let Some(reach) = reach.filter(|reach| reach.open_projects > shown) {
                let role = &plan.role;
                let error = anyhow::anyhow!(
                    "project {}: the plan does not show that strangers can get at the credential through role `{role}`: {}",
                    plan.project,
                    reach.openings()
                );
                return Err(Failure::new(Exit::Failed, error).hint("make a new plan and read it").into());
            }
        }
        Ok(())
    }

    /// Records a plan that a person applies.
    pub async fn begin(&mut self, saved: SavedPlan) -> anyhow::Result<()> {
        let (book, _) = self.daemon.parts();
        if !book.history(&saved.scope).knows(&saved.detected.build) {
            book.record(&saved.scope, Fact::Detected(saved.detected), clock::now()).await?;
        }
        let id = saved.plan.id.clone();
        let entry = Entry::Planned(Box::new(saved.plan));
        book.record(&saved.scope, Fact::Remediation { id, entry }, clock::now()).await?;
        Ok(())
    }

    /// Records that a person takes a remediation back.
    pub async fn roll_back(&mut self, scope: &str, id: &RemediationId) -> anyhow::Result<()> {
        let detail = "a person asked for it".to_string();
        let entry = Entry::RollbackDecided { reason: RollbackReason::Operator, detail, by: None };
        let (book, _) = self.daemon.parts();
        book.record(scope, Fact::Remediation { id: id.clone(), entry }, clock::now()).await?;
        Ok(())
    }

    /// Waits until each remediation is in place, taken back, or left to a person, and says so.
    pub async fn until_at_rest(&mut self, frame: &Frame, ids: &[Named]) -> anyhow::Result<ExitCode> {
        let progress = frame.progress("working");
        loop {
            let wake = match self.acts {
                Acts::Here => self.daemon.advance(ids, &Clock::wall()).await?,
                Acts::TheDaemon => {
                    let (book, _) = self.daemon.parts();
                    book.catch_up().await?;
                    None
                }
            };
            let busy = ids.iter().filter(|named| self.is_busy(named)).count();
            if busy == 0 {
                break;
            }
            let who = if self.acts == Acts::Here { "" } else { " by the running daemon" };
            progress.say(format!("{busy} of {} under way{who}", ids.len()));
            let pause = wake.map(|at| clock::now().duration_until(at).clamp(SignedDuration::from_millis(20), LONGEST));
            tokio::time::sleep(pause.and_then(|pause| Duration::try_from(pause).ok()).unwrap_or(LOOK)).await;
        }
        drop(progress);
        self.print(frame, ids)
    }

    /// Gives the lease back, if it is held.
    pub async fn close(self) {
        self.daemon.close().await;
    }

    fn stage(&self, (scope, id): &Named) -> Option<Stage> {
        self.daemon.book().history(scope).remediation(id).map(Remediation::stage)
    }

    fn is_busy(&self, named: &Named) -> bool {
        matches!(self.stage(named), Some(Stage::Planned | Stage::RollingBack))
    }

    fn print(&self, frame: &Frame, ids: &[Named]) -> anyhow::Result<ExitCode> {
        let mut table = Table::new(["REMEDIATION", "PROJECT", "REMEDY", "NOW"]);
        let mut exit = Exit::Done;
        for (scope, id) in ids {
            let Some(remediation) = self.daemon.book().history(scope).remediation(id) else { continue };
            let plan = remediation.plan();
            let now = match remediation.stage() {
                Stage::Closed(Outcome::Escalated) => {
                    exit = Exit::Failed;
                    let why = remediation.because_of().unwrap_or_default();
                    Cell::new(Tone::Bad, format!("left to a person: {why}"))
                }
                stage => stage.to_string().into(),
            };
            let remedy = plan.remedy.to_string();
            table.row([id.to_string().into(), plan.project.to_string().into(), remedy.into(), now]);
        }
        write!(frame.out(), "{}", table.render())?;
        Ok(exit.into())
    }
}
