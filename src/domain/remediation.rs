//! A plan in time: what has been seen of it, and the one thing to do next.
//!
//! # Expected flow
//! A [`Plan`] goes to the ledger before anything is changed. Then each look at AWS is held against it: every change
//! *is* where it was before, where it shall be, or at neither. [`Remediation::next_step`] turns that one comparison
//! into applying, recovering from a crash, verifying and rolling back; there is no second path for a restart. The table
//! itself is in `step`; here is what it works on, and the fold of the entries.
//!
//! # Guarantees
//! - The grant settles before the project names the secret, and goes only after the project has let go of it.
//! - What is at *neither* is never written.
//! - A change counts as made when it was seen in place, never because a call returned well.
//! - A change to the project counts as ours only if the ledger says that we were about to make it: what people set to the
//!   same value before that is theirs, and stays.
//!
//! # Assumptions
//! - One writer at a time: the ledger's sequence number refuses an entry decided on an older history.
//! - A read that answers an older state does so for less than the plan's `settle` after the write.
//! - While a process runs, its clock does not jump forward by as much as `settle`. Over a restart it may.

mod drift;
mod leftover;
mod step;
mod words;

use crate::domain::build::{BuildId, Project, ProjectName};
use crate::domain::change::GrantSeen;
use crate::domain::patch::Owner;
use crate::domain::plan::{Approval, Plan};
use crate::domain::verdict::Verdict;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use leftover::{KEPT_LOOK, Kept};

/// Why a remediation is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackReason {
    /// A later build was throttled again.
    StillThrottled,
    /// A later build failed through our doing.
    MadeWorse,
    /// The project was changed by someone else before our change was complete.
    ProjectChanged,
    /// Someone took our change to the project out.
    TakenOut,
    /// Someone took the grant away.
    GrantTakenAway,
    /// The project is gone.
    ProjectGone,
    /// The role is gone, or the project uses another.
    RoleGone,
    /// AWS refused what we wrote.
    WriteRejected,
    /// We may not write it.
    WriteDenied,
    /// A person asked for it.
    Operator,
}

/// Why a person must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EscalationReason {
    /// Someone changed what we had changed.
    Drift,
    /// No later build proved it in time.
    NotProven,
    /// It did not help, and the policy keeps it.
    KeptThoughIneffective,
    /// It could not be taken back: AWS refused, or we may not.
    RollbackRefused,
    /// The role is gone while the project names the secret.
    RoleGone,
}

/// One fact about a remediation, in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The intent, before anything is changed.
    Planned(Box<Plan>),
    /// Change number `change`, which is one of the project, is about to be written for the first time. What is there
    /// before that is not ours, whatever its value.
    Begun {
        /// Counted from 0.
        change: usize,
    },
    /// Change number `change` was seen in place.
    InPlace {
        /// Counted from 0.
        change: usize,
    },
    /// All changes were seen in place.
    Applied,
    /// The throttled build is about to be started again.
    RetryIntended,
    /// It was.
    Retried {
        /// The new build.
        build: BuildId,
    },
    /// It could not be.
    RetryRefused {
        /// Why, in a sentence.
        detail: String,
    },
    /// A later build proved the remedy.
    Verified {
        /// Which.
        by: BuildId,
    },
    /// It shall be taken back.
    RollbackDecided {
        /// Why.
        reason: RollbackReason,
        /// More about it, in a sentence.
        detail: String,
        /// The build that told, or nothing.
        by: Option<BuildId>,
    },
    /// A deployment of the code that owns the project set our change to it back; what is left of ours is taken back.
    SetBack {
        /// What deploys the project, as its tags tell.
        owner: Owner,
    },
    /// Change number `change` was seen to be undone.
    Undone {
        /// Counted from 0.
        change: usize,
    },
    /// The grant stays, as something live needs it. It is looked at again, also after the rollback.
    GrantKept {
        /// The project that needs it.
        by: ProjectName,
    },
    /// All of it was taken back, but for a grant that others use.
    RolledBack,
    /// Nothing needs the kept grant any more: it is about to be taken away.
    GrantUnneeded,
    /// The kept grant is left to people for good.
    GrantLeft {
        /// Why, in a sentence.
        detail: String,
    },
    /// A person must look; we do not touch it again.
    Escalated {
        /// Why.
        reason: EscalationReason,
        /// More about it, in a sentence.
        detail: String,
    },
}

/// How a remediation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Changes are being made.
    Planned,
    /// In place, waiting for proof.
    Applied,
    /// Being taken back.
    RollingBack,
    /// Over.
    Closed(Outcome),
}

/// How a remediation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Proven.
    Verified,
    /// Taken back.
    RolledBack,
    /// Left to a person.
    Escalated,
}

/// What one look at AWS showed; never what a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Since when this process has been looking, by the clock that says what time it is now. What settled before that
    /// settles again: the clock may have jumped while no process ran.
    pub since: Timestamp,
    /// Whether this process has read all builds at least once: what proves a remedy may have run while none did.
    pub builds_read: bool,
    /// The project, or none if it is gone.
    pub project: Option<Project>,
    /// The grant.
    pub grant: GrantSeen,
    /// Whether anything live still needs the grant. Only asked while rolling back, and of a grant that was kept.
    pub grant_use: GrantUse,
    /// Of finished builds of the project, oldest first.
    pub verdicts: Vec<(BuildId, Verdict)>,
}

/// Whether a grant may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantUse {
    /// Not asked, as it does not matter now.
    NotAsked,
    /// No live project of the role names the secret, and no other remediation relies on the grant.
    Free,
    /// This project needs it.
    Needed(ProjectName),
}

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write one change, or its undo.
    Write {
        /// Counted from 0.
        change: usize,
        /// Which way.
        direction: Direction,
    },
    /// Start the throttled build again.
    Retry {
        /// When that was decided.
        intended: Timestamp,
    },
    /// Append to the ledger.
    Record(Entry),
    /// Nothing until then, unless something happens.
    Wait {
        /// When it is worth another look.
        until: Timestamp,
    },
    /// Over.
    Done,
}

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what shall be.
    Forward,
    /// To what was.
    Back,
}

/// Entries that can't have happened in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenHistory {
    /// What is wrong, in a sentence.
    pub detail: String,
}

/// Whether the throttled build was started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RetryState {
    NotAsked,
    Intended(Timestamp),
    Over,
}

/// A plan and what has been seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remediation {
    plan: Plan,
    planned: Timestamp,
    stage: Stage,
    stage_since: Timestamp,
    /// When each change was first seen in place.
    in_place: Vec<Option<Timestamp>>,
    /// When each change was first seen undone.
    undone: Vec<Option<Timestamp>>,
    /// Since when each change may have been written.
    begun: Vec<Option<Timestamp>>,
    /// The grant that stays for others.
    kept: Option<Kept>,
    retry: RetryState,
    applied: Option<Timestamp>,
    /// Why it is taken back.
    rollback: Option<RollbackReason>,
    /// Why it was last taken back or escalated, in a sentence.
    because_of: Option<String>,
}

impl Remediation {
    /// A remediation that was planned just now.
    pub fn begin(plan: Plan, at: Timestamp) -> Remediation {
        let changes = plan.changes.len();
        Remediation {
            plan,
            planned: at,
            stage: Stage::Planned,
            stage_since: at,
            in_place: vec![None; changes],
            undone: vec![None; changes],
            begun: vec![None; changes],
            kept: None,
            retry: RetryState::NotAsked,
            applied: None,
            rollback: None,
            because_of: None,
        }
    }

    /// Folds entries, the first of which is the plan.
    pub fn replay(entries: &[(Timestamp, Entry)]) -> Result<Remediation, BrokenHistory> {
        let Some(((at, Entry::Planned(plan)), rest)) = entries.split_first() else {
            return Err(BrokenHistory::new("the first entry is no plan"));
        };
        let mut remediation = Remediation::begin((**plan).clone(), *at);
        for (at, entry) in rest {
            remediation.apply(entry, *at)?;
        }
        Ok(remediation)
    }

    /// Takes one more entry in.
    pub fn apply(&mut self, entry: &Entry, at: Timestamp) -> Result<(), BrokenHistory> {
        if !self.may_follow(entry) {
            let detail = format!("{} in stage {:?}", entry.word(), self.stage);
            return Err(BrokenHistory { detail });
        }
        match entry {
            Entry::Planned(_) => (),
            Entry::Begun { change } => *slot(&mut self.begun, *change)? = Some(at),
            Entry::InPlace { change } => *slot(&mut self.in_place, *change)? = Some(at),
            Entry::Undone { change } => *slot(&mut self.undone, *change)? = Some(at),
            Entry::GrantKept { by } => self.kept = Some(Kept { by: by.clone(), since: at, unneeded: None }),
            Entry::GrantUnneeded => {
                if let Some(kept) = &mut self.kept {
                    kept.unneeded = Some(at);
                }
            }
            Entry::GrantLeft { .. } => self.kept = None,
            Entry::Applied => {
                self.enter(Stage::Applied, at);
                self.applied = Some(at);
            }
            Entry::RetryIntended => self.retry = RetryState::Intended(at),
            Entry::Retried { .. } | Entry::RetryRefused { .. } => self.retry = RetryState::Over,
            Entry::Verified { .. } => self.enter(Stage::Closed(Outcome::Verified), at),
            Entry::RollbackDecided { reason, detail, .. } => {
                self.enter(Stage::RollingBack, at);
                self.rollback = Some(*reason);
                self.because_of = Some(detail.clone());
                self.go_through_all();
            }
            Entry::SetBack { owner } => {
                self.enter(Stage::RollingBack, at);
                self.because_of = Some(format!("a deployment by {} set it back", owner.title()));
                self.go_through_all();
            }
            Entry::RolledBack => self.enter(Stage::Closed(Outcome::RolledBack), at),
            Entry::Escalated { detail, .. } => {
                self.enter(Stage::Closed(Outcome::Escalated), at);
                self.because_of = Some(detail.clone());
            }
        }
        Ok(())
    }

    /// Whether an entry can come next: the fold refuses what no run of the daemon writes.
    fn may_follow(&self, entry: &Entry) -> bool {
        match (self.stage, entry) {
            (_, Entry::Planned(_)) => false,
            // Nothing follows a rollback but what becomes of the grant that it left.
            (Stage::Closed(Outcome::RolledBack), entry) => self.may_follow_for_grant(entry),
            // A person may take back what was proven or escalated.
            (_, Entry::RollbackDecided { .. }) => true,
            (Stage::Closed(outcome), Entry::SetBack { .. }) => outcome == Outcome::Verified,
            (Stage::Closed(_), _) => false,
            (Stage::Planned | Stage::Applied, Entry::SetBack { .. }) => true,
            (Stage::Planned, Entry::Applied) => self.in_place.iter().all(Option::is_some),
            (Stage::Planned, Entry::Begun { .. } | Entry::InPlace { .. } | Entry::Escalated { .. }) => true,
            (Stage::Applied, Entry::RetryIntended) => self.retry == RetryState::NotAsked,
            (Stage::Applied, Entry::Retried { .. } | Entry::RetryRefused { .. }) => {
                matches!(self.retry, RetryState::Intended(_))
            }
            (Stage::Applied, Entry::Verified { .. } | Entry::Escalated { .. }) => true,
            (Stage::RollingBack, Entry::Undone { .. } | Entry::GrantKept { .. }) => true,
            (Stage::RollingBack, Entry::RolledBack | Entry::Escalated { .. }) => true,
            (Stage::Planned | Stage::Applied | Stage::RollingBack, _) => false,
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Since when it stands so.
    pub fn stage_since(&self) -> Timestamp {
        self.stage_since
    }

    /// When it was planned.
    pub fn planned(&self) -> Timestamp {
        self.planned
    }

    /// When all changes were seen in place.
    pub fn applied(&self) -> Option<Timestamp> {
        self.applied
    }

    /// Why it was taken back or escalated, in a sentence.
    pub fn because_of(&self) -> Option<&str> {
        self.because_of.as_deref()
    }

    /// Whether a person asked for what is under way, so that no mode holds it back.
    pub fn is_asked_for(&self) -> bool {
        match self.stage {
            Stage::RollingBack => self.rollback == Some(RollbackReason::Operator),
            // What is left of it is taken back in the course of time, as the mode allows.
            Stage::Closed(Outcome::RolledBack) => false,
            Stage::Planned | Stage::Applied | Stage::Closed(_) => self.plan.by == Approval::Person,
        }
    }

    /// Whether there is anything left to do.
    pub fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Closed(_))
    }

    /// Each decision goes through all changes: what was undone before may have come back since.
    fn go_through_all(&mut self) {
        self.undone.fill(None);
        self.kept = None;
    }

    fn enter(&mut self, stage: Stage, at: Timestamp) {
        self.stage = stage;
        self.stage_since = at;
    }
}

impl Stage {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Planned => "planned",
            Stage::Applied => "applied",
            Stage::RollingBack => "rolling_back",
            Stage::Closed(Outcome::Verified) => "verified",
            Stage::Closed(Outcome::RolledBack) => "rolled_back",
            Stage::Closed(Outcome::Escalated) => "escalated",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Planned => "being applied",
            Stage::Applied => "applied, waiting for proof",
            Stage::RollingBack => "being taken back",
            Stage::Closed(Outcome::Verified) => "verified",
            Stage::Closed(Outcome::RolledBack) => "taken back",
            Stage::Closed(Outcome::Escalated) => "left to a person",
        })
    }
}

impl Entry {
    /// The entry's kind, as the ledger writes it.
    pub fn word(&self) -> &'static str {
        match self {
            Entry::Planned(_) => "planned",
            Entry::Begun { .. } => "begun",
            Entry::InPlace { .. } => "in_place",
            Entry::Applied => "applied",
            Entry::RetryIntended => "retry_intended",
            Entry::Retried { .. } => "retried",
            Entry::RetryRefused { .. } => "retry_refused",
            Entry::Verified { .. } => "verified",
            Entry::RollbackDecided { .. } => "rollback_decided",
            Entry::SetBack { .. } => "set_back",
            Entry::Undone { .. } => "undone",
            Entry::GrantKept { .. } => "grant_kept",
            Entry::RolledBack => "rolled_back",
            Entry::GrantUnneeded => "grant_unneeded",
            Entry::GrantLeft { .. } => "grant_left",
            Entry::Escalated { .. } => "escalated",
        }
    }
}

impl BrokenHistory {
    fn new(detail: &str) -> BrokenHistory {
        BrokenHistory { detail: detail.to_string() }
    }
}

impl fmt::Display for BrokenHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

fn slot(slots: &mut [Option<Timestamp>], n: usize) -> Result<&mut Option<Timestamp>, BrokenHistory> {
    slots.get_mut(n).ok_or_else(|| BrokenHistory::new("an entry names a change that the plan does not have"))
}

#[cfg(test)]
mod tests;
