//! The daemon against the simulated account, in simulated time, from a seed.
//!
//! One run takes a few hours of an account in which everything goes wrong at once: calls are throttled, cut and answered by
//! half, with and without their effect; the daemon is killed at any of them and started again; a second one wakes beside it;
//! people and their infrastructure code edit the same projects and roles; reads are stale, grants take seconds to reach the
//! builds, clocks jump. Every call of every instance waits at a gate, and the seed says which goes on next and what becomes
//! of it: the same seed is the same run, call by call.
//!
//! What must hold is checked at each write ([`watchman`]) and at the end ([`ending`]). A broken invariant is told with its
//! seed, and `unthrottled simulate --seed N --trace` plays it again.

mod cast;
mod chaos;
mod ending;
mod instance;
mod people;
mod told;
mod watchman;

pub use cast::Scenario;

use chaos::Chaos;
use std::collections::BTreeMap;

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What everything in the run follows from.
    pub seed: u64,
    /// What is played.
    pub scenario: Scenario,
    /// Whether each step is told as it happens.
    pub trace: bool,
}

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What did not hold, in the order in which it was found.
    pub broken: Vec<String>,
    /// What the run went through, by name: calls, faults, kills, edits, ends of remediations.
    pub covered: BTreeMap<String, u64>,
    /// What happened, a line each, if it was to be traced.
    pub trace: Vec<String>,
}

impl Outcome {
    /// Whether everything held.
    pub fn held(&self) -> bool {
        self.broken.is_empty()
    }
}

impl Run {
    /// Plays it, on this thread. Must not be called from within an asynchronous runtime.
    ///
    /// # Errors
    /// Only what is not the daemon's: no loopback port, no folder for the ledger.
    pub fn play(&self) -> anyhow::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let mut chaos = Chaos::new(self)?;
            chaos.play().await?;
            Ok(chaos.outcome())
        })
    }
}
