//! Docker Hub: whether it takes a login, and what it has left for it. Asking spends no pull.
//!
//! A token is fetched with the login, and the head of one manifest with the token: Docker Hub tells limit and remainder
//! in its headers, and counts only the `GET` of a manifest. The HTTP client is the one that the AWS SDK brings along,
//! with the proxy variables honoured (`HTTPS_PROXY`, `NO_PROXY`). Redirects are not followed: nobody else gets the login.

use crate::edge::roots;
use crate::edge::secrets::text::Login;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::base64;
use aws_smithy_types::byte_stream::ByteStream;
use jiff::SignedDuration;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;

/// The repository that Docker Hub keeps for asking after limits.
const REPOSITORY: &str = "ratelimitpreview/test";

/// How long one of the two answers may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A token's answer is a few thousand bytes; more is not Docker Hub.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Docker Hub, or what stands in for it.
#[derive(Debug)]
pub struct DockerHub {
    auth_url: String,
    registry_url: String,
    connector: Connector,
}

/// What Docker Hub allows a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It names no limit: a Pro, Team or Business plan.
    Unlimited,
    /// So many pulls in a window, by all who use the account together.
    Limited {
        /// How many.
        limit: u64,
        /// How many are left, where it says so.
        remaining: Option<u64>,
        /// In which time.
        window: Option<SignedDuration>,
        /// Whom it counts.
        counted: Counted,
    },
}

/// Whom a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The account, or it does not say.
    Account,
    /// The address: the login makes no difference.
    Address,
}

/// Why Docker Hub has not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// 401 for the login itself. A 403 is what proxies answer, and says nothing about it.
    #[error("Docker Hub refuses this user name and password")]
    Refused,
    /// 429.
    #[error("Docker Hub answers 429: too many requests from this address or account")]
    Throttled,
    /// No answer.
    #[error("{host} was not reached: {detail}")]
    Unreachable {
        /// The host that was asked.
        host: String,
        /// In which way.
        detail: &'static str,
    },
    /// Another status, or another body.
    #[error("{host} answered what Docker Hub does not ({detail}): a proxy or a login page may stand in between")]
    Strange {
        /// The host that was asked.
        host: String,
        /// In which way.
        detail: String,
    },
}

impl HubError {
    /// Whether it says that the login is wrong; everything else says nothing about the login.
    pub fn is_refusal(&self) -> bool {
        *self == HubError::Refused
    }
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

impl DockerHub {
    /// At these addresses, through the proxy that the environment names.
    pub fn new(auth_url: &str, registry_url: &str) -> DockerHub {
        let connector = Connector::builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        DockerHub {
            auth_url: auth_url.trim_end_matches('/').to_string(),
            registry_url: registry_url.trim_end_matches('/').to_string(),
            connector: connector.build(),
        }
    }

    /// What the login is allowed.
    pub async fn allowance(&self, login: &Login) -> Result<Allowance, HubError> {
        let token = self.token(login).await?;
        let url = format!("{}/v2/{REPOSITORY}/manifests/latest", self.registry_url);
        let authorization = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let answer = self.send("HEAD", &url, &authorization).await?;
        let host = host_of(&url);
        match answer.status().as_u16() {
            200 => allowance_of(&host, |name| answer.headers().get(name)),
            status => Err(refusal(&host, status)),
        }
    }

    async fn token(&self, login: &Login) -> Result<SecretString, HubError> {
        let url = format!("{}/token?service=registry.docker.io&scope=repository:{REPOSITORY}:pull", self.auth_url);
        let pair = Zeroizing::new(format!("{}:{}", login.username, login.password.expose_secret()));
        let authorization = Zeroizing::new(format!("Basic {}", base64::encode(pair.as_bytes())));
        let answer = self.send("GET", &url, &authorization).await?;
        let host = host_of(&url);
        let status = answer.status().as_u16();
        match status {
            200 => (),
            401 => return Err(HubError::Refused),
            other => return Err(refusal(&host, other)),
        }
        let body = body(answer).await.ok_or_else(|| strange(&host, "an answer that breaks off or has no end"))?;
        let token: Token =
            serde_json::from_slice(&body).map_err(|_| strange(&host, "status 200, but no JSON with a token"))?;
        Ok(SecretString::from(token.token))
    }

    async fn send(&self, method: &str, url: &str, authorization: &str) -> Result<HttpResponse, HubError> {
        let host = host_of(url);
        let unreachable = |detail| HubError::Unreachable { host: host.clone(), detail };
        if url.starts_with("https://") && roots::check().is_err() {
            return Err(unreachable("this machine has no root certificates; install `ca-certificates`"));
        }
        let mut request = HttpRequest::empty();
        let built = request.set_method(method).is_ok() && request.set_uri(url.to_string()).is_ok();
        let headers = request.headers_mut();
        let headed = headers.try_append("authorization", authorization.to_string()).is_ok()
            && headers.try_append("accept", "application/vnd.oci.image.index.v1+json, application/json").is_ok();
        if !built || !headed {
            return Err(unreachable("its address in the settings, or the login, can't be sent over HTTP"));
        }
        match tokio::time::timeout(PATIENCE, self.connector.call(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(unreachable(what(&error))),
            Err(_) => Err(unreachable("no answer within ten seconds")),
        }
    }
}

/// In words of our own: a connector's error may quote the request.
fn what(error: &ConnectorError) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_io() {
        "no connection; is there a way out, or a proxy to set in HTTPS_PROXY?"
    } else {
        "the connection failed"
    }
}

async fn body(answer: HttpResponse) -> Option<Zeroizing<Vec<u8>>> {
    let mut stream = ByteStream::new(answer.into_body());
    let mut body = Zeroizing::new(Vec::new());
    let whole = async {
        while let Some(part) = stream.next().await {
            body.extend_from_slice(&part.ok()?);
            if body.len() > LONGEST_ANSWER {
                return None;
            }
        }
        Some(())
    };
    tokio::time::timeout(PATIENCE, whole).await.ok()??;
    Some(body)
}

fn refusal(host: &str, status: u16) -> HubError {
    match status {
        429 => HubError::Throttled,
        other => strange(host, format!("HTTP status {other}")),
    }
}

fn strange(host: &str, detail: impl Into<String>) -> HubError {
    HubError::Strange { host: host.to_string(), detail: detail.into() }
}

/// From the headers, `200;w=21600` in the place of a number.
fn allowance_of<'a>(host: &str, header: impl Fn(&str) -> Option<&'a str>) -> Result<Allowance, HubError> {
    // An address counts those without a login; an account has an id.
    let by_address = header("docker-ratelimit-source").is_some_and(|source| source.parse::<std::net::IpAddr>().is_ok());
    let Some(limit) = header("ratelimit-limit") else {
        return Ok(Allowance::Unlimited);
    };
    let (limit, window) = number(limit).ok_or_else(|| strange(host, "a limit that is no number"))?;
    let remaining = header("ratelimit-remaining").and_then(number).map(|(remaining, _)| remaining);
    let counted = if by_address { Counted::Address } else { Counted::Account };
    Ok(Allowance::Limited { limit, remaining, window, counted })
}

fn number(header: &str) -> Option<(u64, Option<SignedDuration>)> {
    let (number, rest) = header.split_once(';').unwrap_or((header, ""));
    let window = rest.trim().strip_prefix("w=").and_then(|seconds| seconds.trim().parse().ok());
    Some((number.trim().parse().ok()?, window.map(SignedDuration::from_secs)))
}

/// The host of an address, with its port.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(headers: &[(&str, &'static str)]) -> Result<Allowance, HubError> {
        allowance_of("hub", |name| headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value))
    }

    #[test]
    fn a_limit_has_a_remainder_and_a_window() {
        let limited = |counted| Allowance::Limited {
            limit: 200,
            remaining: Some(187),
            window: Some(SignedDuration::from_hours(6)),
            counted,
        };
        let numbers = [("ratelimit-limit", "200;w=21600"), ("ratelimit-remaining", "187;w=21600")];
        let with = |source| [&numbers[..], &[("docker-ratelimit-source", source)]].concat();
        assert_eq!(read(&numbers), Ok(limited(Counted::Account)));
        assert_eq!(read(&with("3fe1d5b6-2c0e-4a44-a6e7-0e5cbb5b3a5c")), Ok(limited(Counted::Account)));
        assert_eq!(read(&with("203.0.113.7")), Ok(limited(Counted::Address)));
        assert_eq!(read(&with("2001:db8::1")), Ok(limited(Counted::Address)));
    }

    #[test]
    fn no_limit_is_a_plan_without_one() {
        assert_eq!(read(&[]), Ok(Allowance::Unlimited));
        assert!(matches!(read(&[("ratelimit-limit", "many")]), Err(HubError::Strange { .. })));
    }

    #[rstest]
    #[case("100;w=21600", Some((100, Some(SignedDuration::from_hours(6)))))]
    #[case("100", Some((100, None)))]
    #[case(" 100 ; w=1", Some((100, Some(SignedDuration::from_secs(1)))))]
    #[case("-1", None)]
    #[case("", None)]
    fn numbers(#[case] header: &str, #[case] read: Option<(u64, Option<SignedDuration>)>) {
        assert_eq!(number(header), read);
    }

    #[rstest]
    #[case("https://auth.docker.io/token?x=1", "auth.docker.io")]
    #[case("http://127.0.0.1:80", "127.0.0.1:80")]
    fn hosts(#[case] url: &str, #[case] host: &str) {
        assert_eq!(host_of(url), host);
    }
}
