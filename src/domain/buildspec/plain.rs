//! Which commands does a script of plain statements run, told without the shell parser?
//!
//! The parser takes most of an edit's time, and most scripts have nothing in them that needs it. Wherever a quote, a
//! substitution or a keyword might mean more than it seems, there is no answer, and the parser reads the script.

use super::quick;
use super::shell::Call;
use super::statements::is_assignment;

/// The commands of the statements that are worth reading, where all of these are so plain that no parser is needed; nothing
/// for any other script.
pub(super) fn commands(script: &str, is_worth: &dyn Fn(&str) -> bool) -> Option<Vec<Call>> {
    let (mut calls, mut open) = (Vec::new(), Vec::new());
    for statement in pieces(script, is_worth)? {
        let command = without_keywords(statement, &mut open)?;
        if is_worth(command) || command.split_whitespace().any(is_assignment) {
            calls.push(quick::command(command)?);
        }
    }
    open.is_empty().then_some(calls)
}

/// A script cut at every unquoted operator that ends a command, inside of what is nested, too, without its here
/// documents; nothing where a quote may not be what it seems, or a here document may hold commands.
fn pieces<'a>(script: &'a str, is_worth: &dyn Fn(&str) -> bool) -> Option<Vec<&'a str>> {
    if script.contains("$'") {
        return None;
    }
    let mut pieces = Vec::new();
    let mut documents = Vec::new();
    let mut start = 0;
    let mut chars = script.char_indices().peekable();
    // Whether a word could begin here, so that `#` begins a comment.
    let mut at_word = true;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next()?;
            }
            '\'' => {
                chars.find(|(_, c)| *c == '\'')?;
            }
            '"' => end_of_double_quotes(&mut chars)?,
            // The document begins behind the comment.
            '#' if at_word && !documents.is_empty() => return None,
            '#' if at_word => {
                pieces.push(&script[start..at]);
                let end = chars.find(|(_, c)| *c == '\n').map_or(script.len(), |(at, _)| at);
                start = end;
            }
            '<' if script[at..].starts_with("<<") => {
                documents.push(delimiter(&script[at + 2..])?);
                chars.next()?;
            }
            '\n' | ';' | '&' | '|' => {
                pieces.push(&script[start..at]);
                start = at + 1;
                if c == '\n' {
                    for delimiter in documents.drain(..) {
                        let end = start + end_of_document(&script[start..], delimiter)?;
                        let body = &script[start..end];
                        if is_worth(body) || body.contains(['`', '(']) {
                            return None;
                        }
                        start = end;
                    }
                    while chars.next_if(|(at, _)| *at < start).is_some() {}
                }
            }
            _ => {}
        }
        at_word = matches!(c, ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '#');
    }
    pieces.push(&script[start..]);
    documents.is_empty().then_some(pieces)
}

/// The word that ends a here document, which begins behind `<<`.
fn delimiter(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(['-', ' ']);
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let rest = quote.map_or(rest, |_| &rest[1..]);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let closes = quote.is_none_or(|quote| rest[end..].starts_with(quote));
    Some(&rest[..end]).filter(|word| !word.is_empty() && closes)
}

/// Where the line that ends a here document ends.
fn end_of_document(rest: &str, delimiter: &str) -> Option<usize> {
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end_matches(['\n', '\r']).trim_start_matches('\t') == delimiter {
            // The line itself is skipped, too; its break ends a statement.
            return Some(at + line.trim_end_matches('\n').len());
        }
        at += line.len();
    }
    None
}

/// Goes behind the closing quote; nothing where a substitution has quotes of its own.
fn end_of_double_quotes(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Option<()> {
    let mut substitutions = 0_usize;
    loop {
        match chars.next()?.1 {
            '\\' => {
                chars.next()?;
            }
            '`' => return None,
            '$' if chars.peek().is_some_and(|(_, c)| matches!(c, '(' | '{')) => substitutions += 1,
            ')' | '}' => substitutions = substitutions.saturating_sub(1),
            '\'' if substitutions > 0 => return None,
            '"' => return (substitutions == 0).then_some(()),
            _ => {}
        }
    }
}

/// A command without the words before it that only say when it runs; nothing where these do not close what they open.
fn without_keywords<'a>(statement: &'a str, open: &mut Vec<&'static str>) -> Option<&'a str> {
    let mut rest = statement.trim();
    loop {
        let (word, tail) = rest.split_once([' ', '\t', '\n']).unwrap_or((rest, ""));
        match word {
            "if" => open.push("fi"),
            "while" | "until" => open.push("done"),
            "{" => open.push("}"),
            "then" | "else" | "elif" | "do" | "!" => {}
            "for" | "select" => {
                open.push("done");
                return Some(rest);
            }
            "case" => {
                open.push("esac");
                return Some(rest);
            }
            "fi" | "done" | "esac" | "}" => return (open.pop() == Some(word)).then_some(rest),
            _ => return Some(rest),
        }
        rest = tail.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::super::shell::parse;
    use super::*;

    /// The plain commands that speak of docker, as their words.
    fn plain_commands(script: &str) -> Option<Vec<String>> {
        let calls = commands(script, &|statement| statement.contains("docker"))?;
        let line = |call: &Call| call.words.iter().map(|word| word.script()).collect::<Vec<_>>().join(" ");
        Some(calls.iter().filter(|call| call.assignments.is_empty()).map(line).collect())
    }

    /// The same commands as the parser finds, where no parser is needed.
    #[test]
    fn plain_scripts_need_no_parser() {
        for (script, expected) in [
            ("a\ndocker build .\nb", vec!["docker build ."]),
            ("docker pull a || exit 1; docker pull \"$B\" && c", vec!["docker pull a", "docker pull $B"]),
            (
                "if [ -n \"$A\" ]; then\n  docker build .\nelse docker pull x\nfi",
                vec!["docker build .", "docker pull x"],
            ),
            ("for i in a b; do docker build $i; done", vec!["docker build $i"]),
            ("# it's about docker; docker run x\na # docker\ndocker build . # docker", vec!["docker build ."]),
            ("echo 'a; docker b'\nc", vec!["echo a; docker b"]),
            ("echo \"$(date) \\\" x\" | tee log; docker build .", vec!["docker build ."]),
            ("A=b\n[ ${A#b} ]; docker pull a", vec!["docker pull a"]),
            ("cat > x <<EOF\nit's $TEXT; {\nEOF\ndocker build .", vec!["docker build ."]),
            ("cat <<A; docker build .\nx\nA", vec!["docker build ."]),
            ("cat <<A <<B\nx\nA\ny\nB\ndocker build .", vec!["docker build ."]),
            ("cat <<-'A' | tee x\n\ta; b\n\tA\ndocker build . && cat <<B\nB", vec!["docker build ."]),
            ("while true; do ! docker build .; done", vec!["docker build ."]),
            ("cat < x\ndocker build .", vec!["docker build ."]),
            ("a\n\"docker\" build .", vec!["docker build ."]),
            ("echo \"it's\"; docker build .", vec!["docker build ."]),
            ("{ docker build .; }\nb", vec!["docker build ."]),
            ("case a in\nx) b;;\nesac\ndocker build .", vec!["docker build ."]),
        ] {
            assert_eq!(plain_commands(script), Some(expected.iter().map(ToString::to_string).collect()), "{script}");
            let all: Vec<String> = parse(script)
                .unwrap()
                .iter()
                .filter(|call| call.words.iter().any(|word| word.script().contains("docker")))
                .map(|call| call.words.iter().map(|word| word.script()).collect::<Vec<_>>().join(" "))
                .collect();
            assert_eq!(all, expected, "{script}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for script in [
            "docker build . > log",
            "x=$(docker build .)",
            "echo \"$(echo \"a; docker build . ; b\")\"",
            "echo \"`docker build .`\"",
            "cat <<EOF\ndocker build .\nEOF",
            "bash <<EOF\ndocker build .\nEOF",
            "cat <<EOF\n$(date)\nEOF\ndocker build .",
            "cat <<EOF\nx\ndocker build .",
            "cat <<EOF # x\na; docker build .\nEOF",
            "bash <<< 'docker build .'",
            "cat <<$X\nx\n$X\ndocker build .",
            "echo $'it\\'s; docker build .'",
            "cat <<'A B'\nx\nA\ndocker build .\nA B",
            // Quotes within quotes: no command of these is docker.
            "echo \"`a \"; docker build .; \"b`\"",
            "echo \"$(echo ')\"; docker build .; echo \"')\"",
            "docker build \\\n  .",
            "case a in x) docker build .;; esac",
            "f() { docker build .; }",
            "'; docker build .",
            "echo \"a; docker build .",
            "docker build . 2>&1",
            "if a; then docker build .",
            "docker build .; fi",
            "{ docker build .; done",
            "\\",
        ] {
            assert_eq!(plain_commands(script), None, "{script}");
        }
    }
}
