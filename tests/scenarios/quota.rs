//! The quota guard: what Docker Hub says of the account before a remedy gives its login to another project.

use crate::support::world::World;
use jiff::SignedDuration;
use rstest::rstest;
use unthrottled::edge::event::{Event, Kind};
use unthrottled::edge::metrics::Pulls;
use unthrottled::reconcile::{Daemon, Tick};
use unthrottled::simulator::Fault;

/// A refused build image, and an account that may pull 200 times in six hours.
fn world() -> World {
    let world = World::new();
    world.sim.account(|account| drop(account.hub().account("acme", "hub-pw").limit(200)));
    world.image_project("web", "node:22");
    world
}

fn pulled(world: &World, pulls: u32) {
    world.sim.account(|account| drop(account.hub().account("acme", "hub-pw").pulled(pulls)));
}

fn nobody_pulled(world: &World) {
    world.sim.account(|account| drop(account.hub().forget_pulls()));
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// A daemon that has played for so long since the build was refused.
async fn played(world: &World, length: SignedDuration) -> Daemon {
    let refused = world.sim.run_build("web");
    assert_eq!(refused.failed_phase.as_deref(), Some("PROVISIONING"));
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, length).await;
    daemon
}

fn of_kind(told: &[Event], kind: Kind) -> Vec<&Event> {
    told.iter().filter(|event| event.event == kind).collect()
}

const CURED: &str = "RemediationVerified web registry_credential by web#3";

#[tokio::test]
async fn an_account_with_enough_left_is_asked_once_and_used() {
    let world = world();
    let _listening = world.collector.install();
    pulled(&world, 100);
    played(&world, minutes(9)).await;
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
    assert_eq!(world.hub_calls(), 1);
}

#[tokio::test]
async fn an_account_without_a_limit_is_used() {
    let world = World::new();
    let _listening = world.collector.install();
    world.image_project("web", "node:22");
    played(&world, minutes(9)).await;
    assert!(world.story().ends_with(CURED));
    assert_eq!(world.hub_calls(), 1);
}

/// Told once, though Docker Hub is asked all the time; and when pulls are left again it goes on by itself.
#[tokio::test]
async fn an_account_that_would_be_next_holds_the_remedy_until_it_has_enough() {
    let world = world();
    let _listening = world.collector.install();
    pulled(&world, 185);
    world.sim.forget_calls();
    let mut daemon = played(&world, minutes(95)).await;
    let told = world.told();
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    CredentialQuotaLow few_left
    RemediationHeld web credential_quota_low
    ");
    let low = of_kind(&told, Kind::CredentialQuotaLow);
    insta::assert_snapshot!(low[0].message, @"The Docker account of credential `dockerhub` would be the next to be throttled: 15 of 200 pulls in 6h are left for 1 project, and more than 20 have to be");
    assert_eq!(world.writes(), [] as [&str; 0]);
    assert!((9..=10).contains(&world.hub_calls()), "every ten minutes: {}", world.hub_calls());

    nobody_pulled(&world);
    world.play(&mut daemon, minutes(15)).await;
    insta::assert_snapshot!(world.story(), @"
    QuotaRestored
    RemediationPlanned web registry_credential
    RemediationApplied web registry_credential
    BuildRetried web registry_credential by web#3
    RemediationVerified web registry_credential by web#3
    ");
    assert_eq!(world.stages().await, ["web: verified"]);
}

/// The pulls of others age out of Docker Hub's window.
#[tokio::test]
async fn the_window_of_docker_hub_ends_the_hold() {
    let world = world();
    let _listening = world.collector.install();
    pulled(&world, 185);
    played(&world, SignedDuration::from_hours(7)).await;
    assert!(world.story().ends_with(CURED));
}

#[tokio::test]
async fn a_thousand_failures_are_one_question() {
    let world = world();
    let _listening = world.collector.install();
    pulled(&world, 185);
    for n in 0..40 {
        let project = format!("svc-{n}");
        world.image_project(&project, "node:22");
        world.sim.run_build(&project);
        world.sim.run_build(&project);
    }
    world.sim.forget_calls();
    played(&world, minutes(9)).await;
    let told = world.told();
    assert_eq!(world.hub_calls(), 1);
    assert_eq!(of_kind(&told, Kind::CredentialQuotaLow).len(), 1);
    let held = of_kind(&told, Kind::RemediationHeld);
    assert!(held.len() >= 41 && held.iter().all(|event| event.reason.as_deref() == Some("credential_quota_low")));
    assert_eq!(world.writes(), [] as [&str; 0]);
}

/// With an answer that is good for ten minutes, as many projects go on as it has room for: one pull for each.
#[tokio::test]
async fn projects_that_were_just_given_the_login_count() {
    let world = world();
    let _listening = world.collector.install();
    pulled(&world, 200 - 25);
    for n in 0..30 {
        let project = format!("svc-{n}");
        world.image_project(&project, "node:22");
        world.sim.run_build(&project);
    }
    world.sim.forget_calls();
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    let told = world.told();
    assert_eq!(world.hub_calls(), 1);
    assert_eq!(of_kind(&told, Kind::RemediationPlanned).len(), 24, "25 pulls are left");
    assert_eq!(of_kind(&told, Kind::RemediationHeld).len(), 6);
    assert_eq!(of_kind(&told, Kind::CredentialQuotaLow).len(), 1);
}

#[tokio::test]
async fn a_login_that_docker_hub_refuses_is_given_to_nobody() {
    let world = world();
    let _listening = world.collector.install();
    world.sim.account(|account| drop(account.hub().account("acme", "another")));
    world.sim.forget_calls();
    let mut daemon = played(&world, minutes(35)).await;
    let told = world.told();
    insta::assert_snapshot!(world.lines(&told), @"
    ThrottleDetected web PROVISIONING hub_pull_limit unknown
    CredentialUnusable login_refused
    RemediationHeld web credential_unusable
    ");
    insta::assert_snapshot!(of_kind(&told, Kind::CredentialUnusable)[0].message, @"Credential `dockerhub` can't be used in scope `default`: Docker Hub refuses the user name and password of secret `dockerhub`: store those that it takes, by `unthrottled secret rotate dockerhub`");
    assert_eq!(world.hub_calls(), 4, "no more often than an account locks for");
    assert!(!serde_json::to_string(&told).expect("JSON").contains("hub-pw"));
    let tick = world.tick(&mut daemon).await;
    assert_eq!(tick.coverage.credentials_unusable, 1);

    world.sim.account(|account| drop(account.hub().account("acme", "hub-pw")));
    world.play(&mut daemon, minutes(15)).await;
    assert!(world.story().ends_with(CURED));
    assert_eq!(world.tick(&mut daemon).await.coverage.credentials_unusable, 0);
}

#[rstest]
#[case("HubToken")]
#[case("HubManifest")]
#[tokio::test]
async fn an_account_that_is_throttled_itself_holds_the_remedy(#[case] call: &str) {
    let world = world();
    let _listening = world.collector.install();
    world.sim.fault(call, .., Fault::Throttled);
    let mut daemon = played(&world, minutes(25)).await;
    assert_eq!(
        world.story(),
        "ThrottleDetected web PROVISIONING hub_pull_limit unknown\nCredentialQuotaLow hub_throttled\n\
         RemediationHeld web credential_quota_low"
    );
    world.sim.clear_faults();
    world.play(&mut daemon, minutes(15)).await;
    let story = world.story();
    assert!(story.starts_with("QuotaRestored\nRemediationPlanned web") && story.ends_with(CURED), "{story}");
}

/// A daemon in a subnet without a way out, behind a login page, or while Docker Hub is down.
#[rstest]
#[case::no_connection("HubToken", Fault::DropBefore, "hub_unreached")]
#[case::no_second_connection("HubManifest", Fault::DropBefore, "hub_unreached")]
#[case::html_of_a_proxy("HubToken", Fault::ServerError(403), "hub_not_understood")]
#[case::html_for_the_manifest("HubManifest", Fault::ServerError(403), "hub_not_understood")]
#[case::down("HubToken", Fault::ServerError(503), "hub_not_understood")]
#[case::half_an_answer("HubToken", Fault::TruncatedBody, "hub_not_understood")]
#[case::a_token_that_does_not_hold("HubManifest", Fault::AccessDenied, "hub_not_understood")]
#[tokio::test]
async fn without_an_answer_remedies_go_on_and_that_is_told_once(
    #[case] call: &str,
    #[case] fault: Fault,
    #[case] reason: &str,
) {
    let world = world();
    let _listening = world.collector.install();
    world.sim.fault(call, .., fault);
    let mut daemon = played(&world, minutes(9)).await;
    world.image_project("api", "node:22");
    world.sim.run_build("api");
    world.play(&mut daemon, minutes(200)).await;
    let told = world.told();
    assert_eq!(world.stages().await, ["api: verified", "web: verified"]);
    let unknown = of_kind(&told, Kind::QuotaUnknown);
    assert_eq!(unknown.len(), 1, "{}", world.lines(&told));
    assert_eq!(unknown[0].reason.as_deref(), Some(reason));
    assert!(unknown[0].message.contains("docker_hub.quota_guard = false"), "{}", unknown[0].message);
    let Tick { coverage, .. } = world.tick(&mut daemon).await;
    assert_eq!((coverage.credentials_quota_unknown, coverage.pulls.len()), (1, 0), "not known is not healthy");

    world.sim.clear_faults();
    world.play(&mut daemon, minutes(80)).await;
    let Tick { coverage, .. } = world.tick(&mut daemon).await;
    assert_eq!(coverage.credentials_quota_unknown, 0);
    assert!(coverage.pulls.contains_key("dockerhub"), "{coverage:?}");
}

/// What was low a while ago is not taken for enough because nobody answers; when its window has passed it says nothing.
#[tokio::test]
async fn a_low_account_that_is_out_of_reach_holds_for_a_window_and_no_longer() {
    let world = world();
    let _listening = world.collector.install();
    pulled(&world, 185);
    let mut daemon = played(&world, minutes(20)).await;
    world.sim.fault("HubToken", .., Fault::DropBefore);
    world.play(&mut daemon, SignedDuration::from_hours(5)).await;
    assert_eq!(world.writes(), [] as [&str; 0]);
    world.play(&mut daemon, minutes(80)).await;
    assert!(world.story().ends_with(CURED));
}

#[rstest]
#[case::the_guard_is_off("[daemon]", "[docker_hub]\nquota_guard = false\n[daemon]")]
#[case::docker_hub_is_not_asked("[daemon]", "[docker_hub]\nprobe = false\n[daemon]")]
#[case::the_mode_changes_nothing("[daemon]\nmode = \"apply\"", "[daemon]\nmode = \"propose\"")]
#[tokio::test]
async fn who_does_not_want_it_has_nothing_asked(#[case] from: &str, #[case] to: &str) {
    let world = World::new().set(from, to);
    let _listening = world.collector.install();
    world.sim.account(|account| drop(account.hub().account("acme", "hub-pw").limit(200).pulled(200)));
    world.image_project("web", "node:22");
    world.sim.forget_calls();
    played(&world, minutes(200)).await;
    assert_eq!(world.hub_calls(), 0);
    let applies = !to.contains("propose");
    assert_eq!(world.story().contains("RemediationApplied"), applies, "the limit was reached, and nobody asked");
}

/// A mirror needs no login.
#[tokio::test]
async fn a_remedy_without_a_login_is_not_held() {
    let world = World::new().policy("provisioning = [\"mirror_image\"]");
    let _listening = world.collector.install();
    world.sim.account(|account| drop(account.hub().account("acme", "hub-pw").limit(200).pulled(200)));
    world.image_project("web", "node:22");
    world.sim.forget_calls();
    played(&world, minutes(200)).await;
    assert_eq!(world.hub_calls(), 0);
    assert!(world.story().ends_with("RemediationVerified web mirror_image by web#3"));
}

/// A project that has the login goes on pulling: nobody waits, and people hear of it before builds do.
#[tokio::test]
async fn while_projects_pull_with_it_an_account_is_asked_about_once_an_hour() {
    let world = world();
    let _listening = world.collector.install();
    let mut daemon = played(&world, minutes(9)).await;
    assert!(world.story().ends_with(CURED));
    world.sim.forget_calls();
    world.play(&mut daemon, SignedDuration::from_hours(10)).await;
    assert!((8..=10).contains(&world.hub_calls()), "{}", world.hub_calls());
    assert_eq!(world.calls()["GetSecretValue"], world.hub_calls(), "and one call to AWS for each");
    assert_eq!(world.story(), "");
    let Tick { coverage, .. } = world.tick(&mut daemon).await;
    assert_eq!(coverage.pulls["dockerhub"], Pulls { remaining: 200, limit: 200 });

    pulled(&world, 195);
    world.play(&mut daemon, minutes(75)).await;
    assert_eq!(world.story(), "CredentialQuotaLow few_left");
    let Tick { coverage, .. } = world.tick(&mut daemon).await;
    assert_eq!((coverage.credentials_quota_low, coverage.pulls["dockerhub"].remaining), (1, 5));
    world.play(&mut daemon, SignedDuration::from_hours(7)).await;
    assert_eq!(world.story(), "QuotaRestored");
}

/// A secret that is gone is told of while projects pull with it, and not when the next build fails.
#[tokio::test]
async fn a_secret_that_is_gone_is_noticed_while_projects_use_it() {
    let world = world();
    let _listening = world.collector.install();
    let mut daemon = played(&world, minutes(9)).await;
    assert!(world.story().ends_with(CURED));
    world.sim.remove_secret("dockerhub");
    world.play(&mut daemon, minutes(200)).await;
    assert_eq!(world.story(), "CredentialUnusable denied");
}

/// What stands in the ledger is told once, whoever reads it.
#[tokio::test]
async fn a_restart_tells_nothing_again() {
    let world = world();
    let _listening = world.collector.install();
    pulled(&world, 185);
    let daemon = played(&world, minutes(12)).await;
    drop(daemon);
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, minutes(30)).await;
    let told = world.told();
    assert_eq!(of_kind(&told, Kind::CredentialQuotaLow).len(), 1, "{}", world.lines(&told));
    assert_eq!(of_kind(&told, Kind::RemediationHeld).len(), 1);
    world.assert_told_once(&daemon, &told).await;
    nobody_pulled(&world);
    drop(daemon);
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, minutes(30)).await;
    let story = world.story();
    assert!(story.starts_with("QuotaRestored\nRemediationPlanned web") && story.ends_with(CURED), "{story}");
}

/// A plan that stands in the ledger is carried out, whatever Docker Hub says meanwhile: half a cure helps nobody.
#[tokio::test]
async fn what_was_planned_before_a_kill_is_not_asked_about_again() {
    let world = world();
    let _listening = world.collector.install();
    world.sim.run_build("web");
    let mut daemon = world.daemon().await;
    world.tick(&mut daemon).await;
    assert!(world.story().contains("RemediationPlanned web"));
    world.kill(daemon);
    pulled(&world, 200);
    world.sim.forget_calls();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_secs(45)).await;
    assert!(world.story().contains("RemediationApplied web"));
    assert_eq!(world.hub_calls(), 0);
}
