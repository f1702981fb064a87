//! The tree of checks: how each came out, what that means, and the one thing that repairs it.

use crate::cli::output::{Tone, paint, wrapped};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// Not as it should be, or not known although it has to be.
    Failed,
    /// Not looked at, and the detail says why.
    Skipped,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Failed => "FAILED",
            State::Skipped => "skipped",
        }
    }

    fn tone(self) -> Tone {
        match self {
            State::Ok => Tone::Good,
            State::Failed => Tone::Bad,
            State::Skipped => Tone::Dim,
        }
    }
}

/// One check, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    name: String,
    state: State,
    detail: String,
    repair: Option<String>,
    children: Vec<Check>,
}

impl Check {
    fn new(name: impl Into<String>, state: State, detail: impl Into<String>) -> Check {
        Check { name: name.into(), state, detail: detail.into(), repair: None, children: Vec::new() }
    }

    /// It is as it should be.
    pub fn ok(name: impl Into<String>, detail: impl Into<String>) -> Check {
        Check::new(name, State::Ok, detail)
    }

    /// It is not.
    pub fn failed(name: impl Into<String>, detail: impl Into<String>) -> Check {
        Check::new(name, State::Failed, detail)
    }

    /// It was not looked at.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Check {
        Check::new(name, State::Skipped, why)
    }

    /// Several, of which one that failed decides.
    pub fn group(name: impl Into<String>, detail: impl Into<String>, children: Vec<Check>) -> Check {
        let any = |state| children.iter().any(|check: &Check| check.state == state);
        let state = if any(State::Failed) {
            State::Failed
        } else if any(State::Ok) {
            State::Ok
        } else {
            State::Skipped
        };
        Check { children, ..Check::new(name, state, detail) }
    }

    /// With the one command, or else the one thing to do, that repairs it.
    pub fn repair(self, repair: impl Into<String>) -> Check {
        Check { repair: Some(repair.into()), ..self }
    }

    /// The same, where something is known to do.
    pub fn maybe(self, repair: Option<impl Into<String>>) -> Check {
        match repair {
            Some(repair) => self.repair(repair),
            None => self,
        }
    }

    /// How it came out.
    pub fn state(&self) -> State {
        self.state
    }

    /// How many single checks came out so.
    pub fn count(&self, state: State) -> usize {
        match self.children.as_slice() {
            [] => usize::from(self.state == state),
            children => children.iter().map(|child| child.count(state)).sum(),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let mut json = json!({ "name": self.name, "state": self.state.word().to_lowercase(), "detail": self.detail });
        if let Some(repair) = &self.repair {
            json["repair"] = json!(repair);
        }
        if !self.children.is_empty() {
            json["checks"] = self.children.iter().map(Check::json).collect();
        }
        json
    }

    /// For people, in so many columns, or without line breaks of ours.
    pub fn render(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        self.write(&mut text, 0, width);
        text
    }

    fn write(&self, text: &mut String, depth: usize, width: Option<usize>) {
        let indent = 2 * depth;
        let word = self.state.word();
        let pad = " ".repeat(WORDS.saturating_sub(word.len()));
        let head = format!("{}{}{pad}", " ".repeat(indent), paint(self.state.tone(), word));
        let says = match self.detail.as_str() {
            "" => self.name.clone(),
            detail => format!("{}: {detail}", self.name),
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{head}{}", wrapped(&says, indent + WORDS, width));
        if let Some(repair) = &self.repair {
            let place = indent + WORDS;
            let label = paint(Tone::Warn, "repair:");
            // A command is copied, so it is not broken.
            let _ = writeln!(text, "{}{label} {repair}", " ".repeat(place));
        }
        for child in &self.children {
            child.write(text, depth + 1, width);
        }
    }
}

/// The longest word of a state and a blank.
const WORDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn tree() -> Check {
        let read = Check::failed("builds", "CodeBuild ListBuilds of the account was denied").repair("aws iam x");
        let rest = Check::skipped("logs", "no build has ended");
        Check::group("scope default", "account 111122223333", vec![Check::ok("projects", "12"), read, rest])
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_tree_for_people() {
        assert_snapshot!(plain(&tree().render(None)), @"
        FAILED  scope default: account 111122223333
          ok      projects: 12
          FAILED  builds: CodeBuild ListBuilds of the account was denied
                  repair: aws iam x
          skipped logs: no build has ended
        ");
    }

    #[test]
    fn forty_columns_are_enough() {
        let text = plain(&tree().render(Some(40)));
        assert_snapshot!(text, @"
        FAILED  scope default: account
                111122223333
          ok      projects: 12
          FAILED  builds: CodeBuild ListBuilds
                  of the account was denied
                  repair: aws iam x
          skipped logs: no build has ended
        ");
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn one_that_failed_decides() {
        assert_eq!(tree().state(), State::Failed);
        assert_eq!(Check::group("g", "", vec![Check::ok("a", ""), Check::skipped("b", "")]).state(), State::Ok);
        assert_eq!(Check::group("g", "", vec![Check::skipped("b", "")]).state(), State::Skipped);
        assert_eq!((tree().count(State::Ok), tree().count(State::Failed)), (1, 1));
    }

    #[test]
    fn a_tree_for_programs() {
        let json = tree().json();
        assert_eq!(json["checks"][1]["state"], "failed");
        assert_eq!(json["checks"][1]["repair"], "aws iam x");
        assert!(json["checks"][0].get("repair").is_none());
    }
}
