//! The patch for the owner of a project: what we may not change ourselves, in the words of the owner's own code.
//!
//! Expected flow: a [`Plan`] that is only proposed, or a [`Patch`] where no other remedy applies, becomes a [`Sheet`];
//! sheets are rendered as Terraform, CloudFormation, CDK, commands of the AWS CLI, or as text.
//!
//! Guarantees: nothing here can be carried out by the daemon. No plain value of a project's variables is in a patch, as
//! none is known here; every name is quoted for its language, whatever it holds.
//!
//! A new kind of change has one place, [`parts`], and the forms that take its members apart.

mod cdk;
mod cli;
mod cloudformation;
mod diff;
mod owner;
mod parts;
mod quote;
mod terraform;
mod words;

pub use owner::{Owner, owner};

use crate::domain::build::{BuildId, PhaseName, ProjectName, RoleName, SecretArn};
use crate::domain::buildspec::login::Login;
use crate::domain::buildspec::refusal::Refusal;
use crate::domain::buildspec::splice::Digest;
use crate::domain::buildspec::{Placement, place_login};
use crate::domain::change::Change;
use crate::domain::classify::Site;
use crate::domain::plan::Plan;
use parts::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the owner of a project has to change, where no remedy of ours applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Patch {
    /// The project it is for.
    pub project: ProjectName,
    /// The image that the project's build environment has.
    pub image: String,
    /// The build that was throttled.
    pub because: BuildId,
    /// Where its pull was refused.
    pub site: Site,
    /// The phase that it failed in.
    pub phase: PhaseName,
    /// The policy that lets it be proposed.
    pub policy: String,
    /// The credential's name in the settings.
    pub credential: String,
    /// The project's service role.
    pub role: RoleName,
    /// The secret.
    pub secret: SecretArn,
    /// Whose code owns the project, if a tag tells.
    pub owner: Option<Owner>,
    /// What the role and the project need.
    pub changes: Vec<Change>,
    /// What its buildspec needs, where that is not in the project or can't be edited safely.
    pub login: Option<Login>,
    /// Members of the project that some clients of AWS don't know, and lose in an update.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// Why no remedy applies.
    pub why: String,
}

/// The form of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Blocks for Terraform.
    Terraform,
    /// YAML for a CloudFormation template.
    CloudFormation,
    /// TypeScript for an app of the AWS CDK.
    Cdk,
    /// A script of AWS CLI commands.
    Cli,
}

impl Form {
    /// The form that the owner can merge; commands where no code is known to own the project.
    pub fn of(owner: Option<Owner>) -> Form {
        match owner {
            Some(Owner::Terraform) => Form::Terraform,
            Some(Owner::CloudFormation) => Form::CloudFormation,
            Some(Owner::Cdk) => Form::Cdk,
            None => Form::Cli,
        }
    }
}

/// All that a patch of one project says, ready to be written down.
#[derive(Clone, Debug)]
pub struct Sheet<'a> {
    project: &'a ProjectName,
    image: &'a str,
    because: &'a BuildId,
    phase: &'a PhaseName,
    role: &'a RoleName,
    secret: Option<&'a SecretArn>,
    unknown: &'a [String],
    parts: Parts<'a>,
    buildspec: BuildspecPart<'a>,
}

/// What is said of the buildspec.
#[derive(Clone, Debug, PartialEq, Eq)]
enum BuildspecPart<'a> {
    /// It needs no change.
    None,
    /// It stands in the project: the diff, unless it would show what it may not.
    InProject(Option<String>),
    /// It is a file: its diff.
    File(String),
    /// It is not known: the line.
    Line(&'a Login),
}

/// Why a file is not the buildspec that the patch is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileProblem {
    /// The buildspec stands in the project, and the file says something else.
    NotTheProjects,
    /// The cure does not touch the buildspec.
    NoBuildspecChange,
    /// It has a login already.
    LoggedInAlready(usize),
    /// It needs none.
    NotNeeded(usize, &'static str),
    /// It can't be edited safely.
    Refused(Refusal),
}

impl<'a> Sheet<'a> {
    /// Of a plan.
    pub fn of_plan(plan: &'a Plan) -> Sheet<'a> {
        let parts = Parts::of(&plan.changes);
        Sheet {
            project: &plan.project,
            image: &plan.image,
            because: &plan.because,
            phase: &plan.phase,
            role: &plan.role,
            secret: plan.secret.as_ref(),
            // A project with any is not planned for.
            unknown: &[],
            buildspec: buildspec(&parts, None),
            parts,
        }
    }

    /// Of a patch.
    pub fn of_patch(patch: &'a Patch) -> Sheet<'a> {
        let parts = Parts::of(&patch.changes);
        Sheet {
            project: &patch.project,
            image: &patch.image,
            because: &patch.because,
            phase: &patch.phase,
            role: &patch.role,
            secret: Some(&patch.secret),
            unknown: &patch.unknown,
            buildspec: buildspec(&parts, patch.login.as_ref()),
            parts,
        }
    }

    /// With the text that stands in the project, if it is the one that the change was made for: the diff then shows
    /// lines around it.
    pub fn with_text(mut self, text: &str) -> Sheet<'a> {
        if let Some(change) = &self.parts.buildspec
            && Digest::of(text) == *change.before
        {
            self.buildspec =
                BuildspecPart::InProject(change.splice.apply(text).and_then(|after| diff::of_text(text, &after)));
        }
        self
    }

    /// With a file of the owner's that holds the buildspec.
    pub fn with_file(mut self, name: &str, text: &str) -> Result<Sheet<'a>, FileProblem> {
        let after = match (&self.parts.buildspec, &self.buildspec) {
            (Some(change), _) if Digest::of(text) == *change.before => {
                change.splice.apply(text).ok_or(FileProblem::NotTheProjects)?
            }
            (Some(_), _) => return Err(FileProblem::NotTheProjects),
            (None, BuildspecPart::Line(login)) => with_login(text, login)?,
            (None, _) => return Err(FileProblem::NoBuildspecChange),
        };
        self.buildspec = BuildspecPart::File(diff::of_file(name, text, &after));
        Ok(self)
    }

    /// What is to be done to the buildspec, for people: the diff or the line, and where it goes.
    pub fn buildspec_words(&self) -> Option<String> {
        words::buildspec(self)
    }

    /// The diff of the buildspec, where there is one.
    pub fn diff(&self) -> Option<&str> {
        match &self.buildspec {
            BuildspecPart::InProject(diff) => diff.as_deref(),
            BuildspecPart::File(diff) => Some(diff),
            BuildspecPart::None | BuildspecPart::Line(_) => None,
        }
    }

    /// The region of the project, which is that of its secret, if it has one.
    fn region(&self) -> Option<&str> {
        self.secret?.as_str().split(':').nth(3)
    }
}

fn buildspec<'a>(parts: &Parts<'_>, login: Option<&'a Login>) -> BuildspecPart<'a> {
    match (&parts.buildspec, login) {
        (Some(change), _) => BuildspecPart::InProject(diff::of_splice(change.splice)),
        (None, Some(login)) => BuildspecPart::Line(login),
        (None, None) => BuildspecPart::None,
    }
}

fn with_login(text: &str, login: &Login) -> Result<String, FileProblem> {
    match place_login(text, login) {
        Placement::Insert(splice) => splice.apply(text).ok_or(FileProblem::NotTheProjects),
        Placement::AlreadyLoggedIn { line, .. } => Err(FileProblem::LoggedInAlready(line)),
        Placement::NotNeeded(spare) => Err(FileProblem::NotNeeded(spare.line(), spare.sentence())),
        Placement::Refused(refusal) => Err(FileProblem::Refused(refusal)),
    }
}

/// The patches of some projects as one text that ends with a line break.
pub fn render(form: Form, sheets: &[Sheet<'_>]) -> String {
    match form {
        Form::Terraform => terraform::render(sheets),
        Form::CloudFormation => cloudformation::render(sheets),
        Form::Cdk => cdk::render(sheets),
        Form::Cli => cli::render(sheets),
    }
}

impl Patch {
    /// Whether another says the same, whichever build led to it.
    pub fn is_like(&self, other: &Patch) -> bool {
        self.project == other.project
            && self.site == other.site
            && self.owner == other.owner
            && self.changes == other.changes
            && self.login == other.login
            && self.unknown == other.unknown
    }
}

impl fmt::Display for Patch {
    /// The diff that a person reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<String> = self.changes.iter().map(Change::to_string).collect();
        write!(f, "{}", changes.join("\n"))?;
        match &self.login {
            None => Ok(()),
            Some(login) => {
                let line = if changes.is_empty() { "" } else { "\n" };
                write!(f, "{line}~ the buildspec, before the first command that pulls an image\n+   - {}", login.line())
            }
        }
    }
}

impl FileProblem {
    /// Line and column of what speaks against it.
    pub fn place(&self) -> Option<(usize, usize)> {
        match self {
            FileProblem::Refused(refusal) => refusal.place(),
            FileProblem::LoggedInAlready(line) | FileProblem::NotNeeded(line, _) => Some((*line, 1)),
            FileProblem::NotTheProjects | FileProblem::NoBuildspecChange => None,
        }
    }
}

impl fmt::Display for FileProblem {
    /// Without the place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileProblem::NotTheProjects => {
                write!(f, "the buildspec stands in the project itself, and this file says something else")
            }
            FileProblem::NoBuildspecChange => {
                write!(f, "the cure does not touch the buildspec: leave out --buildspec")
            }
            FileProblem::LoggedInAlready(_) => write!(f, "it logs in to Docker Hub already"),
            FileProblem::NotNeeded(_, why) => write!(f, "it needs no login: {why}"),
            FileProblem::Refused(refusal) => write!(f, "{}", refusal.sentence()),
        }
    }
}

#[cfg(test)]
mod tests;
