//! Builds about which nothing is done, and the reason that is given.

use crate::support::cast::SCRIPT;
use crate::support::world::World;
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::simulator::Options;

/// Plays a few minutes and fails if anything was written.
async fn untouched(world: &World) -> String {
    let _listening = world.collector.install();
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(4)).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "nothing is written");
    assert_eq!(world.sim.snapshot(), before);
    world.story()
}

#[tokio::test]
async fn a_throttle_by_ecr_public_is_left_alone() {
    let world = World::new();
    world.sim.account(|account| {
        account.throttle_ecr_public();
        account
            .project("api")
            .dockerfile(["public.ecr.aws/docker/library/python:3.13"])
            .buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t app .\n");
    });
    world.sim.run_build("api");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected api BUILD other_registry unknown
    RemedyUnavailable api other_registry
    ");
}

#[tokio::test]
async fn an_account_at_its_own_limit_is_left_alone() {
    let world = World::new();
    world.sim.account(|account| {
        account.hub().account("acme", "hub-pw").limit(0);
        let arn = account.secret("dockerhub").arn();
        account.role("codebuild-api").inline_policy("own", json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": format!("{arn}*")}]}));
        account
            .project("api")
            .dockerfile(["python:3.13"])
            .secret_variable("U", &format!("{arn}:username"))
            .secret_variable("P", &format!("{arn}:password"))
            .buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"$P\" | docker login -u \"$U\" --password-stdin\n      - docker build -t app .\n");
    });
    let refused = world.sim.run_build("api");
    assert_eq!(refused.failed_phase.as_deref(), Some("BUILD"));
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit authenticated
    RemedyUnavailable api already_authenticated
    ");
}

#[tokio::test]
async fn mode_propose_says_the_plan_and_writes_nothing() {
    let world = World::new().set("projects = [\"*\"]\nmode = \"apply\"", "projects = [\"*\"]\nmode = \"propose\"");
    world.image_project("web", "node:22");
    world.docker_project("api");
    world.sim.run_build("web");
    world.sim.run_build("api");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationProposed api buildspec_login propose
    RemediationProposed web registry_credential propose
    ");
}

#[tokio::test]
async fn the_daemons_mode_caps_the_policys() {
    let world = World::new().set("[daemon]\nmode = \"apply\"", "[daemon]\nmode = \"observe\"");
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationHeld web observe_only
    ");
}

#[tokio::test]
async fn the_stop_tag_stops() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.project("web").tag("unthrottled", "off");
    });
    world.sim.run_build("web");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationHeld web stop_switch
    ");
}

#[tokio::test]
async fn projects_that_infrastructure_code_owns_get_a_proposal() {
    let world = World::new();
    for (project, key, value) in [
        ("cfn", "aws:cloudformation:stack-name", "ci"),
        ("cdk", "aws-cdk:stack", "ci"),
        ("tf", "ManagedBy", "Terraform"),
    ] {
        world.image_project(project, "node:22");
        world.sim.account(|account| {
            account.project(project).tag(key, value);
        });
        world.sim.run_build(project);
    }
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected cfn PROVISIONING hub_pull_limit unknown
    ThrottleDetected cdk PROVISIONING hub_pull_limit unknown
    ThrottleDetected tf PROVISIONING hub_pull_limit unknown
    RemediationProposed cdk registry_credential propose
    RemediationProposed cfn registry_credential propose
    RemediationProposed tf registry_credential propose
    ");
}

#[tokio::test]
async fn an_ordinary_failure_makes_no_event_and_two_reads_of_its_log() {
    let world = World::new();
    world.failing_project("lint");
    world.sim.run_build("lint");
    assert_eq!(untouched(&world).await, "");
    let calls = world.calls();
    assert!(calls["GetLogEvents"] <= 4, "the tail, and once more for late lines: {calls:?}");
    assert_eq!(calls.get("FilterLogEvents"), None, "{calls:?}");
    assert_eq!(calls.get("BatchGetProjects"), None, "a project that is not throttled is not read: {calls:?}");
}

/// The pull was refused, and the build went on: nothing is broken.
#[tokio::test]
async fn a_refused_pull_that_the_build_got_over_is_no_throttled_build() {
    let world = World::new();
    world.sim.account(|account| {
        account.project("warm").compose(["redis:7"]).buildspec(
            "version: 0.2\nphases:\n  pre_build:\n    commands:\n      - docker pull redis:7 || true\n  build:\n    commands:\n      - npm test\n",
        );
        account.project("warm").command("npm test").fails(["1 failing"]);
        account.project("fine").buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - docker pull redis:7 || true\n");
    });
    let (failed, fine) = (world.sim.run_build("warm"), world.sim.run_build("fine"));
    assert_eq!((failed.status.as_str(), fine.status.as_str()), ("FAILED", "SUCCEEDED"));
    for id in [&failed.id, &fine.id] {
        assert!(world.sim.log(id).iter().any(|line| line.contains("toomanyrequests")), "the pull was refused");
    }
    assert_eq!(untouched(&world).await, "");
}

#[tokio::test]
async fn an_image_that_is_not_from_docker_hub_is_left_alone() {
    let world = World::new();
    world.sim.account(|account| {
        account.project("web").image("node:22").buildspec(SCRIPT);
    });
    world.sim.run_build("web");
    // The owner moved to another registry before the daemon looked.
    world.sim.edit_project("web", |json| json["environment"]["image"] = json!("ghcr.io/acme/node:22"));
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
}

#[tokio::test]
async fn builds_older_than_the_look_back_and_projects_of_no_policy_are_not_read() {
    let world = World::with(Options::default()).set("projects = [\"*\"]", "projects = [\"svc-*\"]");
    world.image_project("web", "node:22");
    world.image_project("svc-old", "node:22");
    world.sim.run_build("svc-old");
    world.sim.advance(SignedDuration::from_hours(3));
    world.sim.run_build("web");
    assert_eq!(untouched(&world).await, "");
}
