//! What a runner of several programs puts before each line: `[db] `, `web:build: `, `api-1  | `.
//!
//! No name tells such a prefix; that the lines near begin alike does. Without it, a line is what its program printed.

use crate::domain::detect::clean::Line;

/// How far the lines are looked at that may begin alike.
const REACH: usize = 4;
/// The longest prefix.
const LONGEST: usize = 80;
/// What ends one.
const JOINTS: [&str; 3] = [": ", "| ", "] "];

/// Takes off the prefix that a row shares with the lines near it, wherever a line has it. What it was.
pub fn take_off(lines: &mut [Line], at: u64) -> Option<String> {
    let row = lines.iter().position(|line| line.at == at)?;
    let prefix = dress(lines, row)?.to_string();
    take_off_known(lines, &prefix);
    Some(prefix)
}

/// Takes a prefix off the lines that have it.
pub fn take_off_known(lines: &mut [Line], prefix: &str) {
    lines.iter_mut().for_each(|line| line.without(prefix));
}

/// The prefix of a line, the shortest that most of the lines near begin with.
fn dress(lines: &[Line], at: usize) -> Option<&str> {
    let text = lines.get(at)?.text.as_str();
    let head = text.get(..text.floor_char_boundary(LONGEST))?;
    let near = lines.get(at.saturating_sub(REACH)..at).unwrap_or_default().iter();
    let near = near.chain(lines.get(at + 1..lines.len().min(at + 1 + REACH)).unwrap_or_default());
    let near = || near.clone().map(|line| line.text.as_str()).filter(|text| !text.trim().is_empty());
    let ends = JOINTS.iter().flat_map(|joint| head.match_indices(joint).map(|(at, joint)| at + joint.len()));
    let is_shared = |prefix: &&str| {
        let shared = near().filter(|line| line.starts_with(*prefix)).count();
        is_name(prefix) && (shared >= 2 || (shared == 1 && near().count() == 1))
    };
    ends.filter_map(|end| head.get(..end)).filter(is_shared).min_by_key(|prefix| prefix.len())
}

/// Whether a prefix is a name and a joint, and nothing that a table, a list or code has, nor a path that a search found.
fn is_name(prefix: &str) -> bool {
    let name = prefix.trim_end_matches([' ', ':', '|', ']']);
    let is_odd =
        name.contains(|c: char| !c.is_ascii_alphabetic()) || prefix.trim_end().ends_with('|') || name == "remote";
    let is_path = name.contains('/') && !name.starts_with('@') || name.contains("_test.");
    let has_file = name.rsplit_once('.').is_some_and(|(_, end)| end.chars().all(|c| c.is_ascii_lowercase()));
    is_odd
        && !(is_path && (has_file || name.contains(':')))
        && name.split_whitespace().count() <= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[' || c == '@')
        && !name.contains(['"', '\'', '=', '(', '{', '`', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::clean;
    use rstest::rstest;

    #[rstest]
    #[case("@a/b:c: x\n@a/b:c: ERROR: toomany\n@a/b:c: y", Some("@a/b:c: "))]
    #[case("[db] x\n[db] docker: toomany\n[web] y\n[db] z", Some("[db] "))]
    #[case("db.1    | x\ndb.1    | toomany\ndb.1    | z", Some("db.1    | "))]
    #[case("[db] x\n[db] toomany", Some("[db] "))]
    #[case("remote: x\nremote: a: toomany\nremote: z", Some("remote: "))]
    #[case("[db] x\n[db] docker: toomany\n[web] y", None)]
    #[case("Error: x\nError: toomany\nError: y", None)]
    #[case("want: x\nwant: toomany\nwant: y", None)]
    #[case("- a: x\n- a: toomany\n- a: y", None)]
    #[case("docs/ci.md: x\ndocs/ci.md: toomany\ndocs/ci.md: y", None)]
    fn what_the_lines_share_is_taken_off(#[case] text: &str, #[case] prefix: Option<&str>) {
        let mut lines = clean::lines(text.as_bytes(), 1, 0);
        let at = lines[1].at;
        assert_eq!(take_off(&mut lines, at).as_deref(), prefix);
        assert!(lines.iter().all(|line| prefix.is_none_or(|prefix| !line.text.starts_with(prefix))));
    }
}
