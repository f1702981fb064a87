//! Where a build's commands come from: files, S3, overrides, batches, runners.

use serde_json::json;
use unthrottled::simulator::{BatchMembers, GivenBuildspec, Job, RetryReads, RunnerLog, Simulator, Unknowns};

use crate::{DOCKER_BUILD, codebuild, simulator, under};

const FAILS: &str = "version: 0.2\nphases:\n  build:\n    commands: [exit 3]\n";
const FINE: &str = "version: 0.2\nphases:\n  build:\n    commands: [echo fine]\n";

fn statuses(sim: &Simulator, project: &str) -> Vec<String> {
    sim.builds_of(project).into_iter().map(|build| build.status).collect()
}

#[test]
fn each_path_leads_to_its_own_file_and_s3_to_its_object() {
    let sim = simulator();
    sim.account(|a| {
        a.s3_object("arn:aws:s3:::specs/fails.yml", FAILS);
        for (name, buildspec) in [
            ("default", ""),
            ("path", "ci/fails.yml"),
            ("s3", "arn:aws:s3:::specs/fails.yml"),
            ("nowhere", "arn:aws:s3:::specs/none.yml"),
        ] {
            a.project(name)
                .buildspec(buildspec)
                .repository_file("buildspec.yml", FINE)
                .repository_file("ci/fails.yml", FAILS);
        }
    });
    let phases = ["default", "path", "s3", "nowhere"].map(|name| sim.run_build(name).failed_phase);
    assert_eq!(phases.each_ref().map(Option::as_deref), [None, Some("BUILD"), Some("BUILD"), Some("DOWNLOAD_SOURCE")]);
}

#[test]
fn scripts_of_the_repository_are_run_and_end_as_they_say() {
    let sim = simulator();
    sim.account(|a| {
        a.project("app")
            .repository_file("ci/a.sh", "echo from a\nbash ci/b.sh\n")
            .repository_file("ci/b.sh", "set -e\nfalse\necho not reached\n")
            .repository_file("ci/c.sh", "exit 0\nfalse\n")
            .repository_file("ci/loop.sh", "./ci/loop.sh\n")
            .buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - ./ci/c.sh && echo after c\n      - sh ci/a.sh\n");
    });
    let build = sim.run_build("app");
    let log = sim.log(&build.id).join("\n");
    assert_eq!(build.message.as_deref(), Some("Error while executing command: sh ci/a.sh. Reason: exit status 1"));
    assert!(log.contains("\nafter c\n") && log.contains("\nfrom a\n") && !log.contains("not reached\n"), "{log}");
    sim.account(|a| {
        a.project("app").buildspec("version: 0.2\nphases:\n  build:\n    commands: [./ci/loop.sh]\n");
    });
    assert_eq!(sim.run_build("app").status, "FAILED", "a script that calls itself ends");
}

#[test]
fn an_override_is_run_and_shown_or_hidden() {
    for (reading, shown) in [(GivenBuildspec::Shown, FAILS), (GivenBuildspec::Hidden, FINE)] {
        let sim = under(Unknowns { given_buildspec: reading, ..Unknowns::default() });
        sim.account(|a| {
            a.project("app").buildspec(FINE);
        });
        let build = sim.run_build_with("app", &json!({"buildspecOverride": FAILS})).expect("a build");
        assert_eq!(
            (build.status.as_str(), &sim.build_json(&build.id)["source"]["buildspec"]),
            ("FAILED", &json!(shown))
        );
        assert_eq!(sim.project_json("app")["source"]["buildspec"], FINE, "the project stays as it is");
    }
}

#[test]
fn a_pipelines_build_has_its_name_and_its_source() {
    let sim = simulator();
    sim.account(|a| {
        a.project("app").buildspec(FINE);
    });
    let build = sim.run_pipeline("ship", "app", &json!({})).expect("a build");
    let json = sim.build_json(&build.id);
    assert_eq!((&json["initiator"], &json["source"]["type"]), (&json!("codepipeline/ship"), &json!("CODEPIPELINE")));
    assert_eq!(json["source"]["buildspec"], FINE);
}

#[test]
fn builds_of_a_batch_have_their_own_buildspec_environment_and_the_batchs_arn() {
    let sim = simulator();
    sim.account(|a| {
        a.project("app").batches().repository_file("ci/a.yml", FAILS).buildspec(
            "version: 0.2\nbatch:\n  build-list:\n    - identifier: a\n      buildspec: ci/a.yml\n    - identifier: b\n      env:\n        image: public.ecr.aws/docker/library/node:22\n        variables: {STAGE: b}\nphases:\n  build:\n    commands: ['test \"$STAGE\" = b']\n",
        );
    });
    let batch = sim.run_batch("app").expect("a batch");
    assert_eq!(batch.iter().map(|build| build.status.as_str()).collect::<Vec<_>>(), ["FAILED", "SUCCEEDED"]);
    let [a, b] = [0, 1].map(|at: usize| sim.build_json(&batch[at].id));
    assert_eq!(a["source"]["buildspec"], "ci/a.yml");
    assert_eq!(b["environment"]["image"], "public.ecr.aws/docker/library/node:22");
    assert_eq!(b["environment"]["environmentVariables"][0]["name"], "STAGE");
    assert_eq!(a["buildBatchArn"], b["buildBatchArn"]);
    let none = sim.run_batch("missing").expect_err("no such project");
    assert_eq!(none, "no such project");
}

#[tokio::test]
async fn the_lists_have_the_builds_of_a_batch_or_not() {
    for (reading, listed) in [(BatchMembers::Listed, 1), (BatchMembers::Unlisted, 0)] {
        let sim = under(Unknowns { batch_members: reading, ..Unknowns::default() });
        sim.account(|a| {
            a.project("app").batches().buildspec(&format!("batch:\n  build-list: [{{identifier: a}}]\n{FINE}"));
        });
        sim.run_batch("app").expect("a batch");
        let client = codebuild(&sim);
        assert_eq!(client.list_builds().send().await.expect("an answer").ids().len(), listed);
        let of_project = client.list_builds_for_project().project_name("app").send().await.expect("an answer");
        assert_eq!(of_project.ids().len(), listed);
    }
}

#[tokio::test]
async fn a_runner_runs_the_job_and_the_buildspec_only_where_the_label_says_so() {
    let sim = simulator();
    sim.account(|a| {
        a.project("ci").runner().buildspec(
            "version: 0.2\nphases:\n  pre_build:\n    commands: [exit 4]\n  build:\n    commands: [exit 5]\n",
        );
        a.project("app");
    });
    assert_eq!(sim.run_job("ci", Job::new(["echo hello"])).expect("a build").status, "SUCCEEDED");
    let with_label = sim.run_job("ci", Job::new(["echo hello"]).buildspec_override()).expect("a build");
    assert_eq!(with_label.failed_phase.as_deref(), Some("PRE_BUILD"));
    assert!(sim.run_job("app", Job::new(["echo hello"])).is_err(), "no runner");
    // A retry has no token for the job.
    let failed = sim.run_job("ci", Job::new(["false"])).expect("a build");
    codebuild(&sim).retry_build().id(&failed.id).send().await.expect("an answer");
    sim.settle_builds();
    let retried = sim.builds_of("ci").pop().expect("a build");
    assert_eq!(retried.message.as_deref(), Some("Error while fetching runner token"));
}

/// CodeBuild refuses a curated image next to the service role, and a label may ask for one.
#[test]
fn a_runner_that_pulls_as_its_role_refuses_a_curated_image() {
    let sim = simulator();
    sim.account(|a| {
        a.project("ci").image("node:22").registry_credential("dockerhub").runner();
    });
    let refused = sim.run_job("ci", Job::new(["true"]).image("aws/codebuild/standard:7.0")).expect_err("refused");
    assert!(refused.contains("curated image with imagePullCredentialsType SERVICE_ROLE"), "{refused}");
}

#[test]
fn what_a_jobs_steps_print_is_in_the_log_or_not() {
    for (reading, logged) in [(RunnerLog::Whole, true), (RunnerLog::JobOnly, false)] {
        let sim = under(Unknowns { runner_log: reading, ..Unknowns::default() });
        sim.account(|a| {
            a.hub().limit_anonymous(0);
            a.project("ci").runner();
        });
        let build = sim.run_job("ci", Job::new(["docker pull redis:7"])).expect("a build");
        let log = sim.log(&build.id).join("\n");
        assert_eq!((build.status.as_str(), log.contains("toomanyrequests")), ("FAILED", logged), "{log}");
    }
}

/// A retry under the project's configuration of today does not hide what it never was given.
#[tokio::test]
async fn a_retry_runs_what_the_build_was_given_or_what_the_project_has() {
    for (reading, ended) in [(RetryReads::Original, "FAILED"), (RetryReads::Current, "SUCCEEDED")] {
        let sim =
            under(Unknowns { retry_build: reading, given_buildspec: GivenBuildspec::Hidden, ..Unknowns::default() });
        sim.account(|a| {
            a.hub().limit_anonymous(0);
            a.project("app").buildspec(FINE);
        });
        let build = sim.run_build_with("app", &json!({"buildspecOverride": DOCKER_BUILD})).expect("a build");
        codebuild(&sim).retry_build().id(&build.id).send().await.expect("an answer");
        sim.settle_builds();
        assert_eq!(statuses(&sim, "app"), ["FAILED", ended]);
    }
}
