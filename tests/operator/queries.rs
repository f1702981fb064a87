//! What the saved queries answer of the events of a day, those of `docs/events.md`.

use super::insights::{Row, run};
use super::records::{self, SCOPE};
use super::{path, read};
use std::collections::BTreeSet;
use std::fs;
use unthrottled::domain::decide::{Judgement, LeaveReason};
use unthrottled::domain::history::{Fact, History, Record};
use unthrottled::edge::event::{self, Event, Place};
use unthrottled::edge::metrics::Metrics;

/// The log group of a day: events, and lines for CloudWatch.
fn day() -> Vec<Row> {
    let place = Place {
        scope: SCOPE.to_string(),
        account: Some("111122223333".to_string()),
        region: "eu-central-1".to_string(),
    };
    let mut history = History::default();
    let tell = |record: &Record| {
        history.apply(record).unwrap();
        event::of_record(record, &history, &place, "ledger")
    };
    let mut records = records::story();
    let left = Judgement::Left { reason: LeaveReason::NoPolicy, detail: "no policy matches".to_string() };
    let fact = Fact::Judged { build: records::build("stray", 1), judgement: left };
    let seq = records.len() as u64 + 1;
    records.push(Record { seq, at: records::at("15:00:00"), scope: SCOPE.to_string(), fact });
    let mut events: Vec<Event> = records.iter().filter_map(tell).collect();
    let at = records::at("15:30:00");
    events.push(event::credential_unusable(&place, "dockerhub", "missing", "there is no secret", at));
    events.push(event::tick_completed(&place, event::Tick::default(), jiff::SignedDuration::ZERO, at));
    let mut rows: Vec<Row> = events.iter().map(row).collect();
    rows.extend(metric_lines());
    rows
}

/// As CloudWatch has it: `@timestamp` beside the members.
fn row(event: &Event) -> Row {
    let mut row: Row = serde_json::from_value(serde_json::to_value(event).unwrap()).unwrap();
    let at = event.timestamp.strftime("%F %T.%3f").to_string();
    row.insert("@timestamp".to_string(), at.into());
    row
}

fn metric_lines() -> Vec<Row> {
    let metrics = Metrics::default();
    for status in ["ok", "ok", "throttled", "throttled", "throttled"] {
        metrics.called("CodeBuild", "BatchGetBuilds", status);
    }
    metrics.called("IAM", "PutRolePolicy", "denied");
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = file.reopen().unwrap();
    let output = unthrottled::edge::telemetry::Output {
        format: unthrottled::edge::telemetry::LogFormat::Json,
        filter: "off",
        color: unthrottled::edge::telemetry::Color::Never,
        clock: unthrottled::edge::clock::now,
        metrics: None,
        writer: move || writer.try_clone().unwrap(),
    };
    let subscriber = unthrottled::edge::telemetry::subscriber(output).unwrap();
    tracing::subscriber::with_default(subscriber, || metrics.tell(records::at("16:00:00")));
    let text = fs::read_to_string(file.path()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a saved query answers, a line a row.
fn answer(name: &str) -> String {
    let lines = run(&read(&format!("deploy/queries/{name}.cwli")), &day());
    let cell = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let line = |row: &Row| row.values().map(cell).collect::<Vec<_>>().join("  ");
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_changed() {
    insta::assert_snapshot!(answer("changed"));
}

#[test]
fn why_nothing_was_done() {
    insta::assert_snapshot!(answer("not-acted"));
}

#[test]
fn how_long_a_cure_took() {
    insta::assert_snapshot!(answer("time-to-cure"));
}

#[test]
fn which_projects_are_left_to_people() {
    insta::assert_snapshot!(answer("escalated"));
}

#[test]
fn who_is_throttled_and_under_no_policy() {
    insta::assert_snapshot!(answer("without-policy"));
}

#[test]
fn what_happened_to_credentials() {
    insta::assert_snapshot!(answer("credentials"));
}

#[test]
fn who_was_throttled_by_whom() {
    insta::assert_snapshot!(answer("throttles"));
}

#[test]
fn what_was_told_of_one_project() {
    insta::assert_snapshot!(answer("one-project"));
}

#[test]
fn which_calls_were_refused() {
    assert_eq!(answer("refused-calls"), "CodeBuild  BatchGetBuilds  throttled  3.0\nIAM  PutRolePolicy  denied  1.0");
}

/// A name that no event and no metric has would match nothing for ever.
#[test]
fn queries_name_members_and_events_that_there_are() {
    let mut members: BTreeSet<String> =
        ["@timestamp", "Calls", "service", "operation", "status"].map(String::from).into();
    members.extend(event::schema().get("properties").unwrap().as_object().unwrap().keys().cloned());
    let kinds: BTreeSet<&str> = event::Kind::ALL.iter().map(|kind| kind.name()).collect();
    for entry in fs::read_dir(path("deploy/queries")).unwrap() {
        let file = entry.unwrap().path();
        let query = fs::read_to_string(&file).unwrap();
        assert!(query.starts_with("# "), "{file:?} says what it answers");
        let code: Vec<&str> = query.lines().filter(|line| !line.starts_with('#')).collect();
        let mut own: BTreeSet<String> = BTreeSet::new();
        for aggregate in code.join("\n").split(" as ").skip(1) {
            own.insert(aggregate.split([',', ' ', '\n']).next().unwrap().to_string());
        }
        for line in &code {
            for word in line
                .split('"')
                .step_by(2)
                .flat_map(|plain| plain.split(|c: char| !(c.is_alphanumeric() || "_@".contains(c))))
            {
                let is_name = word.len() > 2 && word.chars().any(char::is_alphabetic);
                let is_syntax = [
                    "fields",
                    "filter",
                    "stats",
                    "sort",
                    "limit",
                    "desc",
                    "asc",
                    "and",
                    "count",
                    "count_distinct",
                    "sum",
                    "latest",
                    "ispresent",
                ]
                .contains(&word);
                assert!(!is_name || is_syntax || members.contains(word) || own.contains(word), "{file:?}: {word}");
            }
            if line.contains("event ") {
                for quoted in line.split('"').skip(1).step_by(2) {
                    assert!(kinds.contains(quoted), "{file:?}: no event {quoted}");
                }
            }
        }
    }
}
