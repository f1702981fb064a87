//! Projects that share a role: one grant, which goes with the last of them.

use crate::support::world::{GRANT, World};
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::domain::build::ProjectName;
use unthrottled::domain::history::Fact;

/// Two projects on one role, both refused in PROVISIONING.
async fn two_cured() -> (World, unthrottled::reconcile::Daemon, serde_json::Value) {
    let world = World::new();
    world.sim.account(|account| {
        account.role("builds").path("/service-role/");
    });
    for project in ["one", "two"] {
        world.image_project(project, "node:22");
        world.sim.account(|account| {
            account.project(project).role("builds");
        });
    }
    let before = world.sim.snapshot();
    let listening = world.collector.install();
    world.sim.run_build("one");
    world.sim.run_build("two");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    drop(listening);
    (world, daemon, before)
}

#[tokio::test]
async fn two_projects_of_one_role_share_one_grant_and_the_second_waits_for_the_firsts_proof() {
    let (world, _daemon, _) = two_cured().await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected one PROVISIONING hub_pull_limit unknown
    ThrottleDetected two PROVISIONING hub_pull_limit unknown
    RemediationPlanned one registry_credential
    RemediationHeld two role_unproven
    RemediationApplied one registry_credential
    BuildRetried one registry_credential by one#3
    RemediationVerified one registry_credential by one#3
    RemediationPlanned two registry_credential
    RemediationApplied two registry_credential
    BuildRetried two registry_credential by two#3
    RemediationVerified two registry_credential by two#3
    ");
    let grants = world.writes().into_iter().filter(|write| write.starts_with("PutRolePolicy")).count();
    assert_eq!(grants, 1, "{:?}", world.writes());
    assert_eq!(world.ended("two"), ["FAILED", "SUCCEEDED"]);
}

#[tokio::test]
async fn the_grant_stays_until_the_last_project_that_needs_it_is_rolled_back() {
    let (world, mut daemon, before) = two_cured().await;
    world.story();
    let _listening = world.collector.install();

    world.roll_back("one").await;
    world.rest(&mut daemon).await;
    assert!(world.sim.role_policy("builds", GRANT).is_some(), "`two` still needs the grant");
    assert_eq!(world.environment("one"), before["projects"]["one"]["environment"]);
    world.sim.start_build("two");
    world.rest(&mut daemon).await;
    assert_eq!(world.ended("two").last().map(String::as_str), Some("SUCCEEDED"));

    world.roll_back("two").await;
    world.rest(&mut daemon).await;
    assert_eq!(world.sim.snapshot(), before, "as if nothing had ever been done");
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided one registry_credential operator by operator
    GrantKept one registry_credential grant_needed by two
    RemediationRolledBack one registry_credential
    RollbackDecided two registry_credential operator by operator
    RemediationRolledBack two registry_credential
    ");
}

/// The live projects decide, not our own records: a person used the grant for a project of their own.
#[tokio::test]
async fn a_grant_that_a_project_of_somebody_elses_relies_on_stays() {
    let (world, mut daemon, _) = two_cured().await;
    let secret = world.sim.account(|account| account.secret("dockerhub").arn());
    world.sim.account(|account| {
        account.project("theirs").role("builds").secret_variable("HUB", &format!("{secret}:password"));
    });
    world.roll_back("one").await;
    world.roll_back("two").await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["one: rolled_back", "two: rolled_back"]);
    assert!(world.sim.role_policy("builds", GRANT).is_some(), "`theirs` reads the secret through it");
}

/// The first to try a role is the only one that breaks.
#[tokio::test]
async fn a_role_that_can_not_read_the_secret_is_tried_by_one_project_and_no_other() {
    let world = World::new();
    world.sim.account(|account| {
        account.role("builds").boundary(crate::support::cast::no_secrets());
    });
    for project in ["one", "two"] {
        world.image_project(project, "node:22");
        world.sim.account(|account| {
            account.project(project).role("builds");
        });
    }
    let before = world.sim.snapshot();
    let _listening = world.collector.install();
    world.sim.run_build("one");
    world.sim.run_build("two");
    let mut daemon = world.daemon().await;
    let end = world.sim.now() + SignedDuration::from_mins(30);
    while world.sim.now() < end {
        world.tick(&mut daemon).await;
        let named =
            ["one", "two"].iter().filter(|name| !world.environment(name)["registryCredential"].is_null()).count();
        assert!(named <= 1, "both projects name a secret that their role was not shown to read");
        world.sim.advance(SignedDuration::from_secs(10));
    }
    assert_eq!(world.sim.snapshot(), before);
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected one PROVISIONING hub_pull_limit unknown
    ThrottleDetected two PROVISIONING hub_pull_limit unknown
    RemediationPlanned one registry_credential
    RemediationHeld two role_unproven
    RemediationApplied one registry_credential
    BuildRetried one registry_credential by one#3
    RollbackDecided one registry_credential made_worse by one#3
    RemedyUnavailable two role_disproved
    RemediationRolledBack one registry_credential
    ");
    assert_eq!(world.ended("two"), ["FAILED"], "no build of `two` broke");

    // The boundary is mended and a person says so: the next build of `two` is cured.
    world.sim.account(|account| {
        account.role("builds").boundary(json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
        ]}));
    });
    world.record(Fact::Cleared { project: ProjectName::new("one") }).await;
    world.sim.run_build("two");
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["one: rolled_back", "two: verified"]);
}
