//! What does one docker command line do with registries?

/// What a command does, as far as a login to Docker Hub is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It may pull an image.
    Pull(Registry),
    /// It pulls with a login of its own: podman, buildah.
    OwnPull,
    /// It logs in.
    Login(Registry),
    /// It logs out.
    Logout(Registry),
    /// It starts the docker daemon.
    Daemon,
    /// It gives the daemon a mirror of Docker Hub.
    Mirror,
    /// It uses docker for something else.
    Uses,
    /// It calls what can't be seen here.
    Calls(super::refusal::Hidden),
}

/// Which registry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registry {
    /// Docker Hub.
    Hub,
    /// Certainly another.
    Other,
    /// Only the build knows.
    Unknown,
}

/// Names under which docker knows its own Hub.
const HUB: [&str; 6] =
    ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com", "docker.com"];

/// Parts of a variable's name that tell of another registry.
const OTHERS: [&str; 10] = ["ECR", "GCR", "GHCR", "ACR", "QUAY", "GITLAB", "ARTIFACTORY", "JFROG", "NEXUS", "HARBOR"];

/// What follows `docker`. Variables that are not known stand as `${NAME}`.
pub(super) fn docker(arguments: &[String]) -> Action {
    let arguments = skip_flags(
        arguments,
        &["--config", "-c", "--context", "-H", "--host", "-l", "--log-level", "--tlscacert", "--tlscert", "--tlskey"],
    );
    let Some((name, rest)) = arguments.split_first() else {
        return Action::Uses;
    };
    match name.as_str() {
        "image" | "container" | "builder" => match rest.split_first() {
            Some((name, rest)) => leaf(name, rest),
            None => Action::Uses,
        },
        "buildx" => buildx(rest),
        "compose" => compose(rest),
        "service" | "plugin" if rest.first().is_some_and(|verb| verb == "create" || verb == "install") => {
            Action::Pull(Registry::Unknown)
        }
        "stack" if rest.first().is_some_and(|verb| verb == "deploy" || verb == "up") => Action::Pull(Registry::Unknown),
        "login" => Action::Login(login(rest)),
        "logout" => Action::Logout(server(rest.iter().find(|word| !word.starts_with('-')))),
        _ => leaf(name, rest),
    }
}

/// What follows `docker-compose` or `docker compose`.
pub(super) fn compose(arguments: &[String]) -> Action {
    let with_value = [
        "-f",
        "--file",
        "-p",
        "--project-name",
        "--profile",
        "--env-file",
        "--project-directory",
        "--workdir",
        "--parallel",
        "--progress",
        "--ansi",
        "-H",
        "--host",
        "-c",
        "--context",
        "-l",
        "--log-level",
        "--tlscacert",
        "--tlscert",
        "--tlskey",
    ];
    match skip_flags(arguments, &with_value).first().map(String::as_str) {
        Some("build" | "up" | "run" | "pull" | "create") => Action::Pull(Registry::Unknown),
        _ => Action::Uses,
    }
}

/// What follows `docker buildx`.
pub(super) fn buildx(arguments: &[String]) -> Action {
    let arguments = skip_flags(arguments, &["--builder"]);
    match arguments.first().map(String::as_str) {
        Some("build" | "b" | "bake" | "f") => Action::Pull(Registry::Unknown),
        // The builder itself is an image of Docker Hub.
        Some("create") => Action::Pull(Registry::Hub),
        Some("inspect") if arguments.iter().any(|word| word == "--bootstrap") => Action::Pull(Registry::Hub),
        _ => Action::Uses,
    }
}

/// The registry of an image reference.
pub(super) fn image(reference: &str) -> Registry {
    let Some((first, _)) = reference.split_once('/') else {
        let name = reference.split([':', '@']).next().unwrap_or_default();
        return match name {
            _ if reference.starts_with("${") => variable(reference),
            _ if name.contains("${") => Registry::Unknown,
            _ => Registry::Hub,
        };
    };
    match first {
        _ if HUB.contains(&first) => Registry::Hub,
        _ if first.contains(['.', ':']) || first == "localhost" => Registry::Other,
        _ if first.contains("${") => variable(first),
        _ => Registry::Hub,
    }
}

fn leaf(name: &str, rest: &[String]) -> Action {
    match name {
        "build" => Action::Pull(Registry::Unknown),
        "pull" => {
            let reference = skip_flags(rest, &["--platform"]).first();
            Action::Pull(reference.map_or(Registry::Unknown, |reference| image(reference)))
        }
        "run" | "create" => {
            let reference = skip_run_flags(rest);
            Action::Pull(reference.map_or(Registry::Unknown, |reference| image(reference)))
        }
        _ => Action::Uses,
    }
}

fn login(arguments: &[String]) -> Registry {
    let mut user = None;
    let mut words = arguments.iter();
    let mut positional = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "-u" | "--username" => user = words.next().map(String::as_str),
            "-p" | "--password" => {
                words.next();
            }
            "2>&1" => {}
            flag if flag.starts_with('-') => {
                let value = flag.strip_prefix("--username=").or_else(|| flag.strip_prefix("-u"));
                user = value.map(|value| value.trim_start_matches('=')).or(user);
            }
            _ => positional = positional.or(Some(word)),
        }
    }
    match user {
        Some("AWS") => Registry::Other,
        _ => server(positional),
    }
}

/// The registry that a login or logout names.
fn server(name: Option<&String>) -> Registry {
    let Some(name) = name else {
        return Registry::Hub;
    };
    let host = name.split_once("://").map_or(name.as_str(), |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    match host {
        _ if HUB.contains(&host) => Registry::Hub,
        _ if host.contains('.') || !host.contains("${") => Registry::Other,
        _ => variable(host),
    }
}

/// What the name of a variable tells of the registry in it.
fn variable(written: &str) -> Registry {
    let upper = written.to_uppercase();
    let words: Vec<&str> = upper.split(|c: char| !c.is_alphanumeric()).collect();
    if words.iter().any(|word| OTHERS.contains(word)) {
        Registry::Other
    } else if words.contains(&"DOCKERHUB") || words.contains(&"HUB") {
        Registry::Hub
    } else {
        Registry::Unknown
    }
}

/// The words from the first that is no flag on; the named flags take the next word with them.
pub(super) fn skip_flags<'a>(arguments: &'a [String], with_value: &[&str]) -> &'a [String] {
    let mut rest = arguments;
    while let Some((word, tail)) = rest.split_first() {
        if !word.starts_with('-') || word == "-" {
            break;
        }
        rest = if with_value.contains(&word.as_str()) { tail.get(1..).unwrap_or_default() } else { tail };
    }
    rest
}

/// The image of `docker run`: most of its flags take a value, so the ones that don't are listed.
fn skip_run_flags(arguments: &[String]) -> Option<&String> {
    const ALONE: [&str; 14] = [
        "--rm",
        "--detach",
        "--interactive",
        "--tty",
        "--publish-all",
        "--privileged",
        "--init",
        "--read-only",
        "--no-healthcheck",
        "--oom-kill-disable",
        "--sig-proxy",
        "--disable-content-trust",
        "--quiet",
        "--help",
    ];
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            if !long.contains('=') && !ALONE.contains(&word.as_str()) {
                words.next();
            }
        } else if let Some(letters) = word.strip_prefix('-') {
            // `-it` are two flags, `-itv DIR` ends with one that takes a value, `-p80:80` has it attached.
            let value_at = letters.find(|letter| !"ditPq".contains(letter));
            if value_at.is_some_and(|at| at + 1 == letters.len()) {
                words.next();
            }
        } else {
            return Some(word);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Action {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        docker(&words)
    }

    #[test]
    fn images_tell_their_registry() {
        for (reference, registry) in [
            ("node:22", Registry::Hub),
            ("amazon/aws-cli", Registry::Hub),
            ("docker.io/library/node", Registry::Hub),
            ("node:${TAG}", Registry::Hub),
            ("public.ecr.aws/docker/library/node", Registry::Other),
            ("${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/app", Registry::Other),
            ("localhost:5000/app", Registry::Other),
            ("${ECR_REPOSITORY}:latest", Registry::Other),
            ("${REPOSITORY_URI}:latest", Registry::Unknown),
            ("${REGISTRY}/app", Registry::Unknown),
            ("app-${STAGE}:1", Registry::Unknown),
        ] {
            assert_eq!(image(reference), registry, "{reference}");
        }
    }

    #[test]
    fn logins_tell_their_registry() {
        for (line, registry) in [
            ("login", Registry::Hub),
            ("login -u me -p secret", Registry::Hub),
            ("login --username=me --password-stdin docker.io", Registry::Hub),
            ("login -u me https://index.docker.io/v1/", Registry::Hub),
            ("login -u push ${URL} -p ${PW}", Registry::Unknown),
            ("login -u push registry.example.com -p ${PW}", Registry::Other),
            ("login --username AWS --password-stdin ${URL}", Registry::Other),
            ("login --username AWS -p x", Registry::Other),
            ("login -u ${U} -p ${P} ${ECR_URL}", Registry::Other),
            ("login -u ${U} -p ${P} ${DOCKER_HUB_URL}", Registry::Hub),
            ("login -u ${U} ghcr.io --password-stdin", Registry::Other),
            ("login -u ${U} registry.${DOMAIN}", Registry::Other),
            ("login -u ${U} localhost:5000", Registry::Other),
            ("login -uAWS -p x ${URL}", Registry::Other),
            ("login -u me -p secret 2>&1", Registry::Hub),
        ] {
            assert_eq!(of(line), Action::Login(registry), "{line}");
        }
    }

    #[test]
    fn flags_do_not_hide_the_verb_or_the_image() {
        for (line, action) in [
            ("--config /tmp/x build .", Action::Pull(Registry::Unknown)),
            ("-H tcp://localhost:2375 pull node", Action::Pull(Registry::Hub)),
            ("run --rm -it -v /a:/b -e A=b public.ecr.aws/x/y sh", Action::Pull(Registry::Other)),
            ("run -p80:80 --name web --env-file=x nginx", Action::Pull(Registry::Hub)),
            ("run -itv /a:/b ghcr.io/a/b", Action::Pull(Registry::Other)),
            ("run -d nginx", Action::Pull(Registry::Hub)),
            ("run --name web ghcr.io/a/b", Action::Pull(Registry::Other)),
            ("run -v /a:/b ghcr.io/a/b", Action::Pull(Registry::Other)),
            ("container run --rm busybox", Action::Pull(Registry::Hub)),
            ("container ls", Action::Uses),
            ("image build .", Action::Pull(Registry::Unknown)),
            ("buildx build --platform linux/arm64 .", Action::Pull(Registry::Unknown)),
            ("buildx create --use", Action::Pull(Registry::Hub)),
            ("buildx imagetools inspect x", Action::Uses),
            ("compose -f ci.yml up -d", Action::Pull(Registry::Unknown)),
            ("compose -f ci.yml down", Action::Uses),
            ("--version", Action::Uses),
            ("tag a b", Action::Uses),
            ("push a", Action::Uses),
            ("image prune -f", Action::Uses),
            ("logout", Action::Logout(Registry::Hub)),
            ("logout ghcr.io", Action::Logout(Registry::Other)),
        ] {
            assert_eq!(of(line), action, "{line}");
        }
    }
}
