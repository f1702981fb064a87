//! Which commands and words are so plain that their parts can be told without a parser?

use super::shell::Call;
use super::word::{Part, Word};

/// What only the parser of words understands: commands, escapes, tildes, patterns in parentheses.
const SPECIAL: [char; 6] = ['`', '\\', '~', '<', '>', '('];

/// A script that is one command of plain words; nothing for any other.
pub(super) fn command(script: &str) -> Option<Call> {
    let mut call = Call::default();
    for written in words(script.trim())? {
        let word = Word { parts: parts(written)? };
        let value = written.split_once('=').filter(|(name, _)| is_name(name)).map(|(name, value)| (name, parts(value)));
        let is_assignment = value.is_some();
        if let Some((name, value)) = value {
            call.assignments.push((name.to_string(), Word { parts: value? }));
        }
        // Behind a command it is an argument, too, as it is written.
        if !is_assignment {
            call.words.push(word);
        } else if !call.words.is_empty() {
            call.words.push(Word::of(written));
        }
    }
    let first = call.words.first().and_then(Word::literal);
    (!first.is_some_and(|word| RESERVED.contains(&word.as_str()))).then_some(call)
}

/// Words that make more of a command than a program and its arguments.
const RESERVED: [&str; 18] = [
    "if", "then", "else", "elif", "fi", "case", "esac", "for", "select", "while", "until", "do", "done", "in", "time",
    "function", "coproc", "[[",
];

/// The words between blanks outside of quotes; nothing where a character might mean more.
fn words(script: &str) -> Option<Vec<&str>> {
    let mut words = Vec::new();
    let mut quote = None;
    let mut start = 0;
    for (at, c) in script.char_indices() {
        match (quote, c) {
            (_, '`' | '\\') => return None,
            (Some(open), _) => quote = Some(open).filter(|open| *open != c),
            (None, '"' | '\'') => quote = Some(c),
            (None, ' ' | '\t') => {
                words.extend(script.get(start..at).filter(|word| !word.is_empty()));
                start = at + 1;
            }
            (None, '\n' | '\r' | ';' | '&' | '|' | '(' | ')' | '<' | '>' | '#' | '!' | '{' | '}')
                if !is_brace_of(script, at) =>
            {
                return None;
            }
            (None, _) => {}
        }
    }
    words.extend(script.get(start..).filter(|word| !word.is_empty()));
    quote.is_none().then_some(words)
}

/// Whether this byte is a brace of `${NAME}`.
fn is_brace_of(script: &str, at: usize) -> bool {
    let (head, tail) = script.split_at(at);
    if tail.starts_with('{') {
        return head.ends_with('$');
    }
    tail.starts_with('}') && head.rfind("${").is_some_and(|open| is_name(&head[open + 2..]))
}

/// The parts of a word made of text, quotes and plain variables; nothing for any other.
pub(super) fn parts(word: &str) -> Option<Vec<Part>> {
    if word.contains(SPECIAL) {
        return None;
    }
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut quoted = false;
    let mut rest = word;
    while let Some(at) = rest.find(['$', '"', '\'']) {
        text.push_str(&rest[..at]);
        let (mark, tail) = rest[at..].split_at(1);
        rest = match mark {
            "\"" => {
                quoted = !quoted;
                tail
            }
            "'" if quoted => {
                text.push('\'');
                tail
            }
            "'" => {
                let (inner, tail) = tail.split_once('\'')?;
                text.push_str(inner);
                tail
            }
            _ => {
                let (name, tail) = variable(tail)?;
                flush(&mut text, &mut parts);
                let written = rest[at..rest.len() - tail.len()].to_string();
                parts.push(Part::Variable(name.to_string(), written));
                tail
            }
        };
    }
    text.push_str(rest);
    flush(&mut text, &mut parts);
    (!quoted).then_some(parts)
}

fn flush(text: &mut String, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text)));
    }
}

/// `NAME` or `{NAME}`, and what follows.
fn variable(tail: &str) -> Option<(&str, &str)> {
    if let Some(inner) = tail.strip_prefix('{') {
        let (name, tail) = inner.split_once('}')?;
        return is_name(name).then_some((name, tail));
    }
    let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len());
    let (name, tail) = tail.split_at(end);
    is_name(name).then_some((name, tail))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::buildspec::word::Word;
    use brush_parser::ParserOptions;
    use brush_parser::word::{Parameter, ParameterExpr, WordPiece, WordPieceWithSource};

    /// What the parser makes of a word, with neighbouring texts joined.
    fn parsed(word: &str) -> Vec<Part> {
        let pieces = brush_parser::word::parse(word, &ParserOptions::default()).unwrap();
        let mut parts = Vec::new();
        collect(&pieces, word, &mut parts);
        let mut joined: Vec<Part> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (_, Part::Text(text)) if text.is_empty() => {}
                (Some(Part::Text(before)), Part::Text(text)) => before.push_str(&text),
                (_, part) => joined.push(part),
            }
        }
        joined
    }

    fn collect(pieces: &[WordPieceWithSource], source: &str, parts: &mut Vec<Part>) {
        for piece in pieces {
            match &piece.piece {
                WordPiece::Text(text) | WordPiece::SingleQuotedText(text) => parts.push(Part::Text(text.clone())),
                WordPiece::DoubleQuotedSequence(inner) => collect(inner, source, parts),
                WordPiece::ParameterExpansion(ParameterExpr::Parameter {
                    parameter: Parameter::Named(name),
                    indirect: false,
                }) => {
                    let written = source[piece.start_index..piece.end_index].to_string();
                    parts.push(Part::Variable(name.clone(), written));
                }
                other => panic!("{other:?} is not plain"),
            }
        }
    }

    #[test]
    fn plain_words_are_read_as_the_parser_reads_them() {
        for word in [
            "a",
            "\"a b\"",
            "'a b'",
            "a\"b\"'c'd",
            "$A",
            "${A}",
            "\"$A\"",
            "\"${A}-1\"",
            "x$A/b:${C}y",
            "'$A'",
            "\"it's\"",
            "A=\"$B\"",
            "--build-arg=\"A=${B}\"",
            "{REPO}:{tag}",
            "a:b",
            "é\"ü$A\"",
            "$A$B",
            "\"\"",
            "''",
            "*",
            "[",
            "a[1]",
            "#",
            "!",
            "a%b",
            "$_",
            "x=\"a'b\"c'd\"e'",
        ] {
            assert_eq!(parts(word), Some(parsed(word)), "{word}");
        }
    }

    #[test]
    fn plain_commands_are_read_as_the_parser_reads_them() {
        for script in [
            "docker build -t app .",
            "  docker pull\t$A/b:${C}  ",
            "export A=b",
            "export A=\"${B}-1\" C='d e'",
            "A=b",
            "A=b C=\"$D\" docker run x",
            "docker build --build-arg A=\"$B\" .",
            "echo \"a; b | c\" 'd && e'",
            "sh -c 'docker build .'",
            "echo if for",
            "docker build -t a=b .",
        ] {
            let call = command(script).unwrap_or_else(|| panic!("{script}"));
            assert_eq!(Ok(vec![call]), crate::domain::buildspec::shell::parse(script), "{script}");
        }
        for script in
            ["a; b", "a\nb", "if a", "a # b", "! a", "{ a", "a $(b)", "a \\ b", "a > b", "x=(a)", "a {b,c}", "'a"]
        {
            assert_eq!(command(script), None, "{script}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for word in [
            "$(a)", "`a`", "${a:-b}", "${a#b}", "${#a}", "$1", "$$", "$?", "$'a'", "a\\b", "~", "\"a", "'a", "${a",
            "$\"a\"", "$", "<(a)",
        ] {
            assert_eq!(parts(word), None, "{word}");
        }
        assert_eq!(Word { parts: parts("a").unwrap() }, Word::of("a"));
    }
}
