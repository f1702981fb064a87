//! Deployments that set a remedied project back, and people who take a proven remedy out.

use crate::support::world::{GRANT, World};
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::edge::event::Kind;
use unthrottled::reconcile::Daemon;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Whatever may be applied to projects that infrastructure code owns.
fn world(lines: &str) -> World {
    World::new().policy(&format!("iac_owned = \"apply\"\n{lines}"))
}

fn owned_by_terraform(world: &World, name: &str) {
    world.image_project(name, "node:22");
    world.sim.account(|account| {
        account.project(name).tag("ManagedBy", "Terraform");
    });
}

/// A proven remedy of a project that Terraform owns.
async fn proven(world: &World) -> Daemon {
    owned_by_terraform(world, "web");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: verified"]);
    world.story();
    daemon
}

/// The project as its code has it: without our changes, and with an edit of its own.
fn deploy(world: &World, timeout: u32) {
    world.sim.edit_project("web", |json| {
        json["timeoutInMinutes"] = json!(timeout);
        let environment = json["environment"].as_object_mut().expect("an environment");
        environment.remove("registryCredential");
        environment.insert("imagePullCredentialsType".to_string(), json!("CODEBUILD"));
    });
    world.sim.forget_calls();
}

#[tokio::test]
async fn a_deployment_that_sets_a_proven_project_back_is_told_and_not_fought() {
    let world = world("");
    let _listening = world.collector.install();
    let mut daemon = proven(&world).await;
    deploy(&world, 17);
    let deployed = world.sim.project_json("web");
    world.play(&mut daemon, MINUTE * 10).await;
    let told = world.told();
    insta::assert_snapshot!(world.lines(&told), @"
    RemediationSetBack web registry_credential
    RemediationRolledBack web registry_credential
    ");
    let set_back = told.iter().find(|event| event.event == Kind::RemediationSetBack).expect("an event");
    assert!(set_back.message.starts_with("Terraform set `registry_credential` back"), "{}", set_back.message);
    let patch = set_back.patch.as_deref().unwrap_or_default();
    assert!(patch.contains("resource \"aws_codebuild_project\" \"web\"") && patch.contains("registry_credential"));
    assert_eq!(world.sim.role_policy("codebuild-web", GRANT), None, "nothing needs the grant");

    // The next builds fail as before: the owner gets the patch once more, with the first of them.
    for expected in ["ThrottleDetected RemediationProposed", "ThrottleDetected"] {
        world.sim.run_build("web");
        world.play(&mut daemon, MINUTE * 2).await;
        let told = world.told();
        let names: Vec<&str> = told.iter().map(|event| event.event.name()).collect();
        assert_eq!(names.join(" "), expected);
        let proposed = told.iter().find(|event| event.event == Kind::RemediationProposed);
        assert!(proposed.is_none_or(|event| event.reason.as_deref() == Some("set_back") && event.patch.is_some()));
    }
    assert_eq!(world.writes(), [format!("DeleteRolePolicy codebuild-web/{GRANT}")]);
    assert_eq!(world.sim.project_json("web"), deployed, "as the deployment made it");
}

#[tokio::test]
async fn a_deployment_before_the_proof_is_told_as_well() {
    let world = world("retry = \"never\"");
    owned_by_terraform(&world, "web");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, MINUTE).await;
    assert_eq!(world.stages().await, ["web: applied"]);
    let _listening = world.collector.install();
    deploy(&world, 17);
    world.play(&mut daemon, MINUTE * 10).await;
    insta::assert_snapshot!(world.story(), @"
    RemediationSetBack web registry_credential
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.writes(), [format!("DeleteRolePolicy codebuild-web/{GRANT}")]);
}

/// Each time a build is throttled for want of it, later and later, and not for ever.
#[tokio::test]
async fn a_policy_may_have_it_applied_again_until_no_attempt_is_left() {
    let world = world("on_drift = \"reapply\"");
    let _listening = world.collector.install();
    let mut daemon = proven(&world).await;
    deploy(&world, 17);
    world.play(&mut daemon, MINUTE * 6).await;
    world.sim.run_build("web");
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    RemediationSetBack web registry_credential
    RemediationRolledBack web registry_credential
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationHeld web set_back
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#6
    RemediationVerified web registry_credential by web#6
    ");
    assert_eq!(world.environment("web")["imagePullCredentialsType"], json!("SERVICE_ROLE"));

    deploy(&world, 18);
    world.play(&mut daemon, MINUTE * 6).await;
    world.sim.forget_calls();
    for _ in 0..2 {
        world.sim.run_build("web");
        world.play(&mut daemon, MINUTE * 30).await;
    }
    let told = world.told();
    insta::assert_snapshot!(world.lines(&told), @"
    RemediationSetBack web registry_credential
    RemediationRolledBack web registry_credential
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationEscalated web registry_credential set_back
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    ");
    let escalated = told.iter().find(|event| event.event == Kind::RemediationEscalated).expect("an event");
    assert!(escalated.patch.as_deref().is_some_and(|patch| patch.contains("aws_codebuild_project")));
    assert_eq!(world.writes(), Vec::<String>::new());
}

/// A build that is throttled before anyone looked is not remedied again behind the owner's back.
#[tokio::test]
async fn a_throttled_build_right_after_the_deployment_waits_for_what_is_found() {
    let world = world("");
    let _listening = world.collector.install();
    let mut daemon = proven(&world).await;
    deploy(&world, 17);
    world.sim.run_build("web");
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationSetBack web registry_credential
    RemediationHeld web project_busy
    RemediationRolledBack web registry_credential
    RemediationProposed web registry_credential set_back
    ");
}

/// No tag names any code, so it counts as a person's doing, and nothing is proposed to anybody.
#[tokio::test]
async fn a_proven_remedy_that_a_person_takes_out_is_left_out() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    let _listening = world.collector.install();
    deploy(&world, 17);
    world.play(&mut daemon, MINUTE * 10).await;
    world.sim.run_build("web");
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided web registry_credential taken_out
    RemediationRolledBack web registry_credential
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
    assert_eq!(world.writes(), [format!("DeleteRolePolicy codebuild-web/{GRANT}")]);
}

/// Where the owner stops us or the mode does, a project is not even cleaned up after.
#[tokio::test]
async fn the_stop_tag_and_the_mode_keep_the_hands_off_a_project_that_was_set_back() {
    let stopped = world("");
    let mut daemon = proven(&stopped).await;
    deploy(&stopped, 17);
    stopped.sim.account(|account| {
        account.project("web").tag("unthrottled", "off");
    });
    stopped.play(&mut daemon, MINUTE * 12).await;
    assert_eq!((stopped.stages().await, stopped.writes()), (vec!["web: verified".to_string()], Vec::new()));

    let mut observed = world("");
    drop(proven(&observed).await);
    deploy(&observed, 17);
    observed = observed.set("[daemon]\nmode = \"apply\"", "[daemon]\nmode = \"propose\"");
    let mut daemon = observed.daemon().await;
    observed.play(&mut daemon, MINUTE * 12).await;
    assert_eq!((observed.stages().await, observed.writes()), (vec!["web: verified".to_string()], Vec::new()));
}
