//! `docs/runbook.md` has a section for each alarm, each event and each reason, and for nothing that there is not.

use super::{monitoring, read};
use std::collections::{BTreeMap, BTreeSet};
use unthrottled::domain::classify::UnknownReason;
use unthrottled::domain::decide::{HoldReason, LeaveReason};
use unthrottled::domain::quota::{Low, Unsaid};
use unthrottled::domain::remediation::{EscalationReason, RollbackReason};
use unthrottled::edge::event::Kind;

/// The sections of each part: `## Part`, then `### Section`.
fn sections() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut parts: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let (mut part, mut section) = (String::new(), None);
    for line in read("docs/runbook.md").lines() {
        if let Some(title) = line.strip_prefix("## ") {
            (part, section) = (title.to_string(), None);
            parts.entry(part.clone()).or_default();
        } else if let Some(title) = line.strip_prefix("### ") {
            let title = title.to_string();
            let before = parts.entry(part.clone()).or_default().insert(title.clone(), String::new());
            assert_eq!(before, None, "`{title}` stands twice");
            section = Some(title);
        } else if let Some(section) = &section {
            let text = parts.get_mut(&part).unwrap().get_mut(section).unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    parts
}

fn titles(part: &str) -> BTreeSet<String> {
    sections().remove(part).unwrap_or_else(|| panic!("no part `{part}`")).into_keys().collect()
}

/// The words of an enum, as its schema lists them.
fn words(schema: &schemars::Schema) -> BTreeSet<String> {
    let of = |member: &serde_json::Value| -> Vec<String> {
        let one = member.get("const").and_then(|word| word.as_str());
        let many = member.get("enum").and_then(|words| words.as_array()).into_iter().flatten();
        one.into_iter().chain(many.filter_map(|word| word.as_str())).map(str::to_string).collect()
    };
    let schema = schema.as_value();
    let choices = schema.get("oneOf").and_then(|of| of.as_array()).cloned().unwrap_or_else(|| vec![schema.clone()]);
    let words: BTreeSet<String> = choices.iter().flat_map(of).collect();
    assert!(words.len() > 2, "{schema}");
    words
}

#[test]
fn every_alarm_has_a_section() {
    assert_eq!(titles("Alarms"), monitoring::alarms().into_iter().collect());
}

#[test]
fn every_event_has_a_section() {
    assert_eq!(titles("Events"), Kind::ALL.iter().map(|kind| kind.name().to_string()).collect());
}

#[test]
fn every_reason_has_a_section() {
    let mut reasons = BTreeSet::new();
    reasons.extend(words(&schemars::schema_for!(HoldReason)));
    reasons.extend(words(&schemars::schema_for!(LeaveReason)));
    reasons.extend(words(&schemars::schema_for!(EscalationReason)));
    reasons.extend(words(&schemars::schema_for!(RollbackReason)));
    reasons.extend(words(&schemars::schema_for!(UnknownReason)));
    // Those of a read or a write that failed, and of a secret, which are words and no schema.
    reasons.extend(in_source("src/reconcile/failure.rs"));
    reasons.extend(in_source("src/edge/secrets.rs"));
    reasons.extend([Low::FewLeft, Low::HubThrottled].map(|low| low.word().to_string()));
    reasons.extend([Unsaid::Unreached, Unsaid::NotUnderstood].map(|unsaid| unsaid.word().to_string()));
    reasons.extend(["list_order", "login_refused", "not_as_expected"].map(str::to_string));
    assert_eq!(titles("Reasons"), reasons);
}

/// The words that `fn word` of a file answers.
fn in_source(file: &str) -> Vec<String> {
    let source = read(file);
    let (_, body) = source.split_once("fn word(&self) -> &'static str {").unwrap();
    let (body, _) = body.split_once("\n    }\n").unwrap();
    let words: Vec<String> = body.split('"').skip(1).step_by(2).map(str::to_string).collect();
    assert!(words.len() > 3, "{file}");
    words
}

/// Whoever is called at night must find both.
#[test]
fn every_section_says_what_it_means_and_what_to_do() {
    for (part, sections) in sections() {
        for (title, text) in sections {
            assert!(text.contains("Means: ") && text.contains("Do: "), "{part}, {title}");
        }
    }
}

#[test]
fn commands_in_the_runbook_are_those_of_the_program() {
    use clap::CommandFactory as _;
    let known: BTreeSet<String> =
        unthrottled::cli::Cli::command().get_subcommands().map(|command| command.get_name().to_string()).collect();
    let text = read("docs/runbook.md");
    let mut named = BTreeSet::new();
    for rest in text.split("`unthrottled ").skip(1) {
        let command = rest.split(['`', ' ']).next().unwrap().to_string();
        if command == "=" {
            continue; // The tag.
        }
        assert!(known.contains(&command), "no command `{command}`");
        named.insert(command);
    }
    assert!(named.len() > 5, "{named:?}");
}
