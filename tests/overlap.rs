//! What is under way at once: the list of builds has to be read page after page, all else overlaps with it.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

mod support;

use jiff::SignedDuration;
use std::collections::BTreeMap;
use support::cast::SCRIPT;
use support::world::World;
use unthrottled::reconcile::Tick;
use unthrottled::simulator::{Durations, Gate, Options, Waiting};

/// An account with so many finished builds of one project, and a daemon that has read none.
fn account(builds: usize) -> World {
    let world = World::with(Options { durations: Durations::brief(), ..Options::default() });
    world.sim.account(|account| drop(account.project("project-0").buildspec(SCRIPT)));
    for _ in 0..builds {
        world.sim.start_build("project-0");
    }
    world.sim.settle_builds();
    world
}

/// The next calls, all of which wait at the gate.
async fn arrivals(gate: &mut Gate, count: usize) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    while waiting.len() < count {
        waiting.push(gate.arrival().await.expect("a call"));
    }
    waiting
}

fn operations(waiting: &[Waiting]) -> BTreeMap<&str, usize> {
    let mut operations = BTreeMap::new();
    waiting.iter().for_each(|call| *operations.entry(call.operation()).or_default() += 1);
    operations
}

async fn serve_all(gate: &mut Gate) -> ! {
    loop {
        gate.arrival().await.expect("a call").serve(None);
    }
}

/// Plays the account's side beside a first tick. Calls that never come would wait for each other until they time out, and
/// the tick would end before the play.
async fn beside_a_tick(world: &World, mut play: impl AsyncFnMut(&mut Gate)) -> Tick {
    let mut daemon = world.daemon().await;
    let mut gate = world.sim.gate();
    let mut played = false;
    let tick = tokio::select! {
        tick = world.tick(&mut daemon) => tick,
        _ = async {
            play(&mut gate).await;
            played = true;
            serve_all(&mut gate).await
        } => unreachable!("it serves for ever"),
    };
    assert!(played, "the calls of the play did not come");
    tick
}

#[tokio::test]
async fn a_page_of_builds_is_read_while_the_next_is_listed() {
    let world = account(250);
    let tick = beside_a_tick(&world, async |gate| {
        let first = arrivals(gate, 1).await;
        assert_eq!(operations(&first), BTreeMap::from([("ListBuilds", 1)]));
        first.into_iter().for_each(|call| call.serve(None));
        let both = arrivals(gate, 2).await;
        assert_eq!(operations(&both), BTreeMap::from([("BatchGetBuilds", 1), ("ListBuilds", 1)]));
        both.into_iter().for_each(|call| call.serve(None));
    })
    .await;
    assert!(tick.is_whole());
}

/// Answers that come late make no list of builds look as if it were not newest first, which would have all of it read each time.
#[tokio::test]
async fn pages_are_taken_in_the_order_of_the_list_however_their_builds_come() {
    let world = account(0);
    for _ in 0..250 {
        world.sim.start_build("project-0");
        world.sim.advance(SignedDuration::from_secs(10));
    }
    world.sim.settle_builds();
    let tick = beside_a_tick(&world, async |gate| {
        let (mut lists, mut reads) = (0, Vec::new());
        while lists < 3 || reads.len() < 3 {
            let call = gate.arrival().await.expect("a call");
            if call.operation() == "ListBuilds" {
                lists += 1;
                call.serve(None);
            } else {
                reads.push(call);
            }
        }
        reads.into_iter().rev().for_each(|call| call.serve(None));
    })
    .await;
    assert!(tick.is_whole());
    world.sim.open_gate();
    world.sim.forget_calls();
    let mut daemon = world.daemon().await;
    assert!(world.tick(&mut daemon).await.is_whole());
    assert_eq!(world.calls(), BTreeMap::from([("ListBuilds".to_string(), 1)]));
}

/// Builds that went well are read once, and take no more calls than they fill pages.
#[tokio::test]
async fn a_first_look_reads_each_build_once() {
    let world = account(250);
    let mut daemon = world.daemon().await;
    let tick = world.tick(&mut daemon).await;
    assert!(tick.is_whole());
    let calls = world.calls();
    assert_eq!((calls["ListBuilds"], calls["BatchGetBuilds"], calls.len()), (3, 3, 2), "{calls:?}");
}

/// A page that could not be read is missed, however many were read behind it.
#[tokio::test]
async fn a_page_that_fails_among_others_fails_the_look_and_the_next_reads_it() {
    let world = account(450);
    let tick = beside_a_tick(&world, async |gate| {
        let mut read = 0;
        while read < 2 {
            let call = gate.arrival().await.expect("a call");
            read += usize::from(call.operation() == "BatchGetBuilds");
            // The second page's builds, each time that they are asked for.
            let fault = (read == 2).then_some(unthrottled::simulator::Fault::AccessDenied);
            call.serve(fault);
        }
    })
    .await;
    assert!(!tick.is_whole());
    world.sim.open_gate();
    let mut daemon = world.daemon().await;
    assert!(world.tick(&mut daemon).await.is_whole());
}

#[tokio::test]
async fn logs_are_read_eight_at_a_time() {
    let world = account(0);
    for n in 0..20 {
        let name = format!("failing-{n:02}");
        world.sim.account(|account| {
            account.command("./test").fails(["1 of 12 tests failed"]);
            account.project(&name).buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - ./test\n");
        });
        world.sim.start_build(&name);
    }
    world.sim.settle_builds();
    let tick = beside_a_tick(&world, async |gate| {
        let builds = arrivals(gate, 1).await;
        builds.into_iter().for_each(|call| call.serve(None));
        let builds = arrivals(gate, 1).await;
        assert_eq!(operations(&builds), BTreeMap::from([("BatchGetBuilds", 1)]));
        builds.into_iter().for_each(|call| call.serve(None));
        let logs = arrivals(gate, 8).await;
        assert_eq!(operations(&logs), BTreeMap::from([("GetLogEvents", 8)]));
        logs.into_iter().for_each(|call| call.serve(None));
    })
    .await;
    assert!(tick.is_whole());
    assert_eq!(tick.counts.builds_failed, 20);
}
