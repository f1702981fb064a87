//! The words that a person reads: what it is, where, and what to do next.

use crate::domain::classify::{self, Cause, Diagnosis, Login, Registry, UnknownReason};
use crate::domain::detect::Place;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Writes a diagnosis with colours, which the caller's stream takes out where they do not belong.
pub fn write_text(name: &str, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let colour = match diagnosis.cause {
        Cause::NotThrottled => AnsiColor::Green,
        Cause::NeedsLog | Cause::Unknown => AnsiColor::Yellow,
        _ if diagnosis.recovered => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    let style = Style::new().bold().fg_color(Some(colour.into()));
    writeln!(out, "{BOLD}{name}{BOLD:#}")?;
    writeln!(out, "  {style}{}{style:#}", in_words(diagnosis))?;
    if let Some(phase) = &diagnosis.phase {
        let who = match diagnosis.site {
            Some(classify::Site::BuildImage) => ", by CodeBuild, which pulls the build image",
            Some(classify::Site::DockerClient) => ", by a client that the build ran",
            None => "",
        };
        writeln!(out, "  in {phase}{who}")?;
    }
    for evidence in &diagnosis.evidence {
        let place = match &evidence.place {
            Place::Log(line) => format!("line {line}"),
            Place::Context(phase) => format!("context of {phase}"),
        };
        writeln!(out, "  {DIM}{place}:{DIM:#} {}", evidence.quote)?;
    }
    writeln!(out, "  {DIM}next:{DIM:#} {}", next(diagnosis))
}

/// The diagnosis as a sentence.
fn in_words(diagnosis: &Diagnosis) -> String {
    let what = match (diagnosis.cause, diagnosis.login) {
        (Cause::HubPullLimit, Login::Anonymous) => "Docker Hub's pull limit, reached without a login".to_string(),
        (Cause::HubPullLimit, Login::Authenticated) => "Docker Hub's pull limit, reached by an account".to_string(),
        (Cause::HubPullLimit, Login::Unknown) => "Docker Hub's pull limit".to_string(),
        (Cause::HubAbuseLimit, _) => "Docker Hub's abuse limit: too many requests from this address".to_string(),
        (Cause::HubLoginLimit, _) => "Docker Hub's limit of logins".to_string(),
        (Cause::OtherRegistry, _) => format!("throttled by {}", registry_name(diagnosis.registry)),
        (Cause::NotThrottled, _) => "not throttled by a registry".to_string(),
        (Cause::NeedsLog, _) => "the phase contexts do not tell; the log is needed".to_string(),
        (Cause::Unknown, _) => match diagnosis.reason {
            Some(UnknownReason::MessageCut) => "unknown: the message was cut before it said why".to_string(),
            Some(UnknownReason::LogNotReadable) => "unknown: the log can't be read".to_string(),
            Some(UnknownReason::LogTooLong) => "unknown: the log is too long".to_string(),
            _ => "unknown: a phase or status that was never seen before".to_string(),
        },
    };
    if diagnosis.recovered && diagnosis.is_throttled() {
        format!("{what}; the client retried and went on")
    } else {
        what
    }
}

fn registry_name(registry: Registry) -> &'static str {
    match registry {
        Registry::DockerHub => "Docker Hub",
        Registry::EcrPublic => "Amazon ECR Public",
        Registry::EcrPrivate => "a private Amazon ECR registry",
        Registry::Ecr => "Amazon ECR, public or private",
        Registry::Ghcr => "GitHub's registry (ghcr.io)",
        Registry::Quay => "Quay",
        Registry::Gitlab => "GitLab's registry",
        Registry::Gcr => "Google's registry",
        Registry::Mcr => "Microsoft's registry (MCR or ACR)",
        Registry::Other => "another registry, perhaps a proxy",
        Registry::Unknown => "a registry that the text does not name",
    }
}

/// What a person does about it.
fn next(diagnosis: &Diagnosis) -> &'static str {
    if diagnosis.recovered && diagnosis.is_throttled() {
        return "nothing failed of this; a login keeps it from coming back if the registry is Docker Hub";
    }
    match (diagnosis.cause, diagnosis.login, diagnosis.site) {
        (Cause::HubPullLimit, Login::Authenticated, _) => {
            "the account's own limit is used up: a paid plan, or a mirror"
        }
        (Cause::HubPullLimit, _, Some(classify::Site::BuildImage)) => {
            "give the project a registry credential for Docker Hub; `unthrottled plan --project NAME` shows the change"
        }
        (Cause::HubPullLimit, ..) => {
            "log in to Docker Hub before the first pull; `unthrottled buildspec login FILE` writes it into a buildspec"
        }
        (Cause::HubAbuseLimit, ..) => "a login does not help: fewer requests, another address, or a mirror",
        (Cause::HubLoginLimit, ..) => "wait an hour, and find what logs in so often or with a wrong password",
        (Cause::OtherRegistry, ..) => {
            "a Docker Hub login does not help: log in there, retry with a pause, or mirror the image"
        }
        (Cause::NotThrottled, ..) => "look for another reason",
        (Cause::NeedsLog, ..) => "name the log: `unthrottled diagnose --build BUILD.json LOG`",
        (Cause::Unknown, ..) => "look at the build's own log, from its beginning",
    }
}
