//! What can be seen of a buildspec's docker use, before anything failed?

use super::command;
use super::document::Document;
use super::login::{Login, Shell};
use super::outline::{self, Item, Outline, PHASES, Phase};
use super::refusal::{Hidden, Refusal, Unsupported};
use super::splice::Splice;
use super::walk;
use super::{Placement, Spare};

/// What the commands show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A command pulls from Docker Hub, or may, and no login stands before it.
    Pulls {
        /// The command's line, from 1.
        line: usize,
        /// The line of the command that names docker.
        command: String,
    },
    /// A command may pull, but out of sight, or behind a login that can't be told.
    Perhaps {
        /// Where.
        line: Option<usize>,
        /// Why it can't be told, in a few words.
        why: String,
    },
    /// It logs in to Docker Hub before it pulls.
    LoggedIn {
        /// The command that does.
        line: usize,
    },
    /// It pulls nothing from Docker Hub, as far as can be seen.
    Nothing,
    /// It can't be read.
    Unreadable(Refusal),
}

/// Looks at a buildspec whose commands run in this shell, unless it names its own.
pub fn sight(text: &str, shell: Shell) -> Sight {
    let looked = Document::parse(text).and_then(|document| {
        let outline = outline::outline(&document)?;
        Ok(look(&document, &outline, shell))
    });
    looked.unwrap_or_else(Sight::Unreadable)
}

/// The first script or make target with something to do with images that runs before the login which this splice puts
/// in, and its line: what it pulls, it pulls without one.
pub fn called_before(text: &str, login: &Login, splice: &Splice) -> Option<(usize, Hidden)> {
    let document = Document::parse(text).ok()?;
    let outline = outline::outline(&document).ok()?;
    let shell = outline.shell.unwrap_or(login.shell);
    let phase_of = |name: &str| PHASES.iter().position(|phase| *phase == name);
    let login_at = (phase_of(&splice.phase), splice.line);
    let line_of = |item: &Item<'_>| outline::spot(&document, item.node).0;
    let is_before = |phase: &Phase<'_>, item: &Item<'_>| (phase_of(phase.name), line_of(item)) < login_at;
    let (item, calls) = walk::call_of_images(&outline, shell, is_before)?;
    Some((line_of(item), calls))
}

fn look(document: &Document, outline: &Outline<'_>, shell: Shell) -> Sight {
    let login = Login { shell: outline.shell.unwrap_or(shell), ..Login::default() };
    match walk::first_hub_pull(document, outline, &login) {
        Ok((phase, item)) => {
            let item = &outline.phases[phase].items[item];
            let (line, _) = outline::spot(document, item.node);
            Sight::Pulls { line, command: telling(item.text).to_string() }
        }
        Err(Placement::AlreadyLoggedIn { line, .. }) => Sight::LoggedIn { line },
        Err(Placement::NotNeeded(Spare::OtherRegistries { .. } | Spare::Mirror { .. } | Spare::NoPull { .. })) => {
            Sight::Nothing
        }
        Err(Placement::Refused(refusal)) => refused(refusal),
        Err(Placement::Insert(_)) => Sight::Nothing,
    }
}

/// The line of a command that names docker.
fn telling(command: &str) -> &str {
    let mut lines = command.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.clone().next().unwrap_or_default();
    lines.find(|line| command::speaks_of_docker(line)).unwrap_or(first)
}

fn refused(refusal: Refusal) -> Sight {
    let line = refusal.place().map(|(line, _)| line);
    let perhaps = |why: String| Sight::Perhaps { line, why };
    match &refusal {
        Refusal::NoDockerUse { calls: None, .. } => Sight::Nothing,
        Refusal::NoDockerUse { calls: Some(calls), .. } => perhaps(out_of_sight(*calls)),
        Refusal::HiddenDockerUse { calls, .. } => perhaps(out_of_sight(*calls)),
        Refusal::UnknownRegistryLogin { .. } => perhaps("a login whose registry only the build knows".to_string()),
        Refusal::NotSupported { what: Unsupported::OwnLogin, .. } => perhaps("podman or buildah".to_string()),
        _ => Sight::Unreadable(refusal),
    }
}

fn out_of_sight(calls: Hidden) -> String {
    calls.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn of(commands: &str) -> Sight {
        sight(&format!("version: 0.2\nphases:\n  build:\n    commands:\n{commands}"), Shell::Sh)
    }

    fn pulls(line: usize, command: &str) -> Sight {
        Sight::Pulls { line, command: command.to_string() }
    }

    #[rstest]
    #[case("      - docker build -t app .\n", pulls(5, "docker build -t app ."))]
    #[case("      - docker pull public.ecr.aws/x/y\n      - docker pull redis:7\n", pulls(6, "docker pull redis:7"))]
    #[case(
        "      - |\n        # docker\n        cd app\n        docker pull redis:7\n",
        pulls(6, "docker pull redis:7")
    )]
    #[case("      - docker pull public.ecr.aws/x/y\n", Sight::Nothing)]
    #[case("      - docker tag a b\n", Sight::Nothing)]
    #[case("      - npm test\n      - ./a.sh\n", Sight::Perhaps { line: Some(5), why: "a build tool that is called".to_string() })]
    #[case("      - ./a.sh\n", Sight::Perhaps { line: Some(5), why: "a script that is called".to_string() })]
    #[case("      - docker login -u a -p $P $REG\n      - docker build .\n", Sight::Perhaps { line: Some(5), why: "a login whose registry only the build knows".to_string() })]
    #[case("      - docker login -u a -p b\n      - docker build .\n", Sight::LoggedIn { line: 5 })]
    #[case("      - echo hello\n", Sight::Nothing)]
    #[case("      - podman pull docker.io/library/redis\n", Sight::Perhaps { line: Some(5), why: "podman or buildah".to_string() })]
    #[case("      - docker tag a b\n      - ./a.sh\n", Sight::Perhaps { line: Some(6), why: "a script that is called".to_string() })]
    // A variable of the login's name is no login.
    #[case("      - export DOCKERHUB_USERNAME=me\n      - docker build .\n", pulls(6, "docker build ."))]
    fn what_a_buildspec_shows(#[case] commands: &str, #[case] seen: Sight) {
        assert_eq!(of(commands), seen);
    }

    /// Where `env.shell` says nothing, it is the shell of the build's image.
    #[test]
    fn commands_are_read_as_the_shell_of_the_image_reads_them() {
        let text = "version: 0.2\nphases:\n  build:\n    commands:\n      - if ($a) { docker pull redis:7 }\n";
        assert_eq!(sight(text, Shell::PowerShell), pulls(5, "if ($a) { docker pull redis:7 }"));
        assert!(matches!(sight(text, Shell::Sh), Sight::Unreadable(_)));
    }

    #[rstest]
    #[case("      - ./docker/build.sh\n      - docker run alpine\n", Some((5, Hidden::Script)))]
    #[case("      - make push-image\n      - docker run alpine\n", Some((5, Hidden::Make)))]
    #[case("      - docker run alpine\n      - ./docker/build.sh\n", None)]
    #[case("      - ./test.sh\n      - docker run alpine\n", None)]
    #[case("      - ./docker/build.sh && docker run alpine\n", None)]
    // What stands below runs before, in an earlier phase.
    #[case("      - docker run alpine\n  pre_build:\n    commands:\n      - ./docker/build.sh\n", Some((8, Hidden::Script)))]
    #[case("      - docker run alpine\n  post_build:\n    commands:\n      - ./docker/build.sh\n", None)]
    fn what_may_pull_before_the_login_is_named(#[case] commands: &str, #[case] called: Option<(usize, Hidden)>) {
        let text = format!("version: 0.2\nphases:\n  build:\n    commands:\n{commands}");
        let login = Login::default();
        let Placement::Insert(splice) = super::super::place_login(&text, &login) else { panic!("no edit") };
        assert_eq!(called_before(&text, &login, &splice), called);
    }

    #[test]
    fn what_is_no_buildspec_says_where() {
        let Sight::Unreadable(refusal) = sight("version: 0.2\nphases: [\n", Shell::Sh) else { panic!("read") };
        assert_eq!(refusal.tag(), "not_yaml");
        assert!(refusal.place().is_some());
    }
}
