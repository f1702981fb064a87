//! The root certificates of this machine: without any, no server can be trusted, and no connection is worth a try.

use std::sync::LazyLock;

/// There is no root certificate, or none that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this machine has no root certificates to trust a server by{}: install them (the package `ca-certificates` of most \
     systems), or set SSL_CERT_FILE to a file with them",
    .trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default()
)]
pub struct NoRoots {
    /// What went wrong where they were looked for.
    pub trouble: Option<String>,
}

/// Looked for once, in the places where the SDK's client looks: a machine that gets some has the program started again.
static FOUND: LazyLock<Result<(), NoRoots>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    match found.certs.is_empty() {
        false => Ok(()),
        true => Err(NoRoots { trouble: found.errors.first().map(ToString::to_string) }),
    }
});

/// Whether there is a root certificate. Asked before a client is built, as the SDK's does not say what it lacks.
pub fn check() -> Result<(), NoRoots> {
    FOUND.clone()
}
