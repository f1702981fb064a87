//! Runs the commands of a buildspec: a small shell that knows words, variables, pipes, `&&`, `||` and `;`.
//!
//! It knows `docker`, `echo` and a few others; scripted commands print and fail as the test said; everything else succeeds in
//! silence. That is enough for buildspecs whose outcome depends on a login and a pull.

use jiff::{SignedDuration, Timestamp};

use super::account::Account;
use super::build::Container;
use super::docker;
use super::shell_flow::{Flow, Part};
use super::shell_words::{Connector, Flavor, Piece, Stage, Word, parse};

/// One command of a buildspec at work.
pub(super) struct Machine<'a> {
    pub(super) account: &'a mut Account,
    pub(super) project: &'a str,
    pub(super) container: &'a mut Container,
    pub(super) begin: Timestamp,
    pub(super) output: Vec<String>,
    pub(super) lasts: SignedDuration,
    flavor: Flavor,
    exited: Option<i32>,
    stop_on_error: bool,
    /// Scripts within scripts.
    depth: usize,
}

/// A script that calls itself ends here.
const DEEPEST: usize = 8;

/// What one program did.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) out: Vec<String>,
    pub(super) err: Vec<String>,
}

impl Ran {
    pub(super) fn printed(out: Vec<String>) -> Self {
        Ran { out, ..Ran::default() }
    }

    pub(super) fn failed(code: i32, err: Vec<String>) -> Self {
        Ran { code, err, ..Ran::default() }
    }
}

impl<'a> Machine<'a> {
    pub(super) fn new(
        account: &'a mut Account,
        project: &'a str,
        container: &'a mut Container,
        shell: &str,
        begin: Timestamp,
    ) -> Self {
        let lasts = account.durations.command;
        Machine {
            account,
            project,
            container,
            begin,
            output: Vec::new(),
            lasts,
            flavor: Flavor::of(shell),
            exited: None,
            stop_on_error: false,
            depth: 0,
        }
    }

    fn is_file(&self, path: &str) -> bool {
        let files = self.account.projects.get(self.project).map(|project| &project.outside.files);
        files.is_some_and(|files| files.contains_key(path.trim_start_matches("./")))
    }

    /// Runs a script of the repository; none if there is no such file.
    fn file(&mut self, path: &str) -> Option<Ran> {
        let project = self.account.projects.get(self.project)?;
        let script = project.outside.files.get(path.trim_start_matches("./"))?.clone();
        if self.depth == DEEPEST {
            return Some(Ran::failed(1, vec![format!("{path}: too many scripts within scripts")]));
        }
        let (exited, stop_on_error) = (self.exited.take(), std::mem::take(&mut self.stop_on_error));
        self.depth += 1;
        let code = self.run(&script);
        self.depth -= 1;
        (self.exited, self.stop_on_error) = (exited, stop_on_error);
        // What it printed is in the output already.
        Some(Ran { code, ..Ran::default() })
    }

    /// The simulated time within the command.
    pub(super) fn now(&self) -> Timestamp {
        self.begin + self.lasts
    }

    /// Runs a command of the buildspec, perhaps of several lines, and answers its exit status.
    pub(super) fn run(&mut self, command: &str) -> i32 {
        if let Some(scripted) = self.scripted(command.trim()) {
            self.output.extend(scripted.out);
            return scripted.code;
        }
        let mut code = 0;
        let mut flow = Flow::default();
        for (connector, mut pipeline) in parse(command, self.flavor) {
            let part = match pipeline.first_mut() {
                Some(first) => flow.take_keywords(first, &mut code),
                None => Part::Skip,
            };
            if part == Part::Skip {
                continue;
            }
            let skip = match connector {
                Connector::Then => self.stop_on_error && code != 0,
                Connector::And => code != 0,
                Connector::Or => code == 0,
            };
            if skip && connector == Connector::Then {
                return code;
            }
            if !skip {
                code = self.pipeline(&pipeline);
                if part == Part::RunNegated {
                    code = i32::from(code == 0);
                }
            }
            if let Some(code) = self.exited {
                return code;
            }
        }
        code
    }

    fn pipeline(&mut self, stages: &[Stage]) -> i32 {
        let mut input = Vec::new();
        let mut code = 0;
        for stage in stages {
            let ran = self.program(stage, &input);
            code = ran.code;
            self.output.extend(ran.err);
            input = if stage.output_dropped { Vec::new() } else { ran.out };
        }
        self.output.extend(input);
        code
    }

    fn program(&mut self, stage: &Stage, input: &[String]) -> Ran {
        // An unquoted variable that is empty is no word at all.
        let mut words: Vec<String> = stage
            .words
            .iter()
            .map(|word| (self.expand(word), word.is_quoted()))
            .filter(|(text, quoted)| *quoted || !text.is_empty())
            .map(|(text, _)| text)
            .collect();
        while words.first().is_some_and(|first| docker::is_prefix(first)) {
            words.remove(0);
        }
        while let Some((name, value)) = words.first().and_then(|first| assignment(first)) {
            self.container.env.insert(name, value);
            words.remove(0);
        }
        if let Some(scripted) = self.scripted(&words.join(" ")) {
            return scripted;
        }
        let Some(program) = words.first().cloned() else {
            return Ran::default();
        };
        let arguments = &words[1..];
        match program.as_str() {
            "docker" | "docker-compose" | "docker.exe" => docker::run(self, &words, input),
            "echo" | "Write-Output" | "Write-Host" => Ran::printed(vec![arguments.join(" ")]),
            "printf" => Ran::printed(vec![printf(arguments)]),
            "cat" | "tee" if !input.is_empty() => Ran::printed(input.to_vec()),
            "false" => Ran::failed(1, Vec::new()),
            "exit" => {
                let code = arguments.first().and_then(|code| code.parse().ok());
                self.exited = Some(code.unwrap_or(0));
                Ran::default()
            }
            "export" => {
                for (name, value) in arguments.iter().filter_map(|word| assignment(word)) {
                    self.container.env.insert(name, value);
                }
                Ran::default()
            }
            "set" => {
                let errexit = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('e');
                self.stop_on_error |= arguments.first().is_some_and(errexit);
                Ran::default()
            }
            "bash" | "sh" | "." | "source" => match arguments.iter().find(|word| !word.starts_with('-')) {
                Some(path) => self.file(path).unwrap_or_default(),
                None => Ran::default(),
            },
            _ if self.is_file(&program) => self.file(&program).unwrap_or_default(),
            // PowerShell: a lone expression is printed.
            _ if self.flavor == Flavor::PowerShell && stage.words[0].is_expression() => Ran::printed(vec![program]),
            _ => Ran::default(),
        }
    }

    fn scripted(&self, command: &str) -> Option<Ran> {
        let here = |of: &Option<String>| of.as_deref().is_none_or(|of| of == self.project);
        let found = self
            .account
            .commands
            .iter()
            .rev()
            .find(|scripted| here(&scripted.project) && starts_with_words(command, &scripted.starts_with))?;
        Some(Ran { code: found.code, out: found.lines.clone(), err: Vec::new() })
    }

    fn expand(&self, word: &Word) -> String {
        word.pieces()
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Variable(name, default) => match self.container.env.get(name) {
                    Some(value) if !value.is_empty() => value.clone(),
                    _ => default.clone(),
                },
            })
            .collect()
    }
}

fn starts_with_words(command: &str, start: &str) -> bool {
    command.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let proper = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    proper.then(|| (name.to_owned(), value.to_owned()))
}

fn printf(arguments: &[String]) -> String {
    let Some((format, rest)) = arguments.split_first() else {
        return String::new();
    };
    let mut text = format.replace("\\n", "");
    for argument in rest {
        text = text.replacen("%s", argument, 1);
    }
    text
}
