//! A pull that went well after all.

use crate::domain::detect::clean::Line;
use crate::domain::image::Image;
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What a line says was pulled.
pub enum Pulled {
    /// By the reference without what clients add or leave out.
    Image(String),
    /// podman names no image when it goes on after a retry.
    AfterRetry,
    /// A service of docker compose.
    Service(String),
}

/// The words that tell of a pull, each with the only form of line that holds them.
const SIGNS: [(&str, Form); 10] = [
    ("Writing manifest to image dest", Form::Copied),
    (" : FROM ", Form::Step),
    (" [internal] load metadata for ", Form::Resolved),
    ("Downloaded newer image for ", Form::Named),
    ("Image is up to date for ", Form::Named),
    ("Successfully pulled image ", Form::Named),
    (" pulled on attempt", Form::Attempt),
    // testcontainers: `Image postgres:16 pull took PT19.37S`.
    (" pull took PT", Form::Attempt),
    // trivy: `Artifact successfully downloaded  repo="ghcr.io/aquasecurity/trivy-db:2"`.
    ("Artifact successfully downloaded", Form::Artifact),
    // After the others, as a line of Kubernetes' events has the word in a column of its own.
    (" Pulled", Form::Service),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Copied,
    Step,
    Service,
    Resolved,
    Named,
    Attempt,
    Artifact,
}

static FINDERS: LazyLock<Vec<(Finder<'static>, Form)>> =
    LazyLock::new(|| SIGNS.iter().map(|(sign, form)| (Finder::new(*sign), *form)).collect());

/// The first of the signs, with what stands before it and behind it.
fn sign(text: &str) -> Option<(Form, &str, &str)> {
    FINDERS.iter().find_map(|(finder, form)| {
        let at = finder.find(text.as_bytes())?;
        Some((*form, text.get(..at)?, text.get(at + finder.needle().len()..)?))
    })
}

/// Whether the lines that follow a line have to tell that it went well.
pub fn is_told_by_next(line: &str) -> bool {
    sign(line).is_some_and(|(form, ..)| matches!(form, Form::Step | Form::Resolved))
}

/// The image that a line says was pulled, given the lines from it on.
pub fn pulled_image(text: &str, lines: &[Line]) -> Option<Pulled> {
    let (form, head, rest) = sign(text)?;
    match form {
        Form::Copied => Some(Pulled::AfterRetry),
        Form::Step => {
            // The classic builder prints the layer that a step made.
            let image = rest.split_whitespace().find(|word| !word.starts_with("--"))?;
            lines.get(1)?.text.starts_with("---> ").then(|| Pulled::Image(short(image)))
        }
        Form::Service => {
            let name = head.split_whitespace().last()?;
            rest.chars().next().is_none_or(char::is_whitespace).then(|| Pulled::Service(name.to_string()))
        }
        Form::Resolved => {
            // BuildKit: the step was resolved if it is done, and a step that failed says ERROR first.
            let done = format!("{head} DONE");
            let failed = format!("{head} ERROR");
            let end =
                lines.iter().skip(1).find(|line| line.text.starts_with(&done) || line.text.starts_with(&failed))?;
            end.text.starts_with(&done).then(|| Pulled::Image(short(rest)))
        }
        Form::Named => Some(Pulled::Image(short(rest))),
        Form::Artifact => rest.split_once("repo=").map(|(_, repository)| Pulled::Image(short(repository))),
        Form::Attempt => head.split_whitespace().last().map(|word| Pulled::Image(short(word))),
    }
}

/// The reference without what Docker Hub's clients add or leave out.
pub fn short(text: &str) -> String {
    let word = text
        .trim_start_matches(['"', '\''])
        .split(|c: char| c.is_whitespace() || "\"'".contains(c))
        .next()
        .unwrap_or_default();
    let word = word.trim_end_matches('.');
    match Image::parse(word) {
        Some(image) => {
            let tag = image.tag.filter(|tag| *tag != "latest").map(|tag| format!(":{tag}")).unwrap_or_default();
            format!("{}{tag}", image.name())
        }
        None => word.to_string(),
    }
}
