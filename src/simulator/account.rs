//! The state of the simulated account: what exists, and since when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::batch::Batch;
use super::build::Build;
use super::hub::Hub;
use super::logs::LogGroup;
use super::options::{Durations, Options, Unknowns};

/// Everything that the account holds. World-building verbs are in `world` and `project_edit`.
pub struct Account {
    pub(super) account_id: String,
    pub(super) region: String,
    pub(super) durations: Durations,
    pub(super) unknowns: Unknowns,
    pub(super) now: Timestamp,
    pub(super) projects: BTreeMap<String, Project>,
    pub(super) builds: Vec<Build>,
    pub(super) build_index: HashMap<String, usize>,
    pub(super) due: BinaryHeap<Reverse<(Timestamp, u64, Due)>>,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) keys: Vec<Key>,
    pub(super) hub: Hub,
    pub(super) ecr_public_throttled: bool,
    /// Images of ECR Public that are not there, by their repository.
    pub(super) ecr_public_lacks: BTreeSet<String>,
    pub(super) log_groups: BTreeMap<String, LogGroup>,
    pub(super) commands: Vec<ScriptedCommand>,
    pub(super) retry_tokens: Vec<RetryToken>,
    /// Objects in S3, by ARN.
    pub(super) s3_objects: BTreeMap<String, String>,
    pub(super) batches: Vec<Batch>,
    /// Enum values that the account has and the service model at hand does not know yet.
    pub(super) future_values: BTreeSet<String>,
    /// The role of each access key that `AssumeRole`, or a test, gave out.
    pub(super) sessions: BTreeMap<String, String>,
    /// What the organization lets the account do; all, if none.
    pub(super) service_control_policy: Option<Value>,
    sequence: u64,
}

/// Something that happens when its time has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The current phase of a build ends.
    Phase(usize),
    /// A project that builds again and again starts its next build.
    Recurring(String, SignedDuration),
}

/// A value and when it became so. Reads may lag behind by the delay that the caller names.
#[derive(Debug, Clone)]
pub(super) struct History<T>(Vec<(Timestamp, T)>);

impl<T> History<T> {
    /// True from the beginning of time: world-building is not a change.
    pub(super) fn always(value: T) -> Self {
        History(vec![(Timestamp::MIN, value)])
    }

    pub(super) fn set(&mut self, now: Timestamp, value: T) {
        self.0.push((now, value));
    }

    /// The newest value, as if it had come then.
    pub(super) fn as_if_since(&mut self, then: Timestamp) {
        if let Some((since, _)) = self.0.last_mut() {
            *since = then.min(*since);
        }
    }

    pub(super) fn latest(&self) -> Option<&T> {
        self.0.last().map(|(_, value)| value)
    }

    /// The value that an observer sees who learns of changes `delay` late.
    pub(super) fn seen(&self, now: Timestamp, delay: SignedDuration) -> Option<&T> {
        self.0.iter().rev().find(|(since, _)| now.duration_since(*since) >= delay).map(|(_, value)| value)
    }
}

/// A project, and the things outside AWS that its builds need.
#[derive(Debug, Clone)]
pub(super) struct Project {
    /// As BatchGetProjects returns it; `None` after its deletion.
    pub(super) json: History<Option<Arc<Value>>>,
    pub(super) last_build: i64,
    pub(super) outside: Outside,
}

/// What a build meets that is not in AWS.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    /// The images that `docker build` needs: the FROM lines.
    pub(super) dockerfile: Vec<String>,
    /// The images that `docker compose` needs.
    pub(super) compose: Vec<String>,
    pub(super) client: DockerClient,
    /// The version of docker in the build's image; none means what that image is known to have.
    pub(super) docker: Option<(u32, u32)>,
    /// The buildspec file that the repository holds.
    pub(super) repository_buildspec: Option<String>,
    /// Other files of the repository, by path: buildspecs and scripts.
    pub(super) files: BTreeMap<String, String>,
    /// The public address of the build's network.
    pub(super) address: String,
}

/// Whose words a refused pull comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DockerClient {
    /// The classic builder: `Step 1/5 : FROM ...`.
    #[default]
    Classic,
    /// BuildKit's numbered steps.
    BuildKit,
    /// Engine 29, whose text has no `toomanyrequests`.
    Engine29,
}

#[derive(Debug, Clone)]
pub(super) struct ScriptedCommand {
    /// In this project only.
    pub(super) project: Option<String>,
    pub(super) starts_with: String,
    pub(super) code: i32,
    pub(super) lines: Vec<String>,
}

/// An idempotency token of RetryBuild or StartBuild, remembered for five minutes.
#[derive(Debug, Clone)]
pub(super) struct RetryToken {
    pub(super) operation: &'static str,
    pub(super) token: String,
    pub(super) request: Value,
    pub(super) at: Timestamp,
    pub(super) build: usize,
}

/// A role with its policies; documents are kept as they were sent.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) created: Timestamp,
    pub(super) inline: History<BTreeMap<String, String>>,
    pub(super) managed: Vec<(String, Value)>,
    pub(super) boundary: Option<Value>,
    /// Who may take it on; anybody, if none.
    pub(super) trust: Option<Value>,
    /// Whether calls of its sessions are held to its policies.
    pub(super) held: bool,
}

impl Role {
    pub(super) fn arn(&self, account_id: &str, name: &str) -> String {
        format!("arn:aws:iam::{account_id}:role{}{name}", self.path)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub(super) arn: String,
    /// As given: key id, alias or ARN; `None` is the AWS managed key.
    pub(super) kms_key: Option<String>,
    /// Newest last: version id, text, and when.
    pub(super) versions: Vec<(String, String, Timestamp)>,
    pub(super) created: Timestamp,
    pub(super) deleted: Option<Timestamp>,
    /// As they were sent.
    pub(super) tags: Value,
    /// Whether the value is shown as bytes.
    pub(super) binary: bool,
}

impl Secret {
    /// The text of AWSCURRENT.
    pub(super) fn current(&self) -> Option<&str> {
        self.versions.last().map(|(_, text, _)| text.as_str())
    }
}

/// A customer managed key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) aliases: Vec<String>,
    /// Whether its key policy leaves the decision to IAM policies.
    pub(super) delegates_to_iam: bool,
}

impl Account {
    pub(super) fn new(options: &Options, now: Timestamp) -> Self {
        Account {
            account_id: options.account_id.clone(),
            region: options.region.clone(),
            durations: options.durations.clone(),
            unknowns: options.unknowns.clone(),
            now,
            projects: BTreeMap::new(),
            builds: Vec::new(),
            build_index: HashMap::new(),
            due: BinaryHeap::new(),
            roles: BTreeMap::new(),
            secrets: BTreeMap::new(),
            keys: Vec::new(),
            hub: Hub::default(),
            ecr_public_throttled: false,
            ecr_public_lacks: BTreeSet::new(),
            log_groups: BTreeMap::new(),
            commands: Vec::new(),
            retry_tokens: Vec::new(),
            s3_objects: BTreeMap::new(),
            batches: Vec::new(),
            future_values: BTreeSet::new(),
            sessions: BTreeMap::new(),
            service_control_policy: None,
            sequence: 0,
        }
    }

    /// A number that never comes twice.
    pub(super) fn next_number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Sixteen bytes that look random and are the same in every run.
    pub(super) fn scramble(&mut self) -> [u8; 16] {
        let mut state = self.next_number();
        let mut bytes = [0; 16];
        for half in bytes.chunks_mut(8) {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            half.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes());
            state = state.rotate_left(17);
        }
        bytes
    }

    pub(super) fn new_uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.scramble()).into_uuid().to_string()
    }

    /// `length` letters and digits, as in the suffix of a secret's ARN.
    pub(super) fn new_suffix(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        self.scramble()
            .iter()
            .cycle()
            .take(length)
            .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
            .collect()
    }

    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account_id)
    }

    /// The project as it is, whoever may see it yet.
    pub(super) fn project_now(&self, name: &str) -> Option<&Arc<Value>> {
        self.projects.get(name)?.json.latest()?.as_ref()
    }

    /// The project as a read shows it.
    pub(super) fn project_seen(&self, name: &str) -> Option<&Arc<Value>> {
        let delay = self.unknowns.stale_reads;
        self.projects.get(name)?.json.seen(self.now, delay)?.as_ref()
    }

    /// A change of a project: everyone sees it once the read delay is over. `lastModified` moves even if the clock stands still.
    pub(super) fn change_project(&mut self, name: &str, mut json: Value) {
        let now = self.now;
        let before = self.project_now(name).map(|old| seconds_of(old, "lastModified"));
        json["lastModified"] = later_than(before, now);
        if let Some(project) = self.projects.get_mut(name) {
            project.json.set(now, Some(Arc::new(json)));
        }
    }

    /// World-building: the project has always been so.
    pub(super) fn declare_project(&mut self, name: &str, edit: impl FnOnce(&mut Map<String, Value>)) {
        let mut json = self.project_now(name).map_or_else(|| json!({}), |json| Value::clone(json));
        if let Some(members) = json.as_object_mut() {
            edit(members);
        }
        if let Some(project) = self.projects.get_mut(name) {
            project.json = History::always(Some(Arc::new(json)));
        }
    }

    /// The policy documents of a role that are known `delay` after a change; text that is no JSON is left out.
    pub(super) fn policies_of(&self, role: &str, delay: SignedDuration) -> Vec<Value> {
        let Some(role) = self.roles.get(role) else {
            return Vec::new();
        };
        let inline = role
            .inline
            .seen(self.now, delay)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|document| serde_json::from_str(document).ok());
        inline.chain(role.managed.iter().map(|(_, document)| document.clone())).collect()
    }

    pub(super) fn change_inline(&mut self, role: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let now = self.now;
        if let Some(role) = self.roles.get_mut(role) {
            let mut policies = role.inline.latest().cloned().unwrap_or_default();
            change(&mut policies);
            role.inline.set(now, policies);
        }
    }
}

/// Seconds since 1970 with milliseconds, the timestamp form of the JSON protocols.
pub(super) fn seconds(at: Timestamp) -> Value {
    let millis = at.as_millisecond();
    if millis % 1000 == 0 {
        return json!(millis / 1000);
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
    let fraction = millis as f64 / 1000.0;
    json!(fraction)
}

fn seconds_of(json: &Value, member: &str) -> f64 {
    json.get(member).and_then(Value::as_f64).unwrap_or_default()
}

fn later_than(before: Option<f64>, now: Timestamp) -> Value {
    let now = seconds(now);
    match before {
        Some(before) if now.as_f64().is_some_and(|now| now <= before) => {
            json!(((before + 0.001) * 1000.0).round() / 1000.0)
        }
        _ => now,
    }
}
