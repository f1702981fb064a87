//! Deliberate mistakes: a daemon that forgets one of its precautions, to show that what is checked would find it.
//!
//! Each is made from outside, where the daemon meets its settings, AWS and the ledger, so that the daemon itself holds no
//! switch: a request arrives as a careless daemon would have sent it, or an answer as it would have read it. One can't be
//! seen from there, the fence of the ledger, and [`Book`](crate::reconcile::Book) takes it down in builds that have the
//! simulator.

use super::cast::{GRANT, Scenario};
use super::watchman;
use crate::simulator::{Fault, Simulator, Waiting};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the daemon forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mistake {
    /// Appends to the ledger whatever others have appended meanwhile.
    NoFence,
    /// A grant counts as soon as it is seen.
    NoSettling,
    /// Writes the project over what was read first in the tick, without reading it again.
    BlindOverwrite,
    /// Takes the grant away with the first project of the role that lets go of the secret.
    GrantRemovedInUse,
    /// Lets a build go that is not over yet.
    UnfinishedForgotten,
    /// Takes builds that could not be read for builds that are not there.
    UnreadIsHealthy,
    /// Starts a build again without the token that makes the second request the first.
    RetriedTwice,
    /// Judges a build by the project as it is now, and not by what the build ran with.
    VerdictFromBefore,
    /// Puts back the buildspec that it remembers, and not the one that is there without its line.
    OthersEditUndone,
    /// Does not write out the events that a killed daemon had not written out.
    EventLost,
    /// Puts each grant on the role under a second name as well.
    SecondGrant,
    /// Appends its variables although they are there.
    VariableTwice,
}

impl Mistake {
    /// Where it can be seen.
    pub fn scenario(self) -> Scenario {
        match self {
            Mistake::NoFence => Scenario::Rivals,
            Mistake::BlindOverwrite => Scenario::People,
            _ => Scenario::Mixed,
        }
    }
}

/// A mistake and what it goes by.
#[derive(Debug, Default)]
pub(super) struct Mistaken {
    mistake: Option<Mistake>,
    /// What each daemon read first of a project in a tick, or since its last write.
    first_read: BTreeMap<(String, String), (u64, Value)>,
    /// The buildspecs as they were in the beginning.
    remembered: BTreeMap<String, String>,
    tokens: u64,
}

impl Mistaken {
    pub(super) fn new(mistake: Option<Mistake>, snapshot: &Value) -> Mistaken {
        let projects = snapshot["projects"].as_object().into_iter().flatten();
        let texts = projects.filter_map(|(name, json)| Some((name.clone(), json["source"]["buildspec"].as_str()?)));
        let remembered = texts.map(|(name, text)| (name, text.to_string())).collect();
        Mistaken { mistake, remembered, ..Mistaken::default() }
    }

    /// Serves a call as the careless daemon would have sent it, and answers it as the careless daemon would read it.
    pub(super) fn serve(
        &mut self,
        mut waiting: Waiting,
        fault: Option<Fault>,
        sim: &Simulator,
        (name, tick): (&str, u64),
    ) {
        let (operation, target) = (waiting.operation().to_string(), waiting.target());
        match (self.mistake, operation.as_str()) {
            (Some(Mistake::UnreadIsHealthy), "BatchGetBuilds") if fault.is_some() => {
                let ids = waiting.input()["ids"].clone();
                waiting.serve_as(|answer| *answer = json!({"builds": [], "buildsNotFound": ids}));
            }
            (Some(Mistake::BlindOverwrite), "BatchGetProjects") if fault.is_none() && !target.is_empty() => {
                let first = self.first_read.entry((name.to_string(), target)).or_insert((tick, Value::Null));
                waiting.serve_as(|answer| match first {
                    (then, read) if *then == tick && !read.is_null() => *answer = read.clone(),
                    _ => *first = (tick, answer.clone()),
                });
            }
            (Some(Mistake::BlindOverwrite), "UpdateProject") => {
                self.first_read.remove(&(name.to_string(), target));
                waiting.serve(fault);
            }
            (Some(Mistake::UnfinishedForgotten), "BatchGetBuilds") if fault.is_none() => {
                waiting.serve_as(|answer| builds(answer).for_each(as_if_over));
            }
            (Some(Mistake::VerdictFromBefore), "BatchGetBuilds") if fault.is_none() => {
                waiting.serve_as(|answer| builds(answer).for_each(|build| as_if_configured_now(build, sim)));
            }
            (Some(Mistake::RetriedTwice), "RetryBuild" | "StartBuild") => {
                self.tokens += 1;
                waiting.input()["idempotencyToken"] = json!(format!("token-{}", self.tokens));
                waiting.serve(fault);
            }
            (Some(Mistake::OthersEditUndone), "UpdateProject") => {
                let there = sim.project_json(&target)["source"]["buildspec"].clone();
                let sent = &mut waiting.input()["source"]["buildspec"];
                let takes_out = sent.is_string() && logins(sent) < logins(&there);
                if let Some(text) = self.remembered.get(&target).filter(|_| takes_out) {
                    *sent = json!(text);
                }
                waiting.serve(fault);
            }
            (Some(Mistake::VariableTwice), "UpdateProject") => {
                if let Some(variables) = waiting.input()["environment"]["environmentVariables"].as_array_mut() {
                    let ours: Vec<Value> =
                        variables.iter().filter(|v| v["type"] == "SECRETS_MANAGER").cloned().collect();
                    variables.extend(ours);
                }
                waiting.serve(fault);
            }
            _ => waiting.serve(fault),
        }
    }

    /// What the careless daemon does right after a write of its own.
    pub(super) fn after_write(&self, operation: &str, target: &str, before: &Value, sim: &Simulator, secret: &str) {
        match (self.mistake, operation) {
            (Some(Mistake::GrantRemovedInUse), "UpdateProject") => {
                let let_go = watchman::names_secret(&before["projects"][target], secret)
                    && !watchman::names_secret(&sim.project_json(target), secret);
                if let_go {
                    sim.delete_role_policy(&super::people::People::role_of(target), GRANT);
                }
            }
            (Some(Mistake::SecondGrant), "PutRolePolicy") => {
                let role = target.split('/').next().unwrap_or_default();
                if let Some(policy) = sim.role_policy(role, GRANT) {
                    sim.put_role_policy(role, &format!("{GRANT}-2"), policy.to_string());
                }
            }
            _ => (),
        }
    }
}

fn builds(answer: &mut Value) -> impl Iterator<Item = &mut Value> {
    answer["builds"].as_array_mut().into_iter().flatten()
}

fn as_if_over(build: &mut Value) {
    if build["buildComplete"] == json!(false) {
        build["buildComplete"] = json!(true);
        build["buildStatus"] = json!("SUCCEEDED");
        build["endTime"] = build["startTime"].clone();
    }
}

fn as_if_configured_now(build: &mut Value, sim: &Simulator) {
    let project = sim.project_json(build["projectName"].as_str().unwrap_or_default());
    if !project.is_null() {
        build["environment"] = project["environment"].clone();
        build["source"]["buildspec"] = project["source"]["buildspec"].clone();
    }
}

fn logins(buildspec: &Value) -> usize {
    buildspec.as_str().unwrap_or_default().matches("docker login").count()
}
