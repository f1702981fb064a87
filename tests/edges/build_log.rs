//! Logs: pages, their ends, and what is never there.

use crate::wire::{Answer, Wire};
use jiff::Timestamp;
use serde_json::{Value, json};
use unthrottled::edge::build_log::{LogText, Reach};

fn page(lines: &[&str], backward: &str) -> (&'static str, Answer) {
    let events: Vec<Value> = lines.iter().map(|line| json!({"timestamp": 1, "message": line})).collect();
    ("GetLogEvents", Answer::Json(json!({"events": events, "nextBackwardToken": backward, "nextForwardToken": "f/1"})))
}

fn found(lines: &[&str], next: Option<&str>) -> (&'static str, Answer) {
    let events: Vec<Value> = lines.iter().map(|line| json!({"timestamp": 1, "message": line})).collect();
    ("FilterLogEvents", Answer::Json(json!({"events": events, "nextToken": next, "searchedLogStreams": []})))
}

fn text(text: &str, reach: Reach) -> LogText {
    LogText { text: text.to_string(), reach }
}

fn window() -> (Timestamp, Timestamp) {
    (Timestamp::from_millisecond(1_000_000).unwrap(), Timestamp::from_millisecond(2_000_000).unwrap())
}

#[tokio::test]
async fn the_tail_ends_where_a_page_answers_the_token_it_was_asked_with() {
    let wire =
        Wire::new([page(&["c\n", "d"], "b/2"), page(&[], "b/1"), page(&["a", "b"], "b/0"), page(&[], "b/0")]).await;
    let tail = wire.aws().await.build_log.tail("group", "stream").await.unwrap();
    assert_eq!(tail, text("a\nb\nc\nd", Reach::Complete));
    let bodies: Vec<Value> = wire.sent().into_iter().map(|sent| sent.body).collect();
    assert_eq!(bodies[0], json!({"logGroupName": "group", "logStreamName": "stream", "startFromHead": false}));
    let tokens: Vec<&Value> = bodies.iter().map(|body| &body["nextToken"]).collect();
    assert_eq!(tokens, [&Value::Null, &json!("b/2"), &json!("b/1"), &json!("b/0")]);
}

/// A server that answers the same page again at the end must not make the lines come twice.
#[tokio::test]
async fn a_repeated_last_page_is_not_read_twice() {
    let wire = Wire::new([page(&["a"], "b/0"), page(&["a"], "b/0")]).await;
    let tail = wire.aws().await.build_log.tail("group", "stream").await.unwrap();
    assert_eq!(tail, text("a", Reach::Complete));
}

#[tokio::test]
async fn a_long_log_is_read_from_its_end_and_said_to_be_cut() {
    let long = "x".repeat(999_999);
    let wire = Wire::new([page(&[&long], "b/1")]).await;
    let tail = wire.aws().await.build_log.tail("group", "stream").await.unwrap();
    assert_eq!((tail.text.len(), tail.reach), (999_999, Reach::TooLong));
}

#[tokio::test]
async fn empty_pages_are_not_followed_for_ever() {
    let tokens: Vec<String> = (0..10).map(|n| format!("b/{n}")).collect();
    let wire = Wire::new(tokens.iter().map(|token| page(&[], token))).await;
    let tail = wire.aws().await.build_log.tail("group", "stream").await.unwrap();
    assert_eq!(tail, text("", Reach::TooLong));
    assert_eq!(wire.operations().len(), 10);
}

#[tokio::test]
async fn a_group_or_stream_may_be_missing() {
    let gone = || Answer::JsonError(400, "ResourceNotFoundException", "The specified log group does not exist.");
    let wire = Wire::new([("GetLogEvents", gone()), ("FilterLogEvents", gone())]).await;
    let log = wire.aws().await.build_log;
    assert_eq!(log.tail("group", "stream").await.unwrap(), text("", Reach::Missing));
    assert_eq!(log.filter("group", "stream", window(), &["x"]).await.unwrap(), text("", Reach::Missing));
}

#[tokio::test]
async fn a_filter_asks_for_any_term_in_the_widened_window_of_one_stream() {
    let wire = Wire::new([found(&[], Some("2")), found(&["toomanyrequests\n"], Some("3")), found(&[], None)]).await;
    let terms = ["toomanyrequests", "429 Too Many Requests"];
    let filtered = wire.aws().await.build_log.filter("group", "stream", window(), &terms).await.unwrap();
    assert_eq!(filtered, text("toomanyrequests", Reach::Complete));
    let bodies: Vec<Value> = wire.sent().into_iter().map(|sent| sent.body).collect();
    let first = json!({"logGroupName": "group", "logStreamNames": ["stream"], "startTime": 940_000, "endTime": 2_060_000,
        "filterPattern": "?\"toomanyrequests\" ?\"429 Too Many Requests\""});
    assert_eq!(bodies[0], first);
    assert_eq!((&bodies[1]["nextToken"], &bodies[2]["nextToken"]), (&json!("2"), &json!("3")));
}

#[tokio::test]
async fn a_filter_stops_after_fifty_pages() {
    let tokens: Vec<String> = (0..50).map(|n| format!("t{n}")).collect();
    let wire = Wire::new(tokens.iter().map(|token| found(&["x"], Some(token)))).await;
    let filtered = wire.aws().await.build_log.filter("group", "stream", window(), &["x"]).await.unwrap();
    assert_eq!((filtered.text.lines().count(), filtered.reach), (50, Reach::TooLong));
    assert_eq!(wire.operations().len(), 50);
}

#[tokio::test]
async fn a_server_that_matches_every_line_does_not_fill_the_memory() {
    let long = "x".repeat(10_000_000);
    let wire = Wire::new([found(&[&long], Some("1")), found(&[&long], Some("2"))]).await;
    let filtered = wire.aws().await.build_log.filter("group", "stream", window(), &["x"]).await.unwrap();
    assert_eq!((filtered.text.len(), filtered.reach), (20_000_001, Reach::TooLong));
}

#[tokio::test]
async fn a_window_at_the_beginning_of_time_is_not_widened_beyond_it() {
    let wire = Wire::new([found(&[], None)]).await;
    let window = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    wire.aws().await.build_log.filter("group", "stream", window, &[]).await.unwrap();
    let body = wire.body_of("FilterLogEvents");
    assert_eq!((&body["startTime"], &body["endTime"]), (&json!(0), &json!(60_000)));
    assert_eq!(body.get("filterPattern"), None);
}
