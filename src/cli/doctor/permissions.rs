//! The permissions that the settings need, held against those that IAM's simulation says are there.

use super::count;
use super::scope::Patient;
use super::tree::Check;
use crate::domain::build::RoleName;
use crate::domain::permissions::{Needed, On, needed};
use crate::edge::iam::simulate::Decision;
use crate::reconcile::{self, Kind};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const NAME: &str = "permissions";

/// Asks IAM for each permission, on a sample of what it is needed for.
pub async fn check(patient: &Patient<'_>) -> Check {
    let principal = match principal(patient).await {
        Ok(principal) => principal,
        Err(why) => return Check::skipped(NAME, why),
    };
    let needed = needed(&patient.settings.policies, &patient.scope.name, patient.settings.daemon.mode);
    let mut by_kind: BTreeMap<On, Vec<Needed>> = BTreeMap::new();
    for one in needed {
        by_kind.entry(one.on).or_default().push(one);
    }
    let mut checks = Vec::new();
    let mut lacking = Vec::new();
    for (on, needed) in by_kind {
        let resources = patient.resources.of(on);
        if resources.is_empty() {
            // Most secrets have no key of the customer's.
            if on != On::Keys {
                let actions: Vec<&str> = needed.iter().map(|one| one.action).collect();
                checks.push(Check::skipped(actions.join(", "), format!("there is no {} to ask for", what(on))));
            }
            continue;
        }
        match simulate(patient, &principal, &needed, &resources).await {
            Ok(found) => {
                for (one, resource, decision) in found {
                    if decision == Decision::NotAllowed {
                        lacking.push((one.action, one.on));
                    }
                    checks.push(of_decision(one, &resource, &decision));
                }
            }
            Err(failure) if failure.kind == Kind::Denied => {
                let why =
                    "iam:SimulatePrincipalPolicy on its own role is not allowed, so only what was tried above is known";
                let skipped = Check::skipped(NAME, why);
                return match failure.is_beyond_grants() {
                    true => skipped.maybe(failure.next_step()),
                    false => skipped.maybe(whole_policy_command(patient)),
                };
            }
            Err(failure) => checks.push(Check::failed("simulation", failure.detail)),
        }
    }
    let held = checks.iter().filter(|check| check.state() == super::State::Ok).count();
    let detail = format!("{} held, as IAM's simulation says", count(held, "permission", "permissions"));
    Check::group(NAME, detail, checks).maybe(grant_command(patient, &lacking))
}

fn what(on: On) -> &'static str {
    match on {
        On::Everything => "account",
        On::AnyProject => "project",
        On::Projects => "project that a policy names",
        On::Changed => "project that a policy lets remedies change",
        On::Restarted => "project whose builds a policy lets start again",
        On::Logs => "log of a project that a policy names",
        On::Roles | On::Granted => "service role",
        On::Secrets => "secret",
        On::Keys => "key",
        On::Table => "table",
        On::Members => "role of a scope",
        On::Itself => "role of its own",
    }
}

/// Each permission with the first resource that it is lacking on, if there is one.
async fn simulate(
    patient: &Patient<'_>,
    principal: &str,
    needed: &[Needed],
    resources: &[String],
) -> Result<Vec<(Needed, String, Decision)>, reconcile::Failure> {
    let actions: Vec<&str> = needed.iter().map(|one| one.action).collect();
    let mut worst: BTreeMap<&str, (String, Decision)> = BTreeMap::new();
    for resource in resources {
        for simulated in patient.aws.iam.simulate(principal, &actions, resource, &patient.aws.region).await? {
            let Some(action) = actions.iter().find(|action| action.eq_ignore_ascii_case(&simulated.action)) else {
                continue;
            };
            let known = worst.get(action).is_some_and(|(_, decision)| *decision != Decision::Allowed);
            if !known {
                worst.insert(action, (resource.clone(), simulated.decision));
            }
        }
    }
    let unanswered = || (String::new(), Decision::Unknown("nothing".to_string()));
    let found = needed.iter().map(|one| {
        let (resource, decision) = worst.remove(one.action).unwrap_or_else(unanswered);
        (*one, resource, decision)
    });
    Ok(found.collect())
}

fn of_decision(one: Needed, resource: &str, decision: &Decision) -> Check {
    let purpose = one.purpose;
    match decision {
        Decision::Allowed => Check::ok(one.action, format!("to {purpose}")),
        Decision::NotAllowed => Check::failed(one.action, format!("to {purpose}: {decision} on {resource}")),
        Decision::Denied => Check::failed(one.action, format!("to {purpose}: {decision} on {resource}"))
            .repair("take the action out of that statement with \"Effect\": \"Deny\""),
        Decision::OutsideBoundary => Check::failed(one.action, format!("to {purpose}: {decision} on {resource}"))
            .repair("allow the action in the role's permissions boundary"),
        Decision::DeniedByOrganization => Check::failed(one.action, format!("to {purpose}: {decision} on {resource}"))
            .repair("ask those who keep the organization's policies; nothing in this account can allow it"),
        Decision::Depends(_) => Check::skipped(one.action, format!("to {purpose}: {decision}")),
        Decision::Unknown(_) => Check::failed(one.action, format!("to {purpose}: {decision}")),
    }
}

/// The ARN that IAM simulates for: of the role behind a session, or of a user.
async fn principal(patient: &Patient<'_>) -> Result<String, String> {
    let caller = &patient.caller;
    let Some(role) = caller.role() else {
        return match caller.arn.contains(":user/") {
            true => Ok(caller.arn.clone()),
            false => Err(format!("{} is neither a role nor a user, so IAM can't simulate it", caller.arn)),
        };
    };
    match patient.aws.iam.role_arn(&RoleName::new(role)).await {
        Ok(Some(arn)) => Ok(arn),
        Ok(None) => Err(format!("role {role} is not in this account, so IAM can't simulate it")),
        // Right unless the role has a path, and then IAM says that there is none.
        Err(error) if error.is_denied() => {
            Ok(format!("arn:{}:iam::{}:role/{role}", caller.partition(), caller.account))
        }
        Err(error) => Err(reconcile::Failure::from(error).detail),
    }
}

/// The one command that gives the role all that the settings need, and what `doctor` asks besides.
fn whole_policy_command(patient: &Patient<'_>) -> Option<String> {
    let role = patient.caller.role()?;
    // The role that the daemon runs with also reads the ledger and takes on the others.
    let scope = match &patient.scope.role_arn {
        Some(_) => format!(" --scope {}", patient.scope.name),
        None => String::new(),
    };
    Some(format!(
        "unthrottled iam-policy --doctor{scope} --format json > policy.json && aws iam put-role-policy --role-name {role} \
         --policy-name unthrottled --policy-document file://policy.json   # as someone who may"
    ))
}

/// The one command that grants these to the caller. Its policy is named after what it holds, so that it replaces none
/// that a former one made.
pub fn grant_command(patient: &Patient<'_>, lacking: &[(&'static str, On)]) -> Option<String> {
    let mut by_kind: BTreeMap<On, Vec<&str>> = BTreeMap::new();
    for (action, on) in lacking {
        let actions = by_kind.entry(*on).or_default();
        if !actions.contains(action) {
            actions.push(action);
        }
    }
    if by_kind.is_empty() {
        return None;
    }
    let statements: Vec<_> = by_kind
        .into_iter()
        .map(|(on, actions)| json!({ "Effect": "Allow", "Action": actions, "Resource": pattern(patient, on) }))
        .collect();
    let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let digest = Sha256::digest(&document);
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let who = match (patient.caller.role(), patient.caller.arn.rsplit_once('/')) {
        (Some(role), _) => format!("put-role-policy --role-name {role}"),
        (None, Some((_, user))) => format!("put-user-policy --user-name {user}"),
        (None, None) => return None,
    };
    Some(format!("aws iam {who} --policy-name unthrottled-{digest} --policy-document '{document}'"))
}

/// What a grant names: wide enough for what the settings match, so that tomorrow's project needs no other grant.
fn pattern(patient: &Patient<'_>, on: On) -> Vec<String> {
    let resources = &patient.resources;
    let (partition, account, region) = (&resources.partition, &resources.account, &resources.region);
    match on {
        On::Everything => vec!["*".to_string()],
        On::AnyProject | On::Projects | On::Changed | On::Restarted => {
            vec![format!("arn:{partition}:codebuild:{region}:{account}:project/*")]
        }
        On::Logs => vec![format!("arn:{partition}:logs:{region}:{account}:log-group:/aws/codebuild/*")],
        // Whoever may write to a role can give it anything: never more than those that were seen.
        On::Roles | On::Granted | On::Secrets | On::Keys | On::Table | On::Members | On::Itself => resources.of(on),
    }
}
