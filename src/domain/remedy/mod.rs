//! Each remedy: what it changes for this project, or why it does not apply.
//!
//! A new remedy is a variant of [`Remedy`] and a file here; the compiler lists the other places.

mod build_image;
mod buildspec_login;
pub mod docker_auth_variable;
pub(crate) mod grant;
pub mod mirror_image;
mod own_login;
pub(crate) mod propose_patch;
mod registry_credential;
mod words;

pub(crate) use build_image::is_container;
pub(crate) use buildspec_login::shell;

use crate::domain::build::{Build, BuildspecPlace, PhaseName, Project, Role, Secret};
use crate::domain::buildspec::batch::OwnOfMembers;
use crate::domain::buildspec::refusal::Refusal;
use crate::domain::change::Change;
use crate::domain::classify::Diagnosis;
use crate::domain::images::{KnownImages, Version};
use crate::domain::policy::{Credential, Remedy};

/// What a remedy is made of.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// The throttled build.
    pub build: &'a Build,
    /// What it was throttled by.
    pub diagnosis: &'a Diagnosis,
    /// Its project now.
    pub project: &'a Project,
    /// The project's service role.
    pub role: &'a Role,
    /// The Docker Hub secret; only a remedy that [needs one](Remedy::needs_secret) is asked with one.
    pub secret: Option<&'a Secret>,
    /// The names under which the secret is used.
    pub credential: &'a Credential,
    /// Whether the policy of our name on the role was made by an earlier remediation.
    pub made_by_us: bool,
    /// What is known of images beforehand.
    pub images: &'a KnownImages,
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
    /// The buildspec is in the repository or in S3.
    BuildspecElsewhere(BuildspecPlace),
    /// A pipeline gave the build another buildspec than the project's.
    Pipeline,
    /// A runner's jobs bring their own commands.
    RunnerCommands,
    /// The batch of the buildspec gives its builds something else than this buildspec.
    BatchMembers(OwnOfMembers),
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
    /// Nothing is known of the docker in this image.
    DockerVersionUnknown(String),
    /// The image's docker does not read the variable.
    DockerTooOld {
        /// The image.
        image: String,
        /// Which of docker's clients.
        tool: &'static str,
        /// The version that the image has.
        has: Version,
        /// The first version that reads it.
        needs: Version,
    },
    /// Images are pulled by a client that does not read docker's variable.
    OtherClient(&'static str),
    /// A variable of this name tells of a Docker Hub login of the project's own.
    LoginLikely(String),
    /// The buildspec sets up a mirror of Docker Hub in this line.
    MirrorSetUp(usize),
    /// It is not known whether the steps of a runner's job get the project's variables.
    RunnerSteps,
    /// It is not known whether the secret has a text for `DOCKER_AUTH_CONFIG`: why.
    AuthConfigUnknown(String),
    /// The secret has no text for `DOCKER_AUTH_CONFIG` that docker would take.
    AuthConfig {
        /// The key that should hold it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no secret to refer to.
    NoSecret,
    /// No mirror of this image is known.
    NoMirror(String),
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
    /// It changes nothing: what it is made of is for the owner.
    ForOwner,
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
        Remedy::DockerAuthVariable => docker_auth_variable::edits(material)?,
        Remedy::MirrorImage => mirror_image::edits(material)?,
        Remedy::ProposePatch => return Err(Inapplicable::ForOwner),
    };
    let project = Change::Project { edits };
    Ok(if remedy.needs_secret() { vec![grant::change(material)?, project] } else { vec![project] })
}

impl Remedy {
    /// The phase that a refused pull of this remedy's kind is in where the log does not say.
    pub fn usual_phase(self) -> PhaseName {
        match self {
            Remedy::RegistryCredential | Remedy::MirrorImage => PhaseName::new(PhaseName::PROVISIONING),
            Remedy::BuildspecLogin | Remedy::DockerAuthVariable | Remedy::ProposePatch => PhaseName::new("BUILD"),
        }
    }
}

impl Inapplicable {
    /// Whether commands that nobody read may log in, so that what else tells of a login counts.
    fn leaves_commands_unread(&self) -> bool {
        matches!(
            self,
            Inapplicable::BuildspecElsewhere(_)
                | Inapplicable::Pipeline
                | Inapplicable::BatchMembers(_)
                | Inapplicable::Unrepresentable(_)
                | Inapplicable::Buildspec(
                    Refusal::HiddenDockerUse { .. }
                        | Refusal::NoDockerUse { .. }
                        | Refusal::BatchOnly { .. }
                        | Refusal::UnknownRegistryLogin { .. }
                        | Refusal::UnreadableCommand { .. }
                )
        )
    }

    /// Whether the project's owner can make the change that we may not: its place is not ours, or can't be edited safely
    /// by a program.
    pub fn is_for_owner(&self) -> bool {
        match self {
            Inapplicable::BuildspecElsewhere(_)
            | Inapplicable::Pipeline
            | Inapplicable::BatchMembers(_)
            | Inapplicable::Unrepresentable(_) => true,
            // The variables of our names have another meaning in there.
            Inapplicable::Buildspec(Refusal::VariableInUse { .. }) => false,
            Inapplicable::Buildspec(_) | Inapplicable::NoPlace => true,
            Inapplicable::Disproved
            | Inapplicable::TakenOut
            | Inapplicable::CuratedImage
            | Inapplicable::NotHubImage
            | Inapplicable::CredentialSetAlready
            | Inapplicable::EnvironmentType(_)
            | Inapplicable::Runner
            | Inapplicable::RunnerCommands
            | Inapplicable::RunnerSteps
            | Inapplicable::Batch
            | Inapplicable::BuildDiffers(_)
            | Inapplicable::LoggedInAlready
            | Inapplicable::LoginLikely(_)
            | Inapplicable::MirrorSetUp(_)
            | Inapplicable::NotNeeded(_)
            | Inapplicable::VariableTaken(_)
            | Inapplicable::DockerVersionUnknown(_)
            | Inapplicable::DockerTooOld { .. }
            | Inapplicable::OtherClient(_)
            | Inapplicable::AuthConfigUnknown(_)
            | Inapplicable::AuthConfig { .. }
            | Inapplicable::NoSecret
            | Inapplicable::NoMirror(_)
            | Inapplicable::ServiceLinkedRole
            | Inapplicable::ForeignPolicy(_)
            | Inapplicable::PolicySpaceFull { .. }
            | Inapplicable::ForOwner
            | Inapplicable::InPlaceAlready => false,
        }
    }
}

#[cfg(test)]
mod tests;
