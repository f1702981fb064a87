//! What strangers try, each to its end: the refusal and its event. `docs/threat-model.md` names these tests.

use crate::support::cast::{DOCKER_BUILD, SCRIPT};
use crate::support::world::{GRANT, World};
use jiff::SignedDuration;
use serde_json::json;
use unthrottled::domain::build::RoleName;
use unthrottled::domain::change::Change;
use unthrottled::domain::history::Fact;
use unthrottled::domain::plan::RemediationId;
use unthrottled::domain::remediation::Entry;
use unthrottled::simulator::Event;

/// Docker Hub's own words, as whoever can run `echo` can have them.
const PRINTED: &str = "Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit. \
                       https://www.docker.com/increase-rate-limit";

/// A script that prints the message and fails.
fn prints() -> String {
    format!("echo '{PRINTED}'\nexit 1\n")
}

/// Plays a few minutes, and fails if anything was written.
async fn untouched(world: &World) -> String {
    let _listening = world.collector.install();
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(4)).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "nothing is written");
    assert_eq!(world.sim.snapshot(), before);
    world.story()
}

/// A project whose script is in its repository, with a webhook for these events.
fn with_webhook(world: &World, project: &str, events: &str) {
    world.sim.account(|account| {
        account.project(project).buildspec(SCRIPT).repository_file("build.sh", "echo fine\n").webhook(events);
    });
}

#[tokio::test]
async fn a_pull_request_that_prints_the_message_gets_nothing() {
    let world = World::new();
    with_webhook(&world, "api", "PUSH, PULL_REQUEST_CREATED");
    let script = prints();
    let hostile = Event::PullRequest { number: 7, files: &[("build.sh", &script)] };
    assert_eq!(world.sim.run_event("api", hostile).expect("a build").status, "FAILED");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationHeld api untrusted_build
    ");
    assert_eq!(
        world.sim.run_event("api", Event::Push).expect("a build").status,
        "SUCCEEDED",
        "the branch is as it was"
    );
}

/// Bitbucket's pull requests come as a plain commit: nothing of the build tells what it is of.
#[tokio::test]
async fn a_pull_request_that_does_not_look_like_one_gets_nothing() {
    let world = World::new();
    with_webhook(&world, "api", "PUSH, PULL_REQUEST_CREATED");
    world.sim.account(|account| {
        let source =
            json!({"type": "BITBUCKET", "location": "https://bitbucket.org/acme/api.git", "buildspec": SCRIPT});
        account.project("api").source(source);
    });
    let script = prints();
    let hostile = Event::PullRequest { number: 7, files: &[("build.sh", &script)] };
    assert_eq!(world.sim.run_event("api", hostile).expect("a build").status, "FAILED");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationHeld api untrusted_build
    ");
}

/// Who wants to hear of it gets a proposal, and still nothing is written.
#[tokio::test]
async fn an_operator_who_wants_to_hear_of_pull_requests_gets_a_proposal() {
    let world = World::new().policy("untrusted_builds = \"propose\"");
    with_webhook(&world, "api", "PUSH, PULL_REQUEST_CREATED");
    let script = prints();
    world.sim.account(|account| {
        account
            .project("api")
            .buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t app . && ./build.sh\n");
    });
    let hostile = Event::PullRequest { number: 7, files: &[("build.sh", &script)] };
    world.sim.run_event("api", hostile).expect("a build");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationProposed api buildspec_login propose
    ");
}

#[tokio::test]
async fn a_public_project_gets_nothing_for_its_log_and_no_grant_for_its_image() {
    let world = World::new();
    world.docker_project("log");
    world.image_project("image", "node:22");
    world.sim.account(|account| {
        account.project("log").public();
        account.project("image").public();
    });
    world.sim.run_build("log");
    world.sim.run_build("image");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected log BUILD hub_pull_limit anonymous
    ThrottleDetected image PROVISIONING hub_pull_limit unknown
    RemediationHeld image shared_with_public
    RemediationHeld log untrusted_build
    ");
}

/// The throttle is real and CodeBuild says so. But whoever opens a pull request in `fork` could read the credential then.
#[tokio::test]
async fn a_project_that_builds_forks_and_shares_the_role_keeps_the_grant_away() {
    let world = World::new();
    for project in ["web", "fork"] {
        world.image_project(project, "node:22");
        world.sim.account(|account| {
            account.project(project).role("builds");
        });
    }
    world.sim.account(|account| {
        account.project("fork").webhook("PUSH, PULL_REQUEST_CREATED");
    });
    world.sim.run_build("web");
    let listening = world.collector.install();
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(4)).await;
    let told = world.told();
    drop(listening);
    assert_eq!(world.sim.snapshot(), before);
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationHeld web shared_with_public
    ");
    insta::assert_snapshot!(told.last().and_then(|event| event.detail.clone()).unwrap_or_default(), @"strangers could get at the credential through role `builds`, as project `fork` builds pull requests of anybody; `shared_with_public` is `refuse`");
}

/// The operator may know better, and is told what it means.
#[tokio::test]
async fn an_operator_who_allows_it_reads_in_the_plan_whom_the_grant_reaches() {
    let world = World::new().policy("shared_with_public = \"allow\"");
    for project in ["web", "fork"] {
        world.image_project(project, "node:22");
        world.sim.account(|account| {
            account.project(project).role("builds");
        });
    }
    world.sim.account(|account| {
        account.project("fork").webhook("");
    });
    world.sim.run_build("web");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    let planned = world.told().into_iter().find(|event| event.event.name() == "RemediationPlanned").expect("a plan");
    let lines: Vec<String> = planned.changes.iter().flat_map(|changes| changes.lines()).map(str::to_string).collect();
    let reach: Vec<&String> =
        lines.iter().filter(|line| line.contains("pull requests") || line.contains("Strangers")).collect();
    insta::assert_snapshot!(reach.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n"), @"
    Then every build of `web`, pull requests included, can read the credential, and so can those of all that share the role: `fork`.
    Strangers can get at it: `fork` builds pull requests of anybody.
    ");
    assert!(world.sim.role_policy("builds", GRANT).is_some());
}

/// What a push to the project's own branch shows is acted on: a webhook alone makes nobody a stranger.
#[tokio::test]
async fn a_push_to_the_projects_own_branch_is_cured() {
    let world = World::new();
    world.sim.account(|account| {
        account.project("api").dockerfile(["python:3.13"]).buildspec(DOCKER_BUILD).webhook("PUSH");
    });
    world.sim.run_event("api", Event::Push).expect("a build");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    assert_eq!(world.stages().await, ["api: applied"]);
    world.sim.run_event("api", Event::Push).expect("a build");
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["api: verified"]);
}

/// The message stands in a phase that went well; another failed for its own reason.
#[tokio::test]
async fn an_echo_outside_of_the_phase_that_failed_is_nothing() {
    let world = World::new();
    world.sim.account(|account| {
        let spec = "version: 0.2\nphases:\n  pre_build:\n    commands:\n      - ./lint.sh\n  build:\n    commands:\n      - make app\n";
        let lint = format!("echo '{PRINTED}'\n");
        account.project("api").buildspec(spec).repository_file("lint.sh", &lint).command("make app").fails(["cc: no such file"]);
    });
    assert_eq!(world.sim.run_build("api").failed_phase.as_deref(), Some("BUILD"));
    insta::assert_snapshot!(untouched(&world).await, @"");
}

/// The command that failed only asks a web service, which answers what it likes.
#[tokio::test]
async fn a_line_of_a_command_that_can_not_have_pulled_is_not_acted_on() {
    let world = World::new();
    world.sim.account(|account| {
        let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - curl -sf https://example.com/limits\n      - docker build -t app .\n";
        account.project("api").buildspec(spec).command("curl").fails([PRINTED]);
    });
    world.sim.run_build("api");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationHeld api weak_evidence
    ");
}

/// One log is enough for nobody who asks for two.
#[tokio::test]
async fn a_throttle_that_only_one_log_shows_waits_for_another_build() {
    let world = World::new().policy("sightings = 2");
    world.docker_project("api");
    world.sim.run_build("api");
    let _listening = world.collector.install();
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(4)).await;
    assert_eq!(world.sim.snapshot(), before);
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationHeld api second_sighting
    ");
    world.sim.run_build("api");
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationApplied api buildspec_login
    ");
    assert_eq!(world.stages().await, ["api: applied"]);
    assert_eq!(world.tick(&mut daemon).await.counts.builds_waiting, 0, "the first build waits no more");
}

#[tokio::test]
async fn a_throttle_that_no_other_build_shows_within_a_day_is_let_go() {
    let world = World::new().policy("sightings = 2");
    world.docker_project("api");
    world.sim.run_build("api");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    world.sim.advance(SignedDuration::from_hours(24));
    world.tick(&mut daemon).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "nothing is written");
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationHeld api second_sighting
    RemediationHeld api seen_once
    ");
}

/// A pull request's log could otherwise take a cure away, and keep it away from all projects of the role.
#[tokio::test]
async fn a_pull_request_that_prints_a_refused_login_takes_no_cure_away() {
    let world = World::new().policy("shared_with_public = \"allow\"");
    let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t app .\n      - ./build.sh\n";
    world.sim.account(|account| {
        let api = account.project("api").dockerfile(["python:3.13"]).buildspec(spec);
        api.repository_file("build.sh", "echo fine\n").webhook("PUSH, PULL_REQUEST_CREATED");
    });
    world.sim.run_event("api", Event::Push).expect("a build");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    assert_eq!(world.stages().await, ["api: applied"]);
    let refused = "echo 'Error response from daemon: Get \"https://registry-1.docker.io/v2/\": unauthorized: incorrect username or password'\nexit 1\n";
    let hostile = Event::PullRequest { number: 7, files: &[("build.sh", refused)] };
    assert_eq!(world.sim.run_event("api", hostile).expect("a build").status, "FAILED");
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    assert_eq!(world.stages().await, ["api: applied"], "it neither proves nor disproves");
    let harmless = Event::PullRequest { number: 8, files: &[] };
    assert_eq!(world.sim.run_event("api", harmless).expect("a build").status, "SUCCEEDED");
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    assert_eq!(world.stages().await, ["api: applied"], "its author chose what it ran");
    world.sim.run_event("api", Event::Push).expect("a build");
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["api: verified"]);
}

/// A policy of our name that somebody else made is left as it is, whatever it allows.
#[tokio::test]
async fn a_foreign_policy_of_our_name_is_neither_used_nor_changed() {
    let world = World::new();
    world.image_project("web", "node:22");
    let foreign = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    world.sim.account(|account| {
        account.role("codebuild-web").inline_policy(GRANT, foreign.clone());
    });
    world.sim.run_build("web");
    insta::assert_snapshot!(untouched(&world).await, @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemedyUnavailable web no_remedy
    ");
    assert_eq!(world.sim.role_policy("codebuild-web", GRANT), Some(foreign));
}

/// Makes the entry that a person's `apply` would make, with changes of its own, beside the daemon that runs.
async fn forged(world: &World, change: impl Fn(&mut Change), role: Option<&str>) -> Vec<String> {
    world.image_project("web", "node:22");
    world.image_project("ops", "node:22");
    world.sim.run_build("web");
    let listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(2)).await;
    drop(listening);
    let mut plan = world.remediations().await.first().expect("a plan").plan().clone();
    plan.id = RemediationId::new("ops-forged");
    plan.project = unthrottled::domain::build::ProjectName::new("ops");
    plan.because = unthrottled::domain::build::BuildId::new("ops:11111111-0b7d-4c55-9d1e-6f1c9a2e0b7d");
    plan.role = RoleName::new(role.unwrap_or("codebuild-ops"));
    for each in &mut plan.changes {
        if let Change::Grant { role, .. } = each {
            *role = plan.role.clone();
        }
        change(each);
    }
    let before = world.sim.writes().len();
    let _listening = world.collector.install();
    world.record(Fact::Remediation { id: plan.id.clone(), entry: Entry::Planned(Box::new(plan)) }).await;
    world.play(&mut daemon, SignedDuration::from_mins(5)).await;
    assert_eq!(world.sim.role_policy("codebuild-ops", GRANT), None);
    let writes = world.sim.writes();
    writes[before..].iter().map(|call| format!("{} {}", call.operation, call.target)).collect()
}

/// Whoever can write the ledger can't make the daemon give a role more than the secret.
#[tokio::test]
async fn a_forged_ledger_gives_a_role_nothing_but_the_secret() {
    let world = World::new();
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let widen = |change: &mut Change| {
        if let Change::Grant { after, .. } = change {
            *after = everything.clone();
        }
    };
    let writes = forged(&world, widen, None).await;
    assert!(!writes.iter().any(|write| write.contains("ops")), "{writes:?}");
    let stages = world.stages().await;
    assert!(stages.contains(&"ops: rolled_back".to_string()), "{stages:?}");
}

/// Nor a role that is not the project's own.
#[tokio::test]
async fn a_forged_ledger_gives_no_role_but_the_projects_own_anything() {
    let world = World::new();
    world.sim.account(|account| drop(account.role("admin")));
    let writes = forged(&world, |_| (), Some("admin")).await;
    assert!(!writes.iter().any(|write| write.contains("admin")), "{writes:?}");
    assert_eq!(world.sim.role_policy("admin", GRANT), None);
}

/// Colours, bells, writing that runs backwards, quotes and markup in a log, a tag and an image reach no output as they are.
#[tokio::test]
async fn hostile_texts_reach_no_event_as_they_are() {
    let world = World::new().set("projects = [\"*\"]\nmode = \"apply\"", "projects = [\"*\"]\nmode = \"propose\"");
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{202e}</script>${IFS}'\"\r";
    world.sim.account(|account| {
        let printed = format!("{hostile}{PRINTED}");
        let api = account.project("api").buildspec(DOCKER_BUILD).tag("team", hostile);
        api.command("docker build").fails([printed.as_str()]);
    });
    world.sim.run_build("api");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(4)).await;
    let told = world.told();
    assert!(told.iter().any(|event| event.event.name() == "ThrottleDetected"), "{}", world.lines(&told));
    for event in &told {
        let line = serde_json::to_string(event).expect("JSON");
        let texts: Vec<&Option<String>> = vec![&event.detail, &event.changes, &event.patch];
        assert!(!line.contains("\\u001b") && !line.contains('\u{202e}') && !line.contains("\\r"), "{line}");
        assert!(texts.into_iter().flatten().all(|text| !text.contains('\u{7}')), "{line}");
    }
}
