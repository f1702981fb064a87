//! Reads of CloudWatch Logs.

use aws_sdk_cloudwatchlogs::Client;
use jiff::SignedDuration;
use unthrottled::simulator::{LogPages, Simulator, Unknowns};

use crate::{refusal, simulator, throttled, under};

const GROUP: &str = "/aws/codebuild/api";

fn client(sim: &Simulator) -> Client {
    Client::new(&sim.sdk_config())
}

fn without_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// A failed docker build's id and log stream.
fn failed(sim: &Simulator) -> (String, String) {
    throttled(sim);
    let id = sim.run_build("api").id;
    let stream = id.trim_start_matches("api:").to_owned();
    (id, stream)
}

#[tokio::test]
async fn a_read_starts_at_the_tail_and_the_token_repeats_at_the_end() {
    let sim = simulator();
    let (id, stream) = failed(&sim);
    let all = sim.log(&id);
    let client = client(&sim);
    let get = || client.get_log_events().log_group_name(GROUP).log_stream_name(&stream).limit(4);
    let tail = get().send().await.expect("a page");
    let texts: Vec<_> = tail.events().iter().filter_map(|event| event.message()).map(without_newline).collect();
    assert_eq!(texts, all[all.len() - 4..]);
    let end = get().next_token(tail.next_forward_token().expect("a token")).send().await.expect("a page");
    assert!(end.events().is_empty());
    assert_eq!(end.next_forward_token(), tail.next_forward_token());

    let mut read = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = get().start_from_head(true).set_next_token(token.clone()).send().await.expect("a page");
        read.extend(
            page.events().iter().filter_map(|event| event.message()).map(|text| without_newline(text).to_owned()),
        );
        let next = page.next_forward_token().map(ToOwned::to_owned);
        if next == token {
            break;
        }
        token = next;
    }
    assert_eq!(read, all);
    let before = get().next_token(tail.next_backward_token().expect("a token")).send().await.expect("a page");
    let first = before.events()[0].message().map(without_newline);
    assert_eq!(first, all.get(all.len() - 8).map(String::as_str));
}

#[tokio::test]
async fn the_end_of_the_window_counts_for_the_filter_and_not_for_the_read() {
    let sim = simulator();
    let (_, stream) = failed(&sim);
    let client = client(&sim);
    let hit = client
        .filter_log_events()
        .log_group_name(GROUP)
        .filter_pattern("toomanyrequests")
        .send()
        .await
        .expect("a page");
    assert_eq!(hit.events().len(), 1);
    let at = hit.events()[0].timestamp().expect("a time");
    let get = client.get_log_events().log_group_name(GROUP).log_stream_name(&stream).start_time(at).end_time(at);
    assert!(get.send().await.expect("a page").events().is_empty());
    let filter =
        || client.filter_log_events().log_group_name(GROUP).log_stream_names(&stream).filter_pattern("toomanyrequests");
    assert_eq!(filter().start_time(at).end_time(at).send().await.expect("a page").events().len(), 1);
    assert!(filter().start_time(at + 1).send().await.expect("a page").events().is_empty());
}

#[tokio::test]
async fn a_pattern_with_alternatives_finds_the_refusal_and_case_counts() {
    let sim = simulator();
    failed(&sim);
    let client = client(&sim);
    let count = async |pattern: &str| {
        let answer = client.filter_log_events().log_group_name(GROUP).filter_pattern(pattern).send().await;
        answer.expect("a page").events().len()
    };
    assert_eq!(count(r#"?"toomanyrequests" ?"HAP429""#).await, 1);
    assert_eq!(count(r#""TOOMANYREQUESTS""#).await, 0);
    assert_eq!(count(r#""Phase complete" -"SUCCEEDED""#).await, 1);
    let refused = client.filter_log_events().log_group_name(GROUP).filter_pattern("a-b").send().await;
    assert_eq!(refusal(refused).0, "InvalidParameterException");
}

#[tokio::test]
async fn ragged_pages_lose_nothing() {
    let sim = under(Unknowns { log_pages: LogPages::Ragged, ..Unknowns::default() });
    let (id, _) = failed(&sim);
    let client = client(&sim);
    let mut read = Vec::new();
    let mut sizes = Vec::new();
    let mut token = None;
    loop {
        let page = client.filter_log_events().log_group_name(GROUP).set_next_token(token).send().await.expect("a page");
        sizes.push(page.events().len());
        read.extend(
            page.events().iter().filter_map(|event| event.message()).map(|text| without_newline(text).to_owned()),
        );
        token = page.next_token().map(ToOwned::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(read, sim.log(&id));
    assert!(sizes.len() > 2 && sizes[0] == 0, "{sizes:?}");
}

#[tokio::test]
async fn late_lines_come_after_the_end_of_the_build() {
    let sim = under(Unknowns { late_logs: SignedDuration::from_secs(60), ..Unknowns::default() });
    let (id, _) = failed(&sim);
    let client = client(&sim);
    let refusals = async || {
        let filter = client.filter_log_events().log_group_name(GROUP).filter_pattern("toomanyrequests");
        filter.send().await.expect("a page").events().len()
    };
    assert!(sim.log(&id).iter().any(|line| line.contains("toomanyrequests")));
    assert_eq!(refusals().await, 0);
    sim.advance(SignedDuration::from_secs(59));
    assert_eq!(refusals().await, 0);
    sim.advance(SignedDuration::from_secs(1));
    assert_eq!(refusals().await, 1);
}

#[tokio::test]
async fn lines_are_readable_only_once_they_are_written() {
    let sim = simulator();
    sim.account(|a| {
        a.project("api");
    });
    let id = sim.start_build("api");
    sim.advance(SignedDuration::from_secs(21));
    let stream = id.trim_start_matches("api:");
    let read =
        client(&sim).get_log_events().log_group_name(GROUP).log_stream_name(stream).send().await.expect("a page");
    let texts: Vec<_> = read.events().iter().filter_map(|event| event.message()).collect();
    assert!(texts.iter().any(|text| text.contains("Phase is DOWNLOAD_SOURCE")), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("Phase complete: DOWNLOAD_SOURCE")), "{texts:?}");
}

#[tokio::test]
async fn a_missing_group_or_stream_is_not_found_and_odd_text_comes_as_it_is() {
    let sim = simulator();
    let (id, stream) = failed(&sim);
    sim.log_line(&id, "\u{1b}[31mtoomanyrequests\u{1b}[0m: \u{fffd}\u{202e}");
    let client = client(&sim);
    let get = |group: &str, stream: &str| client.get_log_events().log_group_name(group).log_stream_name(stream).send();
    let tail = get(GROUP, &stream).await.expect("a page");
    let last = tail.events().last().and_then(|event| event.message());
    assert_eq!(last, Some("\u{1b}[31mtoomanyrequests\u{1b}[0m: \u{fffd}\u{202e}\n"));
    assert_eq!(refusal(get(GROUP, "none").await).1, "The specified log stream does not exist.");
    sim.delete_log_group(GROUP);
    assert_eq!(refusal(get(GROUP, &stream).await).1, "The specified log group does not exist.");
}

#[tokio::test]
async fn logs_go_where_the_project_says_or_nowhere() {
    let sim = simulator();
    sim.account(|a| {
        a.project("own").log_group("/builds", "own");
        a.project("none").logs_disabled();
    });
    let own = sim.run_build("own").id;
    let logs = sim.build_json(&own)["logs"].clone();
    assert_eq!(logs["groupName"], "/builds");
    assert_eq!(logs["streamName"], own.replace("own:", "own/"));
    let none = sim.run_build("none").id;
    let logs = sim.build_json(&none)["logs"].clone();
    assert_eq!((logs.get("groupName"), &logs["cloudWatchLogs"]["status"]), (None, &"DISABLED".into()));
}
