//! Finds and quotes the lines of a refused pull.
//!
//! A log goes through four steps. [`scan`] looks for a few rare words ([`anchors`]) over raw bytes, so that a log without
//! a hit costs little more than reading it, and cuts a window of lines around each. [`clean`] takes out colours and
//! prefixes, [`dress`] what a runner of several programs puts before each line. [`families`] is the one table of messages,
//! matched by [`pattern`]. [`echo`] and [`frame`] drop what no client said. [`attribute`] tells the registry where the message
//! does not, [`success`] whether the client got over it, [`command`] whether the build did.
//!
//! Who speaks is asked of the structure, never of the message, and each question has a file: the command before it
//! ([`speaker`]), the block it stands in ([`document`], [`page`], [`listing`], [`rehearsal`]), what stands before it on its line ([`marks`],
//! [`literal`], [`key`]) and what behind it ([`ending`]).

mod anchors;
mod attribute;
mod clean;
mod command;
mod document;
mod dress;
mod echo;
mod ending;
pub mod families;
mod finder;
mod frame;
mod key;
mod listing;
mod literal;
mod marks;
mod page;
mod pattern;
mod place;
mod redact;
mod rehearsal;
mod scan;
mod speaker;
mod success;
mod tally;
mod window;

use crate::domain::build::{Build, Phase, PhaseName};
use crate::domain::classify::{Login, Registry};
use crate::domain::image;
use crate::domain::trouble::Seen;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use redact::redact;
pub use scan::Scanner;

/// Where a quote stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the context of a phase: CodeBuild's own words.
    Context(PhaseName),
    /// In the log, at this line (1 is the first).
    Log(u64),
}

/// A quoted line and its place. The quote is redacted and holds no control character.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Where.
    pub place: Place,
    /// What stands there.
    pub quote: String,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Of pulls.
    Pull,
    /// Of requests of any kind, for all alike.
    Abuse,
    /// Of logins.
    Login,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The message says it.
    Certain,
    /// The message was cut before its status; what is left makes anything else unlikely. Good for advice, not for acting.
    Probable,
}

/// One refusal. A message that is printed several times is one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The row of [`families::FAMILIES`] that matched.
    pub family: &'static str,
    /// Which limit.
    pub limit: Limit,
    /// Whose.
    pub registry: Registry,
    /// What the words tell of the login.
    pub login: Login,
    /// The image, where one stands near.
    pub image: Option<String>,
    /// The phase, by the agent's last line before or by the context it stands in.
    pub phase: Option<PhaseName>,
    /// The client retried and went on.
    pub recovered: bool,
    /// How sure.
    pub certainty: Certainty,
    /// How often it was printed.
    pub times: u32,
    /// The shortest quote of it.
    pub evidence: Evidence,
}

/// What a log showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// In the log's order.
    pub findings: Vec<Finding>,
    /// Signs that a credential of ours does not work.
    pub troubles: Vec<Seen>,
    /// How many line feeds the log has.
    pub lines: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The first phase that the agent said had failed.
    pub failed_phase: Option<PhaseName>,
}

/// Reads a whole log at once.
pub fn in_log(text: &str) -> Scan {
    let mut scanner = Scanner::new();
    scanner.push(text.as_bytes());
    scanner.finish()
}

/// CodeBuild cuts a reason at this length.
const CUT_AT: usize = 255;

/// What the contexts of a build's phases say: no log is needed for a build image that could not be pulled.
pub fn in_contexts(build: &Build) -> Vec<Finding> {
    build.phases.iter().flat_map(|phase| in_phase(build, phase)).collect()
}

fn in_phase(build: &Build, phase: &Phase) -> Vec<Finding> {
    // A context of a phase that runs commands repeats the command, never what the command printed.
    if phase.name.runs_commands() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for context in &phase.contexts {
        let length = context.message.chars().count();
        let dots = if length >= CUT_AT - 3 && !context.message.ends_with("...") { "..." } else { "" };
        let message = format!("{}{dots}", context.message.trim_end());
        for mut finding in window::in_message(&message) {
            finding.phase = Some(phase.name.clone());
            finding.evidence.place = Place::Context(phase.name.clone());
            if finding.registry == Registry::Unknown {
                finding.registry = image::registry_of(&build.environment.image);
            }
            finding.image.get_or_insert_with(|| build.environment.image.clone());
            findings.push(finding);
        }
    }
    findings
}

#[cfg(test)]
mod tests;
