//! What a look costs: calls to AWS, counted.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

mod support;

use jiff::SignedDuration;
use rstest::rstest;
use std::collections::BTreeMap;
use support::cast::SCRIPT;
use support::world::World;
use unthrottled::reconcile::Daemon;
use unthrottled::simulator::{Durations, Fault, Options};

fn brief() -> World {
    World::with(Options { durations: Durations::brief(), ..Options::default() })
}

/// An account with so many projects, each of which has a finished build that the daemon has read.
async fn account(projects: usize) -> (World, Daemon) {
    let world = brief();
    for n in 0..projects {
        let name = format!("project-{n}");
        world.sim.account(|account| {
            account.project(&name).buildspec(SCRIPT);
        });
        world.sim.start_build(&name);
    }
    world.sim.settle_builds();
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    world.sim.advance(SignedDuration::from_secs(30));
    world.tick(&mut daemon).await;
    world.sim.advance(SignedDuration::from_secs(30));
    world.sim.forget_calls();
    (world, daemon)
}

fn calls(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_string(), *n)).collect()
}

#[rstest]
#[case(3)]
#[case(150)]
#[case(2_000)]
#[tokio::test]
async fn a_quiet_tick_is_one_call_however_many_projects_there_are(#[case] projects: usize) {
    let (world, mut daemon) = account(projects).await;
    for _ in 0..3 {
        let tick = world.tick(&mut daemon).await;
        assert!(tick.is_whole());
        world.sim.advance(SignedDuration::from_secs(30));
    }
    assert_eq!(world.calls(), calls(&[("ListBuilds", 3)]));
}

/// What the status page shows is what the loop has seen and the ledger's fold, and nothing else is asked.
#[tokio::test]
async fn what_there_is_to_see_costs_no_call() {
    let (world, daemon) = account(3).await;
    let view = daemon.view(world.sim.now());
    let sight = view.scopes[0].sight.as_ref().expect("a look has ended");
    assert_eq!((sight.coverage.projects_seen, sight.incomplete.len()), (3, 0));
    assert_eq!(sight.whole, Some(sight.at));
    assert_eq!((view.open.total, view.sums.builds), (0, 0));
    assert_eq!(world.calls(), calls(&[]));
}

/// A throttled project is seen at once, with its plan; a part that can't be read is told, and is no whole look.
#[tokio::test]
async fn what_there_is_to_see_is_what_the_ledger_says() {
    let (world, mut daemon) = account(1).await;
    world.sim.account(|account| drop(account.project("project-0").image("node:22")));
    world.sim.start_build("project-0");
    world.sim.settle_builds();
    world.tick(&mut daemon).await;
    let view = daemon.view(world.sim.now());
    let plan = view.open.shown[0].remediation.plan();
    assert_eq!((view.open.total, plan.project.as_str()), (1, "project-0"));
    assert_eq!(view.sums.newest.len(), world.records().await.len());
    let whole = view.scopes[0].sight.as_ref().and_then(|sight| sight.whole);
    assert!(whole.is_some());

    world.sim.fault("ListBuilds", 1..=1, Fault::ServerError(500));
    world.sim.advance(SignedDuration::from_secs(30));
    world.tick(&mut daemon).await;
    let sight = daemon.view(world.sim.now()).scopes[0].sight.clone().expect("a look has ended");
    assert_eq!((sight.incomplete.len(), sight.whole), (1, whole));
}

/// A daemon that starts anew knows what it has seen.
#[tokio::test]
async fn a_restart_reads_nothing_again() {
    let (world, daemon) = account(150).await;
    drop(daemon);
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    assert_eq!(world.calls(), calls(&[("ListBuilds", 1)]));
}

/// A page of the list for every hundred new builds, and a read for every hundred builds that are new or not over.
#[rstest]
#[case(1, 0)]
#[case(99, 0)]
#[case(100, 30)]
#[case(101, 0)]
#[case(250, 0)]
#[case(250, 45)]
#[case(7, 120)]
#[tokio::test]
async fn new_builds_cost_a_page_and_a_read_for_each_hundred(#[case] new: usize, #[case] open: usize) {
    let (world, mut daemon) = account(150).await;
    for _ in 0..open {
        world.sim.start_build("project-0");
    }
    if open > 0 {
        world.tick(&mut daemon).await;
    }
    world.sim.forget_calls();
    for _ in 0..new {
        world.sim.start_build("project-1");
    }
    world.tick(&mut daemon).await;
    let made = world.calls();
    assert_eq!(made["ListBuilds"], 1 + new / 100, "{made:?}");
    assert!(made["BatchGetBuilds"] <= (new + open).div_ceil(100), "{made:?}");
    assert_eq!(made.len(), 2, "{made:?}");
}

#[tokio::test]
async fn a_build_that_runs_is_read_once_a_tick_and_asks_for_no_tick_of_its_own() {
    let (world, mut daemon) = account(3).await;
    world.sim.start_build("project-0");
    let tick = world.tick(&mut daemon).await;
    assert_eq!(tick.counts.builds_waiting, 1);
    assert_eq!(tick.wake, None, "the next poll is soon enough");
    assert_eq!(world.calls(), calls(&[("ListBuilds", 1), ("BatchGetBuilds", 1)]));
}

#[tokio::test]
async fn a_refused_build_image_is_diagnosed_without_its_log_and_a_refused_client_with_two_reads() {
    let world = brief().set("projects = [\"*\"]\nmode = \"apply\"", "projects = [\"*\"]\nmode = \"observe\"");
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    assert_eq!(world.calls(), calls(&[("ListBuilds", 1), ("BatchGetBuilds", 1), ("BatchGetProjects", 1)]));
    world.docker_project("api");
    world.sim.run_build("api");
    world.sim.forget_calls();
    world.tick(&mut daemon).await;
    let made = world.calls();
    assert!(made["GetLogEvents"] <= 2, "{made:?}");
    assert_eq!(made.get("FilterLogEvents"), None, "{made:?}");
    // What was decided for good is not looked at again.
    world.sim.forget_calls();
    world.tick(&mut daemon).await;
    assert_eq!(world.calls(), calls(&[("ListBuilds", 1)]));
}

/// A remedy that waits for proof costs a look every few minutes, not every tick.
#[tokio::test]
async fn a_remedy_that_waits_for_proof_is_looked_at_every_few_minutes() {
    let world = brief().policy("retry = \"never\"");
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    world.sim.forget_calls();
    world.play(&mut daemon, SignedDuration::from_mins(60)).await;
    let made = world.calls();
    assert!(made["BatchGetProjects"] <= 13 && made["GetRolePolicy"] <= 13, "{made:?}");
    assert!(made["ListBuilds"] >= 120, "detection goes on: {made:?}");
    assert_eq!(made.len(), 3, "{made:?}");
}
