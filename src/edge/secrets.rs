//! Secrets Manager: whether a secret holds a Docker Hub login that builds of this region can use.
//!
//! The value is looked at once, to see that the keys are there, and wiped; the SDK's own buffers are not ours to wipe.

pub mod store;
pub mod text;

use crate::domain::build::{AuthConfig, Secret, SecretArn, SecretKey};
use crate::edge::aws::calls::CountCalls;
use crate::edge::aws::failure::{CallError, Failure, answers_questions};
use crate::edge::aws::{account_of, region_of};
use crate::edge::docker_auth_config;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

const SERVICE: &str = "Secrets Manager";

/// The key that AWS manages, which every principal of the account that may read the secret may use.
const AWS_MANAGED_KEY: &str = "alias/aws/secretsmanager";

/// Secrets Manager of one account and region.
#[derive(Clone, Debug)]
pub struct Secrets {
    client: aws_sdk_secretsmanager::Client,
}

/// The secret that a policy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Its name or ARN.
    pub secret: &'a str,
    /// The JSON key of the user name.
    pub username_key: &'a str,
    /// The JSON key of the password or access token.
    pub password_key: &'a str,
    /// The JSON key of the text for `DOCKER_AUTH_CONFIG`, which need not be there.
    pub auth_config_key: &'a str,
    /// The region that the builds run in.
    pub region: &'a str,
}

/// Whether a secret can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretCheck {
    /// It can.
    Usable(Secret),
    /// It can't, and a person has to do something.
    Unusable(SecretProblem),
}

/// Why a secret can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum SecretProblem {
    /// There is none.
    #[error("there is no such secret in this account and region: create it, or correct its name in the settings")]
    Missing,
    /// It was deleted and waits out its recovery window.
    #[error("the secret is scheduled for deletion: restore it, or name another one in the settings")]
    ScheduledForDeletion,
    /// It was made without a value.
    #[error("the secret has no current value: store the login in it")]
    NoValue,
    /// It is binary, or text of another form.
    #[error("the secret's value is not a JSON object: store the login as JSON keys and values")]
    NotJson,
    /// This key is missing, is empty, or is no text.
    #[error("the secret's JSON has no text under the key {0:?}: add it, or correct the key's name in the settings")]
    KeyMissing(String),
    /// It is in this region, and builds can name a secret of their own region only.
    #[error("the secret is in {0}: replicate it into the region of the builds and name the replica")]
    OtherRegion(String),
    /// The daemon may not look at it.
    #[error(
        "the daemon may not read the secret, or there is none of that name, as IAM denies a name that it can't resolve: \
         look for it, or allow secretsmanager:DescribeSecret and secretsmanager:GetSecretValue on it, and kms:Decrypt on \
         its key if that is not the one that AWS manages"
    )]
    Denied,
    /// Its KMS key is disabled, deleted or out of reach.
    #[error("the secret can't be decrypted: enable its KMS key, or give the secret another one")]
    KeyUnusable,
}

/// Why Secrets Manager could not be asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SecretsError(#[from] CallError);

answers_questions!(SecretsError);

impl SecretsError {
    /// What it came to.
    pub fn failure(&self) -> Failure {
        self.0.failure()
    }

    /// AWS's error code.
    pub fn code(&self) -> Option<&str> {
        self.0.code()
    }

    /// Whether the secret may not be read. Credentials that do for nothing say nothing of the secret, and neither does an
    /// organization that denies the call.
    fn is_of_the_secret(&self) -> bool {
        self.is_denied() && !self.0.is_of_credentials() && !self.0.is_of_organization()
    }
}

impl SecretProblem {
    /// One of a fixed set of words, for events and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            SecretProblem::Missing => "missing",
            SecretProblem::ScheduledForDeletion => "scheduled_for_deletion",
            SecretProblem::NoValue => "no_value",
            SecretProblem::NotJson => "not_json",
            SecretProblem::KeyMissing(_) => "key_missing",
            SecretProblem::OtherRegion(_) => "other_region",
            SecretProblem::Denied => "denied",
            SecretProblem::KeyUnusable => "key_unusable",
        }
    }

    /// Why the value of a secret that was described a moment ago was not answered.
    fn of_value(error: SecretsError) -> Result<SecretProblem, SecretsError> {
        match error.code() {
            // It is the value that is not there.
            _ if error.is_gone() => Ok(SecretProblem::NoValue),
            _ if error.is_of_the_secret() => Ok(SecretProblem::Denied),
            Some("DecryptionFailure") => Ok(SecretProblem::KeyUnusable),
            _ => Err(error),
        }
    }
}

impl Secrets {
    pub(crate) fn new(config: &SdkConfig, calls: &CountCalls) -> Secrets {
        let config = aws_sdk_secretsmanager::config::Builder::from(config).interceptor(calls.clone()).build();
        Secrets { client: aws_sdk_secretsmanager::Client::from_conf(config) }
    }

    /// Whether the secret is there, can be read, is in this region, and has text under both keys.
    pub async fn usable(&self, wanted: Wanted<'_>) -> Result<SecretCheck, SecretsError> {
        if let Some(other) = other_region(wanted.secret, wanted.region) {
            return Ok(SecretCheck::Unusable(other));
        }
        let secret = match self.describe(wanted.secret, wanted.region).await? {
            Ok(secret) => secret,
            Err(problem) => return Ok(SecretCheck::Unusable(problem)),
        };
        let value = match self.value(secret.arn.as_str()).await? {
            Ok(value) => value,
            Err(problem) => return Ok(SecretCheck::Unusable(problem)),
        };
        Ok(match check_keys(&value, wanted) {
            Ok(auth_config) => SecretCheck::Usable(Secret { auth_config, ..secret }),
            Err(problem) => SecretCheck::Unusable(problem),
        })
    }

    async fn describe(&self, secret: &str, region: &str) -> Result<Result<Secret, SecretProblem>, SecretsError> {
        let answer = self.client.describe_secret().secret_id(secret).send().await;
        let answer = match answer.map_err(|error| failed("DescribeSecret", secret, &error)) {
            Ok(answer) => answer,
            Err(error) if error.is_gone() => return Ok(Err(SecretProblem::Missing)),
            Err(error) if error.is_of_the_secret() => return Ok(Err(SecretProblem::Denied)),
            Err(error) => return Err(error),
        };
        if answer.deleted_date.is_some() {
            return Ok(Err(SecretProblem::ScheduledForDeletion));
        }
        let Some(arn) = answer.arn else {
            return Err(CallError::incomplete(SERVICE, "DescribeSecret", secret).into());
        };
        if let Some(other) = other_region(&arn, region) {
            return Ok(Err(other));
        }
        let key = answer.kms_key_id.and_then(|key| customer_key(&key, &arn));
        let auth_config = AuthConfig::Unusable("it was not read".to_string());
        Ok(Ok(Secret { arn: SecretArn::new(arn), key, auth_config }))
    }

    async fn value(&self, secret: &str) -> Result<Result<SecretString, SecretProblem>, SecretsError> {
        let answer = self.client.get_secret_value().secret_id(secret).send().await;
        match answer.map_err(|error| failed("GetSecretValue", secret, &error)) {
            Ok(mut answer) => Ok(answer.secret_string.take().map(SecretString::from).ok_or(SecretProblem::NotJson)),
            Err(error) => SecretProblem::of_value(error).map(Err),
        }
    }
}

/// A name is looked up in the region itself; only an ARN can name another.
fn other_region(secret: &str, region: &str) -> Option<SecretProblem> {
    region_of(secret).filter(|other| *other != region).map(|other| SecretProblem::OtherRegion(other.to_string()))
}

/// The customer's key by what Secrets Manager says of it: nothing, a key id, a key ARN, an alias, or an alias ARN.
fn customer_key(key: &str, secret_arn: &str) -> Option<SecretKey> {
    if key == AWS_MANAGED_KEY || key.ends_with(&format!(":{AWS_MANAGED_KEY}")) {
        return None;
    }
    let is_arn = key.starts_with("arn:");
    // An alias of another account names that account's keys.
    let place = if is_arn { key } else { secret_arn };
    let partition = place.split(':').nth(1).unwrap_or_default();
    let region = region_of(place).unwrap_or_default();
    let account = account_of(place).unwrap_or_default();
    let keys = format!("arn:{partition}:kms:{region}:{account}:key/");
    match key.find("alias/") {
        Some(alias) => Some(SecretKey::Alias { alias: key[alias..].to_string(), keys: format!("{keys}*") }),
        None if is_arn => Some(SecretKey::Key(key.to_string())),
        None => Some(SecretKey::Key(format!("{keys}{key}"))),
    }
}

/// Whether user name and password are texts that are not blank; and if they are, whether the third key is what docker
/// takes for the same login.
fn check_keys(value: &SecretString, wanted: Wanted<'_>) -> Result<AuthConfig, SecretProblem> {
    let members: BTreeMap<String, Member> =
        serde_json::from_str(value.expose_secret()).map_err(|_| SecretProblem::NotJson)?;
    let text = |key: &str| match members.get(key) {
        Some(Member::Text(text)) => Some(text),
        Some(Member::Other) | None => None,
    };
    let required = |key: &str| text(key).ok_or_else(|| SecretProblem::KeyMissing(key.to_string()));
    let (username, password) = (required(wanted.username_key)?, required(wanted.password_key)?);
    let Some(there) = text(wanted.auth_config_key) else {
        return Ok(AuthConfig::Unusable("the secret has no text under it".to_string()));
    };
    Ok(match docker_auth_config::check(there, username.expose_secret(), password) {
        Ok(()) => AuthConfig::Usable,
        Err(problem) => AuthConfig::Unusable(problem.to_string()),
    })
}

/// What stands under a key. A text is wiped when it is dropped; of everything else only the kind is kept.
enum Member {
    Text(SecretString),
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(if text.trim().is_empty() { Member::Other } else { Member::Text(SecretString::from(text)) })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Member, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

fn failed<E>(operation: &'static str, resource: &str, error: &SdkError<E, HttpResponse>) -> SecretsError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    CallError::new(SERVICE, operation, resource, error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn wanted() -> Wanted<'static> {
        Wanted {
            secret: "hub",
            username_key: "username",
            password_key: "password",
            auth_config_key: "docker_auth_config",
            region: "cn-north-1",
        }
    }

    const ARN: &str = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:hub-AbCdEf";

    #[rstest]
    #[case::both(r#"{"username": "u", "password": "p"}"#, Ok(()))]
    #[case::others_do_no_harm(r#"{"username": "u", "password": "p", "n": [1, {"a": null}], "o": {"b": true}}"#, Ok(()))]
    #[case::other_case(r#"{"Username": "u", "password": "p"}"#, Err(SecretProblem::KeyMissing("username".into())))]
    #[case::empty(r#"{"username": "u", "password": " "}"#, Err(SecretProblem::KeyMissing("password".into())))]
    #[case::number(r#"{"username": "u", "password": 7}"#, Err(SecretProblem::KeyMissing("password".into())))]
    #[case::nested(r#"{"username": {"a": "u"}, "password": "p"}"#, Err(SecretProblem::KeyMissing("username".into())))]
    #[case::a_token_alone("dckr_pat_abc", Err(SecretProblem::NotJson))]
    #[case::a_list(r#"["u", "p"]"#, Err(SecretProblem::NotJson))]
    #[case::nothing("", Err(SecretProblem::NotJson))]
    fn keys_of(#[case] value: &str, #[case] answer: Result<(), SecretProblem>) {
        let checked = check_keys(&SecretString::from(value), wanted());
        assert_eq!(checked.map(|_| ()), answer);
    }

    #[rstest]
    #[case::good(r#""docker_auth_config": "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"}}}""#, None)]
    #[case::missing(r#""other": "x""#, Some("the secret has no text under it"))]
    #[case::an_object(
        r#""docker_auth_config": {"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}}}"#,
        Some("the secret has no text under it")
    )]
    #[case::another_form(r#""docker_auth_config": "dTpw""#, Some("it is not of the form"))]
    #[case::before_a_rotation(
        r#""docker_auth_config": "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpvbGQ=\"}}}""#,
        Some("it holds another login")
    )]
    fn the_text_for_docker_is_checked_and_not_told(#[case] member: &str, #[case] why: Option<&str>) {
        let value = SecretString::from(format!(r#"{{"username": "u", "password": "p", {member}}}"#));
        match (check_keys(&value, wanted()).unwrap(), why) {
            (AuthConfig::Usable, None) => (),
            (AuthConfig::Unusable(said), Some(why)) => {
                assert!(said.starts_with(why), "{said}");
                assert!(!said.contains("dTp"), "{said}");
            }
            (other, why) => panic!("{other:?}, not {why:?}"),
        }
    }

    #[test]
    fn the_key_that_aws_manages_needs_no_grant() {
        assert_eq!(customer_key(AWS_MANAGED_KEY, ARN), None);
        assert_eq!(customer_key("arn:aws:kms:us-east-1:111122223333:alias/aws/secretsmanager", ARN), None);
    }

    #[test]
    fn a_customers_key_is_named_by_its_arn() {
        let arn = "arn:aws:kms:us-east-1:444455556666:key/mrk-1234";
        assert_eq!(customer_key(arn, ARN), Some(SecretKey::Key(arn.to_string())));
        let built = "arn:aws-cn:kms:cn-north-1:111122223333:key/0a1b";
        assert_eq!(customer_key("0a1b", ARN), Some(SecretKey::Key(built.to_string())));
    }

    #[rstest]
    #[case("alias/team", "arn:aws-cn:kms:cn-north-1:111122223333:key/*")]
    #[case("arn:aws:kms:us-east-1:444455556666:alias/team", "arn:aws:kms:us-east-1:444455556666:key/*")]
    fn an_alias_is_kept_with_the_keys_it_may_stand_for(#[case] key: &str, #[case] keys: &str) {
        let alias = SecretKey::Alias { alias: "alias/team".to_string(), keys: keys.to_string() };
        assert_eq!(customer_key(key, ARN), Some(alias));
    }

    #[test]
    fn problems_are_words_and_sentences() {
        let problem = SecretProblem::KeyMissing("password".to_string());
        assert_eq!(serde_json::to_value(&problem).unwrap(), serde_json::json!({"key_missing": "password"}));
        assert_eq!(serde_json::to_value(SecretProblem::KeyUnusable).unwrap(), SecretProblem::KeyUnusable.word());
        assert!(problem.to_string().contains("\"password\""), "{problem}");
    }
}
