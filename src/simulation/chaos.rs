//! The schedule: what happens next, by the seed.

use super::cast::{self, PROJECTS, SETTINGS};
use super::instance::{Birth, Instance, Said, State};
use super::mistake::{Mistake, Mistaken};
use super::people::People;
use super::{Outcome, Run, ending, watchman};
use crate::domain::change::Change;
use crate::domain::history::Fact;
use crate::domain::remediation::{self, Entry, Remediation, RollbackReason, Stage};
use crate::edge::event::Event;
use crate::edge::ledger::Ledger;
use crate::edge::settings::{Settings, Sources};
use crate::reconcile::{Access, Daemon};
use crate::simulator::{Fault, Gate, Simulator, Waiting};
use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// How long everything goes wrong, by the account's clock.
const STORM: SignedDuration = SignedDuration::from_mins(40);

/// How long a call of a killed daemon may still be on its way.
const FLIGHT: SignedDuration = SignedDuration::from_secs(5);

/// How long no daemon may run, in seconds.
const AWAY: i64 = 5 * 3_600;

/// A run in progress.
pub(super) struct Chaos<'r> {
    pub(super) run: &'r Run,
    pub(super) rng: fastrand::Rng,
    pub(super) sim: Simulator,
    gate: Gate,
    settings: Settings,
    folder: tempfile::TempDir,
    pub(super) instances: Vec<Instance>,
    /// Calls of killed daemons that are still on their way, and until when.
    on_their_way: Vec<(Waiting, Timestamp)>,
    pub(super) people: People,
    mistaken: Mistaken,
    pub(super) secret: String,
    pub(super) told: Vec<Event>,
    /// Counts what is done; what is done by whom since when is told by it.
    pub(super) turn: u64,
    /// How far the machine's clock is from the account's, in seconds: a restart does not mend it.
    skew: i64,
    /// How long no daemon ran on purpose, which is no part of the storm.
    away: SignedDuration,
    calm: bool,
    started: usize,
    pub(super) outcome: Outcome,
}

impl<'r> Chaos<'r> {
    pub(super) fn new(run: &'r Run) -> anyhow::Result<Chaos<'r>> {
        let mut rng = fastrand::Rng::with_seed(run.seed);
        let sim = Simulator::start(cast::options(&mut rng)).context("no loopback port for the simulated account")?;
        cast::build(&sim, &mut rng, run.scenario);
        let folder = folder()?;
        let ledger = folder.path().join("simulated.ledger");
        let places = format!("[ledger]\npath = {ledger:?}\n{}", sim.hub_settings());
        let mut settings = Settings::load(&Sources::text(format!("{SETTINGS}\n{places}")))?;
        if run.mistake == Some(Mistake::NoSettling) {
            settings.policies.iter_mut().for_each(|policy| policy.settle = SignedDuration::ZERO);
        }
        let secret = sim.account(|account| account.secret("dockerhub").arn());
        let people = People::new(&sim, secret.clone());
        let gate = sim.gate();
        Ok(Chaos {
            run,
            rng,
            sim,
            gate,
            settings,
            folder,
            instances: Vec::new(),
            on_their_way: Vec::new(),
            mistaken: Mistaken::new(run.mistake, &people.shadow),
            people,
            secret,
            told: Vec::new(),
            turn: 0,
            skew: 0,
            away: SignedDuration::ZERO,
            calm: false,
            started: 0,
            outcome: Outcome::default(),
        })
    }

    pub(super) fn outcome(self) -> Outcome {
        self.outcome
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.folder.path().join("simulated.ledger")
    }

    /// The storm, the calm after it, and what must hold then.
    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        for project in PROJECTS.iter().filter(|project| self.run.scenario.only().is_none_or(|only| only == **project)) {
            self.sim.start_build(project);
        }
        if self.run.scenario.only().is_some() {
            self.tell().await?;
        } else {
            self.storm().await?;
        }
        if self.outcome.held() {
            ending::check(self).await?;
        }
        while let Some(instance) = self.instances.pop() {
            instance.kill().await;
        }
        Ok(())
    }

    async fn storm(&mut self) -> anyhow::Result<()> {
        let end = self.sim.now() + STORM;
        while self.sim.now() < end + self.away && self.outcome.held() {
            self.turn += 1;
            self.happen().await?;
        }
        Ok(())
    }

    /// One thing happens.
    async fn happen(&mut self) -> anyhow::Result<()> {
        let wanted = self.run.scenario.instances();
        if self.instances.len() < wanted && self.rng.u8(0..4) > 0 {
            return self.start().await;
        }
        let (faults, people) = (self.run.scenario.has_faults(), self.run.scenario.has_people());
        match self.rng.u32(0..1000) {
            0..=24 if people => self.edit().await?,
            25..=27 if people => self.roll_back_one().await?,
            28..=39 => self.push(),
            40..=52 if faults => self.kill().await,
            53..=56 if faults => self.jump(),
            57..=90 => {
                let by = SignedDuration::from_secs(self.rng.i64(0..=9));
                self.pass(by);
            }
            _ => self.go_on().await?,
        }
        Ok(())
    }

    /// Some instance makes its next move; if none has one, time passes.
    pub(super) async fn go_on(&mut self) -> anyhow::Result<()> {
        let now = self.sim.now();
        let can = |instance: &Instance| matches!(instance.state, State::At(_)) || instance.due <= now;
        let able: Vec<usize> = (0..self.instances.len()).filter(|n| can(&self.instances[*n])).collect();
        if let Some(n) = self.rng.choice(&able).copied() {
            return self.move_on(n).await;
        }
        let due = self.instances.iter().map(|instance| instance.due).min();
        let until = due.unwrap_or(now + SignedDuration::from_secs(30));
        self.pass(now.duration_until(until).max(SignedDuration::from_secs(1)));
        Ok(())
    }

    /// An instance begins a tick, or its call is let through.
    pub(super) async fn move_on(&mut self, n: usize) -> anyhow::Result<()> {
        let state = std::mem::replace(&mut self.instances[n].state, State::Idle);
        match state {
            State::Idle => {
                let turn = self.turn;
                self.instances[n].tick(turn);
                self.note(&format!("{} ticks", self.instances[n].name));
            }
            State::At(waiting) => {
                let fault = self.fault(&waiting);
                let (name, since) = (self.instances[n].name.clone(), self.instances[n].began);
                self.serve(waiting, fault, &name, since);
            }
        }
        self.rest(n).await
    }

    /// Until the instance waits for a call or for its next tick.
    pub(super) async fn rest(&mut self, n: usize) -> anyhow::Result<()> {
        tokio::select! {
            waiting = self.gate.arrival() => {
                self.instances[n].state = State::At(waiting.context("the simulated account ended")?);
            }
            said = self.instances[n].says() => match said {
                // What it emitted and had not noted as written out is lost with it.
                Said::Killed => {
                    let instance = self.instances.swap_remove(n);
                    self.note(&format!("{} is killed at an entry", instance.name));
                    self.count("kills at an entry");
                    instance.kill().await;
                }
                said => self.hear(n, said),
            },
        }
        Ok(())
    }

    fn hear(&mut self, n: usize, said: Said) {
        let told = self.instances[n].told();
        for event in told.iter().filter(|event| event.event_id.is_some()) {
            self.note(&format!("  {}: {}", event.event.name(), event.message));
        }
        self.told.extend(told);
        let now = self.sim.now();
        let instance = &mut self.instances[n];
        match said {
            Said::Started => instance.due = now,
            Said::Ticked(tick) => {
                let poll = now + SignedDuration::from_secs(30);
                let skew = SignedDuration::from_secs(instance.skew.load(Ordering::Relaxed));
                let wake = tick.wake.map_or(poll, |wake| wake.saturating_sub(skew).unwrap_or(poll));
                instance.due = wake.min(poll).max(now + SignedDuration::from_secs(1));
            }
            Said::Killed => (),
            Said::NotStarted(why) | Said::Failed(why) => self.broken(format!("an instance failed: {why}")),
        }
    }

    /// Lets a call through and looks at what it changed.
    pub(super) fn serve(&mut self, waiting: Waiting, fault: Option<Fault>, name: &str, since: u64) {
        let (operation, target) = (waiting.operation().to_string(), waiting.target());
        let how = fault.map_or("served".to_string(), |fault| format!("{fault:?}"));
        self.note(&format!("{name} {operation} {target}: {how}"));
        self.count("calls");
        if fault.is_some() {
            self.count(&format!("fault {how}"));
        }
        if !waiting.is_write() {
            self.mistaken.serve(waiting, fault, &self.sim, (name, since));
            return;
        }
        let before = self.sim.snapshot();
        self.mistaken.serve(waiting, fault, &self.sim, (name, since));
        self.mistaken.after_write(&operation, &target, &before, &self.sim, &self.secret);
        let after = self.sim.snapshot();
        if before != after {
            self.count(&format!("write {operation}"));
            if self.calm {
                self.count("writes in the calm");
            }
            self.judge(&operation, &target, (&before, &after), since);
        }
    }

    /// What must hold at every write.
    fn judge(
        &mut self,
        operation: &str,
        target: &str,
        (before, after): (&serde_json::Value, &serde_json::Value),
        since: u64,
    ) {
        let secret = self.secret.clone();
        if operation == "UpdateProject" {
            let (was, is) = (&before["projects"][target], &after["projects"][target]);
            if let Err(what) = watchman::project_write(was, is, &secret) {
                self.broken(format!("{target}: {what}"));
            }
            let role = People::role_of(target);
            let names = watchman::names_secret(is, &secret) && !watchman::names_secret(was, &secret);
            let blameless = self.people.touched_since(&format!("role {role}"), since);
            if names && !blameless && !self.sim.builds_see_policy(&role, cast::GRANT) {
                self.broken(format!("{target} names the secret before its builds have the grant of role {role}"));
            }
        }
        for role in before["roles"].as_object().into_iter().flat_map(|roles| roles.keys()) {
            let gone = watchman::has_grant(before, role) && !watchman::has_grant(after, role);
            let users = watchman::users(after, role, &secret);
            let blameless = self.people.touched_since(&format!("role {role}"), since);
            if gone && !users.is_empty() && !blameless {
                self.broken(format!("the grant of role {role} is gone while {users:?} name the secret"));
            }
        }
    }

    fn fault(&mut self, waiting: &Waiting) -> Option<Fault> {
        if self.calm || !self.run.scenario.has_faults() || self.rng.u8(0..100) >= 6 {
            return None;
        }
        let mut faults = vec![Fault::Throttled, Fault::ServerError(500), Fault::ServerError(503), Fault::DropBefore];
        faults.extend([Fault::TruncatedBody, Fault::DropAfter]);
        // With its effect is where it hurts.
        if waiting.is_write() {
            faults.extend([Fault::DropAfter; 3]);
        }
        self.rng.choice(faults)
    }

    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        self.start_until(None).await
    }

    /// Starts a daemon that is killed as soon as the ledger has this entry.
    pub(super) async fn start_until(&mut self, entry: Option<u64>) -> anyhow::Result<()> {
        self.started += 1;
        if self.started > 1 && !self.calm && self.run.scenario.has_gaps() && self.rng.u8(0..8) == 0 {
            self.nobody_watches();
        }
        let name = format!("daemon-{}", self.started);
        // Without the lease two can act at once.
        let access = if self.run.scenario.lease_fails() && !self.calm { Access::Append } else { Access::Write };
        self.note(&format!("{name} starts"));
        self.count("starts");
        let born = Birth { access, skew: self.skew, mistake: self.run.mistake, until: entry };
        let instance = Instance::start(name, self.settings.clone(), born, &self.sim);
        self.instances.push(instance);
        self.rest(self.instances.len() - 1).await
    }

    async fn kill(&mut self) {
        if self.instances.is_empty() {
            return;
        }
        let n = self.rng.usize(0..self.instances.len());
        let instance = self.instances.swap_remove(n);
        let name = instance.name.clone();
        let since = instance.began;
        let waiting = instance.kill().await;
        self.note(&format!("{name} is killed"));
        self.count(if waiting.is_some() { "kills at a call" } else { "kills between ticks" });
        let Some(waiting) = waiting.filter(Waiting::is_write) else { return };
        match self.rng.u8(0..5) {
            0 | 1 => self.serve(waiting, None, &name, since),
            2 | 3 => (),
            _ => {
                let until = self.sim.now() + FLIGHT;
                self.on_their_way.push((waiting, until));
            }
        }
    }

    /// Time passes; what was on its way arrives.
    pub(super) fn pass(&mut self, by: SignedDuration) {
        let to = self.sim.now() + by;
        while let Some(n) = self.on_their_way.iter().position(|(_, until)| *until <= to) {
            let (waiting, until) = self.on_their_way.swap_remove(n);
            self.sim.advance(self.sim.now().duration_until(until).max(SignedDuration::ZERO));
            self.count("calls that arrive late");
            let since = self.turn;
            self.serve(waiting, None, "a killed daemon", since);
        }
        self.sim.advance(self.sim.now().duration_until(to).max(SignedDuration::ZERO));
    }

    /// The machine's clock jumps: back by up to a minute, and forward by less than `settle` leaves over. A grant that settles
    /// on a clock that jumps forward settles for less.
    fn jump(&mut self) {
        if let Some(instance) = self.instances.last_mut() {
            self.skew = (self.skew + self.rng.i64(-60..=5)).max(-300);
            instance.skew.store(self.skew, Ordering::Relaxed);
            self.count("clock jumps");
        }
    }

    /// No daemon runs for hours, and developers go on.
    fn nobody_watches(&mut self) {
        let hours = SignedDuration::from_secs(self.rng.i64(600..=AWAY));
        self.note(&format!("nobody watches for {} minutes", hours.as_mins()));
        self.count("hours without a daemon");
        self.push();
        self.pass(hours / 2);
        self.push();
        self.pass(hours / 2);
        self.away += hours;
    }

    fn push(&mut self) {
        let project = PROJECTS[self.rng.usize(0..PROJECTS.len())];
        if !self.sim.project_json(project).is_null() {
            self.sim.start_build(project);
            self.note(&format!("a developer pushes to {project}"));
            self.count("builds by developers");
        }
    }

    async fn edit(&mut self) -> anyhow::Result<()> {
        let (busy, writes) = (self.busy().await?, self.writes_under_way());
        let may = |what: &str| !writes.iter().any(|target| target.split('/').next() == Some(what));
        let done = self.people.edit(&self.sim, &mut self.rng, self.turn, may, &busy);
        self.note_edit(done);
        Ok(())
    }

    pub(super) fn note_edit(&mut self, done: Option<String>) {
        if let Some(done) = done {
            self.note(&format!("people: {done}"));
            let kind = done.split(' ').next().unwrap_or_default().to_string();
            self.count(&format!("edit {kind}"));
        }
    }

    /// The projects that something of ours may still be taken back from, be it proven or given to a person, and those
    /// that a look under way may find ready to be written to.
    pub(super) async fn busy(&self) -> anyhow::Result<BTreeSet<String>> {
        let rolled_back = Stage::Closed(remediation::Outcome::RolledBack);
        let looking = self.instances.iter().any(|instance| matches!(instance.state, State::At(_)));
        let may_be_ours = |r: &Remediation| {
            let changes =
                (0..r.plan().changes.len()).filter(|n| matches!(r.plan().changes[*n], Change::Project { .. }));
            let has_begun = changes.into_iter().any(|n| r.has_begun(n));
            r.stage() != rolled_back && (has_begun || looking && r.stage() == Stage::Planned)
        };
        let history = ending::history(&self.ledger()).await?;
        let busy = history.remediations().filter(|(_, r)| may_be_ours(r));
        Ok(busy.map(|(_, r)| r.plan().project.as_str().to_string()).collect())
    }

    /// What the writes that wait or are on their way would change.
    pub(super) fn writes_under_way(&self) -> Vec<String> {
        let at_the_gate = self.instances.iter().filter_map(|instance| match &instance.state {
            State::At(waiting) => Some(waiting),
            State::Idle => None,
        });
        let on_their_way = self.on_their_way.iter().map(|(waiting, _)| waiting);
        at_the_gate.chain(on_their_way).filter(|waiting| waiting.is_write()).map(Waiting::target).collect()
    }

    /// A person takes one remediation back, in a process of their own.
    async fn roll_back_one(&mut self) -> anyhow::Result<()> {
        let open = self.remediations().await?;
        let Some(id) = self.rng.choice(open) else { return Ok(()) };
        self.note(&format!("a person takes {} back", id.as_str()));
        self.count("rollbacks by people");
        self.decide_rollback(id).await
    }

    /// The remediations that `rollback --all` takes back.
    pub(super) async fn remediations(&self) -> anyhow::Result<Vec<crate::domain::plan::RemediationId>> {
        let history = ending::history(&self.ledger()).await?;
        let there = |r: &crate::domain::remediation::Remediation| r.stage().word() != "rolled_back";
        Ok(history.remediations().filter(|(_, r)| there(r)).map(|(id, _)| id.clone()).collect())
    }

    pub(super) async fn decide_rollback(&mut self, id: crate::domain::plan::RemediationId) -> anyhow::Result<()> {
        let reason = RollbackReason::Operator;
        let entry = Entry::RollbackDecided { reason, detail: "asked for".to_string(), by: None };
        let connect = |_: &_| crate::edge::aws::Connection::to_loopback(self.sim.endpoint());
        let _unheard = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
        let mut person = Daemon::open(&self.settings, Access::Append, &connect).await?;
        let (book, scopes) = person.parts();
        let scope = scopes[0].scope().to_string();
        Ok(book.record(&scope, Fact::Remediation { id, entry }, self.sim.now()).await?)
    }

    /// From now on nothing goes wrong any more: one daemon, and every call is answered.
    pub(super) async fn calm_down(&mut self) -> anyhow::Result<()> {
        self.calm = true;
        while let Some(instance) = self.instances.pop() {
            instance.kill().await;
        }
        self.pass(FLIGHT);
        self.start().await
    }

    /// One whole tick of the one daemon that is left, then time passes to the next.
    pub(super) async fn tick_in_calm(&mut self) -> anyhow::Result<()> {
        self.move_on(0).await?;
        while let Some(Instance { state: State::At(_), .. }) = self.instances.first() {
            self.move_on(0).await?;
        }
        if let Some(due) = self.instances.first().map(|instance| instance.due) {
            self.pass(self.sim.now().duration_until(due).max(SignedDuration::from_secs(1)));
        }
        Ok(())
    }

    pub(super) fn broken(&mut self, what: String) {
        self.note(&format!("BROKEN: {what}"));
        self.outcome.broken.push(what);
    }

    pub(super) fn count(&mut self, what: &str) {
        *self.outcome.covered.entry(what.to_string()).or_insert(0) += 1;
    }

    pub(super) fn counted(&self, what: &str) -> u64 {
        self.outcome.covered.get(what).copied().unwrap_or_default()
    }

    pub(super) fn note(&mut self, what: &str) {
        if self.run.trace {
            self.outcome.trace.push(format!("{} {what}", self.sim.now().strftime("%H:%M:%S")));
        }
    }

    /// The ledger, opened beside the daemon.
    pub(super) async fn open_ledger(&self) -> anyhow::Result<Ledger> {
        Ok(Ledger::open(&self.ledger()).await?)
    }
}

/// In memory where the machine has such a place: no run is about a disk that forgets.
fn folder() -> anyhow::Result<tempfile::TempDir> {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.context("no folder for the simulated ledger")
}
