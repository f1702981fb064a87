//! What became of each throttled build: the ledger's facts, put together by the build that they go back to.

use crate::domain::build::{BuildId, ProjectName};
use crate::domain::decide::{Judgement, KeptOut};
use crate::domain::history::{Fact, Record};
use crate::domain::plan::RemediationId;
use crate::domain::policy::Remedy;
use crate::domain::remediation::Entry;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How it stands with a throttled build, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// A remediation of it is being applied or taken back, or waits for proof.
    Open,
    /// A later build proved its remedy.
    Verified,
    /// Its remedy was taken back.
    RolledBack,
    /// A person must look.
    Escalated,
    /// A remedy or a patch was proposed.
    Proposed,
    /// A limit or the like holds it back.
    Held,
    /// Nothing is done about it.
    Left,
    /// Another build or remediation stands for it.
    Covered,
    /// Nothing was decided yet.
    Waiting,
    /// It failed, and could not be diagnosed.
    Undecided,
}

impl Standing {
    /// All of them, in the order in which people ask.
    pub const ALL: &'static [Standing] = &[
        Standing::Open,
        Standing::Verified,
        Standing::RolledBack,
        Standing::Escalated,
        Standing::Proposed,
        Standing::Held,
        Standing::Left,
        Standing::Covered,
        Standing::Waiting,
        Standing::Undecided,
    ];

    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Open => "open",
            Standing::Verified => "verified",
            Standing::RolledBack => "rolled_back",
            Standing::Escalated => "escalated",
            Standing::Proposed => "proposed",
            Standing::Held => "held",
            Standing::Left => "left",
            Standing::Covered => "covered",
            Standing::Waiting => "waiting",
            Standing::Undecided => "undecided",
        }
    }

    /// The same for people.
    pub fn told(self) -> &'static str {
        match self {
            Standing::Open => "under way",
            Standing::RolledBack => "taken back",
            Standing::Escalated => "left to a person",
            Standing::Left => "left alone",
            Standing::Covered => "covered by another",
            Standing::Waiting => "to be decided",
            Standing::Undecided => "not diagnosed",
            Standing::Verified | Standing::Proposed | Standing::Held => self.word(),
        }
    }
}

/// What became of one throttled build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// The build.
    pub build: BuildId,
    /// Its project.
    pub project: ProjectName,
    /// The policy that the decision names, if it names one.
    pub policy: Option<String>,
    /// The remedy that was planned or proposed.
    pub remedy: Option<Remedy>,
    /// How it stands.
    pub standing: Standing,
    /// When the build ended.
    pub ended: Option<Timestamp>,
    /// When its remedy was in place.
    pub applied: Option<Timestamp>,
}

/// All courses of a ledger, and which record belongs to which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Courses {
    courses: Vec<Course>,
    of_record: BTreeMap<u64, usize>,
    of_build: BTreeMap<(String, BuildId), usize>,
    of_remediation: BTreeMap<(String, RemediationId), usize>,
}

impl Courses {
    /// Of records in their order.
    pub fn of(records: &[Record]) -> Courses {
        let mut courses = Courses::default();
        records.iter().for_each(|record| courses.add(record));
        courses
    }

    /// The next record of the ledger.
    pub fn add(&mut self, record: &Record) {
        let at = match (record.build(), &record.fact) {
            (Some(build), _) => {
                let key = (record.scope.clone(), build.clone());
                let known = self.of_build.get(&key).copied();
                let at = known.unwrap_or_else(|| self.begin(build));
                self.of_build.insert(key, at);
                self.of_remediation.insert((record.scope.clone(), RemediationId::of(build)), at);
                at
            }
            (None, Fact::Remediation { id, .. } | Fact::PasswordResetAdvised { id, .. }) => {
                match self.of_remediation.get(&(record.scope.clone(), id.clone())) {
                    Some(at) => *at,
                    None => return,
                }
            }
            (None, _) => return,
        };
        self.of_record.insert(record.seq, at);
        if let Some(course) = self.courses.get_mut(at) {
            course.take(record);
        }
    }

    /// The course that a record belongs to: none for what is about no throttled build.
    pub fn of_record(&self, record: &Record) -> Option<&Course> {
        self.courses.get(*self.of_record.get(&record.seq)?)
    }

    /// The number of the course that a record belongs to, to tell one from another.
    pub fn number(&self, record: &Record) -> Option<usize> {
        self.of_record.get(&record.seq).copied()
    }

    /// Every course, by its number.
    pub fn all(&self) -> &[Course] {
        &self.courses
    }

    fn begin(&mut self, build: &BuildId) -> usize {
        self.courses.push(Course::of(build));
        self.courses.len() - 1
    }
}

impl Course {
    /// Of a build that nothing was decided about.
    pub(super) fn of(build: &BuildId) -> Course {
        Course {
            build: build.clone(),
            project: build.project(),
            policy: None,
            remedy: None,
            standing: Standing::Waiting,
            ended: None,
            applied: None,
        }
    }

    /// The name of its remediation, if there was one.
    pub fn remediation(&self) -> RemediationId {
        RemediationId::of(&self.build)
    }

    /// How long it took from the build's end until its remedy was in place.
    pub fn took(&self) -> Option<SignedDuration> {
        Some(self.applied?.duration_since(self.ended?))
    }

    /// Takes one more record about it in.
    pub(super) fn take(&mut self, record: &Record) {
        match &record.fact {
            Fact::Detected(detected) => self.ended = detected.ended,
            Fact::Undecided { .. } => self.standing = Standing::Undecided,
            Fact::Judged { judgement, .. } => self.take_judgement(judgement),
            Fact::Remediation { entry, .. } => self.take_entry(entry, record.at),
            Fact::PasswordResetAdvised { .. }
            | Fact::CredentialRotated { .. }
            | Fact::CredentialQuotaLow { .. }
            | Fact::QuotaRestored { .. }
            | Fact::Cleared { .. } => (),
        }
    }

    fn take_judgement(&mut self, judgement: &Judgement) {
        let named = match judgement {
            Judgement::Proposed { plan, .. } | Judgement::SetBack { plan, .. } => Some((&plan.policy, plan.remedy)),
            Judgement::ForOwner { patch } => Some((&patch.policy, Remedy::ProposePatch)),
            _ => None,
        };
        if let Some((policy, remedy)) = named {
            self.policy = Some(policy.clone());
            self.remedy = Some(remedy);
        }
        self.standing = match judgement {
            Judgement::Proposed { .. } | Judgement::ForOwner { .. } => Standing::Proposed,
            Judgement::SetBack { kept: KeptOut::ByPolicy, .. } => Standing::Proposed,
            Judgement::SetBack { kept: KeptOut::AfterAttempts, .. } => Standing::Escalated,
            Judgement::Held { .. } => Standing::Held,
            Judgement::Left { .. } => Standing::Left,
            Judgement::Repeated { .. } | Judgement::Superseded { .. } | Judgement::Covered { .. } => Standing::Covered,
        };
    }

    fn take_entry(&mut self, entry: &Entry, at: Timestamp) {
        self.standing = match entry {
            Entry::Planned(plan) => {
                self.policy = Some(plan.policy.clone());
                self.remedy = Some(plan.remedy);
                Standing::Open
            }
            Entry::Applied => {
                self.applied = Some(at);
                Standing::Open
            }
            Entry::Verified { .. } => Standing::Verified,
            Entry::RolledBack => Standing::RolledBack,
            Entry::Escalated { .. } => Standing::Escalated,
            Entry::RollbackDecided { .. } | Entry::SetBack { .. } => Standing::Open,
            Entry::Begun { .. }
            | Entry::InPlace { .. }
            | Entry::Undone { .. }
            | Entry::GrantKept { .. }
            | Entry::GrantUnneeded
            | Entry::GrantLeft { .. }
            | Entry::RetryIntended
            | Entry::Retried { .. }
            | Entry::RetryRefused { .. } => return,
        };
    }
}
