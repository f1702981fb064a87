//! Reads a log of any size in pieces, in constant memory, and finds where to look closer.
//!
//! A log without a hit must cost little more than reading it: raw bytes are searched for a few rare words, the anchors,
//! and everything else works on a window of lines around one.

use crate::domain::build::PhaseName;
use crate::domain::detect::anchors::{self, Finder, Sign};
use crate::domain::detect::clean::{self, Line};
use crate::domain::detect::command::Ran;
use crate::domain::detect::echo::{self, Agent};
use crate::domain::detect::success::{Pulled, is_same_image, pulled_image};
use crate::domain::detect::window::{self, Found};
use crate::domain::detect::{Evidence, Finding, Place, Scan, frame, redact};
use crate::domain::trouble::{self, Seen};

/// What is searched at once. Together with what is kept of it, it stays within a processor's second cache.
const BLOCK: usize = 256 * 1024;
/// What is kept of the log before a place, for the step that failed and the command that was echoed.
const BEHIND: usize = 16 * 1024;
/// What must be known after a place before it is looked at.
const AHEAD: usize = 8 * 1024;
/// How much of the log is held. A page more than is looked at, so that room begins with a page.
const CAPACITY: usize = BEHIND + BLOCK + PAGE;
/// Most commands are over within this.
const ECHO: usize = 2 * 1024;
/// Lines of a window, unless it is within a command that is echoed. The head of a diff or a list may be 40 lines before.
const LINES_BEHIND: usize = 42;
const LINES_AHEAD: usize = 12;
/// Room begins at a multiple of this, as kernels copy several times faster to the start of a page than elsewhere.
const PAGE: usize = 4096;
/// More refusals than this are counted, not kept.
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
    /// The words around each finding, to recognize its image when it comes after all.
    surroundings: Vec<String>,
    /// The command of each finding.
    ran: Vec<Ran>,
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
        while let Some((sign, start, end)) = self.finder().and_then(|finder| finder.find(buffer, from)) {
            if start >= until {
                break;
            }
            from = end;
            match sign {
                Sign::Refusal => self.refusal(buffer, start),
                _ => self.note(sign, buffer, start),
            }
        }
        // An anchor that reaches over the end was looked at whole.
        self.searched = until.max(from).min(self.filled);
        self.buffer = whole;
    }

    fn log<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        whole.get(self.base..self.base + self.filled).unwrap_or_default()
    }

    fn finder(&self) -> Option<&'static Finder> {
        if self.scan.findings.is_empty() {
            anchors::BEFORE_A_REFUSAL.as_ref()
        } else {
            anchors::AFTER_A_REFUSAL.as_ref()
        }
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
        let (from, mut to) = near(buffer, at);
        let mut lines = self.lines(buffer, self.unseen(buffer, from, at), to);
        if !window::may_refuse(&lines) {
            self.handled = self.start + line_end(buffer, at).min(to) as u64;
            return;
        }
        let echo = echo_before(buffer, at);
        if let Some(echo) = echo.filter(|echo| reaches(buffer, *echo, from)) {
            to = buffer.len().min(at + AHEAD);
            lines = self.lines(buffer, self.unseen(buffer, from.min(echo), at), to);
        }
        let row_end = line_end(buffer, at).min(to);
        let mut limit = self.start + row_end as u64;
        for found in window::in_lines(&lines) {
            let begins = lines.get(found.first).map_or(0, |line| line.at);
            if begins < self.handled || begins >= limit {
                continue;
            }
            let next_row = lines
                .iter()
                .skip(found.last + 1)
                .map(|line| line.at)
                .find(|row| *row > lines.get(found.last).map_or(0, |l| l.at));
            limit = limit.max(next_row.unwrap_or(self.start + to as u64));
            let before = lines.get(..found.first).unwrap_or_default();
            // Its command may have been echoed before the window.
            let echo = echo.filter(|echo| self.start + (*echo as u64) < begins);
            let ran = Ran::last_of(before).or_else(|| Ran::last_of(&echo_line(buffer, echo?))).unwrap_or_default();
            self.keep(found, ran, &lines);
        }
        self.handled = limit;
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
        if sign == Sign::Success && self.scan.findings.iter().all(|finding| finding.recovered) {
            return;
        }
        let from = piece_start(buffer, at, at.saturating_sub(AHEAD));
        let to = piece_end(buffer, at).min(at + AHEAD);
        match sign {
            Sign::Phase => self.lines(buffer, from, to).iter().for_each(|line| self.phase_line(line)),
            Sign::Command => self.lines(buffer, from, to).iter().for_each(|line| self.command_line(line)),
            Sign::Success => {
                let to = (0..6).fold(to, |end, _| piece_end(buffer, end + 1)).min(buffer.len()).min(at + AHEAD);
                let more = self.lines(buffer, from, to);
                self.success(&more);
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
                    let of_phase = |finding: &&mut Finding| finding.phase.as_ref() == Some(&phase);
                    self.scan.findings.iter_mut().filter(of_phase).for_each(|finding| finding.recovered = true);
                } else {
                    self.scan.failed_phase.get_or_insert(phase);
                }
            }
            _ => {}
        }
    }

    /// What the agent does next tells whether a refusal made its command fail.
    fn command_line(&mut self, line: &Line) {
        let agent = echo::agent(line);
        let of_phase = |(finding, _): &(&mut Finding, &mut Ran)| finding.phase == self.phase;
        let of_phase: Vec<_> = self.scan.findings.iter_mut().zip(&mut self.ran).filter(of_phase).collect();
        // Where the command that ran last was refused, a report is about that one.
        let has_current = of_phase.iter().any(|(_, ran)| ran.is_current());
        let of_phase = of_phase.into_iter();
        match agent {
            Some(Agent::Running(_)) => of_phase.for_each(|(finding, ran)| finding.recovered |= ran.next_begins()),
            Some(Agent::Ended(report)) if report.starts_with("Command ") => {
                let meant = of_phase.filter(|(_, ran)| !has_current || ran.is_current());
                meant.for_each(|(finding, ran)| finding.recovered &= !ran.one_failed(report));
            }
            _ => {}
        }
    }

    /// A pull that went well after all: the image is one that stands near an earlier refusal.
    fn success(&mut self, lines: &[Line]) {
        let Some(first) = lines.first() else { return };
        let Some(image) = pulled_image(&first.text, lines) else {
            return;
        };
        for (finding, surroundings) in self.scan.findings.iter_mut().zip(&self.surroundings) {
            let is_same = match &image {
                Pulled::Image(name) => surroundings.contains(name.as_str()),
                Pulled::AfterRetry => surroundings.contains("retrying in") && surroundings.contains("Trying to pull"),
                Pulled::Service(name) => surroundings.contains(&format!("{name} Error ")),
            };
            finding.recovered |= is_same;
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

    /// Keeps a finding, or counts it to the one it repeats.
    fn keep(&mut self, found: Found, ran: Ran, lines: &[Line]) {
        let mut finding = found.finding;
        // The agent may have spoken within the window, before the finding.
        let entered =
            lines.get(..found.first).unwrap_or_default().iter().rev().find_map(|line| match echo::agent(line) {
                Some(Agent::Entering(phase)) => Some(PhaseName::new(phase)),
                _ => None,
            });
        finding.phase = finding.phase.or(entered).or_else(|| self.phase.clone());
        let from = found.first.saturating_sub(8);
        let near = lines.get(from..lines.len().min(found.last + 4)).unwrap_or_default();
        let words = near.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
        let is_same = |(_, known): &(usize, &mut Finding)| {
            !known.recovered
                && (known.limit, known.registry, known.login) == (finding.limit, finding.registry, finding.login)
                && known.phase == finding.phase
                && is_same_image(known.image.as_deref(), finding.image.as_deref())
        };
        let is_full = self.scan.findings.len() >= KEPT;
        let same = self.scan.findings.iter_mut().enumerate().rev().find(is_same);
        match same {
            Some((index, known)) => {
                known.times = known.times.saturating_add(1);
                if finding.evidence.quote.len() < known.evidence.quote.len() {
                    known.evidence = finding.evidence;
                }
                known.image = known.image.take().or(finding.image);
                if let (Some(surroundings), Some(known)) = (self.surroundings.get_mut(index), self.ran.get_mut(index)) {
                    *surroundings = words;
                    *known = ran;
                }
            }
            None if is_full => {
                if let Some(last) = self.scan.findings.last_mut() {
                    last.times = last.times.saturating_add(1);
                }
            }
            None => {
                self.scan.findings.push(finding);
                self.surroundings.push(words);
                self.ran.push(ran);
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

/// The lines around a place.
fn near(buffer: &[u8], at: usize) -> (usize, usize) {
    let floor = at.saturating_sub(BEHIND);
    let ceiling = buffer.len().min(at + AHEAD);
    let mut from = at;
    for _ in 0..=LINES_BEHIND {
        from = line_start(buffer, from.saturating_sub(1).max(floor), floor);
    }
    let mut to = at;
    for _ in 0..=LINES_AHEAD {
        to = line_end(buffer, (to + 1).min(ceiling)).min(ceiling);
    }
    (from, to)
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
    const ECHOES: [&[u8]; 3] = [b"Running command ", b"Command did not exit", b"Phase context status"];
    let floor = at.saturating_sub(BEHIND);
    let behind = buffer.get(floor..at).unwrap_or_default();
    let last = ECHOES.iter().filter_map(|echo| memchr::memmem::find_iter(behind, echo).last()).max()?;
    Some(line_start(buffer, floor + last, floor))
}

/// The window around a place: the lines around it, or, where a command is echoed before it, from there to where the
/// command may end.
fn reach(buffer: &[u8], at: usize) -> (usize, usize) {
    let (from, to) = near(buffer, at);
    match echo_before(buffer, at) {
        Some(echo) => (from.min(echo), buffer.len().min(at + AHEAD)),
        None => (from, to),
    }
}

fn line_start(buffer: &[u8], at: usize, floor: usize) -> usize {
    let before = buffer.get(floor..at).unwrap_or_default();
    memchr::memrchr(b'\n', before).map_or(floor, |offset| floor + offset + 1)
}

fn line_end(buffer: &[u8], at: usize) -> usize {
    let rest = buffer.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(buffer.len(), |offset| at + offset)
}

fn line_ends(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Like [`line_start`] and [`line_end`], where a lone carriage return separates lines too.
fn piece_start(buffer: &[u8], at: usize, floor: usize) -> usize {
    let before = buffer.get(floor..at).unwrap_or_default();
    memchr::memrchr2(b'\n', b'\r', before).map_or(floor, |offset| floor + offset + 1)
}

fn piece_end(buffer: &[u8], at: usize) -> usize {
    let rest = buffer.get(at..).unwrap_or_default();
    memchr::memchr2(b'\n', b'\r', rest).map_or(buffer.len(), |offset| at + offset)
}

fn has_line_end(buffer: &[u8], from: usize, to: usize) -> bool {
    memchr::memchr(b'\n', buffer.get(from..to).unwrap_or_default()).is_some()
}
