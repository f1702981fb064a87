//! A pull that went well after all.

use crate::domain::detect::clean::Line;
use crate::domain::image::Image;

/// What a line says was pulled.
pub enum Pulled {
    /// By the reference without what clients add or leave out.
    Image(String),
    /// podman names no image when it goes on after a retry.
    AfterRetry,
    /// A service of docker compose.
    Service(String),
}

/// The image that a line says was pulled, given the lines from it on.
pub fn pulled_image(text: &str, lines: &[Line]) -> Option<Pulled> {
    if text.contains("Writing manifest to image dest") {
        return Some(Pulled::AfterRetry);
    }
    if let Some((_, rest)) = text.split_once(" : FROM ") {
        // The classic builder prints the layer that a step made.
        let image = rest.split_whitespace().find(|word| !word.starts_with("--"))?;
        return lines.get(1)?.text.starts_with("---> ").then(|| Pulled::Image(short(image)));
    }
    if let Some((service, rest)) = text.split_once(" Pulled") {
        let name = service.split_whitespace().last()?;
        return rest.chars().next().is_none_or(char::is_whitespace).then(|| Pulled::Service(name.to_string()));
    }
    if let Some((head, rest)) = text.split_once(" [internal] load metadata for ") {
        // BuildKit: the step was resolved if it is done, and a step that failed says ERROR first.
        let done = format!("{head} DONE");
        let failed = format!("{head} ERROR");
        let end = lines.iter().skip(1).find(|line| line.text.starts_with(&done) || line.text.starts_with(&failed))?;
        return end.text.starts_with(&done).then(|| Pulled::Image(short(rest)));
    }
    let phrases = ["Downloaded newer image for ", "Image is up to date for ", "Successfully pulled image "];
    if let Some(rest) = phrases.iter().find_map(|phrase| text.split_once(phrase).map(|(_, rest)| rest)) {
        return Some(Pulled::Image(short(rest)));
    }
    let (head, _) = text.split_once(" pulled on attempt")?;
    head.split_whitespace().last().map(|word| Pulled::Image(short(word)))
}

/// Whether two references name one image, or may: where one is unknown.
pub fn is_same_image(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| short(one) == short(other))
}

/// The reference without what Docker Hub's clients add or leave out.
fn short(text: &str) -> String {
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
