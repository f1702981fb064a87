//! Which bytes put the login in its place, and do they change nothing else?

use super::document::{Document, Kind, Node, NodeId, Piece};
use super::place::Place;
use super::quote;
use super::refusal::{Refusal, Unsupported};
use super::splice::Splice;
use granit_parser::{ScalarStyle, StructureStyle};
use std::rc::Rc;

/// The insertion for this place, proven.
pub(super) fn edit(
    document: &Document,
    text: &str,
    (place, phase): (Place, &'static str),
    line: &str,
) -> Result<Splice, Refusal> {
    let (at, insert) = bytes(document, text, place, line).ok_or_else(|| unproven(document, place))?;
    let after = [&text[..at], &insert, &text[at..]].concat();
    let parsed = Document::parse(&after).map_err(|_| unproven(document, place))?;
    if !is_proven(document, &parsed, place, line) {
        return Err(unproven(document, place));
    }
    let login_at = insert.find(line.get(..4).unwrap_or(line)).unwrap_or_default();
    let line = text[..at].matches('\n').count() + insert[..login_at].matches('\n').count() + 1;
    let above = text[at..].lines().next().unwrap_or_default();
    Ok(Splice { at, insert, line, phase: phase.to_string(), above: quote::quote(above) })
}

fn unproven(document: &Document, place: Place) -> Refusal {
    let (Place::AboveItem(id) | Place::BeforeElement(id) | Place::FirstLine(id) | Place::NewPhase(_, id)) = place;
    let node = document.as_written(id);
    let (line, column) = (node.line, node.column);
    Refusal::NotSupported { line, column, what: Unsupported::Unproven }
}

/// Where to insert, and what.
fn bytes(document: &Document, text: &str, place: Place, line: &str) -> Option<(usize, String)> {
    match place {
        Place::AboveItem(item) => {
            let dash = dash_line(document, text, item)?;
            let indent = blanks(&text[dash..]);
            let eol = eol(text, dash);
            Some((above_comments(document, text, dash), format!("{indent}- {line}{eol}")))
        }
        Place::BeforeElement(element) => {
            let at = document.as_written(element).start;
            let quoted = serde_json::to_string(line).ok()?;
            let head = &text[line_start(text, at)..at];
            let separator = if head.trim().is_empty() && !head.is_empty() {
                format!("{}{head}", eol(text, at))
            } else {
                " ".to_string()
            };
            Some((at, format!("{quoted},{separator}")))
        }
        Place::FirstLine(scalar) => {
            let node = document.as_written(scalar);
            let mut at = line_start(text, node.start);
            let indent = blanks(&text[at..]);
            if text[node.start..].starts_with("#!") {
                at = next_line(text, at)?;
            }
            Some((at, format!("{indent}{line}{}", eol(text, at))))
        }
        Place::NewPhase(name, key) => {
            let at = document.as_written(key).start;
            new_phase(text, at, name, line)
        }
    }
}

/// A phase with the login as its only command, in the style of its neighbour.
fn new_phase(text: &str, at: usize, name: &str, line: &str) -> Option<(usize, String)> {
    let start = line_start(text, at);
    let indent = &text[start..at];
    if text[at..].starts_with(['"', '\'']) || !indent.trim().is_empty() {
        let quoted = serde_json::to_string(line).ok()?;
        let separator = if indent.trim().is_empty() { format!("{}{indent}", eol(text, at)) } else { " ".to_string() };
        return Some((at, format!("\"{name}\": {{\"commands\": [{quoted}]}},{separator}")));
    }
    let eol = eol(text, at);
    let step = if indent.is_empty() { "  " } else { indent };
    let insert = format!("{indent}{name}:{eol}{indent}{step}commands:{eol}{indent}{step}{step}- {line}{eol}");
    Some((start, insert))
}

/// The start of the line on which the dash of this item stands.
fn dash_line(document: &Document, text: &str, item: NodeId) -> Option<usize> {
    let node = document.as_written(item);
    let mut start = line_start(text, node.start);
    // The text of a block scalar stands below its dash, and may begin with a dash itself.
    if is_block_scalar(node) {
        start = previous_line(text, start)?;
    }
    loop {
        let content = text[start..].lines().next().unwrap_or_default().trim_start_matches(' ');
        if content == "-" || content.starts_with("- ") || content.starts_with("-\t") {
            return Some(start);
        }
        let is_comment = document.is_comment(start + blanks(&text[start..]).len());
        let is_property = content.starts_with(['&', '!']);
        if start != line_start(text, node.start) && !content.trim().is_empty() && !is_comment && !is_property {
            return None;
        }
        start = previous_line(text, start)?;
    }
}

fn is_block_scalar(node: &Node) -> bool {
    matches!(node.kind, Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
}

/// The start of the comments that stand right above this line and speak of it. A command that is commented out speaks
/// of nothing.
fn above_comments(document: &Document, text: &str, mut start: usize) -> usize {
    while let Some(above) = previous_line(text, start) {
        let line = &text[above..start];
        let indent = blanks(line).len();
        let comment = line.trim_start_matches(' ').trim_start_matches('#').trim_start();
        if !document.is_comment(above + indent) || comment.starts_with("- ") {
            break;
        }
        start = above;
    }
    start
}

/// Whether the text after means what the one before meant plus the login, and nothing else.
fn is_proven(before: &Document, after: &Document, place: Place, line: &str) -> bool {
    if !before.comments().eq(after.comments()) {
        return false;
    }
    let (before, after) = (before.pieces(), after.pieces());
    let command = |style| Piece::Scalar(Rc::from(line), style);
    let same = before.iter().zip(after).take_while(|(before, after)| before == after).count();
    let added = match place {
        Place::AboveItem(_) => vec![command(ScalarStyle::Plain)],
        Place::BeforeElement(_) => vec![command(ScalarStyle::DoubleQuoted)],
        Place::FirstLine(_) => return is_one_more_line(before, after, same, line),
        Place::NewPhase(name, _) => {
            let flow = after.get(same + 1) == Some(&Piece::Map(StructureStyle::Flow));
            let (style, key, scalar) = if flow {
                (StructureStyle::Flow, ScalarStyle::DoubleQuoted, ScalarStyle::DoubleQuoted)
            } else {
                (StructureStyle::Block, ScalarStyle::Plain, ScalarStyle::Plain)
            };
            vec![
                Piece::Scalar(Rc::from(name), key),
                Piece::Map(style),
                Piece::Scalar(Rc::from("commands"), key),
                Piece::List(style),
                command(scalar),
                Piece::End,
                Piece::End,
            ]
        }
    };
    // Equal neighbours could make the common head longer than the place; any split with the same result is as good.
    (0..=same).rev().any(|at| {
        after.len() == before.len() + added.len()
            && after[at..].starts_with(&added)
            && after[at + added.len()..] == before[at..]
    })
}

/// Whether the text without the insertion means the same as the one with it, but for the one command that it brought.
pub(super) fn is_undone(with: &str, without: &str, insert: &str) -> bool {
    let (Ok(with), Ok(without)) = (Document::parse(with), Document::parse(without)) else {
        return false;
    };
    if !with.comments().eq(without.comments()) {
        return false;
    }
    let (with, without) = (with.pieces(), without.pieces());
    let same = without.iter().zip(with).take_while(|(without, with)| without == with).count();
    if with.len() == without.len() {
        return is_one_more_line(without, with, same, insert.trim());
    }
    let Some(more) = with.len().checked_sub(without.len()) else {
        return false;
    };
    (0..=same).rev().any(|at| {
        let added = &with[at..at + more];
        let logins = added.iter().filter(|piece| is_login(piece, insert)).count();
        // The login alone, or in a phase that was made for it.
        logins == 1 && matches!(more, 1 | 7) && with[at + more..] == without[at..]
    })
}

fn is_login(piece: &Piece, insert: &str) -> bool {
    matches!(piece, Piece::Scalar(text, _) if text.contains("docker login")
        && (insert.contains(&**text) || insert.contains(&text.replace('"', "\\\""))))
}

/// Whether one literal text has the login as one more line, and all else is the same.
fn is_one_more_line(before: &[Piece], after: &[Piece], at: usize, line: &str) -> bool {
    let (Some(Piece::Scalar(old, ScalarStyle::Literal)), Some(Piece::Scalar(new, ScalarStyle::Literal))) =
        (before.get(at), after.get(at))
    else {
        return false;
    };
    let added = format!("{line}\n");
    let is_added = new.match_indices(&added).any(|(start, _)| {
        (start == 0 || new[..start].ends_with('\n')) && [&new[..start], &new[start + added.len()..]].concat() == **old
    });
    is_added && before[at + 1..] == after[at + 1..]
}

/// The blanks that this text begins with.
fn blanks(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(' ').len()]
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn next_line(text: &str, at: usize) -> Option<usize> {
    text[at..].find('\n').map(|newline| at + newline + 1)
}

/// The start of the line above the one that starts here.
fn previous_line(text: &str, start: usize) -> Option<usize> {
    let end = start.checked_sub(1)?;
    Some(line_start(text, end))
}

/// The line break of the line at this byte; on a last line without one, that of the line above.
fn eol(text: &str, at: usize) -> &'static str {
    let newline = text[at..].find('\n').map(|newline| at + newline).or_else(|| text[..at].rfind('\n'));
    if newline.is_some_and(|newline| text[..newline].ends_with('\r')) { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const BEFORE: &str =
        "phases:\n  build:\n    commands:\n      - a b\n      - |\n        c\n      # d\n      - 'e'\n";

    /// Whether this text passes as `BEFORE` with the login `L` in it.
    fn passes(after: &str) -> bool {
        let (before, after) = (Document::parse(BEFORE).unwrap(), Document::parse(after).unwrap());
        is_proven(&before, &after, Place::AboveItem(before.root()), "L")
    }

    #[test]
    fn one_more_command_passes_wherever_it_stands() {
        for item in ["      - a b\n", "      - |\n", "      - 'e'\n"] {
            assert!(passes(&BEFORE.replace(item, &format!("      - L\n{item}"))), "{item}");
        }
    }

    #[test]
    fn anything_else_that_changes_does_not_pass() {
        for (what, from, to) in [
            ("nothing new", "", ""),
            ("two of them", "      - 'e'", "      - L\n      - L\n      - 'e'"),
            ("part of a block", "        c\n", "        c\n        - L\n"),
            ("part of a plain command", "a b\n", "a b\n        - L\n"),
            ("a comment lost", "      # d\n", "      - L\n"),
            ("a comment swallowed", "      # d\n", "      - L\n        # d\n      - |\n        # d\n"),
            ("other quotes", "      - 'e'", "      - L\n      - e"),
            ("another command", "      - a b", "      - L\n      - a c"),
            ("another line", "      - a b", "      - M\n      - a b"),
            ("a list of its own", "      - a b", "      - - L\n      - a b"),
        ] {
            assert!(!passes(&BEFORE.replacen(from, to, 1)), "{what}");
        }
    }

    const WITH: &str = "phases:\n  build:\n    commands:\n      - a\n      # b\n      - docker login L\n      - c\n";

    /// Whether a text counts as `WITH` before the login came.
    #[rstest]
    #[case("phases:\n  build:\n    commands:\n      - a\n      # b\n      - c\n", true)]
    #[case(WITH, false)]
    #[case("phases:\n  build:\n    commands:\n      - a\n      - c\n", false)]
    #[case("phases:\n  build:\n    commands:\n      - a\n      # b\n      - d\n", false)]
    #[case("phases:\n  build:\n    commands:\n      - a\n      # b\n", false)]
    #[case("phases:\n  build:\n    commands:\n      - a\n      # b\n      - docker login L\n", false)]
    #[case("phases: [\n", false)]
    fn only_the_login_may_be_gone(#[case] without: &str, #[case] expected: bool) {
        assert_eq!(is_undone(WITH, without, "      - docker login L\n"), expected);
    }

    #[rstest]
    #[case("docker login L\na\nb\n", "a\nb\n", true)]
    #[case("a\ndocker login L\nb\n", "a\nb\n", true)]
    #[case("docker login L\na\nb\n", "a\nc\n", false)]
    #[case("a\necho docker login L\nb\n", "a\necho b\n", false)]
    fn only_the_line_of_the_login_may_be_gone(#[case] with: &str, #[case] without: &str, #[case] expected: bool) {
        let text = |script: &str, next: &str| {
            let script = script.replace('\n', "\n      ");
            format!(
                "phases:\n  build:\n    commands: |\n      {}\n  post_build:\n    commands: {next}\n",
                script.trim_end()
            )
        };
        let is_undone = |next| is_undone(&text(with, "d"), &text(without, next), "      docker login L\n");
        assert_eq!(is_undone("d"), expected);
        assert!(!is_undone("e"), "another command is another");
    }
}
