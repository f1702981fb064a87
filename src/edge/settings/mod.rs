//! Settings: layers of text in, typed settings and policies out, or every mistake in them at once.
//!
//! Three stages: `layers` reads and merges (compiled-in defaults < file < environment < arguments), `shape` compares
//! the tree with the schema that `raw` describes, `check` reads every value and resolves every name. Settings never
//! hold a secret, only the name of one.

mod check;
mod images;
mod layers;
mod place;
mod problems;
mod raw;
mod reference;
mod shape;
mod values;

use crate::domain::images::KnownImages;
use crate::domain::policy::{Credential, Mode, Policy};
use check::Check;
use jiff::SignedDuration;
use layers::Layers;
use problems::Problems;
use raw::RawSettings;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use layers::Sources;
pub use place::Origin;
pub use reference::reference;
pub use shape::schema;

/// Settings in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The daemon itself.
    pub daemon: DaemonSettings,
    /// Where it records what it does.
    pub ledger: LedgerSettings,
    /// Docker Hub, and what it is asked for.
    pub docker_hub: DockerHubSettings,
    /// The accounts and regions to look after; at least one.
    pub scopes: Vec<ScopeSettings>,
    /// What is known of images beforehand.
    pub images: Arc<KnownImages>,
    /// Docker Hub credentials by name.
    pub credentials: BTreeMap<String, Credential>,
    /// What is allowed; the first policy that matches a project decides. At least one.
    pub policies: Vec<Policy>,
    in_force: String,
}

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSettings {
    /// How long it waits between two looks.
    pub poll_interval: SignedDuration,
    /// How far back a first start looks.
    pub lookback: SignedDuration,
    /// The most that any policy may do.
    pub mode: Mode,
    /// Where `/healthz`, `/readyz`, `/metrics` and the status page answer.
    pub http_listen: SocketAddr,
    /// Who gets the status page.
    pub page: PageSettings,
    /// What is written of the metrics among the events.
    pub metrics: MetricLines,
}

/// Who gets the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSettings {
    /// Who.
    pub audience: Audience,
    /// Host names that it may be asked for by, besides IP addresses and localhost; in lower case.
    pub hosts: Vec<String>,
}

/// Who may see the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Whoever reaches the address, where that is of the loopback.
    Loopback,
    /// Whoever reaches the address.
    Anyone,
    /// Nobody.
    Nobody,
}

/// Metrics among the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricLines {
    /// None.
    None,
    /// CloudWatch's embedded metric format, a line or some after each tick.
    Emf,
}

/// Where the daemon records what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerSettings {
    /// Which of the two it is.
    pub store: LedgerStore,
    /// The ledger's file.
    pub path: PathBuf,
    /// The ledger's DynamoDB table.
    pub table: String,
}

/// The kind of store that the ledger is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerStore {
    /// A file on this machine, for one daemon.
    File,
    /// A DynamoDB table, for daemons that take turns.
    DynamoDb,
}

/// Docker Hub, which is asked whether a login works and what its account has left.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerHubSettings {
    /// Whether it is asked at all.
    pub probe: bool,
    /// Whether the daemon asks it, and holds remedies whose account has too little left.
    pub quota_guard: bool,
    /// The share (0 to 1) of an account's limit that has to be left.
    pub quota_floor: f64,
    /// Where it gives tokens.
    pub auth_url: String,
    /// Where it serves images.
    pub registry_url: String,
}

/// An account and region to look after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeSettings {
    /// Its name in policies and events.
    pub name: String,
    /// Its region; without it, the SDK's own.
    pub region: Option<String>,
    /// The role to assume; without it, the SDK's own credentials are used.
    pub role_arn: Option<String>,
    /// The external ID that the role asks for.
    pub external_id: Option<String>,
}

impl Settings {
    /// Reads all layers. Doing so again with the same sources is a reload.
    pub fn load(sources: &Sources) -> Result<Settings, SettingsError> {
        let schema = schema();
        let layers = Layers::read(sources, &schema)?;
        let mut tree = layers.merged().clone();
        let mut problems = Problems::new(&layers);
        for misfit in shape::prune(&mut tree, &schema) {
            problems.misfit(misfit);
        }
        // Nothing is left that could not be read, as the schema and the types are the same.
        let mut raw: RawSettings =
            tree.deserialize().map_err(|error| SettingsError::from(Problem::plain(error.to_string())))?;
        let mut check = Check { problems };
        match check.settings(&mut raw) {
            Some(settings) => Ok(Settings { in_force: in_force(&raw, layers.names())?, ..settings }),
            None => Err(SettingsError { problems: check.problems.finish() }),
        }
    }

    /// Everything in force, as TOML that reads back to the same settings.
    pub fn summary(&self) -> &str {
        &self.in_force
    }

    /// The same for the same settings, wherever they are from.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for line in self.in_force.lines().filter(|line| !line.starts_with('#')) {
            hash.update(line);
            hash.update("\n");
        }
        // A newer table in a file of the same name.
        hash.update(format!("{:?}", self.images));
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A credential by its name.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.get(name)
    }
}

/// Settings that can't be used: every problem that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// In the order of the file; at least one.
    pub problems: Vec<Problem>,
}

impl From<Problem> for SettingsError {
    fn from(problem: Problem) -> SettingsError {
        SettingsError { problems: vec![problem] }
    }
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The key, and the name of the policy or scope that it is in.
    pub key: Option<String>,
    /// The value as it was written.
    pub read: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What is allowed instead.
    pub allowed: String,
}

impl Problem {
    /// A problem with no key of its own.
    fn plain(problem: String) -> Problem {
        Problem {
            origin: Origin::Named("settings".to_string()),
            key: None,
            read: None,
            problem,
            allowed: "what `unthrottled schema settings` says".to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            f.write_str(key)?;
            if let Some(read) = &self.read {
                write!(f, " = {read}")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}; allowed: {}", self.problem, self.allowed)
    }
}

fn in_force(raw: &RawSettings, layers: &[String]) -> Result<String, SettingsError> {
    let toml = toml_edit::ser::to_string_pretty(raw)
        .map_err(|error| SettingsError::from(Problem::plain(error.to_string())))?;
    Ok(format!("# from {}\n{toml}", layers.join(" < ")))
}
