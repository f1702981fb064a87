//! Reads what `aws codebuild batch-get-builds` prints, so that a diagnosis needs no AWS access.

use crate::domain::build::{
    Build, BuildId, Buildspec, Context, Environment, LogPlace, Phase, PhaseName, ProjectName, RoleName, Status,
    Variable, VariableSource,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Why a text is no answer of `batch-get-builds`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON at all.
    #[error("not JSON (a log is named without `--build`)")]
    NotJson(#[source] serde_json::Error),
    /// JSON of another shape.
    #[error("JSON, but not the answer of `aws codebuild batch-get-builds`: {0}")]
    OtherShape(&'static str),
    /// The right outline with a member that is not as CodeBuild writes it.
    #[error("build {0} of the answer is not as CodeBuild writes it: {1}")]
    BadBuild(usize, String),
}

/// The builds of an answer, in its order. Takes the whole answer, its `builds` list, or one build.
pub fn read(json: &[u8]) -> Result<Vec<Build>, Error> {
    let value: Value = serde_json::from_slice(json).map_err(Error::NotJson)?;
    let builds = match value {
        Value::Array(builds) => builds,
        Value::Object(mut object) => match object.remove("builds") {
            Some(Value::Array(builds)) => builds,
            Some(_) => return Err(Error::OtherShape("its `builds` is no list")),
            None if object.contains_key("phases") => vec![Value::Object(object)],
            None => return Err(Error::OtherShape("it has no `builds`")),
        },
        _ => return Err(Error::OtherShape("it is no object")),
    };
    if builds.is_empty() {
        return Err(Error::OtherShape("its list of builds is empty; see its `buildsNotFound`"));
    }
    let builds = builds.into_iter().enumerate();
    builds
        .map(|(index, build)| {
            Ok(raw(build).map_err(|error| Error::BadBuild(index + 1, without_values(&error)))?.into())
        })
        .collect()
}

fn raw(build: Value) -> Result<RawBuild, serde_json::Error> {
    serde_json::from_value(build)
}

/// What was expected. What was found instead may be the value of somebody's variable, and is not told.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None if text.starts_with("missing field `") => text,
        None => "it has another shape".to_string(),
    }
}

/// CodeBuild leaves out what it has no value for, and may add members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBuild {
    id: String,
    build_number: Option<i64>,
    project_name: Option<String>,
    build_status: Option<String>,
    #[serde(default)]
    build_complete: bool,
    start_time: Option<Value>,
    end_time: Option<Value>,
    #[serde(default)]
    phases: Vec<RawPhase>,
    #[serde(default)]
    environment: RawEnvironment,
    #[serde(default)]
    source: RawSource,
    service_role: Option<String>,
    #[serde(default)]
    logs: RawLogs,
    initiator: Option<String>,
    source_version: Option<String>,
    resolved_source_version: Option<String>,
    build_batch_arn: Option<String>,
    auto_retry_config: Option<RawRetry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRetry {
    next_auto_retry: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPhase {
    phase_type: String,
    phase_status: Option<String>,
    start_time: Option<Value>,
    end_time: Option<Value>,
    #[serde(default)]
    contexts: Vec<RawContext>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContext {
    #[serde(default)]
    status_code: String,
    #[serde(default)]
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawEnvironment {
    r#type: String,
    image: String,
    registry_credential: Option<RawCredential>,
    image_pull_credentials_type: Option<String>,
    environment_variables: Vec<RawVariable>,
}

#[derive(Deserialize)]
struct RawCredential {
    credential: String,
}

/// The value of a plain variable is read only to be dropped.
#[derive(Deserialize)]
struct RawVariable {
    name: String,
    #[serde(default)]
    value: String,
    r#type: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSource {
    r#type: String,
    buildspec: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawLogs {
    group_name: Option<String>,
    stream_name: Option<String>,
}

impl From<RawBuild> for Build {
    fn from(raw: RawBuild) -> Build {
        let id = BuildId::new(raw.id);
        let log = match (raw.logs.group_name, raw.logs.stream_name) {
            (Some(group), Some(stream)) => LogPlace::CloudWatch { group, stream },
            _ => LogPlace::None,
        };
        Build {
            project: raw.project_name.map_or_else(|| id.project(), ProjectName::new),
            id,
            number: raw.build_number,
            status: Status::of(raw.build_status.as_deref().unwrap_or_default()),
            complete: raw.build_complete,
            started: time(raw.start_time.as_ref()),
            ended: time(raw.end_time.as_ref()),
            phases: raw.phases.into_iter().map(Phase::from).collect(),
            environment: raw.environment.into(),
            buildspec: Buildspec::of(raw.source.buildspec.as_deref()),
            source_kind: raw.source.r#type,
            role: raw.service_role.as_deref().map(RoleName::of),
            log,
            initiator: raw.initiator,
            source_version: raw.source_version,
            resolved_source_version: raw.resolved_source_version,
            batch: raw.build_batch_arn,
            next_auto_retry: raw.auto_retry_config.and_then(|retry| retry.next_auto_retry),
        }
    }
}

impl From<RawPhase> for Phase {
    fn from(raw: RawPhase) -> Phase {
        let contexts = raw.contexts.into_iter();
        Phase {
            name: PhaseName::new(raw.phase_type),
            status: raw.phase_status.as_deref().map(Status::of),
            started: time(raw.start_time.as_ref()),
            ended: time(raw.end_time.as_ref()),
            contexts: contexts.map(|raw| Context { code: raw.status_code, message: raw.message }).collect(),
        }
    }
}

impl From<RawEnvironment> for Environment {
    fn from(raw: RawEnvironment) -> Environment {
        Environment {
            kind: raw.r#type,
            image: raw.image,
            registry_credential: raw.registry_credential.map(|credential| credential.credential),
            pull_credentials: raw.image_pull_credentials_type,
            variables: raw.environment_variables.into_iter().map(Variable::from).collect(),
        }
    }
}

impl From<RawVariable> for Variable {
    fn from(raw: RawVariable) -> Variable {
        let source = match raw.r#type.as_deref() {
            None | Some("PLAINTEXT") => VariableSource::Plaintext,
            Some("SECRETS_MANAGER") => VariableSource::SecretsManager(raw.value),
            Some(other) => VariableSource::Other(other.to_string()),
        };
        Variable { name: raw.name, source }
    }
}

/// The AWS CLI writes seconds since 1970 (version 1) or ISO 8601 (version 2).
fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::String(text) => text.parse().ok(),
        Value::Number(seconds) => Timestamp::from_millisecond((seconds.as_f64()? * 1000.0) as i64).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{
      "builds": [{
        "id": "web:0f3a", "buildNumber": 41, "buildStatus": "FAILED", "buildComplete": true,
        "startTime": 1731999600.5, "endTime": "2024-11-19T07:05:00.000000+00:00",
        "phases": [
          {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED"},
          {"phaseType": "PROVISIONING", "phaseStatus": "CLIENT_ERROR",
           "contexts": [{"statusCode": "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", "message": "m"}]},
          {"phaseType": "COMPLETED"}
        ],
        "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {}"},
        "environment": {
          "type": "LINUX_CONTAINER", "image": "node:22", "imagePullCredentialsType": "SERVICE_ROLE",
          "registryCredential": {"credential": "dockerhub", "credentialProvider": "SECRETS_MANAGER"},
          "environmentVariables": [
            {"name": "PLAIN", "value": "hunter2", "type": "PLAINTEXT"},
            {"name": "REF", "value": "dockerhub:username", "type": "SECRETS_MANAGER"},
            {"name": "SSM", "value": "/x", "type": "PARAMETER_STORE"}
          ]
        },
        "logs": {"groupName": "/aws/codebuild/web", "streamName": "0f3a", "deepLink": "x"},
        "serviceRole": "arn:aws:iam::111122223333:role/service-role/web"
      }],
      "buildsNotFound": []
    }"#;

    #[test]
    fn an_answer_becomes_builds() {
        let builds = read(ANSWER.as_bytes()).unwrap();
        let [build] = builds.as_slice() else { panic!("one build") };
        assert_eq!(build.id.as_str(), "web:0f3a");
        assert_eq!(build.project.as_str(), "web");
        assert_eq!(build.status, Status::Failed("FAILED".to_string()));
        assert_eq!(build.started.unwrap().to_string(), "2024-11-19T07:00:00.5Z");
        assert_eq!(build.ended.unwrap().to_string(), "2024-11-19T07:05:00Z");
        assert_eq!(build.failed_phases().next().unwrap().name.as_str(), "PROVISIONING");
        assert_eq!(build.environment.registry_credential.as_deref(), Some("dockerhub"));
        assert_eq!(build.role.as_ref().unwrap().as_str(), "web");
        assert!(matches!(build.buildspec, Buildspec::Inline(_)));
        assert_eq!(build.log, LogPlace::CloudWatch { group: "/aws/codebuild/web".into(), stream: "0f3a".into() });
    }

    #[test]
    fn the_value_of_a_plain_variable_is_not_kept() {
        let builds = read(ANSWER.as_bytes()).unwrap();
        assert!(!format!("{builds:?}").contains("hunter2"));
        let reference = builds[0].environment.variable("REF").unwrap();
        assert_eq!(reference.source, VariableSource::SecretsManager("dockerhub:username".to_string()));
    }

    #[test]
    fn a_list_or_one_build_is_taken_too() {
        let answer: Value = serde_json::from_str(ANSWER).unwrap();
        assert_eq!(read(answer["builds"].to_string().as_bytes()).unwrap().len(), 1);
        assert_eq!(read(answer["builds"][0].to_string().as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn another_shape_is_named() {
        let message = |json: &str| read(json.as_bytes()).unwrap_err().to_string();
        assert!(message("x").starts_with("not JSON"));
        assert!(message("7").contains("it is no object"));
        assert!(message("{\"projects\": []}").contains("it has no `builds`"));
        assert!(message("{\"builds\": 1}").contains("no list"));
        assert!(message("{\"builds\": [], \"buildsNotFound\": [\"a\"]}").contains("buildsNotFound"));
        assert!(message("{\"builds\": [{}]}").contains("build 1") && message("[{}]").contains("missing field `id`"));
    }

    #[test]
    fn an_error_shows_no_value() {
        let json = r#"[{"id": "a:b", "environment": {"environmentVariables": "hunter2, expected nothing"}}]"#;
        let message = read(json.as_bytes()).unwrap_err().to_string();
        assert!(message.ends_with("expected a sequence") && !message.contains("hunter2"), "{message}");
    }
}
