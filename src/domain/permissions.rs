//! Which permissions the settings in force need, and on what: one list, for those who check them and those who write them.

use crate::domain::build::{ProjectName, SecretArn};
use crate::domain::classify::Site;
use crate::domain::policy::{Mode, Policy, Remedy};
use std::collections::BTreeSet;

/// One action of AWS, and what it is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// `codebuild:ListBuilds`
    pub action: &'static str,
    /// On which kind of resource.
    pub on: On,
    /// What can't be done without it, as the end of a sentence that begins with "to".
    pub purpose: &'static str,
}

/// A kind of resource. Reads and writes of the same resources are two kinds, as they differ in which of them are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// The action knows no resources.
    Everything,
    /// Every project there is.
    AnyProject,
    /// Projects that a policy matches.
    Projects,
    /// Those that a policy lets remedies change.
    Changed,
    /// Those whose throttled builds a policy lets start again.
    Restarted,
    /// The log groups of the projects that a policy matches.
    Logs,
    /// Their service roles.
    Roles,
    /// The service roles that a policy lets remedies grant the secret to.
    Granted,
    /// The secrets of the credentials.
    Secrets,
    /// The customer's keys that those are encrypted with.
    Keys,
    /// The table that the ledger is kept in.
    Table,
    /// The roles of other accounts and regions that the daemon takes on.
    Members,
    /// The daemon's own role.
    Itself,
}

/// Resources of one account and region to hold the permissions against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// The account's number.
    pub account: String,
    /// The region.
    pub region: String,
    /// Projects that a policy matches.
    pub projects: Vec<ProjectName>,
    /// Those of them that remedies may change.
    pub changed: Vec<ProjectName>,
    /// Those of them whose builds may be started again.
    pub restarted: Vec<ProjectName>,
    /// Projects that no policy matches.
    pub others: Vec<ProjectName>,
    /// Roles, by ARN.
    pub roles: Vec<String>,
    /// Secrets.
    pub secrets: Vec<SecretArn>,
    /// Keys, by ARN.
    pub keys: Vec<String>,
}

impl Resources {
    /// The ARNs that an action on this kind of resource is asked for.
    pub fn of(&self, on: On) -> Vec<String> {
        let Resources { partition, account, region, .. } = self;
        let named = |service: &str, rest: &str, names: &[ProjectName]| {
            let arn = |name: &ProjectName| format!("arn:{partition}:{service}:{region}:{account}:{rest}{name}");
            names.iter().map(arn).collect::<Vec<String>>()
        };
        let project = |names: &[ProjectName]| named("codebuild", "project/", names);
        match on {
            On::Everything => vec!["*".to_string()],
            On::AnyProject => [project(&self.projects), project(&self.others)].concat(),
            On::Projects => project(&self.projects),
            On::Changed => project(&self.changed),
            On::Restarted => project(&self.restarted),
            // CodeBuild's default group, with a stream, as reads of a log name one.
            On::Logs => {
                let groups = named("logs", "log-group:/aws/codebuild/", &self.projects);
                groups.into_iter().map(|group| format!("{group}:log-stream:any")).collect()
            }
            On::Roles | On::Granted => self.roles.clone(),
            On::Secrets => self.secrets.iter().map(ToString::to_string).collect(),
            On::Keys => self.keys.clone(),
            // Not of a scope.
            On::Table | On::Members | On::Itself => Vec::new(),
        }
    }
}

const fn on(on: On, action: &'static str, purpose: &'static str) -> Needed {
    Needed { action, on, purpose }
}

/// Without these nothing is seen.
const OBSERVE: [Needed; 6] = [
    on(On::Everything, "codebuild:ListBuilds", "find new builds"),
    on(On::Everything, "codebuild:ListProjects", "count the projects that a policy matches"),
    // The first and the last build of a page tell its order, whatever project they are of.
    on(On::AnyProject, "codebuild:BatchGetBuilds", "read builds"),
    on(On::Projects, "codebuild:ListBuildsForProject", "find the builds of a project"),
    on(On::Logs, "logs:GetLogEvents", "read what a failed build wrote"),
    on(On::Logs, "logs:FilterLogEvents", "search a long log"),
];

const READ_PROJECTS: Needed = on(On::Projects, "codebuild:BatchGetProjects", "read projects");

/// A plan says who shares the role that it grants something, and a grant is only taken back once no project needs it.
const READ_ALL_PROJECTS: Needed = on(On::AnyProject, "codebuild:BatchGetProjects", "read projects");

/// A plan is made of what these read.
const PROPOSE: [Needed; 3] = [
    on(On::Roles, "iam:GetRole", "read a project's service role"),
    on(On::Roles, "iam:ListRolePolicies", "see which inline policies a role has"),
    on(On::Roles, "iam:GetRolePolicy", "read the inline policies of a role"),
];

const LOGIN: [Needed; 3] = [
    on(On::Secrets, "secretsmanager:DescribeSecret", "find the secret"),
    on(
        On::Secrets,
        "secretsmanager:GetSecretValue",
        "see whether the secret has its keys, and what its account has left",
    ),
    on(On::Keys, "kms:Decrypt", "see whether the secret has its keys"),
];

const CHANGE: Needed = on(On::Changed, "codebuild:UpdateProject", "give a project the login");

const GRANT: [Needed; 2] = [
    on(On::Granted, "iam:PutRolePolicy", "let a service role read the secret"),
    on(On::Granted, "iam:DeleteRolePolicy", "take a grant back from a role"),
];

/// These start the throttled build again.
const RESTART: [Needed; 3] = [
    on(On::Restarted, "codebuild:RetryBuild", "start a throttled build again"),
    on(On::Restarted, "codebuild:StartBuild", "start it with the project as it is now"),
    on(On::Restarted, "codebuild:StopBuild", "stop a retry that runs without the remedy"),
];

/// What the daemon needs of a table that the ledger is kept in. A transaction needs what its parts need.
pub const LEDGER: [Needed; 5] = [
    on(On::Table, "dynamodb:GetItem", "read the ledger's head, and the lease"),
    on(On::Table, "dynamodb:Query", "read the ledger's entries"),
    on(On::Table, "dynamodb:PutItem", "write an entry"),
    on(On::Table, "dynamodb:UpdateItem", "move the ledger's head, and renew the lease"),
    on(On::Table, "dynamodb:ConditionCheckItem", "write only under the lease"),
];

/// What the daemon needs for a scope with a role of its own.
pub const MEMBER: Needed = on(On::Members, "sts:AssumeRole", "look after a scope with a role of its own");

/// What `doctor` needs to compare what is held with what is needed. The daemon itself does without.
pub const DOCTOR: [Needed; 2] = [
    on(On::Itself, "iam:GetRole", "know its own role by its whole ARN"),
    on(On::Itself, "iam:SimulatePrincipalPolicy", "ask IAM which permissions it holds"),
];

/// What only commands call that people run with credentials of their own: `secret create`, `secret rotate` and
/// `ledger create`. The description of a table is also read to explain a failure, and done without where it is denied.
pub const BY_PEOPLE: [&str; 5] = [
    "secretsmanager:CreateSecret",
    "secretsmanager:PutSecretValue",
    "dynamodb:CreateTable",
    "dynamodb:DescribeTable",
    "dynamodb:UpdateContinuousBackups",
];

/// Whether a policy lets remedies change projects.
pub fn may_change(policy: &Policy, most: Mode) -> bool {
    policy.mode.min(most) == Mode::Apply && remedies(policy).any(Remedy::changes_project)
}

/// Whether a policy lets remedies grant the secret to service roles.
pub fn may_grant(policy: &Policy, most: Mode) -> bool {
    policy.mode.min(most) == Mode::Apply && remedies(policy).any(|one| one.changes_project() && one.needs_secret())
}

/// Whether a policy lets throttled builds be started again.
pub fn may_restart(policy: &Policy, most: Mode) -> bool {
    let covers = |site| policy.retry.covers(site) && policy.remedies(site).iter().any(|one| one.changes_project());
    policy.mode.min(most) == Mode::Apply && [Site::BuildImage, Site::DockerClient].into_iter().any(covers)
}

/// Whether the secret of a policy's credential is read.
pub fn may_read_secret(policy: &Policy, most: Mode) -> bool {
    policy.mode.min(most) >= Mode::Propose && remedies(policy).any(Remedy::needs_secret)
}

fn remedies(policy: &Policy) -> impl Iterator<Item = Remedy> {
    policy.provisioning.iter().chain(&policy.later_phase).copied()
}

/// Whether a plan may come to grant a role the secret, be it carried out or proposed.
fn may_plan_grant(policy: &Policy, most: Mode) -> bool {
    policy.mode.min(most) >= Mode::Propose
        && remedies(policy).any(|remedy| remedy.changes_project() && remedy.needs_secret())
}

/// What the policies of a scope need, as far as `most` lets them go.
pub fn needed(policies: &[Policy], scope: &str, most: Mode) -> Vec<Needed> {
    let mut needed = BTreeSet::new();
    for policy in policies.iter().filter(|policy| policy.is_for_scope(scope)) {
        needed.extend(OBSERVE);
        needed.insert(READ_PROJECTS);
        if policy.mode.min(most) >= Mode::Propose {
            needed.extend(PROPOSE);
        }
        if may_read_secret(policy, most) {
            needed.extend(LOGIN);
        }
        if may_change(policy, most) {
            needed.insert(CHANGE);
        }
        if may_grant(policy, most) {
            needed.extend(GRANT);
        }
        if may_plan_grant(policy, most) {
            needed.insert(READ_ALL_PROJECTS);
        }
        if may_restart(policy, most) {
            needed.extend(RESTART);
        }
    }
    if needed.contains(&READ_ALL_PROJECTS) {
        needed.remove(&READ_PROJECTS);
    }
    let order = |one: &Needed| (one.on, one.action);
    let mut needed: Vec<Needed> = needed.into_iter().collect();
    needed.sort_by_key(order);
    needed
}

/// Every action that the daemon may ever call, and on what.
pub fn all() -> impl Iterator<Item = Needed> {
    let of_scopes = OBSERVE.into_iter().chain([READ_PROJECTS, READ_ALL_PROJECTS]).chain(PROPOSE).chain(LOGIN);
    of_scopes.chain([CHANGE]).chain(GRANT).chain(RESTART).chain(LEDGER).chain([MEMBER]).chain(DOCTOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Retry;
    use crate::domain::testing::policy;

    fn actions(policies: &[Policy], most: Mode) -> Vec<&'static str> {
        needed(policies, "here", most).into_iter().map(|one| one.action).collect()
    }

    #[test]
    fn the_more_is_allowed_the_more_is_needed() {
        let apply = || Policy { mode: Mode::Apply, retry: Retry::Provisioning, ..policy("all") };
        let all = actions(&[apply()], Mode::Apply);
        assert_eq!(all.len(), 19, "{all:?}");
        let writes = |actions: &[&str]| actions.iter().filter(|a| a.contains("Update") || a.contains("Put")).count();
        assert_eq!(writes(&all), 2);
        let proposed = actions(&[apply()], Mode::Propose);
        assert!(writes(&proposed) == 0 && proposed.contains(&"iam:GetRole"), "{proposed:?}");
        let observed = actions(&[apply()], Mode::Observe);
        assert!(!observed.iter().any(|a| a.starts_with("iam:") || a.starts_with("secrets")), "{observed:?}");
        let never = actions(&[Policy { retry: Retry::Never, ..apply() }], Mode::Apply);
        assert!(!never.contains(&"codebuild:RetryBuild") && never.contains(&"codebuild:UpdateProject"), "{never:?}");
    }

    #[test]
    fn a_remedy_that_is_not_allowed_needs_nothing() {
        let apply = |provisioning: &[Remedy], retry| Policy {
            mode: Mode::Apply,
            provisioning: provisioning.to_vec(),
            later_phase: Vec::new(),
            retry,
            ..policy("all")
        };
        let mirror = actions(&[apply(&[Remedy::MirrorImage], Retry::Never)], Mode::Apply);
        assert!(mirror.contains(&"codebuild:UpdateProject"), "{mirror:?}");
        let denied = ["iam:PutRolePolicy", "secretsmanager:GetSecretValue", "codebuild:RetryBuild"];
        assert!(!mirror.iter().any(|action| denied.contains(action)), "{mirror:?}");
        let patch = actions(&[apply(&[Remedy::ProposePatch], Retry::Always)], Mode::Apply);
        assert!(patch.contains(&"secretsmanager:GetSecretValue"), "{patch:?}");
        let writes = ["codebuild:UpdateProject", "iam:PutRolePolicy", "codebuild:RetryBuild"];
        assert!(!patch.iter().any(|action| writes.contains(action)), "{patch:?}");
    }

    #[test]
    fn projects_are_read_whole_only_where_a_grant_may_be_made() {
        let read = |mode, most| {
            let needed = needed(&[Policy { mode, ..policy("all") }], "here", most);
            let all = needed.into_iter().filter(|one| one.action == "codebuild:BatchGetProjects");
            all.map(|one| one.on).collect::<Vec<On>>()
        };
        assert_eq!(read(Mode::Apply, Mode::Apply), [On::AnyProject]);
        assert_eq!(read(Mode::Apply, Mode::Propose), [On::AnyProject]);
        assert_eq!(read(Mode::Apply, Mode::Observe), [On::Projects]);
    }

    #[test]
    fn only_policies_of_the_scope_count() {
        let elsewhere = Policy { scopes: vec!["there".to_string()], ..policy("all") };
        assert_eq!(actions(&[elsewhere], Mode::Apply), [] as [&str; 0]);
    }

    #[test]
    fn resources_are_arns() {
        let resources = Resources {
            partition: "aws-cn".to_string(),
            account: "111122223333".to_string(),
            region: "cn-north-1".to_string(),
            projects: vec![ProjectName::new("web")],
            ..Resources::default()
        };
        assert_eq!(resources.of(On::Everything), ["*"]);
        assert_eq!(resources.of(On::Projects), ["arn:aws-cn:codebuild:cn-north-1:111122223333:project/web"]);
        let stream = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/aws/codebuild/web:log-stream:any";
        assert_eq!(resources.of(On::Logs), [stream]);
        assert_eq!(resources.of(On::Roles), [] as [&str; 0]);
    }
}
