//! The metrics of the whole daemon against the simulated account, and that the documentation and the alarms name what there is.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use support::cast::SCRIPT;
use support::world::World;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use unthrottled::edge::aws::calls::CountCalls;
use unthrottled::edge::aws::{Connection, Retries};
use unthrottled::edge::metrics::{EventsAlone, Kind, Metric, Metrics, NAMESPACE};
use unthrottled::edge::telemetry;
use unthrottled::reconcile::{Access, Daemon};
use unthrottled::simulator::Fault;

fn counted(metrics: &Metrics, world: &World) -> BTreeMap<String, f64> {
    let text = metrics.prometheus(world.sim.now());
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap());
    samples.map(|(series, value)| (series.to_string(), value.parse().unwrap())).collect()
}

/// A daemon whose calls and ticks are counted.
async fn daemon(world: &World, metrics: &Metrics) -> Daemon {
    let endpoint = world.sim.endpoint().to_string();
    let calls = CountCalls::of(metrics.clone());
    let connect = move |_: &_| Connection {
        retries: Retries::none(),
        calls: calls.clone(),
        ..Connection::to_loopback(endpoint.clone())
    };
    Daemon::open(&world.parsed(), Access::Write, &connect).await.expect("the daemon starts")
}

async fn tick(world: &World, daemon: &mut Daemon, metrics: &Metrics) {
    let began = world.sim.now();
    let tick = world.tick(daemon).await;
    metrics.ticked(tick.counts, tick.coverage, began, world.sim.now());
}

fn throttled_project() -> World {
    let world = World::new();
    world.sim.account(|account| {
        account.project("web").image("node:22").buildspec(SCRIPT);
    });
    world.sim.run_build("web");
    world
}

#[tokio::test]
async fn a_cure_is_counted_as_the_account_and_the_events_tell_it() {
    let (world, metrics) = (throttled_project(), Metrics::default());
    let layers = tracing_subscriber::registry().with(metrics.layer().with_filter(EventsAlone));
    let _guard = tracing::subscriber::set_default(layers);
    let mut daemon = daemon(&world, &metrics).await;
    for _ in 0..8 {
        tick(&world, &mut daemon, &metrics).await;
        world.sim.advance(SignedDuration::from_secs(30));
    }
    let counts = counted(&metrics, &world);
    let value = |series: &str| counts.get(series).copied().unwrap_or_else(|| panic!("{series} in {counts:#?}"));
    assert_eq!(value(r#"unthrottled_throttles_total{diagnosis="hub_pull_limit",registry="docker_hub"}"#), 1.0);
    for outcome in ["planned", "applied", "verified"] {
        let series = format!(r#"unthrottled_remediations_total{{remedy="registry_credential",outcome="{outcome}"}}"#);
        assert_eq!(value(&series), 1.0, "{outcome}");
    }
    assert_eq!(value("unthrottled_detection_seconds_count"), 1.0);
    assert_eq!(value("unthrottled_applied_seconds_count"), 1.0);
    assert!(value("unthrottled_applied_seconds_sum") >= 15.0, "a grant settles first");
    assert_eq!(value("unthrottled_projects_seen"), 1.0);
    assert_eq!(value("unthrottled_scopes_watching_nothing"), 0.0);

    let by_operation = |counts: &BTreeMap<String, f64>| {
        let mut sums: BTreeMap<String, usize> = BTreeMap::new();
        for (series, value) in counts.iter().filter(|(series, _)| series.starts_with("unthrottled_calls_total")) {
            let operation = series.split("operation=\"").nth(1).unwrap().split('"').next().unwrap();
            *sums.entry(operation.to_string()).or_default() += *value as usize;
        }
        sums
    };
    assert_eq!(by_operation(&counts), world.calls(), "each call that the account got, and no other");
}

#[tokio::test]
async fn a_call_is_counted_by_what_became_of_it() {
    let (world, metrics) = (throttled_project(), Metrics::default());
    let mut daemon = daemon(&world, &metrics).await;
    for fault in [Fault::throttle(), Fault::deny(), Fault::error()] {
        world.sim.fail_next("ListBuilds", fault);
        tick(&world, &mut daemon, &metrics).await;
    }
    let counts = counted(&metrics, &world);
    for status in ["throttled", "denied", "failed"] {
        let series =
            format!(r#"unthrottled_calls_total{{service="CodeBuild",operation="ListBuilds",status="{status}"}}"#);
        assert_eq!(counts.get(&series), Some(&1.0), "{status} in {counts:#?}");
    }
    assert_eq!(counts["unthrottled_scopes_incomplete"], 1.0);
    assert_eq!(counts[r#"unthrottled_ticks_total{result="part"}"#], 3.0);
    assert_eq!(counts["unthrottled_scopes_watching_nothing"], 1.0, "what was never read is no coverage");
}
