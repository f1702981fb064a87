//! Does a line stand in a block that a tool prints of something else: a diff, a commit's message, two texts that a test
//! compared, a list of patterns, a table?

use crate::domain::detect::clean::Line;
use crate::domain::detect::key::{CARRIERS, PATTERN_KEYS};
use crate::domain::detect::{listing, page, rehearsal};

/// How far back the head of a block may be.
pub const REACH: usize = 40;

/// Whether a line stands in such a block, wherever in it a match starts.
pub fn is_in_block(lines: &[Line], at: usize) -> bool {
    in_diff(lines, at)
        || in_commit(lines, at)
        || in_commit_list(lines, at)
        || is_beside_pattern(lines, at)
        || is_under_title(lines, at)
        || follows_explanation(lines, at)
        || page::is_introduced(lines, at)
        || page::is_on_page(lines, at)
        || page::is_block_of_key(lines, at, &CARRIERS)
        || rehearsal::answers_locally(lines, at)
        || page::goes_on_behind(lines, at)
        || is_beside_signs(lines, at)
        || rehearsal::in_passed_test(lines, at)
        || in_counted_list(lines, at)
        || in_source_excerpt(lines, at)
        || in_shown_script(lines, at)
        || page::is_example_of_key(lines, at)
}

/// Whether what stands before or behind a match that starts at this line and offset tells the same.
pub fn is_quoted(lines: &[Line], at: usize, offset: usize) -> bool {
    let Some(line) = lines.get(at) else {
        return false;
    };
    let head = line.text.get(..offset).unwrap_or_default();
    let tail = line.text.get(offset..).unwrap_or_default();
    is_commit_subject(head)
        || head.starts_with("Subject: [")
        || ["title: ", "Title: "].iter().any(|key| head.starts_with(key))
        || is_entry_of_changes(head)
        || is_compared(lines, at, head)
        || in_list(lines, at, head)
        || is_member(head, listing::is_wrapped_rest(lines, at))
        || is_row(lines, at, tail) && !tells_state(head)
        || is_catalogued(head)
        || rehearsal::is_given(head)
}

/// Lines before, nearest first.
pub fn before(lines: &[Line], at: usize) -> impl Iterator<Item = &Line> {
    lines.get(at.saturating_sub(REACH)..at).unwrap_or_default().iter().rev()
}

pub fn is_blank(line: &Line) -> bool {
    line.text.trim().is_empty()
}

/// `@@ -10,6 +10,9 @@`, and since then only lines with a diff's sign or its blank.
fn in_diff(lines: &[Line], at: usize) -> bool {
    let is_hunk = |line: &Line| line.text.starts_with("@@ -") && line.text.contains(" @@");
    let is_body = |line: &Line| line.indent > 0 || line.text.starts_with(['+', '-', '\\']) || is_blank(line);
    lines.get(at).is_some_and(|line| is_body(line) && !line.stamped)
        && before(lines, at).find(|line| is_hunk(line) || !is_body(line)).is_some_and(is_hunk)
}

/// A difference without its hunk's head: an indented line with a sign, beside another with one.
fn is_beside_signs(lines: &[Line], at: usize) -> bool {
    let signed = |index: usize| {
        let text = lines.get(index)?.text.as_str();
        let rest = text.strip_prefix(['+', '-'])?;
        rest.starts_with("  ").then_some(())
    };
    signed(at).is_some() && (at.checked_sub(1).and_then(signed).is_some() || signed(at + 1).is_some())
}

/// `E1031  `, `WEB-31   `: the number of an entry in a list of known errors.
fn is_catalogued(head: &str) -> bool {
    let number = head.trim_end();
    let digits = number.trim_start_matches(|c: char| c.is_ascii_uppercase()).trim_start_matches('-');
    head.ends_with("  ")
        && digits.len() < number.len()
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `git log` indents a message below `Author:` and `Date:`.
fn in_commit(lines: &[Line], at: usize) -> bool {
    const INDENT: usize = 4;
    let is_body = |line: &Line| line.indent >= INDENT || is_blank(line);
    let is_head = |line: &Line| {
        ["Author:", "Date:", "AuthorDate:", "CommitDate:", "Notes:", "Notes ("]
            .iter()
            .any(|key| line.text.starts_with(key))
    };
    lines.get(at).is_some_and(|line| line.indent >= INDENT)
        && before(lines, at).find(|line| !is_body(line)).is_some_and(is_head)
}

/// `* 4d5e6f7 (HEAD -> main) `, `[main 4d5e6f7] `, `HEAD is now at 4d5e6f7 `: what follows is a commit's first line.
fn is_commit_subject(head: &str) -> bool {
    let head = head.trim_end();
    let named = head.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')).map_or(head, |(rest, _)| rest.trim_end());
    let (lead, word) = named.trim_end_matches(']').rsplit_once([' ', '[']).unwrap_or(("", named));
    let is_hash = (7..=40).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        && word.bytes().any(|byte| byte.is_ascii_digit());
    let is_stash = head.starts_with("stash@{") && head.ends_with(':');
    let is_lead = lead.chars().all(|c| "*|/\\ ".contains(c))
        || lead.starts_with('[')
        || ["HEAD is now at", "HEAD position was", "pick", "Dropped"].iter().any(|verb| lead.ends_with(verb));
    is_stash || (is_hash && is_lead)
}

/// `git log --oneline`: lines next to each other begin with abbreviated hashes. Docker's ids of layers have twelve digits.
fn in_commit_list(lines: &[Line], at: usize) -> bool {
    let hash = |index: usize| {
        let (word, subject) = lines.get(index)?.text.trim_start_matches(['*', '|', '/', '\\', ' ']).split_once(' ')?;
        let is_hash = (7..=11).contains(&word.len()) || word.len() == 40;
        let is_hex = word.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (is_hash && is_hex && !subject.is_empty()).then_some(word.len())
    };
    let own = hash(at);
    own.is_some() && (at.checked_sub(1).and_then(hash) == own || hash(at + 1) == own)
}

/// `  42  toomanyrequests: …`, `   9  timeout`: lines that were counted, the most first. A listing's numbers rise one by one.
fn in_counted_list(lines: &[Line], at: usize) -> bool {
    let counted = |index: usize| {
        let line = lines.get(index)?;
        let (count, rest) = line.text.split_once(' ')?;
        // Right-aligned.
        let end = line.indent + count.len();
        let is_row = !rest.trim().is_empty() && line.indent > 0 && count.bytes().all(|byte| byte.is_ascii_digit());
        count.parse::<u32>().ok().filter(|_| is_row).map(|count| (count, end))
    };
    let falls = |above: Option<(u32, usize)>, below: Option<(u32, usize)>| {
        above.zip(below).is_some_and(|(above, below)| above.0 >= below.0 && above.1 == below.1)
    };
    let above = at.checked_sub(1).map(counted);
    above.is_some_and(|above| falls(above, counted(at))) || falls(counted(at), counted(at + 1))
}

/// The lines of a file around what is wrong in it, as BuildKit shows them: `Dockerfile:4`, a rule, the lines, a rule.
fn in_source_excerpt(lines: &[Line], at: usize) -> bool {
    const LONGEST: usize = 12;
    let is_rule = |line: &Line| line.text.len() >= 8 && line.text.bytes().all(|byte| byte == b'-');
    let is_place = |line: &Line| {
        let number = line.text.rsplit_once(':').filter(|(path, _)| !path.contains(' ')).map(|(_, number)| number);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut above = before(lines, at).take(LONGEST).skip_while(|line| !is_rule(line));
    above.next().is_some() && above.next().is_some_and(is_place) && lines.iter().skip(at + 1).take(LONGEST).any(is_rule)
}

/// The script of a step, which GitHub shows before it runs: `##[group]Run <first line>`, the script, `##[endgroup]`.
fn in_shown_script(lines: &[Line], at: usize) -> bool {
    let is_mark = |line: &Line| line.text.starts_with("##[group]") || line.text.starts_with("##[endgroup]");
    let text = |index: usize| lines.get(index).map_or("", |line| line.text.as_str());
    let head = (at.saturating_sub(REACH)..at).rev().find(|index| lines.get(*index).is_some_and(is_mark));
    let is_script = head.is_some_and(|head| {
        text(head).strip_prefix("##[group]Run ").is_some_and(|first| first.trim_end() == text(head + 1).trim_end())
    });
    let end = lines.iter().skip(at + 1).take(REACH).find(|line| is_mark(line));
    is_script && end.is_some_and(|line| line.text.starts_with("##[endgroup]"))
}

/// A file of what to look for: a member next to it names a pattern.
fn is_beside_pattern(lines: &[Line], at: usize) -> bool {
    let key = |line: &Line| {
        let (key, _) = line.text.strip_prefix('"')?.split_once("\":")?;
        Some(key.to_ascii_lowercase())
    };
    let near = || lines.get(at.saturating_sub(2)..lines.len().min(at + 3)).unwrap_or_default().iter().filter_map(key);
    lines.get(at).and_then(key).is_some() && near().any(|key| key.contains("pattern") || key.contains("regex"))
}

/// What a test prints when two texts differ: with a key, or with a sign below a line that says so.
fn is_compared(lines: &[Line], at: usize, head: &str) -> bool {
    const KEYS: [&str; 10] = [
        "left:",
        "right:",
        "expected:",
        "actual:",
        "got:",
        "want:",
        "received:",
        "but was:",
        "substring:",
        "expected string:",
    ];
    const SAYS: [&str; 13] = [
        "- Expected",
        "+ Received",
        "expected - actual",
        "-want +got",
        "-got +want",
        "Expecting actual",
        "Expecting:",
        "--- Expected",
        "+++ Actual",
        "assertion `left",
        "AssertionError",
        "Strings differ",
        "Not equal",
    ];
    let bare = head.trim_end_matches(['"', '\'', '<']).trim();
    // pytest puts an E before each line.
    let is_pytest = bare.strip_prefix("E ").is_some_and(|rest| matches!(rest.trim(), "-" | "+" | "?"));
    let key = bare.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ").replace(" :", ":");
    // The gutter of a difference: `1       │-`.
    let is_gutter = ["│-", "│+", "[+]", "[-]", "[~]"].iter().any(|sign| bare.ends_with(sign));
    let is_sign = matches!(bare, "-" | "+" | "?") || (bare.is_empty() && !head.is_empty());
    // Go's: `pull_test.go:52: got: `.
    let is_gos = head
        .split_once("_test.go:")
        .and_then(|(_, rest)| rest.split_once(": "))
        .is_some_and(|(_, says)| ["got: ", "want: ", "have: "].iter().any(|key| says.starts_with(key)));
    let is_told = || {
        let from = at.saturating_sub(8);
        let near = lines.get(from..lines.len().min(at + 6)).unwrap_or_default();
        near.iter().any(|line| SAYS.iter().any(|says| line.text.contains(says)))
    };
    is_gos || is_pytest || is_gutter || KEYS.contains(&key.as_str()) || (is_sign && is_told())
}

/// `- Fixed: `, `* Changed: `: an entry of a list of what changed.
fn is_entry_of_changes(head: &str) -> bool {
    const KINDS: [&str; 7] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Fix", "Security"];
    let entry = head.strip_prefix("- ").or_else(|| head.strip_prefix("* "));
    entry.and_then(|entry| entry.split_once(": ")).is_some_and(|(kind, _)| KINDS.contains(&kind))
}

/// An element of a list below a key that holds no output: `patterns:`, then `- toomanyrequests: …`.
fn in_list(lines: &[Line], at: usize, head: &str) -> bool {
    let is_element = head.trim_end_matches(['"', '\'']).trim() == "-";
    let owner = before(lines, at).find(|line| !line.text.starts_with("- "));
    let key = owner.and_then(|line| line.text.trim_start_matches("- ").trim_end().strip_suffix(':'));
    let is_word = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    is_element && key.is_some_and(|key| is_word(key) && !CARRIERS.contains(&key.to_ascii_lowercase().as_str()))
}

/// A member of a file of settings or texts: `regex: toomanyrequests: …`, `apology: "toomanyrequests: …"`. Errors do not
/// quote the whole of their message. What a terminal wrapped may begin with half a word, which is no key.
fn is_member(head: &str, is_rest: bool) -> bool {
    let is_quoted = head.ends_with(['"', '\'']) && !is_rest;
    let Some(key) = head.trim_end_matches(['"', '\'']).trim().strip_suffix(':') else {
        return false;
    };
    let key = key.strip_prefix("- ").unwrap_or(key);
    if ["Title", "Subject"].contains(&key) {
        return true;
    }
    let is_name = key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c));
    PATTERN_KEYS.contains(&key) || (is_quoted && is_name && !key.is_empty() && !CARRIERS.contains(&key))
}

/// A row of a table whose first cell is the message; its left edge was taken off as a margin.
fn is_row(lines: &[Line], at: usize, tail: &str) -> bool {
    let tail = tail.trim_end();
    let is_below_row = || before(lines, at).next().is_some_and(|line| line.text.trim_end().ends_with('|'));
    tail.strip_suffix('|').is_some_and(|cells| cells.contains(" | ") || is_below_row())
}

/// Whether a cell of a row says how something ended, as the command line tools of AWS print it: nobody explains so.
fn tells_state(head: &str) -> bool {
    const STATES: [&str; 5] = ["CLIENT_ERROR", "FAILED", "FAULT", "STOPPED", "TIMED_OUT"];
    head.split('|').any(|cell| STATES.contains(&cell.trim()))
}

/// A page's title is underlined with just as many signs as it has characters; a console's banner is not.
fn is_under_title(lines: &[Line], at: usize) -> bool {
    let said: Vec<&Line> = before(lines, at).filter(|line| !is_blank(line)).take(2).collect();
    let [underline, title] = said.as_slice() else {
        return false;
    };
    let length = underline.text.chars().count();
    length >= 4
        && underline.text.chars().all(|c| c == '=')
        && title.text.chars().count() == length
        && title.text != underline.text
}

/// An indented example below `If a build fails with`, or one of several lines below `You may face this error:`.
fn follows_explanation(lines: &[Line], at: usize) -> bool {
    const STARTS: [&str; 6] = ["If ", "When ", "You may ", "You might ", "Should ", "For example"];
    const INDENT: usize = 4;
    let explains = |line: &Line| line.indent == 0 && STARTS.iter().any(|start| line.text.starts_with(start));
    let mut said = before(lines, at).filter(|line| !is_blank(line));
    let nearest = said.next();
    let above = said.find(|line| line.indent < INDENT);
    lines.get(at).is_some_and(|line| line.indent >= INDENT)
        && (nearest.is_some_and(explains)
            || (nearest.is_some_and(|line| line.indent >= INDENT)
                && above.is_some_and(|line| explains(line) && line.text.trim_end().ends_with(':'))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::clean;
    use rstest::rstest;

    fn is_quoted_in(text: &str) -> bool {
        let lines = clean::lines(text.as_bytes(), 1, 0);
        let at = lines.iter().position(|line| line.text.contains("toomany")).unwrap();
        is_in_block(&lines, at) || is_quoted(&lines, at, lines[at].text.find("toomany").unwrap())
    }

    #[rstest]
    #[case("@@ -1,2 +1,3 @@ x\n a\n+toomanyrequests: x")]
    #[case("@@ -1,2 +1,3 @@\n+a\n toomanyrequests: x")]
    #[case("Author: A <a@example.com>\nDate:   Wed\n\n    Retry\n\n    toomanyrequests: x")]
    #[case("* 4d5e6f7 (HEAD -> main) toomanyrequests: x")]
    #[case("4d5e6f7 toomanyrequests: x")]
    #[case("[main 4d5e6f7] toomanyrequests: x")]
    #[case("HEAD is now at 4d5e6f7 toomanyrequests: x")]
    #[case("E         - toomanyrequests: x")]
    #[case("- Expected\n+ Received\n\n- toomanyrequests: x")]
    #[case("  left: \"toomanyrequests: x\"")]
    #[case("  actual  : toomanyrequests: x")]
    #[case("Expecting actual:\n  \"toomanyrequests: x\"")]
    #[case("patterns:\n  - timeout\n  - toomanyrequests: x")]
    #[case("  regex: toomanyrequests: x")]
    #[case("  apology: \"toomanyrequests: x\"")]
    #[case("| toomanyrequests: x | log in |")]
    #[case("If a build fails with\n\n    toomanyrequests: x")]
    #[case("You may see this:\n\n    docker pull a\n    toomanyrequests: x")]
    #[case("    a_test.go:33: input: ERROR: toomanyrequests: x")]
    #[case("  console.error\n    toomanyrequests: x\n\nPASS a.test.js\nFAIL b.test.js")]
    #[case("stderr | a.test.ts > waits\ntoomanyrequests: x\n\n ✓ a.test.ts")]
    #[case("9f1c2ab ci: retry\n41d0ee7 fix (build): error: toomanyrequests: x")]
    #[case("* 9f1c2ab pull: survive toomanyrequests: x\n* 41d0ee7 Bump")]
    #[case("{\n  \"ErrorMessage\": \"toomanyrequests: x\",\n  \"ErrorPattern\": \"\"\n}")]
    #[case("If it is reached, the following error message is issued:\n\nDaemon: toomanyrequests: x")]
    #[case("Known problems\n==============\n\ntoomanyrequests: x")]
    fn blocks_are_known_by_their_heads(#[case] text: &str) {
        assert!(is_quoted_in(text), "{text}");
    }

    #[rstest]
    #[case("@@ -1,2 +1,3 @@ x\n a\n+b\nStep 1/4 : FROM node\ntoomanyrequests: x")]
    #[case("Author: A <a@example.com>\nDate:   Wed\n\n    Retry\n\nStep 1/4 : FROM node\n    toomanyrequests: x")]
    #[case("24052d61a718: toomanyrequests: x")]
    #[case("  console.error\n    toomanyrequests: x\n\nFAIL a.test.js\nPASS b.test.js")]
    #[case("You may see much of this\n    docker pull a\n    toomanyrequests: x")]
    #[case("24052d61a718 Downloading\n5181eccc7c90 Error toomanyrequests: x")]
    #[case("9f1c2ab4 Error toomanyrequests: x")]
    #[case("{\n  \"message\": \"toomanyrequests: x\",\n  \"code\": 500\n}")]
    #[case("Error: the following images could not be pulled:\n\nredis: toomanyrequests: x")]
    #[case("If it is reached, the following error message is issued:\nDaemon: toomanyrequests: x")]
    #[case("[main] toomanyrequests: x")]
    #[case("- toomanyrequests: x")]
    #[case("errors:\n  - toomanyrequests: x")]
    #[case("docker: toomanyrequests: x")]
    #[case("error: \"toomanyrequests: x\"")]
    #[case("91 | toomanyrequests: x")]
    #[case("=====\nPull failed\n=====\ntoomanyrequests: x")]
    #[case("E   docker.errors.APIError: toomanyrequests: x")]
    #[case("WARNING! Your credentials are stored\n\n    toomanyrequests: x")]
    fn the_rest_is_what_a_program_said(#[case] text: &str) {
        assert!(!is_quoted_in(text), "{text}");
    }
}
