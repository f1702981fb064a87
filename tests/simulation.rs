//! A few seeds of each scenario of `unthrottled simulate`, a few points of each exhaustive pass, that a seed is the same
//! run twice, and that each deliberate mistake is found. `.ci/run` plays more, and `docs/simulation.md` says how to play all.

#![expect(clippy::expect_used, reason = "a test stops at what it did not expect")]

use rstest::rstest;
use unthrottled::simulation::{Mistake, Outcome, Pass, Run, Scenario};

fn run(seed: u64, scenario: Scenario) -> Run {
    Run { seed, scenario, trace: true, mistake: None, point: None }
}

fn play(seed: u64, scenario: Scenario) -> Outcome {
    run(seed, scenario).play().expect("a loopback port and a folder")
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

/// Each is found by one of the first seeds, and for what it is.
#[rstest]
#[case(Mistake::NoFence, "can't have happened")]
#[case(Mistake::NoSettling, "names the secret before its builds have the grant")]
#[case(Mistake::BlindOverwrite, "what is not ours was changed")]
#[case(Mistake::GrantRemovedInUse, "is gone while")]
#[case(Mistake::UnfinishedForgotten, "the ledger does not know it")]
#[case(Mistake::UnreadIsHealthy, "the ledger does not know it")]
#[case(Mistake::RetriedTwice, "was started again more than once")]
#[case(Mistake::VerdictFromBefore, "a remedy that it did not run with")]
#[case(Mistake::OthersEditUndone, "the buildspec was changed by more than one login")]
#[case(Mistake::EventLost, "never told")]
#[case(Mistake::SecondGrant, "unthrottled-dockerhub-2")]
#[case(Mistake::VariableTwice, "is there twice")]
fn a_deliberate_mistake_is_found(#[case] mistake: Mistake, #[case] words: &str) {
    let finds = |seed: u64| {
        let mistaken = Run { mistake: Some(mistake), trace: false, ..run(seed, mistake.scenario()) };
        let outcome = mistaken.play().expect("a loopback port and a folder");
        outcome.broken.iter().any(|what| what.contains(words))
    };
    assert!((1..=SEEDS).any(finds), "{mistake:?}: no seed up to {SEEDS} is broken because `{words}`");
}

/// As many as the mistake that is found last needs, and a few more.
const SEEDS: u64 = 24;

#[rstest]
fn a_story_disturbed_at_any_point_ends_well(
    #[values(Scenario::RegistryCredential, Scenario::BuildspecLogin)] scenario: Scenario,
    #[values((Pass::Kill, 23), (Pass::Entry, 4), (Pass::Edit, 149), (Pass::Fault, 71), (Pass::Second, 29), (Pass::Rollback, 3), (Pass::Pair, 2999))]
    (pass, stride): (Pass, usize),
) {
    let story = run(1, scenario);
    let points = story.points(pass).expect("a loopback port and a folder");
    assert!(points.len() > stride, "{points:?}");
    for point in points.into_iter().skip(stride / 2).step_by(stride) {
        let outcome = Run { point: Some(point), ..story.clone() }.play().expect("a loopback port and a folder");
        let disturbed =
            outcome.covered.contains_key("points reached") || outcome.covered.contains_key("kills at an entry");
        assert!(disturbed, "{point} was never reached");
        assert!(outcome.held(), "{point}: {:#?}\n{}", outcome.broken, outcome.trace.join("\n"));
    }
}
