//! Counts the events that a subscriber is given, whatever is written of them.

use super::Metrics;
use crate::edge::event::TARGET;
use crate::edge::event::collect::read;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer};

/// Counts events.
#[derive(Clone, Debug)]
pub struct Counting {
    metrics: Metrics,
}

/// Lets events through, and nothing else: what is not written for its level is counted all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventsAlone;

impl Counting {
    pub(super) fn new(metrics: Metrics) -> Counting {
        Counting { metrics }
    }
}

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, record: &Event<'_>, _: Context<'_, S>) {
        if let Some(event) = read(record) {
            self.metrics.told(&event);
        }
    }
}

impl<S> Filter<S> for EventsAlone {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.target() == TARGET
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::always() } else { Interest::never() }
    }

    /// No event is below debug.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
}
