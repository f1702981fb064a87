//! The rare words that raw bytes are searched for.

use crate::domain::detect::finder::Finder;
use std::sync::LazyLock;

/// Why an anchor stops the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A refusal may stand here.
    Refusal,
    /// The agent speaks of a phase.
    Phase,
    /// A pull went well.
    Success,
    /// A login was refused.
    Login,
    /// The agent runs a command, or reports one that failed.
    Command,
}

/// What a message of the families holds in raw bytes, wherever it is wrapped or coloured. Upper, lower and title case are
/// what programs write.
///
/// Vector instructions compare the first four bytes of all anchors of a list at once, in eight groups as long as there are
/// no more than 32: each anchor's group is its place in the list modulo eight. Beginnings that are rare in ordinary logs,
/// and groups of beginnings that are alike, decide the speed on a log without a hit, by a factor of three;
/// `cargo bench --bench diagnose` tells. So an anchor may begin within a word, and the order is no order of meaning: put a new
/// one at the end, as all behind it would change their groups.
const ALWAYS: &[(&str, Sign)] = &[
    // Response body: invalid character.
    ("nvalid ch", Sign::Refusal),
    ("o Many", Sign::Refusal),
    ("MANYREQ", Sign::Refusal),
    // Entering phase BUILD.
    ("ntering ph", Sign::Phase),
    // You have reached your pull rate limit.
    ("ur pull", Sign::Refusal),
    // 429 Too Many Requests. Other numbers begin with 429, too.
    ("29 Too", Sign::Refusal),
    ("ent_scope", Sign::Login),
    // https://www.docker.com/increase-rate-limit.
    ("e-rate-l", Sign::Refusal),
    ("l rate li", Sign::Refusal),
    // Denied: requested access to the resource, insufficient_scope.
    ("ied: req", Sign::Login),
    ("us: 401", Sign::Login),
    // Error parsing HTTP 429.
    ("TP 429", Sign::Refusal),
    // Your unauthenticated pull rate limit.
    ("r unauth", Sign::Refusal),
    ("29 TOO", Sign::Refusal),
    // Request exceeded pull rate limit.
    ("eded pu", Sign::Refusal),
    ("9: Too", Sign::Refusal),
    // Too many requests to upstream registry.
    ("pstream reg", Sign::Refusal),
    ("oomanyreq", Sign::Refusal),
    // Bazel: GET returned 429.
    ("urned 429", Sign::Refusal),
    ("ny reque", Sign::Refusal),
    (": 401 Un", Sign::Login),
    ("29 (Too", Sign::Refusal),
    // Unexpected status code, unexpected status from.
    ("cted st", Sign::Refusal),
    // StatusCode: 429, "<html>…; returned error code: 429.
    ("e: 429", Sign::Refusal),
    // Too many failed login attempts, login attempt to.
    ("n attem", Sign::Refusal),
    ("Phase comp", Sign::Phase),
    ("O MANY", Sign::Refusal),
    ("ny Reque", Sign::Refusal),
    (": unauth", Sign::Login),
    // Too many requests to registry.
    ("to registry", Sign::Refusal),
    // HttpReadSeeker, the rest of a message that was cut, where a colour stands within `unexpected status`.
    ("Seeker:", Sign::Refusal),
];

/// Before the first refusal no success and no command matters. What tells of a pull that went well stands here by two parts
/// that share no word, for a colour may begin or end within one.
const AFTER_A_REFUSAL: &[(&str, Sign)] = &[
    // Command did not exit successfully.
    ("did not exit s", Sign::Command),
    // Pulled on attempt.
    ("lled on", Sign::Success),
    // Downloaded newer image for.
    ("d newer", Sign::Success),
    // Successfully pulled image.
    ("cessfully pu", Sign::Success),
    // [internal] load metadata for.
    ("ta for ", Sign::Success),
    // Image postgres:16 pull took PT19S.
    ("l took PT", Sign::Success),
    // Writing manifest to image destination.
    ("to image dest", Sign::Success),
    // Step 1/4 : FROM node.
    (": FROM ", Sign::Success),
    // Artifact successfully downloaded.
    ("fact succ", Sign::Success),
    ("o date for ", Sign::Success),
    ("d image ", Sign::Success),
    // Image is up to date for.
    ("e is up", Sign::Success),
    ("ge for ", Sign::Success),
    ("attempt ", Sign::Success),
    ("rnal] lo", Sign::Success),
    // Running command.
    ("unning comm", Sign::Command),
    ("iting manifest", Sign::Success),
    ("lly downlo", Sign::Success),
    // db Pulled.
    (" Pulled", Sign::Success),
];

/// An anchor that was found.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    /// What it is a sign of.
    pub sign: Sign,
    /// Index of its first byte.
    pub start: usize,
    /// Index behind its last byte.
    pub end: usize,
}

static FINDERS: LazyLock<[Option<Finder>; 2]> =
    LazyLock::new(|| [ALWAYS, AFTER_A_REFUSAL].map(|list| Finder::of(list.iter().map(|(text, _)| text))));

/// Finds the anchors of a buffer in their order. Each list is searched for by itself: two passes over bytes that the
/// processor still holds take less time than one for more than 32 anchors.
pub struct Search<'a> {
    buffer: &'a [u8],
    /// What the search for each list found last, which may be further on than what the other found.
    found: [Found; 2],
}

#[derive(Clone, Copy)]
enum Found {
    /// Not searched yet.
    Unknown,
    Here(Anchor),
    NoMore,
}

impl<'a> Search<'a> {
    /// Over a buffer.
    pub fn new(buffer: &'a [u8]) -> Search<'a> {
        Search { buffer, found: [Found::Unknown; 2] }
    }

    /// The next anchor at or after an index, which never goes back.
    pub fn next(&mut self, from: usize, after_a_refusal: bool) -> Option<Anchor> {
        let always = self.next_of(0, ALWAYS, from);
        let after = if after_a_refusal { self.next_of(1, AFTER_A_REFUSAL, from) } else { None };
        always.into_iter().chain(after).min_by_key(|anchor| anchor.start)
    }

    fn next_of(&mut self, index: usize, list: &[(&str, Sign)], from: usize) -> Option<Anchor> {
        let found = self.found.get_mut(index)?;
        match found {
            Found::NoMore => return None,
            Found::Here(anchor) if anchor.start >= from => return Some(*anchor),
            _ => (),
        }
        let hit = FINDERS.get(index)?.as_ref()?.find(self.buffer, from);
        let anchor = hit.and_then(|hit| Some(Anchor { sign: list.get(hit.text)?.1, start: hit.start, end: hit.end }));
        *found = anchor.map_or(Found::NoMore, Found::Here);
        anchor
    }
}
