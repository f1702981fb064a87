//! What a failed call to AWS means: throttled, denied, gone, rejected, or worth another look.
//!
//! Nothing of an answer's body is kept but AWS's error code and text: a body may hold plain environment values or a secret.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use std::error::Error;

/// The longest text of AWS that an error keeps.
const LONGEST_TEXT: usize = 500;

/// What is said where the SDK found no keys in any of the places that it looks at, and lists them all.
pub const NO_CREDENTIALS: &str = "no AWS credentials were found";

/// What a failed call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Too many calls, or too many builds in the account's queue: later.
    Throttled,
    /// The credentials don't allow it.
    Denied,
    /// What was asked for is not there.
    Gone,
    /// AWS, or the edge itself, refused the content: the same call would be refused again.
    Rejected,
    /// Timed out, dropped, 5xx, unreadable, or never seen before: nothing is known of the outcome.
    Transient,
}

/// One call that failed: what was asked of what, and why it failed as far as it is safe to tell.
#[derive(Debug, thiserror::Error)]
#[error("{service} {operation} of {resource} {}", self.failure.predicate())]
pub struct CallError {
    service: &'static str,
    operation: &'static str,
    resource: String,
    failure: Failure,
    code: Option<String>,
    answered: bool,
    #[source]
    cause: Cause,
}

/// What AWS, or the way there, said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(String);

impl CallError {
    /// Reads the SDK's error and lets go of it, as it holds the raw answer.
    pub(crate) fn new<E>(
        service: &'static str,
        operation: &'static str,
        resource: impl Into<String>,
        error: &SdkError<E, HttpResponse>,
    ) -> CallError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let code = code_of(error);
        let status = error.raw_response().map(|response| response.status().as_u16());
        CallError {
            service,
            operation,
            resource: resource.into(),
            failure: Failure::of(code.as_deref(), status),
            answered: error.as_service_error().is_some(),
            cause: Cause(explain(error, status)),
            code,
        }
    }

    /// An answer that came, was readable, and lacks what it must have.
    pub(crate) fn incomplete(service: &'static str, operation: &'static str, resource: impl Into<String>) -> CallError {
        CallError {
            service,
            operation,
            resource: resource.into(),
            failure: Failure::Transient,
            code: None,
            answered: true,
            cause: Cause("the answer lacks what it must have".to_string()),
        }
    }

    /// The same error with these values struck out of AWS's text: a validation error quotes what it refuses.
    pub(crate) fn without(mut self, values: &[String]) -> CallError {
        for value in values.iter().filter(|value| value.len() >= 4) {
            self.cause.0 = self.cause.0.replace(value.as_str(), "…");
        }
        self
    }

    /// What it came to.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// AWS's error code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether the credentials themselves did not do, whatever was asked: AWS does not know them, or the role to ask as
    /// could not be assumed. Nothing is known of the resource then.
    pub fn is_of_credentials(&self) -> bool {
        const OF_CREDENTIALS: [&str; 8] = [
            "UnrecognizedClient",
            "InvalidClientTokenId",
            "MissingAuthenticationToken",
            "SignatureDoesNotMatch",
            "InvalidSignature",
            "IncompleteSignature",
            "AuthFailure",
            "OptInRequired",
        ];
        let code = self.code.as_deref().map(|code| code.strip_suffix("Exception").unwrap_or(code));
        !self.answered || code.is_some_and(|code| OF_CREDENTIALS.contains(&code))
    }

    /// Whether a policy of the organization denies it, as AWS's text says: nothing is known of the resource then, and
    /// nothing in the account can allow it.
    pub fn is_of_organization(&self) -> bool {
        ["service control policy", "resource control policy"].iter().any(|policy| self.cause.0.contains(policy))
    }
}

impl Failure {
    /// By AWS's code first, as CodeBuild's model has no throttling error and all its refusals are 400; by the HTTP
    /// status only where there is no code. IAM's codes lack the word `Exception` that those of the JSON services end in.
    pub(super) fn of(code: Option<&str>, status: Option<u16>) -> Failure {
        let Some(code) = code else {
            return match status {
                Some(429) => Failure::Throttled,
                Some(401 | 403) => Failure::Denied,
                _ => Failure::Transient,
            };
        };
        match code.strip_suffix("Exception").unwrap_or(code) {
            "Throttling"
            | "Throttled"
            | "TooManyRequests"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "ProvisionedThroughputExceeded"
            | "BandwidthLimitExceeded"
            | "SlowDown"
            | "AccountLimitExceeded" => Failure::Throttled,
            "AccessDenied"
            | "UnauthorizedOperation"
            | "NotAuthorized"
            | "AuthFailure"
            | "UnrecognizedClient"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "SignatureDoesNotMatch"
            | "InvalidSignature"
            | "IncompleteSignature"
            | "OptInRequired" => Failure::Denied,
            "ResourceNotFound" | "NoSuchEntity" => Failure::Gone,
            "InvalidInput"
            | "InvalidParameter"
            | "InvalidParameterValue"
            | "InvalidRequest"
            | "Validation"
            | "ValidationError"
            | "Serialization"
            | "MalformedPolicyDocument"
            | "LimitExceeded"
            | "UnmodifiableEntity"
            | "DecryptionFailure" => Failure::Rejected,
            _ => Failure::Transient,
        }
    }

    fn predicate(self) -> &'static str {
        match self {
            Failure::Throttled => "was throttled",
            Failure::Denied => "was denied",
            Failure::Gone => "found nothing there",
            Failure::Rejected => "was rejected",
            Failure::Transient => "failed",
        }
    }
}

/// The service's code; or, if no call was sent as the role to call as could not be assumed, the code for that.
fn code_of<E>(error: &SdkError<E, HttpResponse>) -> Option<String>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = match error.as_service_error() {
        Some(refused) => refused.code(),
        None => of_role(error).and_then(ErrorMetadata::code),
    };
    code.map(str::to_string)
}

/// What STS said, if no call was sent as the role to call as could not be assumed.
fn of_role<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e ErrorMetadata> {
    sources(error).find_map(|source| source.downcast_ref::<ErrorMetadata>())
}

/// AWS's code and text. A code that ends like the name of a secret goes behind the text: what follows it is no secret.
fn told(code: &str, message: &str) -> String {
    match code.ends_with("Token") {
        true => format!("{message} ({code})"),
        false => format!("{code}: {message}"),
    }
}

/// AWS's own words, or what went wrong on the way. Of an unreadable answer only that it was unreadable, as parsers quote.
fn explain<E>(error: &SdkError<E, HttpResponse>, status: Option<u16>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let text = match (error, status) {
        (SdkError::ServiceError(refused), Some(status)) => match (refused.err().code(), refused.err().message()) {
            (Some(code), Some(message)) => told(code, message),
            (Some(code), None) => code.to_string(),
            (None, _) if (200..300).contains(&status) => unreadable(status),
            (None, _) => format!("HTTP status {status}"),
        },
        (SdkError::ResponseError(_), Some(status)) => unreadable(status),
        (other, _) => match chain(other) {
            text if let Some(said) = of_role(other) => match (said.code(), said.message()) {
                (Some(code), Some(message)) => {
                    format!("the role to call as could not be assumed: {}", told(code, message))
                }
                _ => text,
            },
            text if text.contains("no credentials found in chain") => NO_CREDENTIALS.to_string(),
            text => text,
        },
    };
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(LONGEST_TEXT).collect()
}

fn unreadable(status: u16) -> String {
    format!("the answer can't be read (HTTP status {status})")
}

fn chain(error: &dyn Error) -> String {
    let mut parts = vec![error.to_string()];
    for source in sources(error) {
        let text = source.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

fn sources(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&source| source.source())
}

/// The questions that every AWS edge's error answers, from its `failure` and `code`.
macro_rules! answers_questions {
    ($error:ty) => {
        impl $error {
            /// Whether AWS asked for fewer calls.
            pub fn is_throttled(&self) -> bool {
                self.failure() == $crate::edge::aws::failure::Failure::Throttled
            }

            /// Whether the credentials don't allow it.
            pub fn is_denied(&self) -> bool {
                self.failure() == $crate::edge::aws::failure::Failure::Denied
            }

            /// Whether what was asked for is not there.
            pub fn is_gone(&self) -> bool {
                self.failure() == $crate::edge::aws::failure::Failure::Gone
            }

            /// Whether the content was refused: the same call would be refused again.
            pub fn is_rejected(&self) -> bool {
                self.failure() == $crate::edge::aws::failure::Failure::Rejected
            }

            /// Whether nothing is known of the outcome: timed out, dropped, 5xx, unreadable.
            pub fn is_transient(&self) -> bool {
                self.failure() == $crate::edge::aws::failure::Failure::Transient
            }
        }
    };
}
pub(crate) use answers_questions;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::codebuild_throttling_is_not_modelled("ThrottlingException", Failure::Throttled)]
    #[case::full_build_queue("AccountLimitExceededException", Failure::Throttled)]
    #[case::iam_code_without_exception("AccessDenied", Failure::Denied)]
    #[case::json_service("AccessDeniedException", Failure::Denied)]
    #[case::iam_no_such_entity("NoSuchEntity", Failure::Gone)]
    #[case::json_not_found("ResourceNotFoundException", Failure::Gone)]
    #[case::refused_project("InvalidInputException", Failure::Rejected)]
    #[case::full_role("LimitExceeded", Failure::Rejected)]
    #[case::refused_document("MalformedPolicyDocument", Failure::Rejected)]
    #[case::service_linked("UnmodifiableEntity", Failure::Rejected)]
    #[case::expired_credentials_are_renewed("ExpiredTokenException", Failure::Transient)]
    #[case::never_seen("SomethingNewException", Failure::Transient)]
    fn a_code_means(#[case] code: &str, #[case] meaning: Failure) {
        assert_eq!(Failure::of(Some(code), Some(400)), meaning);
    }

    #[test]
    fn a_code_that_ends_like_a_secret_does_not_hide_what_is_said() {
        let said = told("ExpiredToken", "The security token included in the request is expired");
        assert_eq!(said, "The security token included in the request is expired (ExpiredToken)");
        assert_eq!(crate::domain::detect::redact(&said), said);
        assert_eq!(told("AccessDenied", "no"), "AccessDenied: no");
    }

    #[rstest]
    #[case(Some(429), Failure::Throttled)]
    #[case(Some(403), Failure::Denied)]
    #[case(Some(400), Failure::Transient)]
    #[case(Some(500), Failure::Transient)]
    #[case(None, Failure::Transient)]
    fn without_a_code_the_status_decides(#[case] status: Option<u16>, #[case] meaning: Failure) {
        assert_eq!(Failure::of(None, status), meaning);
    }
}
