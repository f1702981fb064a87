//! What does a word of a command stand for, as far as the buildspec itself tells?

use std::collections::HashMap;

/// A variable's value made of variables: how far that is followed, and how long it may grow.
const DEEPEST_VARIABLE: usize = 4;
const LONGEST_VALUE: usize = 1_000;

/// A word in the parts of which the shell makes it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The parts in order.
    pub(super) parts: Vec<Part>,
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// This very text.
    Text(String),
    /// The value of a variable, and how that is written.
    Variable(String, String),
    /// What only the build knows, and how it is written.
    Other(String),
}

/// The variables whose values are known from the buildspec itself.
#[derive(Default)]
pub(super) struct Variables(HashMap<String, Word>);

impl Word {
    /// A word of nothing but text.
    pub(super) fn of(text: &str) -> Word {
        Word { parts: vec![Part::Text(text.to_string())] }
    }

    /// The text, if nothing in it has to be expanded.
    pub(super) fn literal(&self) -> Option<String> {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The text as written but for its quotes: what a shell that gets it as a script reads.
    pub(super) fn script(&self) -> String {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) | Part::Variable(_, text) | Part::Other(text) => text.as_str(),
        });
        texts.collect()
    }
}

impl Variables {
    /// Notes a value.
    pub(super) fn set(&mut self, name: &str, value: Word) {
        self.0.insert(name.to_string(), value);
    }

    /// The word with known variables put in; others as `${NAME}`.
    pub(super) fn resolve(&self, word: &Word) -> String {
        let mut text = String::new();
        self.resolve_into(word, DEEPEST_VARIABLE, &mut text);
        text
    }

    fn resolve_into(&self, word: &Word, depth: usize, text: &mut String) {
        for part in &word.parts {
            match part {
                _ if text.len() > LONGEST_VALUE => return,
                Part::Text(part) => text.push_str(part),
                Part::Variable(name, _) => match self.0.get(name).filter(|_| depth > 0) {
                    Some(value) => self.resolve_into(value, depth - 1, text),
                    None => text.push_str(&format!("${{{name}}}")),
                },
                Part::Other(_) => text.push_str("${}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each variable is the next one thirty times over: 30^4 times seven letters.
    #[test]
    fn a_value_of_values_grows_no_longer_than_what_anyone_writes() {
        let of = |name: &str| Word { parts: vec![Part::Variable(name.to_string(), format!("${name}")); 30] };
        let mut variables = Variables::default();
        for (name, next) in [("a", "b"), ("b", "c"), ("c", "d")] {
            variables.set(name, of(next));
        }
        variables.set("d", Word::of("example"));
        let length = variables.resolve(&of("a")).len();
        assert!((LONGEST_VALUE..LONGEST_VALUE + 10).contains(&length), "{length}");
    }
}
