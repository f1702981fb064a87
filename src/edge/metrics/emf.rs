//! The metrics as CloudWatch takes them out of log lines: the embedded metric format.
//!
//! By AWS's specification a line is one JSON object, whose `_aws` says which of its members are values and which are
//! dimensions: at most 100 metrics a directive, 30 dimensions a set, 100 values an array. All lines are far below.

use super::{Held, Kind, Metric};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The namespace of all metrics in CloudWatch.
pub const NAMESPACE: &str = "Unthrottled";

/// Values of one array.
const MOST_VALUES: usize = 100;

/// What happened since the last time, as lines; it is told from now on.
pub(super) fn take(held: &mut Held, now: Timestamp) -> Vec<String> {
    let mut plain: Vec<(Metric, Value)> = Vec::new();
    // By metric, so that each value stands beside its own labels alone.
    let mut labelled: BTreeMap<(Metric, Vec<String>), Value> = BTreeMap::new();
    for ((metric, labels), value) in held.gauges(now) {
        match labels.as_slice() {
            [] => plain.push((metric, json!(value))),
            _ => _ = labelled.insert((metric, labels), json!(value)),
        }
    }
    for ((metric, labels), counter) in &mut held.counters {
        let since = counter.total - counter.told;
        counter.told = counter.total;
        match labels.as_slice() {
            [] => plain.push((*metric, json!(since))),
            _ if since > 0 => _ = labelled.insert((*metric, labels.clone()), json!(since)),
            _ => (),
        }
    }
    let mut lines = Vec::new();
    for (metric, distribution) in &mut held.distributions {
        let fresh = std::mem::take(&mut distribution.fresh);
        for (n, values) in fresh.chunks(MOST_VALUES).enumerate() {
            match n {
                0 => plain.push((*metric, json!(values))),
                _ => lines.push(line(now, &[(*metric, json!(values))], &[])),
            }
        }
    }
    if !plain.is_empty() {
        lines.insert(0, line(now, &plain, &[]));
    }
    lines.extend(labelled.into_iter().map(|((metric, labels), value)| line(now, &[(metric, value)], &labels)));
    lines
}

/// One line: metrics that share their labels, which are those of the first.
fn line(now: Timestamp, metrics: &[(Metric, Value)], labels: &[String]) -> String {
    let (names, sets) = metrics.first().map_or((&[][..], &[][..]), |(first, _)| (first.dimensions(), first.sets()));
    let definitions: Vec<Value> =
        metrics.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit().name() })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": sets, "Metrics": definitions });
    let mut root = Map::new();
    root.insert("_aws".to_string(), json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] }));
    for (name, value) in names.iter().zip(labels) {
        root.insert(name.to_string(), json!(value));
    }
    for (metric, value) in metrics {
        debug_assert!(labels.is_empty() || metric.kind() != Kind::Distribution, "a length of time has no labels");
        root.insert(metric.name().to_string(), value.clone());
    }
    Value::Object(root).to_string()
}
