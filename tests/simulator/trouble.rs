//! Faults on demand, calls that are held, and what is recorded of calls.

use std::time::Duration;

use rstest::rstest;
use unthrottled::simulator::{Fault, Moment, Options, Simulator};

use crate::{codebuild, grant, refusal, simulator, throttled};

async fn describe(sim: &Simulator, text: &str) -> Result<(), String> {
    let sent = codebuild(sim).update_project().name("web").description(text).send().await;
    sent.map(drop).map_err(|error| aws_smithy_types::error::display::DisplayErrorContext(&error).to_string())
}

fn description(sim: &Simulator) -> Option<String> {
    sim.project_json("web")["description"].as_str().map(ToOwned::to_owned)
}

#[rstest]
#[case::throttled(Fault::Throttled)]
#[case::unavailable(Fault::ServerError(503))]
#[case::broken(Fault::ServerError(500))]
#[case::dropped(Fault::DropBefore)]
#[tokio::test]
async fn one_fault_is_overcome_by_the_clients_second_try_and_had_no_effect(#[case] fault: Fault) {
    let sim = simulator();
    throttled(&sim);
    sim.fault("UpdateProject", 1..=1, fault);
    describe(&sim, "new").await.expect("the second try");
    assert_eq!(description(&sim).as_deref(), Some("new"));
    let effects: Vec<bool> = sim.calls().iter().map(|call| call.took_effect).collect();
    assert_eq!(effects, [false, true]);
}

#[rstest]
#[case::dropped(Fault::DropAfter)]
#[case::truncated(Fault::TruncatedBody)]
#[tokio::test]
async fn an_effect_without_an_answer_is_repeated_by_the_client(#[case] fault: Fault) {
    let sim = simulator();
    throttled(&sim);
    sim.fault("UpdateProject", .., fault);
    describe(&sim, "new").await.expect_err("no answer ever arrives");
    assert_eq!(description(&sim).as_deref(), Some("new"));
    assert!(sim.writes().len() > 1);
    sim.clear_faults();
    describe(&sim, "newer").await.expect("accepted");
}

#[tokio::test]
async fn a_fault_hits_the_calls_it_was_meant_for() {
    let sim = simulator();
    throttled(&sim);
    sim.fault("UpdateProject", 2..=2, Fault::AccessDenied);
    describe(&sim, "one").await.expect("the first call is fine");
    let error = describe(&sim, "two").await.expect_err("the second is denied");
    assert!(error.contains("is not authorized to perform: codebuild:UpdateProject"), "{error}");
    describe(&sim, "three").await.expect("the third is fine");
    sim.fault("*", 1..=1, Fault::Latency(Duration::from_millis(1)));
    describe(&sim, "four").await.expect("late and fine");
}

#[tokio::test]
async fn iam_has_codes_of_its_own() {
    let sim = simulator();
    throttled(&sim);
    sim.fault("GetRole", .., Fault::Throttled);
    sim.fault("PutRolePolicy", .., Fault::AccessDenied);
    let iam = aws_sdk_iam::Client::new(&sim.sdk_config());
    assert_eq!(refusal(iam.get_role().role_name("web-role").send().await).0, "Throttling");
    let put = iam.put_role_policy().role_name("web-role").policy_name("p").policy_document(grant("arn:a").to_string());
    assert_eq!(refusal(put.send().await).0, "AccessDenied");
}

#[rstest]
#[case(Moment::BeforeEffect, None)]
#[case(Moment::AfterEffect, Some("two"))]
#[tokio::test]
async fn a_held_call_is_never_answered_and_nothing_happens_after_it(
    #[case] moment: Moment,
    #[case] then: Option<&str>,
) {
    let sim = simulator();
    throttled(&sim);
    sim.hold_call(2, moment);
    let caller = async {
        describe(&sim, "one").await.expect("the first call is answered");
        describe(&sim, "two").await
    };
    let answered = tokio::select! {
        answer = caller => Some(answer),
        () = sim.held() => None,
    };
    assert_eq!(answered, None);
    assert!(sim.is_held());
    assert_eq!(description(&sim).as_deref(), then.or(Some("one")));
    let late = tokio::select! {
        biased;
        answer = describe(&sim, "three") => Some(answer),
        () = reached(&sim, 3) => None,
    };
    assert_eq!(late, None);
    assert_eq!(description(&sim).as_deref(), then.or(Some("one")));
    sim.release();
    assert!(!sim.is_held());
    describe(&sim, "four").await.expect("answered again");
    assert_eq!(description(&sim).as_deref(), Some("four"));
}

/// Resolves when so many calls have been recorded.
async fn reached(sim: &Simulator, calls: usize) {
    while sim.calls().len() < calls {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_are_recorded_with_their_target_and_error() {
    let sim = simulator();
    let secret = throttled(&sim);
    let iam = aws_sdk_iam::Client::new(&sim.sdk_config());
    describe(&sim, "new").await.expect("accepted");
    let _ = iam.get_role_policy().role_name("web-role").policy_name("hub").send().await;
    let _ = iam
        .put_role_policy()
        .role_name("web-role")
        .policy_name("hub")
        .policy_document(grant(&secret).to_string())
        .send()
        .await;
    let _ = codebuild(&sim).list_builds().send().await;
    let seen: Vec<String> = sim
        .calls()
        .iter()
        .map(|call| format!("{} {}:{} {:?} {:?}", call.index, call.service, call.operation, call.target, call.error))
        .collect();
    assert_eq!(
        seen,
        [
            "1 codebuild:UpdateProject \"web\" None",
            "2 iam:GetRolePolicy \"web-role/hub\" Some(\"NoSuchEntity\")",
            "3 iam:PutRolePolicy \"web-role/hub\" None",
            "4 codebuild:ListBuilds \"\" None",
        ]
    );
    assert_eq!(sim.writes().iter().map(|call| call.index).collect::<Vec<_>>(), [1, 3]);
    sim.forget_calls();
    let _ = codebuild(&sim).list_builds().send().await;
    assert_eq!(sim.calls()[0].index, 5);
}

#[test]
fn the_port_is_free_once_the_last_handle_is_gone() {
    let sim = simulator();
    let address = sim.endpoint().trim_start_matches("http://").to_owned();
    let other = sim.clone();
    drop(sim);
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(other);
    assert!(std::net::TcpStream::connect(&address).is_err());
}

#[test]
fn only_loopback_is_listened_on() {
    let options = Options { listen: ([0, 0, 0, 0], 0).into(), ..Options::default() };
    assert!(Simulator::start(options).is_err());
}

#[test]
fn two_accounts_built_alike_are_alike() {
    let [one, two] = [simulator(), simulator()];
    let ids = [&one, &two].map(|sim| {
        throttled(sim);
        sim.run_build("web").id
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(one.snapshot(), two.snapshot());
}
