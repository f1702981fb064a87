//! The smallest edit of a buildspec that puts a Docker Hub login before the first command that pulls an image.
//!
//! Expected flow: [`place_login`] reads the text with positions, walks the commands in the order in which CodeBuild runs
//! them, chooses a place and proves the edit: the text after it means the same plus exactly one command. The caller
//! keeps the [`Splice`](splice::Splice), puts it in with `apply` and takes it out with `undo`, or with [`take_back`]
//! where others have changed the text meanwhile.
//!
//! Guarantees: every other byte stays, comments, quotes and line breaks included; a second call finds the login of the
//! first. No text at all makes it panic, hang or recurse without bound; in doubt it refuses, with a reason.
//!
//! Caveats: images named in Dockerfiles and compose files are out of sight, so a `docker build` counts as a pull from
//! Docker Hub. Scripts that a buildspec calls are not read.

pub mod batch;
pub mod clients;
mod command;
mod docker;
mod document;
mod edit;
pub mod login;
mod nesting;
mod outline;
mod place;
mod plain;
pub mod pulls;
mod quick;
mod quote;
pub mod refusal;
mod shell;
pub mod sight;
pub mod splice;
mod statements;
mod walk;
mod windows;
mod word;

use document::Document;
use login::{Login, Shell};
use refusal::{Refusal, Unsupported};
use serde::{Deserialize, Serialize};
use splice::Splice;
use std::fmt;

/// CodeBuild's limit for a buildspec in a project, in characters.
const MOST_CHARACTERS: usize = 25_600;

/// What is to be done with one buildspec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Put the login in.
    Insert(Splice),
    /// It logs in to Docker Hub before it pulls.
    AlreadyLoggedIn {
        /// The command that does.
        line: usize,
        /// Its phase.
        phase: String,
    },
    /// It pulls nothing that a login would help.
    NotNeeded(Spare),
    /// Left as it is.
    Refused(Refusal),
}

/// Why a login would be spare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Spare {
    /// All images that it names are of other registries.
    OtherRegistries {
        /// The first of these commands.
        line: usize,
    },
    /// It sets up a mirror of Docker Hub.
    Mirror {
        /// The command that does.
        line: usize,
    },
    /// It uses docker, but pulls nothing.
    NoPull {
        /// The first command that uses docker.
        line: usize,
    },
}

impl Spare {
    /// The line of the command that tells.
    pub fn line(&self) -> usize {
        let (Spare::OtherRegistries { line } | Spare::Mirror { line } | Spare::NoPull { line }) = self;
        *line
    }

    /// The reason as a sentence, without the place.
    pub fn sentence(&self) -> &'static str {
        match self {
            Spare::OtherRegistries { .. } => "all images that it names are of other registries than Docker Hub",
            Spare::Mirror { .. } => "it sets up a mirror of Docker Hub",
            Spare::NoPull { .. } => "it uses docker, but pulls nothing",
        }
    }
}

impl fmt::Display for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line(), self.sentence())
    }
}

/// Where the login goes in this buildspec, or why it goes nowhere.
pub fn place_login(text: &str, login: &Login) -> Placement {
    find(text, login).unwrap_or_else(|other| other)
}

fn find(text: &str, login: &Login) -> Result<Placement, Placement> {
    let document = Document::parse(text).map_err(Placement::Refused)?;
    let outline = outline::outline(&document).map_err(Placement::Refused)?;
    let shell = outline.shell.unwrap_or(if outline.speaks_powershell() { Shell::PowerShell } else { login.shell });
    let login = Login { shell, ..login.clone() };
    let place = place::place(&document, &outline, &login)?;
    if let Some((line, column, what)) = document::escaped_dollar(text, shell) {
        return Err(Placement::Refused(Refusal::Template { line, column, what }));
    }
    if let Some((line, column)) = document::older_line_break(text) {
        let what = Unsupported::Unproven;
        return Err(Placement::Refused(Refusal::NotSupported { line, column, what }));
    }
    let splice = edit::edit(&document, text, place, &login.line()).map_err(Placement::Refused)?;
    let characters = text.chars().count() + splice.insert.chars().count();
    if characters > MOST_CHARACTERS {
        let after = splice.apply(text).unwrap_or_default();
        return Err(Placement::Refused(Refusal::too_long(&after, MOST_CHARACTERS)));
    }
    Ok(Placement::Insert(splice))
}

/// Takes our insertion out of a text that others have changed around it; nothing unless it is unmistakably ours: it
/// stands there once, whole, and without it the text means the same but for that one command.
pub fn take_back(text: &str, splice: &Splice) -> Option<String> {
    let mut found = text.match_indices(splice.insert.as_str());
    let (at, _) = found.next()?;
    if found.next().is_some() || splice.insert.ends_with('\n') && !text[..at].ends_with('\n') {
        return None;
    }
    let moved = Splice { at, ..splice.clone() };
    let before = moved.undo(text)?;
    edit::is_undone(text, &before, &splice.insert).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const LINE: &str = r#"echo "${DOCKERHUB_PASSWORD}" | docker login -u "${DOCKERHUB_USERNAME}" --password-stdin"#;

    fn placed(text: &str) -> Splice {
        match place_login(text, &Login::default()) {
            Placement::Insert(splice) => splice,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_login_goes_above_the_item_that_pulls() {
        let text =
            "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n      # the image\n      - docker build .\n";
        let splice = placed(text);
        let after = splice.apply(text).unwrap();
        assert_eq!(
            after,
            format!(
                "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n      - {LINE}\n      # the image\n      - docker build .\n"
            )
        );
        assert_eq!((splice.line, splice.phase.as_str(), splice.above.as_str()), (6, "build", "# the image"));
        assert_eq!(splice.undo(&after).unwrap(), text);
        assert_eq!(
            place_login(&after, &Login::default()),
            Placement::AlreadyLoggedIn { line: 6, phase: "build".to_string() }
        );
    }

    #[test]
    fn our_line_alone_is_taken_out_of_a_changed_text() {
        let text = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build .\n";
        let splice = placed(text);
        let changed = splice.apply(text).unwrap().replace("version: 0.2", "# new\nversion: 0.2\nrun-as: root");
        let back = take_back(&changed, &splice).unwrap();
        assert_eq!(back, text.replace("version: 0.2", "# new\nversion: 0.2\nrun-as: root"));
        let twice = changed.replace(&splice.insert, &splice.insert.repeat(2));
        assert_eq!(take_back(&twice, &splice), None, "twice");
        assert_eq!(take_back(text, &splice), None, "gone");
        let swallowed = changed
            .replace("    commands:\n", "    commands:\n      - |\n        x\n")
            .replace("      - echo", "        - echo");
        assert_eq!(take_back(&swallowed, &splice), None, "no command of its own any more");
        let indented = changed.replace("      - ", "        - ");
        assert_eq!(take_back(&indented, &splice), None, "the line is another: it begins with more blanks");
    }

    fn refusal(text: &str) -> &'static str {
        match place_login(text, &Login::default()) {
            Placement::Refused(refusal) => refusal.tag(),
            other => panic!("{other:?}"),
        }
    }

    /// A login is kept in the home of who logged in: in a phase of another user it would be of no use.
    #[test]
    fn no_login_goes_into_a_phase_of_another_user() {
        let text = |user: &str| {
            format!(
                "version: 0.2\nphases:\n  pre_build:\n    commands:\n      - echo a\n  build:\n{user}    commands: docker build .\n"
            )
        };
        assert_eq!(placed(&text("")).phase, "pre_build");
        assert_eq!(refusal(&text("    run-as: app\n")), "inside_script");
    }

    #[rstest]
    #[case("echo a", Placement::NotNeeded(Spare::NoPull { line: 5 }))]
    #[case(
        "make",
        Placement::Refused(Refusal::HiddenDockerUse { line: 8, column: 9, calls: refusal::Hidden::Make })
    )]
    fn who_asks_for_docker_as_a_runtime_uses_it(#[case] command: &str, #[case] expected: Placement) {
        let text = format!(
            "version: 0.2\nphases:\n  install:\n    runtime-versions:\n      docker: 19\n  build:\n    commands:\n      - {command}\n"
        );
        assert_eq!(place_login(&text, &Login::default()), expected);
    }

    #[test]
    fn a_variable_that_a_command_sets_is_not_taken_for_the_login() {
        let text = "version: 0.2\nphases:\n  build:\n    commands:\n      - cd x; DOCKERHUB_USERNAME=me\n      - docker build .\n";
        assert_eq!(refusal(text), "variable_in_use");
    }
}
