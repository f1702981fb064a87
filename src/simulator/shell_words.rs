//! Splits a command into words, pipes and connectors, for sh, PowerShell and cmd.

/// Which shell's variables and quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavor {
    Sh,
    PowerShell,
    Cmd,
}

impl Flavor {
    /// By `env.shell` of the buildspec.
    pub(super) fn of(shell: &str) -> Self {
        match shell {
            "powershell.exe" | "pwsh" => Flavor::PowerShell,
            "cmd.exe" => Flavor::Cmd,
            _ => Flavor::Sh,
        }
    }
}

/// How a pipeline depends on the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connector {
    Then,
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// A variable, and what stands for it when it is empty.
    Variable(String, String),
}

/// One word, before its variables are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Word {
    pieces: Vec<Piece>,
    quoted: bool,
}

impl Word {
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether PowerShell takes the word for a value rather than for a program.
    pub(super) fn is_expression(&self) -> bool {
        self.quoted || matches!(self.pieces.first(), Some(Piece::Variable(..)))
    }

    /// The word, if it stands there as it is.
    pub(super) fn literal(&self) -> Option<String> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] if !self.quoted => Some(text.clone()),
            _ => None,
        }
    }

    /// Whether the word is one even if its variables are empty.
    pub(super) fn is_quoted(&self) -> bool {
        self.quoted
    }

    fn text(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.pieces.push(Piece::Text(c.to_string())),
        }
    }

    fn is_started(&self) -> bool {
        self.quoted || !self.pieces.is_empty()
    }
}

/// One program of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) words: Vec<Word>,
    /// Its standard output goes to a file.
    pub(super) output_dropped: bool,
}

/// The pipelines of a command text, in order.
pub(super) fn parse(text: &str, flavor: Flavor) -> Vec<(Connector, Vec<Stage>)> {
    let mut parser = Parser {
        rest: text.chars().collect::<Vec<_>>(),
        at: 0,
        flavor,
        pipelines: Vec::new(),
        connector: Connector::Then,
        stages: Vec::new(),
        stage: Stage::default(),
        word: Word::default(),
    };
    parser.run();
    parser.pipelines
}

struct Parser {
    rest: Vec<char>,
    at: usize,
    flavor: Flavor,
    pipelines: Vec<(Connector, Vec<Stage>)>,
    connector: Connector,
    stages: Vec<Stage>,
    stage: Stage,
    word: Word,
}

impl Parser {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            let next = self.peek(1);
            self.at += 1;
            match c {
                '\\' if self.flavor == Flavor::Sh => {
                    self.at += 1;
                    if let Some(escaped) = next.filter(|c| *c != '\n') {
                        self.word.text(escaped);
                    }
                }
                '\'' if self.flavor != Flavor::Cmd => self.single_quoted(),
                '"' => self.double_quoted(),
                '#' if !self.word.is_started() => self.skip_line(),
                '|' if next == Some('|') => self.connect(Connector::Or, 1),
                '&' if next == Some('&') => self.connect(Connector::And, 1),
                '|' => {
                    self.end_word();
                    let stage = std::mem::take(&mut self.stage);
                    self.stages.push(stage);
                }
                '>' | '<' => self.redirect(c),
                '&' | ';' | '\n' => self.connect(Connector::Then, 0),
                c if c.is_whitespace() => self.end_word(),
                c => self.plain(c),
            }
        }
        self.connect(Connector::Then, 0);
    }

    fn plain(&mut self, c: char) {
        match c {
            '$' => self.variable(),
            '%' if self.flavor == Flavor::Cmd => self.cmd_variable(),
            '`' if self.flavor == Flavor::Sh => {
                self.skip_until('`');
                self.word.quoted = true;
            }
            '(' | ')' if self.flavor == Flavor::Sh && !self.word.is_started() => {}
            c => self.word.text(c),
        }
    }

    fn single_quoted(&mut self) {
        self.word.quoted = true;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '\'' {
                return;
            }
            self.word.text(c);
        }
    }

    fn double_quoted(&mut self) {
        self.word.quoted = true;
        while let Some(c) = self.peek(0) {
            let next = self.peek(1);
            self.at += 1;
            match c {
                '"' => return,
                '\\' if self.flavor == Flavor::Sh && matches!(next, Some('"' | '\\' | '$' | '`')) => {
                    self.at += 1;
                    self.word.text(next.unwrap_or_default());
                }
                '$' => self.variable(),
                '%' if self.flavor == Flavor::Cmd => self.cmd_variable(),
                c => self.word.text(c),
            }
        }
    }

    /// After `$`: `NAME`, `{NAME}`, `{NAME:-default}`, `env:NAME`, `(...)`.
    fn variable(&mut self) {
        match self.peek(0) {
            Some('(') => {
                // The output of another command is not known here.
                self.skip_parentheses();
                self.word.quoted = true;
            }
            Some('{') => {
                self.at += 1;
                let mut inner = String::new();
                while let Some(c) = self.peek(0) {
                    self.at += 1;
                    if c == '}' {
                        break;
                    }
                    inner.push(c);
                }
                let (name, default) = inner.split_once(":-").unwrap_or((inner.as_str(), ""));
                self.push_variable(name, default);
            }
            Some(c) if c.is_ascii_alphanumeric() || c == '_' => {
                let mut name = String::new();
                while let Some(c) = self.peek(0).filter(|c| {
                    c.is_ascii_alphanumeric() || *c == '_' || (*c == ':' && self.flavor == Flavor::PowerShell)
                }) {
                    name.push(c);
                    self.at += 1;
                }
                self.push_variable(&name, "");
            }
            _ => self.word.text('$'),
        }
    }

    fn push_variable(&mut self, name: &str, default: &str) {
        let name = name
            .get(..4)
            .filter(|prefix| self.flavor == Flavor::PowerShell && prefix.eq_ignore_ascii_case("env:"))
            .map_or(name, |_| &name[4..]);
        self.word.pieces.push(Piece::Variable(name.to_owned(), default.to_owned()));
    }

    fn cmd_variable(&mut self) {
        let start = self.at;
        match self.rest[start..].iter().position(|c| *c == '%') {
            Some(length) if length > 0 => {
                let name: String = self.rest[start..start + length].iter().collect();
                self.at = start + length + 1;
                self.word.pieces.push(Piece::Variable(name, String::new()));
            }
            _ => self.word.text('%'),
        }
    }

    fn skip_parentheses(&mut self) {
        let mut depth = 0;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_until(&mut self, end: char) {
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == end {
                return;
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    /// `> file`, `2>&1`, `< file`: what is read or written there does not matter, only that output is gone.
    fn redirect(&mut self, c: char) {
        let descriptor = match self.word.pieces.as_slice() {
            [Piece::Text(text)] if text == "1" || text == "2" || text == "&" => Some(text.clone()),
            _ => None,
        };
        if descriptor.is_some() {
            self.word = Word::default();
        }
        self.end_word();
        while self.peek(0) == Some('>') {
            self.at += 1;
        }
        let duplicate = self.peek(0) == Some('&');
        if c == '>' && !duplicate && descriptor.as_deref() != Some("2") {
            self.stage.output_dropped = true;
        }
        if duplicate {
            self.at += 1;
        }
        while self.peek(0).is_some_and(|c| c == ' ') {
            self.at += 1;
        }
        while self.peek(0).is_some_and(|c| !c.is_whitespace() && !";|&)".contains(c)) {
            self.at += 1;
        }
    }

    fn end_word(&mut self) {
        if self.word.is_started() {
            let word = std::mem::take(&mut self.word);
            self.stage.words.push(word);
        }
    }

    fn connect(&mut self, connector: Connector, extra: usize) {
        self.at += extra;
        self.end_word();
        let stage = std::mem::take(&mut self.stage);
        if !stage.words.is_empty() {
            self.stages.push(stage);
        }
        if !self.stages.is_empty() {
            let stages = std::mem::take(&mut self.stages);
            self.pipelines.push((self.connector, stages));
        }
        self.connector = connector;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str, flavor: Flavor) -> String {
        let word = |word: &Word| {
            word.pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Variable(name, default) => format!("<{name}{default}>"),
                })
                .collect::<String>()
        };
        parse(text, flavor)
            .iter()
            .map(|(connector, stages)| {
                let stages: Vec<String> = stages
                    .iter()
                    .map(|stage| {
                        let words: Vec<String> = stage.words.iter().map(word).collect();
                        format!("{}{}", words.join(","), if stage.output_dropped { ">" } else { "" })
                    })
                    .collect();
                format!("{connector:?} {}", stages.join(" | "))
            })
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn words_pipes_and_connectors() {
        for (text, flavor, expected) in [
            (
                r#"echo "${DOCKERHUB_PASSWORD}" | docker login -u "$USER" --password-stdin"#,
                Flavor::Sh,
                "Then echo,<DOCKERHUB_PASSWORD> | docker,login,-u,<USER>,--password-stdin",
            ),
            ("a && b || c; d\ne # f", Flavor::Sh, "Then a; And b; Or c; Then d; Then e"),
            ("a 'b c' \\\n d > f 2>&1", Flavor::Sh, "Then a,b c,d>"),
            ("x ${A:-b} $(y (z)) w", Flavor::Sh, "Then x,<Ab>,,w"),
            (
                "$env:DOCKERHUB_PASSWORD | docker login -u $Env:U --password-stdin",
                Flavor::PowerShell,
                "Then <DOCKERHUB_PASSWORD> | docker,login,-u,<U>,--password-stdin",
            ),
            (
                "echo %DOCKERHUB_PASSWORD%| docker login -u %U%",
                Flavor::Cmd,
                "Then echo,<DOCKERHUB_PASSWORD> | docker,login,-u,<U>",
            ),
        ] {
            assert_eq!(shape(text, flavor), expected, "{text}");
        }
    }
}
