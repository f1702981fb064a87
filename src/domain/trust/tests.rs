//! Whose word a log is.

use super::*;
use crate::domain::build::Context;
use crate::domain::testing::*;
use rstest::rstest;

const COMMIT: &str = "8d3f1c2a9b7e6d5c4b3a29181706f5e4d3c2b1a0";

fn of_github(version: Option<&str>, initiator: &str) -> Build {
    Build { source_kind: "GITHUB".to_string(), ..build("web:41").version(version, Some(COMMIT)).by(initiator) }
}

fn building(pull_requests: PullRequests) -> Project {
    Project { pull_requests, ..project("web") }
}

#[rstest]
#[case::a_person(of_github(Some("main"), "developer"))]
#[case::a_person_without_a_version(of_github(None, "developer"))]
#[case::a_role(of_github(None, "admin/jane"))]
#[case::a_schedule(of_github(None, "rule/nightly"))]
#[case::a_push(of_github(Some(COMMIT), "GitHub-Hookshot/1a2b3c4"))]
#[case::a_pipeline(Build { source_kind: "CODEPIPELINE".to_string(), ..of_github(Some("arn:aws:s3:::bucket/key"), "codepipeline/web") })]
#[case::jenkins(of_github(Some("main"), "CodeBuild-Jenkins-Plugin"))]
#[case::no_source(Build { source_kind: "NO_SOURCE".to_string(), ..of_github(None, "developer") })]
fn ordinary_builds_are_trusted_whatever_else_the_project_builds(#[case] build: Build) {
    for whose in [PullRequests::Nobodys, PullRequests::Approved, PullRequests::Anybodys] {
        assert_eq!(stranger(&build, &building(whose), false), None, "{whose:?}");
    }
}

#[rstest]
#[case("pr/7")]
#[case("PR/7")]
#[case(" pr/7^{8d3f1c2a}")]
#[case("refs/pull/7/head")]
#[case("pull/7/merge")]
#[case("refs/pull-requests/7/from")]
#[case("refs/merge-requests/7/head")]
#[case("mr/7")]
fn a_pull_request_is_a_strangers_whoever_started_its_build(#[case] version: &str) {
    for initiator in ["GitHub-Hookshot/1a2b3c4", "developer", "codepipeline/web"] {
        let why = stranger(&of_github(Some(version), initiator), &building(PullRequests::Nobodys), false);
        assert_eq!(why, Some("the build is of a pull request, whose author can write its log"), "{initiator}");
    }
}

#[rstest]
#[case("feature/pr/7")]
#[case("prod")]
#[case("release-pull/7")]
fn a_branch_that_sounds_like_one_is_none(#[case] version: &str) {
    assert_eq!(stranger(&of_github(Some(version), "developer"), &building(PullRequests::Anybodys), false), None);
}

#[rstest]
#[case::public(of_github(Some("main"), "developer"), Project { visibility: Visibility::Public, ..project("web") }, "the project is public")]
#[case::another(of_github(Some("main"), "developer"), project("api"), "the build is of another project")]
#[case::nobody_said(Build { initiator: None, ..of_github(Some("main"), "") }, project("web"), "CodeBuild does not tell who started the build")]
#[case::blank(of_github(Some("main"), " "), project("web"), "CodeBuild does not tell who started the build")]
#[case::a_webhook_of_what(
    of_github(None, "GitHub-Hookshot/1a2b3c4"),
    project("web"),
    "a webhook started the build, and CodeBuild does not tell of what"
)]
fn what_is_not_known_is_a_strangers(#[case] build: Build, #[case] project: Project, #[case] why: &str) {
    assert_eq!(stranger(&build, &project, false), Some(why));
}

/// Only GitHub's webhook tells a pull request by the version.
#[rstest]
#[case::a_member_of_a_batch(Build { batch: Some("arn:batch".to_string()), ..of_github(Some(COMMIT), "developer") }, false)]
#[case::started_again_by_a_person(of_github(Some(COMMIT), "developer"), false)]
#[case::started_again_by_us(of_github(Some("main"), "unthrottled/daemon"), true)]
#[case::bitbucket(Build { source_kind: "BITBUCKET".to_string(), ..of_github(Some(COMMIT), "Bitbucket-Webhooks/2.0") }, false)]
#[case::gitlab(Build { source_kind: "GITLAB".to_string(), ..of_github(Some("main"), "GitLab/17.2.0") }, false)]
fn a_build_that_may_hide_a_pull_request_is_trusted_only_where_none_is_built(
    #[case] build: Build,
    #[case] is_ours: bool,
) {
    assert_eq!(stranger(&build, &building(PullRequests::Nobodys), is_ours), None);
    for whose in [PullRequests::Approved, PullRequests::Anybodys] {
        let why = stranger(&build, &building(whose), is_ours);
        assert_eq!(
            why,
            Some("the project builds pull requests, and CodeBuild does not tell whether this build is of one")
        );
    }
}

fn failed(message: &str) -> Phase {
    let contexts = vec![Context { code: "COMMAND_EXECUTION_ERROR".to_string(), message: message.to_string() }];
    Phase { contexts, ..build("web:41").failed_in("BUILD").phases.remove(0) }
}

fn of_command(command: &str) -> Phase {
    failed(&format!("Error while executing command: {command}. Reason: exit status 1"))
}

fn in_build() -> PhaseName {
    PhaseName::new("BUILD")
}

#[rstest]
#[case("docker build -t app .", Weight::Command)]
#[case("./build.sh", Weight::Command)]
#[case("echo 'toomanyrequests'; exit 1", Weight::NoPull)]
#[case("docker pull ghcr.io/acme/web:1", Weight::OtherRegistry)]
#[case::of_two_lines("set -e\ndocker build .", Weight::Command)]
#[case::reason_within("echo . Reason: x && docker build .", Weight::Command)]
fn the_command_that_failed_is_told_by_codebuild(#[case] command: &str, #[case] expected: Weight) {
    let build = build("web:41");
    assert_eq!(weight(&build, &of_command(command), Some(&in_build())), expected);
}

#[test]
fn a_line_outside_of_the_failed_phase_or_of_no_known_one_is_out_of_place() {
    let (build, failed) = (build("web:41"), of_command("docker build ."));
    assert_eq!(weight(&build, &failed, Some(&PhaseName::new("PRE_BUILD"))), Weight::Unplaced);
    assert_eq!(weight(&build, &failed, None), Weight::Unplaced);
}

/// A phase that timed out has no command in its context.
#[test]
fn without_the_command_the_projects_own_buildspec_tells() {
    let with = |text: &str| build("web:41").of(&project("web").buildspec(text));
    let spec = |command: &str| format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n");
    let timed_out = failed("");
    assert_eq!(weight(&with(&spec("docker build .")), &timed_out, Some(&in_build())), Weight::Command);
    assert_eq!(weight(&with(&spec("make")), &timed_out, Some(&in_build())), Weight::Command);
    assert_eq!(weight(&with(&spec("echo hello")), &timed_out, Some(&in_build())), Weight::NoPull);
    assert_eq!(weight(&with("phases: ["), &timed_out, Some(&in_build())), Weight::Unknown);
    assert_eq!(weight(&build("web:41"), &timed_out, Some(&in_build())), Weight::Unknown);
}

/// What is cut may go on with anything, so the buildspec is asked.
#[test]
fn a_command_that_was_cut_is_not_taken_for_harmless() {
    let long = format!("Error while executing command: echo {}", "x".repeat(230));
    assert_eq!(weight(&build("web:41"), &failed(&long), Some(&in_build())), Weight::Unknown);
    let cut = build("web:41").of(&project("web").buildspec(BUILDSPEC));
    assert_eq!(weight(&cut, &failed(&long), Some(&in_build())), Weight::Command);
}

#[test]
fn what_proves_enough_lacks_nothing() {
    let all =
        [Weight::CodeBuild, Weight::Command, Weight::Unplaced, Weight::NoPull, Weight::OtherRegistry, Weight::Unknown];
    let lacking: Vec<bool> = all.iter().map(|weight| weight.lacks().is_some()).collect();
    assert_eq!(lacking, [false, false, true, true, true, true]);
    assert_eq!(Weight::default(), Weight::Unknown, "what an older version recorded proves nothing");
}
