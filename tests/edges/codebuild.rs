//! Builds and projects as CodeBuild answers them.

use crate::wire::{Answer, Wire};
use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};
use unthrottled::domain::build::{
    BuildId, Buildspec, Context, LogPlace, ProjectName, Status, VariableSource, Visibility,
};

fn ids(texts: &[&str]) -> Vec<BuildId> {
    texts.iter().map(|text| BuildId::new(*text)).collect()
}

/// As BatchGetBuilds answers a build whose image was refused.
fn refused_build() -> Value {
    json!({
        "id": "web:41-a", "arn": "arn:aws:codebuild:us-east-1:111122223333:build/web:41-a", "buildNumber": 41,
        "startTime": 1795255200.123, "endTime": 1795255260.0, "currentPhase": "COMPLETED", "buildStatus": "FAILED",
        "sourceVersion": "main", "resolvedSourceVersion": "0a1b2c", "projectName": "web", "buildComplete": true,
        "phases": [
            {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED", "startTime": 1795255200.1, "endTime": 1795255201.1},
            {"phaseType": "PROVISIONING", "phaseStatus": "CLIENT_ERROR", "contexts": [
                {"statusCode": "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", "message": "toomanyrequests"}, {}]},
            {"phaseType": "SWEEPING", "phaseStatus": "PONDERED"},
            {"phaseType": "COMPLETED"},
        ],
        "source": {"type": "GITHUB", "location": "https://token@github.com/a/b", "buildspec": "version: 0.2\nphases: {}"},
        "environment": {
            "type": "RISCV_CONTAINER", "image": "node:22", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [
                {"name": "PASSWORD", "value": "hunter2hunter2", "type": "PLAINTEXT"},
                {"name": "UNTYPED", "value": "hunter2hunter2"},
                {"name": "TOKEN", "value": "hub:token", "type": "SECRETS_MANAGER"},
                {"name": "PARAMETER", "value": "/a/hunter2hunter2", "type": "PARAMETER_STORE"},
            ],
            "registryCredential": {"credential": "hub", "credentialProvider": "SECRETS_MANAGER"},
            "imagePullCredentialsType": "SERVICE_ROLE"},
        "serviceRole": "arn:aws:iam::111122223333:role/service-role/builder",
        "logs": {"groupName": "/aws/codebuild/web", "streamName": "41-a", "cloudWatchLogs": {"status": "ENABLED"}},
        "initiator": "codepipeline/release", "buildBatchArn": "arn:batch", "autoRetryConfig": {"nextAutoRetry": "arn:next"},
    })
}

#[tokio::test]
async fn the_order_is_asked_for_on_the_first_page_only() {
    let wire = Wire::new([
        ("ListBuilds", Answer::Json(json!({"ids": ["web:2", "web:1"], "nextToken": "more"}))),
        ("ListBuilds", Answer::Json(json!({"ids": []}))),
    ])
    .await;
    let codebuild = wire.aws().await.codebuild;
    let (first, token) = codebuild.list_builds(None).await.unwrap();
    assert_eq!(first, ids(&["web:2", "web:1"]));
    let (second, end) = codebuild.list_builds(token.as_ref()).await.unwrap();
    assert_eq!((second, end), (vec![], None));
    let bodies: Vec<Value> = wire.sent().into_iter().map(|sent| sent.body).collect();
    assert_eq!(bodies, [json!({"sortOrder": "DESCENDING"}), json!({"nextToken": "more"})]);
}

#[tokio::test]
async fn a_projects_builds_are_listed_without_a_sort_order() {
    let wire =
        Wire::new([("ListBuildsForProject", Answer::Json(json!({"ids": ["web:1"], "nextToken": "more"})))]).await;
    let listed = wire.aws().await.codebuild.list_builds_of(&ProjectName::new("web")).await.unwrap();
    assert_eq!(listed, ids(&["web:1"]));
    assert_eq!(wire.body_of("ListBuildsForProject"), json!({"projectName": "web"}));
}

#[tokio::test]
async fn a_build_is_read_with_what_was_never_seen_before() {
    let wire = Wire::new([("BatchGetBuilds", Answer::Json(json!({"builds": [refused_build()]})))]).await;
    let build = wire.aws().await.codebuild.builds(&ids(&["web:41-a"])).await.unwrap().builds.remove(0);

    assert_eq!((build.number, build.status, build.complete), (Some(41), Status::Failed("FAILED".into()), true));
    assert_eq!(build.started, Some("2026-11-21T10:00:00.123Z".parse::<Timestamp>().unwrap()));
    let statuses: Vec<(&str, Option<Status>)> =
        build.phases.iter().map(|phase| (phase.name.as_str(), phase.status.clone())).collect();
    assert_eq!(
        statuses,
        [
            ("SUBMITTED", Some(Status::Succeeded)),
            ("PROVISIONING", Some(Status::Failed("CLIENT_ERROR".into()))),
            ("SWEEPING", Some(Status::Unknown("PONDERED".into()))),
            ("COMPLETED", None),
        ]
    );
    let context = |code: &str, message: &str| Context { code: code.into(), message: message.into() };
    assert_eq!(
        build.phases[1].contexts,
        [context("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", "toomanyrequests"), context("", "")]
    );
    assert_eq!((build.environment.kind.as_str(), build.environment.image.as_str()), ("RISCV_CONTAINER", "node:22"));
    assert_eq!(build.environment.registry_credential.as_deref(), Some("hub"));
    assert_eq!(build.environment.pull_credentials.as_deref(), Some("SERVICE_ROLE"));
    assert_eq!(build.buildspec, Buildspec::Inline("version: 0.2\nphases: {}".into()));
    assert_eq!(build.role.unwrap().as_str(), "builder");
    assert_eq!(build.log, LogPlace::CloudWatch { group: "/aws/codebuild/web".into(), stream: "41-a".into() });
    assert_eq!((build.batch.as_deref(), build.next_auto_retry.as_deref()), (Some("arn:batch"), Some("arn:next")));
    assert_eq!(build.resolved_source_version.as_deref(), Some("0a1b2c"));
}

#[tokio::test]
async fn plain_values_end_at_the_border() {
    let wire = Wire::new([("BatchGetBuilds", Answer::Json(json!({"builds": [refused_build()]})))]).await;
    let looked = wire.aws().await.codebuild.builds(&ids(&["web:41-a"])).await.unwrap();
    let sources: Vec<VariableSource> =
        looked.builds[0].environment.variables.iter().map(|variable| variable.source.clone()).collect();
    assert_eq!(
        sources,
        [
            VariableSource::Plaintext,
            VariableSource::Plaintext,
            VariableSource::SecretsManager("hub:token".into()),
            VariableSource::Other("PARAMETER_STORE".into()),
        ]
    );
    let shown = format!("{looked:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("token@github"), "{shown}");
}

#[tokio::test]
async fn a_build_may_lack_everything_but_its_id() {
    let bare = json!({"builds": [{"id": "web:1"}, {"projectName": "no id"}], "buildsNotFound": ["gone:1"]});
    let wire = Wire::new([("BatchGetBuilds", Answer::Json(bare))]).await;
    let looked = wire.aws().await.codebuild.builds(&ids(&["gone:1", "web:1", "web:2"])).await.unwrap();
    assert_eq!(looked.missing, ids(&["gone:1"]));
    let [build] = looked.builds.as_slice() else { panic!("{looked:?}") };
    assert_eq!((build.id.as_str(), build.project.as_str()), ("web:1", "web"));
    assert_eq!((&build.status, build.complete), (&Status::Unknown(String::new()), false));
    assert_eq!((&build.log, &build.buildspec, &build.role), (&LogPlace::None, &Buildspec::of(None), &None));
}

#[rstest]
#[case::queued(json!({"streamName": "1"}))]
#[case::only_in_s3(json!({"s3LogsArn": "arn:aws:s3:::b/k", "cloudWatchLogs": {"status": "DISABLED"}}))]
#[case::turned_off(json!({"groupName": "g", "streamName": "s", "cloudWatchLogs": {"status": "DISABLED"}}))]
#[case::prefix_only(json!({"cloudWatchLogs": {"status": "ENABLED", "groupName": "g", "streamName": "prefix"}}))]
#[tokio::test]
async fn there_is_no_log_when(#[case] logs: Value) {
    let builds = json!({"builds": [{"id": "web:1", "logs": logs}]});
    let wire = Wire::new([("BatchGetBuilds", Answer::Json(builds))]).await;
    let looked = wire.aws().await.codebuild.builds(&ids(&["web:1"])).await.unwrap();
    assert_eq!(looked.builds[0].log, LogPlace::None);
}

#[tokio::test]
async fn builds_are_read_a_hundred_a_call_in_the_order_asked() {
    let asked: Vec<BuildId> = (0..101).map(|n| BuildId::new(format!("web:{n}"))).collect();
    let page = |range: std::ops::Range<u32>| {
        let builds: Vec<Value> = range.rev().map(|n| json!({"id": format!("web:{n}")})).collect();
        Answer::Json(json!({"builds": builds}))
    };
    let wire = Wire::new([("BatchGetBuilds", page(0..100)), ("BatchGetBuilds", page(100..101))]).await;
    let looked = wire.aws().await.codebuild.builds(&asked).await.unwrap();
    assert_eq!(looked.builds.into_iter().map(|build| build.id).collect::<Vec<_>>(), asked);
    let sizes: Vec<usize> = wire.sent().iter().map(|sent| sent.body["ids"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [100, 1]);
}

#[tokio::test]
async fn a_failed_chunk_fails_the_look() {
    let asked: Vec<BuildId> = (0..101).map(|n| BuildId::new(format!("web:{n}"))).collect();
    let wire = Wire::new([
        ("BatchGetBuilds", Answer::Json(json!({"builds": [{"id": "web:0"}]}))),
        ("BatchGetBuilds", Answer::JsonError(400, "ThrottlingException", "Rate exceeded")),
    ])
    .await;
    let error = wire.aws().await.codebuild.builds(&asked).await.unwrap_err();
    assert!(error.is_throttled());
    assert_eq!(error.to_string(), "CodeBuild BatchGetBuilds of web:100 was throttled");
}

#[tokio::test]
async fn all_pages_of_projects_are_listed() {
    let wire = Wire::new([
        ("ListProjects", Answer::Json(json!({"projects": ["a"], "nextToken": "2"}))),
        ("ListProjects", Answer::Json(json!({"projects": ["b"]}))),
    ])
    .await;
    let names = wire.aws().await.codebuild.list_projects().await.unwrap();
    assert_eq!(names, [ProjectName::new("a"), ProjectName::new("b")]);
}

#[tokio::test]
async fn a_token_that_leads_to_itself_is_not_followed() {
    let page = || ("ListProjects", Answer::Json(json!({"projects": ["a"], "nextToken": "2"})));
    let wire = Wire::new([page(), page()]).await;
    assert!(wire.aws().await.codebuild.list_projects().await.unwrap_err().is_transient());
}

/// Reads one project with these members besides a minimal environment.
async fn project_with(members: Value) -> unthrottled::domain::build::Project {
    let mut project = json!({"name": "web", "environment":
        {"type": "LINUX_CONTAINER", "image": "node:22", "computeType": "BUILD_GENERAL1_SMALL"}});
    project.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let wire = Wire::new([("BatchGetProjects", Answer::Json(json!({"projects": [project]})))]).await;
    wire.aws().await.codebuild.project(&ProjectName::new("web")).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_project_is_read() {
    let project = project_with(json!({
        "created": 1795255200.0, "serviceRole": "arn:aws:iam::111122223333:role/builder",
        "source": {"type": "CODEPIPELINE", "buildspec": "ci/buildspec.yml"},
        "tags": [{"key": "team", "value": "web"}, {"key": "aws:cloudformation:stack-name", "value": "s"}],
    }))
    .await;
    assert_eq!(project.created, Some("2026-11-21T10:00:00Z".parse().unwrap()));
    assert_eq!(project.role().unwrap().as_str(), "builder");
    assert_eq!(
        (project.source_kind.as_str(), &project.buildspec),
        ("CODEPIPELINE", &Buildspec::of(Some("ci/buildspec.yml")))
    );
    assert_eq!(project.tags[0].0, "aws:cloudformation:stack-name");
    assert_eq!((project.visibility, project.is_runner, project.has_batch), (Visibility::Private, false, false));
    assert_eq!(project.unrepresentable, Vec::<String>::new());
}

#[rstest]
#[case::github_or_gitlab(json!({"filterGroups": [[{"type": "EVENT", "pattern": "PUSH, WORKFLOW_JOB_QUEUED"}]]}), true)]
#[case::buildkite(json!({"buildType": "RUNNER_BUILDKITE_BUILD"}), true)]
#[case::ordinary(json!({"filterGroups": [[{"type": "EVENT", "pattern": "PUSH"}]], "buildType": "BUILD"}), false)]
#[case::never_seen(json!({"filterGroups": [[{"type": "MOON", "pattern": "WORKFLOW_JOB_QUEUED"}]]}), false)]
#[tokio::test]
async fn a_runner_is_known_by_its_webhook(#[case] webhook: Value, #[case] runner: bool) {
    assert_eq!(project_with(json!({"webhook": webhook})).await.is_runner, runner);
}

#[tokio::test]
async fn public_and_batch_projects_are_known() {
    let project =
        project_with(json!({"projectVisibility": "PUBLIC_READ", "buildBatchConfig": {"serviceRole": "r"}})).await;
    assert_eq!((project.visibility, project.has_batch), (Visibility::Public, true));
    assert!(!project_with(json!({"buildBatchConfig": {}})).await.has_batch);
}

#[tokio::test]
async fn members_that_the_sdk_does_not_know_are_told_with_the_project() {
    let environment = json!({"type": "LINUX_CONTAINER", "image": "node:22", "computeType": "X", "gpuKind": "H100"});
    let project = project_with(json!({"environment": environment, "newTopLevel": 1})).await;
    assert_eq!(project.unrepresentable, ["environment.gpuKind"]);
}

#[tokio::test]
async fn a_project_that_is_not_there_is_none() {
    let wire =
        Wire::new([("BatchGetProjects", Answer::Json(json!({"projects": [], "projectsNotFound": ["web"]})))]).await;
    assert_eq!(wire.aws().await.codebuild.project(&ProjectName::new("web")).await.unwrap(), None);
}

#[tokio::test]
async fn retry_start_and_stop_name_what_they_mean() {
    let build = || {
        Answer::Json(json!({"build": {"id": "web:2", "environment": {"type": "X", "image": "i", "computeType": "c"}}}))
    };
    let wire = Wire::new([("RetryBuild", build()), ("StartBuild", build()), ("StopBuild", build())]).await;
    let codebuild = wire.aws().await.codebuild;
    let retried = codebuild.retry_build(&BuildId::new("web:1"), "token-1").await.unwrap();
    assert_eq!((retried.id.as_str(), retried.environment.image.as_str()), ("web:2", "i"));
    codebuild.start_build(&ProjectName::new("web"), Some("0a1b2c"), "token-2").await.unwrap();
    codebuild.stop_build(&BuildId::new("web:2")).await.unwrap();
    assert_eq!(wire.body_of("RetryBuild"), json!({"id": "web:1", "idempotencyToken": "token-1"}));
    let started = json!({"projectName": "web", "sourceVersion": "0a1b2c", "idempotencyToken": "token-2"});
    assert_eq!(wire.body_of("StartBuild"), started);
    assert_eq!(wire.body_of("StopBuild"), json!({"id": "web:2"}));
}

#[tokio::test]
async fn an_answer_without_a_build_tells_nothing() {
    let wire = Wire::new([("RetryBuild", Answer::Json(json!({})))]).await;
    let error = wire.aws().await.codebuild.retry_build(&BuildId::new("web:1"), "t").await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}
