//! The grant: one inline policy per role and secret that lets the role read the secret.

use crate::domain::build::{Secret, SecretKey};
use crate::domain::change::{Change, same_document};
use crate::domain::remedy::{Inapplicable, Material};
use serde_json::{Value, json};

/// Characters that all inline policies of a role may have together, white space not counted; IAM's fixed quota.
pub const MAX_INLINE: usize = 10_240;

/// The grant for the project's role.
pub fn change(material: Material<'_>) -> Result<Change, Inapplicable> {
    let Material { role, secret, credential, made_by_us, .. } = material;
    let Some(secret) = secret else { return Err(Inapplicable::NoSecret) };
    if role.is_service_linked() {
        return Err(Inapplicable::ServiceLinkedRole);
    }
    let after = document(secret);
    let name = &credential.policy_name;
    let there = role.policy(name);
    let before = match there.map(|policy| policy.document.as_ref()) {
        None => None,
        // What we made ourselves was not there before us, whichever remediation made it.
        Some(Some(document)) if same_document(document, &after) => (!made_by_us).then(|| document.clone()),
        Some(_) => return Err(Inapplicable::ForeignPolicy(name.clone())),
    };
    if there.is_none() {
        let used: usize = role.inline.iter().map(|policy| policy.size).sum();
        let wanted = after.to_string().chars().filter(|c| !c.is_whitespace()).count();
        if used + wanted > MAX_INLINE {
            return Err(Inapplicable::PolicySpaceFull { used, wanted });
        }
    }
    Ok(Change::Grant { role: role.name.clone(), policy: name.clone(), before, after })
}

/// The policy's document: the secret by its full ARN and whatever follows it, and the customer's key, if there is one,
/// only through Secrets Manager.
pub fn document(secret: &Secret) -> Value {
    let mut statements = vec![json!({
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": format!("{}*", secret.arn),
    })];
    let via = format!("secretsmanager.{}.amazonaws.com", region(secret.arn.as_str()));
    match &secret.key {
        None => (),
        Some(SecretKey::Key(key)) => statements.push(json!({
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": key,
            "Condition": { "StringEquals": { "kms:ViaService": via } },
        })),
        // IAM takes no alias as a resource; the condition key is how a policy names one.
        Some(SecretKey::Alias { alias, keys }) => statements.push(json!({
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": keys,
            "Condition": {
                "StringEquals": { "kms:ViaService": via },
                "ForAnyValue:StringEquals": { "kms:ResourceAliases": alias },
            },
        })),
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The region in an ARN.
fn region(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}
