//! The simulated time.

use jiff::{SignedDuration, Timestamp};

use super::options::Clock;

/// Where the simulated time stands and what moves it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SimulatedClock {
    base: Timestamp,
    /// The wall clock's time at `base`, and how many times as fast the simulated time goes.
    wall: Option<(Timestamp, f64)>,
}

impl SimulatedClock {
    pub(super) fn start(clock: Clock) -> Self {
        match clock {
            Clock::Manual(base) => SimulatedClock { base, wall: None },
            Clock::Wall { speed } => {
                let base = wall_clock();
                SimulatedClock { base, wall: Some((base, speed)) }
            }
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let Some((since, speed)) = self.wall else {
            return self.base;
        };
        let gone = wall_clock().duration_since(since).as_secs_f64() * speed;
        let gone = SignedDuration::try_from_secs_f64(gone).unwrap_or_default();
        self.base.saturating_add(gone).unwrap_or(self.base)
    }

    pub(super) fn advance(&mut self, by: SignedDuration) {
        self.base = self.base.saturating_add(by).unwrap_or(self.base);
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a simulator on the wall clock reads it")]
fn wall_clock() -> Timestamp {
    Timestamp::now()
}
