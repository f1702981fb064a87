//! Whether a secret can be used.

use crate::wire::{Answer, Wire};
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};
use unthrottled::domain::build::{AuthConfig, Secret, SecretArn, SecretKey};
use unthrottled::edge::secrets::{SecretCheck, SecretProblem, Wanted};

const ARN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf";

fn wanted(secret: &str) -> Wanted<'_> {
    Wanted { secret, username_key: "username", password_key: "password", auth_config_key: "auth", region: "us-east-1" }
}

fn described(members: Value) -> (&'static str, Answer) {
    let mut secret = json!({"ARN": ARN, "Name": "hub"});
    secret.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    ("DescribeSecret", Answer::Json(secret))
}

fn value(value: &str) -> (&'static str, Answer) {
    ("GetSecretValue", Answer::Json(json!({"ARN": ARN, "Name": "hub", "SecretString": value})))
}

fn refused(operation: &'static str, code: &'static str) -> (&'static str, Answer) {
    (operation, Answer::JsonError(400, code, "no"))
}

async fn check(secret: &str, script: Vec<(&'static str, Answer)>) -> SecretCheck {
    let wire = Wire::new(script).await;
    let check = wire.aws().await.secrets.usable(wanted(secret)).await.unwrap();
    wire.sent();
    check
}

#[tokio::test]
async fn a_secret_is_usable_and_known_by_its_full_arn() {
    let wire = Wire::new([described(json!({})), value(r#"{"username": "u", "password": "p", "auth": "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"}}}"}"#)]).await;
    let check = wire.aws().await.secrets.usable(wanted("hub")).await.unwrap();
    assert_eq!(
        check,
        SecretCheck::Usable(Secret { arn: SecretArn::new(ARN), key: None, auth_config: AuthConfig::Usable })
    );
    assert_eq!(wire.body_of("DescribeSecret"), json!({"SecretId": "hub"}));
    assert_eq!(wire.body_of("GetSecretValue"), json!({"SecretId": ARN}));
}

#[tokio::test]
async fn its_customer_managed_key_is_named() {
    let script = vec![described(json!({"KmsKeyId": "0a1b"})), value(r#"{"username": "u", "password": "p"}"#)];
    let auth_config = AuthConfig::Unusable("the secret has no text under it".to_string());
    let key = Some(SecretKey::Key("arn:aws:kms:us-east-1:111122223333:key/0a1b".into()));
    assert_eq!(check(ARN, script).await, SecretCheck::Usable(Secret { arn: SecretArn::new(ARN), key, auth_config }));
}

#[rstest]
#[case::missing(vec![refused("DescribeSecret", "ResourceNotFoundException")], SecretProblem::Missing)]
#[case::denied(vec![refused("DescribeSecret", "AccessDeniedException")], SecretProblem::Denied)]
#[case::deleted(vec![described(json!({"DeletedDate": 1795255200.0}))], SecretProblem::ScheduledForDeletion)]
#[case::no_value(vec![described(json!({})), refused("GetSecretValue", "ResourceNotFoundException")], SecretProblem::NoValue)]
#[case::value_denied(vec![described(json!({})), refused("GetSecretValue", "AccessDeniedException")], SecretProblem::Denied)]
#[case::key_disabled(vec![described(json!({})), refused("GetSecretValue", "DecryptionFailure")], SecretProblem::KeyUnusable)]
#[case::binary(vec![described(json!({})), ("GetSecretValue", Answer::Json(json!({"SecretBinary": "AAEC"})))], SecretProblem::NotJson)]
#[case::not_json(vec![described(json!({})), value("dckr_pat_abc")], SecretProblem::NotJson)]
#[case::no_user(vec![described(json!({})), value(r#"{"password": "p"}"#)], SecretProblem::KeyMissing("username".into()))]
#[case::no_password(vec![described(json!({})), value(r#"{"username": "u"}"#)], SecretProblem::KeyMissing("password".into()))]
#[tokio::test]
async fn a_secret_is_unusable(#[case] script: Vec<(&'static str, Answer)>, #[case] problem: SecretProblem) {
    assert_eq!(check("hub", script).await, SecretCheck::Unusable(problem));
}

#[tokio::test]
async fn a_secret_of_another_region_is_not_even_asked_for() {
    let elsewhere = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-AbCdEf";
    assert_eq!(check(elsewhere, vec![]).await, SecretCheck::Unusable(SecretProblem::OtherRegion("eu-west-1".into())));
}

#[tokio::test]
async fn a_throttled_look_says_nothing_about_the_secret() {
    let wire = Wire::new([refused("DescribeSecret", "ThrottlingException")]).await;
    assert!(wire.aws().await.secrets.usable(wanted("hub")).await.unwrap_err().is_throttled());
}

#[tokio::test]
async fn a_value_is_never_in_what_is_answered() {
    let password = "dckr_pat_0123456789";
    let wire =
        Wire::new([described(json!({})), value(&format!(r#"{{"username": 7, "password": "{password}"}}"#))]).await;
    let check = wire.aws().await.secrets.usable(wanted("hub")).await;
    assert!(!format!("{check:?}").contains("dckr"), "{check:?}");

    let half = format!(r#"{{"ARN": "{ARN}", "SecretString": "{password}"#).into_bytes();
    let half = ("GetSecretValue", Answer::Raw(200, "application/x-amz-json-1.1", half));
    let wire = Wire::new([described(json!({})), half]).await;
    let error = wire.aws().await.secrets.usable(wanted("hub")).await.unwrap_err();
    assert!(error.is_transient() && !format!("{error:?}").contains("dckr"), "{error:?}");
}

/// A validation error quotes what it refuses.
#[tokio::test]
async fn a_refused_write_does_not_tell_what_was_refused() {
    let password = "dckr_pat_0123456789";
    let text = SecretString::from(json!({ "username": "acme-ci", "password": password }).to_string());
    let said = "Value '{\"username\":\"acme-ci\",\"password\":\"dckr_pat_0123456789\"}' at 'secretString', or 'dckr_pat_0123456789', is not valid";
    let wire = Wire::new([("PutSecretValue", Answer::JsonError(400, "ValidationException", said))]).await;
    let error = wire.aws().await.secrets.put(ARN, &text, "0f4ae2c6-3fa0-4e5b-8f8e-0e7e1d2c3b4a").await.unwrap_err();
    assert!(error.is_rejected());
    let shown = format!("{error:?}");
    assert!(shown.contains("is not valid") && !shown.contains("dckr") && !shown.contains("acme-ci"), "{shown}");
}
