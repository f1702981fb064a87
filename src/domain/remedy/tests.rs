//! What each remedy changes, that twice is once, and when it does not apply.

use super::*;
use crate::domain::build::{Buildspec, BuildspecPlace, Environment, Secret, SecretKey};
use crate::domain::buildspec::batch::OwnOfMembers;
use crate::domain::change::{Edit, GrantSeen, Position, same_document};
use crate::domain::classify::{Cause, Site};
use crate::domain::testing::*;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

fn hub_limit() -> Diagnosis {
    diagnosis(Cause::HubPullLimit, Site::DockerClient)
}

pub(super) fn changes_for(remedy: Remedy, project: &Project) -> Result<Vec<Change>, Inapplicable> {
    let build = build("web:41").of(project);
    let (role, secret, credential) = (role("builds"), secret(), credential());
    let material = Material {
        build: &build,
        project,
        role: &role,
        secret: Some(&secret),
        credential: &credential,
        made_by_us: false,
        diagnosis: &hub_limit(),
        images: &known_images(),
    };
    changes(remedy, material)
}

/// The project with the edits made, as the edge makes them.
fn with(changes: &[Change], mut project: Project) -> Project {
    for edit in changes.iter().flat_map(|change| match change {
        Change::Project { edits } => edits.clone(),
        Change::Grant { .. } => vec![],
    }) {
        project = match edit {
            Edit::RegistryCredential { after } => {
                project.environment.registry_credential = Some(after);
                project
            }
            Edit::PullCredentials { after, .. } => project.pulls_as(&after),
            Edit::Image { after, .. } => project.image(&after),
            Edit::Variable { name, reference } => project.secret_variable(&name, &reference),
            Edit::Buildspec { splice, .. } => {
                let Buildspec::Inline(text) = &project.buildspec else {
                    panic!("an edit of a buildspec that is not there")
                };
                let text = splice.apply(text).unwrap();
                project.buildspec(&text)
            }
        };
    }
    project
}

/// Everything but the members that the remedy is for.
fn others(mut project: Project) -> Project {
    project.environment.registry_credential = None;
    project.environment.pull_credentials = None;
    project.environment.image = String::new();
    project.environment.variables.retain(|v| !v.name.starts_with("DOCKERHUB_") && v.name != "DOCKER_AUTH_CONFIG");
    project.buildspec = Buildspec::of(None);
    project
}

fn any_project() -> impl Strategy<Value = Project> {
    let image = prop::sample::select(vec![
        "node:22",
        "library/alpine",
        "docker.io/acme/app:1",
        "alpine@sha256:00",
        "aws/codebuild/bare:1",
    ]);
    let pulls = prop::option::of(prop::sample::select(vec!["CODEBUILD", "SERVICE_ROLE"]));
    let kind = prop::sample::select(vec!["LINUX_CONTAINER", "ARM_CONTAINER"]);
    let variables = prop::collection::vec("[A-Z]{1,8}", 0..4);
    let tags = prop::collection::vec(("[a-z]{1,5}", "[a-z]{0,5}"), 0..3);
    let commands = prop::collection::vec(
        prop::sample::select(vec!["make", "docker build .", "docker pull node:22", "echo \"a: b\" # c", "npm ci"]),
        1..5,
    );
    (image, pulls, kind, variables, tags, commands).prop_map(|(image, pulls, kind, variables, tags, commands)| {
        let commands: String = commands.iter().map(|command| format!("      - {}\n", quoted(command))).collect();
        let text = format!("version: 0.2\nphases:\n  build:\n    commands:\n{commands}");
        let mut project = project("web").image(image).kind(kind).buildspec(&text);
        project.environment.pull_credentials = pulls.map(str::to_string);
        let project = variables.iter().fold(project, |project, name| project.plain_variable(name));
        tags.iter().fold(project, |project, (key, value)| project.tagged(key, value))
    })
}

fn quoted(command: &str) -> String {
    format!("'{command}'")
}

proptest! {
    #[test]
    fn made_twice_is_made_once_and_nothing_else_changes(project in any_project()) {
        for remedy in Remedy::ALL {
            let Ok(changes) = changes_for(remedy, &project) else {
                continue;
            };
            let edit = changes.last().unwrap();
            prop_assert_eq!(edit.position(Some(&project), &GrantSeen::Absent), Position::Before);
            let after = with(&changes, project.clone());
            prop_assert_eq!(edit.position(Some(&after), &GrantSeen::Absent), Position::After);
            prop_assert_eq!(others(after.clone()), others(project.clone()));
            let again = changes_for(remedy, &after).unwrap_err();
            prop_assert!(
                matches!(
                    again,
                    Inapplicable::CredentialSetAlready
                        | Inapplicable::LoggedInAlready
                        | Inapplicable::VariableTaken(_)
                        | Inapplicable::NotHubImage
                ),
                "{}", again
            );
        }
    }

    #[test]
    fn what_a_login_put_into_a_buildspec_comes_out_again_to_the_byte(project in any_project()) {
        if let Ok(changes) = changes_for(Remedy::BuildspecLogin, &project) {
            let after = with(&changes, project.clone());
            let (Buildspec::Inline(before), Buildspec::Inline(after)) = (&project.buildspec, &after.buildspec) else {
                panic!("not inline")
            };
            for change in &changes {
                let Change::Project { edits } = change else { continue };
                let Some(Edit::Buildspec { splice, .. }) = edits.last() else { panic!("{edits:?}") };
                prop_assert_eq!(splice.undo(after), Some(before.clone()));
            }
        }
    }
}

#[test]
fn the_grant_comes_first() {
    let changes = changes_for(Remedy::RegistryCredential, &project("web")).unwrap();
    assert_eq!(changes, [grant_change(), credential_change()]);
    let changes = changes_for(Remedy::BuildspecLogin, &project("web").buildspec(BUILDSPEC)).unwrap();
    assert_eq!(changes, [grant_change(), login_change()]);
}

#[test]
fn a_project_that_pulls_with_its_role_already_keeps_that() {
    let changes = changes_for(Remedy::RegistryCredential, &project("web").pulls_as("SERVICE_ROLE")).unwrap();
    let only = Edit::RegistryCredential { after: SECRET.to_string() };
    assert_eq!(changes[1], Change::Project { edits: vec![only] });
}

#[rstest]
#[case(project("web").image("aws/codebuild/standard:7.0"), Inapplicable::CuratedImage)]
#[case(project("web").image("public.ecr.aws/docker/library/node:22"), Inapplicable::NotHubImage)]
#[case(project("web").image("111122223333.dkr.ecr.eu-central-1.amazonaws.com/app"), Inapplicable::NotHubImage)]
#[case(project("web").credential("mine"), Inapplicable::CredentialSetAlready)]
#[case(project("web").kind("LINUX_LAMBDA_CONTAINER"), Inapplicable::EnvironmentType("LINUX_LAMBDA_CONTAINER".to_string()))]
#[case(project("web").kind("MAC_ARM"), Inapplicable::EnvironmentType("MAC_ARM".to_string()))]
#[case(Project { is_runner: true, ..project("web") }, Inapplicable::Runner)]
#[case(Project { has_batch: true, ..project("web") }, Inapplicable::Batch)]
#[case(
    Project { unrepresentable: vec!["environment.hostKernel".to_string()], ..project("web") },
    Inapplicable::Unrepresentable(vec!["environment.hostKernel".to_string()])
)]
fn a_credential_does_not_apply(#[case] project: Project, #[case] why: Inapplicable) {
    assert_eq!(changes_for(Remedy::RegistryCredential, &project), Err(why));
}

#[rstest]
#[case(project("web"), Inapplicable::BuildspecElsewhere(BuildspecPlace::DefaultFile))]
#[case(
    Project { buildspec: Buildspec::of(Some("arn:aws:s3:::bucket/b.yml")), ..project("web") },
    Inapplicable::BuildspecElsewhere(BuildspecPlace::S3("arn:aws:s3:::bucket/b.yml".to_string()))
)]
#[case(logged_in(), Inapplicable::LoggedInAlready)]
#[case(project("web").buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - docker pull public.ecr.aws/docker/library/node:22\n"), Inapplicable::NotNeeded("line 5: all images that it names are of other registries than Docker Hub".to_string()))]
#[case(
    project("web").buildspec(BUILDSPEC).plain_variable("DOCKERHUB_USERNAME"),
    Inapplicable::VariableTaken("DOCKERHUB_USERNAME".to_string())
)]
#[case(
    project("web").buildspec(BUILDSPEC).secret_variable("DOCKERHUB_PASSWORD", "other:password"),
    Inapplicable::VariableTaken("DOCKERHUB_PASSWORD".to_string())
)]
#[case(
    project("web").buildspec("version: 0.2\nbatch:\n  build-list:\n    - {identifier: a, buildspec: a.yml}\nphases:\n  build:\n    commands:\n      - docker build .\n"),
    Inapplicable::BatchMembers(OwnOfMembers { line: 4, key: "buildspec" })
)]
#[case(Project { is_runner: true, ..project("web").buildspec(BUILDSPEC) }, Inapplicable::RunnerCommands)]
#[case(Project { is_runner: true, ..project("web") }, Inapplicable::RunnerCommands)]
#[case(project("web").buildspec(BUILDSPEC).kind("TOMORROW"), Inapplicable::EnvironmentType("TOMORROW".to_string()))]
fn a_login_does_not_apply(#[case] project: Project, #[case] why: Inapplicable) {
    assert_eq!(changes_for(Remedy::BuildspecLogin, &project), Err(why));
}

#[test]
fn a_build_that_ran_with_another_configuration_is_no_reason_to_change_the_project() {
    let ran = project("web").buildspec(BUILDSPEC);
    let now = ran.clone().image("node:24").buildspec("version: 0.2\nphases: {}\n");
    let (role, secret, credential) = (role("builds"), secret(), credential());
    for (remedy, what) in [(Remedy::RegistryCredential, "image"), (Remedy::BuildspecLogin, "buildspec")] {
        let material = Material {
            build: &build("web:41").of(&ran),
            project: &now,
            role: &role,
            secret: Some(&secret),
            credential: &credential,
            made_by_us: false,
            diagnosis: &hub_limit(),
            images: &known_images(),
        };
        assert_eq!(changes(remedy, material), Err(Inapplicable::BuildDiffers(what)));
    }
}

/// What the build ran is what was throttled, whoever gave it that.
#[test]
fn a_build_that_was_given_something_else_is_not_cured_by_a_login_in_the_project() {
    let ours = project("web").buildspec(BUILDSPEC);
    let build = build("web:41").of(&ours);
    let of_a_pipeline = Build { initiator: Some("codepipeline/ship".to_string()), ..build.clone() };
    let theirs = Buildspec::Inline("version: 0.2\nphases: {build: {commands: [docker build .]}}\n".to_string());
    let windows = Environment { kind: "WINDOWS_CONTAINER".to_string(), ..build.environment.clone() };
    let taken = project("web").plain_variable("DOCKERHUB_PASSWORD").environment;
    for (build, why) in [
        (Build { buildspec: theirs.clone(), ..build.clone() }, Inapplicable::BuildDiffers("buildspec")),
        (Build { buildspec: Buildspec::of(Some("ci.yml")), ..build.clone() }, Inapplicable::BuildDiffers("buildspec")),
        (Build { buildspec: theirs, ..of_a_pipeline.clone() }, Inapplicable::Pipeline),
        (Build { environment: windows, ..build.clone() }, Inapplicable::BuildDiffers("environment type")),
        (Build { environment: taken, ..build.clone() }, Inapplicable::VariableTaken("DOCKERHUB_PASSWORD".to_string())),
    ] {
        assert_eq!(login_after(&build, &ours), Err(why));
    }
    let batch = "version: 0.2\nbatch:\n  build-list:\n    - identifier: a\n      buildspec: a.yml\n";
    let of_batch = Build { batch: Some("arn".to_string()), buildspec: Buildspec::of(Some("a.yml")), ..build.clone() };
    let own = OwnOfMembers { line: 5, key: "buildspec" };
    let batched = project("web").buildspec(batch);
    assert_eq!(login_after(&of_batch, &batched), Err(Inapplicable::BatchMembers(own)));
    let of_none = Build { batch: None, ..of_batch };
    assert_eq!(login_after(&of_none, &batched), Err(Inapplicable::BuildDiffers("buildspec")));
    assert!(login_after(&of_a_pipeline, &ours).is_ok(), "a pipeline that runs the project's own buildspec");
}

fn login_after(build: &Build, project: &Project) -> Result<Vec<Change>, Inapplicable> {
    let (role, secret, credential) = (role("builds"), secret(), credential());
    let material = Material {
        build,
        diagnosis: &diagnosis(Cause::HubPullLimit, Site::DockerClient),
        project,
        role: &role,
        secret: Some(&secret),
        credential: &credential,
        made_by_us: false,
        images: &known_images(),
    };
    changes(Remedy::BuildspecLogin, material)
}

#[test]
fn variables_that_refer_to_the_secret_already_are_not_ours_to_take_away() {
    let project =
        project("web").buildspec(BUILDSPEC).secret_variable("DOCKERHUB_USERNAME", &format!("{SECRET}:username"));
    let changes = changes_for(Remedy::BuildspecLogin, &project).unwrap();
    let Change::Project { edits } = &changes[1] else { panic!("{changes:?}") };
    assert!(!edits.iter().any(|edit| matches!(edit, Edit::Variable { name, .. } if name == "DOCKERHUB_USERNAME")));
    assert_eq!(edits.len(), 2);
}

/// The grant of [`secret`] for a role, where this is said of the policy that is there.
fn granted(role: &Role, made_by_us: &str) -> Result<Change, Inapplicable> {
    let (build, project, secret, credential) = (build("web:41"), project("web"), secret(), credential());
    let made_by_us = made_by_us == "made by us";
    grant::change(Material {
        build: &build,
        project: &project,
        role,
        secret: Some(&secret),
        credential: &credential,
        made_by_us,
        diagnosis: &hub_limit(),
        images: &known_images(),
    })
}

#[test]
fn a_grant_was_not_there_before_us_if_we_made_it() {
    let before = |change: Result<Change, Inapplicable>| match change {
        Ok(Change::Grant { before, .. }) => before,
        other => panic!("{other:?}"),
    };
    let there = role("builds").with_policy(GRANT, Some(grant_document()));
    assert_eq!(before(granted(&role("builds"), "made by us")), None);
    assert_eq!(before(granted(&there, "made by us")), None);
    assert_eq!(before(granted(&there, "made by others")), Some(grant_document()));
}

#[test]
fn a_policy_of_our_name_that_says_something_else_is_never_replaced() {
    for document in [Some(json!({ "Statement": [] })), None] {
        let theirs = role("builds").with_policy(GRANT, document);
        for made_by_us in ["made by us", "made by others"] {
            assert_eq!(granted(&theirs, made_by_us), Err(Inapplicable::ForeignPolicy(GRANT.to_string())));
        }
    }
}

#[test]
fn a_role_without_room_or_of_aws_is_refused() {
    let wanted = grant_document().to_string().chars().filter(|c| !c.is_whitespace()).count();
    let room = |left: usize| role("builds").with_policy_of_size("theirs", grant::MAX_INLINE - left);
    assert!(granted(&room(wanted), "made by others").is_ok());
    let used = grant::MAX_INLINE - wanted + 1;
    let full = granted(&room(wanted - 1), "made by others");
    assert_eq!(full, Err(Inapplicable::PolicySpaceFull { used, wanted }));
    // What is there already takes no more room.
    let there = room(0).with_policy(GRANT, Some(grant_document()));
    assert!(granted(&there, "made by us").is_ok());

    let linked = Role { path: "/aws-service-role/x/".to_string(), ..role("builds") };
    assert_eq!(granted(&linked, "made by us"), Err(Inapplicable::ServiceLinkedRole));
}

#[test]
fn a_grant_lets_the_role_read_one_secret_and_its_key_through_secrets_manager_alone() {
    let plain = grant::document(&secret());
    assert_eq!(plain["Statement"].as_array().map(Vec::len), Some(1));
    let alias = SecretKey::Alias {
        alias: "alias/dockerhub".to_string(),
        keys: "arn:aws:kms:eu-central-1:111122223333:key/*".to_string(),
    };
    insta::assert_json_snapshot!(grant::document(&secret_with_key()), @r#"
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Effect": "Allow",
          "Action": "secretsmanager:GetSecretValue",
          "Resource": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:dockerhub-Ab12Cd*"
        },
        {
          "Effect": "Allow",
          "Action": "kms:Decrypt",
          "Resource": "arn:aws:kms:eu-central-1:111122223333:key/7c1e",
          "Condition": {
            "StringEquals": {
              "kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"
            }
          }
        }
      ]
    }
    "#);
    insta::assert_json_snapshot!(grant::document(&Secret { key: Some(alias), ..secret() })["Statement"][1], @r#"
    {
      "Effect": "Allow",
      "Action": "kms:Decrypt",
      "Resource": "arn:aws:kms:eu-central-1:111122223333:key/*",
      "Condition": {
        "StringEquals": {
          "kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"
        },
        "ForAnyValue:StringEquals": {
          "kms:ResourceAliases": "alias/dockerhub"
        }
      }
    }
    "#);
    assert!(!same_document(&plain, &grant::document(&secret_with_key())));
}
