//! A secret as it is stored, and the writes that people ask for: a new secret, a new value.

use super::text::{self, Keys, Login, texts};
use super::{SERVICE, SecretProblem, Secrets, SecretsError, failed};
use crate::domain::build::Secret;
use crate::edge::aws::failure::CallError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::types::Tag;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::error::Error;

/// A secret with its current value.
#[derive(Debug)]
pub struct Stored {
    /// Its ARN and key.
    pub secret: Secret,
    /// The version that the value is of.
    pub version: String,
    /// The value; none if it is binary.
    pub text: Option<SecretString>,
}

/// A secret to be made.
#[derive(Debug)]
pub struct NewSecret<'a> {
    /// Its name.
    pub name: &'a str,
    /// What people read at the console.
    pub description: &'a str,
    /// Its value.
    pub text: &'a SecretString,
    /// The customer's key; none takes the one that AWS manages.
    pub kms_key: Option<&'a str>,
    /// Its tags.
    pub tags: &'a BTreeMap<String, String>,
    /// Makes a call that is sent twice the same call. Random: it is shown as the version's id, so that nothing may be
    /// learned of the value from it.
    pub token: &'a str,
}

/// What became of a new secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there, under this ARN.
    Made(String),
    /// There was one of its name.
    Exists,
}

impl Secrets {
    /// The secret, or why there is none to be used. Its value is not looked at.
    pub async fn described(&self, secret: &str, region: &str) -> Result<Result<Secret, SecretProblem>, SecretsError> {
        self.describe(secret, region).await
    }

    /// The secret with its current value.
    pub async fn stored(&self, secret: &str, region: &str) -> Result<Result<Stored, SecretProblem>, SecretsError> {
        let secret = match self.described(secret, region).await? {
            Ok(secret) => secret,
            Err(problem) => return Ok(Err(problem)),
        };
        let arn = secret.arn.as_str();
        let answer = self.client.get_secret_value().secret_id(arn).send().await;
        let mut answer = match answer.map_err(|error| failed("GetSecretValue", arn, &error)) {
            Ok(answer) => answer,
            Err(error) => return SecretProblem::of_value(error).map(Err),
        };
        let Some(version) = answer.version_id.take() else {
            return Err(CallError::incomplete(SERVICE, "GetSecretValue", arn).into());
        };
        Ok(Ok(Stored { version, text: answer.secret_string.take().map(SecretString::from), secret }))
    }

    /// The login in a secret that was found usable before: one call, and no look at anything else.
    pub async fn login(&self, secret: &str, keys: Keys<'_>) -> Result<Result<Login, SecretProblem>, SecretsError> {
        let value = match self.value(secret).await? {
            Ok(value) => value,
            Err(problem) => return Ok(Err(problem)),
        };
        Ok(text::read(&value, keys).map(|found| found.login))
    }

    /// The id of the version that is current.
    pub async fn current_version(&self, arn: &str) -> Result<Option<String>, SecretsError> {
        let answer = self.client.describe_secret().secret_id(arn).send().await;
        let answer = answer.map_err(|error| failed("DescribeSecret", arn, &error))?;
        let versions = answer.version_ids_to_stages.unwrap_or_default();
        let current = |stages: &Vec<String>| stages.iter().any(|stage| stage == "AWSCURRENT");
        Ok(versions.into_iter().find(|(_, stages)| current(stages)).map(|(version, _)| version))
    }

    /// Makes a secret.
    pub async fn create(&self, new: NewSecret<'_>) -> Result<Created, SecretsError> {
        let tags = new.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect::<Vec<_>>();
        let request = self.client.create_secret().name(new.name).description(new.description);
        let request = request.set_kms_key_id(new.kms_key.map(str::to_string)).client_request_token(new.token);
        let request = request.set_tags((!tags.is_empty()).then_some(tags));
        let answer = request.secret_string(new.text.expose_secret()).send().await;
        match answer.map_err(|error| discreet("CreateSecret", new.name, new.text, &error)) {
            Ok(answer) => match answer.arn {
                Some(arn) => Ok(Created::Made(arn)),
                None => Err(CallError::incomplete(SERVICE, "CreateSecret", new.name).into()),
            },
            Err(error) if error.code() == Some("ResourceExistsException") => Ok(Created::Exists),
            Err(error) => Err(error),
        }
    }

    /// Gives a secret a new value.
    pub async fn put(&self, arn: &str, text: &SecretString, token: &str) -> Result<(), SecretsError> {
        let request = self.client.put_secret_value().secret_id(arn).client_request_token(token);
        let answer = request.secret_string(text.expose_secret()).send().await;
        answer.map(drop).map_err(|error| discreet("PutSecretValue", arn, text, &error))
    }
}

/// An error of a write: a validation error quotes what it refuses.
fn discreet<E>(
    operation: &'static str,
    resource: &str,
    text: &SecretString,
    error: &SdkError<E, HttpResponse>,
) -> SecretsError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    CallError::new(SERVICE, operation, resource, error).without(&texts(text)).into()
}
