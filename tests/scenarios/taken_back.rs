//! Remedies that did not help or made things worse, and how they are taken back.

use crate::support::cast::no_secrets;
use crate::support::world::World;
use jiff::SignedDuration;
use serde_json::json;

#[tokio::test]
async fn a_boundary_that_keeps_the_secret_away_makes_it_worse_and_all_is_put_back() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.role("codebuild-web").boundary(no_secrets());
        account.project("web").tag("team", "shop").variable("STAGE", "prod");
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;

    let told = world.told();
    world.assert_told_once(&daemon, &told).await;
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RollbackDecided web registry_credential made_worse by web#3
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string(), "byte for byte as before");
}

/// In a later phase the secret is resolved before any command runs: every build of the project would fail.
#[tokio::test]
async fn a_boundary_makes_a_login_worse_and_all_is_put_back() {
    let world = World::new().policy("retry = \"always\"");
    world.docker_project("api");
    world.sim.account(|account| {
        account.role("codebuild-api").boundary(no_secrets());
    });
    let _listening = world.collector.install();
    world.sim.run_build("api");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationApplied api buildspec_login
    BuildRetried api buildspec_login by api#3
    RollbackDecided api buildspec_login made_worse by api#3
    RemediationRolledBack api buildspec_login
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
    assert_eq!(world.ended("api"), ["FAILED", "FAILED"]);
}

#[tokio::test]
async fn what_a_build_disproved_is_not_tried_again() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.role("codebuild-web").boundary(no_secrets());
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    world.story();
    world.sim.forget_calls();
    world.sim.run_build("web");
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_login_that_docker_hub_refuses_is_taken_back() {
    let world = World::new().unguarded().policy("retry = \"always\"");
    world.docker_project("api");
    world.sim.account(|account| {
        account.secret("dockerhub").login("acme", "not-the-password");
    });
    let _listening = world.collector.install();
    world.sim.run_build("api");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationApplied api buildspec_login
    BuildRetried api buildspec_login by api#3
    RollbackDecided api buildspec_login made_worse by api#3
    RemediationRolledBack api buildspec_login
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}

#[tokio::test]
async fn a_credential_that_docker_hub_refuses_for_a_build_image_is_taken_back() {
    let world = World::new().unguarded();
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.secret("dockerhub").login("acme", "not-the-password");
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RollbackDecided web registry_credential made_worse by web#3
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}

/// The Docker account has a limit of its own: the cure changes nothing, and is taken back or kept as the policy says.
#[tokio::test]
async fn a_remedy_that_does_not_help_is_taken_back() {
    let world = World::new().unguarded();
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.hub().account("acme", "hub-pw").limit(0);
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    ThrottleDetected web PROVISIONING hub_pull_limit authenticated
    RemedyUnavailable web already_authenticated
    RollbackDecided web registry_credential still_throttled by web#3
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}

#[tokio::test]
async fn a_remedy_that_does_not_help_is_kept_where_the_policy_keeps_it() {
    let world = World::new().unguarded().policy("on_ineffective = \"keep\"");
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.hub().account("acme", "hub-pw").limit(0);
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    ThrottleDetected web PROVISIONING hub_pull_limit authenticated
    RemedyUnavailable web already_authenticated
    RemediationEscalated web registry_credential kept_though_ineffective
    ");
    assert_eq!(world.environment("web")["imagePullCredentialsType"], json!("SERVICE_ROLE"));
}

/// Only what was never proven is left to a person; it is not taken back, as it broke nothing.
#[tokio::test]
async fn a_remedy_that_no_build_proves_in_time_is_left_to_a_person() {
    let world = World::new().policy("retry = \"never\"\nverify_within = \"20m\"");
    world.image_project("web", "node:22");
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(25)).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    RemediationEscalated web registry_credential not_proven
    ");
    assert_eq!(world.ended("web"), ["FAILED"], "no retry");
}

/// A person asks for it while the daemon works, in another process.
#[tokio::test]
async fn a_persons_rollback_beside_the_running_daemon_puts_all_back() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.docker_project("api");
    let before = world.sim.snapshot();
    let _listening = world.collector.install();
    world.sim.run_build("web");
    world.sim.run_build("api");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_secs(40)).await;
    world.roll_back("web").await;
    world.roll_back("api").await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationPlanned web registry_credential
    RemediationApplied api buildspec_login
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RollbackDecided web registry_credential operator by operator
    RollbackDecided api buildspec_login operator by operator
    RemediationRolledBack api buildspec_login
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}
