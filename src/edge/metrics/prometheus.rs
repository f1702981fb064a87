//! The metrics as Prometheus reads them: text format 0.0.4.

use super::{BUCKETS, Distribution, Held, Kind, Metric};
use jiff::Timestamp;
use std::fmt::Write as _;

/// Metrics without a value yet are left out, but for those without labels, which begin at 0.
pub(super) fn render(held: &Held, now: Timestamp) -> String {
    let mut text = String::new();
    let gauges = held.gauges(now);
    for &metric in Metric::ALL {
        let mut samples = String::new();
        match metric.kind() {
            Kind::Counter => counter(&mut samples, held, metric),
            Kind::Gauge => {
                for ((_, values), value) in gauges.iter().filter(|((of, _), _)| *of == metric) {
                    let _ = writeln!(samples, "{}{} {value}", metric.prometheus_name(), labels(metric, values));
                }
            }
            Kind::Distribution => histogram(&mut samples, held, metric),
        }
        if !samples.is_empty() {
            let name = metric.prometheus_name();
            let _ = writeln!(text, "# HELP {name} {}", metric.help().replace('\\', r"\\"));
            let _ = writeln!(text, "# TYPE {name} {}", metric.kind().prometheus_type());
            text.push_str(&samples);
        }
    }
    text
}

fn counter(text: &mut String, held: &Held, metric: Metric) {
    let name = metric.prometheus_name();
    let of_metric = held.counters.iter().filter(|((counted, _), _)| *counted == metric);
    let mut any = false;
    for ((_, values), counter) in of_metric {
        any = true;
        let _ = writeln!(text, "{name}{} {}", labels(metric, values), counter.total);
    }
    if !any && metric.dimensions().is_empty() {
        let _ = writeln!(text, "{name} 0");
    }
}

fn labels(metric: Metric, values: &[String]) -> String {
    if values.is_empty() {
        return String::new();
    }
    let label = |(name, value): (&&str, &String)| format!("{name}=\"{}\"", escaped(value));
    let labels: Vec<String> = metric.dimensions().iter().zip(values).map(label).collect();
    format!("{{{}}}", labels.join(","))
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn histogram(text: &mut String, held: &Held, metric: Metric) {
    let name = metric.prometheus_name();
    let nothing = Distribution::default();
    let distribution = held.distributions.get(&metric).unwrap_or(&nothing);
    let mut below = 0;
    for (bound, count) in BUCKETS.iter().zip(&distribution.buckets) {
        below += count;
        let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {below}");
    }
    let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {}", distribution.count);
    let _ = writeln!(text, "{name}_sum {}", distribution.sum);
    let _ = writeln!(text, "{name}_count {}", distribution.count);
}
