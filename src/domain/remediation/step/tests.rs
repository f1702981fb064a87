//! A small world, with everything that can go wrong in it, tried at every point.

use super::*;
use crate::domain::build::{ProjectName, RoleName};
use crate::domain::change::Edit;
use crate::domain::plan::Plan;
use crate::domain::remediation::{KEPT_LOOK, Outcome};
use crate::domain::testing::*;
use crate::domain::verdict::Inconclusive;
use serde_json::{Value, json};

/// More effects than any run has.
const EFFECTS: usize = 16;

const VERDICTS: [Verdict; 4] = [
    Verdict::Effective,
    Verdict::Ineffective(Ineffective::StillThrottled),
    Verdict::Ineffective(Ineffective::SecretUnreadable),
    Verdict::Inconclusive(Inconclusive::NotReached),
];

/// An answer that a read may still give, of what was there before a write.
#[derive(Clone, Debug)]
struct Older<T> {
    state: T,
    looks: u32,
}

/// What survives a crash, plus the rest of the world.
#[derive(Clone, Debug)]
struct World {
    now: Timestamp,
    /// When the process that looks began to.
    since: Timestamp,
    /// Whether it has read the builds.
    builds_read: bool,
    project: Option<Project>,
    grant: GrantSeen,
    /// Another project of the role names the secret.
    neighbor: bool,
    ledger: Vec<(Timestamp, Entry)>,
    remediation: Remediation,
    /// What a build that carries the change tells.
    verdict: Verdict,
    /// Which of the looks after a write answer what was there before it, as bits; the first is the lowest.
    lag: u32,
    older_project: Option<Older<Option<Project>>>,
    older_grant: Option<Older<GrantSeen>>,
    writes: Vec<(Timestamp, usize, Direction)>,
    retried: usize,
    /// `UpdateProject` keeps a registry credential that is left out.
    credential_sticks: bool,
}

impl World {
    fn new(verdict: Verdict) -> World {
        World::planning(plan("web:41"), verdict)
    }

    fn planning(plan: Plan, verdict: Verdict) -> World {
        World {
            now: at(0),
            since: Timestamp::MIN,
            builds_read: true,
            project: Some(project("web")),
            grant: GrantSeen::Absent,
            neighbor: false,
            ledger: vec![(at(0), Entry::Planned(Box::new(plan.clone())))],
            remediation: Remediation::begin(plan, at(0)),
            verdict,
            lag: 0,
            older_project: None,
            older_grant: None,
            writes: Vec::new(),
            retried: 0,
            credential_sticks: false,
        }
    }

    fn record(&mut self, entry: Entry) {
        self.remediation.apply(&entry, self.now).unwrap();
        self.ledger.push((self.now, entry));
    }

    fn plan(&self) -> &Plan {
        &self.remediation.plan
    }

    fn stage(&self) -> Stage {
        self.remediation.stage()
    }

    fn is_closed(&self) -> bool {
        !self.remediation.is_open()
    }

    fn last(&self) -> &Entry {
        &self.ledger.last().unwrap().1
    }

    fn carries(&self) -> bool {
        let change = &self.plan().changes[1];
        change.position(self.project.as_ref(), &self.grant) == Position::After
    }

    fn names_secret(&self) -> bool {
        needs_grant(self.project.as_ref(), self.plan())
    }

    /// The one thing that must never be through our doing.
    fn secret_is_named_and_not_readable(&self) -> bool {
        (self.names_secret() || self.neighbor) && !matches!(self.grant, GrantSeen::Present(_))
    }

    fn look(&mut self) -> Seen {
        let project = answer(&mut self.older_project, &self.project, self.lag);
        let grant = answer(&mut self.older_grant, &self.grant, self.lag);
        let needed = needs_grant(project.as_ref(), self.plan());
        let grant_use = match self.stage() {
            Stage::RollingBack | Stage::Closed(Outcome::RolledBack) if needed || self.neighbor => {
                GrantUse::Needed(ProjectName::new("other"))
            }
            Stage::RollingBack | Stage::Closed(Outcome::RolledBack) => GrantUse::Free,
            _ => GrantUse::NotAsked,
        };
        // A tick advances what is open before it reads builds, so the retry comes first.
        let retry_over = match self.plan().retry {
            RetryPlan::Once => self.remediation.retry == RetryState::Over,
            RetryPlan::No(_) => true,
        };
        let verdicts = match self.stage() {
            Stage::Applied if self.carries() && retry_over => vec![(id("web:42"), self.verdict)],
            _ => Vec::new(),
        };
        Seen { since: self.since, builds_read: self.builds_read, project, grant, grant_use, verdicts }
    }

    fn next_step(&mut self) -> Step {
        let seen = self.look();
        self.remediation.next_step(&seen, self.now)
    }

    /// The shell: it refuses a step that was decided on an older ledger, and a write to a resource that has moved on.
    fn perform(&mut self, step: Step, decided_on: usize) {
        if decided_on != self.ledger.len() {
            return;
        }
        match step {
            Step::Record(entry) => self.record(entry),
            Step::Write { change, direction } => self.write(change, direction),
            // The token, or the look for a build that is it, makes a second request the first.
            Step::Retry { .. } if self.retried == 0 => self.retried += 1,
            Step::Retry { .. } => {
                let build = id("web:42");
                self.record(Entry::Retried { build });
            }
            Step::Wait { .. } | Step::Done => (),
        }
    }

    fn write(&mut self, n: usize, direction: Direction) {
        let harmed_before = self.secret_is_named_and_not_readable();
        let resource = self.plan().changes[n].clone();
        let expected = match direction {
            Direction::Forward => Position::Before,
            Direction::Back => Position::After,
        };
        if resource.position(self.project.as_ref(), &self.grant) != expected {
            return;
        }
        self.writes.push((self.now, n, direction));
        match resource {
            Change::Grant { before, after, .. } => {
                let state = std::mem::replace(
                    &mut self.grant,
                    match (direction, before) {
                        (Direction::Forward, _) => GrantSeen::Present(after),
                        (Direction::Back, Some(before)) => GrantSeen::Present(before),
                        (Direction::Back, None) => GrantSeen::Absent,
                    },
                );
                self.older_grant = Some(Older { state, looks: 0 });
            }
            Change::Project { edits } => {
                let sticks = self.credential_sticks;
                let state = self.project.clone();
                if let Some(project) = &mut self.project {
                    edits.iter().for_each(|edit| set(project, edit, direction, sticks));
                }
                self.older_project = Some(Older { state, looks: 0 });
            }
        }
        assert!(harmed_before || !self.secret_is_named_and_not_readable(), "we made every build fail: {self:?}");
    }

    /// Goes on until closed, or until so many effects are spent: the crash.
    fn run(&mut self, mut effects: usize) {
        for _ in 0..200 {
            if effects == 0 {
                return;
            }
            let step = self.next_step();
            match step {
                // A grant that was kept is looked at again for ever.
                Step::Wait { until } if self.is_closed() && until >= self.now + KEPT_LOOK => return,
                Step::Done => {
                    assert_eq!(Remediation::replay(&self.ledger), Ok(self.remediation.clone()));
                    return;
                }
                Step::Wait { until } => {
                    assert!(until > self.now, "it waits for what has passed: {self:?}");
                    let later = self.now + seconds(1);
                    self.now = if self.lag == 0 { until } else { later };
                    continue;
                }
                _ => effects -= 1,
            }
            let decided_on = self.ledger.len();
            self.perform(step, decided_on);
            self.now += seconds(1);
        }
        panic!("it never came to rest: {self:?}");
    }

    /// All but the times.
    fn end(&self) -> (Option<Project>, GrantSeen, Stage, usize) {
        (self.project.clone(), self.grant.clone(), self.stage(), self.retried)
    }

    fn written(&self) -> Vec<(usize, Direction)> {
        self.writes.iter().map(|(_, n, direction)| (*n, *direction)).collect()
    }

    fn time_of(&self, wanted: &Entry) -> Option<Timestamp> {
        self.ledger.iter().find(|(_, entry)| entry == wanted).map(|(at, _)| *at)
    }

    fn in_place(&self, n: usize) -> bool {
        self.time_of(&Entry::InPlace { change: n }).is_some()
    }
}

fn needs_grant(project: Option<&Project>, plan: &Plan) -> bool {
    let names = |p: &Project| plan.secret.as_ref().is_some_and(|secret| p.names_secret(secret));
    project.is_some_and(|p| p.role().as_ref() == Some(&plan.role) && names(p))
}

fn answer<T: Clone>(older: &mut Option<Older<T>>, state: &T, lag: u32) -> T {
    let Some(before) = older else {
        return state.clone();
    };
    let is_older = lag.checked_shr(before.looks).is_some_and(|bits| bits & 1 == 1);
    before.looks += 1;
    if is_older { before.state.clone() } else { state.clone() }
}

fn set(project: &mut Project, edit: &Edit, direction: Direction, sticks: bool) {
    let forward = direction == Direction::Forward;
    let environment = &mut project.environment;
    match edit {
        Edit::RegistryCredential { .. } if !forward && sticks => (),
        Edit::RegistryCredential { after } => {
            environment.registry_credential = forward.then(|| after.clone());
        }
        Edit::PullCredentials { before, after } => {
            environment.pull_credentials = if forward { Some(after.clone()) } else { before.clone() };
        }
        Edit::Image { .. } | Edit::Variable { .. } | Edit::Buildspec { .. } => panic!("not part of this world"),
    }
}

fn ours() -> GrantSeen {
    GrantSeen::Present(grant_document())
}

fn remedied() -> Project {
    project("web").credential(SECRET)
}

#[test]
fn an_effective_plan_stays_and_an_ineffective_one_leaves_no_trace() {
    let forward = [(0, Direction::Forward), (1, Direction::Forward)];
    let mut world = World::new(Verdict::Effective);
    world.run(usize::MAX);
    let verified = Stage::Closed(Outcome::Verified);
    assert_eq!(world.end(), (Some(remedied()), ours(), verified, 1));
    assert_eq!(world.written(), forward);

    for why in [Ineffective::StillThrottled, Ineffective::LoginRefused] {
        let mut world = World::new(Verdict::Ineffective(why));
        world.run(usize::MAX);
        let back = Stage::Closed(Outcome::RolledBack);
        let (left, grant, stage, _) = world.end();
        assert_eq!((left, grant, stage), (Some(project("web")), GrantSeen::Absent, back));
        let and_back = [(1, Direction::Back), (0, Direction::Back)];
        assert_eq!(world.written(), [forward, and_back].concat());
    }
}

#[test]
fn what_was_not_proven_in_time_is_left_to_a_person() {
    let mut world = World::new(Verdict::Inconclusive(Inconclusive::NotReached));
    world.run(usize::MAX);
    let applied = world.time_of(&Entry::Applied).unwrap();
    let (escalated, entry) = world.ledger.last().unwrap();
    let Entry::Escalated { reason, .. } = entry else { panic!("{entry:?}") };
    assert_eq!(*reason, EscalationReason::NotProven);
    assert_eq!(*escalated, applied + seconds(60));
    assert_eq!(world.project, Some(remedied()));
}

/// No process ran while a build proved it: the first look after that is at the project alone.
#[test]
fn nothing_is_given_up_before_a_new_process_has_read_the_builds() {
    let mut world = World::new(Verdict::Inconclusive(Inconclusive::NotReached));
    while world.stage() != Stage::Applied || world.remediation.retry != RetryState::Over {
        let step = world.next_step();
        world.perform(step, world.ledger.len());
        world.now += seconds(1);
    }
    world.now += seconds(100_000);
    (world.since, world.builds_read) = (world.now, false);
    let Step::Wait { until } = world.next_step() else { panic!("it does not wait: {:?}", world.next_step()) };
    assert!(until > world.now);
    world.builds_read = true;
    let step = world.next_step();
    assert!(matches!(step, Step::Record(Entry::Escalated { reason: EscalationReason::NotProven, .. })), "{step:?}");
}

#[test]
fn what_did_not_help_is_kept_where_the_policy_says_so_unless_it_made_things_worse() {
    let keep = || Plan { on_ineffective: OnIneffective::Keep, ..plan("web:41") };
    let mut world = World::planning(keep(), Verdict::Ineffective(Ineffective::StillThrottled));
    world.run(usize::MAX);
    assert!(
        matches!(world.last(), Entry::Escalated { reason: EscalationReason::KeptThoughIneffective, .. }),
        "{world:?}"
    );
    assert_eq!(world.project, Some(remedied()));

    let mut world = World::planning(keep(), Verdict::Ineffective(Ineffective::BuildspecBroken));
    world.run(usize::MAX);
    assert_eq!(*world.last(), Entry::RolledBack);
}

#[test]
fn a_change_settles_before_the_next_depends_on_it_forward_and_back() {
    let mut world = World::new(Verdict::Ineffective(Ineffective::StillThrottled));
    world.run(usize::MAX);
    let granted = world.time_of(&Entry::InPlace { change: 0 }).unwrap();
    let let_go = world.time_of(&Entry::Undone { change: 1 }).unwrap();
    let settle = seconds(5);
    let [_, project_written, _, grant_deleted] = &world.writes[..] else { panic!("{world:?}") };
    let begun = world.time_of(&Entry::Begun { change: 1 }).unwrap();
    assert_eq!((begun, project_written.0), (granted + settle, begun + seconds(1)), "the intent, then the write");
    assert_eq!(grant_deleted.0, let_go + settle);
    // And the last change is not waited for.
    let in_place = world.time_of(&Entry::InPlace { change: 1 }).unwrap();
    assert!(world.time_of(&Entry::Applied).unwrap() < in_place + settle);
}

#[test]
fn a_crash_after_any_two_effects_ends_where_no_crash_does() {
    for verdict in VERDICTS {
        let mut calm = World::new(verdict);
        calm.run(usize::MAX);
        for first in 0..EFFECTS {
            for second in 0..EFFECTS {
                let mut crashed = World::new(verdict);
                crashed.run(first);
                crashed.now += seconds(2);
                crashed.run(second);
                // Down for longer than anything settles.
                crashed.now += seconds(30);
                crashed.run(usize::MAX);
                assert_eq!(crashed.end(), calm.end(), "{verdict:?} after {first}, {second}");
                assert_eq!(crashed.written(), calm.written());
            }
        }
    }
}

#[test]
fn the_throttled_build_is_started_again_once_and_only_where_the_plan_says_so() {
    for verdict in VERDICTS {
        for effects in 0..EFFECTS {
            let mut world = World::new(verdict);
            world.run(effects);
            world.run(usize::MAX);
            assert!(world.retried <= 1);
        }
        let no = RetryPlan::No("the policy does not".to_string());
        let mut world = World::planning(Plan { retry: no, ..plan("web:41") }, verdict);
        world.run(usize::MAX);
        assert_eq!(world.retried, 0);
    }
    let mut world = World::new(Verdict::Inconclusive(Inconclusive::WithoutTheRemedy));
    world.run(usize::MAX);
    assert_eq!(world.retried, 1);
    let asked: Vec<&Entry> = world.ledger.iter().map(|(_, entry)| entry).collect();
    let retried = Entry::Retried { build: id("web:42") };
    let place = |wanted: &Entry| asked.iter().position(|entry| *entry == wanted).unwrap();
    assert!(place(&Entry::Applied) < place(&Entry::RetryIntended));
    assert!(place(&Entry::RetryIntended) < place(&retried));
}

#[test]
fn a_retry_that_is_refused_is_not_asked_for_again() {
    let mut world = World::new(Verdict::Inconclusive(Inconclusive::NotReached));
    while !matches!(world.next_step(), Step::Retry { .. }) {
        world.run(1);
    }
    let detail = "the build was deleted".to_string();
    world.record(Entry::RetryRefused { detail });
    world.run(usize::MAX);
    assert_eq!(world.retried, 0);
}

#[test]
fn a_second_instance_that_wakes_late_does_no_harm() {
    for verdict in VERDICTS {
        let mut calm = World::new(verdict);
        calm.run(usize::MAX);
        for early in 0..EFFECTS {
            for late in 0..EFFECTS {
                let mut world = World::new(verdict);
                world.run(early);
                let (stale, decided_on) = (world.next_step(), world.ledger.len());
                world.run(late);
                world.perform(stale, decided_on);
                world.run(usize::MAX);
                assert_eq!(world.end(), calm.end(), "{verdict:?}: {early}, {late}");
            }
        }
    }
}

/// Reads that answer what was there before a write, for fewer seconds than a change settles and in every pattern.
#[test]
fn older_answers_after_a_write_change_nothing_in_the_end() {
    for verdict in VERDICTS {
        let mut calm = World::new(verdict);
        calm.run(usize::MAX);
        for lag in 0..1 << 5 {
            let mut world = World::new(verdict);
            world.lag = lag;
            world.run(usize::MAX);
            let trace = format!("{verdict:?}, {lag:b}: {:?}", world.ledger);
            assert_eq!(world.end(), calm.end(), "{trace}");
        }
    }
}

/// The plan becomes void right after a write that reads do not show yet: what they hide is taken back all the same.
#[test]
fn what_an_older_answer_hides_is_still_taken_back() {
    for lag in 0..1 << 5 {
        for effects in 0..EFFECTS {
            let mut world = World::new(Verdict::Effective);
            world.lag = lag;
            world.run(effects);
            if world.is_closed() {
                continue;
            }
            world.record(rollback(RollbackReason::Operator));
            world.run(usize::MAX);
            let trace = format!("{lag:b}, {effects}: {:#?}", world.ledger);
            assert_eq!(world.project, Some(project("web")), "{trace}");
            assert_eq!(world.grant, GrantSeen::Absent, "{trace}");
            assert_eq!(*world.last(), Entry::RolledBack, "{trace}");
        }
    }
}

#[test]
fn a_person_may_take_back_what_was_proven_and_what_was_escalated() {
    for verdict in [VERDICTS[0], VERDICTS[3]] {
        for crash in 0..EFFECTS {
            let mut world = World::new(verdict);
            world.run(usize::MAX);
            world.record(rollback(RollbackReason::Operator));
            world.run(crash);
            world.run(usize::MAX);
            let back = Stage::Closed(Outcome::RolledBack);
            assert_eq!(world.end(), (Some(project("web")), GrantSeen::Absent, back, 1));
            let undone = [(1, Direction::Back), (0, Direction::Back)];
            assert_eq!(world.written()[2..], undone);
        }
    }
}

#[test]
fn a_grant_that_a_neighbor_needs_survives_from_whenever_it_needs_it() {
    for verdict in VERDICTS {
        for effects in 0..EFFECTS {
            let mut world = World::new(verdict);
            world.run(effects);
            if world.grant == GrantSeen::Absent {
                continue; // They named a secret that their role can't read: not our doing.
            }
            world.neighbor = true;
            world.run(usize::MAX);
            assert_eq!(world.grant, ours(), "{verdict:?}, {effects}");
            assert!(world.is_closed());
            // When the neighbor has let go of it, the next rollback of the role takes it.
            world.neighbor = false;
        }
    }
}

#[test]
fn a_grant_is_not_taken_while_nobody_has_asked_who_needs_it() {
    let mut world = World::new(Verdict::Effective);
    world.run(usize::MAX);
    world.record(rollback(RollbackReason::Operator));
    world.project = Some(project("web"));
    loop {
        let seen = Seen { grant_use: GrantUse::NotAsked, ..world.look() };
        let step = world.remediation.next_step(&seen, world.now);
        assert!(!matches!(step, Step::Write { .. }), "{step:?} of a grant that may be in use");
        if matches!(step, Step::Done) {
            break;
        }
        let decided_on = world.ledger.len();
        world.perform(step, decided_on);
        world.now += seconds(1);
    }
    assert_eq!(world.grant, ours());
}

#[test]
fn a_grant_that_was_there_before_us_is_used_and_left() {
    let mut there = plan("web:41");
    there.changes[0] = Change::Grant {
        role: RoleName::new("builds"),
        policy: GRANT.to_string(),
        before: Some(grant_document()),
        after: grant_document(),
    };
    for verdict in VERDICTS {
        let mut world = World::planning(there.clone(), verdict);
        world.grant = ours();
        world.run(usize::MAX);
        assert_eq!(world.grant, ours());
        assert!(world.writes.iter().all(|(_, n, _)| *n == 1));
    }
}

/// What somebody else does to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meddling {
    OtherCredential,
    PullsAsBefore,
    OtherVariable,
    OtherImage,
    OtherRole,
    ExactRevert,
    ProjectDeleted,
    ProjectMadeAgain,
    RoleDeleted,
    GrantDeleted,
    GrantChanged,
    GrantMalformed,
    /// The owner sets the same credential by hand.
    Adopted,
}

const MEDDLINGS: [Meddling; 13] = [
    Meddling::OtherCredential,
    Meddling::PullsAsBefore,
    Meddling::OtherVariable,
    Meddling::OtherImage,
    Meddling::OtherRole,
    Meddling::ExactRevert,
    Meddling::ProjectDeleted,
    Meddling::ProjectMadeAgain,
    Meddling::RoleDeleted,
    Meddling::GrantDeleted,
    Meddling::GrantChanged,
    Meddling::GrantMalformed,
    Meddling::Adopted,
];

const THEIRS: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:theirs-Zz99Zz";

fn their_document() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [] })
}

impl World {
    fn meddle(&mut self, how: Meddling) {
        let project = self.project.clone().unwrap();
        let fresh = crate::domain::testing::project("web");
        match how {
            Meddling::OtherCredential => self.project = Some(project.credential(THEIRS)),
            Meddling::PullsAsBefore => self.project = Some(project.pulls_as("CODEBUILD")),
            Meddling::OtherVariable => self.project = Some(project.plain_variable("THEIRS")),
            Meddling::OtherImage => self.project = Some(project.image("node:24")),
            Meddling::OtherRole => self.project = Some(project.role_named("others")),
            Meddling::ExactRevert | Meddling::ProjectMadeAgain => self.project = Some(fresh),
            Meddling::ProjectDeleted => self.project = None,
            Meddling::RoleDeleted => self.grant = GrantSeen::RoleGone,
            Meddling::GrantDeleted => self.grant = GrantSeen::Absent,
            Meddling::GrantChanged => self.grant = GrantSeen::Present(their_document()),
            Meddling::GrantMalformed => self.grant = GrantSeen::Malformed,
            Meddling::Adopted => self.project = Some(project.credential(SECRET)),
        }
    }

    /// What somebody made is as they made it.
    fn is_as_they_made_it(&self, how: Meddling) -> bool {
        let project = self.project.as_ref();
        let environment = project.map(|p| &p.environment);
        match how {
            Meddling::OtherCredential => environment.is_some_and(|e| {
                e.registry_credential.as_deref() == Some(THEIRS)
                    && e.pull_credentials.as_deref() == Some("SERVICE_ROLE")
            }),
            Meddling::PullsAsBefore => environment.is_some_and(|e| e.pull_credentials.as_deref() == Some("CODEBUILD")),
            Meddling::OtherVariable => environment.is_some_and(|e| e.variable("THEIRS").is_some()),
            Meddling::OtherImage => environment.is_some_and(|e| e.image == "node:24"),
            Meddling::OtherRole => project.is_some_and(|p| p.role() == Some(RoleName::new("others"))),
            Meddling::ExactRevert | Meddling::ProjectMadeAgain => {
                project == Some(&crate::domain::testing::project("web"))
            }
            Meddling::ProjectDeleted => project.is_none(),
            Meddling::RoleDeleted => self.grant == GrantSeen::RoleGone,
            Meddling::GrantDeleted => self.grant == GrantSeen::Absent,
            Meddling::GrantChanged => self.grant == GrantSeen::Present(their_document()),
            Meddling::GrantMalformed => self.grant == GrantSeen::Malformed,
            Meddling::Adopted => environment.is_some_and(|e| {
                e.registry_credential.as_deref() == Some(SECRET)
                    && e.pull_credentials.as_deref() == Some("SERVICE_ROLE")
            }),
        }
    }

    /// Whether what somebody did can't be told from what we have not done yet, or have done and not seen.
    fn is_not_to_be_told(&self, how: Meddling) -> bool {
        match how {
            Meddling::ExactRevert | Meddling::ProjectMadeAgain => !self.in_place(1),
            Meddling::GrantDeleted => !self.in_place(0),
            // What we were about to set, or had set.
            Meddling::Adopted => self.time_of(&Entry::Begun { change: 1 }).is_some(),
            // A value that is as it was before us, while we have not begun.
            Meddling::PullsAsBefore => self.written().is_empty() || !self.carries(),
            _ => false,
        }
    }
}

#[test]
fn what_somebody_else_did_is_never_overwritten() {
    let mut told = 0;
    let verdicts_and_lags = VERDICTS.into_iter().flat_map(|v| [(v, 0), (v, 0b11), (v, 0b10)]);
    for (verdict, lag) in verdicts_and_lags {
        for how in MEDDLINGS {
            for effects in 0..EFFECTS {
                let mut world = World::new(verdict);
                world.lag = lag;
                world.run(effects);
                let (was_closed, not_to_be_told) = (world.is_closed(), world.is_not_to_be_told(how));
                world.meddle(how);
                world.run(usize::MAX);
                let trace = format!("{verdict:?}, {how:?} after {effects}, {lag:b}: {:?}", world.ledger);
                assert!(world.is_closed(), "{trace}");
                if was_closed || !not_to_be_told {
                    assert!(world.is_as_they_made_it(how), "{trace}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 500, "{told} cases could be told");
}

/// The secret is named and can't be read at the end only where somebody made it so in a way that we must not touch.
#[test]
fn somebody_elses_edit_does_not_leave_builds_that_fail_through_our_change() {
    for verdict in VERDICTS {
        for how in MEDDLINGS {
            for effects in 0..EFFECTS {
                let mut world = World::new(verdict);
                world.run(effects);
                // Who names a secret after our grant is gone did so without it.
                let is_too_late = how == Meddling::Adopted && world.written().contains(&(0, Direction::Back));
                if world.is_closed() || is_too_late {
                    continue;
                }
                world.meddle(how);
                world.run(usize::MAX);
                let theirs = matches!(how, Meddling::RoleDeleted | Meddling::GrantChanged | Meddling::GrantMalformed);
                let trace = format!("{verdict:?}, {how:?} after {effects}: {world:#?}");
                if theirs {
                    let left_to_a_person = matches!(world.last(), Entry::Escalated { .. });
                    assert!(left_to_a_person || !world.secret_is_named_and_not_readable(), "{trace}");
                } else {
                    assert!(!world.secret_is_named_and_not_readable(), "{trace}");
                }
            }
        }
    }
}

/// Our grant does not outlive its use because somebody has changed the project.
#[test]
fn our_grant_goes_when_the_project_no_longer_needs_it_whatever_happened_to_the_project() {
    let edits = [Meddling::OtherCredential, Meddling::ProjectDeleted, Meddling::ProjectMadeAgain, Meddling::OtherRole];
    for how in edits {
        for effects in 0..EFFECTS {
            let mut world = World::new(Verdict::Ineffective(Ineffective::StillThrottled));
            world.run(effects);
            world.meddle(how);
            world.run(usize::MAX);
            if matches!(world.last(), Entry::Escalated { .. }) {
                world.record(rollback(RollbackReason::Operator));
                world.run(usize::MAX);
            }
            let trace = format!("{how:?} after {effects}: {world:#?}");
            assert_eq!(world.grant, GrantSeen::Absent, "{trace}");
        }
    }
}

#[test]
fn each_meddling_with_a_remedy_that_waits_for_proof_has_its_end() {
    let rolled_back = |reason: RollbackReason| (Some(reason), None);
    let escalated = |reason: EscalationReason| (None, Some(reason));
    let expected = [
        (Meddling::OtherCredential, escalated(EscalationReason::Drift)),
        (Meddling::PullsAsBefore, escalated(EscalationReason::Drift)),
        (Meddling::OtherRole, rolled_back(RollbackReason::RoleGone)),
        (Meddling::ExactRevert, rolled_back(RollbackReason::TakenOut)),
        (Meddling::ProjectDeleted, rolled_back(RollbackReason::ProjectGone)),
        (Meddling::RoleDeleted, escalated(EscalationReason::RoleGone)),
        (Meddling::GrantDeleted, rolled_back(RollbackReason::GrantTakenAway)),
        (Meddling::GrantChanged, escalated(EscalationReason::Drift)),
        (Meddling::GrantMalformed, escalated(EscalationReason::Drift)),
    ];
    for (how, (rolled_back, escalated)) in expected {
        let mut world = World::new(Verdict::Inconclusive(Inconclusive::NotReached));
        while world.stage() != Stage::Applied {
            world.run(1);
        }
        world.now += seconds(6);
        world.meddle(how);
        match world.next_step() {
            Step::Record(Entry::RollbackDecided { reason, .. }) => {
                assert_eq!(Some(reason), rolled_back, "{how:?}");
            }
            Step::Record(Entry::Escalated { reason, .. }) => {
                assert_eq!(Some(reason), escalated, "{how:?}");
            }
            step => panic!("{how:?}: {step:?}"),
        }
    }
    let mut world = World::new(Verdict::Effective);
    world.run(6);
    for harmless in [Meddling::OtherVariable, Meddling::OtherImage] {
        world.meddle(harmless);
    }
    world.run(usize::MAX);
    assert_eq!(world.stage(), Stage::Closed(Outcome::Verified));
}

#[test]
fn a_plan_that_became_void_before_it_was_complete_writes_nothing_more() {
    for how in [Meddling::OtherImage, Meddling::OtherRole, Meddling::OtherCredential] {
        let mut world = World::new(Verdict::Effective);
        world.run(2);
        assert!(world.in_place(0));
        world.meddle(how);
        let before = world.project.clone();
        world.run(usize::MAX);
        assert_eq!(world.project, before);
        assert_eq!(world.grant, GrantSeen::Absent);
        assert_eq!(*world.last(), Entry::RolledBack);
        assert_eq!(world.written(), [(0, Direction::Forward), (0, Direction::Back)]);
    }
}

#[test]
fn what_somebody_put_back_after_we_took_it_out_is_theirs() {
    let mut world = World::new(Verdict::Ineffective(Ineffective::StillThrottled));
    while world.stage() != Stage::Applied {
        world.run(1);
    }
    world.now += seconds(6);
    while world.time_of(&Entry::Undone { change: 1 }).is_none() {
        world.run(1);
    }
    world.now += seconds(6);
    world.project = Some(remedied());
    world.run(usize::MAX);
    assert_eq!(world.project, Some(remedied()));
    assert_eq!(world.grant, ours());
    assert_eq!(*world.last(), Entry::RolledBack);
}

#[test]
fn a_credential_that_aws_keeps_is_reported_and_not_written_for_ever() {
    let mut world = World::new(Verdict::Ineffective(Ineffective::StillThrottled));
    world.credential_sticks = true;
    world.run(usize::MAX);
    let Entry::Escalated { reason, detail } = world.last() else { panic!("{world:?}") };
    assert_eq!(*reason, EscalationReason::RollbackRefused);
    assert!(detail.contains("registryCredential stays set"), "{detail}");
    assert_eq!(world.grant, ours(), "the project still names the secret");
    assert_eq!(world.written().len(), 3);
}

#[test]
fn an_update_that_was_accepted_and_not_carried_out_is_given_up() {
    let remediation = World::new(Verdict::Effective).remediation;
    let (before, after) = (project("web"), remedied());
    let forward = |answer| remediation.unmoved(1, Direction::Forward, answer);
    let back = |answer| remediation.unmoved(1, Direction::Back, answer);
    assert!(matches!(forward(&before), Some(Entry::RollbackDecided { reason: RollbackReason::WriteRejected, .. })));
    assert!(matches!(back(&after), Some(Entry::Escalated { reason: EscalationReason::RollbackRefused, .. })));
    assert_eq!(forward(&after), None);
    assert_eq!(back(&before), None);
}

#[test]
fn an_ineffective_build_rolls_back_and_says_which() {
    let mut world = World::new(Verdict::Ineffective(Ineffective::SecretUnreadable));
    world.run(usize::MAX);
    let decided = world.ledger.iter().find_map(|(_, entry)| match entry {
        Entry::RollbackDecided { reason, detail, by } => Some((*reason, detail.clone(), by.clone())),
        _ => None,
    });
    let detail = "the service role can't read the secret, as build web:42 shows".to_string();
    assert_eq!(decided, Some((RollbackReason::MadeWorse, detail, Some(id("web:42")))));
}

#[test]
fn the_first_build_that_tells_something_decides() {
    let mut world = World::new(Verdict::Effective);
    while world.stage() != Stage::Applied {
        world.run(1);
    }
    let told = |verdicts: Vec<(BuildId, Verdict)>| {
        let seen = Seen { verdicts, ..world.clone().look() };
        world.remediation.next_step(&seen, world.now)
    };
    let nothing = (id("web:42"), Verdict::Inconclusive(Inconclusive::OtherFailure));
    let well = (id("web:43"), Verdict::Effective);
    let badly = (id("web:44"), Verdict::Ineffective(Ineffective::StillThrottled));
    let step = told(vec![nothing.clone(), well.clone(), badly.clone()]);
    assert_eq!(step, Step::Record(Entry::Verified { by: id("web:43") }));
    let step = told(vec![nothing, badly, well]);
    assert!(matches!(step, Step::Record(Entry::RollbackDecided { by: Some(by), .. }) if by == id("web:44")));
}

#[test]
fn a_change_that_was_seen_in_place_and_is_gone_is_not_made_again() {
    let mut world = World::new(Verdict::Effective);
    world.run(2);
    assert!(world.in_place(0));
    world.grant = GrantSeen::Absent;
    let Step::Wait { until } = world.next_step() else { panic!("an older answer is possible for a while: {world:?}") };
    world.now = until;
    world.run(usize::MAX);
    assert_eq!(world.grant, GrantSeen::Absent);
    assert_eq!(world.project, Some(project("web")));
    assert_eq!(*world.last(), Entry::RolledBack);
}

/// Taken back but for the grant, which IAM would not let go; then somebody makes the change again, and a person asks for
/// all of it to be taken back: that is a new decision about what is there now.
#[test]
fn a_person_who_asks_again_has_everything_taken_back_again() {
    let mut world = World::new(Verdict::Ineffective(Ineffective::StillThrottled));
    while world.stage() != Stage::Applied {
        world.run(1);
    }
    world.now += seconds(6);
    while world.time_of(&Entry::Undone { change: 1 }).is_none() {
        world.run(1);
    }
    let detail = "AccessDenied".to_string();
    let reason = EscalationReason::RollbackRefused;
    world.record(Entry::Escalated { reason, detail });
    world.project = Some(remedied());
    world.now += seconds(60);
    world.record(rollback(RollbackReason::Operator));
    world.run(usize::MAX);
    assert_eq!(world.project, Some(project("web")));
    assert_eq!(world.grant, GrantSeen::Absent);
}

/// No grant, and the image that the plan was made for is the one that it changes.
#[test]
fn a_mirrored_image_is_no_change_by_someone_else_and_comes_back_as_it_was() {
    let plan = mirror_plan();
    let mirrored = project("web").image(MIRRORED);
    let mut remediation = Remediation::begin(plan, at(0));
    let next = |remediation: &Remediation, project: &Project, verdicts: &[(BuildId, Verdict)]| {
        let project = Some(project.clone());
        let verdicts = verdicts.to_vec();
        let seen = Seen {
            since: Timestamp::MIN,
            builds_read: true,
            project,
            grant: GrantSeen::Absent,
            grant_use: GrantUse::Free,
            verdicts,
        };
        remediation.next_step(&seen, at(100))
    };
    let write = |direction| Step::Write { change: 0, direction };
    let begun = Entry::Begun { change: 0 };
    assert_eq!(next(&remediation, &project("web"), &[]), Step::Record(begun.clone()));
    remediation.apply(&begun, at(100)).unwrap();
    assert_eq!(next(&remediation, &project("web"), &[]), write(Direction::Forward));
    // Whoever changes the role of the project takes nothing away from an image without a credential.
    assert_eq!(next(&remediation, &project("web").role_named("other"), &[]), write(Direction::Forward));
    let in_place = Entry::InPlace { change: 0 };
    assert_eq!(next(&remediation, &mirrored, &[]), Step::Record(in_place.clone()));
    remediation.apply(&in_place, at(100)).unwrap();
    assert_eq!(next(&remediation, &mirrored, &[]), Step::Record(Entry::Applied));
    remediation.apply(&Entry::Applied, at(100)).unwrap();
    let throttled = [(id("web:42"), Verdict::Ineffective(Ineffective::MirrorThrottled))];
    let Step::Record(back) = next(&remediation, &mirrored, &throttled) else { panic!("a rollback") };
    assert!(matches!(back, Entry::RollbackDecided { reason: RollbackReason::StillThrottled, .. }), "{back:?}");
    remediation.apply(&back, at(100)).unwrap();
    assert_eq!(next(&remediation, &mirrored, &[]), write(Direction::Back));
    assert_eq!(next(&remediation, &project("web"), &[]), Step::Record(Entry::Undone { change: 0 }));
    let theirs = next(&remediation, &project("web").image("node:24"), &[]);
    assert!(matches!(theirs, Step::Record(Entry::Escalated { reason: EscalationReason::Drift, .. })), "{theirs:?}");
}

#[test]
fn an_image_that_someone_changed_before_us_makes_a_mirror_void() {
    let remediation = Remediation::begin(mirror_plan(), at(0));
    let project = Some(project("web").image("node:24"));
    let seen = Seen {
        since: Timestamp::MIN,
        builds_read: true,
        project,
        grant: GrantSeen::Absent,
        grant_use: GrantUse::NotAsked,
        verdicts: vec![],
    };
    let Step::Record(Entry::RollbackDecided { reason, .. }) = remediation.next_step(&seen, at(1)) else { panic!() };
    assert_eq!(reason, RollbackReason::ProjectChanged);
}

/// The clock jumps forward by hours while no process runs: what was seen in place just before has not settled.
#[test]
fn what_settled_on_the_clock_of_a_process_that_is_gone_settles_again() {
    let mut world = World::new(Verdict::Effective);
    while world.remediation.in_place[0].is_none() {
        let step = world.next_step();
        world.perform(step, world.ledger.len());
    }
    let jumped = world.now + seconds(10_800);
    (world.now, world.since) = (jumped, jumped);
    assert_eq!(world.next_step(), Step::Wait { until: jumped + seconds(5) }, "a change settles in five seconds");
    world.now = jumped + seconds(5);
    assert_eq!(world.next_step(), Step::Record(Entry::Begun { change: 1 }));
    // And the same on the way back: the grant does not go before the project was seen without the secret for as long.
    let mut world = World::new(Verdict::Effective);
    while world.stage() != Stage::Applied {
        let step = world.next_step();
        world.perform(step, world.ledger.len());
        world.now += seconds(1);
    }
    world.record(rollback(RollbackReason::Operator));
    while world.remediation.undone[1].is_none() {
        let step = world.next_step();
        world.perform(step, world.ledger.len());
    }
    let jumped = world.now + seconds(10_800);
    (world.now, world.since) = (jumped, jumped);
    assert_eq!(world.next_step(), Step::Wait { until: jumped + seconds(5) });
}

/// What a look shows of the project, without a grant.
fn seen(project: Project) -> Seen {
    let (grant, grant_use) = (GrantSeen::Absent, GrantUse::Free);
    Seen { since: Timestamp::MIN, builds_read: true, project: Some(project), grant, grant_use, verdicts: Vec::new() }
}

/// What is being taken back since second 10, after these entries.
fn going_back(entries: &[Entry]) -> Remediation {
    let mut remediation = Remediation::begin(plan("web:41"), at(0));
    for (entry, n) in entries.iter().zip(1..) {
        remediation.apply(entry, at(n)).unwrap();
    }
    remediation.apply(&rollback(RollbackReason::Operator), at(10)).unwrap();
    remediation
}

#[test]
fn a_change_that_was_never_begun_is_not_taken_back_whatever_the_project_looks_like() {
    let set_by_someone = remedied().pulls_as("CODEBUILD");
    for project in [project("web"), set_by_someone] {
        let mut remediation = going_back(&[]);
        let undone = Entry::Undone { change: 0 };
        assert_eq!(remediation.next_step(&seen(project.clone()), at(11)), Step::Record(undone.clone()));
        remediation.apply(&undone, at(11)).unwrap();
        assert_eq!(remediation.next_step(&seen(project), at(60)), Step::Record(Entry::RolledBack));
    }
}

#[test]
fn what_is_edited_after_it_was_seen_undone_is_theirs() {
    let mut remediation = going_back(&[Entry::InPlace { change: 0 }, Entry::InPlace { change: 1 }, Entry::Applied]);
    for change in [1, 0] {
        remediation.apply(&Entry::Undone { change }, at(20)).unwrap();
    }
    let theirs = seen(project("web").credential("another"));
    assert_eq!(remediation.next_step(&theirs, at(60)), Step::Record(Entry::RolledBack));
}
