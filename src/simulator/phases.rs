//! What the phases of a build do, given the account at the moment they begin.

use std::collections::BTreeMap;

use serde_json::Value;

use super::access::SecretReference;
use super::account::Account;
use super::build::{Container, PhaseEnd, PhaseKind};
use super::hub::{Puller, Registry, registry_of};
use super::logs::Line;
use super::run::{Script, container_line};

/// CodeBuild pulls environment images from an address of its own.
const PROVISIONING_ADDRESS: &str = "198.51.100.20";
/// CodeBuild cuts the message of a failed pull here.
const MESSAGE_LIMIT: usize = 255;

impl Account {
    /// PROVISIONING: the role is assumed and the environment's image pulled.
    pub(super) fn provision(&mut self, place: usize) -> Script {
        let end = match self.pull_environment(place) {
            Ok(()) => {
                self.open_stream(place);
                PhaseEnd::succeeded()
            }
            Err(end) => end,
        };
        let begin = self.now;
        let mut lines = Vec::new();
        if end.status == "SUCCEEDED" {
            lines.push(container_line(begin, "Running on CodeBuild On-demand"));
            lines.push(container_line(begin, "Waiting for agent ping"));
        }
        Script { lasts: self.durations.provisioning, end, lines }
    }

    fn pull_environment(&mut self, place: usize) -> Result<(), PhaseEnd> {
        let build = &self.builds[place];
        let role = build.role_name().to_owned();
        if !self.roles.contains_key(&role) {
            let arn = build.config["serviceRole"].as_str().unwrap_or_default();
            return Err(PhaseEnd::failed(
                "CLIENT_ERROR",
                "ACCESS_DENIED",
                format!("CodeBuild is not authorized to perform: sts:AssumeRole on {arn}"),
            ));
        }
        let environment = build.environment();
        let image = environment["image"].as_str().unwrap_or_default().to_owned();
        match registry_of(&image) {
            Registry::Hub => (),
            Registry::EcrPublic => return self.pull_of_ecr_public(&image),
            Registry::Curated | Registry::Ecr | Registry::Other => return Ok(()),
        }
        let credential = environment["registryCredential"]["credential"].as_str();
        let with_role = environment["imagePullCredentialsType"] == "SERVICE_ROLE";
        let puller = match credential.filter(|_| with_role) {
            Some(secret) => {
                let session = format!("AWSCodeBuild-{}", build.uuid());
                let user = self.registry_user(&role, &session, secret).map_err(|cause| unable_to_pull(&cause))?;
                Puller::Account(user)
            }
            None => Puller::Address(PROVISIONING_ADDRESS.to_owned()),
        };
        let wording = self.hub.wording;
        self.hub.pull(&puller, self.now).map_err(|refusal| {
            PhaseEnd::failed(
                "CLIENT_ERROR",
                "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE",
                cut(&refusal.provisioning_message(&image, wording)),
            )
        })
    }

    /// ECR Public needs no login and takes no Docker Hub credential; it has limits of its own.
    fn pull_of_ecr_public(&self, image: &str) -> Result<(), PhaseEnd> {
        let path = image.split_once('/').map_or(image, |(_, path)| path);
        let repository = path.split([':', '@']).next().unwrap_or_default();
        if self.ecr_public_lacks.contains(repository) {
            let (alias, name) = repository.split_once('/').unwrap_or((repository, ""));
            return Err(unable_to_pull(&format!(
                "CannotPullContainerError: Error response from daemon: repository public.ecr.aws/{repository} not found: name unknown: The repository with name '{name}' does not exist in the registry with id '{alias}'"
            )));
        }
        if self.ecr_public_throttled {
            return Err(unable_to_pull(
                "CannotPullContainerError: Error response from daemon: toomanyrequests: Rate exceeded",
            ));
        }
        Ok(())
    }

    /// The Docker Hub user of a registry credential: a secret with the keys `username` and `password`.
    fn registry_user(&self, role: &str, session: &str, secret: &str) -> Result<String, String> {
        let text = self
            .read_secret_as(role, session, secret)
            .map_err(|message| format!("Secrets Manager Error Message: {message}"))?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let (Some(user), Some(password)) = (json["username"].as_str(), json["password"].as_str()) else {
            return Err("CannotPullContainerError: the registry credential has no username and password".to_owned());
        };
        if self.hub.knows(user, password) {
            Ok(user.to_owned())
        } else {
            Err("CannotPullContainerError: Error response from daemon: Get \"https://registry-1.docker.io/v2/\": unauthorized: incorrect username or password".to_owned())
        }
    }

    /// DOWNLOAD_SOURCE: the buildspec is read and secret variables are resolved, before any command.
    pub(super) fn download_source(&mut self, place: usize) -> Script {
        let begin = self.now;
        let lasts = self.durations.download_source;
        let mut lines = vec![
            container_line(begin, "Waiting for DOWNLOAD_SOURCE"),
            container_line(begin, "Phase is DOWNLOAD_SOURCE"),
            container_line(begin, "CODEBUILD_SRC_DIR=/codebuild/output/src2961741838/src"),
            container_line(begin, "YAML location is /codebuild/readonly/buildspec.yml"),
            container_line(begin, "Processing environment variables"),
        ];
        let end = match self.prepare(place) {
            Ok(container) => {
                if let Some(spec) = &container.buildspec {
                    lines.push(container_line(begin, &format!("Phases found in YAML: {}", spec.phases.len())));
                    for (name, phase) in &spec.phases {
                        let (name, count) = (name.to_uppercase(), phase.commands.len());
                        lines.push(container_line(begin, &format!(" {name}: {count} commands")));
                    }
                }
                self.builds[place].container = container;
                PhaseEnd::succeeded()
            }
            Err(end) => end,
        };
        complete_lines(&mut lines, begin + lasts, PhaseKind::DownloadSource, &end);
        Script { lasts, end, lines }
    }

    fn prepare(&self, place: usize) -> Result<Container, PhaseEnd> {
        let build = &self.builds[place];
        let spec = self.commands_of(place)?;
        let image = build.environment()["image"].as_str().unwrap_or_default().to_owned();
        let mut container = Container { image, ..Container::default() };
        let session = format!("AWSCodeBuild-{}", build.uuid());
        container.env = self.standard_variables(place);
        container.env.extend(spec.variables.clone());
        let mut secrets: BTreeMap<String, String> = spec.secrets.clone();
        // A variable of the project (or of StartBuild) wins over one of the buildspec.
        for variable in build.environment()["environmentVariables"].as_array().into_iter().flatten() {
            let name = variable["name"].as_str().unwrap_or_default().to_owned();
            let value = variable["value"].as_str().unwrap_or_default().to_owned();
            secrets.remove(&name);
            match variable["type"].as_str() {
                Some("SECRETS_MANAGER") => {
                    container.env.remove(&name);
                    secrets.insert(name, value);
                }
                _ => {
                    container.env.insert(name, value);
                }
            }
        }
        for (name, reference) in secrets {
            let reference = SecretReference::parse(&reference);
            let value = self
                .read_secret_as(build.role_name(), &session, &reference.id)
                .and_then(|text| reference.pick(&text))
                .map_err(|message| PhaseEnd::failed("FAILED", "Secrets Manager Error", message))?;
            container.masked.insert(value.clone());
            container.env.insert(name, value);
        }
        container.buildspec = Some(spec);
        Ok(container)
    }

    fn standard_variables(&self, place: usize) -> BTreeMap<String, String> {
        let build = &self.builds[place];
        [
            ("CODEBUILD_BUILD_ID", build.id.clone()),
            ("CODEBUILD_BUILD_NUMBER", build.number.to_string()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            ("HOME", "/root".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// What the agent writes when a phase is over.
pub(super) fn complete_lines(lines: &mut Vec<Line>, at: jiff::Timestamp, kind: PhaseKind, end: &PhaseEnd) {
    lines.push(container_line(at, &format!("Phase complete: {} State: {}", kind.wire(), end.status)));
    lines.push(container_line(at, &format!("Phase context status code: {} Message: {}", end.code, end.message)));
}

fn unable_to_pull(cause: &str) -> PhaseEnd {
    PhaseEnd::failed(
        "CLIENT_ERROR",
        "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE",
        cut(&format!("Unable to pull customer's container image. {cause}")),
    )
}

fn cut(message: &str) -> String {
    if message.chars().count() <= MESSAGE_LIMIT {
        return message.to_owned();
    }
    // Both samples seen are 255 characters long; one of them ends in dots.
    let kept: String = message.chars().take(MESSAGE_LIMIT - 3).collect();
    format!("{kept}...")
}
