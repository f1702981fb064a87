//! `buildspec_login`: the project's inline buildspec logs in before the first docker use, with two variables that come
//! from the secret.

use crate::domain::build::{Buildspec, Project, VariableSource};
use crate::domain::buildspec::login::{Login, Shell};
use crate::domain::buildspec::splice::Digest;
use crate::domain::buildspec::{Placement, place_login};
use crate::domain::change::Edit;
use crate::domain::remedy::{Inapplicable, Material};

/// What shall be changed in the project, in one update.
pub fn edits(material: Material<'_>) -> Result<Vec<Edit>, Inapplicable> {
    let Material { build, project, secret, credential, .. } = material;
    let Some(secret) = secret else { return Err(Inapplicable::NoSecret) };
    let Buildspec::Inline(text) = &project.buildspec else {
        return Err(Inapplicable::BuildspecElsewhere);
    };
    if build.buildspec != project.buildspec {
        return Err(Inapplicable::BuildDiffers("buildspec"));
    }
    // A runner ignores the buildspec's commands.
    if project.is_runner {
        return Err(Inapplicable::Runner);
    }
    if project.source_kind == "CODEPIPELINE" {
        return Err(Inapplicable::Pipeline);
    }
    let login = Login {
        username_variable: credential.username_variable.clone(),
        password_variable: credential.password_variable.clone(),
        shell: shell(&project.environment.kind)?,
    };
    let mut edits = Vec::new();
    let variables = [
        (&credential.username_variable, &credential.username_key),
        (&credential.password_variable, &credential.password_key),
    ];
    for (name, key) in variables {
        let reference = format!("{}:{key}", secret.arn);
        if needs(project, name, &reference)? {
            edits.push(Edit::Variable { name: name.clone(), reference });
        }
    }
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

/// Whether the variable has to be added; a variable of the name that means something else is never touched, as a
/// project's variable overrides the buildspec's own of that name.
fn needs(project: &Project, name: &str, reference: &str) -> Result<bool, Inapplicable> {
    match project.environment.variable(name).map(|variable| &variable.source) {
        None => Ok(true),
        Some(VariableSource::SecretsManager(there)) if there == reference => Ok(false),
        Some(_) => Err(Inapplicable::VariableTaken(name.to_string())),
    }
}

/// The shell that commands of an environment run in, where the buildspec does not name one.
fn shell(kind: &str) -> Result<Shell, Inapplicable> {
    match kind {
        "LINUX_CONTAINER" | "LINUX_GPU_CONTAINER" | "ARM_CONTAINER" | "LINUX_EC2" | "ARM_EC2" => Ok(Shell::Sh),
        "WINDOWS_CONTAINER" | "WINDOWS_SERVER_2019_CONTAINER" | "WINDOWS_SERVER_2022_CONTAINER" | "WINDOWS_EC2" => {
            Ok(Shell::PowerShell)
        }
        other => Err(Inapplicable::EnvironmentType(other.to_string())),
    }
}
