//! What a webhook builds: pushes and pull requests, as the filters of the project let them.

use super::Simulator;
use super::account::Account;
use super::build::BuildSummary;
use super::run::NewBuild;
use serde_json::Value;

/// The commit that an event is about.
const COMMIT: &str = "8d3f1c2a9b7e6d5c4b3a29181706f5e4d3c2b1a0";

/// Something that happened in a project's repository.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Somebody who may write to it pushed.
    Push,
    /// Somebody opened a pull request, who needs no more than an account at the host. It changes these files, by path.
    PullRequest {
        /// Its number.
        number: u32,
        /// What it makes of which files.
        files: &'a [(&'a str, &'a str)],
    },
}

impl Simulator {
    /// The host tells CodeBuild of an event. A build is started, and the time moves to its end. The error is why none is.
    pub fn run_event(&self, project: &str, event: Event<'_>) -> Result<BuildSummary, String> {
        let before = self.account(|account| account.outside_files(project));
        let id = self.account(|account| account.build_event(project, event))?;
        let built = self.run_to_end(&id);
        // The files of a pull request are not those of the branch.
        self.account(|account| account.put_files(project, before));
        Ok(built)
    }
}

type Files = (Option<String>, std::collections::BTreeMap<String, String>);

impl Account {
    fn build_event(&mut self, project: &str, event: Event<'_>) -> Result<String, String> {
        let config = self.project_now(project).cloned().ok_or("no such project")?;
        let webhook = config.get("webhook").filter(|webhook| !webhook.is_null()).ok_or("the project has no webhook")?;
        let kind = match event {
            Event::Push => "PUSH",
            Event::PullRequest { .. } => "PULL_REQUEST_CREATED",
        };
        if !lets_in(webhook, kind) {
            return Err(format!("no filter group lets {kind} in"));
        }
        let approval = webhook["pullRequestBuildPolicy"]["requiresCommentApproval"].as_str().unwrap_or("DISABLED");
        if matches!(event, Event::PullRequest { .. }) && approval != "DISABLED" {
            return Err("the pull request waits for a comment that approves it".to_owned());
        }
        if let Event::PullRequest { files, .. } = event {
            let (mut buildspec, mut there) = self.outside_files(project);
            for (path, text) in files {
                if *path == "buildspec.yml" {
                    buildspec = Some((*text).to_owned());
                }
                there.insert((*path).to_owned(), (*text).to_owned());
            }
            self.put_files(project, (buildspec, there));
        }
        let (version, initiator) = told(config["source"]["type"].as_str().unwrap_or_default(), event);
        let place = self.submit(NewBuild {
            project: project.to_owned(),
            config,
            source_version: Some(version),
            initiator: initiator.to_owned(),
            recurring: false,
        });
        Ok(self.builds[place].id.clone())
    }

    fn outside_files(&mut self, project: &str) -> Files {
        let outside = self.projects.get(project).map(|project| &project.outside);
        outside.map_or_else(Files::default, |outside| (outside.repository_buildspec.clone(), outside.files.clone()))
    }

    fn put_files(&mut self, project: &str, (buildspec, files): Files) {
        if let Some(project) = self.projects.get_mut(project) {
            (project.outside.repository_buildspec, project.outside.files) = (buildspec, files);
        }
    }
}

/// The version and initiator that a build shows. Only for GitHub CodeBuild documents `pr/<number>`.
fn told(source: &str, event: Event<'_>) -> (String, &'static str) {
    match (source, event) {
        ("GITHUB" | "GITHUB_ENTERPRISE", Event::PullRequest { number, .. }) => {
            (format!("pr/{number}"), "GitHub-Hookshot/1a2b3c4")
        }
        ("GITHUB" | "GITHUB_ENTERPRISE", Event::Push) => (COMMIT.to_owned(), "GitHub-Hookshot/1a2b3c4"),
        _ => (COMMIT.to_owned(), "Bitbucket-Webhooks/2.0"),
    }
}

/// Without groups everything is let in. Of a group's filters only the events are played.
fn lets_in(webhook: &Value, kind: &str) -> bool {
    let groups = webhook["filterGroups"].as_array().cloned().unwrap_or_default();
    let has_it = |filter: &Value| {
        let pattern = filter["pattern"].as_str().unwrap_or_default();
        filter["type"] == "EVENT" && pattern.split(',').any(|event| event.trim() == kind)
    };
    groups.is_empty() || groups.iter().any(|group| group.as_array().into_iter().flatten().any(has_it))
}
