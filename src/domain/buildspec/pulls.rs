//! Can one command have pulled from Docker Hub?
//!
//! Asked of a command that failed while its log speaks of Docker Hub's limit. Nearly every program may pull: a script, a
//! build tool, a test. Only what is known to print and move files alone does not, and a `docker pull` that names its image.

use super::command::{self, Deed};
use super::docker::{Action, Registry};
use super::login::Shell;
use super::shell;
use super::word::Variables;

/// Where a command may have pulled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulls {
    /// From Docker Hub, as far as can be told.
    Perhaps,
    /// From other registries alone.
    Elsewhere,
    /// From nowhere.
    Nothing,
}

/// Programs that print, look for and move files and run no other.
const HARMLESS: [&str; 47] = [
    ":", "[", "aws", "basename", "cat", "cd", "chmod", "chown", "cp", "curl", "cut", "date", "diff", "dirname", "echo",
    "exit", "export", "false", "git", "grep", "egrep", "head", "hostname", "jq", "ls", "mkdir", "mv", "printenv",
    "printf", "pwd", "rm", "sed", "set", "sleep", "sort", "tail", "tar", "tee", "test", "touch", "tr", "true", "uniq",
    "unzip", "wc", "wget", "zip",
];

/// Looks at a command as the shell gets it. What can't be read may be anything.
pub fn pulls(script: &str) -> Pulls {
    let (Ok(calls), Ok(deeds)) =
        (shell::parse(script), command::deeds(script, Shell::Sh, &mut Variables::default(), None))
    else {
        return Pulls::Perhaps;
    };
    let program = |call: &shell::Call| call.words.first().map(|word| word.literal().unwrap_or_default());
    let programs: Vec<String> = calls.iter().filter_map(program).collect();
    let is_harmless = |program: &str| HARMLESS.contains(&program);
    if programs.is_empty() {
        return Pulls::Perhaps;
    }
    if programs.iter().all(|program| is_harmless(program)) {
        return Pulls::Nothing;
    }
    let others = calls.iter().filter(|call| program(call).is_some_and(|program| !is_harmless(&program)));
    let only_pulls = others.into_iter().all(|call| {
        let words: Vec<String> = call.words.iter().map(|word| word.literal().unwrap_or_default()).collect();
        matches!(words.as_slice(), [docker, pull, ..] if docker == "docker" && pull == "pull")
    });
    let elsewhere = deeds.iter().all(|deed| match deed {
        Deed::Does(action) => *action == Action::Pull(Registry::Other),
        Deed::Sets(_) => true,
    });
    if only_pulls && elsewhere { Pulls::Elsewhere } else { Pulls::Perhaps }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("docker build -t app .", Pulls::Perhaps)]
    #[case("make image", Pulls::Perhaps)]
    #[case("./build.sh", Pulls::Perhaps)]
    #[case("set -e\ncd web\ndocker build .", Pulls::Perhaps)]
    #[case("echo $(docker run node:22 node -v)", Pulls::Perhaps)]
    #[case("cat list | xargs -n1 docker pull", Pulls::Perhaps)]
    #[case("bash -c 'echo toomanyrequests'", Pulls::Perhaps)]
    #[case("$BUILDER .", Pulls::Perhaps)]
    #[case("echo \"unclosed", Pulls::Perhaps)]
    #[case("docker pull node:22", Pulls::Perhaps)]
    #[case("docker pull $IMAGE", Pulls::Perhaps)]
    #[case("docker pull ghcr.io/acme/web:1", Pulls::Elsewhere)]
    #[case("docker pull ghcr.io/acme/web:1 && docker pull node", Pulls::Perhaps)]
    #[case("docker run ghcr.io/acme/ci ./test", Pulls::Perhaps)]
    #[case("echo 'toomanyrequests: You have reached your pull rate limit.'; exit 1", Pulls::Nothing)]
    #[case("echo 'docker pull node' && false", Pulls::Nothing)]
    #[case("cat message && exit 1", Pulls::Nothing)]
    #[case("git log -1 --format=%B; test 1 = 2", Pulls::Nothing)]
    #[case("curl -sf https://example.com/limits || exit 1", Pulls::Nothing)]
    #[case("A=b", Pulls::Perhaps)]
    fn a_command_tells_where_it_may_pull_from(#[case] script: &str, #[case] expected: Pulls) {
        assert_eq!(pulls(script), expected);
    }
}
