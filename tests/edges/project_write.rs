//! The one edit of a project: exactly what is sent, and when nothing is.

use crate::wire::{Answer, Wire};
use serde_json::{Value, json};
use unthrottled::domain::build::ProjectName;
use unthrottled::edge::codebuild::{CodeBuildError, FieldWrite, Updated};

const CREDENTIAL: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf";

/// A project with everything that must survive an update.
fn web() -> Value {
    json!({
        "name": "web", "arn": "arn:aws:codebuild:us-east-1:111122223333:project/web", "description": "the web",
        "source": {"type": "GITHUB", "location": "https://github.com/a/b", "gitCloneDepth": 1,
            "gitSubmodulesConfig": {"fetchSubmodules": true}, "buildspec": "version: 0.2\nphases: {}\n",
            "auth": {"type": "CODECONNECTIONS", "resource": "arn:connection"}, "reportBuildStatus": true,
            "buildStatusConfig": {"context": "ci"}, "insecureSsl": false},
        "artifacts": {"type": "NO_ARTIFACTS"}, "cache": {"type": "NO_CACHE"}, "timeoutInMinutes": 60,
        "environment": {"type": "LINUX_CONTAINER", "image": "node:22", "computeType": "BUILD_GENERAL1_SMALL",
            "fleet": {"fleetArn": "arn:fleet"}, "computeConfiguration": {"vCpu": 2},
            "environmentVariables": [
                {"name": "B", "value": "plain-value", "type": "PLAINTEXT"}, {"name": "A", "value": "/p", "type": "PARAMETER_STORE"}],
            "privilegedMode": true, "certificate": "arn:cert", "imagePullCredentialsType": "CODEBUILD",
            "dockerServer": {"computeType": "BUILD_GENERAL1_SMALL", "securityGroupIds": ["sg-1"]}, "hostKernel": "NEW_KERNEL"},
        "tags": [{"key": "team", "value": "web"}, {"key": "aws:cloudformation:stack-name", "value": "s"}],
        "serviceRole": "arn:aws:iam::111122223333:role/builder", "projectVisibility": "PRIVATE",
    })
}

fn read(project: &Value) -> (&'static str, Answer) {
    ("BatchGetProjects", Answer::Json(json!({"projects": [project]})))
}

/// Updates a project and gives back what was sent for it.
async fn sent(project: &Value, writes: Vec<FieldWrite>) -> Value {
    let wire = Wire::new([read(project), ("UpdateProject", Answer::Json(json!({"project": project})))]).await;
    let updated =
        wire.aws().await.codebuild.update_project(&ProjectName::new("web"), async |_| Some(writes)).await.unwrap();
    assert!(matches!(updated, Updated::Written(_)), "{updated:?}");
    wire.body_of("UpdateProject")
}

/// Nothing but a read may be sent.
async fn not_sent(project: &Value, writes: Option<Vec<FieldWrite>>) -> Result<Updated, CodeBuildError> {
    let wire = Wire::new([read(project)]).await;
    let updated = wire.aws().await.codebuild.update_project(&ProjectName::new("web"), async |_| writes).await;
    assert_eq!(wire.operations(), ["BatchGetProjects"]);
    updated
}

fn variable(name: &str, reference: Option<&str>) -> FieldWrite {
    FieldWrite::Variable { name: name.into(), reference: reference.map(str::to_string) }
}

#[tokio::test]
async fn a_registry_credential_sends_the_environment_and_the_tags_and_nothing_else() {
    let writes = vec![
        FieldWrite::RegistryCredential(Some(CREDENTIAL.into())),
        FieldWrite::PullCredentials(Some("SERVICE_ROLE".into())),
    ];
    insta::assert_json_snapshot!(sent(&web(), writes).await);
}

#[tokio::test]
async fn a_buildspec_sends_the_source_whole() {
    let writes = vec![variable("HUB_USER", Some("hub:username")), FieldWrite::Buildspec("version: 0.2\n".into())];
    insta::assert_json_snapshot!(sent(&web(), writes).await);
}

#[tokio::test]
async fn apply_and_undo_send_what_was_read() {
    let mut before = sent(&web(), vec![FieldWrite::PullCredentials(Some("CODEBUILD".into()))]).await;
    let mut changed = web();
    changed["environment"]["registryCredential"] =
        json!({"credential": "hub", "credentialProvider": "SECRETS_MANAGER"});
    changed["environment"]["imagePullCredentialsType"] = json!("SERVICE_ROLE");
    let ours = json!({"name": "HUB_USER", "value": "hub:username", "type": "SECRETS_MANAGER"});
    changed["environment"]["environmentVariables"].as_array_mut().unwrap().push(ours);
    let undo = vec![
        FieldWrite::RegistryCredential(None),
        FieldWrite::PullCredentials(Some("CODEBUILD".into())),
        variable("HUB_USER", None),
    ];
    let after = sent(&changed, undo).await;
    assert_eq!(after, before);
    before["environment"]["type"] = json!("OTHER");
    assert_ne!(after, before, "the comparison would see a difference");
}

/// CodeBuild keeps `imagePullCredentialsType` when it is left out, so leaving it out takes nothing back.
#[tokio::test]
async fn pull_credentials_that_were_never_set_are_taken_back_by_name() {
    let mut project = web();
    project["environment"]["imagePullCredentialsType"] = json!("SERVICE_ROLE");
    let body = sent(&project, vec![FieldWrite::PullCredentials(None)]).await;
    assert_eq!(body["environment"]["imagePullCredentialsType"], "CODEBUILD");
    project["environment"].as_object_mut().unwrap().remove("imagePullCredentialsType");
    let body = sent(&project, vec![FieldWrite::PullCredentials(None)]).await;
    assert_eq!(body["environment"].get("imagePullCredentialsType"), None);
}

#[tokio::test]
async fn an_empty_list_of_variables_and_of_tags_is_said() {
    let mut project = web();
    project["environment"].as_object_mut().unwrap().remove("environmentVariables");
    project.as_object_mut().unwrap().remove("tags");
    let body = sent(&project, vec![FieldWrite::RegistryCredential(None)]).await;
    assert_eq!((&body["environment"]["environmentVariables"], &body["tags"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn members_that_a_source_type_refuses_are_not_sent_back() {
    let mut project = web();
    project["source"]["type"] = json!("NO_SOURCE");
    let body = sent(&project, vec![FieldWrite::Buildspec("version: 0.2\n".into())]).await;
    for member in ["reportBuildStatus", "buildStatusConfig", "gitSubmodulesConfig"] {
        assert_eq!(body["source"].get(member), None, "{member}");
    }
    project["source"]["type"] = json!("CODECOMMIT");
    let body = sent(&project, vec![FieldWrite::Buildspec("version: 0.2\n".into())]).await;
    assert_eq!(body["source"]["gitSubmodulesConfig"], json!({"fetchSubmodules": true}));
    assert_eq!(body["source"].get("reportBuildStatus"), None);
}

#[tokio::test]
async fn values_never_seen_before_are_sent_back_as_they_came() {
    let mut project = web();
    project["environment"]["type"] = json!("RISCV_CONTAINER");
    project["environment"]["hostKernel"] = json!("KERNEL_9");
    let body = sent(&project, vec![FieldWrite::RegistryCredential(None)]).await;
    assert_eq!(body["environment"]["type"], "RISCV_CONTAINER");
    assert_eq!(body["environment"]["hostKernel"], "KERNEL_9");
}

#[tokio::test]
async fn our_variable_is_changed_in_place() {
    let mut project = web();
    project["environment"]["environmentVariables"][0] =
        json!({"name": "HUB_USER", "value": "old", "type": "SECRETS_MANAGER"});
    let body = sent(&project, vec![variable("HUB_USER", Some("new"))]).await;
    let variables = body["environment"]["environmentVariables"].as_array().unwrap();
    assert_eq!(variables[0], json!({"name": "HUB_USER", "value": "new", "type": "SECRETS_MANAGER"}));
    assert_eq!(variables.len(), 2);
}

/// CodeBuild takes the last variable of a name, and so does the domain when it compares.
#[tokio::test]
async fn of_two_variables_of_a_name_the_last_is_ours() {
    let hub = |value: &str| json!({"name": "HUB_USER", "value": value, "type": "SECRETS_MANAGER"});
    let mut project = web();
    project["environment"]["environmentVariables"] = json!([hub("first"), hub("last")]);
    let body = sent(&project, vec![variable("HUB_USER", Some("new"))]).await;
    assert_eq!(body["environment"]["environmentVariables"], json!([hub("first"), hub("new")]));
    let body = sent(&project, vec![variable("HUB_USER", None)]).await;
    assert_eq!(body["environment"]["environmentVariables"], json!([hub("first")]));
}

#[tokio::test]
async fn a_variable_of_another_type_is_never_touched() {
    for write in [variable("A", Some("hub:username")), variable("A", None), variable("B", None)] {
        let updated = not_sent(&web(), Some(vec![write])).await.unwrap();
        assert_eq!(updated, Updated::NotAsExpected);
    }
}

#[tokio::test]
async fn the_edit_sees_the_project_and_its_buildspec() {
    let wire = Wire::new([read(&web())]).await;
    let updated = wire
        .aws()
        .await
        .codebuild
        .update_project(&ProjectName::new("web"), async |text| {
            assert_eq!(text.buildspec, Some("version: 0.2\nphases: {}\n"));
            assert_eq!(text.project.environment.image, "node:22");
            None
        })
        .await;
    assert_eq!(updated.unwrap(), Updated::NotAsExpected);
    assert_eq!(wire.operations(), ["BatchGetProjects"]);
}

#[tokio::test]
async fn an_empty_edit_sends_nothing() {
    let updated = not_sent(&web(), Some(vec![])).await.unwrap();
    assert!(matches!(updated, Updated::Written(project) if project.name.as_str() == "web"));
}

#[tokio::test]
async fn a_project_that_the_sdk_would_damage_is_refused_with_the_paths() {
    let mut project = web();
    project["environment"]["gpuKind"] = json!("H100");
    project["tags"][0]["propagate"] = json!(true);
    let error = not_sent(&project, Some(vec![FieldWrite::RegistryCredential(None)])).await.unwrap_err();
    assert!(error.is_rejected());
    let text = "project web is not written, as this version would lose environment.gpuKind, tags[0].propagate";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_project_without_the_source_to_edit_is_not_as_expected() {
    let mut project = web();
    project.as_object_mut().unwrap().remove("source");
    let updated = not_sent(&project, Some(vec![FieldWrite::Buildspec("x".into())])).await.unwrap();
    assert_eq!(updated, Updated::NotAsExpected);
}

#[tokio::test]
async fn a_project_may_be_gone_before_or_after_it_is_read() {
    let nothing = Answer::Json(json!({"projects": [], "projectsNotFound": ["web"]}));
    let before = Wire::new([("BatchGetProjects", nothing)]).await;
    let after =
        Wire::new([read(&web()), ("UpdateProject", Answer::JsonError(400, "ResourceNotFoundException", "gone"))]).await;
    for wire in [before, after] {
        let writes = Some(vec![FieldWrite::RegistryCredential(None)]);
        let updated = wire.aws().await.codebuild.update_project(&ProjectName::new("web"), async |_| writes).await;
        assert_eq!(updated.unwrap(), Updated::Gone);
    }
}

#[tokio::test]
async fn what_a_refusal_quotes_of_the_project_is_struck_out() {
    let message = "Value 'plain-value' at 'environment.environmentVariables.1.member.value' failed";
    let wire =
        Wire::new([read(&web()), ("UpdateProject", Answer::JsonError(400, "InvalidInputException", message))]).await;
    let writes = Some(vec![FieldWrite::RegistryCredential(None)]);
    let error =
        wire.aws().await.codebuild.update_project(&ProjectName::new("web"), async |_| writes).await.unwrap_err();
    assert!(error.is_rejected());
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "InvalidInputException: Value '…' at 'environment.environmentVariables.1.member.value' failed");
    assert!(!format!("{error:?}").contains("plain-value"));
}

#[tokio::test]
async fn an_image_sends_the_environment_with_nothing_else_changed() {
    let image = "public.ecr.aws/docker/library/node:22";
    let body = sent(&web(), vec![FieldWrite::Image(image.into())]).await;
    let mut expected = web()["environment"].clone();
    expected["image"] = json!(image);
    assert_eq!(body["environment"], expected);
    assert_eq!(body["source"], Value::Null);
    assert_eq!(body["tags"], json!([{"key": "team", "value": "web"}]));
}
