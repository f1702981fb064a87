//! In which ways a project pulls, as far as it shows.

use super::{Facts, Standing, Way};
use crate::domain::build::{Buildspec, Project};
use crate::domain::buildspec::batch;
use crate::domain::buildspec::login::Shell;
use crate::domain::buildspec::sight::{Sight, sight};
use crate::domain::classify::{Registry, Site};
use crate::domain::detect::redact;
use crate::domain::image::Image;
use crate::domain::remedy;

/// A variable that logs docker in by itself.
const AUTH_VARIABLE: &str = "DOCKER_AUTH_CONFIG";

/// Characters of a command that are shown at the most.
const MOST_CHARACTERS: usize = 40;

/// Each way in which the project's builds pull from Docker Hub, or may.
pub fn ways(facts: Facts<'_>) -> Vec<Way> {
    let Facts { project, builds } = facts;
    let mut ways: Vec<Way> = build_image(project).into_iter().collect();
    if has_no_docker(&project.environment.kind) {
        return ways;
    }
    if let Some(way) = commands(project) {
        ways.push(way);
    }
    if builds.with_another_buildspec > 0 && !project.is_runner && !is_authenticated(project) {
        let (some, all) = (builds.with_another_buildspec, builds.all);
        let plural = if all == 1 { "build" } else { "builds" };
        ways.push(client(Standing::NotReadable, format!("{some} of {all} {plural} ran another buildspec"), None));
    }
    ways
}

/// The image of the environment.
fn build_image(project: &Project) -> Option<Way> {
    let environment = &project.environment;
    let image = Image::parse(&environment.image)?;
    if image.registry() != Some(Registry::DockerHub) || has_no_docker(&environment.kind) {
        return None;
    }
    let by_role = environment.pull_credentials.as_deref() == Some("SERVICE_ROLE");
    let standing = match remedy::is_container(&environment.kind) {
        _ if environment.registry_credential.is_some() && by_role => Standing::LoggedIn,
        true => Standing::Anonymous,
        // On instances an image's name may mean something else.
        false if environment.image.starts_with("ami-") => return None,
        false => Standing::Perhaps,
    };
    Some(Way { site: Site::BuildImage, standing, evidence: redact(&environment.image), line: None })
}

/// Lambda environments have no docker, and take images from ECR only.
fn has_no_docker(kind: &str) -> bool {
    kind.contains("LAMBDA")
}

fn is_authenticated(project: &Project) -> bool {
    project.environment.variable(AUTH_VARIABLE).is_some()
}

/// What the commands do.
fn commands(project: &Project) -> Option<Way> {
    if is_authenticated(project) {
        return Some(client(Standing::LoggedIn, AUTH_VARIABLE.to_string(), None));
    }
    if project.is_runner {
        let evidence = "a runner's jobs bring their own commands".to_string();
        return Some(client(Standing::NotReadable, evidence, None));
    }
    let text = match &project.buildspec {
        Buildspec::Inline(text) => text,
        Buildspec::Elsewhere(place) => return Some(client(Standing::NotReadable, place.to_string(), None)),
    };
    let shell = remedy::shell(&project.environment.kind).unwrap_or(Shell::Sh);
    match sight(text, shell) {
        Sight::Pulls { line, command } => {
            let evidence = format!("line {line}: {}", first_words(&command));
            Some(client(Standing::Anonymous, evidence, Some(line)))
        }
        Sight::Perhaps { line, why } => {
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            Some(client(Standing::Perhaps, format!("{place}{why}"), line))
        }
        Sight::LoggedIn { line } => {
            Some(client(Standing::LoggedIn, format!("line {line}: a login to Docker Hub"), Some(line)))
        }
        Sight::Unreadable(refusal) => {
            let line = refusal.place().map(|(line, _)| line);
            Some(client(Standing::NotReadable, redact(&refusal.to_string()), line))
        }
        Sight::Nothing => batch::own_of_members(text).map(|own| {
            let line = own.line;
            client(Standing::NotReadable, own.to_string(), Some(line))
        }),
    }
}

fn client(standing: Standing, evidence: String, line: Option<usize>) -> Way {
    Way { site: Site::DockerClient, standing, evidence, line }
}

/// The first words of the part of a command that uses docker, up to the first that may hold a value.
fn first_words(command: &str) -> String {
    let parts = command.split(['&', ';', '|']).map(str::trim);
    let mut telling = parts.filter(|part| part.to_lowercase().contains("docker") && !part.contains("login"));
    let part = telling.next().unwrap_or("docker");
    let mut shown = String::new();
    for word in part.split_whitespace() {
        if word.contains(['=', '"', '\'', '$', '`', '('])
            || shown.chars().count() + word.chars().count() > MOST_CHARACTERS
        {
            shown.push_str(" …");
            break;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    redact(shown.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("docker build -t app .", "docker build -t app .")]
    #[case("cd app && docker pull redis:7", "docker pull redis:7")]
    #[case("docker build --build-arg TOKEN=hunter2 .", "docker build --build-arg …")]
    #[case("docker run -e 'A=b hunter2' redis", "docker run -e …")]
    #[case("docker login -u me -p hunter2 ghcr.io && docker build .", "docker build .")]
    #[case("TOKEN=hunter2 docker build .", "…")]
    #[case(
        "docker buildx build --platform linux/amd64,linux/arm64 --push --tag registry.example/app .",
        "docker buildx build --platform …"
    )]
    fn the_first_words_hold_no_value(#[case] command: &str, #[case] shown: &str) {
        assert_eq!(first_words(command), shown);
    }
}
