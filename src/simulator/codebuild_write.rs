//! CodeBuild's writes: UpdateProject's merge, StartBuild's overrides, RetryBuild, StopBuild.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::account::{Account, RetryToken};
use super::options::{Omitted, OmittedCredential, OmittedTags, RetryReads, SystemTags};
use super::project_check;
use super::refusal::{Answer, Refusal};
use super::run::NewBuild;

/// AWS documents that an idempotency token is good for five minutes.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// Role and session of whoever calls: CodeBuild names them as the initiator.
const CALLER: &str = "caller/simulated";

/// What UpdateProject takes; what else a project has is not its to change.
const UPDATABLE: [&str; 19] = [
    "description",
    "source",
    "secondarySources",
    "sourceVersion",
    "secondarySourceVersions",
    "artifacts",
    "secondaryArtifacts",
    "cache",
    "environment",
    "serviceRole",
    "timeoutInMinutes",
    "queuedTimeoutInMinutes",
    "encryptionKey",
    "vpcConfig",
    "logsConfig",
    "fileSystemLocations",
    "buildBatchConfig",
    "concurrentBuildLimit",
    "autoRetryLimit",
];

/// StartBuild's overrides: the parameter, and where it goes in the project (a slash goes into a structure).
const OVERRIDES: [(&str, &str); 20] = [
    ("sourceTypeOverride", "source/type"),
    ("sourceLocationOverride", "source/location"),
    ("buildspecOverride", "source/buildspec"),
    ("sourceAuthOverride", "source/auth"),
    ("gitCloneDepthOverride", "source/gitCloneDepth"),
    ("environmentTypeOverride", "environment/type"),
    ("imageOverride", "environment/image"),
    ("computeTypeOverride", "environment/computeType"),
    ("certificateOverride", "environment/certificate"),
    ("privilegedModeOverride", "environment/privilegedMode"),
    ("registryCredentialOverride", "environment/registryCredential"),
    ("imagePullCredentialsTypeOverride", "environment/imagePullCredentialsType"),
    ("cacheOverride", "cache"),
    ("serviceRoleOverride", "serviceRole"),
    ("timeoutInMinutesOverride", "timeoutInMinutes"),
    ("queuedTimeoutInMinutesOverride", "queuedTimeoutInMinutes"),
    ("encryptionKeyOverride", "encryptionKey"),
    ("artifactsOverride", "artifacts"),
    ("logsConfigOverride", "logsConfig"),
    ("secondarySourcesOverride", "secondarySources"),
];

impl Account {
    /// Members left out stay as they are, but for tags; a sent structure replaces the old one, but for what is known to stay.
    pub(super) fn update_project(&mut self, input: &Value) -> Answer {
        let name = self.project_name(input["name"].as_str().unwrap_or_default()).to_owned();
        let before = self.project_now(&name).cloned().ok_or_else(|| self.project_not_found(&name))?;
        let mut after = Value::clone(&before);
        for member in UPDATABLE {
            if let Some(value) = input.get(member).filter(|value| !value.is_null()) {
                after[member] = value.clone();
            }
        }
        if input.get("environment").is_some_and(Value::is_object) {
            self.merge_environment(&before["environment"], &mut after["environment"]);
        }
        after["tags"] = self.merged_tags(&before["tags"], &input["tags"])?;
        if let Some(badge) = input["badgeEnabled"].as_bool() {
            after["badge"] = json!({ "badgeEnabled": badge });
        }
        // An empty structure or -1 is how these are taken away.
        for (member, empty) in
            [("vpcConfig", json!({})), ("buildBatchConfig", json!({})), ("concurrentBuildLimit", json!(-1))]
        {
            if after[member] == empty
                && let Some(members) = after.as_object_mut()
            {
                members.remove(member);
            }
        }
        project_check::project(self, input, &after)?;
        self.change_project(&name, after);
        let now = self.project_now(&name).map(|json| Value::clone(json));
        Ok(json!({ "project": now.unwrap_or_default() }))
    }

    fn merged_tags(&self, before: &Value, sent: &Value) -> Answer {
        let of_aws = |tag: &&Value| tag["key"].as_str().is_some_and(|key| key.starts_with("aws:"));
        let refused = self.unknowns.system_tags == SystemTags::Refused;
        let mut tags: Vec<Value> = sent.as_array().cloned().unwrap_or_default();
        if refused && tags.iter().any(|tag| of_aws(&tag)) {
            return Err(Refusal::invalid_input(
                "Invalid tag key: aws: prefixed tag key names are not allowed for external use",
            ));
        }
        if sent.is_null() && self.unknowns.omitted_tags == OmittedTags::Kept {
            return Ok(before.clone());
        }
        if refused {
            tags.extend(before.as_array().into_iter().flatten().filter(of_aws).cloned());
        }
        Ok(json!(tags))
    }

    /// `imagePullCredentialsType` is known to stay when it is left out; for two more members there are switches; the rest goes.
    fn merge_environment(&self, before: &Value, sent: &mut Value) {
        let keep = |sent: &mut Value, member: &str, otherwise: Option<Value>| {
            if sent[member].is_null() {
                let value = before.get(member).cloned().or(otherwise);
                if let (Some(value), Some(members)) = (value, sent.as_object_mut()) {
                    members.insert(member.to_owned(), value);
                }
            }
        };
        keep(sent, "imagePullCredentialsType", Some(json!("CODEBUILD")));
        if self.unknowns.omitted_variables == Omitted::Kept {
            keep(sent, "environmentVariables", Some(json!([])));
        }
        if self.unknowns.omitted_credential == OmittedCredential::Kept {
            keep(sent, "registryCredential", None);
        }
        if let Some(members) = sent.as_object_mut() {
            members.retain(|_, value| !value.is_null());
            members.entry("environmentVariables").or_insert_with(|| json!([]));
            members.entry("privilegedMode").or_insert_with(|| json!(false));
        }
        for variable in sent["environmentVariables"].as_array_mut().into_iter().flatten() {
            if variable["type"].is_null() {
                variable["type"] = json!("PLAINTEXT");
            }
        }
    }

    pub(super) fn start_build(&mut self, input: &Value) -> Answer {
        let place = self.start_build_as(CALLER, input)?;
        Ok(json!({"build": self.builds[place].json(self)}))
    }

    /// Starts a build as StartBuild does, for whoever it is that starts it.
    pub(super) fn start_build_as(&mut self, initiator: &str, input: &Value) -> Result<usize, Refusal> {
        let name = self.project_name(input["projectName"].as_str().unwrap_or_default()).to_owned();
        let project = self.project_now(&name).cloned().ok_or_else(|| self.project_not_found(&name))?;
        if let Some(place) = self.remembered("StartBuild", input)? {
            return Ok(place);
        }
        let mut config = Value::clone(&project);
        // Only what is overridden is checked: the project may hold a credential that is of no use and does no harm.
        let mut sent = json!({});
        for (parameter, place) in OVERRIDES {
            if let Some(value) = input.get(parameter).filter(|value| !value.is_null()) {
                match place.split_once('/') {
                    Some((structure, member)) => {
                        config[structure][member] = value.clone();
                        sent[structure][member] = value.clone();
                    }
                    None => {
                        config[place] = value.clone();
                        sent[place] = value.clone();
                    }
                }
            }
        }
        if let Some(variables) = input["environmentVariablesOverride"].as_array() {
            override_variables(&mut config, variables);
            sent["environment"]["environmentVariables"] = json!(variables);
        }
        project_check::project(self, &sent, &config)?;
        let version = input["sourceVersion"].as_str().or(project["sourceVersion"].as_str());
        let place = self.submit(NewBuild {
            project: name,
            config: Arc::new(config),
            source_version: version.map(ToOwned::to_owned),
            initiator: initiator.to_owned(),
            recurring: false,
        });
        if !input["buildspecOverride"].is_null() {
            self.builds[place].given.instead_of = Some(project["source"]["buildspec"].clone());
        }
        self.remember("StartBuild", input, place);
        Ok(place)
    }

    pub(super) fn retry_build(&mut self, input: &Value) -> Answer {
        let id = input["id"].as_str().unwrap_or_default();
        let Some(old) = self.build_at(id) else {
            return Err(if id.is_empty() {
                Refusal::invalid_input("Build ID is required")
            } else {
                self.build_not_found(id)
            });
        };
        if let Some(place) = self.remembered("RetryBuild", input)? {
            return Ok(json!({"build": self.builds[place].json(self)}));
        }
        let build = &self.builds[old];
        // Undocumented; the console offers a retry only once a build has ended.
        if !build.complete() {
            return Err(Refusal::invalid_input("Build is still in progress and cannot be retried"));
        }
        let project = build.project.clone();
        let source_version = build.source_version.clone();
        let given = build.given.of_a_retry(self.unknowns.retry_build);
        let current = self.project_now(&project).cloned().ok_or_else(|| self.project_not_found(&project))?;
        let config = match self.unknowns.retry_build {
            RetryReads::Original => self.builds[old].config.clone(),
            RetryReads::Current => current,
        };
        let place =
            self.submit(NewBuild { project, config, source_version, initiator: CALLER.to_owned(), recurring: false });
        self.builds[place].given = given;
        self.remember("RetryBuild", input, place);
        Ok(json!({"build": self.builds[place].json(self)}))
    }

    pub(super) fn stop_build(&mut self, input: &Value) -> Answer {
        let id = input["id"].as_str().unwrap_or_default();
        let place = self.build_at(id).ok_or_else(|| self.build_not_found(id))?;
        self.stop(place);
        Ok(json!({"build": self.builds[place].json(self)}))
    }

    fn build_not_found(&self, id: &str) -> Refusal {
        let arn = self.arn("codebuild", &format!("build/{id}"));
        Refusal::not_found(format!("Build cannot be found: {arn}"))
    }

    /// The build that this token started within its life; the same token with other parameters is refused.
    fn remembered(&self, operation: &'static str, input: &Value) -> Result<Option<usize>, Refusal> {
        let Some(token) = input["idempotencyToken"].as_str() else {
            return Ok(None);
        };
        let known = self.retry_tokens.iter().rev().find(|known| {
            known.operation == operation && known.token == token && self.now.duration_since(known.at) < TOKEN_LIFE
        });
        match known {
            Some(known) if known.request == *input => Ok(Some(known.build)),
            Some(_) => Err(Refusal::invalid_input(
                "Idempotent request parameters do not match those of the previous request with the same token",
            )),
            None => Ok(None),
        }
    }

    fn remember(&mut self, operation: &'static str, input: &Value, build: usize) {
        if let Some(token) = input["idempotencyToken"].as_str() {
            self.retry_tokens.push(RetryToken {
                operation,
                token: token.to_owned(),
                request: input.clone(),
                at: self.now,
                build,
            });
        }
    }
}

fn override_variables(config: &mut Value, overrides: &[Value]) {
    let variables = &mut config["environment"]["environmentVariables"];
    if !variables.is_array() {
        *variables = json!([]);
    }
    if let Some(variables) = variables.as_array_mut() {
        for new in overrides {
            let mut new = new.clone();
            if new["type"].is_null() {
                new["type"] = json!("PLAINTEXT");
            }
            match variables.iter_mut().find(|old| old["name"] == new["name"]) {
                Some(old) => *old = new,
                None => variables.push(new),
            }
        }
    }
}
