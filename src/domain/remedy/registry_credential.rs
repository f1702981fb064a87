//! `registry_credential`: the project's environment pulls its image with the secret.

use crate::domain::change::Edit;
use crate::domain::classify::Registry;
use crate::domain::image::Image;
use crate::domain::remedy::{Inapplicable, Material};

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

/// What shall be changed in the project.
pub fn edits(material: Material<'_>) -> Result<Vec<Edit>, Inapplicable> {
    let Material { build, project, secret, .. } = material;
    let environment = &project.environment;
    if !CONTAINERS.contains(&environment.kind.as_str()) {
        return Err(Inapplicable::EnvironmentType(environment.kind.clone()));
    }
    match Image::parse(&environment.image) {
        Some(image) if image.is_curated() => return Err(Inapplicable::CuratedImage),
        Some(image) if image.registry() == Some(Registry::DockerHub) => (),
        Some(_) | None => return Err(Inapplicable::NotHubImage),
    }
    if environment.registry_credential.is_some() {
        return Err(Inapplicable::CredentialSetAlready);
    }
    if build.environment.image != environment.image {
        return Err(Inapplicable::BuildDiffers("image"));
    }
    // With SERVICE_ROLE, a build that overrides the image with a curated one is refused.
    if project.is_runner {
        return Err(Inapplicable::Runner);
    }
    if project.has_batch {
        return Err(Inapplicable::Batch);
    }
    let mut edits = vec![Edit::RegistryCredential { after: secret.arn.to_string() }];
    if environment.pull_credentials.as_deref() != Some("SERVICE_ROLE") {
        let before = environment.pull_credentials.clone();
        edits.push(Edit::PullCredentials { before, after: "SERVICE_ROLE".to_string() });
    }
    Ok(edits)
}
