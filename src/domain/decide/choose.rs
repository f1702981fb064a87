//! Which of the policy's remedies is taken, and the plan that it makes.

use super::{Case, Judgement, LeaveReason, Means, left, unusable};
use crate::domain::classify::Site;
use crate::domain::plan::{Approval, Plan, RemediationId};
use crate::domain::policy::{Policy, Remedy};
use crate::domain::remedy::{self, Inapplicable, Material};
use crate::domain::retry;
use jiff::Timestamp;

/// The plan of the first remedy that applies, mode and limits aside; or why none does.
pub fn first_plan(
    case: Case<'_>,
    policy: &Policy,
    site: Site,
    means: Means<'_>,
    now: Timestamp,
) -> Result<Plan, Judgement> {
    let Case { detected, build, project, history, .. } = case;
    let mut refusals: Vec<(Remedy, Inapplicable)> = Vec::new();
    for remedy in policy.remedies(site).iter().copied() {
        if history.is_disproved(&project.name, remedy) {
            refusals.push((remedy, Inapplicable::Disproved));
            continue;
        }
        if history.is_taken_out(&project.name, remedy) {
            refusals.push((remedy, Inapplicable::TakenOut));
            continue;
        }
        if history.attempts(&project.name, remedy) >= policy.limits.attempts_per_project {
            let attempts = policy.limits.attempts_per_project;
            let detail = format!("{attempts} remediations of the project were tried; `unthrottled clear` allows more");
            return Err(left(LeaveReason::AttemptsExhausted, &detail));
        }
        let secret = match means.secret {
            Ok(secret) => Some(secret).filter(|_| remedy.needs_secret()),
            Err(why) if remedy.needs_secret() => return Err(unusable(why, now)),
            Err(_) => None,
        };
        let made_by_us = history.made_grant(&means.role.name, &policy.credential.policy_name);
        let material = Material {
            build,
            diagnosis: &detected.diagnosis,
            project,
            role: means.role,
            secret,
            credential: &policy.credential,
            made_by_us,
            images: means.images,
        };
        match remedy::changes(remedy, material) {
            Ok(changes) => {
                return Ok(Plan {
                    id: RemediationId::of(&build.id),
                    project: project.name.clone(),
                    image: project.environment.image.clone(),
                    because: build.id.clone(),
                    site,
                    phase: detected.diagnosis.phase.clone().unwrap_or_else(|| remedy.usual_phase()),
                    remedy,
                    policy: policy.name.clone(),
                    credential: policy.credential.name.clone(),
                    role: means.role.name.clone(),
                    secret: secret.map(|secret| secret.arn.clone()),
                    changes,
                    settle: policy.settle,
                    verify_within: policy.verify_within,
                    retry: retry::plan(build, project, policy.retry, site),
                    on_ineffective: policy.on_ineffective,
                    by: Approval::Policy,
                });
            }
            Err(why) => refusals.push((remedy, why)),
        }
    }
    Err(left(LeaveReason::NoRemedy, &refused(&refusals)))
}

fn refused(refusals: &[(Remedy, Inapplicable)]) -> String {
    match refusals {
        [] => "the policy lists no remedy for this phase".to_string(),
        refusals => {
            let each: Vec<String> =
                refusals.iter().map(|(remedy, why)| format!("{remedy}: {why} ({})", why.word())).collect();
            each.join("; ")
        }
    }
}
