//! What a principal may do, as IAM's own simulation says it.

use super::{Iam, IamError, SERVICE, failed};
use crate::domain::build::RoleName;
use crate::edge::aws::failure::CallError;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType as Word};

/// What the simulation says of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// Which.
    pub action: String,
    /// May it?
    pub decision: Decision,
}

/// Whether something may be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Decision {
    /// Yes.
    #[error("allowed")]
    Allowed,
    /// Nothing allows it.
    #[error("no policy allows it")]
    NotAllowed,
    /// A statement denies it.
    #[error("a policy denies it explicitly")]
    Denied,
    /// The permissions boundary does not allow it.
    #[error("its permissions boundary does not allow it")]
    OutsideBoundary,
    /// The organization does not allow it.
    #[error("a service control policy of the organization denies it")]
    DeniedByOrganization,
    /// Nothing allows it as asked, and the policies look at keys of a request that a simulation does not have.
    #[error("it depends on {0}, which a simulation does not have")]
    Depends(String),
    /// A word never seen before.
    #[error("IAM's simulation answers {0:?}, which is not known here")]
    Unknown(String),
}

impl Iam {
    /// What the principal may do with one resource in a region. Policies on the resource itself are not simulated for
    /// roles.
    pub async fn simulate(
        &self,
        principal: &str,
        actions: &[&str],
        resource: &str,
        region: &str,
    ) -> Result<Vec<Simulated>, IamError> {
        const CALL: &str = "SimulatePrincipalPolicy";
        let mut simulated = Vec::new();
        let mut marker: Option<String> = None;
        // What a real request would carry, and policies often ask for.
        let context = ContextEntry::builder()
            .context_key_name("aws:RequestedRegion")
            .context_key_type(ContextKeyTypeEnum::String)
            .context_key_values(region)
            .build();
        loop {
            let names = actions.iter().map(ToString::to_string).collect();
            let request = self.client.simulate_principal_policy().policy_source_arn(principal);
            let request = request.set_action_names(Some(names)).resource_arns(resource).set_marker(marker.clone());
            let request = request.context_entries(context.clone());
            let answer = request.send().await.map_err(|error| failed(CALL, principal, &error))?;
            let results = answer.evaluation_results.unwrap_or_default();
            simulated.extend(
                results
                    .iter()
                    .map(|result| Simulated { action: result.eval_action_name.clone(), decision: decision(result) }),
            );
            if !answer.is_truncated {
                return Ok(simulated);
            }
            // A marker that is missing or leads to itself would be followed for ever.
            if answer.marker.is_none() || answer.marker == marker {
                return Err(CallError::incomplete(SERVICE, CALL, principal).into());
            }
            marker = answer.marker;
        }
    }

    /// A role's ARN with its path, which the ARN of a session lacks. None if there is no such role.
    pub async fn role_arn(&self, name: &RoleName) -> Result<Option<String>, IamError> {
        let answer = self.client.get_role().role_name(name.as_str()).send().await;
        match answer.map_err(|error| failed("GetRole", name.as_str(), &error)) {
            Ok(answer) => Ok(answer.role.map(|role| role.arn)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn decision(result: &EvaluationResult) -> Decision {
    let by_organization = result.organizations_decision_detail().map(|detail| detail.allowed_by_organizations);
    let by_boundary =
        result.permissions_boundary_decision_detail().map(|detail| detail.allowed_by_permissions_boundary);
    match result.eval_decision() {
        Word::Allowed => Decision::Allowed,
        Word::ExplicitDeny | Word::ImplicitDeny if by_organization == Some(false) => Decision::DeniedByOrganization,
        Word::ImplicitDeny if by_boundary == Some(false) => Decision::OutsideBoundary,
        Word::ExplicitDeny => Decision::Denied,
        Word::ImplicitDeny if !result.missing_context_values().is_empty() => {
            Decision::Depends(result.missing_context_values().join(", "))
        }
        Word::ImplicitDeny => Decision::NotAllowed,
        other => Decision::Unknown(other.as_str().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_iam::types::{OrganizationsDecisionDetail, PermissionsBoundaryDecisionDetail};
    use rstest::rstest;

    fn decided(word: &str, organization: Option<bool>, boundary: Option<bool>, missing: &[&str]) -> Decision {
        let of_organization =
            |allowed| OrganizationsDecisionDetail::builder().allowed_by_organizations(allowed).build();
        let of_boundary =
            |allowed| PermissionsBoundaryDecisionDetail::builder().allowed_by_permissions_boundary(allowed).build();
        let result = EvaluationResult::builder().eval_action_name("a:B").eval_decision(Word::from(word));
        let result = result.set_organizations_decision_detail(organization.map(of_organization));
        let result = result.set_permissions_boundary_decision_detail(boundary.map(of_boundary));
        let missing = missing.iter().map(ToString::to_string).collect();
        decision(&result.set_missing_context_values(Some(missing)).build().unwrap())
    }

    #[rstest]
    #[case("allowed", Some(true), Some(true), &[], Decision::Allowed)]
    #[case("implicitDeny", None, None, &[], Decision::NotAllowed)]
    #[case("explicitDeny", Some(true), Some(true), &[], Decision::Denied)]
    #[case("implicitDeny", Some(true), Some(false), &[], Decision::OutsideBoundary)]
    #[case("explicitDeny", Some(false), Some(true), &[], Decision::DeniedByOrganization)]
    #[case("implicitDeny", Some(false), None, &["aws:SourceVpc"], Decision::DeniedByOrganization)]
    #[case("implicitDeny", None, None, &["aws:SourceVpc"], Decision::Depends("aws:SourceVpc".to_string()))]
    #[case("allowed", None, None, &["aws:SourceVpc"], Decision::Allowed)]
    #[case("perhaps", None, None, &[], Decision::Unknown("perhaps".to_string()))]
    fn who_says_no_is_told(
        #[case] word: &str,
        #[case] organization: Option<bool>,
        #[case] boundary: Option<bool>,
        #[case] missing: &[&str],
        #[case] answer: Decision,
    ) {
        assert_eq!(decided(word, organization, boundary, missing), answer);
    }
}
