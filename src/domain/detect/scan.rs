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

/// What is searched at once.
const BLOCK: usize = 256 * 1024;
/// What is kept of the log before a place, for the step that failed and the command that was echoed.
const BEHIND: usize = 16 * 1024;
/// What must be known after a place before it is looked at.
const AHEAD: usize = 8 * 1024;
/// Lines of a window, if no command is echoed near.
const LINES_BEHIND: usize = 24;
const LINES_AHEAD: usize = 12;
/// More refusals than this are counted, not kept.
const KEPT: usize = 64;

/// Reads a log in pieces of any size.
#[derive(Debug, Default)]
pub struct Scanner {
    buffer: Vec<u8>,
    /// Of the buffer's first byte.
    first_line: u64,
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
        Scanner { first_line: 1, counted: (0, 1), ..Scanner::default() }
    }

    /// At the start of a log that begins within a phase.
    pub fn in_phase(phase: PhaseName) -> Scanner {
        Scanner { phase: Some(phase), ..Scanner::new() }
    }

    /// The next piece, which may end anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(BLOCK) {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() >= self.searched + BLOCK {
                self.search(self.buffer.len().saturating_sub(AHEAD));
                self.forget();
            }
        }
    }

    /// What the log showed.
    pub fn finish(mut self) -> Scan {
        self.search(self.buffer.len());
        self.scan.bytes = self.start + self.buffer.len() as u64;
        self.scan.lines = self.first_line - 1 + line_ends(&self.buffer);
        self.scan
    }

    /// Looks at all anchors that begin before an index.
    fn search(&mut self, until: usize) {
        let buffer = std::mem::take(&mut self.buffer);
        let mut from = self.searched;
        while let Some((sign, start, end)) = self.finder().and_then(|finder| finder.find(&buffer, from)) {
            if start >= until {
                break;
            }
            from = end;
            match sign {
                Sign::Refusal => self.refusal(&buffer, start),
                _ => self.note(sign, &buffer, start),
            }
        }
        self.searched = until.max(self.searched);
        self.buffer = buffer;
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
        let keep_from = self.searched.saturating_sub(BEHIND);
        let gone = self.buffer.get(..keep_from).unwrap_or_default();
        self.first_line += line_ends(gone);
        self.counted = (0, self.first_line);
        self.start += keep_from as u64;
        self.searched -= keep_from;
        self.buffer.drain(..keep_from);
    }

    /// Looks closer at a refusal.
    fn refusal(&mut self, buffer: &[u8], at: usize) {
        if self.start + (at as u64) < self.handled {
            return;
        }
        let (from, to) = reach(buffer, at);
        // Within one long line, what was looked at must not be seen again.
        let from = if self.handled > self.start && !has_line_end(buffer, from, at) {
            from.max((self.handled - self.start) as usize)
        } else {
            from
        };
        let lines = self.lines(buffer, from, to);
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
            self.keep(found, &lines);
        }
        self.handled = limit;
    }

    /// Notes what the agent, a successful pull or a refused login says.
    fn note(&mut self, sign: Sign, buffer: &[u8], at: usize) {
        let from = piece_start(buffer, at, at.saturating_sub(AHEAD));
        let to = piece_end(buffer, at).min(at + AHEAD);
        let lines = self.lines(buffer, from, to);
        match sign {
            Sign::Phase => lines.iter().for_each(|line| self.phase_line(line)),
            Sign::Command => lines.iter().for_each(|line| self.command_line(line)),
            Sign::Success if !self.surroundings.is_empty() => {
                let to = (0..6).fold(to, |end, _| piece_end(buffer, end + 1)).min(buffer.len()).min(at + AHEAD);
                let more = self.lines(buffer, from, to);
                self.success(&more);
            }
            Sign::Login => self.refused_login(buffer, at),
            _ => {}
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
    fn keep(&mut self, found: Found, lines: &[Line]) {
        let mut finding = found.finding;
        // The agent may have spoken within the window, before the finding.
        let entered =
            lines.get(..found.first).unwrap_or_default().iter().rev().find_map(|line| match echo::agent(line) {
                Some(Agent::Entering(phase)) => Some(PhaseName::new(phase)),
                _ => None,
            });
        finding.phase = finding.phase.or(entered).or_else(|| self.phase.clone());
        let ran = Ran::last_of(lines.get(..found.first).unwrap_or_default());
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
        let (index, line) = self.counted;
        let number = match from.checked_sub(index) {
            Some(_) => line + line_ends(buffer.get(index..from).unwrap_or_default()),
            None => line - line_ends(buffer.get(from..index).unwrap_or_default()),
        };
        self.counted = (from, number);
        clean::lines(buffer.get(from..to).unwrap_or_default(), number, self.start + from as u64)
    }
}

/// The window around a place. Where a command is echoed before it, the window reaches from there to where the command may
/// end.
fn reach(buffer: &[u8], at: usize) -> (usize, usize) {
    const ECHOES: [&[u8]; 3] = [b"Running command ", b"Command did not exit", b"Phase context status"];
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
    let behind = buffer.get(floor..at).unwrap_or_default();
    match ECHOES.iter().filter_map(|echo| memchr::memmem::find_iter(behind, echo).last()).max() {
        Some(echo) => (from.min(line_start(buffer, floor + echo, floor)), ceiling),
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
