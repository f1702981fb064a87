//! Which projects use a secret, and for what.

use crate::cli::output::{Cell, Tone};
use crate::domain::build::{Project, ProjectName, SecretArn, VariableSource};
use crate::edge::codebuild::{CodeBuild, CodeBuildError};
use serde_json::{Value, json};

/// A project that names the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Which.
    pub project: ProjectName,
    /// Its image is pulled with it.
    pulls_image: bool,
    /// Variables that get a value from it.
    variables: Vec<String>,
    /// Those of them that name an older or a fixed version, and don't follow a rotation.
    fixed: Vec<String>,
}

/// All projects of the account and region that name the secret, by name.
pub async fn find(codebuild: &CodeBuild, secret: &SecretArn) -> Result<Vec<User>, CodeBuildError> {
    let names = codebuild.list_projects().await?;
    let projects = codebuild.projects(&names).await?;
    let mut users: Vec<User> = projects.iter().filter_map(|project| User::of(project, secret)).collect();
    users.sort_by(|a, b| a.project.cmp(&b.project));
    Ok(users)
}

impl User {
    fn of(project: &Project, secret: &SecretArn) -> Option<User> {
        let environment = &project.environment;
        let mut user = User {
            project: project.name.clone(),
            pulls_image: environment.registry_credential.as_deref().is_some_and(|name| secret.is_meant_by(name)),
            variables: Vec::new(),
            fixed: Vec::new(),
        };
        for variable in &environment.variables {
            match &variable.source {
                VariableSource::SecretsManager(reference) if secret.is_meant_by(reference) => {
                    user.variables.push(variable.name.clone());
                    if is_fixed(reference) {
                        user.fixed.push(variable.name.clone());
                    }
                }
                _ => (),
            }
        }
        (user.pulls_image || !user.variables.is_empty()).then_some(user)
    }

    /// For people.
    pub fn told(&self) -> Cell {
        let mut parts = Vec::new();
        if self.pulls_image {
            parts.push("its build image".to_string());
        }
        if !self.variables.is_empty() {
            parts.push(self.variables.join(", "));
        }
        let text = parts.join("; ");
        if self.fixed.is_empty() {
            return text.into();
        }
        let fixed = self.fixed.join(", ");
        Cell::new(Tone::Warn, format!("{text}; {fixed} stays at another version and does not follow the rotation"))
    }

    /// For programs.
    pub fn json(&self, by_us: bool) -> Value {
        json!({ "project": self.project, "by_unthrottled": by_us, "build_image": self.pulls_image, "variables": self.variables,
            "fixed_variables": self.fixed })
    }
}

/// Whether `<secret>[:<key>[:<stage>[:<version>]]]` names a version of its own.
fn is_fixed(reference: &str) -> bool {
    let fields_of_secret = if reference.starts_with("arn:") { 7 } else { 1 };
    let mut rest = reference.split(':').skip(fields_of_secret + 1);
    let stage = rest.next().unwrap_or_default();
    let version = rest.next().unwrap_or_default();
    !version.is_empty() || !matches!(stage, "" | "AWSCURRENT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("dockerhub", false)]
    #[case("dockerhub:password", false)]
    #[case("dockerhub:password:AWSCURRENT", false)]
    #[case("dockerhub:password:AWSPREVIOUS", true)]
    #[case("dockerhub:password::0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a", true)]
    #[case("arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub-AbCdEf:password", false)]
    #[case("arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub-AbCdEf:password:AWSPREVIOUS", true)]
    fn a_reference_can_be_of_a_fixed_version(#[case] reference: &str, #[case] fixed: bool) {
        assert_eq!(is_fixed(reference), fixed);
    }
}
