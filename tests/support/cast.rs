//! The projects that scenarios are about.

use crate::support::world::World;
use serde_json::{Value, json};

/// An inline buildspec that pulls with a docker client.
pub const DOCKER_BUILD: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      # keep me\n      - docker build -t app .   \n      - echo done\n";

/// An inline buildspec that pulls nothing.
pub const SCRIPT: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - ./build.sh\n";

impl World {
    /// A project whose build image comes from Docker Hub.
    pub fn image_project(&self, name: &str, image: &str) {
        self.sim.account(|account| {
            account.project(name).image(image).buildspec(SCRIPT);
        });
    }

    /// A project whose docker client pulls from Docker Hub.
    pub fn docker_project(&self, name: &str) {
        self.sim.account(|account| {
            account.project(name).dockerfile(["python:3.13"]).buildspec(DOCKER_BUILD);
        });
    }

    /// A project whose docker client pulls from Docker Hub, by a buildspec in the repository.
    pub fn repository_project(&self, name: &str) {
        self.sim.account(|account| {
            account.project(name).dockerfile(["python:3.13"]).repository_buildspec(DOCKER_BUILD);
        });
    }

    /// The secret also holds what docker takes for `DOCKER_AUTH_CONFIG`.
    pub fn secret_for_docker(&self) {
        self.sim.account(|account| {
            // The base64 of `acme:hub-pw`.
            account.secret("dockerhub").json(json!({"username": "acme", "password": "hub-pw",
                "docker_auth_config": r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YWNtZTpodWItcHc="}}}"#}));
        });
    }

    /// A project whose build fails of its own tests.
    pub fn failing_project(&self, name: &str) {
        self.sim.account(|account| {
            account.project(name).buildspec("version: 0.2\nphases:\n  build:\n    commands:\n      - npm test\n");
            account.project(name).command("npm test").fails(["1 failing"]);
        });
    }

    /// The project's environment, as it is.
    pub fn environment(&self, project: &str) -> Value {
        self.sim.project_json(project)["environment"].clone()
    }

    /// The project's inline buildspec, as it is.
    pub fn buildspec(&self, project: &str) -> String {
        self.sim.project_json(project)["source"]["buildspec"].as_str().unwrap_or_default().to_string()
    }

    /// How the builds of a project that ran to their end ended, oldest first.
    pub fn ended(&self, project: &str) -> Vec<String> {
        let builds = self.sim.builds_of(project);
        builds.iter().filter(|build| build.status != "STOPPED").map(|build| build.status.clone()).collect()
    }

    /// How many builds of a project ran to their end with the secret, or the mirror, in their own configuration.
    pub fn ended_with_the_secret(&self, project: &str) -> usize {
        let builds = self.sim.builds_of(project);
        let ended = builds.iter().filter(|build| build.complete && build.status != "STOPPED");
        let environments = ended.map(|build| self.sim.build_json(&build.id)["environment"].to_string());
        environments.filter(|text| text.contains(":secret:") || text.contains("public.ecr.aws")).count()
    }
}

/// A permissions boundary that keeps secrets from a role, whatever its policies say.
pub fn no_secrets() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"},
    ]})
}
