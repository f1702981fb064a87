//! People who edit what we edit, and clocks that jump.

use crate::support::world::{GRANT, World};
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::edge::clock::Clock;
use unthrottled::edge::event::Kind;
use unthrottled::reconcile::Daemon;
use unthrottled::simulator::{Fault, Options, Unknowns};

/// A project whose remedy is applied and waits for proof.
async fn applied() -> (World, Daemon) {
    let world = World::new().policy("retry = \"never\"");
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(1)).await;
    assert_eq!(world.stages().await, ["web: applied"]);
    (world, daemon)
}

#[tokio::test]
async fn an_edit_of_our_own_field_is_left_as_it_is_and_a_person_is_called() {
    let (world, mut daemon) = applied().await;
    let _listening = world.collector.install();
    world.sim.edit_project("web", |json| {
        json["environment"]["registryCredential"]["credential"] =
            json!("arn:aws:secretsmanager:us-east-1:111122223333:secret:theirs-AbCdEf");
    });
    let theirs = world.sim.snapshot();
    world.sim.forget_calls();
    world.play(&mut daemon, SignedDuration::from_mins(20)).await;
    insta::assert_snapshot!(world.story(), @"RemediationEscalated web registry_credential drift");
    assert_eq!(world.sim.snapshot(), theirs);
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_person_takes_out_is_left_out() {
    let (world, mut daemon) = applied().await;
    let _listening = world.collector.install();
    world.sim.edit_project("web", |json| {
        let environment = json["environment"].as_object_mut().expect("an environment");
        environment.remove("registryCredential");
        environment.insert("imagePullCredentialsType".to_string(), json!("CODEBUILD"));
    });
    let theirs = world.environment("web");
    world.play(&mut daemon, SignedDuration::from_mins(10)).await;
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided web registry_credential taken_out
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.environment("web"), theirs);
    assert_eq!(world.sim.role_policy("codebuild-web", GRANT), None, "nothing needs the grant");
}

#[tokio::test]
async fn a_grant_that_a_person_takes_away_takes_the_project_along() {
    let (world, mut daemon) = applied().await;
    let _listening = world.collector.install();
    world.sim.delete_role_policy("codebuild-web", GRANT);
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided web registry_credential grant_taken_away
    RemediationRolledBack web registry_credential
    ");
    assert!(world.environment("web")["registryCredential"].is_null(), "no build may fail for want of the grant");
}

/// Edits of other fields at any time survive our write and our rollback.
#[tokio::test]
async fn edits_of_other_fields_survive_our_write_and_our_rollback() {
    let world = World::new().policy("retry = \"never\"");
    world.docker_project("api");
    world.sim.run_build("api");
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    // The grant settles: our write of the project is still to come.
    world.sim.edit_project("api", |json| {
        json["timeoutInMinutes"] = json!(17);
        json["environment"]["environmentVariables"] = json!([{"name": "STAGE", "value": "prod", "type": "PLAINTEXT"}]);
    });
    world.play(&mut daemon, SignedDuration::from_mins(1)).await;
    assert_eq!(world.stages().await, ["api: applied"]);
    let variables = world.environment("api")["environmentVariables"].to_string();
    assert!(variables.contains("STAGE") && variables.contains("DOCKERHUB_PASSWORD"), "{variables}");
    world.sim.edit_project("api", |json| {
        json["description"] = json!("edited while it was applied");
        let variables = json["environment"]["environmentVariables"].as_array_mut().expect("variables");
        variables.push(json!({"name": "LATE", "value": "x", "type": "PLAINTEXT"}));
    });
    world.roll_back("api").await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["api: rolled_back"]);
    let project = world.sim.project_json("api");
    assert_eq!(project["timeoutInMinutes"], json!(17));
    assert_eq!(project["description"], json!("edited while it was applied"));
    insta::assert_snapshot!(project["environment"]["environmentVariables"], @r#"[{"name":"STAGE","value":"prod","type":"PLAINTEXT"},{"name":"LATE","value":"x","type":"PLAINTEXT"}]"#);
    assert_eq!(world.buildspec("api"), crate::support::cast::DOCKER_BUILD);
}

/// Someone edits the buildspec before we get to write it: the plan is void, and their text stays.
#[tokio::test]
async fn an_edit_of_the_buildspec_before_our_write_voids_the_plan() {
    let world = World::new();
    world.docker_project("api");
    world.sim.run_build("api");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    let theirs = "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n";
    world.sim.edit_project("api", |json| json["source"]["buildspec"] = json!(theirs));
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RollbackDecided api buildspec_login project_changed
    RemediationRolledBack api buildspec_login
    ");
    assert_eq!(world.buildspec("api"), theirs);
    assert_eq!(world.sim.role_policy("codebuild-api", GRANT), None);
}

/// How far back the first look goes is kept before it is made: a daemon that comes hours after one whose first look failed
/// reads what that one would have.
#[tokio::test]
async fn a_first_look_that_failed_is_made_up_for_hours_later() {
    let world = World::new();
    world.image_project("web", "node:22");
    let build = world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.sim.fault("ListBuilds", 1..=1, Fault::DropBefore);
    assert!(!world.tick(&mut daemon).await.is_whole());
    world.kill(daemon);
    world.sim.advance(SignedDuration::from_hours(5));
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    let known =
        world.records().await.into_iter().any(|record| record.build().is_some_and(|id| id.as_str() == build.id));
    assert!(known, "the build is in the ledger");
}

/// An edit after our look and before our write: we read once more just before we write, so nothing is sent.
#[tokio::test]
async fn an_edit_between_our_look_and_our_write_is_not_overwritten() {
    let world = World::new();
    world.docker_project("api");
    world.sim.run_build("api");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    let tick = world.tick(&mut daemon).await;
    world.sim.advance(world.sim.now().duration_until(tick.wake.expect("the grant settles")));
    world.sim.forget_calls();
    // Two looks read the project: before it is recorded that it is about to be written, and after that. The third read,
    // just before the write, waits for a person.
    world.sim.fault("BatchGetProjects", 3..=3, Fault::Paused);
    let theirs = "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n";
    let person = async {
        while world.calls().get("GetRolePolicy").is_none_or(|calls| *calls < 2) {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.calls()["BatchGetProjects"], 2, "the third read is under way");
        world.sim.edit_project("api", |json| json["source"]["buildspec"] = json!(theirs));
        world.sim.go_on();
    };
    tokio::join!(world.tick(&mut daemon), person);
    assert_eq!(world.buildspec("api"), theirs);
    let story = world.story();
    assert!(story.contains("WriteRefused api buildspec_login not_as_expected"), "{story}");
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["api: rolled_back"]);
    assert_eq!(world.buildspec("api"), theirs);
}

/// Another process records a rollback after our look and before our write: the write belongs to a history that is over.
#[tokio::test]
async fn a_rollback_decided_between_our_look_and_our_write_comes_first() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    let tick = world.tick(&mut daemon).await;
    world.sim.advance(world.sim.now().duration_until(tick.wake.expect("the grant settles")));
    world.sim.forget_calls();
    // The last read of the look waits for a person.
    world.sim.fault("GetRolePolicy", 1..=1, Fault::Paused);
    let person = async {
        while !world.calls().contains_key("BatchGetProjects") {
            tokio::task::yield_now().await;
        }
        world.roll_back("web").await;
        assert!(!world.calls().contains_key("GetRolePolicy"), "the look is under way");
        world.sim.go_on();
    };
    tokio::join!(world.tick(&mut daemon), person);
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: rolled_back"]);
    assert_eq!(world.writes(), ["DeleteRolePolicy codebuild-web/unthrottled-dockerhub"], "the project was not written");
    assert_eq!(world.sim.snapshot(), before);
}

/// The stop tag set in the middle stops what is under way; taken off again, it goes on.
#[tokio::test]
async fn the_stop_tag_stops_what_is_under_way() {
    let world = World::new();
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    world.sim.edit_project("web", |json| json["tags"] = json!([{"key": "unthrottled", "value": "off"}]));
    world.sim.forget_calls();
    world.play(&mut daemon, SignedDuration::from_mins(15)).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    world.sim.edit_project("web", |json| json["tags"] = json!([]));
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: verified"]);
}

/// The daemon's clock falls back an hour in the middle, and later catches up.
#[tokio::test]
async fn a_clock_that_falls_back_holds_nothing_up_for_good() {
    for fall_after in [0, 1, 2, 3] {
        let world = World::new();
        world.image_project("web", "node:22");
        world.sim.run_build("web");
        let mut daemon = world.daemon().await;
        for tick in 0..240 {
            let behind = if tick > fall_after { SignedDuration::from_hours(1) } else { SignedDuration::ZERO };
            daemon
                .tick(&Clock::of({
                    let sim = world.sim.clone();
                    move || sim.now() - behind
                }))
                .await
                .expect("a tick");
            world.sim.advance(SignedDuration::from_secs(30));
            if tick > fall_after && world.stages().await == ["web: verified"] {
                break;
            }
        }
        assert!(world.records().await.is_sorted_by_key(|record| record.at), "time goes back in the ledger");
        assert_eq!(world.stages().await, ["web: verified"], "fell back after tick {fall_after}");
        assert_eq!(world.ended_with_the_secret("web"), 1);
    }
}

/// A person takes it back at every stage of it.
#[tokio::test]
async fn a_rollback_asked_for_at_any_time_puts_all_back() {
    for seconds in [0, 10, 16, 20, 31, 60] {
        let world = World::new();
        world.image_project("web", "node:22");
        world.sim.run_build("web");
        let before = world.sim.snapshot();
        let mut daemon = world.daemon().await;
        world.play(&mut daemon, SignedDuration::from_secs(seconds)).await;
        world.roll_back("web").await;
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["web: rolled_back"], "after {seconds} s");
        assert_eq!(world.sim.snapshot().to_string(), before.to_string(), "after {seconds} s");
    }
}

/// A project whose login is applied and waits for proof.
async fn login_applied() -> (World, Daemon) {
    let world = World::new().policy("retry = \"never\"");
    world.docker_project("api");
    world.sim.run_build("api");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(1)).await;
    assert_eq!(world.stages().await, ["api: applied"]);
    (world, daemon)
}

/// Someone works on the buildspec while our login is in it.
fn edit_buildspec(world: &World, edit: impl FnOnce(&str) -> String) -> String {
    let theirs = edit(&world.buildspec("api"));
    world.sim.edit_project("api", |json| json["source"]["buildspec"] = json!(theirs));
    theirs
}

/// The line that holds the login, whole.
fn login_line(text: &str) -> String {
    let line = text.split_inclusive('\n').find(|line| line.contains("docker login"));
    line.expect("a login").to_string()
}

fn with_their_edits(text: &str) -> String {
    let text = text.replace("      # keep me\n", "      - make\n      # rewritten\n");
    text.replace("version: 0.2\n", "# ours now\nversion: 0.2\n").replace("echo done", "echo really done")
}

/// An edit of the buildspec around our line is no drift, and a rollback takes our line and nothing of theirs.
#[tokio::test]
async fn a_rollback_takes_our_line_out_of_a_buildspec_that_others_have_edited() {
    let (world, mut daemon) = login_applied().await;
    let _listening = world.collector.install();
    let theirs = edit_buildspec(&world, with_their_edits);
    world.play(&mut daemon, SignedDuration::from_mins(20)).await;
    assert_eq!(world.stages().await, ["api: applied"]);
    world.roll_back("api").await;
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided api buildspec_login operator by operator
    RemediationRolledBack api buildspec_login
    ");
    assert_eq!(world.buildspec("api"), theirs.replace(&login_line(&theirs), ""));
    assert_eq!(world.buildspec("api"), with_their_edits(crate::support::cast::DOCKER_BUILD));
    assert!(world.environment("api")["environmentVariables"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(world.sim.role_policy("codebuild-api", GRANT), None);
}

/// A later build of the edited buildspec proves the remedy as well as one of ours.
#[tokio::test]
async fn a_build_of_a_buildspec_that_others_have_edited_proves_our_line() {
    let (world, mut daemon) = login_applied().await;
    let _listening = world.collector.install();
    let theirs = edit_buildspec(&world, with_their_edits);
    world.sim.run_build("api");
    world.play(&mut daemon, SignedDuration::from_mins(20)).await;
    assert_eq!(world.stages().await, ["api: verified"], "{}", world.story());
    assert_eq!(world.buildspec("api"), theirs);
}

/// Our line made their edited buildspec fail: it goes at once, and what they wrote stays.
#[tokio::test]
async fn a_login_that_makes_an_edited_buildspec_fail_is_taken_out_of_it() {
    let (world, mut daemon) = login_applied().await;
    let _listening = world.collector.install();
    edit_buildspec(&world, with_their_edits);
    world.sim.account(|account| {
        account.secret("dockerhub").login("acme", "not-the-password");
    });
    world.sim.run_build("api");
    world.rest(&mut daemon).await;
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided api buildspec_login made_worse by api#2
    RemediationRolledBack api buildspec_login
    ");
    assert_eq!(world.buildspec("api"), with_their_edits(crate::support::cast::DOCKER_BUILD));
}

/// What is not unmistakably ours stays, and a person is told what to take out.
#[tokio::test]
async fn a_line_that_can_not_be_told_from_theirs_is_left_to_a_person() {
    let twice = |text: &str| {
        let line = login_line(text);
        text.replace(&line, &line.repeat(2))
    };
    let reworded = |text: &str| text.replace("--password-stdin\n", "--password-stdin || exit 3\n");
    let swallowed = |text: &str| {
        text.replace("    commands:\n", "    commands:\n      - |\n        set -e\n")
            .replace("      - echo \"$", "        - echo \"$")
    };
    let edits = [("twice", twice as fn(&str) -> String), ("reworded", reworded), ("in a script", swallowed)];
    for (name, edit) in edits {
        let (world, mut daemon) = login_applied().await;
        let theirs = edit_buildspec(&world, edit);
        assert_ne!(theirs, crate::support::cast::DOCKER_BUILD, "{name}");
        world.roll_back("api").await;
        let _listening = world.collector.install();
        world.rest(&mut daemon).await;
        let told = world.told();
        let escalated = told.iter().find(|event| event.event == Kind::RemediationEscalated).expect(name);
        assert_eq!(escalated.reason.as_deref(), Some("drift"), "{name}");
        let detail = escalated.detail.as_deref().unwrap_or_default();
        assert!(
            detail.contains("our line is not to be told from theirs") && detail.contains("docker login -u"),
            "{detail}"
        );
        assert_eq!(world.buildspec("api"), theirs, "{name}");
        let variables = world.environment("api")["environmentVariables"].to_string();
        assert!(variables.contains("DOCKERHUB_PASSWORD"), "{name}: half a rollback would break the build");
        assert!(world.sim.role_policy("codebuild-api", GRANT).is_some(), "{name}: the project still names the secret");
    }
}

/// An edit at any moment of the tick that takes our line out: what is written is made of the text read last.
#[tokio::test]
async fn an_edit_between_our_look_and_our_rollback_stays() {
    let mut edited = 0;
    for read in 1..=4 {
        let (world, mut daemon) = login_applied().await;
        world.roll_back("api").await;
        world.sim.advance(SignedDuration::from_mins(6));
        world.sim.forget_calls();
        world.sim.fault("BatchGetProjects", read..=read, Fault::Paused);
        let over = std::cell::Cell::new(false);
        let tick = async {
            world.tick(&mut daemon).await;
            over.set(true);
        };
        let person = async {
            while !over.get() && world.calls().get("BatchGetProjects").is_none_or(|calls| *calls < read as usize) {
                tokio::task::yield_now().await;
            }
            if !over.get() {
                edit_buildspec(&world, with_their_edits);
                edited += 1;
                world.sim.go_on();
            }
        };
        tokio::join!(tick, person);
        world.sim.clear_faults();
        world.rest(&mut daemon).await;
        assert_eq!(world.stages().await, ["api: rolled_back"], "read {read}");
        let untouched = crate::support::cast::DOCKER_BUILD;
        let expected = if edited == read { with_their_edits(untouched) } else { untouched.to_string() };
        assert_eq!(world.buildspec("api"), expected, "read {read}");
    }
    assert!(edited >= 3, "{edited} of the reads were there to edit at");
}

/// Someone takes our line and our variables out and edits on: nothing of ours is left but the grant, and that goes.
#[tokio::test]
async fn a_login_that_a_person_takes_out_while_editing_is_left_out() {
    let (world, mut daemon) = login_applied().await;
    let _listening = world.collector.install();
    let theirs = edit_buildspec(&world, |text| with_their_edits(&text.replace(&login_line(text), "")));
    world.sim.edit_project("api", |json| json["environment"]["environmentVariables"] = json!([]));
    world.play(&mut daemon, SignedDuration::from_mins(10)).await;
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided api buildspec_login taken_out
    RemediationRolledBack api buildspec_login
    ");
    assert_eq!(world.buildspec("api"), theirs);
    assert_eq!(world.sim.role_policy("codebuild-api", GRANT), None);
}

/// The machine's clock jumps forward while the daemon is down: what was written just before has not settled for that.
#[tokio::test]
async fn a_clock_that_jumps_over_a_restart_does_not_shorten_the_settling() {
    let unknowns = Unknowns { iam_propagation: SignedDuration::from_secs(9), ..Unknowns::default() };
    let world = World::with(Options { unknowns, ..Options::default() });
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    let granted = format!("PutRolePolicy codebuild-web/{GRANT}");
    assert_eq!(world.writes(), std::slice::from_ref(&granted));
    drop(daemon);
    let ahead = Clock::of({
        let sim = world.sim.clone();
        move || sim.now() + SignedDuration::from_hours(3)
    });
    let mut daemon = world.daemon().await;
    for seconds in [0, 7, 7] {
        world.sim.advance(SignedDuration::from_secs(seconds));
        daemon.tick(&ahead).await.expect("a tick");
        assert_eq!(world.writes(), std::slice::from_ref(&granted));
    }
    world.sim.advance(SignedDuration::from_secs(1));
    daemon.tick(&ahead).await.expect("a tick");
    assert_eq!(world.writes()[1], "UpdateProject web", "15 seconds after the restart");
    assert!(world.sim.builds_see_policy("codebuild-web", GRANT));
}

/// The grant settles, our write of the project is still to come, and its owner sets the very same.
#[tokio::test]
async fn what_a_person_sets_to_the_same_value_before_us_is_theirs() {
    let world = World::new().policy("retry = \"never\"");
    world.image_project("web", "node:22");
    let before = world.sim.snapshot();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    let secret = world.sim.account(|account| account.secret("dockerhub").arn());
    world.sim.edit_project("web", |json| {
        json["environment"]["registryCredential"] =
            json!({"credential": secret, "credentialProvider": "SECRETS_MANAGER"});
        json["environment"]["imagePullCredentialsType"] = json!("SERVICE_ROLE");
    });
    let theirs = world.environment("web");
    world.sim.forget_calls();
    let _listening = world.collector.install();
    world.play(&mut daemon, SignedDuration::from_mins(10)).await;
    insta::assert_snapshot!(world.story(), @"
    RollbackDecided web registry_credential project_changed
    GrantKept web registry_credential grant_needed by web
    RemediationRolledBack web registry_credential
    ");
    assert_eq!(world.environment("web"), theirs);
    assert_eq!(world.writes(), Vec::<String>::new());
    assert!(world.sim.role_policy("codebuild-web", GRANT).is_some(), "their builds read the secret through it");

    // They think better of it: then nothing needs the grant any more.
    let environment = before["projects"]["web"]["environment"].clone();
    world.sim.edit_project("web", |json| json["environment"] = environment);
    world.play(&mut daemon, SignedDuration::from_mins(70)).await;
    assert_eq!(world.sim.snapshot(), before);
}

#[tokio::test]
async fn a_build_that_proved_a_remedy_while_no_daemon_ran_counts() {
    let world = World::new().policy("retry = \"never\"\nverify_within = \"1h\"");
    world.image_project("web", "node:22");
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(1)).await;
    assert_eq!(world.stages().await, ["web: applied"]);
    world.kill(daemon);
    world.sim.run_build("web");
    world.sim.advance(SignedDuration::from_hours(3));
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["web: verified"]);
}
