//! The role of a scope, assumed by STS. The SDK has a provider for that, whose calls can't be counted.

use super::calls::CountCalls;
use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_codebuild::config::Credentials;
use aws_sdk_sts::config::{Builder, IdentityCache};
use std::time::SystemTime;

/// What CloudTrail shows as the session of an assumed role.
const SESSION_NAME: &str = "unthrottled";

/// Gives out the credentials of a role's session. It keeps none: the clients' own cache asks again shortly before they expire.
#[derive(Debug)]
pub(super) struct Role {
    client: aws_sdk_sts::Client,
    arn: String,
    external_id: Option<String>,
}

impl Role {
    /// Assumed with the credentials of `base`.
    pub fn new(base: &SdkConfig, arn: &str, external_id: Option<&str>, calls: &CountCalls) -> Role {
        // A cache of identities is shared by all clients of a configuration; the base's own is not the role's.
        let config = Builder::from(base).identity_cache(IdentityCache::no_cache()).interceptor(calls.clone()).build();
        Role {
            client: aws_sdk_sts::Client::from_conf(config),
            arn: arn.to_string(),
            external_id: external_id.map(str::to_string),
        }
    }

    async fn assume(&self) -> provider::Result {
        let call = self.client.assume_role().role_arn(&self.arn).role_session_name(SESSION_NAME);
        let answer = call.set_external_id(self.external_id.clone()).send().await;
        let answer = answer.map_err(CredentialsError::provider_error)?;
        let given =
            answer.credentials.ok_or_else(|| CredentialsError::unhandled("STS answered without credentials"))?;
        let expires = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
        let (id, secret) = (given.access_key_id, given.secret_access_key);
        Ok(Credentials::new(id, secret, Some(given.session_token), Some(expires), "AssumeRole"))
    }
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}
