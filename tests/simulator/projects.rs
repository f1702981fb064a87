//! UpdateProject: what it merges, what it drops, what it refuses.

use aws_sdk_codebuild::operation::update_project::builders::UpdateProjectFluentBuilder;
use aws_sdk_codebuild::types::builders::ProjectEnvironmentBuilder;
use aws_sdk_codebuild::types::{
    CredentialProviderType, EnvironmentVariable, ImagePullCredentialsType, ProjectEnvironment, ProjectSource,
    RegistryCredential, Tag,
};
use rstest::rstest;
use serde_json::json;
use unthrottled::simulator::{Omitted, OmittedCredential, OmittedTags, Simulator, SystemTags, Unknowns};

use crate::{codebuild, raw, refusal, simulator, under};

const CURATED: &str = "aws/codebuild/standard:7.0";
const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub-AbCdEf";

fn environment(image: &str) -> ProjectEnvironmentBuilder {
    ProjectEnvironment::builder()
        .r#type("LINUX_CONTAINER".into())
        .image(image)
        .compute_type("BUILD_GENERAL1_SMALL".into())
}

fn credential(arn: &str) -> RegistryCredential {
    RegistryCredential::builder()
        .credential(arn)
        .credential_provider(CredentialProviderType::SecretsManager)
        .build()
        .expect("complete")
}

fn update(sim: &Simulator) -> UpdateProjectFluentBuilder {
    codebuild(sim).update_project().name("web")
}

fn with(sim: &Simulator, environment: ProjectEnvironmentBuilder) -> UpdateProjectFluentBuilder {
    update(sim).environment(environment.build().expect("complete"))
}

#[tokio::test]
async fn members_left_out_stay_and_every_update_moves_last_modified() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web").image("node:22").variable("A", "1");
    });
    let before = sim.project_json("web");
    update(&sim).description("one").send().await.expect("accepted");
    let one = sim.project_json("web");
    update(&sim).description("two").send().await.expect("accepted");
    let two = sim.project_json("web");
    for member in ["environment", "source", "serviceRole", "artifacts", "created"] {
        assert_eq!(two[member], before[member], "{member}");
    }
    assert_eq!(two["description"], "two");
    let modified = [&before, &one, &two].map(|json| json["lastModified"].as_f64().expect("a time"));
    assert!(modified[0] < modified[1] && modified[1] < modified[2], "{modified:?}");
    assert_eq!(sim.snapshot()["projects"]["web"].get("lastModified"), None);
}

#[rstest]
#[case(OmittedTags::Cleared, json!([]))]
#[case(OmittedTags::Kept, json!([{"key": "team", "value": "shop"}]))]
#[tokio::test]
async fn tags_left_out(#[case] omitted_tags: OmittedTags, #[case] expected: serde_json::Value) {
    let sim = under(Unknowns { omitted_tags, ..Unknowns::default() });
    sim.account(|a| {
        a.project("web").tag("team", "shop");
    });
    update(&sim).description("new").send().await.expect("accepted");
    assert_eq!(sim.project_json("web")["tags"], expected);
    let tag = Tag::builder().key("team").value("new").build();
    update(&sim).tags(tag).send().await.expect("accepted");
    assert_eq!(sim.project_json("web")["tags"], json!([{"key": "team", "value": "new"}]));
}

#[tokio::test]
async fn tags_of_aws_itself_may_not_be_taken_back() {
    let sim = under(Unknowns { system_tags: SystemTags::Refused, ..Unknowns::default() });
    sim.account(|a| {
        a.project("web").tag("team", "shop").tag("aws:cloudformation:stack-name", "s");
    });
    let tag = |key: &str| Tag::builder().key(key).value("s").build();
    let refused = update(&sim).tags(tag("aws:cloudformation:stack-name")).send().await;
    assert_eq!(refusal(refused).0, "InvalidInputException");
    update(&sim).tags(tag("new")).send().await.expect("accepted");
    let tags = sim.project_json("web")["tags"].clone();
    assert_eq!(tags, json!([{"key": "new", "value": "s"}, {"key": "aws:cloudformation:stack-name", "value": "s"}]));
}

#[rstest]
#[case(Omitted::Kept, 1)]
#[case(Omitted::Cleared, 0)]
#[tokio::test]
async fn variables_left_out_of_a_sent_environment(#[case] omitted_variables: Omitted, #[case] left: usize) {
    let sim = under(Unknowns { omitted_variables, ..Unknowns::default() });
    sim.account(|a| {
        a.project("web").image("node:22").variable("A", "1");
    });
    with(&sim, environment("node:24")).send().await.expect("accepted");
    let variables = sim.project_json("web")["environment"]["environmentVariables"].clone();
    assert_eq!(variables.as_array().map(Vec::len), Some(left));
    with(&sim, environment("node:24").set_environment_variables(Some(vec![]))).send().await.expect("accepted");
    assert_eq!(sim.project_json("web")["environment"]["environmentVariables"], json!([]));
}

#[rstest]
#[case(OmittedCredential::Cleared, false)]
#[case(OmittedCredential::Kept, true)]
#[tokio::test]
async fn a_credential_left_out_of_a_sent_environment(
    #[case] omitted_credential: OmittedCredential,
    #[case] left: bool,
) {
    let sim = under(Unknowns { omitted_credential, ..Unknowns::default() });
    sim.account(|a| {
        a.project("web").image("node:22").registry_credential(ARN);
    });
    let back = environment("node:22").image_pull_credentials_type(ImagePullCredentialsType::Codebuild);
    with(&sim, back).send().await.expect("accepted");
    let environment = sim.project_json("web")["environment"].clone();
    assert_eq!(environment.get("registryCredential").is_some(), left);
    assert_eq!(environment["imagePullCredentialsType"], "CODEBUILD");
    codebuild(&sim).start_build().project_name("web").send().await.expect("a credential without use does no harm");
}

#[tokio::test]
async fn the_pull_credentials_type_stays_when_it_is_left_out_and_then_forbids_a_curated_image() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web").image("node:22").registry_credential(ARN);
    });
    with(&sim, environment("node:24")).send().await.expect("accepted");
    assert_eq!(sim.project_json("web")["environment"]["imagePullCredentialsType"], "SERVICE_ROLE");
    let refused = with(&sim, environment(CURATED)).send().await;
    assert_eq!(
        refusal(refused).1,
        "Invalid input: cannot use a CodeBuild curated image with imagePullCredentialsType SERVICE_ROLE"
    );
}

#[rstest]
#[case::curated(CURATED, ImagePullCredentialsType::ServiceRole, Some(ARN))]
#[case::ecr("111122223333.dkr.ecr.us-east-1.amazonaws.com/app:1", ImagePullCredentialsType::ServiceRole, Some(ARN))]
#[case::foreign_ecr("444455556666.dkr.ecr.us-east-1.amazonaws.com/app:1", ImagePullCredentialsType::Codebuild, None)]
#[case::without_the_role("node:22", ImagePullCredentialsType::Codebuild, Some(ARN))]
#[case::partial_arn(
    "node:22",
    ImagePullCredentialsType::ServiceRole,
    Some("arn:aws:secretsmanager:us-east-1:111122223333:secret:dockerhub")
)]
#[case::hyphen_and_no_suffix(
    "node:22",
    ImagePullCredentialsType::ServiceRole,
    Some("arn:aws:secretsmanager:us-east-1:111122223333:secret:docker-hub")
)]
#[case::suffix_too_long(
    "node:22",
    ImagePullCredentialsType::ServiceRole,
    Some("arn:aws:secretsmanager:us-east-1:111122223333:secret:docker-hubcred")
)]
#[case::odd_name("node:22", ImagePullCredentialsType::ServiceRole, Some("docker hub"))]
#[tokio::test]
async fn an_environment_that_cannot_pull_is_refused_and_changes_nothing(
    #[case] image: &str,
    #[case] pull: ImagePullCredentialsType,
    #[case] secret: Option<&str>,
) {
    let sim = simulator();
    sim.account(|a| {
        a.project("web");
    });
    let before = sim.snapshot();
    let sent = environment(image).image_pull_credentials_type(pull).set_registry_credential(secret.map(credential));
    assert_eq!(refusal(with(&sim, sent).send().await).0, "InvalidInputException");
    assert_eq!(sim.snapshot(), before);
    assert!(sim.writes().is_empty());
}

#[tokio::test]
async fn an_own_ecr_image_may_be_pulled_by_the_role_and_a_hub_image_by_the_name_of_a_secret() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web");
    });
    let by_role = |image: &str| environment(image).image_pull_credentials_type(ImagePullCredentialsType::ServiceRole);
    let ecr = by_role("111122223333.dkr.ecr.us-east-1.amazonaws.com/app:1");
    with(&sim, ecr).send().await.expect("accepted");
    with(&sim, by_role("node:22").registry_credential(credential("dockerhub"))).send().await.expect("accepted");
}

#[tokio::test]
async fn buildspecs_and_variables_have_a_limit_in_characters() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web");
    });
    let source = |length: usize| {
        ProjectSource::builder()
            .r#type("GITHUB".into())
            .location("https://github.com/example/web.git")
            .buildspec(format!("version: 0.2\n#{}", "ü".repeat(length - 14)))
            .build()
            .expect("complete")
    };
    update(&sim).source(source(25_600)).send().await.expect("accepted");
    let refused = update(&sim).source(source(25_601)).send().await;
    assert_eq!(refusal(refused).1, "Max buildspec length is 25600");
    let variable = |length: usize| {
        let variable = EnvironmentVariable::builder().name("A").value("ü".repeat(length)).build().expect("complete");
        with(&sim, environment(CURATED).environment_variables(variable))
    };
    variable(4_096).send().await.expect("accepted");
    assert_eq!(refusal(variable(4_097).send().await).1, "EnvironmentVariable should be at most 4096 characters");
}

#[tokio::test]
async fn sources_that_contradict_themselves_are_refused() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web");
    });
    for (source, text) in [
        (
            json!({"type": "NO_SOURCE", "buildspec": "version: 0.2\n", "reportBuildStatus": false}),
            "Source type NO_SOURCE does not support ReportBuildStatus",
        ),
        (json!({"type": "NO_SOURCE", "buildspec": "buildspec.yml"}), "buildspec must be inline"),
        (json!({"type": "CODEPIPELINE"}), "both sourceType, and artifactType must be set to: CODEPIPELINE"),
    ] {
        let body = json!({"name": "web", "source": source}).to_string();
        let (status, answer) = raw(&sim, "CodeBuild_20161006.UpdateProject", &body).await;
        assert_eq!((status, &answer["__type"]), (400, &json!("InvalidInputException")), "{source}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains(text)), "{answer}");
    }
}

#[tokio::test]
async fn what_no_sdk_knows_is_shown_and_lost_by_an_update_that_leaves_it_out() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web").environment_type("LINUX_FUTURE").environment_member("newThing", json!({"a": 1}));
    });
    let (_, answer) = raw(&sim, "CodeBuild_20161006.BatchGetProjects", r#"{"names": ["web"]}"#).await;
    assert_eq!(answer["projects"][0]["environment"]["newThing"], json!({"a": 1}));
    let client = codebuild(&sim);
    let read = client.batch_get_projects().names("web").send().await.expect("a batch");
    let read = read.projects()[0].environment().cloned().expect("it has one");
    client.update_project().name("web").environment(read).send().await.expect("accepted");
    let after = sim.project_json("web")["environment"].clone();
    assert_eq!((after.get("newThing"), &after["type"]), (None, &json!("LINUX_FUTURE")));
}

#[tokio::test]
async fn a_role_that_does_not_exist_and_a_project_that_does_not_exist() {
    let sim = simulator();
    sim.account(|a| {
        a.project("web");
    });
    let refused = update(&sim).service_role("arn:aws:iam::111122223333:role/none").send().await;
    let expected = "CodeBuild is not authorized to perform: sts:AssumeRole on arn:aws:iam::111122223333:role/none";
    assert_eq!(refusal(refused), ("InvalidInputException".to_owned(), expected.to_owned()));
    let refused = codebuild(&sim).update_project().name("none").send().await;
    assert_eq!(refusal(refused).0, "ResourceNotFoundException");
}
