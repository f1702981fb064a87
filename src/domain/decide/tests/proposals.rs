//! What is left to the owner of a project, and how often that is said.

use super::*;
use crate::domain::build::{Buildspec, ProjectName};
use crate::domain::buildspec::login::Login;
use crate::domain::buildspec::splice::Digest;
use crate::domain::change::{Change, Edit};

/// A docker client could not pull, and the buildspec is in the repository.
fn elsewhere() -> Situation {
    later_phase().of(project("web"))
}

impl Situation {
    /// With this project, of which the build ran.
    fn of(mut self, project: Project) -> Situation {
        self.build = self.build.of(&project);
        self.project = project;
        self
    }

    fn later(mut self, remedies: &[Remedy]) -> Situation {
        self.policy.later_phase = remedies.to_vec();
        self
    }

    fn provisioning(mut self, remedies: &[Remedy]) -> Situation {
        self.policy.provisioning = remedies.to_vec();
        self
    }

    fn patch(&self) -> Patch {
        match self.decision() {
            Decision::Judge(Judgement::ForOwner { patch }) => *patch,
            other => panic!("{other:?}"),
        }
    }

    /// What was decided, as it is recorded.
    fn judged(&self, build: &str) -> Fact {
        match self.decision() {
            Decision::Judge(judgement) => Fact::Judged { build: id(build), judgement },
            Decision::Remediate(plan) => panic!("{plan:?}"),
        }
    }

    fn of_build(mut self, text: &str) -> Situation {
        self.build.id = id(text);
        self.detected.build = id(text);
        self
    }
}

#[test]
fn a_buildspec_that_is_not_the_projects_is_for_the_owner() {
    let expected = Patch { owner: None, ..patch("web:41") };
    assert_eq!(elsewhere().patch(), expected);
    // The mode lets it through, and still nothing is changed.
    assert_eq!(elsewhere().most(Mode::Propose).patch(), expected);
    let why = |project: Project| later_phase().of(project).patch().why;
    let broken = project("web").buildspec(&BUILDSPEC.replace("phases:", "phases: ["));
    assert!(why(broken).starts_with("buildspec_login: line 4, column 13: "));
    let hidden = project("web").buildspec(&BUILDSPEC.replace("docker pull node:22", "make"));
    assert!(why(hidden).starts_with("buildspec_login: line 5, column 1: no command uses docker by itself"));
}

#[test]
fn a_project_that_the_sdk_can_t_send_back_is_for_the_owner() {
    let unrepresentable = vec!["environment.hostKernel".to_string()];
    let patch = provisioning().of(Project { unrepresentable, ..project("web") }).patch();
    assert_eq!((patch.changes, patch.login), (vec![grant_change(), credential_change()], None));
    assert_eq!(patch.unknown, ["environment.hostKernel"]);
    let inline = Project { unrepresentable: vec!["x".to_string()], ..project("web").buildspec(BUILDSPEC) };
    let patch = later_phase().of(inline).patch();
    assert_eq!((patch.changes, patch.login), (vec![grant_change(), login_change()], None));
}

#[rstest]
#[case::a_runner(Project { is_runner: true, ..project("web") })]
#[case::a_variable_of_the_name(project("web").plain_variable("DOCKERHUB_PASSWORD"))]
#[case::a_shell_that_is_not_known(project("web").kind("TOMORROW"))]
#[case::logged_in(logged_in())]
#[case::the_names_in_use(project("web").buildspec(
    &BUILDSPEC.replace("phases:", "env:\n  variables:\n    DOCKERHUB_USERNAME: me\nphases:")
))]
fn what_no_owner_can_do_either_is_no_patch(#[case] project: Project) {
    assert_eq!(later_phase().of(project).word(), "no_remedy");
}

#[test]
fn a_credential_that_would_break_builds_is_proposed_to_nobody() {
    for project in [Project { is_runner: true, ..project("web") }, Project { has_batch: true, ..project("web") }] {
        let both = [Remedy::RegistryCredential, Remedy::ProposePatch];
        assert_eq!(provisioning().provisioning(&both).of(project).word(), "no_remedy");
    }
}

#[test]
fn what_speaks_against_a_patch_is_told_once() {
    use Remedy::{ProposePatch, RegistryCredential};
    let project = || Project { has_batch: true, unrepresentable: vec!["x".to_string()], ..project("web") };
    for remedies in [&[RegistryCredential][..], &[ProposePatch, RegistryCredential]] {
        let detail = provisioning().provisioning(remedies).of(project()).detail();
        assert_eq!(detail.matches("propose_patch: ").count(), 1, "{detail}");
    }
}

#[test]
fn the_place_in_the_list_decides() {
    use Remedy::{BuildspecLogin, ProposePatch, RegistryCredential};
    let inline = || later_phase().later(&[ProposePatch, BuildspecLogin]);
    assert_eq!(inline().word(), "patch");
    assert_eq!(inline().patch().why, "policy `all` proposes only");
    assert_eq!(inline().patch().changes, [grant_change(), login_change()]);
    assert_eq!(later_phase().later(&[BuildspecLogin, ProposePatch]).word(), "remediate: buildspec_login");
    assert_eq!(elsewhere().later(&[BuildspecLogin, ProposePatch]).word(), "patch");
    assert_eq!(provisioning().provisioning(&[ProposePatch]).patch().changes, [grant_change(), credential_change()]);
    assert_eq!(
        provisioning().provisioning(&[RegistryCredential, ProposePatch]).word(),
        "remediate: registry_credential"
    );
    assert_eq!(elsewhere().later(&[]).word(), "no_remedy");
}

#[test]
fn variables_that_are_there_are_not_asked_for() {
    let project = project("web")
        .secret_variable("DOCKERHUB_USERNAME", &format!("{SECRET}:username"))
        .secret_variable("DOCKERHUB_PASSWORD", &format!("{SECRET}:password"));
    let patch = elsewhere().of(project).patch();
    assert_eq!((patch.changes, patch.login), (vec![grant_change()], Some(Login::default())));
}

#[test]
fn what_was_disproved_or_taken_out_is_not_proposed() {
    let before = |reason| {
        let plan = Plan { remedy: Remedy::BuildspecLogin, role: RoleName::new("another"), ..plan("web:7") };
        [applied(plan), vec![of_remediation("web:7", rollback(reason))]].concat()
    };
    for reason in [RollbackReason::StillThrottled, RollbackReason::Operator] {
        let situation = elsewhere().after(before(reason)).later(&[Remedy::ProposePatch]);
        let situation = situation.limited(|limits| limits.attempts_per_project = 9);
        let both = [situation.word(), situation.later(&[Remedy::BuildspecLogin]).word()];
        // The remediation is still being taken back.
        assert_eq!(both, ["project_busy", "project_busy"]);
    }
    let over = |reason| {
        let undone = |change| of_remediation("web:7", Entry::Undone { change });
        [before(reason), vec![undone(1), undone(0), of_remediation("web:7", Entry::RolledBack)]].concat()
    };
    for (reason, why) in [
        (RollbackReason::StillThrottled, "a later build disproved it"),
        (RollbackReason::Operator, "someone took it out"),
    ] {
        let situation = elsewhere().after(over(reason)).later(&[Remedy::ProposePatch]);
        assert_eq!(situation.word(), "no_remedy");
        assert!(situation.detail().contains(why), "{}", situation.detail());
    }
}

#[test]
fn code_that_owns_the_project_is_named() {
    let terraform = || elsewhere().tagged("managed-by", "terraform");
    assert_eq!(terraform().patch().owner, Some(Owner::Terraform));
    let mut observed = terraform();
    observed.policy.iac_owned = Mode::Observe;
    assert_eq!(observed.word(), "observe_only");
    match provisioning().tagged("aws:cloudformation:stack-name", "ci").decision() {
        Decision::Judge(Judgement::Proposed { owner, mode, .. }) => {
            assert_eq!((owner, mode), (Some(Owner::CloudFormation), Mode::Propose));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_proposal_is_made_once_for_a_project_and_a_cause() {
    for situation in [elsewhere, || provisioning().most(Mode::Propose)] {
        let first = situation().of_build("web:40").judged("web:40");
        assert_eq!(situation().after(vec![first.clone()]).word(), "proposed for web:40");
        // Not because of itself: a person who asks again reads the same.
        assert_ne!(situation().of_build("web:40").after(vec![first.clone()]).word(), "proposed for web:40");
        let repeated = Fact::Judged { build: id("web:41"), judgement: Judgement::Repeated { build: id("web:40") } };
        let third = situation().of_build("web:42").after(vec![first.clone(), repeated]);
        assert_eq!(third.word(), "proposed for web:40");
        let cleared = Fact::Cleared { project: ProjectName::new("web") };
        assert_ne!(situation().after(vec![first.clone(), cleared]).word(), "proposed for web:40");
    }
}

#[test]
fn another_proposal_is_a_new_one() {
    let first = elsewhere().of_build("web:40").judged("web:40");
    let half = project("web").secret_variable("DOCKERHUB_USERNAME", &format!("{SECRET}:username"));
    assert_eq!(elsewhere().after(vec![first.clone()]).of(half).word(), "patch");
    let image = || provisioning().most(Mode::Propose);
    let credential = image().of_build("web:40").judged("web:40");
    let less = image().after(vec![credential.clone()]).of(project("web").pulls_as("SERVICE_ROLE"));
    assert_eq!(less.word(), "propose: registry_credential");
    let mirror = image().after(vec![credential]).provisioning(&[Remedy::MirrorImage]);
    assert_eq!(mirror.word(), "propose: mirror_image");
    // The other phase of the same project has a cause of its own.
    let image = provisioning().after(vec![first.clone()]).most(Mode::Propose);
    assert_eq!(image.word(), "propose: registry_credential");
    let both = elsewhere().after(vec![first, image.of_build("web:41").judged("web:41")]).of_build("web:43");
    assert_eq!(both.word(), "proposed for web:40");
}

#[test]
fn a_proposal_is_none_of_a_plan_that_was_made_since() {
    let first = provisioning().most(Mode::Propose).of_build("web:40").judged("web:40");
    assert_eq!(provisioning().after(vec![first]).word(), "remediate: registry_credential");
}

#[test]
fn a_secret_that_made_a_neighbor_worse_is_proposed_to_nobody() {
    let undone = |change| of_remediation("api:7", Entry::Undone { change });
    let facts = [
        applied(plan("api:7")),
        vec![
            of_remediation("api:7", rollback(RollbackReason::MadeWorse)),
            undone(1),
            undone(0),
            of_remediation("api:7", Entry::RolledBack),
        ],
    ];
    assert_eq!(elsewhere().after(facts.concat()).word(), "role_disproved");
}

#[test]
fn no_patch_has_an_edit_of_a_text_that_is_not_the_projects() {
    let is_edit = |edit: &Edit| matches!(edit, Edit::Buildspec { before, .. } if *before == Digest::of(BUILDSPEC));
    for (situation, expected) in [(elsewhere(), 0), (later_phase().later(&[Remedy::ProposePatch]), 1)] {
        let inline = matches!(situation.project.buildspec, Buildspec::Inline(_));
        assert_eq!(inline, expected == 1);
        let edits = situation.patch().changes.into_iter().flat_map(|change| match change {
            Change::Project { edits } => edits,
            Change::Grant { .. } => Vec::new(),
        });
        assert_eq!(edits.filter(is_edit).count(), expected);
    }
}

#[test]
fn a_login_or_a_mirror_in_what_the_build_ran_speaks_against_a_patch() {
    let of_pipeline = |ran: &str| {
        let mut situation = later_phase();
        situation.build = situation.build.by("codepipeline/ship");
        situation.build.buildspec = Buildspec::Inline(ran.to_string());
        situation
    };
    assert_eq!(of_pipeline(&BUILDSPEC.replace("node:22", "node:24")).word(), "patch");
    assert_eq!(of_pipeline(&logged_in_buildspec()).word(), "no_remedy");
    let start = "      - dockerd --registry-mirror=https://mirror.example\n      - docker";
    let mirrored = of_pipeline(&BUILDSPEC.replace("      - docker", start));
    assert_eq!(mirrored.word(), "no_remedy");
    assert!(mirrored.detail().contains("line 5 of the buildspec sets up a mirror"), "{}", mirrored.detail());
}

#[test]
fn a_variable_that_tells_of_a_login_speaks_against_a_patch_where_no_commands_were_read() {
    let with = |project: Project| later_phase().of(project.plain_variable("DOCKER_PASSWORD")).word();
    assert_eq!(with(project("web")), "no_remedy");
    // Where there are none, nobody can log in.
    let broken = project("web").buildspec(&BUILDSPEC.replace("phases:", "phases: ["));
    assert_eq!(with(broken), "patch");
}

#[test]
fn what_no_owner_can_do_either_is_no_patch_where_only_patches_are_asked_for() {
    let mut situation = later_phase().later(&[Remedy::ProposePatch]);
    situation.build.environment.kind = "ARM_CONTAINER".to_string();
    assert_eq!(situation.word(), "no_remedy");
}

#[test]
fn a_runner_is_told_why_a_login_would_not_help_it() {
    let runner = Project { is_runner: true, ..project("web") };
    let detail = later_phase().later(&[Remedy::ProposePatch]).of(runner).detail();
    assert!(detail.contains("propose_patch: a runner's jobs bring their own commands"), "{detail}");
}
