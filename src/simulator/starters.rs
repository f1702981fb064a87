//! Who starts builds beside a person at the console: callers with overrides, pipelines, batches, runners.

use serde_json::{Value, json};

use super::Simulator;
use super::build::BuildSummary;
use super::given::Job;
use super::project_check;
use super::run::NewBuild;
use std::sync::Arc;

impl Simulator {
    /// Starts a build with parameters of StartBuild, such as `buildspecOverride`, and moves the time to its end. The error is
    /// CodeBuild's.
    pub fn run_build_with(&self, project: &str, overrides: &Value) -> Result<BuildSummary, String> {
        self.run_as("developer", project, overrides)
    }

    /// A pipeline's action starts a build, with parameters of StartBuild, and the time moves to its end. The source is the pipeline's.
    pub fn run_pipeline(&self, pipeline: &str, project: &str, overrides: &Value) -> Result<BuildSummary, String> {
        let mut with = json!({"sourceTypeOverride": "CODEPIPELINE", "artifactsOverride": {"type": "CODEPIPELINE"}});
        if let (Some(with), Some(overrides)) = (with.as_object_mut(), overrides.as_object()) {
            with.extend(overrides.clone());
        }
        self.run_as(&format!("codepipeline/{pipeline}"), project, &with)
    }

    /// Starts a batch build and moves the time until its last build has ended. The builds are in the order of the buildspec. The error
    /// is why there is no batch.
    pub fn run_batch(&self, project: &str) -> Result<Vec<BuildSummary>, String> {
        let arn = self.account(|account| account.start_batch(project))?;
        self.settle_builds();
        // Tasks that waited for others begin when those have ended.
        let members = || {
            self.account(|account| {
                let batch = account.batches.iter().find(|batch| batch.arn == arn);
                let builds = batch.into_iter().flat_map(|batch| batch.builds());
                builds.map(|place| account.builds[place].summary()).collect::<Vec<_>>()
            })
        };
        while members().iter().any(|build| !build.complete) {
            self.settle_builds();
        }
        Ok(members())
    }

    /// A workflow's job is queued for a runner: a build is started for it, and the time moves to its end. The error is why none is.
    pub fn run_job(&self, project: &str, job: Job) -> Result<BuildSummary, String> {
        let id = self.account(|account| {
            let mut config = account.project_now(project).map(|json| Value::clone(json)).ok_or("no such project")?;
            if !config["webhook"].to_string().contains("WORKFLOW_JOB_QUEUED") {
                return Err("the project is no runner".to_owned());
            }
            let mut sent = json!({});
            if let Some(image) = &job.image {
                config["environment"]["image"] = json!(image);
                sent["environment"]["image"] = json!(image);
            }
            project_check::project(account, &sent, &config).map_err(|refusal| refusal.message)?;
            let place = account.submit(NewBuild {
                project: project.to_owned(),
                config: Arc::new(config),
                source_version: None,
                initiator: "GitHub-Hookshot/1a2b3c4".to_owned(),
                recurring: false,
            });
            account.builds[place].given.job = Some(job);
            Ok(account.builds[place].id.clone())
        })?;
        Ok(self.run_to_end(&id))
    }

    fn run_as(&self, initiator: &str, project: &str, overrides: &Value) -> Result<BuildSummary, String> {
        let id = self.account(|account| {
            let mut input = overrides.clone();
            input["projectName"] = json!(project);
            let started = account.start_build_as(initiator, &input);
            started.map(|place| account.builds[place].id.clone()).map_err(|refusal| refusal.message)
        })?;
        Ok(self.run_to_end(&id))
    }
}
