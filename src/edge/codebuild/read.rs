//! From CodeBuild's types to ours: total, whatever is missing or was never seen before, and without plain values.

use super::webhook;
use crate::domain::build::{
    Build, BuildId, Buildspec, Context, Environment, LogPlace, Phase, PhaseName, Project, ProjectName, PullRequests,
    RoleName, Status, Variable, VariableSource, Visibility,
};
use aws_sdk_codebuild::primitives::DateTime;
use aws_sdk_codebuild::types::{self as sdk, EnvironmentVariableType, LogsConfigStatusType, ProjectVisibilityType};
use jiff::Timestamp;

/// A build; none if the answer does not say which one it is.
pub(super) fn build(build: sdk::Build) -> Option<Build> {
    let id = BuildId::new(build.id?);
    let project = build.project_name.map_or_else(|| id.project(), ProjectName::new);
    let source = build.source.as_ref();
    Some(Build {
        number: build.build_number,
        project,
        status: status(build.build_status.as_ref()),
        complete: build.build_complete,
        started: timestamp(build.start_time),
        ended: timestamp(build.end_time),
        phases: build.phases.unwrap_or_default().into_iter().filter_map(phase).collect(),
        environment: environment(build.environment.as_ref()),
        buildspec: Buildspec::of(source.and_then(|source| source.buildspec())),
        source_kind: source.map(|source| source.r#type.as_str().to_string()).unwrap_or_default(),
        role: build.service_role.as_deref().filter(|role| !role.is_empty()).map(RoleName::of),
        log: log_place(build.logs.as_ref()),
        initiator: build.initiator,
        source_version: build.source_version,
        resolved_source_version: build.resolved_source_version,
        batch: build.build_batch_arn,
        next_auto_retry: build.auto_retry_config.and_then(|config| config.next_auto_retry),
        id,
    })
}

/// A project; none if the answer does not say which one it is.
pub(super) fn project(project: &sdk::Project, unrepresentable: Vec<String>) -> Option<Project> {
    let source = project.source();
    let mut tags: Vec<(String, String)> = project.tags().iter().filter_map(tag).collect();
    tags.sort();
    Some(Project {
        name: ProjectName::new(project.name()?),
        created: timestamp(project.created),
        environment: environment(project.environment()),
        buildspec: Buildspec::of(source.and_then(|source| source.buildspec())),
        source_kind: source.map(|source| source.r#type.as_str().to_string()).unwrap_or_default(),
        role_arn: project.service_role().map(str::to_string),
        tags,
        visibility: match project.project_visibility() {
            // CodeBuild's default is private.
            None | Some(ProjectVisibilityType::Private) => Visibility::Private,
            Some(_) => Visibility::Public,
        },
        pull_requests: project.webhook().map_or(PullRequests::Nobodys, webhook::pull_requests),
        is_runner: project.webhook().is_some_and(webhook::is_runner),
        // An empty structure is how a batch configuration is cleared.
        has_batch: project.build_batch_config().is_some_and(|batch| *batch != empty_batch()),
        unrepresentable,
    })
}

/// An absent status is one that nothing is concluded from.
fn status(status: Option<&sdk::StatusType>) -> Status {
    Status::of(status.map(sdk::StatusType::as_str).unwrap_or_default())
}

fn phase(phase: sdk::BuildPhase) -> Option<Phase> {
    Some(Phase {
        name: PhaseName::new(phase.phase_type?.as_str()),
        status: phase.phase_status.map(|status| Status::of(status.as_str())),
        started: timestamp(phase.start_time),
        ended: timestamp(phase.end_time),
        contexts: phase.contexts.unwrap_or_default().into_iter().map(context).collect(),
    })
}

fn context(context: sdk::PhaseContext) -> Context {
    Context { code: context.status_code.unwrap_or_default(), message: context.message.unwrap_or_default() }
}

fn environment(environment: Option<&sdk::ProjectEnvironment>) -> Environment {
    let Some(environment) = environment else {
        return Environment {
            kind: String::new(),
            image: String::new(),
            registry_credential: None,
            pull_credentials: None,
            variables: Vec::new(),
        };
    };
    Environment {
        kind: environment.r#type.as_str().to_string(),
        image: environment.image.clone(),
        registry_credential: environment.registry_credential().map(|credential| credential.credential.clone()),
        pull_credentials: environment.image_pull_credentials_type().map(|kind| kind.as_str().to_string()),
        variables: environment.environment_variables().iter().map(variable).collect(),
    }
}

fn variable(variable: &sdk::EnvironmentVariable) -> Variable {
    let source = match variable.r#type() {
        None | Some(EnvironmentVariableType::Plaintext) => VariableSource::Plaintext,
        Some(EnvironmentVariableType::SecretsManager) => VariableSource::SecretsManager(variable.value.clone()),
        Some(other) => VariableSource::Other(other.as_str().to_string()),
    };
    Variable { name: variable.name.clone(), source }
}

/// Both names must be there: `cloudWatchLogs.streamName` is only a prefix, and a queued build has neither.
fn log_place(logs: Option<&sdk::LogsLocation>) -> LogPlace {
    let Some(logs) = logs else {
        return LogPlace::None;
    };
    let disabled = logs.cloud_watch_logs().is_some_and(|config| config.status == LogsConfigStatusType::Disabled);
    match (logs.group_name(), logs.stream_name()) {
        (Some(group), Some(stream)) if !disabled && !group.is_empty() && !stream.is_empty() => {
            LogPlace::CloudWatch { group: group.to_string(), stream: stream.to_string() }
        }
        _ => LogPlace::None,
    }
}

fn empty_batch() -> sdk::ProjectBuildBatchConfig {
    sdk::ProjectBuildBatchConfig::builder().build()
}

fn tag(tag: &sdk::Tag) -> Option<(String, String)> {
    Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))
}

/// To the millisecond, which is what CodeBuild knows: the wire has a fraction of seconds, whose last digits are noise.
fn timestamp(time: Option<DateTime>) -> Option<Timestamp> {
    let milliseconds = (time?.as_secs_f64() * 1000.0).round();
    Timestamp::from_millisecond(milliseconds as i64).ok()
}
