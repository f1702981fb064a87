//! What a project shows, and what would be done about it.

use super::*;
use crate::domain::build::{AuthConfig, Build, Buildspec, BuildspecPlace, Project};
use crate::domain::decide::{Judgement, LeaveReason};
use crate::domain::history::History;
use crate::domain::policy::{Mode, Policy, Remedy};
use crate::domain::testing::*;
use rstest::rstest;

const HUB: &str = "node:22";
const OWN: &str = "aws/codebuild/standard:7.0";
const PULL: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker pull redis:7\n";
const SILENT: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo done\n";

fn seen(project: &Project, builds: Builds) -> Vec<String> {
    let shown = |way: Way| format!("{:?} {:?} {}", way.site, way.standing, way.evidence);
    ways(Facts { project, builds }).into_iter().map(shown).collect()
}

fn quiet(image: &str) -> Project {
    project("web").image(image).buildspec(SILENT)
}

#[rstest]
#[case(quiet(OWN), &[])]
#[case(quiet(HUB), &["BuildImage Anonymous node:22"])]
#[case(quiet("docker.io/acme/app@sha256:00"), &["BuildImage Anonymous docker.io/acme/app@sha256:00"])]
#[case(quiet("public.ecr.aws/docker/library/node:22"), &[])]
#[case(quiet("111122223333.dkr.ecr.eu-central-1.amazonaws.com/app"), &[])]
#[case(quiet("not an image"), &[])]
#[case(quiet(HUB).credential("dockerhub"), &["BuildImage LoggedIn node:22"])]
// The credential is only used with the service role.
#[case(quiet(HUB).credential("dockerhub").pulls_as("CODEBUILD"), &["BuildImage Anonymous node:22"])]
#[case(quiet("ami-0abc").kind("LINUX_EC2"), &[])]
#[case(quiet(HUB).kind("LINUX_EC2"), &["BuildImage Perhaps node:22"])]
#[case(quiet(HUB).kind("TOMORROW"), &["BuildImage Perhaps node:22"])]
#[case(quiet(HUB).buildspec(PULL).kind("ARM_LAMBDA_CONTAINER"), &[])]
#[case(quiet(OWN).buildspec(PULL), &["DockerClient Anonymous line 5: docker pull redis:7"])]
#[case(quiet(HUB).buildspec(PULL), &["BuildImage Anonymous node:22", "DockerClient Anonymous line 5: docker pull redis:7"])]
#[case(quiet(OWN).buildspec(PULL).plain_variable("DOCKER_AUTH_CONFIG"), &["DockerClient LoggedIn DOCKER_AUTH_CONFIG"])]
#[case(quiet(OWN).buildspec("version: 0.2\nphases: [\n"), &["DockerClient NotReadable line 2, column 9: the buildspec is not valid YAML: unclosed bracket '['"])]
#[case(
    quiet(OWN).buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - make image\n"),
    &["DockerClient Perhaps line 5: a make target that is called"]
)]
#[case(
    quiet(OWN).buildspec("version: 0.2\nbatch:\n  build-list:\n    - identifier: a\n      buildspec: a.yml\n"),
    &["DockerClient NotReadable line 2, column 1: it only lists batch builds: edit the buildspecs that the batch names"]
)]
#[case(
    quiet(OWN).buildspec(&format!("batch:\n  build-list:\n    - identifier: a\n      buildspec: a.yml\n{SILENT}")),
    &["DockerClient NotReadable line 4: the batch gives its builds buildspecs of their own"]
)]
#[case(
    Project { buildspec: Buildspec::Elsewhere(BuildspecPlace::DefaultFile), ..quiet(OWN) },
    &["DockerClient NotReadable in the repository, `buildspec.yml`"]
)]
#[case(
    Project { is_runner: true, ..quiet(HUB).buildspec(PULL) },
    &["BuildImage Anonymous node:22", "DockerClient NotReadable a runner's jobs bring their own commands"]
)]
fn what_a_project_shows(#[case] project: Project, #[case] expected: &[&str]) {
    assert_eq!(seen(&project, Builds::default()), expected);
}

/// Some forty characters of a command are shown, and no half word.
#[rstest]
#[case("docker pull acme/an-image-of-29-letters:1", "docker pull acme/an-image-of-29-letters:1")]
#[case("docker pull acme/an-image-of-30-letters:10", "docker pull …")]
fn a_command_is_shown_as_far_as_there_is_room(#[case] command: &str, #[case] shown: &str) {
    let project = quiet(OWN).buildspec(&PULL.replace("docker pull redis:7", command));
    assert_eq!(seen(&project, Builds::default()), [format!("DockerClient Anonymous line 5: {shown}")]);
}

#[test]
fn builds_that_ran_another_buildspec_are_not_taken_for_the_projects() {
    let builds = Builds { all: 3, with_another_buildspec: 2 };
    assert_eq!(seen(&quiet(OWN), builds), ["DockerClient NotReadable 2 of 3 builds ran another buildspec"]);
}

/// A text that was edited since is no override: only what ran beside the text of today counts.
#[test]
fn builds_before_an_edit_of_the_buildspec_do_not_count_as_overrides() {
    let project = quiet(OWN).buildspec(PULL);
    let of = |ran: &Project, seconds| Build { started: Some(at(seconds)), ..build("web:1").of(ran) };
    let (now, before) = (of(&project, 100), of(&quiet(OWN), 0));
    let later = of(&quiet(OWN), 200);
    let counted = |builds: &[&Build]| {
        let Builds { all, with_another_buildspec } = Builds::of(&project, builds.iter().copied());
        (all, with_another_buildspec)
    };
    assert_eq!(counted(&[]), (0, 0));
    assert_eq!(counted(&[&now, &before]), (2, 0));
    assert_eq!(counted(&[&later, &now, &before]), (3, 1));
    assert_eq!(counted(&[&before]), (1, 1));
}

fn would(project: &Project, policy: &Policy, mode: Mode) -> Vec<String> {
    would_with(project, policy, mode, None)
}

/// With what the secret was asked.
fn would_with(project: &Project, policy: &Policy, mode: Mode, auth_config: Option<AuthConfig>) -> Vec<String> {
    let (history, policies) = (History::default(), [policy.clone()]);
    let auth_configs = auth_config.map(|answer| (policy.credential.name.clone(), answer)).into_iter().collect();
    let images = &known_images();
    let ground =
        Ground { scope: "prod", policies: &policies, mode, history: &history, images, auth_configs: &auth_configs };
    let word = |decision: Option<Decision>| match decision {
        None => "nothing to cure".to_string(),
        Some(Decision::Remediate(plan)) => format!("apply {}", plan.remedy),
        Some(Decision::Judge(Judgement::Proposed { plan, .. })) => format!("propose {}", plan.remedy),
        Some(Decision::Judge(Judgement::Left { reason, .. })) => format!("leave {}", reason.word()),
        Some(Decision::Judge(Judgement::ForOwner { .. })) => "patch for the owner".to_string(),
        Some(Decision::Judge(other)) => other.to_string(),
    };
    let facts = Facts { project, builds: Builds::default() };
    ways(facts).iter().map(|way| word(decision(ground, project, way, at(0)))).collect()
}

#[test]
fn what_would_be_done_is_decided_as_for_a_real_build() {
    let both = quiet(HUB).buildspec(PULL);
    let policy = policy("all");
    let remedies = ["apply registry_credential", "apply buildspec_login"];
    assert_eq!(would(&both, &policy, Mode::Apply), remedies);
    assert_eq!(would(&both, &policy, Mode::Propose), ["propose registry_credential", "propose buildspec_login"]);
    assert_eq!(would(&both, &policy, Mode::Observe), ["leave observe_only"; 2]);
    assert_eq!(would(&both.clone().tagged("unthrottled", "off"), &policy, Mode::Apply), ["leave stop_switch"; 2]);
    let elsewhere = project("web").image(HUB);
    assert_eq!(would(&elsewhere, &policy, Mode::Apply), ["apply registry_credential", "patch for the owner"]);
    let runner = Project { is_runner: true, ..quiet(OWN) };
    assert_eq!(would(&runner, &policy, Mode::Apply), ["leave no_remedy"]);
    let with_login = quiet(HUB).credential("dockerhub");
    assert_eq!(would(&with_login, &policy, Mode::Apply), ["nothing to cure"]);
    let roleless = Project { role_arn: None, ..quiet(HUB) };
    assert_eq!(would(&roleless, &policy, Mode::Apply), [format!("leave {}", LeaveReason::RoleGone.word())]);
}

/// What is not known of the secret is not assumed.
#[test]
fn a_variable_is_named_where_the_image_is_known_to_read_it() {
    let policy = Policy { later_phase: vec![Remedy::BuildspecLogin, Remedy::DockerAuthVariable], ..policy("all") };
    let by = |image: &str, said| would_with(&project("web").image(image), &policy, Mode::Apply, said);
    assert_eq!(by("aws/codebuild/new:1", Some(AuthConfig::Usable)), ["apply docker_auth_variable"]);
    assert_eq!(by(OWN, Some(AuthConfig::Usable)), ["patch for the owner"]);
    let why = || "no permission".to_string();
    for unknown in [None, Some(AuthConfig::Unknown(why())), Some(AuthConfig::Unusable(why()))] {
        assert_eq!(by("aws/codebuild/new:1", unknown), ["patch for the owner"]);
    }
    let inline = quiet("aws/codebuild/new:1").buildspec(PULL);
    assert_eq!(would(&inline, &policy, Mode::Apply), ["apply buildspec_login"]);
}

#[test]
fn the_busiest_come_first_and_the_uncounted_last() {
    let row = |name: &str, builds| Row {
        scope: "prod".to_string(),
        project: ProjectName::new(name),
        builds,
        policy: "all".to_string(),
        ways: Vec::new(),
    };
    let mut rows = vec![row("b", Some(2)), row("x", None), row("c", Some(7)), row("a", Some(2)), row("d", Some(0))];
    sort(&mut rows);
    let names: Vec<&str> = rows.iter().map(|row| row.project.as_str()).collect();
    assert_eq!(names, ["c", "a", "b", "d", "x"]);
}

#[rstest]
#[case(&[], false, false)]
#[case(&[Standing::LoggedIn], false, false)]
#[case(&[Standing::LoggedIn, Standing::Perhaps], true, false)]
#[case(&[Standing::NotReadable], true, false)]
#[case(&[Standing::Perhaps, Standing::Anonymous], true, true)]
fn a_row_is_open_until_every_way_logs_in(#[case] standings: &[Standing], #[case] open: bool, #[case] found: bool) {
    let way = |standing: &Standing| {
        let way = Way { site: Site::BuildImage, standing: *standing, evidence: String::new(), line: None };
        (way, None)
    };
    let row = Row {
        scope: "prod".to_string(),
        project: ProjectName::new("web"),
        builds: None,
        policy: "all".to_string(),
        ways: standings.iter().map(way).collect(),
    };
    assert_eq!((row.is_open(), row.is_found()), (open, found));
}
