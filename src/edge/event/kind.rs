//! The closed list of events: their names, levels and occasions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much an event asks of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A person must act.
    Error,
    /// Something is degraded or was refused.
    Warn,
    /// Something changed.
    Info,
    /// The daemon looked.
    Debug,
}

impl Level {
    /// The name in events.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

/// One table for the enum, its documentation, its levels and `docs/events.md`, so that none lags behind.
macro_rules! kinds {
    ($($level:ident $name:ident $when:literal;)*) => {
        /// What happened. The name in the log is the name of the variant.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        pub enum Kind {
            $(#[doc = $when] $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The name in events.
            pub fn name(self) -> &'static str {
                match self {
                    $(Kind::$name => stringify!($name),)*
                }
            }

            /// How much it asks of people.
            pub fn level(self) -> Level {
                match self {
                    $(Kind::$name => Level::$level,)*
                }
            }

            /// When it happens, in a sentence.
            pub fn when(self) -> &'static str {
                match self {
                    $(Kind::$name => $when,)*
                }
            }
        }
    };
}

kinds! {
    Info DaemonStarted "The daemon started; `detail` holds the settings in force.";
    Info DaemonStopped "The daemon was asked to stop, and did.";
    Info LeaseAwaited "Another daemon holds the lease on the ledger's table, `by` says which: this one waits until it is given back or expires.";
    Warn LeaseLost "The lease on the ledger's table was lost: nothing more is changed until it is held again.";
    Info SettingsReloaded "New settings are in force; `detail` holds them.";
    Warn SettingsRejected "New settings are bad; the last good ones stay in force.";
    Warn ThrottleDetected "A failed build was diagnosed as throttled, by any registry.";
    Info RemediationProposed "There is a plan that the mode does not let through, or that stays out as a deployment set it back before; `changes` is the patch.";
    Info RemediationPlanned "A plan is in the ledger and is about to be carried out.";
    Info RemediationApplied "All changes were seen in place; a later build has to prove them.";
    Info RemediationVerified "A later build proved the remedy.";
    Info RemediationHeld "A limit, a freeze, an untrusted build, the mode or the stop switch holds a remedy back; `reason` says which.";
    Warn RemediationSetBack "A deployment of the code that owns the project set a remedy back; `patch` is for that code, and what is left of the remedy is taken back.";
    Warn RollbackDecided "A remedy made things worse or did not help, or a person wants it out: it is being taken back.";
    Info RemediationRolledBack "A remedy was taken back.";
    Info GrantKept "The grant of a remedy stays on its role while the remedy is taken back, as another project needs it: `by` says which. It is looked at again.";
    Info GrantRemoved "A grant that was kept for others is gone: no project of its role names the secret any more, or someone took it away; `reason` says which.";
    Warn GrantLeft "A grant that was kept for others is not touched again: someone changed it, or it can't be taken away; `detail` says which.";
    Error RemediationEscalated "The daemon does not touch it again: a person must look.";
    Warn RemedyUnavailable "A build was throttled, and nothing that the policy allows would cure it.";
    Warn WriteRefused "The resource was not as expected, or can't be written without loss: nothing was sent.";
    Info BuildRetried "The throttled build was started again.";
    Warn RetryRefused "The throttled build could not be started again; the next build of the project has to prove the remedy.";
    Error CredentialUnusable "The Docker Hub secret can't be used, so nothing was changed.";
    Warn CredentialQuotaLow "The Docker account would be the next to be throttled: remedies with its credential wait. Told once, when it begins; `reason` says in which way.";
    Info QuotaRestored "The Docker account has enough pulls left again: what waited for that goes on.";
    Warn QuotaUnknown "Docker Hub did not say what the Docker account has left: remedies go on without knowing. Told once, when it begins.";
    Warn PasswordResetAdvised "A login was put into a buildspec and may have recorded the credential in build logs.";
    Info CredentialRotated "A person stored a new password for a credential.";
    Warn ScanIncomplete "Part of a scope could not be read; it is never taken for healthy.";
    Debug TickCompleted "The daemon looked at a scope once.";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
