//! Finds many texts at once.

use aho_corasick::{AhoCorasick, packed};

/// Searches for all texts of a list at once.
pub enum Finder {
    /// With vector instructions.
    Packed(packed::Searcher),
    /// On a processor without them, or for more texts than those take.
    Automaton(AhoCorasick),
}

/// A text that was found.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// Index of the text in the list: of several that begin at one place, the first.
    pub text: usize,
    /// Index of its first byte.
    pub start: usize,
    /// Index behind its last byte.
    pub end: usize,
}

impl Finder {
    /// For these texts; none if there are none, or one is empty.
    pub fn of<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Option<Finder> {
        let texts: Vec<T> = texts.into_iter().collect();
        if texts.is_empty() || texts.iter().any(|text| text.as_ref().is_empty()) {
            return None;
        }
        match packed::Searcher::new(&texts) {
            Some(searcher) => Some(Finder::Packed(searcher)),
            None => {
                let mut automaton = AhoCorasick::builder();
                automaton.match_kind(aho_corasick::MatchKind::LeftmostFirst);
                automaton.build(&texts).ok().map(Finder::Automaton)
            }
        }
    }

    /// The next text at or after an index.
    pub fn find(&self, buffer: &[u8], from: usize) -> Option<Hit> {
        let rest = buffer.get(from..)?;
        let hit = match self {
            Finder::Packed(searcher) => searcher.find(rest)?,
            Finder::Automaton(automaton) => automaton.find(rest)?,
        };
        Some(Hit { text: hit.pattern().as_usize(), start: from + hit.start(), end: from + hit.end() })
    }

    /// Every place where one of the texts begins.
    pub fn starts<'a>(&'a self, buffer: &'a [u8]) -> impl Iterator<Item = Hit> + 'a {
        std::iter::successors(self.find(buffer, 0), |hit| self.find(buffer, hit.start + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_found_also_within_another_text() {
        let finder = Finder::of(["abab", "bab", "c"]).unwrap();
        assert_eq!(finder.starts(b"ababab c").map(|hit| hit.start).collect::<Vec<_>>(), [0, 1, 2, 3, 7]);
        assert!(Finder::of([""]).is_none());
        assert!(Finder::of(Vec::<&str>::new()).is_none());
    }

    #[test]
    fn more_texts_than_vectors_take_are_found_too() {
        let texts: Vec<String> = (100..400).map(|number| format!("text {number};")).collect();
        let finder = Finder::of(&texts).unwrap();
        assert!(matches!(finder, Finder::Automaton(_)));
        let hit = finder.find(b"a text 399; b", 1).unwrap();
        assert_eq!((hit.text, hit.start, hit.end), (299, 2, 11));
    }
}
