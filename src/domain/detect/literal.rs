//! A message within quotes: a value that a program printed, or a piece of source code?

use crate::domain::detect::frame::{ends_in_joint, is_prose};
use crate::domain::detect::key::{CARRIERS, PATTERN_KEYS, last_key, says_failed, tells_failure, tells_outcome};
use crate::domain::detect::listing::Around;

/// The literal that is open at the end of a text: what stands before its quote, and what it holds so far.
pub fn open_literal(head: &str) -> Option<(&str, &str)> {
    let mut open: Option<(usize, char, usize)> = None;
    let mut before = ' ';
    let mut escapes = 0_usize;
    let chars: Vec<(usize, char)> = head.char_indices().collect();
    let char_at = |position: Option<usize>| position.and_then(|at| chars.get(at)).map_or(' ', |found| found.1);
    for (position, &(at, c)) in chars.iter().enumerate() {
        let next = char_at(Some(position + 1));
        match (c, open) {
            ('\\', _) => {
                escapes += 1;
                continue;
            }
            ('"' | '\'', None) => {
                // The apostrophe of `customer's` opens nothing, that of Python's `b'…'` does.
                let is_prefix =
                    matches!(before, 'b' | 'r' | 'f') && !char_at(position.checked_sub(2)).is_alphanumeric();
                // A quote with text before and none after closes a literal of the line before, where a terminal wrapped it.
                let closes = before.is_alphanumeric() && (next.is_whitespace() || ":,;)]}".contains(next));
                if (c == '"' && !closes) || !before.is_alphanumeric() || is_prefix {
                    open = Some((at, c, escapes));
                }
            }
            ('"' | '\'', Some((_, quote, depth))) if c == quote && escapes <= depth => {
                let is_apostrophe = c == '\'' && before.is_alphanumeric() && next.is_alphanumeric();
                if !is_apostrophe {
                    open = None;
                }
            }
            _ => {}
        }
        escapes = 0;
        before = c;
    }
    let (at, quote, depth) = open?;
    let before = head.get(..at)?;
    let inner = head.get(at + quote.len_utf8()..)?;
    Some((before.get(..before.len().checked_sub(depth)?)?, inner))
}

/// Where the cell begins that an index stands in, in a row of comma-separated values: `"a","b","Failed to pull: …`. What is in
/// it is judged by itself, if a program's words stand before the message. A quote within a cell is doubled.
pub fn cell_start(text: &str, offset: usize) -> Option<usize> {
    const LEAST: usize = 3;
    let head = text.get(..offset).filter(|head| head.starts_with('"'))?;
    let is_start = |at: &usize| head.get(at + 2..).is_some_and(|cell| !cell.starts_with('"'));
    let starts: Vec<usize> = head.match_indices(",\"").map(|(at, _)| at).filter(is_start).collect();
    let start = starts.last()? + 2;
    (starts.len() + 1 >= LEAST && tells_failure(head.get(start..)?)).then_some(start)
}

/// Whether a literal is a value that a program printed and no piece of source.
pub fn literal_is_output(before: &str, inner: &str, tail: &str, around: &Around<'_>) -> bool {
    // Escaped line breaks: what counts is the last line of the value.
    let inner = ["\\n", "\\r"].iter().fold(inner, |text, mark| text.rsplit(mark).next().unwrap_or(text));
    // `… Internal Server Error (\"` within a string of JSON: the message has quotes of its own. docker-py's errors are made
    // so: `429 Client Error: Too Many Requests ("<message>")`.
    let explained = inner.strip_suffix("(\\\"").or_else(|| inner.strip_suffix("(\""));
    let is_explained =
        explained.is_some_and(|text| [" Client Error", " Server Error"].iter().any(|e| text.contains(e)));
    let inner = explained.unwrap_or(inner);
    if is_prose(inner) || !(is_explained || ends_in_joint(inner)) {
        return false;
    }
    // `("…").`: a quotation that ends a sentence. docker-py's explanation ends with the bracket.
    let is_of_docker_py = is_explained || [" Client Error", " Server Error"].iter().any(|e| before.contains(e));
    if before.trim_end().ends_with('(') && tail.trim_end().ends_with("\").") && !is_of_docker_py {
        return false;
    }
    if is_term(before) {
        return true;
    }
    if is_source_line(before, tail) {
        return false;
    }
    let before = before.trim_end();
    let before =
        before.strip_suffix('b').filter(|rest| rest.is_empty() || rest.ends_with([' ', ':', '='])).unwrap_or(before);
    let before = before.trim_end();
    if is_comparison(before) || is_call_chain(before) {
        return false;
    }
    match before.chars().next_back() {
        None => element_is_output(tail, around),
        Some(':') => {
            let key = last_key(before.trim_end_matches(':'));
            // A member that a program filled in: what stands before the message is its own.
            let looks_for =
                ["pattern", "regex", "match", "expect"].iter().any(|word| key.to_ascii_lowercase().contains(word));
            let says_why = tells_outcome(key) && !looks_for && !inner.trim().is_empty();
            let is_carrier = says_why || CARRIERS.contains(&key.to_ascii_lowercase().as_str());
            if PATTERN_KEYS.contains(&key.to_ascii_lowercase().as_str()) {
                return false;
            }
            let ends = tail.trim_end().ends_with(['}', '"']) || !tail.contains('"');
            let is_object = before
                .split_once('{')
                .is_some_and(|(lead, _)| lead.is_empty() || lead.trim_start().starts_with(['"', '[']) || is_key(lead));
            let is_json = is_object && ends;
            // A value that is the message and nothing else may as well be what somebody looks for.
            let is_json = is_json && (tells_outcome(key) || !inner.trim().is_empty());
            // What a program quotes behind its own words, not behind any name: `failed to pull: "…"`.
            let reports = !key_is_quoted(before) && (tells_outcome(key) && !is_argument(before) || says_failed(before));
            // A dictionary that goes on in the next line is data.
            let goes_on = before.starts_with("{'") && tail.trim_end().ends_with("',");
            (is_carrier || is_json || reports) && !goes_on && !around.is_listing()
        }
        Some('=') => {
            let key = last_key(before.trim_end_matches('='));
            // TeamCity's `##teamcity[message text='…' status='ERROR']`.
            let is_message = before.starts_with("##teamcity[message ") && key == "text";
            is_message
                || !before.ends_with([' ', '>'])
                    && !before.ends_with(" =")
                    && CARRIERS.contains(&key.to_ascii_lowercase().as_str())
        }
        Some('(') => call_is_output(before) && !around.is_listing(),
        // `DockerError(500, '…')`.
        Some(',') => {
            let call = before.rfind('(').and_then(|at| before.get(..=at)).unwrap_or_default();
            // A tuple that Python printed behind a word of its own: `Error: ('…', b'', b'…')`.
            let is_tuple = call.strip_suffix(" (").is_some_and(|lead| lead.ends_with(':') && says_failed(lead));
            (is_tuple || !call.ends_with(" (") && call_is_output(call)) && !around.is_listing()
        }
        Some('[') => CARRIERS.iter().any(|key| before.contains(&format!("\"{key}\""))) && !around.is_listing(),
        // Spring Boot: `failed with status code 500 "Internal Server Error" and message "…"`.
        Some(_)
            if ["and message", "with error", "with message", "stderr is", "stdout is"]
                .iter()
                .any(|words| before.ends_with(words)) =>
        {
            true
        }
        // docker's list of tasks: `Rejected 2 minutes ago   "…"`.
        Some(_) if before.ends_with(" ago") => true,
        Some(')') => !is_dumped(before),
        Some(c) => c == ']' || c == '>',
    }
}

/// `Tells(text: `: an argument by name of a call, which is not closed.
fn is_argument(before: &str) -> bool {
    let call = before.rfind('(').filter(|at| !before.get(*at..).unwrap_or_default().contains([')', '{']));
    call.and_then(|at| before.get(..at)).is_some_and(|name| name.ends_with(char::is_alphanumeric))
}

/// A value as other languages print it: `(RuntimeError) failed: %{"message" => `, `{:message `.
fn is_term(before: &str) -> bool {
    let before = before.trim_end();
    let is_keyword = [":message", ":error", ":cause", ":err"].iter().any(|key| before.ends_with(&format!("{{{key}")));
    let is_carrier = |lead: &str| CARRIERS.contains(&last_key(lead).to_ascii_lowercase().as_str());
    let is_map = before
        .strip_suffix("=>")
        .is_some_and(|lead| is_carrier(lead) && says_failed(lead.split('{').next().unwrap_or_default()));
    is_keyword || is_map
}

/// `string(141) `, `(string) (len=141) `: the type of a value that a program dumps.
fn is_dumped(before: &str) -> bool {
    let Some((lead, size)) = before.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) else { return false };
    let digits = size.strip_prefix("len=").unwrap_or(size);
    let is_size = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_size && (lead.ends_with("string") || size.starts_with("len="))
}

/// `config: ` before an object on the same line.
fn is_key(lead: &str) -> bool {
    let key = lead.trim_end().strip_suffix(':');
    key.is_some_and(|key| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)))
}

/// Whether a sentence goes on behind the literal (`"…" means that`), or a value (`"…": Retry` of a map).
pub fn literal_is_named(before: &str, tail: &str, quote: char) -> bool {
    const GOES_ON: [&str; 21] = [
        "means",
        "is",
        "are",
        "indicates",
        "errors",
        "messages",
        "from",
        "every",
        "because",
        "when",
        "if",
        "should",
        "into",
        "!=",
        "==",
        "not",
        "did",
        "does",
        "was",
        "but",
        "to",
    ];
    if [format!("{quote} != "), format!("{quote} == ")].iter().any(|compared| tail.contains(compared.as_str())) {
        return true;
    }
    let Some((inner, rest)) = tail.split_once(quote) else {
        return false;
    };
    let is_key = before.trim().is_empty() && (rest.starts_with(':') || rest.trim_start().starts_with("=>"));
    let next = rest.strip_prefix(' ').and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    !inner.ends_with('\\') && (is_key || GOES_ON.contains(&next))
}

/// `stub(x).to_return(body: '…'`: a call on what a call returned.
fn is_call_chain(before: &str) -> bool {
    before.match_indices(").").any(|(at, joint)| {
        let rest = before.get(at + joint.len()..).unwrap_or_default();
        let name = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        name > 0 && rest.get(name..).is_some_and(|after| after.starts_with('('))
    })
}

/// What a test prints when two texts differ.
fn is_comparison(before: &str) -> bool {
    let words = ["expected", "received", "actual", "wanted", "want", "got", "substring", "assertion"];
    before.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word.to_ascii_lowercase().as_str()))
}

/// A literal that stands alone: an element of a list of a program's output lines, or a whole line in quotes.
fn element_is_output(tail: &str, around: &Around<'_>) -> bool {
    let ends_in_comma = tail.trim_end().ends_with("\",") || tail.trim_end().ends_with("',");
    let in_output = around.before.iter().rev().take(6).any(|line| {
        line.trim_end().ends_with('[')
            && CARRIERS.iter().any(|key| line.to_ascii_lowercase().contains(&format!("\"{key}\"")))
    });
    // Code breaks a long text into literals, and puts one below the assignment or call that it is for.
    let follows_code = around.before.last().is_some_and(|line| {
        let line = line.trim_end();
        line.ends_with(['=', '(', ',', '+', '[', '\\', '"', '\'', '`'])
    });
    in_output || (!ends_in_comma && !follows_code && !around.is_listing())
}

/// `APIError("…")` is how Python prints an exception; `Internal Server Error ("…")` is docker-py's text. `new Error(`,
/// `errors.New(`, `print(` are code.
fn call_is_output(before: &str) -> bool {
    let before = before.trim_end_matches('(');
    if before.ends_with(' ') {
        return true;
    }
    let name: String = before.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let name: String = name.chars().rev().collect();
    let is_exception = name.len() > 5 && (name.ends_with("Error") || name.ends_with("Exception"));
    let lead = before.strip_suffix(name.as_str()).unwrap_or_default();
    // Swift's: `DockerError.message("…")`.
    let is_of_error = lead.ends_with("Error.") && CARRIERS.contains(&name.as_str());
    is_of_error || is_exception && (lead.is_empty() || lead.ends_with(": ") || lead.ends_with('.'))
}

/// Signs of code on the line itself.
pub fn is_source_line(before: &str, tail: &str) -> bool {
    const SIGNS: [&str; 25] = [
        "raise ",
        "throw ",
        "new ",
        "return ",
        "const ",
        "let ",
        "var ",
        "expect(",
        "assert",
        "errors.New",
        "Errorf(",
        ":=",
        "==",
        "!=",
        "=>",
        "func ",
        "def ",
        "console.",
        "println",
        "print(",
        "contains(",
        "includes(",
        " = {",
        " = [",
        " = (",
    ];
    let ends_like_code = [");", "';", "\";", "),", ")) {", "):", "` +", "\" +", "' +", "\\"];
    // Ansible's `FAILED! => {` and `failed: [host] (item=x) => {` are no arrow functions, and what another literal says
    // (`non-zero return code`) is no code.
    let is_task = ["fatal: [", "failed: [", "changed: [", "ok: ["].iter().any(|result| before.contains(result));
    let before = without_literals(&before.replacen("=> {", if is_task { "{" } else { "=> {" }, 1));
    SIGNS.iter().any(|sign| before.contains(sign)) || ends_like_code.iter().any(|end| tail.trim_end().ends_with(end))
}

/// A text with one quote in the place of each of its closed literals.
fn without_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((head, literal)) = rest.split_once('"') {
        out.push_str(head);
        out.push('"');
        let mut is_escaped = false;
        let end = literal.find(|c| {
            let is_end = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        match end.and_then(|end| literal.get(end + 1..)) {
            Some(after) => rest = after,
            None => return out + literal,
        }
    }
    out + rest
}

/// `"key":` of a dictionary. In `for 'x': '…'` the quoted word is part of a chain.
fn key_is_quoted(before: &str) -> bool {
    let text = before.trim_end_matches(':').trim_end();
    let Some(quote) = text.chars().next_back().filter(|c| "\"'".contains(*c)) else {
        return false;
    };
    // Without its opening quote, which a terminal wrapped away, it may be either.
    let Some((lead, _)) = text.trim_end_matches(quote).rsplit_once(quote) else {
        return false;
    };
    !lead.trim_end().ends_with(char::is_alphanumeric)
}
