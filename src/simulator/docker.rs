//! `docker` in a build's container: who is logged in, what it pulls, and what it prints when a registry refuses.

use super::account::DockerClient;
use super::docker_login::{HUB_KEY, login, puller};
use super::hub::{HubRefusal, Puller, Registry, canonical, manifest_url, path_and_tag, registry_of};
use super::shell::{Machine, Ran};

/// Words before a program that do not change what it does here.
pub(super) fn is_prefix(word: &str) -> bool {
    matches!(word, "sudo" | "time" | "env" | "exec" | "command" | "nohup")
}

/// Runs a docker command line.
pub(super) fn run(machine: &mut Machine<'_>, words: &[String], input: &[String]) -> Ran {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words[0] == "docker-compose" {
        words.insert(1, "compose");
    }
    // Options of docker itself, before its command.
    while words.get(1).is_some_and(|word| word.starts_with('-')) {
        let takes_value = matches!(words[1], "--config" | "-H" | "--host" | "-c" | "--context" | "-l");
        words.drain(1..if takes_value { 3.min(words.len()) } else { 2 });
    }
    match words.get(1..).unwrap_or_default() {
        ["login", arguments @ ..] => login(machine, arguments, input),
        ["logout", ..] => {
            machine.container.hub_user = None;
            Ran::printed(vec![format!("Removing login credentials for {HUB_KEY}")])
        }
        ["pull", arguments @ ..] | ["image", "pull", arguments @ ..] => {
            let image = positional(arguments, &["--platform"]);
            pull(machine, image)
        }
        ["push", arguments @ ..] | ["image", "push", arguments @ ..] => push(machine, positional(arguments, &[])),
        ["run" | "create", arguments @ ..] | ["container", "run" | "create", arguments @ ..] => {
            let image = image_of_run(arguments);
            pull(machine, image)
        }
        ["build", ..] | ["image", "build", ..] | ["builder", "build", ..] => build(machine),
        ["buildx", "build" | "bake", ..] => build(machine),
        ["compose", arguments @ ..]
            if arguments.iter().any(|word| matches!(*word, "up" | "build" | "pull" | "run" | "create")) =>
        {
            compose(machine)
        }
        _ => Ran::default(),
    }
}

/// One pull: throttled by Docker Hub, refused by it for who asks, or throttled by ECR Public.
enum Refused {
    Hub(HubRefusal),
    Unauthorized(&'static str),
    EcrPublic,
}

fn fetch(machine: &mut Machine<'_>, image: &str) -> Result<(), Refused> {
    machine.lasts += machine.account.durations.pull;
    match registry_of(image) {
        Registry::Hub if image != "scratch" => {
            let puller = puller(machine).map_err(Refused::Unauthorized)?;
            let now = machine.now();
            machine.account.hub.pull(&puller, now).map_err(Refused::Hub)
        }
        Registry::EcrPublic if machine.account.ecr_public_throttled => Err(Refused::EcrPublic),
        _ => Ok(()),
    }
}

fn client(machine: &Machine<'_>) -> DockerClient {
    machine.account.projects.get(machine.project).map(|project| project.outside.client).unwrap_or_default()
}

fn pull(machine: &mut Machine<'_>, image: Option<&str>) -> Ran {
    let Some(image) = image else {
        return Ran::failed(1, vec!["\"docker pull\" requires exactly 1 argument.".to_owned()]);
    };
    let (path, tag) = path_and_tag(image);
    let mut ran = Ran::printed(vec![format!("{tag}: Pulling from {path}")]);
    match fetch(machine, image) {
        Ok(()) => {
            ran.out.push(format!("Status: Downloaded newer image for {image}"));
            ran
        }
        Err(refused) => Ran::failed(1, vec![daemon_error(client(machine), &refused)]),
    }
}

/// A push to Docker Hub takes the account whose repository it is; other registries take any.
fn push(machine: &mut Machine<'_>, image: Option<&str>) -> Ran {
    let Some(image) = image.filter(|image| registry_of(image) == Registry::Hub) else {
        return Ran::default();
    };
    machine.lasts += machine.account.durations.pull;
    let (path, _) = path_and_tag(image);
    let owner = path.split('/').next().unwrap_or_default();
    let out = vec![format!("The push refers to repository [docker.io/{path}]")];
    let refused = match puller(machine) {
        Ok(Puller::Account(user)) if user == owner => return Ran::printed(out),
        Ok(_) => "denied: requested access to the resource is denied".to_owned(),
        Err(words) => format!("Error response from daemon: {words}"),
    };
    Ran { out, ..Ran::failed(1, vec![refused]) }
}

/// The daemon's answer to a refused pull, as the docker command prints it.
fn daemon_error(client: DockerClient, refused: &Refused) -> String {
    match (client, refused) {
        (DockerClient::Engine29, Refused::Hub(refusal)) => {
            format!("Error response from daemon: error from registry: {}", refusal.message)
        }
        (_, Refused::Hub(refusal)) => {
            format!("Error response from daemon: toomanyrequests: {}", refusal.message)
        }
        (_, Refused::Unauthorized(words)) => format!("Error response from daemon: {words}"),
        (_, Refused::EcrPublic) => "Error response from daemon: toomanyrequests: Rate exceeded".to_owned(),
    }
}

fn build(machine: &mut Machine<'_>) -> Ran {
    let images = machine
        .account
        .projects
        .get(machine.project)
        .map(|project| project.outside.dockerfile.clone())
        .unwrap_or_default();
    let client = client(machine);
    let steps = images.len() + 4;
    let mut out = match client {
        DockerClient::Classic | DockerClient::Engine29 => {
            vec!["Sending build context to Docker daemon  57.34kB".to_owned()]
        }
        DockerClient::BuildKit => vec![
            "#0 building with \"default\" instance using docker driver".to_owned(),
            "#1 [internal] load build definition from Dockerfile".to_owned(),
            "#1 DONE 0.0s".to_owned(),
        ],
    };
    for (at, image) in images.iter().enumerate() {
        let fetched = fetch(machine, image);
        match client {
            DockerClient::Classic | DockerClient::Engine29 => {
                out.push(format!("Step {}/{steps} : FROM {image}", at + 1));
            }
            DockerClient::BuildKit => {
                out.push(format!("#{} [internal] load metadata for {}", at + 2, canonical(image)));
            }
        }
        if let Err(refused) = fetched {
            let err = match client {
                DockerClient::Classic => vec![bare_error(&refused)],
                DockerClient::Engine29 => vec![daemon_error(client, &refused)],
                DockerClient::BuildKit => buildkit_error(at + 2, image, &refused),
            };
            let mut ran = Ran::failed(1, Vec::new());
            out.extend(err);
            ran.err = out;
            return ran;
        }
        if client == DockerClient::BuildKit {
            out.push(format!("#{} DONE 1.1s", at + 2));
        }
    }
    out.push("Successfully built 5d0da3dc9764".to_owned());
    Ran::printed(out)
}

/// The classic builder prints the registry's error without the daemon's prefix.
fn bare_error(refused: &Refused) -> String {
    match refused {
        Refused::Hub(refusal) => format!("toomanyrequests: {}", refusal.message),
        Refused::Unauthorized(words) => (*words).to_owned(),
        Refused::EcrPublic => "toomanyrequests: Rate exceeded".to_owned(),
    }
}

fn buildkit_error(step: usize, image: &str, refused: &Refused) -> Vec<String> {
    let name = canonical(image);
    let (_, tag) = path_and_tag(image);
    let cause = match refused {
        Refused::Hub(_) => format!(
            "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to {}: 429 Too Many Requests",
            manifest_url(image, &tag)
        ),
        Refused::Unauthorized(_) => {
            "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://auth.docker.io/token: 401 Unauthorized".to_owned()
        }
        Refused::EcrPublic => format!("{name}: unexpected status code: 429 Too Many Requests"),
    };
    vec![
        format!("#{step} ERROR: {cause}"),
        bare_error(refused),
        "------".to_owned(),
        format!(" > [internal] load metadata for {name}:"),
        "------".to_owned(),
        "Dockerfile:1".to_owned(),
        "--------------------".to_owned(),
        format!("   1 | >>> FROM {image}"),
        "--------------------".to_owned(),
        format!(
            "ERROR: failed to build: failed to solve: {image}: failed to resolve source metadata for {name}: {cause}"
        ),
        bare_error(refused),
    ]
}

fn compose(machine: &mut Machine<'_>) -> Ran {
    let images = machine
        .account
        .projects
        .get(machine.project)
        .map(|project| project.outside.compose.clone())
        .unwrap_or_default();
    let mut err = Vec::new();
    for image in &images {
        let service = image.split([':', '/']).next().unwrap_or_default();
        err.push(format!(" {service} Pulling "));
        if let Err(refused) = fetch(machine, image) {
            let cause = bare_error(&refused);
            err.push(format!(" {service} Error {cause}"));
            err.push(daemon_error(client(machine), &refused));
            return Ran::failed(18, err);
        }
        err.push(format!(" {service} Pulled "));
    }
    Ran { err, ..Ran::default() }
}

/// The first word that is no option; `valued` are options that take the next word.
fn positional<'w>(arguments: &[&'w str], valued: &[&str]) -> Option<&'w str> {
    let mut at = 0;
    while let Some(word) = arguments.get(at) {
        if !word.starts_with('-') {
            return Some(word);
        }
        at += if valued.contains(word) { 2 } else { 1 };
    }
    None
}

/// `docker run` has few options without a value; all others take the next word unless it is joined by `=`.
fn image_of_run<'w>(arguments: &[&'w str]) -> Option<&'w str> {
    let alone = |word: &str| {
        matches!(
            word,
            "--rm" | "--detach" | "--interactive" | "--tty" | "--privileged" | "--init" | "--read-only" | "--quiet"
        ) || (!word.starts_with("--") && word.len() > 1 && word[1..].chars().all(|c| "ditPqt".contains(c)))
            || word.contains('=')
    };
    let mut at = 0;
    while let Some(word) = arguments.get(at) {
        if !word.starts_with('-') {
            return Some(word);
        }
        at += if alone(word) { 1 } else { 2 };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_a_run_stands_after_its_options() {
        for (arguments, image) in [
            ("node:22 npm test", "node:22"),
            ("--rm -it -v /a:/b -e X=1 node:22", "node:22"),
            ("--rm --name=x -d redis", "redis"),
        ] {
            let words: Vec<&str> = arguments.split(' ').collect();
            assert_eq!(image_of_run(&words), Some(image), "{arguments}");
        }
        assert_eq!(positional(&["--platform", "linux/arm64", "-q", "node"], &["--platform"]), Some("node"));
    }
}
