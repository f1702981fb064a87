//! What was over long ago is let go from memory, and comes back from the ledger when something happens to it.

use crate::support::world::{GRANT, World};
use jiff::SignedDuration;
use unthrottled::domain::history::Fact;
use unthrottled::edge::ledger::Ledger;
use unthrottled::reconcile::{Access, Daemon};

/// Whole remediations in the daemon's memory.
fn held(daemon: &Daemon) -> usize {
    let scope = daemon.scope_names().remove(0);
    daemon.book().history(&scope).held().remediations
}

/// Two remedies that nobody proved, left to a person four days ago.
async fn left_four_days_ago(world: &World) -> Daemon {
    for name in ["web", "app"] {
        world.image_project(name, "node:22");
        world.sim.run_build(name);
    }
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(25)).await;
    assert_eq!(world.stages().await, ["app: escalated", "web: escalated"]);
    assert_eq!(held(&daemon), 2);
    world.sim.advance(SignedDuration::from_hours(96));
    // The first tick sweeps, and the second knows that nothing older is listed again.
    world.tick(&mut daemon).await;
    world.tick(&mut daemon).await;
    assert_eq!(held(&daemon), 0);
    daemon
}

#[tokio::test]
async fn what_was_let_go_is_taken_back_when_a_person_asks_for_it() {
    let world = World::new().policy("retry = \"never\"\nverify_within = \"20m\"");
    let mut daemon = left_four_days_ago(&world).await;
    world.roll_back("web").await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["app: escalated", "web: rolled_back"]);
    assert!(world.environment("web")["registryCredential"].is_null());
    assert_eq!(world.sim.role_policy("codebuild-web", GRANT), None);
    assert!(world.sim.role_policy("codebuild-app", GRANT).is_some());
    // The ledger and the events tell the same, whatever is in memory.
    let told = world.recorded(&daemon).await;
    assert!(told.iter().any(|event| event.event.name() == "RemediationRolledBack"));
}

#[tokio::test]
async fn a_start_holds_no_more_and_finds_what_a_person_did_meanwhile() {
    let world = World::new().policy("retry = \"never\"\nverify_within = \"20m\"");
    drop(left_four_days_ago(&world).await);
    // So much that it is read in more than one page.
    let ledger = Ledger::open(&world.ledger()).await.expect("a ledger");
    let head = ledger.head().await.expect("a head");
    let scope = world.records().await[0].scope.clone();
    let rotated = Fact::CredentialRotated { credential: "other".to_string() };
    for seq in head..head + 1_100 {
        ledger.append(seq, world.sim.now(), &scope, &rotated).await.expect("an entry");
    }
    let daemon = world.daemon().await;
    assert_eq!(held(&daemon), 0, "not even at the start");
    drop(daemon);
    world.roll_back("app").await;
    let mut daemon = world.daemon().await;
    assert_eq!(held(&daemon), 1);
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["app: rolled_back", "web: escalated"]);

    // For a person everything is read.
    drop(daemon);
    let once = world.open(Access::Once).await.expect("the lease is free");
    assert_eq!(held(&once), 2);
}

/// An attempt counts however long ago it was.
#[tokio::test]
async fn what_was_let_go_still_counts_as_an_attempt() {
    let world = World::new()
        .policy("retry = \"never\"\nverify_within = \"20m\"")
        .set("max_open = 50", "attempts_per_project = 1\nmax_open = 50");
    let mut daemon = left_four_days_ago(&world).await;
    world.sim.edit_project("web", |json| {
        let environment = json["environment"].as_object_mut().expect("an environment");
        environment.remove("registryCredential");
        environment.insert("imagePullCredentialsType".to_string(), serde_json::json!("CODEBUILD"));
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationEscalated web attempts_exhausted
    ");
}
