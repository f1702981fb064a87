//! `docker_auth_variable`: the project's builds get `DOCKER_AUTH_CONFIG` from the secret, which docker reads by itself, so
//! that a buildspec that is not the project's own needs no edit.
//!
//! Docker looks into the variable first and into the file of `docker login` after that. A login to another registry works
//! as before, but a login to Docker Hub by the build itself would be hidden by ours: a push or a private image of its own
//! account would be refused. So where such a login is known or likely, nothing is changed; and where one shows up later,
//! the refusal is what [`crate::domain::verdict`] takes the remedy back for.

use crate::domain::build::{AuthConfig, Build, Buildspec, Project};
use crate::domain::buildspec::clients::{self, Clients};
use crate::domain::buildspec::login::Shell;
use crate::domain::buildspec::refusal::Refusal;
use crate::domain::change::Edit;
use crate::domain::classify::Diagnosis;
use crate::domain::images::Reads;
use crate::domain::remedy::{Inapplicable, Material, own_login};

/// The variable that docker reads.
pub const VARIABLE: &str = "DOCKER_AUTH_CONFIG";

/// Environments whose containers are those of the table of images.
const CONTAINERS: [&str; 3] = ["LINUX_CONTAINER", "LINUX_GPU_CONTAINER", "ARM_CONTAINER"];

/// What clients that do not read the variable print around a refusal, and their names.
const OTHER_CLIENTS: [(&str, &str); 8] = [
    ("source docker://", "podman, buildah or skopeo"),
    ("in docker.io/", "podman, buildah or skopeo"),
    ("kaniko", "kaniko"),
    ("error building image: ", "kaniko"),
    ("GET https://index.docker.io/v2/", "kaniko, crane or a like client"),
    ("crane ", "crane"),
    ("jib", "jib"),
    ("testcontainers", "testcontainers"),
];

/// What shall be changed in the project.
pub fn edits(material: Material<'_>) -> Result<Vec<Edit>, Inapplicable> {
    let Material { build, diagnosis, project, secret, credential, images, .. } = material;
    let Some(secret) = secret else { return Err(Inapplicable::NoSecret) };
    let environment = &build.environment;
    if !CONTAINERS.contains(&environment.kind.as_str()) {
        return Err(Inapplicable::EnvironmentType(environment.kind.clone()));
    }
    // Whether the steps of a runner's job get the variables of the project is not documented.
    if project.is_runner {
        return Err(Inapplicable::RunnerSteps);
    }
    // The image that was in force may be an override's; the build's own snapshot tells.
    match images.curated.read_the_variable(&environment.image, build.started) {
        Reads::Yes => (),
        Reads::TooOld { tool, has, needs } => {
            return Err(Inapplicable::DockerTooOld { image: environment.image.clone(), tool, has, needs });
        }
        Reads::Unknown => return Err(Inapplicable::DockerVersionUnknown(environment.image.clone())),
    }
    if [environment, &project.environment].iter().any(|environment| environment.variable(VARIABLE).is_some()) {
        return Err(Inapplicable::VariableTaken(VARIABLE.to_string()));
    }
    no_own_login(build, project)?;
    only_docker(diagnosis)?;
    match &secret.auth_config {
        AuthConfig::Usable => (),
        AuthConfig::Unusable(why) => {
            return Err(Inapplicable::AuthConfig { key: credential.auth_config_key.clone(), why: why.clone() });
        }
        AuthConfig::Unknown(why) => return Err(Inapplicable::AuthConfigUnknown(why.clone())),
    }
    let reference = format!("{}:{}", secret.arn, credential.auth_config_key);
    Ok(vec![Edit::Variable { name: VARIABLE.to_string(), reference }])
}

/// Refuses where the build logs in to Docker Hub itself, as far as the buildspec and the names of variables tell.
fn no_own_login(build: &Build, project: &Project) -> Result<(), Inapplicable> {
    for text in [&build.buildspec, &project.buildspec].into_iter().filter_map(inline) {
        match clients::clients(text, Shell::Sh) {
            Ok(Clients { mirror: Some(line), .. }) => return Err(Inapplicable::MirrorSetUp(line)),
            Ok(Clients { login: Some(_), .. }) => return Err(Inapplicable::LoggedInAlready),
            Ok(Clients { other: Some((tool, _)), docker: false, .. }) => {
                return Err(Inapplicable::OtherClient(tool));
            }
            // The commands are in the buildspecs that the batch names.
            Ok(_) | Err(Refusal::BatchOnly { .. }) => (),
            Err(refusal) => return Err(Inapplicable::Buildspec(refusal)),
        }
    }
    own_login::by_variables(build, project, &[])
}

fn inline(buildspec: &Buildspec) -> Option<&str> {
    match buildspec {
        Buildspec::Inline(text) => Some(text),
        Buildspec::Elsewhere(_) => None,
    }
}

/// Refuses where the refusal itself was printed by a client that does not read the variable.
fn only_docker(diagnosis: &Diagnosis) -> Result<(), Inapplicable> {
    let printed = |mark: &str| diagnosis.evidence.iter().any(|evidence| evidence.quote.contains(mark));
    match OTHER_CLIENTS.iter().find(|(mark, _)| printed(mark)) {
        Some((_, client)) => Err(Inapplicable::OtherClient(client)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::build::Secret;
    use crate::domain::change::Change;
    use crate::domain::classify::{Cause, Site};
    use crate::domain::detect::{Evidence, Place};
    use crate::domain::images::Version;
    use crate::domain::policy::Remedy;
    use crate::domain::remedy::changes;
    use crate::domain::testing::*;
    use rstest::rstest;

    /// Its buildspec is in the repository, and its image's docker is new enough.
    fn api() -> Project {
        project("api").image("aws/codebuild/new:1")
    }

    /// A build of the project, throttled, of which this was printed.
    fn outcome(project: &Project, build: &Build, secret: &Secret, quote: &str) -> Result<Vec<Change>, Inapplicable> {
        let mut diagnosis = diagnosis(Cause::HubPullLimit, Site::DockerClient);
        diagnosis.evidence = vec![Evidence { place: Place::Log(7), quote: quote.to_string() }];
        let material = Material {
            build,
            diagnosis: &diagnosis,
            project,
            role: &role("builds"),
            secret: Some(secret),
            credential: &credential(),
            made_by_us: false,
            images: &known_images(),
        };
        changes(Remedy::DockerAuthVariable, material)
    }

    const QUOTE: &str =
        "Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit";

    fn of(project: &Project) -> Result<Vec<Change>, Inapplicable> {
        outcome(project, &build("api:1").of(project), &secret(), QUOTE)
    }

    #[test]
    fn the_project_gets_one_variable_after_the_grant() {
        let name = "DOCKER_AUTH_CONFIG".to_string();
        let variable = Edit::Variable { name, reference: format!("{SECRET}:docker_auth_config") };
        let wanted = vec![grant_change(), Change::Project { edits: vec![variable] }];
        assert_eq!(of(&api()), Ok(wanted.clone()));
        // An inline buildspec with nothing that speaks against it, for a policy that does without `buildspec_login`.
        assert_eq!(of(&api().buildspec(BUILDSPEC)), Ok(wanted.clone()));
        assert_eq!(of(&api().buildspec("version: 0.2\nbatch:\n  build-list:\n    - buildspec: a.yml\n")), Ok(wanted));
    }

    const LOGIN_AFTER: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build -t acme/app .\n      - docker login -u acme -p $P\n      - docker push acme/app\n";
    const PODMAN: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - podman build .\n";
    const MIRROR: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - dockerd --registry-mirror=https://mirror.example &\n      - docker pull node\n";

    #[rstest]
    #[case::windows(api().kind("WINDOWS_SERVER_2022_CONTAINER"), "environment_type")]
    #[case::ec2(api().kind("LINUX_EC2"), "environment_type")]
    #[case::runner(Project { is_runner: true, ..api() }, "runner")]
    #[case::own_image(api().image("acme/build:7"), "docker_version_unknown")]
    #[case::a_dated_tag(api().image("aws/codebuild/new:1-25.10.03"), "docker_version_unknown")]
    #[case::old_buildx(api().image("aws/codebuild/buildx:1"), "docker_too_old")]
    #[case::taken_by_a_value(api().plain_variable("DOCKER_AUTH_CONFIG"), "variable_taken")]
    #[case::taken_by_our_secret(
        api().secret_variable("DOCKER_AUTH_CONFIG", &format!("{SECRET}:docker_auth_config")), "variable_taken"
    )]
    #[case::logs_in(logged_in().image("aws/codebuild/new:1"), "already_authenticated")]
    #[case::logs_in_for_its_push(api().buildspec(LOGIN_AFTER), "already_authenticated")]
    #[case::may_log_in(api().plain_variable("DOCKERHUB_USERNAME"), "already_authenticated")]
    #[case::may_log_in_by_a_secret(api().secret_variable("docker_password", "x"), "already_authenticated")]
    #[case::podman(api().buildspec(PODMAN), "other_client")]
    #[case::mirror(api().buildspec(MIRROR), "mirror_set_up")]
    #[case::not_to_be_read(api().buildspec("version: 0.2\nphases: [\n"), "not_yaml")]
    #[case::unrepresentable(Project { unrepresentable: vec!["x".to_string()], ..api() }, "unrepresentable")]
    fn it_does_not_apply(#[case] project: Project, #[case] word: &str) {
        let why = of(&project).unwrap_err();
        assert_eq!(why.word(), word, "{why}");
    }

    #[rstest]
    #[case(
        "Error: initializing source docker://alpine:latest: reading manifest latest in docker.io/library/alpine: toomanyrequests"
    )]
    #[case(
        "error building image: GET https://index.docker.io/v2/library/node/manifests/20: TOOMANYREQUESTS: You have reached"
    )]
    #[case(
        "GET https://index.docker.io/v2/acme/app/manifests/1: TOOMANYREQUESTS: You have reached your unauthenticated"
    )]
    fn what_another_client_printed_is_not_cured_by_it(#[case] quote: &str) {
        let project = api();
        let why = outcome(&project, &build("api:1").of(&project), &secret(), quote).unwrap_err();
        assert_eq!(why.word(), "other_client", "{why}");
    }

    /// The image that was in force is the build's, be it by an override or by a change of the project since.
    #[test]
    fn the_builds_own_snapshot_tells_the_image() {
        let (old, new) = (api().image("aws/codebuild/compose:1"), api());
        assert!(outcome(&old, &build("api:1").of(&new), &secret(), QUOTE).is_ok());
        let why = outcome(&new, &build("api:1").of(&old), &secret(), QUOTE).unwrap_err();
        let version = |text: &str| Version::try_from(text.to_string()).unwrap();
        assert_eq!(
            why,
            Inapplicable::DockerTooOld {
                image: "aws/codebuild/compose:1".to_string(),
                tool: "docker compose",
                has: version("2.9.0"),
                needs: version("2.38.0"),
            }
        );
        // An override of the variable would win over the project's.
        let overridden = build("api:1").of(&api().plain_variable("DOCKER_AUTH_CONFIG"));
        assert_eq!(outcome(&new, &overridden, &secret(), QUOTE).unwrap_err().word(), "variable_taken");
        let before_the_image = build("api:1").of(&new).started_at("2026-02-27T10:00:00Z".parse().unwrap());
        assert_eq!(outcome(&new, &before_the_image, &secret(), QUOTE).unwrap_err().word(), "docker_too_old");
    }

    #[test]
    fn a_secret_without_the_text_says_what_to_run() {
        let auth_config = AuthConfig::Unusable("the secret has no text under it".to_string());
        let why = outcome(&api(), &build("api:1").of(&api()), &Secret { auth_config, ..secret() }, QUOTE).unwrap_err();
        assert_eq!(
            why.to_string(),
            "the secret's key `docker_auth_config` can't be used: the secret has no text under it; run `unthrottled secret \
             rotate`, which writes it"
        );
    }
}
