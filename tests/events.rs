//! What is told about each thing that happens, in which words, and that the documentation says the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/capture.rs"]
mod capture;
#[path = "support/records.rs"]
mod records;

use capture::Capture;
use jiff::SignedDuration;
use records::{at, plan};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use unthrottled::domain::history::{Fact, History, Record};
use unthrottled::domain::policy::Remedy;
use unthrottled::domain::quota::Low;
use unthrottled::edge::event::{self, Event, Kind, Place, Tick};

const LEDGER: &str = "0c7d1f0e-3f35-4f0e-9a55-5f0c6f7b1a11";

fn place() -> Place {
    Place {
        scope: records::SCOPE.to_string(),
        account: Some("111122223333".to_string()),
        region: "eu-central-1".to_string(),
    }
}

/// As the daemon does it: each record is folded, then told.
fn told(records: &[Record]) -> Vec<Event> {
    let mut history = History::default();
    let tell = |record: &Record| {
        history.apply(record).unwrap();
        event::of_record(record, &history, &place(), LEDGER)
    };
    records.iter().filter_map(tell).collect()
}

fn of_the_daemon() -> Vec<Event> {
    let tick = Tick { builds_read: 12, builds_failed: 2, builds_throttled: 1, builds_waiting: 3, remediations_open: 1 };
    let web = plan("web", 41, Remedy::RegistryCredential);
    vec![
        event::daemon_started("daemon.mode = \"apply\"\npolicy services", at("09:59:59")),
        event::lease_awaited("DynamoDB table unthrottled", "pid 7 on ip-10-0-1-5", at("09:59:58")),
        event::lease_lost("DynamoDB table unthrottled", at("10:09:00")),
        event::settings_reloaded("daemon.mode = \"propose\"", at("10:10:00")),
        event::settings_rejected("unthrottled.toml: unknown key `daemon.mood`", at("10:11:00")),
        event::tick_completed(&place(), tick, SignedDuration::from_millis(412), at("10:12:00")),
        event::scan_incomplete(&place(), "throttled", "CodeBuild throttled ListBuilds", at("10:13:00")),
        event::write_refused(
            &place(),
            &web,
            "unrepresentable",
            "writing the project back would lose `cache.cacheNamespace`",
            at("10:14:00"),
        ),
        event::credential_unusable(
            &place(),
            "dockerhub",
            "not_found",
            "there is no secret `dockerhub` in eu-central-1",
            at("10:15:00"),
        ),
        event::quota_unknown(
            &place(),
            "dockerhub",
            "hub_unreached",
            "auth.docker.io was not reached: no answer in time",
            at("10:16:00"),
        ),
        event::daemon_stopped(at("18:00:00")),
    ]
}

/// The story, and what a person did after it.
fn story() -> Vec<Record> {
    let mut records = records::story();
    let credential = || "dockerhub".to_string();
    let detail = "12 of 200 pulls in 6h are left for 3 projects, and more than 20 have to be".to_string();
    let facts = [
        ("15:00:00", Fact::CredentialRotated { credential: credential() }),
        ("15:30:00", Fact::CredentialQuotaLow { credential: credential(), reason: Low::FewLeft, detail }),
        ("16:30:00", Fact::QuotaRestored { credential: credential() }),
    ];
    let scope = records[0].scope.clone();
    for (time, fact) in facts {
        let seq = records.len() as u64 + 1;
        records.push(Record { seq, at: at(time), scope: scope.clone(), fact });
    }
    records
}

#[test]
fn each_record_is_told_in_a_sentence_of_its_own() {
    let lines: Vec<String> = told(&story())
        .iter()
        .map(|event| {
            let level = event.level.name();
            format!("{level} {}: {}", event.event, event.message)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_is_told_of_a_cure_holds_all_that_a_query_needs() {
    let events = told(&records::records(records::cured()));
    let names: Vec<&str> = events.iter().map(|event| event.event.name()).collect();
    assert_eq!(
        names,
        ["ThrottleDetected", "RemediationPlanned", "RemediationApplied", "BuildRetried", "RemediationVerified"]
    );
    insta::assert_json_snapshot!(events);
}

#[test]
fn durations_are_from_the_end_of_the_build_and_from_the_plan() {
    let took: BTreeMap<&str, i64> = told(&records::records(records::cured()))
        .iter()
        .filter_map(|event| Some((event.event.name(), event.duration_ms?)))
        .collect();
    let expected = [("RemediationApplied", 17_250), ("RemediationVerified", 180_000), ("ThrottleDetected", 27_500)];
    assert_eq!(took, BTreeMap::from(expected));
}

#[test]
fn a_record_has_the_same_event_id_whenever_it_is_told() {
    let events = told(&story());
    let ids: BTreeSet<_> = events.iter().map(|event| event.event_id.clone()).collect();
    assert_eq!(ids.len(), events.len());
    assert_eq!(events, told(&story()));
    let first = events[0].event_id.as_deref();
    assert_eq!(first, Some(format!("{LEDGER}-1").as_str()));
}

#[test]
fn the_second_plan_of_a_project_is_its_second_attempt() {
    let mut facts = records::taken_back();
    facts.truncate(10);
    let again = plan("api", 9, Remedy::RegistryCredential);
    let planned = unthrottled::domain::history::Fact::Remediation {
        id: again.id.clone(),
        entry: unthrottled::domain::remediation::Entry::Planned(Box::new(again)),
    };
    facts.push((at("12:00:00"), planned));
    let attempts: Vec<usize> = told(&records::records(facts)).iter().filter_map(|event| event.attempt).collect();
    assert_eq!(attempts, [1, 2]);
}

#[test]
fn what_is_emitted_arrives_as_it_was() {
    let capture = Capture::new();
    let sent: Vec<Event> = told(&story()).into_iter().chain(of_the_daemon()).collect();
    {
        let _guard = capture.install();
        sent.iter().for_each(event::emit);
        tracing::error!("no event");
    }
    event::emit(&sent[0]);
    assert_eq!(capture.events(), sent);
    assert_eq!(capture.names().len(), sent.len());
    capture.take();
    assert_eq!(capture.take(), []);
}

#[test]
fn every_line_is_of_the_schema() {
    let schema = event::schema();
    let properties = schema.get("properties").unwrap().as_object().unwrap();
    for event in told(&story()).into_iter().chain(of_the_daemon()) {
        let line = serde_json::to_value(&event).unwrap();
        for (name, value) in line.as_object().unwrap() {
            assert!(properties.contains_key(name), "{name}");
            assert!(!value.is_null() && !value.is_object(), "{name} is flat");
        }
    }
}

/// The whole text of `docs/events.md`: the fields and the example of each event are those of a real line.
fn reference() -> String {
    let mut of_kind: BTreeMap<Kind, Vec<Event>> = BTreeMap::new();
    for event in told(&story()).into_iter().chain(of_the_daemon()) {
        of_kind.entry(event.event).or_default().push(event);
    }
    let mut text = String::from(
        "# Events\n\n\
        One JSON object a line, flat. Fields that do not apply are left out.\n\
        Every line has `timestamp`, `level`, `event`, `message` (readable alone) and `schema`.\n\
        Levels: `error` = a person must act, `warn` = something is degraded or was refused, `info` = something changed, `debug` = the daemon looked.\n\
        A line with an `event_id` may come twice after a crash, under the same id.\n\
        `unthrottled schema events` prints the JSON Schema.\n\n\
        This file is made by `cargo test --test events -- --ignored bless`.\n\n\
        ## Fields\n\n| field | meaning |\n| --- | --- |\n",
    );
    let schema = event::schema();
    for (name, field) in schema.get("properties").unwrap().as_object().unwrap() {
        let meaning = field.get("description").and_then(|d| d.as_str());
        let meaning = meaning.unwrap_or_else(|| panic!("`{name}` has no description"));
        writeln!(text, "| `{name}` | {} |", meaning.replace('\n', " ")).unwrap();
    }
    text.push_str("\n## Events\n\n| event | level | when |\n| --- | --- | --- |\n");
    for kind in Kind::ALL {
        let (name, level) = (kind.name(), kind.level().name());
        writeln!(text, "| [`{name}`](#{}) | {level} | {} |", name.to_lowercase(), kind.when()).unwrap();
    }
    for kind in Kind::ALL {
        let events = of_kind.get(kind);
        let events = events.unwrap_or_else(|| panic!("no test makes a {kind}"));
        write!(text, "\n{}", section(*kind, events)).unwrap();
    }
    text
}

fn section(kind: Kind, events: &[Event]) -> String {
    let always = ["timestamp", "level", "event", "message", "schema"];
    let mut fields: Vec<String> = Vec::new();
    for event in events {
        let line = serde_json::to_value(event).unwrap();
        for name in line.as_object().unwrap().keys() {
            if !always.contains(&name.as_str()) && !fields.contains(name) {
                fields.push(name.clone());
            }
        }
    }
    let fields: Vec<String> = fields.iter().map(|name| format!("`{name}`")).collect();
    let fields = if fields.is_empty() { String::new() } else { format!("Also: {}.\n\n", fields.join(", ")) };
    let example = serde_json::to_string(&events[0]).unwrap();
    format!("### {kind}\n\n{}\n\n{fields}```json\n{example}\n```\n", kind.when())
}

fn reference_path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md")
}

#[test]
fn the_documentation_is_of_this_code() {
    let written = std::fs::read_to_string(reference_path()).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/events.md is not what the code says; `cargo test --test events -- --ignored bless` writes it anew"
    );
}

#[test]
#[ignore = "writes docs/events.md"]
fn bless() {
    std::fs::write(reference_path(), reference()).unwrap();
}
