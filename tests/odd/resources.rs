//! Roles, policies, projects and logs that are gone, foreign, full or of a kind never seen before.

use crate::support::cast::DOCKER_BUILD;
use crate::support::world::{GRANT, World};
use crate::{assert_only_sound_was_written, play, sound};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// An odd project `web` beside a sound one; answers what was said of the odd one, and why.
async fn left(spoil: impl FnOnce(&World)) -> String {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    sound(&world);
    spoil(&world);
    let _listening = world.collector.install();
    let story = play(&world).await;
    assert_only_sound_was_written(&world);
    story
}

#[tokio::test]
async fn a_role_that_is_gone() {
    insta::assert_snapshot!(left(|world| world.sim.delete_role("codebuild-web")).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web role_gone
    ");
}

#[tokio::test]
async fn a_role_that_belongs_to_aws() {
    let spoil = |world: &World| {
        world.sim.account(|account| {
            account.role("codebuild-web").service_linked();
        });
    };
    insta::assert_snapshot!(left(spoil).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
}

#[tokio::test]
async fn a_role_without_room_for_another_policy() {
    let spoil = |world: &World| {
        let resource = format!("arn:aws:s3:::{}", "x".repeat(10_000));
        world.sim.account(|account| {
            account.role("codebuild-web").inline_policy(
                "own",
                json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}]}),
            );
        });
    };
    insta::assert_snapshot!(left(spoil).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
}

#[tokio::test]
async fn a_policy_of_our_name_that_is_not_ours() {
    let spoil = |world: &World| {
        world.sim.put_role_policy("codebuild-web", GRANT, json!({"Version": "2012-10-17", "Statement": []}))
    };
    insta::assert_snapshot!(left(spoil).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
}

#[tokio::test]
async fn a_policy_of_our_name_that_is_no_json() {
    insta::assert_snapshot!(left(|world| world.sim.put_role_policy("codebuild-web", GRANT, "not {json")).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
}

/// Somebody else's policy is no JSON: nothing that we need to understand.
#[tokio::test]
async fn a_malformed_policy_of_another_name_is_no_obstacle() {
    let world = World::new();
    world.image_project("sound", "node:22");
    world.sim.put_role_policy("codebuild-sound", "theirs", "not {json");
    world.sim.run_build("sound");
    let _listening = world.collector.install();
    assert_eq!(play(&world).await, "");
}

#[tokio::test]
async fn a_project_that_is_gone() {
    insta::assert_snapshot!(left(|world| world.sim.delete_project("web")).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web project_gone
    ");
}

#[tokio::test]
async fn an_image_of_a_form_never_seen_before() {
    let spoil = |world: &World| {
        world.sim.edit_project("web", |json| json["environment"]["image"] = json!("oci+blob:///?node@@22"))
    };
    insta::assert_snapshot!(left(spoil).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
}

#[tokio::test]
async fn an_environment_of_a_type_never_seen_before() {
    let spoil =
        |world: &World| world.sim.edit_project("web", |json| json["environment"]["type"] = json!("QUANTUM_CONTAINER"));
    insta::assert_snapshot!(left(spoil).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
}

/// What the SDK can't represent would be lost in the write back, so there is none, and the reason names the member.
#[tokio::test]
async fn a_member_of_the_environment_that_no_sdk_knows() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.project("web").environment_member("hologram", json!({"depth": 3}));
    });
    world.sim.run_build("web");
    sound(&world);
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(10)).await;
    let told = world.told();
    let refused = told.iter().find(|event| event.event.name() == "RemediationProposed").expect("a reason");
    assert_eq!(refused.remedy.map(|remedy| remedy.name()), Some("propose_patch"), "a person may");
    let detail = refused.detail.clone().unwrap_or_default();
    assert!(detail.contains("hologram"), "the reason names the member: {detail}");
    assert_only_sound_was_written(&world);
    assert_eq!(world.environment("web")["hologram"], json!({"depth": 3}));
}

#[tokio::test]
async fn a_role_that_goes_after_the_plan() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    world.sim.delete_role("codebuild-web");
    let before = world.sim.snapshot();
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RollbackDecided web registry_credential role_gone
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.sim.snapshot(), before);
}

/// Gone while the grant settles, gone while the proof is waited for: the grant goes, too.
#[tokio::test]
async fn a_project_that_goes_after_the_plan_takes_its_grant_along() {
    for wait in [0, 60] {
        let world = World::new().policy("retry = \"never\"");
        world.image_project("web", "node:22");
        world.sim.run_build("web");
        let _listening = world.collector.install();
        let mut daemon = world.daemon().await;
        world.play(&mut daemon, SignedDuration::from_secs(wait)).await;
        assert!(world.sim.role_policy("codebuild-web", GRANT).is_some(), "{wait}");
        world.sim.delete_project("web");
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["web: rolled_back"], "{wait}");
        assert_eq!(world.sim.role_policy("codebuild-web", GRANT), None, "{wait}");
    }
}

/// The new project of the old name never saw our change: what there is of ours goes, and nothing of the new one is touched.
#[tokio::test]
async fn a_project_that_is_deleted_and_made_again_is_not_ours() {
    let world = World::new().policy("retry = \"never\"");
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(1)).await;
    world.sim.delete_project("web");
    world.sim.advance(SignedDuration::from_secs(5));
    world.sim.account(|account| {
        account.project("web").image("node:22").buildspec(DOCKER_BUILD);
    });
    let made: Value = world.sim.project_json("web");
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    RollbackDecided web registry_credential taken_out
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.sim.project_json("web"), made);
    assert_eq!(world.sim.role_policy("codebuild-web", GRANT), None);
}

/// We may write roles but not projects, or the other way round: nothing is left behind.
#[tokio::test]
async fn a_write_that_we_may_not_make_leaves_nothing_behind() {
    for operation in ["UpdateProject", "PutRolePolicy"] {
        let world = World::new();
        world.image_project("web", "node:22");
        world.docker_project("api");
        world.sim.run_build("web");
        world.sim.run_build("api");
        let before = world.sim.snapshot();
        world.sim.fault(operation, .., unthrottled::simulator::Fault::AccessDenied);
        let _listening = world.collector.install();
        let mut daemon = world.daemon().await;
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["api: rolled_back", "web: rolled_back"], "{operation}");
        assert_eq!(world.sim.snapshot().to_string(), before.to_string(), "{operation}");
        let story = world.story();
        assert_eq!(story.matches("write_denied").count(), 2, "{operation}: {story}");
    }
}
