//! Does the line itself show, before the message, that it quotes? A title, markup, a comment, a command, a hit of a search.

use crate::domain::detect::frame::is_tagged;
use crate::domain::detect::speaker::of_windows_prompt;

/// The title of a change or a page, or a note of something to do: `fix(ci): `, `Fix the build: `, `Closes #412: `, `TODO: `.
pub fn is_title(head: &str) -> bool {
    const CHANGES: [&str; 5] = ["fix", "feat", "chore", "docs", "refactor"];
    const STARTS: [&str; 17] = [
        "Fix ",
        "Fixes ",
        "Fixed ",
        "Handle ",
        "Handles ",
        "Avoid ",
        "Resolve ",
        "Resolves ",
        "Revert ",
        "Document ",
        "Troubleshooting ",
        "Closes #",
        "Refs #",
        "TODO",
        "FIXME",
        "- [ ] ",
        "- [x] ",
    ];
    // `Building pr/12 - Fix the build: `.
    let mut parts = [" - ", " – ", " — "].iter().flat_map(|dash| head.split(dash).skip(1));
    if is_heading(head) || parts.any(|part| STARTS.iter().any(|start| part.starts_with(start))) {
        return true;
    }
    let scope = head.split_once(':').map_or("", |(scope, _)| scope);
    let change = scope.split_once('(').map_or(scope, |(change, _)| change).trim_end().trim_end_matches('!');
    CHANGES.contains(&change) || STARTS.iter().any(|start| head.starts_with(start))
}

/// The title of a page: a name of several words, each with a capital letter, and nothing of an error: `AWS CodeBuild: `.
fn is_heading(head: &str) -> bool {
    const OUTCOMES: [&str; 12] = [
        "error",
        "fail",
        "fatal",
        "warn",
        "exception",
        "denied",
        "request",
        "reason",
        "message",
        "status",
        "output",
        "response",
    ];
    let Some(name) = head.strip_suffix(": ") else { return false };
    let is_capital =
        |word: &str| word.chars().all(char::is_alphanumeric) && word.starts_with(|c: char| c.is_uppercase());
    let lower = name.to_lowercase();
    name.contains(' ') && name.split(' ').all(is_capital) && !OUTCOMES.iter().any(|word| lower.contains(word))
}

/// Marks of Markdown and HTML, which programs do not print around their errors.
pub fn is_markup(head: &str, tail: &str) -> bool {
    // The list of a tracker, the help of a program, a variable.
    let is_number = head.strip_prefix('#').is_some_and(|rest| {
        let title = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        title.len() < rest.len() && title.starts_with("  ")
    });
    let is_variable = head.trim_end().strip_suffix(':').is_some_and(|name| {
        name.contains('_')
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    });
    // TeamCity's, about a test that did not fail.
    let is_of_test = head
        .strip_prefix("##teamcity[test")
        .is_some_and(|rest| ["Started", "Finished", "Ignored", "Suite"].iter().any(|kind| rest.starts_with(kind)));
    if is_number || is_of_test || is_variable || head.contains("[default: ") {
        return true;
    }
    // Rust's panic on an error is a program's.
    let head = head.replace("`Result::unwrap()` on an `Err` value", "");
    let is_table_row = head.starts_with('|') && tail.trim_end().ends_with('|');
    let is_cell = head.contains(" | ") && tail.contains(" | ");
    // A logger's entry may quote the command that failed.
    let is_entry = ["time=", "level="].iter().any(|key| head.starts_with(key));
    (has_code_span(&head) && !is_entry)
        || tail.contains("`http")
        || ["- > ", "* > "].iter().any(|mark| head.starts_with(mark))
        || head.replacen("** (", "", 1).contains("**")
        || ["<code", "<td", "<p>", "<li", "<pre", "</"].iter().any(|tag| head.contains(tag))
        || head.ends_with(['«', '“', '「'])
        || head.starts_with("## ")
        || head.starts_with("### ")
        || is_table_row
        || is_cell
}

/// Whether a text has Markdown's marks of code. Programs close a quote that they open so with an apostrophe (Ruby's traces),
/// or put an image between them (Nomad).
fn has_code_span(head: &str) -> bool {
    let mut rest = head;
    while let Some((_, inner)) = rest.split_once('`') {
        let Some((quoted, after)) = inner.split_once(['`', '\'']) else {
            return true;
        };
        let is_apostrophe = inner.get(quoted.len()..).is_some_and(|end| end.starts_with('\''));
        if !is_apostrophe && !is_tagged(quoted) && !tells_exit(after) {
            return true;
        }
        rest = after;
    }
    false
}

/// ` exited 1 after 0.9s`, ` returned 125`: a program reports how the command before it ended.
fn tells_exit(after: &str) -> bool {
    const ENDED: [&str; 4] = [" exited with code ", " exited with ", " exited ", " returned "];
    let code = ENDED.iter().find_map(|words| after.strip_prefix(*words));
    code.is_some_and(|code| code.starts_with(|c: char| c.is_ascii_digit()))
}

/// Comment signs of the usual languages. BuildKit's `#3 ` is none, nor is a bullet before a message.
pub fn is_comment(head: &str) -> bool {
    let head = head.trim_start();
    let is_hash = head.strip_prefix('#').is_some_and(|rest| {
        let rest = rest.trim_start_matches('#');
        // `##[error]` and `##vso[…]` are a log's, `# ` a root prompt's if a command or a message follows at once.
        // A comment that shows an example indents it.
        const AFTER_A_PROMPT: [&str; 9] = ["docker: ", "Err", "ERR", "err", "Fail", "fail", "time=", "WARN", "FATA"];
        let of_a_log = rest.starts_with(|c: char| c.is_ascii_digit() || c == '[')
            || ["vso[", "teamcity["].iter().any(|start| rest.starts_with(start));
        let is_indented = rest.starts_with("  ");
        let of_a_prompt = !is_indented && AFTER_A_PROMPT.iter().any(|word| rest.trim_start().starts_with(word));
        let is_bare = !is_indented && rest.trim().is_empty();
        !(of_a_log || of_a_prompt || is_bare)
    });
    is_hash
        || is_behind_code(head)
        || ["//", "/*", "*/", "<!--", "-- ", ";;", "\"\"\"", "'''"].iter().any(|sign| head.starts_with(sign))
        || head.contains(" // ")
        || head.contains("(* ")
}

/// `- docker build . # `: behind an item of a list; `make   # sometimes: `: in a column of its own, with words that end in a
/// colon.
fn is_behind_code(head: &str) -> bool {
    let Some((code, words)) = head.rsplit_once(" # ") else { return false };
    let is_item = code.trim_start().starts_with("- ");
    let is_column = !code.trim().is_empty() && code.ends_with(' ') && words.trim_end().ends_with(':');
    is_item || is_column
}

/// A line that shows a command: of a shell's trace, of a Dockerfile, of a test runner's list.
pub fn is_command(head: &str) -> bool {
    const COMMANDS: [&str; 19] = [
        "echo ",
        "printf ",
        "grep ",
        "egrep ",
        "sed ",
        "awk ",
        "rg ",
        "if ",
        "elif ",
        "while ",
        "case ",
        "RUN ",
        "LABEL ",
        "assert ",
        "export ",
        "declare ",
        "readonly ",
        "local ",
        "[[ ",
    ];
    let text = without_listing_prefix(head);
    if of_windows_prompt(head).is_some_and(|command| !command.is_empty()) {
        return true;
    }
    // What a shell's trace shows is a command, whatever it is.
    let traced = head.trim_start_matches('+');
    let is_trace = traced.len() < head.len() && traced.starts_with(' ') && !traced.starts_with("  ");
    let starts = is_trace || is_assignment(text) || COMMANDS.iter().any(|command| text.starts_with(command));
    let pipes =
        ["| grep", "|grep", "| egrep", "| findstr", "Select-String ", "-match ", "=~ ", "process \"/bin/", "#(nop) "]
            .iter()
            .any(|sign| head.contains(sign));
    let names_test =
        ["✓", "✔", "✗", "●", "○", "--- PASS", "ok ", "PASS ", "✘ should"].iter().any(|sign| text.starts_with(sign));
    let is_scenario = ["Scenario", "Given ", "Then ", "Feature:"].iter().any(|word| text.starts_with(word));
    starts || pipes || is_scenario || (names_test && !head.trim_end().ends_with(':'))
}

/// `MESSAGE=toomanyrequests`: a variable of the environment, printed or set.
fn is_assignment(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default();
    name.len() < text.len()
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// `docs/ci.md:12:text`, `docs/ci.md:text`, `12:text`. A compiler or a test runner puts a blank after the line number.
pub fn is_found_by_grep(head: &str) -> bool {
    let Some((path, rest)) = head.split_once(':') else {
        return false;
    };
    // A logger's: `[/server/proxy.go:103]: `.
    if path.starts_with('[') {
        return false;
    }
    let is_number = !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_digit());
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_file = (1..=5).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_lowercase())
        && path.contains('/')
        && !path.contains([' ', '"', '\'']);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = rest.get(digits..).unwrap_or_default();
    // Ruby's traces: `lib/connection.rb:75:in 'request'`.
    if digits > 0 && after.starts_with(":in ") {
        return false;
    }
    if (is_number || is_file) && !rest.starts_with([' ', '/']) {
        return true;
    }
    let is_path = path.contains('.') && !path.contains(' ');
    is_path && digits > 0 && after.starts_with(':') && !after.starts_with(": ")
}

/// Takes off what tools put before a command that they are about to run: `+ `, `$ `, `#7 [2/3] `, `Step 3/4 : `.
fn without_listing_prefix(head: &str) -> &str {
    let mut text = head.trim_start_matches(['+', '-', '$', '>', ' ', '@']);
    if let Some(rest) = text.strip_prefix("Running command ") {
        return rest;
    }
    if text.starts_with('#') || text.starts_with('[') {
        text = text.rsplit_once("] ").map_or(text, |(_, rest)| rest);
    }
    if text.starts_with("Step ") {
        text = text.split_once(" : ").map_or(text, |(_, rest)| rest);
    }
    text
}
