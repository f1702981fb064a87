//! The refusals within one window of lines.

use crate::domain::build::PhaseName;
use crate::domain::classify::{Login, Registry};
use crate::domain::detect::attribute::{self, Near, Span, Way};
use crate::domain::detect::clean::{self, Line};
use crate::domain::detect::echo::Agent;
use crate::domain::detect::families::{self, Direction, FAMILIES, Family, Kind, Whose};
use crate::domain::detect::finder::Finder;
use crate::domain::detect::pattern::{Pattern, Squeezed};
use crate::domain::detect::{Certainty, Evidence, Finding, Limit, Place, echo, frame, page, redact};

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// How far behind a status the registry's message may follow.
const MESSAGE_WITHIN: usize = 160;
/// The longest quote.
const QUOTE: usize = 320;

/// A finding and the lines it spans.
#[derive(Debug)]
pub struct Found {
    /// The finding, without its quote; its phase is only set where its own line tells.
    pub finding: Finding,
    /// What of a registry stands near.
    pub near: Near,
    /// Whether it is one row that says all of it, whatever follows.
    pub is_one_row: bool,
    /// How many bytes the lines have that prove it.
    pub length: usize,
    event: Event,
    /// Its first line in the window.
    pub first: usize,
    /// Its last line in the window.
    pub last: usize,
}

/// All patterns with their families, found by how their heads begin, or a part of each that no match is without.
struct Matcher {
    heads: Beginnings,
    cores: Beginnings,
    patterns: Vec<(usize, Pattern)>,
}

/// Texts, found by their first bytes: many begin alike, and few are searched for fastest.
struct Beginnings {
    finder: Finder,
    /// Of each beginning, the texts that may stand where it does.
    texts: Vec<Vec<usize>>,
}

impl Beginnings {
    const LENGTH: usize = 8;

    fn of(all: &[&[u8]]) -> Option<Beginnings> {
        let beginnings: BTreeSet<&[u8]> = all.iter().map(|text| text.get(..Self::LENGTH).unwrap_or(text)).collect();
        let fits = |text: &[u8], beginning: &[u8]| text.starts_with(beginning) || beginning.starts_with(text);
        let texts_of = |beginning: &&[u8]| {
            all.iter().enumerate().filter(|(_, text)| fits(text, beginning)).map(|(index, _)| index).collect()
        };
        Some(Beginnings { texts: beginnings.iter().map(texts_of).collect(), finder: Finder::of(beginnings)? })
    }

    /// Where texts may begin, with those that may.
    fn find<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, &'a [usize])> + 'a {
        let texts = |index: usize| self.texts.get(index).map(Vec::as_slice).unwrap_or_default();
        self.finder.starts(text).map(move |hit| (hit.start, texts(hit.text)))
    }
}

static MATCHER: LazyLock<Option<Matcher>> = LazyLock::new(|| {
    let rows = FAMILIES.iter().enumerate();
    let patterns: Vec<(usize, Pattern)> =
        rows.flat_map(|(row, family)| family.says.iter().map(move |says| (row, Pattern::of(says)))).collect();
    // The table is fixed and has no empty pattern, so both can be made.
    let heads = Beginnings::of(&patterns.iter().map(|(_, pattern)| pattern.head()).collect::<Vec<_>>())?;
    let cores = Beginnings::of(&patterns.iter().map(|(_, pattern)| pattern.core()).collect::<Vec<_>>())?;
    Some(Matcher { heads, cores, patterns })
});

impl Matcher {
    /// Whether a part that no match is without stands anywhere.
    fn may_match(&self, text: &[u8]) -> bool {
        let stands = |start: usize, index: usize| {
            let core = self.patterns.get(index).map(|(_, pattern)| pattern.core()).unwrap_or_default();
            text.get(start..).is_some_and(|rest| rest.starts_with(core))
        };
        self.cores.find(text).any(|(start, cores)| cores.iter().any(|index| stands(start, *index)))
    }

    /// Every match, with its family.
    fn matches(&self, squeezed: &Squeezed, lines: &[Line]) -> Vec<Event> {
        let event = |start: usize, index: usize| {
            let (row, pattern) = self.patterns.get(index)?;
            pattern.end_of_match(start, squeezed, lines).map(|end| Event { row: *row, start, end })
        };
        let of_start = |(start, heads): (usize, &[usize])| {
            heads.iter().filter_map(|index| event(start, *index)).collect::<Vec<_>>()
        };
        self.heads.find(&squeezed.text).flat_map(of_start).collect()
    }
}

/// One or more matches that belong to one refusal, as a range of squeezed characters.
#[derive(Clone, Copy, Debug)]
struct Event {
    row: usize,
    start: usize,
    end: usize,
}

impl Found {
    /// With its phase: as its own line tells, as the agent told within the window before it, or this one.
    pub fn in_phase(mut self, lines: &[Line], phase: Option<&PhaseName>) -> Found {
        let entered = |line: &Line| match echo::agent(line) {
            Some(Agent::Entering(phase)) => Some(PhaseName::new(phase)),
            _ => None,
        };
        let before = lines.get(..self.first).unwrap_or_default();
        let told = self.finding.phase.take().or_else(|| before.iter().rev().find_map(entered));
        self.finding.phase = told.or_else(|| phase.cloned());
        self
    }

    /// The finding with the quote that proves it. Most findings repeat one that is known and need none.
    pub fn quoted(self, squeezed: &Squeezed, lines: &[Line]) -> Finding {
        let evidence = Evidence { quote: quote(lines, squeezed, &self.event), ..self.finding.evidence };
        Finding { evidence, ..self.finding }
    }
}

/// What CodeBuild said itself, as a context: no one else's text can stand in it.
pub fn in_message(message: &str) -> Vec<Finding> {
    let lines = clean::lines(message.as_bytes(), 1, 0);
    let squeezed = Squeezed::of(&lines);
    let events = events(&squeezed, &lines);
    let found = events.iter().filter_map(|event| found(event, &squeezed, &lines));
    found.map(|found| found.quoted(&squeezed, &lines)).collect()
}

/// These lines squeezed, if a refusal may stand in them. Most places that look like one at first sight end here, so this is
/// made to be fast.
pub fn suspect(lines: &[Line]) -> Option<Squeezed> {
    let squeezed = Squeezed::of(lines);
    MATCHER.as_ref().is_some_and(|matcher| matcher.may_match(&squeezed.text)).then_some(squeezed)
}

/// All refusals in the suspect lines of a window that a program printed. Echoed commands, listings and pushes are left out.
pub fn in_lines(lines: &[Line], squeezed: &Squeezed) -> Vec<Found> {
    let events = events(squeezed, lines);
    if events.is_empty() {
        return Vec::new();
    }
    let echoed = echo::echoed(lines);
    let is_printed = |event: &&Event| {
        let last = squeezed.place(lines, event.end.saturating_sub(1)).map(|(line, _)| line);
        squeezed.place(lines, event.start).zip(last).is_some_and(|((line, offset), last)| {
            !echoed.get(line).copied().unwrap_or_default()
                && frame::is_program_output(lines, line, offset)
                && (!is_shortened(event, squeezed) || frame::names_client(lines, line, offset))
                && page::is_backed(lines, line, offset, last)
        })
    };
    events.iter().filter(is_printed).filter_map(|event| found(event, squeezed, lines)).collect()
}

/// Whether Docker Hub's message lacks the address that it ends in. Clients print the whole; people who write of it do not.
fn is_shortened(event: &Event, squeezed: &Squeezed) -> bool {
    const HUB: [&str; 2] = ["hub-unauthenticated", "hub-pull-limit"];
    const GOES_ON: [&[u8]; 3] = [b"youmay", b"http", b"docker.com"];
    let rest = squeezed.text.get(event.end..).unwrap_or_default();
    FAMILIES.get(event.row).is_some_and(|family| HUB.contains(&family.name))
        && !GOES_ON.iter().any(|next| rest.starts_with(next))
}

/// Matches, joined where a status is followed by its message, or where they overlap.
fn events(squeezed: &Squeezed, lines: &[Line]) -> Vec<Event> {
    let Some(matcher) = MATCHER.as_ref() else {
        return Vec::new();
    };
    let mut matches = matcher.matches(squeezed, lines);
    matches.sort_by_key(|event| (event.start, event.row));
    let mut events: Vec<Event> = Vec::new();
    for next in matches {
        match events.last_mut() {
            Some(last) if belongs(last, &next) => {
                let row =
                    if kind(last.row) == kind(next.row) { last.row.min(next.row) } else { message_row(last, &next) };
                *last = Event { row, start: last.start, end: last.end.max(next.end) };
            }
            _ => events.push(next),
        }
    }
    events
}

fn kind(row: usize) -> Option<Kind> {
    FAMILIES.get(row).map(|family| family.kind)
}

fn message_row(a: &Event, b: &Event) -> usize {
    if kind(a.row) == Some(Kind::Message) { a.row } else { b.row }
}

/// Whether a match is part of the refusal before it: it overlaps, or it is what follows a bare status or code.
fn belongs(last: &Event, next: &Event) -> bool {
    next.start < last.end || (kind(last.row) == Some(Kind::Status) && next.start <= last.end + MESSAGE_WITHIN)
}

/// Turns an event into a finding, unless it was no pull.
fn found(event: &Event, squeezed: &Squeezed, lines: &[Line]) -> Option<Found> {
    let family = FAMILIES.get(event.row)?;
    let (first, _) = squeezed.place(lines, event.start)?;
    let (last, _) = squeezed.place(lines, event.end.checked_sub(1)?)?;
    let span = Span { first, last };
    let mut limit = family.limit;
    if family.direction == Direction::Near {
        match attribute::way(lines, span) {
            Way::Push => return None,
            Way::Login => limit = Limit::Login,
            Way::Pull => {}
        }
    }
    let near = attribute::near(lines, span);
    if !is_plausible(family, &near, lines, span) {
        return None;
    }
    let registry = registry(family, &near);
    // Pulls are what is asked for. A login is only told of where a remedy of ours logs in.
    if limit == Limit::Login && registry != Registry::DockerHub {
        return None;
    }
    // Anonymous pulls from a private ECR registry don't exist.
    let login = if registry == Registry::EcrPrivate { Login::Authenticated } else { family.login };
    let certainty = if family.name == families::CUT { Certainty::Probable } else { Certainty::Certain };
    let number = lines.get(first)?.number;
    let finding = Finding {
        family: family.name,
        limit,
        registry,
        login,
        image: near.image.clone(),
        phase: phase_told(lines, span),
        recovered: false,
        certainty,
        times: 1,
        evidence: Evidence { place: Place::Log(number), quote: String::new() },
    };
    let length = lines.get(first..=last).unwrap_or_default().iter().map(|line| line.text.len()).sum();
    let is_one_row = first == last && family.kind == Kind::Message;
    Some(Found { finding, near, is_one_row, length, event: *event, first, last })
}

/// The registry by the words, by what is near, or unknown.
fn registry(family: &Family, near: &Near) -> Registry {
    match (family.registry, near.registry) {
        (Whose::Said(Registry::Ecr), Some(exact @ (Registry::EcrPublic | Registry::EcrPrivate))) => exact,
        (Whose::Said(registry), _) => registry,
        (Whose::Near, near) => near.unwrap_or(Registry::Unknown),
        (Whose::NearOr(registry), near) => near.unwrap_or(registry),
    }
}

/// What says too little by itself needs something of a registry near it.
fn is_plausible(family: &Family, near: &Near, lines: &[Line], span: Span) -> bool {
    let own = || {
        let texts = lines.get(span.first..=span.last).unwrap_or_default();
        texts.iter().map(|line| line.text.to_ascii_lowercase()).collect::<String>()
    };
    // What answers on the machine itself is a test's stub or a mirror, which has no limit of its own.
    let is_local = || ["://127.0.0.1", "://localhost"].iter().any(|host| own().contains(host));
    match family.name {
        _ if family.kind == Kind::Status && near.registry == Some(Registry::Other) && is_local() => false,
        // Other services answer so, too.
        "hap429-alone" => near.registry == Some(Registry::DockerHub),
        "code-with-words" | "code-as-json" => {
            let signs = ["daemon", "docker", "registry", "image", "pull", "manifest", "oci "];
            near.registry.is_some() || signs.iter().any(|sign| own().contains(sign))
        }
        _ => true,
    }
}

/// The phase, where the line itself is a context: CodeBuild's JSON, or its words on a build image.
fn phase_told(lines: &[Line], span: Span) -> Option<PhaseName> {
    let text = &lines.get(span.first)?.text;
    if let Some((_, rest)) = text.split_once("\"phaseType\"") {
        let name = rest.trim_start_matches([':', ' ', '"']).split('"').next()?;
        return Some(PhaseName::new(name));
    }
    let is_build_image = ["BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", "Unable to pull customer's container image"];
    let near = lines.get(span.first.saturating_sub(1)..=span.last).unwrap_or_default();
    let says = near.iter().any(|line| is_build_image.iter().any(|sign| line.text.contains(sign)));
    says.then(|| PhaseName::new(PhaseName::PROVISIONING))
}

/// The lines of the refusal, cut around it where they are long, and redacted.
fn quote(lines: &[Line], squeezed: &Squeezed, event: &Event) -> String {
    let place = |at: usize| squeezed.place(lines, at);
    let (Some((first, from)), Some((last, to))) = (place(event.start), place(event.end.saturating_sub(1))) else {
        return String::new();
    };
    let mut text = String::new();
    let (mut start, mut end) = (0, 0);
    for (index, line) in lines.iter().enumerate().take(last + 1).skip(first) {
        if clean::is_filler(&line.text) {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        if index == first {
            start = text.len() + from;
        }
        if index == last {
            end = text.len() + to + 1;
        }
        text.push_str(line.text.trim_end());
    }
    // Redacted before it is cut, so that half a secret is never taken for a word.
    let around =
        |at: usize| text.char_indices().map(|(index, _)| index).take_while(|index| *index <= at).last().unwrap_or(0);
    let (start, end) = (around(start), around(end));
    let head = text.get(..start).unwrap_or_default();
    let core = text.get(start..end).unwrap_or_default();
    let tail = text.get(end..).unwrap_or_default();
    let room = QUOTE.saturating_sub(core.chars().count());
    let before = last_chars(head, room / 2);
    let whole = redact(&text);
    if whole.chars().count() <= QUOTE {
        return whole;
    }
    let after = first_chars(tail, room.saturating_sub(before.chars().count()));
    let core = if core.chars().count() > QUOTE { first_chars(core, QUOTE) } else { core };
    redact(&format!("{before}{core}{after}"))
}

fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// The last characters, from the start of a word on.
fn last_chars(text: &str, count: usize) -> &str {
    let length = text.chars().count();
    if length <= count {
        return text;
    }
    let cut = text.char_indices().nth(length - count).and_then(|(at, _)| text.get(at..)).unwrap_or_default();
    cut.split_once(' ').map_or("", |(_, rest)| rest)
}
