//! A few seeds of each scenario of `unthrottled simulate`, and that a seed is the same run twice. `.ci/run` plays more.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

use rstest::rstest;
use unthrottled::simulation::{Outcome, Run, Scenario};

fn play(seed: u64, scenario: Scenario) -> Outcome {
    Run { seed, scenario, trace: true }.play().expect("a loopback port and a folder")
}

/// What a run has to go through for its invariants to mean anything.
fn covered(outcomes: &[Outcome], what: &[&str]) {
    for what in what {
        let times: u64 =
            outcomes.iter().flat_map(|o| &o.covered).filter(|(k, _)| k.starts_with(what)).map(|(_, n)| n).sum();
        assert!(times > 0, "no run went through `{what}`");
    }
}

#[rstest]
#[case::mixed(Scenario::Mixed, &["kills at a call", "fault DropAfter", "edit Deployment", "remediation verified", "write UpdateProject"])]
#[case::faults(Scenario::Faults, &["kills at a call", "fault TruncatedBody", "remediation verified", "write DeleteRolePolicy"])]
#[case::people(Scenario::People, &["edit Deployment", "edit BuildspecComment", "remediation verified"])]
#[case::rivals(Scenario::Rivals, &["kills at a call", "remediation verified", "write UpdateProject"])]
fn what_must_hold_holds(#[case] scenario: Scenario, #[case] through: &[&str]) {
    let outcomes: Vec<Outcome> = (1..=4).map(|seed| play(seed, scenario)).collect();
    for (seed, outcome) in (1..).zip(&outcomes) {
        assert!(outcome.held(), "seed {seed}: {:#?}\n{}", outcome.broken, outcome.trace.join("\n"));
    }
    covered(&outcomes, through);
}

#[test]
fn a_seed_is_the_same_run_call_by_call() {
    let (first, second) = (play(7, Scenario::Mixed), play(7, Scenario::Mixed));
    assert!(first.trace.len() > 300, "{}", first.trace.len());
    assert_eq!(first.trace, second.trace);
    assert_ne!(first.trace, play(8, Scenario::Mixed).trace);
}
