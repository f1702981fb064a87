//! Trouble on demand: faults of single calls, and calls that are held for ever, as if the caller died there.

use std::ops::{Bound, RangeBounds};
use std::time::Duration;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 400 `ThrottlingException`, "Rate exceeded", without effect.
    Throttled,
    /// A server error of this status, without effect.
    ServerError(u16),
    /// The answer comes this much later, on the wall clock.
    Latency(Duration),
    /// The call waits, without effect, until [`go_on`](super::Simulator::go_on) lets it on.
    Paused,
    /// The connection is closed before the effect.
    DropBefore,
    /// The connection is closed after the effect, without an answer.
    DropAfter,
    /// The effect happens and half of the answer's body arrives.
    TruncatedBody,
    /// The caller may not do this.
    AccessDenied,
    /// The caller's session has expired.
    ExpiredToken,
    /// AWS does not know the caller's access key, as in a region that the account has not enabled.
    UnknownKey,
}

/// When a held call stops, seen from its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has changed yet.
    BeforeEffect,
    /// The change is made, and nobody hears of it.
    AfterEffect,
}

#[derive(Debug, Clone)]
struct Rule {
    operation: String,
    first: u32,
    last: u32,
    seen: u32,
    fault: Fault,
}

/// What is to happen to the calls to come.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    rules: Vec<Rule>,
    hold: Option<(u32, Moment)>,
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Served(Option<Fault>),
    /// Held; the first one tells that the moment is reached.
    Held(Moment),
}

impl Trouble {
    pub(super) fn fault(&mut self, operation: &str, calls: impl RangeBounds<u32>, fault: Fault) {
        let first = match calls.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 1,
        };
        let last = match calls.end_bound() {
            Bound::Included(last) => *last,
            Bound::Excluded(after) => after.saturating_sub(1),
            Bound::Unbounded => u32::MAX,
        };
        self.rules.push(Rule { operation: operation.to_owned(), first, last, seen: 0, fault });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn hold(&mut self, call: u32, moment: Moment) {
        self.hold = Some((call.max(1), moment));
    }

    pub(super) fn release(&mut self) {
        self.hold = None;
    }

    /// Counts a call and says what happens to it. Once a call is held, all that follow are held without effect.
    pub(super) fn next(&mut self, operation: &str) -> Fate {
        if let Some((left, moment)) = &mut self.hold {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let moment = *moment;
                self.hold = Some((1, Moment::BeforeEffect));
                return Fate::Held(moment);
            }
        }
        let mut fault = None;
        for rule in &mut self.rules {
            if rule.operation != "*" && rule.operation != operation {
                continue;
            }
            rule.seen += 1;
            if (rule.first..=rule.last).contains(&rule.seen) {
                fault = fault.or(Some(rule.fault));
            }
        }
        Fate::Served(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_its_own_operation_alone() {
        let mut trouble = Trouble::default();
        trouble.fault("UpdateProject", 2..=2, Fault::Throttled);
        let fates: Vec<Fate> = ["UpdateProject", "ListBuilds", "UpdateProject", "UpdateProject"]
            .map(|operation| trouble.next(operation))
            .to_vec();
        let fine = Fate::Served(None);
        assert_eq!(fates, [fine, fine, Fate::Served(Some(Fault::Throttled)), fine]);
    }

    #[test]
    fn after_a_held_call_nothing_has_an_effect_until_the_release() {
        let mut trouble = Trouble::default();
        trouble.hold(2, Moment::AfterEffect);
        assert_eq!(trouble.next("A"), Fate::Served(None));
        assert_eq!(trouble.next("A"), Fate::Held(Moment::AfterEffect));
        assert_eq!(trouble.next("A"), Fate::Held(Moment::BeforeEffect));
        assert_eq!(trouble.next("A"), Fate::Held(Moment::BeforeEffect));
        trouble.release();
        assert_eq!(trouble.next("A"), Fate::Served(None));
    }
}
