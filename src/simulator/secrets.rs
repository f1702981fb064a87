//! Secrets Manager: describe, read, make and renew secrets.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::account::{Account, Secret, seconds};
use super::refusal::{Answer, Refusal};

/// A secret's text in bytes.
const TEXT_LIMIT: usize = 65_536;

impl Account {
    /// Dispatches a Secrets Manager operation.
    pub(super) fn secrets_manager(&mut self, operation: &str, input: &Value) -> Option<Answer> {
        Some(match operation {
            "DescribeSecret" => self.describe_secret(input),
            "GetSecretValue" => self.get_secret_value(input),
            "CreateSecret" => self.create_secret(input),
            "PutSecretValue" => self.put_secret_value(input),
            "ListSecrets" => self.list_secrets(input),
            _ => return None,
        })
    }

    fn find_secret(&self, input: &Value) -> Result<(String, &Secret), Refusal> {
        let id = input["SecretId"].as_str().unwrap_or_default();
        let other_region = id.starts_with("arn:") && !id.starts_with(&self.arn("secretsmanager", "secret:"));
        self.secret_name(id)
            .filter(|_| !other_region)
            .and_then(|name| self.secrets.get(&name).map(|secret| (name, secret)))
            .ok_or_else(|| Refusal::not_found("Secrets Manager can't find the specified secret."))
    }

    fn describe_secret(&self, input: &Value) -> Answer {
        let (name, secret) = self.find_secret(input)?;
        Ok(self.described(&name, secret))
    }

    /// `KmsKeyId` is left out for the AWS managed key.
    fn described(&self, name: &str, secret: &Secret) -> Value {
        let mut stages = serde_json::Map::new();
        for (version, stage) in secret.versions.iter().rev().zip(["AWSCURRENT", "AWSPREVIOUS"]) {
            stages.insert(version.0.clone(), json!([stage]));
        }
        let changed = secret.versions.last().map_or(secret.created, |version| version.2);
        let mut json = json!({
            "ARN": secret.arn,
            "Name": name,
            "CreatedDate": seconds(secret.created),
            "LastChangedDate": seconds(changed),
            "Tags": secret.tags,
            "VersionIdsToStages": stages,
        });
        if let Some(key) = &secret.kms_key {
            json["KmsKeyId"] = json!(key);
        }
        if let Some(deleted) = secret.deleted {
            json["DeletedDate"] = seconds(deleted + SignedDuration::from_hours(30 * 24));
        }
        json
    }

    fn get_secret_value(&self, input: &Value) -> Answer {
        let (name, secret) = self.find_secret(input)?;
        usable(secret)?;
        let stage = input["VersionStage"].as_str().unwrap_or("AWSCURRENT");
        let version = match (input["VersionId"].as_str(), stage) {
            (Some(id), _) => secret.versions.iter().find(|version| version.0 == id),
            (None, "AWSCURRENT") => secret.versions.last(),
            (None, "AWSPREVIOUS") => secret.versions.iter().rev().nth(1),
            _ => None,
        };
        let (id, text, at) = version.ok_or_else(|| {
            Refusal::not_found(format!(
                "Secrets Manager can't find the specified secret value for staging label: {stage}"
            ))
        })?;
        let (kind, value) = match secret.binary {
            true => ("SecretBinary", aws_smithy_types::base64::encode(text)),
            false => ("SecretString", text.clone()),
        };
        let mut json = json!({
            "ARN": secret.arn, "Name": name, "VersionId": id,
            "VersionStages": [stage], "CreatedDate": seconds(*at),
        });
        json[kind] = json!(value);
        Ok(json)
    }

    fn create_secret(&mut self, input: &Value) -> Answer {
        let name = input["Name"].as_str().unwrap_or_default().to_owned();
        let text = text_of(input)?;
        let token = input["ClientRequestToken"].as_str().map(ToOwned::to_owned);
        let version = token.unwrap_or_else(|| self.new_uuid());
        if let Some(secret) = self.secrets.get(&name) {
            usable(secret)?;
            let same = secret.versions.iter().any(|(id, old, _)| *id == version && Some(old) == text.as_ref());
            return if same {
                Ok(json!({"ARN": secret.arn, "Name": name, "VersionId": version}))
            } else {
                Err(Refusal::new(
                    400,
                    "ResourceExistsException",
                    format!("The operation failed because the secret {name} already exists."),
                ))
            };
        }
        let suffix = self.new_suffix(6);
        let secret = Secret {
            arn: self.arn("secretsmanager", &format!("secret:{name}-{suffix}")),
            kms_key: input["KmsKeyId"].as_str().map(ToOwned::to_owned),
            versions: text.into_iter().map(|text| (version.clone(), text, self.now)).collect(),
            created: self.now,
            deleted: None,
            tags: if input["Tags"].is_array() { input["Tags"].clone() } else { json!([]) },
            binary: false,
        };
        let mut answer = json!({"ARN": secret.arn, "Name": name});
        if !secret.versions.is_empty() {
            answer["VersionId"] = json!(version);
        }
        self.secrets.insert(name, secret);
        Ok(answer)
    }

    /// The request token is the version's id: the same with the same text does nothing, with another it is refused.
    fn put_secret_value(&mut self, input: &Value) -> Answer {
        let (name, secret) = self.find_secret(input)?;
        usable(secret)?;
        let text = text_of(input)?.ok_or_else(|| {
            Refusal::new(400, "InvalidRequestException", "You must provide either SecretString or SecretBinary.")
        })?;
        let arn = secret.arn.clone();
        let now = self.now;
        let token = input["ClientRequestToken"].as_str().map(ToOwned::to_owned);
        let version = token.unwrap_or_else(|| self.new_uuid());
        let secret = self.secrets.get_mut(&name);
        let Some(secret) = secret else {
            return Err(Refusal::not_found("Secrets Manager can't find the specified secret."));
        };
        match secret.versions.iter().find(|known| known.0 == version) {
            Some(known) if known.1 == text => {}
            Some(_) => {
                return Err(Refusal::new(
                    400,
                    "ResourceExistsException",
                    "You can't use ClientRequestToken of an existing version for another secret value.",
                ));
            }
            None => {
                secret.versions.push((version.clone(), text, now));
                secret.binary = false;
            }
        }
        Ok(json!({"ARN": arn, "Name": name, "VersionId": version, "VersionStages": ["AWSCURRENT"]}))
    }

    fn list_secrets(&self, input: &Value) -> Answer {
        let limit = input["MaxResults"].as_u64().and_then(|max| usize::try_from(max).ok()).unwrap_or(100);
        let after = input["NextToken"].as_str().unwrap_or_default();
        let mut names = self.secrets.iter().filter(|(name, secret)| name.as_str() > after && secret.deleted.is_none());
        let page: Vec<_> = names.by_ref().take(limit).collect();
        let list: Vec<Value> = page
            .iter()
            .map(|(name, secret)| {
                let mut entry = self.described(name, secret);
                // A list entry has the same members under another name for the versions.
                if let Some(members) = entry.as_object_mut()
                    && let Some(stages) = members.remove("VersionIdsToStages")
                {
                    members.insert("SecretVersionsToStages".to_owned(), stages);
                }
                entry
            })
            .collect();
        let mut answer = json!({ "SecretList": list });
        if let (Some((last, _)), Some(_)) = (page.last(), names.next()) {
            answer["NextToken"] = json!(last);
        }
        Ok(answer)
    }
}

fn usable(secret: &Secret) -> Result<(), Refusal> {
    match secret.deleted {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            400,
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        )),
    }
}

fn text_of(input: &Value) -> Result<Option<String>, Refusal> {
    let text = input["SecretString"].as_str();
    if text.is_some_and(|text| text.len() > TEXT_LIMIT) {
        return Err(Refusal::new(
            400,
            "ValidationException",
            format!(
                "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to {TEXT_LIMIT}"
            ),
        ));
    }
    Ok(text.map(ToOwned::to_owned))
}
