//! A plan: the changes in order, because of which build, to be proven by when. Its `Display` is what people read.

use crate::domain::build::PhaseName;
use crate::domain::build::{BuildId, ProjectName, RoleName, SecretArn};
use crate::domain::change::{Change, Edit};
use crate::domain::classify::Site;
use crate::domain::policy::{OnIneffective, Remedy};
use crate::domain::reach::Reach;
use crate::domain::remedy::mirror_image;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Names one remediation for good. Made of the build that caused it, so that planning the same build twice gives the
/// same name and the ledger refuses the second.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RemediationId(String);

impl RemediationId {
    /// `<project>-<12 digits of the build's uuid>`.
    pub fn of(because: &BuildId) -> RemediationId {
        let digits: String = because.uuid().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        RemediationId(format!("{}-{digits}", because.project()))
    }

    /// As a person typed it.
    pub fn new(text: impl Into<String>) -> RemediationId {
        RemediationId(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemediationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is needed to carry a remedy out, prove it and take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Its name.
    pub id: RemediationId,
    /// The project it is for.
    pub project: ProjectName,
    /// The image that the project's build environment had; a change of it before we write makes the plan void.
    pub image: String,
    /// The build that was throttled.
    pub because: BuildId,
    /// Where its pull was refused.
    pub site: Site,
    /// The phase that it failed in, which a later build must pass.
    pub phase: PhaseName,
    /// The kind of fix.
    pub remedy: Remedy,
    /// The policy that allows it.
    pub policy: String,
    /// The credential's name in the settings.
    pub credential: String,
    /// The project's service role.
    pub role: RoleName,
    /// The secret; none where the remedy needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretArn>,
    /// In order; undone in reverse.
    pub changes: Vec<Change>,
    /// Whom the grant reaches beside the project; none where nothing is granted, or nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// How long a change must have been seen before the next depends on it.
    #[schemars(with = "String")]
    pub settle: SignedDuration,
    /// How long after it was applied a later build may take to prove it.
    #[schemars(with = "String")]
    pub verify_within: SignedDuration,
    /// Whether the throttled build is started again once the remedy is in place.
    pub retry: RetryPlan,
    /// What becomes of it if it does not help.
    pub on_ineffective: OnIneffective,
    /// Who lets it through.
    pub by: Approval,
}

/// Who lets a plan through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The policy, within the mode.
    Policy,
    /// A person, with `unthrottled apply`, whatever the mode.
    Person,
}

/// Whether the throttled build is started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryPlan {
    /// It is.
    Once,
    /// It is not, for this reason.
    No(String),
}

impl Plan {
    /// The grant's role, policy name and document before and after, if the plan has one.
    pub fn grant(&self) -> Option<(&RoleName, &str)> {
        self.changes.iter().find_map(|change| match change {
            Change::Grant { role, policy, .. } => Some((role, policy.as_str())),
            Change::Project { .. } => None,
        })
    }

    /// The grant's document before us, if there was one.
    pub fn grant_before(&self) -> Option<&Value> {
        self.changes.iter().find_map(|change| match change {
            Change::Grant { before, .. } => before.as_ref(),
            Change::Project { .. } => None,
        })
    }

    /// Whether the project's environment may have this image while the plan is carried out: the one that it had, or the
    /// one that the plan itself gives it.
    pub fn allows_image(&self, image: &str) -> bool {
        let gives = |edit: &Edit| matches!(edit, Edit::Image { after, .. } if after == image);
        self.image == image || self.edits().iter().any(gives)
    }

    /// The edits of the project.
    pub fn edits(&self) -> &[Edit] {
        self.changes
            .iter()
            .find_map(|change| match change {
                Change::Project { edits } => Some(edits.as_slice()),
                Change::Grant { .. } => None,
            })
            .unwrap_or_default()
    }
}

impl fmt::Display for Plan {
    /// The diff: what a dry run, an event, a pull request and the ledger's viewer show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, change) in self.changes.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{change}")?;
            if let (Change::Grant { .. }, Some(reach)) = (change, &self.reach) {
                write!(f, "{}", reach.of(&self.project))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Grant { role, policy, before, after } => {
                let (sign, note) = if before.is_some() { (' ', " (there already)") } else { ('+', "") };
                write!(f, "{sign} role {role}: inline policy {policy}{note}")?;
                for line in statements(after) {
                    write!(f, "\n{sign}   {line}")?;
                }
                Ok(())
            }
            Change::Project { edits } => {
                write!(f, "~ project")?;
                edits.iter().try_for_each(|edit| write!(f, "\n{edit}"))
            }
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::RegistryCredential { after } => {
                write!(f, "+   environment.registryCredential = {after}")
            }
            Edit::PullCredentials { before, after } => {
                writeln!(f, "-   environment.imagePullCredentialsType = {}", before.as_deref().unwrap_or("(not set)"))?;
                write!(f, "+   environment.imagePullCredentialsType = {after}")
            }
            Edit::Image { before, after } => {
                writeln!(f, "-   environment.image = {before}")?;
                writeln!(f, "+   environment.image = {after}")?;
                write!(f, "      {}", mirror_image::LIMIT)
            }
            Edit::Variable { name, reference } => {
                write!(f, "+   environment.environmentVariables {name} = {reference} (SECRETS_MANAGER)")
            }
            Edit::Buildspec { splice, .. } => {
                writeln!(f, "~   source.buildspec, {} phase, line {}", splice.phase, splice.line)?;
                for line in splice.insert.lines().filter(|line| !line.trim().is_empty()) {
                    writeln!(f, "+     {}", line.trim())?;
                }
                write!(f, "      {}", splice.above)
            }
        }
    }
}

/// `Allow <action> on <resource> where <key> = <value>` for each statement.
fn statements(document: &Value) -> Vec<String> {
    let statements = document.get("Statement").and_then(Value::as_array);
    let sentence = |statement: &Value| {
        let member = |name: &str| statement.get(name).map(text).unwrap_or_default();
        format!("{} {} on {}{}", member("Effect"), member("Action"), member("Resource"), conditions(statement))
    };
    statements.map_or(Vec::new(), |list| list.iter().map(sentence).collect())
}

/// What bounds a statement: without it a grant on all keys would read as one.
fn conditions(statement: &Value) -> String {
    let operators = statement.get("Condition").and_then(Value::as_object);
    let members = operators.into_iter().flat_map(|o| o.values());
    let keys = members.filter_map(Value::as_object).flatten();
    let each: Vec<String> = keys.map(|(key, value)| format!("{key} = {}", text(value))).collect();
    if each.is_empty() {
        return String::new();
    }
    format!(" where {}", each.join(" and "))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
