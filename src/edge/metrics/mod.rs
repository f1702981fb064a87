//! How much of what happened: counters that start at 0 with the process, and gauges as of the last tick.
//!
//! Counted from the events, from the calls that the SDK sends, and from what a tick saw. Memory is bounded: a number for
//! each of a bounded set of labels, and the ends of the last [`REMEMBERED`] throttled builds.

mod emf;
mod layer;
mod prometheus;
mod table;

pub use emf::NAMESPACE;
pub use layer::{Counting, EventsAlone};
pub use table::{BUCKETS, Kind, Metric, Unit};

use crate::domain::build::BuildId;
use crate::edge::event::{self, Event};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The target of the tracing records that carry a line for CloudWatch. Nothing else logs under it.
pub const TARGET: &str = "unthrottled::metrics";

/// Throttled builds whose end is remembered until their remedy is in place.
const REMEMBERED: usize = 1_000;

/// Values that wait for the next line at most: without lines nothing grows.
const MOST_FRESH: usize = 1_000;

/// All metrics of the process. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    held: Arc<Mutex<Held>>,
}

/// What the scopes looked like in one tick, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Projects under some policy among the newest builds.
    pub projects_seen: u64,
    /// Projects under none.
    pub projects_unwatched: u64,
    /// Scopes in which none under a policy was seen.
    pub scopes_watching_nothing: u64,
    /// Scopes that could not be read as a whole.
    pub scopes_incomplete: u64,
    /// For how long the oldest unread build has been listed.
    pub oldest_unread: SignedDuration,
    /// Credentials that could not be used when they were last read.
    pub credentials_unusable: u64,
    /// Credentials whose account had too few pulls left when that was last answered.
    pub credentials_quota_low: u64,
    /// Credentials of which it is not known what their account has left.
    pub credentials_quota_unknown: u64,
    /// What the accounts of credentials had left, by the credential's name, where it is known and limited.
    pub pulls: BTreeMap<String, Pulls>,
}

/// What an account had left. Ordered: less left is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pulls {
    /// So many pulls.
    pub remaining: u64,
    /// Of so many.
    pub limit: u64,
}

impl Coverage {
    /// With that of another scope.
    pub fn add(&mut self, other: Coverage) {
        self.projects_seen += other.projects_seen;
        self.projects_unwatched += other.projects_unwatched;
        self.scopes_watching_nothing += other.scopes_watching_nothing;
        self.scopes_incomplete += other.scopes_incomplete;
        self.oldest_unread = self.oldest_unread.max(other.oldest_unread);
        self.credentials_unusable += other.credentials_unusable;
        self.credentials_quota_low += other.credentials_quota_low;
        self.credentials_quota_unknown += other.credentials_quota_unknown;
        for (credential, pulls) in other.pulls {
            // One name is a secret in each scope, of one account or of several: the worst is told.
            self.pulls.entry(credential).and_modify(|least| *least = pulls.min(*least)).or_insert(pulls);
        }
    }
}

/// One value of each kind, by its labels.
#[derive(Debug, Default)]
struct Held {
    counters: BTreeMap<(Metric, Vec<String>), Counter>,
    gauges: BTreeMap<(Metric, Vec<String>), f64>,
    distributions: BTreeMap<Metric, Distribution>,
    /// When the last whole tick ended, or the first tick began.
    whole: Option<Timestamp>,
    /// When throttled builds ended.
    ended: VecDeque<(BuildId, Timestamp)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    total: u64,
    /// How much of it stands in a line.
    told: u64,
}

#[derive(Clone, Debug)]
struct Distribution {
    /// How many fell into each bucket, and beyond the last.
    buckets: Vec<u64>,
    sum: f64,
    count: u64,
    /// Those that stand in no line yet.
    fresh: Vec<f64>,
}

impl Metrics {
    /// Counts a call to AWS. `status` is a word of a bounded list.
    pub fn called(&self, service: &str, operation: &str, status: &str) {
        self.update(|held| held.count(Metric::Calls, &[service, operation, status], 1));
    }

    /// Counts what an event tells.
    pub fn told(&self, event: &Event) {
        self.update(|held| held.take_event(event));
    }

    /// Takes in what a tick came to, that began and ended then. Builds are counted whether or not it was whole.
    pub fn ticked(&self, counts: event::Tick, coverage: Coverage, began: Timestamp, ended: Timestamp) {
        self.update(|held| {
            held.count(Metric::BuildsSeen, &[], counts.builds_read);
            held.count(Metric::BuildsFailed, &[], counts.builds_failed);
            held.set(Metric::BuildsWaiting, counts.builds_waiting);
            held.set(Metric::RemediationsOpen, counts.remediations_open);
            held.set(Metric::ProjectsSeen, coverage.projects_seen);
            held.set(Metric::ProjectsUnwatched, coverage.projects_unwatched);
            held.set(Metric::ScopesWatchingNothing, coverage.scopes_watching_nothing);
            held.set(Metric::ScopesIncomplete, coverage.scopes_incomplete);
            held.set(Metric::CredentialsUnusable, coverage.credentials_unusable);
            held.set(Metric::CredentialsQuotaLow, coverage.credentials_quota_low);
            held.set(Metric::CredentialsQuotaUnknown, coverage.credentials_quota_unknown);
            held.set_pulls(&coverage.pulls);
            held.gauges.insert((Metric::OldestUnreadBuildSeconds, Vec::new()), seconds(coverage.oldest_unread));
            held.tick_ended(coverage.scopes_incomplete == 0, began, ended);
        });
    }

    /// A tick ended early, as the ledger could not be used.
    pub fn tick_failed(&self, began: Timestamp, ended: Timestamp) {
        self.update(|held| held.tick_ended(false, began, ended));
    }

    /// All of it as Prometheus reads it.
    pub fn prometheus(&self, now: Timestamp) -> String {
        prometheus::render(&self.held.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Logs a line for CloudWatch for each set of labels that something happened to since the last time, and one for all
    /// else.
    pub fn tell(&self, now: Timestamp) {
        let lines = emf::take(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner), now);
        for line in lines {
            let json = line.as_str();
            tracing::info!(target: TARGET, json);
        }
    }

    /// The layer that counts the events of a subscriber.
    pub fn layer(&self) -> Counting {
        Counting::new(self.clone())
    }

    fn update(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Held {
    fn count(&mut self, metric: Metric, labels: &[&str], by: u64) {
        let labels = labels.iter().map(ToString::to_string).collect();
        let counter = self.counters.entry((metric, labels)).or_default();
        counter.total = counter.total.saturating_add(by);
    }

    fn set(&mut self, metric: Metric, value: u64) {
        // Far below 2^53: exact.
        self.gauges.insert((metric, Vec::new()), value as f64);
    }

    /// What is not known any more has no value: the last one would pass for it.
    fn set_pulls(&mut self, pulls: &BTreeMap<String, Pulls>) {
        self.gauges.retain(|(_, labels), _| labels.is_empty());
        for (credential, Pulls { remaining, limit }) in pulls {
            let values = [(Metric::CredentialPullsRemaining, *remaining), (Metric::CredentialPullsLimit, *limit)];
            for (metric, value) in values {
                self.gauges.insert((metric, vec![credential.clone()]), value as f64);
            }
        }
    }

    fn observe(&mut self, metric: Metric, length: SignedDuration) {
        self.distributions.entry(metric).or_default().observe(seconds(length));
    }

    fn tick_ended(&mut self, whole: bool, began: Timestamp, ended: Timestamp) {
        self.count(Metric::Ticks, &[if whole { "whole" } else { "part" }], 1);
        self.observe(Metric::TickSeconds, ended.duration_since(began));
        self.whole = if whole { Some(ended) } else { self.whole.or(Some(began)) };
    }

    /// The gauges, that which counts on between ticks included.
    fn gauges(&self, now: Timestamp) -> BTreeMap<(Metric, Vec<String>), f64> {
        let mut gauges = self.gauges.clone();
        if let Some(whole) = self.whole {
            gauges.insert((Metric::SinceWholeTickSeconds, Vec::new()), seconds(now.duration_since(whole)));
        }
        gauges
    }

    fn take_event(&mut self, event: &Event) {
        self.count(Metric::Events, &[event.event.name(), event.level.name()], 1);
        if let Some(outcome) = outcome(event.event) {
            let remedy = event.remedy.map_or("none", |remedy| remedy.name());
            self.count(Metric::Remediations, &[remedy, outcome], 1);
        }
        match event.event {
            event::Kind::ThrottleDetected => self.take_throttle(event),
            event::Kind::RemediationApplied => {
                let of = event.build_id.as_ref();
                if let Some(at) = self.ended.iter().position(|(build, _)| Some(build) == of)
                    && let Some((_, ended)) = self.ended.remove(at)
                {
                    self.observe(Metric::AppliedSeconds, event.timestamp.duration_since(ended));
                }
            }
            _ => (),
        }
    }

    fn take_throttle(&mut self, event: &Event) {
        let word = |word: Option<String>| word.unwrap_or_else(|| "unknown".to_string());
        let diagnosis = word(event.diagnosis.and_then(event::word));
        let registry = word(event.registry.and_then(event::word));
        self.count(Metric::Throttles, &[&diagnosis, &registry], 1);
        let Some(took) = event.duration_ms.map(SignedDuration::from_millis) else { return };
        self.observe(Metric::DetectionSeconds, took);
        if let (Some(build), Ok(ended)) = (&event.build_id, event.timestamp.checked_sub(took)) {
            if self.ended.len() == REMEMBERED {
                self.ended.pop_front();
            }
            self.ended.push_back((build.clone(), ended));
        }
    }
}

impl Default for Distribution {
    fn default() -> Distribution {
        Distribution { buckets: vec![0; BUCKETS.len() + 1], sum: 0.0, count: 0, fresh: Vec::new() }
    }
}

impl Distribution {
    fn observe(&mut self, value: f64) {
        let bucket = BUCKETS.iter().position(|bound| value <= *bound).unwrap_or(BUCKETS.len());
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.sum += value;
        self.count += 1;
        if self.fresh.len() < MOST_FRESH {
            self.fresh.push(value);
        }
    }
}

/// What an event says became of a throttled build.
fn outcome(kind: event::Kind) -> Option<&'static str> {
    use event::Kind;
    Some(match kind {
        Kind::RemediationProposed => "proposed",
        Kind::RemediationPlanned => "planned",
        Kind::RemediationApplied => "applied",
        Kind::RemediationVerified => "verified",
        Kind::RemediationHeld => "held",
        Kind::RemediationSetBack => "set_back",
        Kind::RemediationRolledBack => "rolled_back",
        Kind::RemediationEscalated => "escalated",
        Kind::RemedyUnavailable => "unavailable",
        _ => return None,
    })
}

/// Never negative: a clock that was set back tells nothing.
fn seconds(length: SignedDuration) -> f64 {
    length.as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests;
