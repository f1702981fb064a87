//! What does a command do to docker, once `sudo`, `sh -c`, `timeout` and the like are taken off it?

use super::docker::{self, Action, Registry};
use super::login::Shell;
use super::refusal::Hidden;
use super::shell::{self, Call, Unreadable};
use super::windows;
use super::word::{Variables, Word};
use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// Wrappers within wrappers.
const DEEPEST: usize = 8;

/// Words that a command must hold to be worth parsing: it may touch docker.
const TOOLS: [&str; 15] = [
    "docker",
    "podman",
    "buildah",
    "nerdctl",
    "sam",
    "pack",
    "earth",
    "bazel",
    "localstack",
    "kind",
    "k3d",
    "skaffold",
    "mirror",
    "buildx",
    "jib",
];

/// Words without which none of these tools pulls, logs in or starts the daemon. `docker tag` and `docker push`, the
/// most frequent commands of all, need no parsing.
const VERBS: [&str; 18] = [
    "build", "pull", "run", "create", "up", "bake", "log", "dockerd", "start", "mirror", "deploy", "install", "local",
    "dev", "test", "bud", "jib", "+",
];

/// One thing that a script does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It touches docker, or might.
    Does(Action),
    /// It gives a variable a value.
    Sets(String),
}

/// Whether a command may pull, log in or set a variable: the others need no parsing.
pub(super) fn is_worth_reading(script: &str) -> bool {
    let assigns = script.split_whitespace().next().is_some_and(|word| word == "export" || word.contains('='));
    let has = |words: &Option<AhoCorasick>| words.as_ref().is_none_or(|words| words.is_match(script));
    assigns || has(&TOOLS_IN) && has(&VERBS_IN)
}

static TOOLS_IN: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_case(&TOOLS));
static VERBS_IN: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| any_case(&VERBS));

/// Finds any of these words in one pass: most commands are looked at for nothing else.
fn any_case(words: &[&str]) -> Option<AhoCorasick> {
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
}

/// Whether it names docker anywhere, be it in a comment or a text.
pub(super) fn speaks_of_docker(script: &str) -> bool {
    let lower = script.to_lowercase();
    ["docker", "podman", "buildah"].iter().any(|tool| lower.contains(tool))
}

/// Which statements are worth reading, where not all are.
type Only<'a> = Option<&'a dyn Fn(&str) -> bool>;

/// What a script does, in order; with `only`, as far as statements for which it holds do it.
pub(super) fn deeds(
    script: &str,
    shell: Shell,
    variables: &mut Variables,
    only: Only<'_>,
) -> Result<Vec<Deed>, Unreadable> {
    let calls = match shell {
        Shell::Sh => read(script, only)?,
        Shell::PowerShell | Shell::Cmd => windows::read(script, shell),
    };
    let mut deeds = Vec::new();
    for call in &calls {
        deeds_of(call, variables, only, DEEPEST, &mut deeds)?;
    }
    Ok(deeds)
}

fn read(script: &str, only: Only<'_>) -> Result<Vec<Call>, Unreadable> {
    only.map_or_else(|| shell::read(script), |is_worth| shell::read_worth(script, is_worth))
}

fn deeds_of(
    call: &Call,
    variables: &mut Variables,
    only: Only<'_>,
    depth: usize,
    deeds: &mut Vec<Deed>,
) -> Result<(), Unreadable> {
    if depth == 0 {
        return Err(Unreadable);
    }
    for (name, value) in call.assignments.iter().filter(|(name, _)| !is_argument(call, name)) {
        variables.set(name, value.clone());
        deeds.push(Deed::Sets(name.clone()));
    }
    if sets_a_mirror(call) {
        deeds.push(Deed::Does(Action::Mirror));
    }
    let words: Vec<String> = call.words.iter().map(|word| variables.resolve(word)).collect();
    let Some((program, arguments)) = words.split_first() else {
        return Ok(());
    };
    if starts_the_daemon_for(&program_name(program), arguments) {
        deeds.push(Deed::Does(Action::Daemon));
    }
    match inner(&program_name(program), arguments, call) {
        Inner::Script(script) => {
            for call in read(&script, only)? {
                deeds_of(&call, variables, only, depth - 1, deeds)?;
            }
        }
        Inner::Command(skipped) => {
            let words = call.words.get(skipped..).unwrap_or_default().to_vec();
            let assignments = Vec::new();
            let input = call.input.clone();
            deeds_of(&Call { assignments, words, input }, variables, only, depth - 1, deeds)?;
        }
        Inner::Itself => deeds.extend(action(&program_name(program), program, arguments).map(Deed::Does)),
    }
    Ok(())
}

/// Whether `NAME=value` is an argument of a command that sets no variable: `docker build --build-arg NAME=value`.
fn is_argument(call: &Call, name: &str) -> bool {
    let program = call.words.first().and_then(Word::literal).unwrap_or_default();
    let declares = matches!(program.as_str(), "export" | "declare" | "typeset" | "local" | "readonly");
    let is_it = |word: &Word| {
        word.literal().is_some_and(|text| text.strip_prefix(name).is_some_and(|rest| rest.starts_with(['=', '+'])))
    };
    !declares && call.words.iter().skip(1).any(is_it)
}

/// What a command that only runs another runs.
enum Inner {
    /// A script in one word.
    Script(String),
    /// The command from this word on.
    Command(usize),
    /// It is no such command.
    Itself,
}

fn inner(program: &str, arguments: &[String], call: &Call) -> Inner {
    let after = |flags: &[&str], extra: usize| {
        let rest = docker::skip_flags(arguments, flags);
        let assignments = rest.iter().take_while(|word| is_assignment(word)).count();
        Inner::Command(1 + arguments.len() - rest.len() + assignments + extra)
    };
    match program {
        "sudo" | "doas" => after(&["-u", "--user", "-g", "--group", "-h", "-p", "-C", "-T", "-r", "-t", "-U"], 0),
        "env" => after(&["-u", "--unset", "-C", "--chdir", "-S"], 0),
        "time" | "nohup" | "exec" | "command" | "builtin" | "setsid" | "unbuffer" | "chronic" => after(&["-a"], 0),
        "nice" | "ionice" | "stdbuf" => after(&["-n", "-c", "-p", "-i", "-o", "-e"], 0),
        "timeout" | "gtimeout" => after(&["-s", "--signal", "-k", "--kill-after"], 1),
        "xargs" => after(&["-n", "-P", "-I", "-L", "-d", "-s", "-E", "-a"], 0),
        "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" => shell_script(arguments, call),
        "eval" => Inner::Script(call.words.iter().skip(1).map(|word| word.script() + " ").collect()),
        _ if starts_the_daemon_for(program, arguments) => Inner::Command(1),
        _ if wraps(program) => {
            arguments.iter().position(|word| is_docker(word)).map_or(Inner::Itself, |at| Inner::Command(at + 1))
        }
        "kubectl" | "docker" | "echo" => Inner::Itself,
        // `aws-vault exec ci -- docker build .`, `find -exec docker build {} ;`
        _ => arguments
            .windows(2)
            .position(|pair| matches!(pair[0].as_str(), "--" | "-exec" | "-execdir") && is_docker(&pair[1]))
            .map_or(Inner::Itself, |at| Inner::Command(at + 2)),
    }
}

/// `bash -lc SCRIPT`, or a here document that bash reads.
fn shell_script(arguments: &[String], call: &Call) -> Inner {
    let is_command_flag = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
    if let Some(at) = arguments.iter().position(is_command_flag) {
        let script = call.words.get(at + 2).map(Word::script);
        return script.map_or(Inner::Itself, Inner::Script);
    }
    match &call.input {
        Some(input) if arguments.iter().all(|word| word.starts_with('-')) => Inner::Script(input.clone()),
        _ => Inner::Itself,
    }
}

/// The entry point of docker's own images: it starts the daemon, then runs its arguments as a command.
fn starts_the_daemon_for(program: &str, arguments: &[String]) -> bool {
    program == "dockerd-entrypoint.sh"
        && arguments.first().is_some_and(|word| !word.starts_with(['-', '$', '&', '>']) && word != "dockerd")
}

/// Helpers that repeat or guard the command in their arguments.
fn wraps(program: &str) -> bool {
    ["retry", "backoff", "repeat", "attempt"].iter().any(|part| program.contains(part))
        || matches!(program, "parallel" | "watch" | "flock" | "travis_wait" | "with_backoff")
}

fn is_docker(word: &str) -> bool {
    matches!(program_name(word).as_str(), "docker" | "docker-compose")
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=')
        .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

/// The program without its folder. A variable whose name has docker in it is docker.
fn program_name(word: &str) -> String {
    let lower = word.to_lowercase();
    if lower.starts_with("${") && lower.ends_with('}') && lower.contains("docker") && !lower.contains('/') {
        return if lower.contains("compose") { "docker-compose" } else { "docker" }.to_string();
    }
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    name.trim_end_matches(".exe").to_string()
}

fn sets_a_mirror(call: &Call) -> bool {
    let has = |text: &str| text.contains("registry-mirror");
    call.words.iter().any(|word| has(&word.script())) || call.input.as_deref().is_some_and(has)
}

/// What a command does that runs no other.
fn action(program: &str, path: &str, arguments: &[String]) -> Option<Action> {
    let first = arguments.first().map(String::as_str).unwrap_or_default();
    let has = |words: &[&str]| arguments.iter().any(|argument| words.contains(&argument.as_str()));
    Some(match program {
        "docker" if path.starts_with("/etc/init.d/") => Action::Daemon,
        "docker" => docker::docker(arguments),
        "docker-compose" => docker::compose(arguments),
        "docker-buildx" | "buildx" => docker::buildx(arguments),
        "podman" | "buildah" | "nerdctl" if has(&["build", "bud", "pull", "run", "from", "create", "compose"]) => {
            Action::OwnPull
        }
        "sam" if first == "build" && has(&["-u", "--use-container"]) => Action::Pull(Registry::Unknown),
        "sam" if first == "local" => Action::Pull(Registry::Unknown),
        "pack" if first == "build" => Action::Pull(Registry::Unknown),
        "earthly" | "earth" if arguments.iter().any(|word| word.contains('+')) => Action::Pull(Registry::Unknown),
        "bazel" | "bazelisk" if builds_an_image(arguments) => Action::Pull(Registry::Unknown),
        // jib reads the login of the docker client.
        "mvn" | "mvnw" | "gradle" | "gradlew" if arguments.iter().any(|word| is_jib(word)) => {
            Action::Pull(Registry::Unknown)
        }
        "localstack" if has(&["start"]) => Action::Pull(Registry::Hub),
        "kind" | "k3d" if has(&["create"]) => Action::Pull(Registry::Hub),
        "skaffold" if has(&["build", "run", "dev"]) => Action::Pull(Registry::Unknown),
        "dockerd" | "dockerd-entrypoint.sh" | "start-dockerd" => Action::Daemon,
        "sh" | "bash" | "." | "source" if program_name(first).starts_with("dockerd") => Action::Daemon,
        "service" if first == "docker" && has(&["start"]) => Action::Daemon,
        "systemctl" if has(&["start"]) && has(&["docker", "docker.service"]) => Action::Daemon,
        _ => return hidden(program, path, arguments).map(Action::Calls),
    })
}

fn builds_an_image(arguments: &[String]) -> bool {
    let verbs = ["build", "run", "test"];
    arguments.iter().any(|word| verbs.contains(&word.as_str()))
        && arguments.iter().any(|word| ["image", "docker", "container", "push"].iter().any(|part| word.contains(part)))
}

/// `jib`, `jib:build`, `:app:jibDockerBuild`, `com.google.cloud.tools:jib-maven-plugin:build`
fn is_jib(word: &str) -> bool {
    !word.starts_with('-') && word.split([':', '-', '/']).any(|part| part.starts_with("jib"))
}

/// Whether this calls something of the source that may do anything.
fn hidden(program: &str, path: &str, arguments: &[String]) -> Option<Hidden> {
    let first = arguments.first().map(String::as_str).unwrap_or_default();
    let is_script = |word: &str| {
        [".sh", ".bash", ".py", ".ps1", ".rb", ".js", ".ts", ".pl", ".cmd", ".bat"]
            .iter()
            .any(|end| word.ends_with(end))
    };
    match program {
        "make" | "gmake" | "just" | "task" | "rake" | "invoke" | "inv" | "mage" => Some(Hidden::Make),
        "npm" | "yarn" | "pnpm" | "npx" | "mvn" | "mvnw" | "gradle" | "gradlew" | "sbt" | "tox" | "nox" | "pytest"
        | "cdk" | "sam" | "serverless" | "sls" | "copilot" | "ansible-playbook" | "terraform" | "go" | "cargo"
        | "dotnet" | "packer" | "molecule" | "poetry" | "uv" | "pipenv" | "bazel" | "bazelisk" => {
            Some(Hidden::BuildTool)
        }
        "su" | "runuser" | "gosu" => Some(Hidden::Elsewhere),
        "." | "source" | "sh" | "bash" | "dash" | "ash" | "zsh" => Some(Hidden::Script),
        "python" | "python3" | "node" | "ruby" | "perl" | "powershell" | "pwsh"
            if !first.starts_with('-') || arguments.iter().any(|word| is_script(word)) =>
        {
            Some(Hidden::Script)
        }
        _ if is_script(program) || path.starts_with("./") || path.starts_with("../") => Some(Hidden::Script),
        _ if path.starts_with("${CODEBUILD_SRC_DIR") => Some(Hidden::Script),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a script does to docker.
    fn actions(script: &str) -> Vec<Action> {
        let deeds = deeds(script, Shell::Sh, &mut Variables::default(), None).unwrap();
        let actions = deeds.into_iter().filter_map(|deed| match deed {
            Deed::Does(action) => Some(action),
            Deed::Sets(_) => None,
        });
        actions.collect()
    }

    const BUILDS: Action = Action::Pull(Registry::Unknown);

    #[test]
    fn what_only_runs_another_command_is_looked_through() {
        for script in [
            "sudo -E -u root docker build .",
            "env -u A B=c docker build .",
            "timeout -k 5 60 docker build .",
            "nice -n 10 nohup docker build .",
            "bash -lc 'cd x && docker build .'",
            "sh -exc \"docker build $DIR\"",
            "bash <<'EOF'\ndocker build .\nEOF",
            "bash <<< 'docker build .'",
            "eval \"docker build .\"",
            "eval docker build .",
            "./ci/retry.sh 3 docker build .",
            "aws-vault exec ci -- docker build .",
            "ls | xargs -n 1 docker build",
            "find . -name Dockerfile -exec docker build -f {} . \\;",
            "/usr/bin/docker build .",
            "${DOCKER} build .",
            "D=docker; $D build .",
            "env A_B=c docker build .",
        ] {
            assert_eq!(actions(script), [BUILDS], "{script}");
        }
    }

    #[test]
    fn only_what_may_pull_log_in_or_set_a_variable_is_worth_reading() {
        for script in ["docker build .", "Docker Pull a", "A=b", "export A", "export A=b c", "x | sudo podman login"] {
            assert!(is_worth_reading(script), "{script}");
        }
        for script in ["docker tag a b", "docker push a", "npm ci", "npm run build", "echo a=b", ""] {
            assert!(!is_worth_reading(script), "{script}");
        }
    }

    #[test]
    fn wrappers_within_wrappers_are_looked_through_as_far_as_anyone_nests_them() {
        let of = |wrapper: &str, times: usize| {
            let script = format!("{}docker build .", wrapper.repeat(times));
            deeds(&script, Shell::Sh, &mut Variables::default(), None)
        };
        for wrapper in ["sudo ", "eval "] {
            assert_eq!(of(wrapper, DEEPEST - 1), Ok(vec![Deed::Does(BUILDS)]), "{wrapper}");
            assert_eq!(of(wrapper, DEEPEST), Err(Unreadable), "{wrapper}");
        }
    }

    #[test]
    fn words_about_docker_do_nothing() {
        for script in [
            "echo docker build .",
            "echo \"Building: docker build .\"",
            "printf '%s' 'docker login'",
            "apt-get install -y docker",
            "cat > build.txt <<EOF\ndocker build .\nEOF",
            "# docker build .",
            "ssh host docker build .",
            "kubectl exec pod -- docker build .",
            "pip install docker",
        ] {
            assert_eq!(actions(script), [], "{script}");
        }
    }

    #[test]
    fn images_are_followed_through_variables() {
        assert_eq!(actions("A=public.ecr.aws; B=$A/x; docker pull $B:1"), [Action::Pull(Registry::Other)]);
        assert_eq!(actions("A=node; docker pull ${A}"), [Action::Pull(Registry::Hub)]);
        assert_eq!(actions("docker pull $(cat image)"), [BUILDS]);
        let doubling = format!("a=x; {} docker pull $a", "a=$a$a; ".repeat(40));
        assert_eq!(actions(&doubling).len(), 1);
    }

    #[test]
    fn arguments_of_docker_set_no_variable() {
        let set = |script| {
            let deeds = deeds(script, Shell::Sh, &mut Variables::default(), None).unwrap();
            deeds.contains(&Deed::Sets("A".to_string()))
        };
        for script in ["A=b", "export A=b", "export A=\"$B\"", "A=b docker build .", "readonly A=b", "export A=$(b)"] {
            assert!(set(script), "{script}");
        }
        for script in ["docker build --build-arg A=b .", "docker run -e A=\"$B\" x", "docker run -e A=$(b) x"] {
            assert!(!set(script), "{script}");
        }
    }

    #[test]
    fn what_the_entry_point_runs_comes_behind_the_daemon() {
        assert_eq!(actions("dockerd-entrypoint.sh main.sh"), [Action::Daemon, Action::Calls(Hidden::Script)]);
        assert_eq!(actions("/usr/local/bin/dockerd-entrypoint.sh docker build ."), [Action::Daemon, BUILDS]);
    }

    #[test]
    fn daemons_mirrors_and_other_tools_are_known() {
        for (script, action) in [
            ("nohup /usr/local/bin/dockerd --host=unix:///var/run/docker.sock &", Action::Daemon),
            ("bash /usr/local/bin/dockerd-entrypoint.sh", Action::Daemon),
            ("dockerd-entrypoint.sh dockerd --debug", Action::Daemon),
            ("sudo systemctl start docker", Action::Daemon),
            ("/etc/init.d/docker start", Action::Daemon),
            ("echo '{\"registry-mirrors\": []}' > /etc/docker/daemon.json", Action::Mirror),
            ("docker-compose -f a.yml up -d", BUILDS),
            ("podman build .", Action::OwnPull),
            ("sam build --use-container", BUILDS),
            ("earthly --push +image", BUILDS),
            ("bazel run //app:image_push", BUILDS),
            ("./mvnw -Pprod verify jib:build", BUILDS),
            ("./gradlew :app:jib --image=x", BUILDS),
            ("mvn -Djib.skip=true verify", Action::Calls(Hidden::BuildTool)),
            ("kind create cluster", Action::Pull(Registry::Hub)),
            ("make image", Action::Calls(Hidden::Make)),
            ("npm run image", Action::Calls(Hidden::BuildTool)),
            ("./ci/build", Action::Calls(Hidden::Script)),
            (". ci/env", Action::Calls(Hidden::Script)),
            ("su - builder -c 'docker build .'", Action::Calls(Hidden::Elsewhere)),
            ("$CODEBUILD_SRC_DIR/ci/build", Action::Calls(Hidden::Script)),
            ("env ./a=b docker build .", Action::Calls(Hidden::Script)),
            // What a shell reads is the script that it names, not the words behind or its input.
            ("bash ci/doc 'docker build .'", Action::Calls(Hidden::Script)),
            ("bash -x ci/build 'docker build .'", Action::Calls(Hidden::Script)),
            ("bash --norc 'docker build .'", Action::Calls(Hidden::Script)),
            ("bash ci/build <<EOF\ndocker build .\nEOF", Action::Calls(Hidden::Script)),
        ] {
            assert_eq!(actions(script), [action], "{script}");
        }
    }

    #[test]
    fn a_tool_pulls_only_by_some_of_its_verbs() {
        for (script, action) in [
            ("sam local invoke", BUILDS),
            ("pack build app", BUILDS),
            ("skaffold run", BUILDS),
            ("docker-buildx build .", BUILDS),
            ("docker stack deploy -c a.yml web", BUILDS),
            ("docker service create nginx", BUILDS),
            ("docker plugin install x", BUILDS),
            ("docker buildx inspect --bootstrap", Action::Pull(Registry::Hub)),
            ("localstack start -d", Action::Pull(Registry::Hub)),
            ("k3d cluster create ci", Action::Pull(Registry::Hub)),
            ("service docker start", Action::Daemon),
            ("python3 build.py", Action::Calls(Hidden::Script)),
            ("python3 manage", Action::Calls(Hidden::Script)),
            ("python3 -u build.py", Action::Calls(Hidden::Script)),
            ("docker stack ls", Action::Uses),
            ("docker service ls", Action::Uses),
            ("docker buildx inspect", Action::Uses),
            ("sam build", Action::Calls(Hidden::BuildTool)),
            ("sam deploy -u", Action::Calls(Hidden::BuildTool)),
            ("bazel run //app:lint", Action::Calls(Hidden::BuildTool)),
            ("bazel query //app:image", Action::Calls(Hidden::BuildTool)),
        ] {
            assert_eq!(actions(script), [action], "{script}");
        }
        for script in [
            "podman login",
            "pack inspect app",
            "skaffold version",
            "earthly prune",
            "localstack stop",
            "kind get clusters",
            "service docker status",
            "service nginx start",
            "systemctl stop docker",
            "systemctl start nginx",
            "python3 -c pass",
        ] {
            assert_eq!(actions(script), [], "{script}");
        }
    }
}
