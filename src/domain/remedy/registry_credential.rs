//! `registry_credential`: the project's environment pulls its image with the secret.

use crate::domain::change::Edit;
use crate::domain::remedy::{Inapplicable, Material, build_image};

/// What shall be changed in the project.
pub fn edits(material: Material<'_>) -> Result<Vec<Edit>, Inapplicable> {
    let Material { build, project, secret, .. } = material;
    let Some(secret) = secret else { return Err(Inapplicable::NoSecret) };
    build_image::of_hub(build, project)?;
    // With SERVICE_ROLE, a build that overrides the image with a curated one is refused.
    if project.is_runner {
        return Err(Inapplicable::Runner);
    }
    if project.has_batch {
        return Err(Inapplicable::Batch);
    }
    let environment = &project.environment;
    let mut edits = vec![Edit::RegistryCredential { after: secret.arn.to_string() }];
    if environment.pull_credentials.as_deref() != Some("SERVICE_ROLE") {
        let before = environment.pull_credentials.clone();
        edits.push(Edit::PullCredentials { before, after: "SERVICE_ROLE".to_string() });
    }
    Ok(edits)
}
