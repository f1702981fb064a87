//! What must hold for any bytes as a buildspec: shared by the fuzz target and the property tests.

use unthrottled::domain::buildspec::login::{Login, Shell};
use unthrottled::domain::buildspec::refusal::Refusal;
use unthrottled::domain::buildspec::splice::Splice;
use unthrottled::domain::buildspec::{Placement, place_login, take_back};

/// Panics where an edit is not right. Whatever is no edit has to be a reason with a place inside the text.
pub fn holds_for(bytes: &[u8]) {
    // What is not UTF-8 does not get this far: the command line says so, and AWS answers JSON.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for shell in [Shell::Sh, Shell::PowerShell, Shell::Cmd] {
        let login = Login { shell, ..Login::default() };
        match place_login(text, &login) {
            Placement::Insert(splice) => edit_holds(text, &login, &splice),
            Placement::AlreadyLoggedIn { line, .. } => is_inside(text, line),
            Placement::NotNeeded(spare) => is_inside(text, spare.line()),
            Placement::Refused(refusal) => {
                assert!(!refusal.to_string().is_empty());
                // Only where nothing is wrong, and docker is not used, there is no place to tell.
                let is_silent = matches!(refusal, Refusal::NoDockerUse { calls: None, .. });
                assert!(refusal.place().is_some() || is_silent, "{refusal}");
                refusal.place().into_iter().for_each(|(line, column)| {
                    is_inside(text, line);
                    assert!(column >= 1, "{refusal}");
                });
            }
        }
    }
}

fn is_inside(text: &str, line: usize) {
    let breaks = text.chars().filter(|c| matches!(c, '\n' | '\r')).count();
    assert!((1..=breaks + 2).contains(&line), "line {line} of {breaks} breaks");
}

fn edit_holds(text: &str, login: &Login, splice: &Splice) {
    let after = splice.apply(text).expect("the place is in the text");
    assert_eq!(after.len(), text.len() + splice.insert.len());
    assert_eq!(splice.undo(&after).as_deref(), Some(text), "undo is exact");
    assert_eq!(take_back(&after, splice).as_deref(), Some(text), "the careful undo, too");
    assert!(after.lines().nth(splice.line - 1).is_some_and(|line| line.contains("docker login")), "{}", splice.line);
    let again = place_login(&after, login);
    assert!(matches!(again, Placement::AlreadyLoggedIn { .. }), "{again:?}");
    another_parser_agrees(text, &after, splice);
}

/// A parser that shares no code with ours: what it could read before it can read after, and but for one string and the
/// keys of a new phase both say the same.
fn another_parser_agrees(before: &str, after: &str, splice: &Splice) {
    let read = |text: &str| serde_norway::from_str::<serde_norway::Value>(text.trim_start_matches('\u{feff}'));
    let Ok(before) = read(before) else { return };
    let after = read(after).expect("it can still be read");
    let (mut old, mut new) = (Vec::new(), Vec::new());
    strings(&before, &mut old);
    strings(&after, &mut new);
    let differs = old.iter().zip(&new).position(|(old, new)| old != new).unwrap_or(old.len());
    if old.len() == new.len() {
        let without = new[differs].replacen(&format!("{}\n", splice.command()), "", 1);
        assert_eq!(without, old[differs], "one line more in one script");
        assert_eq!(old[differs + 1..], new[differs + 1..]);
        return;
    }
    let more = new.len() - old.len();
    assert!(matches!(more, 1 | 3), "{more} strings more");
    let added = &new[differs..differs + more];
    assert_eq!(added.iter().filter(|text| text.contains("docker login")).count(), 1, "{added:?}");
    assert_eq!(old[differs..], new[differs + more..]);
}

/// All strings in order, keys included.
fn strings(value: &serde_norway::Value, into: &mut Vec<String>) {
    match value {
        serde_norway::Value::Sequence(items) => items.iter().for_each(|item| strings(item, into)),
        serde_norway::Value::Mapping(entries) => {
            for (key, value) in entries {
                strings(key, into);
                strings(value, into);
            }
        }
        serde_norway::Value::String(text) => into.push(text.clone()),
        serde_norway::Value::Tagged(tagged) => strings(&tagged.value, into),
        serde_norway::Value::Null | serde_norway::Value::Bool(_) | serde_norway::Value::Number(_) => {}
    }
}
