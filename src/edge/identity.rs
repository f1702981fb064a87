//! STS: who the credentials are.

use crate::edge::aws::account_of;
use crate::edge::aws::calls::CountCalls;
use crate::edge::aws::failure::{CallError, Failure, answers_questions};
use aws_config::SdkConfig;

const SERVICE: &str = "STS";

/// STS, with the credentials of one scope.
#[derive(Clone, Debug)]
pub struct Identity {
    client: aws_sdk_sts::Client,
}

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The ARN: of a user, or of a role's session.
    pub arn: String,
}

/// Why STS could not be asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct IdentityError(#[from] CallError);

answers_questions!(IdentityError);

impl IdentityError {
    /// What it came to.
    pub fn failure(&self) -> Failure {
        self.0.failure()
    }

    /// AWS's error code.
    pub fn code(&self) -> Option<&str> {
        self.0.code()
    }
}

impl Identity {
    pub(crate) fn new(config: &SdkConfig, calls: &CountCalls) -> Identity {
        let config = aws_sdk_sts::config::Builder::from(config).interceptor(calls.clone()).build();
        Identity { client: aws_sdk_sts::Client::from_conf(config) }
    }

    /// Who the credentials are; no permission is needed to ask.
    pub async fn caller(&self) -> Result<Caller, IdentityError> {
        const CALL: &str = "GetCallerIdentity";
        let answer = self.client.get_caller_identity().send().await;
        let answer = answer.map_err(|error| CallError::new(SERVICE, CALL, "the credentials", &error))?;
        let arn = answer.arn.ok_or_else(|| CallError::incomplete(SERVICE, CALL, "the credentials"))?;
        let account = answer.account.or_else(|| account_of(&arn).map(str::to_string));
        let account = account.ok_or_else(|| CallError::incomplete(SERVICE, CALL, "the credentials"))?;
        Ok(Caller { account, arn })
    }
}

impl Caller {
    /// The name of the role whose session it is: `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
    pub fn role(&self) -> Option<&str> {
        self.arn.split_once(":assumed-role/")?.1.split('/').next()
    }

    /// The partition of AWS: the ARN's second field.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_of_a_role_and_a_user_is_not() {
        let caller = |arn: &str| Caller { account: "111122223333".to_string(), arn: arn.to_string() };
        let session = caller("arn:aws-cn:sts::111122223333:assumed-role/unthrottled/i-0123");
        assert_eq!((session.role(), session.partition()), (Some("unthrottled"), "aws-cn"));
        assert_eq!(caller("arn:aws:iam::111122223333:user/ada").role(), None);
    }
}
