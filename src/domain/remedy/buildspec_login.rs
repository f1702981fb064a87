//! `buildspec_login`: the project's inline buildspec logs in before the first docker use, with two variables that come
//! from the secret.

use crate::domain::build::{Build, Buildspec, Environment, Project, VariableSource};
use crate::domain::buildspec::batch::{self, OwnOfMembers};
use crate::domain::buildspec::login::{Login, Shell};
use crate::domain::buildspec::splice::Digest;
use crate::domain::buildspec::{Placement, place_login};
use crate::domain::change::Edit;
use crate::domain::remedy::{Inapplicable, Material};

/// What shall be changed in the project, in one update.
pub fn edits(material: Material<'_>) -> Result<Vec<Edit>, Inapplicable> {
    let Material { build, project, .. } = material;
    if project.is_runner {
        return Err(Inapplicable::RunnerCommands);
    }
    if let Some(own) = own_of_member(build, project) {
        return Err(Inapplicable::BatchMembers(own));
    }
    // What the build ran is what was throttled: an edit of another buildspec would cure nothing.
    if build.buildspec != project.buildspec {
        let by_pipeline = build.is_of_a_pipeline();
        return Err(if by_pipeline { Inapplicable::Pipeline } else { Inapplicable::BuildDiffers("buildspec") });
    }
    let text = match &project.buildspec {
        Buildspec::Inline(text) => text,
        Buildspec::Elsewhere(place) => return Err(Inapplicable::BuildspecElsewhere(place.clone())),
    };
    // The login's line is written for one shell.
    if build.environment.kind != project.environment.kind {
        return Err(Inapplicable::BuildDiffers("environment type"));
    }
    if let Some(own) = batch::own_of_members(text) {
        return Err(Inapplicable::BatchMembers(own));
    }
    let login = login(material)?;
    // A variable of the build's own, by an override or a batch, wins over the project's.
    variables(material, &build.environment)?;
    let mut edits = variables(material, &project.environment)?;
    match place_login(text, &login) {
        Placement::Insert(splice) => {
            let Some(after) = splice.apply(text) else {
                return Err(Inapplicable::NoPlace);
            };
            edits.push(Edit::Buildspec { before: Digest::of(text), after: Digest::of(&after), splice });
            Ok(edits)
        }
        Placement::AlreadyLoggedIn { .. } => Err(Inapplicable::LoggedInAlready),
        Placement::NotNeeded(spare) => Err(Inapplicable::NotNeeded(spare.to_string())),
        Placement::Refused(refusal) => Err(Inapplicable::Buildspec(refusal)),
    }
}

/// What the project's batch gave the build in place of the project's own text: a file by its name.
fn own_of_member(build: &Build, project: &Project) -> Option<OwnOfMembers> {
    match (&build.batch, &build.buildspec, &project.buildspec) {
        (Some(_), Buildspec::Elsewhere(_), Buildspec::Inline(text)) => batch::own_of_members(text),
        _ => None,
    }
}

/// The login as this project's builds would write it.
pub fn login(material: Material<'_>) -> Result<Login, Inapplicable> {
    let Material { project, credential, .. } = material;
    Ok(Login {
        username_variable: credential.username_variable.clone(),
        password_variable: credential.password_variable.clone(),
        shell: shell(&project.environment.kind)?,
    })
}

/// The variables that the login reads, as far as this environment does not have them.
pub fn variables(material: Material<'_>, environment: &Environment) -> Result<Vec<Edit>, Inapplicable> {
    let Material { secret, credential, .. } = material;
    let Some(secret) = secret else { return Err(Inapplicable::NoSecret) };
    let mut edits = Vec::new();
    let variables = [
        (&credential.username_variable, &credential.username_key),
        (&credential.password_variable, &credential.password_key),
    ];
    for (name, key) in variables {
        let reference = format!("{}:{key}", secret.arn);
        if needs(environment, name, &reference)? {
            edits.push(Edit::Variable { name: name.clone(), reference });
        }
    }
    Ok(edits)
}

/// Whether the variable has to be added; a variable of the name that means something else is never touched, as a
/// project's variable overrides the buildspec's own of that name.
fn needs(environment: &Environment, name: &str, reference: &str) -> Result<bool, Inapplicable> {
    match environment.variable(name).map(|variable| &variable.source) {
        None => Ok(true),
        Some(VariableSource::SecretsManager(there)) if there == reference => Ok(false),
        Some(_) => Err(Inapplicable::VariableTaken(name.to_string())),
    }
}

/// The shell that commands of an environment run in, where the buildspec does not name one.
pub(crate) fn shell(kind: &str) -> Result<Shell, Inapplicable> {
    match kind {
        "LINUX_CONTAINER" | "LINUX_GPU_CONTAINER" | "ARM_CONTAINER" | "LINUX_EC2" | "ARM_EC2" => Ok(Shell::Sh),
        "WINDOWS_CONTAINER" | "WINDOWS_SERVER_2019_CONTAINER" | "WINDOWS_SERVER_2022_CONTAINER" | "WINDOWS_EC2" => {
            Ok(Shell::PowerShell)
        }
        other => Err(Inapplicable::EnvironmentType(other.to_string())),
    }
}
