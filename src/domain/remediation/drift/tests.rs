//! Who undid a proven remedy, as far as its project tells.

use super::*;
use crate::domain::plan::Plan;
use crate::domain::testing::*;
use rstest::rstest;

/// A remediation that a later build proved.
fn proven(plan: Plan) -> Remediation {
    let mut remediation = Remediation::begin(plan, at(0));
    let entries = [Entry::InPlace { change: 0 }, Entry::InPlace { change: 1 }, Entry::Applied];
    for (entry, n) in entries.into_iter().chain([Entry::Verified { by: id("web:42") }]).zip(1..) {
        remediation.apply(&entry, at(n)).unwrap();
    }
    remediation
}

fn login() -> Remediation {
    proven(Plan { changes: vec![grant_change(), login_change()], ..plan("web:41") })
}

fn terraform(project: Project) -> Project {
    project.tagged("ManagedBy", "terraform")
}

fn word(entry: Option<Entry>) -> String {
    match entry {
        None => "nothing".to_string(),
        Some(Entry::SetBack { owner }) => format!("set back by {}", owner.name()),
        Some(Entry::RollbackDecided { reason, .. }) => format!("{reason:?}"),
        Some(other) => other.word().to_string(),
    }
}

#[rstest]
// As it was before us, at once: the owner's code, if a tag names it; a person, if none does.
#[case(project("web"), "TakenOut")]
#[case(terraform(project("web")), "set back by terraform")]
#[case(project("web").tagged("aws:cloudformation:stack-name", "ci"), "set back by cloudformation")]
#[case(project("web").tagged("aws-cdk:stack", "ci"), "set back by cdk")]
#[case(terraform(project("web").image("node:24")), "set back by terraform")]
#[case(project("web").tagged("terraform", "false"), "TakenOut")]
// As we left it.
#[case(terraform(project("web").credential(SECRET)), "nothing")]
// Somebody's own: neither of the two.
#[case(terraform(project("web").credential("another")), "nothing")]
#[case(terraform(project("web").pulls_as("SERVICE_ROLE")), "nothing")]
fn a_proven_remedy_that_is_gone(#[case] project: Project, #[case] expected: &str) {
    assert_eq!(word(proven(plan("web:41")).undone_by_others(&project, at(60))), expected);
}

#[rstest]
#[case(terraform(project("web").buildspec(BUILDSPEC)), "set back by terraform")]
// A text that is neither ours nor the one before us may be a person's: what people take out is left out.
#[case(terraform(project("web").buildspec("version: 0.2\n")), "TakenOut")]
// Our variables are there, and our line is not.
#[case(terraform(logged_in().buildspec(BUILDSPEC)), "nothing")]
#[case(terraform(logged_in()), "nothing")]
fn a_proven_login_that_is_gone(#[case] project: Project, #[case] expected: &str) {
    assert_eq!(word(login().undone_by_others(&project, at(60))), expected);
}

#[test]
fn an_answer_that_may_be_older_than_our_write_says_nothing() {
    let remediation = proven(plan("web:41"));
    // Seen in place in second 2; a change settles in five.
    assert_eq!(remediation.undone_by_others(&project("web"), at(6)), None);
    assert_eq!(word(remediation.undone_by_others(&project("web"), at(7))), "TakenOut");
}

#[test]
fn only_a_proven_remedy_is_looked_at() {
    let mut remediation = proven(plan("web:41"));
    remediation.apply(&Entry::SetBack { owner: Owner::Terraform }, at(10)).unwrap();
    assert_eq!(remediation.stage(), Stage::RollingBack);
    assert_eq!(remediation.because_of(), Some("a deployment by Terraform set it back"));
    assert_eq!(remediation.undone_by_others(&project("web"), at(60)), None);
    let planned = Remediation::begin(plan("web:41"), at(0));
    assert_eq!(planned.undone_by_others(&project("web"), at(60)), None);
}

#[test]
fn a_remedy_that_was_never_there_can_not_be_set_back() {
    let set_back = Entry::SetBack { owner: Owner::Cdk };
    let mut taken_back = proven(plan("web:41"));
    taken_back.apply(&rollback(RollbackReason::Operator), at(10)).unwrap();
    assert!(taken_back.apply(&set_back, at(11)).is_err());
    taken_back.apply(&Entry::RolledBack, at(12)).unwrap();
    assert!(taken_back.apply(&set_back, at(13)).is_err());
}
