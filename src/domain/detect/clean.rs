//! What a person would read: a log's lines without colours, control characters and the prefixes that tools put in front.

use crate::domain::detect::finder::Finder;
use std::borrow::Cow;

/// One line as it is matched and quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the log, counted by line feeds; 1 is the first.
    pub number: u64,
    /// Where its row begins in the log, in bytes.
    pub at: u64,
    /// Without escapes and prefixes.
    pub text: String,
    /// How many characters it had with its prefixes: the lines that a terminal wrapped are equally wide.
    pub width: usize,
    /// How many blanks it began with, behind its prefixes.
    pub indent: usize,
    /// Whether CodeBuild's stamp `[Container] <date> <time>` stood before it. Not only the agent's lines carry it: in
    /// 2017, and where CodeBuild runs an action of another service, every line does.
    pub stamped: bool,
}

/// Cuts a piece of a log into lines, given the number and the place of its first. A lone carriage return separates lines
/// too (a progress bar that overwrites itself, or a log of another system), but is not counted.
pub fn lines(raw: &[u8], first_number: u64, at: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = at;
    for (number, row) in (first_number..).zip(rows(raw)) {
        pieces(row, |piece| lines.push(Line::of(piece, number, at)));
        at += row.len() as u64 + 1;
    }
    lines
}

/// Like [`lines`] without their numbers, and of them only those that hold one of some texts, or whose row begins at one of
/// some places. Most rows show just what they hold, so that they are searched together.
pub fn lines_with(raw: &[u8], at: u64, texts: &Finder, places: &[u64]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut from = 0;
    let mut next = texts.find(raw, 0);
    for row in rows(raw) {
        let (place, end) = (at + from as u64, from + row.len());
        while next.is_some_and(|hit| hit.start < from) {
            next = texts.find(raw, from);
        }
        // What spans two rows stands in neither.
        let may_hold = next.is_some_and(|hit| hit.start < end);
        let is_there = places.contains(&place);
        if may_hold || is_there || !is_plain(row) || memchr::memchr2(b'<', b'&', row).is_some() {
            pieces(row, |piece| {
                if is_there || texts.find(piece.as_bytes(), 0).is_some() {
                    lines.push(Line::of(piece, 0, place));
                }
            });
        }
        from = end + 1;
    }
    lines
}

/// What the rows of a piece of a log show, prefixes and all.
pub fn read(raw: &[u8], mut see: impl FnMut(&str)) {
    rows(raw).for_each(|row| pieces(row, &mut see));
}

impl Line {
    fn of(visible: &str, number: u64, at: u64) -> Line {
        let (stamped, text) = without_prefixes(visible);
        // The right edge of a box.
        let edge = ['│', '┃', '║'].into_iter().find(|edge| visible.trim_start().starts_with(*edge));
        let text = edge.and_then(|edge| text.strip_suffix(edge)).map_or(text, str::trim_end);
        let width = if visible.is_ascii() { visible.len() } else { visible.chars().count() };
        Line { number, at, text: text.to_string(), width, indent: indent_of(visible, text), stamped }
    }
}

impl Line {
    /// Takes a prefix of its text off, and what of other prefixes stood behind it.
    pub fn without(&mut self, prefix: &str) {
        // A blank line lost the blank that the prefix ends in.
        let bare = prefix.trim_end();
        let Some(rest) = self.text.strip_prefix(prefix).or_else(|| self.text.strip_prefix(bare)) else { return };
        let (stamped, text) = without_prefixes(rest);
        // One blank belongs to a prefix behind the first.
        let indent = rest.len() - rest.trim_start().len();
        let is_first = text.len() + indent == rest.trim_end().len();
        let indent = if is_first { indent } else { indent_of(rest, text) };
        (self.stamped, self.indent, self.text) = (self.stamped || stamped, self.indent + indent, text.to_string());
    }
}

/// What a row shows: mostly one text.
fn pieces(row: &[u8], mut see: impl FnMut(&str)) {
    if let Some(plain) = plain(row) {
        return see(plain);
    }
    let ended = row.strip_suffix(b"\r").unwrap_or(row);
    // Most rows are UTF-8, which is checked faster than it is mended.
    let ended = str::from_utf8(ended).map_or_else(|_| String::from_utf8_lossy(ended), Cow::Borrowed);
    let overwrites = ended.contains("\u{1b}[1G") || ended.contains("\u{1b}[2K");
    if memchr::memchr2(b'\r', b'<', ended.as_bytes()).is_none() && !has_quotes_of_xml(&ended) && !overwrites {
        return see(&visible(&ended));
    }
    // Some tools join the lines of a log with HTML's line break, reports of tests with XML's.
    // So does one that sets the cursor to the first column, or clears the line.
    let lines = ended.split('\r').flat_map(|piece| piece.split("\u{1b}[1G")).flat_map(|piece| piece.split("\u{1b}[2K"));
    let lines = lines.flat_map(|piece| piece.split("<br/>")).flat_map(|piece| piece.split("&#10;"));
    lines.for_each(|piece| see(&visible(&with_quotes(piece))));
}

/// With quotes for those of XML. In the value of an attribute they are escaped, as JSON would have them.
fn with_quotes(text: &str) -> String {
    let in_attribute = text.find("&quot;").is_some_and(|at| text.get(..at).unwrap_or_default().contains("=\""));
    text.replace("&quot;", if in_attribute { "\\\"" } else { "\"" })
}

/// Whether a quote or a line break stands in a text as an attribute of XML has it.
fn has_quotes_of_xml(text: &str) -> bool {
    memchr::memchr(b'&', text.as_bytes()).is_some() && (text.contains("&quot;") || text.contains("&#10;"))
}

/// How far a text, which is the end of a line, is indented within it. One blank belongs to the prefix before it.
fn indent_of(line: &str, text: &str) -> usize {
    let line = line.trim_end();
    let before = line.len().checked_sub(text.len()).and_then(|length| line.get(..length)).unwrap_or_default();
    let prefix = before.trim_end();
    let blanks = before.get(prefix.len()..).unwrap_or_default().chars().count();
    if prefix.is_empty() { blanks } else { blanks.saturating_sub(1) }
}

/// What stands between line feeds; at least one row.
fn rows(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b'\n', raw).chain(std::iter::once(raw.len()));
    ends.scan(0, |from, end| {
        let row = raw.get(*from..end).unwrap_or_default();
        *from = end + 1;
        Some(row)
    })
}

/// A row that holds nothing to take out or to separate, as most do. The rest of this file would leave it as it is.
fn plain(row: &[u8]) -> Option<&str> {
    let text = if is_plain(row) { str::from_utf8(row).ok()? } else { return None };
    let is_one = memchr::memchr(b'<', row).is_none() || !text.contains("<br/>");
    (is_one && !has_quotes_of_xml(text)).then_some(text)
}

/// Whether all of it is ASCII that a person sees. Without an early end, so that it is done with vector instructions.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'))
}

/// How many bytes of it are plain.
fn plain_length(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let plain = blocks.iter().take_while(|block| is_plain(*block)).count();
    let odd = blocks.get(plain).map_or(rest, |block| block.as_slice());
    16 * plain + odd.iter().take_while(|byte| matches!(byte, b' '..=b'~')).count()
}

/// The text without terminal escapes, control and direction-changing characters. A tab becomes a blank.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (kept, odd) = rest.split_at_checked(plain_length(rest.as_bytes())).unwrap_or((rest, ""));
        out.push_str(kept);
        let mut chars = odd.chars();
        let Some(c) = chars.next() else { return out };
        rest = chars.as_str();
        match c {
            '\u{1b}' => rest = behind_escape(rest),
            '\u{9b}' => rest = behind_control_sequence(rest),
            '\u{9d}' | '\u{90}' => rest = behind_string(rest),
            '\t' => out.push(' '),
            _ if is_invisible(c) => {}
            _ => out.push(c),
        }
    }
}

/// Control characters, and those that turn the reading direction or have no width.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

/// After ESC: a control sequence, a string (title changes, hyperlinks), or a two-character escape.
fn behind_escape(text: &str) -> &str {
    let mut chars = text.chars();
    match chars.next() {
        Some('[') => behind_control_sequence(chars.as_str()),
        Some(']' | 'P' | 'X' | '^' | '_') => behind_string(chars.as_str()),
        Some('(' | ')' | '*' | '+' | '#' | ' ') => {
            chars.next();
            chars.as_str()
        }
        _ => chars.as_str(),
    }
}

/// Parameters, then one final byte. What is no part of a sequence is left: the log may end inside one.
fn behind_control_sequence(text: &str) -> &str {
    let rest = text.trim_start_matches(|c| matches!(c, '\u{20}'..='\u{3f}'));
    rest.strip_prefix(|c| matches!(c, '\u{40}'..='\u{7e}')).unwrap_or(rest)
}

/// Up to BEL or ESC `\`. A string that never ends within its line hides the rest of it, as on a terminal.
fn behind_string(text: &str) -> &str {
    match text.split_once(['\u{7}', '\u{9c}', '\u{1b}']) {
        Some((hidden, rest)) if text.get(hidden.len()..).is_some_and(|end| end.starts_with('\u{1b}')) => {
            rest.strip_prefix('\\').unwrap_or(rest)
        }
        Some((_, rest)) => rest,
        None => "",
    }
}

/// Takes off time stamps, console line numbers, tree drawing and quote marks, in any order and number, and says whether
/// CodeBuild's stamp was among them.
fn without_prefixes(line: &str) -> (bool, &str) {
    let mut stamped = false;
    let mut rest = line.trim();
    loop {
        if !may_begin_prefix(rest) {
            return (stamped, rest);
        }
        let before = rest;
        if let Some(after) = rest.strip_prefix("[Container]") {
            stamped = true;
            rest = after.trim_start();
        }
        let timed = rest.len();
        rest = without_time(rest);
        if rest.len() < timed {
            rest = without_stream(rest);
        }
        rest = without_build_time(rest);
        rest = without_margin(rest);
        if rest.len() == before.len() {
            return (stamped, rest);
        }
    }
}

/// Whether one of the prefixes begins so: a bracket, a digit, a month's first letter, a margin's sign. Most lines don't.
fn may_begin_prefix(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_digit() || !byte.is_ascii() || b"[>|#JFMASOND".contains(&byte))
}

/// `2025-02-12T15:02:00.42Z`, `2020/12/03 19:42:07`, `15:02:00,361`, `[2023-03-09T10:02:36.442Z]`, `Dec 20 14:57:40`.
fn without_time(text: &str) -> &str {
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let time = if is_digit(0) {
        Some(text.split_once(' ').unwrap_or((text, "")))
    } else if is_digit(1) {
        text.strip_prefix('[').and_then(|inner| inner.split_once(']'))
    } else {
        None
    };
    match time {
        Some((time, after)) if is_time(time) => after.trim_start(),
        Some((time, after)) if is_clock(time) => after.trim_start(),
        // A place in a file that a linter names is a column of its own.
        Some((time, after)) if is_minutes(time) && !after.starts_with(' ') => after,
        Some(_) => text,
        None => without_syslog_time(text).unwrap_or(text),
    }
}

/// A time of twelve hours: `3:04PM`.
fn is_clock(word: &str) -> bool {
    let digits = word.strip_suffix("AM").or_else(|| word.strip_suffix("PM"));
    let is_number = |text: &str| text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.and_then(|time| time.split_once(':')).is_some_and(|(hour, rest)| is_number(hour) && is_number(rest))
}

/// Minutes and seconds since the start: `00:04`.
fn is_minutes(word: &str) -> bool {
    matches!(word.as_bytes(), [a, b, b':', c, d] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()))
}

/// What stands between a time and what was printed then: a container's stream, or a level that tells nothing.
fn without_stream(text: &str) -> &str {
    const STREAMS: [&str; 7] = ["stdout F ", "stderr F ", "stdout P ", "stderr P ", "INFO ", "DEBUG ", "NOTICE "];
    if STREAMS.iter().any(|stream| stream.trim_end() == text) {
        return "";
    }
    STREAMS.iter().find_map(|stream| text.strip_prefix(stream)).map_or(text, str::trim_start)
}

/// BuildKit's `#12 4.221 ` before what a step printed, and `4.221 ` where it repeats the end of a step that failed.
fn without_build_time(text: &str) -> &str {
    let Some(digits) = text.strip_prefix('#') else { return without_seconds(text).unwrap_or(text) };
    let rest = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = rest.len() < digits.len();
    rest.strip_prefix(' ').filter(|_| is_numbered).and_then(without_seconds).unwrap_or(text)
}

/// Seconds to three places.
fn without_seconds(text: &str) -> Option<&str> {
    let after = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let parts = text.get(text.len() - after(text)..)?.strip_prefix('.').filter(|_| after(text) < text.len())?;
    let (parts, rest) = parts.split_at_checked(parts.len() - after(parts))?;
    (parts.len() == 3 && (rest.is_empty() || rest.starts_with(' '))).then(|| rest.trim_start())
}

fn without_syslog_time(text: &str) -> Option<&str> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (month, rest) = text.split_at_checked(3)?;
    let rest = rest.strip_prefix(' ').filter(|_| MONTHS.contains(&month))?;
    let (day, rest) = rest.trim_start().split_once(' ')?;
    let (time, rest) = rest.split_once(' ')?;
    let is_day = day.len() <= 2 && day.bytes().all(|byte| byte.is_ascii_digit());
    (is_day && is_time(time)).then(|| without_sender(rest.trim_start()))
}

/// `host dockerd[812]: `: who wrote to syslog.
fn without_sender(text: &str) -> &str {
    let parts = text.split_once(": ").or_else(|| Some((text.strip_suffix(':')?, ""))).filter(|(sender, _)| {
        let process = sender.split_once(' ').and_then(|(_, program)| program.strip_suffix(']')?.rsplit_once('['));
        process.is_some_and(|(name, id)| !name.contains(' ') && id.bytes().all(|byte| byte.is_ascii_digit()))
    });
    parts.map_or(text, |(_, rest)| rest.trim_start())
}

/// A date, a time, or both: digits and their separators, at least two separators, no other letter than `T` and `Z`.
pub fn is_time(word: &str) -> bool {
    let separators = || word.bytes().filter(|byte| matches!(byte, b':' | b'-' | b'/')).count();
    word.len() >= 8
        && word.starts_with(|c: char| c.is_ascii_digit())
        && separators() >= 2
        && word.bytes().all(|byte| byte.is_ascii_digit() || b":-/.,+TZ ".contains(&byte))
}

/// One margin: `91 | ` of a console, `│ ` of a tree, `> ` of a mail.
fn without_margin(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix(['│', '┃', '├', '└', '╰', '╭', '─', '━', '║']) {
        return rest.trim_start();
    }
    if let Some(rest) = text.strip_prefix("> ").or_else(|| text.strip_prefix("| ")) {
        return rest.trim_start();
    }
    const LEVELS: [&str; 6] = ["[ERROR] ", "[WARN] ", "[WARNING] ", "[INFO] ", "##[error]", "##[warning]"];
    if let Some(rest) = LEVELS.iter().find_map(|level| text.strip_prefix(level)) {
        return rest.trim_start();
    }
    if matches!(text, ">" | "|") {
        return "";
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.get(digits..).map(str::trim_start).and_then(|rest| rest.strip_prefix('|')) {
        Some(rest) if digits > 0 && (rest.is_empty() || rest.starts_with(' ')) => rest.trim_start(),
        _ => text,
    }
}

/// Whether a line says nothing: blank, dashes, or a console's line number that stands alone.
pub fn is_filler(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || "-=_*>|".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("\u{1b}[31mtoomanyrequests\u{1b}[0m: x", "toomanyrequests: x")]
    #[case("a\u{1b}]0;evil\u{7}b", "ab")]
    #[case("a\u{1b}]8;;https://x\u{1b}\\b", "ab")]
    #[case("a\u{202e}b\u{200b}c\0d", "abcd")]
    #[case("cut inside \u{1b}[3", "cut inside ")]
    #[case("cut inside \u{1b}", "cut inside ")]
    #[case("a\u{1b}[38;5;12mb", "ab")]
    fn escapes_and_controls_are_taken_out(#[case] raw: &str, #[case] expected: &str) {
        assert_eq!(visible(raw), expected);
    }

    #[rstest]
    #[case("[Container] 2020/12/03 19:42:12 Entering phase BUILD", true, "Entering phase BUILD")]
    #[case("[Container] 2025/06/18 07:02:11.402117 Running command x", true, "Running command x")]
    #[case("93 | [Container] 2023/07/03 08:21:07 Phase complete", true, "Phase complete")]
    #[case("92 |", false, "")]
    #[case("2025-02-12T15:02:00.6282143Z 15:02:00,547 ERROR x", false, "ERROR x")]
    #[case("[2023-03-09T10:02:36.442Z] [ERROR] {", false, "{")]
    #[case("Dec 20 14:57:40 host x", false, "host x")]
    #[case("│           toomanyrequests", false, "toomanyrequests")]
    #[case("> toomanyrequests", false, "toomanyrequests")]
    #[case("429 Too Many Requests", false, "429 Too Many Requests")]
    #[case("#3 ERROR: x", false, "#3 ERROR: x")]
    #[case("Dec 20 14:57:40 ip-10-0-0-1 dockerd[812]: x", false, "x")]
    #[case("2025-05-01T10:00:00.1Z stderr F x", false, "x")]
    #[case("2025-05-01 10:00:00,123 INFO x", false, "x")]
    #[case("00:04 x", false, "x")]
    #[case("41:18  error x", false, "41:18  error x")]
    #[case("#12 4.221 toomanyrequests", false, "toomanyrequests")]
    #[case("4.221 toomanyrequests", false, "toomanyrequests")]
    #[case("#12 [2/3] RUN x", false, "#12 [2/3] RUN x")]
    #[case("#12 4.221", false, "")]
    #[case("2025-05-01T10:00:00.1Z stdout F", false, "")]
    #[case("Dec 20 14:57:40 ip-10-0-0-1 dockerd[812]:", false, "")]
    #[case("#12 DONE 0.3s", false, "#12 DONE 0.3s")]
    #[case("3.12 x", false, "3.12 x")]
    #[case("10.0.0.1 - - x", false, "10.0.0.1 - - x")]
    fn prefixes_are_taken_off(#[case] raw: &str, #[case] stamped: bool, #[case] text: &str) {
        let found = lines(raw.as_bytes(), 7, 3);
        let [line] = found.as_slice() else { panic!("one line") };
        assert_eq!((line.number, line.at, line.stamped, line.text.as_str()), (7, 3, stamped, text));
    }

    #[rstest]
    #[case("")]
    #[case("a")]
    #[case("\n")]
    #[case("a\n\nb\n")]
    fn rows_are_what_line_feeds_separate(#[case] raw: &str) {
        let expected: Vec<&[u8]> = raw.as_bytes().split(|byte| *byte == b'\n').collect();
        assert_eq!(rows(raw.as_bytes()).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case("[Container] 2020/12/03 19:42:12 a b  ")]
    #[case("3 | a < b")]
    #[case("")]
    fn a_plain_row_is_read_as_any_other(#[case] row: &str) {
        assert_eq!(plain(row.as_bytes()), Some(row));
        // A character without width makes the same row not plain.
        let mut other = lines(format!("{row}\u{200b}").as_bytes(), 1, 0);
        other.iter_mut().for_each(|line| line.text.truncate(line.text.trim_end().len()));
        assert_eq!(lines(row.as_bytes(), 1, 0), other);
    }

    #[rstest]
    #[case("a\tb")]
    #[case("a\u{1b}[1mb")]
    #[case("a<br/>b")]
    #[case("aéb")]
    #[case("a=&quot;b&quot;")]
    #[case("a&#10;b")]
    fn what_needs_cleaning_is_not_plain(#[case] row: &str) {
        assert_eq!(plain(row.as_bytes()), None);
    }

    #[test]
    fn quotes_of_xml_are_read_and_those_within_an_attribute_are_escaped() {
        let texts =
            |raw: &str| -> Vec<String> { lines(raw.as_bytes(), 1, 0).into_iter().map(|line| line.text).collect() };
        assert_eq!(texts("x=\"{&quot;a&quot;&#10;b & c"), ["x=\"{\\\"a\\\"", "b & c"]);
        assert_eq!(texts("<b>{&quot;a&quot;"), ["<b>{\"a\""]);
    }

    #[test]
    fn line_ends_of_any_system_separate_and_line_feeds_count() {
        let numbered: Vec<(u64, String)> =
            lines(b"a\r\nb\rc\nd", 1, 0).into_iter().map(|l| (l.number, l.text)).collect();
        let expected = [(1, "a"), (2, "b"), (2, "c"), (3, "d")].map(|(n, t)| (n, t.to_string()));
        assert_eq!(numbered, expected);
    }
}
