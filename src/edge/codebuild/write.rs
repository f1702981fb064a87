//! The one edit of a project: read again, compared, sent back whole with only our fields changed.

use super::unrepresentable::RawProject;
use super::{CodeBuild, CodeBuildError, read};
use crate::domain::build::{Project, ProjectName};
use aws_sdk_codebuild::types::{
    self as sdk, CredentialProviderType, EnvironmentVariable, EnvironmentVariableType, ImagePullCredentialsType,
    ProjectEnvironment, ProjectSource, SourceType,
};

/// A project as read just before a write, with the text that its buildspec has.
#[derive(Debug)]
pub struct ProjectText<'a> {
    /// The project.
    pub project: &'a Project,
    /// `source.buildspec` as it is: a text, a path, an ARN, or nothing.
    pub buildspec: Option<&'a str>,
}

/// All that may ever be written to a project: what is not here can't be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldWrite {
    /// The secret that the build image is pulled with; none takes it away.
    RegistryCredential(Option<String>),
    /// `SERVICE_ROLE` or `CODEBUILD`; none as if it had never been set.
    PullCredentials(Option<String>),
    /// The build image.
    Image(String),
    /// A variable that refers to Secrets Manager. It replaces the last one of its name, or is appended.
    Variable {
        /// Its name.
        name: String,
        /// What it refers to; none takes the last one of this name away.
        reference: Option<String>,
    },
    /// The whole new text of the buildspec.
    Buildspec(String),
}

/// What an update came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Sent; this is the project in the answer. What a project is, only a look tells.
    Written(Box<Project>),
    /// Not sent, as the project is not what the edit was decided on.
    NotAsExpected,
    /// There is no such project.
    Gone,
}

impl CodeBuild {
    /// Edits a project.
    ///
    /// # Expected flow
    /// The project is read, `edit` looks at it and answers what to write, and one `UpdateProject` is sent. No call lies
    /// between `edit` and the write, so what else has to hold then is asked there, too.
    ///
    /// # Guarantees
    /// Nothing is sent if `edit` answers none (the project is no longer as expected) or an empty list, if a variable
    /// that would be touched does not refer to Secrets Manager, or if the SDK can't represent what was read. What is
    /// sent is the environment and the tags as read, the source only if the buildspec changes, and nothing else.
    ///
    /// # Caveats
    /// `UpdateProject` has no precondition: an edit by someone else between our read and our write is lost.
    pub async fn update_project(
        &self,
        name: &ProjectName,
        edit: impl AsyncFnOnce(&ProjectText<'_>) -> Option<Vec<FieldWrite>>,
    ) -> Result<Updated, CodeBuildError> {
        let Some(raw) = self.read_projects(std::slice::from_ref(name)).await?.pop() else {
            return Ok(Updated::Gone);
        };
        let RawProject { project: sent, unrepresentable } = raw;
        let Some(project) = read::project(&sent, unrepresentable) else {
            return Ok(Updated::Gone);
        };
        let buildspec = sent.source().and_then(|source| source.buildspec());
        let Some(writes) = edit(&ProjectText { project: &project, buildspec }).await else {
            return Ok(Updated::NotAsExpected);
        };
        if writes.is_empty() {
            return Ok(Updated::Written(Box::new(project)));
        }
        if !project.unrepresentable.is_empty() {
            return Err(CodeBuildError::Unrepresentable { project: project.name, paths: project.unrepresentable });
        }
        let Some(change) = Change::of(sent, writes) else {
            return Ok(Updated::NotAsExpected);
        };
        self.send(name, change).await
    }

    async fn send(&self, name: &ProjectName, change: Change) -> Result<Updated, CodeBuildError> {
        let private = change.private_texts();
        let request = self.client.update_project().name(name.as_str());
        let request = request.environment(change.environment).set_source(change.source).set_tags(Some(change.tags));
        match self.send_update(name, request).await {
            Ok(raw) => Ok(read::project(&raw.project, raw.unrepresentable)
                .map_or(Updated::Gone, |project| Updated::Written(Box::new(project)))),
            Err(error) if error.is_gone() => Ok(Updated::Gone),
            Err(CodeBuildError::Call(call)) => Err(call.without(&private).into()),
            Err(error) => Err(error),
        }
    }
}

/// What an update sends besides the name.
struct Change {
    environment: ProjectEnvironment,
    source: Option<ProjectSource>,
    tags: Vec<sdk::Tag>,
}

impl Change {
    /// The project as read with our fields changed; none if that would touch what is not ours.
    fn of(project: sdk::Project, writes: Vec<FieldWrite>) -> Option<Change> {
        let mut environment = project.environment?;
        // An empty list is sent as such: what CodeBuild does with a list left out is not documented.
        environment.environment_variables.get_or_insert_default();
        let mut source = None;
        for write in writes {
            match write {
                FieldWrite::RegistryCredential(credential) => {
                    environment.registry_credential = match credential {
                        Some(credential) => Some(registry_credential(credential)?),
                        None => None,
                    };
                }
                FieldWrite::PullCredentials(kind) => set_pull_credentials(&mut environment, kind.as_deref()),
                FieldWrite::Image(image) => environment.image = image,
                FieldWrite::Variable { name, reference } => {
                    set_variable(environment.environment_variables.get_or_insert_default(), name, reference)?;
                }
                FieldWrite::Buildspec(text) => {
                    let mut whole = acceptable(project.source.clone()?);
                    whole.buildspec = Some(text);
                    source = Some(whole);
                }
            }
        }
        Some(Change { environment, source, tags: own_tags(project.tags) })
    }

    /// What a validation error of AWS might quote and no log may show.
    fn private_texts(&self) -> Vec<String> {
        let variables = self.environment.environment_variables().iter();
        let mut texts: Vec<String> = variables.map(|variable| variable.value.clone()).collect();
        texts.extend(self.source.as_ref().and_then(|source| source.buildspec.clone()));
        texts.extend(self.source.as_ref().and_then(|source| source.location.clone()));
        texts
    }
}

fn registry_credential(credential: String) -> Option<sdk::RegistryCredential> {
    let provider = CredentialProviderType::SecretsManager;
    sdk::RegistryCredential::builder().credential(credential).credential_provider(provider).build().ok()
}

/// CodeBuild keeps the value that it has when the member is left out, so that "as if never set" must be said as what
/// the absent member means.
fn set_pull_credentials(environment: &mut ProjectEnvironment, kind: Option<&str>) {
    environment.image_pull_credentials_type = match (kind, &environment.image_pull_credentials_type) {
        (Some(kind), _) => Some(ImagePullCredentialsType::from(kind)),
        (None, Some(_)) => Some(ImagePullCredentialsType::Codebuild),
        (None, None) => None,
    };
}

/// None if the variable there is a plain value or a parameter: neither could be put back from what we remember.
fn set_variable(variables: &mut Vec<EnvironmentVariable>, name: String, reference: Option<String>) -> Option<()> {
    let place = variables.iter().rposition(|variable| variable.name == name);
    if place.is_some_and(|place| variables[place].r#type != Some(EnvironmentVariableType::SecretsManager)) {
        return None;
    }
    match (place, reference) {
        (Some(place), Some(reference)) => variables[place].value = reference,
        (None, Some(reference)) => {
            let ours = EnvironmentVariable::builder().name(name).value(reference);
            variables.push(ours.r#type(EnvironmentVariableType::SecretsManager).build().ok()?);
        }
        (Some(place), None) => {
            variables.remove(place);
        }
        (None, None) => {}
    }
    Some(())
}

/// The source without the members that CodeBuild answers but refuses to take for this type of source.
fn acceptable(mut source: ProjectSource) -> ProjectSource {
    let reports = matches!(
        source.r#type,
        SourceType::Github
            | SourceType::GithubEnterprise
            | SourceType::Bitbucket
            | SourceType::Gitlab
            | SourceType::GitlabSelfManaged
    );
    let is_git = reports || source.r#type == SourceType::Codecommit;
    if !reports {
        source.report_build_status = None;
        source.build_status_config = None;
    }
    if !is_git {
        source.git_submodules_config = None;
    }
    source
}

/// All tags but AWS's own, which can't be sent: tags that an update leaves out are removed.
fn own_tags(tags: Option<Vec<sdk::Tag>>) -> Vec<sdk::Tag> {
    let own = |tag: &sdk::Tag| tag.key().is_some_and(|key| !key.starts_with("aws:"));
    tags.unwrap_or_default().into_iter().filter(own).collect()
}
