//! What single rules tell, beside what stands with them: cases that the corpus has none of.

mod attribute;
mod echo;
mod frame;
mod listing;

use super::clean::{self, Line};

/// The lines of a text, and which of them holds a word first.
fn lines_with(text: &str, word: &str) -> (Vec<Line>, usize) {
    let lines = clean::lines(text.as_bytes(), 1, 0);
    let at = lines.iter().position(|line| line.text.contains(word)).unwrap();
    (lines, at)
}
