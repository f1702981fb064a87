//! The text of `DOCKER_AUTH_CONFIG`, by which docker clients since 28.3.0 log in without a command: how it is made, and
//! whether a client would take one that is there.
//!
//! A client that can't read the whole text says so in one line and goes on without any of it, so a text that is wrong in
//! one member is a pull without a login. The check is therefore as strict as docker's decoder, and a little stricter.

use aws_smithy_types::base64;
use schemars::JsonSchema;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key that docker looks Docker Hub's login up by, to the byte.
pub const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Why a text is not what docker clients take for a login to Docker Hub. No variant holds anything of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum AuthConfigProblem {
    /// No JSON, more than one value, or members that docker does not know or not in that form.
    #[error(
        "it is not of the form {{\"auths\": {{\"{DOCKER_HUB}\": {{\"auth\": …}}}}}}, and docker refuses every other member"
    )]
    Form,
    /// Nothing under [`DOCKER_HUB`].
    #[error("it has no login under \"{DOCKER_HUB}\"")]
    NoDockerHub,
    /// More than Docker Hub: it would win over what a build logs in to itself.
    #[error("it has logins to other registries, which would win over the logins of the builds themselves")]
    OtherRegistries,
    /// `auth` is no base64 of `<user>:<password>`.
    #[error("its `auth` is not the base64 of a user name, a colon and a password")]
    Auth,
    /// A well-formed login, but another than the secret's user name and password.
    #[error("it holds another login than the secret's user name and password")]
    OtherLogin,
}

/// A user name that no text can be made of: docker takes what precedes the first colon for the user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the user name is empty or holds a colon, so docker can't tell it from the password")]
pub struct UsernameProblem;

/// The whole text, as docker's decoder declares it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthConfig<'a> {
    #[serde(borrow)]
    auths: BTreeMap<String, Auth<'a>>,
}

/// One registry's login.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth<'a> {
    auth: &'a str,
}

/// The text for a login to Docker Hub.
pub fn docker_auth_config(username: &str, password: &SecretString) -> Result<SecretString, UsernameProblem> {
    if username.is_empty() || username.contains(':') {
        return Err(UsernameProblem);
    }
    let login = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
    let auth = Zeroizing::new(base64::encode(login.as_bytes()));
    // Base64 and the key need no escapes in JSON, so no serializer has to copy the login about.
    Ok(SecretString::from(format!(r#"{{"auths":{{"{DOCKER_HUB}":{{"auth":"{}"}}}}}}"#, auth.as_str())))
}

/// Whether docker clients take the text for this login to Docker Hub, and for nothing else.
pub fn check(text: &SecretString, username: &str, password: &SecretString) -> Result<(), AuthConfigProblem> {
    let config: AuthConfig<'_> = serde_json::from_str(text.expose_secret()).map_err(|_| AuthConfigProblem::Form)?;
    let Some(Auth { auth }) = config.auths.get(DOCKER_HUB) else {
        return Err(AuthConfigProblem::NoDockerHub);
    };
    if config.auths.len() > 1 {
        return Err(AuthConfigProblem::OtherRegistries);
    }
    let login = Zeroizing::new(base64::decode(auth).map_err(|_| AuthConfigProblem::Auth)?);
    let login = std::str::from_utf8(&login).map_err(|_| AuthConfigProblem::Auth)?;
    match login.split_once(':') {
        None | Some(("", _)) => Err(AuthConfigProblem::Auth),
        Some(there) if there == (username, password.expose_secret()) => Ok(()),
        Some(_) => Err(AuthConfigProblem::OtherLogin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn checked(text: &str) -> Result<(), AuthConfigProblem> {
        check(&SecretString::from(text), "u", &SecretString::from("p"))
    }

    #[test]
    fn it_is_the_one_text_that_docker_reads() {
        let password = SecretString::from("p");
        let text = docker_auth_config("u", &password).unwrap();
        // `dTpw` is `printf u:p | base64`.
        assert_eq!(text.expose_secret(), r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#);
        assert_eq!(check(&text, "u", &password), Ok(()));
    }

    #[test]
    fn a_password_may_hold_anything() {
        let password = SecretString::from("a:b\"c\\d é\n");
        let text = docker_auth_config("u", &password).unwrap();
        assert_eq!(check(&text, "u", &password), Ok(()));
        assert_eq!(check(&text, "u", &SecretString::from("a:b")), Err(AuthConfigProblem::OtherLogin));
    }

    #[rstest]
    #[case("")]
    #[case("a:b")]
    fn a_user_name_that_docker_would_cut_is_refused(#[case] username: &str) {
        assert_eq!(docker_auth_config(username, &SecretString::from("p")).unwrap_err(), UsernameProblem);
    }

    #[rstest]
    #[case::white_space(" {\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"dTpw\"}}}\n", Ok(()))]
    #[case::nothing("", Err(AuthConfigProblem::Form))]
    #[case::two_values(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}{}"#, Err(AuthConfigProblem::Form))]
    #[case::a_member_more(
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}},"credsStore":"x"}"#,
        Err(AuthConfigProblem::Form)
    )]
    #[case::a_user_name_beside(
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw","username":"u"}}}"#,
        Err(AuthConfigProblem::Form)
    )]
    #[case::no_auth(r#"{"auths":{"https://index.docker.io/v1/":{}}}"#, Err(AuthConfigProblem::Form))]
    #[case::no_slash(
        r#"{"auths":{"https://index.docker.io/v1":{"auth":"dTpw"}}}"#,
        Err(AuthConfigProblem::NoDockerHub)
    )]
    #[case::by_its_short_name(r#"{"auths":{"docker.io":{"auth":"dTpw"}}}"#, Err(AuthConfigProblem::NoDockerHub))]
    #[case::another_registry(
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"ghcr.io":{"auth":"dTpw"}}}"#,
        Err(AuthConfigProblem::OtherRegistries)
    )]
    #[case::no_base64(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"u:p"}}}"#, Err(AuthConfigProblem::Auth))]
    #[case::no_colon(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXA="}}}"#, Err(AuthConfigProblem::Auth))]
    #[case::no_user(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"OnA="}}}"#, Err(AuthConfigProblem::Auth))]
    #[case::before_a_rotation(
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpvbGQ="}}}"#,
        Err(AuthConfigProblem::OtherLogin)
    )]
    fn it_is_checked_as_docker_reads_it(#[case] text: &str, #[case] answer: Result<(), AuthConfigProblem>) {
        assert_eq!(checked(text), answer);
    }
}
