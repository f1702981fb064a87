//! What every remedy for a refused build image asks first.

use crate::domain::build::{Build, Project};
use crate::domain::classify::Registry;
use crate::domain::image::Image;
use crate::domain::remedy::Inapplicable;

/// Environments whose image CodeBuild pulls as a container. Lambda takes custom images from ECR only; on EC2 and Mac the
/// meaning of a registry image is not documented.
const CONTAINERS: [&str; 6] = [
    "LINUX_CONTAINER",
    "LINUX_GPU_CONTAINER",
    "ARM_CONTAINER",
    "WINDOWS_CONTAINER",
    "WINDOWS_SERVER_2019_CONTAINER",
    "WINDOWS_SERVER_2022_CONTAINER",
];

/// Whether CodeBuild pulls the image of such an environment as a container.
pub(crate) fn is_container(kind: &str) -> bool {
    CONTAINERS.contains(&kind)
}

/// The project pulls an image of Docker Hub as a container, without a credential, and so did the build.
pub(super) fn of_hub<'a>(build: &Build, project: &'a Project) -> Result<Image<'a>, Inapplicable> {
    let environment = &project.environment;
    if !is_container(&environment.kind) {
        return Err(Inapplicable::EnvironmentType(environment.kind.clone()));
    }
    let image = match Image::parse(&environment.image) {
        Some(image) if image.is_curated() => return Err(Inapplicable::CuratedImage),
        Some(image) if image.registry() == Some(Registry::DockerHub) => image,
        Some(_) | None => return Err(Inapplicable::NotHubImage),
    };
    if environment.registry_credential.is_some() {
        return Err(Inapplicable::CredentialSetAlready);
    }
    if build.environment.image != environment.image {
        return Err(Inapplicable::BuildDiffers("image"));
    }
    Ok(image)
}
