//! Which policy a project falls under, whose code owns it, and when nothing may be changed.

use super::*;
use crate::domain::testing::*;
use rstest::rstest;

fn named(name: &str, projects: &[&str], exclude: &[&str]) -> Policy {
    Policy { projects: globs(projects), exclude: globs(exclude), ..policy(name) }
}

#[rstest]
#[case(&["svc-*"], &[], "svc-web", "matches")]
#[case(&["svc-*"], &[], "web", "does not")]
#[case(&["svc-*"], &["svc-legacy-*"], "svc-legacy-7", "does not")]
#[case(&["web", "api-?"], &[], "api-1", "matches")]
#[case(&["web", "api-?"], &[], "api-12", "does not")]
#[case(&["web"], &[], "web2", "does not")]
#[case(&[], &[], "web", "does not")]
fn globs_and_exclusions(
    #[case] projects: &[&str],
    #[case] exclude: &[&str],
    #[case] name: &str,
    #[case] expected: &str,
) {
    let matches = named("p", projects, exclude).matches("here", &project(name));
    assert_eq!(matches, expected == "matches");
}

#[test]
fn the_first_policy_that_matches_decides() {
    let policies = [named("one", &["svc-*"], &["svc-x"]), named("two", &["svc-*"], &[]), named("all", &["*"], &[])];
    let chosen = |name: &str| policy_for(&policies, "here", &project(name)).map(|p| p.name.as_str());
    assert_eq!(chosen("svc-web"), Some("one"));
    assert_eq!(chosen("svc-x"), Some("two"));
    assert_eq!(chosen("web"), Some("all"));
    assert_eq!(policy_for(&policies[..1], "here", &project("web")).map(|p| &p.name), None);
}

#[test]
fn all_tags_must_be_there_with_their_values() {
    let tags = [("team", "payments"), ("stage", "prod")].map(|(k, v)| (k.to_string(), v.to_string()));
    let policy = Policy { tags: tags.into(), ..policy("p") };
    let payments = project("web").tagged("team", "payments");
    assert!(!policy.matches("here", &payments));
    assert!(!policy.matches("here", &payments.clone().tagged("stage", "test")));
    assert!(policy.matches("here", &payments.tagged("stage", "prod").tagged("other", "x")));
}

#[test]
fn scopes_bound_a_policy_and_none_means_all() {
    let bound = Policy { scopes: vec!["prod-eu".to_string()], ..policy("p") };
    assert!(bound.matches("prod-eu", &project("web")));
    assert!(!bound.matches("prod-us", &project("web")));
    assert!(policy("p").matches("prod-us", &project("web")));
}

#[rstest]
#[case(Retry::Never, Site::BuildImage, "no")]
#[case(Retry::Never, Site::DockerClient, "no")]
#[case(Retry::Provisioning, Site::BuildImage, "yes")]
#[case(Retry::Provisioning, Site::DockerClient, "no")]
#[case(Retry::Always, Site::DockerClient, "yes")]
fn which_builds_are_started_again(#[case] retry: Retry, #[case] site: Site, #[case] expected: &str) {
    assert_eq!(retry.covers(site), expected == "yes");
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Friday 18:00 to Monday 06:00, with seconds and without.
#[rstest]
#[case("2026-03-06T17:59:59Z", None)]
#[case("2026-03-06T17:59:59.999Z", None)]
#[case("2026-03-06T18:00:00Z", Some("2026-03-09T06:00:00Z"))]
#[case("2026-03-06T18:00:00.5Z", Some("2026-03-09T06:00:00Z"))]
#[case("2026-03-08T12:00:00Z", Some("2026-03-09T06:00:00Z"))]
#[case("2026-03-09T05:59:59Z", Some("2026-03-09T06:00:00Z"))]
#[case("2026-03-09T06:00:00Z", None)]
#[case("2026-03-11T12:00:00Z", None)]
fn a_freeze_holds_from_its_first_moment_to_just_before_its_end(#[case] now: &str, #[case] until: Option<&str>) {
    for cron in ["0 0 18 * * FRI", "0 18 * * FRI"] {
        let weekend = Freeze::new(cron, SignedDuration::from_hours(60)).unwrap();
        let policy = Policy { freezes: vec![weekend], ..policy("p") };
        assert_eq!(policy.frozen_until(time(now)), until.map(time), "{cron}");
    }
}

#[test]
fn the_latest_end_of_several_freezes_counts() {
    let freezes = vec![
        Freeze::new("0 10 * * *", SignedDuration::from_hours(2)).unwrap(),
        Freeze::new("0 9 * * *", SignedDuration::from_hours(8)).unwrap(),
    ];
    let policy = Policy { freezes, ..policy("p") };
    assert_eq!(policy.frozen_until(at(600)), Some(time("2026-03-02T17:00:00Z")));
}

#[test]
fn windows_that_overlap_freeze_all_the_time() {
    let hourly = Freeze::new("0 * * * *", SignedDuration::from_mins(90)).unwrap();
    assert_eq!(hourly.until(at(1_800)), Some(at(5_400)));
    assert_eq!(hourly.until(at(3_600)), Some(at(9_000)));
}

#[test]
fn a_schedule_that_cannot_be_read_says_why() {
    assert!(Freeze::new("every friday", seconds(1)).unwrap_err().len() > 5);
    assert!(Freeze::new("61 * * * *", seconds(1)).is_err());
}

#[test]
fn the_least_of_several_modes_wins() {
    assert!(Mode::Observe < Mode::Propose && Mode::Propose < Mode::Apply);
}

#[test]
fn each_site_has_its_remedies_in_the_operators_order() {
    let policy = Policy { later_phase: vec![], ..policy("p") };
    assert_eq!(policy.remedies(Site::BuildImage), [Remedy::RegistryCredential]);
    assert_eq!(policy.remedies(Site::DockerClient), []);
    for remedy in Remedy::ALL {
        assert_eq!(serde_json::to_value(remedy).unwrap(), remedy.name());
    }
}

#[test]
fn a_mode_is_named_as_the_settings_write_it() {
    let names = [Mode::Observe, Mode::Propose, Mode::Apply].map(Mode::name);
    assert_eq!(names, ["observe", "propose", "apply"]);
}

#[test]
fn a_remedy_cures_pulls_of_its_site() {
    assert_eq!(Remedy::RegistryCredential.site(), Some(Site::BuildImage));
    assert_eq!(Remedy::MirrorImage.site(), Some(Site::BuildImage));
    assert_eq!(Remedy::BuildspecLogin.site(), Some(Site::DockerClient));
    assert_eq!(Remedy::DockerAuthVariable.site(), Some(Site::DockerClient));
    assert_eq!(Remedy::ProposePatch.site(), None);
}
