//! One resource as it was and as it shall be, and where it is now.

use crate::domain::build::{Buildspec, Project, RoleName, VariableSource};
use crate::domain::buildspec::splice::{Digest, Splice};
use crate::domain::buildspec::take_back;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One member of a project, before and after. These five are all that can be changed: the type is the permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// `environment.registryCredential`, absent before.
    RegistryCredential {
        /// The secret's full ARN.
        after: String,
    },
    /// `environment.imagePullCredentialsType`.
    PullCredentials {
        /// As it was read; absent means `CODEBUILD`.
        before: Option<String>,
        /// As it shall be.
        after: String,
    },
    /// `environment.image`.
    Image {
        /// As it was.
        before: String,
        /// As it shall be.
        after: String,
    },
    /// A variable of type `SECRETS_MANAGER` in `environment.environmentVariables`, absent before.
    Variable {
        /// Its name.
        name: String,
        /// What it refers to; a reference, no secret.
        reference: String,
    },
    /// One insertion into the inline buildspec.
    Buildspec {
        /// The text's digest before.
        before: Digest,
        /// And after.
        after: Digest,
        /// What goes where.
        splice: Splice,
    },
}

/// One resource, as it was and as it shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// An inline policy on the service role, which projects share.
    Grant {
        /// The role.
        role: RoleName,
        /// The policy's name.
        policy: String,
        /// Its document before us; none if there was none, or if an earlier remediation of ours made it.
        before: Option<serde_json::Value>,
        /// Its document.
        after: serde_json::Value,
    },
    /// Members of the project, in one update.
    Project {
        /// What shall be changed.
        edits: Vec<Edit>,
    },
}

/// The policy of our name on the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantSeen {
    /// There is no such role.
    RoleGone,
    /// The role has no policy of the name.
    Absent,
    /// The policy's document.
    Present(serde_json::Value),
    /// A policy of the name that is no JSON.
    Malformed,
}

/// Where a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// As it was.
    Before,
    /// As it shall be.
    After,
    /// Others edited the buildspec: no member of ours is set, and the line is not in their text.
    WithoutOurs,
    /// Others edited the buildspec: all members of ours are set, and the line is in their text, unmistakably ours.
    AmidOthers,
    /// The resource is gone.
    Gone,
    /// Something else.
    Neither,
}

impl Change {
    /// Where the resource is, on the way forward.
    pub fn position(&self, project: Option<&Project>, grant: &GrantSeen) -> Position {
        match self {
            Change::Grant { before, after, .. } => match grant {
                GrantSeen::RoleGone => Position::Gone,
                GrantSeen::Malformed => Position::Neither,
                GrantSeen::Present(there) if same_document(there, after) => Position::After,
                GrantSeen::Present(there) if before.as_ref().is_some_and(|b| same_document(there, b)) => {
                    Position::Before
                }
                GrantSeen::Present(_) => Position::Neither,
                GrantSeen::Absent if before.is_none() => Position::Before,
                GrantSeen::Absent => Position::Neither,
            },
            Change::Project { edits } => {
                let Some(project) = project else {
                    return Position::Gone;
                };
                let positions: Vec<Position> = edits.iter().map(|edit| edit.position(project)).collect();
                let all = |expected: &[Position]| positions.iter().all(|position| expected.contains(position));
                match () {
                    () if all(&[Position::After]) => Position::After,
                    () if all(&[Position::Before]) => Position::Before,
                    () if all(&[Position::After, Position::AmidOthers]) => Position::AmidOthers,
                    () if all(&[Position::Before, Position::WithoutOurs]) => Position::WithoutOurs,
                    () => Position::Neither,
                }
            }
        }
    }

    /// Whether someone else had made it before us, so that there is nothing to take back.
    pub fn was_there(&self) -> bool {
        matches!(self, Change::Grant { before: Some(before), after, .. } if same_document(before, after))
    }

    /// Whether all of our members are back but the registry credential, which `UpdateProject` may keep when it is left
    /// out.
    pub fn kept_credential(&self, project: Option<&Project>) -> bool {
        let (Change::Project { edits }, Some(project)) = (self, project) else {
            return false;
        };
        edits.iter().all(|edit| {
            let kept = matches!(edit, Edit::RegistryCredential { .. });
            let expected = if kept { Position::After } else { Position::Before };
            edit.position(project) == expected
        })
    }

    /// The login line of ours where it stands in a buildspec that others have edited, and can't be told from theirs.
    pub fn line_of_ours(&self, project: Option<&Project>) -> Option<&str> {
        let (Change::Project { edits }, Buildspec::Inline(text)) = (self, &project?.buildspec) else {
            return None;
        };
        edits.iter().find_map(|edit| match edit {
            Edit::Buildspec { after, splice, .. } if Digest::of(text) != *after && splice.has_trace_in(text) => {
                take_back(text, splice).is_none().then(|| splice.command())
            }
            _ => None,
        })
    }

    /// Whether some member that only we set is as we set it.
    pub fn is_partly_there(&self, project: Option<&Project>) -> bool {
        let (Change::Project { edits }, Some(project)) = (self, project) else {
            return false;
        };
        edits.iter().any(|edit| match edit {
            // With another credential or image the same value may be anyone's.
            Edit::PullCredentials { .. } => false,
            Edit::Buildspec { after, splice, .. } => match &project.buildspec {
                Buildspec::Inline(text) => Digest::of(text) == *after || splice.has_trace_in(text),
                Buildspec::Elsewhere(_) => false,
            },
            Edit::RegistryCredential { .. } | Edit::Image { .. } | Edit::Variable { .. } => {
                edit.position(project) == Position::After
            }
        })
    }

    /// Whether our members are set, be the text around our line as we left it or not.
    pub fn is_in_place(&self, project: Option<&Project>, grant: &GrantSeen) -> bool {
        matches!(self.position(project, grant), Position::After | Position::AmidOthers)
    }

    /// The resource, for people.
    pub fn what(&self) -> String {
        match self {
            Change::Grant { role, policy, .. } => {
                format!("inline policy `{policy}` of role `{role}`")
            }
            Change::Project { .. } => "our change to the project".to_string(),
        }
    }
}

impl Edit {
    /// Where this member is.
    fn position(&self, project: &Project) -> Position {
        let environment = &project.environment;
        match self {
            Edit::RegistryCredential { after } => match &environment.registry_credential {
                None => Position::Before,
                Some(there) if there == after => Position::After,
                Some(_) => Position::Neither,
            },
            Edit::PullCredentials { before, after } => {
                let there = pull_credentials(environment.pull_credentials.as_deref());
                if there == after {
                    Position::After
                } else if there == pull_credentials(before.as_deref()) {
                    Position::Before
                } else {
                    Position::Neither
                }
            }
            Edit::Image { before, after } => match &environment.image {
                there if there == after => Position::After,
                there if there == before => Position::Before,
                _ => Position::Neither,
            },
            Edit::Variable { name, reference } => match environment.variable(name).map(|v| &v.source) {
                None => Position::Before,
                Some(VariableSource::SecretsManager(there)) if there == reference => Position::After,
                Some(_) => Position::Neither,
            },
            Edit::Buildspec { before, after, splice } => match &project.buildspec {
                Buildspec::Inline(text) => match Digest::of(text) {
                    digest if digest == *after => Position::After,
                    digest if digest == *before => Position::Before,
                    _ if !splice.has_trace_in(text) => Position::WithoutOurs,
                    _ if take_back(text, splice).is_some() => Position::AmidOthers,
                    _ => Position::Neither,
                },
                Buildspec::Elsewhere(_) => Position::Neither,
            },
        }
    }
}

/// AWS documents `CODEBUILD` as what an absent member means.
fn pull_credentials(there: Option<&str>) -> &str {
    there.unwrap_or("CODEBUILD")
}

/// Whether two policy documents say the same: the order of members does not matter, and a list of one is its element.
pub fn same_document(a: &Value, b: &Value) -> bool {
    normal(a) == normal(b)
}

fn normal(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.len() == 1 => normal(&items[0]),
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::Object(members) => Value::Object(members.iter().map(|(k, v)| (k.clone(), normal(v))).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
