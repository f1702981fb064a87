//! What happened, for people and programs outside: the closed list of events, and the only place that logs them.
//!
//! An event of a ledger record comes from [`of_record`]: it is emitted after the record is durable, and once more if the
//! daemon can't tell whether it was, under the same `event_id`. The others tell of the daemon itself and are emitted once.

pub mod collect;
mod kind;
mod recorded;

pub use kind::{Kind, Level};
pub(crate) use recorded::word;

use crate::domain::build::{BuildId, PhaseName, ProjectName};
use crate::domain::classify::{Cause, Login, Registry, Site};
use crate::domain::history::{History, Record};
use crate::domain::patch::Owner;
use crate::domain::plan::{Plan, RemediationId};
use crate::domain::policy::{Mode, Remedy};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// The target of the tracing records that carry an event. Nothing else logs under it.
pub const TARGET: &str = "unthrottled::event";

/// The schema that this version writes. It changes with what breaks a reader; a new field does not.
const SCHEMA: u32 = 1;

/// One thing that happened, flat. What does not apply is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, RFC 3339 in UTC with milliseconds.
    #[serde(serialize_with = "with_milliseconds")]
    #[schemars(with = "String")]
    pub timestamp: Timestamp,
    /// How much it asks of people.
    pub level: Level,
    /// What happened.
    pub event: Kind,
    /// The same in a sentence that can be read alone.
    pub message: String,
    /// The schema of this line.
    pub schema: u32,
    /// Stable: a line that is written twice has the same. Only events that are in the ledger have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The scope's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The AWS account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The AWS region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The CodeBuild project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_name: Option<ProjectName>,
    /// The throttled build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<BuildId>,
    /// Its number within the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_number: Option<i64>,
    /// The phase that it failed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// Who pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Site>,
    /// Whose registry refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// Whether the pull was authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// What the evidence means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Cause>,
    /// The line that proves it, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The policy's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The mode that holds a plan back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The kind of fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    /// The remediation's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation_id: Option<RemediationId>,
    /// The credential's name in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The diff, several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<String>,
    /// Whose code owns the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The patch for the owner, in the form of the code that owns the project, else as commands of the AWS CLI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Why: a word of a bounded list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Which remediation of the project this is, counted since a person last cleared it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<usize>,
    /// From the build's end to its detection; from the plan to its being applied, proven or taken back; or of the tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// The build that proved, disproved or repeats it, or `operator`; or the daemon that holds the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Builds read in the tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builds_read: Option<u64>,
    /// Those of them that had failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builds_failed: Option<u64>,
    /// Those of them that were throttled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builds_throttled: Option<u64>,
    /// Builds that will be looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builds_waiting: Option<u64>,
    /// Remediations under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediations_open: Option<u64>,
}

/// Where a scope is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The scope's name.
    pub scope: String,
    /// Its account, once it is known.
    pub account: Option<String>,
    /// Its region.
    pub region: String,
}

/// What one tick came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Builds read.
    pub builds_read: u64,
    /// Those of them that had failed.
    pub builds_failed: u64,
    /// Those of them that were throttled.
    pub builds_throttled: u64,
    /// Builds that will be looked at again.
    pub builds_waiting: u64,
    /// Remediations under way.
    pub remediations_open: u64,
}

/// The event of a record, if it has one. `history` is folded up to and with the record.
///
/// # Guarantees
/// The same record, history, place and ledger give the same event, so that one written out twice can be told.
pub fn of_record(record: &Record, history: &History, place: &Place, ledger_id: &str) -> Option<Event> {
    let event = recorded::event(record, history)?;
    Some(Event { event_id: Some(format!("{ledger_id}-{}", record.seq)), ..event.at_place(place) })
}

/// The daemon started; `settings` is the text of those in force.
pub fn daemon_started(settings: &str, now: Timestamp) -> Event {
    let message = format!("unthrottled {} started", env!("CARGO_PKG_VERSION"));
    Event { detail: Some(settings.to_string()), ..Event::new(Kind::DaemonStarted, message, now) }
}

/// The daemon stops.
pub fn daemon_stopped(now: Timestamp) -> Event {
    let message = "unthrottled stopped; what is under way goes on at the next start".to_string();
    Event::new(Kind::DaemonStopped, message, now)
}

/// Another daemon acts on the ledger; `holder` is what it says of itself.
pub fn lease_awaited(ledger: &str, holder: &str, now: Timestamp) -> Event {
    let message = format!("Waiting for the lease on {ledger}, which another daemon ({holder}) holds");
    Event { by: Some(holder.to_string()), ..Event::new(Kind::LeaseAwaited, message, now) }
}

/// Another daemon may act on the ledger from now on.
pub fn lease_lost(ledger: &str, now: Timestamp) -> Event {
    let message = format!(
        "The lease on {ledger} is lost, as another daemon took it over or the table could not be reached: nothing more is changed until it is held again"
    );
    Event::new(Kind::LeaseLost, message, now)
}

/// New settings are in force; `settings` is their text.
pub fn settings_reloaded(settings: &str, now: Timestamp) -> Event {
    Event {
        detail: Some(settings.to_string()),
        ..Event::new(Kind::SettingsReloaded, "New settings are in force".to_string(), now)
    }
}

/// New settings are bad.
pub fn settings_rejected(detail: &str, now: Timestamp) -> Event {
    let message = format!("The new settings are bad, and the last good ones stay: {detail}");
    Event { detail: Some(detail.to_string()), ..Event::new(Kind::SettingsRejected, message, now) }
}

/// A scope was looked at.
pub fn tick_completed(place: &Place, tick: Tick, took: SignedDuration, now: Timestamp) -> Event {
    let message = format!(
        "Looked at scope `{}`: {} builds read, {} throttled, {} remediations under way",
        place.scope, tick.builds_read, tick.builds_throttled, tick.remediations_open
    );
    Event {
        duration_ms: Some(milliseconds(took)),
        builds_read: Some(tick.builds_read),
        builds_failed: Some(tick.builds_failed),
        builds_throttled: Some(tick.builds_throttled),
        builds_waiting: Some(tick.builds_waiting),
        remediations_open: Some(tick.remediations_open),
        ..Event::new(Kind::TickCompleted, message, now).at_place(place)
    }
}

/// Part of a scope could not be read. `reason` is a word of a bounded list.
pub fn scan_incomplete(place: &Place, reason: &str, detail: &str, now: Timestamp) -> Event {
    let message = format!("Scope `{}` could not be read as a whole: {detail}", place.scope);
    Event::new(Kind::ScanIncomplete, message, now).because(reason, detail).at_place(place)
}

/// A write of this plan's was not sent. `reason` is a word of a bounded list.
pub fn write_refused(place: &Place, plan: &Plan, reason: &str, detail: &str, now: Timestamp) -> Event {
    let message = format!("Nothing was written for `{}` of project `{}`: {detail}", plan.remedy, plan.project);
    recorded::about(plan, Kind::WriteRefused, message, now).because(reason, detail).at_place(place)
}

/// A credential can't be used. `reason` is a word of a bounded list.
pub fn credential_unusable(place: &Place, credential: &str, reason: &str, detail: &str, now: Timestamp) -> Event {
    let message = format!("Credential `{credential}` can't be used in scope `{}`: {detail}", place.scope);
    Event {
        credential: Some(credential.to_string()),
        ..Event::new(Kind::CredentialUnusable, message, now).because(reason, detail).at_place(place)
    }
}

/// What a credential's account has left is not known. `reason` is a word of a bounded list.
pub fn quota_unknown(place: &Place, credential: &str, reason: &str, detail: &str, now: Timestamp) -> Event {
    let message = format!(
        "What the account of credential `{credential}` has left at Docker Hub is not known in scope `{}`: {detail}",
        place.scope
    );
    Event {
        credential: Some(credential.to_string()),
        ..Event::new(Kind::QuotaUnknown, message, now).because(reason, detail).at_place(place)
    }
}

/// Logs an event: the only function that does.
pub fn emit(event: &Event) {
    let json = match serde_json::to_string(event) {
        Ok(json) => json,
        Err(error) => {
            tracing::error!(event = event.event.name(), %error, "an event could not be written");
            return;
        }
    };
    let json = json.as_str();
    match event.level {
        Level::Error => tracing::error!(target: TARGET, json),
        Level::Warn => tracing::warn!(target: TARGET, json),
        Level::Info => tracing::info!(target: TARGET, json),
        Level::Debug => tracing::debug!(target: TARGET, json),
    }
}

/// The JSON Schema of a line.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Event)
}

impl Event {
    fn new(kind: Kind, message: String, at: Timestamp) -> Event {
        Event {
            // What is written is what is held: a line read back is equal.
            timestamp: Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at),
            level: kind.level(),
            event: kind,
            message,
            schema: SCHEMA,
            event_id: None,
            scope: None,
            account: None,
            region: None,
            project_name: None,
            build_id: None,
            build_number: None,
            phase: None,
            site: None,
            registry: None,
            login: None,
            diagnosis: None,
            evidence: None,
            policy: None,
            mode: None,
            remedy: None,
            remediation_id: None,
            credential: None,
            changes: None,
            owner: None,
            patch: None,
            reason: None,
            detail: None,
            attempt: None,
            duration_ms: None,
            by: None,
            builds_read: None,
            builds_failed: None,
            builds_throttled: None,
            builds_waiting: None,
            remediations_open: None,
        }
    }

    fn at_place(mut self, place: &Place) -> Event {
        self.scope = Some(place.scope.clone());
        self.account.clone_from(&place.account);
        self.region = Some(place.region.clone());
        self
    }

    fn because(mut self, reason: &str, detail: &str) -> Event {
        self.reason = Some(reason.to_string());
        self.detail = Some(detail.to_string());
        self
    }
}

fn with_milliseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

/// A duration as events tell it.
fn milliseconds(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
