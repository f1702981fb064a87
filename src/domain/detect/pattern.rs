//! Matches a message however it was wrapped, coloured, quoted or escaped.
//!
//! A pattern is written as people read it. Blanks, line breaks, the case of letters and JSON's escapes do not count,
//! so a message that was wrapped in the middle of a word is still found. Three marks have a meaning:
//! `…` stands for up to [`GAP`] characters of anything, `‹url›` for an address, and `¶` for the end of a line.
//! `TOOMANYREQUESTS` in capitals is the registry's error code: one word, not the status text `Too Many Requests`, and
//! not a name like `TooManyRequestsException`.

use crate::domain::detect::clean::{self, Line};
use memchr::memmem;

/// How many characters `…` and `‹url›` may stand for.
pub const GAP: usize = 400;

const CODE: &str = "TOOMANYREQUESTS";

/// Lines without what does not count. Where a character stood is found again when it is asked for, as hardly one is.
#[derive(Debug, Default)]
pub struct Squeezed {
    /// Lower case, no blanks. One byte a character: what is not ASCII is a `?`, and no pattern needs it.
    pub text: Vec<u8>,
    /// Where the text of each line begins, and the line's index. In order; a line without text has no entry.
    starts: Vec<(usize, usize)>,
}

impl Squeezed {
    /// Squeezes lines that were cleaned. Lines that say nothing are left out.
    pub fn of(lines: &[Line]) -> Squeezed {
        let length = lines.iter().map(|line| line.text.len()).sum();
        let mut squeezed = Squeezed { text: Vec::with_capacity(length), starts: Vec::with_capacity(lines.len()) };
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| !clean::is_filler(&line.text)) {
            let start = squeezed.text.len();
            squeeze(&line.text, &mut squeezed.text);
            if squeezed.text.len() > start {
                squeezed.starts.push((start, index));
            }
        }
        squeezed
    }

    /// So many lines were put before those that were squeezed.
    pub fn moved_by(&mut self, lines: usize) {
        self.starts.iter_mut().for_each(|(_, line)| *line += lines);
    }

    /// Index of the line and byte offset within its text of the character at an index.
    pub fn place(&self, lines: &[Line], at: usize) -> Option<(usize, usize)> {
        let (start, line) = self.line_of(at)?;
        let (offset, _) = counting(&lines.get(line)?.text).nth(at - start)?;
        Some((line, offset))
    }

    /// The places of the characters from an index to before another, as far as there are any.
    fn places(&self, lines: &[Line], from: usize, to: usize) -> Vec<(usize, usize)> {
        let mut places = Vec::with_capacity(to - from);
        while from + places.len() < to {
            let at = from + places.len();
            let Some((start, line)) = self.line_of(at) else { break };
            let text = lines.get(line).map(|line| line.text.as_str()).unwrap_or_default();
            let offsets = counting(text).map(|(offset, _)| offset).skip(at - start).take(to - at);
            let known = places.len();
            places.extend(offsets.map(|offset| (line, offset)));
            if places.len() == known {
                break;
            }
        }
        places
    }

    /// The start of the line that the character at an index is in, and the line's index.
    fn line_of(&self, at: usize) -> Option<(usize, usize)> {
        let after = self.starts.partition_point(|(start, _)| *start <= at);
        self.starts.get(after.checked_sub(1)?).copied().filter(|_| at < self.text.len())
    }

    /// Whether the line ends before an index.
    fn ends_line(&self, at: usize) -> bool {
        at >= self.text.len() || self.starts.binary_search_by_key(&at, |(start, _)| *start).is_ok()
    }
}

/// What a byte of ASCII becomes; 0 if it does not count, 1 if it takes a closer look.
const SQUEEZED: [u8; 256] = {
    let mut table = [1_u8; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => 0,
            b'\\' | 0 => 1,
            _ => byte.to_ascii_lowercase(),
        };
        byte += 1;
    }
    table
};

/// Appends the characters that count.
fn squeeze(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let simple = squeeze_simple(rest.as_bytes(), out);
        let mut chars = rest.get(simple..).unwrap_or_default().chars();
        let Some(odd) = chars.next() else { return };
        rest = chars.as_str();
        if odd == '\\' {
            // As `counting` does.
            rest = rest.strip_prefix(['n', 'r', 't']).unwrap_or(rest);
        } else if !odd.is_whitespace() {
            out.push(squeezed(odd));
        }
    }
}

/// Appends the characters that count up to the first that takes a closer look. How many bytes that was.
fn squeeze_simple(text: &[u8], out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + text.len(), 0);
    let (mut end, mut read) = (start, 0);
    for byte in text {
        let known = SQUEEZED.get(usize::from(*byte)).copied().unwrap_or_default();
        if known == 1 {
            break;
        }
        // What does not count is overwritten by the next.
        if let Some(slot) = out.get_mut(end) {
            *slot = known;
        }
        end += usize::from(known != 0);
        read += 1;
    }
    out.truncate(end);
    read
}

/// What a character that counts becomes.
fn squeezed(c: char) -> u8 {
    if c.is_ascii() { c.to_ascii_lowercase() as u8 } else { b'?' }
}

/// Each character that counts, with its offset.
fn counting(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (offset, c) = chars.next()?;
            match c {
                '\\' => {
                    // `\n` of JSON is a line break; `\"` is a quote.
                    chars.next_if(|(_, next)| matches!(next, 'n' | 'r' | 't'));
                }
                _ if c.is_whitespace() => {}
                _ => return Some((offset, squeezed(c))),
            }
        }
    })
}

/// A pattern made ready.
#[derive(Debug)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text { squeezed: Vec<u8>, is_code: bool },
    Gap,
    Url,
    LineEnd,
}

impl Pattern {
    /// Reads a pattern of the families' table.
    pub fn of(text: &str) -> Pattern {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('…') {
                parts.push(Part::Gap);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("‹url›") {
                parts.push(Part::Url);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('¶') {
                parts.push(Part::LineEnd);
                rest = after;
            } else {
                let end = rest.find(['…', '‹', '¶']).unwrap_or(rest.len());
                let (literal, after) = rest.split_at(end);
                let squeezed: Vec<u8> =
                    literal.bytes().filter(|b| !b.is_ascii_whitespace()).map(|b| b.to_ascii_lowercase()).collect();
                if !squeezed.is_empty() {
                    parts.push(Part::Text { squeezed, is_code: literal.trim_start().starts_with(CODE) });
                }
                rest = after;
            }
        }
        Pattern { parts }
    }

    /// The text that every match begins with.
    pub fn head(&self) -> &[u8] {
        match self.parts.first() {
            Some(Part::Text { squeezed, .. }) => squeezed,
            _ => &[],
        }
    }

    /// A text that every match holds, the longest.
    pub fn core(&self) -> &[u8] {
        let texts = self.parts.iter().filter_map(|part| match part {
            Part::Text { squeezed, .. } => Some(squeezed.as_slice()),
            _ => None,
        });
        texts.max_by_key(|text| text.len()).unwrap_or_default()
    }

    /// The end of a match that begins at an index, given the lines that were squeezed.
    pub fn end_of_match(&self, at: usize, squeezed: &Squeezed, lines: &[Line]) -> Option<usize> {
        self.parts_match(&self.parts, at, squeezed, lines)
    }

    fn parts_match(&self, parts: &[Part], at: usize, squeezed: &Squeezed, lines: &[Line]) -> Option<usize> {
        let Some((part, rest)) = parts.split_first() else {
            return Some(at);
        };
        match part {
            Part::Text { squeezed: wanted, is_code } => {
                let found = squeezed.text.get(at..)?.starts_with(wanted);
                let fits = found && (!is_code || is_code_word(at, squeezed, lines));
                if fits { self.parts_match(rest, at + wanted.len(), squeezed, lines) } else { None }
            }
            Part::LineEnd => {
                if squeezed.ends_line(at) {
                    self.parts_match(rest, at, squeezed, lines)
                } else {
                    None
                }
            }
            Part::Gap | Part::Url => {
                let most = squeezed.text.get(at..squeezed.text.len().min(at + GAP))?;
                let most = match part {
                    Part::Url => most.iter().take_while(|byte| is_url_byte(**byte)).count(),
                    _ => most.len(),
                };
                // What comes next is searched for, as trying every place takes long.
                let next = match rest.first() {
                    Some(Part::Text { squeezed, .. }) => squeezed.as_slice(),
                    _ => &[],
                };
                let until = squeezed.text.len().min(at + most + next.len());
                let find = |from: usize| Some(from + memmem::find(squeezed.text.get(from..until)?, next)?);
                let mut places = std::iter::successors(find(at), |place| find(place + 1));
                places.find_map(|place| self.parts_match(rest, place, squeezed, lines))
            }
        }
    }
}

fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":/._@%?=&+-~*[]\"'".contains(&byte)
}

/// Whether the letters at an index are the code: one word in one case (or with a capital first letter), and no part of a
/// longer name.
fn is_code_word(at: usize, squeezed: &Squeezed, lines: &[Line]) -> bool {
    // Mostly all of it stands in one line, which is read once.
    let places = squeezed.places(lines, at, at + CODE.len());
    if places.len() < CODE.len() {
        return false;
    }
    let place = |at: usize| squeezed.place(lines, at);
    let letters: Option<Vec<char>> = places.iter().map(|place| char_at(lines, *place)).collect();
    let Some(letters) = letters else { return false };
    let tail_is_lower = letters.iter().skip(1).all(|c| c.is_ascii_lowercase());
    let is_upper = letters.iter().all(|c| c.is_ascii_uppercase());
    // Within a line the letters stand side by side.
    let is_one_word = places.windows(2).all(|pair| match pair {
        [a, b] => a.0 != b.0 || a.1 + 1 == b.1,
        _ => true,
    });
    let is_name = |place: Option<(usize, usize)>, same: Option<&(usize, usize)>| {
        let (Some(place), Some(same)) = (place, same) else {
            return false;
        };
        let touches = place.0 == same.0 && place.1.abs_diff(same.1) == 1;
        touches && char_at(lines, place).is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    let before = at.checked_sub(1).and_then(place);
    let after = place(at + CODE.len());
    (tail_is_lower || is_upper) && is_one_word && !is_name(before, places.first()) && !is_name(after, places.last())
}

fn char_at(lines: &[Line], place: (usize, usize)) -> Option<char> {
    lines.get(place.0)?.text.get(place.1..)?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn matches(pattern: &str, text: &str) -> bool {
        let lines = clean::lines(text.as_bytes(), 1, 0);
        let squeezed = Squeezed::of(&lines);
        let pattern = Pattern::of(pattern);
        (0..squeezed.text.len()).any(|at| pattern.end_of_match(at, &squeezed, &lines).is_some())
    }

    #[rstest]
    #[case("TOOMANYREQUESTS: Rate exceeded", "toomanyrequests: Rate exceeded", true)]
    #[case("TOOMANYREQUESTS: Rate exceeded", "TOOMANYREQUESTS: Rate exceeded", true)]
    #[case("TOOMANYREQUESTS: Rate exceeded", "toomany\nrequests: Rate\n  exceeded", true)]
    #[case("TOOMANYREQUESTS: Rate exceeded", "TooManyRequests: Rate exceeded", false)]
    #[case("TOOMANYREQUESTS: Rate exceeded", "TooManyRequestsException: Rate exceeded", false)]
    #[case("TOOMANYREQUESTS: Rate exceeded", "Too Many Requests: Rate exceeded", false)]
    #[case("TOOMANYREQUESTS: Rate exceeded", "statustoomanyrequests: Rate exceeded", false)]
    #[case("TOOMANYREQUESTS¶", "daemon: toomanyrequests", true)]
    #[case("TOOMANYREQUESTS¶", "daemon: toomanyrequests more", false)]
    #[case("\"code\": \"TOOMANYREQUESTS\"", "{\\\"code\\\":\\\"TOOMANYREQUESTS\\\"}", true)]
    #[case("status code https:‹url›/v2/‹url›: 429", "status code https://a.b/v2/c/manifests/d: 429 Too", true)]
    #[case("status code https:‹url›/v2/‹url›: 429", "status code https://a.b/v2/c; and then (x): 429 Too", false)]
    fn a_pattern_matches_what_it_says(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, text), expected);
    }
}
