//! Think: what is done about each throttled build, or why not.

use crate::domain::build::{Build, BuildId, Project, ProjectName, RoleName, Secret};
use crate::domain::classify::Diagnosis;
use crate::domain::decide::{self, Case, Decision, HoldReason, Judgement, Means, Screened};
use crate::domain::history::{Detected, Fact, History, Pending};
use crate::domain::patch::Patch;
use crate::domain::plan::Plan;
use crate::domain::policy::{Credential, Policy};
use crate::domain::reach::{Reach, Tenant};
use crate::domain::remediation::Entry;
use crate::edge::event;
use crate::edge::secrets::{SecretCheck, SecretProblem, Wanted};
use crate::reconcile::sweep::Keep;
use crate::reconcile::{Book, BookError, Failure, Kind, Reconciler};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long the number of projects that a policy matches is good for.
const COUNT_GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How long a build waits whose role or project may not be read.
const UNREADABLE: SignedDuration = SignedDuration::from_mins(5);

/// Reads that are good for a while.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// How many projects each policy matches, and since when that is known.
    matched: BTreeMap<String, (Timestamp, usize)>,
    /// The state of each credential in this tick.
    pub(super) secrets: BTreeMap<String, (Timestamp, SecretCheck)>,
    /// Every project with its role, and since when that is known.
    tenants: Option<(Timestamp, Vec<Tenant>)>,
}

/// What one failed build means and what would be done about it now.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// The build.
    pub build: Build,
    /// What it means.
    pub diagnosis: Diagnosis,
    /// What would be done; none for a build that was not throttled.
    pub decision: Option<Decision>,
    /// The plan, also where a limit or freeze holds it back for now.
    pub plan: Option<Plan>,
    /// What the owner has to change, where no other remedy applies.
    pub patch: Option<Patch>,
    /// The project as it was read, if it was.
    pub project: Option<Project>,
    /// The policy that the project falls under.
    pub policy: Option<String>,
}

/// A decision, and the plan that it is about.
pub(super) struct Weighed {
    decision: Decision,
    plan: Option<Plan>,
    patch: Option<Patch>,
}

impl Weighed {
    /// It was decided before there could be a plan.
    fn judged(judgement: Judgement) -> Weighed {
        Weighed { decision: Decision::Judge(judgement), plan: None, patch: None }
    }
}

impl Reconciler {
    /// Decides about every throttled build that is due.
    pub(super) async fn decide_pending(&mut self, book: &mut Book, now: Timestamp) -> Result<(), BookError> {
        let due: Vec<Pending> =
            book.history(&self.scope).pending().into_iter().filter(|p| p.due <= now).cloned().collect();
        if due.is_empty() {
            return Ok(());
        }
        let ids: Vec<BuildId> = due.iter().map(|p| p.detected.build.clone()).collect();
        let gone = self.read_pending(book, &ids, now).await;
        let projects = match self.read_projects(&due).await {
            Ok(projects) => projects,
            Err(failure) => {
                self.incomplete(book, "projects could not be read", &failure, now);
                return Ok(());
            }
        };
        self.note_drift(book, projects.values(), now).await?;
        for pending in due {
            let Detected { build: id, .. } = &pending.detected;
            let judgement = match (self.builds.get(id).cloned(), projects.get(&id.project())) {
                (None, _) if gone.contains(id) => decide::without_build(),
                // Not answered for: unknown, so nothing is concluded.
                (None, _) => continue,
                (Some(_), None) => decide::without_project(),
                (Some(build), Some(project)) => {
                    match self.resolve(book, &pending.detected, &build, project, now).await? {
                        Ok(Decision::Remediate(plan)) => {
                            let by = plan.id.clone();
                            let fact = Fact::Remediation { id: plan.id.clone(), entry: Entry::Planned(plan) };
                            self.record(book, fact, now).await?;
                            self.answer_sightings(book, &pending.detected, Judgement::Covered { by }, now).await?;
                            continue;
                        }
                        Ok(Decision::Judge(judgement)) => judgement,
                        Err(failure) => {
                            let what = format!("build {id} could not be decided about");
                            self.incomplete(book, &what, &failure, now);
                            let later = now.saturating_add(UNREADABLE).unwrap_or(Timestamp::MAX);
                            if failure.kind == Kind::Denied {
                                book.history_mut(&self.scope).defer(id, later);
                            }
                            continue;
                        }
                    }
                }
            };
            self.judge(book, &pending, judgement, now).await?;
        }
        Ok(())
    }

    /// The decision about one throttled build. Docker Hub is asked last, as a plan that is held back needs no answer.
    async fn resolve(
        &mut self,
        book: &mut Book,
        detected: &Detected,
        build: &Build,
        project: &Project,
        now: Timestamp,
    ) -> Result<Result<Decision, Failure>, BookError> {
        match self.weigh(book, detected, build, project, now).await {
            Ok(Weighed { decision: Decision::Remediate(plan), .. }) => self.guard(book, plan, now).await,
            Ok(Weighed { decision, .. }) => Ok(Ok(decision)),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Records a judgement, unless it is the one that was recorded last.
    async fn judge(
        &mut self,
        book: &mut Book,
        pending: &Pending,
        judgement: Judgement,
        now: Timestamp,
    ) -> Result<(), BookError> {
        let build = pending.detected.build.clone();
        let judgement = decide::unless_superseded(book.history(&self.scope), &pending.detected, judgement);
        if let Judgement::Held { until, .. } = &judgement
            && decide::same_reason(pending.last.as_ref(), &judgement)
        {
            book.history_mut(&self.scope).defer(&build, *until);
            return Ok(());
        }
        let held = match &judgement {
            Judgement::Held { reason, .. } if reason.supersedes() => Some(*reason),
            _ => None,
        };
        let proposed = matches!(judgement, Judgement::Proposed { .. } | Judgement::ForOwner { .. });
        self.record(book, Fact::Judged { build: build.clone(), judgement }, now).await?;
        let superseded = held.map(|reason| book.history(&self.scope).older_in_wait(&pending.detected, reason));
        for older in superseded.unwrap_or_default() {
            let judgement = Judgement::Superseded { by: build.clone() };
            self.record(book, Fact::Judged { build: older, judgement }, now).await?;
        }
        if proposed {
            self.answer_sightings(book, &pending.detected, Judgement::Repeated { build }, now).await?;
        }
        Ok(())
    }

    /// What was decided about the build that another waited for is decided about that one, too.
    async fn answer_sightings(
        &mut self,
        book: &mut Book,
        detected: &Detected,
        judgement: Judgement,
        now: Timestamp,
    ) -> Result<(), BookError> {
        for build in book.history(&self.scope).older_in_wait(detected, HoldReason::SecondSighting) {
            self.record(book, Fact::Judged { build, judgement: judgement.clone() }, now).await?;
        }
        Ok(())
    }

    /// Records; a decision that another process overtook is made anew in the next tick.
    pub(super) async fn record(&mut self, book: &mut Book, fact: Fact, now: Timestamp) -> Result<(), BookError> {
        match book.record(&self.scope, fact, now).await {
            Err(BookError::Overtaken) => {
                self.tick.wake_at(now);
                Ok(())
            }
            other => other,
        }
    }

    /// Reads the builds that are decided about; answers those that AWS says are gone.
    async fn read_pending(&mut self, book: &Book, ids: &[BuildId], now: Timestamp) -> Vec<BuildId> {
        let missing: Vec<BuildId> = ids.iter().filter(|id| !self.builds.contains_key(id)).cloned().collect();
        if missing.is_empty() {
            return Vec::new();
        }
        match self.aws.codebuild.builds(&missing).await {
            Ok(looked) => {
                self.builds.extend(looked.builds.into_iter().map(|build| (build.id.clone(), build)));
                looked.missing
            }
            Err(error) => {
                self.incomplete(book, "builds could not be read", &error.into(), now);
                Vec::new()
            }
        }
    }

    async fn read_projects(&self, due: &[Pending]) -> Result<BTreeMap<ProjectName, Project>, Failure> {
        let mut names: Vec<ProjectName> = due.iter().map(|p| p.detected.build.project()).collect();
        names.sort();
        names.dedup();
        let projects = self.aws.codebuild.projects(&names).await?;
        Ok(projects.into_iter().map(|project| (project.name.clone(), project)).collect())
    }

    /// Weighs one throttled build: the two steps of the decision with the reads between them.
    pub(super) async fn weigh(
        &mut self,
        book: &Book,
        detected: &Detected,
        build: &Build,
        project: &Project,
        now: Timestamp,
    ) -> Result<Weighed, Failure> {
        let rules = self.rules.clone();
        let scope = self.scope.clone();
        let case = Case { scope: &scope, detected, build, project, history: book.history(&self.scope) };
        let (policy, mode, site) = match decide::screen(case, &rules.policies, rules.mode, now) {
            Screened::Judge(judgement) => return Ok(Weighed::judged(judgement)),
            Screened::Proceed { policy, mode, site } => (policy, mode, site),
        };
        let Some(name) = project.role() else {
            return Ok(Weighed::judged(decide::without_role("the project has no service role")));
        };
        // What needs no secret is not held back by one that can't be used.
        let remedies = policy.remedies(site);
        let secret = if remedies.iter().any(|remedy| remedy.needs_secret()) {
            match self.secret(book, &policy.credential, now).await? {
                SecretCheck::Usable(secret) => Ok(secret),
                SecretCheck::Unusable(problem) => Err(problem.to_string()),
            }
        } else {
            Err(String::new())
        };
        if let Err(why) = &secret
            && remedies.first().is_some_and(|remedy| remedy.needs_secret())
        {
            return Ok(Weighed::judged(decide::unusable(why, now)));
        }
        let Some(role) = self.aws.iam.role(&name).await? else {
            return Ok(Weighed::judged(decide::without_role(&format!("role `{name}` does not exist"))));
        };
        let matched = self.matched(policy, now).await?;
        let secret = secret.as_ref().map_err(String::as_str);
        let means = Means { role: &role, secret, matched, images: &rules.images, reach: None };
        let grants = decide::first_plan(case, policy, site, means, now).is_ok_and(|plan| plan.grant().is_some());
        let reach = if grants { self.reach(project, &role.name, now).await? } else { None };
        let case = Case { history: book.history(&self.scope), ..case };
        let means = Means { reach: reach.as_ref(), ..means };
        let (plan, patch) = match decide::first_plan(case, policy, site, means, now) {
            Ok(plan) => (Some(plan), None),
            Err(Judgement::ForOwner { patch }) => (None, Some(*patch)),
            Err(_) => (None, None),
        };
        Ok(Weighed { decision: decide::decide(case, (policy, mode, site), means, now), plan, patch })
    }

    /// The credential's secret, read once a tick. Its trouble is said when it begins.
    async fn secret(&mut self, book: &Book, credential: &Credential, now: Timestamp) -> Result<SecretCheck, Failure> {
        if let Some((at, check)) = self.known.secrets.get(&credential.name)
            && *at == now
        {
            return Ok(check.clone());
        }
        let wanted = Wanted {
            secret: &credential.secret,
            username_key: &credential.username_key,
            password_key: &credential.password_key,
            auth_config_key: &credential.auth_config_key,
            region: &self.aws.region,
        };
        let check = self.aws.secrets.usable(wanted).await?;
        let said = format!("credential {}: ", credential.name);
        match &check {
            SecretCheck::Usable(_) => {
                self.said.retain(|what| !what.starts_with(&said));
            }
            SecretCheck::Unusable(problem) => self.say_unusable(book, credential, problem, now),
        }
        self.known.secrets.insert(credential.name.clone(), (now, check.clone()));
        Ok(check)
    }

    pub(super) fn say_unusable(
        &mut self,
        book: &Book,
        credential: &Credential,
        problem: &SecretProblem,
        now: Timestamp,
    ) {
        if self.said.insert(format!("credential {}: {}", credential.name, problem.word())) {
            let detail = format!("secret `{}` of credential `{}`: {problem}", credential.secret, credential.name);
            event::emit(&event::credential_unusable(
                &book.place(&self.scope),
                &credential.name,
                problem.word(),
                &detail,
                now,
            ));
        }
    }

    /// Whom a grant on the project's role reaches; none where the daemon may not read that. A project that is not answered for may
    /// share the role, so all are read or none.
    pub async fn reach(
        &mut self,
        project: &Project,
        role: &RoleName,
        now: Timestamp,
    ) -> Result<Option<Reach>, Failure> {
        let fresh = |(at, _): &&(Timestamp, Vec<Tenant>)| now.duration_since(*at).abs() < COUNT_GOOD_FOR;
        if let Some((_, tenants)) = self.known.tenants.as_ref().filter(fresh) {
            return Ok(Some(Reach::among(tenants, project, role)));
        }
        let names = self.aws.codebuild.list_projects().await?;
        let projects = match self.read_whole(&names).await {
            Err(failure) if failure.kind == Kind::Denied => return Ok(None),
            projects => projects?,
        };
        let tenants: Vec<Tenant> = projects.iter().map(Tenant::of).collect();
        let reach = Reach::among(&tenants, project, role);
        self.known.tenants = Some((now, tenants));
        Ok(Some(reach))
    }

    /// How many projects the policy matches. Tags are only read where the policy names some.
    async fn matched(&mut self, policy: &Policy, now: Timestamp) -> Result<usize, Failure> {
        if let Some((at, count)) = self.known.matched.get(&policy.name)
            && now.duration_since(*at).abs() < COUNT_GOOD_FOR
        {
            return Ok(*count);
        }
        let mut names = self.aws.codebuild.list_projects().await?;
        names.retain(|name| policy.matches_name(&self.scope, name));
        let count = if policy.tags.is_empty() {
            names.len()
        } else {
            let projects = self.aws.codebuild.projects(&names).await?;
            projects.iter().filter(|project| policy.matches(&self.scope, project)).count()
        };
        self.known.matched.insert(policy.name.clone(), (now, count));
        Ok(count)
    }

    /// What would be done about one failed build, recording nothing.
    pub async fn assess(&mut self, book: &Book, build: &Build, now: Timestamp) -> Result<Assessment, Failure> {
        let reading = self.diagnose(build).await?;
        let diagnosis = reading.diagnosis;
        let mut assessment = Assessment {
            build: build.clone(),
            diagnosis,
            decision: None,
            plan: None,
            patch: None,
            project: None,
            policy: None,
        };
        if !assessment.diagnosis.is_throttled() {
            return Ok(assessment);
        }
        let detected = Detected {
            build: build.id.clone(),
            number: build.number,
            ended: build.ended,
            diagnosis: assessment.diagnosis.clone(),
        };
        let weighed = match self.aws.codebuild.project(&build.project).await? {
            None => Weighed::judged(decide::without_project()),
            Some(project) => {
                let policy = crate::domain::policy::policy_for(&self.rules.policies, &self.scope, &project);
                assessment.policy = policy.map(|policy| policy.name.clone());
                let weighed = self.weigh(book, &detected, build, &project, now).await?;
                assessment.project = Some(project);
                weighed
            }
        };
        assessment.decision = Some(weighed.decision);
        assessment.plan = weighed.plan;
        assessment.patch = weighed.patch;
        Ok(assessment)
    }

    /// Every failed build of the look-back, recording nothing. `seen` is told of the progress: builds assessed, of all.
    pub async fn survey(
        &mut self,
        book: &Book,
        now: Timestamp,
        seen: impl Fn(usize, usize),
    ) -> Result<Vec<Assessment>, Failure> {
        self.watch = crate::domain::watch::Watch::default();
        self.builds.clear();
        self.tick = super::Tick::default();
        let sweep = self.sweep(book, Keep::All, now).await?;
        self.take_in(sweep, &History::default());
        let due = self.watch.due(now);
        self.read(book, &due, now).await;
        let mut failed: Vec<Build> =
            due.iter().filter_map(|id| self.builds.get(id)).filter(|b| b.has_failed()).cloned().collect();
        failed.sort_by_key(|build| (build.ended, build.id.clone()));
        let mut assessments = Vec::new();
        for (n, build) in failed.iter().enumerate() {
            seen(n, failed.len());
            match self.assess(book, build, now).await {
                Ok(assessment) => assessments.push(assessment),
                Err(failure) => {
                    self.incomplete(book, &format!("build {} could not be assessed", build.id), &failure, now)
                }
            }
        }
        Ok(assessments)
    }

    /// One build by its id.
    pub async fn build(&self, id: &BuildId) -> Result<Option<Build>, Failure> {
        Ok(self.aws.codebuild.builds(std::slice::from_ref(id)).await?.builds.into_iter().next())
    }

    /// The newest failed builds of a project, newest first.
    pub async fn failed_builds_of(&self, project: &ProjectName) -> Result<Vec<Build>, Failure> {
        let ids = self.aws.codebuild.list_builds_of(project).await?;
        let looked = self.aws.codebuild.builds(&ids).await?;
        let order = |build: &Build| ids.iter().position(|id| id == &build.id);
        let mut builds: Vec<Build> = looked.builds.into_iter().filter(Build::has_failed).collect();
        builds.sort_by_key(order);
        Ok(builds)
    }

    /// The parts that the last survey could not read.
    pub fn unread(&self) -> &[(String, String)] {
        &self.tick.incomplete
    }

    /// The state of a credential's secret.
    pub async fn secret_of(&self, credential: &Credential) -> Result<Secret, Failure> {
        let wanted = Wanted {
            secret: &credential.secret,
            username_key: &credential.username_key,
            password_key: &credential.password_key,
            auth_config_key: &credential.auth_config_key,
            region: &self.aws.region,
        };
        match self.aws.secrets.usable(wanted).await? {
            SecretCheck::Usable(secret) => Ok(secret),
            SecretCheck::Unusable(problem) => {
                Err(Failure { kind: Kind::Rejected, detail: format!("secret `{}`: {problem}", credential.secret) })
            }
        }
    }
}
