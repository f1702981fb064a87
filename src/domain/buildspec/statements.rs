//! Which statements of a script does its reader need, so that the rest is not parsed?
//!
//! The shell parser takes most of an edit's time. A script is first cut at what ends a statement, by the parser's own
//! tokens; where a cut is in doubt there is none. Which statement runs only if another did well does not matter here.

use brush_parser::{ParserOptions, SourceSpan, Token};

/// Shorter scripts are parsed whole: cutting would take as long.
const SHORTEST: usize = 400;

/// The tokens of the statements that are worth parsing, in order; nothing where the script can't be cut.
pub(super) fn worth(script: &str, is_worth: &dyn Fn(&str) -> bool) -> Option<Vec<Token>> {
    // The text of a here document stands behind the line that names it.
    if script.len() < SHORTEST || script.contains("<<") {
        return None;
    }
    let tokens = brush_parser::uncached_tokenize_str(script, &ParserOptions::default().tokenizer_options()).ok()?;
    let mut cutter = Cutter::new();
    let mut kept = Vec::new();
    let mut from = 0;
    for (at, token) in tokens.iter().enumerate() {
        if cutter.ends_statement(token)? {
            keep(&tokens[from..at], is_worth, &mut kept);
            from = at + 1;
        }
    }
    keep(&tokens[from..], is_worth, &mut kept);
    cutter.open.is_empty().then_some(kept)
}

/// Takes one statement over if it is worth it or gives a variable a value that others may use.
fn keep(statement: &[Token], is_worth: &dyn Fn(&str) -> bool, kept: &mut Vec<Token>) {
    let mut text = String::new();
    for token in statement {
        text.push_str(token.to_str());
        text.push(' ');
    }
    if is_worth(&text) || statement.iter().any(|token| is_assignment(token.to_str())) {
        kept.extend_from_slice(statement);
        kept.push(Token::Operator("\n".to_string(), SourceSpan::default()));
    }
}

/// Whether a word gives a variable or an element of an array a value.
pub(super) fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        let name = name.trim_end_matches('+');
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_[]$@*".contains(c))
    })
}

/// Follows what is open, as far as reserved words tell.
struct Cutter {
    /// What closes each thing that is open.
    open: Vec<&'static str>,
    /// Whether a command could begin here.
    at_command: bool,
}

impl Cutter {
    fn new() -> Cutter {
        Cutter { open: Vec::new(), at_command: true }
    }

    /// Whether this token ends a statement; nothing if the script is not to be followed.
    fn ends_statement(&mut self, token: &Token) -> Option<bool> {
        match token {
            Token::Operator(operator, _) => Some(self.operator(operator)),
            Token::Word(word, _) => self.word(word).map(|()| false),
        }
    }

    fn operator(&mut self, operator: &str) -> bool {
        match operator {
            "(" => self.open.push(")"),
            // The end of a pattern of `case` closes nothing.
            ")" if self.open.last() == Some(&")") => {
                self.open.pop();
            }
            "\n" | "&&" | "||" | "|" | "|&" | ";" | "&" => {
                self.at_command = true;
                return self.open.is_empty();
            }
            ")" | ";;" | ";&" | ";;&" => {}
            // A redirection.
            _ => return false,
        }
        self.at_command = true;
        false
    }

    fn word(&mut self, word: &str) -> Option<()> {
        if !self.at_command {
            if word == "]]" && self.open.last() == Some(&"]]") {
                self.open.pop();
            }
            return Some(());
        }
        let closer = match word {
            "then" | "else" | "elif" | "do" | "!" | "time" => return Some(()),
            "fi" | "esac" | "done" | "}" => {
                self.at_command = false;
                return (self.open.pop() == Some(word)).then_some(());
            }
            // What follows its name may be anything.
            "function" | "coproc" => return None,
            "if" => Some("fi"),
            "case" => Some("esac"),
            "for" | "while" | "until" | "select" => Some("done"),
            "{" => Some("}"),
            "[[" => Some("]]"),
            _ => None,
        };
        self.open.extend(closer);
        self.at_command = matches!(word, "if" | "while" | "until" | "{");
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statements that speak of docker or set a variable, as tokens, with filling in between.
    fn cut(script: &str) -> Option<String> {
        let script = format!("{}{script}", "echo filling\n".repeat(40));
        let worth = worth(&script, &|statement| statement.contains("docker"))?;
        let tokens: Vec<&str> =
            worth.iter().map(|token| if token.to_str() == "\n" { "/" } else { token.to_str() }).collect();
        Some(tokens.join(" "))
    }

    #[test]
    fn a_script_is_cut_where_a_statement_ends() {
        for (script, expected) in [
            ("a\ndocker build .\nb", "docker build . /"),
            ("a &&\n  docker build . 2>&1 |\n  tee; b & c", "docker build . 2 >& 1 /"),
            ("docker build \\\n  .\nb", "docker build . /"),
            ("if a\nthen docker build .\nfi\nc", "if a / then docker build . / fi /"),
            (
                "case a in\n  x) docker build .;;\n  (y) b;;\nesac\nc",
                "case a in / x ) docker build . ;; / ( y ) b ;; / esac /",
            ),
            ("for d in *; do docker build $d; done > log\nb", "for d in * ; do docker build $d ; done > log /"),
            ("f() {\n docker build .\n}\nf", "f ( ) { / docker build . / } /"),
            ("f()\n{ docker build .; }\nf", "{ docker build . ; } /"),
            ("(a; docker build .) | b", "( a ; docker build . ) /"),
            ("[[ a && b ]] && docker build .", "docker build . /"),
            ("echo 'a\ndocker b'\nc", "echo 'a\ndocker b' /"),
            ("A=b\nexport C=d\necho e\ndocker pull $A", "A=b / export C=d / docker pull $A /"),
            ("echo if it is done\ndocker build .", "docker build . /"),
            ("# it's about docker\na\ndocker build .\nb", "docker build . /"),
            ("x=(\na\n)\nb", "x= ( / a / ) /"),
            ("é && docker build ü\nb", "docker build ü /"),
            ("make --a=b =c\ndocker build .", "docker build . /"),
            ("case a in x) docker build .;; esac; c", "case a in x ) docker build . ;; esac /"),
            ("[[ -n docker && b ]]\nc", "[[ -n docker && b ]] /"),
            ("if a; then echo ]]; docker build .; fi", "if a ; then echo ]] ; docker build . ; fi /"),
            ("if a; then if b; then docker build .; fi; fi\nc", "if a ; then if b ; then docker build . ; fi ; fi /"),
        ] {
            assert_eq!(cut(script).as_deref(), Some(expected), "{script}");
        }
    }

    #[test]
    fn where_a_cut_is_in_doubt_there_is_none() {
        for script in [
            "cat <<EOF\ndocker\nEOF",
            "if a\nb",
            "a; fi",
            "function f { a\n}",
            "function f() { docker build .; }",
            "(",
            "echo 'a",
            "done",
        ] {
            assert_eq!(cut(script), None, "{script}");
        }
        assert!(worth("a\nb", &|_| true).is_none(), "too short to be worth it");
    }
}
