//! Verbs that build the world: Docker Hub, secrets, keys, roles, scripted commands. Each creates what is not there and edits what is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::account::{Account, History, Key, Role, ScriptedCommand, Secret};
use super::hub::{HubWording, Puller};
use super::project_edit::ProjectEdit;

/// A policy document: JSON, or text exactly as somebody else wrote it.
pub trait Document {
    /// The text that IAM keeps.
    fn text(self) -> String;
}

impl Document for &str {
    fn text(self) -> String {
        self.to_owned()
    }
}

impl Document for String {
    fn text(self) -> String {
        self
    }
}

impl Document for Value {
    fn text(self) -> String {
        self.to_string()
    }
}

impl Account {
    /// Docker Hub.
    pub fn hub(&mut self) -> HubEdit<'_> {
        HubEdit { account: self, user: String::new() }
    }

    /// Docker commands that pull from ECR Public get `toomanyrequests: Rate exceeded`.
    pub fn throttle_ecr_public(&mut self) {
        self.ecr_public_throttled = true;
    }

    /// Nobody throttles any more at ECR Public.
    pub fn unthrottle_ecr_public(&mut self) {
        self.ecr_public_throttled = false;
    }

    /// ECR Public has no repository of this name, as in `docker/library/node`.
    pub fn ecr_public_lacks(&mut self, repository: &str) {
        self.ecr_public_lacks.insert(repository.to_owned());
    }

    /// A secret under the AWS managed key, with the text `{}`.
    pub fn secret(&mut self, name: &str) -> SecretEdit<'_> {
        if !self.secrets.contains_key(name) {
            let suffix = self.new_suffix(6);
            let version = self.new_uuid();
            let secret = Secret {
                arn: self.arn("secretsmanager", &format!("secret:{name}-{suffix}")),
                kms_key: None,
                versions: vec![(version, "{}".to_owned(), self.now)],
                created: self.now,
                deleted: None,
                tags: json!([]),
                binary: false,
            };
            self.secrets.insert(name.to_owned(), secret);
        }
        SecretEdit { account: self, name: name.to_owned() }
    }

    /// What the organization lets the account do, for `SimulatePrincipalPolicy`.
    pub fn service_control_policy(&mut self, document: Value) {
        self.service_control_policy = Some(document);
    }

    /// A customer managed key by key id, `alias/...` or ARN.
    pub fn kms_key(&mut self, name: &str) -> KeyEdit<'_> {
        let at = match self.key(name).map(|key| key.id.clone()) {
            Some(id) => self.keys.iter().position(|key| key.id == id),
            None => None,
        };
        let at = at.unwrap_or_else(|| {
            let alias = name.find("alias/").map(|at| name[at..].to_owned());
            let id = match (&alias, name.split_once(":key/")) {
                (Some(_), _) => self.new_uuid(),
                (None, Some((_, id))) => id.to_owned(),
                (None, None) => name.to_owned(),
            };
            self.keys.push(Key {
                arn: self.arn("kms", &format!("key/{id}")),
                id,
                aliases: alias.into_iter().collect(),
                delegates_to_iam: true,
            });
            self.keys.len() - 1
        });
        KeyEdit { account: self, at }
    }

    /// A role without policies, at path `/`.
    pub fn role(&mut self, name: &str) -> RoleEdit<'_> {
        if !self.roles.contains_key(name) {
            let id = format!("AROA{}", self.new_suffix(17).to_ascii_uppercase());
            let role = Role {
                id,
                path: "/".to_owned(),
                created: self.now,
                inline: History::always(BTreeMap::new()),
                managed: Vec::new(),
                boundary: None,
                trust: None,
                held: false,
            };
            self.roles.insert(name.to_owned(), role);
        }
        RoleEdit { account: self, name: name.to_owned() }
    }

    /// A project on a curated image with a role of its own, `codebuild-<name>`, whose buildspec lies in its repository.
    pub fn project(&mut self, name: &str) -> ProjectEdit<'_> {
        ProjectEdit::of(self, name)
    }

    /// An object in S3, by its ARN: a buildspec that projects may name.
    pub fn s3_object(&mut self, arn: &str, text: &str) {
        self.s3_objects.insert(arn.to_owned(), text.to_owned());
    }

    /// What commands that start so do, in every project.
    pub fn command(&mut self, starts_with: &str) -> CommandEdit<'_> {
        CommandEdit { account: self, project: None, starts_with: starts_with.to_owned() }
    }
}

/// Docker Hub, being edited.
pub struct HubEdit<'a> {
    account: &'a mut Account,
    user: String,
}

impl HubEdit<'_> {
    /// So many pulls without a login per address in six hours.
    pub fn limit_anonymous(self, pulls: u32) -> Self {
        self.account.hub.limit_anonymous(pulls);
        self
    }

    /// An account without a limit.
    pub fn account(mut self, user: &str, password: &str) -> Self {
        self.account.hub.account(user, password);
        user.clone_into(&mut self.user);
        self
    }

    /// So many pulls in six hours for the account just named.
    pub fn limit(self, pulls: u32) -> Self {
        self.account.hub.limit_account(&self.user, pulls);
        self
    }

    /// So many pulls now by others who use the account just named.
    pub fn pulled(self, pulls: u32) -> Self {
        let now = self.account.now;
        self.account.hub.count(Puller::Account(self.user.clone()), pulls, now);
        self
    }

    /// Nobody has pulled anything yet.
    pub fn forget_pulls(self) -> Self {
        self.account.hub.forget_pulls();
        self
    }

    /// How a refusal reads in a PROVISIONING context.
    pub fn wording(self, wording: HubWording) -> Self {
        self.account.hub.wording = wording;
        self
    }
}

/// A secret, being edited.
pub struct SecretEdit<'a> {
    account: &'a mut Account,
    name: String,
}

impl SecretEdit<'_> {
    /// Its text.
    pub fn text(self, text: &str) -> Self {
        let (version, now) = (self.account.new_uuid(), self.account.now);
        if let Some(secret) = self.account.secrets.get_mut(&self.name) {
            secret.versions.push((version, text.to_owned(), now));
        }
        self
    }

    /// Its text as JSON.
    pub fn json(self, json: Value) -> Self {
        self.text(&json.to_string())
    }

    /// A login in the keys `username` and `password`.
    pub fn login(self, user: &str, password: &str) -> Self {
        self.json(json!({"username": user, "password": password}))
    }

    /// Its value is shown as bytes.
    pub fn binary(self) -> Self {
        if let Some(secret) = self.account.secrets.get_mut(&self.name) {
            secret.binary = true;
        }
        self
    }

    /// A customer managed key, shown as it is named here: by id, alias or ARN. It is made if there is none.
    pub fn kms_key(self, name: &str) -> Self {
        self.account.kms_key(name);
        if let Some(secret) = self.account.secrets.get_mut(&self.name) {
            secret.kms_key = Some(name.to_owned());
        }
        self
    }

    /// Its ARN, with the suffix.
    pub fn arn(self) -> String {
        self.account.secrets.get(&self.name).map(|secret| secret.arn.clone()).unwrap_or_default()
    }
}

/// A key, being edited.
pub struct KeyEdit<'a> {
    account: &'a mut Account,
    at: usize,
}

impl KeyEdit<'_> {
    /// One more alias.
    pub fn alias(self, alias: &str) -> Self {
        self.account.keys[self.at].aliases.push(alias.to_owned());
        self
    }

    /// A key policy that does not leave the decision to IAM: no role's policy opens the key.
    pub fn no_iam_delegation(self) -> Self {
        self.account.keys[self.at].delegates_to_iam = false;
        self
    }

    /// Its ARN.
    pub fn arn(self) -> String {
        self.account.keys[self.at].arn.clone()
    }
}

/// A role, being edited.
pub struct RoleEdit<'a> {
    account: &'a mut Account,
    name: String,
}

impl RoleEdit<'_> {
    fn edit(self, edit: impl FnOnce(&mut Role)) -> Self {
        if let Some(role) = self.account.roles.get_mut(&self.name) {
            edit(role);
        }
        self
    }

    /// Its path, such as `/service-role/`. Projects that were given the role before keep the ARN they had.
    pub fn path(self, path: &str) -> Self {
        self.edit(|role| path.clone_into(&mut role.path))
    }

    /// A service-linked role, which nobody but its service can change.
    pub fn service_linked(self) -> Self {
        self.path("/aws-service-role/codebuild.amazonaws.com/")
    }

    /// Its permissions boundary.
    pub fn boundary(self, document: Value) -> Self {
        self.edit(|role| role.boundary = Some(document))
    }

    /// Who may take it on.
    pub fn trust(self, document: Value) -> Self {
        self.edit(|role| role.trust = Some(document))
    }

    /// Calls of its sessions are held to its policies, to its boundary, and to nobody's goodwill.
    pub fn held(self) -> Self {
        self.edit(|role| role.held = true)
    }

    /// Calls that are signed with this access key are its own, and held to its policies.
    pub fn called_by(self, access_key: &str) -> Self {
        self.account.sessions.insert(access_key.to_owned(), self.name.clone());
        self.held()
    }

    /// An inline policy that has always been there.
    pub fn inline_policy(self, name: &str, document: impl Document) -> Self {
        let text = document.text();
        self.edit(|role| {
            let mut policies = role.inline.latest().cloned().unwrap_or_default();
            policies.insert(name.to_owned(), text);
            role.inline = History::always(policies);
        })
    }

    /// An attached managed policy, in the place of one of that name.
    pub fn managed_policy(self, name: &str, document: Value) -> Self {
        self.edit(|role| {
            role.managed.retain(|(other, _)| other != name);
            role.managed.push((name.to_owned(), document));
        })
    }

    /// Its ARN, with the path.
    pub fn arn(self) -> String {
        let role = self.account.roles.get(&self.name);
        role.map(|role| role.arn(&self.account.account_id, &self.name)).unwrap_or_default()
    }
}

/// A scripted command, being edited. The newest script that fits a command wins.
pub struct CommandEdit<'a> {
    pub(super) account: &'a mut Account,
    pub(super) project: Option<String>,
    pub(super) starts_with: String,
}

impl CommandEdit<'_> {
    /// It prints these lines and ends with status 1.
    pub fn fails<const N: usize>(self, lines: [&str; N]) {
        self.exits(1, lines);
    }

    /// It prints these lines and succeeds.
    pub fn prints<const N: usize>(self, lines: [&str; N]) {
        self.exits(0, lines);
    }

    /// It prints these lines and ends with this status.
    pub fn exits<const N: usize>(self, code: i32, lines: [&str; N]) {
        self.account.commands.push(ScriptedCommand {
            project: self.project,
            starts_with: self.starts_with,
            code,
            lines: lines.map(ToOwned::to_owned).to_vec(),
        });
    }
}
