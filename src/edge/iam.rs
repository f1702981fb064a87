//! IAM: a service role with its inline policies, and the writing and deleting of one inline policy.

pub mod simulate;

use crate::domain::build::{InlinePolicy, Role, RoleName};
use crate::edge::aws::calls::CountCalls;
use crate::edge::aws::failure::{CallError, Failure, answers_questions};
use aws_config::SdkConfig;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::error::Error;

const SERVICE: &str = "IAM";

/// IAM of one account.
#[derive(Clone, Debug)]
pub struct Iam {
    client: aws_sdk_iam::Client,
}

/// What a look at one inline policy showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyRead {
    /// The role is there, the policy is not.
    Absent,
    /// As it is.
    Present(InlinePolicy),
    /// The role is not there.
    RoleGone,
}

/// What a write of one inline policy came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyWrite {
    /// Sent, or already so.
    Done,
    /// Not sent, as the policy is not what the write was decided on.
    NotAsExpected,
    /// The role is not there.
    RoleGone,
}

/// Why IAM could not be asked, or was not.
#[derive(Debug, thiserror::Error)]
pub enum IamError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Nothing was sent: the role belongs to AWS.
    #[error("role {0} is service-linked: only AWS may change it")]
    ServiceLinked(RoleName),
}

answers_questions!(IamError);

impl IamError {
    /// What it came to.
    pub fn failure(&self) -> Failure {
        match self {
            IamError::Call(call) => call.failure(),
            IamError::ServiceLinked(_) => Failure::Rejected,
        }
    }

    /// AWS's error code.
    pub fn code(&self) -> Option<&str> {
        match self {
            IamError::Call(call) => call.code(),
            IamError::ServiceLinked(_) => None,
        }
    }
}

impl Iam {
    pub(crate) fn new(config: &SdkConfig, calls: &CountCalls) -> Iam {
        let config = aws_sdk_iam::config::Builder::from(config).interceptor(calls.clone()).build();
        Iam { client: aws_sdk_iam::Client::from_conf(config) }
    }

    /// A role with all its inline policies, or none if it is not there. A policy that goes while we read is left out.
    pub async fn role(&self, name: &RoleName) -> Result<Option<Role>, IamError> {
        let Some(path) = self.path_of(name).await? else {
            return Ok(None);
        };
        let Some(policies) = self.policy_names(name).await? else {
            return Ok(None);
        };
        let mut role = Role { name: name.clone(), path, inline: Vec::new() };
        for policy in policies {
            role.inline.extend(self.inline_policy(name, &policy).await?);
        }
        Ok(Some(role))
    }

    /// One inline policy of a role.
    pub async fn policy(&self, role: &RoleName, name: &str) -> Result<PolicyRead, IamError> {
        if let Some(policy) = self.inline_policy(role, name).await? {
            return Ok(PolicyRead::Present(policy));
        }
        // IAM has one error code for both absences.
        Ok(match self.path_of(role).await? {
            Some(_) => PolicyRead::Absent,
            None => PolicyRead::RoleGone,
        })
    }

    /// Writes an inline policy, in place of the one of its name.
    ///
    /// # Expected flow
    /// The policy is read, `expect` says whether it (or its absence) is what the write was decided on, and one
    /// `PutRolePolicy` is sent. Sending it twice has the effect of once. No call lies between `expect` and the write, so
    /// what else has to hold then is asked there, too.
    ///
    /// # Caveats
    /// IAM has no precondition: an edit between our read and our write is lost. That it reads back does not mean that
    /// it works already: policies take seconds to spread.
    pub async fn put_policy(
        &self,
        role: &RoleName,
        name: &str,
        document: &Value,
        expect: impl AsyncFnOnce(Option<&InlinePolicy>) -> bool,
    ) -> Result<PolicyWrite, IamError> {
        let current = match self.changeable_policy(role, name).await? {
            PolicyRead::RoleGone => return Ok(PolicyWrite::RoleGone),
            PolicyRead::Absent => None,
            PolicyRead::Present(policy) => Some(policy),
        };
        if !expect(current.as_ref()).await {
            return Ok(PolicyWrite::NotAsExpected);
        }
        let request = self.client.put_role_policy().role_name(role.as_str()).policy_name(name);
        let sent = request.policy_document(document.to_string()).send().await;
        match sent.map_err(|error| failed("PutRolePolicy", format!("{role}/{name}"), &error)) {
            Ok(_) => Ok(PolicyWrite::Done),
            Err(error) if error.is_gone() => Ok(PolicyWrite::RoleGone),
            Err(error) => Err(error),
        }
    }

    /// Deletes an inline policy, if `expect` takes it for the one to be deleted. If it is not there and that is
    /// expected, it is done.
    pub async fn delete_policy(
        &self,
        role: &RoleName,
        name: &str,
        expect: impl AsyncFnOnce(Option<&InlinePolicy>) -> bool,
    ) -> Result<PolicyWrite, IamError> {
        let current = match self.changeable_policy(role, name).await? {
            PolicyRead::RoleGone => return Ok(PolicyWrite::RoleGone),
            PolicyRead::Absent => None,
            PolicyRead::Present(policy) => Some(policy),
        };
        if !expect(current.as_ref()).await {
            return Ok(PolicyWrite::NotAsExpected);
        }
        if current.is_none() {
            return Ok(PolicyWrite::Done);
        }
        let request = self.client.delete_role_policy().role_name(role.as_str()).policy_name(name);
        match request.send().await.map_err(|error| failed("DeleteRolePolicy", format!("{role}/{name}"), &error)) {
            Ok(_) => Ok(PolicyWrite::Done),
            // An attempt whose answer was lost did it, or the role went, and the policy with it.
            Err(error) if error.is_gone() => Ok(PolicyWrite::Done),
            Err(error) => Err(error),
        }
    }

    /// The policy as it is just before a write, in a role that may be written to.
    async fn changeable_policy(&self, role: &RoleName, name: &str) -> Result<PolicyRead, IamError> {
        let Some(path) = self.path_of(role).await? else {
            return Ok(PolicyRead::RoleGone);
        };
        if path.starts_with("/aws-service-role/") {
            return Err(IamError::ServiceLinked(role.clone()));
        }
        Ok(self.inline_policy(role, name).await?.map_or(PolicyRead::Absent, PolicyRead::Present))
    }

    /// None if there is no such role.
    async fn path_of(&self, role: &RoleName) -> Result<Option<String>, IamError> {
        let answer = self.client.get_role().role_name(role.as_str()).send().await;
        match answer.map_err(|error| failed("GetRole", role.as_str(), &error)) {
            Ok(answer) => match answer.role {
                Some(role) => Ok(Some(role.path)),
                None => Err(CallError::incomplete(SERVICE, "GetRole", role.as_str()).into()),
            },
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// None if there is no such role.
    async fn policy_names(&self, role: &RoleName) -> Result<Option<Vec<String>>, IamError> {
        let mut names = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let request = self.client.list_role_policies().role_name(role.as_str());
            let answer = request.set_marker(marker.clone()).send().await;
            let page = match answer.map_err(|error| failed("ListRolePolicies", role.as_str(), &error)) {
                Ok(page) => page,
                Err(error) if error.is_gone() => return Ok(None),
                Err(error) => return Err(error),
            };
            names.extend(page.policy_names);
            if !page.is_truncated {
                return Ok(Some(names));
            }
            // A marker that is missing or leads to itself would be followed for ever.
            if page.marker.is_none() || page.marker == marker {
                return Err(CallError::incomplete(SERVICE, "ListRolePolicies", role.as_str()).into());
            }
            marker = page.marker;
        }
    }

    /// None if there is no such policy, or no such role.
    async fn inline_policy(&self, role: &RoleName, name: &str) -> Result<Option<InlinePolicy>, IamError> {
        let request = self.client.get_role_policy().role_name(role.as_str()).policy_name(name);
        match request.send().await.map_err(|error| failed("GetRolePolicy", format!("{role}/{name}"), &error)) {
            Ok(answer) => Ok(Some(decode(name, &answer.policy_document))),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Documents arrive percent-encoded by RFC 3986, where a plus is a plus. What can't be decoded or is no JSON still
/// takes up room in the role.
fn decode(name: &str, document: &str) -> InlinePolicy {
    let text = percent_decode_str(document).decode_utf8_lossy();
    InlinePolicy {
        name: name.to_string(),
        document: serde_json::from_str(&text).ok(),
        size: text.chars().filter(|c| !c.is_whitespace()).count(),
    }
}

fn failed<E>(operation: &'static str, resource: impl Into<String>, error: &SdkError<E, HttpResponse>) -> IamError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    CallError::new(SERVICE, operation, resource, error).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_decoded_without_turning_plus_into_space() {
        let policy = decode("p", "%7B%22Sid%22%3A%20%22a+b%25c%C3%A9%22%7D");
        assert_eq!(policy.document, Some(json!({"Sid": "a+b%cé"})));
        assert_eq!(policy.size, r#"{"Sid":"a+b%cé"}"#.chars().count());
    }

    #[test]
    fn a_document_that_is_no_json_has_a_size_and_nothing_else() {
        let policy = decode("p", "not%20%7Bjson");
        assert_eq!(policy, InlinePolicy { name: "p".to_string(), document: None, size: 8 });
        assert_eq!(decode("p", "%FF%7B%7D").document, None);
    }
}
