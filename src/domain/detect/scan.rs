//! Reads a log of any size in pieces, in constant memory, and finds where to look closer.
//!
//! A log without a hit must cost little more than reading it: raw bytes are searched for a few rare words, the anchors,
//! and everything else works on a window of lines around one.

use crate::domain::build::PhaseName;
use crate::domain::detect::anchors::{Search, Sign};
use crate::domain::detect::attribute::{self, Span};
use crate::domain::detect::clean::{self, Line};
use crate::domain::detect::command::Ran;
use crate::domain::detect::echo::{self, Agent};
use crate::domain::detect::place::{
    AHEAD, BEHIND, around, has_line_end, line_end, line_ends, line_start, piece_end, piece_start, row_at,
};
use crate::domain::detect::success::is_told_by_next;
use crate::domain::detect::tally::{Tally, WORDS_AFTER, WORDS_BEFORE, Words};
use crate::domain::detect::window;
use crate::domain::detect::{Evidence, Place, Scan, dress, frame, redact};
use crate::domain::trouble::{self, Seen};
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What is searched at once. Together with what is kept of it, it stays within a processor's second cache.
const BLOCK: usize = 256 * 1024;
/// How much of the log is held. A page more than is looked at, so that room begins with a page.
const CAPACITY: usize = BEHIND + BLOCK + PAGE;
/// Most commands are over within this.
const ECHO: usize = 2 * 1024;
/// Lines that one message may be wrapped into, before the place that was found of it and behind.
const LINES_WRAPPED: usize = 12;
/// Lines of a window before a place, unless it is within a command that is echoed. The head of a diff or a list may be 40
/// lines before.
const LINES_BEHIND: usize = 42;
/// Room begins at a multiple of this, as kernels copy several times faster to the start of a page than elsewhere.
const PAGE: usize = 4096;
/// More refused logins than this are not kept.
const KEPT: usize = 64;

/// Reads a log in pieces of any size.
#[derive(Debug, Default)]
pub struct Scanner {
    /// From `base` on, what is known of the log around the place that is looked at, and room for more.
    buffer: Vec<u8>,
    /// Index of the buffer's first page.
    base: usize,
    /// How much of the log stands there. All other indexes are counted from `base`, too.
    filled: usize,
    /// Of the buffer's first byte within the log.
    start: u64,
    /// Index in the buffer up to which anchors were looked at.
    searched: usize,
    /// An index in the buffer and its line, from where the next window's line is counted.
    counted: (usize, u64),
    /// Place in the log up to which refusals were looked at.
    handled: u64,
    phase: Option<PhaseName>,
    /// Place in the log of the line that last told of a pull that went well.
    success_at: Option<u64>,
    tally: Tally,
    scan: Scan,
}

impl Scanner {
    /// At the start of a log.
    pub fn new() -> Scanner {
        Scanner { counted: (0, 1), ..Scanner::default() }
    }

    /// At the start of a log that begins within a phase.
    pub fn in_phase(phase: PhaseName) -> Scanner {
        Scanner { phase: Some(phase), ..Scanner::new() }
    }

    /// The next piece, which may end anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.room();
            let (piece, more) = rest.split_at(rest.len().min(room.len()));
            room.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            self.filled(piece.len());
            rest = more;
        }
    }

    /// Where the next piece may be written, for who reads from a file and would have to copy it otherwise. Never empty.
    pub fn room(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = vec![0; CAPACITY + PAGE];
            self.base = self.buffer.as_ptr().align_offset(PAGE).min(PAGE);
        }
        self.buffer.get_mut(self.base + self.filled..self.base + CAPACITY).unwrap_or_default()
    }

    /// Says how many bytes were written to the start of [`Scanner::room`].
    pub fn filled(&mut self, count: usize) {
        self.filled = CAPACITY.min(self.filled + count);
        if self.filled >= self.searched + BLOCK {
            self.search(self.filled - AHEAD);
            self.forget();
        }
    }

    /// What the log showed.
    pub fn finish(mut self) -> Scan {
        self.search(self.filled);
        self.scan.findings = std::mem::take(&mut self.tally).into_findings();
        self.scan.bytes = self.start + self.filled as u64;
        let whole = std::mem::take(&mut self.buffer);
        self.scan.lines = self.count_lines(self.log(&whole), self.filled) - 1;
        self.scan
    }

    /// Looks at all anchors that begin before an index.
    fn search(&mut self, until: usize) {
        let whole = std::mem::take(&mut self.buffer);
        let buffer = self.log(&whole);
        let mut from = self.searched;
        let mut anchors = Search::new(buffer);
        while let Some(hit) = anchors.next(from, !self.tally.is_empty()) {
            if hit.start >= until {
                break;
            }
            from = hit.end;
            match hit.sign {
                Sign::Refusal => self.refusal(buffer, hit.start),
                sign => self.note(sign, buffer, hit.start),
            }
        }
        // An anchor that reaches over the end was looked at whole.
        self.searched = until.max(from).min(self.filled);
        self.buffer = whole;
    }

    fn log<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        whole.get(self.base..self.base + self.filled).unwrap_or_default()
    }

    /// Drops what no window will reach any more.
    fn forget(&mut self) {
        let kept = (self.filled - self.searched.saturating_sub(BEHIND)).next_multiple_of(PAGE);
        let Some(gone) = self.filled.checked_sub(kept) else { return };
        let mut whole = std::mem::take(&mut self.buffer);
        self.counted = (0, self.count_lines(self.log(&whole), gone));
        whole.copy_within(self.base + gone..self.base + self.filled, self.base);
        self.buffer = whole;
        self.start += gone as u64;
        self.searched -= gone;
        self.filled = kept;
    }

    /// Looks closer at a refusal.
    fn refusal(&mut self, buffer: &[u8], at: usize) {
        if self.start + (at as u64) < self.handled {
            return;
        }
        if self.repeats(buffer, at) {
            return;
        }
        // The lines that the message itself may span tell whether there is one. Only then is it read what is around.
        let (first, to) = around(buffer, at, LINES_WRAPPED, LINES_WRAPPED);
        let first = self.unseen(buffer, first, at);
        let mut lines = self.lines(buffer, first, to);
        let dress = dress::take_off(&mut lines, self.start + line_start(buffer, at, first) as u64);
        let dressed = |mut lines: Vec<Line>| {
            dress.iter().for_each(|prefix| dress::take_off_known(&mut lines, prefix));
            lines
        };
        let Some(mut squeezed) = window::suspect(&lines) else {
            self.handled = self.start + line_end(buffer, at).min(to) as u64;
            return;
        };
        let echo = echo_before(buffer, at);
        let (mut from, _) = around(buffer, at, LINES_BEHIND, LINES_WRAPPED);
        let mut end = to;
        if let Some(echo) = echo.filter(|echo| reaches(buffer, *echo, from)) {
            from = from.min(echo);
            end = buffer.len().min(at + AHEAD);
            if to < end {
                lines.extend(dressed(self.lines(buffer, to + 1, end)));
            }
        }
        let row = line_start(buffer, first, from);
        if from < row {
            let mut before = dressed(self.lines(buffer, from, row - 1));
            squeezed.moved_by(before.len());
            before.append(&mut lines);
            lines = before;
        }
        let row_end = line_end(buffer, at).min(end);
        let mut limit = self.start + row_end as u64;
        for found in window::in_lines(&lines, &squeezed) {
            let begins = lines.get(found.first).map_or(0, |line| line.at);
            if begins < self.handled || begins >= limit {
                continue;
            }
            let next_row = lines
                .iter()
                .skip(found.last + 1)
                .map(|line| line.at)
                .find(|row| *row > lines.get(found.last).map_or(0, |l| l.at));
            limit = limit.max(next_row.unwrap_or(self.start + end as u64));
            let before = lines.get(..found.first).unwrap_or_default();
            // Its command may have been echoed before the window.
            let echo = echo.filter(|echo| self.start + (*echo as u64) < begins);
            let ran = Ran::last_of(before).or_else(|| Ran::last_of(&echo_line(buffer, echo?))).unwrap_or_default();
            let row = found.is_one_row.then(|| row_at(buffer, (begins - self.start) as usize)).flatten();
            self.tally.keep(found.in_phase(&lines, self.phase.as_ref()), ran, row, &squeezed, &lines);
        }
        self.handled = limit;
    }

    /// Counts a row that was found before and stands, without judging it again: a client that tries again and again prints
    /// the same row each time. Only its image is looked for, as it may be another's.
    fn repeats(&mut self, buffer: &[u8], at: usize) -> bool {
        let Some(row) = row_at(buffer, at) else { return false };
        if !self.tally.stands(row, self.phase.as_ref()) {
            return false;
        }
        let (from, to) = around(buffer, at, attribute::BEFORE, attribute::AFTER);
        let raw = buffer.get(from..to).unwrap_or_default();
        // The agent may have gone on.
        if echo::may_be_agents(raw) {
            return false;
        }
        // What stands near it, and of that the lines that tell: an image, or what a variable stands for.
        let here = line_start(buffer, at, from) as u64;
        let (before, behind) =
            (line_start(buffer, here.saturating_sub(1) as usize, from) as u64, line_end(buffer, at) as u64 + 1);
        let lines = attribute::telling_lines(raw, from as u64, &[before, here, behind]);
        let Some(line) = lines.iter().position(|line| line.at == here) else { return false };
        let width = |line: usize| lines.get(line).map(|line| line.width);
        // A piece of a row that a terminal wrapped may go on in another way.
        if width(line) == width(line + 1) || (line > 0 && width(line) == width(line - 1)) {
            return false;
        }
        let near = attribute::near(&lines, Span { first: line, last: line });
        let (begin, end) = around(buffer, at, WORDS_BEFORE, WORDS_AFTER);
        let words = Words::of(buffer.get(begin..end).unwrap_or_default());
        if !self.tally.repeat(row, &near, self.phase.as_ref(), words) {
            return false;
        }
        self.handled = self.start + line_end(buffer, at) as u64;
        true
    }

    /// Within one long line, what was looked at must not be seen again.
    fn unseen(&self, buffer: &[u8], from: usize, at: usize) -> usize {
        if self.handled > self.start && !has_line_end(buffer, from, at) {
            from.max((self.handled - self.start) as usize)
        } else {
            from
        }
    }

    /// Notes what the agent, a successful pull or a refused login says.
    fn note(&mut self, sign: Sign, buffer: &[u8], at: usize) {
        if sign == Sign::Success && self.tally.is_recovered() {
            return;
        }
        let from = piece_start(buffer, at, at.saturating_sub(AHEAD));
        let to = piece_end(buffer, at).min(at + AHEAD);
        // Nobody asks for their numbers.
        let lines = |to: usize| clean::lines(buffer.get(from..to).unwrap_or_default(), 0, 0);
        match sign {
            Sign::Phase => lines(to).iter().for_each(|line| self.phase_line(line)),
            Sign::Command => {
                lines(to).iter().for_each(|line| self.tally.agent_goes_on(line, self.phase.as_ref()));
            }
            // Two signs of one line tell the same.
            Sign::Success if self.success_at == Some(self.start + from as u64) => {}
            Sign::Success => {
                self.success_at = Some(self.start + from as u64);
                let mut told = lines(to);
                if told.first().is_some_and(|line| is_told_by_next(&line.text)) {
                    let to = (0..6).fold(to, |end, _| piece_end(buffer, end + 1)).min(buffer.len()).min(at + AHEAD);
                    told = lines(to);
                }
                self.tally.pull_succeeds(&told);
            }
            Sign::Login => self.refused_login(buffer, at),
            Sign::Refusal => {}
        }
    }

    fn phase_line(&mut self, line: &Line) {
        match echo::agent(line) {
            Some(Agent::Entering(phase)) => self.phase = Some(PhaseName::new(phase)),
            Some(Agent::Complete { phase, succeeded }) => {
                let phase = PhaseName::new(phase);
                if succeeded {
                    self.tally.phase_succeeds(&phase);
                } else {
                    self.scan.failed_phase.get_or_insert(phase);
                }
            }
            _ => {}
        }
    }

    fn refused_login(&mut self, buffer: &[u8], at: usize) {
        let (from, to) = reach(buffer, at);
        let lines = self.lines(buffer, from, to);
        let here = self.start + line_start(buffer, at, from) as u64;
        let echoed = echo::echoed(&lines);
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.at == here) {
            let offset =
                ["unauthorized", "login attempt"].iter().filter_map(|word| line.text.find(word)).min().unwrap_or(0);
            let is_printed =
                !echoed.get(index).copied().unwrap_or_default() && frame::is_program_output(&lines, index, offset);
            if let (Some(trouble), true, true) =
                (trouble::in_line(&line.text), is_printed, self.scan.troubles.len() < KEPT)
            {
                let evidence = Evidence { place: Place::Log(line.number), quote: redact(&line.text) };
                if self.scan.troubles.last().is_some_and(|last| last.evidence == evidence) {
                    continue;
                }
                self.scan.troubles.push(Seen { trouble, phase: self.phase.clone(), evidence });
            }
        }
    }

    fn lines(&mut self, buffer: &[u8], from: usize, to: usize) -> Vec<Line> {
        let number = self.count_lines(buffer, from);
        clean::lines(buffer.get(from..to).unwrap_or_default(), number, self.start + from as u64)
    }

    /// The number of the line that an index stands in, counted from the place that was counted last.
    fn count_lines(&mut self, buffer: &[u8], at: usize) -> u64 {
        let (index, line) = self.counted;
        let number = match at.checked_sub(index) {
            Some(_) => line + line_ends(buffer.get(index..at).unwrap_or_default()),
            None => line - line_ends(buffer.get(at..index).unwrap_or_default()),
        };
        self.counted = (at, number);
        number
    }
}

/// Whether the command that is echoed at one place may not be over at another.
fn reaches(buffer: &[u8], echo: usize, at: usize) -> bool {
    let seen = buffer.len().min(echo + ECHO).min(at.max(echo));
    let begin = buffer.get(echo..line_start(buffer, seen, echo)).unwrap_or_default();
    !echo::is_over(&clean::lines(begin, 0, 0))
}

fn echo_line(buffer: &[u8], echo: usize) -> Vec<Line> {
    let end = line_end(buffer, echo).min(echo + AHEAD);
    clean::lines(buffer.get(echo..end).unwrap_or_default(), 0, 0)
}

/// The line of the last command that is echoed before a place.
fn echo_before(buffer: &[u8], at: usize) -> Option<usize> {
    static ECHOES: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| ["Running command ", "Command did not exit", "Phase context status"].map(Finder::new));
    let floor = at.saturating_sub(BEHIND);
    let behind = buffer.get(floor..at).unwrap_or_default();
    let last = ECHOES.iter().filter_map(|echo| echo.find_iter(behind).last()).max()?;
    Some(line_start(buffer, floor + last, floor))
}

/// The window around a place: the lines around it, or, where a command is echoed before it, from there to where the
/// command may end.
fn reach(buffer: &[u8], at: usize) -> (usize, usize) {
    let (from, to) = around(buffer, at, LINES_BEHIND, LINES_WRAPPED);
    match echo_before(buffer, at) {
        Some(echo) => (from.min(echo), buffer.len().min(at + AHEAD)),
        None => (from, to),
    }
}

#[cfg(test)]
mod tests;
