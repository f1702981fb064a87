//! Act: one step of each open remediation after the other, until it has to wait.

use crate::domain::build::{Build, Project};
use crate::domain::buildspec::splice::Digest;
use crate::domain::buildspec::take_back;
use crate::domain::change::{Change, Edit, GrantSeen, Position};
use crate::domain::history::Fact;
use crate::domain::plan::{Plan, RemediationId};
use crate::domain::policy::{self, Mode};
use crate::domain::remediation::{
    Direction, Entry, EscalationReason, GrantUse, Outcome, Remediation, RollbackReason, Seen, Stage, Step,
};
use crate::domain::remedy::grant;
use crate::domain::{retry, verdict};
use crate::edge::clock::Clock;
use crate::edge::codebuild::{FieldWrite, ProjectText, Updated};
use crate::edge::event;
use crate::edge::iam::{PolicyRead, PolicyWrite};
use crate::reconcile::book::Caught;
use crate::reconcile::{Book, BookError, Failure, Kind, Reconciler};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// Steps of one remediation in one tick; more would mean that two steps undo each other.
const STEPS: usize = 24;

/// How often a remediation that waits for proof is looked at for edits by others.
pub(super) const DRIFT_LOOK: SignedDuration = SignedDuration::from_mins(5);

/// How long after a write that a look does not show yet it is worth another look, at the least.
const LAG: SignedDuration = SignedDuration::from_secs(5);

/// What came of one step.
enum Turn {
    /// Something changed: look again at once.
    LookAgain,
    /// Nothing more to do in this tick.
    Rest,
}

/// What came of a write.
enum Written {
    /// It was sent, or what it makes was there.
    Done,
    /// It was sent, and this is the project that the answer shows: what an update says it did is not taken for done,
    /// but what it says it did not do is believed.
    Answered(Box<Project>),
    /// The resource was not as expected, so nothing was sent.
    Refused,
}

/// Between the last read and a write: the ledger has nothing that we don't know.
///
/// A rollback that another process carried out meanwhile would otherwise be followed by the remedy once more. AWS has no
/// condition for a write, so what stays is the time of the write itself; there the lease keeps others away.
struct Fence<'a> {
    book: &'a mut Book,
    caught: Result<Caught, BookError>,
}

impl Fence<'_> {
    async fn holds(&mut self) -> bool {
        self.caught = self.book.catch_up().await;
        matches!(self.caught, Ok(Caught::Nothing))
    }
}

impl Reconciler {
    /// Advances one remediation; answers when it is worth another look.
    pub async fn advance_only(
        &mut self,
        book: &mut Book,
        id: &RemediationId,
        clock: &Clock,
    ) -> Result<Option<Timestamp>, BookError> {
        self.since.get_or_insert(clock.now());
        self.next_look.remove(id);
        self.advance(book, id, clock).await?;
        Ok(self.next_look.get(id).copied())
    }

    /// Advances every open remediation that is worth a look.
    pub(super) async fn advance_all(&mut self, book: &mut Book, clock: &Clock) -> Result<(), BookError> {
        let history = book.history(&self.scope);
        let open: Vec<RemediationId> = history.open().map(|(id, _)| id.clone()).collect();
        let kept: BTreeSet<&RemediationId> = history.kept_grants().map(|(id, _, _)| id).collect();
        self.next_look.retain(|id, _| open.contains(id) || kept.contains(id));
        for id in open {
            if self.next_look.get(&id).is_some_and(|at| *at > clock.now()) {
                continue;
            }
            self.advance(book, &id, clock).await?;
        }
        Ok(())
    }

    /// Advances one remediation until it has to wait.
    pub(super) async fn advance(
        &mut self,
        book: &mut Book,
        id: &RemediationId,
        clock: &Clock,
    ) -> Result<(), BookError> {
        let mut written = None;
        for _ in 0..STEPS {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            match self.turn(book, id, &mut written, clock).await {
                Ok(Turn::LookAgain) => (),
                Ok(Turn::Rest) => return Ok(()),
                Err(Failure { kind: Kind::Ledger, detail }) => {
                    self.incomplete(book, "the ledger", &Failure { kind: Kind::Ledger, detail }, clock.now());
                    return Ok(());
                }
                Err(Failure { kind: Kind::Overtaken, .. }) => {
                    self.tick.wake_at(clock.now());
                    return Ok(());
                }
                Err(failure) => {
                    let what = format!("remediation {id} could not be advanced");
                    self.incomplete(book, &what, &failure, clock.now());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// One look and one step.
    async fn turn(
        &mut self,
        book: &mut Book,
        id: &RemediationId,
        written: &mut Option<Step>,
        clock: &Clock,
    ) -> Result<Turn, Failure> {
        let Some(remediation) = book.history(&self.scope).remediation(id).cloned() else {
            return Ok(Turn::Rest);
        };
        let seen = self.see(book, &remediation).await?;
        // Not the tick's beginning, which may be long ago: what was seen just now has to settle from now on.
        let now = clock.now();
        let step = remediation.next_step(&seen, now);
        match step {
            Step::Write { .. } | Step::Retry { .. } if !self.may_write(&remediation, &seen) => {
                self.next_look.insert(id.clone(), now.saturating_add(DRIFT_LOOK).unwrap_or(Timestamp::MAX));
                Ok(Turn::Rest)
            }
            // It was written just now, and the look does not show it yet: reads may lag behind writes.
            Step::Write { .. } if written.as_ref() == Some(&step) => {
                let lag = remediation.plan().settle.max(LAG);
                self.next_look.insert(id.clone(), now.saturating_add(lag).unwrap_or(Timestamp::MAX));
                Ok(Turn::Rest)
            }
            Step::Write { change, direction } => {
                *written = Some(step.clone());
                self.write(book, &remediation, change, direction, now).await
            }
            Step::Retry { intended } => self.retry(book, &remediation, &seen, intended, now).await,
            Step::Record(entry) => {
                self.record_entry(book, &remediation, entry, now).await?;
                Ok(Turn::LookAgain)
            }
            Step::Wait { until } => {
                let drift = now.saturating_add(DRIFT_LOOK).unwrap_or(Timestamp::MAX);
                let until = if remediation.is_open() { until.min(drift) } else { until };
                self.next_look.insert(id.clone(), until);
                Ok(Turn::Rest)
            }
            Step::Done => Ok(Turn::Rest),
        }
    }

    /// Whether anything may be written now: the mode or the project's owner may have stopped us in the middle. What a
    /// person asked for is done all the same.
    fn may_write(&self, remediation: &Remediation, seen: &Seen) -> bool {
        if remediation.is_asked_for() {
            return true;
        }
        self.rules.mode == Mode::Apply && !seen.project.as_ref().is_some_and(policy::is_stopped)
    }

    /// One look at everything that the next step depends on.
    pub async fn see(&self, book: &Book, remediation: &Remediation) -> Result<Seen, Failure> {
        let plan = remediation.plan();
        let project = self.aws.codebuild.project(&plan.project).await?;
        let grant = match plan.grant() {
            None => GrantSeen::Absent,
            Some((role, policy)) => match self.aws.iam.policy(role, policy).await? {
                PolicyRead::RoleGone => GrantSeen::RoleGone,
                PolicyRead::Absent => GrantSeen::Absent,
                PolicyRead::Present(policy) => policy.document.map_or(GrantSeen::Malformed, GrantSeen::Present),
            },
        };
        let grant_use = match remediation.stage() {
            Stage::RollingBack | Stage::Closed(Outcome::RolledBack) => self.grant_use(book, plan).await?,
            Stage::Planned | Stage::Applied | Stage::Closed(_) => GrantUse::NotAsked,
        };
        let verdicts = self.verdicts.get(&plan.id).cloned().unwrap_or_default();
        let since = self.since.unwrap_or(Timestamp::MIN);
        Ok(Seen { since, builds_read: self.builds_read, project, grant, grant_use, verdicts })
    }

    /// Writes one change or its undo, if the resource is still as the step found it and nobody has written to the ledger.
    async fn write(
        &mut self,
        book: &mut Book,
        remediation: &Remediation,
        change: usize,
        direction: Direction,
        now: Timestamp,
    ) -> Result<Turn, Failure> {
        let plan = remediation.plan();
        let Some(resource) = plan.changes.get(change) else { return Ok(Turn::Rest) };
        let mut fence = Fence { book, caught: Ok(Caught::Nothing) };
        let written = match resource {
            Change::Grant { .. } => self.write_grant(plan, resource, direction, &mut fence).await,
            Change::Project { edits } => self.write_project(plan, resource, edits, direction, &mut fence).await,
        };
        if fence.caught? == Caught::Up {
            return Ok(Turn::LookAgain);
        }
        match written {
            Ok(Written::Done) => Ok(Turn::LookAgain),
            Ok(Written::Answered(project)) => {
                if let Some(entry) = remediation.unmoved(change, direction, &project) {
                    self.record_entry(book, remediation, entry, now).await?;
                }
                Ok(Turn::LookAgain)
            }
            Ok(Written::Refused) => {
                let place = book.place(&self.scope);
                let detail = format!("{} is no longer as it was seen", resource.what());
                event::emit(&event::write_refused(&place, plan, "not_as_expected", &detail, now));
                Ok(Turn::Rest)
            }
            Err(failure) if matches!(failure.kind, Kind::Denied | Kind::Rejected) => {
                let entry = given_up(remediation.stage(), &failure, resource);
                self.record_entry(book, remediation, entry, now).await?;
                Ok(Turn::LookAgain)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn write_grant(
        &self,
        plan: &Plan,
        change: &Change,
        direction: Direction,
        fence: &mut Fence<'_>,
    ) -> Result<Written, Failure> {
        let Change::Grant { role, policy, before, after } = change else { return Ok(Written::Refused) };
        let (wanted, document) = match direction {
            Direction::Forward => (Position::Before, Some(after)),
            Direction::Back => (Position::After, before.as_ref()),
        };
        if let Some(document) = document
            && !plan.secret.as_ref().is_some_and(|secret| grant::only_reads(document, secret))
        {
            let detail = format!("inline policy `{policy}` would let role `{role}` do more than read the secret");
            return Err(Failure { kind: Kind::Rejected, detail });
        }
        let expect = async |there: Option<&crate::domain::build::InlinePolicy>| {
            let there = match there {
                None => GrantSeen::Absent,
                Some(policy) => policy.document.clone().map_or(GrantSeen::Malformed, GrantSeen::Present),
            };
            change.position(None, &there) == wanted && fence.holds().await
        };
        let written = match (direction, before) {
            (Direction::Forward, _) => self.aws.iam.put_policy(role, policy, after, expect).await?,
            (Direction::Back, Some(before)) => self.aws.iam.put_policy(role, policy, before, expect).await?,
            (Direction::Back, None) => self.aws.iam.delete_policy(role, policy, expect).await?,
        };
        Ok(match written {
            PolicyWrite::Done => Written::Done,
            PolicyWrite::NotAsExpected | PolicyWrite::RoleGone => Written::Refused,
        })
    }

    async fn write_project(
        &self,
        plan: &Plan,
        change: &Change,
        edits: &[Edit],
        direction: Direction,
        fence: &mut Fence<'_>,
    ) -> Result<Written, Failure> {
        let fields = async |text: &ProjectText<'_>| {
            let position = change.position(Some(text.project), &GrantSeen::Absent);
            let ready = match direction {
                Direction::Forward => {
                    let granted = plan.grant().is_some();
                    position == Position::Before
                        && (!granted || text.project.role().as_ref() == Some(&plan.role))
                        && text.project.environment.image == plan.image
                }
                Direction::Back => change.is_in_place(Some(text.project), &GrantSeen::Absent),
            };
            if !ready || !fence.holds().await {
                return None;
            }
            edits.iter().map(|edit| field(edit, text, direction)).collect::<Option<Vec<FieldWrite>>>()
        };
        Ok(match self.aws.codebuild.update_project(&plan.project, fields).await? {
            Updated::Written(project) => Written::Answered(project),
            Updated::NotAsExpected | Updated::Gone => Written::Refused,
        })
    }

    /// Starts the throttled build again.
    ///
    /// What `RetryBuild` builds from is not documented. If its answer shows that it took the old configuration, that
    /// build is stopped and a new one is started, where that gives the same build.
    async fn retry(
        &mut self,
        book: &mut Book,
        remediation: &Remediation,
        seen: &Seen,
        intended: Timestamp,
        now: Timestamp,
    ) -> Result<Turn, Failure> {
        let plan = remediation.plan();
        let entry = match self.start_again(plan, seen.project.as_ref(), intended, now).await {
            Ok(Ok(build)) => Entry::Retried { build: build.id },
            Ok(Err(why)) => Entry::RetryRefused { detail: why.to_string() },
            Err(failure) if matches!(failure.kind, Kind::Denied | Kind::Rejected | Kind::Gone) => {
                Entry::RetryRefused { detail: failure.detail }
            }
            Err(failure) => return Err(failure),
        };
        self.record_entry(book, remediation, entry, now).await?;
        Ok(Turn::LookAgain)
    }

    async fn start_again(
        &self,
        plan: &Plan,
        project: Option<&Project>,
        intended: Timestamp,
        now: Timestamp,
    ) -> Result<Result<Build, &'static str>, Failure> {
        let codebuild = &self.aws.codebuild;
        let looked = codebuild.builds(std::slice::from_ref(&plan.because)).await?;
        let Some(because) = looked.builds.into_iter().next() else {
            return Ok(Err("the throttled build was deleted"));
        };
        if retry::approach(intended, now) == retry::Approach::LookFirst {
            let ids = codebuild.list_builds_of(&plan.project).await?;
            let mut candidates = codebuild.builds(&ids).await?.builds;
            // One that ran with the old configuration proves nothing, so it does not count as the retry.
            candidates.retain(|build| verdict::carries(plan, build));
            if let Some(found) = retry::found(&because, &candidates, intended) {
                return Ok(Ok(found.clone()));
            }
        }
        let retried = codebuild.retry_build(&plan.because, &retry::retry_token(&plan.because)).await?;
        if verdict::carries(plan, &retried) {
            return Ok(Ok(retried));
        }
        if let Err(error) = codebuild.stop_build(&retried.id).await
            && !error.is_rejected()
        {
            return Err(error.into());
        }
        if let Some(why) = project.and_then(|project| retry::not_startable(plan, &because, project)) {
            return Ok(Err(why));
        }
        let version = because.resolved_source_version.as_deref().or(because.source_version.as_deref());
        Ok(Ok(codebuild.start_build(&plan.project, version, &retry::start_token(&plan.because)).await?))
    }

    async fn record_entry(
        &mut self,
        book: &mut Book,
        remediation: &Remediation,
        entry: Entry,
        now: Timestamp,
    ) -> Result<(), BookError> {
        book.record(&self.scope, Fact::Remediation { id: remediation.plan().id.clone(), entry }, now).await
    }
}

/// What a write leads to that AWS will not take.
fn given_up(stage: Stage, failure: &Failure, resource: &Change) -> Entry {
    let detail = format!("{}: {}", resource.what(), failure.detail);
    match stage {
        Stage::Planned | Stage::Applied => {
            let reason =
                if failure.kind == Kind::Denied { RollbackReason::WriteDenied } else { RollbackReason::WriteRejected };
            Entry::RollbackDecided { reason, detail, by: None }
        }
        Stage::Closed(Outcome::RolledBack) => Entry::GrantLeft { detail },
        Stage::RollingBack | Stage::Closed(_) => Entry::Escalated { reason: EscalationReason::RollbackRefused, detail },
    }
}

/// One edit as a write to the project as it was read just now.
fn field(edit: &Edit, text: &ProjectText<'_>, direction: Direction) -> Option<FieldWrite> {
    let forward = direction == Direction::Forward;
    Some(match edit {
        Edit::RegistryCredential { after } => FieldWrite::RegistryCredential(forward.then(|| after.clone())),
        Edit::PullCredentials { before, after } => {
            FieldWrite::PullCredentials(if forward { Some(after.clone()) } else { before.clone() })
        }
        Edit::Image { before, after } => FieldWrite::Image(if forward { after.clone() } else { before.clone() }),
        Edit::Variable { name, reference } => {
            FieldWrite::Variable { name: name.clone(), reference: forward.then(|| reference.clone()) }
        }
        Edit::Buildspec { after, splice, .. } => {
            let there = text.buildspec?;
            FieldWrite::Buildspec(match direction {
                Direction::Forward => splice.apply(there)?,
                Direction::Back if Digest::of(there) == *after => splice.undo(there)?,
                // Others have edited it: our line alone goes, if it is unmistakably ours.
                Direction::Back => take_back(there, splice)?,
            })
        }
    })
}
