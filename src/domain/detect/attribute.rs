//! Whose registry refused, which image, and whether it was a pull: what stands near a message that does not tell.

use crate::domain::classify::Registry;
use crate::domain::detect::clean::{self, Line};
use crate::domain::detect::finder::Finder;
use crate::domain::image::{Image, registry_of_host};
use std::sync::LazyLock;

/// How many lines before a message may name the image of the failing step.
pub const BEFORE: usize = 14;
/// How many lines after it.
pub const AFTER: usize = 4;

/// Which way the refused request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A pull, or nothing says otherwise.
    Pull,
    /// A push.
    Push,
    /// A login.
    Login,
}

/// What was found near a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// By the host of an address, or by the image; none if neither is near.
    pub registry: Option<Registry>,
    /// The image as written.
    pub image: Option<String>,
}

/// The lines that a message spans within its window.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// First line.
    pub first: usize,
    /// Last line.
    pub last: usize,
}

/// Looks for the registry: first the host of an address in the error itself, then the image that the error names, then
/// the image of the failing step. An image without a host is Docker Hub's, and that only counts when nothing else was
/// found, as tools drop the host.
pub fn near(lines: &[Line], span: Span) -> Near {
    let span = with_status_line(lines, span);
    let own = own_text(lines, span, " ");
    // A terminal wraps addresses in the middle; tools that wrap text do it between words.
    let unwrapped = own_text(lines, span, "");
    let named = images(&own).into_iter().next().or_else(|| leading_image(&own));
    let image = named.or_else(|| step_image(lines, span));
    let host_of = |text: &str| hosts(text).first().map(|host| registry_of_host(host));
    let host = host_of(&own);
    // Of a host that was cut in two, the first half is nobody's.
    let registry = host
        .filter(|registry| *registry != Registry::Other)
        .or_else(|| if span.first == span.last { None } else { host_of(&unwrapped) })
        .or(host)
        .or_else(|| image.as_deref().and_then(|image| Image::parse(image)?.registry()));
    Near { registry, image }
}

/// Which way, by the error itself and then by the nearest line before that tells.
pub fn way(lines: &[Line], span: Span) -> Way {
    let own = own_text(lines, with_status_line(lines, span), " ").to_ascii_lowercase();
    // A token is asked for with POST, whatever it is for.
    let own = own.replace("token: unexpected status from post request", "token");
    const PUSHES: [&str; 22] = [
        "failed to push",
        "error pushing",
        "pushing image",
        "pushing manifest",
        "pushing layer",
        "from put request",
        "from post request",
        "from patch request",
        "put https://",
        "post https://",
        "patch https://",
        "put \"https://",
        "post \"https://",
        "patch \"https://",
        "uploading manifest",
        "initiating layer upload",
        "push failed",
        "uploading layer",
        "uploading blob",
        "layer upload",
        "trying to reuse blob",
        "initializing destination",
    ];
    if ["from get request", "httpreadseeker", "pulling from host"].iter().any(|sign| own.contains(sign)) {
        return Way::Pull;
    }
    if PUSHES.iter().any(|sign| own.contains(sign)) {
        return Way::Push;
    }
    if ["logging into ", "login attempt to ", "authenticating creds for "].iter().any(|sign| own.contains(sign)) {
        return Way::Login;
    }
    let before = lines.get(span.first.saturating_sub(BEFORE * 2)..span.first).unwrap_or_default();
    before.iter().rev().find_map(|line| way_of_step(&line.text)).unwrap_or(Way::Pull)
}

/// What a line holds that says a push is about to begin, or goes on.
const PUSH: [&str; 9] = [
    "The push refers to repository",
    "docker push",
    "docker image push",
    "podman push",
    "buildah push",
    ": Pushed",
    ": Layer already exists",
    ": Pushing",
    "pushing layers",
];
/// The same of a pull.
const PULL: [&str; 13] = [
    "Pulling from ",
    "docker pull",
    "Unable to find image",
    "Using default tag",
    "Trying to pull",
    "load metadata for",
    "Pulling fs layer",
    "Pulling image",
    "docker build",
    "docker run",
    "podman pull",
    "Phase complete: ",
    "Retrieving image",
];

/// What else a line holds that [`way_of_step`] reads.
const OTHER_STEPS: [&str; 6] =
    ["Step ", "docker login", "Logging into ", "Login Succeeded", ": Preparing", ": Retrying in"];

/// All of these at once, as most lines hold none.
static STEPS: LazyLock<Option<Finder>> = LazyLock::new(|| Finder::of(PUSH.iter().chain(&PULL).chain(&OTHER_STEPS)));

/// What a line says the client is about to do.
fn way_of_step(text: &str) -> Option<Way> {
    if STEPS.as_ref().is_some_and(|steps| steps.find(text.as_bytes(), 0).is_none()) {
        return None;
    }
    let is_step = text.starts_with("Step ") && text.contains(" : FROM ");
    if PULL.iter().any(|sign| text.contains(sign)) || is_step {
        return Some(Way::Pull);
    }
    if text.contains("docker login") || text.starts_with("Logging into ") {
        return Some(Way::Login);
    }
    if text.starts_with("Login Succeeded") {
        return Some(Way::Pull);
    }
    let waits = text.split_once(": ").is_some_and(|(layer, rest)| {
        layer.len() == 12
            && layer.bytes().all(|byte| byte.is_ascii_hexdigit())
            && ["Preparing", "Retrying in"].iter().any(|state| rest.starts_with(state))
    });
    (waits || PUSH.iter().any(|sign| text.contains(sign))).then_some(Way::Push)
}

/// containerd 2 prints the request and its status on one line and the registry's message on the next.
fn with_status_line(lines: &[Line], span: Span) -> Span {
    let before = span.first.checked_sub(1).filter(|before| {
        let ends = |line: &Line| line.text.trim_end().to_ascii_lowercase().ends_with("429 too many requests");
        lines.get(*before).is_some_and(ends)
    });
    Span { first: before.unwrap_or(span.first), ..span }
}

/// The error: from the start of its line to the end of its last line.
fn own_text(lines: &[Line], span: Span, joint: &str) -> String {
    let texts = lines.get(span.first..=span.last).unwrap_or_default();
    texts.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(joint)
}

/// Hosts of the registry addresses in a text: those with the `/v2/` of the distribution protocol, of a token service, or
/// with the `docker:` transport; and what BuildKit calls a host.
fn hosts(text: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    for (at, _) in text.match_indices("://") {
        let scheme = text.get(..at).unwrap_or_default();
        let rest = text.get(at + 3..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || "\"'<>)".contains(c)).unwrap_or(rest.len());
        let address = rest.get(..end).unwrap_or_default();
        let (host, path) = address.split_once('/').unwrap_or((address, ""));
        let is_registry = path.starts_with("v2/") || path.starts_with("token") || path.starts_with("oauth2/");
        let is_chart = scheme.ends_with("oci") || scheme.ends_with("docker");
        // `docker://ubuntu:24.04` has a tag, no port.
        if is_registry || (is_chart && !path.is_empty() && host.contains(['.', ':'])) {
            hosts.push(host.to_string());
        }
    }
    if let Some((_, rest)) = text.split_once("pulling from host ") {
        hosts.extend(rest.split_whitespace().next().map(str::to_string));
    }
    if let Some((_, rest)) = text.split_once("logging into ") {
        hosts.extend(first_word(rest));
    }
    hosts
}

/// The phrases after which clients name an image.
const PHRASES: [&str; 31] = [
    "ailed to pull image ",
    "ull and unpack image ",
    "resolve reference ",
    "source metadata for ",
    "pull access denied for ",
    "source image ",
    "load metadata for ",
    "ulling image: ",
    "ulling image ",
    "find image ",
    "rying to pull ",
    "docker pull ",
    "podman pull ",
    "crane digest ",
    "failed to pull ",
    "docker://",
    IN_HUB,
    "reading image ",
    "etrieving image ",
    "failed for ",
    "launch failed for image ",
    "failed to solve: ",
    "Image ",
    "ulling docker image: ",
    "head request for ",
    "fetch image ",
    "pulling ",
    "crictl pull ",
    // Members of a logged object.
    "\"image\":",
    " image=",
    "canonical_name\":",
];

/// An image that is named with its host: `… in docker.io/library/node`.
const IN_HUB: &str = " in docker.io/";

/// containers/image: `reading manifest <tag> in <repository>`.
const SOURCE: &str = "eading manifest ";

static PHRASE: LazyLock<Option<Finder>> = LazyLock::new(|| Finder::of(PHRASES.iter().chain([&SOURCE])));

/// Image references in the words of a client: after the phrases that name one.
fn images(text: &str) -> Vec<String> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for hit in PHRASE.iter().flat_map(|phrase| phrase.starts(text.as_bytes())) {
        let (from, word) = match PHRASES.get(hit.text) {
            Some(&IN_HUB) => (hit.start + " in ".len(), text.get(hit.start + " in ".len()..).and_then(first_word)),
            Some(_) => (hit.end, text.get(hit.end..).and_then(first_word)),
            None => (hit.start, text.get(hit.end..).and_then(source)),
        };
        found.extend(word.filter(|word| is_reference(word)).map(|word| (from, word)));
    }
    found.sort();
    found.into_iter().map(|(_, word)| word).collect()
}

/// `postgres:16 Error response from daemon: …`: the line begins with what it is about. A compiler's `main.go:31: ` is no image.
fn leading_image(text: &str) -> Option<String> {
    let (word, rest) = text.split_once(' ')?;
    let image = Image::parse(word)?;
    let is_file = image.repository.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let says = ["Error response from daemon", "toomanyrequests", "-> toomanyrequests", "TOOMANYREQUESTS"];
    let is_refused = says.iter().any(|start| rest.trim_start().starts_with(start));
    (image.tag.is_some() && !is_file && is_refused).then(|| word.to_string())
}

/// The repository behind [`SOURCE`].
fn source(text: &str) -> Option<String> {
    let mut words = text.split_whitespace().skip(1);
    words.next().filter(|word| *word == "in")?;
    words.next().and_then(first_word)
}

/// The next word without its quotes and the colon or dots that end it.
fn first_word(text: &str) -> Option<String> {
    let text = text.trim_start_matches(['"', '\'', '\\', ' ', '`']);
    let end = text.find(|c: char| c.is_whitespace() || "\"'\\,)`;".contains(c)).unwrap_or(text.len());
    let word = text.get(..end)?.trim_end_matches([':', '.', '…', ']']);
    (!word.is_empty()).then(|| word.to_string())
}

/// A bare word may be any word, so without a tag, a digest or a path it is no reference here.
fn is_reference(word: &str) -> bool {
    word.contains([':', '/', '@']) && !word.contains("://") && Image::parse(word).is_some()
}

/// The image of the failing step: nearest line before first, then the lines after.
fn step_image(lines: &[Line], span: Span) -> Option<String> {
    let from = span.first.saturating_sub(BEFORE);
    let before = lines.get(from..span.first).unwrap_or_default();
    let to = lines.len().min(span.last + 1 + AFTER);
    let after = lines.get(span.last + 1..to).unwrap_or_default();
    let by_step = before.iter().rev().find_map(|line| line_image(&line.text, before));
    let by_step = by_step.map(|image| with_host(image, before));
    by_step.or_else(|| after.iter().find_map(|line| line_image(&line.text, before)))
}

/// `8.0: Pulling from dotnet/sdk` leaves out the host that the command before it names.
fn with_host(image: String, before: &[Line]) -> String {
    let Some(bare) = Image::parse(&image).filter(|image| image.host.is_none()) else { return image };
    let is_same = |other: &Image<'_>| other.host.is_some() && other.name() == bare.name() && other.tag == bare.tag;
    let mut named = before.iter().rev().filter_map(|line| line_image(&line.text, before));
    let whole = named.find(|named| Image::parse(named).is_some_and(|named| is_same(&named)));
    whole.unwrap_or(image)
}

/// What else stands in the lines that [`line_image`] finds an image in, beside the [`PHRASES`]: `8.0: Pulling from`, `Pulling db (`.
const LINE_SIGNS: [&str; 3] = [SOURCE, "FROM ", "ulling "];

/// All of these, but for those that another one is a part of.
static LINE_SIGN: LazyLock<Option<Finder>> = LazyLock::new(|| {
    let signs = || PHRASES.into_iter().chain(LINE_SIGNS);
    Finder::of(signs().filter(|sign| !signs().any(|other| other != *sign && sign.contains(other))))
});

/// Of a piece of a log, the lines that tell what stands near: those that may name an image, and those at some places.
pub fn telling_lines(raw: &[u8], at: u64, places: &[u64]) -> Vec<Line> {
    match LINE_SIGN.as_ref() {
        // What a variable stands for may be told by any.
        Some(signs) if memchr::memmem::find(raw, b"ARG ").is_none() => clean::lines_with(raw, at, signs, places),
        _ => clean::lines(raw, 0, at),
    }
}

/// Whether a line may name an image.
fn may_name_image(text: &str) -> bool {
    LINE_SIGN.as_ref().is_none_or(|sign| sign.find(text.as_bytes(), 0).is_some())
}

fn line_image(text: &str, lines: &[Line]) -> Option<String> {
    if !may_name_image(text) {
        return None;
    }
    from_instruction(text, lines)
        .or_else(|| images(text).into_iter().next())
        .or_else(|| bare_command_image(text))
        .or_else(|| served_path(text))
        .or_else(|| service_image(text))
}

/// `Step 1/4 : FROM $BASE AS build`, ` | >>> FROM node:22`: variables by the `ARG` line that stands before.
fn from_instruction(text: &str, lines: &[Line]) -> Option<String> {
    let at = text.find("FROM ")?;
    let is_instruction = text.get(..at)?.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '>');
    let words = text.get(at + "FROM ".len()..)?.split_whitespace();
    let word = words.into_iter().find(|word| !word.starts_with("--"))?;
    let name = word.trim_start_matches("${").trim_start_matches('$').trim_end_matches('}');
    let resolved = if name == word { word.to_string() } else { argument(name, lines)? };
    (is_instruction && Image::parse(&resolved).is_some() && resolved != "scratch").then_some(resolved)
}

fn argument(name: &str, lines: &[Line]) -> Option<String> {
    lines.iter().rev().find_map(|line| {
        let (_, rest) = line.text.split_once("ARG ")?;
        let (key, value) = rest.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches(['"', '\'']).to_string())
    })
}

/// `docker pull nginx`: in a command a bare word is a reference.
fn bare_command_image(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("docker pull ").or_else(|| text.split_once("podman pull "))?;
    let word = rest.split_whitespace().find(|word| !word.starts_with('-'))?;
    let word = first_word(word)?;
    Image::parse(&word).map(|_| word.clone())
}

/// docker-compose 1: `Pulling db (postgres:16)...`.
fn service_image(text: &str) -> Option<String> {
    let (service, rest) = text.strip_prefix("Pulling ")?.split_once(" (")?;
    let (image, _) = rest.split_once(")...")?;
    (!service.contains(' ') && is_reference(image)).then(|| image.to_string())
}

/// `18.16: Pulling from docker/library/node`: the daemon prints the path without the host, so a path tells Docker Hub
/// only if nothing else does; ECR Public's copy of the official images is known by its path.
fn served_path(text: &str) -> Option<String> {
    let (tag, path) = text.split_once(": Pulling from ")?;
    let path = path.split_whitespace().next()?;
    let image = format!("{path}:{}", tag.trim());
    let known = if path.starts_with("docker/library/") { format!("public.ecr.aws/{image}") } else { image };
    Image::parse(&known).map(|_| known.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn span(lines: &[Line], needle: &str) -> Span {
        let first = lines.iter().position(|line| line.text.contains(needle)).unwrap();
        Span { first, last: first }
    }

    #[rstest]
    #[case("GET https://ghcr.io/v2/x/manifests/1: toomany", Some(Registry::Ghcr))]
    #[case("pulling from host mcr.microsoft.com failed: toomany", Some(Registry::Mcr))]
    #[case("initializing source docker://quay.io/a/b:1: toomany", Some(Registry::Quay))]
    #[case("reading manifest latest in docker.io/library/alpine: toomany", Some(Registry::DockerHub))]
    #[case("reading manifest sha256:00 in quay.io/a/b: toomany", Some(Registry::Quay))]
    #[case("{\"image\":\"quay.io/a/b:1\",\"err\":\"toomany", Some(Registry::Quay))]
    #[case("Step 1/3 : FROM public.ecr.aws/docker/library/node:22 AS x\ntoomany", Some(Registry::EcrPublic))]
    #[case("Step 1/3 : ARG BASE=ghcr.io/a/b:1\nStep 2/3 : FROM ${BASE}\ntoomany", Some(Registry::Ghcr))]
    #[case("Step 1/3 : FROM node\ntoomany", Some(Registry::DockerHub))]
    #[case("18: Pulling from docker/library/node\ntoomany", Some(Registry::EcrPublic))]
    #[case("docker pull nginx\ntoomany", Some(Registry::DockerHub))]
    #[case("toomany\nWARNING: docker pull 'registry.k8s.io/a/b:1' failed", Some(Registry::Gcr))]
    #[case("see https://docs.docker.com/x toomany", None)]
    #[case("toomany", None)]
    fn the_registry_is_read_from_what_is_near(#[case] text: &str, #[case] expected: Option<Registry>) {
        let lines = clean::lines(text.as_bytes(), 1, 0);
        assert_eq!(near(&lines, span(&lines, "toomany")).registry, expected);
    }

    #[rstest]
    #[case("The push refers to repository [x]\ntoomany", Way::Push)]
    #[case("docker push a/b\nUsing default tag: latest\ntoomany", Way::Pull)]
    #[case("failed to push docker.io/a/b: toomany", Way::Push)]
    #[case(
        "fetch oauth token: unexpected status from POST request to https://auth.docker.io/token: toomany",
        Way::Pull
    )]
    #[case("docker push a/b\nhttpReadSeeker: failed open: toomany", Way::Pull)]
    #[case("24052d61a718: Retrying in 1 second\ntoomany", Way::Push)]
    #[case("$ docker login\nx\ntoomany", Way::Login)]
    #[case("Login Succeeded\n$ docker pull x\ntoomany", Way::Pull)]
    #[case("toomany", Way::Pull)]
    fn the_way_is_read_from_the_nearest_line(#[case] text: &str, #[case] expected: Way) {
        let lines = clean::lines(text.as_bytes(), 1, 0);
        assert_eq!(way(&lines, span(&lines, "toomany")), expected);
    }
}
