//! A history that lets go answers what decisions ask as one that keeps everything, and does not grow.

use super::*;
use crate::domain::build::{BuildId, SecretArn};
use crate::domain::classify::Site;
use crate::domain::decide::{HoldReason, Judgement, LeaveReason};
use crate::domain::history::{Fact, Record};
use crate::domain::patch::Owner;
use crate::domain::plan::Plan;
use crate::domain::policy::Mode;
use crate::domain::remediation::{Entry, EscalationReason, RollbackReason};
use crate::domain::testing::*;
use proptest::prelude::*;

const PROJECTS: [&str; 3] = ["web", "api", "app"];
const REMEDIES: [Remedy; 2] = [Remedy::RegistryCredential, Remedy::BuildspecLogin];

/// What may happen next, as numbers that pick it.
#[derive(Clone, Debug)]
struct Happening {
    hours: i64,
    what: u8,
    project: usize,
    which: usize,
}

fn happening() -> impl Strategy<Value = Happening> {
    (0..30_i64, 0..20_u8, 0..PROJECTS.len(), any::<usize>()).prop_map(|(hours, what, project, which)| Happening {
        hours,
        what,
        project,
        which,
    })
}

/// The same facts, folded by one that keeps everything and one that lets go.
struct Both {
    all: History,
    bounded: History,
    now: Timestamp,
    seq: u64,
    recalled: usize,
}

impl Both {
    fn new() -> Both {
        Both { all: History::default(), bounded: History::default(), now: at(0), seq: 0, recalled: 0 }
    }

    fn record(&mut self, fact: Fact) {
        self.seq += 1;
        let record = Record { seq: self.seq, at: self.now, scope: "here".to_string(), fact };
        if let Fact::Remediation { id, entry } = &record.fact
            && !matches!(entry, Entry::Planned(_))
            && self.bounded.remediation(id).is_none()
        {
            // What the book reads from the ledger.
            self.bounded.recall(id.clone(), self.all.remediation(id).unwrap().clone());
            self.recalled += 1;
        }
        self.all.apply(&record).unwrap();
        self.bounded.apply(&record).unwrap();
    }

    fn enter(&mut self, id: &RemediationId, entry: Entry) {
        self.record(Fact::Remediation { id: id.clone(), entry });
    }

    fn happen(&mut self, happening: &Happening) {
        self.now += SignedDuration::from_hours(happening.hours);
        let project = ProjectName::new(PROJECTS[happening.project]);
        let build = BuildId::new(format!("{project}:{:012}", self.seq));
        let detected = |build: &BuildId| detected(build.as_str(), Site::BuildImage);
        let picked = self.all.remediations().nth(happening.which % self.all.remediations().count().max(1));
        let picked = picked.map(|(id, r)| (id.clone(), r.stage(), r.plan().changes.len()));
        match happening.what {
            0..=4 if self.all.open_on_project(&project).is_none() => {
                let remedy = REMEDIES[happening.which % 2];
                let plan = Plan { remedy, ..plan(build.as_str()) };
                self.record(Fact::Detected(detected(&build)));
                self.enter(&plan.id.clone(), Entry::Planned(Box::new(plan)));
            }
            5 => self.record(Fact::Cleared { project }),
            6 => {
                self.record(Fact::Detected(detected(&build)));
                let held = Judgement::Held { reason: HoldReason::MaxOpen, detail: String::new(), until: self.now };
                let left = Judgement::Left { reason: LeaveReason::NoRemedy, detail: String::new() };
                let judgement = if happening.which.is_multiple_of(2) { held } else { left };
                self.record(Fact::Judged { build, judgement });
            }
            _ => {
                if let Some((id, stage, changes)) = picked {
                    self.go_on(&id, stage, changes, happening);
                }
            }
        }
    }

    /// What can come next in a remediation; over again and again a person takes back what is closed.
    fn go_on(&mut self, id: &RemediationId, stage: Stage, changes: usize, happening: &Happening) {
        let way = happening.which / 7 % 5;
        let worse = rollback(RollbackReason::MadeWorse);
        let escalated = Entry::Escalated { reason: EscalationReason::NotProven, detail: String::new() };
        match (stage, way) {
            (Stage::Planned, 0..=3) => {
                (0..changes).for_each(|change| self.enter(id, Entry::InPlace { change }));
                self.enter(id, Entry::Applied);
            }
            (Stage::Planned, _) => self.enter(id, rollback(RollbackReason::ProjectChanged)),
            (Stage::Applied, 0..=2) => self.enter(id, Entry::Verified { by: BuildId::new("web:1") }),
            (Stage::Applied, 3) => self.enter(id, worse),
            (Stage::Applied, _) => self.enter(id, escalated),
            (Stage::RollingBack, 3) => {
                self.enter(id, Entry::GrantKept { by: ProjectName::new("hand") });
                (1..changes).rev().for_each(|change| self.enter(id, Entry::Undone { change }));
                self.enter(id, Entry::RolledBack);
            }
            (Stage::RollingBack, 0..=2) => {
                (0..changes).rev().for_each(|change| self.enter(id, Entry::Undone { change }));
                self.enter(id, Entry::RolledBack);
            }
            (Stage::RollingBack, _) => self.enter(id, escalated),
            (Stage::Closed(Outcome::RolledBack), way) => {
                let kept = self.all.kept_grants().find(|(keeper, _, _)| *keeper == id).map(|(_, _, kept)| kept.clone());
                match (kept, way) {
                    (Some(kept), 0) if kept.unneeded.is_none() => self.enter(id, Entry::GrantUnneeded),
                    (Some(_), 0 | 1) => self.enter(id, Entry::Undone { change: 0 }),
                    (Some(_), 2) => self.enter(id, Entry::GrantKept { by: ProjectName::new("other") }),
                    (Some(_), 3) => self.enter(id, Entry::GrantLeft { detail: String::new() }),
                    _ => (),
                }
            }
            (Stage::Closed(Outcome::Verified), 0) => self.enter(id, Entry::SetBack { owner: Owner::Cdk }),
            (Stage::Closed(_), 1) => self.enter(id, rollback(RollbackReason::Operator)),
            (Stage::Closed(_), _) => (),
        }
    }

    /// Everything that decisions, steps and events ask.
    fn answers(history: &History, now: Timestamp) -> Vec<String> {
        let (role, secret) = (RoleName::new("builds"), SecretArn::new(SECRET));
        let me = RemediationId::new("me");
        let mut answers = vec![
            format!("{:?}", history.open().map(|(id, r)| (id.clone(), r.stage())).collect::<Vec<_>>()),
            format!("{:?}", history.in_place().map(|(id, _)| id.clone()).collect::<Vec<_>>()),
            format!("{:?}", history.pending()),
            format!("{:?}", history.unproven_on_role(&role, &secret).map(|r| r.plan().id.clone())),
            format!("{:?}", history.disproved_by(&role, &secret)),
            format!("{:?} {}", history.grant_relied_on(&role, GRANT, &me), history.made_grant(&role, GRANT)),
            format!("{:?}", history.kept_grants().map(|(id, _, kept)| (id.clone(), kept.clone())).collect::<Vec<_>>()),
            format!("{} {:?}", history.open_of_policy("all"), history.begun_within_hour("all", now)),
            format!("{:?}", history.last()),
        ];
        for project in PROJECTS.map(ProjectName::new) {
            answers.push(format!("{:?}", history.open_on_project(&project).map(|r| r.plan().id.clone())));
            for remedy in REMEDIES {
                answers.push(format!(
                    "{project} {remedy}: {} {} {} {:?}",
                    history.attempts(&project, remedy),
                    history.is_disproved(&project, remedy),
                    history.is_taken_out(&project, remedy),
                    history.set_back(&project, remedy),
                ));
            }
        }
        answers
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn what_was_let_go_changes_no_answer(happenings in prop::collection::vec(happening(), 1..120)) {
        let mut both = Both::new();
        for happening in &happenings {
            both.happen(happening);
            both.bounded.forget_before(both.now - SignedDuration::from_hours(2));
            prop_assert_eq!(Both::answers(&both.bounded, both.now), Both::answers(&both.all, both.now));
            let recent = both.now - SignedDuration::from_hours(48);
            for (id, remediation) in both.all.remediations().filter(|(_, r)| r.planned() >= recent) {
                let because = &remediation.plan().because;
                prop_assert!(both.bounded.knows(because) && both.bounded.caused(because).is_some(), "{id}");
            }
        }
    }
}

/// The property above is about something: histories in which much is let go, and some of it recalled.
#[test]
fn the_histories_that_are_compared_let_go_and_recall() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut let_go, mut recalled) = (0, 0);
    for _ in 0..64 {
        let tree = prop::collection::vec(happening(), 60..120).new_tree(&mut runner).unwrap();
        let mut both = Both::new();
        for happening in tree.current() {
            both.happen(&happening);
            both.bounded.forget_before(both.now - SignedDuration::from_hours(2));
        }
        let_go += both.all.held().remediations - both.bounded.held().remediations;
        recalled += both.recalled;
    }
    assert!(let_go > 300 && recalled > 50, "{let_go} let go, {recalled} recalled");
}

/// A throttled build every other minute in thirty projects for a month, each remedied, proven, taken out and cleared
/// again, or held back for long.
#[test]
fn a_month_holds_no_more_than_a_week() {
    let mut history = History::default();
    let mut seq = 0;
    let mut held = Vec::new();
    for minute in 0..30 * 24 * 60 {
        let now = at(0) + SignedDuration::from_mins(minute);
        let mut record = |fact: Fact| {
            seq += 1;
            history.apply(&Record { seq, at: now, scope: "here".to_string(), fact }).unwrap();
        };
        let project = ProjectName::new(format!("p{}", minute / 2 % 30));
        let because = format!("{project}:{minute:012}");
        let throttled = detected(&because, Site::BuildImage);
        if minute % 2 == 0 {
            record(Fact::Detected(throttled.clone()));
            let left = Judgement::Left { reason: LeaveReason::NoRemedy, detail: "none applies".to_string() };
            if minute / 60 % 3 > 0 {
                record(Fact::Judged { build: id(&because), judgement: left });
            } else {
                applied(plan(&because)).into_iter().for_each(&mut record);
                record(of_remediation(&because, Entry::Verified { by: id("web:1") }));
                if minute / 60 % 2 == 0 {
                    record(of_remediation(&because, rollback(RollbackReason::Operator)));
                    record(of_remediation(&because, Entry::RolledBack));
                    record(Fact::Cleared { project });
                }
            }
        }
        if minute % 60 == 0 {
            history.forget_before(now - SignedDuration::from_hours(2));
        }
        if minute % (24 * 60) == 24 * 60 - 1 {
            held.push(history.held());
        }
    }
    let (week, month) = (held[6], held[29]);
    assert!(week.remediations > 30 && week.known > 1_000, "{week:?}");
    assert_eq!(month, week, "what is held on each day: {held:?}");
}

/// One of each thing that something is remembered about, so that none can be left out of the sum unseen.
#[test]
fn everything_that_is_remembered_is_counted() {
    let verified = |because: &str| of_remediation(because, Entry::Verified { by: id("web:9") });
    let mut facts = applied(plan("web:1"));
    facts.push(verified("web:1"));
    // Another of the same project and remedy takes the place of the first, which is let go.
    facts.extend(applied(plan("web:2")));
    facts.push(verified("web:2"));
    facts.push(of_remediation("web:2", Entry::SetBack { owner: Owner::Cdk }));
    facts.extend(applied(plan("api:1")));
    facts.push(of_remediation("api:1", rollback(RollbackReason::MadeWorse)));
    facts.push(of_remediation("api:1", Entry::Undone { change: 1 }));
    facts.push(of_remediation("api:1", Entry::GrantKept { by: ProjectName::new("web") }));
    facts.push(of_remediation("api:1", Entry::RolledBack));
    facts.push(Fact::PasswordResetAdvised { credential: "dockerhub".to_string(), id: plan("web:2").id });
    facts.push(Fact::Cleared { project: ProjectName::new("old") });
    let mut history = history(facts);
    let first = Held { remediations: 3, pending: 0, known: 0, remembered: 9 };
    assert_eq!(history.held(), first);
    history.forget_before(at(0) + SignedDuration::from_hours(100));
    assert_eq!(history.held(), Held { remediations: 2, remembered: 11, ..first });
    let mut record = |seq, fact| {
        let at = at(0) + SignedDuration::from_hours(101);
        history.apply(&Record { seq, at, scope: "here".to_string(), fact }).unwrap();
        history.held()
    };
    let waiting = record(101, Fact::Detected(detected("app:1", Site::BuildImage)));
    assert_eq!(waiting, Held { remediations: 2, pending: 1, known: 1, remembered: 11 });
    let plan = Box::new(plan("app:1"));
    let judgement = Judgement::Proposed { plan, mode: Mode::Propose, owner: None };
    let judged = record(102, Fact::Judged { build: id("app:1"), judgement });
    assert_eq!(judged, Held { remediations: 2, pending: 0, known: 1, remembered: 12 });
}
