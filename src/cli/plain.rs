//! What a terminal is given: our colours and the text, and nothing that the text would have it do.
//!
//! Names, messages and quotes come from outside: one with an escape or a mark that turns the direction of writing would
//! move the cursor, hide itself, or read as another. All that commands print goes through here, so none has to think of it.

use crate::domain::legible;
use anstream::AutoStream;
use std::io::{self, IsTerminal as _, Write};

/// A stream on which letters that deceive are spelt out, as in JSON. Line breaks, tabs and our colours pass.
#[derive(Debug)]
pub struct Plain<W: Write> {
    to: W,
    /// The line that is not over, as letters and escapes may arrive in parts.
    line: Vec<u8>,
    as_is: bool,
}

/// Standard output for a text that programs take as it is. Only a terminal is spared what it would obey.
pub fn data() -> Plain<AutoStream<io::Stdout>> {
    let (to, as_is) = (AutoStream::auto(io::stdout()), !io::stdout().is_terminal());
    Plain { to, line: Vec::new(), as_is }
}

impl<W: Write> Plain<W> {
    /// In front of this one.
    pub fn new(to: W) -> Plain<W> {
        Plain { to, line: Vec::new(), as_is: false }
    }

    fn pass(&mut self) -> io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        self.to.write_all(shown(&String::from_utf8_lossy(&line)).as_bytes())
    }
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.as_is {
            return self.to.write(bytes);
        }
        let over = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (lines, rest) = bytes.split_at(over);
        self.line.extend_from_slice(lines);
        if !lines.is_empty() {
            self.pass()?;
        }
        self.line.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass()?;
        self.to.flush()
    }
}

impl<W: Write> Drop for Plain<W> {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.flush();
    }
}

fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let after = rest.get(letter.len_utf8()..).unwrap_or_default();
        let kept = match letter {
            '\n' | '\t' => letter.len_utf8(),
            // The line ends of a file from Windows, in a diff.
            '\r' if after.starts_with('\n') => letter.len_utf8(),
            '\u{1b}' => colour(after).map_or(0, |length| 1 + length),
            _ if legible::deceives(letter) => 0,
            _ => letter.len_utf8(),
        };
        match rest.split_at_checked(kept) {
            Some((kept, behind)) if !kept.is_empty() => {
                out.push_str(kept);
                rest = behind;
            }
            _ => {
                legible::spell(letter, &mut out);
                rest = after;
            }
        }
    }
    out
}

/// The length of a colour code, behind its escape: one that we write ourselves. Others hide text.
fn colour(after: &str) -> Option<usize> {
    let codes = after.strip_prefix('[')?;
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let (codes, behind) = codes.split_at(end);
    let is_ours = match codes.split(';').collect::<Vec<_>>().as_slice() {
        ["38", "5", colour] => colour.parse::<u8>().is_ok_and(|colour| (1..=15).contains(&colour)),
        codes => codes.iter().all(|code| matches!(*code, "0" | "1" | "2" | "22" | "31" | "32" | "33" | "36" | "39")),
    };
    (is_ours && behind.starts_with('m')).then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Tone, paint};
    use rstest::rstest;

    #[rstest]
    #[case("plain, Grüße, 🐳\n", "plain, Grüße, 🐳\n")]
    #[case("a\tb\r\nc\rd", "a\tb\r\nc\\u000dd")]
    #[case("web\u{202e}gpj.exe\n", "web\\u202egpj.exe\n")]
    #[case("\u{1b}[2Ja\u{1b}]0;title\u{7}", "\\u001b[2Ja\\u001b]0;title\\u0007")]
    #[case::concealed("\u{1b}[8mhidden\u{1b}[0m", "\\u001b[8mhidden\u{1b}[0m")]
    #[case::black("\u{1b}[38;5;0mhidden", "\\u001b[38;5;0mhidden")]
    #[case::broken_off("\u{1b}[31", "\\u001b[31")]
    #[case::escape_alone("\u{1b}", "\\u001b")]
    fn only_our_colours_pass(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn every_tone_and_every_colour_of_a_table_passes() {
        for tone in [Tone::Strong, Tone::Dim, Tone::Good, Tone::Warn, Tone::Bad] {
            let text = paint(tone, "x");
            assert_eq!(shown(&text), text);
            let mut table = crate::cli::output::Table::new(["A"]);
            let text = table.row([crate::cli::output::Cell::new(tone, "x")]).render();
            assert_eq!(shown(&text), text, "{tone:?}");
        }
    }

    #[test]
    fn letters_and_escapes_may_arrive_in_parts() {
        let text = "Grüße \u{1b}[31mred\u{1b}[0m \u{202e}x\nand more";
        let mut whole = Vec::new();
        {
            let mut plain = Plain::new(&mut whole);
            for byte in text.as_bytes() {
                plain.write_all(&[*byte]).unwrap();
            }
        }
        assert_eq!(String::from_utf8(whole).unwrap(), text.replace('\u{202e}', "\\u202e"));
    }
}
