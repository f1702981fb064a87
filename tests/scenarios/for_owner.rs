//! What the daemon leaves to the owner of a project: told once, with the patch, and nothing written.

use crate::support::cast::DOCKER_BUILD;
use crate::support::world::World;
use jiff::SignedDuration;
use unthrottled::edge::event::Event;

/// A project whose buildspec is in its repository.
fn in_the_repository(world: &World, name: &str) {
    world.sim.account(|account| {
        let project = account.project(name).dockerfile(["python:3.13"]).buildspec_path("ci/buildspec.yml");
        project.repository_buildspec(DOCKER_BUILD);
    });
}

fn patches(told: &[Event]) -> Vec<&str> {
    told.iter().filter(|event| event.event.name() == "RemediationProposed").filter_map(|e| e.patch.as_deref()).collect()
}

#[tokio::test]
async fn a_buildspec_in_the_repository_is_proposed_once_however_often_it_fails() {
    let world = World::new();
    in_the_repository(&world, "app");
    world.sim.run_build("app");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    let told = world.told();
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected app BUILD hub_pull_limit anonymous
    RemediationProposed app propose_patch
    ");
    let [patch] = patches(&told)[..] else { panic!("{told:?}") };
    assert!(patch.starts_with("#!/usr/bin/env bash\n") && patch.contains("docker login -u"), "{patch}");

    // Neither the next build nor the next start says it again.
    world.sim.run_build("app");
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    drop(daemon);
    let mut daemon = world.daemon().await;
    world.sim.run_build("app");
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected app BUILD hub_pull_limit anonymous
    ThrottleDetected app BUILD hub_pull_limit anonymous
    ");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn code_that_owns_a_project_gets_its_own_words_once() {
    let world = World::new();
    for (name, key, value) in [
        ("tf", "ManagedBy", "Terraform"),
        ("cfn", "aws:cloudformation:stack-name", "ci"),
        ("cdk", "aws:cloudformation:logical-id", "CiBuild39F7B0AE"),
    ] {
        world.image_project(name, "node:22");
        world.sim.account(|account| {
            account.project(name).tag(key, value);
        });
        world.sim.run_build(name);
        world.sim.run_build(name);
    }
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    let told = world.told();
    let begin: Vec<(&str, &str)> = told
        .iter()
        .filter(|event| event.event.name() == "RemediationProposed")
        .filter_map(|event| Some((event.project_name.as_ref()?.as_str(), event.patch.as_deref()?)))
        .collect();
    assert_eq!(begin.len(), 3, "once each: {}", world.lines(&told));
    for (name, patch) in begin {
        let words = match name {
            "tf" => "resource \"aws_codebuild_project\" \"tf\"",
            "cfn" => "Type: AWS::CodeBuild::Project",
            _ => "codebuild.CfnProject",
        };
        assert!(patch.contains(words), "{name}: {patch}");
    }
    assert_eq!(world.writes(), Vec::<String>::new());
}

/// The owner merged the patch: the next build pulls, and nothing is left to be said.
#[tokio::test]
async fn a_policy_may_propose_and_never_apply() {
    let world = World::new().policy("provisioning = [\"propose_patch\"]\nlater_phase = [\"propose_patch\"]");
    world.image_project("web", "node:22");
    world.docker_project("api");
    world.sim.run_build("web");
    world.sim.run_build("api");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    let told = world.told();
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationProposed api propose_patch
    RemediationProposed web propose_patch
    ");
    // The text of the project is not in the event, only where the line goes.
    assert!(patches(&told).iter().all(|patch| !patch.contains("keep me")), "{told:?}");
    assert_eq!(world.writes(), Vec::<String>::new());
}
