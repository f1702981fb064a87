//! Which command printed a line: one that pulls, or one that shows a text?
//!
//! The agent, a shell's trace and a prompt name the command before its output. What `git log`, `echo` or `cat README.md`
//! prints is a quotation, whatever it looks like. A command that may do more than show a text is left to the other rules.

use crate::domain::detect::clean::Line;
use crate::domain::detect::echo::{self, Agent};

/// More commands are in no pipe.
const PIPE: usize = 3;

/// Whether the last command named before a line shows a text and does nothing else. A trace names all commands of a pipe, in
/// any order.
pub fn is_shown(lines: &[Line], at: usize) -> bool {
    let before = lines.get(..at).unwrap_or_default();
    let Some(last) = before.iter().rposition(|line| command(line).is_some()) else { return false };
    let traced = before.get(..=last).unwrap_or_default().iter().rev();
    let traced = traced.take_while(|line| line.text.starts_with('+')).skip(1).filter_map(command);
    before.get(last).and_then(command).is_some_and(shows_text)
        && traced.take(PIPE).all(|command| part_shows(command).is_some())
}

/// Where on its line a value begins that a shell's trace shows as what a command printed: `++ docker pull a`, then
/// `+ out='…`. The command stands one deeper, and is none that shows a text.
pub fn traced_output(lines: &[Line], at: usize) -> Option<usize> {
    let depth = |text: &str| text.len() - text.trim_start_matches('+').len();
    let text = lines.get(at)?.text.as_str();
    let ran = lines.get(at.checked_sub(1)?)?;
    let (name, _) = text.get(depth(text)..)?.strip_prefix(' ')?.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_output = depth(text) > 0
        && depth(&ran.text) == depth(text) + 1
        && command(ran).is_some_and(|command| part_shows(command).is_none());
    let value = depth(text) + 1 + name.len() + 1;
    let quote = usize::from(text.get(value..)?.starts_with(['\'', '"']));
    (is_name && is_output).then_some(value + quote)
}

/// The command that a line names as the one that runs next.
fn command(line: &Line) -> Option<&str> {
    match echo::agent(line) {
        Some(Agent::Running(command)) => return Some(command),
        // Another line of the agent's: no command runs.
        Some(_) => return Some(""),
        None => {}
    }
    let text = line.text.as_str();
    let traced = text.trim_start_matches('+');
    if traced.len() < text.len() {
        return traced.strip_prefix(' ').filter(|rest| !rest.starts_with(' '));
    }
    text.strip_prefix("$ ").or_else(|| of_windows_prompt(text))
}

/// `C:\src>type x`, `PS C:\src> cat x`.
pub fn of_windows_prompt(text: &str) -> Option<&str> {
    let text = text.strip_prefix("PS ").unwrap_or(text);
    let is_path = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.get(1..3) == Some(":\\");
    let (_, command) = text.split_once('>')?;
    is_path.then(|| command.trim_start())
}

/// Whether all that a command does is to show a text that is no log.
fn shows_text(command: &str) -> bool {
    let parts = || command.split(['&', '|', ';']).map(str::trim).filter(|part| !part.is_empty());
    let mut shows = false;
    for part in parts() {
        match part_shows(part) {
            None => return false,
            Some(does) => shows |= does,
        }
    }
    shows
}

/// Whether one command shows a text; nothing if it may do anything else.
fn part_shows(part: &str) -> Option<bool> {
    const IDLE: [&str; 9] = ["cd", "true", ":", "sleep", "ls", "pwd", "exit", "wc", "tr"];
    const SHOW: [&str; 9] = ["echo", "printf", "declare", "typeset", "type", "printenv", "env", "man", "Write-Host"];
    const FILE: [&str; 16] = [
        "cat", "head", "tail", "less", "more", "bat", "nl", "tac", "sed", "awk", "grep", "egrep", "rg", "diff", "jq",
        "yq",
    ];
    const GIT: [&str; 12] =
        ["log", "show", "diff", "blame", "grep", "shortlog", "reflog", "stash", "cherry", "tag", "rebase", "merge"];
    const REPORTS: [&str; 5] = ["test-results", "test-reports", "surefire-reports", "failsafe-reports", "junit"];
    let mut words = part.split_whitespace().skip_while(|word| ["sudo", "("].contains(word));
    let name = words.next()?;
    let rest: Vec<&str> = words.filter(|word| !word.starts_with('-')).collect();
    // What a variable or another command stands for is not known.
    let is_open = part.contains(['$', '`']);
    match name {
        "git" => {
            let verb = rest.iter().find(|word| !word.contains(['/', '='])).copied().unwrap_or_default();
            (GIT.contains(&verb) || ["commit", "am", "pull", "checkout", "switch", "fetch"].contains(&verb))
                .then_some(true)
        }
        "gh" | "glab" => {
            const ASKED: [&str; 4] = ["pr", "mr", "issue", "release"];
            rest.first().is_some_and(|kind| ASKED.contains(kind)).then_some(true)
        }
        // The log of another build.
        "aws" => (rest.first() == Some(&"logs")).then_some(true),
        _ if IDLE.contains(&name) => Some(false),
        "env" | "declare" | "typeset" if rest.iter().any(|word| !word.contains('=')) && name == "env" => None,
        // What they print stands in the command.
        "echo" | "printf" | "Write-Host" => {
            Some(["rate limit", "oomany", "oo Many", "429"].iter().any(|w| part.contains(w)))
        }
        _ if SHOW.contains(&name) && !is_open => Some(true),
        _ if FILE.contains(&name) && !is_open => {
            // A log may hold the refusal of an earlier step.
            let is_log = |word: &&str| {
                let word = word.trim_matches(['"', '\'']);
                [".log", ".out", ".err", ".txt"].iter().any(|end| word.ends_with(end)) && !is_example(word)
                    || ["/tmp/", "/var/", "/dev/", "log", "output"].iter().any(|part| word.contains(part))
                        && !is_source(word)
                        && !is_example(word)
            };
            let is_listed = rest.iter().any(|word| is_source(word.trim_matches(['"', '\''])) || is_example(word));
            // What this build's tests did.
            let is_report = |word: &&str| word.split('/').any(|folder| REPORTS.contains(&folder));
            if rest.iter().any(|word| is_log(word) || is_report(word)) { None } else { Some(is_listed) }
        }
        _ => None,
    }
}

/// Whether a path leads to source code or documentation.
fn is_source(path: &str) -> bool {
    const ENDS: [&str; 27] = [
        "md", "rst", "adoc", "html", "sh", "bash", "py", "rb", "js", "ts", "go", "rs", "java", "kt", "cs", "php",
        "yml", "yaml", "toml", "ini", "cfg", "json", "xml", "tf", "po", "ps1", "sql",
    ];
    const NAMES: [&str; 6] = ["README", "CHANGELOG", "Makefile", "Dockerfile", "Jenkinsfile", "HISTORY"];
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').is_some_and(|(_, end)| ENDS.contains(&end))
        || NAMES.iter().any(|start| name.starts_with(start))
}

/// Whether a path leads to what tests and documentation are made of.
pub fn is_example(path: &str) -> bool {
    const FOLDERS: [&str; 18] = [
        "test",
        "tests",
        "testdata",
        "fixture",
        "fixtures",
        "spec",
        "specs",
        "example",
        "examples",
        "sample",
        "samples",
        "golden",
        "snapshots",
        "__snapshots__",
        "mocks",
        "docs",
        "doc",
        "corpus",
    ];
    path.split('/').any(|folder| FOLDERS.contains(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::clean;
    use rstest::rstest;

    #[rstest]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command cat docs/runbook.md", true)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command cd ci && git log -3", true)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command git -C /src log --oneline | head -5", true)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command echo 'it failed'; cat tests/pull.log", true)]
    #[case("+ head -n 3 README.md", true)]
    #[case("++ grep -rn toomany ci/pull.sh", true)]
    #[case("$ gh pr view 12", true)]
    #[case("C:\\src>type docs\\x.md", true)]
    #[case("+ aws logs filter-log-events --log-group-name a", true)]
    #[case("+ aws ecr describe-images", false)]
    #[case("+ cat build/test-results/test/TEST-a.xml", false)]
    #[case("+ cat build/other/TEST-a.xml", true)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command cat build.log", false)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command cat docs/x.md && docker build .", false)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command cat $LOG", false)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command tail -n 40 /tmp/pull", false)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command cat images | xargs -n1 docker pull", false)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command git push", false)]
    #[case("+ git log\n+ ./build.sh", false)]
    #[case("[Container] 2026/03/09 08:14:03.1 Running command git log\n+ docker pull x", false)]
    #[case("", false)]
    fn the_last_command_tells_who_speaks(#[case] before: &str, #[case] expected: bool) {
        let lines = clean::lines(format!("{before}\nsomething\ntoomanyrequests: x").as_bytes(), 1, 0);
        assert_eq!(is_shown(&lines, lines.len() - 1), expected);
    }
}
