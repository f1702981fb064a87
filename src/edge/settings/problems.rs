//! Mistakes in the settings, taken down one by one with their place, their key and what was read.

use super::Problem;
use super::layers::Layers;
use super::place::{KeyPath, Origin, Segment};
use super::shape::{Misfit, Unfit};
use super::values::{self, Wrong};
use figment::value::Value;

/// The problems that were found so far.
pub(super) struct Problems<'a> {
    layers: &'a Layers,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    /// None yet.
    pub(super) fn new(layers: &'a Layers) -> Problems<'a> {
        Problems { layers, found: Vec::new() }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether the key was given by any layer.
    pub(super) fn given(&self, at: &KeyPath) -> bool {
        self.layers.value(at).is_some()
    }

    /// All problems, in the order of the lines they are in.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| match &problem.origin {
            Origin::File { line, .. } => line.unwrap_or(0),
            Origin::Named(_) => usize::MAX,
        });
        self.found
    }

    /// Takes down what did not fit the schema.
    pub(super) fn misfit(&mut self, misfit: Misfit) {
        let Misfit { at, what, allowed } = misfit;
        let is_policies = at.to_string() == "policy";
        match what {
            Unfit::Missing if is_policies => self.wrong_key(&at, "an empty policy list", A_POLICY),
            Unfit::Value(_) if is_policies && self.is_empty_list(&at) => {
                self.wrong_key(&at, "an empty policy list", A_POLICY);
            }
            Unfit::Missing => self.wrong_key(&at, "missing", allowed),
            Unfit::UnknownKey(Some(meant)) => {
                self.wrong_key(&at, format!("unknown key, did you mean `{meant}`?"), allowed);
            }
            Unfit::UnknownKey(None) => self.wrong_key(&at, "unknown key", allowed),
            // What stands in a credential's place may be the credential itself, so it is not repeated.
            Unfit::Value(problem) if at.is_within("credential") => {
                self.wrong_key(&at, problem, allowed);
            }
            Unfit::Value(problem) => self.wrong(&at, Wrong::new(problem, allowed)),
        }
    }

    /// A name that is one, and not taken.
    pub(super) fn name<'n>(&mut self, at: &KeyPath, name: &str, taken: impl IntoIterator<Item = &'n str>) {
        // What is missing was taken down with the shape.
        if name.trim().is_empty() {
            return;
        }
        if taken.into_iter().any(|other| other == name) {
            self.wrong(at, Wrong::new("taken already", "a name of its own"));
        }
        self.take(at, values::name(name));
    }

    /// The value, if it could be read.
    pub(super) fn take<T>(&mut self, at: &KeyPath, read: Result<T, Wrong>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.wrong(at, wrong);
                None
            }
        }
    }

    /// A value that is wrong.
    pub(super) fn wrong(&mut self, at: &KeyPath, wrong: Wrong) {
        let read = self.layers.written(at);
        self.add(at, read, wrong);
    }

    /// A key that is wrong whatever its value.
    pub(super) fn wrong_key(&mut self, at: &KeyPath, problem: impl Into<String>, allowed: impl Into<String>) {
        self.add(at, None, Wrong::new(problem, allowed));
    }

    fn add(&mut self, at: &KeyPath, read: Option<String>, wrong: Wrong) {
        self.found.push(Problem {
            origin: self.layers.origin(at),
            key: Some(self.label(at)),
            read,
            problem: wrong.problem,
            allowed: wrong.allowed,
        });
    }

    /// The key, with the name of the policy or scope that it is in.
    fn label(&self, at: &KeyPath) -> String {
        let [Segment::Key(table), Segment::Index(n), ..] = at.segments() else {
            return at.to_string();
        };
        match self.layers.text(&KeyPath::dotted(table).index(*n).key("name")) {
            Some(name) if !name.is_empty() => format!("{at} ({table} \"{name}\")"),
            _ => at.to_string(),
        }
    }

    fn is_empty_list(&self, at: &KeyPath) -> bool {
        matches!(self.layers.value(at), Some(Value::Array(_, items)) if items.is_empty())
    }
}

const A_POLICY: &str = "at least one table [[policy]], the least being name = \"all\" and projects = [\"*\"], \
     beside [credential.dockerhub] with secret = \"NAME\"";
