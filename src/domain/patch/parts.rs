//! What of the changes goes into whose code: the one place that knows every kind of change.

use crate::domain::buildspec::splice::{Digest, Splice};
use crate::domain::change::{Change, Edit};
use serde_json::Value;

/// The changes of one project, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Policies to be put on roles. What is there already is left out.
    pub grants: Vec<Grant<'a>>,
    /// Members of the project.
    pub members: Members<'a>,
    /// The insertion into a buildspec that stands in the project.
    pub buildspec: Option<Insertion<'a>>,
}

/// An inline policy of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// The role's name.
    pub role: &'a str,
    /// The policy's name.
    pub policy: &'a str,
    /// Its document.
    pub document: &'a Value,
}

/// Members of a project's environment. A form of a patch names each of them, so that none is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members<'a> {
    /// `image`: the new one.
    pub image: Option<&'a str>,
    /// The secret of `registryCredential`.
    pub credential: Option<&'a str>,
    /// `imagePullCredentialsType`.
    pub pull_credentials: Option<&'a str>,
    /// Variables of type `SECRETS_MANAGER`: name and reference.
    pub variables: Vec<(&'a str, &'a str)>,
}

/// An insertion with the digests of the text before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insertion<'a> {
    /// Of the text before.
    pub before: &'a Digest,
    /// Of the text after.
    pub after: &'a Digest,
    /// What goes where.
    pub splice: &'a Splice,
}

impl<'a> Parts<'a> {
    /// Of these changes.
    pub fn of(changes: &'a [Change]) -> Parts<'a> {
        let mut parts = Parts::default();
        for change in changes {
            match change {
                Change::Grant { .. } if change.was_there() => (),
                Change::Grant { role, policy, before: _, after } => {
                    parts.grants.push(Grant { role: role.as_str(), policy, document: after });
                }
                Change::Project { edits } => edits.iter().for_each(|edit| parts.add(edit)),
            }
        }
        parts
    }

    fn add(&mut self, edit: &'a Edit) {
        match edit {
            Edit::RegistryCredential { after } => self.members.credential = Some(after),
            Edit::PullCredentials { before: _, after } => self.members.pull_credentials = Some(after),
            Edit::Image { before: _, after } => self.members.image = Some(after),
            Edit::Variable { name, reference } => self.members.variables.push((name, reference)),
            Edit::Buildspec { before, after, splice } => {
                self.buildspec = Some(Insertion { before, after, splice });
            }
        }
    }
}

impl Members<'_> {
    /// Whether none of them changes.
    pub fn is_empty(&self) -> bool {
        *self == Members::default()
    }
}
