//! What becomes of an error: the one place that maps the edges' errors to what to do about them.

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
