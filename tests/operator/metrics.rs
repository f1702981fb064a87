//! The metrics of the whole daemon against the simulated account, and their reference.

use super::support::cast::SCRIPT;
use super::support::world::World;
use super::{path, read};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use unthrottled::edge::aws::calls::CountCalls;
use unthrottled::edge::aws::{Aws, Connection, Retries};
use unthrottled::edge::clock;
use unthrottled::edge::event;
use unthrottled::edge::ledger::table::TableStore;
use unthrottled::edge::ledger::{Ledger, Store};
use unthrottled::edge::metrics::{BUCKETS, EventsAlone, Kind, Metric, Metrics, NAMESPACE};
use unthrottled::edge::telemetry;
use unthrottled::reconcile::{Access, Daemon};
use unthrottled::simulator::{Clock, Fault, Options};

fn counted(metrics: &Metrics, world: &World) -> BTreeMap<String, f64> {
    let text = metrics.prometheus(world.sim.now());
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap());
    samples.map(|(series, value)| (series.to_string(), value.parse().unwrap())).collect()
}

/// A daemon whose calls and ticks are counted.
async fn daemon(world: &World, metrics: &Metrics) -> Daemon {
    world.set_role();
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
    for fault in [Fault::Throttled, Fault::AccessDenied, Fault::ServerError(500), Fault::DropBefore] {
        world.sim.fault("ListBuilds", 1..=1, fault);
        tick(&world, &mut daemon, &metrics).await;
    }
    let counts = counted(&metrics, &world);
    for status in ["throttled", "denied", "failed", "unreached"] {
        let series =
            format!(r#"unthrottled_calls_total{{service="CodeBuild",operation="ListBuilds",status="{status}"}}"#);
        assert_eq!(counts.get(&series), Some(&1.0), "{status} in {counts:#?}");
    }
    assert_eq!(counts["unthrottled_scopes_incomplete"], 1.0);
    assert_eq!(counts[r#"unthrottled_ticks_total{result="part"}"#], 4.0);
    assert_eq!(counts["unthrottled_scopes_watching_nothing"], 1.0, "what was never read is no coverage");
}

#[tokio::test]
async fn a_call_that_is_never_sent_is_counted_too() {
    let metrics = Metrics::default();
    let connection = Connection {
        role_arn: Some("arn:aws:iam::111122223333:role/out-of-reach".to_string()),
        retries: Retries::none(),
        calls: CountCalls::of(metrics.clone()),
        // Nobody listens there, so the role can't be assumed.
        ..Connection::to_loopback("http://127.0.0.1:1")
    };
    let aws = Aws::connect(&connection).await.expect("a region");
    aws.codebuild.list_builds(None).await.expect_err("no role");
    let text = metrics.prometheus("2026-01-05T10:00:00Z".parse().unwrap());
    let series = r#"unthrottled_calls_total{service="CodeBuild",operation="ListBuilds",status="unsent"} 1"#;
    assert!(text.lines().any(|line| line == series), "{text}");
    let series = r#"unthrottled_calls_total{service="STS",operation="AssumeRole",status="unreached"} 1"#;
    assert!(text.lines().any(|line| line == series), "{text}");
}

/// The session is kept for as long as it is good, by all services together.
#[tokio::test]
async fn a_role_is_assumed_once_and_counted() {
    // By the wall clock, or its session has expired as soon as it is there.
    let world = World::with(Options { clock: Clock::Wall { speed: 1.0 }, ..Options::default() });
    world.sim.account(|account| drop(account.role("member")));
    let all = serde_json::json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    world.role_may(all);
    world.set_role();
    let metrics = Metrics::default();
    let connection = Connection {
        role_arn: Some("arn:aws:iam::111122223333:role/member".to_string()),
        calls: CountCalls::of(metrics.clone()),
        ..Connection::to_loopback(world.sim.endpoint())
    };
    let aws = Aws::connect(&connection).await.expect("a region");
    aws.codebuild.list_builds(None).await.expect("a list");
    aws.codebuild.list_projects().await.expect("a list");
    assert!(aws.identity.caller().await.expect("a caller").arn.contains(":assumed-role/member/"));
    let counted = counted(&metrics, &world);
    let series = |service: &str, operation: &str| {
        format!(r#"unthrottled_calls_total{{service="{service}",operation="{operation}",status="ok"}}"#)
    };
    assert_eq!(counted.get(&series("STS", "AssumeRole")), Some(&1.0), "{counted:?}");
    assert_eq!(counted.get(&series("CodeBuild", "ListProjects")), Some(&1.0), "{counted:?}");
}

#[tokio::test]
async fn the_calls_to_the_ledgers_table_are_counted() {
    let metrics = Metrics::default();
    let connection = Connection { retries: Retries::none(), ..Connection::to_loopback("http://127.0.0.1:1") };
    let table = TableStore { connection: Box::new(connection), ..TableStore::new("unthrottled") };
    let store = Store::DynamoDb(table).counting(&CountCalls::of(metrics.clone()));
    Ledger::open(&store).await.expect_err("nobody listens there");
    let text = metrics.prometheus("2026-01-05T10:00:00Z".parse().unwrap());
    let series = r#"unthrottled_calls_total{service="DynamoDB",operation="GetItem",status="unreached"} 1"#;
    assert!(text.lines().any(|line| line == series), "{text}");
}

/// Wherever the level is, nothing that happens stays uncounted, and lines for CloudWatch come as they are.
#[test]
fn counting_does_not_depend_on_what_is_written() {
    for (filter, format, written) in [
        ("error", telemetry::LogFormat::Json, true),
        ("off", telemetry::LogFormat::Json, true),
        ("debug", telemetry::LogFormat::Text, false),
    ] {
        let metrics = Metrics::default();
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = file.reopen().unwrap();
        let output = telemetry::Output {
            format,
            filter,
            color: telemetry::Color::Never,
            clock: clock::now,
            metrics: Some(metrics.clone()),
            writer: move || writer.try_clone().unwrap(),
        };
        let now = "2026-01-05T10:00:00Z".parse().unwrap();
        tracing::subscriber::with_default(telemetry::subscriber(output).unwrap(), || {
            let place = event::Place { scope: "prod".to_string(), account: None, region: "eu-central-1".to_string() };
            event::emit(&event::tick_completed(&place, event::Tick::default(), SignedDuration::from_secs(1), now));
            tracing::debug!(target: "aws_smithy_runtime", "PLAIN=value");
            metrics.tell(now);
        });
        let text = fs::read_to_string(file.path()).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("{\"_aws\":")).collect();
        assert_eq!(!lines.is_empty(), written, "{filter}: {text}");
        assert!(!text.contains("PLAIN"), "{text}");
        let counted = metrics.prometheus(now);
        assert!(counted.contains("unthrottled_events_total{name=\"TickCompleted\",level=\"debug\"} 1"), "{counted}");
    }
}

fn reference() -> String {
    let mut text = format!(
        "# Metrics\n\n\
        `/metrics` at `daemon.http_listen` has them for Prometheus. With `daemon.metrics = \"emf\"` they are also written \
        among the events, after each tick, in\nCloudWatch's embedded metric format, namespace `{NAMESPACE}`: CloudWatch \
        takes them out of the log group without a further call or\npermission. They need `--log-format json`, which is the \
        default in a container.\n\n\
        All begin at 0 with the process: a restart is a reset, as Prometheus knows it, and CloudWatch gets what was added \
        since the last line.\nAn event that is told twice after a kill counts twice; what was counted since the last line is lost with a kill, and told at a \
        stop. Gauges are as of the last tick, but for \
        `SinceWholeTickSeconds`, which counts on;\nbefore the first tick, as while another daemon holds the lease, there are \
        none. No dimension holds the name of a project, a scope or a build; `credential` is a name of the settings.\n\n\
        Calls are those of CodeBuild, CloudWatch Logs, IAM, Secrets Manager, DynamoDB and STS, `AssumeRole` for a scope among \
        them, each attempt for itself; those by\nwhich the SDK gets the credentials of its own chain are not counted. `status` is `ok`, `throttled`, `denied`, \
        `gone`, `rejected` (with DynamoDB also a condition that does not hold, by which a race is decided), `failed` (another \
        answer),\n`unreached` (no answer) or `unsent` (no credentials, or a role that \
        can't be assumed).\n\n\
        This file is made by `cargo test --test operator -- --ignored bless`.\n\n\
        | CloudWatch | Prometheus | kind | unit | dimensions | meaning |\n| --- | --- | --- | --- | --- | --- |\n"
    );
    for metric in Metric::ALL {
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Distribution => "distribution",
        };
        let (name, prometheus) = (metric.name(), metric.prometheus_name());
        let dimensions = metric.dimensions().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        writeln!(
            text,
            "| `{name}` | `{prometheus}` | {kind} | {} | {dimensions} | {} |",
            metric.unit().name(),
            metric.help()
        )
        .unwrap();
    }
    text.push_str("\nCloudWatch adds those with dimensions up by these sets, and an alarm can name one of them:\n\n");
    for metric in Metric::ALL.iter().filter(|metric| !metric.dimensions().is_empty()) {
        let sets: Vec<String> = metric.sets().iter().map(|set| format!("`{}`", set.join("`+`"))).collect();
        writeln!(text, "- `{}`: {}", metric.name(), sets.join(", ")).unwrap();
    }
    let bounds: Vec<String> = BUCKETS.iter().map(ToString::to_string).collect();
    writeln!(text, "\nThe histograms' buckets end at {} seconds.", bounds.join(", ")).unwrap();
    text
}

#[test]
fn the_reference_is_up_to_date() {
    assert_eq!(read("docs/metrics.md"), reference(), "run `cargo test --test operator -- --ignored bless`");
}

#[test]
#[ignore = "writes docs/metrics.md"]
fn bless() {
    fs::write(path("docs/metrics.md"), reference()).unwrap();
}
