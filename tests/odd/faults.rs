//! AWS that throttles, errs, hangs up and cuts its answers: the same end, and nothing lost or done twice.

use crate::support::cast::SCRIPT;
use crate::support::world::World;
use jiff::SignedDuration;
use std::collections::BTreeSet;
use unthrottled::simulator::{Durations, Fault, Options};

const FAULTS: [Fault; 5] =
    [Fault::Throttled, Fault::ServerError(500), Fault::DropBefore, Fault::DropAfter, Fault::TruncatedBody];

fn world() -> World {
    let options = Options { durations: Durations::brief(), ..Options::default() };
    let world = World::with(options).policy("settle = \"2s\"\nretry = \"always\"");
    world.image_project("web", "node:22");
    world.docker_project("api");
    world.sim.run_build("web");
    world.sim.run_build("api");
    world
}

/// Every operation that the scenario calls fails once in every way.
#[tokio::test]
async fn each_operation_failing_once_changes_nothing_of_the_end() {
    let unharmed = world();
    let mut daemon = unharmed.daemon().await;
    unharmed.rest(&mut daemon).await;
    assert_eq!(unharmed.stages().await, ["api: verified", "web: verified"]);
    let end = unharmed.sim.snapshot();
    let operations: BTreeSet<String> = unharmed.sim.calls().into_iter().map(|call| call.operation).collect();
    assert!(operations.len() >= 13, "{operations:?}");
    for operation in &operations {
        for fault in FAULTS {
            let world = world();
            world.sim.fault(operation, 1..=1, fault);
            let mut daemon = world.daemon().await;
            world.rest(&mut daemon).await;
            let what = format!("{operation} {fault:?}");
            assert_eq!(world.stages().await, ["api: verified", "web: verified"], "{what}");
            assert_eq!(world.sim.snapshot(), end, "{what}");
            assert_eq!((world.ended_with_the_secret("web"), world.ended_with_the_secret("api")), (1, 1), "{what}");
        }
    }
}

/// Each call of the whole scenario is throttled once.
#[tokio::test]
async fn each_call_throttled_once_changes_nothing_of_the_end() {
    let unharmed = world();
    let mut daemon = unharmed.daemon().await;
    unharmed.rest(&mut daemon).await;
    let end = unharmed.sim.snapshot();
    for (k, call) in (1..).zip(unharmed.sim.calls()) {
        let world = world();
        world.sim.fault("*", k..=k, Fault::Throttled);
        let mut daemon = world.daemon().await;
        world.rest(&mut daemon).await;
        let what = format!("call {k}, {}", call.operation);
        assert_eq!(world.stages().await, ["api: verified", "web: verified"], "{what}");
        assert_eq!(world.sim.snapshot(), end, "{what}");
        assert_eq!((world.ended_with_the_secret("web"), world.ended_with_the_secret("api")), (1, 1), "{what}");
    }
}

/// A storm that nothing survives, then calm: nothing was lost, and the storm was called what it is.
#[tokio::test]
async fn a_storm_of_throttling_loses_nothing() {
    for fault in [Fault::Throttled, Fault::ServerError(503), Fault::DropAfter] {
        let world = world();
        let _listening = world.collector.install();
        world.sim.fault("*", .., fault);
        let mut daemon = world.daemon().await;
        for _ in 0..20 {
            let tick = world.tick(&mut daemon).await;
            assert!(!tick.is_whole(), "an unread scope is never whole");
            world.sim.advance(SignedDuration::from_secs(30));
        }
        world.sim.clear_faults();
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["api: verified", "web: verified"], "{fault:?}");
        assert!(world.story().starts_with("ScanIncomplete"), "{fault:?}");
    }
}

/// The list fails in the middle: the builds of the pages that came and of those that did not are all read later.
#[tokio::test]
async fn a_list_that_fails_on_its_second_page_loses_no_build() {
    let world = World::with(Options { durations: Durations::brief(), ..Options::default() });
    world.image_project("old", "node:22");
    world.sim.run_build("old");
    world.sim.account(|account| {
        account.project("busy").buildspec(SCRIPT);
    });
    for _ in 0..130 {
        world.sim.start_build("busy");
    }
    world.sim.settle_builds();
    world.image_project("new", "node:22");
    world.sim.run_build("new");
    for fault in [Fault::ServerError(500), Fault::TruncatedBody] {
        world.sim.clear_faults();
        world.sim.fault("ListBuilds", 2..=2, fault);
    }
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    let tick = world.tick(&mut daemon).await;
    assert!(!tick.is_whole());
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["new: verified", "old: verified"]);
}

/// A project that can't be read holds up no other.
#[tokio::test]
async fn a_role_that_we_may_not_read_holds_up_no_other_project() {
    let world = World::new();
    world.image_project("api", "node:22");
    world.sim.run_build("api");
    crate::sound(&world);
    world.sim.fault("GetRole", 1..=1, Fault::AccessDenied);
    let _listening = world.collector.install();
    let story = crate::play(&world).await;
    assert!(
        story.contains("ScanIncomplete access_denied") || story.contains("ScanIncomplete - access_denied"),
        "{story}"
    );
    assert!(world.stages().await.contains(&"api: verified".to_string()), "it is tried again");
}
