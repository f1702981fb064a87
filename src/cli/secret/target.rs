//! Which secret a command is about: the scope it is in, the keys it has, and what is said when AWS refuses.

use super::Which;
use crate::cli::exit::{Exit, Failure};
use crate::cli::frame::Frame;
use crate::domain::policy::Credential;
use crate::edge::aws::Aws;
use crate::edge::docker_hub::{DockerHub, HubError};
use crate::edge::secrets::text::{Keys, Login};
use crate::edge::secrets::{SecretProblem, SecretsError};
use crate::edge::settings::{Settings, SettingsError, Sources};
use crate::reconcile::{self, as_configured};
use std::io::Write as _;

/// What stands in for a settings file that is not written yet: storing the login is the first step of all.
const NO_FILE: &str =
    "[credential.dockerhub]\nsecret = \"dockerhub\"\n[[policy]]\nname = \"all\"\nprojects = [\"*\"]\n";

/// The secret's surroundings.
pub struct Target {
    /// The settings in force, or their defaults.
    pub settings: Settings,
    /// The scope's name.
    pub scope: String,
    /// The scope's account and region.
    pub aws: Aws,
    /// The credentials of the settings that name this secret.
    pub named_by: Vec<Credential>,
    /// The credential whose keys are used; its name and secret need not stand in the settings yet.
    pub credential: Credential,
}

impl Target {
    /// Reads the settings, if there are any, and connects.
    pub async fn of(which: &Which, frame: &Frame) -> anyhow::Result<Target> {
        let has_file = frame.sources().path().is_some();
        let settings = if has_file { frame.settings()?.clone() } else { without_file(frame)? };
        let named_by: Vec<Credential> = settings
            .credentials
            .values()
            .filter(|credential| is_of(&credential.secret, &which.name))
            .cloned()
            .collect();
        let credential = credential(&settings, &named_by, which, has_file)?;
        let named_by = if has_file { named_by } else { Vec::new() };
        let scope = match (&which.scope, settings.scopes.as_slice()) {
            (None, [only]) => only,
            (name, scopes) => {
                let found = scopes.iter().find(|scope| Some(&scope.name) == name.as_ref());
                let names: Vec<&str> = scopes.iter().map(|scope| scope.name.as_str()).collect();
                found.ok_or_else(|| {
                    let error = match name {
                        Some(name) => anyhow::anyhow!("the settings have no scope `{name}`"),
                        None => anyhow::anyhow!("the settings have several scopes, and the secret is in one of them"),
                    };
                    Failure::new(Exit::Usage, error).hint(format!("say --scope NAME, one of: {}", names.join(", ")))
                })?
            }
        };
        let aws = Aws::connect(&as_configured(scope)).await;
        let aws = aws.map_err(|error| anyhow::Error::from(error).context(format!("scope `{}`", scope.name)))?;
        Ok(Target { scope: scope.name.clone(), aws, named_by, credential, settings })
    }

    /// The keys of the secret's JSON.
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            username: &self.credential.username_key,
            password: &self.credential.password_key,
            auth_config: &self.credential.auth_config_key,
        }
    }

    /// Asks Docker Hub whether it takes the login. Only a refusal stops: an answer that does not come says nothing.
    pub async fn check(&self, login: &Login, which: &Which, frame: &Frame) -> anyhow::Result<()> {
        let hub = &self.settings.docker_hub;
        if which.unchecked || !hub.probe {
            return Ok(());
        }
        let progress = frame.progress("asking Docker Hub whether it takes the login");
        let answer = DockerHub::new(&hub.auth_url, &hub.registry_url).allowance(login).await;
        drop(progress);
        match answer {
            Ok(_) => Ok(()),
            Err(HubError::Refused) => {
                let error = anyhow::anyhow!("Docker Hub refuses this user name and password, so nothing was stored");
                let hint = "check both, and that the access token is not expired or deleted; \
                            --unchecked stores them without asking";
                Err(Failure::new(Exit::Failed, error).hint(hint).into())
            }
            Err(error) => {
                let text = format!("note: whether the login works is not known, as {error}");
                writeln!(frame.err(), "{text}")?;
                Ok(())
            }
        }
    }
}

fn without_file(frame: &Frame) -> Result<Settings, SettingsError> {
    let sources = Sources { text: Some(NO_FILE.to_string()), ..frame.sources().clone() };
    let file = sources.file.clone().or_else(|| sources.search.first().cloned());
    Settings::load(&Sources { file, ..sources })
}

fn credential(
    settings: &Settings,
    named_by: &[Credential],
    which: &Which,
    has_file: bool,
) -> anyhow::Result<Credential> {
    let names: Vec<&str> = settings.credentials.keys().map(String::as_str).collect();
    match &which.credential {
        Some(name) => match settings.credential(name) {
            Some(credential) => Ok(credential.clone()),
            None if has_file => {
                let error = anyhow::anyhow!("the settings have no credential `{name}`");
                let hint = format!("say one of: {}; or write [credential.{name}] into the settings", names.join(", "));
                Err(Failure::new(Exit::Usage, error).hint(hint).into())
            }
            None => Ok(Credential { name: name.clone(), ..any(settings)? }),
        },
        None => match (named_by, settings.credentials.len()) {
            ([first, ..], _) => Ok(first.clone()),
            // The settings are about to be pointed at it.
            ([], 0 | 1) => any(settings),
            ([], _) => {
                let error = anyhow::anyhow!("no credential of the settings names the secret {}", which.name);
                let hint = format!("say --credential NAME, one of: {}", names.join(", "));
                Err(Failure::new(Exit::Usage, error).hint(hint).into())
            }
        },
    }
}

fn any(settings: &Settings) -> anyhow::Result<Credential> {
    let first = settings.credentials.values().next().cloned();
    first.ok_or_else(|| anyhow::anyhow!("the settings have no credential"))
}

/// Whether the settings' name or ARN of a secret is of this name or ARN.
fn is_of(secret: &str, name: &str) -> bool {
    let by_arn = |arn: &str, name: &str| crate::domain::build::SecretArn::new(arn).is_meant_by(name);
    secret == name || by_arn(secret, name) || by_arn(name, secret)
}

/// The end of a command because a secret is not as it has to be.
pub fn unusable(name: &str, problem: &SecretProblem) -> Failure {
    let failure = Exit::Failed.because(anyhow::anyhow!("secret {name}: {problem}"));
    match problem {
        SecretProblem::ScheduledForDeletion => {
            failure.hint(format!("`aws secretsmanager restore-secret --secret-id {name}` restores it"))
        }
        SecretProblem::Missing => failure.hint(format!("`unthrottled secret create {name} --username USER` makes it")),
        SecretProblem::Denied => failure.hint("`aws sts get-caller-identity` shows who is asking"),
        _ => failure,
    }
}

/// The end of a command because Secrets Manager did not do what it was asked.
pub fn failed(scope: &str, error: SecretsError) -> Failure {
    let code = error.code().map(str::to_string);
    let failure = reconcile::Failure::from(error);
    match code.as_deref() {
        Some("InvalidRequestException") if failure.detail.contains("deletion") => {
            let hint = "`aws secretsmanager restore-secret --secret-id NAME` restores it";
            Exit::Failed.because(failure).hint(hint)
        }
        Some("LimitExceededException") => {
            let hint = "a secret takes a new value about once in ten minutes; try again later";
            Exit::Failed.because(failure).hint(hint)
        }
        Some("EncryptionFailure") => {
            Exit::Failed.because(failure).hint("is the KMS key there, enabled, and open to you?")
        }
        _ => crate::cli::shared::refused(scope, failure),
    }
}
