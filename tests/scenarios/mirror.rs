//! `mirror_image`: official build images from ECR Public, without a credential.

use crate::support::world::World;
use serde_json::json;

/// A policy with the mirror alone, whose credential nobody made.
fn world() -> World {
    World::new().set("secret = \"dockerhub\"", "secret = \"nowhere\"").policy("provisioning = [\"mirror_image\"]")
}

/// Plays until nothing is under way, with one throttled build.
async fn played(world: &World) -> String {
    let _listening = world.collector.install();
    let refused = world.sim.run_build("web");
    assert_eq!(refused.failed_phase.as_deref(), Some("PROVISIONING"));
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    world.story()
}

#[tokio::test]
async fn an_official_image_comes_from_the_mirror_and_is_proven_by_the_retry() {
    let world = world();
    world.image_project("web", "node:22");
    insta::assert_snapshot!(played(&world).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web mirror_image
    RemediationApplied web mirror_image
    BuildRetried web mirror_image by web#3
    RemediationVerified web mirror_image by web#3
    ");
    let environment = world.environment("web");
    assert_eq!(environment["image"], json!("public.ecr.aws/docker/library/node:22"));
    assert_eq!(environment["imagePullCredentialsType"], json!("CODEBUILD"));
    assert_eq!(environment["registryCredential"], json!(null));
    assert_eq!(world.ended("web"), ["FAILED", "SUCCEEDED"]);
    assert!(!world.writes().iter().any(|write| write.contains("Policy")), "no grant: {:?}", world.writes());
    assert_eq!(world.calls().get("GetSecretValue"), None, "no secret is read");
}

#[tokio::test]
async fn a_digest_is_kept_and_a_person_gets_the_old_image_back() {
    let world = world();
    let image = "docker.io/library/node:20@sha256:330a24bcd4e0058d70e70a0bb1ff805065161ffe3aa96296f09b5550aa1b2c3d";
    world.image_project("web", image);
    let before = world.environment("web").to_string();
    assert!(played(&world).await.contains("RemediationVerified web mirror_image"));
    let mirrored = image.replace("docker.io/library", "public.ecr.aws/docker/library");
    assert_eq!(world.environment("web")["image"], json!(mirrored));
    world.roll_back("web").await;
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: rolled_back"]);
    assert_eq!(world.environment("web").to_string(), before);
}

#[tokio::test]
async fn the_limit_of_the_mirror_stands_in_the_plan_and_leads_back() {
    let world = world();
    world.image_project("web", "node:22");
    world.sim.account(|account| account.throttle_ecr_public());
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    let told = world.told();
    world.assert_told_once(&daemon, &told).await;
    let planned = told.iter().find(|event| event.event.name() == "RemediationPlanned").expect("a plan");
    assert!(planned.changes.clone().unwrap_or_default().contains("ECR Public has limits of its own"));
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web mirror_image
    RemediationApplied web mirror_image
    BuildRetried web mirror_image by web#3
    ThrottleDetected web PROVISIONING other_registry unknown
    RemedyUnavailable web other_registry
    RollbackDecided web mirror_image still_throttled by web#3
    RemediationRolledBack web mirror_image
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string(), "byte for byte as before");
}

#[tokio::test]
async fn an_image_that_the_mirror_does_not_have_is_taken_back() {
    let world = world();
    world.image_project("web", "node:22");
    world.sim.account(|account| account.ecr_public_lacks("docker/library/node"));
    let before = world.sim.snapshot();
    assert!(played(&world).await.contains("RollbackDecided web mirror_image made_worse by web#3"));
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}

#[tokio::test]
async fn an_image_of_somebody_has_no_mirror() {
    let world = world();
    world.image_project("web", "acme/build:7");
    let before = world.sim.snapshot();
    insta::assert_snapshot!(played(&world).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
    assert_eq!(world.sim.snapshot(), before);
}

/// The first remedy that applies is taken: the mirror where there is one, else the credential.
#[tokio::test]
async fn what_has_no_mirror_goes_on_to_the_credential() {
    let world = World::new().policy("provisioning = [\"mirror_image\", \"registry_credential\"]");
    world.image_project("web", "acme/build:7");
    assert!(played(&world).await.contains("RemediationVerified web registry_credential"));
}

/// Whoever gives the project yet another image is not overwritten, neither by the proof nor by a rollback.
#[tokio::test]
async fn an_image_that_its_owner_changed_meanwhile_stays() {
    let world = world().policy("retry = \"never\"");
    world.image_project("web", "node:22");
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, jiff::SignedDuration::from_mins(1)).await;
    world.sim.edit_project("web", |json| json["environment"]["image"] = json!("node:24"));
    world.rest(&mut daemon).await;
    assert_eq!(world.environment("web")["image"], json!("node:24"));
    assert_eq!(world.stages().await, ["web: escalated"]);
}
