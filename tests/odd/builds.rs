//! Builds and logs of a kind never seen before.

use crate::support::cast::DOCKER_BUILD;
use crate::support::world::World;
use crate::{assert_only_sound_was_written, play, sound};
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::domain::classify::UnknownReason;
use unthrottled::domain::history::Fact;
use unthrottled::simulator::Fault;

/// A refused docker client, made odd, beside a sound project.
async fn odd(make: impl FnOnce(&World), spoil: impl FnOnce(&World, &str)) -> String {
    let world = World::new();
    world.docker_project("api");
    make(&world);
    let id = world.sim.run_build("api").id;
    sound(&world);
    spoil(&world, &id);
    let _listening = world.collector.install();
    let story = play(&world).await;
    assert_only_sound_was_written(&world);
    story
}

fn as_it_is(_: &World) {}

#[tokio::test]
async fn a_log_group_that_is_gone() {
    let spoil = |world: &World, _: &str| world.sim.delete_log_group("/aws/codebuild/api");
    insta::assert_snapshot!(odd(as_it_is, spoil).await, @"ScanIncomplete api log_not_readable");
}

#[tokio::test]
async fn logs_that_are_off() {
    let make = |world: &World| {
        world.sim.account(|account| {
            account.project("api").logs_disabled();
        });
    };
    insta::assert_snapshot!(odd(make, |_, _| ()).await, @"ScanIncomplete api log_not_readable");
}

#[tokio::test]
async fn a_phase_status_never_seen_before() {
    let spoil = |world: &World, id: &str| {
        world.sim.edit_build(id, |json| {
            let phases = json["phases"].as_array_mut().expect("phases");
            for phase in phases.iter_mut().filter(|phase| phase["phaseType"] == "BUILD") {
                phase["phaseStatus"] = json!("MELTED");
            }
        });
    };
    insta::assert_snapshot!(odd(as_it_is, spoil).await, @"ScanIncomplete api not_understood");
}

#[tokio::test]
async fn a_build_status_and_a_phase_never_seen_before() {
    let spoil = |world: &World, id: &str| {
        world.sim.edit_build(id, |json| {
            json["buildStatus"] = json!("MELTED");
            json["phases"]
                .as_array_mut()
                .expect("phases")
                .push(json!({"phaseType": "COOLING", "phaseStatus": "FAILED"}));
        });
    };
    insta::assert_snapshot!(odd(as_it_is, spoil).await, @"ScanIncomplete api not_understood");
}

#[tokio::test]
async fn a_build_without_phases() {
    let spoil = |world: &World, id: &str| world.sim.edit_build(id, |json| json["phases"] = json!([]));
    insta::assert_snapshot!(odd(as_it_is, spoil).await, @"ScanIncomplete api not_understood");
}

/// A build that is deleted between the list and the read is let go.
#[tokio::test]
async fn a_build_that_is_gone() {
    let spoil = |world: &World, id: &str| world.sim.delete_build(id);
    assert_eq!(odd(as_it_is, spoil).await, "");
}

/// Bytes that are no text reach the log as replacement characters, NULs and escapes; the refusal among them is found.
#[tokio::test]
async fn a_log_full_of_what_is_no_text() {
    let world = World::new();
    world.sim.account(|account| {
        account.project("api").dockerfile(["python:3.13"]).buildspec(DOCKER_BUILD);
        account.project("api").command("docker build").fails([
            "\u{fffd}\u{fffd}\u{0}\u{1}\u{1b}[2K\u{1b}[31m\r\u{202e}",
            "ERROR: failed to solve: python:3.13: failed to resolve source metadata for docker.io/library/python:3.13: failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/python/manifests/3.13: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
            "\u{fffd}{\"\u{0}",
        ]);
    });
    world.sim.run_build("api");
    sound(&world);
    let _listening = world.collector.install();
    let story = play(&world).await;
    assert!(
        story.starts_with("ThrottleDetected api BUILD hub_pull_limit anonymous\nRemediationPlanned api"),
        "{story}"
    );
}

/// Every answer about the log is cut short: the build is tried again for an hour, then it counts as undecided, and the
/// daemon no longer asks.
#[tokio::test]
async fn a_log_that_can_never_be_read() {
    let world = World::new();
    world.docker_project("api");
    world.sim.run_build("api");
    world.sim.fault("GetLogEvents", .., Fault::TruncatedBody);
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(70)).await;

    let facts: Vec<Fact> = world.records().await.into_iter().map(|record| record.fact).collect();
    assert!(matches!(facts.as_slice(), [Fact::Undecided { reason: UnknownReason::LogNotReadable, .. }]), "{facts:?}");
    world.sim.forget_calls();
    world.tick(&mut daemon).await;
    assert_eq!(world.calls().into_keys().collect::<Vec<_>>(), ["ListBuilds"]);
}
