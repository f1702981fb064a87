//! Which members of an answered project the SDK can't send back, and projects read together with them.
//!
//! The typed SDK drops members that AWS added after it was made. `UpdateProject` takes an `environment`, a `source` and
//! a list of tags only as a whole, so sending back a typed copy would delete such a member from the customer's project.
//! The answer's own JSON is therefore held against the SDK's schemas.

use super::{CodeBuild, CodeBuildError, SERVICE, failed, resource_of};
use crate::domain::build::ProjectName;
use crate::edge::aws::failure::CallError;
use aws_sdk_codebuild::types as sdk;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_schema::Schema;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A project in the SDK's type, with what that type could not take. It holds plain environment values and never leaves
/// this edge.
pub(super) struct RawProject {
    pub(super) project: sdk::Project,
    pub(super) unrepresentable: Vec<String>,
}

impl CodeBuild {
    /// Reads up to a hundred projects; those that are not there are left out.
    pub(super) async fn read_projects(&self, names: &[ProjectName]) -> Result<Vec<RawProject>, CodeBuildError> {
        Ok(self.read_projects_and_missing(names).await?.0)
    }

    /// Reads up to a hundred projects, and which of them CodeBuild says it does not have.
    pub(super) async fn read_projects_and_missing(
        &self,
        names: &[ProjectName],
    ) -> Result<(Vec<RawProject>, Vec<ProjectName>), CodeBuildError> {
        let capture = Capture::default();
        let request = self.client.batch_get_projects();
        let request = request.set_names(Some(names.iter().map(|name| name.as_str().to_string()).collect()));
        let resource = resource_of(names.iter().map(ProjectName::as_str), "projects");
        let answer = request.customize().interceptor(capture.clone()).send().await;
        let answer = answer.map_err(|error| failed("BatchGetProjects", resource, &error))?;
        let body = capture.take();
        let raw = body.get("projects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let missing = answer.projects_not_found.unwrap_or_default().into_iter().map(ProjectName::new).collect();
        let projects = answer.projects.unwrap_or_default().into_iter();
        let projects = projects
            .map(|project| RawProject::new(project, |name| raw.iter().find(|raw| raw["name"] == name)))
            .collect();
        Ok((projects, missing))
    }

    /// Sends an update, and reads the project in the answer.
    pub(super) async fn send_update(
        &self,
        name: &ProjectName,
        request: aws_sdk_codebuild::operation::update_project::builders::UpdateProjectFluentBuilder,
    ) -> Result<RawProject, CodeBuildError> {
        let capture = Capture::default();
        let answer = request.customize().interceptor(capture.clone()).send().await;
        let answer = answer.map_err(|error| failed("UpdateProject", name.as_str(), &error))?;
        let body = capture.take();
        let project = answer.project.ok_or_else(|| CallError::incomplete(SERVICE, "UpdateProject", name.as_str()))?;
        Ok(RawProject::new(project, |_| body.get("project")))
    }
}

impl RawProject {
    fn new<'a>(project: sdk::Project, find: impl FnOnce(&str) -> Option<&'a Value>) -> RawProject {
        let raw = project.name().and_then(find);
        RawProject { unrepresentable: raw.map_or_else(|| vec!["project".to_string()], paths), project }
    }
}

/// Keeps the body of the answer to one call.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Option<Vec<u8>>>>);

/// The body holds plain environment values.
impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capture")
    }
}

#[dyn_dispatch_hint]
impl Intercept for Capture {
    fn name(&self) -> &'static str {
        "CaptureBody"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().map(<[u8]>::to_vec);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Ok(())
    }
}

impl Capture {
    /// The body as JSON, or null: then every project of it counts as unrepresentable.
    fn take(self) -> Value {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null)
    }
}

/// A structure that the SDK knows: its members, those of them that must be there, and the structures within.
struct Known {
    schema: &'static Schema<'static>,
    required: &'static [&'static str],
    within: &'static [(&'static str, Known)],
}

const ENVIRONMENT: Known = Known {
    schema: sdk::ProjectEnvironment::SCHEMA,
    required: &["type", "image", "computeType"],
    within: &[
        ("computeConfiguration", Known::leaf(sdk::ComputeConfiguration::SCHEMA, &[])),
        ("fleet", Known::leaf(sdk::ProjectFleet::SCHEMA, &[])),
        ("environmentVariables", Known::leaf(sdk::EnvironmentVariable::SCHEMA, &["name", "value"])),
        ("registryCredential", Known::leaf(sdk::RegistryCredential::SCHEMA, &["credential", "credentialProvider"])),
        (
            "dockerServer",
            Known {
                schema: sdk::DockerServer::SCHEMA,
                required: &["computeType"],
                within: &[("status", Known::leaf(sdk::DockerServerStatus::SCHEMA, &[]))],
            },
        ),
    ],
};

const SOURCE: Known = Known {
    schema: sdk::ProjectSource::SCHEMA,
    required: &["type"],
    within: &[
        ("gitSubmodulesConfig", Known::leaf(sdk::GitSubmodulesConfig::SCHEMA, &["fetchSubmodules"])),
        ("auth", Known::leaf(sdk::SourceAuth::SCHEMA, &["type"])),
        ("buildStatusConfig", Known::leaf(sdk::BuildStatusConfig::SCHEMA, &[])),
    ],
};

const TAG: Known = Known::leaf(sdk::Tag::SCHEMA, &["key", "value"]);

/// What is sent back, and only that: members elsewhere stay untouched by an update that leaves them out.
const SENT_BACK: [(&str, &Known); 3] = [("environment", &ENVIRONMENT), ("source", &SOURCE), ("tags", &TAG)];

impl Known {
    const fn leaf(schema: &'static Schema<'static>, required: &'static [&'static str]) -> Known {
        Known { schema, required, within: &[] }
    }

    fn structure(&self, path: &str, members: &Map<String, Value>, lost: &mut Vec<String>) {
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("{path}.{name}");
            match (self.schema.member_schema(name), self.within(name)) {
                (None, _) => lost.push(path),
                (Some(_), Some(known)) => known.value(&path, value, lost),
                // A structure that the table does not go into can't be vouched for.
                (Some(_), None) if holds_structures(value) => lost.push(path),
                (Some(_), None) => {}
            }
        }
        let absent = |name: &&&str| members.get(**name).is_none_or(Value::is_null);
        // The SDK fills in what must be there and is not, and would send back what it made up.
        lost.extend(self.required.iter().filter(absent).map(|name| format!("{path}.{name} (absent)")));
    }

    fn value(&self, path: &str, value: &Value, lost: &mut Vec<String>) {
        match value {
            Value::Object(members) => self.structure(path, members, lost),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&format!("{path}[{index}]"), item, lost);
                }
            }
            _ => lost.push(path.to_string()),
        }
    }

    fn within(&self, name: &str) -> Option<&Known> {
        self.within.iter().find(|(member, _)| *member == name).map(|(_, known)| known)
    }
}

fn holds_structures(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_structures),
        _ => false,
    }
}

/// The paths of a project's members that would be lost if what the SDK read of it were sent back.
fn paths(project: &Value) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, known) in SENT_BACK {
        match project.get(name) {
            None | Some(Value::Null) if name == "environment" => lost.push(format!("{name} (absent)")),
            None | Some(Value::Null) => {}
            Some(value) => known.value(name, value, &mut lost),
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn project() -> Value {
        json!({
            "name": "web",
            "environment": {"type": "LINUX_CONTAINER", "image": "node:22", "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [{"name": "A", "value": "1", "type": "PLAINTEXT"}],
                "dockerServer": {"computeType": "BUILD_GENERAL1_SMALL", "securityGroupIds": ["sg-1"]}},
            "source": {"type": "GITHUB", "auth": {"type": "OAUTH"}},
            "tags": [{"key": "team", "value": "web"}],
            "someNewMember": {"of": "the project itself, which an update leaves alone"},
        })
    }

    /// The project with one value put in, by JSON pointer.
    fn project_with(place: &str, name: &str, value: Value) -> Vec<String> {
        let mut project = project();
        project.pointer_mut(place).unwrap()[name] = value;
        paths(&project)
    }

    #[test]
    fn what_the_sdk_knows_is_not_lost() {
        assert_eq!(paths(&project()), Vec::<String>::new());
    }

    #[test]
    fn new_members_are_found_at_every_depth() {
        let new = || json!("x");
        assert_eq!(project_with("/environment", "gpuKind", new()), ["environment.gpuKind"]);
        assert_eq!(
            project_with("/environment/environmentVariables/0", "scope", new()),
            ["environment.environmentVariables[0].scope"]
        );
        assert_eq!(project_with("/environment/dockerServer", "size", new()), ["environment.dockerServer.size"]);
        assert_eq!(
            project_with("/environment/dockerServer", "status", json!({"status": "ACTIVE", "since": 1})),
            ["environment.dockerServer.status.since"]
        );
        assert_eq!(project_with("/source", "sparse", new()), ["source.sparse"]);
        assert_eq!(project_with("/source/auth", "scope", new()), ["source.auth.scope"]);
        assert_eq!(project_with("/tags/0", "propagate", json!(true)), ["tags[0].propagate"]);
    }

    #[test]
    fn a_new_member_without_a_value_loses_nothing() {
        assert_eq!(project_with("/environment", "gpuKind", Value::Null), Vec::<String>::new());
    }

    #[test]
    fn what_the_sdk_would_make_up_is_told() {
        assert_eq!(project_with("/environment", "computeType", Value::Null), ["environment.computeType (absent)"]);
        assert_eq!(paths(&json!({"name": "web"})), ["environment (absent)"]);
    }

    #[test]
    fn a_member_of_another_shape_is_told() {
        assert_eq!(project_with("/environment", "fleet", json!("arn")), ["environment.fleet"]);
        assert_eq!(project_with("/environment", "image", json!({"uri": "node"})), ["environment.image"]);
    }

    /// Structures and lists of structures can't be walked from the SDK's schema of their parent, so the table names
    /// them; this fails when an SDK comes that has one more.
    #[test]
    fn the_table_names_every_structure_that_the_sdk_has() {
        fn check(path: &str, known: &Known) {
            assert!(!known.schema.members().is_empty(), "{path} has members");
            for member in known.schema.members() {
                let name = member.member_name().unwrap();
                let listed = known.within(name).is_some() || ["securityGroupIds"].contains(&name);
                assert_eq!(listed, member.is_structure() || member.is_list(), "{path}.{name}");
            }
            for (name, within) in known.within {
                assert!(known.schema.member_schema(name).is_some(), "{path}.{name}");
                check(&format!("{path}.{name}"), within);
            }
            for name in known.required {
                assert!(known.schema.member_schema(name).is_some(), "{path}.{name}");
            }
        }
        for (name, known) in SENT_BACK {
            check(name, known);
        }
    }
}
