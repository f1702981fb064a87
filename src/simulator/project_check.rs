//! What CodeBuild refuses about a project or a build's overrides, with its own words where they are known.

use serde_json::Value;

use super::account::Account;
use super::buildspec::{Kind, kind};
use super::hub::{Registry, registry_of};
use super::refusal::Refusal;

const BUILDSPEC_LIMIT: usize = 25_600;
const VARIABLE_LIMIT: usize = 4_096;

/// Checks the outcome `after` of a request that sent `input`.
pub(super) fn project(account: &Account, input: &Value, after: &Value) -> Result<(), Refusal> {
    if !input["source"].is_null() {
        source(after)?;
    }
    if !input["environment"].is_null() {
        environment(account, &input["environment"], &after["environment"])?;
    }
    if let Some(arn) = input["serviceRole"].as_str() {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let known = account.roles.get(name).map(|role| role.arn(&account.account_id, name));
        if known.as_deref() != Some(arn) {
            return Err(Refusal::invalid_input(format!(
                "CodeBuild is not authorized to perform: sts:AssumeRole on {arn}"
            )));
        }
    }
    let encryption_disabled = &input["artifacts"]["encryptionDisabled"];
    if input["artifacts"]["type"] == "NO_ARTIFACTS" && !encryption_disabled.is_null() {
        return Err(Refusal::invalid_input(
            "Invalid artifacts: artifact type NO_ARTIFACTS should have null encryptionDisabled",
        ));
    }
    Ok(())
}

fn source(after: &Value) -> Result<(), Refusal> {
    let source = &after["source"];
    let of_type = source["type"].as_str().unwrap_or_default();
    let buildspec = source["buildspec"].as_str().unwrap_or_default();
    if buildspec.chars().count() > BUILDSPEC_LIMIT {
        return Err(Refusal::invalid_input(format!("Max buildspec length is {BUILDSPEC_LIMIT}")));
    }
    if of_type == "NO_SOURCE" {
        if !source["reportBuildStatus"].is_null() {
            return Err(Refusal::invalid_input("Source type NO_SOURCE does not support ReportBuildStatus"));
        }
        if !matches!(kind(buildspec), Kind::Inline(_)) {
            return Err(Refusal::invalid_input(
                "Invalid project source: buildspec must be inline for source type NO_SOURCE",
            ));
        }
    }
    let pipeline = |value: &Value| value["type"] == "CODEPIPELINE";
    if pipeline(source) != pipeline(&after["artifacts"]) {
        return Err(Refusal::invalid_input(
            "Invalid project source: when using CodePipeline both sourceType, and artifactType must be set to: CODEPIPELINE",
        ));
    }
    Ok(())
}

fn environment(account: &Account, sent: &Value, after: &Value) -> Result<(), Refusal> {
    for variable in after["environmentVariables"].as_array().into_iter().flatten() {
        let value = variable["value"].as_str().unwrap_or_default();
        if value.chars().count() > VARIABLE_LIMIT {
            return Err(Refusal::invalid_input(format!(
                "EnvironmentVariable should be at most {VARIABLE_LIMIT} characters"
            )));
        }
    }
    let image = after["image"].as_str().unwrap_or_default();
    let registry = registry_of(image);
    let with_role = after["imagePullCredentialsType"] == "SERVICE_ROLE";
    if registry == Registry::Curated && with_role {
        return Err(Refusal::invalid_input(
            "Invalid input: cannot use a CodeBuild curated image with imagePullCredentialsType SERVICE_ROLE",
        ));
    }
    let own_ecr = format!("{}.dkr.ecr.", account.account_id);
    if registry == Registry::Ecr && !with_role && !image.starts_with(&own_ecr) {
        return Err(Refusal::invalid_input(
            "Invalid input: cannot use a cross-account ECR image with imagePullCredentialsType CODEBUILD",
        ));
    }
    // Only a credential that was sent is checked: one that merely stayed does nothing without SERVICE_ROLE.
    let Some(credential) = sent["registryCredential"]["credential"].as_str() else {
        return Ok(());
    };
    if !with_role {
        return Err(Refusal::invalid_input(
            "Invalid input: registryCredential requires imagePullCredentialsType SERVICE_ROLE",
        ));
    }
    if matches!(registry, Registry::Curated | Registry::Ecr) {
        return Err(Refusal::invalid_input(
            "Invalid input: registryCredential cannot be used with a CodeBuild curated or Amazon ECR image",
        ));
    }
    if !is_secret_name_or_full_arn(credential) {
        return Err(Refusal::invalid_input(format!(
            "Invalid input: registryCredential.credential {credential} is neither the name nor the full ARN of a secret"
        )));
    }
    Ok(())
}

/// A name, or an ARN with its suffix of six characters: one without fails CodeBuild's validation.
fn is_secret_name_or_full_arn(credential: &str) -> bool {
    let name_ok =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c));
    if !credential.starts_with("arn:") {
        return name_ok(credential);
    }
    let fields: Vec<&str> = credential.split(':').collect();
    let ["arn", _, "secretsmanager", region, account, "secret", name] = fields.as_slice() else {
        return false;
    };
    let suffix_ok = name.rsplit_once('-').is_some_and(|(name, suffix)| {
        !name.is_empty() && suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric())
    });
    !region.is_empty() && account.len() == 12 && name_ok(name) && suffix_ok
}
