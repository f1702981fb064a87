//! How AWS is reached: one configuration for all services, with time limits, retries and a pinned behavior.

pub mod calls;
pub mod failure;
mod role;

use crate::edge::aws::calls::CountCalls;
use crate::edge::build_log::BuildLog;
use crate::edge::codebuild::CodeBuild;
use crate::edge::iam::Iam;
use crate::edge::identity::Identity;
use crate::edge::roots::{self, NoRoots};
use crate::edge::secrets::Secrets;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_codebuild::config::{Credentials, SharedCredentialsProvider};
use role::Role;
use secrecy::{ExposeSecret, SecretString};
use std::num::NonZeroUsize;
use std::time::Duration;

/// Calls under way at once, unless a connection says otherwise: what one look at an account needs to wait for the list of
/// builds alone, which can be read only page after page, and no more of the account's rate than a person with a few consoles.
const IN_FLIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// What is said about reaching AWS; the default leaves everything to the SDK's own chain: the standard variables,
/// profiles, container credentials, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The region; none takes it from the SDK's chain.
    pub region: Option<String>,
    /// A role to assume for every call.
    pub role_arn: Option<String>,
    /// What that role's trust policy asks for.
    pub external_id: Option<String>,
    /// One address for all services; none takes AWS's, or what the SDK's chain says.
    pub endpoint_url: Option<String>,
    /// Keys instead of the SDK's chain.
    pub credentials: Option<StaticCredentials>,
    /// How often a failed call is sent again.
    pub retries: Retries,
    /// How long a call may take.
    pub timeouts: Timeouts,
    /// How many calls that only read may be under way at once; none takes eight.
    pub in_flight: Option<NonZeroUsize>,
    /// Where calls are counted.
    pub calls: CountCalls,
}

/// A fixed pair of keys.
#[derive(Clone, Debug)]
pub struct StaticCredentials {
    access_key_id: String,
    secret_access_key: SecretString,
}

/// How often a failed call is sent again within one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// All attempts, the first one included; none at all counts as one.
    pub attempts: u32,
    /// The pause before the second attempt, doubled for each later one.
    pub initial_backoff: Duration,
}

/// Time limits. The operation's holds whatever the others say, so that a stop signal is obeyed within ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to be made.
    pub connect: Duration,
    /// For one attempt.
    pub attempt: Duration,
    /// For all attempts and the pauses between them.
    pub operation: Duration,
}

/// The services of one account and region.
#[derive(Clone, Debug)]
pub struct Aws {
    /// The region.
    pub region: String,
    /// Builds and projects.
    pub codebuild: CodeBuild,
    /// Logs of builds.
    pub build_log: BuildLog,
    /// Service roles.
    pub iam: Iam,
    /// Who the credentials are.
    pub identity: Identity,
    /// The secret with the login.
    pub secrets: Secrets,
    /// How many calls that only read may be under way at once.
    pub in_flight: NonZeroUsize,
}

/// What makes a [`Connection`] useless before any call is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Neither said nor found.
    #[error("no AWS region: set AWS_REGION, or a region in the settings or in the AWS profile")]
    NoRegion,
    /// It is part of every address.
    #[error(
        "`{0}` is not the name of an AWS region: set AWS_REGION, or the region in the settings, to one such as eu-central-1"
    )]
    BadRegion(String),
    /// An external id is a condition of a role's trust policy and means nothing without one.
    #[error("an external id is set, but no role to assume")]
    ExternalIdWithoutRole,
    /// No server could be trusted.
    #[error("AWS can't be reached over TLS: {0}")]
    NoRoots(NoRoots),
}

impl Aws {
    /// Builds the clients. Sends no call to a service; credentials are fetched when the first call needs them.
    pub async fn connect(connection: &Connection) -> Result<Aws, ConnectError> {
        let (config, region) = connection.configured().await?;
        let calls = &connection.calls;
        Ok(Aws {
            region,
            codebuild: CodeBuild::new(&config, calls),
            build_log: BuildLog::new(&config, calls),
            iam: Iam::new(&config, calls),
            identity: Identity::new(&config, calls),
            secrets: Secrets::new(&config, calls),
            in_flight: connection.in_flight.unwrap_or(IN_FLIGHT),
        })
    }
}

impl Connection {
    /// A server on this machine that takes any keys, such as a simulated account: answers come at once, so failed calls
    /// are sent again at once too.
    pub fn to_loopback(endpoint_url: impl Into<String>) -> Connection {
        Connection {
            region: Some("us-east-1".to_string()),
            endpoint_url: Some(endpoint_url.into()),
            credentials: Some(StaticCredentials::new("unthrottled", "unthrottled")),
            retries: Retries { attempts: 3, initial_backoff: Duration::from_millis(1) },
            ..Connection::default()
        }
    }

    /// The SDK's configuration and its region, if a client can be built of it.
    pub(crate) async fn configured(&self) -> Result<(SdkConfig, String), ConnectError> {
        if self.external_id.is_some() && self.role_arn.is_none() {
            return Err(ConnectError::ExternalIdWithoutRole);
        }
        if !self.is_plain_http() {
            roots::check().map_err(ConnectError::NoRoots)?;
        }
        let config = self.sdk_config().await;
        let region = config.region().ok_or(ConnectError::NoRegion)?.to_string();
        // The SDK would say so of each call, in words of its own insides.
        if region.is_empty() || !region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(ConnectError::BadRegion(region));
        }
        Ok((config, region))
    }

    async fn sdk_config(&self) -> SdkConfig {
        let base = self.base_config().await;
        let Some(role_arn) = &self.role_arn else { return base };
        let role = Role::new(&base, role_arn, self.external_id.as_deref(), &self.calls);
        base.into_builder().credentials_provider(SharedCredentialsProvider::new(role)).build()
    }

    fn is_plain_http(&self) -> bool {
        self.endpoint_url.as_ref().is_some_and(|url| url.starts_with("http://"))
    }

    async fn base_config(&self) -> SdkConfig {
        // Named by its date: a newer SDK must not change how the daemon behaves unless someone reads what changed.
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(self.retries.sdk_config())
            .timeout_config(self.timeouts.sdk_config());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint_url) = &self.endpoint_url {
            loader = loader.endpoint_url(endpoint_url);
            if self.is_plain_http() {
                // Without TLS there is no reason to read every root certificate, once for each client.
                loader = loader.http_client(aws_smithy_http_client::Builder::new().build_http());
            }
        }
        if let Some(keys) = &self.credentials {
            loader = loader.credentials_provider(keys.sdk_credentials());
        }
        loader.load().await
    }
}

impl StaticCredentials {
    /// From an access key id and its secret.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> StaticCredentials {
        StaticCredentials {
            access_key_id: access_key_id.into(),
            secret_access_key: SecretString::from(secret_access_key.into()),
        }
    }

    fn sdk_credentials(&self) -> Credentials {
        Credentials::new(&self.access_key_id, self.secret_access_key.expose_secret(), None, None, "settings")
    }
}

impl Default for Retries {
    fn default() -> Retries {
        Retries { attempts: 3, initial_backoff: Duration::from_secs(1) }
    }
}

impl Retries {
    /// Every call is sent once.
    pub fn none() -> Retries {
        Retries { attempts: 1, ..Retries::default() }
    }

    fn sdk_config(self) -> RetryConfig {
        RetryConfig::standard().with_max_attempts(self.attempts.max(1)).with_initial_backoff(self.initial_backoff)
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect: Duration::from_secs(3), attempt: Duration::from_secs(5), operation: Duration::from_secs(8) }
    }
}

impl Timeouts {
    fn sdk_config(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }
}

/// The account id in an ARN: its fifth field.
pub fn account_of(arn: &str) -> Option<&str> {
    field(arn, 4)
}

/// The region in an ARN: its fourth field.
pub fn region_of(arn: &str) -> Option<&str> {
    field(arn, 3)
}

fn field(arn: &str, index: usize) -> Option<&str> {
    let mut fields = arn.split(':');
    if fields.next() != Some("arn") {
        return None;
    }
    fields.nth(index - 1).filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_client_has_time_limits_and_bounded_retries() {
        let connection = Connection { retries: Retries::default(), ..Connection::to_loopback("http://127.0.0.1:9") };
        let config = connection.sdk_config().await;
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(3)));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(5)));
        assert_eq!(timeouts.operation_timeout(), Some(Duration::from_secs(8)));
        assert_eq!(config.retry_config().unwrap().max_attempts(), 3);
    }

    #[tokio::test]
    async fn an_external_id_needs_a_role() {
        let connection = Connection { external_id: Some("x".into()), ..Connection::to_loopback("http://127.0.0.1:9") };
        assert_eq!(Aws::connect(&connection).await.unwrap_err(), ConnectError::ExternalIdWithoutRole);
    }

    #[test]
    fn keys_are_not_in_debug_output() {
        let shown = format!("{:?}", StaticCredentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI"));
        assert!(shown.contains("AKIDEXAMPLE") && !shown.contains("wJalrXUtnFEMI"), "{shown}");
    }

    #[test]
    fn account_and_region_stand_in_an_arn() {
        let secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:hub-AbCdEf";
        assert_eq!((region_of(secret), account_of(secret)), (Some("eu-west-1"), Some("111122223333")));
        let role = "arn:aws:iam::111122223333:role/service-role/build";
        assert_eq!((region_of(role), account_of(role)), (None, Some("111122223333")));
        assert_eq!((region_of("hub"), account_of("arn:aws")), (None, None));
    }
}
