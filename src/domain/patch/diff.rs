//! How does the edit of a buildspec read as a unified diff?

use crate::domain::buildspec::splice::Splice;
use crate::domain::detect::redact;
use similar::TextDiff;
use std::fmt::Write as _;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The name of a buildspec that has no file.
const UNNAMED: &str = "buildspec.yml";

/// Of a file of the owner's: whole, so that `git apply` and `patch -p1` take it.
pub fn of_file(name: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let (old, new) = (path("a/", name), path("b/", name));
    diff.unified_diff().context_radius(CONTEXT).header(&old, &new).to_string()
}

/// Of a text in a project: context ends at the first line that holds what a redaction takes out, and where `phases` does,
/// as plain values of variables stand outside. Nothing where a line that is changed holds a secret, or all there is.
pub fn of_text(before: &str, after: &str) -> Option<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (lines(before), lines(after));
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let is_shown = |line: &&&str| redact(text_of(line)) == text_of(line);
    let (gone, come) = (&old[same..old.len() - rest], &new[same..new.len() - rest]);
    let is_inside = |line: &&&str| line.starts_with(' ');
    if !gone.iter().all(|line| is_shown(&line) && is_inside(&line)) {
        return None;
    }
    let near = old[..same].iter().rev().take(CONTEXT).take_while(is_shown);
    let inside = near.clone().take_while(is_inside).count();
    let above = near.count().min(inside + 1);
    let below = old[old.len() - rest..].iter().take(CONTEXT).take_while(is_shown).take_while(is_inside).count();
    let mut diff = format!("--- a/{UNNAMED}\n+++ b/{UNNAMED}\n");
    let (was, is) = (above + gone.len() + below, above + come.len() + below);
    // An empty range, which has no line above either, is named by the line before it.
    let start = |count: usize| if count == 0 { same } else { same - above + 1 };
    let _ = writeln!(diff, "@@ -{},{was} +{},{is} @@", start(was), start(is));
    old[same - above..same].iter().for_each(|line| push(&mut diff, ' ', line));
    gone.iter().for_each(|line| push(&mut diff, '-', line));
    come.iter().for_each(|line| push(&mut diff, '+', line));
    old[old.len() - rest..].iter().take(below).for_each(|line| push(&mut diff, ' ', line));
    Some(diff)
}

/// Of what the ledger keeps of an edit, without a line of the foreign text; nothing where the edit is within a line.
pub fn of_splice(splice: &Splice) -> Option<String> {
    let added = lines(&splice.insert);
    let login = added.iter().position(|line| line.contains("docker login"))?;
    let first = splice.line.checked_sub(login)?;
    if !splice.insert.ends_with('\n') || first == 0 {
        return None;
    }
    let mut diff = format!("--- a/{UNNAMED}\n+++ b/{UNNAMED}\n@@ -{},0 +{first},{} @@\n", first - 1, added.len());
    added.iter().for_each(|line| push(&mut diff, '+', line));
    Some(diff)
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn text_of(line: &str) -> &str {
    line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line))
}

fn push(diff: &mut String, sign: char, line: &str) {
    diff.push(sign);
    diff.push_str(line);
    if !line.ends_with('\n') {
        diff.push_str("\n\\ No newline at end of file\n");
    }
}

/// A file's name in a header: below the folder that it is in, quoted as git does where it has to be.
fn path(prefix: &str, name: &str) -> String {
    let relative = name.strip_prefix("./").unwrap_or(name);
    let leaves = relative.starts_with('/') || relative.split('/').any(|part| part == "..");
    let name = if leaves { relative.rsplit('/').next().unwrap_or(UNNAMED) } else { relative };
    if name.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) || !name.is_ascii() {
        let escaped: String = (prefix.to_string() + name).bytes().fold(String::new(), |mut text, byte| {
            match byte {
                b'"' | b'\\' => {
                    text.push('\\');
                    text.push(char::from(byte));
                }
                b' '..=b'~' => text.push(char::from(byte)),
                other => {
                    let _ = write!(text, "\\{other:03o}");
                }
            }
            text
        });
        return format!("\"{escaped}\"");
    }
    // A tab ends a name that has a blank.
    let end = if name.contains(' ') { "\t" } else { "" };
    format!("{prefix}{name}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::buildspec::login::Login;
    use crate::domain::buildspec::{Placement, place_login};
    use rstest::rstest;
    use std::fs;
    use std::process::Command;

    const TEXT: &str =
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n      - docker build .\n      - ls\n";

    fn edit(text: &str) -> (Splice, String) {
        match place_login(text, &Login::default()) {
            Placement::Insert(splice) => (splice.clone(), splice.apply(text).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// What a tool makes of a file of this name with this diff.
    fn applied(tool: &[&str], name: &str, before: &str, diff: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, before).unwrap();
        fs::write(folder.path().join("the.diff"), diff).unwrap();
        let run = Command::new(tool[0])
            .args(&tool[1..])
            .arg("the.diff")
            .current_dir(folder.path())
            .env("GIT_CEILING_DIRECTORIES", folder.path().parent().unwrap())
            .output()
            .unwrap();
        assert!(run.status.success(), "{tool:?}: {}\n{diff}", String::from_utf8_lossy(&run.stderr));
        fs::read_to_string(file).unwrap()
    }

    const GIT: [&str; 2] = ["git", "apply"];
    const PATCH: [&str; 4] = ["patch", "--batch", "-p1", "-i"];

    #[rstest]
    #[case::plain("buildspec.yml", TEXT.to_string())]
    #[case::in_a_folder("./ci/build spec.yml", TEXT.to_string())]
    #[case::named_badly("a\"b\\é.yml", TEXT.to_string())]
    #[case::windows("buildspec.yml", TEXT.replace('\n', "\r\n"))]
    #[case::without_an_end("buildspec.yml", TEXT.trim_end().to_string())]
    #[case::first_line_of_a_list("b.yml", TEXT.replace("      - make\n", ""))]
    #[case::flow("b.yml", "version: 0.2\nphases: {build: {commands: [\"docker build .\"]}}".to_string())]
    fn a_diff_of_a_file_is_taken_by_git_and_patch(#[case] name: &str, #[case] text: String) {
        let (_, after) = edit(&text);
        let diff = of_file(name, &text, &after);
        assert_eq!(applied(&GIT, name, &text, &diff), after);
        // `patch` reads CRLF as the line's end unless it is told not to.
        let binary = [PATCH[0], "--binary", PATCH[1], PATCH[2], PATCH[3]];
        assert_eq!(applied(&binary, name, &text, &diff), after);
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_named_by_its_end() {
        assert!(
            of_file("/srv/x/buildspec.yml", "a\n", "b\n").starts_with("--- a/buildspec.yml\n+++ b/buildspec.yml\n")
        );
        assert!(of_file("../y/b.yml", "a\n", "b\n").starts_with("--- a/b.yml\n"));
    }

    #[rstest]
    #[case("a b.yml", "--- a/a b.yml\t\n")]
    #[case("a\"b.yml", r#"--- "a/a\"b.yml""#)]
    #[case("a\\b.yml", r#"--- "a/a\\b.yml""#)]
    #[case("a\u{7}b.yml", r#"--- "a/a\007b.yml""#)]
    #[case("ü.yml", r#"--- "a/\303\274.yml""#)]
    fn a_name_is_quoted_as_git_quotes_it(#[case] name: &str, #[case] head: &str) {
        let diff = of_file(name, "a\n", "b\n");
        assert!(diff.starts_with(head), "{diff}");
    }

    #[test]
    fn between_two_secrets_only_the_line_that_comes_is_shown() {
        let secret = "GITHUB_TOKEN=ghp_0123456789abcdefghijklmnopqrstuvwxyz";
        let text = TEXT.replace("make", &format!("{secret} make")).replace("docker", &format!("{secret} docker"));
        let (_, after) = edit(&text);
        let diff = of_text(&text, &after).unwrap();
        assert!(diff.contains("\n@@ -5,0 +6,1 @@\n+") && !diff.contains("ghp_"), "{diff}");
        assert_eq!(applied(&["git", "apply", "--unidiff-zero"], "buildspec.yml", &text, &diff), after);
    }

    #[test]
    fn a_diff_of_a_text_is_one_of_a_file() {
        for text in [TEXT.to_string(), TEXT.trim_end().to_string(), TEXT.replace("      - make\n", "")] {
            let (_, after) = edit(&text);
            assert_eq!(of_text(&text, &after).unwrap(), of_file("buildspec.yml", &text, &after));
        }
    }

    #[test]
    fn context_stays_within_the_phases() {
        let text = "version: 0.2\nenv:\n  variables:\n    A: plain\nphases:\n  build:\n    commands: [ls,\n      docker build .]\ncache:\n  paths: [x]\n";
        let (_, after) = edit(text);
        let diff = of_text(text, &after).unwrap();
        assert!(diff.contains("\n phases:\n") && !diff.contains("plain") && !diff.contains("cache"), "{diff}");
        assert_eq!(applied(&PATCH, "buildspec.yml", text, &diff), after);
        let one_line = "{\"version\": 0.2, \"env\": {\"variables\": {\"A\": \"plain\"}}, \"phases\": {\"build\": {\"commands\": [\"docker build .\"]}}}";
        assert_eq!(of_text(one_line, &edit(one_line).1), None);
    }

    #[test]
    fn no_context_shows_a_secret() {
        let secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
        let with_secret = |command: &str| TEXT.replace(command, &format!("GITHUB_TOKEN={secret} {command}"));
        let (_, after) = edit(&with_secret("ls"));
        let diff = of_text(&with_secret("ls"), &after).unwrap();
        assert!(!diff.contains("ghp_"), "{diff}");
        let text = with_secret("make");
        let (_, after) = edit(&text);
        let diff = of_text(&text, &after).unwrap();
        assert!(!diff.contains("ghp_") && diff.contains("       - docker build .\n"), "{diff}");
        assert_eq!(applied(&PATCH, "buildspec.yml", &text, &diff), after);
        let inside =
            format!("version: 0.2\nphases: {{build: {{commands: [\"docker build --build-arg TOKEN={secret} .\"]}}}}\n");
        let (splice, after) = edit(&inside);
        assert_eq!((of_text(&inside, &after), of_splice(&splice)), (None, None));
    }

    #[test]
    fn what_the_ledger_keeps_makes_a_diff_without_the_foreign_text() {
        for text in [TEXT.to_string(), TEXT.replace('\n', "\r\n"), TEXT.replace("phases", "# a comment\nphases")] {
            let (splice, after) = edit(&text);
            let diff = of_splice(&splice).unwrap();
            assert!(!diff.contains("docker build"), "{diff}");
            let binary = [PATCH[0], "--binary", PATCH[1], PATCH[2], PATCH[3]];
            assert_eq!(applied(&binary, "buildspec.yml", &text, &diff), after);
            assert_eq!(applied(&["git", "apply", "--unidiff-zero"], "buildspec.yml", &text, &diff), after);
        }
    }
}
