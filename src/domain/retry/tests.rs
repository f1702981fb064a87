//! Which builds are started again, and how a retry is found that was made before a crash.

use super::*;
use crate::domain::testing::{MIRRORED, at, build, id, project};
use rstest::rstest;

fn planned(build: Build, project: Project) -> RetryPlan {
    plan(&build, &project, Retry::Always, Site::DockerClient)
}

#[test]
fn builds_that_somebody_else_starts_again_are_left_to_them() {
    let why = |plan: RetryPlan| match plan {
        RetryPlan::Once => "once".to_string(),
        RetryPlan::No(why) => why,
    };
    let web = || project("web");
    let runner = Project { is_runner: true, ..web() };
    let member = Build { batch: Some("arn".to_string()), ..build("web:41") };
    let auto = Build { next_auto_retry: Some("arn".to_string()), ..build("web:41") };
    let pipeline_source = Build { source_kind: "CODEPIPELINE".to_string(), ..build("web:41") };
    assert_eq!(why(planned(build("web:41"), web())), "once");
    assert!(why(planned(member, web())).contains("batch"));
    assert!(why(planned(auto, web())).contains("CodeBuild retries it itself"));
    assert!(why(planned(pipeline_source, web())).contains("pipeline"));
    assert!(why(planned(build("web:41").by("codepipeline/release"), web())).contains("pipeline"));
    assert!(why(planned(build("web:41"), runner)).contains("runner"));
    let later = plan(&build("web:41"), &web(), Retry::Provisioning, Site::DockerClient);
    assert!(why(later).contains("policy"));
}

#[test]
fn tokens_are_of_the_build_and_of_the_call() {
    let tokens = [retry_token(&id("web:41")), start_token(&id("web:41")), retry_token(&id("web:42"))];
    assert_ne!(start_token(&id("web:41")), start_token(&id("web:42")));
    assert_eq!(tokens[0], retry_token(&id("web:41")));
    assert!(tokens[0] != tokens[1] && tokens[0] != tokens[2]);
}

#[rstest]
#[case(0, Approach::Ask)]
#[case(239, Approach::Ask)]
#[case(240, Approach::LookFirst)]
#[case(-60, Approach::Ask)]
fn a_token_is_trusted_for_less_than_it_holds(#[case] later: i64, #[case] expected: Approach) {
    assert_eq!(approach(at(0), at(later)), expected);
}

#[rstest]
// Another look at the same build, or an older one.
#[case("web:41", 10, Some("main"), Some("4f1d2e"), "not it")]
#[case("web:42", -1, Some("main"), Some("4f1d2e"), "not it")]
// The same commit, resolved or asked for.
#[case("web:42", 0, Some("main"), Some("4f1d2e"), "it")]
#[case("web:42", 10, Some("4f1d2e"), None, "it")]
#[case("web:42", 10, Some("main"), None, "it")]
// Another commit of the same branch.
#[case("web:42", 10, Some("main"), Some("99aa00"), "not it")]
#[case("web:42", 10, Some("pr/7"), None, "not it")]
fn a_retry_is_found_by_what_it_builds(
    #[case] candidate: &str,
    #[case] started: i64,
    #[case] asked: Option<&str>,
    #[case] resolved: Option<&str>,
    #[case] expected: &str,
) {
    let because = build("web:41");
    let candidates =
        [build("web:43").started_at(at(-9)), build(candidate).started_at(at(started)).version(asked, resolved)];
    let found = found(&because, &candidates, at(0));
    assert_eq!(found.map(|b| &b.id), (expected == "it").then_some(&candidates[1].id));
}

#[test]
fn a_project_without_a_source_has_its_retry_in_any_later_build() {
    let because = build("web:41").version(None, None);
    let later = [build("web:42").started_at(at(5)).version(None, None)];
    assert_eq!(found(&because, &later, at(0)).map(|b| &b.id), Some(&id("web:42")));
    let unstarted = [Build { started: None, ..later[0].clone() }];
    assert_eq!(found(&because, &unstarted, at(0)), None);
}

#[test]
fn a_build_is_not_started_afresh_where_it_would_be_another_one() {
    let web = project("web").plain_variable("STAGE");
    let of_web = build("web:41").of(&web);
    assert_eq!(not_startable(&crate::domain::testing::plan("web:41"), &of_web, &web), None);
    let remedied = web.clone().secret_variable("DOCKERHUB_USERNAME", "x");
    assert_eq!(not_startable(&crate::domain::testing::plan("web:41"), &of_web, &remedied), None);
    for hook in ["GitHub-Hookshot/044aadd", "Bitbucket-Webhooks/2.0", "GitLab/17"] {
        assert!(
            not_startable(&crate::domain::testing::plan("web:41"), &of_web.clone().by(hook), &web)
                .is_some_and(|why| why.contains("webhook"))
        );
    }
    let overridden = build("web:41").of(&web.clone().plain_variable("EXTRA"));
    assert!(
        not_startable(&crate::domain::testing::plan("web:41"), &overridden, &web)
            .is_some_and(|why| why.contains("variables"))
    );
    let image = build("web:41").of(&web.clone().image("node:24"));
    assert!(
        not_startable(&crate::domain::testing::plan("web:41"), &image, &web).is_some_and(|why| why.contains("image"))
    );
}

/// `RetryBuild` took the old image, and the project has the mirror's now: the build is the same but for that.
#[test]
fn a_build_whose_image_the_plan_replaced_is_started_afresh() {
    let plan = crate::domain::testing::mirror_plan();
    let of_web = build("web:41").of(&project("web"));
    let mirrored = project("web").image(MIRRORED);
    assert_eq!(not_startable(&plan, &of_web, &mirrored), None);
    for (ran, now) in [("node:24", MIRRORED), ("node:22", "node:24")] {
        let because = build("web:41").of(&project("web").image(ran));
        let why = not_startable(&plan, &because, &project("web").image(now));
        assert!(why.is_some_and(|why| why.contains("image")), "{ran} {now}");
    }
}

/// Started by its commit, it would look like a build of the project's own.
#[test]
fn a_pull_request_is_not_started_afresh() {
    let because = build("web:41").of(&project("web")).version(Some("pr/7"), Some("4f1d2e"));
    let why = not_startable(&crate::domain::testing::plan("web:41"), &because, &project("web"));
    assert!(why.is_some_and(|why| why.contains("pull request")), "{why:?}");
}
