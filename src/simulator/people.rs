//! What people do beside the daemon: start builds, edit and delete things at the console; and trouble on demand.

use std::ops::RangeBounds;

use serde_json::Value;

use super::Simulator;
use super::build::BuildSummary;
use super::fault::{Fault, Moment};
use super::logs::Line;
use super::run::NewBuild;
use super::world::Document;

impl Simulator {
    /// Starts a build of a project and answers its id. A project that is not there is made first.
    pub fn start_build(&self, project: &str) -> String {
        let mut world = self.shared.world();
        world.account.project(project);
        let config = world.account.project_now(project).cloned();
        let place = world.account.submit(NewBuild {
            project: project.to_owned(),
            config: config.unwrap_or_default(),
            source_version: None,
            initiator: "developer".to_owned(),
            recurring: false,
        });
        world.account.builds[place].id.clone()
    }

    /// Starts a build and moves the time to its end.
    pub fn run_build(&self, project: &str) -> BuildSummary {
        let id = self.start_build(project);
        self.run_to_end(&id)
    }

    /// Moves the time to the end of a build.
    pub(super) fn run_to_end(&self, id: &str) -> BuildSummary {
        loop {
            let mut world = self.shared.world();
            let account = &world.account;
            if let Some(place) = account.build_at(id)
                && account.builds[place].complete()
            {
                return account.builds[place].summary();
            }
            let next = account.next_steps().min().unwrap_or(account.now);
            let by = next.duration_since(account.now);
            world.clock.advance(by);
        }
    }

    /// Edits the JSON that BatchGetProjects returns; `lastModified` moves.
    pub fn edit_project(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut world = self.shared.world();
        if let Some(json) = world.account.project_now(name) {
            let mut json = Value::clone(json);
            edit(&mut json);
            world.account.change_project(name, json);
        }
    }

    /// Every read from now on shows the project as it is, however late reads are.
    pub fn show_at_once(&self, name: &str) {
        let mut world = self.shared.world();
        let shown = world.account.now - world.account.unknowns.stale_reads;
        if let Some(project) = world.account.projects.get_mut(name) {
            project.json.as_if_since(shown);
        }
    }

    /// Writes an inline policy, well-formed or not.
    pub fn put_role_policy(&self, role: &str, policy: &str, document: impl Document) {
        let text = document.text();
        self.shared.world().account.change_inline(role, |policies| {
            policies.insert(policy.to_owned(), text);
        });
    }

    /// Removes an inline policy.
    pub fn delete_role_policy(&self, role: &str, policy: &str) {
        self.shared.world().account.change_inline(role, |policies| {
            policies.remove(policy);
        });
    }

    /// Deletes a project; its builds stay.
    pub fn delete_project(&self, name: &str) {
        let mut world = self.shared.world();
        let now = world.account.now;
        if let Some(project) = world.account.projects.get_mut(name) {
            project.json.set(now, None);
        }
    }

    /// Deletes a role.
    pub fn delete_role(&self, name: &str) {
        self.shared.world().account.roles.remove(name);
    }

    /// Schedules a secret for deletion.
    pub fn delete_secret(&self, name: &str) {
        let mut world = self.shared.world();
        let now = world.account.now;
        if let Some(secret) = world.account.secrets.get_mut(name) {
            secret.deleted = Some(now);
        }
    }

    /// Removes a secret for good.
    pub fn remove_secret(&self, name: &str) {
        self.shared.world().account.secrets.remove(name);
    }

    /// Deletes a log group with its streams.
    pub fn delete_log_group(&self, group: &str) {
        self.shared.world().account.log_groups.remove(group);
    }

    /// Deletes a build.
    pub fn delete_build(&self, id: &str) {
        let mut world = self.shared.world();
        if let Some(place) = world.account.build_at(id) {
            world.account.builds[place].deleted = true;
        }
    }

    /// Changes how a build is shown, in every answer from now on.
    pub fn edit_build(&self, id: &str, edit: impl Fn(&mut Value) + Send + 'static) {
        let mut world = self.shared.world();
        if let Some(place) = world.account.build_at(id) {
            world.account.builds[place].edits.push(Box::new(edit));
        }
    }

    /// Adds a line to the end of a build's log.
    pub fn log_line(&self, id: &str, text: &str) {
        let mut world = self.shared.world();
        let now = world.account.now;
        let Some(place) = world.account.build_at(id) else {
            return;
        };
        if let Some(stream) = world.account.stream_of(place) {
            let at = stream.lines.last().map_or(now, |line| line.at);
            let text = text.to_owned();
            stream.lines.push(Line { at, text });
        }
    }

    /// Lets calls of an operation (`*`: any) go wrong; the next such call is number 1.
    pub fn fault(&self, operation: &str, calls: impl RangeBounds<u32>, fault: Fault) {
        self.shared.world().trouble.fault(operation, calls, fault);
    }

    /// Lets one paused call on, be it the one that waits or the next that will.
    pub fn go_on(&self) {
        self.shared.go_on.notify_one();
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        self.shared.world().trouble.clear();
    }

    /// Call number `k` from now (1 is the next) is never answered; those after it are not either, and have no effect, until
    /// [`release`](Simulator::release): the caller is as good as dead.
    pub fn hold_call(&self, k: u32, moment: Moment) {
        self.shared.held.send_replace(false);
        self.shared.world().trouble.hold(k, moment);
    }

    /// Resolves when the call to hold was reached, at once if it was already.
    pub async fn held(&self) {
        let mut held = self.shared.held.subscribe();
        let _ = held.wait_for(|held| *held).await;
    }

    /// Whether the call to hold was reached.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.shared.held.borrow()
    }

    /// Closes the connections that are held and answers calls again.
    pub fn release(&self) {
        self.shared.world().trouble.release();
        self.shared.held.send_replace(false);
    }
}
