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
mod mistake;
mod pass;
mod people;
mod point;
mod told;
mod watchman;

pub use cast::Scenario;
pub use mistake::Mistake;
pub use point::{Pass, Point};

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
    /// What the daemon is made to forget, to see that it is found.
    pub mistake: Option<Mistake>,
    /// Where the one disturbance of an exhaustive pass is; only for the scenarios of one remedy.
    pub point: Option<Point>,
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
    /// The points of a pass: the story is played once undisturbed, and its calls and entries are counted.
    ///
    /// # Errors
    /// As [`Run::play`].
    pub fn points(&self, pass: Pass) -> anyhow::Result<Vec<Point>> {
        let story = Run { point: None, trace: false, ..self.clone() }.play()?;
        let counted = |what: &str| story.covered.get(what).copied().unwrap_or_default();
        Ok(pass.points(counted("calls of the story"), counted("entries of the story")))
    }

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
