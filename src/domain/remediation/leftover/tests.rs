//! A grant that a rollback left, held against what one look shows.

use super::*;
use crate::domain::change::GrantSeen;
use crate::domain::remediation::RollbackReason;
use crate::domain::testing::*;

/// When the look is, unless a test says otherwise.
const NOW: i64 = 1_000;

fn by(name: &str) -> Entry {
    Entry::GrantKept { by: ProjectName::new(name) }
}

/// A remediation that was taken back, but for its grant, which `hand` needs.
fn kept() -> Remediation {
    let mut remediation = Remediation::begin(plan("web:41"), at(0));
    let entries = [
        Entry::InPlace { change: 0 },
        Entry::Begun { change: 1 },
        Entry::InPlace { change: 1 },
        Entry::Applied,
        rollback(RollbackReason::Operator),
        Entry::Undone { change: 1 },
        by("hand"),
        Entry::RolledBack,
    ];
    for (entry, n) in entries.iter().zip(1..) {
        remediation.apply(entry, at(n)).unwrap();
    }
    remediation
}

/// The same, after nothing was seen to need the grant.
fn unneeded(at_second: i64) -> Remediation {
    let mut remediation = kept();
    remediation.apply(&Entry::GrantUnneeded, at(at_second)).unwrap();
    remediation
}

fn seen(grant: GrantSeen, grant_use: GrantUse) -> Seen {
    Seen {
        since: Timestamp::MIN,
        builds_read: true,
        project: Some(project("web")),
        grant,
        grant_use,
        verdicts: Vec::new(),
    }
}

fn ours() -> GrantSeen {
    GrantSeen::Present(grant_document())
}

fn needed(name: &str) -> GrantUse {
    GrantUse::Needed(ProjectName::new(name))
}

#[test]
fn a_kept_grant_is_looked_at_again_an_hour_later_while_the_same_project_needs_it() {
    let step = kept().next_step(&seen(ours(), needed("hand")), at(NOW));
    assert_eq!(step, Step::Wait { until: at(NOW) + KEPT_LOOK });
}

#[test]
fn another_project_that_needs_it_is_noted() {
    assert_eq!(kept().next_step(&seen(ours(), needed("other")), at(NOW)), Step::Record(by("other")));
}

#[test]
fn it_goes_only_after_nothing_needed_it_for_as_long_as_a_read_may_lag() {
    let free = seen(ours(), GrantUse::Free);
    assert_eq!(kept().next_step(&free, at(NOW)), Step::Record(Entry::GrantUnneeded));
    let unneeded = unneeded(NOW);
    let settles = at(NOW) + unneeded.plan().settle;
    assert_eq!(unneeded.next_step(&free, at(NOW)), Step::Wait { until: settles });
    assert_eq!(unneeded.next_step(&free, settles), Step::Write { change: 0, direction: Direction::Back });
    // What settled on the clock of a process that is gone settles again.
    let jumped = at(NOW + 10_000);
    let after_restart = Seen { since: jumped, ..free };
    let settles = jumped + unneeded.plan().settle;
    assert_eq!(unneeded.next_step(&after_restart, jumped), Step::Wait { until: settles });
}

#[test]
fn who_needs_it_again_in_the_last_moment_keeps_it() {
    let unneeded = unneeded(NOW);
    assert_eq!(unneeded.next_step(&seen(ours(), needed("hand")), at(NOW + 100)), Step::Record(by("hand")));
    let mut again = unneeded;
    again.apply(&by("hand"), at(NOW + 100)).unwrap();
    assert_eq!(again.kept_grant().and_then(|kept| kept.unneeded), None);
    let free = seen(ours(), GrantUse::Free);
    assert_eq!(again.next_step(&free, at(NOW + 200)), Step::Record(Entry::GrantUnneeded), "it settles anew");
}

#[test]
fn it_stays_while_nobody_has_asked_who_needs_it() {
    let step = unneeded(NOW).next_step(&seen(ours(), GrantUse::NotAsked), at(NOW + 100));
    assert_eq!(step, Step::Wait { until: at(NOW + 100) + KEPT_LOOK });
}

/// The policy is still of our name, and no longer of our words.
#[test]
fn what_someone_changed_is_left_to_them_for_good() {
    let theirs = serde_json::json!({ "Version": "2012-10-17", "Statement": [] });
    for grant in [GrantSeen::Present(theirs), GrantSeen::Malformed] {
        for mut remediation in [kept(), unneeded(NOW)] {
            let step = remediation.next_step(&seen(grant.clone(), GrantUse::Free), at(NOW + 100));
            let Step::Record(entry @ Entry::GrantLeft { .. }) = step else { panic!("{step:?}") };
            remediation.apply(&entry, at(NOW + 100)).unwrap();
            assert_eq!(remediation.next_step(&seen(ours(), GrantUse::Free), at(NOW + 200)), Step::Done);
        }
    }
}

#[test]
fn once_it_is_gone_nothing_is_left_to_do() {
    for grant in [GrantSeen::Absent, GrantSeen::RoleGone] {
        for (mut remediation, by_us) in [(kept(), false), (unneeded(NOW), true)] {
            let step = remediation.next_step(&seen(grant.clone(), GrantUse::Free), at(NOW + 100));
            assert_eq!(step, Step::Record(Entry::Undone { change: 0 }));
            remediation.apply(&Entry::Undone { change: 0 }, at(NOW + 100)).unwrap();
            assert_eq!(remediation.took_kept_grant(), by_us);
            assert_eq!(remediation.next_step(&seen(ours(), GrantUse::Free), at(NOW + 200)), Step::Done);
        }
    }
}

#[test]
fn nothing_else_follows_a_rollback() {
    let mut all_gone = kept();
    all_gone.apply(&Entry::Undone { change: 0 }, at(NOW)).unwrap();
    let after = [
        (kept(), Entry::Undone { change: 1 }),
        (kept(), rollback(RollbackReason::Operator)),
        (kept(), Entry::Applied),
        (unneeded(NOW), Entry::GrantUnneeded),
        (all_gone.clone(), Entry::Undone { change: 0 }),
        (all_gone.clone(), by("hand")),
        (all_gone, Entry::GrantLeft { detail: String::new() }),
    ];
    for (mut remediation, entry) in after {
        assert!(remediation.apply(&entry, at(NOW + 1)).is_err(), "{entry:?}");
    }
}
