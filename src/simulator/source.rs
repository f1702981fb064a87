//! Where the commands of a build come from: the project, its repository, S3, or a runner's job.

use super::account::Account;
use super::build::PhaseEnd;
use super::buildspec::{self, Buildspec, Kind};

impl Account {
    /// The commands that a build runs, or how DOWNLOAD_SOURCE ends without them.
    pub(super) fn commands_of(&self, place: usize) -> Result<Buildspec, PhaseEnd> {
        let build = &self.builds[place];
        let written = build.config["source"]["buildspec"].as_str().unwrap_or_default();
        let Some(job) = &build.given.job else {
            return self.buildspec_of(&build.project, written);
        };
        if job.token_used {
            return Err(PhaseEnd::failed("FAILED", "INTERNAL_ERROR", "Error while fetching runner token"));
        }
        let around = if job.runs_buildspec { Some(self.buildspec_of(&build.project, written)?) } else { None };
        Ok(job.commands(around))
    }

    fn buildspec_of(&self, project: &str, written: &str) -> Result<Buildspec, PhaseEnd> {
        let text = self.buildspec_text(project, written)?;
        buildspec::read(&text).map_err(|message| PhaseEnd::failed("FAILED", "YAML_FILE_ERROR", message))
    }

    /// The text that `source.buildspec` leads to.
    pub(super) fn buildspec_text(&self, project: &str, written: &str) -> Result<String, PhaseEnd> {
        let not_found = |message: String| PhaseEnd::failed("FAILED", "YAML_FILE_ERROR", message);
        let path = match buildspec::kind(written) {
            Kind::Inline(text) => return Ok(text.to_owned()),
            Kind::S3(arn) => {
                // CodeBuild's words for an object that is not there are not known.
                let object = self.s3_objects.get(arn).cloned();
                return object.ok_or_else(|| not_found(format!("NoSuchKey: The specified key does not exist: {arn}")));
            }
            Kind::Path("") => "buildspec.yml",
            Kind::Path(path) => path,
        };
        let outside = self.projects.get(project).map(|project| &project.outside);
        let file = outside.and_then(|outside| outside.files.get(path).or(outside.repository_buildspec.as_ref()));
        file.cloned().ok_or_else(|| {
            not_found(format!("stat /codebuild/output/src2961741838/src/{path}: no such file or directory"))
        })
    }
}
