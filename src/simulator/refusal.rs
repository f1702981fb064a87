//! An error as AWS answers it: status, code and message.

use serde_json::Value;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

/// What an operation answers.
pub(super) type Answer = Result<Value, Refusal>;

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Refusal { status, code: code.to_owned(), message: message.into() }
    }

    /// CodeBuild's answer to everything it does not accept.
    pub(super) fn invalid_input(message: impl Into<String>) -> Self {
        Refusal::new(400, "InvalidInputException", message)
    }

    /// CodeBuild's, the log service's and Secrets Manager's answer to what is not there.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Refusal::new(400, "ResourceNotFoundException", message)
    }

    /// IAM's answer to what is not there.
    pub(super) fn no_such_entity(message: impl Into<String>) -> Self {
        Refusal::new(404, "NoSuchEntity", message)
    }
}
