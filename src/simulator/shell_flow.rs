//! Which parts of an `if`, a loop or a `case` run.
//!
//! A loop's body runs once: enough to see whether a login or a pull in it works. A `case` is passed over.

use super::shell_words::Stage;

/// Where in compound statements the shell is.
#[derive(Debug, Default)]
pub(super) struct Flow {
    open: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    closed_by: &'static str,
    active: bool,
    /// A branch of the `if` has run already.
    done: bool,
}

/// What to do with a pipeline once its leading keywords are taken off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Run it; the second form turns its status around.
    Run,
    RunNegated,
    /// Not this branch, or nothing is left.
    Skip,
}

impl Flow {
    fn active(&self) -> bool {
        self.open.iter().all(|block| block.active)
    }

    fn enter(&mut self, closed_by: &'static str, active: bool) {
        self.open.push(Block { closed_by, active, done: false });
    }

    /// Takes the keywords off the first program of a pipeline; `code` is the status so far.
    pub(super) fn take_keywords(&mut self, first: &mut Stage, code: &mut i32) -> Part {
        let mut negated = false;
        while let Some(keyword) = first.words.first().and_then(|word| word.literal()) {
            match keyword.as_str() {
                "if" => self.enter("fi", true),
                "while" | "until" => {
                    negated ^= keyword == "until";
                    self.enter("done", true);
                }
                "for" => {
                    self.enter("done", true);
                    return Part::Skip;
                }
                "case" => {
                    self.enter("esac", false);
                    return Part::Skip;
                }
                "then" | "do" => self.branch(*code == 0),
                "elif" => self.branch_open(),
                "else" => self.branch(true),
                "fi" | "done" | "esac" => {
                    self.close(&keyword, code);
                    return Part::Skip;
                }
                "!" => negated = !negated,
                "{" | "}" => {}
                _ => break,
            }
            first.words.remove(0);
        }
        match (self.active() && !first.words.is_empty(), negated) {
            (false, _) => Part::Skip,
            (true, false) => Part::Run,
            (true, true) => Part::RunNegated,
        }
    }

    /// `then`, `do`, `else`: this branch runs unless another one did.
    fn branch(&mut self, condition: bool) {
        if let Some(block) = self.open.last_mut() {
            block.active = condition && !block.done;
            block.done |= block.active;
        }
    }

    /// `elif`: its condition is asked only if no branch has run.
    fn branch_open(&mut self) {
        if let Some(block) = self.open.last_mut() {
            block.active = !block.done;
        }
    }

    /// An `if` without a branch that ran ends with status 0.
    fn close(&mut self, keyword: &str, code: &mut i32) {
        if self.open.last().is_some_and(|block| block.closed_by == keyword)
            && let Some(block) = self.open.pop()
            && !block.done
            && self.active()
        {
            *code = 0;
        }
    }
}
