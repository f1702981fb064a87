//! A daemon that is killed at any call to AWS: the next one ends where an unkilled one ends.
//!
//! The kill is the drop of the tick's future while a call is held: the call has its effect or not, its answer never comes,
//! and the events that were not noted as written out are lost. For a call that changes nothing the two moments are one.
//!
//! A kill between two entries of the ledger with no call between them is played by `simulate --pass entry`, and by
//! `tests/simulation.rs`.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

mod support;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use support::cast::no_secrets;
use support::world::World;
use unthrottled::edge::ledger::Ledger;
use unthrottled::simulator::{Call, Durations, Moment, Options, RetryReads, Unknowns};

/// What must come out the same.
#[derive(Debug, PartialEq)]
struct End {
    snapshot: Value,
    stages: Vec<String>,
    /// By project: the builds that ran to their end with the secret.
    retries: Vec<usize>,
}

/// How long nobody starts the daemon again.
#[derive(Clone, Copy)]
enum Down {
    Moment,
    /// The tokens that make a retry idempotent hold for five minutes.
    TenMinutes,
}

fn world(retry_build: RetryReads) -> World {
    let unknowns = Unknowns { retry_build, ..Unknowns::default() };
    let options = Options { durations: Durations::brief(), unknowns, ..Options::default() };
    World::with(options).policy("settle = \"2s\"\nretry = \"always\"")
}

/// Its build image is refused, and the secret has a key of the customer's own.
fn image(retry_build: RetryReads) -> World {
    let world = world(retry_build);
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.secret("dockerhub").kms_key("alias/hub");
    });
    world.sim.run_build("web");
    world
}

fn image_retried_as_it_was() -> World {
    image(RetryReads::Original)
}

fn image_retried_as_it_is() -> World {
    image(RetryReads::Current)
}

fn login() -> World {
    let world = world(RetryReads::Current);
    world.docker_project("web");
    world.sim.run_build("web");
    world
}

fn made_worse() -> World {
    let world = world(RetryReads::Current);
    world.docker_project("web");
    world.sim.account(|account| {
        account.role("codebuild-web").boundary(no_secrets());
    });
    world.sim.run_build("web");
    world
}

fn variable() -> World {
    let world = world(RetryReads::Current);
    world.secret_for_docker();
    world.repository_project("web");
    world.sim.run_build("web");
    world
}

fn variable_made_worse() -> World {
    let world = variable();
    world.sim.account(|account| {
        account.role("codebuild-web").boundary(no_secrets());
    });
    world
}

fn mirror() -> World {
    let world = world(RetryReads::Original).policy("provisioning = [\"mirror_image\"]");
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    world
}

fn mirror_throttled() -> World {
    let world = mirror();
    world.sim.account(|account| account.throttle_ecr_public());
    world
}

fn shared_role() -> World {
    let world = world(RetryReads::Current);
    for project in ["web", "app"] {
        world.image_project(project, "node:22");
        world.sim.account(|account| {
            account.project(project).role("builds");
        });
        world.sim.run_build(project);
    }
    world
}

async fn end(world: &World) -> End {
    let retries = ["web", "app"].iter().map(|project| world.ended_with_the_secret(project)).collect();
    End { snapshot: world.sim.snapshot(), stages: world.stages().await, retries }
}

/// All that outlives a kill. What the account holds changes with time and with calls that have an effect alone, and the
/// stories are the same but for random names, so counts tell two such states apart.
#[derive(Debug, PartialEq)]
struct Left {
    now: Timestamp,
    effects: usize,
    entries: usize,
    told: u64,
}

async fn left(world: &World) -> Left {
    let ledger = Ledger::open(&world.ledger()).await.expect("a ledger");
    Left {
        now: world.sim.now(),
        effects: world.sim.writes().len(),
        entries: ledger.load().await.expect("records").len(),
        told: ledger.emitted().await.expect("a number"),
    }
}

impl Down {
    /// A long time is only worth playing where something changes: the tokens are asked for nowhere else.
    fn moments(self, call: &Call) -> &'static [Moment] {
        match self {
            _ if call.took_effect => &[Moment::BeforeEffect, Moment::AfterEffect],
            Down::Moment => &[Moment::BeforeEffect],
            Down::TenMinutes => &[],
        }
    }
}

/// Plays the world once without a kill and once for every call and moment.
async fn killed_at_every_call(build: fn() -> World, down: Down, stages: &[&str]) {
    let unharmed = build();
    let before = unharmed.sim.calls().len();
    let mut daemon = unharmed.daemon().await;
    unharmed.rest(&mut daemon).await;
    let reference = end(&unharmed).await;
    assert_eq!(reference.stages, stages);
    let calls = unharmed.sim.calls().split_off(before);
    let changing = calls.iter().filter(|call| call.took_effect).count();
    assert!(changing >= 3 && calls.len() >= 20, "the scenario does not do much: {calls:?}");

    let mut resumed = None;
    for (k, call) in (1..).zip(&calls) {
        for moment in down.moments(call) {
            let world = build();
            let _listening = world.collector.install();
            killed(&world, k, *moment, call).await;
            // Nothing outlived the kill that did not outlive the one before: what comes now is the same as well.
            let left = Some(left(&world).await);
            if left == resumed {
                continue;
            }
            resumed = left;
            if let Down::TenMinutes = down {
                world.sim.advance(SignedDuration::from_mins(10));
            }
            let mut daemon = world.daemon().await;
            world.rest(&mut daemon).await;
            assert_eq!(end(&world).await, reference, "killed at call {k}, {} ({moment:?})", call.operation);
            world.assert_told(&daemon, &world.told()).await;
        }
    }
}

/// Plays until the call, and kills the daemon there.
async fn killed(world: &World, k: u32, moment: Moment, call: &Call) {
    world.sim.hold_call(k, moment);
    let mut daemon = world.daemon().await;
    tokio::select! {
        () = world.rest(&mut daemon) => panic!("call {k} was not reached"),
        () = world.sim.held() => (),
    }
    let held = world.sim.calls().pop().map(|call| call.operation);
    assert_eq!(held.as_ref(), Some(&call.operation), "call {k} of the same story");
    world.kill(daemon);
}

macro_rules! killed_at_every_call {
    ($($name:ident, $down:ident, $world:ident => $stages:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            killed_at_every_call($world, Down::$down, &$stages).await;
        }
    )*};
}

killed_at_every_call! {
    a_cure_of_a_build_image, Moment, image_retried_as_it_was => ["web: verified"];
    a_cure_of_a_build_image_and_ten_minutes, TenMinutes, image_retried_as_it_was => ["web: verified"];
    a_cure_whose_retry_reads_the_project_and_ten_minutes, TenMinutes, image_retried_as_it_is => ["web: verified"];
    a_login, Moment, login => ["web: verified"];
    a_login_and_ten_minutes, TenMinutes, login => ["web: verified"];
    a_rollback, Moment, made_worse => ["web: rolled_back"];
    a_rollback_and_ten_minutes, TenMinutes, made_worse => ["web: rolled_back"];
    a_variable, Moment, variable => ["web: verified"];
    a_rollback_of_a_variable, Moment, variable_made_worse => ["web: rolled_back"];
    a_mirror, Moment, mirror => ["web: verified"];
    a_mirror_and_ten_minutes, TenMinutes, mirror => ["web: verified"];
    a_rollback_of_a_mirror, Moment, mirror_throttled => ["web: rolled_back"];
    a_role_of_two_projects, Moment, shared_role => ["app: verified", "web: verified"];
}
