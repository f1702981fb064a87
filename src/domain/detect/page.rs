//! Does a line stand on a page: documentation, a mail, a file that a tool shows under its name?
//!
//! A page has a structure of its own: headings, tags, heads of mails, sentences that announce an example. A log has acts: a
//! command, a step, a pull. Of what stands before a message, the nearest of both tells.

use crate::domain::detect::clean::Line;
use crate::domain::detect::frame::is_prose;
use crate::domain::detect::speaker::is_example;

/// How far back the sign of a page may be.
const REACH: usize = 16;

/// Whether a line stands on a page.
pub fn is_on_page(lines: &[Line], at: usize) -> bool {
    let before = lines.get(at.saturating_sub(REACH)..at).unwrap_or_default();
    for (index, line) in before.iter().enumerate().rev() {
        if is_page_sign(line, before.get(index + 1).or_else(|| lines.get(at))) {
            return true;
        }
        // The examples of a page are indented, and below a line that ends with a colon something is to follow.
        if line.indent < 2 && !line.text.trim_end().ends_with(':') && is_act(line) {
            return false;
        }
    }
    is_between_tags(lines, at)
}

/// Whether a message that stands alone in its lines, without a client's frame, has a program at work near it, or at least no
/// sentence.
pub fn is_backed(lines: &[Line], first: usize, offset: usize, last: usize) -> bool {
    const NEAR: usize = 6;
    const ENDS: [&str; 11] =
        ["exit", "rror", "ailed", "fail: ", "xception", "***", "abort", "etry", "attempt", "sleep", "429"];
    let text = lines.get(first).map(|line| line.text.as_str()).unwrap_or_default();
    let (head, tail) = text.split_at_checked(offset).unwrap_or_default();
    // What follows a name, or is a member of an object, is judged by that.
    let is_alone = matches!(head.trim().to_ascii_lowercase().as_str(), "" | "you have");
    let is_message = ["toomany", "too many", "reached"]
        .iter()
        .any(|start| tail.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)));
    if !is_alone || !is_message {
        return true;
    }
    let said = |from: usize, to: usize| {
        let range = lines.get(from..to.min(lines.len())).unwrap_or_default().iter();
        // The address that the message ends in may stand below it.
        range.filter(|line| {
            !line.text.trim().is_empty()
                && !["-rate-limit", "You may increase"].iter().any(|end| line.text.contains(end))
        })
    };
    let near = || said(first.saturating_sub(NEAR), first).chain(said(last + 1, last + 1 + NEAR));
    let is_end = |line: &Line| ENDS.iter().any(|end| line.text.contains(end));
    let is_page = near().any(|line| is_sentence(line.text.trim()));
    !is_page || near().any(is_end) || said(first.saturating_sub(REACH), last + 1 + NEAR).any(is_act)
}

fn is_sentence(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| "-*•".contains(c) || c.is_ascii_digit() || c == '.').trim_start();
    text.starts_with(|c: char| c.is_uppercase())
        && text.ends_with(['.', ':', '?', '!'])
        && text.split_whitespace().count() >= 4
}

/// A program at work.
fn is_act(line: &Line) -> bool {
    const SIGNS: [&str; 30] = [
        "docker ",
        "Get:",
        "Hit:",
        "Unpacking ",
        "Setting up ",
        "Collecting ",
        "Compiling ",
        "podman ",
        "buildah ",
        "ulling ",
        "Pulled",
        "FROM ",
        "nable to find image",
        "Sending build context",
        "Running ",
        "Building ",
        "Creating ",
        "Starting ",
        "Retrieving ",
        "level=",
        "ERROR",
        "INFO",
        "WARN",
        "exit status",
        "exited with",
        "ailed",
        "xecuting",
        "ownload",
        "nstalling",
        "rror: ",
    ];
    let text = line.text.as_str();
    let is_step = text.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '['));
    line.stamped
        || is_step
        || ["+ ", "$ ", "[+]", "> Task", "at "].iter().any(|start| text.starts_with(start))
        || SIGNS.iter().any(|sign| text.contains(sign))
}

/// A heading, a tag, the head of a mail, the name of a file that is shown, given the line behind.
fn is_page_sign(line: &Line, next: Option<&Line>) -> bool {
    let text = line.text.trim();
    // A page's heading is a paragraph of its own; below a script's a program speaks at once.
    (is_heading(text) && next.is_some_and(|line| line.text.trim().is_empty() || line.indent > 0))
        || is_tag(text)
        || is_mail_head(text)
        || is_file_head(text, next)
        || is_manual_head(line)
        || (text.ends_with("::") && text.len() > 2 && next.is_some_and(|line| line.text.trim().is_empty()))
        || text == "...."
        || text.starts_with("[source")
        || (text.starts_with(".. ") && text.ends_with("::"))
}

/// `## Docker Hub` of Markdown, `== Errors` of AsciiDoc. What a script announces so begins with what it does, and Go's
/// `=== RUN   TestPull` with what becomes of a test.
fn is_heading(text: &str) -> bool {
    let title = ["#", "="].iter().find_map(|sign| {
        let rest = text.trim_start_matches(sign);
        let depth = text.len() - rest.len();
        let is_deep = if *sign == "#" { (1..=6).contains(&depth) } else { (2..=5).contains(&depth) };
        rest.strip_prefix(' ').filter(|title| is_deep && !title.ends_with(sign))
    });
    title.is_some_and(|title| {
        let first = title.split_whitespace().next().unwrap_or_default();
        const DONE: [&str; 17] = [
            "Build", "Pull", "Run", "Deploy", "Start", "Test", "Install", "Push", "Step", "Stage", "Phase", "Image",
            "Images", "RUN", "PAUSE", "CONT", "NAME",
        ];
        let is_done =
            first.ends_with("ing") && title.split_whitespace().count() > 1 || DONE.contains(&first) && first != title;
        first.starts_with(|c: char| c.is_uppercase()) && !is_done
    })
}

fn is_tag(text: &str) -> bool {
    ["<h1", "<h2", "<h3", "<h4", "<pre", "<p>", "<ul>", "<ol>", "<li>", "<blockquote", "<code", "<td"]
        .iter()
        .any(|tag| text.starts_with(tag))
}

fn is_mail_head(text: &str) -> bool {
    let is_address = |rest: &str| rest.contains('@') && rest.contains('.');
    text.starts_with("Subject: ")
        || ["From: ", "To: ", "Cc: "].iter().any(|key| text.strip_prefix(key).is_some_and(is_address))
}

/// `==> tests/hub.log <==` of `head`, a path that is underlined, `:::::::` of `more`. A log that is shown so may be the build's.
fn is_file_head(text: &str, next: Option<&Line>) -> bool {
    let named = text.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
    let is_ruled = |line: &Line| line.text.len() >= 4 && line.text.chars().all(|c| "-=~─".contains(c));
    let titled = next.filter(|line| is_ruled(line)).map(|_| text.trim_end_matches(':'));
    named.or(titled).is_some_and(|path| {
        let is_path = !path.contains(' ') && path.contains(['/', '.']);
        is_path
            && (is_example(path) || ![".log", ".out", ".err", ".txt"].iter().any(|end| path.ends_with(end)))
            && path.rsplit('/').next().is_some_and(|name| name.contains('.'))
    })
}

fn is_manual_head(line: &Line) -> bool {
    const HEADS: [&str; 12] = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "ERRORS",
        "DIAGNOSTICS",
        "EXAMPLES",
        "NOTES",
        "ENVIRONMENT",
        "FILES",
        "EXIT STATUS",
        "BUGS",
    ];
    line.indent == 0 && HEADS.contains(&line.text.trim_end())
}

/// A tag right behind closes what was opened before the window.
fn is_between_tags(lines: &[Line], at: usize) -> bool {
    let behind = lines.get(at + 1..lines.len().min(at + 3)).unwrap_or_default();
    behind
        .iter()
        .any(|line| ["</pre>", "</code>", "</p>", "</blockquote>"].iter().any(|tag| line.text.trim().starts_with(tag)))
}

/// A paragraph of its own below a sentence that announces it: `…, the following error message is issued:`, or that somebody
/// says of himself: `We saw this yesterday:`.
pub fn is_introduced(lines: &[Line], at: usize) -> bool {
    const ANNOUNCED: [&str; 5] = [" error", " message", " issue", " output", " answer"];
    const PROGRAMS: [&str; 7] = ["error", "fail", "fatal", "unable", "could not", "cannot", "warn"];
    const PERSONS: [&str; 6] = ["i", "we", "you", "your", "our", "my"];
    let announces = |line: &Line| {
        let text = line.text.trim_end().to_ascii_lowercase();
        let words = || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
        let says = ANNOUNCED.iter().any(|word| text.contains(word)) && is_prose(&text) && words().count() >= 5;
        let of_program = ["could not", "couldn't", "cannot", "unable"].iter().any(|word| text.contains(word));
        let of_person = !of_program && words().count() >= 3 && words().any(|word| PERSONS.contains(&word));
        (text.ends_with(':') || text.ends_with(" below."))
            && !PROGRAMS.iter().any(|word| text.starts_with(word))
            && (says || of_person)
    };
    // `The last build failed with:` speaks of another one.
    let of_past = |line: &Line| {
        let text = line.text.trim_end().to_ascii_lowercase();
        let is_inset = lines.get(at).is_some_and(|own| own.indent > line.indent);
        is_inset
            && text.ends_with(':')
            && ["last build", "last run", "previous", "yesterday"].iter().any(|word| text.contains(word))
    };
    let is_blank = |line: &&Line| line.text.trim().is_empty();
    let before = || lines.get(..at).unwrap_or_default().iter().rev();
    let above = before().find(|line| !is_blank(line));
    let is_apart = before().next().as_ref().is_some_and(is_blank);
    above.is_some_and(|line| of_past(line) || (is_apart && announces(line)))
}

/// In the middle of a sentence: what follows begins with a small letter and ends with a full stop. The message is a paragraph
/// of its own, or what is before it is the sentence's open beginning.
pub fn goes_on_behind(lines: &[Line], at: usize) -> bool {
    let is_blank = |line: &Line| line.text.trim().is_empty();
    let mut behind = lines.get(at + 1..).unwrap_or_default().iter();
    let before = at.checked_sub(1).and_then(|before| lines.get(before));
    let is_apart = before.is_none_or(is_blank) && lines.get(at + 1).is_some_and(is_blank);
    let begins = before.is_some_and(|line| {
        let is_inset = lines.get(at).is_some_and(|own| own.indent > line.indent);
        let is_condition = ["If ", "When ", "Whenever "].iter().any(|word| line.text.starts_with(word));
        let is_long = line.text.split_whitespace().count() >= 4;
        let is_open = line.text.trim_end().ends_with(char::is_alphabetic) && (is_condition || is_long);
        is_open && (is_inset || is_prose(&line.text))
    });
    let goes_on = |line: &Line| {
        let text = line.text.trim();
        text.starts_with(|c: char| c.is_lowercase())
            && text.ends_with('.')
            && !text.ends_with("..")
            && text.split_whitespace().count() >= 3
            && !text.contains(": ")
    };
    (is_apart || begins) && behind.find(|line| !is_blank(line)).is_some_and(goes_on)
}

/// The text of a member below its key: `matches: >-`, `description: |`, unless programs put what they were told there.
pub fn is_block_of_key(lines: &[Line], at: usize, carriers: &[&str]) -> bool {
    let Some(own) = lines.get(at) else { return false };
    let head = lines.get(at.saturating_sub(REACH)..at).unwrap_or_default().iter().rev();
    let head = head.filter(|line| !line.text.trim().is_empty()).find(|line| line.indent < own.indent);
    head.is_some_and(|line| {
        let text = line.text.trim_end().trim_end_matches(['-', '+']);
        let key = text
            .strip_suffix(": >")
            .or_else(|| text.strip_suffix(": |"))
            .map(|key| key.trim_start_matches("- ").trim());
        let is_word =
            |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        key.is_some_and(|key| is_word(key) && !carriers.contains(&key.to_ascii_lowercase().as_str()))
    })
}

/// A member of an example, by the keys that it is indented below: `example:`, `code: …`, then `message: …`.
pub fn is_example_of_key(lines: &[Line], at: usize) -> bool {
    const OWNERS: usize = 3;
    let Some(own) = lines.get(at) else { return false };
    let before = lines.get(at.saturating_sub(REACH)..at).unwrap_or_default().iter().rev();
    let mut indent = own.indent;
    let mut owners = before.filter(|line| !line.text.trim().is_empty()).filter_map(|line| {
        let is_owner = line.indent < indent;
        indent = indent.min(line.indent);
        is_owner.then(|| line.text.trim())
    });
    owners.by_ref().take(OWNERS).any(|owner| matches!(owner, "example:" | "examples:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::clean;
    use rstest::rstest;

    fn is_page(text: &str) -> bool {
        let lines = clean::lines(text.as_bytes(), 1, 0);
        let at = lines.iter().position(|line| line.text.contains("toomany")).unwrap();
        is_on_page(&lines, at)
            || is_introduced(&lines, at)
            || goes_on_behind(&lines, at)
            || is_block_of_key(&lines, at, &["message"])
    }

    #[rstest]
    #[case("## Docker Hub\n\nSymptom:\n\n    toomanyrequests: x")]
    #[case("== Troubleshooting\n\n.Pulls\n....\ntoomanyrequests: x\n....")]
    #[case("<h2>Errors</h2>\n<pre>\ntoomanyrequests: x\n</pre>")]
    #[case("toomanyrequests: x\n</pre>")]
    #[case("EXIT STATUS\n       75     Said so\n              toomanyrequests: x")]
    #[case("To: dev@acme.example\n\nBuild 3 failed with:\n\n> toomanyrequests: x")]
    #[case("==> tests/fixtures/hub.log <==\ntoomanyrequests: x")]
    #[case("ci/pull.sh\n-----\ntoomanyrequests: x")]
    #[case("The last build failed with:\n    toomanyrequests: x")]
    #[case("We saw this yesterday:\n\n  toomanyrequests: x")]
    #[case("This makes it wait on\ntoomanyrequests: x\nand try again.")]
    #[case("Tip: builds that end with\n    toomanyrequests: x\nneed a login.")]
    #[case("Builds answer\n\ntoomanyrequests: x\n\nonce it is used up.")]
    #[case("retry:\n  - matches: >-\n      toomanyrequests: x")]
    fn a_page_is_known_by_its_structure(#[case] text: &str) {
        assert!(is_page(text), "{text}");
    }

    #[rstest]
    #[case("## Docker Hub\n+ docker pull node\ntoomanyrequests: x")]
    #[case("## Building web\ntoomanyrequests: x")]
    #[case("# Pull images\ntoomanyrequests: x")]
    #[case("== Pull ==\ntoomanyrequests: x")]
    #[case("==> docker.log <==\ntoomanyrequests: x")]
    #[case("To: 5.0.1\ntoomanyrequests: x")]
    #[case("Could not pull what you asked for:\n\ntoomanyrequests: x\nfailed")]
    #[case("Pulling the base image\ntoomanyrequests: x\ngiving up after this.")]
    #[case("message: >-\n  toomanyrequests: x")]
    #[case("#5 [internal] load metadata\ntoomanyrequests: x")]
    fn a_log_is_none(#[case] text: &str) {
        assert!(!is_page(text), "{text}");
    }
}
