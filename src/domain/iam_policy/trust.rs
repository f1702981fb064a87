//! Who may take on a role of the daemon's: its trust policy.

use super::Account;
use serde_json::{Value, json};

/// For the role of an ECS task: ECS alone, and on behalf of clusters of this account.
pub fn of_task(account: &Account, region: &str) -> Value {
    let Account { partition, number } = account;
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "TasksOfThisAccount",
            "Effect": "Allow",
            "Principal": { "Service": "ecs-tasks.amazonaws.com" },
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": { "aws:SourceAccount": number },
                "ArnLike": { "aws:SourceArn": format!("arn:{partition}:ecs:{region}:{number}:*") },
            },
        }],
    })
}

/// For the role of a member account: the daemon's role alone, and only with the external ID if there is one.
pub fn of_member(daemon: &str, external_id: Option<&str>) -> Value {
    let mut statement = json!({
        "Sid": "TheDaemon",
        "Effect": "Allow",
        "Principal": { "AWS": daemon },
        "Action": "sts:AssumeRole",
    });
    if let Some(id) = external_id {
        statement["Condition"] = json!({ "StringEquals": { "sts:ExternalId": id } });
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}
