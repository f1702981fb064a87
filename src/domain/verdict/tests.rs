//! What later builds tell: tables of builds and verdicts.

use super::*;
use crate::domain::build::Project;
use crate::domain::testing::*;
use rstest::rstest;

const WORSE: Trouble = Trouble::SecretUnreadable;

/// A plan for a refused pull in BUILD, which puts a login into the buildspec.
fn login_plan() -> Plan {
    Plan {
        site: Site::DockerClient,
        phase: PhaseName::new("BUILD"),
        changes: vec![grant_change(), login_change()],
        ..plan("web:41")
    }
}

fn with_credential() -> Build {
    build("web:42").of(&project("web").credential(SECRET))
}

fn with_login() -> Build {
    build("web:42").of(&logged_in())
}

fn well() -> Diagnosis {
    Diagnosis { site: None, ..diagnosis(Cause::NotThrottled, Site::BuildImage) }
}

fn throttled(site: Site) -> Diagnosis {
    diagnosis(Cause::HubPullLimit, site)
}

#[rstest]
// The image was pulled: what fails after that says nothing against a credential.
#[case(with_credential().phase_ended("PROVISIONING", "SUCCEEDED"), well(), None, Verdict::Effective)]
#[case(with_credential().phase_ended("PROVISIONING", "SUCCEEDED").failed_in("BUILD"), well(), None, Verdict::Effective)]
#[case(
    with_credential().phase_ended("PROVISIONING", "SUCCEEDED").failed_in("BUILD"),
    throttled(Site::DockerClient), None, Verdict::Effective
)]
#[case(
    with_credential().phase_ended("PROVISIONING", "SUCCEEDED").failed_in("DOWNLOAD_SOURCE"),
    well(), Some(WORSE), Verdict::Effective
)]
#[case(
    with_credential().phase_ended("PROVISIONING", "SUCCEEDED").failed_in("BUILD"),
    well(), Some(Trouble::LoginRefused), Verdict::Effective
)]
// It was not.
#[case(
    with_credential().failed_in("PROVISIONING"), throttled(Site::BuildImage), None,
    Verdict::Ineffective(Ineffective::StillThrottled)
)]
#[case(
    with_credential().failed_in("PROVISIONING"), well(), Some(WORSE),
    Verdict::Ineffective(Ineffective::SecretUnreadable)
)]
#[case(
    with_credential().failed_in("PROVISIONING"), well(), Some(Trouble::KmsDenied),
    Verdict::Ineffective(Ineffective::SecretUnreadable)
)]
#[case(
    with_credential().failed_in("PROVISIONING"), well(), Some(Trouble::LoginRefused),
    Verdict::Ineffective(Ineffective::LoginRefused)
)]
#[case(
    with_credential().failed_in("PROVISIONING"), well(), Some(Trouble::PullRefusedOtherwise),
    Verdict::Ineffective(Ineffective::ImageRefused)
)]
#[case(
    with_credential().failed_in("PROVISIONING"), well(), None,
    Verdict::Inconclusive(Inconclusive::OtherFailure)
)]
#[case(
    with_credential().phase_ended("PROVISIONING", "PAUSED"), well(), None,
    Verdict::Inconclusive(Inconclusive::OtherFailure)
)]
#[case(
    with_credential().failed_in("QUEUED"), well(), None,
    Verdict::Inconclusive(Inconclusive::NotReached)
)]
// It ran without the remedy, so it tells nothing, however it ended.
#[case(
    build("web:42").failed_in("PROVISIONING"), throttled(Site::BuildImage), None,
    Verdict::Inconclusive(Inconclusive::WithoutTheRemedy)
)]
#[case(
    build("web:42").phase_ended("PROVISIONING", "SUCCEEDED"), well(), None,
    Verdict::Inconclusive(Inconclusive::WithoutTheRemedy)
)]
#[case(
    build("web:42").of(&project("web").credential(SECRET).pulls_as("CODEBUILD")).failed_in("PROVISIONING"),
    well(), Some(WORSE), Verdict::Inconclusive(Inconclusive::WithoutTheRemedy)
)]
fn of_a_registry_credential(
    #[case] build: Build,
    #[case] diagnosis: Diagnosis,
    #[case] trouble: Option<Trouble>,
    #[case] expected: Verdict,
) {
    assert_eq!(judge(&plan("web:41"), &build, &diagnosis, trouble), expected);
}

#[rstest]
#[case(with_login().phase_ended("BUILD", "SUCCEEDED"), well(), None, Verdict::Effective)]
#[case(
    with_login().phase_ended("BUILD", "SUCCEEDED").failed_in("POST_BUILD"), throttled(Site::DockerClient), None,
    Verdict::Ineffective(Ineffective::StillThrottled)
)]
#[case(
    with_login().failed_in("BUILD"), throttled(Site::DockerClient), None,
    Verdict::Ineffective(Ineffective::StillThrottled)
)]
// Throttled, retried, and went on to fail of something else.
#[case(
    with_login().failed_in("BUILD"), Diagnosis { recovered: true, ..throttled(Site::DockerClient) }, None,
    Verdict::Inconclusive(Inconclusive::OtherFailure)
)]
// Refused at the other site, which this remedy does not cure.
#[case(
    with_login().failed_in("PROVISIONING"), throttled(Site::BuildImage), None,
    Verdict::Inconclusive(Inconclusive::NotReached)
)]
#[case(
    with_login().failed_in("BUILD"), diagnosis(Cause::OtherRegistry, Site::DockerClient), None,
    Verdict::Inconclusive(Inconclusive::OtherFailure)
)]
#[case(
    with_login().phase_ended("PROVISIONING", "SUCCEEDED").failed_in("DOWNLOAD_SOURCE"), well(), Some(WORSE),
    Verdict::Ineffective(Ineffective::SecretUnreadable)
)]
#[case(
    with_login().failed_in("DOWNLOAD_SOURCE"), well(), Some(Trouble::BuildspecBroken),
    Verdict::Ineffective(Ineffective::BuildspecBroken)
)]
#[case(
    with_login().failed_in("PROVISIONING"), well(), Some(Trouble::PullRefusedOtherwise),
    Verdict::Inconclusive(Inconclusive::NotReached)
)]
// The phase is no longer there, and one behind it ended well.
#[case(with_login().phase_ended("POST_BUILD", "SUCCEEDED"), well(), None, Verdict::Effective)]
#[case(with_login().phase_ended("INSTALL", "SUCCEEDED"), well(), None, Verdict::Inconclusive(Inconclusive::NotReached))]
#[case(
    with_login().phase_ended("POST_BUILD", "SUCCEEDED").failed_in("PRE_BUILD"), well(), None,
    Verdict::Inconclusive(Inconclusive::NotReached)
)]
fn of_a_login(
    #[case] build: Build,
    #[case] diagnosis: Diagnosis,
    #[case] trouble: Option<Trouble>,
    #[case] expected: Verdict,
) {
    assert_eq!(judge(&login_plan(), &build, &diagnosis, trouble), expected);
}

/// A plan for a refused pull in BUILD, which gives docker its variable.
fn variable_plan() -> Plan {
    let edit =
        Edit::Variable { name: "DOCKER_AUTH_CONFIG".to_string(), reference: format!("{SECRET}:docker_auth_config") };
    Plan {
        remedy: Remedy::DockerAuthVariable,
        changes: vec![grant_change(), crate::domain::change::Change::Project { edits: vec![edit] }],
        ..login_plan()
    }
}

fn with_variable() -> Build {
    let reference = format!("{SECRET}:docker_auth_config");
    build("web:42").of(&project("web").secret_variable("DOCKER_AUTH_CONFIG", &reference))
}

#[rstest]
#[case(with_variable().phase_ended("BUILD", "SUCCEEDED"), well(), None, Verdict::Effective)]
#[case(
    with_variable().failed_in("BUILD"), throttled(Site::DockerClient), None,
    Verdict::Ineffective(Ineffective::StillThrottled)
)]
#[case(
    with_variable().failed_in("DOWNLOAD_SOURCE"), well(), Some(WORSE),
    Verdict::Ineffective(Ineffective::SecretUnreadable)
)]
#[case(
    with_variable().failed_in("BUILD"), well(), Some(Trouble::LoginRefused),
    Verdict::Ineffective(Ineffective::LoginRefused)
)]
// The pull went well, and the push with the build's own login did not: ours hides it.
#[case(
    with_variable().phase_ended("BUILD", "SUCCEEDED").failed_in("POST_BUILD"), well(), Some(Trouble::AccessDenied),
    Verdict::Ineffective(Ineffective::AccessDenied)
)]
#[case(
    build("web:42").of(&project("web").secret_variable("DOCKER_AUTH_CONFIG", "theirs")).phase_ended("BUILD", "SUCCEEDED"),
    well(), None, Verdict::Inconclusive(Inconclusive::WithoutTheRemedy)
)]
fn of_a_variable(
    #[case] build: Build,
    #[case] diagnosis: Diagnosis,
    #[case] trouble: Option<Trouble>,
    #[case] expected: Verdict,
) {
    assert_eq!(judge(&variable_plan(), &build, &diagnosis, trouble), expected);
}

/// A login in the buildspec gives way to a later one, so what that may not do is not our doing.
#[test]
fn a_denied_push_says_nothing_against_a_login_in_the_buildspec() {
    let failed = with_login().phase_ended("BUILD", "SUCCEEDED").failed_in("POST_BUILD");
    assert_eq!(judge(&login_plan(), &failed, &well(), Some(Trouble::AccessDenied)), Verdict::Effective);
}

fn at_mirror() -> Build {
    build("web:42").of(&project("web").image(MIRRORED))
}

#[rstest]
#[case(at_mirror().phase_ended("PROVISIONING", "SUCCEEDED"), well(), None, Verdict::Effective)]
#[case(
    at_mirror().failed_in("PROVISIONING"), diagnosis(Cause::OtherRegistry, Site::BuildImage), None,
    Verdict::Ineffective(Ineffective::MirrorThrottled)
)]
#[case(
    at_mirror().failed_in("PROVISIONING"), well(), Some(Trouble::PullRefusedOtherwise),
    Verdict::Ineffective(Ineffective::ImageRefused)
)]
// The image was pulled: what another registry refuses its docker client is another matter.
#[case(
    at_mirror().phase_ended("PROVISIONING", "SUCCEEDED").failed_in("BUILD"),
    diagnosis(Cause::OtherRegistry, Site::DockerClient), None, Verdict::Effective
)]
// It names no secret of ours.
#[case(
    at_mirror().failed_in("PROVISIONING"), well(), Some(WORSE), Verdict::Inconclusive(Inconclusive::OtherFailure)
)]
#[case(
    build("web:42").phase_ended("PROVISIONING", "SUCCEEDED"), well(), None,
    Verdict::Inconclusive(Inconclusive::WithoutTheRemedy)
)]
fn of_a_mirror(
    #[case] build: Build,
    #[case] diagnosis: Diagnosis,
    #[case] trouble: Option<Trouble>,
    #[case] expected: Verdict,
) {
    assert_eq!(judge(&mirror_plan(), &build, &diagnosis, trouble), expected);
}

#[test]
fn a_buildspec_that_a_credential_did_not_touch_is_somebody_elses() {
    let broken = Some(Trouble::BuildspecBroken);
    let failed = with_credential().failed_in("DOWNLOAD_SOURCE");
    let verdict = judge(&plan("web:41"), &failed, &well(), broken);
    assert_eq!(verdict, Verdict::Inconclusive(Inconclusive::NotReached));
}

#[test]
fn a_build_carries_a_login_only_whole() {
    let carries = |project: &Project| super::carries(&login_plan(), &build("web:42").of(project));
    assert!(carries(&logged_in()));
    assert!(carries(&logged_in().plain_variable("OTHER")));
    assert!(!carries(&project("web")));
    assert!(!carries(&logged_in().buildspec("other: text\n")));
    assert!(carries(&logged_in().buildspec(&format!("# theirs\n{}", logged_in_buildspec()))));
    assert!(!carries(&logged_in().buildspec(&logged_in_buildspec().replace(LOGIN, &LOGIN.repeat(2)))));
    assert!(!carries(&logged_in().plain_variable("DOCKERHUB_PASSWORD")));
    let elsewhere = Project { buildspec: Buildspec::of(None), ..logged_in() };
    assert!(!carries(&elsewhere));
}

#[test]
fn only_a_throttle_is_no_worse_than_before() {
    assert!(!Ineffective::StillThrottled.made_worse());
    assert!(!Ineffective::MirrorThrottled.made_worse());
    for why in [
        Ineffective::AccessDenied,
        Ineffective::SecretUnreadable,
        Ineffective::LoginRefused,
        Ineffective::BuildspecBroken,
        Ineffective::ImageRefused,
    ] {
        assert!(why.made_worse());
    }
}

#[rstest]
#[case(with_credential(), Verdict::Effective)]
#[case(with_credential().failed_in("BUILD"), Verdict::Inconclusive(Inconclusive::NotReached))]
fn where_a_phase_stands_that_is_not_known_only_the_whole_build_tells(#[case] build: Build, #[case] expected: Verdict) {
    let plan = Plan { phase: PhaseName::new("TOMORROW"), site: Site::DockerClient, ..plan("web:41") };
    assert_eq!(judge(&plan, &build, &well(), None), expected);
}

/// Whoever opens a pull request decides what its commands do and what its log says.
#[test]
fn a_pull_request_tells_nothing_but_what_codebuild_says_of_it() {
    let of_pull_request = |build: Build| build.version(Some("pr/7"), Some("4f1d2e"));
    let passed = with_login().phase_ended("BUILD", "SUCCEEDED");
    assert!(is_a_strangers(&login_plan(), &of_pull_request(passed.clone())));
    assert!(is_a_strangers(&login_plan(), &of_pull_request(with_login().failed_in("BUILD"))));
    assert!(!is_a_strangers(&login_plan(), &passed));
    assert!(!is_a_strangers(&login_plan(), &of_pull_request(with_login().failed_in("DOWNLOAD_SOURCE"))));
    assert!(
        !is_a_strangers(&plan("web:41"), &of_pull_request(with_credential().failed_in("BUILD"))),
        "CodeBuild pulled"
    );
}
