//! What a buildspec tells CodeBuild to do: variables and commands, or why it cannot be read.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The phases that a buildspec may name.
pub(super) const PHASES: [&str; 4] = ["install", "pre_build", "build", "post_build"];

/// A buildspec, as far as the simulator runs it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Buildspec {
    /// `0.1` runs each command in a shell of its own.
    pub(super) one_shell: bool,
    pub(super) shell: String,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) phases: BTreeMap<&'static str, Commands>,
}

/// One phase's commands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Commands {
    pub(super) commands: Vec<String>,
    pub(super) finally: Vec<String>,
    pub(super) on_failure: Option<String>,
}

/// Where a project's buildspec comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    Inline(&'t str),
    /// A file of the repository; empty is `buildspec.yml`.
    Path(&'t str),
    S3(&'t str),
}

/// How CodeBuild takes the text of `source.buildspec`. AWS documents the three forms, not how it tells them apart.
pub(super) fn kind(text: &str) -> Kind<'_> {
    let trimmed = text.trim();
    if trimmed.starts_with("arn:") && trimmed.contains(":s3:::") {
        return Kind::S3(trimmed);
    }
    let mapping = || parse_yaml(text).is_ok_and(|value| value.is_object());
    if trimmed.contains('\n') || trimmed.starts_with('{') || (!trimmed.is_empty() && mapping()) {
        return Kind::Inline(text);
    }
    Kind::Path(trimmed)
}

/// A buildspec as it is written, with every scalar a text.
pub(super) fn tree(text: &str) -> Result<Value, String> {
    parse_yaml(text)
}

/// Reads a buildspec; the error is CodeBuild's message under `YAML_FILE_ERROR`.
pub(super) fn read(text: &str) -> Result<Buildspec, String> {
    let value = parse_yaml(text).map_err(|message| format!("YAML_FILE_ERROR Message: {message}"))?;
    let version = value.get("version").and_then(scalar);
    let one_shell = match version.as_deref() {
        Some("0.2") => true,
        Some("0.1") => false,
        Some(other) => return Err(format!("Invalid buildspec version: {other}")),
        None => return Err("This build requires a buildspec version".to_owned()),
    };
    let phases = value.get("phases").and_then(Value::as_object).ok_or("Expected phases to be a map in buildspec")?;
    let mut spec = Buildspec { one_shell, ..Buildspec::default() };
    for (name, phase) in phases {
        let Some(known) = PHASES.iter().find(|known| *known == name) else {
            return Err(format!("Invalid buildspec phase name: {name}. Expecting: build,install,post_build,pre_build"));
        };
        spec.phases.insert(known, read_phase(phase)?);
    }
    if let Some(env) = value.get("env") {
        spec.shell = env.get("shell").and_then(scalar).unwrap_or_default();
        spec.variables = string_map(env.get("variables"));
        spec.secrets = string_map(env.get("secrets-manager"));
    }
    Ok(spec)
}

fn read_phase(phase: &Value) -> Result<Commands, String> {
    Ok(Commands {
        commands: command_list("Commands", phase.get("commands"))?,
        finally: command_list("Finally", phase.get("finally"))?,
        on_failure: phase.get("on-failure").and_then(scalar),
    })
}

fn command_list(name: &str, value: Option<&Value>) -> Result<Vec<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                scalar(item).ok_or_else(|| {
                    let found = if item.is_object() { "subkeys" } else { "a list" };
                    format!("Expected {name}[{at}] to be of string type: found {found} instead")
                })
            })
            .collect(),
        Some(single) => scalar(single)
            .map(|command| vec![command])
            .ok_or_else(|| format!("Expected {name} to be a list of strings")),
    }
}

fn string_map(value: Option<&Value>) -> BTreeMap<String, String> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
        .collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A YAML document as JSON. Every scalar but a plain null is a string: the buildspec needs no numbers.
fn parse_yaml(text: &str) -> Result<Value, String> {
    let mut builder = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        builder.take(event)?;
    }
    Ok(builder.root.unwrap_or(Value::Null))
}

/// Puts the parser's events together.
#[derive(Default)]
struct Tree {
    root: Option<Value>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Value>,
}

enum Open {
    List(Vec<Value>, usize),
    Map(Map<String, Value>, Option<String>, usize),
}

impl Tree {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null");
                let value = if null { Value::Null } else { Value::String(text.into_owned()) };
                self.close(value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open.push(Open::List(Vec::new(), anchor));
                Ok(())
            }
            Event::MappingStart(_, anchor, _) => {
                self.open.push(Open::Map(Map::new(), None, anchor));
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items, anchor)) => self.close(Value::Array(items), anchor),
                Some(Open::Map(members, _, anchor)) => self.close(Value::Object(members), anchor),
                None => Err("unbalanced YAML".to_owned()),
            },
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or_default();
                self.close(value, 0)
            }
            _ => Ok(()),
        }
    }

    fn close(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => {
                // A second document is ignored.
                self.root.get_or_insert(value);
            }
            Some(Open::List(items, _)) => items.push(value),
            Some(Open::Map(members, key, _)) => match key.take() {
                Some(key) => {
                    members.insert(key, value);
                }
                None => *key = Some(scalar(&value).ok_or("a key must be a string")?),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_path_and_s3_are_told_apart() {
        assert!(matches!(kind("version: 0.2\nphases: {}\n"), Kind::Inline(_)));
        assert!(matches!(kind("{\"version\": \"0.2\"}"), Kind::Inline(_)));
        assert!(matches!(kind("version: 0.2"), Kind::Inline(_)));
        assert_eq!(kind("ci/build.yml"), Kind::Path("ci/build.yml"));
        assert_eq!(kind("  "), Kind::Path(""));
        assert!(matches!(kind("arn:aws:s3:::bucket/b.yml"), Kind::S3(_)));
    }

    #[test]
    fn commands_are_strings_and_a_mapping_among_them_is_codebuilds_error() {
        let spec = read(
            "version: 0.2\nenv:\n  variables: {A: 1}\nphases:\n  build:\n    on-failure: CONTINUE\n    commands:\n      - echo a\n      - |\n        echo b\n        echo c\n    finally: [echo d]\n",
        )
        .expect("it parses");
        let build = &spec.phases["build"];
        assert_eq!(build.commands, ["echo a", "echo b\necho c\n"]);
        assert_eq!((build.finally.len(), build.on_failure.as_deref()), (1, Some("CONTINUE")));
        assert_eq!(spec.variables["A"], "1");
        assert_eq!(
            read("version: 0.2\nphases:\n  build:\n    commands:\n      - a\n      - echo b: c\n"),
            Err("Expected Commands[1] to be of string type: found subkeys instead".to_owned())
        );
        assert!(
            read("version: 0.2\nphases:\n  deploy:\n    commands: []\n")
                .expect_err("no such phase")
                .starts_with("Invalid buildspec phase name: deploy.")
        );
        assert!(read("version: 0.2\nphases: [\n").is_err());
    }

    #[test]
    fn anchors_stand_for_their_value() {
        let spec = read("version: 0.2\nx: &c [echo a]\nphases:\n  build:\n    commands: *c\n").expect("it parses");
        assert_eq!(spec.phases["build"].commands, ["echo a"]);
    }
}
