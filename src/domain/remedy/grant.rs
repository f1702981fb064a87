//! The grant: one inline policy per role and secret that lets the role read the secret.

use crate::domain::build::{Secret, SecretArn, SecretKey};
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

/// Whether a document lets a role read this secret and nothing else, as every grant of ours does. Asked once more before one is
/// written: what a plan or a ledger holds may have been written by somebody else.
pub fn only_reads(document: &Value, secret: &SecretArn) -> bool {
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => return false,
    };
    let is_arn = secret.as_str().starts_with("arn:") && secret.as_str().split(':').nth(2) == Some("secretsmanager");
    is_arn && !statements.is_empty() && statements.iter().all(|statement| is_read_of(statement, secret))
}

fn is_read_of(statement: &Value, secret: &SecretArn) -> bool {
    let Some(members) = statement.as_object() else { return false };
    let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
    let member = |name: &str| match members.get(name) {
        Some(Value::Array(texts)) if texts.len() == 1 => texts.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    let via = members.get("Condition").and_then(|condition| condition.get("StringEquals")?.get("kms:ViaService"));
    let is_right = match (member("Action"), member("Resource")) {
        (Some("secretsmanager:GetSecretValue"), Some(resource)) => {
            resource == secret.as_str() || resource.strip_suffix('*') == Some(secret.as_str())
        }
        (Some("kms:Decrypt"), Some(resource)) => {
            resource.starts_with("arn:") && resource.contains(":key/") && via.is_some()
        }
        _ => false,
    };
    members.keys().all(|key| known.contains(&key.as_str())) && member("Effect") == Some("Allow") && is_right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::*;
    use rstest::rstest;

    #[test]
    fn what_we_grant_reads_the_secret_alone() {
        for secret in [secret(), secret_with_key()] {
            assert!(only_reads(&document(&secret), &secret.arn));
        }
        let alias =
            SecretKey::Alias { alias: "alias/hub".to_string(), keys: "arn:aws:kms:eu-central-1:1:key/*".to_string() };
        let aliased = Secret { key: Some(alias), ..secret() };
        assert!(only_reads(&document(&aliased), &aliased.arn));
    }

    const READ: &str = "secretsmanager:GetSecretValue";

    #[rstest]
    #[case::everything(json!({"Effect": "Allow", "Action": "*", "Resource": "*"}))]
    #[case::every_secret(json!({"Effect": "Allow", "Action": READ, "Resource": "*"}))]
    #[case::another_secret(json!({"Effect": "Allow", "Action": READ, "Resource": "arn:aws:secretsmanager:eu-central-1:1:secret:root-Ab12Cd*"}))]
    #[case::one_more_action(json!({"Effect": "Allow", "Action": [READ, "iam:*"], "Resource": format!("{SECRET}*")}))]
    #[case::all_actions_but_one(json!({"Effect": "Allow", "Action": READ, "NotAction": "s3:*", "Resource": format!("{SECRET}*")}))]
    #[case::a_denial(json!({"Effect": "Deny", "Action": READ, "Resource": format!("{SECRET}*")}))]
    #[case::any_decryption(json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:eu-central-1:1:key/a"}))]
    #[case::no_statement(json!("*"))]
    fn anything_else_is_not_ours_to_write(#[case] statement: Value) {
        let ours = document(&secret())["Statement"][0].clone();
        for statements in [json!([statement]), json!([ours, statement]), statement] {
            assert!(
                !only_reads(&json!({"Version": "2012-10-17", "Statement": statements}), &secret().arn),
                "{statements}"
            );
        }
        assert!(!only_reads(&json!({"Version": "2012-10-17", "Statement": []}), &secret().arn));
        assert!(!only_reads(&document(&secret()), &SecretArn::new("*")));
    }
}
