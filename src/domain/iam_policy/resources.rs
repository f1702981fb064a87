//! Which resources each statement names: those of a scope, and those of the role itself.

use super::{Bounds, Condition, Effect, Grantee, Place, Statement, glob, words};
use crate::domain::permissions::{self, DOCTOR, LEDGER, MEMBER, Needed, On};
use crate::domain::policy::{Credential, Mode, Policy};
use std::collections::{BTreeMap, BTreeSet};

/// Writes to a role, also those that the daemon never makes: whoever can do one of them can become anything.
const WRITES_TO_ROLES: [&str; 10] = [
    "iam:AttachRolePolicy",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PassRole",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
];

/// Writes to a managed policy, such as a boundary.
const WRITES_TO_POLICIES: [&str; 4] =
    ["iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"];

/// Writes to projects and their builds.
const WRITES_TO_PROJECTS: [&str; 4] =
    ["codebuild:UpdateProject", "codebuild:RetryBuild", "codebuild:StartBuild", "codebuild:StopBuild"];

/// One scope of a grantee.
pub(super) struct Scope<'a> {
    grantee: &'a Grantee<'a>,
    place: &'a Place,
    policies: Vec<&'a Policy>,
}

/// Patterns of project names, and the globs that had to be widened to get them.
#[derive(Default)]
struct Names {
    patterns: Vec<String>,
    widened: Vec<String>,
}

impl Names {
    fn of<'p>(globs: impl IntoIterator<Item = &'p String>) -> Names {
        let mut names = Names::default();
        for text in globs {
            match glob::patterns(text) {
                Some(patterns) => names.patterns.extend(patterns),
                None => {
                    names.patterns.push("*".to_string());
                    names.widened.push(text.clone());
                }
            }
        }
        names.patterns = glob::least(names.patterns);
        names
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(grantee: &'a Grantee<'a>, place: &'a Place) -> Scope<'a> {
        let policies = grantee.policies.iter().filter(|policy| policy.is_for_scope(&place.scope)).collect();
        Scope { grantee, place, policies }
    }

    /// The statements for what is needed on one kind of resource.
    pub(super) fn statements(&self, on: On, needed: &[Needed]) -> Vec<Statement> {
        let bounds = &self.grantee.bounds;
        let one = |resources: Vec<String>, conditions: Vec<Condition>, widened: &[String]| {
            vec![allow(on, needed, resources, conditions, words::of(on, bounds, widened))]
        };
        let all = Names::of(self.policies.iter().flat_map(|policy| &policy.project_globs));
        match on {
            On::Everything => one(vec!["*".to_string()], Vec::new(), &[]),
            On::AnyProject => {
                let mut statements = one(self.projects(&["*".to_string()]), Vec::new(), &[]);
                if needed.iter().any(|one| one.action == "codebuild:BatchGetProjects") {
                    statements.iter_mut().for_each(|statement| statement.sentence.push_str(words::ALL_PROJECTS));
                }
                statements
            }
            On::Projects => one(self.projects(&all.patterns), Vec::new(), &all.widened),
            On::Changed => self.tagged(on, needed, permissions::may_change),
            On::Restarted => self.tagged(on, needed, permissions::may_restart),
            On::Logs => one(self.log_groups(&all.patterns), Vec::new(), &all.widened),
            On::Roles => one(roles(self.grantee, &bounds.roles), Vec::new(), &[]),
            On::Granted => one(roles(self.grantee, &bounds.roles), boundary(bounds), &[]),
            On::Secrets => one(self.secrets(), Vec::new(), &[]),
            On::Keys => one(bounds.keys.clone(), self.for_the_secrets(), &[]),
            On::Table | On::Members | On::Itself => Vec::new(),
        }
    }

    /// One statement for each set of tags that policies ask for: a policy's projects under the policy's own tags.
    fn tagged(&self, on: On, needed: &[Needed], may: fn(&Policy, Mode) -> bool) -> Vec<Statement> {
        let mut by_tags: BTreeMap<&BTreeMap<String, String>, Vec<&String>> = BTreeMap::new();
        for policy in self.policies.iter().filter(|policy| may(policy, self.grantee.most)) {
            by_tags.entry(&policy.tags).or_default().extend(&policy.project_globs);
        }
        let statement = |(tags, globs): (&BTreeMap<String, String>, Vec<&String>)| {
            let names = Names::of(globs);
            let condition = |(key, value): (&String, &String)| Condition {
                operator: "StringEquals",
                key: format!("aws:ResourceTag/{key}"),
                values: vec![value.clone()],
            };
            let mut sentence = words::of(on, &self.grantee.bounds, &names.widened);
            if !tags.is_empty() {
                sentence.push_str(words::TAGS);
            }
            allow(on, needed, self.projects(&names.patterns), tags.iter().map(condition).collect(), sentence)
        };
        by_tags.into_iter().map(statement).collect()
    }

    /// Projects that every policy with writes leaves out are not written to, whoever else allows it.
    pub(super) fn excluded(&self) -> Option<Statement> {
        let writing = self.policies.iter().filter(|policy| permissions::may_change(policy, self.grantee.most));
        let mut sets = writing.map(|policy| policy.exclude_globs.iter().collect::<BTreeSet<&String>>());
        let first = sets.next()?;
        let everywhere = sets.fold(first, |all, one| all.intersection(&one).copied().collect());
        // A pattern that is wider than the glob would deny what is allowed.
        let patterns = everywhere.into_iter().filter_map(|text| glob::patterns(text)).flatten().collect();
        let resources = self.projects(&glob::least(patterns));
        Some(deny("NeverTheExcluded", WRITES_TO_PROJECTS.to_vec(), resources, words::EXCLUDED))
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        let (account, region) = (&self.grantee.account, &self.place.region);
        format!("arn:{}:{service}:{region}:{}:{rest}", account.partition, account.number)
    }

    fn projects(&self, patterns: &[String]) -> Vec<String> {
        patterns.iter().map(|pattern| self.arn("codebuild", &format!("project/{pattern}"))).collect()
    }

    /// With what follows the group in the ARN: streams are named there.
    fn log_groups(&self, patterns: &[String]) -> Vec<String> {
        let given = &self.grantee.bounds.log_groups;
        let default = patterns.iter().map(|pattern| format!("/aws/codebuild/{pattern}"));
        let groups: Vec<String> = if given.is_empty() { default.collect() } else { given.clone() };
        groups.iter().map(|group| self.arn("logs", &format!("log-group:{group}:*"))).collect()
    }

    fn credentials(&self) -> BTreeMap<&str, &Credential> {
        let reading = self.policies.iter().filter(|policy| permissions::may_read_secret(policy, self.grantee.most));
        reading.map(|policy| (policy.credential.secret.as_str(), &policy.credential)).collect()
    }

    /// A secret's ARN ends in a hyphen and six characters that only Secrets Manager knows.
    fn secrets(&self) -> Vec<String> {
        let arn = |secret: &str| match secret.starts_with("arn:") {
            true => secret.to_string(),
            false => self.arn("secretsmanager", &format!("secret:{secret}-??????")),
        };
        self.credentials().keys().map(|secret| arn(secret)).collect()
    }

    /// A key is used by Secrets Manager alone, and for these secrets alone.
    fn for_the_secrets(&self) -> Vec<Condition> {
        let domain = if self.grantee.account.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        let service = format!("secretsmanager.{}.{domain}", self.place.region);
        vec![
            Condition { operator: "StringEquals", key: "kms:ViaService".to_string(), values: vec![service] },
            Condition {
                operator: "StringLike",
                key: "kms:EncryptionContext:SecretARN".to_string(),
                values: self.secrets(),
            },
        ]
    }
}

/// What does not depend on a scope: the ledger, other roles, and what is never done.
pub(super) fn of_the_role(grantee: &Grantee<'_>) -> Vec<Statement> {
    let bounds = &grantee.bounds;
    let (partition, number) = (&grantee.account.partition, &grantee.account.number);
    let table =
        |table: &super::Table| format!("arn:{partition}:dynamodb:{}:{number}:table/{}", table.region, table.name);
    let whole = |on, needed: &[Needed], resources| allow(on, needed, resources, Vec::new(), words::of(on, bounds, &[]));
    let mut statements = vec![
        whole(On::Table, &LEDGER, grantee.table.iter().map(table).collect()),
        whole(On::Members, &[MEMBER], grantee.members.clone()),
    ];
    let grants = grantee.scopes.iter().any(|place| {
        let mut policies = grantee.policies.iter().filter(|policy| policy.is_for_scope(&place.scope));
        policies.any(|policy| permissions::may_change(policy, grantee.most))
    });
    if bounds.pass_role && grants {
        let service = if partition == "aws-cn" { "codebuild.amazonaws.com.cn" } else { "codebuild.amazonaws.com" };
        let to_codebuild = Condition {
            operator: "StringEquals",
            key: "iam:PassedToService".to_string(),
            values: vec![service.to_string()],
        };
        statements.push(Statement {
            sid: "PassServiceRoles".to_string(),
            effect: Effect::Allow,
            actions: vec!["iam:PassRole"],
            resources: roles(grantee, &bounds.roles),
            conditions: vec![to_codebuild],
            sentence: words::PASS_ROLE.to_string(),
        });
    }
    let own = roles(grantee, &bounds.own_roles);
    if bounds.doctor {
        statements.push(whole(On::Itself, &DOCTOR, own.clone()));
    }
    let linked = roles(grantee, &["aws-service-role/*".to_string()]);
    statements.push(deny("NeverItself", WRITES_TO_ROLES.to_vec(), [own, linked].concat(), words::NEVER_ITSELF));
    let boundaries = bounds.boundary.iter().cloned().collect();
    statements.push(deny("NeverTheBoundary", WRITES_TO_POLICIES.to_vec(), boundaries, words::NEVER_THE_BOUNDARY));
    statements
}

fn roles(grantee: &Grantee<'_>, patterns: &[String]) -> Vec<String> {
    let arn = |pattern: &String| {
        // A pattern that is an ARN already names another account, or is exact.
        if pattern.starts_with("arn:") {
            return pattern.clone();
        }
        format!("arn:{}:iam::{}:role/{}", grantee.account.partition, grantee.account.number, pattern)
    };
    glob::least(patterns.iter().map(arn).collect())
}

fn boundary(bounds: &Bounds) -> Vec<Condition> {
    let condition = |arn: &String| Condition {
        operator: "StringEquals",
        key: "iam:PermissionsBoundary".to_string(),
        values: vec![arn.clone()],
    };
    bounds.boundary.iter().map(condition).collect()
}

fn allow(on: On, needed: &[Needed], resources: Vec<String>, conditions: Vec<Condition>, sentence: String) -> Statement {
    Statement {
        sid: words::sid(on).to_string(),
        effect: Effect::Allow,
        actions: needed.iter().map(|one| one.action).collect(),
        resources,
        conditions,
        sentence,
    }
}

fn deny(sid: &str, actions: Vec<&'static str>, resources: Vec<String>, sentence: &str) -> Statement {
    Statement {
        sid: sid.to_string(),
        effect: Effect::Deny,
        actions,
        resources,
        conditions: Vec::new(),
        sentence: sentence.to_string(),
    }
}
