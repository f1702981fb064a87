//! Which projects pull from Docker Hub without a login, before any of their builds is throttled: facts in, rows out.
//!
//! Only what a project shows is looked at: its environment, its inline buildspec, and whether its builds ran another one.
//! What stands in a repository or behind a script is named as what it is, not readable or perhaps, and never as healthy.
//! Images named in Dockerfiles are out of sight, so a `docker build` counts as a pull from Docker Hub.

mod hypothetical;
mod ways;

pub use hypothetical::{Ground, decision};
pub use ways::ways;

use crate::domain::build::{Build, Project, ProjectName};
use crate::domain::classify::Site;
use crate::domain::decide::Decision;
use serde::Serialize;
use std::cmp::Reverse;

/// What is known of a project.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The project now.
    pub project: &'a Project,
    /// Its builds in the look-back.
    pub builds: Builds,
}

/// The builds of a project in the look-back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Builds {
    /// How many.
    pub all: usize,
    /// Those that ran another buildspec than the project has now.
    pub with_another_buildspec: usize,
}

impl Builds {
    /// Counts them. A build that ran before the first one with the buildspec of today ran what the project had then.
    pub fn of<'b>(project: &Project, builds: impl Iterator<Item = &'b Build>) -> Builds {
        let builds: Vec<&Build> = builds.collect();
        let is_todays = |build: &&&Build| build.buildspec == project.buildspec;
        let since = builds.iter().filter(is_todays).filter_map(|build| build.started).min();
        let is_other = |build: &&&Build| !is_todays(build) && since.is_none_or(|since| build.started >= Some(since));
        Builds { all: builds.len(), with_another_buildspec: builds.iter().filter(is_other).count() }
    }
}

/// How sure it is that builds pull from Docker Hub without a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is seen.
    Anonymous,
    /// Something that may do so is called.
    Perhaps,
    /// What is run can't be read.
    NotReadable,
    /// It is seen that a login is used.
    LoggedIn,
}

/// One way in which builds of a project pull, or may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Who pulls.
    pub site: Site,
    /// How sure that is.
    pub standing: Standing,
    /// What shows it, without secrets.
    pub evidence: String,
    /// The line of the inline buildspec that shows it.
    pub line: Option<usize>,
}

/// A project and its ways.
#[derive(Clone, Debug)]
pub struct Row {
    /// The scope that it is in.
    pub scope: String,
    /// Which.
    pub project: ProjectName,
    /// Builds in the look-back; none where they could not be counted.
    pub builds: Option<usize>,
    /// The policy that it falls under.
    pub policy: String,
    /// Each way, and what would be done were it refused now; none where there is nothing to cure.
    pub ways: Vec<(Way, Option<Decision>)>,
}

impl Row {
    /// Whether a pull without a login is seen, or may be.
    pub fn is_open(&self) -> bool {
        self.ways.iter().any(|(way, _)| way.standing != Standing::LoggedIn)
    }

    /// Whether a pull without a login is seen.
    pub fn is_found(&self) -> bool {
        self.ways.iter().any(|(way, _)| way.standing == Standing::Anonymous)
    }
}

/// The busiest first, then by name; those that could not be counted come last.
pub fn sort(rows: &mut [Row]) {
    rows.sort_by(|a, b| (Reverse(a.builds), &a.project, &a.scope).cmp(&(Reverse(b.builds), &b.project, &b.scope)));
}

#[cfg(test)]
mod tests;
