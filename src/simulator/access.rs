//! May this role read this secret? Identity policies, the permissions boundary and the key, as a build meets them.

use jiff::SignedDuration;

use super::account::{Account, Key};
use super::iam_policy::{self, Access, Decision};

const READ: &str = "secretsmanager:GetSecretValue";

impl Account {
    /// What a role may do, by all that is attached to it and known `delay` after a change.
    pub(super) fn decide_for_role(&self, role: &str, access: &Access, delay: SignedDuration) -> Decision {
        let policies = self.policies_of(role, delay);
        let boundary = self.roles.get(role).and_then(|role| role.boundary.as_ref());
        iam_policy::decide(&policies, boundary, access)
    }

    /// Reads a secret with a build's service role. The error is the message that Secrets Manager gives CodeBuild.
    pub(super) fn read_secret_as(&self, role: &str, session: &str, id: &str) -> Result<String, String> {
        let delay = self.unknowns.iam_propagation;
        let name = self.secret_name(id);
        let secret = name.as_ref().and_then(|name| self.secrets.get(name));
        let resource = match secret {
            Some(secret) => secret.arn.clone(),
            None if id.starts_with("arn:") => id.to_owned(),
            None => self.arn("secretsmanager", &format!("secret:{id}")),
        };
        let access = Access::new(READ, &resource);
        let decision = self.decide_for_role(role, &access, delay);
        if decision != Decision::Allowed {
            return Err(format!(
                "AccessDeniedException: User: arn:aws:sts::{}:assumed-role/{role}/{session} is not authorized to perform: {READ} on resource: {id}{}",
                self.account_id,
                decision.because(READ)
            ));
        }
        let Some(secret) = secret else {
            return Err("ResourceNotFoundException: Secrets Manager can't find the specified secret.".to_owned());
        };
        if secret.deleted.is_some() {
            return Err("InvalidRequestException: You can't perform this operation on the secret because it was marked for deletion.".to_owned());
        }
        if !self.may_decrypt(role, secret.kms_key.as_deref(), &secret.arn, delay) {
            return Err("AccessDeniedException: Access to KMS is not allowed".to_owned());
        }
        secret.current().map(ToOwned::to_owned).ok_or_else(|| {
            "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: AWSCURRENT".to_owned()
        })
    }

    /// The AWS managed key asks nothing; a customer managed one asks for `kms:Decrypt` on the key itself, never on its alias.
    pub(super) fn may_decrypt(&self, role: &str, key: Option<&str>, secret_arn: &str, delay: SignedDuration) -> bool {
        let Some(name) = key.filter(|key| !key.ends_with("alias/aws/secretsmanager")) else {
            return true;
        };
        let Some(key) = self.key(name).filter(|key| key.delegates_to_iam) else {
            return false;
        };
        let access = Access::new("kms:Decrypt", &key.arn)
            .with("kms:ViaService", [format!("secretsmanager.{}.amazonaws.com", self.region)])
            .with("kms:CallerAccount", [self.account_id.clone()])
            .with("kms:ResourceAliases", key.aliases.clone())
            .with("kms:EncryptionContext:SecretARN", [secret_arn.to_owned()]);
        self.decide_for_role(role, &access, delay) == Decision::Allowed
    }

    /// The name, full ARN or ARN without its suffix, resolved to the secret's name.
    pub(super) fn secret_name(&self, id: &str) -> Option<String> {
        if self.secrets.contains_key(id) {
            return Some(id.to_owned());
        }
        self.secrets
            .iter()
            .find(|(_, secret)| {
                secret.arn == id || secret.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id)
            })
            .map(|(name, _)| name.clone())
    }

    /// The key that an id, alias or ARN names.
    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        let short =
            name.split_once(":key/").map(|(_, id)| id).or(name.find("alias/").map(|at| &name[at..])).unwrap_or(name);
        self.keys.iter().find(|key| key.id == short || key.aliases.iter().any(|alias| alias == short))
    }
}

/// A reference to a secret in an environment variable: `secret-id:json-key:version-stage:version-id`.
pub(super) struct SecretReference<'t> {
    pub(super) id: String,
    pub(super) json_key: &'t str,
}

impl<'t> SecretReference<'t> {
    /// An ARN has six colons of its own, so its json-key is the eighth field.
    pub(super) fn parse(text: &'t str) -> Self {
        let fields: Vec<&str> = text.split(':').collect();
        let of_id = if text.starts_with("arn:") { 7 } else { 1 };
        SecretReference {
            id: fields[..of_id.min(fields.len())].join(":"),
            json_key: fields.get(of_id).copied().unwrap_or_default(),
        }
    }

    /// The part of the secret's text that is meant.
    pub(super) fn pick(&self, text: &str) -> Result<String, String> {
        if self.json_key.is_empty() {
            return Ok(text.to_owned());
        }
        let missing = || format!("InvalidParameterException: json key does not exist: {} in secret", self.json_key);
        let json: serde_json::Value = serde_json::from_str(text).map_err(|_| missing())?;
        match json.get(self.json_key) {
            Some(serde_json::Value::String(value)) => Ok(value.clone()),
            Some(other) if !other.is_null() => Ok(other.to_string()),
            _ => Err(missing()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_by_name_arn_and_key() {
        for (text, id, key) in [
            ("dockerhub", "dockerhub", ""),
            ("dockerhub:username", "dockerhub", "username"),
            ("dockerhub:username:AWSCURRENT:", "dockerhub", "username"),
            ("arn:aws:secretsmanager:r:1:secret:a-AbCdEf", "arn:aws:secretsmanager:r:1:secret:a-AbCdEf", ""),
            (
                "arn:aws:secretsmanager:r:1:secret:a-AbCdEf:password",
                "arn:aws:secretsmanager:r:1:secret:a-AbCdEf",
                "password",
            ),
        ] {
            let reference = SecretReference::parse(text);
            assert_eq!((reference.id.as_str(), reference.json_key), (id, key), "{text}");
        }
        let reference = SecretReference::parse("s:user");
        assert_eq!(reference.pick(r#"{"user":"acme"}"#), Ok("acme".to_owned()));
        assert!(reference.pick("{}").is_err() && reference.pick("text").is_err());
    }
}
