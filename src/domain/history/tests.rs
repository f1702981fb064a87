//! The fold of the ledger, the entries that it refuses, and the ledgers of earlier versions that it still loads.

use super::*;
use crate::domain::build::{Project, Role};
use crate::domain::change::GrantSeen;
use crate::domain::classify::{Cause, Site};
use crate::domain::decide::{HoldReason, KeptOut, LeaveReason, unusable, without_build};
use crate::domain::detect::{Evidence, Place};
use crate::domain::patch::Owner;
use crate::domain::plan::Plan;
use crate::domain::policy::Mode;
use crate::domain::quota::Low;
use crate::domain::remediation::{Direction, EscalationReason, GrantUse, Outcome, Seen, Stage, Step};
use crate::domain::remedy::{Material, grant};
use crate::domain::testing::*;
use crate::domain::trust::Weight;
use crate::domain::verdict::Verdict;
use jiff::SignedDuration;
use rstest::rstest;

/// A ledger with each kind of fact and entry, as the first version wrote it: one record a line.
const LEDGER: &str = include_str!("ledger.jsonl");

/// The same as values.
fn every_fact() -> Vec<Fact> {
    let entry = |entry: Entry| of_remediation("web:41", entry);
    let quote = "toomanyrequests: You have reached your unauthenticated pull rate limit".to_string();
    let place = Place::Context(crate::domain::build::PhaseName::new("PROVISIONING"));
    let mut throttled = detected("web:41", Site::BuildImage);
    throttled.diagnosis.evidence = vec![Evidence { place, quote: quote.clone() }];
    let mut in_log = detected("api:7", Site::DockerClient);
    in_log.diagnosis.evidence = vec![Evidence { place: Place::Log(41), quote }];
    let login = Plan { changes: vec![grant_change(), login_change()], ..plan("api:7") };
    let judged = |judgement| Fact::Judged { build: id("api:7"), judgement };
    vec![
        Fact::Detected(throttled),
        Fact::Detected(in_log),
        Fact::Undecided { build: id("old:1"), reason: UnknownReason::LogTooLong },
        judged(unusable("the secret is scheduled for deletion", at(0))),
        judged(Judgement::Covered { by: RemediationId::new("api-6") }),
        judged(Judgement::Proposed { plan: Box::new(login), mode: Mode::Propose, owner: None }),
        judged(without_build()),
        entry(Entry::Planned(Box::new(plan("web:41")))),
        entry(Entry::InPlace { change: 0 }),
        entry(Entry::InPlace { change: 1 }),
        entry(Entry::Applied),
        entry(Entry::RetryIntended),
        entry(Entry::Retried { build: id("web:42") }),
        entry(Entry::Verified { by: id("web:42") }),
        Fact::PasswordResetAdvised { credential: "dockerhub".to_string(), id: RemediationId::new("web-41") },
        entry(Entry::RollbackDecided {
            reason: RollbackReason::Operator,
            detail: "a person asked for it".to_string(),
            by: None,
        }),
        entry(Entry::Undone { change: 1 }),
        entry(Entry::Undone { change: 0 }),
        entry(Entry::RolledBack),
        Fact::Cleared { project: ProjectName::new("web") },
        of_remediation("app:3", Entry::Planned(Box::new(plan("app:3")))),
        of_remediation("app:3", Entry::InPlace { change: 0 }),
        of_remediation("app:3", Entry::InPlace { change: 1 }),
        of_remediation("app:3", Entry::Applied),
        of_remediation("app:3", Entry::RetryIntended),
        of_remediation("app:3", Entry::RetryRefused { detail: "the build was deleted".to_string() }),
        of_remediation(
            "app:3",
            Entry::Escalated { reason: EscalationReason::NotProven, detail: "in time".to_string() },
        ),
        Fact::CredentialRotated { credential: "dockerhub".to_string() },
        judged(Judgement::ForOwner { patch: Box::new(patch("api:7")) }),
        judged(Judgement::Repeated { build: id("api:6") }),
        of_remediation("lib:9", Entry::Planned(Box::new(plan("lib:9")))),
        of_remediation("lib:9", Entry::SetBack { owner: Owner::Terraform }),
        Fact::Judged {
            build: id("lib:10"),
            judgement: Judgement::SetBack {
                plan: Box::new(plan("lib:10")),
                owner: Some(Owner::Terraform),
                times: 1,
                kept: KeptOut::ByPolicy,
            },
        },
        Fact::Judged { build: id("lib:11"), judgement: Judgement::Superseded { by: id("lib:12") } },
        of_remediation("kit:5", Entry::Planned(Box::new(plan("kit:5")))),
        of_remediation("kit:5", Entry::InPlace { change: 0 }),
        of_remediation("kit:5", Entry::Begun { change: 1 }),
        of_remediation("kit:5", rollback(RollbackReason::ProjectChanged)),
        of_remediation("kit:5", Entry::GrantKept { by: ProjectName::new("lib") }),
        of_remediation("kit:5", Entry::RolledBack),
        of_remediation("kit:5", Entry::GrantUnneeded),
        of_remediation("kit:5", Entry::GrantLeft { detail: "it was changed by someone else".to_string() }),
        quota_low("dockerhub"),
        Fact::QuotaRestored { credential: "dockerhub".to_string() },
    ]
}

fn quota_low(credential: &str) -> Fact {
    let detail = "12 of 200 pulls in 6h are left for 3 projects, and more than 20 have to be".to_string();
    Fact::CredentialQuotaLow { credential: credential.to_string(), reason: Low::FewLeft, detail }
}

/// A kind of fact or entry, counted. A new one does not compile before it has its line in the ledger above.
fn kind(fact: &Fact) -> usize {
    match fact {
        Fact::Detected(_) => 0,
        Fact::Undecided { .. } => 1,
        Fact::Judged { judgement: Judgement::Proposed { .. }, .. } => 2,
        Fact::Judged { judgement: Judgement::Held { .. }, .. } => 3,
        Fact::Judged { judgement: Judgement::Left { .. }, .. } => 4,
        Fact::Judged { judgement: Judgement::Covered { .. }, .. } => 5,
        Fact::PasswordResetAdvised { .. } => 6,
        Fact::Cleared { .. } => 7,
        Fact::CredentialRotated { .. } => 19,
        Fact::CredentialQuotaLow { .. } => 29,
        Fact::QuotaRestored { .. } => 30,
        Fact::Remediation { entry, .. } => match entry {
            Entry::Planned(_) => 8,
            Entry::InPlace { .. } => 9,
            Entry::Applied => 10,
            Entry::RetryIntended => 11,
            Entry::Retried { .. } => 12,
            Entry::RetryRefused { .. } => 13,
            Entry::Verified { .. } => 14,
            Entry::RollbackDecided { .. } => 15,
            Entry::Undone { .. } => 16,
            Entry::RolledBack => 17,
            Entry::Escalated { .. } => 18,
            Entry::SetBack { .. } => 22,
            Entry::Begun { .. } => 25,
            Entry::GrantKept { .. } => 26,
            Entry::GrantUnneeded => 27,
            Entry::GrantLeft { .. } => 28,
        },
        Fact::Judged { judgement: Judgement::ForOwner { .. }, .. } => 20,
        Fact::Judged { judgement: Judgement::Repeated { .. }, .. } => 21,
        Fact::Judged { judgement: Judgement::SetBack { .. }, .. } => 23,
        Fact::Judged { judgement: Judgement::Superseded { .. }, .. } => 24,
    }
}

#[test]
fn a_ledger_of_the_first_version_loads_and_means_the_same() {
    let loaded: Vec<Record> = LEDGER.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // It did not weigh its evidence.
    let unweighed = |mut fact: Fact| {
        if let Fact::Detected(detected) = &mut fact {
            detected.diagnosis.weight = Weight::Unknown;
        }
        fact
    };
    assert_eq!(loaded, records(every_fact().into_iter().map(unweighed).collect()));
    let kinds: BTreeSet<usize> = loaded.iter().map(|record| kind(&record.fact)).collect();
    assert_eq!(kinds, (0..31).collect::<BTreeSet<usize>>());
    // And is written as it was.
    for (line, record) in LEDGER.lines().zip(&loaded) {
        assert_eq!(serde_json::to_string(record).unwrap(), line);
    }
}

#[test]
fn folding_at_once_and_one_after_the_other_come_to_the_same() {
    let all = records(every_fact());
    let whole = History::replay(&all).unwrap();
    for split in 0..=all.len() {
        let mut history = History::replay(&all[..split]).unwrap();
        for record in &all[split..] {
            history.apply(record).unwrap();
        }
        assert_eq!(history, whole, "split at {split}");
    }
    assert_eq!(whole.last(), Some(at(all.len() as i64)));
}

fn entry(name: &str) -> Entry {
    let undecided = RollbackReason::Operator;
    match name {
        "planned" => Entry::Planned(Box::new(plan("web:41"))),
        "in_place 0" => Entry::InPlace { change: 0 },
        "in_place 1" => Entry::InPlace { change: 1 },
        "in_place 2" => Entry::InPlace { change: 2 },
        "applied" => Entry::Applied,
        "retry_intended" => Entry::RetryIntended,
        "retried" => Entry::Retried { build: id("web:42") },
        "verified" => Entry::Verified { by: id("web:42") },
        "rollback_decided" => rollback(undecided),
        "undone 1" => Entry::Undone { change: 1 },
        "undone 2" => Entry::Undone { change: 2 },
        "rolled_back" => Entry::RolledBack,
        "escalated" => Entry::Escalated { reason: EscalationReason::Drift, detail: String::new() },
        other => panic!("{other}"),
    }
}

fn folded(names: &str) -> Result<History, BrokenHistory> {
    let facts = names.split(", ").map(|name| of_remediation("web:41", entry(name))).collect();
    History::replay(&records(facts))
}

#[rstest]
#[case("applied")]
#[case("planned, planned")]
#[case("planned, in_place 2")]
#[case("planned, applied")]
#[case("planned, in_place 0, applied")]
#[case("planned, verified")]
#[case("planned, undone 1")]
#[case("planned, rolled_back")]
#[case("planned, retry_intended")]
#[case("planned, in_place 0, in_place 1, applied, in_place 1")]
#[case("planned, in_place 0, in_place 1, applied, applied")]
#[case("planned, in_place 0, in_place 1, applied, rolled_back")]
#[case("planned, in_place 0, in_place 1, applied, retried")]
#[case("planned, in_place 0, in_place 1, applied, retry_intended, retry_intended")]
#[case("planned, in_place 0, in_place 1, applied, retry_intended, retried, retried")]
#[case("planned, in_place 0, in_place 1, applied, verified, applied")]
#[case("planned, in_place 0, in_place 1, applied, verified, escalated")]
#[case("planned, rollback_decided, in_place 0")]
#[case("planned, rollback_decided, undone 2")]
#[case("planned, rollback_decided, rolled_back, rollback_decided")]
#[case("planned, rollback_decided, rolled_back, rolled_back")]
#[case("planned, rollback_decided, escalated, undone 1")]
fn entries_that_cannot_have_happened_are_refused(#[case] names: &str) {
    let broken = folded(names).map(|_| "folded").unwrap_err();
    assert!(broken.detail.contains("web-41") && broken.to_string().len() > 20, "{broken}");
}

#[rstest]
#[case("planned, in_place 0, in_place 1, applied, verified, rollback_decided, undone 1, rolled_back", "closed")]
#[case("planned, rollback_decided, escalated, rollback_decided, rolled_back", "closed")]
#[case("planned, rollback_decided, rollback_decided", "open")]
#[case("planned, escalated", "closed")]
#[case("planned, in_place 0", "open")]
fn entries_that_can_happen_are_folded(#[case] names: &str, #[case] expected: &str) {
    let history = folded(names).unwrap();
    let open = history.open().count();
    assert_eq!(if open == 1 { "open" } else { "closed" }, expected);
    assert_eq!(history.open_on_project(&ProjectName::new("web")).is_some(), expected == "open");
}

#[test]
fn a_throttled_build_waits_until_something_final_is_decided() {
    let found = Fact::Detected(detected("web:41", Site::BuildImage));
    let held = Fact::Judged { build: id("web:41"), judgement: unusable("no keys", at(100)) };
    let history_of = |facts: &[&Fact]| history(facts.iter().map(|fact| (*fact).clone()).collect());

    let mut pending = history_of(&[&found]);
    assert_eq!(pending.pending()[0].due, at(1));
    pending.defer(&id("web:41"), at(50));
    assert_eq!((pending.pending()[0].due, pending.pending()[0].since), (at(50), at(1)));

    let pending = history_of(&[&found, &held]);
    assert_eq!(pending.pending()[0].due, at(400));
    assert!(matches!(pending.pending()[0].last, Some(Judgement::Held { reason: HoldReason::CredentialUnusable, .. })));

    let left = Fact::Judged { build: id("web:41"), judgement: without_build() };
    assert!(history_of(&[&found, &held, &left]).pending().is_empty());
    let planned = of_remediation("web:41", entry("planned"));
    let after = history_of(&[&found, &planned]);
    assert!(after.pending().is_empty() && after.knows(&id("web:41")));
}

#[test]
fn a_build_that_has_its_remediation_does_not_wait_again_however_often_it_is_seen() {
    let mut facts = applied(plan("web:41"));
    facts.push(Fact::Detected(detected("web:41", Site::BuildImage)));
    let mut history = history(facts);
    assert!(history.pending().is_empty());
    history.forget_before(at(0) + SignedDuration::from_hours(1_000));
    assert!(history.knows(&id("web:41")), "its remediation is remembered");
}

#[test]
fn builds_are_remembered_for_longer_than_one_can_run_and_wait() {
    let mut history = history(vec![Fact::Undecided { build: id("web:1"), reason: UnknownReason::MessageCut }]);
    history.forget_before(at(1) + SignedDuration::from_hours(72));
    assert!(history.knows(&id("web:1")));
    history.forget_before(at(2) + SignedDuration::from_hours(72));
    assert!(!history.knows(&id("web:1")));
}

#[test]
fn the_oldest_wait_first() {
    let found = |build: &str| Fact::Detected(detected(build, Site::BuildImage));
    let history = history(vec![found("web:9"), found("api:3"), found("app:5")]);
    let order: Vec<&str> = history.pending().iter().map(|p| p.detected.build.as_str()).collect();
    assert_eq!(order, ["web:9", "api:3", "app:5"]);
    assert_eq!(history.pending()[0].detected.diagnosis.cause, Cause::HubPullLimit);
}

#[test]
fn what_a_record_is_about_is_told() {
    let about: Vec<Option<ProjectName>> = records(every_fact()).iter().map(Record::project).collect();
    assert_eq!(about[0], Some(ProjectName::new("web")));
    assert_eq!(about[7], Some(ProjectName::new("web")));
    assert_eq!(about[8], None);
    assert_eq!(about[19], Some(ProjectName::new("web")));
    let history = history(every_fact());
    assert!(history.password_reset_advised("dockerhub") && !history.password_reset_advised("other"));
}

#[test]
fn a_grant_is_ours_from_its_plan_until_it_is_seen_gone() {
    let role = RoleName::new("builds");
    let ours = |names: &str| folded(names).unwrap().made_grant(&role, GRANT);
    assert!(ours("planned"));
    assert!(ours("planned, in_place 0, in_place 1, applied, verified"));
    assert!(ours("planned, rollback_decided, undone 1, rolled_back"), "left, as others need it");
    let facts = ["planned", "rollback_decided"].map(|name| of_remediation("web:41", entry(name)));
    let undone = of_remediation("web:41", Entry::Undone { change: 0 });
    let mut gone = facts.to_vec();
    gone.push(undone);
    assert!(!history(gone.clone()).made_grant(&role, GRANT));
    gone.push(of_remediation("api:1", Entry::Planned(Box::new(plan("api:1")))));
    assert!(history(gone.clone()).made_grant(&role, GRANT), "made again");
    assert!(!history(gone).made_grant(&RoleName::new("others"), GRANT));
}

#[test]
fn a_grant_is_relied_on_by_what_is_being_made_or_waits_for_proof() {
    let (role, me) = (RoleName::new("builds"), RemediationId::new("me"));
    let relied_on = |names: &str| folded(names).unwrap().grant_relied_on(&role, GRANT, &me).is_some();
    assert!(relied_on("planned"));
    assert!(relied_on("planned, in_place 0, in_place 1, applied"));
    assert!(!relied_on("planned, rollback_decided"));
    assert!(!relied_on("planned, in_place 0, in_place 1, applied, verified"));
    let own = RemediationId::of(&id("web:41"));
    assert_eq!(folded("planned").unwrap().grant_relied_on(&role, GRANT, &own), None);
}

/// Two projects of one role, and the whole of what the daemon does to them.
#[derive(Clone, Debug)]
struct Account {
    now: Timestamp,
    projects: BTreeMap<ProjectName, Project>,
    grant: GrantSeen,
    history: History,
    seq: u64,
}

impl Account {
    fn new() -> Account {
        let projects = ["web", "api"].map(|name| (ProjectName::new(name), project(name)));
        Account { now: at(0), projects: projects.into(), grant: GrantSeen::Absent, history: History::default(), seq: 0 }
    }

    fn record(&mut self, fact: Fact) {
        self.seq += 1;
        let record = Record { seq: self.seq, at: self.now, scope: "here".to_string(), fact };
        self.history.apply(&record).unwrap();
    }

    fn role(&self) -> Role {
        match &self.grant {
            GrantSeen::Present(document) => role("builds").with_policy(GRANT, Some(document.clone())),
            _ => role("builds"),
        }
    }

    fn plan(&mut self, because: &str) {
        let material = Material {
            build: &build(because),
            project: &project("web"),
            role: &self.role(),
            secret: Some(&secret()),
            credential: &credential(),
            made_by_us: self.history.made_grant(&RoleName::new("builds"), GRANT),
            diagnosis: &detected(because, Site::BuildImage).diagnosis,
            images: &known_images(),
        };
        let changes = vec![grant::change(material).unwrap(), credential_change()];
        let plan = Plan { changes, ..plan(because) };
        self.record(of_remediation(because, Entry::Planned(Box::new(plan))));
    }

    fn named_by(&self) -> usize {
        let secret = secret().arn;
        self.projects.values().filter(|project| project.names_secret(&secret)).count()
    }

    fn needed_by(&self) -> Option<ProjectName> {
        let secret = secret().arn;
        self.projects.values().find(|project| project.names_secret(&secret)).map(|project| project.name.clone())
    }

    /// One look and one step of one remediation, with builds that prove every remedy.
    fn step(&mut self, because: &str) -> Stage {
        let remediation = self.history.caused(&id(because)).unwrap().clone();
        let plan = remediation.plan().clone();
        let role = RoleName::new("builds");
        let relied_on = self.history.grant_relied_on(&role, GRANT, &plan.id).cloned();
        let grant_use = match remediation.stage() {
            Stage::RollingBack | Stage::Closed(Outcome::RolledBack) => {
                relied_on.or_else(|| self.needed_by()).map_or(GrantUse::Free, GrantUse::Needed)
            }
            _ => GrantUse::NotAsked,
        };
        let seen = Seen {
            since: Timestamp::MIN,
            builds_read: true,
            project: self.projects.get(&plan.project).cloned(),
            grant: self.grant.clone(),
            grant_use,
            verdicts: vec![(id("web:99"), Verdict::Effective)],
        };
        match remediation.next_step(&seen, self.now) {
            Step::Record(entry) => self.record(of_remediation(because, entry)),
            Step::Write { change: 0, direction } => {
                self.grant = match (direction, plan.grant_before()) {
                    (Direction::Forward, _) => GrantSeen::Present(grant_document()),
                    (Direction::Back, Some(before)) => GrantSeen::Present(before.clone()),
                    (Direction::Back, None) => GrantSeen::Absent,
                };
                assert!(
                    self.grant != GrantSeen::Absent || self.named_by() == 0,
                    "a project that needs the grant lost it: {self:?}"
                );
            }
            Step::Write { direction, .. } => {
                let fresh = project(plan.project.as_str());
                let project = match direction {
                    Direction::Forward => fresh.credential(SECRET),
                    Direction::Back => fresh,
                };
                self.projects.insert(plan.project.clone(), project);
            }
            Step::Wait { .. } | Step::Retry { .. } | Step::Done => (),
        }
        self.now += seconds(1);
        self.history.caused(&id(because)).unwrap().stage()
    }

    fn finish(&mut self, because: &str) {
        for _ in 0..60 {
            if matches!(self.step(because), Stage::Closed(_)) {
                return;
            }
        }
        panic!("it never came to rest: {self:?}");
    }

    fn roll_back(&mut self, because: &str) {
        self.record(of_remediation(because, rollback(RollbackReason::Operator)));
    }
}

/// Both projects are remedied, then both are taken back, the second decision after any number of steps of the first, and
/// their steps in every order of turns.
#[test]
fn a_shared_grant_goes_with_the_last_remediation_of_the_role_and_never_before() {
    let mut remedied = Account::new();
    for because in ["web:1", "api:1"] {
        remedied.plan(because);
        remedied.finish(because);
    }
    assert_eq!(remedied.named_by(), 2);
    for (first, second) in [("web:1", "api:1"), ("api:1", "web:1")] {
        let mut ahead = remedied.clone();
        ahead.roll_back(first);
        for head_start in 0..12 {
            for turns in 0..1 << 5 {
                let mut account = ahead.clone();
                account.roll_back(second);
                for turn in 0..5 {
                    account.step(if turns >> turn & 1 == 1 { first } else { second });
                }
                account.finish(first);
                account.finish(second);
                let trace = format!("{first} first, {head_start}, {turns:b}");
                assert_eq!(account.grant, GrantSeen::Absent, "{trace}");
                assert_eq!(account.named_by(), 0, "{trace}");
            }
            ahead.step(first);
        }
    }
}

/// One project's remedy is taken back and comes again, while the other keeps the grant in use.
#[test]
fn a_grant_that_was_left_for_a_neighbor_is_still_ours_afterwards() {
    let mut account = Account::new();
    account.plan("web:1");
    account.finish("web:1");
    account.plan("api:1");
    account.finish("api:1");
    account.roll_back("web:1");
    account.finish("web:1");
    assert_eq!(account.grant, GrantSeen::Present(grant_document()));
    account.plan("web:2");
    account.finish("web:2");
    for because in ["api:1", "web:2"] {
        account.roll_back(because);
        account.finish(because);
    }
    assert_eq!(account.grant, GrantSeen::Absent);
}

/// A project that nobody remedied names the secret, so the grant stays when the last remediation goes; what comes after
/// it finds the grant to be ours and takes it when it is free.
#[test]
fn a_grant_that_was_left_for_a_stranger_goes_with_a_later_remediation() {
    let mut account = Account::new();
    account.plan("web:1");
    account.finish("web:1");
    account.projects.insert(ProjectName::new("hand"), project("hand").credential(SECRET));
    account.roll_back("web:1");
    account.finish("web:1");
    assert_eq!(account.grant, GrantSeen::Present(grant_document()));
    account.projects.remove(&ProjectName::new("hand"));
    account.plan("api:1");
    account.finish("api:1");
    account.roll_back("api:1");
    account.finish("api:1");
    assert_eq!(account.grant, GrantSeen::Absent);
}

#[test]
fn a_policy_that_somebody_made_after_ours_was_gone_is_theirs() {
    let mut account = Account::new();
    account.plan("web:1");
    account.finish("web:1");
    account.roll_back("web:1");
    account.finish("web:1");
    account.grant = GrantSeen::Present(grant_document());
    account.plan("api:1");
    account.finish("api:1");
    account.roll_back("api:1");
    account.finish("api:1");
    assert_eq!(account.grant, GrantSeen::Present(grant_document()));
    let stage = account.history.caused(&id("api:1")).map(|r| r.stage());
    assert_eq!(stage, Some(Stage::Closed(Outcome::RolledBack)));
}

#[test]
fn a_rotation_ends_the_advice_and_it_does_not_come_again() {
    let advised = Fact::PasswordResetAdvised { credential: "dockerhub".to_string(), id: RemediationId::new("web-41") };
    let rotated = |name: &str| Fact::CredentialRotated { credential: name.to_string() };
    let left = |facts: Vec<Fact>| {
        let history = History::replay(&records(facts)).unwrap();
        assert!(history.password_reset_advised("dockerhub"));
        history.passwords_to_reset().map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(left(vec![advised.clone()]), ["dockerhub"]);
    assert_eq!(left(vec![advised.clone(), rotated("other")]), ["dockerhub"]);
    assert_eq!(left(vec![advised, rotated("dockerhub")]), [] as [&str; 0]);
}

#[test]
fn an_account_is_low_from_one_crossing_to_the_next() {
    let restored = |name: &str| Fact::QuotaRestored { credential: name.to_string() };
    let low = |facts: Vec<Fact>| History::replay(&records(facts)).unwrap().quota_low("dockerhub");
    assert_eq!(low(vec![quota_low("dockerhub")]), Some(at(1)));
    assert_eq!(low(vec![quota_low("other")]), None);
    assert_eq!(low(vec![quota_low("dockerhub"), restored("other")]), Some(at(1)));
    assert_eq!(low(vec![quota_low("dockerhub"), restored("dockerhub")]), None);

    let history =
        History::replay(&records(vec![quota_low("other"), quota_low("dockerhub"), restored("other")])).unwrap();
    let low: Vec<(&str, &AccountLow)> = history.accounts_low().collect();
    let Fact::CredentialQuotaLow { reason, detail, .. } = quota_low("dockerhub") else { panic!("it is low") };
    assert_eq!(low, [("dockerhub", &AccountLow { since: at(2), reason, detail })]);
}

#[test]
fn projects_with_a_credential_are_those_that_have_it_and_are_about_to() {
    let with = |facts: Vec<Fact>| {
        let history = History::replay(&records(facts)).unwrap();
        let projects = history.projects_with("dockerhub");
        projects.into_iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    let planned = |build: &str| of_remediation(build, Entry::Planned(Box::new(plan(build))));
    let mirrored = of_remediation("lib:1", Entry::Planned(Box::new(Plan { secret: None, ..plan("lib:1") })));
    let other = Plan { credential: "other".to_string(), ..plan("kit:1") };
    let other = of_remediation("kit:1", Entry::Planned(Box::new(other)));
    assert_eq!(with(vec![planned("web:1"), planned("api:1"), mirrored, other]), ["api", "web"]);
    let mut facts = every_fact();
    facts.truncate(15);
    assert_eq!(with(facts.clone()), ["web"], "proven and in place");
    facts.push(of_remediation("web:41", rollback(RollbackReason::Operator)));
    assert_eq!(with(facts), [] as [&str; 0], "being taken back");
}

#[test]
fn a_kept_grant_is_its_last_remediations_until_it_is_gone_or_another_is_planned() {
    let kept = |because: &str| {
        let entries = [
            Entry::Planned(Box::new(plan(because))),
            rollback(RollbackReason::Operator),
            Entry::GrantKept { by: ProjectName::new("hand") },
            Entry::RolledBack,
        ];
        entries.map(|entry| of_remediation(because, entry)).to_vec()
    };
    let keepers = |facts: Vec<Fact>| -> Vec<RemediationId> {
        history(facts).kept_grants().map(|(id, _, _)| id.clone()).collect()
    };
    let with = |mut facts: Vec<Fact>, more: Vec<Fact>| {
        facts.extend(more);
        facts
    };
    let of = |because: &str| RemediationId::of(&id(because));
    assert_eq!(keepers(kept("web:1")), [of("web:1")]);
    assert_eq!(keepers(with(kept("web:1"), kept("api:1"))), [of("api:1")], "one look a grant");
    let planned = vec![of_remediation("api:1", Entry::Planned(Box::new(plan("api:1"))))];
    assert_eq!(keepers(with(kept("web:1"), planned)), [], "what is under way will see to it");
    for last in [Entry::Undone { change: 0 }, Entry::GrantLeft { detail: String::new() }] {
        let gone = with(kept("web:1"), vec![of_remediation("web:1", last)]);
        assert_eq!(keepers(gone.clone()), []);
        assert!(!history(gone).made_grant(&RoleName::new("builds"), GRANT));
    }
}

/// A remediation of the project that a later build proved.
fn proven(because: &str) -> Vec<Fact> {
    let verified = of_remediation(because, Entry::Verified { by: id("web:99") });
    [applied(plan(because)), vec![verified]].concat()
}

#[test]
fn of_a_projects_proven_remedies_of_a_kind_the_newest_is_in_place() {
    let in_place = |facts: Vec<Vec<Fact>>| -> Vec<String> {
        history(facts.concat()).in_place().map(|(id, _)| id.to_string()).collect()
    };
    let name = |because: &str| RemediationId::of(&id(because)).to_string();
    assert_eq!(in_place(vec![applied(plan("web:41"))]), Vec::<String>::new());
    assert_eq!(in_place(vec![proven("web:41")]), [name("web:41")]);
    assert_eq!(in_place(vec![proven("web:41"), proven("web:43")]), [name("web:43")]);
    let undone = of_remediation("web:41", Entry::SetBack { owner: Owner::Terraform });
    assert_eq!(in_place(vec![proven("web:41"), vec![undone]]), Vec::<String>::new());
}

#[test]
fn a_build_is_diagnosed_while_it_waits_and_after_it_was_judged_last() {
    let waits = Fact::Detected(detected("web:41", Site::BuildImage));
    let left = Judgement::Left { reason: LeaveReason::NoPolicy, detail: String::new() };
    let judged = Fact::Judged { build: id("web:41"), judgement: left };
    for facts in [vec![waits.clone()], vec![waits, judged]] {
        let history = history(facts);
        assert_eq!(history.diagnosed(&id("web:41")), Some(&detected("web:41", Site::BuildImage)));
        assert_eq!(history.diagnosed(&id("web:42")), None);
    }
}
