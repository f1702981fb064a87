//! People and infrastructure code that edit beside the daemon, and what the account would be if only they had.

use super::cast::{GRANT, PROJECTS};
use crate::simulator::Simulator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Description,
    Timeout,
    Variable,
    BuildspecComment,
    Image,
    /// The owner's code sets the whole project to what it says, without our changes.
    Deployment,
    /// Our grant is deleted from the role.
    GrantDeleted,
    /// Our grant gets other words, and is theirs from then on.
    GrantChanged,
    /// Another inline policy comes to the role.
    OtherPolicy,
    /// The project gets the tag that stops the daemon.
    StopTag,
    StopTagGone,
    Deleted,
    MadeAgain,
    /// The owner sets the same registry credential by hand.
    Adopted,
}

pub(super) const EDITS: [(Edit, u32); 14] = [
    (Edit::Description, 10),
    (Edit::Timeout, 5),
    (Edit::Variable, 10),
    (Edit::BuildspecComment, 10),
    (Edit::Image, 6),
    (Edit::Deployment, 12),
    (Edit::GrantDeleted, 6),
    (Edit::GrantChanged, 1),
    (Edit::OtherPolicy, 6),
    (Edit::StopTag, 4),
    (Edit::StopTagGone, 8),
    (Edit::Deleted, 2),
    (Edit::MadeAgain, 4),
    (Edit::Adopted, 4),
];

/// The people, and the account as it would be with their edits alone.
pub(super) struct People {
    /// As [`Simulator::snapshot`] shows it.
    pub(super) shadow: Value,
    /// The whole project before its deletion, to be made again.
    deleted: BTreeMap<String, Value>,
    /// At which turn a project (`project web`) or role (`role payments`) was touched last.
    touched: BTreeMap<String, u64>,
    secret: String,
    edits: u64,
}

impl People {
    pub(super) fn new(sim: &Simulator, secret: String) -> People {
        People { shadow: sim.snapshot(), deleted: BTreeMap::new(), touched: BTreeMap::new(), secret, edits: 0 }
    }

    /// Whether people touched it since that turn.
    pub(super) fn touched_since(&self, what: &str, turn: u64) -> bool {
        self.touched.get(what).is_some_and(|at| *at >= turn)
    }

    /// The role of a project, as its owner has it.
    pub(super) fn role_of(project: &str) -> String {
        if project.starts_with("pay-") { "payments".to_string() } else { format!("codebuild-{project}") }
    }

    /// Picks an edit and makes it, unless it means nothing here. Answers what was done.
    pub(super) fn edit(
        &mut self,
        sim: &Simulator,
        rng: &mut fastrand::Rng,
        turn: u64,
        may: impl Fn(&str) -> bool,
        busy: &BTreeSet<String>,
    ) -> Option<String> {
        let project = PROJECTS[rng.usize(0..PROJECTS.len())];
        let all: u32 = EDITS.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.u32(0..all);
        let (edit, _) = EDITS.iter().find(|(_, weight)| {
            let found = left < *weight;
            left = left.saturating_sub(*weight);
            found
        })?;
        self.edit_this(sim, (*edit, project), turn, may, busy)
    }

    /// Makes an edit, unless it means nothing here. Answers what was done.
    pub(super) fn edit_this(
        &mut self,
        sim: &Simulator,
        (edit, project): (Edit, &str),
        turn: u64,
        may: impl Fn(&str) -> bool,
        busy: &BTreeSet<String>,
    ) -> Option<String> {
        let role = People::role_of(project);
        // A write on its way to the project or role was decided on what is there now: AWS has no condition for it.
        if !may(project) || !may(&role) {
            return None;
        }
        let there = !sim.project_json(project).is_null();
        if there == (edit == Edit::MadeAgain) {
            return None;
        }
        // Set by hand while we set or take back the same, it can't be told from ours.
        if edit == Edit::Adopted && busy.contains(project) {
            return None;
        }
        self.edits += 1;
        if !self.make(sim, edit, project, &role) {
            return None;
        }
        // An edit that no read shows yet is lost to whoever writes: AWS has no condition for that either.
        sim.show_at_once(project);
        self.touched.insert(format!("project {project}"), turn);
        self.touched.insert(format!("role {role}"), turn);
        Some(format!("{edit:?} {project}"))
    }

    fn make(&mut self, sim: &Simulator, edit: Edit, project: &str, role: &str) -> bool {
        let n = self.edits;
        match edit {
            Edit::Description => self.both(sim, project, |json| json["description"] = json!(format!("edited {n}"))),
            Edit::Timeout => self.both(sim, project, |json| json["timeoutInMinutes"] = json!(10 + n % 400)),
            Edit::Variable => self.both(sim, project, |json| {
                let variable = json!({"name": format!("ADDED_{n}"), "value": "v", "type": "PLAINTEXT"});
                push(&mut json["environment"]["environmentVariables"], variable);
            }),
            Edit::BuildspecComment => self.both(sim, project, |json| {
                let text = json["source"]["buildspec"].as_str().unwrap_or_default().to_string();
                let text = text.trim_end_matches(['\r', '\n']);
                json["source"]["buildspec"] = json!(format!("{text}\n# note {n}\n"));
            }),
            Edit::Image => {
                let hub = sim.project_json(project)["environment"]["image"] == "node:22";
                self.both(sim, project, |json| {
                    json["environment"]["image"] = json!(if hub { "node:24" } else { "node:22" })
                })
            }
            Edit::Deployment => {
                let code = self.shadow["projects"][project].clone();
                sim.edit_project(project, |json| {
                    let modified = json["lastModified"].clone();
                    *json = code;
                    json["lastModified"] = modified;
                });
                true
            }
            Edit::GrantDeleted => {
                let there = sim.role_policy(role, GRANT).is_some();
                sim.delete_role_policy(role, GRANT);
                if let Some(policies) = self.shadow["roles"][role].as_object_mut() {
                    policies.shift_remove(GRANT);
                }
                there
            }
            Edit::GrantChanged => {
                if sim.role_policy(role, GRANT).is_none() {
                    return false;
                }
                let text = format!(r#"{{"Version":"2012-10-17","Statement":[],"Id":"edited {n}"}}"#);
                sim.put_role_policy(role, GRANT, text.as_str());
                self.shadow["roles"][role][GRANT] = json!(text);
                true
            }
            Edit::OtherPolicy => {
                let name = format!("more-{n}");
                let text = r#"{"Version":"2012-10-17","Statement":[]}"#;
                sim.put_role_policy(role, &name, text);
                self.shadow["roles"][role][&name] = json!(text);
                true
            }
            Edit::StopTag => self.both(sim, project, |json| {
                without_tag(json);
                push(&mut json["tags"], json!({"key": "unthrottled", "value": "off"}));
            }),
            Edit::StopTagGone => self.both(sim, project, without_tag),
            Edit::Deleted => {
                let code = self.shadow["projects"].as_object_mut().and_then(|all| all.shift_remove(project));
                self.deleted.extend(code.map(|code| (project.to_string(), code)));
                sim.delete_project(project);
                true
            }
            Edit::MadeAgain => {
                let Some(code) = self.deleted.remove(project) else { return false };
                sim.account(|account| {
                    account.project(project);
                });
                sim.edit_project(project, |json| {
                    let modified = json["lastModified"].clone();
                    *json = code.clone();
                    json["lastModified"] = modified;
                });
                self.shadow["projects"][project] = code;
                true
            }
            Edit::Adopted => {
                if sim.project_json(project)["environment"]["registryCredential"].is_object() {
                    return false;
                }
                let credential = json!({"credential": self.secret, "credentialProvider": "SECRETS_MANAGER"});
                self.both(sim, project, |json| {
                    json["environment"]["registryCredential"] = credential.clone();
                    json["environment"]["imagePullCredentialsType"] = json!("SERVICE_ROLE");
                })
            }
        }
    }

    /// The tag that stops the daemon goes from every project.
    pub(super) fn let_it_work(&mut self, sim: &Simulator) {
        for project in PROJECTS {
            if !sim.project_json(project).is_null() {
                self.both(sim, project, without_tag);
                sim.show_at_once(project);
            }
        }
    }

    /// The same edit to the account and to the shadow.
    fn both(&mut self, sim: &Simulator, project: &str, edit: impl Fn(&mut Value)) -> bool {
        sim.edit_project(project, &edit);
        edit(&mut self.shadow["projects"][project]);
        true
    }
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(item),
        None => *list = json!([item]),
    }
}

fn without_tag(json: &mut Value) {
    if let Some(tags) = json["tags"].as_array_mut() {
        tags.retain(|tag| tag["key"] != "unthrottled");
    }
}
