//! Which clients does a buildspec pull with, and does it log in to Docker Hub itself, wherever in it that stands?

use super::command::{self, Deed};
use super::docker::{Action, Registry};
use super::document::Document;
use super::login::Shell;
use super::outline::{self, Outline};
use super::refusal::Refusal;
use super::walk::writes_hub_credentials;
use super::word::{Variables, Word};

/// The variable by which docker clients log in without a command.
const AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

/// Clients that do not read [`AUTH_CONFIG`].
const OTHERS: [&str; 8] = ["podman", "buildah", "nerdctl", "skopeo", "crane", "kaniko", "regctl", "buildctl"];

/// What the commands of a buildspec show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// The line of the first command that logs in to Docker Hub, or that gives docker a login in another way.
    pub login: Option<usize>,
    /// The first client that does not read `DOCKER_AUTH_CONFIG`, and its line.
    pub other: Option<(&'static str, usize)>,
    /// The line of the first command that gives the daemon a mirror of Docker Hub.
    pub mirror: Option<usize>,
    /// Whether docker itself pulls, or something out of sight that may be docker.
    pub docker: bool,
}

/// Reads all commands; a shell that the buildspec names overrules the given one. Refuses what can't be read or may be a
/// login to Docker Hub.
pub fn clients(text: &str, shell: Shell) -> Result<Clients, Refusal> {
    let document = Document::parse(text)?;
    let outline = outline::outline(&document)?;
    let shell = outline.shell.unwrap_or(shell);
    let mut clients = Clients::default();
    let mut variables = Variables::default();
    for variable in &outline.variables {
        if variable.name == AUTH_CONFIG {
            clients.login.get_or_insert(outline::spot(&document, variable.node).0);
        }
        if let Some(value) = variable.value {
            variables.set(variable.name, Word::of(value));
        }
    }
    read(&document, &outline, shell, &mut variables, &mut clients)?;
    Ok(clients)
}

fn read(
    document: &Document,
    outline: &Outline<'_>,
    shell: Shell,
    variables: &mut Variables,
    clients: &mut Clients,
) -> Result<(), Refusal> {
    for item in outline.phases.iter().flat_map(|phase| &phase.items) {
        let (line, column) = outline::spot(document, item.node);
        if writes_hub_credentials(item.text) {
            clients.login.get_or_insert(line);
        }
        if let Some(other) = other_client(item.text) {
            clients.other.get_or_insert((other, line));
        }
        let Ok(deeds) = command::deeds(item.text, shell, variables, None) else {
            if command::speaks_of_docker(item.text) {
                return Err(Refusal::UnreadableCommand { line, column });
            }
            continue;
        };
        for deed in deeds {
            match deed {
                Deed::Sets(name) if name == AUTH_CONFIG => {
                    clients.login.get_or_insert(line);
                }
                Deed::Does(Action::Login(Registry::Hub)) => {
                    clients.login.get_or_insert(line);
                }
                Deed::Does(Action::Login(Registry::Unknown)) => {
                    return Err(Refusal::UnknownRegistryLogin { line, column });
                }
                Deed::Does(Action::Mirror) => {
                    clients.mirror.get_or_insert(line);
                }
                Deed::Does(Action::Pull(Registry::Hub | Registry::Unknown) | Action::Calls(_)) => clients.docker = true,
                Deed::Sets(_) | Deed::Does(_) => {}
            }
        }
    }
    Ok(())
}

/// The first of [`OTHERS`] among the words of a command, be it by its path: `/kaniko/executor`.
fn other_client(text: &str) -> Option<&'static str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let mut words = text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
    words.find_map(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        let is = |other: &str| name == other || other == "kaniko" && word.split('/').any(|part| part == "kaniko");
        OTHERS.into_iter().find(|other| is(other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn of(commands: &[&str]) -> Result<Clients, Refusal> {
        let commands: String = commands.iter().map(|command| format!("      - '{command}'\n")).collect();
        clients(&format!("version: 0.2\nphases:\n  build:\n    commands:\n{commands}"), Shell::Sh)
    }

    #[rstest]
    #[case::before_the_pull(&["docker login -u a -p b", "docker pull node"], 5)]
    #[case::for_the_push(&["docker build -t acme/app .", "docker login -u a -p b", "docker push acme/app"], 6)]
    #[case::by_its_file(&["make", "echo {} > ~/.docker/config.json # index.docker.io/v1"], 6)]
    #[case::by_the_variable(&["export DOCKER_AUTH_CONFIG={}", "docker pull node"], 5)]
    fn a_login_is_seen_wherever_it_stands(#[case] commands: &[&str], #[case] line: usize) {
        assert_eq!(of(commands).unwrap().login, Some(line));
    }

    #[test]
    fn the_variable_of_the_buildspec_is_a_login() {
        for source in ["variables", "secrets-manager", "parameter-store"] {
            let text = format!(
                "version: 0.2\nenv:\n  {source}:\n    DOCKER_AUTH_CONFIG: x\nphases:\n  build:\n    commands:\n      - make\n"
            );
            assert_eq!(clients(&text, Shell::Sh).unwrap().login, Some(4), "{source}");
        }
    }

    #[rstest]
    #[case(&["docker login -u AWS -p x 1.dkr.ecr.eu-west-1.amazonaws.com", "docker build ."])]
    #[case(&["echo docker login", "make image"])]
    #[case(&["export TAG=latest", "docker build -t app:$TAG ."])]
    fn other_logins_and_words_about_logins_are_none(#[case] commands: &[&str]) {
        let clients = of(commands).unwrap();
        assert_eq!((clients.login, clients.other, clients.docker), (None, None, true));
    }

    #[test]
    fn a_login_that_may_be_docker_hubs_is_refused() {
        let refused = of(&["docker build .", "docker login -u u -p p $REGISTRY"]);
        assert_eq!(refused, Err(Refusal::UnknownRegistryLogin { line: 6, column: 9 }));
    }

    #[rstest]
    #[case("podman build .", "podman")]
    #[case("/usr/bin/buildah bud .", "buildah")]
    #[case("/kaniko/executor --context .", "kaniko")]
    #[case("crane pull node x.tar", "crane")]
    #[case("skopeo copy docker://node dir:x", "skopeo")]
    fn clients_that_do_not_read_the_variable_are_named(#[case] command: &str, #[case] other: &str) {
        let clients = of(&["npm ci || true", command]).unwrap();
        assert_eq!(clients.other, Some((other, 6)), "{command}");
        assert!(!of(&[command]).unwrap().docker, "{command}");
        assert!(of(&[command, "docker pull node"]).unwrap().docker, "{command}");
    }
}
