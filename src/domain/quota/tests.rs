use super::*;
use proptest::prelude::*;
use rstest::rstest;
use std::collections::BTreeSet;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_767_607_200 + 60 * minutes).unwrap()
}

fn names(count: usize) -> Vec<ProjectName> {
    (0..count).map(|n| ProjectName::new(format!("svc-{n}"))).collect()
}

fn limited(remaining: u64, limit: u64) -> Answer {
    Answer::Limited { limit, remaining, window: Some(SignedDuration::from_hours(6)) }
}

fn stands(answer: &Answer, projects: usize, floor: f64, was_low: bool) -> Standing {
    let names = names(projects);
    standing(answer, &names.iter().collect(), floor, was_low)
}

fn is_low(answer: &Answer, projects: usize, was_low: bool) -> bool {
    matches!(stands(answer, projects, 0.1, was_low), Standing::Low(Low::FewLeft, _))
}

#[rstest]
#[case::untouched(200, 200, 1, false)]
#[case::above_the_floor(21, 200, 1, false)]
#[case::at_the_floor(20, 200, 1, true)]
#[case::nothing_left(0, 200, 1, true)]
#[case::one_pull_for_each_project(51, 200, 50, false)]
#[case::fewer_than_one_for_each(50, 200, 50, true)]
#[case::never_more_than_half_for_them(101, 200, 1_000, false)]
#[case::half_for_them(100, 200, 1_000, true)]
#[case::a_floor_of_a_fraction_of_a_pull_is_one(1, 5, 0, true)]
#[case::a_limit_of_nothing(0, 0, 1, true)]
fn few_left(#[case] remaining: u64, #[case] limit: u64, #[case] projects: usize, #[case] low: bool) {
    assert_eq!(is_low(&limited(remaining, limit), projects, false), low);
}

#[test]
fn once_low_half_as_much_again_has_to_be_left() {
    assert!(!is_low(&limited(21, 200), 1, false) && is_low(&limited(21, 200), 1, true));
    assert!(is_low(&limited(30, 200), 1, true) && !is_low(&limited(31, 200), 1, true));
    // However high the floor is, an account that nobody pulls with comes back, unless all of it has to be left.
    assert_eq!(stands(&limited(200, 200), 1, 0.9, true), Standing::Enough);
    assert!(matches!(stands(&limited(200, 200), 1, 1.0, false), Standing::Low(..)));
    assert!(matches!(stands(&limited(200, 200), 1, 1.0, true), Standing::Low(..)));
}

#[test]
fn the_sentence_has_the_numbers() {
    let Standing::Low(Low::FewLeft, detail) = stands(&limited(12, 200), 3, 0.1, false) else { panic!("not low") };
    assert_eq!(detail, "12 of 200 pulls in 6h are left for 3 projects, and more than 20 have to be");
}

#[test]
fn what_is_no_number_is_what_it_is() {
    assert_eq!(stands(&Answer::Unlimited, 5_000, 1.0, true), Standing::Enough);
    assert_eq!(stands(&Answer::Refused, 1, 0.1, false), Standing::Refused);
    assert!(matches!(stands(&Answer::Throttled, 1, 0.1, false), Standing::Low(Low::HubThrottled, _)));
    let unknown = Answer::Unknown(Unsaid::Unreached, "no way out".to_string());
    assert_eq!(stands(&unknown, 1, 0.1, true), Standing::Unknown(Unsaid::Unreached, "no way out".to_string()));
}

proptest! {
    /// The fewer are left and the more projects pull, the sooner it is low; nothing is low that has all left.
    #[test]
    fn less_left_or_more_projects_never_turn_low_into_enough(
        limit in 3_u64..500, left in 0_u64..500, less in 0_u64..500, projects in 0_usize..300, more in 0_usize..300,
        was_low: bool,
    ) {
        let left = left.min(limit);
        if is_low(&limited(left, limit), projects, was_low) {
            prop_assert!(is_low(&limited(left.saturating_sub(less), limit), projects + more, was_low));
            prop_assert!(left < limit);
        }
    }
}

fn reason_of(judgement: Option<Judgement>) -> Option<(HoldReason, Timestamp)> {
    match judgement? {
        Judgement::Held { reason, until, .. } => Some((reason, until)),
        other => panic!("{other}"),
    }
}

#[test]
fn a_low_account_holds_until_docker_hub_is_asked_again() {
    let low = Standing::Low(Low::FewLeft, "12 of 200 pulls are left".to_string());
    let held = hold("hub", &low, at(0), Some(at(0)), at(3));
    assert_eq!(held.as_ref().map(ToString::to_string), Some(
        "held until 2026-01-05T10:10:00Z (credential_quota_low): the account of credential `hub`: 12 of 200 pulls are left"
            .to_string()
    ));
    assert_eq!(reason_of(held), Some((HoldReason::CredentialQuotaLow, at(10))));
    let refused = hold("hub", &Standing::Refused, at(0), None, at(3));
    assert_eq!(reason_of(refused), Some((HoldReason::CredentialUnusable, at(10))));
    assert_eq!(hold("hub", &Standing::Enough, at(0), Some(at(0)), at(3)), None);
}

/// What is not known does not stop the cure for ever, and does not undo a hold either.
#[rstest]
#[case::never_low(None, false)]
#[case::low_within_the_window(Some(0), true)]
#[case::low_before_it(Some(-360), false)]
fn unknown_goes_on_unless_it_was_low_not_long_ago(#[case] low: Option<i64>, #[case] holds: bool) {
    let unknown = Standing::Unknown(Unsaid::Unreached, "no way out".to_string());
    let held = hold("hub", &unknown, at(0), low.map(at), at(0));
    assert_eq!(reason_of(held), holds.then_some((HoldReason::CredentialQuotaLow, at(10))));
}

#[test]
fn an_answer_is_good_for_ten_minutes_by_any_clock() {
    assert!(is_good(at(0), at(9)) && !is_good(at(0), at(10)));
    assert!(is_good(at(9), at(0)) && !is_good(at(600), at(0)), "a clock that was set back");
}

#[test]
fn those_that_ask_do_not_ask_all_at_once() {
    let first: BTreeSet<Timestamp> = (0..50).map(|n| next_look("prod", &format!("hub-{n}"), None, at(0))).collect();
    assert!(first.len() > 40 && first.iter().all(|look| (at(0)..at(10)).contains(look)), "{first:?}");
    assert_ne!(next_look("prod", "hub", None, at(0)), next_look("test", "hub", None, at(0)));
    let next = next_look("prod", "hub", Some(at(5)), at(0));
    assert!((at(65)..at(75)).contains(&next), "{next}");
}
