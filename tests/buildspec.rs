//! Buildspecs in all the shapes that real ones have, each with what must become of it.
//!
//! `tests/buildspec/texts/NAME` is the text, `tests/buildspec/expected/NAME` the outcome in words or, for an edit, as a
//! diff (a carriage return shows as ␍).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't read its texts has nothing to say")]

use serde_norway::Value;
use similar::TextDiff;
use std::fs;
use std::path::{Path, PathBuf};
use unthrottled::domain::buildspec::login::Login;
use unthrottled::domain::buildspec::splice::Splice;
use unthrottled::domain::buildspec::{Placement, place_login, take_back};

#[path = "fuzz/buildspec.rs"]
mod fuzz;
#[path = "buildspec/properties.rs"]
mod properties;

#[test]
fn every_shape_comes_out_as_expected() {
    let mut wrong = Vec::new();
    for (name, text) in texts() {
        let expected = fs::read_to_string(folder().join("expected").join(&name)).unwrap_or_default();
        let outcome = outcome(&text);
        if outcome != expected {
            wrong.push(format!("== {name}\n-- expected\n{expected}-- is\n{outcome}"));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_edit_holds_for_another_parser_and_can_be_taken_back() {
    let mut edits = 0;
    for (name, text) in texts() {
        fuzz::holds_for(text.as_bytes());
        let Placement::Insert(splice) = place_login(&text, &Login::default()) else {
            continue;
        };
        edits += 1;
        let after = splice.apply(&text).unwrap();
        assert_only_the_login_is_new(&text, &after, &splice, &name);
        assert_eq!(splice.undo(&after).as_deref(), Some(text.as_str()), "{name}");
        assert_eq!(take_back(&after, &splice).as_deref(), Some(text.as_str()), "{name}");
        let again = place_login(&after, &Login::default());
        assert!(matches!(again, Placement::AlreadyLoggedIn { .. }), "{name}: {again:?}");
    }
    assert!(edits >= 40, "{edits} of the shapes are edited");
}

#[test]
fn what_would_cost_too_much_is_refused() {
    let deep = |opener: &str| {
        let (word, place) = refusal_at(&opener.repeat(10_000));
        assert!(place.is_some_and(|(line, column)| line == 1 && column > 1), "{opener}: {place:?}");
        word
    };
    for opener in ["[", "{", "- ", "? ", "{a: [", "- - "] {
        assert_eq!(deep(opener), "not_supported", "{opener}");
    }
    // 10 MiB, and the line with the first character over the limit.
    assert_eq!(refusal_at(&"- a\n".repeat(5 << 19)), ("too_long", Some((6_401, 1))));
    assert_eq!(refusal_at(&"x".repeat(10 << 20)), ("too_long", Some((1, 25_601))));
    assert_eq!(refusal_at(""), ("no_phases", Some((1, 1))));
    assert_eq!(refusal_at("version: 0.2\nphases:\n"), ("no_phases", Some((2, 1))));
    let mut aliases = "a0: &a0 [x]\n".to_string();
    for at in 1..60 {
        let before = at - 1;
        aliases += &format!("a{at}: &a{at} [*a{before}, *a{before}, *a{before}]\n");
    }
    assert_eq!(refusal(&format!("{aliases}phases:\n  build:\n    commands: *a59\n")), "command_is_mapping");
    assert_eq!(refusal("&a\nphases: *a\n"), "no_phases");
    assert_eq!(refusal("phases: {build: &b {commands: [*b, docker build .]}}\n"), "command_is_mapping");
}

#[test]
fn the_limit_holds_for_the_text_with_the_login() {
    let head = "version: 0.2\nphases:\n  build:\n    commands:\n      - docker build .\n# ";
    let login = 6 + 2 + Login::default().line().len() + 1;
    let fits = format!("{head}{}", "é".repeat(25_600 - head.len() - login));
    assert!(matches!(place_login(&fits, &Login::default()), Placement::Insert(_)));
    assert_eq!(refusal(&format!("{fits}é")), "too_long");
}

fn refusal(text: &str) -> &'static str {
    refusal_at(text).0
}

/// The reason with line and column.
fn refusal_at(text: &str) -> (&'static str, Option<(usize, usize)>) {
    match place_login(text, &Login::default()) {
        Placement::Refused(refusal) => (refusal.tag(), refusal.place()),
        other => panic!("{other:?}"),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/buildspec")
}

/// The fixtures with their names, in order.
fn texts() -> Vec<(String, String)> {
    let paths = fs::read_dir(folder().join("texts")).unwrap().map(|entry| entry.unwrap().path());
    let mut texts: Vec<(String, String)> = paths
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            (name, fs::read_to_string(&path).unwrap())
        })
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    texts.sort();
    assert!(texts.len() >= 64, "{} fixtures", texts.len());
    texts
}

fn outcome(text: &str) -> String {
    match place_login(text, &Login::default()) {
        Placement::Insert(splice) => {
            let after = splice.apply(text).unwrap();
            let diff = TextDiff::from_lines(text, &after);
            let diff = diff.unified_diff().context_radius(2).to_string();
            format!("{}\n", diff.replace('\r', "␍").trim_end_matches('\n'))
        }
        Placement::AlreadyLoggedIn { line, phase } => format!("logged in: line {line}, {phase}\n"),
        Placement::NotNeeded(spare) => format!("not needed: {spare}\n"),
        Placement::Refused(refusal) => format!("refused: {}: {refusal}\n", refusal.tag()),
    }
}

/// Reads both texts with a parser that shares no code with the editor's: the commands in the order in which they run
/// are the same but for one login, and the rest of the document is the same.
fn assert_only_the_login_is_new(before: &str, after: &str, splice: &Splice, name: &str) {
    // That parser takes a byte order mark for a document of its own.
    let [before, after] = [before, after].map(|text| text.trim_start_matches('\u{feff}'));
    let (mut old, mut new): (Value, Value) =
        (serde_norway::from_str(before).unwrap(), serde_norway::from_str(after).unwrap());
    let (old_commands, mut new_commands) = (commands(&mut old), commands(&mut new));
    let at = new_commands.iter().position(|command| is_login(command)).unwrap_or_else(|| panic!("{name}: no login"));
    new_commands.remove(at);
    assert_eq!(old_commands, new_commands, "{name}: the commands");
    let old_phases = old["phases"].as_mapping().unwrap().len();
    if new["phases"].as_mapping().unwrap().len() > old_phases {
        new["phases"].as_mapping_mut().unwrap().remove(splice.phase.as_str());
    }
    assert_eq!(old, new, "{name}: the rest");
    let pull = old_commands.iter().position(|command| pulls(command));
    // One text for all commands counts as many as it has lines.
    assert!(pull.is_none_or(|pull| at <= pull), "{name}: the login is command {at}, the pull {pull:?}");
}

/// Whether a line of this command is one of those by which the texts here pull from Docker Hub.
fn pulls(command: &str) -> bool {
    let pulls = ["docker build", "docker pull", "docker run", "docker-compose build", "sam build"];
    command.lines().filter(|line| !line.contains("public.ecr.aws")).any(|line| {
        let line = line.rsplit(['&', '|']).next().unwrap_or_default();
        pulls.iter().any(|pull| line.trim().starts_with(pull))
    })
}

fn is_login(command: &str) -> bool {
    command.contains("docker login -u") && command.contains("DOCKERHUB_PASSWORD")
}

/// The commands of all phases in the order in which they run, taken out of the document. Where one text holds them all,
/// its lines count.
fn commands(document: &mut Value) -> Vec<String> {
    let mut commands = Vec::new();
    for phase in ["install", "pre_build", "build", "post_build"] {
        for list in ["commands", "finally"] {
            match document["phases"].get_mut(phase).and_then(|phase| phase.get_mut(list)) {
                Some(Value::Sequence(items)) => {
                    commands.extend(items.drain(..).map(|item| item.as_str().unwrap_or_default().to_string()));
                }
                Some(Value::String(text)) => commands.extend(std::mem::take(text).lines().map(String::from)),
                _ => {}
            }
        }
    }
    commands
}
