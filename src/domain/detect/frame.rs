//! Did a program say it, or does it stand in printed source code, documentation or a test?
//!
//! A build log also holds listings: a script that looks for the message, a test that feigns it, a page that explains it.
//! Words alone can't tell them apart, their surroundings can. A program prints its error at the start of a line or
//! after a chain of `who: what: `; a listing has it in a literal that code passes on, in a comment, in a sentence.

use crate::domain::detect::clean::{self, Line};
use crate::domain::detect::key::{CARRIERS, tells_failure};
use crate::domain::detect::listing::{self, Around};
use crate::domain::detect::literal::{cell_start, is_source_line, literal_is_named, literal_is_output, open_literal};
use crate::domain::detect::marks::{is_command, is_comment, is_found_by_grep, is_markup, is_title};
use crate::domain::detect::{document, ending, speaker};
use crate::domain::image::Image;

/// Words of explaining sentences, which the chains of error messages do without.
const PROSE: [&str; 30] = [
    "you",
    "your",
    "you're",
    "we",
    "our",
    "may",
    "might",
    "because",
    "seeing",
    "following",
    "when",
    "if",
    "this",
    "that",
    "which",
    "should",
    "would",
    "sometimes",
    "often",
    "e.g.",
    "i.e.",
    "such",
    "like",
    "avoid",
    "detects",
    "detect",
    "returns",
    "expected",
    "contains",
    "whether",
];

/// What docker's client puts before the words of its daemon.
const DAEMON: &str = "Error response from daemon: ";

/// Whether a match that starts at this line and offset is a program's own message.
pub fn is_program_output(lines: &[Line], line: usize, offset: usize) -> bool {
    let head = lines.get(line).and_then(|line| line.text.get(..offset)).unwrap_or_default();
    // What docker printed begins with its own words: what holds for the message holds for them.
    let begins = head.find(DAEMON).unwrap_or(offset);
    is_output_from(lines, line, offset)
        && (begins == offset || is_output_from(lines, line, begins))
        && !document::is_in_block(lines, line)
        && !speaker::is_shown(lines, line)
}

fn is_output_from(lines: &[Line], line: usize, offset: usize) -> bool {
    let Some(text) = lines.get(line).map(|line| line.text.as_str()) else {
        return false;
    };
    let traced = speaker::traced_output(lines, line).filter(|from| *from <= offset);
    let from = traced.or_else(|| cell_start(text, offset)).unwrap_or(0);
    let head = text.get(from..offset).unwrap_or_default();
    let tail = text.get(offset..).unwrap_or_default();
    if document::is_quoted(lines, line, offset) || ending::is_quoted_by(head, tail) {
        return false;
    }
    let around = Around::of(lines, line);
    if reads_as_output(head, tail, &around) {
        return true;
    }
    // A terminal may have wrapped the start away.
    let mut wrapped = head.to_string();
    lines_wrapped_before(lines, line).any(|before| {
        let with_blank = format!("{before} {wrapped}");
        wrapped = format!("{before}{wrapped}");
        reads_as_output(&wrapped, tail, &around) || reads_as_output(&with_blank, tail, &around)
    })
}

/// Lines before that fill the same width, which is the widest near, nearest first.
fn lines_wrapped_before(lines: &[Line], line: usize) -> impl Iterator<Item = &str> {
    const NARROWEST: usize = 60;
    const MOST: usize = 3;
    let before = lines.get(line.saturating_sub(MOST)..line).unwrap_or_default();
    let width = before.last().map_or(0, |last| last.width);
    let near = lines.get(line.saturating_sub(MOST)..lines.len().min(line + MOST)).unwrap_or_default();
    let is_widest = width >= NARROWEST && near.iter().all(|line| line.width <= width);
    before.iter().rev().take_while(move |line| is_widest && line.width == width).map(|line| line.text.as_str())
}

fn reads_as_output(head: &str, tail: &str, around: &Around<'_>) -> bool {
    // Drone puts a plus before what docker said about a step's image, as before a command of the step, and others a cross.
    let is_drones = |rest: &&str| rest.starts_with(DAEMON) || (rest.is_empty() && tail.starts_with(DAEMON));
    let head = head.strip_prefix("+ ").or_else(|| head.strip_prefix("✗ ")).filter(is_drones).unwrap_or(head);
    // A shell that took the message for a command.
    let was_run = ["command not found", "is not recognized"].iter().any(|end| tail.contains(end));
    if was_run
        || is_title(head)
        || is_markup(head, tail)
        || is_comment(head)
        || is_command(head)
        || is_found_by_grep(head)
    {
        return false;
    }
    // A place that a template fills in: what a program printed has none left.
    if is_setting(head) || (tail.contains("{{ ") && tail.contains(" }}")) {
        return false;
    }
    match open_literal(head) {
        Some((before, inner)) => {
            let quote = head.get(..head.len() - inner.len()).and_then(|text| text.chars().next_back()).unwrap_or('"');
            !literal_is_named(before, tail, quote) && literal_is_output(before, inner, tail, around)
        }
        // A member of a JSON object follows a brace or another member.
        None if tail.starts_with('"') && head.trim_end().ends_with(['{', ',', '[']) => {
            !is_source_line(head, tail) && !around.is_listing()
        }
        None => {
            let is_labelled = tail.starts_with(DAEMON) && is_label(head);
            (ends_in_joint(head) || is_request(tail) || is_labelled) && !is_prose(head) && !around.is_listing()
        }
    }
}

/// Whether what stands before a message that somebody shortened is nothing or a client's, and no edge of a table follows.
pub fn names_client(lines: &[Line], line: usize, offset: usize) -> bool {
    const WORDS: [&str; 21] = [
        "daemon",
        "err",
        "fail",
        "fatal",
        "warn",
        "pull",
        "docker",
        "rpc ",
        "desc",
        "cannot",
        "could not",
        "unable",
        "registry",
        "image",
        "exception",
        "stderr",
        "429",
        "denied",
        "build",
        "step",
        "message",
    ];
    let text = lines.get(line).map(|line| line.text.as_str()).unwrap_or_default();
    let head = text.get(..offset).unwrap_or_default().trim().to_lowercase();
    let is_key = head.strip_suffix(':').is_some_and(|key| key.contains('_') && !key.contains(char::is_whitespace));
    // `429 Too Many Requests`, then `You have reached …` without its code.
    let follows_status = head == "you have"
        && line.checked_sub(1).and_then(|before| lines.get(before)).is_some_and(|before| before.text.contains("429"));
    let is_clients = head.is_empty()
        || follows_status
        || WORDS.iter().any(|word| head.contains(word))
        || listing::is_wrapped_rest(lines, line);
    is_clients && !is_key && !text.trim_end().ends_with(" |")
}

/// A name and its value, and nothing else: `retry.on = `, `Problem: `, `Line:    `. Programs name what happened, not what is
/// known of it.
fn is_setting(head: &str) -> bool {
    let bare = head.trim_end_matches(['"', '\'']).trim_end();
    if let Some(key) = bare.strip_suffix('=') {
        let key = key.trim_end();
        let is_word = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        return is_word && !CARRIERS.contains(&key.to_ascii_lowercase().as_str());
    }
    let Some(key) = bare.strip_suffix(':').map(str::trim_end) else { return false };
    let is_word = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic());
    let is_named = key.starts_with(|c: char| c.is_ascii_uppercase()) || head.ends_with("   ");
    is_word && is_named && !tells_failure(key) && !CARRIERS.contains(&key.to_ascii_lowercase().as_str())
}

/// Whether what stands before docker's own words is a name that a tool put there: compose's service or image, a stream, a
/// host, a step. A sentence has verbs, and a title begins with a capital letter.
fn is_label(head: &str) -> bool {
    const KINDS: [&str; 4] = ["Image", "Container", "Service", "Network"];
    const STREAMS: [&str; 4] = ["stdout", "stderr", "F", "P"];
    let is_sign = |word: &str| word.chars().all(|c| !c.is_alphanumeric() && !c.is_ascii());
    let words: Vec<&str> = head.split_whitespace().filter(|word| !is_sign(word)).collect();
    let is_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_./:@#[]()".contains(c);
    let is_name = |word: &&str| word.chars().all(is_char) && word.contains(|c: char| !c.is_ascii_lowercase());
    match words.as_slice() {
        [] => true,
        [one] => STREAMS.contains(one) || is_name(one) || (one.chars().all(is_char) && !SAYING.contains(one)),
        [kind, name] if KINDS.contains(kind) => name.chars().all(is_char),
        [_, _] | [_, _, _] => words.iter().all(|word| STREAMS.contains(word) || is_name(word)),
        _ => false,
    }
}

/// Single words before a message in sentences and titles of commits.
const SAYING: [&str; 44] = [
    "a", "an", "and", "are", "as", "at", "avoid", "but", "by", "catch", "cause", "causes", "error", "fix", "fixed",
    "fixes", "for", "from", "get", "gets", "getting", "got", "handle", "handles", "has", "hit", "in", "is", "log",
    "of", "on", "or", "output", "print", "prints", "retry", "says", "see", "shows", "the", "throws", "to", "was",
    "with",
];

/// Clients of Go name the request themselves: what stands before may be any word.
fn is_request(tail: &str) -> bool {
    ["GET http", "HEAD http", "Get \"http", "Head \"http"].iter().any(|start| tail.starts_with(start))
}

/// Where a chain of messages hands over to the next: nothing before, a colon, a bracket, an arrow, or a word that names
/// an outcome.
pub fn ends_in_joint(head: &str) -> bool {
    // A column of its own, or a value in brackets.
    if head.ends_with("  ") || head.ends_with("=[") {
        return true;
    }
    let head = head.trim_end();
    let Some(last) = head.chars().next_back() else {
        return true;
    };
    let word = head.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_outcome = ["error", "warning", "warn", "failed", "fatal", "reason", "you", "have"]
        .contains(&word.to_ascii_lowercase().as_str());
    // The start of the literal may be on the line before, where a terminal wrapped it.
    let is_value = [":\"", ": \"", "=\"", ":\\\""].iter().any(|start| head.ends_with(start));
    // A sentence of its own that says what failed: `Failed to scan image "python:3.12". `.
    let says_what = head.ends_with('.')
        && ["Failed ", "Error ", "Could not ", "Cannot ", "Unable "].iter().any(|start| head.starts_with(start));
    // What an exception says in words of its own, and why: `…ImageCreateException: Server error (`.
    let is_why = head.strip_suffix(" error(").or(head.strip_suffix(" error (")).is_some_and(|lead| {
        lead.split_once(": ").is_some_and(|(name, _)| !name.contains(' ') && name.ends_with("Exception"))
    });
    is_outcome
        || is_why
        || is_value
        || says_what
        || ":]>-|…=)~!✘✖✗*•".contains(last)
        || head.ends_with("...")
        || is_image_like(word)
}

/// `crane digest mongo:8.2 TOOMANYREQUESTS`: a reference with a tag, or a status, right before.
fn is_image_like(word: &str) -> bool {
    word == "429" || (word.contains('/') && is_tagged(word)) || clean::is_time(word)
}

pub fn is_tagged(word: &str) -> bool {
    Image::parse(word).is_some_and(|image| image.tag.is_some() || image.digest.is_some())
}

/// Whether a text explains instead of reporting.
pub fn is_prose(head: &str) -> bool {
    let head = head.strip_suffix("You have ").or_else(|| head.strip_suffix("you have ")).unwrap_or(head);
    // The one `may` of a program: moby's `pull access denied for x, repository does not exist or may require 'docker login'`,
    // and the one `when`, of Ansible's docker_compose_v2.
    let head = head.replace("may require", "").replace("Error when processing ", "");
    head.split(|c: char| c.is_whitespace() || ",;()\"".contains(c))
        .any(|word| PROSE.contains(&word.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn is_output(text: &str) -> bool {
        let lines = clean::lines(text.as_bytes(), 1, 0);
        let line = lines.iter().position(|line| line.text.to_lowercase().contains("toomany")).unwrap();
        let offset = lines[line].text.to_lowercase().find("toomany").unwrap();
        is_program_output(&lines, line, offset)
    }

    #[rstest]
    #[case("toomanyrequests: x")]
    #[case("#3 ERROR: failed to copy: toomanyrequests: x")]
    #[case(" db Error toomanyrequests: x")]
    #[case("postgres-meta:v0.97.0 -> toomanyrequests: x")]
    #[case("429 Too Many Requests - Server message: toomanyrequests: x")]
    #[case("{\"message\":\"toomanyrequests: x\"}")]
    #[case("\"CannotPullContainerError: toomanyrequests: x\"")]
    #[case("time=\"2024\" level=error msg=\"failed\" err.detail=\"toomanyrequests: x\"")]
    #[case("docker.errors.APIError: 500 Server Error (\"toomanyrequests: x\")")]
    #[case("stderr: b'Error response from daemon: toomanyrequests: x'")]
    #[case("Failed to pull image \"busybox\": rpc error: desc = toomanyrequests: x")]
    #[case("    \"stderr_lines\": [\n        \"toomanyrequests: x\"\n    ]")]
    #[case(" redis Error response from daemon: toomanyrequests: x")]
    #[case(" ✘ redis Error response from daemon: toomanyrequests: x")]
    #[case("Image redis:7 Error response from daemon: toomanyrequests: x")]
    #[case("2025-05-01T10:00:00.1Z stderr F Error response from daemon: toomanyrequests: x")]
    #[case("Failed to pull `redis:7`: API error (500): toomanyrequests: x")]
    #[case("Fixture db: toomanyrequests: x")]
    #[case("fixtures: toomanyrequests: x")]
    #[case("/gems/docker/connection.rb:75:in `rescue in request': toomanyrequests: x")]
    #[case("level=fatal msg=\"run `cip run`: getting tag list: toomanyrequests: x\"")]
    #[case(" +  docker-build:index:Image app creating (2s) error: toomanyrequests: x")]
    #[case(
        "failed: [h] (item=a) => {\"msg\": \"non-zero return code\", \"stderr\": \"Error response from daemon: toomanyrequests: x\"}"
    )]
    #[case("\"Error looking for an image: 429 Client Error: Too Many Requests (\\\"toomanyrequests: x\\\")\"")]
    #[case(
        "    try:\n        pull(image)\n    except Error as e:\n>       raise Failed(image)\nE       app.Failed: toomanyrequests: x"
    )]
    #[case("const c = pull({\n});\nError: toomanyrequests: x\n    at pull (app.js:1:2)\n});\nconst d = 1;")]
    #[case("+ Error response from daemon: toomanyrequests: x")]
    #[case("# Error response from daemon: toomanyrequests: x")]
    #[case("Internal Server Error: toomanyrequests: x")]
    #[case("<testcase name=\"a\"><failure message=\"no container: Error response from daemon: toomanyrequests: x\"/>")]
    #[case("##[command]docker pull a\ntoomanyrequests: x\n##[warning]back off\n##[command]docker pull a")]
    #[case("{\n  \"stoppedReason\": \"CannotPullContainerError: toomanyrequests: x\"\n}")]
    #[case("config: {\"latest\": {\"1.12\": \"crane digest julia:1.12: toomanyrequests: x\"}}")]
    fn programs_print_at_the_end_of_a_chain(#[case] text: &str) {
        assert!(is_output(text), "{text}");
    }

    #[rstest]
    #[case("if grep -q toomanyrequests <<<\"$out\"; then")]
    #[case("    # the Docker error: \"toomanyrequests: x\"")]
    #[case("// toomanyrequests: x")]
    #[case("**Warning signs:** `toomanyrequests: x` error.")]
    #[case("| `toomanyrequests: x` on `docker pull` | limits | wait |")]
    #[case("            \"toomanyrequests: x\",")]
    #[case("\treturn errors.New(\"toomanyrequests: x\")")]
    #[case("pytest.skip(\"Docker error: toomanyrequests: x \"")]
    #[case("    \"rate_limit\": b\"Error response from daemon: toomanyrequests: x\",")]
    #[case("you may get the following error message: toomanyrequests: x")]
    #[case("after repeated toomanyrequests: x retries")]
    #[case("#Troubleshooting: toomanyrequests: x")]
    #[case("RUN echo \"toomanyrequests: x\"")]
    #[case("#7 [2/3] RUN echo \"toomanyrequests: x\"")]
    #[case("+ echo 'toomanyrequests: x'")]
    #[case("const error = 'failed\\ntoomanyrequests: x';")]
    #[case("[RuntimeError(\"toomanyrequests: x\"), None]")]
    #[case("Handle Error response from daemon: toomanyrequests: x")]
    #[case("retry on Error response from daemon: toomanyrequests: x")]
    #[case("handles Error response from daemon: toomanyrequests: x")]
    #[case("Getting `docker pull` errors: toomanyrequests: x")]
    #[case("- > toomanyrequests: x")]
    #[case("- [x] Error response from daemon: toomanyrequests: x")]
    #[case("fix(ci): Error response from daemon: toomanyrequests: x")]
    #[case("Fix the build: toomanyrequests: x")]
    #[case("Building pr/12 - Fix the build: docker: Error response from daemon: toomanyrequests: x")]
    #[case("AWS CodeBuild: toomanyrequests: x")]
    #[case("#   Error response from daemon: toomanyrequests: x")]
    #[case("TODO: docker build fails sometimes: toomanyrequests: x")]
    #[case("> toomanyrequests: x. You may upgrade: `https://www.docker.com/increase-rate-limits`.")]
    #[case("#412  fix (build): docker error: toomanyrequests: x")]
    #[case("[source,text]\n----\ntoomanyrequests: x\n----")]
    #[case("src/pull.rb:75:toomanyrequests: x")]
    #[case("### Fix\n```\ntoomanyrequests: x\n```\nSwitch to a mirror.")]
    #[case(
        "func isRetryable(err error) bool {\n  for _, s := range []string{\n    toomanyrequests: x\n  } {\n    return true;\n  }"
    )]
    fn listings_are_no_output(#[case] text: &str) {
        assert!(!is_output(text), "{text}");
    }
}
