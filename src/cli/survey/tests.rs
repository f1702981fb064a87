//! How a survey reads on a wide terminal, a narrow one, and in a pipe.

use super::*;
use crate::domain::build::{Buildspec, Project};
use crate::domain::history::History;
use crate::domain::policy::Mode;
use crate::domain::survey::{Builds, Facts, Ground};
use crate::domain::testing::known_images;
use crate::domain::testing::*;
use insta::assert_snapshot;
use std::collections::BTreeMap;

const PULL: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t app .\n";
const MAKE: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - make image\n";
const LOGIN: &str =
    "version: 0.2\nphases:\n  build:\n    commands:\n      - docker login -u me -p $P\n      - docker build .\n";

fn row(project: &Project, builds: Option<usize>) -> Row {
    let (history, policies) = (History::default(), [policy("services")]);
    let (images, auth_configs) = (&known_images(), &BTreeMap::new());
    let (scope, mode, policies, history) = ("prod-eu", Mode::Apply, &policies, &history);
    let ground = Ground { scope, policies, mode, history, images, auth_configs };
    let facts = Facts { project, builds: Builds::default() };
    let with_decision = |way: Way| {
        let decision = survey::decision(ground, project, &way, at(0));
        (way, decision)
    };
    Row {
        scope: "prod-eu".to_string(),
        project: project.name.clone(),
        builds,
        policy: "services".to_string(),
        ways: survey::ways(facts).into_iter().map(with_decision).collect(),
    }
}

fn rows() -> Vec<Row> {
    let quiet = |name: &str| project(name).image("aws/codebuild/standard:7.0");
    let mut rows = vec![
        row(&project("svc-web").image("node:22").buildspec(PULL), Some(41)),
        row(&quiet("svc-checkout-frontend").buildspec(PULL), Some(1_204)),
        row(&quiet("svc-docs").buildspec(MAKE), Some(3)),
        row(&Project { buildspec: Buildspec::of(Some("ci/build.yml")), ..quiet("svc-api") }, Some(7)),
        row(&Project { is_runner: true, ..quiet("svc-ci").buildspec(PULL) }, Some(2)),
        row(&quiet("svc-late").buildspec(PULL), None),
    ];
    survey::sort(&mut rows);
    rows
}

fn report(several: bool) -> Report {
    Report { looked_at: 9, several, lookback: seconds(7_200) }
}

fn text(width: Option<u16>) -> String {
    let text = report(false).text(&rows(), width);
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn in_a_pipe_each_way_is_a_line() {
    assert_snapshot!(text(None), @r"
    PROJECT                BUILDS  PULLS BY          EVIDENCE                                  IF REFUSED
    svc-checkout-frontend    1204  commands          line 5: docker build -t app .             buildspec_login
    svc-web                    41  build image       node:22                                   registry_credential
    svc-web                    41  commands          line 5: docker build -t app .             buildspec_login
    svc-api                     7  not readable      in the repository, `ci/build.yml`         patch for the owner
    svc-docs                    3  perhaps commands  line 5: a make target that is called      patch for the owner
    svc-ci                      2  not readable      a runner's jobs bring their own commands  nothing (no_remedy)
    svc-late                    ?  commands          line 5: docker build -t app .             buildspec_login

    3 of 9 projects pull from Docker Hub without a login; 1 more may, 2 can't be read. BUILDS are of the last 2h.
    ");
}

#[test]
fn on_80_columns_it_is_a_table() {
    assert_snapshot!(text(Some(80)), @r"
    PROJECT                BUILDS  PULLS BY      EVIDENCE        IF REFUSED
    svc-checkout-frontend    1204  commands      line 5: docker  buildspec_login
                                                 build -t app .
    svc-web                    41  build image   node:22         registry_credential
    svc-web                    41  commands      line 5: docker  buildspec_login
                                                 build -t app .
    svc-api                     7  not readable  in the          patch for the owner
                                                 repository,
                                                 `ci/build.yml`
    svc-docs                    3  perhaps       line 5: a make  patch for the owner
                                   commands      target that is
                                                 called
    svc-ci                      2  not readable  a runner's      nothing (no_remedy)
                                                 jobs bring
                                                 their own
                                                 commands
    svc-late                    ?  commands      line 5: docker  buildspec_login
                                                 build -t app .

    3 of 9 projects pull from Docker Hub without a login; 1 more may, 2 can't be
    read. BUILDS are of the last 2h.
    ");
}

#[test]
fn on_40_columns_it_is_a_few_lines_a_project() {
    assert_snapshot!(text(Some(40)), @r"
    svc-checkout-frontend  1204 builds
      commands: line 5: docker build -t app
        .
        if refused: buildspec_login
    svc-web  41 builds
      build image: node:22
        if refused: registry_credential
      commands: line 5: docker build -t app
        .
        if refused: buildspec_login
    svc-api  7 builds
      not readable: in the repository,
        `ci/build.yml`
        if refused: patch for the owner
    svc-docs  3 builds
      perhaps commands: line 5: a make
        target that is called
        if refused: patch for the owner
    svc-ci  2 builds
      not readable: a runner's jobs bring
        their own commands
        if refused: nothing (no_remedy)
    svc-late  builds not counted
      commands: line 5: docker build -t app
        .
        if refused: buildspec_login

    3 of 9 projects pull from Docker Hub
    without a login; 1 more may, 2 can't be
    read. BUILDS are of the last 2h.
    ");
}

#[test]
fn no_line_is_longer_than_the_terminal() {
    for width in [40, 60, 79, 80, 100, 120] {
        let text = text(Some(width));
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= width.into(), "{longest} on {width}:\n{text}");
        assert!(text.contains("svc-checkout-frontend") || width < 60, "{text}");
    }
}

#[test]
fn of_several_scopes_each_row_names_its_own() {
    let text = report(true).text(&rows(), None);
    assert!(text.contains("prod-eu/svc-web"), "{text}");
}

#[test]
fn nothing_matched_and_nothing_found_are_told_apart() {
    let none = Report { looked_at: 0, ..report(false) };
    assert_eq!(
        none.text(&[], None),
        "No policy matches a project: look at `projects` of the policies, and at the region.\n"
    );
    assert_snapshot!(report(false).text(&[], None), @r"
    None of 9 projects pulls from Docker Hub without a login, as far as can be seen.
    ");
}

#[test]
fn a_project_with_a_login_says_so() {
    let row = row(&project("svc").image("node:22").credential("dockerhub").buildspec(LOGIN), Some(1));
    assert!(!row.is_open());
    let text = anstream::adapter::strip_str(&report(false).text(&[row], None)).to_string();
    assert_snapshot!(text, @r"
    PROJECT  BUILDS  PULLS BY                EVIDENCE                       IF REFUSED
    svc           1  build image, logged in  node:22
    svc           1  commands, logged in     line 5: a login to Docker Hub

    None of 9 projects pulls from Docker Hub without a login, as far as can be seen.
    ");
}

#[test]
fn a_way_is_data_for_programs() {
    let row = row(&project("svc").image("node:22"), Some(1));
    let ways: Vec<Value> = row.ways.iter().map(|(way, decision)| way_json(way, decision.as_ref())).collect();
    assert_eq!(
        ways,
        [
            json!({"site": "build_image", "standing": "anonymous", "evidence": "node:22", "line": null,
                "decision": "remediate", "remedy": "registry_credential", "reason": null, "detail": null}),
            json!({"site": "docker_client", "standing": "not_readable", "evidence": "in the repository, `buildspec.yml`",
                "line": null, "decision": "propose", "remedy": "propose_patch", "reason": null,
                "detail": "buildspec_login: the buildspec is in the repository, `buildspec.yml`, and not in the project (buildspec_elsewhere)"}),
        ]
    );
}
