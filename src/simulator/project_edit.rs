//! Verbs that build a project, and the world outside AWS that its builds meet.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::account::{Account, DockerClient, Due, History, Outside, Project, seconds};
use super::world::CommandEdit;

/// The public address that builds share unless told otherwise.
const SHARED_ADDRESS: &str = "203.0.113.10";
/// What a repository holds unless told otherwise: a build that needs nothing.
const REPOSITORY_BUILDSPEC: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n";

/// A project, being edited. It has always been so: no read shows it late.
pub struct ProjectEdit<'a> {
    account: &'a mut Account,
    name: String,
}

impl<'a> ProjectEdit<'a> {
    pub(super) fn of(account: &'a mut Account, name: &str) -> Self {
        if account.project_now(name).is_none() {
            let role = format!("codebuild-{name}");
            let role_arn = account.role(&role).arn();
            let json = new_project(account, name, &role_arn);
            let last_build = account.projects.get(name).map_or(0, |old| old.last_build);
            let project = Project {
                json: History::always(Some(std::sync::Arc::new(json))),
                last_build,
                outside: Outside {
                    dockerfile: vec!["node:22".to_owned()],
                    compose: Vec::new(),
                    client: DockerClient::default(),
                    docker: None,
                    repository_buildspec: Some(REPOSITORY_BUILDSPEC.to_owned()),
                    files: std::collections::BTreeMap::new(),
                    address: SHARED_ADDRESS.to_owned(),
                },
            };
            account.projects.insert(name.to_owned(), project);
        }
        ProjectEdit { account, name: name.to_owned() }
    }

    fn edit(self, edit: impl FnOnce(&mut Map<String, Value>)) -> Self {
        self.account.declare_project(&self.name, edit);
        self
    }

    fn outside(self, edit: impl FnOnce(&mut Outside)) -> Self {
        if let Some(project) = self.account.projects.get_mut(&self.name) {
            edit(&mut project.outside);
        }
        self
    }

    /// Any member at the top level.
    pub fn member(self, name: &str, value: Value) -> Self {
        self.edit(|project| {
            project.insert(name.to_owned(), value);
        })
    }

    /// Any member of `environment`, also one that no SDK knows.
    pub fn environment_member(self, name: &str, value: Value) -> Self {
        self.edit(|project| project["environment"][name] = value)
    }

    /// The environment's image.
    pub fn image(self, image: &str) -> Self {
        self.environment_member("image", json!(image))
    }

    /// The environment's type, also one that does not exist yet.
    pub fn environment_type(self, kind: &str) -> Self {
        self.account.future_values.insert(kind.to_owned());
        self.environment_member("type", json!(kind))
    }

    /// Whether the container is privileged; it is unless told otherwise.
    pub fn unprivileged(self) -> Self {
        self.environment_member("privilegedMode", json!(false))
    }

    /// The service role, by name; it is made if there is none.
    pub fn role(self, name: &str) -> Self {
        let arn = self.account.role(name).arn();
        self.member("serviceRole", json!(arn))
    }

    /// An inline buildspec.
    pub fn buildspec(self, text: &str) -> Self {
        self.edit(|project| project["source"]["buildspec"] = json!(text))
    }

    /// A buildspec file of the repository, by its path.
    pub fn buildspec_path(self, path: &str) -> Self {
        self.buildspec(path)
    }

    /// What the buildspec file in the repository says.
    pub fn repository_buildspec(self, text: &str) -> Self {
        self.outside(|outside| outside.repository_buildspec = Some(text.to_owned()))
    }

    /// A repository without a buildspec file.
    pub fn no_repository_buildspec(self) -> Self {
        self.outside(|outside| outside.repository_buildspec = None)
    }

    /// A file of the repository: a buildspec, or a script that commands may call.
    pub fn repository_file(self, path: &str, text: &str) -> Self {
        self.outside(|outside| {
            outside.files.insert(path.to_owned(), text.to_owned());
        })
    }

    /// A webhook that runs a build for each queued job of a workflow, and makes the project a runner.
    pub fn runner(self) -> Self {
        let filter = json!({"type": "EVENT", "pattern": "WORKFLOW_JOB_QUEUED", "excludeMatchedPattern": false});
        self.member(
            "webhook",
            json!({"url": "https://api.github.com/repos/example/hooks/1", "filterGroups": [[filter]]}),
        )
    }

    /// A webhook that builds these events, such as `PUSH, PULL_REQUEST_CREATED`; all of them if there is none.
    pub fn webhook(self, events: &str) -> Self {
        let filter = json!({"type": "EVENT", "pattern": events, "excludeMatchedPattern": false});
        let groups = if events.is_empty() { json!([]) } else { json!([[filter]]) };
        self.member("webhook", json!({"url": "https://api.github.com/repos/example/hooks/1", "filterGroups": groups}))
    }

    /// Everybody sees its builds with their logs.
    pub fn public(self) -> Self {
        self.member("projectVisibility", json!("PUBLIC_READ"))
    }

    /// Batch builds under a role of their own.
    pub fn batches(self) -> Self {
        let arn = self.account.role(&format!("codebuild-{}-batch", self.name)).arn();
        self.member("buildBatchConfig", json!({"serviceRole": arn, "timeoutInMins": 60}))
    }

    /// The whole source.
    pub fn source(self, source: Value) -> Self {
        self.member("source", source)
    }

    /// The images of its Dockerfile's FROM lines.
    pub fn dockerfile<const N: usize>(self, images: [&str; N]) -> Self {
        self.outside(|outside| outside.dockerfile = images.map(ToOwned::to_owned).to_vec())
    }

    /// The images of its compose file.
    pub fn compose<const N: usize>(self, images: [&str; N]) -> Self {
        self.outside(|outside| outside.compose = images.map(ToOwned::to_owned).to_vec())
    }

    /// Whose words a refused pull comes in.
    pub fn docker_client(self, client: DockerClient) -> Self {
        self.outside(|outside| outside.client = client)
    }

    /// The docker that its builds have, whatever their image.
    pub fn docker_version(self, major: u32, minor: u32) -> Self {
        self.outside(|outside| outside.docker = Some((major, minor)))
    }

    /// The address from which its docker commands pull.
    pub fn address(self, address: &str) -> Self {
        self.outside(|outside| address.clone_into(&mut outside.address))
    }

    /// A tag.
    pub fn tag(self, key: &str, value: &str) -> Self {
        let tag = json!({"key": key, "value": value});
        self.edit(|project| push(&mut project["tags"], tag))
    }

    /// A plain variable.
    pub fn variable(self, name: &str, value: &str) -> Self {
        self.typed_variable(name, value, "PLAINTEXT")
    }

    /// A variable from Secrets Manager: `secret-id:json-key:version-stage:version-id`.
    pub fn secret_variable(self, name: &str, reference: &str) -> Self {
        self.typed_variable(name, reference, "SECRETS_MANAGER")
    }

    fn typed_variable(self, name: &str, value: &str, kind: &str) -> Self {
        let variable = json!({"name": name, "value": value, "type": kind});
        self.edit(|project| push(&mut project["environment"]["environmentVariables"], variable))
    }

    /// A registry credential, and with it the service role's credentials for the pull.
    pub fn registry_credential(self, secret: &str) -> Self {
        let credential = json!({"credential": secret, "credentialProvider": "SECRETS_MANAGER"});
        self.environment_member("registryCredential", credential)
            .environment_member("imagePullCredentialsType", json!("SERVICE_ROLE"))
    }

    /// No CloudWatch log.
    pub fn logs_disabled(self) -> Self {
        self.member("logsConfig", json!({"cloudWatchLogs": {"status": "DISABLED"}}))
    }

    /// A log group of its own and a prefix for the streams.
    pub fn log_group(self, group: &str, prefix: &str) -> Self {
        let config = json!({"status": "ENABLED", "groupName": group, "streamName": prefix});
        self.member("logsConfig", json!({ "cloudWatchLogs": config }))
    }

    /// Starts a build now, and again each time this much later.
    pub fn builds_every(self, every: SignedDuration) -> Self {
        let now = self.account.now;
        self.account.schedule(now, Due::Recurring(self.name.clone(), every));
        self
    }

    /// What commands that start so do, in this project alone.
    pub fn command(self, starts_with: &str) -> CommandEdit<'a> {
        CommandEdit { account: self.account, project: Some(self.name), starts_with: starts_with.to_owned() }
    }

    /// Its ARN.
    pub fn arn(self) -> String {
        self.account.arn("codebuild", &format!("project/{}", self.name))
    }
}

impl Account {
    /// The address from which a project's docker commands pull.
    pub(super) fn address_of(&self, project: &str) -> String {
        self.projects.get(project).map_or_else(|| SHARED_ADDRESS.to_owned(), |project| project.outside.address.clone())
    }
}

fn push(list: &mut Value, item: Value) {
    match list.as_array_mut() {
        Some(items) => items.push(item),
        None => *list = json!([item]),
    }
}

fn new_project(account: &Account, name: &str, role_arn: &str) -> Value {
    json!({
        "name": name,
        "arn": account.arn("codebuild", &format!("project/{name}")),
        "source": {
            "type": "GITHUB",
            "location": format!("https://github.com/example/{name}.git"),
            "gitCloneDepth": 1,
            "gitSubmodulesConfig": {"fetchSubmodules": false},
            "buildspec": "",
            "reportBuildStatus": false,
            "insecureSsl": false,
        },
        "secondarySources": [],
        "secondarySourceVersions": [],
        "artifacts": {"type": "NO_ARTIFACTS"},
        "secondaryArtifacts": [],
        "cache": {"type": "NO_CACHE"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [],
            "privilegedMode": true,
            "imagePullCredentialsType": "CODEBUILD",
        },
        "serviceRole": role_arn,
        "timeoutInMinutes": 60,
        "queuedTimeoutInMinutes": 480,
        "encryptionKey": format!("arn:aws:kms:{}:{}:alias/aws/s3", account.region, account.account_id),
        "tags": [],
        "created": seconds(account.now),
        "lastModified": seconds(account.now),
        "badge": {"badgeEnabled": false},
        "projectVisibility": "PRIVATE",
    })
}
