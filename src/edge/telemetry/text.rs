//! Log lines as people read them: when, how bad, what, where, and the diff below.
//!
//! Some of the text comes from outside (a log line, an image's name), so what a terminal would obey is escaped.

use super::Color;
use crate::domain::legible::legible;
use crate::edge::event::{Event, Level};
use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fmt::Write;

/// As wide as the longest name of an event.
const EVENT_WIDTH: usize = 21;

/// As wide as most names of projects.
const PROJECT_WIDTH: usize = 16;

/// How far what belongs to a line is indented below it: under the event's name.
const INDENT: &str = "                 ";

/// An event: one line, and below it the evidence, the diff, and what else its message does not say.
pub fn render(event: &Event, color: Color) -> String {
    let level = event.level.name();
    let project = event.project_name.as_ref().map_or("-", |name| name.as_str());
    let mut text = format!(
        "{}  {}  {:EVENT_WIDTH$}  {}  {}\n",
        time(event.timestamp),
        painted(&format!("{:5}", level.to_uppercase()), level_style(event.level), color),
        event.event,
        painted(&format!("{:PROJECT_WIDTH$}", legible(project)), BOLD, color),
        legible(&event.message),
    );
    if let Some(evidence) = &event.evidence {
        below(&mut text, &format!("> {evidence}"), DIM, color);
    }
    for line in event.changes.iter().flat_map(|changes| changes.lines()) {
        below(&mut text, line, diff_style(line), color);
    }
    let unsaid = event.detail.iter().filter(|detail| !event.message.contains(detail.as_str()));
    for line in unsaid.flat_map(|detail| detail.lines()) {
        below(&mut text, line, Style::new(), color);
    }
    text
}

/// Anything else that is logged.
pub(super) fn render_other(
    at: Timestamp,
    level: &str,
    target: &str,
    message: &str,
    fields: &Map<String, Value>,
) -> String {
    let mut text = format!("{}  {:5}  {target}  {}", time(at), level.to_uppercase(), legible(message));
    for (name, value) in fields {
        let value = match value {
            Value::String(value) => legible(value).into_owned(),
            other => other.to_string(),
        };
        // Writing to a string can't fail.
        let _ = write!(text, "  {name}={value}");
    }
    text.push('\n');
    text
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn below(text: &mut String, line: &str, style: Style, color: Color) {
    text.push_str(INDENT);
    text.push_str(&painted(&legible(line), style, color));
    text.push('\n');
}

fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

fn level_style(level: Level) -> Style {
    match level {
        Level::Error => AnsiColor::Red.on_default().bold(),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Info => AnsiColor::Green.on_default(),
        Level::Debug => DIM,
    }
}

fn diff_style(line: &str) -> Style {
    match line.as_bytes().first() {
        Some(b'+') => AnsiColor::Green.on_default(),
        Some(b'-') => AnsiColor::Red.on_default(),
        Some(b'~') => AnsiColor::Yellow.on_default(),
        _ => DIM,
    }
}

fn painted(text: &str, style: Style, color: Color) -> String {
    match color {
        Color::Never => text.to_string(),
        Color::Always => format!("{style}{text}{style:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::build::ProjectName;
    use crate::edge::event::{self, Kind};

    fn planned() -> Event {
        let at = "2026-01-05T10:02:11.9Z".parse().unwrap();
        Event {
            event: Kind::RemediationPlanned,
            level: Level::Info,
            message: "`registry_credential` is planned for project `web`".to_string(),
            project_name: Some(ProjectName::new("web")),
            evidence: Some("toomanyrequests".to_string()),
            changes: Some("+ role a\n~ project\n-   old\n+   new\n      above".to_string()),
            ..event::daemon_started("mode = apply\npolicy = one", at)
        }
    }

    #[test]
    fn what_belongs_to_an_event_stands_below_it() {
        insta::assert_snapshot!(render(&planned(), Color::Never), @r"
        10:02:11  INFO   RemediationPlanned     web               `registry_credential` is planned for project `web`
                         > toomanyrequests
                         + role a
                         ~ project
                         -   old
                         +   new
                               above
                         mode = apply
                         policy = one
        ");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let colored = render(&planned(), Color::Always);
        assert!(colored.contains("\u{1b}[32m+ role a\u{1b}[0m\n"));
        assert!(colored.contains("\u{1b}[31m-   old\u{1b}[0m\n"));
        let stripped = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(stripped, render(&planned(), Color::Never));
    }

    #[test]
    fn text_from_outside_moves_no_cursor_and_begins_no_line() {
        let event = Event {
            message: "a\r\n\u{1b}[31m\u{202e}b".to_string(),
            evidence: Some("\u{7}\u{9b}2J".to_string()),
            changes: Some("+ \u{1b}]0;title\u{7}".to_string()),
            detail: None,
            ..planned()
        };
        let text = render(&event, Color::Never);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains(r"a\u000d\u000a\u001b[31m\u202eb"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    }

    #[test]
    fn the_columns_hold_the_longest_name() {
        let longest = Kind::ALL.iter().map(|kind| kind.name().len()).max();
        assert_eq!(longest, Some(EVENT_WIDTH));
    }
}
