//! A secret that can't be used: said once, nothing changed, and taken up when it is mended.

use crate::support::world::World;
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::simulator::Account;

/// Breaks the secret, plays, mends it, plays.
async fn broken(spoil: impl FnOnce(&World)) -> String {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    spoil(&world);
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(11)).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "nothing is changed");
    world.sim.remove_secret("dockerhub");
    world.sim.account(|account: &mut Account| {
        account.secret("dockerhub").login("acme", "hub-pw");
    });
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: verified"], "it goes on once the secret is mended");
    let told = world.told();
    world.assert_told_once(&daemon, &told).await;
    let text = serde_json::to_string(&told).expect("JSON");
    assert!(!text.contains("hub-pw"), "an event shows the password");
    world.lines(&told)
}

/// IAM resolves a name to an ARN only if there is a secret, and denies it else where the policy names ARNs.
#[tokio::test]
async fn no_secret() {
    insta::assert_snapshot!(broken(|world| world.sim.remove_secret("dockerhub")).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    CredentialUnusable denied
    RemediationHeld web credential_unusable
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
}

#[tokio::test]
async fn a_secret_that_is_scheduled_for_deletion() {
    insta::assert_snapshot!(broken(|world| world.sim.delete_secret("dockerhub")).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    CredentialUnusable scheduled_for_deletion
    RemediationHeld web credential_unusable
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
}

#[tokio::test]
async fn a_secret_without_the_keys() {
    let spoil = |world: &World| {
        world.sim.account(|account| {
            account.secret("dockerhub").json(json!({"user": "acme", "password": "hub-pw"}));
        });
    };
    insta::assert_snapshot!(broken(spoil).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    CredentialUnusable key_missing
    RemediationHeld web credential_unusable
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
}

#[tokio::test]
async fn a_secret_that_is_no_json() {
    let spoil = |world: &World| {
        world.sim.account(|account| {
            account.secret("dockerhub").text("acme:hub-pw");
        });
    };
    insta::assert_snapshot!(broken(spoil).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    CredentialUnusable not_json
    RemediationHeld web credential_unusable
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
}

#[tokio::test]
async fn a_secret_of_another_region() {
    let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:dockerhub-AbCdEf";
    let world = World::new().set("secret = \"dockerhub\"", &format!("secret = \"{arn}\""));
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(11)).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    CredentialUnusable other_region
    RemediationHeld web credential_unusable
    ");
    assert_eq!(world.writes(), Vec::<String>::new());
}
