//! Throttled builds that a remedy cures, and how that is proven.

use crate::support::cast::DOCKER_BUILD;
use crate::support::world::{GRANT, World};
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test]
async fn a_refused_build_image_is_cured_by_a_credential_and_proven_by_the_retry() {
    let world = World::new();
    world.image_project("web", "node:22");
    let _listening = world.collector.install();
    let refused = world.sim.run_build("web");
    assert_eq!(refused.failed_phase.as_deref(), Some("PROVISIONING"));

    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;

    let told = world.told();
    world.assert_told_once(&daemon, &told).await;
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
    let environment = world.environment("web");
    let secret = world.sim.account(|account| account.secret("dockerhub").arn());
    assert_eq!(environment["imagePullCredentialsType"], json!("SERVICE_ROLE"));
    assert_eq!(environment["registryCredential"]["credential"], json!(secret));
    assert_eq!(environment["image"], json!("node:22"));
    assert_eq!(world.ended("web"), ["FAILED", "SUCCEEDED"], "one retry");
    assert_eq!(world.calls().get("GetLogEvents"), None, "PROVISIONING failures need no log");
}

#[tokio::test]
async fn a_refused_docker_client_is_cured_by_a_login_and_proven_by_the_next_push() {
    let world = World::new();
    world.docker_project("api");
    let _listening = world.collector.install();
    let refused = world.sim.run_build("api");
    assert_eq!(refused.failed_phase.as_deref(), Some("BUILD"));

    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(3)).await;
    assert_eq!(world.ended("api"), ["FAILED"], "a later phase is not retried by default");
    world.sim.start_build("api");
    world.rest(&mut daemon).await;

    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationApplied api buildspec_login
    RemediationVerified api buildspec_login by api#2
    PasswordResetAdvised api buildspec_login
    ");
    assert_eq!(world.ended("api"), ["FAILED", "SUCCEEDED"]);
    let (before, after) = (DOCKER_BUILD, world.buildspec("api"));
    let kept: String = after.split_inclusive('\n').filter(|line| !line.contains("docker login")).collect();
    assert_eq!(kept, before, "every other byte is kept");
    insta::assert_snapshot!(after, @r#"
    version: 0.2
    phases:
      build:
        commands:
          - echo "${DOCKERHUB_PASSWORD}" | docker login -u "${DOCKERHUB_USERNAME}" --password-stdin
          # keep me
          - docker build -t app .   
          - echo done
    "#);
    insta::assert_json_snapshot!(world.environment("api")["environmentVariables"], {"[].value" => "[secret]"}, @r#"
    [
      {
        "name": "DOCKERHUB_USERNAME",
        "value": "[secret]",
        "type": "SECRETS_MANAGER"
      },
      {
        "name": "DOCKERHUB_PASSWORD",
        "value": "[secret]",
        "type": "SECRETS_MANAGER"
      }
    ]
    "#);
}

/// The plan that people read says all that is changed, and the change is all that is changed.
#[tokio::test]
async fn the_plan_of_a_login_shows_the_diff() {
    let world = World::new();
    world.docker_project("api");
    let _listening = world.collector.install();
    world.sim.run_build("api");
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    let told = world.told();
    let planned = told.iter().find(|event| event.event.name() == "RemediationPlanned").expect("a plan");
    let arn = world.sim.account(|account| account.secret("dockerhub").arn());
    insta::assert_snapshot!(planned.changes.clone().unwrap_or_default().replace(&arn, "<secret>"), @r#"
    + role codebuild-api: inline policy unthrottled-dockerhub
    +   Allow secretsmanager:GetSecretValue on <secret>*
          Then every build of `api`, pull requests included, can read the credential; no other project has this role.
    ~ project
    +   environment.environmentVariables DOCKERHUB_USERNAME = <secret>:username (SECRETS_MANAGER)
    +   environment.environmentVariables DOCKERHUB_PASSWORD = <secret>:password (SECRETS_MANAGER)
    ~   source.buildspec, build phase, line 5
    +     - echo "${DOCKERHUB_PASSWORD}" | docker login -u "${DOCKERHUB_USERNAME}" --password-stdin
          # keep me
    "#);
}

/// The key is named in the grant, by ARN or, where the secret names an alias, by what the alias stands for.
#[tokio::test]
async fn a_secret_under_a_customers_key_gets_decrypt_granted_by_id_and_by_alias() {
    for key in ["1234abcd-12ab-34cd-56ef-1234567890ab", "alias/hub"] {
        let world = World::new();
        world.image_project("web", "node:22");
        world.sim.account(|account| {
            account.secret("dockerhub").kms_key(key);
        });
        let _listening = world.collector.install();
        world.sim.run_build("web");
        let mut daemon = world.daemon().await;
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["web: verified"], "{key}");
        let grant = world.sim.role_policy("codebuild-web", GRANT).expect("a grant");
        assert_eq!(grant["Statement"][1]["Action"], json!("kms:Decrypt"), "{key}");
        assert_eq!(
            grant["Statement"][1]["Condition"]["StringEquals"]["kms:ViaService"],
            json!("secretsmanager.us-east-1.amazonaws.com")
        );
    }
}

/// A retry of a later phase may deploy twice, so it takes the operator's word.
#[tokio::test]
async fn a_later_phase_is_retried_where_the_policy_says_always() {
    let world = World::new().policy("retry = \"always\"");
    world.docker_project("api");
    let _listening = world.collector.install();
    world.sim.run_build("api");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationApplied api buildspec_login
    BuildRetried api buildspec_login by api#3
    RemediationVerified api buildspec_login by api#3
    PasswordResetAdvised api buildspec_login
    ");
    assert_eq!(world.ended("api"), ["FAILED", "SUCCEEDED"]);
}

/// The remedy got the build past the refused pull: what fails behind it is the project's own affair.
#[tokio::test]
async fn a_retry_that_pulls_and_then_fails_its_own_tests_proves_the_remedy() {
    let world = World::new();
    world.failing_project("web");
    world.sim.account(|account| {
        account.project("web").image("node:22");
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: verified"]);
    assert_eq!(world.ended("web"), ["FAILED", "FAILED"]);
}

/// The second throttled build of a project that is being cured needs no cure of its own.
#[tokio::test]
async fn two_refused_builds_of_one_project_get_one_remedy_and_one_retry() {
    let world = World::new();
    world.image_project("web", "node:22");
    let _listening = world.collector.install();
    world.sim.run_build("web");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#4
    RemediationVerified web registry_credential by web#4
    ");
    assert_eq!(world.ended("web"), ["FAILED", "FAILED", "SUCCEEDED"]);
}
