//! What the policy's limits hold back, and that it goes on when there is room.

use crate::support::world::World;
use jiff::SignedDuration;
use unthrottled::simulator::Fault;

fn refused(world: &World, projects: &[&str]) {
    for project in projects {
        world.image_project(project, "node:22");
        world.sim.run_build(project);
    }
}

/// How many remediations are open at most while the world plays to its rest.
async fn most_open(world: &World) -> u64 {
    let mut daemon = world.daemon().await;
    let mut most = 0;
    let end = world.sim.now() + SignedDuration::from_hours(3);
    loop {
        let tick = world.tick(&mut daemon).await;
        most = most.max(tick.counts.remediations_open);
        if tick.counts.builds_waiting == 0 && tick.counts.remediations_open == 0 {
            return most;
        }
        assert!(world.sim.now() < end, "no rest");
        world.sim.advance(SignedDuration::from_secs(30));
    }
}

#[tokio::test]
async fn only_so_many_are_open_at_once() {
    let world = World::new().set("max_open = 50", "max_open = 2");
    refused(&world, &["a1", "b1", "c1", "d1"]);
    let _listening = world.collector.install();
    assert_eq!(most_open(&world).await, 2);
    assert_eq!(world.stages().await, ["a1: verified", "b1: verified", "c1: verified", "d1: verified"]);
    let story = world.story();
    assert_eq!(story.matches("RemediationHeld c1 max_open").count(), 1, "said once: {story}");
}

#[tokio::test]
async fn only_a_share_of_the_projects_is_open_at_once() {
    let world = World::new().set("max_share = \"100%\"", "max_share = \"30%\"");
    refused(&world, &["a1", "b1", "c1", "d1"]);
    let _listening = world.collector.install();
    assert_eq!(most_open(&world).await, 1);
    assert!(world.story().contains("max_share"));
    assert_eq!(world.stages().await.len(), 4);
}

#[tokio::test]
async fn only_so_many_begin_within_an_hour() {
    let world = World::new().set("max_per_hour = 100", "max_per_hour = 2");
    refused(&world, &["a1", "b1", "c1"]);
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(50)).await;
    assert_eq!(world.stages().await, ["a1: verified", "b1: verified"]);
    world.play(&mut daemon, SignedDuration::from_mins(15)).await;
    assert_eq!(world.stages().await, ["a1: verified", "b1: verified", "c1: verified"]);
    assert_eq!(world.story().matches("max_per_hour").count(), 1);
}

/// The world's clock begins on Saturday at 10:00; the window closes at noon.
#[tokio::test]
async fn a_freeze_holds_until_it_ends() {
    let world = World::new()
        .set("[policy.limits]", "[[policy.freeze]]\ncron = \"0 18 * * FRI\"\nduration = \"18h\"\n[policy.limits]");
    refused(&world, &["web"]);
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(110)).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    world.play(&mut daemon, SignedDuration::from_mins(20)).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationHeld web freeze
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
}

/// What is set back again and again is not put in again and again.
#[tokio::test]
async fn a_project_that_is_set_back_each_time_gets_so_many_attempts() {
    let world = World::new()
        .policy("iac_owned = \"apply\"\non_drift = \"reapply\"")
        .set("max_open = 50", "max_open = 50\nattempts_per_project = 2");
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.project("web").tag("ManagedBy", "Terraform");
    });
    let owners = world.sim.project_json("web");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    for _ in 0..4 {
        world.sim.run_build("web");
        world.rest(&mut daemon).await;
        world.sim.edit_project("web", |json| json["environment"] = owners["environment"].clone());
        world.sim.advance(SignedDuration::from_mins(20));
    }
    assert_eq!(world.stages().await.len(), 2, "{:?}", world.stages().await);
    assert_eq!(world.story().matches("RemediationEscalated web registry_credential set_back").count(), 1);
    assert_eq!(world.environment("web"), owners["environment"]);
}

/// What keeps failing is never over, and remedies fail in the same way again.
#[tokio::test]
async fn a_project_whose_remedies_come_to_nothing_gets_so_many_attempts() {
    let world =
        World::new().policy("retry = \"never\"").set("max_open = 50", "max_open = 50\nattempts_per_project = 2");
    world.image_project("web", "node:22");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    for image in ["node:22", "node:23", "node:24", "node:25"] {
        world.sim.edit_project("web", |json| json["environment"]["image"] = image.into());
        world.sim.run_build("web");
        world.tick(&mut daemon).await;
        // The grant settles, and the owner changes the image: the plan is void.
        world.sim.edit_project("web", |json| json["environment"]["image"] = "node:26".into());
        world.rest(&mut daemon).await;
    }
    assert_eq!(world.stages().await, ["web: rolled_back", "web: rolled_back"]);
    let story = world.story();
    assert_eq!(story.matches("RemediationEscalated web attempts_exhausted").count(), 2, "{story}");
    assert!(world.environment("web")["registryCredential"].is_null());
}

/// Remediations that can't go on keep no build from being found: detection goes on at every tick.
#[tokio::test]
async fn remediations_that_can_not_go_on_do_not_starve_detection() {
    for operation in ["PutRolePolicy", "GetRolePolicy", "UpdateProject", "BatchGetProjects"] {
        let world = World::new();
        refused(&world, &["a1", "b1", "c1", "d1"]);
        let _listening = world.collector.install();
        let mut daemon = world.daemon().await;
        world.tick(&mut daemon).await;
        world.sim.fault(operation, .., Fault::Throttled);
        for n in 0..10 {
            let late = format!("late{n}");
            refused(&world, &[&late]);
            world.tick(&mut daemon).await;
            let detected = format!("ThrottleDetected {late} PROVISIONING");
            let told = world.story();
            assert!(told.contains(&detected), "{operation}: {late} was found in the same tick: {told}");
            world.sim.advance(SignedDuration::from_secs(30));
        }
        world.sim.clear_faults();
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await.len(), 14, "{operation}");
    }
}

/// An API that answers only now and then: every build is found, and every one is remedied.
#[tokio::test]
async fn an_api_that_throttles_most_calls_delays_and_starves_nothing() {
    let world = World::new();
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    for n in 0..12 {
        refused(&world, &[&format!("p{n}")]);
        // Of each tick's calls the first one to five are answered, in turns.
        world.sim.clear_faults();
        world.sim.forget_calls();
        world.sim.fault("*", (n % 5 + 2).., Fault::Throttled);
        world.tick(&mut daemon).await;
        world.sim.advance(SignedDuration::from_secs(30));
    }
    world.sim.clear_faults();
    world.rest(&mut daemon).await;
    let found = world.story().matches("ThrottleDetected").count();
    assert_eq!(found, 12);
    assert_eq!(world.stages().await.iter().filter(|stage| stage.ends_with("verified")).count(), 12);
}

/// However long it takes and however often it fails: of the builds of a project only the newest waits, and is the one that
/// is started again.
#[tokio::test]
async fn of_the_builds_that_wait_for_the_same_only_the_newest_waits() {
    let world = World::new()
        .set("[policy.limits]", "[[policy.freeze]]\ncron = \"0 18 * * FRI\"\nduration = \"18h\"\n[policy.limits]");
    let mut daemon = world.daemon().await;
    for _ in 0..5 {
        refused(&world, &["web", "api"]);
        let tick = world.tick(&mut daemon).await;
        assert_eq!(tick.counts.builds_waiting, 2, "one a project");
        world.sim.advance(SignedDuration::from_mins(10));
    }
    let newest = world.sim.builds_of("web").last().map(|build| build.id.clone()).expect("a build");
    world.sim.advance(SignedDuration::from_hours(2));
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["api: verified", "web: verified"]);
    let remediations = world.remediations().await;
    assert!(remediations.iter().any(|r| r.plan().because.as_str() == newest), "because of {newest}");
    assert_eq!((world.ended_with_the_secret("web"), world.ended_with_the_secret("api")), (1, 1));
}
