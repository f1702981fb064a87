//! Which commands does a shell script run, in which order?
//!
//! Read with a real parser: quotes, pipes, conditions, loops, functions, here documents and substitutions are what they
//! are for the shell, and a word in a comment or in an `echo` is no command.

use super::nesting::is_too_nested;
use super::plain;
use super::quick;
use super::statements;
use super::word::{Part, Word};
use brush_parser::ast::{
    Assignment, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList, ExtendedTestExpr,
    IoFileRedirectTarget, IoRedirect, Pipeline, Program, RedirectList, SimpleCommand, Word as AstWord,
};
use brush_parser::word::{Parameter, ParameterExpr, WordPiece, WordPieceWithSource};
use brush_parser::{Parser, ParserOptions};

/// Scripts within scripts: `$(…)`, `sh -c`, here documents.
const DEEPEST_SCRIPT: usize = 8;

/// A simple command: what it is called with, and what it gets to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Variables it sets, for itself or, without any words, for what follows.
    pub(super) assignments: Vec<(String, Word)>,
    /// The program and its arguments.
    pub(super) words: Vec<Word>,
    /// The text of its here documents, as far as it is known.
    pub(super) input: Option<String>,
}

/// The script is no shell language, or more than is worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The commands that a script runs, those in substitutions before the one they serve.
pub(super) fn read(script: &str) -> Result<Vec<Call>, Unreadable> {
    quick::command(script).map_or_else(|| parse(script), |call| Ok(vec![call]))
}

/// The same by the parser alone.
pub(super) fn parse(script: &str) -> Result<Vec<Call>, Unreadable> {
    let mut reader = Reader { calls: Vec::new() };
    reader.script(script, 0)?;
    Ok(reader.calls)
}

/// The commands of those statements of a script that are worth reading or set a variable.
pub(super) fn read_worth(script: &str, is_worth: &dyn Fn(&str) -> bool) -> Result<Vec<Call>, Unreadable> {
    // One plain command, as most items are; then plain statements.
    let plain = quick::command(script).map(|call| vec![call]).or_else(|| plain::commands(script, is_worth));
    if let Some(calls) = plain {
        return Ok(calls);
    }
    let program = statements::worth(script, is_worth)
        .filter(|_| !is_too_nested(script))
        .and_then(|tokens| brush_parser::parse_tokens(&tokens, &ParserOptions::default()).ok());
    // What can't be read in parts may be readable as a whole.
    let Some(program) = program else { return read(script) };
    let mut reader = Reader { calls: Vec::new() };
    reader.program(&program, 0)?;
    Ok(reader.calls)
}

struct Reader {
    calls: Vec<Call>,
}

impl Reader {
    fn script(&mut self, script: &str, depth: usize) -> Result<(), Unreadable> {
        if depth > DEEPEST_SCRIPT || is_too_nested(script) {
            return Err(Unreadable);
        }
        let mut parser = Parser::new(script.as_bytes(), &ParserOptions::default());
        let program = parser.parse_program().map_err(|_| Unreadable)?;
        self.program(&program, depth)
    }

    fn program(&mut self, program: &Program, depth: usize) -> Result<(), Unreadable> {
        program.complete_commands.iter().try_for_each(|list| self.list(list, depth))
    }

    fn list(&mut self, list: &CompoundList, depth: usize) -> Result<(), Unreadable> {
        for item in &list.0 {
            for (_, pipeline) in &item.0 {
                self.pipeline(pipeline, depth)?;
            }
        }
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, depth: usize) -> Result<(), Unreadable> {
        pipeline.seq.iter().try_for_each(|command| self.command(command, depth))
    }

    fn command(&mut self, command: &Command, depth: usize) -> Result<(), Unreadable> {
        match command {
            Command::Simple(simple) => self.simple(simple, depth),
            Command::Compound(compound, redirects) => {
                self.redirects(redirects.as_ref(), depth)?;
                self.compound(compound, depth)
            }
            // A function does nothing where it is defined, but it is called below, so its place will do.
            Command::Function(function) => self.compound(&function.body.0, depth),
            Command::ExtendedTest(test, redirects) => {
                self.redirects(redirects.as_ref(), depth)?;
                self.test(&test.expr, depth)
            }
        }
    }

    fn compound(&mut self, compound: &CompoundCommand, depth: usize) -> Result<(), Unreadable> {
        match compound {
            CompoundCommand::Arithmetic(_) => Ok(()),
            CompoundCommand::ArithmeticForClause(clause) => self.list(&clause.body.list, depth),
            CompoundCommand::BraceGroup(group) => self.list(&group.list, depth),
            CompoundCommand::Subshell(subshell) => self.list(&subshell.list, depth),
            CompoundCommand::ForClause(clause) => {
                for value in clause.values.iter().flatten() {
                    self.word(value, depth)?;
                }
                self.list(&clause.body.list, depth)
            }
            CompoundCommand::CaseClause(clause) => {
                self.word(&clause.value, depth)?;
                let lists = clause.cases.iter().filter_map(|case| case.cmd.as_ref());
                lists.into_iter().try_for_each(|list| self.list(list, depth))
            }
            CompoundCommand::IfClause(clause) => {
                self.list(&clause.condition, depth)?;
                self.list(&clause.then, depth)?;
                for part in clause.elses.iter().flatten() {
                    part.condition.iter().try_for_each(|list| self.list(list, depth))?;
                    self.list(&part.body, depth)?;
                }
                Ok(())
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0, depth)?;
                self.list(&clause.1.list, depth)
            }
            CompoundCommand::Coprocess(process) => self.command(&process.body, depth),
        }
    }

    fn simple(&mut self, simple: &SimpleCommand, depth: usize) -> Result<(), Unreadable> {
        let mut call = Call::default();
        for item in simple.prefix.iter().flat_map(|prefix| &prefix.0) {
            self.item(item, &mut call, depth)?;
        }
        if let Some(name) = &simple.word_or_name {
            call.words.push(self.word(name, depth)?);
        }
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            self.item(item, &mut call, depth)?;
        }
        self.calls.push(call);
        Ok(())
    }

    fn item(&mut self, item: &CommandPrefixOrSuffixItem, call: &mut Call, depth: usize) -> Result<(), Unreadable> {
        match item {
            CommandPrefixOrSuffixItem::IoRedirect(redirect) => {
                if let Some(input) = self.redirect(redirect, depth)? {
                    call.input.get_or_insert_default().push_str(&input);
                }
            }
            CommandPrefixOrSuffixItem::Word(word) => {
                let word = self.word(word, depth)?;
                call.words.push(word);
            }
            CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => {
                self.assignment(assignment, call, depth)?;
                // `export A=b` has it as an argument, too.
                if !call.words.is_empty() {
                    call.words.push(Word::of(&word.value));
                }
            }
            CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => {
                self.list(&subshell.list, depth)?;
                call.words.push(Word { parts: vec![Part::Other(String::new())] });
            }
        }
        Ok(())
    }

    fn assignment(&mut self, assignment: &Assignment, call: &mut Call, depth: usize) -> Result<(), Unreadable> {
        let name = assignment.name.to_string();
        match &assignment.value {
            AssignmentValue::Scalar(word) => {
                let word = self.word(word, depth)?;
                call.assignments.push((name, word));
            }
            AssignmentValue::Array(elements) => {
                for (_, word) in elements {
                    self.word(word, depth)?;
                }
            }
        }
        Ok(())
    }

    fn redirects(&mut self, redirects: Option<&RedirectList>, depth: usize) -> Result<(), Unreadable> {
        for redirect in redirects.iter().flat_map(|list| &list.0) {
            self.redirect(redirect, depth)?;
        }
        Ok(())
    }

    /// What a redirection gives the command to read, where it is written in the script itself.
    fn redirect(&mut self, redirect: &IoRedirect, depth: usize) -> Result<Option<String>, Unreadable> {
        match redirect {
            IoRedirect::File(_, _, target) => match target {
                IoFileRedirectTarget::Filename(word) | IoFileRedirectTarget::Duplicate(word) => {
                    self.word(word, depth)?;
                }
                IoFileRedirectTarget::ProcessSubstitution(_, subshell) => self.list(&subshell.list, depth)?,
                IoFileRedirectTarget::Fd(_) => {}
            },
            IoRedirect::HereDocument(_, document) => {
                // Only its commands matter.
                if document.requires_expansion && document.doc.value.contains(['`', '(']) {
                    let options = ParserOptions::default();
                    let text = &document.doc.value;
                    if let Ok(pieces) = brush_parser::word::parse_heredoc(text, &options) {
                        self.pieces(&pieces, text, depth)?;
                    }
                }
                return Ok(Some(document.doc.value.clone()));
            }
            IoRedirect::HereString(_, word) => return Ok(Some(self.word(word, depth)?.script())),
            IoRedirect::OutputAndError(word, _) => {
                self.word(word, depth)?;
            }
        }
        Ok(None)
    }

    fn test(&mut self, test: &ExtendedTestExpr, depth: usize) -> Result<(), Unreadable> {
        match test {
            ExtendedTestExpr::And(left, right) | ExtendedTestExpr::Or(left, right) => {
                self.test(left, depth)?;
                self.test(right, depth)
            }
            ExtendedTestExpr::Not(test) | ExtendedTestExpr::Parenthesized(test) => self.test(test, depth),
            ExtendedTestExpr::UnaryTest(_, word) => self.word(word, depth).map(|_| ()),
            ExtendedTestExpr::BinaryTest(_, left, right) => {
                self.word(left, depth)?;
                self.word(right, depth).map(|_| ())
            }
        }
    }

    fn word(&mut self, word: &AstWord, depth: usize) -> Result<Word, Unreadable> {
        // The parser of words takes longer than all the rest.
        if let Some(parts) = quick::parts(&word.value) {
            return Ok(Word { parts });
        }
        let pieces = brush_parser::word::parse(&word.value, &ParserOptions::default()).map_err(|_| Unreadable)?;
        let parts = self.pieces(&pieces, &word.value, depth)?;
        Ok(Word { parts })
    }

    /// The parts of a word, after the commands in its substitutions have been noted.
    fn pieces(&mut self, pieces: &[WordPieceWithSource], source: &str, depth: usize) -> Result<Vec<Part>, Unreadable> {
        let mut parts = Vec::new();
        for piece in pieces {
            let written = || source.get(piece.start_index..piece.end_index).unwrap_or_default().to_string();
            match &piece.piece {
                WordPiece::Text(text) | WordPiece::SingleQuotedText(text) | WordPiece::AnsiCQuotedText(text) => {
                    parts.push(Part::Text(text.clone()));
                }
                WordPiece::EscapeSequence(text) => {
                    let text = text.strip_prefix('\\').unwrap_or(text);
                    parts.push(Part::Text(text.strip_prefix('\n').unwrap_or(text).to_string()));
                }
                WordPiece::DoubleQuotedSequence(inner) | WordPiece::GettextDoubleQuotedSequence(inner) => {
                    parts.extend(self.pieces(inner, source, depth)?);
                }
                WordPiece::CommandSubstitution(script) => {
                    self.script(script, depth + 1)?;
                    parts.push(Part::Other(written()));
                }
                WordPiece::BackquotedCommandSubstitution(script) => {
                    self.script(&script.replace("\\`", "`"), depth + 1)?;
                    parts.push(Part::Other(written()));
                }
                WordPiece::ParameterExpansion(expression) => {
                    parts.push(match expression {
                        ParameterExpr::Parameter { parameter: Parameter::Named(name), indirect: false } => {
                            Part::Variable(name.clone(), written())
                        }
                        _ => Part::Other(written()),
                    });
                    self.default_of(expression, depth)?;
                }
                WordPiece::TildeExpansion(_) | WordPiece::ArithmeticExpression(_) => parts.push(Part::Other(written())),
            }
        }
        Ok(parts)
    }

    /// A default value may hold a substitution: `${TAG:-$(git rev-parse HEAD)}`.
    fn default_of(&mut self, expression: &ParameterExpr, depth: usize) -> Result<(), Unreadable> {
        let text = match expression {
            ParameterExpr::UseDefaultValues { default_value, .. }
            | ParameterExpr::AssignDefaultValues { default_value, .. } => default_value.as_ref(),
            ParameterExpr::UseAlternativeValue { alternative_value, .. } => alternative_value.as_ref(),
            _ => None,
        };
        if let Some(text) = text.filter(|text| text.contains(['$', '`'])) {
            if depth >= DEEPEST_SCRIPT {
                return Err(Unreadable);
            }
            self.word(&AstWord::new(text), depth + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of a script, each as its words joined.
    fn calls(script: &str) -> Vec<String> {
        let calls = read(script).unwrap();
        let line = |call: &Call| call.words.iter().map(Word::script).collect::<Vec<_>>().join(" ");
        calls.iter().map(line).collect()
    }

    #[test]
    fn commands_are_found_wherever_the_shell_runs_them() {
        for (script, expected) in [
            ("a && b || c; d & e", vec!["a", "b", "c", "d", "e"]),
            ("a | b |& c", vec!["a", "b", "c"]),
            ("if a; then b; elif c; then d; else e; fi", vec!["a", "b", "c", "d", "e"]),
            ("for i in $(a); do b $i; done", vec!["a", "b $i"]),
            ("while ! a; do b; done; until c; do d; done", vec!["a", "b", "c", "d"]),
            ("case $(a) in x) b;; *) c;; esac", vec!["a", "b", "c"]),
            ("(a; { b; }) > $(c)", vec!["c", "a", "b"]),
            ("f() { a; }; f", vec!["a", "f"]),
            ("[[ -n $(a) && x == `b` ]]", vec!["a", "b"]),
            ("x=$(a) b \"$(c \"$(d)\")\" ${e:-$(f)}", vec!["a", "d", "c $(d)", "f", "b $(c \"$(d)\") ${e:-$(f)}"]),
            ("cat <<EOF\n$(a)\nb\nEOF\nc", vec!["a", "cat", "c"]),
            ("cat <<'EOF'\n$(a)\nEOF\nc", vec!["cat", "c"]),
            ("a <(b) # c", vec!["b", "a "]),
            ("# a\necho 'a; b' \"c; d\" e\\;", vec!["echo a; b c; d e;"]),
            ("a \\\n  --b", vec!["a --b"]),
            ("a ${b:+$(c)}", vec!["c", "a ${b:+$(c)}"]),
        ] {
            assert_eq!(calls(script), expected, "{script}");
        }
    }

    #[test]
    fn words_keep_what_has_to_be_expanded() {
        let calls = read("docker pull \"$A/b:${C}\"'d'").unwrap();
        let word = &calls[0].words[2];
        assert_eq!(word.literal(), None);
        assert_eq!(word.script(), "$A/b:${C}d");
        assert_eq!(word.parts[0], Part::Variable("A".to_string(), "$A".to_string()));
        assert_eq!(calls[0].words[1].literal().as_deref(), Some("pull"));
        let mixed = read("docker pull \"$A/b:$(c)\"").unwrap();
        assert_eq!(mixed[1].words[2].parts[0], Part::Variable("A".to_string(), "$A".to_string()));
    }

    #[test]
    fn scripts_within_scripts_are_read_as_deep_as_anyone_nests_them() {
        let nested = |around: &str, times: usize| {
            let inner = format!("{}b{}", "$(".repeat(times), ")".repeat(times));
            read(&around.replace('_', &inner))
        };
        for (around, own) in [("a _", 0), ("a `c _`", 1), ("a ${c:-_}", 1)] {
            assert!(nested(around, DEEPEST_SCRIPT - own).is_ok(), "{around}");
            assert_eq!(nested(around, DEEPEST_SCRIPT + 1 - own), Err(Unreadable), "{around}");
        }
    }

    #[test]
    fn of_a_long_script_the_statements_that_are_worth_it_are_read() {
        let filling = "echo filling\n".repeat(40);
        let script = format!("{filling}if a; then docker build . > log; fi\n{filling}A=b\n");
        let calls = read_worth(&script, &|statement| statement.contains("docker")).unwrap();
        let words: Vec<String> = calls.iter().filter_map(|call| call.words.first()?.literal()).collect();
        assert_eq!(words, ["a", "docker"]);
        assert_eq!(calls.last().unwrap().assignments.len(), 1);
    }

    #[test]
    fn assignments_and_here_documents_are_kept() {
        let calls = read("A=b export C=$d; bash <<E\nx\nE\n").unwrap();
        let names: Vec<&str> = calls[0].assignments.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "C"]);
        assert_eq!(calls[1].input.as_deref(), Some("x\n"));
    }

    #[test]
    fn what_is_no_shell_language_is_unreadable() {
        for script in ["if a; then b", "a )", "'", "cat <<EOF\n", "$(a"] {
            assert_eq!(read(script), Err(Unreadable), "{script}");
        }
    }
}
