//! What would be done if a pull of this project were refused now? The decision is the one about a real build, as far as
//! it can be made without reading the role and the secret, and with no limit in the way.

use super::{Standing, Way};
use crate::domain::build::{
    AuthConfig, Build, BuildId, LogPlace, PhaseName, Project, Role, RoleName, Secret, SecretArn, Status,
};
use crate::domain::classify::{Cause, Diagnosis, Login, Registry, Site};
use crate::domain::decide::{self, Case, Decision, Judgement, Means, Screened};
use crate::domain::history::{Detected, History};
use crate::domain::images::KnownImages;
use crate::domain::policy::{Mode, Policy};
use crate::domain::trust::Weight;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What the decision rests on beside the project.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The scope's name.
    pub scope: &'a str,
    /// The policies, in order.
    pub policies: &'a [Policy],
    /// The most that any of them may do.
    pub mode: Mode,
    /// What happened so far.
    pub history: &'a History,
    /// What is known of images beforehand.
    pub images: &'a KnownImages,
    /// Whether the secrets hold a text for `DOCKER_AUTH_CONFIG`, by the names of the credentials that were asked about.
    pub auth_configs: &'a BTreeMap<String, AuthConfig>,
}

/// What would be done about a refused pull; none where a login is used already.
pub fn decision(ground: Ground<'_>, project: &Project, way: &Way, now: Timestamp) -> Option<Decision> {
    if way.standing == Standing::LoggedIn {
        return None;
    }
    let build = next_build(project, now);
    let detected = refused(&build, way.site);
    let case = Case { scope: ground.scope, detected: &detected, build: &build, project, history: ground.history };
    let (policy, mode, site) = match decide::screen(case, ground.policies, ground.mode, now) {
        Screened::Judge(judgement) => return Some(Decision::Judge(judgement)),
        Screened::Proceed { policy, mode, site } => (policy, mode, site),
    };
    let Some(name) = project.role() else {
        return Some(Decision::Judge(decide::without_role("the project has no service role")));
    };
    let (role, secret) = (unread_role(name), unread_secret(policy, ground.auth_configs));
    let means = Means { role: &role, secret: Ok(&secret), matched: usize::MAX, images: ground.images, reach: None };
    Some(match decide::first_plan(case, policy, site, means, now) {
        Err(judgement) => Decision::Judge(judgement),
        Ok(plan) if mode < Mode::Apply => {
            let owner = crate::domain::patch::owner(project);
            Decision::Judge(Judgement::Proposed { plan: Box::new(plan), mode, owner })
        }
        Ok(plan) => Decision::Remediate(Box::new(plan)),
    })
}

/// A role that takes a grant.
fn unread_role(name: RoleName) -> Role {
    Role { name, path: "/".to_string(), inline: Vec::new() }
}

/// The secret as the settings name it. What nobody asked about is not assumed.
fn unread_secret(policy: &Policy, auth_configs: &BTreeMap<String, AuthConfig>) -> Secret {
    let known = auth_configs.get(&policy.credential.name).cloned();
    let auth_config = known.unwrap_or_else(|| AuthConfig::Unknown("it was not looked at".to_string()));
    Secret { arn: SecretArn::new(policy.credential.secret.clone()), key: None, auth_config }
}

/// A build of the project as it is now.
fn next_build(project: &Project, now: Timestamp) -> Build {
    Build {
        id: BuildId::new(format!("{}:next", project.name)),
        number: None,
        project: project.name.clone(),
        status: Status::of("FAILED"),
        complete: true,
        started: Some(now),
        ended: None,
        phases: Vec::new(),
        environment: project.environment.clone(),
        buildspec: project.buildspec.clone(),
        source_kind: project.source_kind.clone(),
        role: project.role(),
        log: LogPlace::None,
        // As its own people would start it.
        initiator: Some("survey".to_string()),
        source_version: None,
        resolved_source_version: None,
        batch: None,
        next_auto_retry: None,
    }
}

fn refused(build: &Build, site: Site) -> Detected {
    let phase = match site {
        Site::BuildImage => PhaseName::PROVISIONING,
        Site::DockerClient => "BUILD",
    };
    let diagnosis = Diagnosis {
        cause: Cause::HubPullLimit,
        registry: Registry::DockerHub,
        login: Login::Anonymous,
        site: Some(site),
        phase: Some(PhaseName::new(phase)),
        recovered: false,
        reason: None,
        evidence: Vec::new(),
        weight: match site {
            Site::BuildImage => Weight::CodeBuild,
            Site::DockerClient => Weight::Command,
        },
    };
    Detected { build: build.id.clone(), number: None, ended: None, diagnosis }
}
