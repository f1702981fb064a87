//! Do the builds of a batch run the buildspec that lists them?
//!
//! A batch of the project's inline buildspec may give each of its builds another buildspec, another kind of environment
//! and other variables. Then a login in this text does not reach them, or is written for another shell.

use super::document::{Document, Kind, NodeId};
use super::outline;
use std::fmt;

/// What a batch gives its builds of their own, so that this buildspec says too little about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOfMembers {
    /// Where it stands, from 1.
    pub line: usize,
    /// Which key says so: `buildspec` or `type`.
    pub key: &'static str,
}

/// Keys under `batch` that make its builds run something else, or somewhere else.
const OWN: [&str; 2] = ["buildspec", "type"];

/// The first thing that the batch gives its builds of their own; none where there is no batch, or all of its builds run
/// this text. A text that is not YAML has no batch here: it is refused where it is edited.
pub fn own_of_members(text: &str) -> Option<OwnOfMembers> {
    let document = Document::parse(text).ok()?;
    let batch = document.get(document.root(), "batch")?;
    let mut open = vec![batch];
    let mut found: Option<OwnOfMembers> = None;
    let mut visits = 0;
    while let Some(node) = open.pop() {
        visits += 1;
        if visits > MOST_VISITS {
            // Aliases of aliases: what the builds run is not to be known here.
            return Some(OwnOfMembers { line: outline::spot(&document, batch).0, key: "buildspec" });
        }
        match &document.node(node).kind {
            Kind::List { items, .. } => open.extend(items),
            Kind::Map { entries } => {
                for (key, value) in entries {
                    open.push(*value);
                    let own = own_key(&document, *key).filter(|_| !document.is_null(*value));
                    if let Some(own) = own.filter(|own| found.as_ref().is_none_or(|first| own.line < first.line)) {
                        found = Some(own);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// More nodes than a text of 25,600 characters has, unless aliases multiply them.
const MOST_VISITS: usize = 100_000;

fn own_key(document: &Document, key: NodeId) -> Option<OwnOfMembers> {
    let text = document.text(key)?;
    let key_name = OWN.into_iter().find(|own| *own == text)?;
    let (line, _) = outline::spot(document, key);
    Some(OwnOfMembers { line, key: key_name })
}

impl fmt::Display for OwnOfMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.key == "buildspec" { "buildspecs" } else { "environment types" };
        write!(f, "line {}: the batch gives its builds {what} of their own", self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const REST: &str = "phases:\n  build:\n    commands:\n      - docker build .\n";

    #[rstest]
    #[case("", None)]
    #[case(
        "batch:\n  build-matrix:\n    dynamic:\n      env:\n        variables:\n          GO: ['1.22', '1.23']\n",
        None
    )]
    #[case(
        "batch:\n  build-list:\n    - identifier: a\n    - identifier: b\n      env:\n        variables: {A: buildspec}\n",
        None
    )]
    #[case("batch:\n  build-list:\n    - identifier: a\n    - identifier: b\n      buildspec: ci/b.yml\n", Some((5, "buildspec")))]
    #[case("batch:\n  build-matrix:\n    dynamic:\n      buildspec: [a.yml, b.yml]\n", Some((4, "buildspec")))]
    #[case("batch:\n  build-graph:\n    - identifier: a\n      env:\n        type: WINDOWS_SERVER_2022_CONTAINER\n", Some((5, "type")))]
    #[case("batch:\n  build-list:\n    - {identifier: a, buildspec: a.yml, type: b}\n", Some((3, "buildspec")))]
    // What stands first is named, wherever it is nested.
    #[case("batch:\n  build-list:\n    - identifier: a\n      buildspec: a.yml\n    - identifier: b\n      env: {type: LINUX_CONTAINER}\n", Some((4, "buildspec")))]
    #[case("batch:\n  build-list:\n    - env: {type: LINUX_CONTAINER}\n      buildspec: a.yml\n", Some((3, "type")))]
    #[case("{\"batch\": {\"build-list\": [{\"identifier\": \"a\", \"buildspec\": \"a.yml\"}]}}", Some((1, "buildspec")))]
    fn what_a_batch_gives_its_builds(#[case] batch: &str, #[case] own: Option<(usize, &'static str)>) {
        let text = if batch.starts_with('{') { batch.to_string() } else { format!("{batch}{REST}") };
        let found = own_of_members(&text).map(|own| (own.line, own.key));
        assert_eq!(found, own, "{text}");
    }

    /// Each line names the one above three times: 3^12 nodes. None of them is one that tells.
    #[test]
    fn a_batch_of_aliases_upon_aliases_is_not_read_to_its_end() {
        let aliases: String = (1..12).map(|at| format!("  a{at}: &a{at} [*a{0}, *a{0}, *a{0}]\n", at - 1)).collect();
        let text = format!("{REST}batch:\n  a0: &a0 [x, y, z]\n{aliases}");
        assert_eq!(own_of_members(&text), Some(OwnOfMembers { line: 6, key: "buildspec" }));
    }
}
