//! `docker login` and the client's own credentials: who a pull is counted for.

use serde_json::Value;

use super::hub::Puller;
use super::shell::{Machine, Ran};

/// Docker Hub's name in docker's configuration.
pub(super) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// `docker login`: the password from the standard input or from an option.
pub(super) fn login(machine: &mut Machine<'_>, arguments: &[&str], input: &[String]) -> Ran {
    let mut user = "";
    let mut password = None;
    let mut from_input = false;
    let mut server = "";
    let mut at = 0;
    while let Some(word) = arguments.get(at) {
        let following = arguments.get(at + 1).copied().unwrap_or_default();
        match *word {
            "-u" | "--username" => {
                user = following;
                at += 1;
            }
            "-p" | "--password" => {
                password = Some(following.to_owned());
                at += 1;
            }
            "--password-stdin" => from_input = true,
            other => match other.split_once('=') {
                Some(("--username" | "-u", value)) => user = value,
                Some(("--password" | "-p", value)) => password = Some(value.to_owned()),
                _ if !other.starts_with('-') => server = other,
                _ => {}
            },
        }
        at += 1;
    }
    if from_input {
        password = Some(input.first().map(|line| line.trim_end().to_owned()).unwrap_or_default());
    }
    if !matches!(server, "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" | HUB_KEY) {
        return Ran::printed(vec!["Login Succeeded".to_owned()]);
    }
    let error = |text: &str| Ran::failed(1, vec![text.to_owned()]);
    match (user, password.as_deref()) {
        ("", _) if from_input => error("Must provide --username with --password-stdin"),
        ("", _) | (_, None) => error("Error: Cannot perform an interactive login from a non TTY device"),
        (_, Some("")) => error("Error: Password Required"),
        (user, Some(password)) if machine.account.hub.knows(user, password) => {
            machine.container.hub_user = Some(user.to_owned());
            let mut ran = Ran::printed(vec!["Login Succeeded".to_owned()]);
            if from_variable(machine).is_some() {
                ran.out.insert(0, "WARNING: DOCKER_AUTH_CONFIG is set and takes precedence.".to_owned());
            }
            ran.err =
                vec!["WARNING! Your credentials are stored unencrypted in '/root/.docker/config.json'.".to_owned()];
            ran
        }
        _ => error(&format!("Error response from daemon: {UNAUTHORIZED}")),
    }
}

/// What Docker Hub answers to a login that it does not know.
pub(super) const UNAUTHORIZED: &str =
    "Get \"https://registry-1.docker.io/v2/\": unauthorized: incorrect username or password";

/// The first docker that reads `DOCKER_AUTH_CONFIG`.
const READS_THE_VARIABLE: (u32, u32) = (28, 3);

/// Who the client is at Docker Hub: `DOCKER_AUTH_CONFIG` wins over the file of `docker login`, if it is read at all.
/// Nobody, where Docker Hub does not know the login that the client sends.
pub(super) fn puller(machine: &Machine<'_>) -> Result<Puller, &'static str> {
    if let Some((user, password)) = from_variable(machine) {
        let known = machine.account.hub.knows(&user, &password);
        return if known { Ok(Puller::Account(user)) } else { Err(UNAUTHORIZED) };
    }
    Ok(match machine.container.hub_user.clone() {
        Some(user) => Puller::Account(user),
        None => Puller::Address(machine.account.address_of(machine.project)),
    })
}

/// The login of the variable, where the image's docker reads it.
pub(super) fn from_variable(machine: &Machine<'_>) -> Option<(String, String)> {
    let told = machine.account.projects.get(machine.project).and_then(|project| project.outside.docker);
    let docker = told.unwrap_or_else(|| docker_of(&machine.container.image));
    let text = machine.container.env.get("DOCKER_AUTH_CONFIG")?;
    auth_config(text).filter(|_| docker >= READS_THE_VARIABLE)
}

/// The docker of an image: CodeBuild's newest have 28.5, its older ones 20.10, and who makes an image of his own brings
/// what was new some years ago.
fn docker_of(image: &str) -> (u32, u32) {
    const NEWEST: [&str; 5] = [
        "aws/codebuild/standard:7.0",
        "aws/codebuild/standard:8.0",
        "aws/codebuild/amazonlinux-x86_64-standard:5.0",
        "aws/codebuild/amazonlinux2-x86_64-standard:5.0",
        "aws/codebuild/amazonlinux-aarch64-standard:3.0",
    ];
    if NEWEST.contains(&image) { (28, 5) } else { (20, 10) }
}

/// User and password of `{"auths": {"https://index.docker.io/v1/": {"auth": base64(user:password)}}}`; any other member makes the client
/// fall back to its file, as its strict decoder does.
fn auth_config(text: &str) -> Option<(String, String)> {
    let json: Value = serde_json::from_str(text).ok()?;
    let (root, auths) = (json.as_object()?, json["auths"].as_object()?);
    let entry = auths.get(HUB_KEY)?.as_object()?;
    if root.len() != 1 || entry.len() != 1 {
        return None;
    }
    let decoded = String::from_utf8(decode_base64(entry.get("auth")?.as_str()?)?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)?;
        held = (held << 6) | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_and_garbage_is_not() {
        assert_eq!(decode_base64("YWNtZTpwdw=="), Some(b"acme:pw".to_vec()));
        assert_eq!(decode_base64("a b"), None);
    }
}
