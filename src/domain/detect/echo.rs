//! Lines that CodeBuild's agent writes itself: phases, and the commands that it echoes.
//!
//! The agent repeats each command before it runs it, again if it fails, and once more as the phase's context. A command
//! that looks for a message puts that message into every log, over as many lines as the command has.

use crate::domain::detect::clean::Line;
use crate::domain::detect::finder::Finder;
use std::sync::LazyLock;

/// What one of the agent's own lines says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent<'a> {
    /// `Entering phase BUILD`.
    Entering(&'a str),
    /// `Phase complete: BUILD State: FAILED`, or `Success: false` in older logs.
    Complete {
        /// The phase.
        phase: &'a str,
        /// Whether it ended well.
        succeeded: bool,
    },
    /// The echo of a command that runs now.
    Running(&'a str),
    /// A line that ends with how the command ended.
    Ended(&'a str),
    /// Another line of the agent's.
    Other,
}

/// What a line says, if it is the agent's. Without the stamp only what nobody else would write is taken for it.
pub fn agent(line: &Line) -> Option<Agent<'_>> {
    let text = line.text.as_str();
    if let Some(phase) = text.strip_prefix("Entering phase ") {
        return Some(Agent::Entering(phase.trim()));
    }
    if let Some(rest) = text.strip_prefix("Phase complete: ") {
        let (phase, state) = rest.split_once(' ').unwrap_or((rest, ""));
        let succeeded = state.contains("SUCCEEDED") || state.contains("Success: true");
        return Some(Agent::Complete { phase, succeeded });
    }
    if text.starts_with("Command did not exit successfully ") || text.starts_with("Phase context status code: ") {
        return Some(Agent::Ended(text));
    }
    if !line.stamped {
        return None;
    }
    const OTHERS: [&str; 7] = [
        "Waiting for agent ping",
        "Waiting for DOWNLOAD_SOURCE",
        "Phase is DOWNLOAD_SOURCE",
        "CODEBUILD_SRC_DIR=",
        "YAML location is",
        "Processing environment variables",
        "Found possible syntax errors",
    ];
    match text.strip_prefix("Running command ") {
        Some(command) => Some(Agent::Running(command)),
        None => OTHERS.iter().any(|start| text.starts_with(start)).then_some(Agent::Other),
    }
}

/// Whether one of the agent's own lines may stand in a piece of a log.
pub fn may_be_agents(raw: &[u8]) -> bool {
    const SIGNS: [&str; 5] =
        ["[Container]", "Entering phase ", "Phase complete: ", "Command did not exit ", "Phase context status "];
    static FINDER: LazyLock<Option<Finder>> = LazyLock::new(|| Finder::of(SIGNS));
    FINDER.as_ref().is_none_or(|signs| signs.find(raw, 0).is_some())
}

/// Which lines are echo: the agent's lines themselves and the lines that continue an echoed command.
pub fn echoed(lines: &[Line]) -> Vec<bool> {
    let mut echoed = vec![false; lines.len()];
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        let end = match agent(line) {
            None => index,
            Some(Agent::Running(command)) => command_end(command, lines, index),
            Some(Agent::Ended(text)) => report_end(text, lines, index),
            Some(_) => index + 1,
        };
        for flag in echoed.iter_mut().take(end).skip(index) {
            *flag = true;
        }
        index = end.max(index + 1);
    }
    echoed
}

/// Whether what the first line echoes is over within these lines, whatever follows. True if it is no echo.
pub fn is_over(lines: &[Line]) -> bool {
    let Some(first) = lines.first() else { return false };
    // The last line may go on behind what is seen.
    let whole = lines.get(..lines.len() - 1).unwrap_or_default();
    match agent(first) {
        Some(Agent::Running(command)) => shell_end(command, whole, 0).is_some(),
        Some(Agent::Ended(text)) => report_end(text, whole, 0) < whole.len(),
        _ => !whole.is_empty(),
    }
}

/// The line after a report, which ends with `exit status <n>`.
fn report_end(text: &str, lines: &[Line], index: usize) -> usize {
    if text.contains("exit status ") || text.starts_with("Phase context status code:  ") || is_finished_context(text) {
        return index + 1;
    }
    let next_agent = next_agent(lines, index);
    let is_end = |line: &Line| line.text.contains("exit status ");
    let end = lines.iter().take(next_agent).skip(index + 1).position(is_end);
    // Without its end in sight, a report reaches to the agent's next line, for nothing of the build runs between them.
    end.map_or(next_agent, |offset| index + 2 + offset)
}

/// A context without a command is one line: `Phase context status code: YAML_FILE_ERROR Message: …`.
fn is_finished_context(text: &str) -> bool {
    text.starts_with("Phase context status code: ") && !text.contains("Error while executing command: ")
}

/// The line after an echoed command: where the shell would have read all of it.
fn command_end(command: &str, lines: &[Line], index: usize) -> usize {
    // Never complete: the shell is another one, or the log is cut. Then only the first line is sure.
    shell_end(command, lines, index).unwrap_or(index + 1)
}

fn shell_end(command: &str, lines: &[Line], index: usize) -> Option<usize> {
    let limit = next_agent(lines, index);
    let mut shell = Shell::default();
    shell.read(command);
    let mut end = index + 1;
    while !shell.is_complete() {
        match lines.get(end) {
            Some(line) if end < limit => shell.read(&line.text),
            _ => return None,
        }
        end += 1;
    }
    Some(end)
}

fn next_agent(lines: &[Line], index: usize) -> usize {
    let offset = lines.iter().skip(index + 1).position(|line| agent(line).is_some());
    offset.map_or(lines.len(), |offset| index + 1 + offset)
}

/// How much of a command a shell has read: open quotes, blocks and documents.
#[derive(Debug, Default)]
struct Shell {
    quote: Option<char>,
    /// Open blocks by what opened them: `(`, `{`, or `k` for a keyword.
    blocks: Vec<char>,
    document: Option<String>,
    continues: bool,
}

impl Shell {
    fn is_complete(&self) -> bool {
        self.quote.is_none() && self.blocks.is_empty() && self.document.is_none() && !self.continues
    }

    fn read(&mut self, line: &str) {
        if let Some(end) = &self.document {
            if line.trim() == end {
                self.document = None;
            }
            return;
        }
        let mut word = String::new();
        let mut is_command = self.quote.is_none();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            if let Some(quote) = self.quote {
                match c {
                    '\\' if quote == '"' => {
                        chars.next();
                    }
                    _ if c == quote => self.quote = None,
                    _ => {}
                }
                continue;
            }
            match c {
                '\\' => {
                    word.push(chars.next().unwrap_or('\\'));
                }
                '\'' | '"' => {
                    self.quote = Some(c);
                    word.push('_');
                }
                '#' if word.is_empty() => break,
                '<' if chars.peek() == Some(&'<') => self.begin_document(&mut chars),
                '(' | '{' => {
                    self.blocks.push(c);
                    self.word(&mut word, &mut is_command);
                    is_command = true;
                }
                ')' | '}' => {
                    self.word(&mut word, &mut is_command);
                    // The `a)` of a case closes nothing.
                    self.blocks.pop_if(|open| matches!((*open, c), ('(', ')') | ('{', '}')));
                    is_command = true;
                }
                ';' | '&' | '|' => {
                    self.word(&mut word, &mut is_command);
                    is_command = true;
                }
                c if c.is_whitespace() => self.word(&mut word, &mut is_command),
                c => word.push(c),
            }
        }
        self.word(&mut word, &mut is_command);
        let end = line.trim_end();
        self.continues = end.ends_with('\\') || end.ends_with("&&") || end.ends_with("||") || end.ends_with('|');
    }

    /// `<<EOF`, `<<-'EOF'`; `<<<` is a string.
    fn begin_document(&mut self, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        chars.next();
        if chars.next_if_eq(&'<').is_some() {
            return;
        }
        chars.next_if_eq(&'-');
        while chars.next_if_eq(&' ').is_some() {}
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || "_'\"".contains(*c)) {
            name.push(c);
        }
        self.document = Some(name.trim_matches(['\'', '"']).to_string());
    }

    /// Keywords count only where a command may stand.
    fn word(&mut self, word: &mut String, is_command: &mut bool) {
        if word.is_empty() {
            return;
        }
        if *is_command {
            match word.as_str() {
                "if" | "case" | "for" | "while" | "until" | "select" => self.blocks.push('k'),
                "fi" | "esac" | "done" => {
                    self.blocks.pop_if(|open| *open == 'k');
                }
                _ => {}
            }
        }
        *is_command = *is_command
            && matches!(word.as_str(), "then" | "do" | "else" | "elif" | "!" | "time" | "if" | "while" | "until");
        word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detect::clean;

    fn echo_of(text: &str) -> String {
        let lines = clean::lines(text.as_bytes(), 1, 0);
        echoed(&lines).iter().map(|echo| if *echo { 'e' } else { '.' }).collect()
    }

    const STAMP: &str = "[Container] 2025/03/11 08:14:02.118203";

    #[test]
    fn a_command_of_one_line_is_one_line() {
        assert_eq!(echo_of(&format!("{STAMP} Running command if grep -q x pull.log; then echo y; fi\ny")), "e.");
        assert_eq!(echo_of(&format!("{STAMP} Running command docker build -t app .\nout")), "e.");
        assert_eq!(echo_of(&format!("{STAMP} Running command echo \"it's {{\" # don't\nout")), "e.");
    }

    #[test]
    fn a_command_goes_on_until_the_shell_has_it_all() {
        let run = format!("{STAMP} Running command");
        assert_eq!(echo_of(&format!("{run} for i in 1 2; do\n  docker pull x &&\n  break\ndone\nout")), "eeee.");
        assert_eq!(echo_of(&format!("{run} docker build \\\n  -t app .\nout")), "ee.");
        assert_eq!(echo_of(&format!("{run} cat <<EOF\ntoomanyrequests: x\nEOF\nout")), "eee.");
        assert_eq!(echo_of(&format!("{run} echo 'a\nb'\nout")), "ee.");
        assert_eq!(echo_of(&format!("{run} case $x in\n a) echo a;;\nesac\nout")), "eee.");
        assert_eq!(echo_of(&format!("{run} f() {{\n echo\n}}\nout")), "eee.");
    }

    #[test]
    fn a_command_that_never_ends_hides_nothing() {
        assert_eq!(echo_of(&format!("{STAMP} Running command Write-Host 'a` \nout\nout")), "e..");
    }

    #[test]
    fn a_report_ends_with_the_exit_status() {
        let text =
            format!("{STAMP} Command did not exit successfully for e in x; do\n grep y\n done exit status 1\nout");
        assert_eq!(echo_of(&text), "eee.");
        assert_eq!(echo_of(&format!("{STAMP} Phase context status code:  Message: \nout")), "e.");
    }

    #[test]
    fn phases_are_read() {
        let lines = clean::lines(
            format!("{STAMP} Entering phase BUILD\n{STAMP} Phase complete: BUILD Success: false").as_bytes(),
            1,
            0,
        );
        assert_eq!(agent(&lines[0]), Some(Agent::Entering("BUILD")));
        assert_eq!(agent(&lines[1]), Some(Agent::Complete { phase: "BUILD", succeeded: false }));
    }
}
