//! Each remedy: what it changes for this project, or why it does not apply.
//!
//! A new remedy is a variant of [`Remedy`] and a file here; the compiler lists the other places.

mod buildspec_login;
pub(crate) mod grant;
mod registry_credential;

use crate::domain::build::{Build, PhaseName, Project, Role, Secret};
use crate::domain::buildspec::refusal::Refusal;
use crate::domain::change::Change;
use crate::domain::policy::{Credential, Remedy};
use std::fmt;

/// What a remedy is made of.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// The throttled build.
    pub build: &'a Build,
    /// Its project now.
    pub project: &'a Project,
    /// The project's service role.
    pub role: &'a Role,
    /// The Docker Hub secret.
    pub secret: &'a Secret,
    /// The names under which the secret is used.
    pub credential: &'a Credential,
    /// Whether the policy of our name on the role was made by an earlier remediation.
    pub made_by_us: bool,
}

/// Why a remedy does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inapplicable {
    /// A later build disproved it for this project.
    Disproved,
    /// Somebody took it out of this project.
    TakenOut,
    /// CodeBuild's own image, which is not pulled from Docker Hub and takes no credential.
    CuratedImage,
    /// The image is not one of Docker Hub's.
    NotHubImage,
    /// The project pulls its image with a credential already.
    CredentialSetAlready,
    /// The environment's type is not known to pull images so.
    EnvironmentType(String),
    /// Jobs of a runner may take a curated image, which then can't be pulled.
    Runner,
    /// Members of a batch may take a curated image, which then can't be pulled.
    Batch,
    /// The build ran with another configuration than the project has now.
    BuildDiffers(&'static str),
    /// The buildspec is in the repository, in S3 or in an override.
    BuildspecElsewhere,
    /// A pipeline runs the project and may give it another buildspec and other sources.
    Pipeline,
    /// No login can or need be put into the buildspec.
    Buildspec(Refusal),
    /// The buildspec logs in to Docker Hub already.
    LoggedInAlready,
    /// Nothing in the buildspec pulls from Docker Hub.
    NotNeeded(String),
    /// The place that was found for the login is not in the text.
    NoPlace,
    /// The project uses the variable for something else.
    VariableTaken(String),
    /// The role belongs to AWS.
    ServiceLinkedRole,
    /// The role has a policy of our name that is not ours.
    ForeignPolicy(String),
    /// The role has no room for another inline policy.
    PolicySpaceFull {
        /// Characters in use.
        used: usize,
        /// Characters wanted.
        wanted: usize,
    },
    /// Sending back what was read would lose these members.
    Unrepresentable(Vec<String>),
    /// Everything that it would change is there already.
    InPlaceAlready,
}

/// What the remedy changes, in order: the grant first, as a secret that a project names and its role can't read fails
/// every build.
pub fn changes(remedy: Remedy, material: Material<'_>) -> Result<Vec<Change>, Inapplicable> {
    if !material.project.unrepresentable.is_empty() {
        return Err(Inapplicable::Unrepresentable(material.project.unrepresentable.clone()));
    }
    let edits = match remedy {
        Remedy::RegistryCredential => registry_credential::edits(material)?,
        Remedy::BuildspecLogin => buildspec_login::edits(material)?,
    };
    Ok(vec![grant::change(material)?, Change::Project { edits }])
}

impl Remedy {
    /// The phase that a refused pull of this remedy's kind is in where the log does not say.
    pub fn usual_phase(self) -> PhaseName {
        match self {
            Remedy::RegistryCredential => PhaseName::new(PhaseName::PROVISIONING),
            Remedy::BuildspecLogin => PhaseName::new("BUILD"),
        }
    }
}

impl fmt::Display for Inapplicable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inapplicable::Disproved => write!(f, "a later build disproved it for this project"),
            Inapplicable::TakenOut => {
                write!(f, "someone took it out of this project; `unthrottled clear` allows it again")
            }
            Inapplicable::CuratedImage => write!(f, "the build image is CodeBuild's own"),
            Inapplicable::NotHubImage => write!(f, "the build image is not from Docker Hub"),
            Inapplicable::CredentialSetAlready => {
                write!(f, "the project pulls its image with a credential already")
            }
            Inapplicable::EnvironmentType(kind) => {
                write!(f, "not known to work in environments of type `{kind}`")
            }
            Inapplicable::Runner => write!(f, "jobs of a runner may take images that a credential breaks"),
            Inapplicable::Batch => write!(f, "members of a batch may take images that a credential breaks"),
            Inapplicable::BuildDiffers(what) => write!(f, "the build ran with another {what} than the project has now"),
            Inapplicable::BuildspecElsewhere => write!(f, "the buildspec is not in the project"),
            Inapplicable::Pipeline => write!(f, "a pipeline runs the project"),
            Inapplicable::Buildspec(refusal) => write!(f, "{refusal}"),
            Inapplicable::LoggedInAlready => {
                write!(f, "the buildspec logs in to Docker Hub already")
            }
            Inapplicable::NotNeeded(why) => write!(f, "the buildspec needs no login: {why}"),
            Inapplicable::NoPlace => write!(f, "no place for a login was found in the buildspec"),
            Inapplicable::VariableTaken(name) => write!(f, "the project uses the variable `{name}` for something else"),
            Inapplicable::ServiceLinkedRole => {
                write!(f, "the role is service-linked and can't be changed")
            }
            Inapplicable::ForeignPolicy(name) => {
                write!(f, "the role has an inline policy `{name}` that is not ours")
            }
            Inapplicable::PolicySpaceFull { used, wanted } => write!(
                f,
                "the role's inline policies take {used} of {} characters, and {wanted} more are needed",
                grant::MAX_INLINE
            ),
            Inapplicable::Unrepresentable(paths) => {
                write!(f, "writing the project back would lose members of it: {}", paths.join(", "))
            }
            Inapplicable::InPlaceAlready => write!(f, "it is in place already"),
        }
    }
}

#[cfg(test)]
mod tests;
