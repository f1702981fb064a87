//! Do a build's variables, or the text that it ran, tell of a Docker Hub login or a mirror of the project's own?

use super::Inapplicable;
use crate::domain::build::{Build, Buildspec, Environment, Project};
use crate::domain::buildspec::login::Login;
use crate::domain::buildspec::{Placement, Spare, place_login};

/// Refuses where a variable's name tells of a login; those of these names are known to tell of none.
pub(super) fn by_variables(build: &Build, project: &Project, known: &[&str]) -> Result<(), Inapplicable> {
    let environments = [&build.environment, &project.environment];
    let name = environments.into_iter().find_map(|environment| login_variable(environment, known));
    name.map_or(Ok(()), |name| Err(Inapplicable::LoginLikely(name.to_string())))
}

/// Refuses where the text that the build itself ran logs in before it pulls, or has a mirror.
pub(super) fn by_commands(build: &Build, login: &Login) -> Result<(), Inapplicable> {
    let Buildspec::Inline(text) = &build.buildspec else { return Ok(()) };
    match place_login(text, login) {
        Placement::AlreadyLoggedIn { .. } => Err(Inapplicable::LoggedInAlready),
        Placement::NotNeeded(Spare::Mirror { line }) => Err(Inapplicable::MirrorSetUp(line)),
        Placement::Insert(_) | Placement::NotNeeded(_) | Placement::Refused(_) => Ok(()),
    }
}

/// A variable whose name tells of a login to Docker Hub: `DOCKERHUB_USERNAME`, `DOCKER_PASSWORD`.
fn login_variable<'a>(environment: &'a Environment, known: &[&str]) -> Option<&'a str> {
    const HUB: [&str; 4] = ["DOCKER", "DOCKERHUB", "DOCKERIO", "HUB"];
    const LOGIN: [&str; 13] = [
        "USER",
        "USERNAME",
        "PASS",
        "PASSWD",
        "PASSWORD",
        "PWD",
        "TOKEN",
        "PAT",
        "LOGIN",
        "CRED",
        "CREDS",
        "CREDENTIALS",
        "AUTH",
    ];
    let tells = |name: &&str| {
        let upper = name.to_ascii_uppercase();
        let words: Vec<&str> = upper.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let has = |list: &[&str]| words.iter().any(|word| list.contains(word));
        has(&HUB) && has(&LOGIN) && !has(&["ECR", "GHCR", "GITHUB", "GITLAB", "QUAY", "ARTIFACTORY", "NEXUS", "HARBOR"])
    };
    let names = environment.variables.iter().map(|variable| variable.name.as_str());
    names.filter(|name| !known.contains(name)).find(tells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::*;
    use rstest::rstest;

    #[rstest]
    #[case("DOCKERHUB_USERNAME", true)]
    #[case("docker_password", true)]
    #[case("DOCKER_HUB_TOKEN", true)]
    #[case("GITHUB_TOKEN", false)]
    #[case("DOCKER_IMAGE", false)]
    #[case("ECR_DOCKER_PASSWORD", false)]
    #[case("DB_PASSWORD", false)]
    fn names_tell_of_a_login(#[case] name: &str, #[case] tells: bool) {
        let project = project("api").plain_variable(name);
        let build = build("api:1").of(&project);
        assert_eq!(by_variables(&build, &project, &[]).is_err(), tells, "{name}");
        assert_eq!(by_variables(&build, &project, &[name]), Ok(()), "{name} is known");
    }
}
