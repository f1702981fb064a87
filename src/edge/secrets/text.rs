//! What stands in a secret: reading the login out of it, and writing one into it with everything else left as it is.
//!
//! Every copy that this makes of a value is wiped; those of the SDK and of the JSON parser's own buffers are not ours.

use super::SecretProblem;
use crate::edge::docker_auth_config::{self, AuthConfigProblem, UsernameProblem, docker_auth_config};
use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::fmt;

/// The longest text that Secrets Manager keeps, in bytes.
const LONGEST: usize = 65_536;

/// The keys of the secret's JSON that are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys<'a> {
    /// Holds the user name.
    pub username: &'a str,
    /// Holds the password or access token.
    pub password: &'a str,
    /// Holds the text of `DOCKER_AUTH_CONFIG`.
    pub auth_config: &'a str,
}

/// A login to Docker Hub.
#[derive(Clone)]
pub struct Login {
    /// The user name; CodeBuild masks it too, so it is not shown either.
    pub username: String,
    /// The password or access token.
    pub password: SecretString,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// What was found in a secret.
#[derive(Debug)]
pub struct Found {
    /// The login.
    pub login: Login,
    /// Whether the text of `DOCKER_AUTH_CONFIG` is there and right.
    pub auth_config: Result<(), AuthConfigFault>,
}

/// What is wrong with the text of `DOCKER_AUTH_CONFIG` in a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthConfigFault {
    /// No text under its key.
    #[error("there is none")]
    Missing,
    /// Docker clients would not take it.
    #[error(transparent)]
    Problem(#[from] AuthConfigProblem),
}

/// Why a login is not put into a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// The user name is of no use.
    #[error(transparent)]
    Username(#[from] UsernameProblem),
    /// The password is empty, or has blanks or line breaks around it or within.
    #[error("the password {0}")]
    Password(&'static str),
    /// What is there is no JSON object, so there is no place for keys.
    #[error("its value is not a JSON object, and putting a login into it would lose what is there")]
    NotAnObject,
    /// One of our keys holds something that is no text.
    #[error("its key {0:?} holds something that is not text, so someone else uses it")]
    ForeignMember(String),
    /// The text of `DOCKER_AUTH_CONFIG` serves other registries too.
    #[error("its key {0:?} holds logins to other registries, which would be lost")]
    OtherRegistries(String),
    /// More than Secrets Manager takes.
    #[error("its value would be longer than the 65,536 bytes that Secrets Manager takes")]
    TooLong,
}

/// Reads the login.
pub fn read(text: &SecretString, keys: Keys<'_>) -> Result<Found, SecretProblem> {
    let members = Members::parse(text).ok_or(SecretProblem::NotJson)?;
    let of = |key: &str| members.text(key).ok_or_else(|| SecretProblem::KeyMissing(key.to_string()));
    let username = of(keys.username)?.to_string();
    let password = SecretString::from(of(keys.password)?);
    let auth_config = match members.text(keys.auth_config) {
        None => Err(AuthConfigFault::Missing),
        Some(text) => docker_auth_config::check(&SecretString::from(text), &username, &password).map_err(Into::into),
    };
    Ok(Found { login: Login { username, password }, auth_config })
}

/// The user name alone, if there is one.
pub fn username(text: &SecretString, keys: Keys<'_>) -> Option<String> {
    Members::parse(text)?.text(keys.username).map(str::to_string)
}

/// The text of a secret with the login in it; what it holds beside our keys stays.
pub fn write(before: Option<&SecretString>, login: &Login, keys: Keys<'_>) -> Result<SecretString, NotWritten> {
    check_password(&login.password)?;
    let auth_config = docker_auth_config(&login.username, &login.password)?;
    let mut members = match before {
        None => Members(Map::new()),
        Some(text) => Members::parse(text).ok_or(NotWritten::NotAnObject)?,
    };
    for key in [keys.username, keys.password, keys.auth_config] {
        if members.0.get(key).is_some_and(|value| !value.is_string()) {
            return Err(NotWritten::ForeignMember(key.to_string()));
        }
    }
    if members.text(keys.auth_config).is_some_and(serves_others) {
        return Err(NotWritten::OtherRegistries(keys.auth_config.to_string()));
    }
    members.put(keys.username, &login.username);
    members.put(keys.password, login.password.expose_secret());
    members.put(keys.auth_config, auth_config.expose_secret());
    members.to_text()
}

/// Every text in a secret, and the secret's own, to be struck out of what AWS says of it.
pub(super) fn texts(text: &SecretString) -> Zeroizing<Vec<String>> {
    let mut texts = Zeroizing::new(vec![text.expose_secret().to_string()]);
    for member in Members::parse(text).iter().flat_map(|members| members.0.values()) {
        texts.extend(member.as_str().map(str::to_string));
    }
    texts
}

/// What people paste with a blank or a line break would be refused by Docker Hub in every build.
fn check_password(password: &SecretString) -> Result<(), NotWritten> {
    let password = password.expose_secret();
    if password.is_empty() {
        return Err(NotWritten::Password("is empty"));
    }
    if password.chars().any(char::is_control) {
        return Err(NotWritten::Password("holds a line break or another control character"));
    }
    if password.trim() != password {
        return Err(NotWritten::Password("begins or ends with a blank"));
    }
    Ok(())
}

/// Whether the text of `DOCKER_AUTH_CONFIG` logs in to anything but Docker Hub. What is no such text serves nobody.
fn serves_others(text: &str) -> bool {
    let Ok(Value::Object(config)) = serde_json::from_str(text) else { return false };
    let config = Members(config);
    let auths = config.0.get("auths").and_then(Value::as_object);
    auths.is_some_and(|auths| auths.keys().any(|registry| registry != docker_auth_config::DOCKER_HUB))
}

/// The members of a secret's JSON; their texts are wiped when it goes.
struct Members(Map<String, Value>);

impl Members {
    fn parse(text: &SecretString) -> Option<Members> {
        match serde_json::from_str(text.expose_secret()) {
            Ok(Value::Object(members)) => Some(Members(members)),
            Ok(mut other) => {
                wipe(&mut other);
                None
            }
            Err(_) => None,
        }
    }

    /// A text that is not blank.
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    fn put(&mut self, key: &str, text: &str) {
        if let Some(mut old) = self.0.insert(key.to_string(), Value::String(text.to_string())) {
            wipe(&mut old);
        }
    }

    fn to_text(&self) -> Result<SecretString, NotWritten> {
        // All that can be needed from the start: a buffer that grows leaves copies behind.
        let mut buffer = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
        serde_json::to_writer(&mut *buffer, &self.0).map_err(|_| NotWritten::NotAnObject)?;
        if buffer.len() > LONGEST {
            return Err(NotWritten::TooLong);
        }
        let text = std::str::from_utf8(&buffer).map_err(|_| NotWritten::NotAnObject)?;
        Ok(SecretString::from(text))
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const KEYS: Keys<'_> = Keys { username: "username", password: "password", auth_config: "docker_auth_config" };

    fn login(password: &str) -> Login {
        Login { username: "acme".to_string(), password: SecretString::from(password) }
    }

    fn written(before: Option<&str>, password: &str) -> Result<String, NotWritten> {
        let before = before.map(SecretString::from);
        write(before.as_ref(), &login(password), KEYS).map(|text| text.expose_secret().to_string())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = SecretString::from(written(None, "pw \"é\\").unwrap());
        let found = read(&text, KEYS).unwrap();
        assert_eq!((found.login.username.as_str(), found.auth_config), ("acme", Ok(())));
        assert_eq!(found.login.password.expose_secret(), "pw \"é\\");
        assert_eq!(username(&text, KEYS).as_deref(), Some("acme"));
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let before = r#"{"note":"ours","username":"old","n":[1,{"a":null}],"password":"old","rate":1.50}"#;
        let after: Value = serde_json::from_str(&written(Some(before), "pw").unwrap()).unwrap();
        assert_eq!(after["note"], "ours");
        assert_eq!(after["n"], serde_json::json!([1, {"a": null}]));
        assert_eq!((&after["username"], &after["password"]), (&"acme".into(), &"pw".into()));
        let keys: Vec<&String> = after.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["note", "username", "n", "password", "rate", "docker_auth_config"]);
    }

    #[rstest]
    #[case::a_token_alone("dckr_pat_abc", NotWritten::NotAnObject)]
    #[case::a_list("[1]", NotWritten::NotAnObject)]
    #[case::nothing("", NotWritten::NotAnObject)]
    #[case::a_number_under_our_key(r#"{"password": 7}"#, NotWritten::ForeignMember("password".to_string()))]
    #[case::an_object_under_our_key(
        r#"{"docker_auth_config": {"auths": {}}}"#,
        NotWritten::ForeignMember("docker_auth_config".to_string())
    )]
    #[case::logins_of_others(
        r#"{"docker_auth_config": "{\"auths\": {\"ghcr.io\": {\"auth\": \"dTpw\"}}}"}"#,
        NotWritten::OtherRegistries("docker_auth_config".to_string())
    )]
    fn what_would_be_lost_is_refused(#[case] before: &str, #[case] why: NotWritten) {
        assert_eq!(written(Some(before), "pw"), Err(why));
    }

    #[test]
    fn a_secret_longer_than_aws_takes_is_refused() {
        let before = serde_json::json!({ "note": "x".repeat(LONGEST) }).to_string();
        assert_eq!(written(Some(&before), "pw"), Err(NotWritten::TooLong));
    }

    #[rstest]
    #[case("", "is empty")]
    #[case("a\nb", "holds a line break or another control character")]
    #[case("pw ", "begins or ends with a blank")]
    fn a_password_that_was_pasted_badly_is_refused(#[case] password: &str, #[case] why: &'static str) {
        assert_eq!(written(None, password), Err(NotWritten::Password(why)));
    }

    #[rstest]
    #[case::none(r#"{"username":"acme","password":"pw"}"#, Err(AuthConfigFault::Missing))]
    #[case::stale(
        r#"{"username":"acme","password":"new","docker_auth_config":"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"YWNtZTpwdw==\"}}}"}"#,
        Err(AuthConfigFault::Problem(AuthConfigProblem::OtherLogin))
    )]
    fn the_auth_config_is_held_against_the_login(#[case] text: &str, #[case] answer: Result<(), AuthConfigFault>) {
        assert_eq!(read(&SecretString::from(text), KEYS).unwrap().auth_config, answer);
    }

    #[test]
    fn a_login_is_not_in_debug_output() {
        let shown = format!("{:?}", read(&SecretString::from(written(None, "marked").unwrap()), KEYS).unwrap());
        assert!(!shown.contains("marked") && !shown.contains("acme"), "{shown}");
    }
}
