//! What becomes of an error: the one place that maps the edges' errors to what to do about them.

use crate::edge::aws::failure::NO_CREDENTIALS;
use crate::edge::build_log::BuildLogError;
use crate::edge::codebuild::CodeBuildError;
use crate::edge::iam::IamError;
use crate::edge::identity::IdentityError;
use crate::edge::secrets::SecretsError;
use crate::reconcile::book::BookError;
use std::error::Error;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Throttled, timed out, broken off, not understood: look again in the next tick.
    Again,
    /// We may not. A write is given up; a read is tried again later.
    Denied,
    /// AWS refused what was asked for, and will again.
    Rejected,
    /// The resource is gone: the next look sees it.
    Gone,
    /// Another process was faster: the next look decides anew.
    Overtaken,
    /// The ledger can't be read or written: nothing may be done without it.
    Ledger,
}

/// An error of an edge, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// What to do.
    pub kind: Kind,
    /// What happened, to what, with its causes.
    pub detail: String,
}

impl Failure {
    /// The bounded word in events.
    pub fn word(&self) -> &'static str {
        match self.kind {
            Kind::Again => "try_again",
            Kind::Denied => "access_denied",
            Kind::Rejected => "rejected",
            Kind::Gone => "gone",
            Kind::Overtaken => "overtaken",
            Kind::Ledger => "ledger_unavailable",
        }
    }

    /// Whether AWS says that a rule denies it which no grant lifts: of the organization, of a boundary, or a deny.
    pub fn is_beyond_grants(&self) -> bool {
        ["control policy", "permissions boundary", "explicit deny"].iter().any(|rule| self.detail.contains(rule))
    }

    /// What a person can do about it, where that is known. It depends on what AWS says in words: a policy of the
    /// organization and a lacking grant have one code.
    pub fn next_step(&self) -> Option<&'static str> {
        let says = |words: &[&str]| words.iter().any(|words| self.detail.contains(words));
        Some(if says(&[NO_CREDENTIALS]) {
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`"
        } else if says(&["Signature expired", "SignatureDoesNotMatch", "InvalidSignature", "RequestTimeTooSkewed"]) {
            "look at AWS_SECRET_ACCESS_KEY and at this machine's clock, as AWS does not take the signature"
        } else if says(&["ExpiredToken", "expired"]) {
            "log in again, for example with `aws sso login`, as the credentials have expired"
        } else if says(&["UnrecognizedClient", "InvalidClientTokenId"]) {
            "look at the region and the access key: `aws sts get-caller-identity --region us-east-1` fails if AWS does not \
             know the key, and else the region is not enabled for the account"
        } else if says(&["service control policy", "resource control policy"]) {
            "ask those who keep the organization's policies, as nothing in this account can allow it"
        } else if says(&["permissions boundary"]) {
            "allow the action in the permissions boundary of the one who asks, which `aws sts get-caller-identity` shows"
        } else if says(&["explicit deny"]) {
            "take the action out of the statement that denies it, as no grant lifts a deny"
        } else if says(&["sts:AssumeRole"]) {
            "let the role's trust policy name the one who asks, which `aws sts get-caller-identity` shows: \
             `unthrottled iam-policy --trust` prints it"
        } else if self.kind == Kind::Denied {
            "`unthrottled iam-policy` prints the permissions; `aws sts get-caller-identity` shows who is asking"
        } else if says(&["dispatch failure", "timed out", "timeout"]) {
            "look at the network, the region, and AWS_ENDPOINT_URL if it is set, as AWS was not reached"
        } else if says(&["the answer can't be read"]) {
            "look at AWS_ENDPOINT_URL and at proxies, as something else answered in the place of AWS"
        } else {
            return None;
        })
    }
}

/// The error and its causes in one line; each says its own part only.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        source = cause.source();
    }
    crate::domain::detect::redact(&text)
}

macro_rules! failures_of {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                let kind = if error.is_denied() {
                    Kind::Denied
                } else if error.is_rejected() {
                    Kind::Rejected
                } else if error.is_gone() {
                    Kind::Gone
                } else {
                    Kind::Again
                };
                Failure { kind, detail: chain(&error) }
            }
        }
    )*};
}

failures_of!(CodeBuildError, BuildLogError, IamError, IdentityError, SecretsError);

impl From<BookError> for Failure {
    fn from(error: BookError) -> Failure {
        let kind = match error {
            BookError::Overtaken => Kind::Overtaken,
            BookError::Ledger(_) | BookError::None | BookError::Broken { .. } | BookError::OtherAccount { .. } => {
                Kind::Ledger
            }
        };
        Failure { kind, detail: chain(&error) }
    }
}
