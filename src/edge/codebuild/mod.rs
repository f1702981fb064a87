//! CodeBuild: which builds and projects there are, one project's edit, and the start, retry and stop of a build.

mod read;
mod unrepresentable;
mod webhook;
mod write;

pub use write::{FieldWrite, ProjectText, Updated};

use crate::domain::build::{Build, BuildId, Project, ProjectName};
use crate::edge::aws::account_of;
use crate::edge::aws::calls::CountCalls;
use crate::edge::aws::failure::{CallError, Failure, answers_questions};
use aws_config::SdkConfig;
use aws_sdk_codebuild::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_codebuild::types::{self as sdk, SortOrderType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::error::Error;

/// `BatchGetBuilds` and `BatchGetProjects` take as many.
const BATCH: usize = 100;

/// CodeBuild of one account and region.
#[derive(Clone, Debug)]
pub struct CodeBuild {
    client: aws_sdk_codebuild::Client,
}

/// Where the next page begins; AWS's text, not to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(String);

/// What a look at some builds showed. An id that is in neither list was not answered for: nothing is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Those that are there.
    pub builds: Vec<Build>,
    /// Those that CodeBuild says it does not have.
    pub missing: Vec<BuildId>,
    /// The account that they are in, by their ARNs.
    pub account: Option<String>,
}

/// What a look at some projects showed. A name that is in neither list was not answered for: nothing is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookedAtProjects {
    /// Those that are there.
    pub projects: Vec<Project>,
    /// Those that CodeBuild says it does not have.
    pub missing: Vec<ProjectName>,
}

/// Why CodeBuild could not be asked, or was not.
#[derive(Debug, thiserror::Error)]
pub enum CodeBuildError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Nothing was sent: sending back what was read would lose these members.
    #[error("project {project} is not written, as this version would lose {}", paths.join(", "))]
    Unrepresentable {
        /// The project.
        project: ProjectName,
        /// What would be lost.
        paths: Vec<String>,
    },
}

answers_questions!(CodeBuildError);

impl CodeBuildError {
    /// What it came to.
    pub fn failure(&self) -> Failure {
        match self {
            CodeBuildError::Call(call) => call.failure(),
            CodeBuildError::Unrepresentable { .. } => Failure::Rejected,
        }
    }

    /// AWS's error code.
    pub fn code(&self) -> Option<&str> {
        match self {
            CodeBuildError::Call(call) => call.code(),
            CodeBuildError::Unrepresentable { .. } => None,
        }
    }
}

impl CodeBuild {
    pub(crate) fn new(config: &SdkConfig, calls: &CountCalls) -> CodeBuild {
        let config = aws_sdk_codebuild::config::Builder::from(config).interceptor(calls.clone()).build();
        CodeBuild { client: aws_sdk_codebuild::Client::from_conf(config) }
    }

    /// One page of the account's builds, newest first.
    ///
    /// The order is asked for on the first page only: CodeBuild refuses a sort order next to a token, which is also why
    /// the SDK's paginators, which repeat it, are not used.
    pub async fn list_builds(&self, page: Option<&Token>) -> Result<(Vec<BuildId>, Option<Token>), CodeBuildError> {
        let request = match page {
            None => self.client.list_builds().sort_order(SortOrderType::Descending),
            Some(Token(token)) => self.client.list_builds().next_token(token),
        };
        let answer = request.send().await.map_err(|error| failed("ListBuilds", "the account", &error))?;
        Ok((build_ids(answer.ids), answer.next_token.map(Token)))
    }

    /// The newest page of one project's builds, newest first. Gone, if there is no such project.
    ///
    /// Without a sort order, which is refused for projects of more than 100 builds; newest first is the default.
    pub async fn list_builds_of(&self, project: &ProjectName) -> Result<Vec<BuildId>, CodeBuildError> {
        let request = self.client.list_builds_for_project().project_name(project.as_str());
        let answer = request.send().await.map_err(|error| failed("ListBuildsForProject", project.as_str(), &error))?;
        Ok(build_ids(answer.ids))
    }

    /// These builds, a hundred a call, in the order asked. If one call fails, nothing is answered: half a look is none.
    pub async fn builds(&self, ids: &[BuildId]) -> Result<Looked, CodeBuildError> {
        let mut looked = Looked::default();
        for chunk in ids.chunks(BATCH) {
            let names = chunk.iter().map(|id| id.as_str().to_string()).collect();
            let request = self.client.batch_get_builds().set_ids(Some(names));
            let resource = resource_of(chunk.iter().map(BuildId::as_str), "builds");
            let answer = request.send().await.map_err(|error| failed("BatchGetBuilds", resource, &error))?;
            let found = answer.builds.unwrap_or_default();
            let account = found.first().and_then(|build| account_of(build.arn()?));
            looked.account = account.map(str::to_string).or(looked.account);
            let mut found: Vec<Build> = found.into_iter().filter_map(read::build).collect();
            found.sort_by_key(|build| chunk.iter().position(|id| *id == build.id));
            looked.builds.append(&mut found);
            looked.missing.append(&mut build_ids(answer.builds_not_found));
        }
        Ok(looked)
    }

    /// The names of all projects.
    pub async fn list_projects(&self) -> Result<Vec<ProjectName>, CodeBuildError> {
        let mut names = Vec::new();
        let mut token = None;
        loop {
            let request = self.client.list_projects().set_next_token(token.clone());
            let answer = request.send().await.map_err(|error| failed("ListProjects", "the account", &error))?;
            names.extend(answer.projects.unwrap_or_default().into_iter().map(ProjectName::new));
            match answer.next_token {
                None => return Ok(names),
                // A token that leads to itself would be followed for ever.
                same if same == token => {
                    return Err(CallError::incomplete(SERVICE, "ListProjects", "the account").into());
                }
                next => token = next,
            }
        }
    }

    /// One project, or none if there is none of this name.
    pub async fn project(&self, name: &ProjectName) -> Result<Option<Project>, CodeBuildError> {
        Ok(self.projects(std::slice::from_ref(name)).await?.pop())
    }

    /// One page of the names of projects, by name.
    pub async fn list_projects_page(
        &self,
        page: Option<&Token>,
    ) -> Result<(Vec<ProjectName>, Option<Token>), CodeBuildError> {
        let request = self.client.list_projects().set_next_token(page.map(|Token(token)| token.clone()));
        let answer = request.send().await.map_err(|error| failed("ListProjects", "the account", &error))?;
        let names = answer.projects.unwrap_or_default().into_iter().map(ProjectName::new).collect();
        Ok((names, answer.next_token.map(Token)))
    }

    /// Up to a hundred projects, as one look shows them.
    pub async fn look_at_projects(&self, names: &[ProjectName]) -> Result<LookedAtProjects, CodeBuildError> {
        let (raw, missing) = self.read_projects_and_missing(names).await?;
        let projects = raw.into_iter().filter_map(|raw| read::project(&raw.project, raw.unrepresentable)).collect();
        Ok(LookedAtProjects { projects, missing })
    }

    /// The same for any number, a hundred a call.
    pub async fn look_at_all(&self, names: &[ProjectName]) -> Result<LookedAtProjects, CodeBuildError> {
        let mut looked = LookedAtProjects::default();
        for chunk in names.chunks(BATCH) {
            let part = self.look_at_projects(chunk).await?;
            looked.projects.extend(part.projects);
            looked.missing.extend(part.missing);
        }
        Ok(looked)
    }

    /// Those of these projects that are there, a hundred a call.
    pub async fn projects(&self, names: &[ProjectName]) -> Result<Vec<Project>, CodeBuildError> {
        let mut projects = Vec::new();
        for chunk in names.chunks(BATCH) {
            let raw = self.read_projects(chunk).await?;
            projects.extend(raw.into_iter().filter_map(|raw| read::project(&raw.project, raw.unrepresentable)));
        }
        Ok(projects)
    }

    /// Runs a build once more. The token makes a repeated call within five minutes the same call, so derive it from
    /// what is retried.
    pub async fn retry_build(&self, id: &BuildId, token: &str) -> Result<Build, CodeBuildError> {
        let request = self.client.retry_build().id(id.as_str()).idempotency_token(token);
        let answer = request.send().await.map_err(|error| failed("RetryBuild", id.as_str(), &error))?;
        started("RetryBuild", id.as_str(), answer.build_value)
    }

    /// Starts a build of the project as it is configured now, of this source version or the project's own.
    pub async fn start_build(
        &self,
        project: &ProjectName,
        source_version: Option<&str>,
        token: &str,
    ) -> Result<Build, CodeBuildError> {
        let request = self.client.start_build().project_name(project.as_str()).idempotency_token(token);
        let request = request.set_source_version(source_version.map(str::to_string));
        let answer = request.send().await.map_err(|error| failed("StartBuild", project.as_str(), &error))?;
        started("StartBuild", project.as_str(), answer.build_value)
    }

    /// Asks for a build to be stopped.
    pub async fn stop_build(&self, id: &BuildId) -> Result<(), CodeBuildError> {
        let request = self.client.stop_build().id(id.as_str());
        request.send().await.map_err(|error| failed("StopBuild", id.as_str(), &error))?;
        Ok(())
    }
}

const SERVICE: &str = "CodeBuild";

fn failed<E>(operation: &'static str, resource: impl Into<String>, error: &SdkError<E, HttpResponse>) -> CodeBuildError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    CallError::new(SERVICE, operation, resource, error).into()
}

fn started(operation: &'static str, resource: &str, build: Option<sdk::Build>) -> Result<Build, CodeBuildError> {
    let build = build.and_then(read::build);
    build.ok_or_else(|| CallError::incomplete(SERVICE, operation, resource).into())
}

fn build_ids(ids: Option<Vec<String>>) -> Vec<BuildId> {
    ids.unwrap_or_default().into_iter().map(BuildId::new).collect()
}

/// The one, or how many.
fn resource_of<'a>(mut names: impl ExactSizeIterator<Item = &'a str>, kind: &str) -> String {
    match (names.len(), names.next()) {
        (1, Some(name)) => name.to_string(),
        (count, _) => format!("{count} {kind}"),
    }
}
