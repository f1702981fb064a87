//! One run of an exhaustive pass: a story that is always the same, from the throttled build to the rollback that a person
//! asks for, disturbed at one point.

use super::cast::PROJECTS;
use super::chaos::Chaos;
use super::instance::State;
use super::point::{How, Point};
use jiff::SignedDuration;

/// When a person takes the remedy back.
const ROLLBACK: SignedDuration = SignedDuration::from_mins(3);

/// When the story ends and what must hold is checked.
const END: SignedDuration = SignedDuration::from_mins(6);

/// Ticks without a write after which a second daemon has nothing to do.
const REST: usize = 2;

impl Chaos<'_> {
    /// The story.
    pub(super) async fn tell(&mut self) -> anyhow::Result<()> {
        let mut point = self.run.point;
        let began = self.sim.now();
        let mut rolled_back = false;
        let mut calls = 0;
        while self.sim.now() < began + END && self.outcome.held() {
            self.turn += 1;
            if self.instances.is_empty() {
                let entry = point.take_if(|point| point.how == How::KillAtEntry);
                self.start_until(entry.map(|point| point.at)).await?;
                continue;
            }
            if !rolled_back && self.sim.now() >= began + ROLLBACK {
                rolled_back = true;
                for id in self.remediations().await? {
                    self.decide_rollback(id).await?;
                }
            }
            if matches!(self.instances[0].state, State::At(_)) {
                calls += u64::from(self.instances.len() == 1);
                if let Some(Point { how, .. }) = point.take_if(|point| point.at == calls) {
                    self.count("points reached");
                    self.disturb(how).await?;
                    continue;
                }
            }
            self.go_on().await?;
        }
        let entries = self.open_ledger().await?.head().await?;
        self.outcome.covered.insert("calls of the story".to_string(), calls);
        self.outcome.covered.insert("entries of the story".to_string(), entries);
        Ok(())
    }

    async fn disturb(&mut self, how: How) -> anyhow::Result<()> {
        match how {
            How::KillAtEntry => (),
            How::KillBefore | How::KillAfter => {
                let instance = self.instances.swap_remove(0);
                let (name, since) = (instance.name.clone(), instance.began);
                let waiting = instance.kill().await;
                self.note(&format!("{name} is killed"));
                self.count("kills at a call");
                if let (Some(waiting), How::KillAfter) = (waiting, how) {
                    self.serve(waiting, None, &name, since);
                }
            }
            How::Edit(edit) => {
                let Some(project) = PROJECTS.iter().find(|project| !self.sim.project_json(project).is_null()) else {
                    return Ok(());
                };
                let (busy, writes) = (self.busy().await?, self.writes_under_way());
                let may = |what: &str| !writes.iter().any(|target| target.split('/').next() == Some(what));
                let done = self.people.edit_this(&self.sim, (edit, project), self.turn, may, &busy);
                self.note_edit(done);
            }
            How::Fault(fault) => {
                if let State::At(waiting) = std::mem::replace(&mut self.instances[0].state, State::Idle) {
                    let (name, since) = (self.instances[0].name.clone(), self.instances[0].began);
                    self.serve(waiting, Some(fault), &name, since);
                    self.rest(0).await?;
                }
            }
            How::Second => self.second_to_the_end().await?,
            // A write that is on its way lands whatever anybody decides: the lease is what keeps it from being late.
            How::Rollback if self.writes_under_way().is_empty() => {
                for id in self.remediations().await? {
                    self.decide_rollback(id).await?;
                }
                self.second_to_the_end().await?;
            }
            How::Rollback => (),
            How::Pair(call) => {
                self.start().await?;
                self.end_tick(1, call).await?;
                self.end_tick(0, u64::MAX).await?;
            }
        }
        Ok(())
    }

    /// A second daemon works until it has nothing left to write.
    async fn second_to_the_end(&mut self) -> anyhow::Result<()> {
        self.start().await?;
        let mut quiet = 0;
        while quiet < REST && self.outcome.held() {
            let writes = self.sim.writes().len();
            self.end_tick(1, u64::MAX).await?;
            quiet = if writes == self.sim.writes().len() { quiet + 1 } else { 0 };
            let due = self.instances[1].due;
            self.pass(self.sim.now().duration_until(due).max(SignedDuration::from_secs(1)));
        }
        Ok(())
    }

    /// An instance goes on to the end of its tick, or until it waits with its call of this number.
    async fn end_tick(&mut self, n: usize, until: u64) -> anyhow::Result<()> {
        let mut calls = 0;
        loop {
            if let State::At(_) = self.instances[n].state {
                calls += 1;
                if calls == until {
                    return Ok(());
                }
            }
            self.turn += 1;
            self.move_on(n).await?;
            if matches!(self.instances[n].state, State::Idle) {
                return Ok(());
            }
        }
    }
}
