//! What is decided once deployments of the owner's code have set a remedy back.

use super::*;
use crate::domain::policy::OnDrift;

/// It was proven and set back, in the order of the builds.
fn set_back(because: &str) -> Vec<Fact> {
    let mut facts = verified(because);
    facts.push(of_remediation(because, Entry::SetBack { owner: Owner::Terraform }));
    facts.push(of_remediation(because, Entry::RolledBack));
    facts
}

fn owned(on_drift: OnDrift) -> Situation {
    let mut situation = provisioning().iac(Mode::Apply);
    situation.policy.on_drift = on_drift;
    situation
}

#[test]
fn by_default_it_stays_out_and_the_owner_is_told_once() {
    let situation = owned(OnDrift::Hold).after(set_back("web:40"));
    let Decision::Judge(judgement) = situation.decision() else { panic!() };
    let Judgement::SetBack { plan, owner, times, kept } = &judgement else { panic!("{judgement:?}") };
    assert_eq!((plan.remedy, *owner), (Remedy::RegistryCredential, Some(Owner::CloudFormation)));
    assert_eq!((*times, *kept), (1, KeptOut::ByPolicy));
    insta::assert_snapshot!(judgement, @"deployments of its owner's code set `registry_credential` back once, and `on_drift` is `hold`; merge the patch into that code, or run `unthrottled clear --project web`");
    let told = Fact::Judged { build: id("web:40b"), judgement };
    assert_eq!(situation.after(vec![told]).word(), "proposed for web:40b");
}

#[test]
fn a_person_who_clears_the_project_lets_it_be_applied_again() {
    let cleared = vec![Fact::Cleared { project: project("web").name }];
    let situation = owned(OnDrift::Hold).after(set_back("web:40"));
    assert_eq!(situation.word(), "kept out: registry_credential");
    assert_eq!(situation.after(cleared).word(), "remediate: registry_credential");
}

#[test]
fn another_remedy_and_another_project_are_not_concerned() {
    let elsewhere = owned(OnDrift::Hold).after(set_back("api:1"));
    assert_eq!(elsewhere.word(), "remediate: registry_credential");
    let mut other = later_phase().iac(Mode::Apply).after(set_back("web:40"));
    other.policy.on_drift = OnDrift::Hold;
    assert_eq!(other.word(), "remediate: buildspec_login");
}

#[test]
fn it_is_applied_again_after_a_pause_as_long_as_attempts_are_left() {
    let mut situation = owned(OnDrift::Reapply).limited(|l| l.attempts_per_project = 3).after(set_back("web:38"));
    // It was set back in second 6.
    situation.now = at(6 + 599);
    let Decision::Judge(Judgement::Held { reason, until, .. }) = situation.decision() else { panic!() };
    assert_eq!((reason, until), (HoldReason::SetBack, at(6 + 600)));
    situation.now = until;
    assert_eq!(situation.word(), "remediate: registry_credential");

    let mut again = situation.after(set_back("web:39"));
    let Decision::Judge(Judgement::Held { until, .. }) = again.decision() else { panic!() };
    assert_eq!(until, at(13 + 1200), "twice as long");
    again.now = until;
    assert_eq!(again.word(), "remediate: registry_credential");

    let given_up = again.after(set_back("web:40"));
    let Decision::Judge(judgement) = given_up.decision() else { panic!() };
    let Judgement::SetBack { times: 3, kept: KeptOut::AfterAttempts, .. } = &judgement else { panic!("{judgement:?}") };
    insta::assert_snapshot!(judgement, @"deployments of its owner's code set `registry_credential` back 3 times, and no attempt is left; merge the patch into that code, or run `unthrottled clear --project web`");
    let told = Fact::Judged { build: id("web:40b"), judgement };
    assert_eq!(given_up.after(vec![told]).word(), "proposed for web:40b");
}

/// What was said while the policy held is said once more, and louder, when the last attempt is gone.
#[test]
fn a_proposal_is_no_escalation() {
    let held = owned(OnDrift::Hold).after(set_back("web:39")).after(set_back("web:40"));
    let Decision::Judge(judgement) = held.decision() else { panic!() };
    let mut given_up = held.after(vec![Fact::Judged { build: id("web:40b"), judgement }]);
    given_up.policy.on_drift = OnDrift::Reapply;
    assert_eq!(given_up.word(), "given up: registry_credential");
}

/// What is applied again has no way around the limits, the freezes, the modes and the stop tag.
#[test]
fn what_is_applied_again_is_limited_like_any_other() {
    let again = || owned(OnDrift::Reapply).after(set_back("web:40"));
    assert_eq!(again().word(), "remediate: registry_credential");
    assert_eq!(again().limited(|l| l.max_open = 0).word(), "max_open");
    assert_eq!(again().limited(|l| l.max_per_hour = 1).word(), "max_per_hour");
    assert_eq!(again().tagged("unthrottled", "off").word(), "stop_switch");
    assert_eq!(again().most(Mode::Propose).word(), "propose: registry_credential");
    let mut frozen = again();
    frozen.policy.freezes = vec![Freeze::new("0 0 * * *", SignedDuration::from_hours(24)).unwrap()];
    assert_eq!(frozen.word(), "freeze");
}
