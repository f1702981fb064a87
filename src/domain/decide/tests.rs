//! Situations and what is decided in them.

use super::*;

mod drift;
mod proposals;
mod trusted;
mod waiting;

use crate::domain::build::{PullRequests, RoleName, Visibility};
use crate::domain::history::Fact;
use crate::domain::plan::RetryPlan;
use crate::domain::policy::{Freeze, Limits, Remedy, Retry};
use crate::domain::remediation::{Entry, RollbackReason};
use crate::domain::testing::*;
use crate::domain::trust::Weight;
use rstest::rstest;

/// Everything that a decision depends on.
struct Situation {
    detected: Detected,
    build: Build,
    project: Project,
    role: Role,
    facts: Vec<Fact>,
    policy: Policy,
    most: Mode,
    secret: Result<Secret, String>,
    matched: usize,
    reach: Reach,
    now: Timestamp,
}

/// Build web:41 could not pull its image, and everything may be done about it.
fn provisioning() -> Situation {
    let project = project("web");
    Situation {
        detected: detected("web:41", Site::BuildImage),
        build: build("web:41").of(&project).failed_in("PROVISIONING"),
        project,
        role: role("builds"),
        facts: Vec::new(),
        policy: policy("all"),
        most: Mode::Apply,
        secret: Ok(secret()),
        matched: 10,
        reach: Reach::default(),
        now: at(3_600),
    }
}

/// A docker client in build web:41 could not pull.
fn later_phase() -> Situation {
    let project = project("web").buildspec(BUILDSPEC);
    Situation {
        detected: detected("web:41", Site::DockerClient),
        build: build("web:41").of(&project).failed_in("BUILD"),
        project,
        ..provisioning()
    }
}

impl Situation {
    fn decision(&self) -> Decision {
        let history = history(self.facts.clone());
        let case = Case {
            scope: "here",
            detected: &self.detected,
            build: &self.build,
            project: &self.project,
            history: &history,
        };
        let policies = std::slice::from_ref(&self.policy);
        let screened = match screen(case, policies, self.most, self.now) {
            Screened::Judge(judgement) => return Decision::Judge(judgement),
            Screened::Proceed { policy, mode, site } => (policy, mode, site),
        };
        let means = Means {
            role: &self.role,
            secret: self.secret.as_ref().map_err(String::as_str),
            matched: self.matched,
            images: &known_images(),
            reach: Some(&self.reach),
        };
        decide(case, screened, means, self.now)
    }

    /// The plan, mode and limits aside.
    fn plan_aside_from_limits(&self) -> Result<Plan, Judgement> {
        let history = history(self.facts.clone());
        let case = Case {
            scope: "here",
            detected: &self.detected,
            build: &self.build,
            project: &self.project,
            history: &history,
        };
        let means = Means {
            role: &self.role,
            secret: Ok(&secret()),
            matched: self.matched,
            images: &known_images(),
            reach: Some(&self.reach),
        };
        first_plan(case, &self.policy, Site::BuildImage, means, self.now)
    }

    /// The decision in a word: what events carry.
    fn word(&self) -> String {
        match self.decision() {
            Decision::Remediate(plan) => format!("remediate: {}", plan.remedy),
            Decision::Judge(Judgement::Proposed { plan, .. }) => {
                format!("propose: {}", plan.remedy)
            }
            Decision::Judge(Judgement::Held { reason, .. }) => reason.word().to_string(),
            Decision::Judge(Judgement::Left { reason, .. }) => reason.word().to_string(),
            Decision::Judge(Judgement::ForOwner { .. }) => "patch".to_string(),
            Decision::Judge(Judgement::Repeated { build }) => format!("proposed for {build}"),
            Decision::Judge(Judgement::SetBack { plan, kept: KeptOut::ByPolicy, .. }) => {
                format!("kept out: {}", plan.remedy)
            }
            Decision::Judge(Judgement::SetBack { plan, .. }) => format!("given up: {}", plan.remedy),
            Decision::Judge(Judgement::Superseded { by }) => format!("superseded by {by}"),
            Decision::Judge(Judgement::Covered { by }) => format!("covered by {by}"),
        }
    }

    fn detail(&self) -> String {
        match self.decision() {
            Decision::Judge(judgement) => judgement.to_string(),
            Decision::Remediate(plan) => panic!("{plan:?}"),
        }
    }

    fn diagnosed(mut self, cause: Cause) -> Situation {
        self.detected.diagnosis.cause = cause;
        self
    }

    fn after(mut self, facts: Vec<Fact>) -> Situation {
        self.facts.extend(facts);
        self
    }

    fn limited(mut self, limit: impl FnOnce(&mut Limits)) -> Situation {
        limit(&mut self.policy.limits);
        self
    }

    fn of_version(mut self, version: &str) -> Situation {
        self.build.source_version = Some(version.to_string());
        self
    }

    fn public(mut self) -> Situation {
        self.project.visibility = Visibility::Public;
        self
    }

    fn tagged(mut self, key: &str, value: &str) -> Situation {
        self.project = self.project.tagged(key, value);
        self
    }

    fn most(mut self, most: Mode) -> Situation {
        self.most = most;
        self
    }

    fn policy_in(mut self, mode: Mode) -> Situation {
        self.policy.mode = mode;
        self
    }

    fn iac(mut self, mode: Mode) -> Situation {
        self.policy.iac_owned = mode;
        self.tagged("aws:cloudformation:stack-name", "web")
    }

    fn weighing(mut self, weight: Weight) -> Situation {
        self.detected.diagnosis.weight = weight;
        self
    }

    fn untrusted(mut self, builds: UntrustedBuilds) -> Situation {
        self.policy.untrusted_builds = builds;
        self.of_version("pr/7")
    }
}

#[rstest]
#[case(provisioning(), "remediate: registry_credential")]
#[case(later_phase(), "remediate: buildspec_login")]
#[case(provisioning().diagnosed(Cause::HubAbuseLimit), "abuse_limit")]
#[case(provisioning().diagnosed(Cause::HubLoginLimit), "login_limit")]
#[case(provisioning().diagnosed(Cause::OtherRegistry), "other_registry")]
// The stop switch is the project's, and stronger than any policy.
#[case(provisioning().tagged("unthrottled", "off"), "stop_switch")]
#[case(provisioning().tagged("unthrottled", "OFF"), "stop_switch")]
#[case(provisioning().tagged("unthrottled", "on"), "remediate: registry_credential")]
// The least of all modes.
#[case(provisioning().most(Mode::Observe), "observe_only")]
#[case(provisioning().most(Mode::Propose), "propose: registry_credential")]
#[case(provisioning().policy_in(Mode::Observe), "observe_only")]
#[case(provisioning().policy_in(Mode::Propose), "propose: registry_credential")]
#[case(provisioning().iac(Mode::Propose), "propose: registry_credential")]
#[case(provisioning().iac(Mode::Apply), "remediate: registry_credential")]
#[case(provisioning().iac(Mode::Observe), "observe_only")]
#[case(provisioning().iac(Mode::Apply).most(Mode::Propose), "propose: registry_credential")]
// A log can be written by a stranger; the context of PROVISIONING can't.
#[case(later_phase().untrusted(UntrustedBuilds::Ignore), "untrusted_build")]
#[case(later_phase().untrusted(UntrustedBuilds::Propose), "propose: buildspec_login")]
#[case(later_phase().untrusted(UntrustedBuilds::Apply), "remediate: buildspec_login")]
#[case(later_phase().of_version("refs/pull/7/head"), "untrusted_build")]
#[case(later_phase().of_version("refs/merge-requests/7/head"), "untrusted_build")]
#[case(later_phase().of_version("feature/pr/7"), "remediate: buildspec_login")]
#[case(later_phase().public(), "untrusted_build")]
#[case(provisioning().untrusted(UntrustedBuilds::Ignore).public(), "remediate: registry_credential")]
fn a_situation_and_what_is_decided(#[case] situation: Situation, #[case] expected: &str) {
    assert_eq!(situation.word(), expected, "{:?}", situation.decision());
}

#[test]
fn a_pull_that_was_authenticated_is_left_alone() {
    let mut situation = provisioning();
    situation.detected.diagnosis.login = Login::Authenticated;
    assert_eq!(situation.word(), "already_authenticated");
    situation.detected.diagnosis.login = Login::Unknown;
    assert_eq!(situation.word(), "remediate: registry_credential");
}

#[test]
fn nothing_is_done_where_it_is_not_known_who_pulled() {
    let mut situation = provisioning();
    situation.detected.diagnosis.site = None;
    assert_eq!(situation.word(), "no_remedy");
}

#[test]
fn a_project_without_a_policy_is_left_alone() {
    let mut situation = provisioning();
    situation.policy.projects = globs(&["svc-*"]);
    assert_eq!(situation.word(), "no_policy");
}

#[test]
fn only_the_first_policy_that_matches_is_asked() {
    let (situation, history) = (provisioning(), History::default());
    let first = Policy { mode: Mode::Observe, ..policy("first") };
    let case = Case {
        scope: "here",
        detected: &situation.detected,
        build: &situation.build,
        project: &situation.project,
        history: &history,
    };
    let policies = [first, policy("second")];
    let screened = screen(case, &policies, Mode::Apply, at(0));
    assert!(matches!(screened, Screened::Judge(Judgement::Left { reason: LeaveReason::ObserveOnly, .. })));
}

#[test]
fn the_plan_holds_all_that_is_needed_to_carry_it_out() {
    let Decision::Remediate(made) = provisioning().decision() else { panic!() };
    let mut expected = plan("web:41");
    expected.settle = seconds(15);
    expected.verify_within = seconds(86_400);
    expected.reach = Some(Reach::default());
    assert_eq!(*made, expected);

    let mut never = provisioning();
    never.policy.retry = Retry::Never;
    let Decision::Remediate(made) = never.decision() else { panic!() };
    assert!(matches!(made.retry, RetryPlan::No(_)));
}

#[test]
fn the_first_remedy_that_applies_is_taken_and_each_that_does_not_says_why() {
    let mut situation = provisioning();
    situation.policy.provisioning = vec![Remedy::BuildspecLogin, Remedy::RegistryCredential];
    assert_eq!(situation.word(), "remediate: registry_credential");
    situation.project = situation.project.credential("mine");
    assert_eq!(
        situation.detail(),
        "left alone (no_remedy): buildspec_login: the buildspec is in the repository, `buildspec.yml`, and not in the project (buildspec_elsewhere); \
         registry_credential: the project pulls its image with a credential already (credential_set_already)"
    );
    situation.policy.provisioning.clear();
    assert_eq!(situation.detail(), "left alone (no_remedy): the policy lists no remedy for this phase");
}

/// A mirror needs no secret, so one that can't be used holds nothing back; what comes first in the policy is asked first.
#[test]
fn a_secret_that_cant_be_used_does_not_hold_a_mirror_back() {
    let mut situation = provisioning();
    situation.secret = Err("there is no such secret".to_string());
    assert_eq!(situation.word(), "credential_unusable");
    situation.policy.provisioning = vec![Remedy::MirrorImage, Remedy::RegistryCredential];
    let Decision::Remediate(made) = situation.decision() else { panic!() };
    assert_eq!((made.remedy, made.secret, made.changes.len()), (Remedy::MirrorImage, None, 1));
    situation.project = situation.project.image("acme/node:22");
    situation.build = situation.build.of(&situation.project);
    assert_eq!(situation.word(), "credential_unusable");
}

/// A mirror says nothing of what the role may read.
#[test]
fn a_mirror_neither_proves_a_role_nor_waits_for_one() {
    let mirror = |because: &str| Plan {
        id: RemediationId::of(&id(because)),
        because: id(because),
        project: id(because).project(),
        ..mirror_plan()
    };
    let planned = |plan: Plan| of_remediation(plan.because.clone().as_str(), Entry::Planned(Box::new(plan)));
    let beside_a_mirror = provisioning().after(vec![planned(mirror("api:1"))]);
    assert_eq!(beside_a_mirror.word(), "remediate: registry_credential");
    let mut beside_a_credential = provisioning().after(vec![planned(plan("api:1"))]);
    assert_eq!(beside_a_credential.word(), "role_unproven");
    beside_a_credential.policy.provisioning = vec![Remedy::MirrorImage];
    assert_eq!(beside_a_credential.word(), "remediate: mirror_image");
}

fn by(because: &str, reason: RollbackReason) -> Vec<Fact> {
    vec![of_remediation(because, rollback(reason)), of_remediation(because, Entry::RolledBack)]
}

fn tried(because: &str, reason: RollbackReason) -> Vec<Fact> {
    let mut facts = applied(plan(because));
    facts.extend(by(because, reason));
    facts
}

fn verified(because: &str) -> Vec<Fact> {
    let mut facts = applied(plan(because));
    facts.push(of_remediation(because, Entry::Verified { by: id("web:99") }));
    facts
}

#[rstest]
#[case(tried("web:40", RollbackReason::MadeWorse), "a later build disproved it")]
#[case(tried("web:40", RollbackReason::StillThrottled), "a later build disproved it")]
#[case(tried("web:40", RollbackReason::TakenOut), "someone took it out")]
#[case(tried("web:40", RollbackReason::GrantTakenAway), "someone took it out")]
#[case(tried("web:40", RollbackReason::Operator), "someone took it out")]
fn what_was_disproved_or_taken_out_is_not_tried_again_until_it_is_cleared(#[case] facts: Vec<Fact>, #[case] why: &str) {
    let situation = provisioning().after(facts);
    assert_eq!(situation.word(), "no_remedy");
    assert!(situation.detail().contains(why), "{}", situation.detail());
    let project = situation.project.name.clone();
    let cleared = situation.after(vec![Fact::Cleared { project }]);
    assert_eq!(cleared.word(), "remediate: registry_credential");
}

#[test]
fn attempts_are_counted_until_a_person_clears_the_project() {
    let once = provisioning().after(tried("web:38", RollbackReason::ProjectChanged));
    assert_eq!(once.word(), "remediate: registry_credential");
    let twice = once.after(tried("web:39", RollbackReason::WriteRejected));
    assert_eq!(twice.word(), "attempts_exhausted");
    let cleared = twice.after(vec![Fact::Cleared { project: project("web").name }]);
    assert_eq!(cleared.word(), "remediate: registry_credential");
    let others = provisioning()
        .after(tried("api:1", RollbackReason::ProjectChanged))
        .after(tried("api:2", RollbackReason::StillThrottled));
    assert_eq!(others.word(), "remediate: registry_credential");
}

#[test]
fn a_proven_remedy_that_has_to_be_made_again_is_an_attempt_and_another_one_is_not() {
    let again = provisioning().after(verified("web:38")).after(verified("web:39"));
    assert_eq!(again.word(), "attempts_exhausted");
    let other = later_phase().after(verified("web:38")).after(verified("web:39"));
    assert_eq!(other.word(), "remediate: buildspec_login");
}

#[rstest]
#[case(1, "max_open")]
#[case(2, "remediate: registry_credential")]
fn so_many_are_under_way_at_once(#[case] max_open: usize, #[case] expected: &str) {
    let one_open = Plan { role: RoleName::new("others"), ..plan("api:1") };
    let situation = provisioning().after(applied(one_open)).limited(|limits| limits.max_open = max_open);
    assert_eq!(situation.word(), expected);
}

#[rstest]
#[case(0.1, 10, "max_share")]
#[case(0.2, 10, "remediate: registry_credential")]
#[case(0.19, 10, "max_share")]
#[case(0.0, 10, "max_share")]
#[case(1.0, 1, "max_share")]
fn so_large_a_share_is_under_way_at_once(#[case] share: f64, #[case] matched: usize, #[case] expected: &str) {
    let one_open = Plan { role: RoleName::new("others"), ..plan("api:1") };
    let mut situation = provisioning().after(applied(one_open)).limited(|limits| limits.max_share = share);
    situation.matched = matched;
    assert_eq!(situation.word(), expected);
}

#[test]
fn what_a_limit_holds_back_has_a_plan_nonetheless() {
    let one_open = Plan { role: RoleName::new("others"), ..plan("api:1") };
    let held = provisioning().after(applied(one_open)).limited(|limits| limits.max_open = 1);
    assert_eq!(held.word(), "max_open");
    let plan = held.plan_aside_from_limits().unwrap();
    let Decision::Remediate(free) = provisioning().decision() else { panic!() };
    assert_eq!(plan, *free);
}

#[test]
fn however_small_the_share_one_is_allowed() {
    let mut situation = provisioning().limited(|limits| limits.max_share = 0.01);
    situation.matched = 0;
    assert_eq!(situation.word(), "remediate: registry_credential");
}

#[rstest]
#[case(0.29, 100, 29)]
#[case(0.1, 30, 3)]
#[case(0.1, 39, 3)]
#[case(0.07, 100, 7)]
fn a_share_is_counted_in_whole_projects(#[case] share: f64, #[case] matched: usize, #[case] expected: usize) {
    assert_eq!(room::share(share, matched), expected);
}

#[test]
fn so_many_begin_within_an_hour() {
    let facts =
        [tried("api:1", RollbackReason::StillThrottled), tried("api:2", RollbackReason::StillThrottled)].concat();
    // They began in the first and the seventh second after ten.
    let mut situation = provisioning().after(facts).limited(|limits| limits.max_per_hour = 2);
    situation.now = at(100);
    let Decision::Judge(Judgement::Held { reason, until, .. }) = situation.decision() else { panic!() };
    assert_eq!((reason, until), (HoldReason::MaxPerHour, at(3_601)));
    situation.now = at(3_600);
    assert_eq!(situation.word(), "max_per_hour");
    situation.now = at(3_601);
    assert_eq!(situation.word(), "remediate: registry_credential");

    // One is too many by two now, so the second has to age as well.
    let mut lowered = situation.limited(|limits| limits.max_per_hour = 1);
    lowered.now = at(100);
    let Decision::Judge(Judgement::Held { until, .. }) = lowered.decision() else { panic!() };
    assert_eq!(until, at(3_607));
    assert_eq!(lowered.limited(|limits| limits.max_per_hour = 0).word(), "max_per_hour");
}

#[test]
fn limits_are_of_a_policy() {
    let of_another = Plan { policy: "another".to_string(), role: RoleName::new("others"), ..plan("api:1") };
    let situation = provisioning().after(applied(of_another)).limited(|limits| {
        limits.max_open = 1;
        limits.max_per_hour = 1;
    });
    assert_eq!(situation.word(), "remediate: registry_credential");
}

#[test]
fn nothing_begins_in_a_freeze_and_proposals_are_made_all_the_same() {
    let mut situation = provisioning();
    situation.policy.freezes = vec![Freeze::new("0 11 * * *", seconds(600)).unwrap()];
    let Decision::Judge(Judgement::Held { reason, until, .. }) = situation.decision() else { panic!() };
    assert_eq!((reason, until), (HoldReason::Freeze, at(4_200)));
    situation.now = at(4_200);
    assert_eq!(situation.word(), "remediate: registry_credential");
    situation.now = at(3_600);
    situation.policy.mode = Mode::Propose;
    assert_eq!(situation.word(), "propose: registry_credential");
}

#[test]
fn one_remediation_of_a_role_proves_it_before_the_next_begins() {
    let unproven = provisioning().after(applied(plan("api:1")));
    assert_eq!(unproven.word(), "role_unproven");
    let proven = Entry::Verified { by: id("api:2") };
    let proven = provisioning().after(applied(plan("api:1"))).after(vec![of_remediation("api:1", proven)]);
    assert_eq!(proven.word(), "remediate: registry_credential");
    // Once it is proven, another that waits for its proof holds nothing up.
    let another = proven.after(applied(plan("app:1")));
    assert_eq!(another.word(), "remediate: registry_credential");
}

#[test]
fn a_role_that_made_one_project_worse_is_not_tried_with_another_until_that_one_is_cleared() {
    let worse = || provisioning().after(tried("api:1", RollbackReason::MadeWorse));
    assert_eq!(worse().word(), "role_disproved");
    assert!(worse().detail().contains("clear --project api`"), "{}", worse().detail());
    assert_eq!(worse().policy_in(Mode::Propose).word(), "role_disproved", "nor is it proposed");
    let cleared = |name: &str| vec![Fact::Cleared { project: project(name).name }];
    assert_eq!(worse().after(cleared("web")).word(), "role_disproved");
    assert_eq!(worse().after(cleared("api")).word(), "remediate: registry_credential");

    // Being throttled again says nothing against the role.
    let throttled = provisioning().after(tried("api:1", RollbackReason::StillThrottled));
    assert_eq!(throttled.word(), "remediate: registry_credential");
    let elsewhere = Situation { role: role("another"), project: project("web").role_named("another"), ..worse() };
    assert_eq!(elsewhere.word(), "remediate: registry_credential");
    // What one project proved, another's trouble does not disprove.
    assert_eq!(worse().after(verified("app:1")).word(), "remediate: registry_credential");
}

#[test]
fn a_build_that_failed_before_the_remedy_was_in_place_is_covered_by_it() {
    let covered = provisioning().after(applied(plan("web:40")));
    assert_eq!(covered.word(), "covered by web-40");

    let mut with_it = provisioning().after(applied(plan("web:40")));
    with_it.build = with_it.build.of(&project("web").credential(SECRET));
    assert_eq!(with_it.word(), "project_busy", "its verdict decides");

    let elsewhere = later_phase().after(applied(plan("web:40")));
    assert_eq!(elsewhere.word(), "project_busy");
}

#[test]
fn a_remediation_that_is_being_taken_back_covers_nothing() {
    let facts = [applied(plan("web:40")), vec![of_remediation("web:40", rollback(RollbackReason::RoleGone))]];
    assert_eq!(provisioning().after(facts.concat()).word(), "project_busy");
}

#[test]
fn a_build_that_has_its_remediation_never_gets_another() {
    for facts in [applied(plan("web:41")), verified("web:41"), tried("web:41", RollbackReason::ProjectChanged)] {
        assert_eq!(provisioning().after(facts).word(), "covered by web-41");
    }
}

#[test]
fn a_grant_that_an_earlier_remediation_made_is_not_said_to_have_been_there() {
    let mut situation = provisioning().after(verified("api:1"));
    situation.role = situation.role.with_policy(GRANT, Some(grant_document()));
    let Decision::Remediate(made) = situation.decision() else { panic!() };
    assert_eq!(made.grant_before(), None);
    situation.facts.clear();
    let Decision::Remediate(made) = situation.decision() else { panic!() };
    assert_eq!(made.grant_before(), Some(&grant_document()));
}

#[test]
fn only_what_is_held_is_decided_again_and_recorded_once_a_reason() {
    let held = unusable("the secret is scheduled for deletion", at(0));
    let Judgement::Held { reason, until, .. } = &held else { panic!() };
    assert_eq!((*reason, *until), (HoldReason::CredentialUnusable, at(300)));
    assert!(same_reason(Some(&held), &unusable("another", at(9))));
    assert!(!same_reason(None, &held));
    let busy = super::held(HoldReason::ProjectBusy, String::new(), at(0), ROOM);
    assert!(!same_reason(Some(&busy), &held));
    assert!(!same_reason(Some(&without_build()), &without_build()));
}

#[rstest]
#[case(without_project(), "project_gone")]
#[case(without_build(), "build_gone")]
#[case(without_role("role `builds` does not exist"), "role_gone")]
fn what_is_not_there_is_left_alone(#[case] judgement: Judgement, #[case] expected: &str) {
    assert_eq!(judgement.left_for().map(|reason| reason.word()), Some(expected));
    assert!(judgement.is_final());
}
