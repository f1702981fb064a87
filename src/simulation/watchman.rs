//! What must hold at every write that the daemon makes.

use super::cast::GRANT;
use serde_json::{Value, json};

/// Two states of a project, before and after a write of ours, may differ in what a remedy changes and in nothing else.
///
/// # Errors
/// What else differs, in a sentence.
pub(super) fn project_write(before: &Value, after: &Value, secret: &str) -> Result<(), String> {
    buildspec_write(&before["source"]["buildspec"], &after["source"]["buildspec"])?;
    once_each(after)?;
    let (mut was, mut is) = (foreign(before, secret), foreign(after, secret));
    // With the credential its use comes and goes. Where AWS keeps a credential that is taken back, its use alone goes.
    let ours = |project: &Value| project["environment"]["registryCredential"]["credential"] == json!(secret);
    if ours(before) || ours(after) {
        for side in [&mut was, &mut is] {
            remove(&mut side["environment"], "imagePullCredentialsType");
        }
    }
    if was == is { Ok(()) } else { Err(format!("what is not ours was changed: {}", difference(&was, &is))) }
}

/// A project without what is ours and without what AWS sets by itself.
fn foreign(project: &Value, secret: &str) -> Value {
    let mut project = project.clone();
    remove(&mut project, "lastModified");
    remove(&mut project["source"], "buildspec");
    if project["environment"]["registryCredential"]["credential"] == json!(secret) {
        remove(&mut project["environment"], "registryCredential");
    }
    if let Some(variables) = project["environment"]["environmentVariables"].as_array_mut() {
        variables.retain(|variable| !is_ours(variable, secret));
        if variables.is_empty() {
            remove(&mut project["environment"], "environmentVariables");
        }
    }
    project
}

fn is_ours(variable: &Value, secret: &str) -> bool {
    variable["type"] == "SECRETS_MANAGER" && variable["value"].as_str().is_some_and(|value| value.starts_with(secret))
}

/// One login line more or one less, every other byte as it was.
fn buildspec_write(before: &Value, after: &Value) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    let (Some(before), Some(after)) = (before.as_str(), after.as_str()) else {
        return Err(format!("the buildspec was {before} and is {after}"));
    };
    let (short, long) = if before.len() < after.len() { (before, after) } else { (after, before) };
    let head = short.bytes().zip(long.bytes()).take_while(|(a, b)| a == b).count();
    let tail = short.len() - head;
    let same_tail = long.as_bytes().ends_with(&short.as_bytes()[head..]);
    let put_in = &long.as_bytes()[head..long.len() - tail];
    let put_in = String::from_utf8_lossy(put_in);
    if !same_tail || logins(long) != logins(short) + 1 || put_in.lines().count() > 6 {
        return Err(format!("the buildspec was changed by more than one login: {before:?} became {after:?}"));
    }
    Ok(())
}

fn logins(text: &str) -> usize {
    text.matches("docker login").count()
}

/// One variable of a name, and one login.
fn once_each(project: &Value) -> Result<(), String> {
    let variables = project["environment"]["environmentVariables"].as_array();
    let names: Vec<&Value> = variables.into_iter().flatten().map(|variable| &variable["name"]).collect();
    if let Some(twice) = names.iter().enumerate().find(|(n, name)| names[..*n].contains(name)) {
        return Err(format!("the variable {} is there twice", twice.1));
    }
    let text = project["source"]["buildspec"].as_str().unwrap_or_default();
    if logins(text) > 1 {
        return Err(format!("there are {} logins: {text:?}", logins(text)));
    }
    Ok(())
}

/// Whether a project's builds would read the secret.
pub(super) fn names_secret(project: &Value, secret: &str) -> bool {
    let environment = &project["environment"];
    environment["registryCredential"]["credential"] == json!(secret)
        || environment["environmentVariables"].as_array().into_iter().flatten().any(|v| is_ours(v, secret))
}

/// The projects that run with a role and name the secret.
pub(super) fn users(snapshot: &Value, role: &str, secret: &str) -> Vec<String> {
    let projects = snapshot["projects"].as_object().into_iter().flatten();
    let with_role = projects
        .filter(|(_, json)| json["serviceRole"].as_str().is_some_and(|arn| arn.rsplit('/').next() == Some(role)));
    with_role.filter(|(_, json)| names_secret(json, secret)).map(|(name, _)| name.clone()).collect()
}

/// Whether the role holds our grant.
pub(super) fn has_grant(snapshot: &Value, role: &str) -> bool {
    snapshot["roles"][role][GRANT].is_string()
}

/// Where two values differ first, by path.
pub(super) fn difference(was: &Value, is: &Value) -> String {
    let missing = Value::Null;
    match (was, is) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            for name in names {
                let (x, y) = (a.get(name).unwrap_or(&missing), b.get(name).unwrap_or(&missing));
                if x != y {
                    return format!("{name}.{}", difference(x, y));
                }
            }
            String::new()
        }
        _ => format!(" was {was}, is {is}"),
    }
}

fn remove(value: &mut Value, name: &str) {
    if let Some(members) = value.as_object_mut() {
        members.shift_remove(name);
    }
}
