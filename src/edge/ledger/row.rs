//! One record as a row that people can read: the columns say what, the JSON says all.

use crate::domain::decide::Judgement;
use crate::domain::history::{Fact, Record};
use crate::domain::remediation::Entry;

/// A record as it stands in the file.
#[derive(Debug)]
pub(super) struct Row {
    pub seq: u64,
    pub at: String,
    pub scope: String,
    pub kind: String,
    pub body: String,
}

/// The columns beside the JSON, for people and their queries. Nothing is read back from them.
#[derive(Debug)]
pub(super) struct Columns {
    pub kind: &'static str,
    pub project: Option<String>,
    pub build: Option<String>,
    pub remediation: Option<String>,
}

impl Row {
    /// The record, or what is wrong with the row.
    pub fn read(&self) -> Result<Record, String> {
        let at = self.at.parse();
        let fact = serde_json::from_str(&self.body);
        Ok(Record {
            seq: self.seq,
            at: at.map_err(|error: jiff::Error| format!("`at` is no time: {error}"))?,
            scope: self.scope.clone(),
            fact: fact.map_err(|error| error.to_string())?,
        })
    }
}

impl Columns {
    /// The columns of a record.
    pub fn of(record: &Record) -> Columns {
        let remediation = match &record.fact {
            Fact::Remediation { id, .. } | Fact::PasswordResetAdvised { id, .. } => Some(id),
            Fact::Judged { judgement: Judgement::Covered { by }, .. } => Some(by),
            Fact::Detected(_)
            | Fact::Undecided { .. }
            | Fact::Judged { .. }
            | Fact::CredentialRotated { .. }
            | Fact::CredentialQuotaLow { .. }
            | Fact::QuotaRestored { .. }
            | Fact::Cleared { .. } => None,
        };
        let build = match &record.fact {
            Fact::Remediation { entry, .. } => told_by(entry),
            _ => None,
        };
        Columns {
            kind: kind(&record.fact),
            project: record.project().map(|project| project.to_string()),
            build: record.build().or(build).map(ToString::to_string),
            remediation: remediation.map(ToString::to_string),
        }
    }
}

/// The build that an entry after the plan names.
fn told_by(entry: &Entry) -> Option<&crate::domain::build::BuildId> {
    match entry {
        Entry::Retried { build } => Some(build),
        Entry::Verified { by } => Some(by),
        Entry::RollbackDecided { by, .. } => by.as_ref(),
        Entry::Planned(_)
        | Entry::Begun { .. }
        | Entry::InPlace { .. }
        | Entry::Applied
        | Entry::RetryIntended
        | Entry::RetryRefused { .. }
        | Entry::SetBack { .. }
        | Entry::Undone { .. }
        | Entry::GrantKept { .. }
        | Entry::RolledBack
        | Entry::GrantUnneeded
        | Entry::GrantLeft { .. }
        | Entry::Escalated { .. } => None,
    }
}

/// One word for what happened: the innermost tag of the JSON.
fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Detected(_) => "detected",
        Fact::Undecided { .. } => "undecided",
        Fact::Judged { judgement, .. } => match judgement {
            Judgement::Proposed { .. } => "proposed",
            Judgement::Held { .. } => "held",
            Judgement::Left { .. } => "left",
            Judgement::Covered { .. } => "covered",
            Judgement::ForOwner { .. } => "for_owner",
            Judgement::Repeated { .. } => "repeated",
            Judgement::SetBack { .. } => "kept_out",
            Judgement::Superseded { .. } => "superseded",
        },
        Fact::Remediation { entry, .. } => entry.word(),
        Fact::PasswordResetAdvised { .. } => "password_reset_advised",
        Fact::CredentialRotated { .. } => "credential_rotated",
        Fact::CredentialQuotaLow { .. } => "credential_quota_low",
        Fact::QuotaRestored { .. } => "quota_restored",
        Fact::Cleared { .. } => "cleared",
    }
}
