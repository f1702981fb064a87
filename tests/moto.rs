//! The Logs, IAM and Secrets Manager edges against moto, a server that nobody here wrote.
//!
//! `tests/moto/run.sh` starts one and runs this. Known faults of moto that matter here: every filter pattern that begins
//! with a question mark matches every line, roles may hold any amount of inline policy, and pages are never cut.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use jiff::Timestamp;
use serde_json::{Value, json};
use unthrottled::domain::build::{AuthConfig, RoleName, Secret, SecretArn, SecretKey};
use unthrottled::edge::aws::{Aws, Connection};
use unthrottled::edge::build_log::{LogText, Reach};
use unthrottled::edge::iam::{PolicyRead, PolicyWrite};
use unthrottled::edge::secrets::{SecretCheck, SecretProblem, Wanted};

#[expect(
    clippy::disallowed_methods,
    reason = "the address of a server that the caller started can only come from outside"
)]
fn moto_url() -> String {
    std::env::var("MOTO_URL").expect("MOTO_URL: the address of a running moto server; tests/moto/run.sh starts one")
}

async fn edges() -> Aws {
    Aws::connect(&Connection::to_loopback(moto_url())).await.unwrap()
}

/// For the test's own data, past the edges.
async fn person() -> SdkConfig {
    let keys = aws_sdk_iam::config::Credentials::new("person", "person", None, None, "test");
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(moto_url())
        .region(Region::new("us-east-1"))
        .credentials_provider(keys)
        .load()
        .await
}

/// Tests share one server, so each names what it makes after itself.
async fn role(name: &str, path: &str) -> RoleName {
    let iam = aws_sdk_iam::Client::new(&person().await);
    iam.create_role().role_name(name).path(path).assume_role_policy_document("{}").send().await.unwrap();
    RoleName::new(name)
}

async fn secret(name: &str, value: &str, key: Option<&str>) -> SecretArn {
    let secrets = aws_sdk_secretsmanager::Client::new(&person().await);
    let request = secrets.create_secret().name(name).secret_string(value).set_kms_key_id(key.map(str::to_string));
    SecretArn::new(request.send().await.unwrap().arn.unwrap())
}

const LOGIN: &str = r#"{"username": "u", "password": "p"}"#;

async fn check(secret: &str) -> SecretCheck {
    let wanted = Wanted {
        secret,
        username_key: "username",
        password_key: "password",
        auth_config_key: "docker_auth_config",
        region: "us-east-1",
    };
    edges().await.secrets.usable(wanted).await.unwrap()
}

/// Makes a group with a stream of these lines, a second apart from this second on.
async fn stream(group: &str, start: i64, lines: &[String]) {
    let logs = aws_sdk_cloudwatchlogs::Client::new(&person().await);
    logs.create_log_group().log_group_name(group).send().await.unwrap();
    logs.create_log_stream().log_group_name(group).log_stream_name("s").send().await.unwrap();
    for (chunk, at) in lines.chunks(5_000).zip(0_i64..) {
        let events = chunk.iter().zip(at * 5_000..).map(|(line, n)| {
            let event = aws_sdk_cloudwatchlogs::types::InputLogEvent::builder();
            event.timestamp(start + n * 1_000).message(line).build().unwrap()
        });
        let put = logs.put_log_events().log_group_name(group).log_stream_name("s");
        put.set_log_events(Some(events.collect())).send().await.unwrap();
    }
}

/// moto, like AWS, takes no events older than two weeks, so these lines are of now.
#[expect(clippy::disallowed_methods, reason = "the server compares the events' times with its own clock")]
fn an_hour_ago() -> i64 {
    Timestamp::now().as_millisecond() - 3_600_000
}

fn at(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap()
}

#[tokio::test]
async fn a_short_log_is_read_whole() {
    stream("short", an_hour_ago(), &["one".into(), "two é".into()]).await;
    let tail = edges().await.build_log.tail("short", "s").await.unwrap();
    assert_eq!(tail, LogText { text: "one\ntwo é".into(), reach: Reach::Complete });
}

#[tokio::test]
async fn a_log_of_more_than_one_page_is_read_from_its_end() {
    let lines: Vec<String> = (0..12_000).map(|n| format!("line {n} {}", "x".repeat(150))).collect();
    stream("long", an_hour_ago() - 12_000_000, &lines).await;
    let tail = edges().await.build_log.tail("long", "s").await.unwrap();
    assert_eq!(tail.reach, Reach::TooLong);
    assert_eq!(tail.text.lines().last(), lines.last().map(String::as_str));
    assert_eq!(tail.text, lines[2_000..].join("\n"), "the newest page of ten thousand lines");
}

#[tokio::test]
async fn a_filter_keeps_to_its_window_and_term() {
    let start = an_hour_ago();
    let mut lines: Vec<String> = (0..1_000).map(|n| format!("line {n}")).collect();
    lines[3] = "toomanyrequests: before the window".into();
    lines[500] = "toomanyrequests: in the window".into();
    stream("filtered", start, &lines).await;
    let window = (at(start + 490_000), at(start + 510_000));
    let found = edges().await.build_log.filter("filtered", "s", window, &["toomanyrequests"]).await.unwrap();
    assert_eq!(found, LogText { text: lines[500].clone(), reach: Reach::Complete });
    let all = edges().await.build_log.filter("filtered", "s", window, &[]).await.unwrap();
    assert_eq!(all.text, lines[430..=570].join("\n"), "a minute more at both ends");
}

#[tokio::test]
async fn logs_may_be_missing() {
    let log = edges().await.build_log;
    let missing = LogText { text: String::new(), reach: Reach::Missing };
    assert_eq!(log.tail("no such group", "s").await.unwrap(), missing);
    stream("without-stream", an_hour_ago(), &["one".into()]).await;
    assert_eq!(log.tail("without-stream", "other").await.unwrap(), missing);
    let window = (Timestamp::UNIX_EPOCH, at(an_hour_ago()));
    assert_eq!(log.filter("no such group", "s", window, &["x"]).await.unwrap(), missing);
}

#[tokio::test]
async fn a_policy_is_written_read_and_taken_away() {
    let role = role("writes", "/service-role/").await;
    let iam = edges().await.iam;
    let document = json!({"Version": "2012-10-17", "Statement": [{"Sid": "a+b 100%", "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue", "Resource": "arn:aws:secretsmanager:us-east-1:123456789012:secret:é-AbCdEf"}]});
    assert_eq!(iam.policy(&role, "p").await.unwrap(), PolicyRead::Absent);
    let put = iam.put_policy(&role, "p", &document, async |current| current.is_none()).await.unwrap();
    assert_eq!(put, PolicyWrite::Done);
    let PolicyRead::Present(policy) = iam.policy(&role, "p").await.unwrap() else { panic!("written") };
    assert_eq!(policy.document.as_ref(), Some(&document));
    assert_eq!(policy.size, document.to_string().chars().filter(|c| !c.is_whitespace()).count());

    let again = iam.put_policy(&role, "p", &Value::Null, async |current| current.is_none()).await.unwrap();
    assert_eq!(again, PolicyWrite::NotAsExpected);
    let other = iam.delete_policy(&role, "p", async |current| current.is_none()).await.unwrap();
    assert_eq!(other, PolicyWrite::NotAsExpected);
    let ours = async |current: Option<&unthrottled::domain::build::InlinePolicy>| {
        current.and_then(|policy| policy.document.as_ref()) == Some(&document)
    };
    assert_eq!(iam.delete_policy(&role, "p", ours).await.unwrap(), PolicyWrite::Done);
    assert_eq!(iam.policy(&role, "p").await.unwrap(), PolicyRead::Absent);
    assert_eq!(iam.delete_policy(&role, "p", async |current| current.is_none()).await.unwrap(), PolicyWrite::Done);
}

#[tokio::test]
async fn a_role_is_read_with_its_policies() {
    let name = role("reads", "/service-role/").await;
    let iam = aws_sdk_iam::Client::new(&person().await);
    let document =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]});
    for policy in ["one", "two"] {
        let request = iam.put_role_policy().role_name("reads").policy_name(policy);
        request.policy_document(document.to_string()).send().await.unwrap();
    }
    let role = edges().await.iam.role(&name).await.unwrap().unwrap();
    assert_eq!((role.path.as_str(), role.inline.len()), ("/service-role/", 2));
    assert_eq!(role.policy("one").unwrap().document, Some(document));
}

#[tokio::test]
async fn a_role_may_be_missing() {
    let (iam, name) = (edges().await.iam, RoleName::new("no-such-role"));
    assert_eq!(iam.role(&name).await.unwrap(), None);
    assert_eq!(iam.policy(&name, "p").await.unwrap(), PolicyRead::RoleGone);
    assert_eq!(iam.put_policy(&name, "p", &json!({}), async |_| true).await.unwrap(), PolicyWrite::RoleGone);
    assert_eq!(iam.delete_policy(&name, "p", async |_| true).await.unwrap(), PolicyWrite::RoleGone);
}

#[tokio::test]
async fn a_malformed_document_is_rejected() {
    let role = role("malformed", "/").await;
    let error = edges().await.iam.put_policy(&role, "p", &json!([1]), async |_| true).await.unwrap_err();
    assert!(error.is_rejected(), "{error}");
    assert_eq!(error.code(), Some("MalformedPolicyDocument"));
}

#[tokio::test]
async fn a_secret_is_usable_by_name_and_by_arn() {
    let arn = secret("hub/usable", LOGIN, None).await;
    let usable = SecretCheck::Usable(Secret {
        arn: arn.clone(),
        key: None,
        auth_config: AuthConfig::Unusable("the secret has no text under it".to_string()),
    });
    assert_eq!(check("hub/usable").await, usable);
    assert_eq!(check(arn.as_str()).await, usable);
}

#[tokio::test]
async fn a_customers_key_is_known() {
    secret("hub/alias", LOGIN, Some("alias/team")).await;
    let SecretCheck::Usable(usable) = check("hub/alias").await else { panic!("usable") };
    let keys = "arn:aws:kms:us-east-1:123456789012:key/*".to_string();
    assert_eq!(usable.key, Some(SecretKey::Alias { alias: "alias/team".into(), keys }));
}

#[tokio::test]
async fn secrets_are_unusable_for_a_reason() {
    secret("hub/text", "dckr_pat_abc", None).await;
    secret("hub/keys", r#"{"user": "u", "password": "p"}"#, None).await;
    let deleted = secret("hub/deleted", LOGIN, None).await;
    let secrets = aws_sdk_secretsmanager::Client::new(&person().await);
    secrets.delete_secret().secret_id(deleted.as_str()).send().await.unwrap();
    let no_value = secrets.create_secret().name("hub/no-value").send().await.unwrap().arn.unwrap();
    assert_eq!(check("hub/none").await, SecretCheck::Unusable(SecretProblem::Missing));
    assert_eq!(check("hub/text").await, SecretCheck::Unusable(SecretProblem::NotJson));
    assert_eq!(check("hub/keys").await, SecretCheck::Unusable(SecretProblem::KeyMissing("username".into())));
    assert_eq!(check("hub/deleted").await, SecretCheck::Unusable(SecretProblem::ScheduledForDeletion));
    assert_eq!(check(&no_value).await, SecretCheck::Unusable(SecretProblem::NoValue));
}
