//! What a build was given by whoever started it: a buildspec, a batch that it belongs to, a runner's job.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::build::PhaseEnd;
use super::buildspec::{Buildspec, Commands};
use super::logs::Line;
use super::options::{GivenBuildspec, RetryReads};
use super::run::container_line;

/// What is the build's own and not the project's.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    /// The ARN of its batch.
    pub(super) batch: Option<String>,
    /// The project's buildspec at that time, where the build runs another.
    pub(super) instead_of: Option<Value>,
    /// The job that a runner's build is for.
    pub(super) job: Option<Job>,
}

impl Given {
    /// Puts it into a build's answer.
    pub(super) fn show(&self, json: &mut Value, reading: GivenBuildspec) {
        if let Some(batch) = &self.batch {
            json["buildBatchArn"] = json!(batch);
        }
        if let Some(projects) = &self.instead_of
            && reading == GivenBuildspec::Hidden
        {
            json["source"]["buildspec"] = projects.clone();
        }
    }

    /// What a retry has of it. A runner's token is good for one build.
    pub(super) fn of_a_retry(&self, reading: RetryReads) -> Given {
        let instead_of = self.instead_of.clone().filter(|_| reading == RetryReads::Original);
        let job = self.job.clone().map(|job| Job { token_used: true, ..job });
        Given { batch: self.batch.clone(), instead_of, job }
    }
}

/// A job of a workflow, for which a runner's build is started.
#[derive(Debug, Clone)]
pub struct Job {
    steps: Vec<String>,
    pub(super) image: Option<String>,
    pub(super) runs_buildspec: bool,
    pub(super) token_used: bool,
}

impl Job {
    /// A job of these steps.
    #[must_use]
    pub fn new<const N: usize>(steps: [&str; N]) -> Job {
        let steps = steps.map(ToOwned::to_owned).to_vec();
        Job { steps, image: None, runs_buildspec: false, token_used: false }
    }

    /// With the label `image:…`: the build runs in this image.
    #[must_use]
    pub fn image(self, image: &str) -> Job {
        Job { image: Some(image.to_owned()), ..self }
    }

    /// With the label `buildspec-override:true`: INSTALL, PRE_BUILD and POST_BUILD of the buildspec are run around the job.
    #[must_use]
    pub fn buildspec_override(self) -> Job {
        Job { runs_buildspec: true, ..self }
    }

    /// The job as the commands of BUILD, around which a buildspec's other phases may run.
    pub(super) fn commands(&self, around: Option<Buildspec>) -> Buildspec {
        let mut spec =
            around.unwrap_or_else(|| Buildspec { one_shell: true, phases: BTreeMap::new(), ..Buildspec::default() });
        spec.phases.insert("build", Commands { commands: self.steps.clone(), ..Commands::default() });
        spec
    }

    /// What the build's log has of BUILD where the steps write elsewhere.
    pub(super) fn lines_without_steps(&self, begin: Timestamp, end: Timestamp, outcome: &PhaseEnd) -> Vec<Line> {
        let result = if outcome.status == "SUCCEEDED" { "Succeeded" } else { "Failed" };
        let said = |at, text: String| Line { at, text };
        vec![
            container_line(begin, "Entering phase BUILD"),
            said(begin, "Listening for Jobs".to_owned()),
            said(end, format!("Job build completed with result: {result}")),
        ]
    }

    /// How BUILD ends then: the agent's own command is all that CodeBuild knows.
    pub(super) fn end_without_steps(&self, outcome: PhaseEnd) -> PhaseEnd {
        if outcome.status == "SUCCEEDED" {
            return outcome;
        }
        let message = "Error while executing command: ./run.sh. Reason: exit status 1";
        PhaseEnd::failed("FAILED", "COMMAND_EXECUTION_ERROR", message)
    }
}
