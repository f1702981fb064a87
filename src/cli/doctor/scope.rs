//! One scope: whether its credentials work, and whether a page of everything that the daemon reads can be read.

use super::tree::Check;
use super::{count, permissions, secret};
use crate::cli::frame::Frame;
use crate::cli::shared;
use crate::domain::build::{Build, LogPlace, Project, ProjectName};
use crate::domain::permissions::{On, Resources, may_change, may_restart};
use crate::domain::policy::{Mode, Policy, policy_for};
use crate::edge::aws::{Aws, ConnectError};
use crate::edge::build_log::Reach;
use crate::edge::identity::Caller;
use crate::edge::settings::{ScopeSettings, Settings};
use crate::reconcile::{self, Kind, as_configured};

/// So many projects stand for all in what is asked for each.
const SAMPLE: usize = 3;

/// A page of `BatchGetProjects`.
const PAGE: usize = 100;

/// A scope that is reached, and what was learned of it.
pub struct Patient<'a> {
    /// Its settings.
    pub scope: &'a ScopeSettings,
    /// All settings.
    pub settings: &'a Settings,
    /// Its services.
    pub aws: Aws,
    /// Who asks.
    pub caller: Caller,
    /// What permissions are held against.
    pub resources: Resources,
}

impl Patient<'_> {
    /// How far any policy of the scope goes.
    pub fn mode(&self) -> Mode {
        let of_scope = self.settings.policies.iter().filter(|policy| policy.is_for_scope(&self.scope.name));
        let most = of_scope.map(|policy| policy.mode).max().unwrap_or(Mode::Observe);
        most.min(self.settings.daemon.mode)
    }

    /// A read that failed, with what to do about it.
    pub fn unread(&self, name: &str, failure: &reconcile::Failure, action: &'static str, on: On) -> Check {
        let check = Check::failed(name, failure.detail.as_str());
        match failure.kind {
            Kind::Denied if !failure.is_beyond_grants() => {
                check.maybe(permissions::grant_command(self, &[(action, on)]))
            }
            _ => check.maybe(shared::what_next(failure)),
        }
    }
}

/// Checks a scope.
pub async fn check(scope: &ScopeSettings, settings: &Settings, frame: &Frame) -> Check {
    let progress = frame.progress(format!("scope {}", scope.name));
    let name = format!("scope {}", scope.name);
    let aws = match Aws::connect(&as_configured(scope)).await {
        Ok(aws) => aws,
        Err(error) => {
            let repair = match error {
                ConnectError::NoRegion | ConnectError::BadRegion(_) => "export AWS_REGION=eu-central-1",
                ConnectError::NoRoots(_) => "apt-get install ca-certificates   # or as this system installs them",
                ConnectError::ExternalIdWithoutRole => "set `role_arn` beside `external_id` in the settings",
            };
            return Check::group(name, "", vec![Check::failed("credentials", error.to_string()).repair(repair)]);
        }
    };
    let region = aws.region.clone();
    let caller = match aws.identity.caller().await {
        Ok(caller) => caller,
        Err(error) => {
            let failure = reconcile::Failure::from(error);
            let credentials = Check::failed("credentials", failure.detail.as_str()).maybe(way_in(scope, &failure));
            let rest = Check::skipped("everything else", "it needs credentials that work");
            return Check::group(name, format!("region {region}"), vec![credentials, rest]);
        }
    };
    let detail = format!("account {}, region {region}", caller.account);
    let mut checks = vec![Check::ok("credentials", caller.arn.as_str())];
    let resources = Resources {
        partition: caller.partition().to_string(),
        account: caller.account.clone(),
        region,
        ..Resources::default()
    };
    let mut patient = Patient { scope, settings, aws, caller, resources };
    progress.say(format!("scope {}: reading builds and projects", scope.name));
    let builds = builds(&patient, &mut checks).await;
    let projects = projects(&mut patient, &mut checks).await;
    checks.push(logs(&patient, &builds).await);
    checks.push(roles(&mut patient, &projects).await);
    progress.say(format!("scope {}: looking at the secrets", scope.name));
    checks.extend(secret::check(&mut patient).await);
    progress.say(format!("scope {}: asking IAM for permissions", scope.name));
    checks.push(permissions::check(&patient).await);
    Check::group(name, detail, checks)
}

/// What lets the credentials in.
fn way_in(scope: &ScopeSettings, failure: &reconcile::Failure) -> Option<String> {
    match &scope.role_arn {
        Some(role) if failure.kind == Kind::Denied => {
            let id = scope.external_id.as_ref().map(|id| format!(" --external-id {id}")).unwrap_or_default();
            Some(format!(
                "aws sts assume-role --role-arn {role} --role-session-name doctor{id}   # until the role's trust policy, \
                 and a policy of the one who asks, allow sts:AssumeRole"
            ))
        }
        _ => shared::what_next(failure).map(str::to_string),
    }
}

async fn builds(patient: &Patient<'_>, checks: &mut Vec<Check>) -> Vec<Build> {
    let ids = match patient.aws.codebuild.list_builds(None).await {
        Ok((ids, _)) => ids,
        Err(error) => {
            checks.push(patient.unread("builds", &error.into(), "codebuild:ListBuilds", On::Everything));
            return Vec::new();
        }
    };
    if ids.is_empty() {
        checks.push(Check::ok("builds", "there is none yet"));
        return Vec::new();
    }
    match patient.aws.codebuild.builds(&ids).await {
        Ok(looked) => {
            let read = count(looked.builds.len(), "build", "builds");
            checks.push(Check::ok("builds", format!("{read} on the newest page, and they can be read")));
            looked.builds
        }
        Err(error) => {
            checks.push(patient.unread("builds", &error.into(), "codebuild:BatchGetBuilds", On::AnyProject));
            Vec::new()
        }
    }
}

/// The projects that a policy matches, a page of them.
async fn projects(patient: &mut Patient<'_>, checks: &mut Vec<Check>) -> Vec<Project> {
    const NAME: &str = "projects";
    let names = match patient.aws.codebuild.list_projects().await {
        Ok(names) => names,
        Err(error) => {
            checks.push(patient.unread(NAME, &error.into(), "codebuild:ListProjects", On::Everything));
            return Vec::new();
        }
    };
    let scope = &patient.scope.name;
    let policies = &patient.settings.policies;
    let matches = |name: &&ProjectName| policies.iter().any(|policy| policy.matches_name(scope, name));
    let matched: Vec<ProjectName> = names.iter().filter(matches).cloned().collect();
    sample(patient, &names, &matched);
    let page: Vec<ProjectName> = matched.iter().take(PAGE).cloned().collect();
    let read = match patient.aws.codebuild.projects(&page).await {
        Ok(read) => read,
        Err(error) => {
            checks.push(patient.unread(NAME, &error.into(), "codebuild:BatchGetProjects", On::Projects));
            return Vec::new();
        }
    };
    let all = count(names.len(), "project", "projects");
    let by_policy = read.into_iter().filter(|project| policy_for(policies, scope, project).is_some());
    let by_policy: Vec<Project> = by_policy.collect();
    checks.push(if matched.is_empty() {
        Check::skipped(NAME, format!("{all}, and no policy matches the name of any"))
    } else {
        Check::ok(NAME, format!("{all}, {} named by a policy, and they can be read", matched.len()))
    });
    by_policy
}

/// The projects that permissions are held against.
fn sample(patient: &mut Patient<'_>, names: &[ProjectName], matched: &[ProjectName]) {
    let (scope, most) = (&patient.scope.name, patient.settings.daemon.mode);
    let by = |may: fn(&Policy, Mode) -> bool| {
        let policies = patient.settings.policies.iter().filter(|policy| may(policy, most));
        let policies: Vec<&Policy> = policies.collect();
        let named = |name: &&ProjectName| policies.iter().any(|policy| policy.matches_name(scope, name));
        matched.iter().filter(named).take(SAMPLE).cloned().collect::<Vec<ProjectName>>()
    };
    let (changed, restarted) = (by(may_change), by(may_restart));
    let others = names.iter().find(|name| !matched.contains(name));
    patient.resources.projects = matched.iter().take(SAMPLE).cloned().collect();
    patient.resources.changed = changed;
    patient.resources.restarted = restarted;
    patient.resources.others = others.into_iter().cloned().collect();
}

async fn logs(patient: &Patient<'_>, builds: &[Build]) -> Check {
    const NAME: &str = "logs";
    let matches = |build: &&Build| {
        let policies = &patient.settings.policies;
        build.complete && policies.iter().any(|policy| policy.matches_name(&patient.scope.name, &build.project))
    };
    let place = builds.iter().filter(matches).find_map(|build| match &build.log {
        LogPlace::CloudWatch { group, stream } => Some((group, stream)),
        LogPlace::None => None,
    });
    let Some((group, stream)) = place else {
        return Check::skipped(NAME, "no build that ended, on the newest page and of a policy's project, has a log");
    };
    match patient.aws.build_log.tail(group, stream).await {
        Ok(log) if log.reach == Reach::Missing => Check::skipped(NAME, format!("{group} has no log {stream} any more")),
        Ok(_) => Check::ok(NAME, format!("{group} can be read")),
        Err(error) => patient.unread(NAME, &error.into(), "logs:GetLogEvents", On::Logs),
    }
}

async fn roles(patient: &mut Patient<'_>, projects: &[Project]) -> Check {
    const NAME: &str = "service roles";
    let mut arns: Vec<String> = projects.iter().filter_map(|project| project.role_arn.clone()).collect();
    arns.sort();
    arns.dedup();
    arns.truncate(SAMPLE);
    patient.resources.roles.clone_from(&arns);
    if patient.mode() < Mode::Propose {
        return Check::skipped(NAME, "not read in mode `observe`");
    }
    if arns.is_empty() {
        return Check::skipped(NAME, "no project of a policy was read");
    }
    for arn in &arns {
        let name = crate::domain::build::RoleName::of(arn);
        match patient.aws.iam.role(&name).await {
            Ok(Some(_)) => (),
            Ok(None) => {
                let detail = format!("role {name} is gone, and builds of its projects fail");
                return Check::failed(NAME, detail).repair("give those projects a service role that is there");
            }
            Err(error) => return patient.unread(NAME, &error.into(), "iam:GetRole", On::Roles),
        }
    }
    Check::ok(NAME, format!("{} and inline policies can be read", count(arns.len(), "role", "roles")))
}
