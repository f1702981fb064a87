//! Collects the events that a test's own thread emits.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use unthrottled::edge::event::{Event, TARGET};

/// What was emitted since it was installed or last taken. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    events: Arc<Mutex<Vec<Event>>>,
}

impl Capture {
    /// An empty one.
    pub fn new() -> Capture {
        Capture::default()
    }

    /// Collects from this thread until the guard is dropped. A current-thread runtime stays on it.
    pub fn install(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::registry().with(self.clone());
        tracing::subscriber::set_default(subscriber)
    }

    /// What was emitted.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// What was emitted, and begins anew.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// The names of what was emitted.
    pub fn names(&self) -> Vec<&'static str> {
        self.events().iter().map(|event| event.event.name()).collect()
    }
}

impl<S: tracing::Subscriber> Layer<S> for Capture {
    fn on_event(&self, record: &tracing::Event<'_>, _: Context<'_, S>) {
        if record.metadata().target() == TARGET {
            let mut json = Json(None);
            record.record(&mut json);
            let json = json.0.expect("an event's record carries its JSON");
            let event = serde_json::from_str(&json).expect("an event's JSON is an event");
            self.events.lock().unwrap().push(event);
        }
    }
}

struct Json(Option<String>);

impl Visit for Json {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "json" {
            self.0 = Some(value.to_string());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
