//! The secret of each credential: whether it is there, holds the login in each form, and is taken by Docker Hub.

use super::scope::Patient;
use super::tree::Check;
use crate::cli::output;
use crate::cli::shared;
use crate::domain::build::{Secret, SecretKey};
use crate::domain::policy::{Credential, Mode};
use crate::edge::docker_hub::{Allowance, Counted, DockerHub, HubError};
use crate::edge::secrets::SecretProblem;
use crate::edge::secrets::text::{self, AuthConfigFault, Keys, Login};
use crate::reconcile::{self, Kind};
use std::collections::BTreeMap;

/// Checks the secret of every credential that a policy of the scope uses.
pub async fn check(patient: &mut Patient<'_>) -> Vec<Check> {
    if patient.mode() < Mode::Propose {
        return vec![Check::skipped("secrets", "not read in mode `observe`")];
    }
    let of_scope = patient.settings.policies.iter().filter(|policy| policy.is_for_scope(&patient.scope.name));
    let credentials: BTreeMap<&str, &Credential> =
        of_scope.map(|policy| (policy.credential.name.as_str(), &policy.credential)).collect();
    let mut checks = Vec::new();
    for credential in credentials.into_values() {
        let children = one(patient, credential).await;
        checks.push(Check::group(format!("credential {}", credential.name), "", children));
    }
    checks
}

async fn one(patient: &mut Patient<'_>, credential: &Credential) -> Vec<Check> {
    let name = credential.secret.as_str();
    let secret = match patient.aws.secrets.described(name, &patient.aws.region).await {
        Ok(Ok(secret)) => secret,
        Ok(Err(problem)) => return vec![unusable(patient, credential, None, &problem)],
        Err(error) => return vec![unread(&error.into())],
    };
    patient.resources.secrets.push(secret.arn.clone());
    let mut checks = vec![Check::ok("secret", secret.arn.as_str()), of_key(&secret)];
    let stored = match patient.aws.secrets.stored(name, &patient.aws.region).await {
        Ok(Ok(stored)) => stored,
        Ok(Err(problem)) => {
            // A value that can be read shows that its key can be used, whatever conditions a simulation can't meet.
            if let Some(SecretKey::Key(arn)) = &secret.key {
                patient.resources.keys.push(arn.clone());
            }
            checks.push(unusable(patient, credential, Some(&secret), &problem));
            return checks;
        }
        Err(error) => {
            checks.push(unread(&error.into()));
            return checks;
        }
    };
    let keys = Keys {
        username: &credential.username_key,
        password: &credential.password_key,
        auth_config: &credential.auth_config_key,
    };
    let found = stored.text.as_ref().ok_or(SecretProblem::NotJson).and_then(|text| text::read(text, keys));
    match found {
        Err(problem) => checks.push(unusable(patient, credential, Some(&secret), &problem)),
        Ok(found) => {
            checks.push(Check::ok("login", format!("text under {:?} and {:?}", keys.username, keys.password)));
            checks.push(of_auth_config(found.auth_config, keys.auth_config, name));
            checks.push(of_hub(patient, &found.login, name).await);
        }
    }
    checks
}

/// Who manages the key decides whether a grant has to name it.
fn of_key(secret: &Secret) -> Check {
    const NAME: &str = "encryption";
    match &secret.key {
        None => Check::ok(NAME, "the key that AWS manages, which needs no grant"),
        Some(SecretKey::Key(arn)) => Check::ok(NAME, format!("the customer's key {arn}; grants name it")),
        Some(SecretKey::Alias { alias, .. }) => {
            Check::ok(NAME, format!("the customer's key {alias}; grants name the alias as a condition"))
        }
    }
}

fn of_auth_config(found: Result<(), AuthConfigFault>, key: &str, name: &str) -> Check {
    const NAME: &str = "DOCKER_AUTH_CONFIG";
    let rotate = format!("unthrottled secret rotate {name}   # writes it anew, with the password");
    match found {
        Ok(()) => Check::ok(NAME, format!("under {key:?}, as docker reads it, and of the same login")),
        // Only one remedy needs it.
        Err(AuthConfigFault::Missing) => {
            Check::skipped(NAME, format!("no text under {key:?}; only the remedy docker_auth_variable needs one"))
                .repair(rotate)
        }
        Err(AuthConfigFault::Problem(problem)) => {
            Check::failed(NAME, format!("under {key:?}: {problem}")).repair(rotate)
        }
    }
}

fn unusable(patient: &Patient<'_>, credential: &Credential, known: Option<&Secret>, problem: &SecretProblem) -> Check {
    let name = &credential.secret;
    let check = Check::failed("secret", format!("{name}: {problem}"));
    let denied = |actions: &[_]| super::permissions::grant_command(patient, actions);
    match (problem, known) {
        (SecretProblem::Missing, _) => check.repair(format!("unthrottled secret create {name} --username USER")),
        (SecretProblem::ScheduledForDeletion, _) => {
            check.repair(format!("aws secretsmanager restore-secret --secret-id {name}"))
        }
        (SecretProblem::NoValue | SecretProblem::NotJson | SecretProblem::KeyMissing(_), _) => {
            check.repair(format!("unthrottled secret rotate {name} --username USER --overwrite"))
        }
        (SecretProblem::KeyUnusable, Some(Secret { key: Some(key), .. })) => {
            check.repair(format!("aws kms enable-key --key-id {}", key_id(key)))
        }
        (SecretProblem::Denied, Some(Secret { key: Some(key), .. })) => {
            let key = key_id(key);
            let why = format!(
                "{name} is there, and its value may not be read: secretsmanager:GetSecretValue on it or kms:Decrypt on \
                 {key} is missing, or the key's own policy does not leave that to IAM"
            );
            Check::failed("secret", why).repair(format!("aws kms get-key-policy --key-id {key} --policy-name default"))
        }
        (SecretProblem::Denied, Some(_)) => {
            check.maybe(denied(&[("secretsmanager:GetSecretValue", crate::domain::permissions::On::Secrets)]))
        }
        _ => check,
    }
}

fn key_id(key: &SecretKey) -> &str {
    match key {
        SecretKey::Key(arn) => arn,
        SecretKey::Alias { alias, .. } => alias,
    }
}

fn unread(failure: &reconcile::Failure) -> Check {
    let check = Check::failed("secret", failure.detail.as_str());
    match failure.kind {
        Kind::Again => {
            check.maybe(shared::what_next(failure).or(Some("unthrottled doctor   # once more, a little later")))
        }
        _ => check.maybe(shared::what_next(failure)),
    }
}

async fn of_hub(patient: &Patient<'_>, login: &Login, name: &str) -> Check {
    const NAME: &str = "Docker Hub";
    let hub = &patient.settings.docker_hub;
    if !hub.probe {
        return Check::skipped(NAME, "`docker_hub.probe` is false");
    }
    match DockerHub::new(&hub.auth_url, &hub.registry_url).allowance(login).await {
        Ok(Allowance::Unlimited) => Check::ok(NAME, "takes the login and names no limit: a Pro, Team or Business plan"),
        Ok(Allowance::Limited { counted: Counted::Address, .. }) => {
            let detail = "answers, and counts the address instead of the account: the login makes no difference";
            Check::failed(NAME, detail).repair(format!("unthrottled secret rotate {name} --username USER"))
        }
        Ok(Allowance::Limited { limit, remaining, window, .. }) => {
            let window = window.map(|window| format!(" in {}", output::duration(window))).unwrap_or_default();
            let left = remaining.map_or("an unknown number".to_string(), |left| left.to_string());
            let detail = format!(
                "takes the login; {left} of {limit} pulls{window} are left (a Personal plan, counted for all who use the \
                 account together)"
            );
            match remaining {
                Some(0) => Check::failed(NAME, detail)
                    .repair("a paid plan at https://hub.docker.com/billing has no such limit"),
                _ => Check::ok(NAME, detail),
            }
        }
        Err(error) => {
            let repair = match &error {
                HubError::Refused => format!("unthrottled secret rotate {name}"),
                HubError::Throttled => "unthrottled doctor   # once more, in some minutes".to_string(),
                HubError::Unreachable { .. } | HubError::Strange { .. } => {
                    "unthrottled doctor --set docker_hub.probe=false   # if this machine may not reach Docker Hub"
                        .to_string()
                }
            };
            Check::failed(NAME, error.to_string()).repair(repair)
        }
    }
}
