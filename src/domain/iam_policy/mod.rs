//! The least-privilege policy of a role of the daemon's: what the settings in force need, on what they name, and no more.
//!
//! Which actions are needed is said by [`permissions`]; here each gets its resources. A resource is a name or a path
//! wherever the service allows it (AWS's service authorization reference says where).

pub mod glob;
mod resources;
mod trust;
mod words;

pub use trust::{of_member, of_task};

use crate::domain::permissions::{self, Needed, On};
use crate::domain::policy::{Mode, Policy};
use resources::Scope;
use serde_json::{Map, Value, json};

/// The characters that a managed policy may have; white space does not count (IAM and STS quotas).
pub const MANAGED_LIMIT: usize = 6_144;

/// The characters that all inline policies of a role may have together; white space does not count.
pub const INLINE_LIMIT: usize = 10_240;

/// Whom the policy is for.
#[derive(Clone, Debug)]
pub struct Grantee<'a> {
    /// The partition and the number of the account that the role is in.
    pub account: Account,
    /// What the settings allow.
    pub policies: &'a [Policy],
    /// The most that any policy may do.
    pub most: Mode,
    /// The scopes that are looked after with the role itself.
    pub scopes: Vec<Place>,
    /// The table that the ledger is kept in.
    pub table: Option<Table>,
    /// The roles that it takes on for other scopes, by ARN.
    pub members: Vec<String>,
    /// What the settings do not say.
    pub bounds: Bounds,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// Twelve digits.
    pub number: String,
}

/// A scope, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name in policies.
    pub scope: String,
    /// `eu-central-1`
    pub region: String,
}

/// A table, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// `eu-central-1`
    pub region: String,
}

/// What the settings do not say, and a policy has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The service roles of the projects, by path and name.
    pub roles: Vec<String>,
    /// The daemon's own roles, which it must never write to.
    pub own_roles: Vec<String>,
    /// Log groups; none takes CodeBuild's default ones.
    pub log_groups: Vec<String>,
    /// The customer's keys of the secrets, by ARN; none where AWS manages the key.
    pub keys: Vec<String>,
    /// The permissions boundary that a service role must carry to be written to, by ARN.
    pub boundary: Option<String>,
    /// Whether `doctor` shall compare what is held with what is needed.
    pub doctor: bool,
    /// Whether CodeBuild asks for `iam:PassRole` in an update that names no role.
    pub pass_role: bool,
}

impl Default for Bounds {
    /// The roles that CodeBuild's console makes are `service-role/codebuild-<project>-service-role`.
    fn default() -> Bounds {
        Bounds {
            roles: vec!["service-role/codebuild-*".to_string()],
            own_roles: vec!["unthrottled*".to_string()],
            log_groups: Vec::new(),
            keys: Vec::new(),
            boundary: None,
            doctor: false,
            pass_role: false,
        }
    }
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Allow.
    Allow,
    /// Deny.
    Deny,
}

/// One condition: operator, key, and the values of which one must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `StringEquals`
    pub operator: &'static str,
    /// `iam:PermissionsBoundary`
    pub key: String,
    /// Any of them.
    pub values: Vec<String>,
}

/// One statement, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name in the document.
    pub sid: String,
    /// Allow or deny.
    pub effect: Effect,
    /// `codebuild:ListBuilds`
    pub actions: Vec<&'static str>,
    /// ARNs, or patterns of such.
    pub resources: Vec<String>,
    /// All of them.
    pub conditions: Vec<Condition>,
    /// Why it is there, and why it names what it names.
    pub sentence: String,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// In reading order.
    pub statements: Vec<Statement>,
}

/// The policy of a role of the daemon's.
pub fn document(grantee: &Grantee<'_>) -> Document {
    let mut document = Document { statements: Vec::new() };
    for place in &grantee.scopes {
        let scope = Scope::new(grantee, place);
        for (on, needed) in by_kind(permissions::needed(grantee.policies, &place.scope, grantee.most)) {
            scope.statements(on, &needed).into_iter().for_each(|statement| document.add(statement));
        }
        scope.excluded().into_iter().for_each(|statement| document.add(statement));
    }
    for statement in resources::of_the_role(grantee) {
        document.add(statement);
    }
    document.number();
    document
}

/// What is needed on each kind of resource, in the order of the kinds.
fn by_kind(needed: Vec<Needed>) -> Vec<(On, Vec<Needed>)> {
    let mut kinds: Vec<(On, Vec<Needed>)> = Vec::new();
    for one in needed {
        match kinds.last_mut() {
            Some((on, all)) if *on == one.on => all.push(one),
            _ => kinds.push((one.on, vec![one])),
        }
    }
    kinds
}

impl Document {
    /// Adds a statement, to one that says the same of other resources if there is one.
    fn add(&mut self, statement: Statement) {
        if statement.resources.is_empty() || statement.actions.is_empty() {
            return;
        }
        let same = |one: &&mut Statement| {
            one.sid == statement.sid && one.actions == statement.actions && one.conditions == statement.conditions
        };
        match self.statements.iter_mut().find(same) {
            Some(one) => {
                let more = statement.resources.into_iter().filter(|resource| !one.resources.contains(resource));
                let more: Vec<String> = more.collect();
                one.resources.extend(more);
                if statement.sentence.len() > one.sentence.len() {
                    one.sentence = statement.sentence;
                }
            }
            None => self.statements.push(statement),
        }
    }

    /// Statements of one name get numbers: each name stands once in a policy.
    fn number(&mut self) {
        let names: Vec<String> = self.statements.iter().map(|statement| statement.sid.clone()).collect();
        for (n, statement) in self.statements.iter_mut().enumerate() {
            let before = names[..n].iter().filter(|name| **name == statement.sid).count();
            if before > 0 {
                statement.sid = format!("{}{}", statement.sid, before + 1);
            }
        }
    }

    /// As IAM takes it.
    pub fn json(&self) -> Value {
        json!({ "Version": "2012-10-17", "Statement": self.statements.iter().map(Statement::json).collect::<Vec<_>>() })
    }

    /// The characters that count against IAM's limits.
    pub fn characters(&self) -> usize {
        self.json().to_string().chars().filter(|c| !c.is_whitespace()).count()
    }
}

impl Statement {
    fn json(&self) -> Value {
        let effect = match self.effect {
            Effect::Allow => "Allow",
            Effect::Deny => "Deny",
        };
        let (actions, resources) = (&self.actions, &self.resources);
        let mut json = json!({ "Sid": self.sid, "Effect": effect, "Action": actions, "Resource": resources });
        let mut conditions = Map::new();
        for Condition { operator, key, values } in &self.conditions {
            let keys = conditions.entry(*operator).or_insert_with(|| json!({}));
            keys[key] = json!(values);
        }
        if !conditions.is_empty() {
            json["Condition"] = Value::Object(conditions);
        }
        json
    }
}

#[cfg(test)]
mod tests;
