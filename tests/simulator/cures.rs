//! The two cures: a refused environment image, a refused docker build.

use aws_sdk_codebuild::types::{
    CredentialProviderType, EnvironmentVariable, EnvironmentVariableType, ImagePullCredentialsType, ProjectEnvironment,
    ProjectSource, RegistryCredential,
};

use crate::{LOGIN_FIRST, grant, simulator, throttled};

#[tokio::test]
async fn a_refused_environment_image_is_cured_by_a_grant_and_a_credential() {
    let sim = simulator();
    let secret = throttled(&sim);
    let codebuild = aws_sdk_codebuild::Client::new(&sim.sdk_config());
    let iam = aws_sdk_iam::Client::new(&sim.sdk_config());

    let refused = sim.run_build("web");
    assert_eq!(refused.status, "FAILED");
    let json = sim.build_json(&refused.id);
    let phase = json["phases"]
        .as_array()
        .and_then(|all| all.iter().find(|p| p["phaseType"] == "PROVISIONING"))
        .expect("it got there");
    assert_eq!(phase["phaseStatus"], "CLIENT_ERROR");
    assert_eq!(phase["contexts"][0]["statusCode"], "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE");
    assert_eq!(
        phase["contexts"][0]["message"],
        "Unable to pull customer's container image. CannotPullContainerError: Error response from daemon: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit"
    );
    assert_eq!(json["logs"].get("streamName"), None);

    let environment = ProjectEnvironment::builder()
        .r#type("LINUX_CONTAINER".into())
        .image("node:22")
        .compute_type("BUILD_GENERAL1_SMALL".into())
        .image_pull_credentials_type(ImagePullCredentialsType::ServiceRole)
        .registry_credential(
            RegistryCredential::builder()
                .credential(&secret)
                .credential_provider(CredentialProviderType::SecretsManager)
                .build()
                .expect("complete"),
        )
        .build()
        .expect("complete");
    codebuild.update_project().name("web").environment(environment).send().await.expect("accepted");
    let denied = sim.run_build("web");
    assert_eq!(denied.failed_phase.as_deref(), Some("PROVISIONING"));
    assert!(denied.message.expect("a context").contains("AccessDeniedException"));

    iam.put_role_policy()
        .role_name("web-role")
        .policy_name("hub")
        .policy_document(grant(&secret).to_string())
        .send()
        .await
        .expect("accepted");
    assert_eq!(sim.run_build("web").status, "SUCCEEDED");
    let writes: Vec<String> = sim.writes().iter().map(|call| format!("{} {}", call.operation, call.target)).collect();
    assert_eq!(writes, ["UpdateProject web", "PutRolePolicy web-role/hub"]);
}

#[tokio::test]
async fn a_refused_docker_build_is_cured_by_variables_and_a_login_line() {
    let sim = simulator();
    let secret = throttled(&sim);
    let codebuild = aws_sdk_codebuild::Client::new(&sim.sdk_config());

    let refused = sim.run_build("api");
    assert_eq!(refused.failed_phase.as_deref(), Some("BUILD"));
    assert_eq!(
        refused.message.as_deref(),
        Some("Error while executing command: docker build -t app .. Reason: exit status 1")
    );
    let log = sim.log(&refused.id).join("\n");
    assert!(log.contains("Step 1/5 : FROM node:22\ntoomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit\n"), "{log}");
    assert!(log.contains("Phase complete: BUILD State: FAILED"), "{log}");
    assert!(log.contains("Phase complete: POST_BUILD State: SUCCEEDED"), "{log}");

    let variable = |name: &str, key: &str| {
        EnvironmentVariable::builder()
            .name(name)
            .value(format!("{secret}:{key}"))
            .r#type(EnvironmentVariableType::SecretsManager)
            .build()
            .expect("complete")
    };
    let environment = ProjectEnvironment::builder()
        .r#type("LINUX_CONTAINER".into())
        .image("aws/codebuild/standard:7.0")
        .compute_type("BUILD_GENERAL1_SMALL".into())
        .environment_variables(variable("DOCKERHUB_USERNAME", "username"))
        .environment_variables(variable("DOCKERHUB_PASSWORD", "password"))
        .build()
        .expect("complete");
    let source = ProjectSource::builder()
        .r#type("GITHUB".into())
        .location("https://github.com/example/api.git")
        .buildspec(LOGIN_FIRST)
        .build()
        .expect("complete");
    codebuild.update_project().name("api").environment(environment).source(source).send().await.expect("accepted");

    let denied = sim.run_build("api");
    assert_eq!(denied.failed_phase.as_deref(), Some("DOWNLOAD_SOURCE"));
    let log = sim.log(&denied.id).join("\n");
    assert!(log.contains("Secrets Manager Error Message: AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/web-role/AWSCodeBuild-"), "{log}");
    assert!(
        log.contains(&format!(
            "is not authorized to perform: secretsmanager:GetSecretValue on resource: {secret} because"
        )),
        "{log}"
    );

    sim.put_role_policy("web-role", "hub", grant(&secret));
    let cured = sim.run_build("api");
    assert_eq!(cured.status, "SUCCEEDED", "{:?}", sim.log(&cured.id));
    let log = sim.log(&cured.id).join("\n");
    assert!(log.contains("Login Succeeded"), "{log}");
    assert!(!log.contains("hub-pw"), "{log}");
}

/// ECR Public needs no credential, and has limits and gaps of its own.
#[test]
fn a_build_image_of_ecr_public_is_pulled_refused_or_not_there() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0);
        a.project("web").image("public.ecr.aws/docker/library/node:22");
    });
    assert_eq!(sim.run_build("web").status, "SUCCEEDED");
    sim.account(|a| a.throttle_ecr_public());
    let throttled = sim.run_build("web");
    assert_eq!(throttled.failed_phase.as_deref(), Some("PROVISIONING"));
    assert!(throttled.message.unwrap_or_default().ends_with("toomanyrequests: Rate exceeded"));
    sim.account(|a| {
        a.unthrottle_ecr_public();
        a.ecr_public_lacks("docker/library/node");
    });
    let missing = sim.run_build("web").message.unwrap_or_default();
    assert!(missing.contains("name unknown: The repository with name 'library/node' does not exist"), "{missing}");
}
