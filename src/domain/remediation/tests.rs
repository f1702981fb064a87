//! What a remediation tells of itself.

use super::*;
use crate::domain::testing::*;
use rstest::rstest;

fn remediation(by: Approval, entries: &[Entry]) -> Remediation {
    let mut remediation = Remediation::begin(Plan { by, ..plan("web:41") }, at(0));
    for (entry, n) in entries.iter().zip(1..) {
        remediation.apply(entry, at(n)).unwrap();
    }
    remediation
}

fn in_place() -> [Entry; 3] {
    [Entry::InPlace { change: 0 }, Entry::InPlace { change: 1 }, Entry::Applied]
}

fn escalated() -> Entry {
    Entry::Escalated { reason: EscalationReason::Drift, detail: "because".to_string() }
}

#[rstest]
// Going forward it counts who asked for the plan.
#[case(Approval::Person, None, true)]
#[case(Approval::Policy, None, false)]
// Going back it counts who asked for that.
#[case(Approval::Person, Some(RollbackReason::StillThrottled), false)]
#[case(Approval::Policy, Some(RollbackReason::StillThrottled), false)]
#[case(Approval::Person, Some(RollbackReason::Operator), true)]
#[case(Approval::Policy, Some(RollbackReason::Operator), true)]
fn no_mode_holds_back_what_a_person_asked_for(
    #[case] by: Approval,
    #[case] taken_back: Option<RollbackReason>,
    #[case] expected: bool,
) {
    let entries: Vec<Entry> = in_place().into_iter().chain(taken_back.map(rollback)).collect();
    assert_eq!(remediation(by, &entries).is_asked_for(), expected);
}

#[test]
fn it_tells_when_each_stage_began() {
    let planned = remediation(Approval::Policy, &in_place()[..2]);
    assert_eq!((planned.planned(), planned.stage_since(), planned.applied()), (at(0), at(0), None));
    let applied = remediation(Approval::Policy, &in_place());
    assert_eq!((applied.planned(), applied.stage_since(), applied.applied()), (at(0), at(3), Some(at(3))));
    let entries: Vec<Entry> = in_place().into_iter().chain([rollback(RollbackReason::Operator)]).collect();
    let going_back = remediation(Approval::Policy, &entries);
    assert_eq!((going_back.stage_since(), going_back.applied()), (at(4), Some(at(3))));
    assert_eq!(going_back.because_of(), Some("because"));
}

#[test]
fn an_entry_is_named_as_the_ledger_writes_it() {
    let build = || id("web:42");
    let entries = [
        Entry::Planned(Box::new(plan("web:41"))),
        Entry::InPlace { change: 0 },
        Entry::Applied,
        Entry::RetryIntended,
        Entry::Retried { build: build() },
        Entry::RetryRefused { detail: "because".to_string() },
        Entry::Verified { by: build() },
        rollback(RollbackReason::Operator),
        Entry::SetBack { owner: Owner::Terraform },
        Entry::Undone { change: 0 },
        Entry::RolledBack,
        escalated(),
    ];
    for entry in entries {
        let written = serde_json::to_value(&entry).unwrap();
        let tag = written.as_str().or_else(|| written.as_object()?.keys().next().map(String::as_str));
        assert_eq!(tag, Some(entry.word()));
    }
}

#[test]
fn each_stage_has_a_word_and_a_phrase() {
    let stages = [
        (Stage::Planned, "planned", "being applied"),
        (Stage::Applied, "applied", "applied, waiting for proof"),
        (Stage::RollingBack, "rolling_back", "being taken back"),
        (Stage::Closed(Outcome::Verified), "verified", "verified"),
        (Stage::Closed(Outcome::RolledBack), "rolled_back", "taken back"),
        (Stage::Closed(Outcome::Escalated), "escalated", "left to a person"),
    ];
    for (stage, word, phrase) in stages {
        assert_eq!((stage.word(), stage.to_string().as_str()), (word, phrase));
    }
}

#[test]
fn what_no_run_writes_is_refused_with_its_entry_and_stage() {
    let mut planned = remediation(Approval::Policy, &[]);
    let refused = planned.apply(&Entry::RolledBack, at(1)).unwrap_err();
    assert_eq!(refused.to_string(), "rolled_back in stage Planned");
}
