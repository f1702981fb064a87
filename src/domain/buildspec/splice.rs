//! What is one insertion into a text, and how is it taken back?

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// SHA-256 of a buildspec's text, in hex. The ledger keeps digests, never a foreign text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

/// One insertion. Of the foreign text it holds nothing but one redacted, shortened line for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Splice {
    /// Where it goes: a byte offset in the text before.
    pub at: usize,
    /// What goes in, with its own indentation and line break.
    pub insert: String,
    /// The line, counted from 1, on which the login stands afterwards.
    pub line: usize,
    /// The phase whose commands it joins.
    pub phase: String,
    /// The line that it is put above: at most 100 characters, secrets and control characters taken out.
    pub above: String,
}

impl Digest {
    /// The digest of this text.
    pub fn of(text: &str) -> Digest {
        let bytes = Sha256::digest(text.as_bytes());
        Digest(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Splice {
    /// The text with the insertion; nothing where the offset does not fit this text.
    pub fn apply(&self, before: &str) -> Option<String> {
        let (head, tail) = before.split_at_checked(self.at)?;
        Some([head, &self.insert, tail].concat())
    }

    /// Whether what went in stands anywhere in this text, whatever its indentation.
    pub fn has_trace_in(&self, text: &str) -> bool {
        text.contains(self.command())
    }

    /// What went in, without indentation, dash and comma.
    pub fn command(&self) -> &str {
        let command = self.insert.trim().lines().last().unwrap_or_default().trim();
        let command = command.strip_prefix("- ").unwrap_or(command);
        command.strip_suffix(',').unwrap_or(command)
    }

    /// The exact text from before; nothing where the insertion does not stand in its place.
    pub fn undo(&self, after: &str) -> Option<String> {
        let (head, rest) = after.split_at_checked(self.at)?;
        let tail = rest.strip_prefix(self.insert.as_str())?;
        Some([head, tail].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splice(at: usize) -> Splice {
        Splice { at, insert: "- login\n".to_string(), line: 1, phase: "build".to_string(), above: String::new() }
    }

    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(Digest::of("abc").as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn undo_is_the_inverse_of_apply() {
        let before = "é\n- a\n";
        let after = splice(3).apply(before).unwrap();
        assert_eq!(after, "é\n- login\n- a\n");
        assert_eq!(splice(3).undo(&after).unwrap(), before);
    }

    #[test]
    fn a_trace_is_the_command_itself() {
        for (insert, there, gone) in [
            ("      - login\r\n", "- |\n  a; login", "- log\n- in"),
            ("\"login\", ", "[\"a\",\n \"login\"]", "[\"a\"]"),
            ("  install:\n    commands:\n      - login\n", "x:\n- login\n", "install:\n  commands:\n  - a\n"),
        ] {
            let splice = Splice { insert: insert.to_string(), ..splice(0) };
            assert!(splice.has_trace_in(there), "{there}");
            assert!(!splice.has_trace_in(gone), "{gone}");
        }
    }

    #[test]
    fn a_text_that_is_not_as_expected_is_left_alone() {
        assert_eq!(splice(1).apply("é"), None, "inside a character");
        assert_eq!(splice(9).apply("abc"), None, "behind the end");
        assert_eq!(splice(0).undo("- log\n"), None, "not there");
        assert_eq!(splice(9).undo("abc"), None, "behind the end");
    }
}
