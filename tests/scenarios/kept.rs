//! A grant that a rollback left, because something else needed it: looked at again until nothing does.

use crate::support::world::{GRANT, World};
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::domain::history::Fact;
use unthrottled::domain::remediation::Entry;
use unthrottled::reconcile::Daemon;
use unthrottled::simulator::{Fault, Moment};

/// Longer than a kept grant waits for its next look.
const LOOK: SignedDuration = SignedDuration::from_mins(70);

/// `web` was cured and taken back; `hand`, which runs with the same role, names the secret by its owner's own hand.
async fn kept() -> (World, Daemon) {
    let world = World::new();
    let secret = world.sim.account(|account| {
        account.role("builds");
        account.secret("dockerhub").arn()
    });
    world.image_project("web", "node:22");
    world.sim.account(|account| {
        account.project("web").role("builds");
        account.project("hand").role("builds").registry_credential(&secret);
    });
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    world.roll_back("web").await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: rolled_back"]);
    assert!(world.sim.role_policy("builds", GRANT).is_some(), "`hand` reads the secret through it");
    world.sim.forget_calls();
    (world, daemon)
}

async fn entries(world: &World) -> Vec<&'static str> {
    let entry = |fact| if let Fact::Remediation { entry, .. } = fact { Some(Entry::word(&entry)) } else { None };
    world.records().await.into_iter().filter_map(|record| entry(record.fact)).collect()
}

/// What became of the grant, from `grant_kept` on.
async fn of_grant(world: &World) -> Vec<&'static str> {
    entries(world).await.into_iter().skip_while(|word| *word != "grant_kept").collect()
}

#[tokio::test]
async fn a_kept_grant_goes_once_the_project_that_needed_it_is_deleted() {
    let (world, mut daemon) = kept().await;
    world.story();
    let _listening = world.collector.install();
    world.play(&mut daemon, LOOK).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "`hand` still needs it");
    world.sim.delete_project("hand");
    world.play(&mut daemon, LOOK).await;
    assert_eq!(world.writes(), [format!("DeleteRolePolicy builds/{GRANT}")]);
    assert_eq!(world.sim.role_policy("builds", GRANT), None);
    assert_eq!(of_grant(&world).await, ["grant_kept", "rolled_back", "grant_unneeded", "undone"]);
    insta::assert_snapshot!(world.story(), @"GrantRemoved web registry_credential grant_unneeded");
    world.sim.forget_calls();
    world.play(&mut daemon, LOOK).await;
    assert_eq!(world.calls().get("GetRolePolicy"), None, "what is gone is not looked at again");
}

/// The project that is known to need it is read, and no other.
#[tokio::test]
async fn a_kept_grant_costs_one_call_an_hour_while_the_same_project_needs_it() {
    let (world, mut daemon) = kept().await;
    // As long ago that builds of these projects are asked about no more.
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    world.sim.forget_calls();
    world.play(&mut daemon, SignedDuration::from_mins(170)).await;
    let calls = world.calls();
    assert_eq!(calls.get("BatchGetProjects"), Some(&2), "{calls:?}");
    assert_eq!((calls.get("ListProjects"), calls.get("GetRolePolicy")), (None, None), "{calls:?}");
}

#[tokio::test]
async fn a_kept_grant_that_another_project_needs_by_now_stays_for_that_one() {
    let (world, mut daemon) = kept().await;
    world.story();
    let _listening = world.collector.install();
    let secret = world.sim.account(|account| account.secret("dockerhub").arn());
    world.sim.account(|account| {
        account.project("late").role("builds").secret_variable("HUB", &format!("{secret}:password"));
    });
    world.sim.delete_project("hand");
    world.play(&mut daemon, LOOK).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    insta::assert_snapshot!(world.story(), @"GrantKept web registry_credential grant_needed by late");
}

#[tokio::test]
async fn a_kept_grant_that_someone_changed_is_theirs() {
    let (world, mut daemon) = kept().await;
    world.story();
    let _listening = world.collector.install();
    let theirs = json!({"Version": "2012-10-17", "Statement": []});
    world.sim.put_role_policy("builds", GRANT, theirs.clone());
    world.sim.delete_project("hand");
    world.play(&mut daemon, LOOK * 3).await;
    assert_eq!(world.sim.role_policy("builds", GRANT), Some(theirs));
    assert_eq!(world.writes(), Vec::<String>::new());
    insta::assert_snapshot!(world.story(), @"GrantLeft web registry_credential grant_left");
}

/// Between two looks at a grant that nothing needs, somebody does.
#[tokio::test]
async fn a_kept_grant_that_is_needed_again_before_it_goes_stays() {
    let (world, mut daemon) = kept().await;
    let secret = world.sim.account(|account| account.secret("dockerhub").arn());
    world.sim.delete_project("hand");
    while of_grant(&world).await.last() != Some(&"grant_unneeded") {
        world.tick(&mut daemon).await;
        world.sim.advance(SignedDuration::from_secs(5));
    }
    world.sim.account(|account| {
        account.project("late").role("builds").registry_credential(&secret);
    });
    world.play(&mut daemon, LOOK).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert!(world.sim.role_policy("builds", GRANT).is_some(), "`late` needs it now");
}

/// What can't be read may need it.
#[tokio::test]
async fn a_kept_grant_stays_while_projects_can_not_be_read() {
    let (world, mut daemon) = kept().await;
    world.sim.delete_project("hand");
    for operation in ["ListProjects", "BatchGetProjects", "GetRolePolicy"] {
        world.sim.clear_faults();
        world.sim.fault(operation, .., Fault::ServerError(500));
        world.play(&mut daemon, LOOK).await;
        assert_eq!(world.writes(), Vec::<String>::new(), "{operation} fails");
    }
    world.sim.clear_faults();
    world.play(&mut daemon, LOOK).await;
    assert_eq!(world.sim.role_policy("builds", GRANT), None);
}

#[tokio::test]
async fn a_kept_grant_is_looked_at_by_no_daemon_that_may_not_write() {
    let (world, daemon) = kept().await;
    drop(daemon);
    world.sim.delete_project("hand");
    let world = world.set("[daemon]\nmode = \"apply\"", "[daemon]\nmode = \"propose\"");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, LOOK).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(world.calls().get("ListProjects"), None);
}

/// Killed after each call of the look that takes it away, and before the one that does: gone once, told once.
#[tokio::test]
async fn a_daemon_killed_anywhere_in_the_look_takes_the_grant_away_once_and_says_so() {
    let (mut reached, mut deletes) = (0, None);
    for k in 1.. {
        match killed_in_the_look(k, Moment::AfterEffect).await {
            None => break,
            Some(operation) if operation == "DeleteRolePolicy" => deletes = Some(k),
            Some(_) => (),
        }
        reached = k;
    }
    assert!(reached > 12, "the look has more calls than {reached}");
    killed_in_the_look(deletes.expect("a call that takes the grant away"), Moment::BeforeEffect).await;
}

/// Kills the daemon at this call of the look, and says which it was, if there is one.
async fn killed_in_the_look(k: u32, moment: Moment) -> Option<String> {
    let (world, mut daemon) = kept().await;
    let _listening = world.collector.install();
    let mut told = world.told();
    world.sim.delete_project("hand");
    world.sim.advance(LOOK);
    world.sim.hold_call(k, moment);
    let mut killed = None;
    tokio::select! {
        () = world.play(&mut daemon, SignedDuration::from_secs(40)) => (),
        () = world.sim.held() => killed = world.sim.calls().pop().map(|call| call.operation),
    }
    if killed.is_some() {
        world.kill(daemon);
        daemon = world.daemon().await;
    }
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    assert_eq!(world.sim.role_policy("builds", GRANT), None, "killed at call {k} ({moment:?})");
    let what = of_grant(&world).await;
    assert_eq!(what, ["grant_kept", "rolled_back", "grant_unneeded", "undone"], "killed at call {k} ({moment:?})");
    told.extend(world.told());
    world.assert_told(&daemon, &told).await;
    killed
}

/// A grant does not outlive the project that it was made for.
#[tokio::test]
async fn a_proven_remedys_grant_goes_with_its_project() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: verified"]);
    let _listening = world.collector.install();
    world.story();
    world.sim.forget_calls();
    let role = "codebuild-web";
    world.sim.delete_project("web");
    world.play(&mut daemon, SignedDuration::from_mins(20)).await;
    assert_eq!(world.writes(), [format!("DeleteRolePolicy {role}/{GRANT}")]);
    assert_eq!(world.sim.role_policy(role, GRANT), None);
    assert_eq!(world.stages().await, ["web: rolled_back"]);
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided web registry_credential project_gone
    RemediationRolledBack web registry_credential
    ");
}

/// A project that is replaced, as infrastructure code does it, is missing for a moment and there again.
#[tokio::test]
async fn a_project_that_is_missing_at_one_look_is_not_gone() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    world.sim.delete_project("web");
    world.sim.forget_calls();
    while !world.calls().contains_key("BatchGetProjects") {
        world.play(&mut daemon, SignedDuration::from_secs(30)).await;
    }
    world.sim.account(|account| {
        let secret = account.secret("dockerhub").arn();
        account.project("web").image("node:22").registry_credential(&secret);
    });
    world.play(&mut daemon, SignedDuration::from_mins(20)).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(world.stages().await, ["web: verified"]);
}
