//! Which of the policy's remedies is taken, and the plan that it makes.

use super::{Case, Judgement, LeaveReason, Means, left, unusable};
use crate::domain::change::Change;
use crate::domain::classify::Site;
use crate::domain::patch::{self, Patch};
use crate::domain::plan::{Approval, Plan, RemediationId};
use crate::domain::policy::{Policy, Remedy};
use crate::domain::remedy::propose_patch::{self, Ingredients};
use crate::domain::remedy::{self, Inapplicable, Material};
use crate::domain::retry;
use jiff::Timestamp;

/// The plan of the first remedy that applies, mode and limits aside; or the patch for the owner; or why there is none.
///
/// A patch is made in its place where the policy lists `propose_patch`, and as a last resort where a remedy is refused
/// only because it is not ours to make the change.
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
        if remedy == Remedy::ProposePatch {
            if let Err(why) = means.secret {
                return Err(unusable(why, now));
            }
            match patch(case, policy, site, means, &refusals) {
                Ok(patch) => return Err(Judgement::ForOwner { patch: Box::new(patch) }),
                Err(why) => refusals.push((remedy, why)),
            }
            continue;
        }
        if history.is_disproved(&project.name, remedy) {
            refusals.push((remedy, Inapplicable::Disproved));
            continue;
        }
        if history.is_taken_out(&project.name, remedy) {
            refusals.push((remedy, Inapplicable::TakenOut));
            continue;
        }
        // What deployments set back until no attempt is left is for the owner, with the plan.
        let set_back = history.set_back(&project.name, remedy).is_some();
        if !set_back && history.attempts(&project.name, remedy) >= policy.limits.attempts_per_project {
            let attempts = policy.limits.attempts_per_project;
            let detail = format!("{attempts} remediations of the project were tried; `unthrottled clear` allows more");
            return Err(left(LeaveReason::AttemptsExhausted, &detail));
        }
        let secret = match means.secret {
            Ok(secret) => Some(secret).filter(|_| remedy.needs_secret()),
            Err(why) if remedy.needs_secret() => return Err(unusable(why, now)),
            Err(_) => None,
        };
        match remedy::changes(remedy, Material { secret, ..material(case, policy, means) }) {
            Ok(changes) => {
                let grants = changes.iter().any(|change| matches!(change, Change::Grant { .. }));
                return Ok(Plan {
                    reach: means.reach.filter(|_| grants).cloned(),
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
    if refusals.iter().any(|(_, why)| why.is_for_owner()) {
        match patch(case, policy, site, means, &refusals) {
            Ok(patch) => return Err(Judgement::ForOwner { patch: Box::new(patch) }),
            Err(why) if refusals.iter().all(|(_, said)| *said != why) => refusals.push((Remedy::ProposePatch, why)),
            Err(_) => (),
        }
    }
    Err(left(LeaveReason::NoRemedy, &refused(&refusals)))
}

fn material<'a>(case: Case<'a>, policy: &'a Policy, means: Means<'a>) -> Material<'a> {
    Material {
        build: case.build,
        diagnosis: &case.detected.diagnosis,
        project: case.project,
        role: means.role,
        secret: means.secret.ok(),
        credential: &policy.credential,
        made_by_us: case.history.made_grant(&means.role.name, &policy.credential.policy_name),
        images: means.images,
    }
}

/// The patch for the owner. What a later build disproved or somebody took out is not proposed either.
fn patch(
    case: Case<'_>,
    policy: &Policy,
    site: Site,
    means: Means<'_>,
    refusals: &[(Remedy, Inapplicable)],
) -> Result<Patch, Inapplicable> {
    let Case { detected, build, project, history, .. } = case;
    let made_of = propose_patch::made_of(site);
    if history.is_disproved(&project.name, made_of) {
        return Err(Inapplicable::Disproved);
    }
    if history.is_taken_out(&project.name, made_of) {
        return Err(Inapplicable::TakenOut);
    }
    let Ok(secret) = means.secret else { return Err(Inapplicable::NoSecret) };
    let Ingredients { changes, login } = propose_patch::ingredients(material(case, policy, means), site)?;
    Ok(Patch {
        project: project.name.clone(),
        image: project.environment.image.clone(),
        because: build.id.clone(),
        site,
        phase: detected.diagnosis.phase.clone().unwrap_or_else(|| made_of.usual_phase()),
        policy: policy.name.clone(),
        credential: policy.credential.name.clone(),
        role: means.role.name.clone(),
        secret: secret.arn.clone(),
        owner: patch::owner(project),
        changes,
        login,
        unknown: project.unrepresentable.clone(),
        why: match refusals {
            [] => format!("policy `{}` proposes only", policy.name),
            refusals => refused(refusals),
        },
    })
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
