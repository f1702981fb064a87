//! `propose_patch`: nothing is changed; the owner gets what another remedy would change, or would if the buildspec were
//! the project's.

use super::{Inapplicable, Material, buildspec_login, grant, own_login, registry_credential};
use crate::domain::buildspec::login::Login;
use crate::domain::change::Change;
use crate::domain::classify::Site;
use crate::domain::policy::Remedy;

/// What a patch is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingredients {
    /// What the role and the project need.
    pub changes: Vec<Change>,
    /// What a buildspec needs that we do not know, or can't edit.
    pub login: Option<Login>,
}

/// The remedy whose changes a patch for this site has. What disproved it speaks against the patch too.
pub fn made_of(site: Site) -> Remedy {
    match site {
        Site::BuildImage => Remedy::RegistryCredential,
        Site::DockerClient => Remedy::BuildspecLogin,
    }
}

/// What a patch is made of, or why the owner can do no more than we.
pub fn ingredients(material: Material<'_>, site: Site) -> Result<Ingredients, Inapplicable> {
    let (edits, login) = match site {
        Site::BuildImage => (registry_credential::edits(material)?, None),
        Site::DockerClient => match buildspec_login::edits(material) {
            Ok(edits) => (edits, None),
            Err(why) if why.is_for_owner() => {
                let login = buildspec_login::login(material)?;
                let variables = buildspec_login::variables(material, &material.project.environment)?;
                speaks_against(material, &why, &login)?;
                (variables, Some(login))
            }
            Err(why) => return Err(why),
        },
    };
    let mut changes = vec![grant::change(material)?];
    if !edits.is_empty() {
        changes.push(Change::Project { edits });
    }
    Ok(Ingredients { changes, login })
}

/// A login or a mirror that is there already, or likely is.
fn speaks_against(material: Material<'_>, why: &Inapplicable, login: &Login) -> Result<(), Inapplicable> {
    let Material { build, project, credential, .. } = material;
    own_login::by_commands(build, login)?;
    if !why.leaves_commands_unread() {
        return Ok(());
    }
    // What the patch itself brings may be there in part.
    own_login::by_variables(build, project, &[&credential.username_variable, &credential.password_variable])
}
