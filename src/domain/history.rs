//! What happened so far: the ledger's facts, and their fold.

mod ask;
mod forget;
mod proposal;

pub use forget::Held;
pub use proposal::Proposal;

use crate::domain::build::{BuildId, ProjectName, RoleName, SecretArn};
use crate::domain::change::Change;
use crate::domain::classify::{Diagnosis, UnknownReason};
use crate::domain::decide::{Judgement, LeaveReason};
use crate::domain::plan::RemediationId;
use crate::domain::policy::Remedy;
use crate::domain::quota::Low;
use crate::domain::remediation::{BrokenHistory, Entry, Remediation, RollbackReason};
use forget::Forgotten;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One thing that happened. The ledger holds nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A failed build was diagnosed as throttled.
    Detected(Detected),
    /// A failed build could not be diagnosed.
    Undecided {
        /// Which.
        build: BuildId,
        /// Why.
        reason: UnknownReason,
    },
    /// What was decided about a throttled build.
    Judged {
        /// Which.
        build: BuildId,
        /// What.
        judgement: Judgement,
    },
    /// Something happened to a remediation.
    Remediation {
        /// Which.
        id: RemediationId,
        /// What.
        entry: Entry,
    },
    /// People were told to reset the password of a credential, as a login may have been logged.
    PasswordResetAdvised {
        /// The credential's name in the settings.
        credential: String,
        /// The remediation whose proof led to it.
        id: RemediationId,
    },
    /// A person stored a new password for a credential.
    CredentialRotated {
        /// The credential's name in the settings.
        credential: String,
    },
    /// The Docker account of a credential would be the next to be throttled: remedies with it wait.
    CredentialQuotaLow {
        /// The credential's name in the settings.
        credential: String,
        /// In which way.
        reason: Low,
        /// The same in a sentence.
        detail: String,
    },
    /// It has enough again.
    QuotaRestored {
        /// The credential's name in the settings.
        credential: String,
    },
    /// A person lets a project be remediated again after too many attempts.
    Cleared {
        /// Which.
        project: ProjectName,
    },
}

/// A throttled build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detected {
    /// Which.
    pub build: BuildId,
    /// Its number within the project.
    pub number: Option<i64>,
    /// When it ended.
    #[schemars(with = "Option<String>")]
    pub ended: Option<Timestamp>,
    /// What it means.
    pub diagnosis: Diagnosis,
}

impl Detected {
    /// Orders the builds of a project by when they ended.
    fn age(&self) -> (Option<Timestamp>, Option<i64>, &BuildId) {
        (self.ended, self.number, &self.build)
    }
}

/// A fact in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Its place in the ledger; the first is 1.
    pub seq: u64,
    /// When it was appended.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The scope it belongs to.
    pub scope: String,
    /// What happened.
    pub fact: Fact,
}

/// A Docker account that would be the next to be throttled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountLow {
    /// When that was first answered.
    pub since: Timestamp,
    /// In which way.
    pub reason: Low,
    /// What was left then, in a sentence.
    pub detail: String,
}

/// A throttled build that nothing final was decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The build.
    pub detected: Detected,
    /// When it was detected.
    pub since: Timestamp,
    /// When it is worth deciding again.
    pub due: Timestamp,
    /// The last judgement, so that the same is not recorded twice.
    pub last: Option<Judgement>,
}

/// What speaks against trying a remedy again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Against {
    /// A later build disproved it.
    Disproved,
    /// Somebody took it out.
    TakenOut,
}

/// How often the owner's deployments set a remedy back, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetBacks {
    /// How often.
    pub times: usize,
    /// When last.
    pub last: Timestamp,
}

/// The facts of one scope, folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    remediations: BTreeMap<RemediationId, Remediation>,
    pending: BTreeMap<BuildId, Pending>,
    /// Builds that were dealt with, and when.
    known: BTreeMap<BuildId, Timestamp>,
    /// Builds that we started again, and when.
    again: BTreeMap<BuildId, Timestamp>,
    /// The throttled build that something final was decided about last.
    judged: Option<Detected>,
    /// The newest remediation of each project and remedy.
    newest: BTreeMap<(ProjectName, Remedy), RemediationId>,
    /// What is left of those that were let go.
    forgotten: Forgotten,
    /// When a person cleared a project.
    cleared: BTreeMap<ProjectName, Timestamp>,
    /// Remedies that are not tried again, by project, until a person clears it.
    against: BTreeSet<(ProjectName, Remedy, Against)>,
    /// What the owner's deployments set back, until a person clears the project.
    set_back: BTreeMap<(ProjectName, Remedy), SetBacks>,
    /// Roles that failed with a secret, and the project that showed it, until a person clears that project.
    failed_roles: BTreeSet<(RoleName, SecretArn, ProjectName)>,
    /// Grants that are there, if they are, through us.
    granted: BTreeSet<(RoleName, String)>,
    /// Those of them that a rollback left, as something else needed them, and the last remediation that did.
    kept: BTreeMap<(RoleName, String), RemediationId>,
    /// What was proposed last for each project, and because of which build.
    proposed: BTreeMap<ProjectName, Vec<(BuildId, Proposal)>>,
    /// Credentials whose password people were told to reset.
    advised: BTreeSet<String>,
    /// Those of them that have not been rotated since.
    to_reset: BTreeSet<String>,
    /// Credentials whose Docker account had too few pulls left when that was last answered.
    quota_low: BTreeMap<String, AccountLow>,
    last: Option<Timestamp>,
}

impl History {
    /// Folds the records of one scope, in order.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<History, BrokenHistory> {
        let mut history = History::default();
        for record in records {
            history.apply(record)?;
        }
        Ok(history)
    }

    /// Takes one more record in.
    pub fn apply(&mut self, record: &Record) -> Result<(), BrokenHistory> {
        let at = record.at;
        match &record.fact {
            Fact::Detected(detected) => {
                let pending = Pending { detected: detected.clone(), since: at, due: at, last: None };
                self.known.insert(detected.build.clone(), at);
                // A build that has its remediation is not decided about again.
                if self.caused(&detected.build).is_none() {
                    self.pending.insert(detected.build.clone(), pending);
                }
            }
            Fact::Undecided { build, .. } => {
                self.known.insert(build.clone(), at);
            }
            Fact::Judged { build, judgement } => self.apply_judgement(build, judgement),
            Fact::Remediation { id, entry } => self.apply_entry(id, entry, at)?,
            Fact::PasswordResetAdvised { credential, .. } => {
                self.advised.insert(credential.clone());
                self.to_reset.insert(credential.clone());
            }
            Fact::CredentialRotated { credential } => {
                self.to_reset.remove(credential);
            }
            Fact::CredentialQuotaLow { credential, reason, detail } => {
                let low = AccountLow { since: at, reason: *reason, detail: detail.clone() };
                self.quota_low.insert(credential.clone(), low);
            }
            Fact::QuotaRestored { credential } => {
                self.quota_low.remove(credential);
            }
            Fact::Cleared { project } => {
                self.cleared.insert(project.clone(), at);
                self.forgotten.clear(project);
                self.proposed.remove(project);
                self.against.retain(|(name, _, _)| name != project);
                self.set_back.retain(|(name, _), _| name != project);
                self.failed_roles.retain(|(_, _, name)| name != project);
            }
        }
        self.last = Some(at);
        Ok(())
    }

    fn apply_judgement(&mut self, build: &BuildId, judgement: &Judgement) {
        match judgement {
            Judgement::Held { until, .. } => {
                if let Some(pending) = self.pending.get_mut(build) {
                    pending.due = *until;
                    pending.last = Some(judgement.clone());
                }
            }
            Judgement::Proposed { .. }
            | Judgement::ForOwner { .. }
            | Judgement::Repeated { .. }
            | Judgement::Left { .. }
            | Judgement::SetBack { .. }
            | Judgement::Superseded { .. }
            | Judgement::Covered { .. } => {
                if let Some(pending) = self.pending.remove(build) {
                    self.judged = Some(pending.detected);
                }
                self.note_proposal(build, judgement);
            }
        }
    }

    /// The newest proposal of a site takes the place of the one before.
    fn note_proposal(&mut self, build: &BuildId, judgement: &Judgement) {
        if let Some(proposal) = Proposal::of(judgement) {
            let of_project = self.proposed.entry(build.project()).or_default();
            of_project.retain(|(_, other)| other.site() != proposal.site());
            of_project.push((build.clone(), proposal));
        }
    }

    fn apply_entry(&mut self, id: &RemediationId, entry: &Entry, at: Timestamp) -> Result<(), BrokenHistory> {
        if let Entry::Planned(plan) = entry {
            if self.remediations.contains_key(id) {
                return Err(BrokenHistory { detail: format!("remediation {id} was planned twice") });
            }
            self.pending.remove(&plan.because);
            self.proposed.remove(&plan.project);
            if let Some((role, policy)) = plan.grant()
                && plan.grant_before().is_none()
            {
                self.granted.insert((role.clone(), policy.to_string()));
            }
            if let Some((role, policy)) = plan.grant() {
                // From now on it is this one's, whatever becomes of it.
                self.kept.remove(&(role.clone(), policy.to_string()));
            }
            self.newest.insert((plan.project.clone(), plan.remedy), id.clone());
            self.remediations.insert(id.clone(), Remediation::begin((**plan).clone(), at));
            return Ok(());
        }
        let Some(remediation) = self.remediations.get_mut(id) else {
            return Err(BrokenHistory { detail: format!("an entry names remediation {id}, which was never planned") });
        };
        remediation.apply(entry, at).map_err(|error| BrokenHistory { detail: format!("remediation {id}: {error}") })?;
        let plan = remediation.plan();
        if let Some((role, policy)) = plan.grant() {
            let grant = (role.clone(), policy.to_string());
            let is_gone = |change: &usize| matches!(plan.changes.get(*change), Some(Change::Grant { .. }));
            match entry {
                Entry::Undone { change } if is_gone(change) => {
                    self.granted.remove(&grant);
                    self.kept.remove(&grant);
                }
                Entry::GrantLeft { .. } => {
                    self.granted.remove(&grant);
                    self.kept.remove(&grant);
                }
                Entry::RolledBack if remediation.kept_grant().is_some() && self.granted.contains(&grant) => {
                    self.kept.insert(grant, id.clone());
                }
                _ => (),
            }
        }
        if let Entry::Retried { build } = entry {
            self.again.insert(build.clone(), at);
        }
        if let Entry::SetBack { .. } = entry {
            let key = (plan.project.clone(), plan.remedy);
            let times = self.set_back.get(&key).map_or(0, |before| before.times);
            self.set_back.insert(key, SetBacks { times: times + 1, last: at });
        }
        if let Some(against) = against(entry) {
            self.against.insert((plan.project.clone(), plan.remedy, against));
        }
        if let Entry::RollbackDecided { reason: RollbackReason::MadeWorse, .. } = entry
            && let Some(secret) = &plan.secret
        {
            self.failed_roles.insert((plan.role.clone(), secret.clone(), plan.project.clone()));
        }
        Ok(())
    }

    /// Puts a pending build off without an entry, as nothing new is known of it.
    pub fn defer(&mut self, build: &BuildId, until: Timestamp) {
        if let Some(pending) = self.pending.get_mut(build) {
            pending.due = until;
        }
    }
}

/// What an entry says against trying its remedy again.
fn against(entry: &Entry) -> Option<Against> {
    let Entry::RollbackDecided { reason, .. } = entry else {
        return None;
    };
    match reason {
        RollbackReason::MadeWorse | RollbackReason::StillThrottled => Some(Against::Disproved),
        RollbackReason::TakenOut | RollbackReason::GrantTakenAway | RollbackReason::Operator => Some(Against::TakenOut),
        RollbackReason::ProjectChanged
        | RollbackReason::ProjectGone
        | RollbackReason::RoleGone
        | RollbackReason::WriteRejected
        | RollbackReason::WriteDenied => None,
    }
}

impl Record {
    /// The build that the record is about.
    pub fn build(&self) -> Option<&BuildId> {
        match &self.fact {
            Fact::Detected(detected) => Some(&detected.build),
            Fact::Undecided { build, .. } | Fact::Judged { build, .. } => Some(build),
            Fact::Remediation { entry: Entry::Planned(plan), .. } => Some(&plan.because),
            Fact::Remediation { .. }
            | Fact::PasswordResetAdvised { .. }
            | Fact::CredentialRotated { .. }
            | Fact::CredentialQuotaLow { .. }
            | Fact::QuotaRestored { .. }
            | Fact::Cleared { .. } => None,
        }
    }

    /// The project that the record is about, where the fact itself says so.
    pub fn project(&self) -> Option<ProjectName> {
        match &self.fact {
            Fact::Cleared { project } => Some(project.clone()),
            _ => self.build().map(BuildId::project),
        }
    }
}

impl Judgement {
    /// Whether a build that was left so may never be looked at again.
    pub fn is_final(&self) -> bool {
        !matches!(self, Judgement::Held { .. })
    }

    /// The reason it was left for, if it was.
    pub fn left_for(&self) -> Option<&LeaveReason> {
        match self {
            Judgement::Left { reason, .. } => Some(reason),
            Judgement::Held { .. }
            | Judgement::Proposed { .. }
            | Judgement::ForOwner { .. }
            | Judgement::Repeated { .. }
            | Judgement::SetBack { .. }
            | Judgement::Superseded { .. }
            | Judgement::Covered { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
