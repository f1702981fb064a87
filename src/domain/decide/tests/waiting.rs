//! Which of several builds of a project goes on waiting.

use super::*;

fn throttled(build: &str, minute: i64, site: Site) -> Detected {
    Detected { ended: Some(at(minute * 60)), ..detected(build, site) }
}

fn held(reason: HoldReason) -> Judgement {
    Judgement::Held { reason, detail: String::new(), until: at(3_600) }
}

fn waits(build: &str, minute: i64, reason: HoldReason) -> [Fact; 2] {
    let judged = Fact::Judged { build: id(build), judgement: held(reason) };
    [Fact::Detected(throttled(build, minute, Site::BuildImage)), judged]
}

fn waiting() -> History {
    let all = [
        waits("web:3", 3, HoldReason::MaxOpen),
        waits("web:2", 2, HoldReason::MaxOpen),
        waits("web:4", 4, HoldReason::Freeze),
        waits("api:9", 9, HoldReason::MaxOpen),
    ];
    history(all.concat())
}

#[rstest]
#[case("web:1", 1, HoldReason::MaxOpen, "superseded by build web:3, which waits for the same")]
#[case("web:1", 1, HoldReason::Freeze, "superseded by build web:4, which waits for the same")]
#[case("web:3", 3, HoldReason::MaxOpen, "held")]
#[case("web:5", 5, HoldReason::MaxOpen, "held")]
#[case("web:1", 1, HoldReason::MaxShare, "held")]
#[case("app:1", 1, HoldReason::MaxOpen, "held")]
fn only_the_newest_of_those_that_wait_for_the_same(
    #[case] build: &str,
    #[case] minute: i64,
    #[case] reason: HoldReason,
    #[case] expected: &str,
) {
    let detected = throttled(build, minute, Site::BuildImage);
    let judgement = unless_superseded(&waiting(), &detected, held(reason));
    assert!(judgement.to_string().starts_with(expected), "{judgement}");
}

#[test]
fn a_build_that_was_throttled_elsewhere_waits_for_itself() {
    let detected = throttled("web:1", 1, Site::DockerClient);
    assert_eq!(unless_superseded(&waiting(), &detected, held(HoldReason::MaxOpen)), held(HoldReason::MaxOpen));
    assert_eq!(waiting().older_in_wait(&detected, HoldReason::MaxOpen), []);
}

#[test]
fn what_is_final_supersedes_nothing_and_is_superseded_by_nothing() {
    let detected = throttled("web:1", 1, Site::BuildImage);
    assert_eq!(unless_superseded(&waiting(), &detected, without_build()), without_build());
    assert!(without_build().is_final() && !held(HoldReason::MaxOpen).is_final());
}

#[test]
fn a_newer_build_takes_the_place_of_all_older_ones() {
    let detected = throttled("web:5", 5, Site::BuildImage);
    assert_eq!(waiting().older_in_wait(&detected, HoldReason::MaxOpen), [id("web:2"), id("web:3")]);
    assert_eq!(waiting().older_in_wait(&detected, HoldReason::Freeze), [id("web:4")]);
    let newest = throttled("web:3", 3, Site::BuildImage);
    assert_eq!(waiting().older_in_wait(&newest, HoldReason::MaxOpen), [id("web:2")], "not itself");
    let oldest = throttled("web:1", 1, Site::BuildImage);
    assert_eq!(waiting().older_in_wait(&oldest, HoldReason::MaxOpen), []);
}
