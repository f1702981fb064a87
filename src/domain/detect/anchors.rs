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
/// what programs write.
///
/// Vector instructions compare the first four bytes of all anchors at once, in eight groups, or sixteen if there are more
/// than 32 anchors: each anchor's group is its place in this list modulo their number. Beginnings that are rare in
/// ordinary logs, and groups of beginnings that are alike, decide the speed on a log without a hit, by a factor of three;
/// `cargo bench --bench diagnose` tells. So an anchor may begin within a word, and the order is no order of meaning.
const ANCHORS: &[(&str, Sign)] = &[
    // Too many failed login attempts, login attempt to.
    ("n attem", Sign::Refusal),
    // Too many requests to upstream registry.
    ("pstream reg", Sign::Refusal),
    ("429 TOO", Sign::Refusal),
    ("OOMANYREQ", Sign::Refusal),
    ("429: Too", Sign::Refusal),
    // Bazel: GET returned 429.
    ("urned 429", Sign::Refusal),
    // https://www.docker.com/increase-rate-limit.
    ("e-rate-l", Sign::Refusal),
    // Request exceeded pull rate limit.
    ("eeded pu", Sign::Refusal),
    ("Phase comp", Sign::Phase),
    (": unauth", Sign::Login),
    ("OO MANY", Sign::Refusal),
    ("429 (Too", Sign::Refusal),
    ("oomanyreq", Sign::Refusal),
    // Unexpected status code, unexpected status from.
    ("xpected st", Sign::Refusal),
    // Unauthenticated pull rate limit.
    ("enticated pull", Sign::Refusal),
    // StatusCode: 429, "<html>…
    ("ode: 429,", Sign::Refusal),
    ("ny reque", Sign::Refusal),
    ("oo Many", Sign::Refusal),
    // Too many requests to registry.
    (" to registry", Sign::Refusal),
    ("ny Reque", Sign::Refusal),
    // You have reached your pull rate limit.
    ("ur pull", Sign::Refusal),
    ("us: 401", Sign::Login),
    // Response body: invalid character.
    ("invalid ch", Sign::Refusal),
    // Entering phase BUILD.
    ("ntering ph", Sign::Phase),
    // Error parsing HTTP 429.
    ("TP 429", Sign::Refusal),
    ("l rate li", Sign::Refusal),
    ("429 Too", Sign::Refusal),
    (": 401 Un", Sign::Login),
    // Denied: requested access to the resource, insufficient_scope.
    ("denied: req", Sign::Login),
    ("ient_scope", Sign::Login),
    // From here on only after a refusal. What tells of a pull that went well stands here by two parts that share no
    // word, for a colour may begin or end within one.
    // Downloaded newer image for.
    ("d newer", Sign::Success),
    // Running command.
    ("unning comm", Sign::Command),
    ("o date for ", Sign::Success),
    // db Pulled.
    (" Pulled", Sign::Success),
    // Writing manifest to image destination.
    ("to image dest", Sign::Success),
    // Step 1/4 : FROM node.
    (": FROM ", Sign::Success),
    // Command did not exit successfully.
    ("did not exit s", Sign::Command),
    // Image is up to date for.
    ("e is up", Sign::Success),
    ("iting manifest", Sign::Success),
    // [internal] load metadata for.
    ("ta for ", Sign::Success),
    ("rnal] lo", Sign::Success),
    // Pulled on attempt.
    ("lled on", Sign::Success),
    ("attempt ", Sign::Success),
    ("d image ", Sign::Success),
    // Successfully pulled image.
    ("cessfully pu", Sign::Success),
    ("ge for ", Sign::Success),
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

/// Before the first refusal no success and no command matters. Their anchors are the last of the list, so the numbers are
/// the same.
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
