//! `deploy/monitoring.yaml` names metrics and dimensions that there are, and holds the saved queries as they are.

use super::{path, read};
use serde_norway::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use unthrottled::edge::metrics::{Metric, NAMESPACE};

fn template() -> Value {
    serde_norway::from_str(&read("deploy/monitoring.yaml")).unwrap()
}

fn plain(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => plain(&tagged.value),
        other => other,
    }
}

fn text(value: &Value) -> &str {
    plain(value).as_str().unwrap_or_else(|| panic!("no text: {value:?}"))
}

/// The resources of a type, by their names.
fn resources(of: &str) -> BTreeMap<String, Value> {
    let template = template();
    let resources = template["Resources"].as_mapping().unwrap().iter();
    let of_type = resources.filter(|(_, resource)| resource["Type"].as_str() == Some(of));
    of_type.map(|(name, resource)| (text(name).to_string(), resource["Properties"].clone())).collect()
}

pub fn alarms() -> Vec<String> {
    resources("AWS::CloudWatch::Alarm").into_keys().collect()
}

/// What an alarm or a widget looks at: the metric's name, its dimensions, and their values.
type Look = (String, Vec<(String, String)>);

fn looks_of_alarm(alarm: &Value) -> Vec<Look> {
    let look = |metric: &Value| {
        assert_eq!(text(&metric["Namespace"]), "Namespace", "by the parameter");
        let dimensions = metric.get("Dimensions").and_then(Value::as_sequence).into_iter().flatten();
        let dimensions = dimensions.map(|of| (text(&of["Name"]).to_string(), text(&of["Value"]).to_string())).collect();
        (text(&metric["MetricName"]).to_string(), dimensions)
    };
    match alarm.get("Metrics").and_then(Value::as_sequence) {
        None => vec![look(alarm)],
        Some(parts) => {
            parts.iter().filter_map(|part| part.get("MetricStat")).map(|stat| look(&stat["Metric"])).collect()
        }
    }
}

/// The dashboard as CloudFormation would fill it in.
fn dashboard(with_cluster: bool) -> serde_json::Value {
    let dashboard = resources("AWS::CloudWatch::Dashboard").remove("Dashboard").unwrap();
    let parts = plain(&dashboard["DashboardBody"]).as_sequence().unwrap();
    let service = plain(&parts[1]["OfTheService"]).as_sequence().unwrap();
    let service = if with_cluster { text(&service[1]) } else { text(&service[2]) };
    let mut body = text(&parts[0]).replace("${OfTheService}", service).replace("${Namespace}", NAMESPACE);
    for name in ["AWS::Region", "LogGroupName", "ClusterName", "ServiceName"] {
        body = body.replace(&format!("${{{name}}}"), "x");
    }
    for alarm in alarms() {
        body = body.replace(&format!("${{{alarm}.Arn}}"), &format!("arn:{alarm}"));
    }
    assert!(!body.contains("${"), "{body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn looks_of_dashboard() -> Vec<Look> {
    let mut looks = Vec::new();
    for widget in dashboard(true)["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().into_iter().flatten() {
            let words: Vec<&str> = metric.as_array().unwrap().iter().filter_map(|word| word.as_str()).collect();
            let [namespace, name, dimensions @ ..] = words.as_slice() else { panic!("{metric}") };
            if *namespace == "AWS/ECS" {
                continue;
            }
            assert_eq!(*namespace, NAMESPACE);
            let pairs = dimensions.chunks(2).map(|pair| (pair[0].to_string(), pair[1].to_string())).collect();
            looks.push((name.to_string(), pairs));
        }
    }
    looks
}

/// What the dimensions can be, where the program says it in one place.
fn known_values(dimension: &str) -> Option<BTreeSet<String>> {
    let of = |schema: schemars::Schema| {
        let words = serde_json::to_string(&schema).unwrap();
        let quoted = words.split('"').skip(1).step_by(2).map(str::to_string).collect();
        Some(quoted)
    };
    match dimension {
        "registry" => of(schemars::schema_for!(unthrottled::domain::classify::Registry)),
        "diagnosis" => of(schemars::schema_for!(unthrottled::domain::classify::Cause)),
        "remedy" => of(schemars::schema_for!(unthrottled::domain::policy::Remedy)),
        "result" => Some(["whole", "part"].map(str::to_string).into()),
        "status" => Some(words_of("docs/metrics.md")),
        "outcome" => Some(
            [
                "proposed",
                "planned",
                "applied",
                "verified",
                "held",
                "set_back",
                "rolled_back",
                "escalated",
                "unavailable",
            ]
            .map(str::to_string)
            .into(),
        ),
        _ => None,
    }
}

/// The words in backquotes.
fn words_of(file: &str) -> BTreeSet<String> {
    read(file).split('`').skip(1).step_by(2).map(str::to_string).collect()
}

#[test]
fn alarms_and_dashboard_name_metrics_and_dimensions_that_there_are() {
    let alarms = resources("AWS::CloudWatch::Alarm");
    let of_alarms = alarms.values().flat_map(looks_of_alarm);
    let looks: Vec<Look> = of_alarms.chain(looks_of_dashboard()).collect();
    assert!(looks.len() > 30, "{}", looks.len());
    for (name, dimensions) in looks {
        let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
        let metric = metric.unwrap_or_else(|| panic!("no metric {name}"));
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| name.as_str()).collect();
        assert!(metric.sets().contains(&names.as_slice()), "{name} is not added up by {names:?}");
        for (dimension, value) in &dimensions {
            if let Some(known) = known_values(dimension) {
                assert!(known.contains(value), "{name}: {dimension} is never {value}");
            }
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard_or_in_an_alarm() {
    let alarms = resources("AWS::CloudWatch::Alarm");
    let looks = alarms.values().flat_map(looks_of_alarm).chain(looks_of_dashboard());
    let looked_at: BTreeSet<String> = looks.map(|(name, _)| name).collect();
    let unseen: Vec<&str> =
        Metric::ALL.iter().map(|metric| metric.name()).filter(|name| !looked_at.contains(*name)).collect();
    assert_eq!(unseen, ["Events"], "which is for alarms of your own");
}

#[test]
fn what_says_nothing_is_only_wrong_where_the_daemon_always_speaks() {
    for (name, alarm) in resources("AWS::CloudWatch::Alarm") {
        let missing = text(&alarm["TreatMissingData"]);
        assert_eq!(missing == "breaching", name == "NoWholeTick", "{name}: {missing}");
        let calls = alarm.get("AlarmActions").is_some();
        assert_eq!(calls, name != "DockerHubThrottles", "{name}");
        let about = text(&alarm["AlarmDescription"]);
        assert!(about.ends_with(&format!(" docs/runbook.md#{}", name.to_lowercase())), "{about}");
        assert_eq!(text(&alarm["AlarmName"]), format!("${{ServiceName}}-{name}"));
    }
}

#[test]
fn the_dashboard_has_every_alarm_and_no_widget_over_another() {
    assert_eq!(
        dashboard(false)["widgets"].as_array().unwrap().len() + 1,
        dashboard(true)["widgets"].as_array().unwrap().len()
    );
    let dashboard = dashboard(true);
    let mut taken = BTreeSet::new();
    for widget in dashboard["widgets"].as_array().unwrap() {
        let side = |name: &str| widget[name].as_u64().unwrap();
        assert!(side("x") + side("width") <= 24, "{widget}");
        for x in side("x")..side("x") + side("width") {
            for y in side("y")..side("y") + side("height") {
                assert!(taken.insert((x, y)), "two widgets at {x}, {y}");
            }
        }
    }
    let shown: BTreeSet<String> = dashboard["widgets"][0]["properties"]["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arn| arn.as_str().unwrap().strip_prefix("arn:").unwrap().to_string())
        .collect();
    assert_eq!(shown, alarms().into_iter().collect());
}

#[test]
fn the_saved_queries_are_those_of_the_files() {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path("deploy/queries")).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(file.extension().and_then(|extension| extension.to_str()), Some("cwli"), "{file:?}");
        let name = file.file_stem().unwrap().to_str().unwrap().to_string();
        files.insert(format!("${{ServiceName}}/{name}"), fs::read_to_string(&file).unwrap());
    }
    let queries = resources("AWS::Logs::QueryDefinition");
    let saved: BTreeMap<String, String> = queries
        .values()
        .map(|query| (text(&query["Name"]).to_string(), text(&query["QueryString"]).to_string()))
        .collect();
    assert_eq!(saved, files);
}
