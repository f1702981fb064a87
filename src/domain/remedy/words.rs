//! Why a remedy does not apply: a bounded word for programs, a sentence for people.

use super::{Inapplicable, grant};
use std::fmt;

impl Inapplicable {
    /// One of a fixed set of words.
    pub fn word(&self) -> &'static str {
        match self {
            Inapplicable::Disproved => "disproved",
            Inapplicable::TakenOut => "taken_out",
            Inapplicable::CuratedImage => "curated_image",
            Inapplicable::NotHubImage => "not_hub_image",
            Inapplicable::CredentialSetAlready => "credential_set_already",
            Inapplicable::EnvironmentType(_) => "environment_type",
            Inapplicable::Runner | Inapplicable::RunnerSteps | Inapplicable::RunnerCommands => "runner",
            Inapplicable::Batch => "batch",
            Inapplicable::BuildDiffers(_) => "build_differs",
            Inapplicable::BuildspecElsewhere(_) => "buildspec_elsewhere",
            Inapplicable::Pipeline => "pipeline",
            Inapplicable::BatchMembers(_) => "batch_members",
            Inapplicable::Buildspec(refusal) => refusal.tag(),
            Inapplicable::LoggedInAlready | Inapplicable::LoginLikely(_) => "already_authenticated",
            Inapplicable::NotNeeded(_) => "not_needed",
            Inapplicable::MirrorSetUp(_) => "mirror_set_up",
            Inapplicable::NoPlace => "no_place",
            Inapplicable::VariableTaken(_) => "variable_taken",
            Inapplicable::DockerVersionUnknown(_) => "docker_version_unknown",
            Inapplicable::DockerTooOld { .. } => "docker_too_old",
            Inapplicable::OtherClient(_) => "other_client",
            Inapplicable::AuthConfigUnknown(_) => "auth_config_unknown",
            Inapplicable::AuthConfig { .. } => "auth_config_unusable",
            Inapplicable::NoSecret => "no_secret",
            Inapplicable::NoMirror(_) => "no_mirror",
            Inapplicable::ServiceLinkedRole => "service_linked_role",
            Inapplicable::ForeignPolicy(_) => "foreign_policy",
            Inapplicable::PolicySpaceFull { .. } => "policy_space_full",
            Inapplicable::Unrepresentable(_) => "unrepresentable",
            Inapplicable::ForOwner => "for_owner",
            Inapplicable::InPlaceAlready => "in_place_already",
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
            Inapplicable::BuildspecElsewhere(place) => write!(f, "the buildspec is {place}, and not in the project"),
            Inapplicable::Pipeline => write!(f, "a pipeline gave the build another buildspec than the project's"),
            Inapplicable::RunnerCommands => {
                write!(
                    f,
                    "a runner's jobs bring their own commands, and run the buildspec only where their label asks for it"
                )
            }
            Inapplicable::BatchMembers(own) => write!(f, "{own}"),
            Inapplicable::Buildspec(refusal) => write!(f, "{refusal}"),
            Inapplicable::LoggedInAlready => {
                write!(f, "the buildspec logs in to Docker Hub already")
            }
            Inapplicable::NotNeeded(why) => write!(f, "the buildspec needs no login: {why}"),
            Inapplicable::NoPlace => write!(f, "no place for a login was found in the buildspec"),
            Inapplicable::VariableTaken(name) => write!(f, "the project uses the variable `{name}` for something else"),
            Inapplicable::DockerVersionUnknown(image) => {
                write!(f, "it is not known which docker the image `{image}` has")
            }
            Inapplicable::DockerTooOld { image, tool, has, needs } => {
                write!(f, "the image `{image}` has {tool} {has}, and DOCKER_AUTH_CONFIG is read from {needs} on")
            }
            Inapplicable::OtherClient(client) => {
                write!(f, "images are pulled by {client}, which does not read DOCKER_AUTH_CONFIG")
            }
            Inapplicable::LoginLikely(name) => write!(
                f,
                "the variable `{name}` tells of a Docker Hub login of the project's own, which must come before the first pull"
            ),
            Inapplicable::MirrorSetUp(line) => write!(f, "line {line} of the buildspec sets up a mirror of Docker Hub"),
            Inapplicable::RunnerSteps => {
                write!(f, "it is not known whether the steps of a runner's job get the project's variables")
            }
            Inapplicable::AuthConfigUnknown(why) => {
                write!(f, "it is not known whether the secret holds a text for DOCKER_AUTH_CONFIG: {why}")
            }
            Inapplicable::AuthConfig { key, why } => {
                write!(
                    f,
                    "the secret's key `{key}` can't be used: {why}; run `unthrottled secret rotate`, which writes it"
                )
            }
            Inapplicable::NoSecret => write!(f, "there is no secret to refer to"),
            Inapplicable::NoMirror(image) => {
                write!(f, "no mirror of `{image}` at public.ecr.aws/docker/library is known")
            }
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
            Inapplicable::ForOwner => write!(f, "it changes nothing itself"),
            Inapplicable::InPlaceAlready => write!(f, "it is in place already"),
        }
    }
}
