//! `mirror_image`: the project's environment takes the same official image from ECR Public.
//!
//! How CodeBuild pulls, as itself or as the service role, stays as it is: a public image takes both.

use crate::domain::change::Edit;
use crate::domain::remedy::{Inapplicable, Material, build_image};

/// What ECR Public allows by itself, for people who choose between a login and a mirror.
pub const LIMIT: &str = "ECR Public has limits of its own: 1 pull a second and 500 GB a month for each address without a \
                         login, 10 pulls a second from within AWS";

/// What shall be changed in the project.
pub fn edits(material: Material<'_>) -> Result<Vec<Edit>, Inapplicable> {
    let Material { build, project, images, .. } = material;
    let image = build_image::of_hub(build, project)?;
    // Whether the mirror has the images for Windows is not known.
    let kind = &project.environment.kind;
    if kind.starts_with("WINDOWS") {
        return Err(Inapplicable::EnvironmentType(kind.clone()));
    }
    let before = project.environment.image.clone();
    match images.official.mirrored(&image) {
        Some(after) => Ok(vec![Edit::Image { before, after }]),
        None => Err(Inapplicable::NoMirror(before)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::build::Project;
    use crate::domain::change::Change;
    use crate::domain::classify::{Cause, Site};
    use crate::domain::policy::Remedy;
    use crate::domain::remedy::changes;
    use crate::domain::testing::*;
    use rstest::rstest;

    fn outcome(ran: &Project, project: &Project) -> Result<Vec<Change>, Inapplicable> {
        let material = Material {
            build: &build("web:41").of(ran),
            diagnosis: &diagnosis(Cause::HubPullLimit, Site::BuildImage),
            project,
            role: &role("builds"),
            secret: None,
            credential: &credential(),
            made_by_us: false,
            images: &known_images(),
        };
        changes(Remedy::MirrorImage, material)
    }

    #[test]
    fn the_image_alone_changes_without_a_grant() {
        for project in
            [project("web"), project("web").pulls_as("SERVICE_ROLE"), Project { is_runner: true, ..project("web") }]
        {
            let before = "node:22".to_string();
            let edit = Edit::Image { before, after: "mirror.example/library/node:22".to_string() };
            assert_eq!(outcome(&project, &project), Ok(vec![Change::Project { edits: vec![edit] }]));
        }
    }

    #[test]
    fn the_plan_says_the_limit_of_the_mirror() {
        let changes = outcome(&project("web"), &project("web")).unwrap();
        insta::assert_snapshot!(changes[0], @"
        ~ project
        -   environment.image = node:22
        +   environment.image = mirror.example/library/node:22
              ECR Public has limits of its own: 1 pull a second and 500 GB a month for each address without a login, 10 pulls a second from within AWS
        ");
    }

    #[rstest]
    #[case(project("web").image("acme/node:22"), "no_mirror")]
    #[case(project("web").image("ruby:3"), "no_mirror")]
    #[case(project("web").image("aws/codebuild/standard:7.0"), "curated_image")]
    #[case(project("web").image("ghcr.io/library/node"), "not_hub_image")]
    #[case(project("web").image("public.ecr.aws/docker/library/node"), "not_hub_image")]
    #[case(project("web").image("$IMAGE"), "not_hub_image")]
    #[case(project("web").credential("mine"), "credential_set_already")]
    #[case(project("web").kind("WINDOWS_SERVER_2022_CONTAINER"), "environment_type")]
    #[case(project("web").kind("LINUX_LAMBDA_CONTAINER"), "environment_type")]
    fn it_does_not_apply(#[case] project: Project, #[case] word: &str) {
        let why = outcome(&project, &project).unwrap_err();
        assert_eq!(why.word(), word, "{why}");
    }

    #[test]
    fn a_build_of_another_image_is_no_reason_to_change_the_project() {
        assert_eq!(outcome(&project("web").image("alpine"), &project("web")), Err(Inapplicable::BuildDiffers("image")));
    }
}
