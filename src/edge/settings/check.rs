//! From the settings as written to settings that mean something: every value read, every name resolved.

use super::place::KeyPath;
use super::problems::Problems;
use super::raw::{
    RawCredential, RawDaemon, RawFreeze, RawImages, RawMetrics, RawPage, RawPolicy, RawScope, RawSettings, RawStore,
};
use super::values::{self, Wrong};
use super::{Audience, DaemonSettings, DockerHubSettings, LedgerSettings, LedgerStore, MetricLines, PageSettings};
use super::{ScopeSettings, Settings};
use super::{images, shape};
use crate::domain::images::KnownImages;
use crate::domain::policy::{Credential, Freeze, Limits, Policy};
use globset::{Glob, GlobSet};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The scope that is looked after where none is set: the account and region of the SDK's own credentials.
const OWN_SCOPE: &str = "default";

/// Names that policies can use.
struct Known {
    scopes: Vec<String>,
    credential_names: Vec<String>,
    credentials: BTreeMap<String, Credential>,
}

/// Reads, and takes problems down while it does.
pub(super) struct Check<'a> {
    pub(super) problems: Problems<'a>,
}

impl Check<'_> {
    /// Reads everything. `None` if there are problems; `raw` is completed with what follows from other keys.
    pub(super) fn settings(&mut self, raw: &mut RawSettings) -> Option<Settings> {
        let daemon = self.daemon(raw);
        let ledger = self.ledger(raw);
        let docker_hub = self.docker_hub(raw);
        let scopes = self.scopes(&raw.scope);
        let images = self.images(&raw.images);
        let credentials = self.credentials(&mut raw.credential);
        let mut scope_names: Vec<String> = scopes.iter().map(|scope| scope.name.clone()).collect();
        scope_names.dedup();
        let known =
            Known { scopes: scope_names, credential_names: raw.credential.keys().cloned().collect(), credentials };
        let policies = self.policies(&mut raw.policy, &known);
        if !self.problems.is_empty() {
            return None;
        }
        Some(Settings {
            daemon: daemon?,
            ledger: ledger?,
            docker_hub: docker_hub?,
            scopes,
            images: Arc::new(images?),
            credentials: known.credentials,
            policies,
            in_force: String::new(),
        })
    }

    fn daemon(&mut self, raw: &RawSettings) -> Option<DaemonSettings> {
        let at = KeyPath::dotted("daemon");
        let daemon = &raw.daemon;
        let poll_interval = daemon
            .poll_interval
            .as_deref()
            .map(|text| self.problems.take(&at.key("poll_interval"), values::duration(text, values::POLL)));
        let lookback = daemon
            .lookback
            .as_deref()
            .map(|text| self.problems.take(&at.key("lookback"), values::duration(text, values::LOOKBACK)));
        let http_listen =
            daemon.http_listen.as_deref().map(|text| self.problems.take(&at.key("http_listen"), values::address(text)));
        let page = self.page(&at, daemon);
        Some(DaemonSettings {
            poll_interval: poll_interval??,
            lookback: lookback??,
            mode: daemon.mode?,
            http_listen: http_listen??,
            page: page?,
            metrics: match daemon.metrics? {
                RawMetrics::None => MetricLines::None,
                RawMetrics::Emf => MetricLines::Emf,
            },
        })
    }

    fn page(&mut self, at: &KeyPath, daemon: &RawDaemon) -> Option<PageSettings> {
        let at = at.key("page_hosts");
        let hosts = daemon.page_hosts.as_deref()?.iter().enumerate();
        let hosts: Vec<Option<String>> =
            hosts.map(|(n, text)| self.problems.take(&at.index(n), values::host(text))).collect();
        let audience = match daemon.page? {
            RawPage::Loopback => Audience::Loopback,
            RawPage::On => Audience::Anyone,
            RawPage::Off => Audience::Nobody,
        };
        Some(PageSettings { audience, hosts: hosts.into_iter().collect::<Option<_>>()? })
    }

    fn ledger(&mut self, raw: &RawSettings) -> Option<LedgerSettings> {
        let ledger = &raw.ledger;
        let table = ledger.table.clone()?;
        self.problems.take(&KeyPath::dotted("ledger").key("table"), values::table(&table))?;
        let store = match ledger.store? {
            RawStore::File => LedgerStore::File,
            RawStore::DynamoDb => LedgerStore::DynamoDb,
        };
        Some(LedgerSettings { store, path: PathBuf::from(ledger.path.as_ref()?), table })
    }

    fn docker_hub(&mut self, raw: &RawSettings) -> Option<DockerHubSettings> {
        let at = KeyPath::dotted("docker_hub");
        let hub = &raw.docker_hub;
        let auth_url = hub.auth_url.as_deref().map(|text| self.problems.take(&at.key("auth_url"), values::url(text)));
        let registry_url =
            hub.registry_url.as_deref().map(|text| self.problems.take(&at.key("registry_url"), values::url(text)));
        let quota_floor =
            hub.quota_floor.as_deref().map(|text| self.problems.take(&at.key("quota_floor"), values::share(text)));
        Some(DockerHubSettings {
            probe: hub.probe?,
            quota_guard: hub.quota_guard?,
            quota_floor: quota_floor??,
            auth_url: auth_url??,
            registry_url: registry_url??,
        })
    }

    fn scopes(&mut self, raw: &[RawScope]) -> Vec<ScopeSettings> {
        let mut scopes: Vec<ScopeSettings> = Vec::new();
        for (n, raw) in raw.iter().enumerate() {
            let at = KeyPath::dotted("scope").index(n);
            self.problems.name(&at.key("name"), &raw.name, scopes.iter().map(|scope| scope.name.as_str()));
            if let Some(region) = &raw.region {
                self.problems.take(&at.key("region"), values::region(region));
            }
            if let Some(role) = &raw.role_arn {
                self.problems.take(&at.key("role_arn"), values::role_arn(role));
            }
            if raw.external_id.is_some() && raw.role_arn.is_none() {
                self.problems.wrong(
                    &at.key("external_id"),
                    Wrong::new("without a role to assume", "together with `role_arn` only"),
                );
            }
            let same = |other: &&ScopeSettings| other.region == raw.region && other.role_arn == raw.role_arn;
            if let Some(other) = scopes.iter().find(same) {
                let problem = format!("the same account and region as scope \"{}\"", other.name);
                self.problems.wrong_key(&at, problem, "each account and region once");
            }
            scopes.push(ScopeSettings {
                name: raw.name.clone(),
                region: raw.region.clone(),
                role_arn: raw.role_arn.clone(),
                external_id: raw.external_id.clone(),
            });
        }
        if scopes.is_empty() {
            scopes.push(ScopeSettings { name: OWN_SCOPE.to_string(), region: None, role_arn: None, external_id: None });
        }
        scopes
    }

    fn images(&mut self, raw: &RawImages) -> Option<KnownImages> {
        let at = KeyPath::dotted("images");
        let curated = self.problems.take(&at.key("curated"), images::curated(raw.curated.as_deref()));
        let official = self.problems.take(&at.key("official"), images::official(raw.official.as_deref()));
        Some(KnownImages { curated: curated?, official: official? })
    }

    fn credentials(&mut self, raw: &mut BTreeMap<String, RawCredential>) -> BTreeMap<String, Credential> {
        let mut credentials: BTreeMap<String, Credential> = BTreeMap::new();
        for (name, raw) in raw {
            let at = KeyPath::dotted("credential").key(name);
            let credential = self.credential(&at, name, raw);
            let same =
                |other: &&Credential| other.policy_name == credential.policy_name && other.secret != credential.secret;
            if let Some(other) = credentials.values().find(same) {
                let problem = format!("credential \"{}\" has it for another secret", other.name);
                let allowed = "a name of its own for each secret, as a role can need both";
                self.problems.wrong(&at.key("policy_name"), Wrong::new(problem, allowed));
            }
            credentials.insert(name.clone(), credential);
        }
        credentials
    }

    fn credential(&mut self, at: &KeyPath, name: &str, raw: &mut RawCredential) -> Credential {
        if let Err(wrong) = values::name(name) {
            // Its value is the whole table, which may hold what it should not.
            self.problems.wrong_key(at, wrong.problem, wrong.allowed);
        }
        if let Err(wrong) = values::secret(&raw.secret) {
            // Perhaps the password itself was written here.
            if raw.secret.starts_with("arn:") {
                self.problems.wrong(&at.key("secret"), wrong);
            } else {
                self.problems.wrong_key(&at.key("secret"), wrong.problem, wrong.allowed);
            }
        }
        self.problems.take(&at.key("username_key"), values::secret_key(&raw.username_key));
        self.problems.take(&at.key("password_key"), values::secret_key(&raw.password_key));
        let auth_config_key = at.key("auth_config_key");
        self.problems.take(&auth_config_key, values::secret_key(&raw.auth_config_key));
        if [&raw.username_key, &raw.password_key].contains(&&raw.auth_config_key) {
            let wrong = Wrong::new("the same as the key of the user name or password", "a key of its own");
            self.problems.wrong(&auth_config_key, wrong);
        }
        let (user, password) = (&raw.username_variable, &raw.password_variable);
        self.problems.take(&at.key("username_variable"), values::variable(user));
        self.problems.take(&at.key("password_variable"), values::variable(password));
        if user == password {
            let wrong = Wrong::new("the same as username_variable", "a variable of its own");
            self.problems.wrong(&at.key("password_variable"), wrong);
        }
        let policy_name = raw.policy_name.get_or_insert_with(|| format!("unthrottled-{name}"));
        self.problems.take(&at.key("policy_name"), values::policy_name(policy_name));
        Credential {
            name: name.to_string(),
            secret: raw.secret.clone(),
            username_key: raw.username_key.clone(),
            password_key: raw.password_key.clone(),
            auth_config_key: raw.auth_config_key.clone(),
            username_variable: raw.username_variable.clone(),
            password_variable: raw.password_variable.clone(),
            policy_name: policy_name.clone(),
        }
    }

    fn policies(&mut self, raw: &mut [RawPolicy], known: &Known) -> Vec<Policy> {
        let mut names: Vec<String> = Vec::new();
        let mut policies = Vec::new();
        for (n, raw) in raw.iter_mut().enumerate() {
            let at = KeyPath::dotted("policy").index(n);
            self.problems.name(&at.key("name"), &raw.name, names.iter().map(String::as_str));
            names.push(raw.name.clone());
            policies.extend(self.policy(&at, raw, known));
        }
        policies
    }

    fn policy(&mut self, at: &KeyPath, raw: &mut RawPolicy, known: &Known) -> Option<Policy> {
        for (n, scope) in raw.scopes.iter().enumerate() {
            if !known.scopes.contains(scope) {
                let wrong = no_such("scope", scope, &known.scopes);
                self.problems.wrong(&at.key("scopes").index(n), wrong);
            }
        }
        let credential = self.credential_of(at, raw, known);
        let projects = self.globs(&at.key("projects"), &raw.projects);
        let exclude = self.globs(&at.key("exclude"), &raw.exclude);
        let settle = self.problems.take(&at.key("settle"), values::duration(&raw.settle, values::SETTLE));
        let verify_within =
            self.problems.take(&at.key("verify_within"), values::duration(&raw.verify_within, values::VERIFY));
        let limits = self.limits(&at.key("limits"), raw);
        let freezes = self.freezes(&at.key("freeze"), &raw.freeze);
        Some(Policy {
            name: raw.name.clone(),
            projects: projects?,
            project_globs: raw.projects.clone(),
            exclude: exclude?,
            exclude_globs: raw.exclude.clone(),
            tags: raw.tags.clone(),
            scopes: raw.scopes.clone(),
            mode: raw.mode,
            credential: credential?,
            provisioning: raw.provisioning.iter().copied().map(Into::into).collect(),
            later_phase: raw.later_phase.iter().copied().map(Into::into).collect(),
            iac_owned: raw.iac_owned,
            untrusted_builds: raw.untrusted_builds,
            shared_with_public: raw.shared_with_public,
            sightings: usize::try_from(raw.sightings).ok()?,
            retry: raw.retry,
            settle: settle?,
            verify_within: verify_within?,
            on_ineffective: raw.on_ineffective,
            on_drift: raw.on_drift,
            limits: limits?,
            freezes,
        })
    }

    fn credential_of(&mut self, at: &KeyPath, raw: &mut RawPolicy, known: &Known) -> Option<Credential> {
        let at = at.key("credential");
        if let Some(name) = &raw.credential {
            if !known.credential_names.contains(name) {
                self.problems.wrong(&at, no_such("credential", name, &known.credential_names));
            }
            return known.credentials.get(name).cloned();
        }
        match known.credential_names.as_slice() {
            [only] => {
                raw.credential = Some(only.clone());
                known.credentials.get(only).cloned()
            }
            // A `credential` of the wrong type was taken out and is reported already.
            _ if self.problems.given(&at) => None,
            [] => {
                self.problems.wrong_key(&at, "missing, and no credential is configured", A_CREDENTIAL);
                None
            }
            several => {
                let allowed = shape::quoted(several.iter().map(String::as_str));
                self.problems.wrong_key(&at, "missing, and there are several", allowed);
                None
            }
        }
    }

    fn globs(&mut self, at: &KeyPath, texts: &[String]) -> Option<GlobSet> {
        let read: Vec<Option<Glob>> =
            texts.iter().enumerate().map(|(n, text)| self.problems.take(&at.index(n), values::glob(text))).collect();
        let read: Option<Vec<Glob>> = read.into_iter().collect();
        self.problems.take(at, values::globs(&read?))
    }

    fn limits(&mut self, at: &KeyPath, raw: &RawPolicy) -> Option<Limits> {
        let limits = &raw.limits;
        Some(Limits {
            max_open: usize::try_from(limits.max_open).ok()?,
            max_per_hour: usize::try_from(limits.max_per_hour).ok()?,
            max_share: self.problems.take(&at.key("max_share"), values::share(&limits.max_share))?,
            attempts_per_project: usize::try_from(limits.attempts_per_project).ok()?,
        })
    }

    fn freezes(&mut self, at: &KeyPath, raw: &[RawFreeze]) -> Vec<Freeze> {
        let mut freezes = Vec::new();
        for (n, raw) in raw.iter().enumerate() {
            let at = at.index(n);
            // What is missing was taken down with the shape.
            if raw.cron.is_empty() || raw.duration.is_empty() {
                continue;
            }
            let duration = values::duration(&raw.duration, values::FREEZE);
            let Some(duration) = self.problems.take(&at.key("duration"), duration) else {
                continue;
            };
            let freeze = Freeze::new(&raw.cron, duration)
                .map_err(|error| Wrong::new(format!("not a schedule ({})", error.trim_end_matches('.')), A_SCHEDULE));
            freezes.extend(self.problems.take(&at.key("cron"), freeze));
        }
        freezes
    }
}

const A_CREDENTIAL: &str = "the name of a credential, after a table [credential.dockerhub] with secret = \"NAME\"";

const A_SCHEDULE: &str = "five fields of cron, or six with seconds first, as in \"0 18 * * FRI\"";

fn no_such(what: &str, name: &str, known: &[String]) -> Wrong {
    let known = || known.iter().map(String::as_str);
    let problem = match shape::nearest(name, known()) {
        Some(meant) => format!("no such {what}, did you mean \"{meant}\"?"),
        None => format!("no such {what}"),
    };
    let allowed = match shape::quoted(known()) {
        none if none.is_empty() => format!("none is there yet: write a table [{what}.{name}]"),
        names => names,
    };
    Wrong::new(problem, allowed)
}
