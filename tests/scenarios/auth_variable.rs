//! `docker_auth_variable`: projects whose buildspec is not theirs, and where the variable is not set.

use crate::support::cast::{DOCKER_BUILD, no_secrets};
use crate::support::world::{GRANT, World};
use serde_json::json;

/// The login as docker's variable holds it: nowhere but in the secret.
const LOGIN: &str = "YWNtZTpodWItcHc=";

/// How it begins where the owner gets a patch for the buildspec.
const PATCH: &str = "propose_patch: buildspec_login: the buildspec is in the repository, `buildspec.yml`, ";

/// A secret with the text for docker, and a project with its buildspec in the repository.
fn world() -> World {
    let world = World::new().policy("retry = \"always\"");
    world.secret_for_docker();
    world.repository_project("api");
    world
}

/// Plays until nothing is under way, with one throttled build.
async fn played(world: &World) -> String {
    let _listening = world.collector.install();
    let refused = world.sim.run_build("api");
    assert_eq!(refused.failed_phase.as_deref(), Some("BUILD"));
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    world.story()
}

/// Why the variable was not set: `propose_patch` and why where the owner gets a patch in its place, else `no_remedy`.
async fn left(world: &World) -> String {
    let _listening = world.collector.install();
    world.sim.run_build("api");
    let before = world.sim.snapshot();
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "nothing is written");
    assert_eq!(world.sim.snapshot(), before);
    let said = world.without_remedy();
    let [said] = said.as_slice() else { panic!("{said:?}") };
    said.clone()
}

#[tokio::test]
async fn a_buildspec_in_the_repository_is_cured_by_the_variable_and_proven_by_the_retry() {
    let world = world();
    insta::assert_snapshot!(played(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api docker_auth_variable
    RemediationApplied api docker_auth_variable
    BuildRetried api docker_auth_variable by api#3
    RemediationVerified api docker_auth_variable by api#3
    ");
    let arn = world.sim.account(|account| account.secret("dockerhub").arn());
    let variable =
        json!({"name": "DOCKER_AUTH_CONFIG", "value": format!("{arn}:docker_auth_config"), "type": "SECRETS_MANAGER"});
    assert_eq!(world.environment("api")["environmentVariables"], json!([variable]));
    assert_eq!(world.buildspec("api"), "", "the buildspec stays in the repository");
    assert!(world.sim.role_policy("codebuild-api", GRANT).is_some());
    assert_eq!(world.ended("api"), ["FAILED", "SUCCEEDED"]);
    let file = std::fs::read(world.ledger()).expect("the ledger");
    assert!(!String::from_utf8_lossy(&file).contains(LOGIN), "the ledger holds no login");
}

#[tokio::test]
async fn a_person_takes_a_proven_variable_back_to_the_byte() {
    let world = world();
    world.sim.account(|account| {
        account.project("api").tag("team", "shop").variable("STAGE", "prod");
    });
    let before = world.sim.project_json("api")["environment"].to_string();
    played(&world).await;
    world.roll_back("api").await;
    let mut daemon = world.daemon().await;
    world.rest(&mut daemon).await;
    assert_eq!(world.stages().await, ["api: rolled_back"]);
    assert_eq!(world.environment("api").to_string(), before);
    assert_eq!(world.sim.role_policy("codebuild-api", GRANT), None);
}

#[tokio::test]
async fn a_project_with_an_inline_buildspec_gets_its_login_there() {
    let world = world();
    world.sim.account(|account| {
        account.project("api").buildspec(DOCKER_BUILD);
    });
    assert!(played(&world).await.contains("RemediationVerified api buildspec_login"));
    assert!(!world.environment("api").to_string().contains("DOCKER_AUTH_CONFIG"));
}

#[tokio::test]
async fn an_older_docker_and_an_unknown_image_are_left_alone() {
    let images = [
        ("aws/codebuild/standard:6.0", "docker_too_old"),
        ("aws/codebuild/standard:7.0-25.02.25", "docker_version_unknown"),
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com/build:7", "docker_version_unknown"),
    ];
    for (image, word) in images {
        let world = world();
        world.sim.account(|account| {
            account.project("api").image(image);
        });
        let why = left(&world).await;
        assert!(why.starts_with(PATCH) && why.ends_with(&format!("({word})")), "{image}: {why}");
    }
}

#[tokio::test]
async fn a_login_or_a_variable_of_the_projects_own_is_left_alone() {
    // A patch for the buildspec would take the variable away from it, or doubles its login.
    let no_patch = "no_remedy: buildspec_login: ";
    let taken = [
        ("DOCKERHUB_USERNAME", no_patch, "variable_taken"),
        ("DOCKER_PASSWORD", no_patch, "already_authenticated"),
        ("DOCKER_AUTH_CONFIG", no_patch, "already_authenticated"),
    ];
    for (name, begin, word) in taken {
        let world = world();
        world.sim.account(|account| {
            account.project("api").variable(name, "theirs");
        });
        let why = left(&world).await;
        assert!(why.starts_with(begin) && why.ends_with(&format!("({word})")), "{name}: {why}");
    }
}

#[tokio::test]
async fn a_secret_without_the_text_or_with_an_older_login_says_what_to_run() {
    let older = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWNtZTpvbGQ="}}}"#;
    for (member, why) in [(json!(null), "has no text under it"), (json!(older), "holds another login")] {
        let world = world();
        world.sim.account(|account| {
            let secret = json!({"username": "acme", "password": "hub-pw", "docker_auth_config": member});
            account.secret("dockerhub").json(secret);
        });
        let said = left(&world).await;
        assert!(said.starts_with(PATCH), "{said}");
        assert!(said.contains(why) && said.contains("`unthrottled secret rotate`"), "{said}");
        assert!(!said.contains("YWNtZ"), "{said}");
    }
}

#[tokio::test]
async fn a_boundary_makes_a_variable_worse_and_all_is_put_back() {
    let world = world();
    world.sim.account(|account| {
        account.role("codebuild-api").boundary(no_secrets());
    });
    let before = world.sim.snapshot();
    insta::assert_snapshot!(played(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api docker_auth_variable
    RemediationApplied api docker_auth_variable
    BuildRetried api docker_auth_variable by api#3
    RollbackDecided api docker_auth_variable made_worse by api#3
    RemediationRolledBack api docker_auth_variable
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string(), "byte for byte as before");
    let failed = world.sim.builds_of("api").pop().and_then(|build| build.failed_phase);
    assert_eq!(failed.as_deref(), Some("DOWNLOAD_SOURCE"));
}

/// Docker takes the variable before the file of `docker login`, so what a script pushes as itself is refused.
#[tokio::test]
async fn a_login_that_nobody_could_see_is_given_back_to_the_build() {
    let world = world();
    world.sim.account(|account| {
        account.hub().account("shop", "shop-pw");
        account.project("api").repository_buildspec(
            "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t shop/app .\n  post_build:\n    commands:\n      - docker login -u shop -p shop-pw\n      - docker push shop/app\n",
        );
    });
    let before = world.sim.snapshot();
    insta::assert_snapshot!(played(&world).await, @"
    ThrottleDetected api BUILD hub_pull_limit anonymous
    RemediationPlanned api docker_auth_variable
    RemediationApplied api docker_auth_variable
    BuildRetried api docker_auth_variable by api#3
    RollbackDecided api docker_auth_variable made_worse by api#3
    RemediationRolledBack api docker_auth_variable
    ");
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}

/// The table of images may be ahead of what CodeBuild runs: then the variable is not read, and nothing is worse.
#[tokio::test]
async fn a_docker_that_does_not_read_the_variable_disproves_it() {
    let world = world();
    world.sim.account(|account| {
        account.project("api").docker_version(28, 2);
    });
    let before = world.sim.snapshot();
    assert!(played(&world).await.contains("RollbackDecided api docker_auth_variable still_throttled by api#3"));
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}

#[tokio::test]
async fn a_login_that_docker_hub_does_not_know_is_taken_back() {
    let world = world().unguarded();
    world.sim.account(|account| {
        account.hub().account("acme", "changed");
    });
    let before = world.sim.snapshot();
    assert!(played(&world).await.contains("RollbackDecided api docker_auth_variable made_worse by api#3"));
    assert_eq!(world.sim.snapshot().to_string(), before.to_string());
}
