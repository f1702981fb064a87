//! Which permissions the settings in force need, and on what: one list, for those who check them and those who write them.

use crate::domain::build::{ProjectName, SecretArn};
use crate::domain::policy::{Mode, Policy, Retry};
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

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// The action knows no resources.
    Everything,
    /// Projects that a policy matches.
    Projects,
    /// The log groups of their builds.
    Logs,
    /// Their service roles.
    Roles,
    /// The secrets of the credentials.
    Secrets,
    /// The customer's keys that those are encrypted with.
    Keys,
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
    /// Projects.
    pub projects: Vec<ProjectName>,
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
        let of_project = |service: &str, rest: &str| {
            let arn = |name: &ProjectName| format!("arn:{partition}:{service}:{region}:{account}:{rest}{name}");
            self.projects.iter().map(arn).collect::<Vec<String>>()
        };
        match on {
            On::Everything => vec!["*".to_string()],
            On::Projects => of_project("codebuild", "project/"),
            // CodeBuild's default group, with a stream, as reads of a log name one.
            On::Logs => {
                let groups = of_project("logs", "log-group:/aws/codebuild/");
                groups.into_iter().map(|group| format!("{group}:log-stream:any")).collect()
            }
            On::Roles => self.roles.clone(),
            On::Secrets => self.secrets.iter().map(ToString::to_string).collect(),
            On::Keys => self.keys.clone(),
        }
    }
}

const fn on(on: On, action: &'static str, purpose: &'static str) -> Needed {
    Needed { action, on, purpose }
}

/// Without these nothing is seen.
const OBSERVE: [Needed; 7] = [
    on(On::Everything, "codebuild:ListBuilds", "find new builds"),
    on(On::Everything, "codebuild:ListProjects", "count the projects that a policy matches"),
    on(On::Projects, "codebuild:BatchGetBuilds", "read builds"),
    on(On::Projects, "codebuild:BatchGetProjects", "read projects"),
    on(On::Projects, "codebuild:ListBuildsForProject", "find the builds that prove a remedy"),
    on(On::Logs, "logs:GetLogEvents", "read what a failed build wrote"),
    on(On::Logs, "logs:FilterLogEvents", "search a long log"),
];

/// A plan is made of what these read.
const PROPOSE: [Needed; 5] = [
    on(On::Roles, "iam:GetRole", "read a project's service role"),
    on(On::Roles, "iam:ListRolePolicies", "see which inline policies a role has"),
    on(On::Roles, "iam:GetRolePolicy", "read the inline policies of a role"),
    on(On::Secrets, "secretsmanager:DescribeSecret", "find the secret"),
    on(On::Secrets, "secretsmanager:GetSecretValue", "see whether the secret has its keys"),
];

const DECRYPT: Needed = on(On::Keys, "kms:Decrypt", "see whether the secret has its keys");

/// These change something.
const APPLY: [Needed; 3] = [
    on(On::Projects, "codebuild:UpdateProject", "give a project the login"),
    on(On::Roles, "iam:PutRolePolicy", "let a service role read the secret"),
    on(On::Roles, "iam:DeleteRolePolicy", "take a grant back from a role"),
];

/// These start the throttled build again.
const RETRY: [Needed; 3] = [
    on(On::Projects, "codebuild:RetryBuild", "start a throttled build again"),
    on(On::Projects, "codebuild:StartBuild", "start it with the project as it is now"),
    on(On::Projects, "codebuild:StopBuild", "stop a retry that runs without the remedy"),
];

/// What the policies of a scope need, as far as `most` lets them go.
pub fn needed(policies: &[Policy], scope: &str, most: Mode) -> Vec<Needed> {
    let mut needed = BTreeSet::new();
    for policy in policies.iter().filter(|policy| policy.is_for_scope(scope)) {
        let mode = policy.mode.min(most);
        needed.extend(OBSERVE);
        if mode >= Mode::Propose {
            needed.extend(PROPOSE);
            needed.insert(DECRYPT);
        }
        if mode == Mode::Apply {
            needed.extend(APPLY);
            if policy.retry != Retry::Never {
                needed.extend(RETRY);
            }
        }
    }
    let order = |one: &Needed| (one.on, one.action);
    let mut needed: Vec<Needed> = needed.into_iter().collect();
    needed.sort_by_key(order);
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
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
