//! The rare words that raw bytes are searched for.

use aho_corasick::{AhoCorasick, packed};
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
/// what programs write. Few of them, and with rare first letters, for that is what vector instructions compare: each
/// anchor that begins like an everyday word costs speed on logs without a hit.
const ANCHORS: &[(&str, Sign)] = &[
    ("oomanyreq", Sign::Refusal),
    ("OOMANYREQ", Sign::Refusal),
    // Too Many Requests, too many requests to registry.
    ("ny Reque", Sign::Refusal),
    ("ny reque", Sign::Refusal),
    ("oo Many", Sign::Refusal),
    ("429 Too", Sign::Refusal),
    ("429: Too", Sign::Refusal),
    ("429 (Too", Sign::Refusal),
    ("429 TOO", Sign::Refusal),
    ("OO MANY", Sign::Refusal),
    // StatusCode: 429, "<html>…
    ("Code: 429,", Sign::Refusal),
    ("ests to registry", Sign::Refusal),
    ("upstream reg", Sign::Refusal),
    // Your pull rate limit, unauthenticated pull rate limit, increase-rate-limit.
    ("d your pull", Sign::Refusal),
    ("henticated pull", Sign::Refusal),
    ("l rate li", Sign::Refusal),
    ("e-rate-l", Sign::Refusal),
    // Request exceeded pull rate limit.
    ("ceeded pu", Sign::Refusal),
    // Unexpected status code, unexpected status from.
    ("unexpected st", Sign::Refusal),
    // Error parsing HTTP 429.
    ("TP 429", Sign::Refusal),
    ("body: invalid ch", Sign::Refusal),
    // Bazel: GET returned 429.
    ("eturned 429", Sign::Refusal),
    // Too many failed login attempts, login attempt to.
    ("ogin attem", Sign::Refusal),
    ("Entering ph", Sign::Phase),
    ("Phase comp", Sign::Phase),
    (": unauth", Sign::Login),
    ("us: 401", Sign::Login),
    (": 401 Un", Sign::Login),
    // Denied: requested access to the resource, insufficient_scope.
    ("denied: req", Sign::Login),
    ("ient_scope", Sign::Login),
    // From here on only after a refusal: downloaded newer image for, image is up to date for, successfully pulled image,
    // pulled on attempt, writing manifest to image destination, load metadata for. Each by two parts that share no word,
    // for a colour may begin or end within one.
    ("ownloaded newer", Sign::Success),
    ("image for ", Sign::Success),
    ("ge is up", Sign::Success),
    ("to date for ", Sign::Success),
    ("ccessfully pu", Sign::Success),
    ("ed image ", Sign::Success),
    ("lled on", Sign::Success),
    ("attempt ", Sign::Success),
    ("iting manifest", Sign::Success),
    ("to image dest", Sign::Success),
    ("[internal] lo", Sign::Success),
    ("metadata for ", Sign::Success),
    // Step 1/4 : FROM node, db Pulled.
    (" : FROM ", Sign::Success),
    (" Pulled", Sign::Success),
    // Running command, did not exit successfully.
    ("unning comm", Sign::Command),
    ("did not exit s", Sign::Command),
];

/// Searches for all anchors at once.
pub enum Finder {
    /// With vector instructions.
    Packed(packed::Searcher),
    /// On a processor without them.
    Automaton(AhoCorasick),
}

impl Finder {
    /// The next anchor at or after an index: what it is a sign of, its start and its end.
    pub fn find(&self, buffer: &[u8], from: usize) -> Option<(Sign, usize, usize)> {
        let rest = buffer.get(from..)?;
        let hit = match self {
            Finder::Packed(searcher) => searcher.find(rest)?,
            Finder::Automaton(automaton) => automaton.find(rest)?,
        };
        let sign = ANCHORS.get(hit.pattern().as_usize())?.1;
        Some((sign, from + hit.start(), from + hit.end()))
    }
}

/// Before the first refusal no success and no command matters. Their anchors are the last of the list, so the numbers are the same.
pub static BEFORE_A_REFUSAL: LazyLock<Option<Finder>> =
    LazyLock::new(|| finder(|sign| !matches!(sign, Sign::Success | Sign::Command)));
pub static AFTER_A_REFUSAL: LazyLock<Option<Finder>> = LazyLock::new(|| finder(|_| true));

fn finder(wanted: fn(Sign) -> bool) -> Option<Finder> {
    let anchors = || ANCHORS.iter().filter(|anchor| wanted(anchor.1)).map(|anchor| anchor.0);
    match packed::Searcher::new(anchors()) {
        Some(searcher) => Some(Finder::Packed(searcher)),
        // The list is fixed and small, so building it can't fail.
        None => AhoCorasick::new(anchors()).ok().map(Finder::Automaton),
    }
}
