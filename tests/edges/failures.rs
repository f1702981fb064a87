//! Failed calls: which question each answers with yes, and that no answer's content gets into an error.

use crate::wire::{Answer, Wire};
use rstest::rstest;
use serde_json::json;
use std::error::Error;
use std::time::Duration;
use unthrottled::domain::build::{BuildId, ProjectName, RoleName};
use unthrottled::edge::aws::{Aws, Connection, Retries, Timeouts};

/// The questions, as a row.
macro_rules! questions {
    ($error:expr) => {
        [$error.is_throttled(), $error.is_denied(), $error.is_gone(), $error.is_rejected(), $error.is_transient()]
    };
}

const THROTTLED: [bool; 5] = [true, false, false, false, false];
const DENIED: [bool; 5] = [false, true, false, false, false];
const GONE: [bool; 5] = [false, false, true, false, false];
const REJECTED: [bool; 5] = [false, false, false, true, false];
const TRANSIENT: [bool; 5] = [false, false, false, false, true];

fn html(status: u16) -> Answer {
    Answer::Raw(status, "text/html", b"<!doctype html><title>oops</title>".to_vec())
}

#[rstest]
#[case::throttled(Answer::JsonError(400, "ThrottlingException", "Rate exceeded"), THROTTLED)]
#[case::denied(Answer::JsonError(400, "AccessDeniedException", "not authorized"), DENIED)]
#[case::bad_keys(Answer::JsonError(400, "UnrecognizedClientException", "invalid token"), DENIED)]
#[case::gone(Answer::JsonError(400, "ResourceNotFoundException", "no"), GONE)]
#[case::rejected(Answer::JsonError(400, "InvalidInputException", "no"), REJECTED)]
#[case::full_queue(Answer::JsonError(400, "AccountLimitExceededException", "too many builds"), THROTTLED)]
#[case::broken(Answer::JsonError(500, "InternalFailure", "oops"), TRANSIENT)]
#[case::broken_in_html(html(500), TRANSIENT)]
#[case::unavailable_in_html(html(503), TRANSIENT)]
#[case::success_in_html(html(200), TRANSIENT)]
#[case::cut_off(Answer::Truncated(json!({"build": {"id": "web:2"}})), TRANSIENT)]
#[case::half_a_body(Answer::Raw(200, "application/x-amz-json-1.1", b"{\"build\": {\"id\": \"web:".to_vec()), TRANSIENT)]
#[case::dropped(Answer::Dropped, TRANSIENT)]
#[tokio::test]
async fn of_codebuild(#[case] answer: Answer, #[case] row: [bool; 5]) {
    let wire = Wire::new([("RetryBuild", answer)]).await;
    let error = wire.aws().await.codebuild.retry_build(&BuildId::new("web:1"), "t").await.unwrap_err();
    assert_eq!(questions!(error), row, "{error}: {:?}", error.source());
}

#[rstest]
#[case::throttled(Answer::XmlError(400, "Throttling"), THROTTLED)]
#[case::denied(Answer::XmlError(403, "AccessDenied"), DENIED)]
#[case::full(Answer::XmlError(409, "LimitExceeded"), REJECTED)]
#[case::malformed(Answer::XmlError(400, "MalformedPolicyDocument"), REJECTED)]
#[case::service_linked(Answer::XmlError(400, "UnmodifiableEntity"), REJECTED)]
#[case::being_edited(Answer::XmlError(409, "ConcurrentModification"), TRANSIENT)]
#[case::broken(Answer::XmlError(500, "ServiceFailure"), TRANSIENT)]
#[case::broken_in_html(html(500), TRANSIENT)]
#[case::dropped(Answer::Dropped, TRANSIENT)]
#[tokio::test]
async fn of_iam(#[case] answer: Answer, #[case] row: [bool; 5]) {
    let wire = Wire::new([("GetRole", answer)]).await;
    let error = wire.aws().await.iam.role(&RoleName::new("builder")).await.unwrap_err();
    assert_eq!(questions!(error), row, "{error}: {:?}", error.source());
}

#[rstest]
#[case::throttled(Answer::JsonError(400, "ThrottlingException", "Rate exceeded"), THROTTLED)]
#[case::denied(Answer::JsonError(400, "AccessDeniedException", "no"), DENIED)]
#[case::rejected(Answer::JsonError(400, "InvalidParameterException", "no"), REJECTED)]
#[case::not_utf8(Answer::Raw(200, "application/x-amz-json-1.1", b"{\"events\": [{\"message\": \"\xff\"}]}".to_vec()), TRANSIENT)]
#[case::unavailable(Answer::JsonError(500, "ServiceUnavailableException", "later"), TRANSIENT)]
#[tokio::test]
async fn of_logs(#[case] answer: Answer, #[case] row: [bool; 5]) {
    let wire = Wire::new([("GetLogEvents", answer)]).await;
    let error = wire.aws().await.build_log.tail("group", "stream").await.unwrap_err();
    assert_eq!(questions!(error), row, "{error}: {:?}", error.source());
}

#[tokio::test]
async fn an_error_says_what_was_asked_of_what_and_why_it_failed() {
    let wire = Wire::new([("RetryBuild", Answer::JsonError(400, "ThrottlingException", "Rate exceeded"))]).await;
    let error = wire.aws().await.codebuild.retry_build(&BuildId::new("web:1"), "t").await.unwrap_err();
    assert_eq!(error.to_string(), "CodeBuild RetryBuild of web:1 was throttled");
    assert_eq!(error.source().unwrap().to_string(), "ThrottlingException: Rate exceeded");
    assert_eq!(error.code(), Some("ThrottlingException"));
}

#[tokio::test]
async fn an_unreadable_answer_is_not_quoted() {
    let project = json!({"projects": [{"name": "web", "environment": {"type": "T", "image": "i", "computeType": "c",
        "environmentVariables": [{"name": "PASSWORD", "value": "hunter2hunter2"}, 7]}}]});
    let wire = Wire::new([("BatchGetProjects", Answer::Json(project))]).await;
    let error = wire.aws().await.codebuild.project(&ProjectName::new("web")).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.source().unwrap().to_string(), "the answer can't be read (HTTP status 200)");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_throttled_call_is_sent_again() {
    let wire = Wire::new([
        ("ListBuilds", Answer::JsonError(400, "ThrottlingException", "Rate exceeded")),
        ("ListBuilds", Answer::Dropped),
        ("ListBuilds", Answer::Json(json!({"ids": ["web:1"]}))),
    ])
    .await;
    let quick = Retries { attempts: 3, initial_backoff: Duration::from_millis(1) };
    let (ids, _) = wire.aws_with(quick).await.codebuild.list_builds(None).await.unwrap();
    assert_eq!((ids, wire.operations().len()), (vec![BuildId::new("web:1")], 3));
}

#[tokio::test]
async fn a_refused_call_is_sent_once() {
    let wire = Wire::new([("GetRole", Answer::XmlError(409, "LimitExceeded"))]).await;
    let quick = Retries { attempts: 3, initial_backoff: Duration::from_millis(1) };
    let error = wire.aws_with(quick).await.iam.role(&RoleName::new("builder")).await.unwrap_err();
    assert!(error.is_rejected());
    assert_eq!(wire.operations(), ["GetRole"]);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let wire = Wire::new([("ListBuilds", Answer::Never)]).await;
    let limit = Duration::from_millis(20);
    let connection = Connection {
        retries: Retries::none(),
        timeouts: Timeouts { connect: limit * 50, attempt: limit, operation: limit * 50 },
        ..Connection::to_loopback(wire.endpoint())
    };
    let error = Aws::connect(&connection).await.unwrap().codebuild.list_builds(None).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}
