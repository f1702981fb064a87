//! Collects events instead of writing them out: for those that show them in another form.

use super::{Event, TARGET};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Events that were emitted since they were last taken. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    events: Arc<Mutex<Vec<Event>>>,
}

impl Collector {
    /// Collects what this thread emits until the guard is dropped. A current-thread runtime stays on its thread.
    pub fn install(&self) -> DefaultGuard {
        tracing::subscriber::set_default(tracing_subscriber::registry().with(self.clone()))
    }

    /// What was emitted since the last time.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: tracing::Subscriber> Layer<S> for Collector {
    /// Events alone: what libraries log costs nothing here.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == TARGET
    }

    fn on_event(&self, record: &tracing::Event<'_>, _: Context<'_, S>) {
        if let Some(event) = read(record) {
            self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    }
}

/// The event that a tracing record carries, if it does.
pub(crate) fn read(record: &tracing::Event<'_>) -> Option<Event> {
    if record.metadata().target() != TARGET {
        return None;
    }
    let mut json = Json(None);
    record.record(&mut json);
    serde_json::from_str(&json.0?).ok()
}

/// The one field of an event's record.
struct Json(Option<String>);

impl Visit for Json {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "json" {
            self.0 = Some(value.to_string());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
