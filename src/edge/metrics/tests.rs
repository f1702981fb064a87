use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

fn at(time: &str) -> Timestamp {
    format!("2026-01-05T{time}Z").parse().unwrap()
}

/// By the published specification of the embedded metric format.
fn check_emf(line: &str) -> Vec<(String, Value)> {
    assert!(line.len() <= 256 * 1024 && !line.contains('\n'));
    let root: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    let aws = root["_aws"].as_object().unwrap();
    let known: Vec<&str> = aws.keys().map(String::as_str).collect();
    assert_eq!(known, ["Timestamp", "CloudWatchMetrics"]);
    // Milliseconds since 1970: a plausible year, which seconds or microseconds would not be.
    let year = Timestamp::from_millisecond(aws["Timestamp"].as_i64().unwrap()).unwrap().strftime("%Y").to_string();
    assert_eq!(year, "2026");
    let mut defined = Vec::new();
    for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
        let members: BTreeSet<&str> = directive.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, BTreeSet::from(["Namespace", "Dimensions", "Metrics"]));
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!(!namespace.is_empty() && namespace.len() <= 1024 && !namespace.starts_with("AWS/"));
        for set in directive["Dimensions"].as_array().unwrap() {
            let set = set.as_array().unwrap();
            assert!(set.len() <= 30);
            for dimension in set {
                let value = root[dimension.as_str().unwrap()].as_str().unwrap();
                assert!(!value.is_empty() && value.len() <= 1024 && value.is_ascii());
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert!(["Count", "Seconds"].contains(&metric["Unit"].as_str().unwrap()), "units of CloudWatch's list");
            let name = metric["Name"].as_str().unwrap();
            let value = root[name].clone();
            let is_number = |value: &Value| value.as_f64().is_some_and(f64::is_finite);
            match &value {
                Value::Array(values) => {
                    assert!(values.len() <= 100 && !values.is_empty() && values.iter().all(is_number));
                }
                other => assert!(is_number(other), "{name} = {other}"),
            }
            defined.push((name.to_string(), value));
        }
    }
    let names: BTreeSet<&String> = defined.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), defined.len(), "a metric stands once in a line");
    defined
}

fn lines(metrics: &Metrics, now: Timestamp) -> Vec<String> {
    emf::take(&mut metrics.held.lock().unwrap(), now)
}

/// The values of the lines, by metric and the line's other members.
fn told(metrics: &Metrics, now: Timestamp) -> BTreeMap<String, Value> {
    let mut told = BTreeMap::new();
    for line in lines(metrics, now) {
        let root: serde_json::Map<String, Value> = serde_json::from_str(&line).unwrap();
        for (name, value) in check_emf(&line) {
            let metric = Metric::ALL.iter().find(|metric| metric.name() == name).unwrap();
            let labels: Vec<&str> = metric.dimensions().iter().map(|label| root[*label].as_str().unwrap()).collect();
            told.insert(format!("{name} {}", labels.join(" ")).trim_end().to_string(), value);
        }
    }
    told
}

const COUNTS: event::Tick =
    event::Tick { builds_read: 12, builds_failed: 2, builds_throttled: 1, builds_waiting: 3, remediations_open: 1 };

fn seen() -> Coverage {
    Coverage { projects_seen: 40, projects_unwatched: 2, ..Coverage::default() }
}

/// A throttled build that was cured, in two ticks of the daemon.
fn busy() -> Metrics {
    let metrics = Metrics::default();
    metrics.called("CodeBuild", "ListBuilds", "ok");
    metrics.called("CodeBuild", "ListBuilds", "ok");
    metrics.called("CodeBuild", "BatchGetBuilds", "throttled");
    let line = |text: &str| serde_json::from_str::<Event>(text).unwrap();
    metrics.told(&line(
        r#"{"timestamp":"2026-01-05T10:00:27.500Z","level":"warn","event":"ThrottleDetected","message":"","schema":1,
        "build_id":"web:41","diagnosis":"hub_pull_limit","registry":"docker_hub","duration_ms":27500}"#,
    ));
    metrics.told(&line(
        r#"{"timestamp":"2026-01-05T10:01:00Z","level":"info","event":"RemediationApplied","message":"","schema":1,
        "build_id":"web:41","remedy":"registry_credential","duration_ms":20000}"#,
    ));
    metrics.ticked(COUNTS, seen(), at("10:00:59"), at("10:01:00"));
    metrics
}

#[test]
fn lines_for_cloudwatch_hold_what_was_added_since_the_last_ones() {
    let metrics = busy();
    let first = told(&metrics, at("10:01:00"));
    let value = |name: &str| first.get(name).unwrap_or_else(|| panic!("{name} in {first:?}")).clone();
    assert_eq!(value("Calls CodeBuild ListBuilds ok"), 2);
    assert_eq!(value("Calls CodeBuild BatchGetBuilds throttled"), 1);
    assert_eq!(value("Throttles hub_pull_limit docker_hub"), 1);
    assert_eq!(value("Remediations registry_credential applied"), 1);
    assert_eq!(value("Events ThrottleDetected warn"), 1);
    assert_eq!(value("Ticks whole"), 1);
    assert_eq!(value("BuildsSeen"), 12);
    assert_eq!(value("ProjectsSeen"), 40.0);
    assert_eq!(value("DetectionSeconds"), serde_json::json!([27.5]));
    assert_eq!(value("AppliedSeconds"), serde_json::json!([60.0]));
    assert_eq!(value("SinceWholeTickSeconds"), 0.0);

    let second = told(&metrics, at("10:01:40"));
    assert_eq!(second.get("BuildsSeen"), Some(&Value::from(0)));
    assert_eq!(second.get("SinceWholeTickSeconds"), Some(&Value::from(40.0)));
    let counted = ["Calls CodeBuild ListBuilds ok", "Throttles hub_pull_limit docker_hub", "DetectionSeconds"];
    assert!(counted.iter().all(|name| !second.contains_key(*name)), "{second:?}");
}

#[test]
fn an_array_of_values_is_cut_where_cloudwatch_would() {
    let metrics = Metrics::default();
    for n in 0..250 {
        metrics.tick_failed(at("10:00:00"), at("10:00:00") + SignedDuration::from_secs(n));
    }
    let lengths: Vec<usize> = lines(&metrics, at("10:00:00"))
        .iter()
        .flat_map(|line| check_emf(line))
        .filter_map(|(name, value)| (name == "TickSeconds").then(|| value.as_array().unwrap().len()))
        .collect();
    assert_eq!(lengths, [100, 100, 50]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let metrics = Metrics::default();
    for n in 0..3 * REMEMBERED {
        let text = format!(
            r#"{{"timestamp":"2026-01-05T10:00:27Z","level":"warn","event":"ThrottleDetected","message":"","schema":1,
            "build_id":"web-{n}:1","diagnosis":"hub_pull_limit","registry":"docker_hub","duration_ms":1000}}"#
        );
        metrics.told(&serde_json::from_str(&text).unwrap());
    }
    let held = metrics.held.lock().unwrap();
    assert_eq!(held.ended.len(), REMEMBERED);
    assert_eq!(held.distributions[&Metric::DetectionSeconds].fresh.len(), MOST_FRESH);
    assert_eq!(held.counters.len(), 2);
}

#[test]
fn the_age_of_the_last_whole_tick_counts_on_through_parts() {
    let metrics = Metrics::default();
    let age = |now| told(&metrics, at(now)).get("SinceWholeTickSeconds").and_then(Value::as_f64);
    assert_eq!(age("10:00:00"), None, "a daemon that waits for the lease has no ticks to miss");
    metrics.tick_failed(at("10:00:00"), at("10:00:10"));
    assert_eq!(age("10:01:00"), Some(60.0));
    metrics.ticked(COUNTS, seen(), at("10:01:00"), at("10:01:05"));
    assert_eq!(age("10:01:05"), Some(0.0));
    let part = Coverage { scopes_incomplete: 1, ..seen() };
    metrics.ticked(COUNTS, part, at("10:02:00"), at("10:02:05"));
    assert_eq!(age("10:03:05"), Some(120.0));
}

/// Every line of the text format 0.0.4 is a help, a type or a sample; those of a metric stand together, once.
fn check_prometheus(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut types): (BTreeMap<String, f64>, BTreeMap<String, String>) = Default::default();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let mut current = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !text.is_empty() && !types.contains_key(name), "{line}");
            current = name.to_string();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(name == current && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(types.insert(name.to_string(), kind.to_string()).is_none());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').map_or((series, None), |(name, rest)| (name, Some(rest)));
            let of = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            assert!(of == current || name == current, "{line} below {current}");
            for label in labels.map(|labels| labels.strip_suffix('}').unwrap()).iter().flat_map(|l| l.split(',')) {
                let (label, text) = label.split_once('=').unwrap();
                assert!(is_name(label) && text.starts_with('"') && text.ends_with('"') && text.len() > 2, "{line}");
            }
            let value = value.parse::<f64>().unwrap();
            assert!(value.is_finite() && samples.insert(series.to_string(), value).is_none(), "{line}");
        }
    }
    samples
}

#[test]
fn prometheus_reads_totals_and_gauges() {
    let metrics = busy();
    let _ = told(&metrics, at("10:01:00"));
    let samples = check_prometheus(&metrics.prometheus(at("10:01:30")));
    let value = |series: &str| *samples.get(series).unwrap_or_else(|| panic!("{series} in {samples:#?}"));
    assert_eq!(value(r#"unthrottled_calls_total{service="CodeBuild",operation="ListBuilds",status="ok"}"#), 2.0);
    assert_eq!(value(r#"unthrottled_throttles_total{diagnosis="hub_pull_limit",registry="docker_hub"}"#), 1.0);
    assert_eq!(value("unthrottled_builds_seen_total"), 12.0);
    assert_eq!(value("unthrottled_projects_seen"), 40.0);
    assert_eq!(value("unthrottled_since_whole_tick_seconds"), 30.0);
    assert_eq!(value(r#"unthrottled_detection_seconds_bucket{le="10"}"#), 0.0);
    assert_eq!(value(r#"unthrottled_detection_seconds_bucket{le="30"}"#), 1.0);
    assert_eq!(value(r#"unthrottled_detection_seconds_bucket{le="60"}"#), 1.0, "buckets add up");
    assert_eq!(value(r#"unthrottled_detection_seconds_bucket{le="+Inf"}"#), 1.0);
    assert_eq!(value("unthrottled_detection_seconds_sum"), 27.5);
    assert_eq!(value("unthrottled_detection_seconds_count"), 1.0);
}

#[test]
fn a_daemon_that_did_nothing_yet_has_counters_at_0_and_no_gauges() {
    let samples = check_prometheus(&Metrics::default().prometheus(at("10:00:00")));
    assert_eq!(samples.get("unthrottled_builds_seen_total"), Some(&0.0));
    assert!(!samples.contains_key("unthrottled_projects_seen"), "0 would say that it watches nothing");
    assert!(!samples.contains_key("unthrottled_since_whole_tick_seconds"));
}

#[test]
fn a_label_can_hold_anything() {
    let metrics = Metrics::default();
    metrics.called("Code\"Build", "List\\Builds\nx", "ok");
    let text = metrics.prometheus(at("10:00:00"));
    let expected = r#"unthrottled_calls_total{service="Code\"Build",operation="List\\Builds\nx",status="ok"} 1"#;
    assert!(text.lines().any(|line| line == expected), "{text}");
}

/// What an account had left is told by the credential's name, and no longer than it is known: an old number would pass
/// for a good one.
#[test]
fn pulls_are_told_by_credential_as_long_as_they_are_known() {
    let of = |pulls: &[(&str, u64, u64)]| {
        let pulls = pulls
            .iter()
            .map(|(name, remaining, limit)| (name.to_string(), Pulls { remaining: *remaining, limit: *limit }));
        Coverage { pulls: pulls.collect(), credentials_quota_low: 1, ..Coverage::default() }
    };
    let mut two = of(&[("hub", 150, 200), ("vault", 7, 100)]);
    two.add(of(&[("hub", 12, 200), ("etl", 90, 100)]));
    let metrics = Metrics::default();
    metrics.ticked(COUNTS, two, at("10:00:00"), at("10:00:01"));
    let text = metrics.prometheus(at("10:00:01"));
    for line in [
        r#"unthrottled_credential_pulls_remaining{credential="hub"} 12"#,
        r#"unthrottled_credential_pulls_limit{credential="hub"} 200"#,
        r#"unthrottled_credential_pulls_remaining{credential="vault"} 7"#,
        r#"unthrottled_credential_pulls_remaining{credential="etl"} 90"#,
        "unthrottled_credentials_quota_low 2",
        "unthrottled_credentials_quota_unknown 0",
    ] {
        assert!(text.lines().any(|there| there == line), "{line} in {text}");
    }
    let lines = told(&metrics, at("10:00:01"));
    assert_eq!(lines.get("CredentialPullsRemaining hub"), Some(&Value::from(12.0)));
    assert_eq!(lines.get("CredentialPullsLimit vault"), Some(&Value::from(100.0)));

    let unknown = Coverage { credentials_quota_unknown: 1, ..Coverage::default() };
    metrics.ticked(COUNTS, unknown, at("10:00:30"), at("10:00:31"));
    let text = metrics.prometheus(at("10:00:31"));
    assert!(!text.contains("unthrottled_credential_pulls_"), "{text}");
    assert!(text.lines().any(|there| there == "unthrottled_credentials_quota_unknown 1"), "{text}");
    assert!(!told(&metrics, at("10:00:31")).keys().any(|name| name.starts_with("CredentialPulls")));
}

/// The name of a credential stands in the settings and is one of a few; those of the others come and go with the account.
#[test]
fn no_metric_has_a_dimension_that_people_name() {
    for metric in Metric::ALL {
        for set in metric.sets() {
            assert!(set.iter().all(|dimension| metric.dimensions().contains(dimension)), "{}", metric.name());
        }
        let of_people = ["project", "build", "scope", "policy", "account", "role", "remediation_id", "event"];
        assert!(metric.dimensions().iter().all(|dimension| !of_people.contains(dimension)), "{}", metric.name());
        let of_settings = metric.dimensions() == ["credential"] && metric.kind() == Kind::Gauge;
        assert!(metric.dimensions().is_empty() || metric.kind() == Kind::Counter || of_settings, "{}", metric.name());
        assert!(!metric.sets().is_empty() && metric.help().ends_with('.'), "{}", metric.name());
    }
}
