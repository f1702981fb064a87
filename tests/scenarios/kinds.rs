//! Every kind of buildspec, from throttled to its outcome.
//!
//! | kind | where the commands are | outcome |
//! | --- | --- | --- |
//! | inline YAML | the project | `buildspec_login`, verified (`cured.rs`) |
//! | inline JSON, as CDK writes it | the project | `buildspec_login`, verified; a proposal if CDK owns the project |
//! | a pipeline that runs the project's own inline buildspec | the project | `buildspec_login`, verified by the pipeline's next run |
//! | batch matrix of the inline buildspec | the project | `buildspec_login`, verified by a member of the next batch |
//! | file of the repository, by default or by path | the repository | `docker_auth_variable`, verified; or patch, [`IN_THE_REPOSITORY`], [`AT_A_PATH`] |
//! | object in S3 | S3 | `docker_auth_variable`, verified; or patch, [`IN_S3`] |
//! | inline, with a script that pulls | the repository | `docker_auth_variable`, verified; or patch, [`IN_A_SCRIPT`] |
//! | override of a pipeline's action | the pipeline | `docker_auth_variable`, verified; or patch, [`BY_A_PIPELINE`] |
//! | override of StartBuild | the caller | `docker_auth_variable`, verified; or reason, [`OVERRIDDEN`] |
//! | batch list whose builds have their own files | the repository | `docker_auth_variable`, verified; or patch, [`BATCH_OF_OTHERS`] |
//! | inline, and nothing but a batch | the repository | `docker_auth_variable`, verified; or patch, [`BATCH_OF_FILES`] |
//! | a build image of a batch | the batch | reason, [`IMAGE_OF_A_BATCH`] |
//! | job of a runner | the workflow | reason, [`OF_A_RUNNER`], [`IMAGE_OF_A_RUNNER`] |
//!
//! "Patch" is one for the owner, and "reason" is why there is nothing: both are what is said where the variable can't be
//! set (`auth_variable.rs` has why), here by a policy that lists `buildspec_login` alone for later phases.

use crate::support::cast::{DOCKER_BUILD, SCRIPT};
use crate::support::world::World;
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use unthrottled::reconcile::Daemon;
use unthrottled::simulator::{BatchMembers, BuildSummary, GivenBuildspec, Job, Options, RunnerLog, Unknowns};

const IN_THE_REPOSITORY: &str = "propose_patch: buildspec_login: the buildspec is in the repository, `buildspec.yml`, and not in the project (buildspec_elsewhere)";
const AT_A_PATH: &str = "propose_patch: buildspec_login: the buildspec is in the repository, `ci/build.yml`, and not in the project (buildspec_elsewhere)";
const IN_S3: &str = "propose_patch: buildspec_login: the buildspec is in S3, `arn:aws:s3:::specs/build.yml`, and not in the project (buildspec_elsewhere)";
const IN_A_SCRIPT: &str = "propose_patch: buildspec_login: line 5, column 1: no command uses docker by itself; a script that is called may do so out of sight (no_docker_use)";
const OVERRIDDEN: &str =
    "no_remedy: buildspec_login: the build ran with another buildspec than the project has now (build_differs)";
const BY_A_PIPELINE: &str =
    "propose_patch: buildspec_login: a pipeline gave the build another buildspec than the project's (pipeline)";
const BATCH_OF_OTHERS: &str =
    "propose_patch: buildspec_login: line 5: the batch gives its builds buildspecs of their own (batch_members)";
const BATCH_OF_FILES: &str =
    "propose_patch: buildspec_login: line 5: the batch gives its builds buildspecs of their own (batch_members)";
const IMAGE_OF_A_BATCH: &str =
    "no_remedy: registry_credential: members of a batch may take images that a credential breaks (batch)";
const OF_A_RUNNER: &str = "no_remedy: buildspec_login: a runner's jobs bring their own commands, and run the buildspec only where their label asks for it (runner)";
const IMAGE_OF_A_RUNNER: &str =
    "no_remedy: registry_credential: jobs of a runner may take images that a credential breaks (runner)";

/// The buildspec of a CDK project: JSON, in lines.
const OF_CDK: &str = "{\n  \"version\": \"0.2\",\n  \"phases\": {\n    \"build\": {\n      \"commands\": [\n        \"docker build -t app .\"\n      ]\n    }\n  }\n}";

/// A matrix of two builds, which all run this text.
const MATRIX: &str = "version: 0.2\nbatch:\n  build-matrix:\n    dynamic:\n      env:\n        variables:\n          PYTHON: ['3.12', '3.13']\nphases:\n  build:\n    commands:\n      - docker build -t app:$PYTHON .\n";

/// A list of two builds: the second has its own file, which pulls; the text itself has a docker command too.
const LIST: &str = "version: 0.2\nbatch:\n  build-list:\n    - identifier: lint\n      buildspec: ci/lint.yml\n    - identifier: image\n      buildspec: ci/image.yml\nphases:\n  build:\n    commands:\n      - docker build -t app .\n";

fn world_of(unknowns: Unknowns) -> World {
    World::with(Options { unknowns, ..Options::default() })
}

/// A world without `docker_auth_variable`, whose own reasons are in `auth_variable.rs`.
fn login_alone() -> World {
    login_alone_with(Unknowns::default())
}

fn login_alone_with(unknowns: Unknowns) -> World {
    world_of(unknowns).policy("later_phase = [\"buildspec_login\"]")
}

/// Plays on until all is at rest; fails if anything was written. Answers what was said about each project that is left
/// alone: that there is no remedy, or a patch for the owner, and why.
async fn left(world: &World) -> Vec<String> {
    let _listening = world.collector.install();
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(4)).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "nothing is written");
    assert_eq!(world.sim.snapshot(), before);
    world.without_remedy()
}

/// Has the daemon put its remedy in place, lets `again` run the project as before, and plays on until all is at rest.
async fn cured(world: &World, again: impl AsyncFnOnce(&World, &mut Daemon)) -> String {
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(3)).await;
    again(world, &mut daemon).await;
    world.rest(&mut daemon).await;
    world.story()
}

fn failed_phase<E: std::fmt::Debug>(build: Result<BuildSummary, E>) -> Option<String> {
    build.expect("a build").failed_phase
}

#[tokio::test]
async fn a_json_buildspec_of_cdk_gets_its_login_and_stays_json() {
    let world = World::new();
    world.sim.account(|account| {
        account.project("api").dockerfile(["python:3.13"]).buildspec(OF_CDK);
    });
    assert_eq!(world.sim.run_build("api").failed_phase.as_deref(), Some("BUILD"));
    let story = cured(&world, async |world, _| {
        assert_eq!(world.sim.run_build("api").status, "SUCCEEDED");
    })
    .await;
    insta::assert_snapshot!(story, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationApplied api buildspec_login
    RemediationVerified api buildspec_login by api#2
    PasswordResetAdvised api buildspec_login
    ");
    let after: Value = serde_json::from_str(&world.buildspec("api")).expect("JSON");
    let commands = after["phases"]["build"]["commands"].as_array().expect("commands");
    assert_eq!(commands.len(), 2, "{after}");
    assert!(commands[0].as_str().is_some_and(|login| login.contains("docker login")), "{after}");
    assert_eq!(commands[1], "docker build -t app .");
}

/// CDK would set the project back at the next deployment.
#[tokio::test]
async fn a_project_that_cdk_owns_is_proposed_and_not_written() {
    let world = World::new();
    world.sim.account(|account| {
        account.project("api").dockerfile(["python:3.13"]).buildspec(OF_CDK).tag("aws:cloudformation:stack-name", "ci");
    });
    world.sim.run_build("api");
    let _listening = world.collector.install();
    let mut daemon = world.daemon().await;
    world.play(&mut daemon, SignedDuration::from_mins(4)).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    insta::assert_snapshot!(world.story(), @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationProposed api buildspec_login propose
    ");
}

/// Makes a project of a kind.
type Made = fn(&World);

/// Runs the project, in the way of its kind.
type Run = fn(&World) -> Vec<BuildSummary>;

fn build(world: &World) -> Vec<BuildSummary> {
    vec![world.sim.run_build("api")]
}

fn nightly(world: &World) -> Vec<BuildSummary> {
    let nightly = world.sim.run_build_with("api", &json!({"buildspecOverride": "ci/nightly.yml"}));
    vec![nightly.expect("a build")]
}

fn shipped(world: &World) -> Vec<BuildSummary> {
    let shipped = world.sim.run_pipeline("ship", "api", &json!({"buildspecOverride": "ci/nightly.yml"}));
    vec![shipped.expect("a build")]
}

fn batch(world: &World) -> Vec<BuildSummary> {
    world.sim.run_batch("api").expect("a batch")
}

fn in_the_repository(world: &World) {
    world.repository_project("api");
}

fn at_a_path(world: &World) {
    world.sim.account(|account| {
        let project = account.project("api").dockerfile(["python:3.13"]).buildspec_path("ci/build.yml");
        project.repository_file("ci/build.yml", DOCKER_BUILD);
    });
}

fn in_s3(world: &World) {
    let arn = "arn:aws:s3:::specs/build.yml";
    world.sim.account(|account| {
        account.s3_object(arn, DOCKER_BUILD);
        account.project("api").dockerfile(["python:3.13"]).buildspec_path(arn);
    });
}

/// Nothing in the inline text says that docker is used.
fn in_a_script(world: &World) {
    world.sim.account(|account| {
        account
            .project("api")
            .dockerfile(["python:3.13"])
            .buildspec(SCRIPT)
            .repository_file("build.sh", "#!/bin/bash\nset -e\nbash ci/image.sh\n")
            .repository_file("ci/image.sh", "docker build -t app .\n");
    });
}

/// The project's own text would take a login well, and it would cure nothing.
fn with_another_file(world: &World) {
    world.docker_project("api");
    world.sim.account(|account| {
        account.project("api").repository_file("ci/nightly.yml", DOCKER_BUILD);
    });
}

fn list_project(world: &World, buildspec: &str) {
    world.sim.account(|account| {
        account
            .project("api")
            .dockerfile(["python:3.13"])
            .batches()
            .buildspec(buildspec)
            .repository_file("ci/lint.yml", SCRIPT)
            .repository_file("ci/image.yml", DOCKER_BUILD);
    });
}

fn batch_of_others(world: &World) {
    list_project(world, LIST);
}

fn batch_of_files(world: &World) {
    let (only_batch, _) = LIST.split_once("phases:").expect("phases");
    list_project(world, only_batch);
}

fn is_throttled(build: &BuildSummary) -> bool {
    build.failed_phase.as_deref() == Some("BUILD")
}

/// The commands are not the project's, so they are not edited: the owner gets a patch, or nobody can be given one.
#[rstest]
#[case(in_the_repository, build, IN_THE_REPOSITORY)]
#[case(at_a_path, build, AT_A_PATH)]
#[case(in_s3, build, IN_S3)]
#[case(in_a_script, build, IN_A_SCRIPT)]
#[case(with_another_file, nightly, OVERRIDDEN)]
#[case(with_another_file, shipped, BY_A_PIPELINE)]
#[case(batch_of_others, batch, BATCH_OF_OTHERS)]
#[case(batch_of_files, batch, BATCH_OF_FILES)]
#[tokio::test]
async fn commands_that_are_not_the_projects_are_left_as_they_are(
    #[case] made: Made,
    #[case] run: Run,
    #[case] said: &str,
) {
    let world = login_alone();
    made(&world);
    assert!(run(&world).iter().any(is_throttled));
    assert_eq!(left(&world).await, [said]);
}

/// The secret holds the text for docker, and the image has a docker that reads the variable.
#[rstest]
#[case(in_the_repository, build)]
#[case(at_a_path, build)]
#[case(in_s3, build)]
#[case(in_a_script, build)]
#[case(with_another_file, nightly)]
#[case(with_another_file, shipped)]
#[case(batch_of_others, batch)]
#[case(batch_of_files, batch)]
#[tokio::test]
async fn commands_that_are_not_the_projects_are_cured_by_the_variable(#[case] made: Made, #[case] run: Run) {
    let world = World::new();
    world.secret_for_docker();
    made(&world);
    let source = world.sim.project_json("api")["source"].clone();
    assert!(run(&world).iter().any(is_throttled));
    let story = cured(&world, async |world, _| {
        let builds = run(world);
        assert!(builds.iter().all(|build| build.status == "SUCCEEDED"), "{builds:?}");
    })
    .await;
    assert_eq!(world.stages().await, ["api: verified"], "{story}");
    assert!(story.contains("RemediationVerified api docker_auth_variable"), "{story}");
    assert_eq!(world.sim.project_json("api")["source"], source, "no commands are edited");
}

/// The override holds its commands itself.
#[tokio::test]
async fn a_build_that_was_given_another_text_leaves_the_projects_own_as_it_is() {
    let world = login_alone();
    world.docker_project("api");
    let theirs = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker pull redis:7\n";
    let given = world.sim.run_build_with("api", &json!({"buildspecOverride": theirs}));
    assert_eq!(failed_phase(given).as_deref(), Some("BUILD"));
    assert_eq!(left(&world).await, [OVERRIDDEN]);
}

/// What a pipeline ran must be run by the pipeline again: nothing is retried.
#[tokio::test]
async fn a_pipeline_that_runs_the_projects_own_buildspec_is_cured_and_proven_by_its_next_run() {
    for retry in ["provisioning", "always"] {
        let world = World::new().policy(&format!("retry = \"{retry}\""));
        world.sim.account(|account| {
            account
                .project("api")
                .dockerfile(["python:3.13"])
                .source(json!({"type": "CODEPIPELINE", "buildspec": DOCKER_BUILD}))
                .member("artifacts", json!({"type": "CODEPIPELINE"}));
        });
        let shipped = world.sim.run_pipeline("ship", "api", &json!({}));
        assert_eq!(failed_phase(shipped).as_deref(), Some("BUILD"));
        let story = cured(&world, async |world, _| {
            let shipped = world.sim.run_pipeline("ship", "api", &json!({})).expect("a build");
            assert_eq!(shipped.status, "SUCCEEDED");
        })
        .await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(story, @"
            ThrottleDetected api BUILD hub_pull_limit anonymous
            RemediationPlanned api buildspec_login
            RemediationApplied api buildspec_login
            RemediationVerified api buildspec_login by api#2
            PasswordResetAdvised api buildspec_login
            ");
        }
    }
}

#[tokio::test]
async fn a_batch_of_the_projects_own_buildspec_is_cured_for_all_of_its_builds() {
    let world = World::new();
    world.sim.account(|account| {
        account.project("api").dockerfile(["python:3.13"]).batches().buildspec(MATRIX);
    });
    let batch = world.sim.run_batch("api").expect("a batch");
    assert_eq!(batch.len(), 2);
    assert!(batch.iter().all(|build| build.failed_phase.as_deref() == Some("BUILD")), "{batch:?}");
    let arn = world.sim.build_json(&batch[0].id)["buildBatchArn"].clone();
    assert!(arn.as_str().is_some_and(|arn| arn.contains(":build-batch/api:")), "{arn}");
    let story = cured(&world, async |world, _| {
        let batch = world.sim.run_batch("api").expect("a batch");
        assert!(batch.iter().all(|build| build.status == "SUCCEEDED"), "{batch:?}");
    })
    .await;
    insta::assert_snapshot!(story, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api buildspec_login
    RemediationApplied api buildspec_login
    RemediationVerified api buildspec_login by api#4
    PasswordResetAdvised api buildspec_login
    ");
}

/// The builds after a failed one never begin.
#[tokio::test]
async fn a_graph_stops_at_the_throttled_build() {
    let graph = "version: 0.2\nbatch:\n  build-graph:\n    - identifier: image\n    - identifier: deploy\n      depend-on: [image]\nphases:\n  build:\n    commands:\n      - docker build -t app .\n";
    let world = World::new();
    world.sim.account(|account| {
        account.project("api").dockerfile(["python:3.13"]).batches().buildspec(graph);
    });
    assert_eq!(world.sim.run_batch("api").expect("a batch").len(), 1);
    cured(&world, async |world, _| {
        let batch = world.sim.run_batch("api").expect("a batch");
        assert_eq!(batch.iter().map(|build| build.status.as_str()).collect::<Vec<_>>(), ["SUCCEEDED", "SUCCEEDED"]);
    })
    .await;
    assert_eq!(world.stages().await, ["api: verified"]);
}

#[tokio::test]
async fn a_refused_build_image_of_a_batch_is_left_alone() {
    let world = login_alone();
    world.sim.account(|account| {
        account.project("api").image("python:3.13").batches().buildspec(MATRIX);
    });
    let batch = world.sim.run_batch("api").expect("a batch");
    assert!(batch.iter().all(|build| build.failed_phase.as_deref() == Some("PROVISIONING")), "{batch:?}");
    assert_eq!(left(&world).await, [IMAGE_OF_A_BATCH, IMAGE_OF_A_BATCH]);
}

/// The buildspec of the project is as good as not there, and would take a login well.
/// A job may be of anybody's pull request, so by default its log counts for nothing.
const TRUSTED: &str = "untrusted_builds = \"apply\"";

#[tokio::test]
async fn a_job_of_a_runner_is_left_alone() {
    let job = Job::new(["docker pull redis:7"]);
    for (job, phase) in [(job.clone(), "BUILD"), (Job::new(["true"]).buildspec_override(), "PRE_BUILD")] {
        let world = login_alone().policy(TRUSTED);
        world.sim.account(|account| {
            account.project("ci").dockerfile(["python:3.13"]).runner().buildspec(
                "version: 0.2\nphases:\n  pre_build:\n    commands:\n      - docker build -t app .\n  build:\n    commands:\n      - exit 1\n",
            );
        });
        assert_eq!(failed_phase(world.sim.run_job("ci", job)).as_deref(), Some(phase));
        assert_eq!(left(&world).await, [OF_A_RUNNER], "{phase}");
    }
}

#[tokio::test]
async fn a_job_of_a_runner_gets_no_variable_either() {
    let world = World::new().policy(TRUSTED);
    world.secret_for_docker();
    world.sim.account(|account| {
        account.project("ci").runner();
    });
    assert_eq!(failed_phase(world.sim.run_job("ci", Job::new(["docker pull redis:7"]))).as_deref(), Some("BUILD"));
    let steps = "it is not known whether the steps of a runner's job get the project's variables";
    assert_eq!(left(&world).await, [format!("{OF_A_RUNNER}; docker_auth_variable: {steps} (runner)")]);
}

#[tokio::test]
async fn a_refused_build_image_of_a_runner_is_left_alone() {
    let world = login_alone();
    world.sim.account(|account| {
        account.project("ci").image("node:22").runner();
    });
    let refused = world.sim.run_job("ci", Job::new(["npm test"]));
    assert_eq!(failed_phase(refused).as_deref(), Some("PROVISIONING"));
    assert_eq!(left(&world).await, [IMAGE_OF_A_RUNNER]);
}

/// Where the steps of a job write to the other side only, nothing tells of the throttle, and nothing is guessed.
#[tokio::test]
async fn a_job_whose_steps_are_not_logged_is_not_found() {
    let world = login_alone_with(Unknowns { runner_log: RunnerLog::JobOnly, ..Unknowns::default() });
    world.sim.account(|account| {
        account.project("ci").runner();
    });
    assert_eq!(failed_phase(world.sim.run_job("ci", Job::new(["docker pull redis:7"]))).as_deref(), Some("BUILD"));
    assert_eq!(left(&world).await, Vec::<String>::new());
}

/// Where the lists leave out the builds of a batch, they are not found.
#[tokio::test]
async fn builds_of_a_batch_that_no_list_has_are_not_found() {
    let world = login_alone_with(Unknowns { batch_members: BatchMembers::Unlisted, ..Unknowns::default() });
    world.sim.account(|account| {
        account.project("api").dockerfile(["python:3.13"]).batches().buildspec(MATRIX);
    });
    assert_eq!(world.sim.run_batch("api").expect("a batch").len(), 2);
    assert_eq!(left(&world).await, Vec::<String>::new());
}

/// Where a build shows the project's text though it ran another, the daemon is led astray once, sees that it did not help, and
/// puts the project back.
#[tokio::test]
async fn a_build_that_hides_its_buildspec_costs_one_attempt_that_is_taken_back() {
    let world = world_of(Unknowns { given_buildspec: GivenBuildspec::Hidden, ..Unknowns::default() });
    world.docker_project("api");
    world.sim.account(|account| {
        account.project("api").repository_file("ci/nightly.yml", DOCKER_BUILD);
    });
    let before = world.sim.snapshot();
    let nightly = || failed_phase(world.sim.run_build_with("api", &json!({"buildspecOverride": "ci/nightly.yml"})));
    assert_eq!(nightly().as_deref(), Some("BUILD"));
    cured(&world, async |_, _| {
        assert_eq!(nightly().as_deref(), Some("BUILD"));
    })
    .await;
    assert_eq!(world.stages().await, ["api: rolled_back"]);
    assert_eq!(world.sim.snapshot(), before, "as if nothing had ever been done");
}

/// The list names other files for its builds, and the builds do not show it: the text says so itself.
#[tokio::test]
async fn a_batch_that_hides_its_buildspecs_is_known_by_the_list_in_the_project() {
    let world = login_alone_with(Unknowns { given_buildspec: GivenBuildspec::Hidden, ..Unknowns::default() });
    list_project(&world, LIST);
    assert_eq!(world.sim.run_batch("api").expect("a batch").len(), 2);
    let own =
        "propose_patch: buildspec_login: line 5: the batch gives its builds buildspecs of their own (batch_members)";
    assert_eq!(left(&world).await, [own]);
}
