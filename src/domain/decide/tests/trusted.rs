//! What a log is enough for, and what a grant may open.

use super::*;
use crate::domain::build::ProjectName;
use crate::domain::reach::{Door, OpenProject};

impl Situation {
    fn by(mut self, initiator: &str) -> Situation {
        self.build = self.build.by(initiator);
        self
    }

    fn allowing(mut self, builds: UntrustedBuilds) -> Situation {
        self.policy.untrusted_builds = builds;
        self
    }

    fn reaching(mut self, door: Door) -> Situation {
        let oss = OpenProject { project: ProjectName::new("oss"), door };
        self.reach = Reach { shared_with: vec![oss.project.clone()], others: 1, open: vec![oss], open_projects: 1 };
        self
    }

    fn seen_in(mut self, builds: usize) -> Situation {
        self.policy.sightings = builds;
        self
    }
}

#[rstest]
#[case(later_phase().weighing(Weight::Unplaced), "weak_evidence")]
#[case(later_phase().weighing(Weight::NoPull), "weak_evidence")]
#[case(later_phase().weighing(Weight::OtherRegistry), "weak_evidence")]
#[case(later_phase().weighing(Weight::Unknown), "weak_evidence")]
#[case(later_phase().weighing(Weight::Command), "remediate: buildspec_login")]
#[case(later_phase().weighing(Weight::NoPull).allowing(UntrustedBuilds::Propose), "propose: buildspec_login")]
#[case(later_phase().weighing(Weight::NoPull).allowing(UntrustedBuilds::Apply), "remediate: buildspec_login")]
#[case::who_wrote_it_comes_first(later_phase().weighing(Weight::NoPull).of_version("pr/7"), "untrusted_build")]
#[case::nobody_said_who_started_it(later_phase().by(""), "untrusted_build")]
#[case::provisioning_needs_no_log(provisioning().weighing(Weight::Unknown).of_version("pr/7").by(""), "remediate: registry_credential")]
fn a_log_counts_as_far_as_its_line_proves_something(#[case] situation: Situation, #[case] expected: &str) {
    assert_eq!(situation.word(), expected, "{:?}", situation.decision());
}

/// A pull request's build that we started again need not look like one any more.
#[test]
fn a_build_that_we_started_again_is_a_strangers_where_pull_requests_are_built() {
    let first = plan("web:40");
    let entry = |entry: Entry| Fact::Remediation { id: first.id.clone(), entry };
    let facts = vec![
        entry(Entry::Planned(Box::new(first.clone()))),
        entry(Entry::InPlace { change: 0 }),
        entry(Entry::InPlace { change: 1 }),
        entry(Entry::Applied),
        entry(Entry::RetryIntended),
        entry(Entry::Retried { build: id("web:41") }),
        entry(Entry::Verified { by: id("web:41") }),
    ];
    let mut again = later_phase().after(facts);
    assert_eq!(again.word(), "remediate: buildspec_login", "{:?}", again.decision());
    again.project.pull_requests = PullRequests::Approved;
    assert_eq!(again.word(), "untrusted_build");
}

#[rstest]
#[case(provisioning().reaching(Door::Public), "shared_with_public")]
#[case(provisioning().reaching(Door::PullRequests), "shared_with_public")]
#[case(later_phase().reaching(Door::Public), "shared_with_public")]
#[case::a_person_reads_the_proposal(provisioning().reaching(Door::Public).policy_in(Mode::Propose), "propose: registry_credential")]
fn a_grant_that_strangers_can_get_at_is_not_made_without_a_person(
    #[case] mut situation: Situation,
    #[case] expected: &str,
) {
    assert_eq!(situation.word(), expected, "{:?}", situation.decision());
    situation.policy.shared_with_public = SharedWithPublic::Allow;
    assert_ne!(situation.word(), "shared_with_public");
}

#[test]
fn the_refusal_names_the_role_the_project_and_the_setting() {
    assert_eq!(
        provisioning().reaching(Door::PullRequests).detail(),
        "left alone (shared_with_public): strangers could get at the credential through role `builds`, as project `oss` builds pull \
         requests of anybody; `shared_with_public` is `refuse`"
    );
}

/// A mirror grants nothing.
#[test]
fn what_grants_nothing_opens_nothing() {
    let mut situation = provisioning().reaching(Door::Public);
    situation.policy.provisioning = vec![Remedy::MirrorImage];
    let Decision::Remediate(made) = situation.decision() else { panic!() };
    assert_eq!((made.remedy, made.reach), (Remedy::MirrorImage, None));
}

fn sighting(build: &str, site: Site, judged: bool) -> Vec<Fact> {
    let judgement = held(HoldReason::SecondSighting, String::new(), at(0), SIGHTING);
    let mut facts = vec![Fact::Detected(detected(build, site))];
    facts.extend(judged.then(|| Fact::Judged { build: id(build), judgement }));
    facts
}

#[rstest]
#[case::once(vec![], "second_sighting")]
#[case::again(sighting("web:40", Site::DockerClient, true), "remediate: buildspec_login")]
#[case::elsewhere(sighting("web:40", Site::BuildImage, true), "second_sighting")]
#[case::another_project(sighting("api:40", Site::DockerClient, true), "second_sighting")]
#[case::nobody_asked_yet_who_wrote_it(sighting("web:40", Site::DockerClient, false), "second_sighting")]
#[case::itself(sighting("web:41", Site::DockerClient, true), "second_sighting")]
fn a_throttle_is_seen_in_as_many_builds_as_the_policy_asks_for(#[case] facts: Vec<Fact>, #[case] expected: &str) {
    let situation = later_phase().seen_in(2).after(facts);
    assert_eq!(situation.word(), expected, "{:?}", situation.decision());
}

/// Of three that are asked for, the first two wait both.
#[test]
fn builds_that_wait_for_one_another_do_not_supersede_each_other() {
    let two = [sighting("web:39", Site::DockerClient, true), sighting("web:40", Site::DockerClient, true)].concat();
    let situation = later_phase().seen_in(3).after(two.clone());
    assert_eq!(situation.word(), "remediate: buildspec_login");
    assert_eq!(later_phase().seen_in(4).after(two.clone()).word(), "second_sighting");
    let older = Detected { ended: Some(at(-9_000)), ..detected("web:38", Site::DockerClient) };
    let judgement = held(HoldReason::SecondSighting, String::new(), at(0), SIGHTING);
    assert_eq!(unless_superseded(&history(two), &older, judgement.clone()), judgement);
}

#[test]
fn who_waits_for_a_second_build_waits_a_day() {
    let mut situation = later_phase().seen_in(2).after(sighting("web:41", Site::DockerClient, true));
    let since = history(situation.facts.clone()).waits_since(&id("web:41")).unwrap();
    situation.now = since + SIGHTING - seconds(1);
    let Decision::Judge(Judgement::Held { until, .. }) = situation.decision() else { panic!() };
    assert_eq!(until, since + SIGHTING);
    situation.now = until;
    assert_eq!(
        situation.detail(),
        "left alone (seen_once): the throttle was seen in 1 of the 2 builds that `sightings` asks for"
    );
    assert_eq!(provisioning().seen_in(2).word(), "remediate: registry_credential", "CodeBuild's own words are enough");
}
