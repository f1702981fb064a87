//! The refusals that a log showed, each once, and what became of them.

use crate::domain::build::PhaseName;
use crate::domain::detect::attribute::Near;
use crate::domain::detect::clean::{self, Line};
use crate::domain::detect::command::Ran;
use crate::domain::detect::echo::{self, Agent};
use crate::domain::detect::pattern::Squeezed;
use crate::domain::detect::success::{Pulled, pulled_image, short};
use crate::domain::detect::window::Found;
use crate::domain::detect::{Certainty, Finding};
use memchr::memmem::Finder;
use std::cell::LazyCell;

/// More refusals than this are counted, not kept.
const KEPT: usize = 64;
/// Rows that are remembered of a refusal.
const ROWS: usize = 8;

/// Lines before a refusal that may name its image.
pub const WORDS_BEFORE: usize = 8;
/// Lines behind it.
pub const WORDS_AFTER: usize = 3;

/// What was found so far, in the log's order.
#[derive(Debug, Default)]
pub struct Tally {
    known: Vec<Known>,
}

/// A finding and what the log tells around it.
#[derive(Debug)]
struct Known {
    finding: Finding,
    /// Its image as [`short`] names it.
    image: Option<String>,
    /// The words near, to recognize its image when it comes after all.
    words: Words,
    /// Its command.
    ran: Ran,
    /// Whole rows that told of it, the latest, and what of a registry stood near them.
    rows: Vec<(Box<[u8]>, Near)>,
    /// How many bytes the lines have that were quoted.
    length: usize,
}

/// What stands near a refusal. A row that is printed again and again is near other words each time, and most of them are
/// never asked for.
#[derive(Debug)]
pub struct Words {
    raw: Box<[u8]>,
    /// The same as a person reads it.
    read: Option<String>,
}

impl Words {
    /// As the log has them.
    pub fn of(raw: &[u8]) -> Words {
        Words { raw: Box::from(raw), read: None }
    }

    fn read(&mut self) -> &str {
        let raw = &self.raw;
        self.read.get_or_insert_with(|| {
            let mut words = String::with_capacity(raw.len());
            clean::read(raw, |text| {
                words.push_str(text);
                words.push('\n');
            });
            words
        })
    }
}

impl Known {
    fn stands(&self, phase: Option<&PhaseName>) -> bool {
        !self.finding.recovered && self.finding.phase.as_ref() == phase
    }
}

impl Tally {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether all of it was got over.
    pub fn is_recovered(&self) -> bool {
        self.known.iter().all(|known| known.finding.recovered)
    }

    /// The findings.
    pub fn into_findings(self) -> Vec<Finding> {
        self.known.into_iter().map(|known| known.finding).collect()
    }

    /// Whether a row told of a refusal in this phase that was not got over.
    pub fn stands(&self, row: &[u8], phase: Option<&PhaseName>) -> bool {
        self.known.iter().any(|known| known.stands(phase) && known.rows.iter().any(|(said, _)| **said == *row))
    }

    /// Counts a row, given the words near, to the finding that it told of before with the same image near it, if there is
    /// one.
    pub fn repeat(&mut self, row: &[u8], near: &Near, phase: Option<&PhaseName>, words: Words) -> bool {
        let is_same = |(said, said_near): &(Box<[u8]>, Near)| **said == *row && said_near == near;
        let known = self.known.iter_mut().find(|known| known.stands(phase) && known.rows.iter().any(is_same));
        let Some(known) = known else { return false };
        known.finding.times = known.finding.times.saturating_add(1);
        known.words = words;
        true
    }

    /// Keeps a finding, or counts it to the one it repeats.
    pub fn keep(&mut self, found: Found, ran: Ran, row: Option<&[u8]>, squeezed: &Squeezed, lines: &[Line]) {
        let finding = &found.finding;
        let image = finding.image.as_deref().map(short);
        // Where one of two images is unknown, both may be the same.
        let is_same = |known: &&mut Known| {
            let of = &known.finding;
            known.stands(finding.phase.as_ref())
                && (of.limit, of.registry, of.login) == (finding.limit, finding.registry, finding.login)
                && known.image.as_ref().zip(image.as_ref()).is_none_or(|(known, image)| known == image)
        };
        let words = Words { raw: Box::default(), read: Some(words(lines, found.first, found.last)) };
        let row = row.map(|row| (Box::from(row), found.near.clone()));
        let Some(known) = self.known.iter_mut().rev().find(is_same) else {
            let (length, finding) = (found.length, found.quoted(squeezed, lines));
            return self.add(Known { finding, image, words, ran, rows: row.into_iter().collect(), length });
        };
        known.finding.times = known.finding.times.saturating_add(1);
        known.finding.image = known.finding.image.take().or_else(|| finding.image.clone());
        known.image = known.image.take().or(image);
        known.words = words;
        known.ran = ran;
        known.rows.retain(|said| Some(said) != row.as_ref());
        known.rows.extend(row);
        known.rows.drain(..known.rows.len().saturating_sub(ROWS));
        // What was cut before is told whole now; what tells less proves nothing better.
        let is_surer = finding.certainty == Certainty::Certain && known.finding.certainty == Certainty::Probable;
        let is_shorter = finding.certainty == known.finding.certainty && found.length < known.length;
        if is_surer || is_shorter {
            (known.finding.family, known.finding.certainty) = (finding.family, finding.certainty);
            known.length = found.length;
            known.finding.evidence = found.quoted(squeezed, lines).evidence;
        }
    }

    /// Adds a finding that repeats none. When there is no more room, one that was got over makes way: of a long log's
    /// refusals the one that failed its phase may be the last.
    fn add(&mut self, new: Known) {
        if self.known.len() >= KEPT {
            let Some(recovered) = self.known.iter().position(|known| known.finding.recovered) else {
                if let Some(last) = self.known.last_mut() {
                    last.finding.times = last.finding.times.saturating_add(1);
                }
                return;
            };
            self.known.remove(recovered);
        }
        self.known.push(new);
    }

    /// A phase went well after all.
    pub fn phase_succeeds(&mut self, phase: &PhaseName) {
        let of_phase = self.known.iter_mut().filter(|known| known.finding.phase.as_ref() == Some(phase));
        of_phase.for_each(|known| known.finding.recovered = true);
    }

    /// What the agent does next in a phase tells whether a refusal made its command fail.
    pub fn agent_goes_on(&mut self, line: &Line, phase: Option<&PhaseName>) {
        let of_phase: Vec<_> = self.known.iter_mut().filter(|known| known.finding.phase.as_ref() == phase).collect();
        // Where the command that ran last was refused, a report is about that one.
        let has_current = of_phase.iter().any(|known| known.ran.is_current());
        let of_phase = of_phase.into_iter();
        match echo::agent(line) {
            Some(Agent::Running(_)) => of_phase.for_each(|known| known.finding.recovered |= known.ran.next_begins()),
            Some(Agent::Ended(report)) if report.starts_with("Command ") => {
                let meant = of_phase.filter(|known| !has_current || known.ran.is_current());
                meant.for_each(|known| known.finding.recovered &= !known.ran.one_failed(report));
            }
            _ => {}
        }
    }

    /// A pull that went well after all: the image is one that stands near an earlier refusal.
    pub fn pull_succeeds(&mut self, lines: &[Line]) {
        let Some(image) = lines.first().and_then(|first| pulled_image(&first.text, lines)) else {
            return;
        };
        let named = match &image {
            Pulled::Image(name) => name.clone(),
            Pulled::AfterRetry => "retrying in".to_string(),
            Pulled::Service(name) => format!("{name} Error "),
        };
        let finder = LazyCell::new(|| Finder::new(&named));
        for known in self.known.iter_mut().filter(|known| !known.finding.recovered) {
            let stands_near = |words: &mut Words| finder.find(words.read().as_bytes()).is_some();
            known.finding.recovered = match (&image, &known.image) {
                // Another image's success tells nothing.
                (Pulled::Image(name), Some(refused)) => name == refused,
                (Pulled::AfterRetry, _) => {
                    let words = known.words.read();
                    ["Trying to pull", "initializing source"].iter().any(|pull| words.contains(pull))
                        && stands_near(&mut known.words)
                }
                _ => stands_near(&mut known.words),
            };
        }
    }
}

/// The words around a finding.
fn words(lines: &[Line], first: usize, last: usize) -> String {
    let near =
        lines.get(first.saturating_sub(WORDS_BEFORE)..lines.len().min(last + 1 + WORDS_AFTER)).unwrap_or_default();
    near.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::KEPT;
    use crate::domain::detect::in_log;

    const STAMP: &str = "[Container] 2025/06/18 07:02:11.402803";

    fn refused(image: &str) -> String {
        format!("Error: pulling {image}: toomanyrequests: You have reached your pull rate limit.\n")
    }

    #[test]
    fn a_row_that_is_printed_again_is_counted_to_the_first() {
        let log = format!("{}{}", refused("a/b:1"), "still trying\n".repeat(60)).repeat(500);
        let found: Vec<_> = in_log(&log).findings.iter().map(|finding| (finding.times, finding.recovered)).collect();
        assert_eq!(found, [(500, false)]);
    }

    #[test]
    fn the_same_row_of_another_image_is_another_refusal() {
        const REFUSED: &str = "toomanyrequests: You have reached your pull rate limit.\n";
        let pull = |image: &str| format!("Step 1/2 : FROM {image}\n{REFUSED}{}", "x\n".repeat(60));
        let log = [pull("a/b:1"), pull("a/b:1"), pull("c/d:2"), pull("a/b:1")].concat();
        let log = format!("{log}Status: Downloaded newer image for a/b:1\n");
        let found: Vec<_> = in_log(&log).findings.into_iter().map(|f| (f.image, f.times, f.recovered)).collect();
        assert_eq!(found, [(Some("a/b:1".to_string()), 3, true), (Some("c/d:2".to_string()), 1, false)]);
    }

    #[test]
    fn a_row_that_is_printed_again_by_the_next_command_is_another_refusal() {
        let command = |name: &str| format!("{STAMP} Running command {name}\n{}", "x\n".repeat(60));
        let log = [command("a"), refused("a/b:1"), command("b"), refused("a/b:1")].concat();
        let found: Vec<_> = in_log(&log).findings.iter().map(|finding| finding.recovered).collect();
        assert_eq!(found, [true, false]);
    }

    #[test]
    fn a_pull_that_went_well_after_all_is_known_by_what_each_client_says() {
        const HUB: &str = "toomanyrequests: You have reached your pull rate limit.";
        let logs = [
            format!("WARN  tc.postgres:16 - {HUB}\nINFO  tc.postgres:16 - Image postgres:16 pull took PT22.8S\n"),
            format!(
                "Failed to pull image \"a/b:1\": {HUB}\n  Normal   Pulled   89s   kubelet  Successfully pulled image \"a/b:1\" in 4s\n"
            ),
            format!(
                "Failed, retrying in 1s ... (1/3). Error: initializing source docker://a/b:1: {HUB}\nWriting manifest to image destination\n"
            ),
        ];
        for log in logs {
            let found: Vec<_> = in_log(&log).findings.iter().map(|finding| finding.recovered).collect();
            assert_eq!(found, [true], "{log}");
        }
    }

    #[test]
    fn the_refusal_that_stands_is_kept_however_many_were_got_over() {
        let tolerated = |index: usize| format!("{STAMP} Running command x\n{}", refused(&format!("a/b{index}:1")));
        let log: String = (0..2 * KEPT).map(tolerated).collect();
        let findings = in_log(&log).findings;
        assert_eq!(findings.len(), KEPT);
        let standing: Vec<_> = findings.iter().filter(|finding| !finding.recovered).collect();
        assert_eq!(standing.len(), 1);
        assert_eq!(standing[0].image.as_deref(), Some("a/b127:1"));
    }
}
