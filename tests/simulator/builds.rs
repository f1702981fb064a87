//! How builds go through their phases, and how they are retried and stopped.

use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use unthrottled::simulator::{HubWording, RetryReads, Simulator, Unknowns};

use crate::{DOCKER_BUILD, codebuild, grant, refusal, simulator, throttled, under};

fn phases(sim: &Simulator, id: &str) -> Vec<String> {
    let json = sim.build_json(id);
    let all = json["phases"].as_array().cloned().unwrap_or_default();
    let text = |phase: &Value, member: &str| phase[member].as_str().unwrap_or("-").to_owned();
    all.iter().map(|phase| format!("{} {}", text(phase, "phaseType"), text(phase, "phaseStatus"))).collect()
}

#[test]
fn a_build_passes_all_phases_in_simulated_time() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web");
    });
    let id = sim.start_build("web");
    assert_eq!(phases(&sim, &id), ["SUBMITTED SUCCEEDED", "QUEUED -"]);
    sim.advance(SignedDuration::from_secs(1));
    let json = sim.build_json(&id);
    assert_eq!((&json["currentPhase"], &json["buildStatus"]), (&json!("PROVISIONING"), &json!("IN_PROGRESS")));
    assert_eq!((json["buildComplete"].clone(), json.get("endTime")), (json!(false), None));
    sim.settle_builds();
    let ended = [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
    ];
    let mut expected = ended.map(|phase| format!("{phase} SUCCEEDED")).to_vec();
    expected.push("COMPLETED -".to_owned());
    assert_eq!(phases(&sim, &id), expected);
    let json = sim.build_json(&id);
    let took = json["endTime"].as_f64().zip(json["startTime"].as_f64()).map(|(end, start)| end - start);
    assert_eq!(took, Some(30.0));
    assert_eq!(json["logs"]["groupName"], "/aws/codebuild/web");
    assert_eq!(json["logs"]["streamName"].as_str(), id.strip_prefix("web:"));
}

#[rstest]
#[case("install", &["INSTALL FAILED", "FINALIZING SUCCEEDED", "COMPLETED -"])]
#[case("pre_build", &["PRE_BUILD FAILED", "FINALIZING SUCCEEDED", "COMPLETED -"])]
#[case("build", &["BUILD FAILED", "POST_BUILD SUCCEEDED", "UPLOAD_ARTIFACTS SUCCEEDED", "FINALIZING SUCCEEDED", "COMPLETED -"])]
#[case("post_build", &["POST_BUILD FAILED", "UPLOAD_ARTIFACTS SUCCEEDED", "FINALIZING SUCCEEDED", "COMPLETED -"])]
fn what_still_runs_after_a_failed_phase(#[case] phase: &str, #[case] last: &[&str]) {
    let sim = simulator();
    sim.account(|a| {
        a.project("web")
            .buildspec(&format!("version: 0.2\nphases:\n  {phase}:\n    commands:\n      - npm test\n"))
            .command("npm test")
            .fails(["1 failing"]);
    });
    let build = sim.run_build("web");
    assert_eq!(build.status, "FAILED");
    assert!(
        phases(&sim, &build.id).ends_with(&last.iter().map(ToString::to_string).collect::<Vec<_>>()),
        "{:?}",
        phases(&sim, &build.id)
    );
}

#[test]
fn a_refused_environment_image_ends_the_build_without_a_log() {
    let sim = simulator();
    throttled(&sim);
    let build = sim.run_build("web");
    assert_eq!(
        phases(&sim, &build.id),
        ["SUBMITTED SUCCEEDED", "QUEUED SUCCEEDED", "PROVISIONING CLIENT_ERROR", "COMPLETED -"]
    );
    assert!(sim.log(&build.id).is_empty());
    assert!(
        sim.build_json(&build.id)["logs"]["deepLink"]
            .as_str()
            .is_some_and(|link| link.ends_with("group=null;stream=null"))
    );
}

#[test]
fn a_long_refusal_is_cut_at_255_characters_and_loses_its_status() {
    let sim = simulator();
    throttled(&sim);
    sim.account(|a| {
        a.hub().wording(HubWording::Cut);
        a.project("web").image("acme/a-build-environment-with-a-long-name:1");
    });
    let message = sim.run_build("web").message.expect("a context");
    assert_eq!(message.chars().count(), 255);
    assert!(message.ends_with("...") && !message.contains("toomanyrequests"), "{message}");
    sim.account(|a| {
        a.hub().wording(HubWording::Current);
    });
    let message = sim.run_build("web").message.expect("a context");
    assert!(message.ends_with("toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"), "{message}");
}

#[test]
fn a_phase_sees_the_account_as_it_is_when_the_phase_begins_and_the_project_as_it_was_at_the_start() {
    let sim = simulator();
    throttled(&sim);
    let id = sim.start_build("web");
    sim.account(|a| {
        a.hub().limit_anonymous(1);
    });
    sim.edit_project("web", |json| json["environment"]["image"] = json!("no longer asked for"));
    sim.settle_builds();
    assert_eq!(sim.build(&id).map(|build| build.status), Some("SUCCEEDED".to_owned()));
    assert_eq!(sim.build_json(&id)["environment"]["image"], "node:22");
    assert_eq!(sim.run_build("web").status, "FAILED");
}

#[test]
fn a_role_that_is_gone_fails_in_provisioning() {
    let sim = simulator();
    throttled(&sim);
    sim.delete_role("web-role");
    let build = sim.run_build("api");
    assert_eq!(build.failed_phase.as_deref(), Some("PROVISIONING"));
    assert_eq!(sim.build_json(&build.id)["phases"][2]["contexts"][0]["statusCode"], "ACCESS_DENIED");
}

#[rstest]
#[case(RetryReads::Original, "FAILED")]
#[case(RetryReads::Current, "SUCCEEDED")]
#[tokio::test]
async fn a_retry_takes_the_original_or_the_current_configuration(
    #[case] retry_build: RetryReads,
    #[case] status: &str,
) {
    let sim = under(Unknowns { retry_build, ..Unknowns::default() });
    let secret = throttled(&sim);
    let refused = sim.run_build("web");
    sim.account(|a| {
        a.role("web-role").inline_policy("hub", grant(&secret));
        a.project("web").registry_credential(&secret);
    });
    let retried = codebuild(&sim).retry_build().id(&refused.id).send().await.expect("accepted");
    let retried = retried.build_value().and_then(|build| build.id()).expect("a new build");
    sim.settle_builds();
    let build = sim.build(retried).expect("it is there");
    assert_eq!((build.status.as_str(), build.number), (status, 2));
}

#[tokio::test]
async fn an_idempotency_token_gives_the_same_build_for_five_minutes() {
    let sim = simulator();
    let first = sim.run_build("web").id;
    let other = sim.run_build("web").id;
    let client = codebuild(&sim);
    let retry = async |id: &str| {
        let answer = client.retry_build().id(id).idempotency_token("t").send().await;
        answer.map(|answer| answer.build_value().and_then(|build| build.id().map(ToOwned::to_owned)))
    };
    let once = retry(&first).await.expect("accepted");
    sim.advance(SignedDuration::from_secs(299));
    assert_eq!(retry(&first).await.expect("accepted"), once);
    assert_eq!(sim.writes().len(), 1);
    assert_eq!(refusal(retry(&other).await).0, "InvalidInputException");
    sim.advance(SignedDuration::from_secs(1));
    assert_ne!(retry(&first).await.expect("accepted"), once);
    assert_eq!(sim.builds_of("web").len(), 4);
}

#[tokio::test]
async fn a_build_under_way_is_stopped_and_not_retried() {
    let sim = simulator();
    let id = sim.start_build("web");
    sim.advance(SignedDuration::from_secs(2));
    let client = codebuild(&sim);
    assert_eq!(refusal(client.retry_build().id(&id).send().await).0, "InvalidInputException");
    client.stop_build().id(&id).send().await.expect("accepted");
    let build = sim.build(&id).expect("it is there");
    assert_eq!((build.status.as_str(), build.complete), ("STOPPED", true));
    assert_eq!(phases(&sim, &id)[2..], ["PROVISIONING STOPPED", "COMPLETED -"]);
    sim.advance(SignedDuration::from_hours(1));
    assert_eq!(phases(&sim, &id).len(), 4);
    assert_eq!(refusal(client.stop_build().id("web:none").send().await).0, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_start_takes_overrides_that_the_project_does_not_keep() {
    let sim = simulator();
    sim.account(|a| {
        a.hub().limit_anonymous(0);
        a.project("web").variable("A", "1");
    });
    let client = codebuild(&sim);
    let start = client.start_build().project_name("web").source_version("0123456789012345678901234567890123456789");
    let answer = start.buildspec_override(DOCKER_BUILD).send().await.expect("accepted");
    let id = answer.build_value().and_then(|build| build.id()).expect("an id").to_owned();
    sim.settle_builds();
    let build = sim.build_json(&id);
    assert_eq!(build["source"]["buildspec"], DOCKER_BUILD);
    assert_eq!(build["resolvedSourceVersion"], "0123456789012345678901234567890123456789");
    assert_eq!(sim.build(&id).and_then(|build| build.failed_phase).as_deref(), Some("BUILD"));
    assert_eq!(sim.project_json("web")["source"]["buildspec"], "");
    let refused = client
        .start_build()
        .project_name("web")
        .image_pull_credentials_type_override("SERVICE_ROLE".into())
        .send()
        .await;
    assert!(refusal(refused).1.contains("curated image"));
}

#[test]
fn recurring_builds_start_by_themselves() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web").builds_every(SignedDuration::from_mins(10));
    });
    sim.advance(SignedDuration::from_mins(25));
    let builds = sim.builds_of("web");
    assert_eq!(builds.iter().map(|build| build.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(builds[1].started.duration_since(builds[0].started), SignedDuration::from_mins(10));
}

#[tokio::test]
async fn a_phase_status_never_seen_before_is_shown_as_it_is() {
    let sim = simulator();
    let id = sim.run_build("web").id;
    sim.edit_build(&id, |json| json["phases"][6]["phaseStatus"] = json!("HALF_DONE"));
    let answer = codebuild(&sim).batch_get_builds().ids(&id).send().await.expect("a batch");
    let status = answer.builds()[0].phases()[6].phase_status().expect("a status");
    assert_eq!(status.as_str(), "HALF_DONE");
}
