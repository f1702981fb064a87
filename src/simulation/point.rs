//! Where one run of an exhaustive pass is disturbed, and how: written as `kill-after@17`.

use super::people::{EDITS, Edit};
use crate::simulator::Fault;
use std::fmt;
use std::str::FromStr;

/// One disturbance of a story that is otherwise always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub(super) how: How,
    /// The call to AWS, or the entry of the ledger, counted from 1.
    pub(super) at: u64,
}

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The daemon is killed; its call never has an effect.
    KillBefore,
    /// The daemon is killed; its call has its effect, and nobody hears the answer.
    KillAfter,
    /// The daemon is killed as soon as the entry is in the ledger.
    KillAtEntry,
    /// A person edits, then the call goes on.
    Edit(Edit),
    /// The call fails.
    Fault(Fault),
    /// A second daemon wakes and goes on until there is nothing to do; then the call goes on.
    Second,
    /// A person takes everything back, and another process does it to the end; then the call goes on, if it is no write.
    Rollback,
    /// A second daemon wakes and goes on to this call; the first ends its tick, then the second goes on.
    Pair(u64),
}

/// A pass: one kind of disturbance at every point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Pass {
    /// A kill before and after each call to AWS.
    Kill,
    /// A kill between every two entries of the ledger.
    Entry,
    /// Each edit of a person before each call.
    Edit,
    /// Each call failing once, with and without its effect.
    Fault,
    /// A second daemon at each call.
    Second,
    /// Everything taken back by another process, before each call that writes nothing.
    Rollback,
    /// A second daemon at each call, paused at each of its own: long.
    Pair,
}

const FAULTS: [Fault; 5] =
    [Fault::Throttled, Fault::ServerError(500), Fault::DropBefore, Fault::DropAfter, Fault::TruncatedBody];

impl Pass {
    /// Its points in a story of so many calls and entries.
    pub fn points(self, calls: u64, entries: u64) -> Vec<Point> {
        let each = |hows: &[How]| -> Vec<Point> {
            (1..=calls).flat_map(|at| hows.iter().map(move |how| Point { how: *how, at })).collect()
        };
        match self {
            Pass::Kill => each(&[How::KillBefore, How::KillAfter]),
            Pass::Entry => (1..=entries).map(|at| Point { how: How::KillAtEntry, at }).collect(),
            Pass::Edit => each(&EDITS.map(|(edit, _)| How::Edit(edit))),
            Pass::Fault => each(&FAULTS.map(How::Fault)),
            Pass::Second => each(&[How::Second]),
            Pass::Rollback => each(&[How::Rollback]),
            Pass::Pair => each(&(1..=calls).map(How::Pair).collect::<Vec<How>>()),
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::KillBefore => f.write_str("kill-before"),
            How::KillAfter => f.write_str("kill-after"),
            How::KillAtEntry => f.write_str("kill-at-entry"),
            How::Edit(edit) => write!(f, "edit-{edit:?}"),
            How::Fault(fault) => write!(f, "fault-{fault:?}"),
            How::Second => f.write_str("second"),
            How::Rollback => f.write_str("rollback"),
            How::Pair(call) => write!(f, "pair-{call}"),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.how, self.at)
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Point, String> {
        let wrong = || format!("`{text}` is no point like `kill-after@17`, `edit-Image@3` or `pair-4@9`");
        let (how, at) = text.split_once('@').ok_or_else(wrong)?;
        let at = at.parse().map_err(|_| wrong())?;
        if let Some(call) = how.strip_prefix("pair-") {
            return Ok(Point { how: How::Pair(call.parse().map_err(|_| wrong())?), at });
        }
        let plain = [How::KillBefore, How::KillAfter, How::KillAtEntry, How::Second, How::Rollback];
        let edits = EDITS.iter().map(|(edit, _)| How::Edit(*edit));
        let mut all = plain.into_iter().chain(edits).chain(FAULTS.map(How::Fault));
        let how = all.find(|known| known.to_string() == how).ok_or_else(wrong)?;
        Ok(Point { how, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_read_as_it_is_written() {
        let passes = [Pass::Kill, Pass::Entry, Pass::Edit, Pass::Fault, Pass::Second, Pass::Rollback, Pass::Pair];
        let points: Vec<Point> = passes.iter().flat_map(|pass| pass.points(3, 2)).collect();
        assert_eq!(points.len(), 6 + 2 + 3 * EDITS.len() + 3 * FAULTS.len() + 3 + 3 + 9);
        for point in points {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        assert!("kill-after".parse::<Point>().is_err() && "edit-Nothing@1".parse::<Point>().is_err());
    }
}
