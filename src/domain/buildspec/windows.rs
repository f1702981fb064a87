//! Which commands does a PowerShell or `cmd.exe` script run?
//!
//! No parser for these is at hand, so this only splits at what ends a command and respects quotes. It is used to find
//! docker commands, whose words are simple; what it can't tell it leaves as one word too many.

use super::login::Shell;
use super::shell::Call;
use super::word::{Part, Word};

/// The commands of a script, in order.
pub(super) fn read(script: &str, shell: Shell) -> Vec<Call> {
    let (joiner, separators) = match shell {
        Shell::Cmd => ('^', "&|()\n"),
        Shell::Sh | Shell::PowerShell => ('`', ";&|(){}\n"),
    };
    let joined = script.replace("\r\n", "\n").replace(&format!("{joiner}\n"), " ");
    let mut calls = vec![Call::default()];
    let mut word = String::new();
    let mut quote = None;
    let mut comment = false;
    for c in joined.chars().chain(['\n']) {
        let in_variable = c == '{' && word.ends_with('$') || c == '}' && word.contains("${");
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.push(c),
            None if comment && c != '\n' => {}
            None if c == '#' && word.is_empty() && shell != Shell::Cmd => comment = true,
            None if c == '"' || c == '\'' && shell != Shell::Cmd => quote = Some(c),
            None if c.is_whitespace() || separators.contains(c) && !in_variable => {
                comment = false;
                finish(&mut calls, &mut word, shell);
                if separators.contains(c) {
                    calls.push(Call::default());
                }
            }
            None => word.push(c),
        }
    }
    calls.retain(|call| !call.words.is_empty() && !is_remark(call));
    calls
}

fn finish(calls: &mut [Call], word: &mut String, shell: Shell) {
    let word = std::mem::take(word);
    if let Some(call) = calls.last_mut().filter(|_| !word.is_empty()) {
        call.words.push(Word { parts: parts(&word, shell) });
    }
}

fn is_remark(call: &Call) -> bool {
    let first = call.words.first().and_then(Word::literal).unwrap_or_default();
    first.eq_ignore_ascii_case("rem") || first.starts_with("::")
}

/// Splits `$env:NAME`, `$NAME`, `${NAME}` or `%NAME%` from the text around it.
fn parts(word: &str, shell: Shell) -> Vec<Part> {
    let mark = if shell == Shell::Cmd { '%' } else { '$' };
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some(at) = rest.find(mark) {
        let (text, tail) = rest.split_at(at);
        parts.push(Part::Text(text.to_string()));
        let name_start = tail.trim_start_matches([mark, '{']);
        let name_start = name_start.strip_prefix("env:").unwrap_or(name_start);
        let end = name_start.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name_start.len());
        let (name, after) = name_start.split_at(end);
        parts.push(Part::Variable(name.to_string(), String::new()));
        rest = after.strip_prefix(['%', '}']).unwrap_or(after);
    }
    parts.push(Part::Text(rest.to_string()));
    parts.retain(|part| *part != Part::Text(String::new()));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(script: &str, shell: Shell) -> Vec<String> {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable(name, _) => format!("<{name}>"),
            Part::Other(_) => String::new(),
        };
        let line = |call: &Call| {
            let words = call.words.iter().map(|word| word.parts.iter().map(text).collect::<String>());
            words.collect::<Vec<_>>().join(" ")
        };
        read(script, shell).iter().map(line).collect()
    }

    #[test]
    fn powershell_is_split_at_what_ends_a_command() {
        let script = "if ($a) { docker build -t \"$env:REPO`:x y\" . }; a | b # docker\r\ndocker `\r\n pull ${env:X}/y";
        assert_eq!(
            lines(script, Shell::PowerShell),
            ["if", "<a>", "docker build -t <REPO>`:x y .", "a", "b", "docker pull <X>/y"]
        );
    }

    #[test]
    fn cmd_is_split_at_what_ends_a_command() {
        let script = "rem docker build\n:: docker build\nif exist a (docker build -t %REPO%:x .) & docker ^\n push 'a'";
        assert_eq!(lines(script, Shell::Cmd), ["if exist a", "docker build -t <REPO>:x .", "docker push 'a'"]);
    }
}
