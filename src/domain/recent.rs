//! What happened lately, for people who look: bounded in time and in number, however much the ledger holds.
//!
//! # Guarantees
//! Of the time that is remembered it says what `history --since` says of the same records: the same courses, standing
//! alike. What is under way or waits is remembered however old it is. If there was too much to remember, it says so.

use crate::domain::build::{BuildId, ProjectName};
use crate::domain::classify::Registry;
use crate::domain::course::{Course, Standing};
use crate::domain::decide::{Judgement, KeptOut};
use crate::domain::history::{Fact, Record};
use crate::domain::plan::{Plan, RemediationId};
use crate::domain::remediation::Entry;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How long what happened is remembered.
pub const REMEMBERED: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Throttled builds that are remembered at the most: some megabytes.
const MOST: usize = 10_000;

/// Those that stay when there are too many, the newest, so that not every further one is a search for the oldest.
const KEPT: usize = 8_000;

/// Records that are remembered as they are.
const NEWEST: usize = 50;

/// The newest records, and what they come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    scopes: BTreeMap<String, OfScope>,
    newest: VecDeque<Arc<Noted>>,
    /// By hours since 1970.
    hours: BTreeMap<i64, Refused>,
    is_cut: bool,
}

/// Of one scope. Of ten thousand builds few lead to a remediation, and fewer to a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfScope {
    courses: BTreeMap<BuildId, Followed>,
    of_remediation: BTreeMap<RemediationId, BuildId>,
}

/// A throttled build and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Followed {
    course: Course,
    last: Timestamp,
    detected: Option<Timestamp>,
    reason: Option<&'static str>,
    /// Why a person has to look, in a sentence; none if none has to.
    detail: Option<String>,
    /// Whether a person has cleared the project since.
    is_cleared: bool,
}

/// A record, and the project that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The record.
    pub record: Record,
    /// The project, if it is about one.
    pub project: Option<ProjectName>,
}

/// Throttled builds of one length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// That Docker Hub refused.
    pub docker_hub: usize,
    /// That another registry refused.
    pub others: usize,
}

/// What the records of the time that is remembered come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Builds that were throttled, or failed and could not be diagnosed.
    pub builds: usize,
    /// Their projects.
    pub projects: usize,
    /// How many of them stand how, and why.
    pub outcomes: BTreeMap<Standing, BTreeMap<Option<&'static str>, usize>>,
    /// From a build's end to its detection.
    pub detected: Option<Spread>,
    /// From a build's end to its remedy being in place.
    pub applied: Option<Spread>,
    /// What people have to look at, newest first.
    pub escalated: Vec<Escalated>,
    /// Throttled builds by the hour in which they ended, counted since 1970.
    pub hours: BTreeMap<i64, Refused>,
    /// The newest records, newest first.
    pub newest: Vec<Arc<Noted>>,
    /// Whether older ones were left out, as there were too many.
    pub is_cut: bool,
}

/// Lengths of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The one in the middle.
    pub median: SignedDuration,
    /// The longest.
    pub longest: SignedDuration,
}

/// What a person has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalated {
    /// The scope.
    pub scope: String,
    /// The project.
    pub project: ProjectName,
    /// Since when.
    pub since: Timestamp,
    /// Why, in a sentence.
    pub detail: String,
}

impl Recent {
    /// Takes in the next record. `plan` is that of the remediation that it is about, if that was planned before.
    pub fn take(&mut self, record: &Record, plan: Option<&Plan>) {
        let build = self.build(record, plan);
        let project = build.as_ref().map(BuildId::project).or_else(|| record.project());
        if let Fact::Detected(detected) = &record.fact {
            let hour = hour(detected.ended.unwrap_or(record.at));
            let refused = self.hours.entry(hour).or_default();
            match detected.diagnosis.registry {
                Registry::DockerHub => refused.docker_hub += 1,
                _ => refused.others += 1,
            }
        }
        if let Fact::Cleared { project } = &record.fact {
            let of_project = |followed: &&mut Followed| followed.course.project == *project;
            let courses = self.scopes.values_mut().flat_map(|scope| scope.courses.values_mut());
            courses.filter(of_project).for_each(|followed| followed.is_cleared = true);
        }
        if let Some(build) = build {
            self.follow(build, record, plan);
        }
        if self.newest.len() == NEWEST {
            self.newest.pop_back();
        }
        self.newest.push_front(Arc::new(Noted { record: record.clone(), project }));
    }

    /// The throttled build that the record goes back to.
    fn build(&self, record: &Record, plan: Option<&Plan>) -> Option<BuildId> {
        let of_remediation = |id: &RemediationId| {
            let known = self.scopes.get(&record.scope).and_then(|scope| scope.of_remediation.get(id));
            known.or(plan.map(|plan| &plan.because)).cloned()
        };
        match (record.build(), &record.fact) {
            (Some(build), _) => Some(build.clone()),
            (None, Fact::Remediation { entry: Entry::Planned(plan), .. }) => Some(plan.because.clone()),
            (None, Fact::Remediation { id, .. } | Fact::PasswordResetAdvised { id, .. }) => of_remediation(id),
            (None, _) => None,
        }
    }

    fn follow(&mut self, build: BuildId, record: &Record, plan: Option<&Plan>) {
        let scope = self.scopes.entry(record.scope.clone()).or_default();
        if matches!(record.fact, Fact::Remediation { .. }) {
            scope.of_remediation.insert(RemediationId::of(&build), build.clone());
        }
        let followed = scope.courses.entry(build).or_insert_with_key(|build| {
            let mut course = Course::of(build);
            // Its beginning was let go: its plan has what is still asked for.
            course.policy = plan.map(|plan| plan.policy.clone());
            course.remedy = plan.map(|plan| plan.remedy);
            Followed { course, last: record.at, detected: None, reason: None, detail: None, is_cleared: false }
        });
        followed.take(record);
        if self.scopes.values().map(|scope| scope.courses.len()).sum::<usize>() > MOST {
            self.drop_oldest();
        }
    }

    fn courses(&self) -> impl Iterator<Item = (&String, &Followed)> {
        self.scopes.iter().flat_map(|(name, scope)| scope.courses.values().map(move |followed| (name, followed)))
    }

    /// Lets go what is older than what is remembered.
    pub fn forget(&mut self, now: Timestamp) {
        let since = now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
        self.keep(|followed| followed.last >= since || followed.is_open());
        self.hours.retain(|hour, _| (self::hour(since)..=self::hour(now)).contains(hour));
    }

    fn drop_oldest(&mut self) {
        let mut ages: Vec<Timestamp> = self.courses().map(|(_, followed)| followed.last).collect();
        ages.sort_unstable();
        let limit = ages.get(ages.len() - KEPT).copied().unwrap_or(Timestamp::MAX);
        self.keep(|followed| followed.last >= limit);
        self.is_cut = true;
    }

    fn keep(&mut self, is_kept: impl Fn(&Followed) -> bool) {
        for OfScope { courses, of_remediation } in self.scopes.values_mut() {
            let before = courses.len();
            courses.retain(|_, followed| is_kept(followed));
            if courses.len() < before {
                of_remediation.retain(|_, build| courses.contains_key(build));
            }
        }
    }

    /// What it comes to.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums { is_cut: self.is_cut, ..Sums::default() };
        let (mut projects, mut detected, mut applied) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (scope, followed) in self.courses() {
            let course = &followed.course;
            sums.builds += 1;
            projects.insert(&course.project);
            *sums.outcomes.entry(course.standing).or_default().entry(followed.reason).or_insert(0) += 1;
            detected.extend(followed.detected.zip(course.ended).map(|(at, ended)| at.duration_since(ended)));
            applied.extend(course.took());
            if followed.is_escalated() && !followed.is_cleared {
                let (scope, project) = (scope.clone(), course.project.clone());
                let detail = followed.detail.clone().unwrap_or_default();
                sums.escalated.push(Escalated { scope, project, since: followed.last, detail });
            }
        }
        sums.escalated.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.project.cmp(&b.project)));
        sums.projects = projects.len();
        sums.detected = Spread::of(detected);
        sums.applied = Spread::of(applied);
        sums.hours = self.hours.clone();
        sums.newest = self.newest.iter().cloned().collect();
        sums
    }
}

impl Followed {
    fn take(&mut self, record: &Record) {
        self.course.take(record);
        self.last = self.last.max(record.at);
        match &record.fact {
            Fact::Detected(_) => self.detected = Some(record.at),
            Fact::Judged { judgement, .. } => {
                self.reason = reason(judgement);
                self.detail = self.is_escalated().then(|| judgement.to_string());
            }
            Fact::Remediation { entry, .. } => self.take_entry(entry),
            _ => (),
        }
    }

    fn is_escalated(&self) -> bool {
        self.course.standing == Standing::Escalated
    }

    fn take_entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Planned(_) => self.reason = None,
            Entry::RollbackDecided { reason, .. } => self.reason = Some(reason.word()),
            Entry::SetBack { .. } => self.reason = Some("set_back"),
            Entry::Escalated { reason, detail } => {
                self.reason = Some(reason.word());
                self.detail = Some(detail.clone());
            }
            _ => (),
        }
    }

    /// Whether something may still become of it.
    fn is_open(&self) -> bool {
        matches!(self.course.standing, Standing::Open | Standing::Held | Standing::Waiting)
    }
}

/// Why it was judged so, in a bounded word; none where the judgement itself says it.
fn reason(judgement: &Judgement) -> Option<&'static str> {
    match judgement {
        Judgement::Held { reason, .. } => Some(reason.word()),
        Judgement::Left { reason, .. } => Some(reason.word()),
        Judgement::Proposed { owner: Some(_), .. } => Some("owned_by_code"),
        Judgement::ForOwner { .. } => Some("patch_for_owner"),
        Judgement::SetBack { kept: KeptOut::ByPolicy, .. } => Some("set_back"),
        Judgement::SetBack { kept: KeptOut::AfterAttempts, .. } => Some("attempts_exhausted"),
        Judgement::Repeated { .. } => Some("proposed_already"),
        Judgement::Superseded { .. } => Some("newer_build_waits"),
        Judgement::Covered { .. } => Some("remediation_under_way"),
        Judgement::Proposed { owner: None, .. } => None,
    }
}

impl Spread {
    fn of(mut lengths: Vec<SignedDuration>) -> Option<Spread> {
        lengths.sort_unstable();
        let median = lengths.get(lengths.len().saturating_sub(1) / 2).copied();
        median.zip(lengths.last().copied()).map(|(median, longest)| Spread { median, longest })
    }
}

/// Hours since 1970.
pub fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3_600)
}

#[cfg(test)]
mod tests;
