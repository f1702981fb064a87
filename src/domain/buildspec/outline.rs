//! Which commands does a buildspec run, in which order, and what surrounds them?

use super::document::{Document, Kind, NodeId};
use super::login::Shell;
use super::refusal::{Refusal, Unsupported};
use granit_parser::{ScalarStyle, StructureStyle};

/// The phases in the order in which CodeBuild runs them.
pub(super) const PHASES: [&str; 4] = ["install", "pre_build", "build", "post_build"];

/// What matters of a buildspec.
pub(super) struct Outline<'a> {
    /// The user that a phase runs as if it names none.
    pub(super) default_user: &'a str,
    /// The phases it has, in the order in which they run.
    pub(super) phases: Vec<Phase<'a>>,
    /// The shell that `env.shell` asks for.
    pub(super) shell: Option<Shell>,
    /// The variables that `env` sets, with their values where they are written out.
    pub(super) variables: Vec<Variable<'a>>,
    /// Whether `runtime-versions` asks for docker.
    pub(super) docker_runtime: Option<NodeId>,
}

/// One phase.
pub(super) struct Phase<'a> {
    /// One of [`PHASES`].
    pub(super) name: &'static str,
    /// Its key.
    pub(super) key: NodeId,
    /// The user it runs as; root if it does not say.
    pub(super) user: &'a str,
    /// Its commands, then those of `finally`.
    pub(super) items: Vec<Item<'a>>,
    /// How its commands are written.
    pub(super) holder: Holder,
}

/// One command of a phase: a line, or a whole script.
pub(super) struct Item<'a> {
    /// The text that the shell gets.
    pub(super) text: &'a str,
    /// Where it stands.
    pub(super) node: NodeId,
    /// Whether it is one of `finally`.
    pub(super) finally: bool,
}

/// How the commands of a phase are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// One item a line, with a dash.
    Block(NodeId),
    /// `[a, b]`, as JSON has it.
    Flow(NodeId),
    /// One text with `|`.
    Literal(NodeId),
    /// One text of another style.
    Scalar(NodeId),
    /// An anchor makes it the list of other places too.
    Shared(NodeId),
    /// No commands.
    Missing,
}

/// A variable that the buildspec sets for its commands.
pub(super) struct Variable<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its value, where `variables` has it.
    pub(super) value: Option<&'a str>,
    /// Where its name stands.
    pub(super) node: NodeId,
}

impl Outline<'_> {
    /// Whether a command uses a variable as only PowerShell writes it. The default shell of Windows images is named
    /// nowhere in a buildspec.
    pub(super) fn speaks_powershell(&self) -> bool {
        let items = self.phases.iter().flat_map(|phase| &phase.items);
        items.into_iter().filter(|item| item.text.contains("$env:")).any(|item| {
            let program = item.text.split_whitespace().next().unwrap_or_default().to_lowercase();
            !program.contains("pwsh") && !program.contains("powershell")
        })
    }
}

/// Reads a document as a buildspec, or says why it is none that can be edited.
pub(super) fn outline(document: &Document) -> Result<Outline<'_>, Refusal> {
    refuse_duplicates(document)?;
    let root = document.root();
    refuse_misplaced(document, root)?;
    let Some(phases_node) = document.get(root, "phases").filter(|node| !document.entries(*node).is_empty()) else {
        return Err(without_phases(document));
    };
    let env = document.get(root, "env");
    let default_user = user(document, root).unwrap_or("root");
    let mut phases = Vec::new();
    for name in PHASES {
        if let Some((key, value)) = document.entry(phases_node, name) {
            phases.push(phase(document, name, (key, value), default_user)?);
        }
    }
    if phases.is_empty() {
        let (line, column) = spot(document, phases_node);
        return Err(Refusal::NoPhases { line, column });
    }
    Ok(Outline {
        docker_runtime: docker_runtime(document, phases_node),
        default_user,
        phases,
        shell: shell(document, env)?,
        variables: env.map(|env| variables(document, env)).unwrap_or_default(),
    })
}

/// What a text without phases is: a batch, or no buildspec.
fn without_phases(document: &Document) -> Refusal {
    let root = document.root();
    if let Some((key, _)) = document.entry(root, "batch").filter(|(_, batch)| !document.is_null(*batch)) {
        let (line, column) = spot(document, key);
        return Refusal::BatchOnly { line, column };
    }
    let (line, column) = spot(document, document.entry(root, "phases").map_or(root, |(key, _)| key));
    Refusal::NoPhases { line, column }
}

fn refuse_duplicates(document: &Document) -> Result<(), Refusal> {
    for (_, entries) in document.maps() {
        let mut seen = std::collections::HashSet::new();
        for (key, _) in entries {
            let fresh = document.text(*key).is_none_or(|text| seen.insert(text));
            if !fresh {
                let (line, column) = spot(document, *key);
                return Err(Refusal::DuplicateKey { line, column });
            }
        }
    }
    Ok(())
}

/// Refuses phases beside `phases`, lists of commands outside of phases, and merged mappings, in which neither could be
/// told.
fn refuse_misplaced(document: &Document, root: NodeId) -> Result<(), Refusal> {
    for name in PHASES {
        if let Some((key, _)) = document.entry(root, name) {
            let (line, column) = spot(document, key);
            return Err(Refusal::PhaseAtTopLevel { line, column });
        }
    }
    let phases = document.get(root, "phases");
    let each = PHASES.iter().filter_map(|name| document.get(phases?, name));
    for map in [root].into_iter().chain(phases).chain(each) {
        if let Some((key, _)) = document.entry(map, "<<") {
            let (line, column) = spot(document, key);
            let what = Unsupported::SharedList;
            return Err(Refusal::NotSupported { line, column, what });
        }
    }
    let proper: Vec<NodeId> =
        PHASES.iter().filter_map(|name| document.get(document.get(phases?, name)?, "commands")).collect();
    for (_, entries) in document.maps() {
        for (key, value) in entries {
            let (line, column) = spot(document, *key);
            match document.text(*key) {
                Some("commands")
                    if !proper.contains(value) && matches!(document.node(*value).kind, Kind::List { .. }) =>
                {
                    return Err(Refusal::CommandsMisplaced { line, column });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn phase<'a>(
    document: &'a Document,
    name: &'static str,
    (key, value): (NodeId, NodeId),
    default_user: &'a str,
) -> Result<Phase<'a>, Refusal> {
    let commands = document.get(value, "commands");
    let mut items = Vec::new();
    for (list, finally) in [(commands, false), (document.get(value, "finally"), true)] {
        let Some(list) = list.filter(|list| !document.is_null(*list)) else {
            continue;
        };
        let nodes = match &document.node(list).kind {
            Kind::List { items, .. } => items.clone(),
            _ => vec![list],
        };
        for node in nodes {
            let Some(text) = document.text(node) else {
                let (line, column) = spot(document, node);
                return Err(Refusal::CommandIsMapping { line, column });
            };
            items.push(Item { text, node, finally });
        }
    }
    Ok(Phase {
        name,
        key,
        user: user(document, value).unwrap_or(default_user),
        items,
        holder: commands.map_or(Holder::Missing, |node| {
            if document.is_shared(value) { Holder::Shared(node) } else { holder(document, node) }
        }),
    })
}

fn holder(document: &Document, node: NodeId) -> Holder {
    if document.is_null(node) {
        return Holder::Missing;
    }
    match &document.as_written(node).kind {
        _ if document.is_shared(node) => Holder::Shared(node),
        Kind::List { style: StructureStyle::Block, .. } => Holder::Block(node),
        Kind::List { style: StructureStyle::Flow, .. } => Holder::Flow(node),
        Kind::Scalar { style: ScalarStyle::Literal, .. } => Holder::Literal(node),
        _ => Holder::Scalar(node),
    }
}

fn user(document: &Document, node: NodeId) -> Option<&str> {
    document.text(document.get(node, "run-as")?).filter(|user| !user.is_empty())
}

fn shell(document: &Document, env: Option<NodeId>) -> Result<Option<Shell>, Refusal> {
    let Some(node) = env.and_then(|env| document.get(env, "shell")).filter(|node| !document.is_null(*node)) else {
        return Ok(None);
    };
    let shell = document.text(node).and_then(Shell::named);
    if shell.is_none() {
        let (line, column) = spot(document, node);
        let what = Unsupported::Shell;
        return Err(Refusal::NotSupported { line, column, what });
    }
    Ok(shell)
}

fn variables(document: &Document, env: NodeId) -> Vec<Variable<'_>> {
    let sources = ["variables", "parameter-store", "secrets-manager"];
    let entries = sources.iter().filter_map(|source| Some((*source, document.get(env, source)?)));
    entries
        .flat_map(|(source, node)| {
            document.entries(node).iter().filter_map(move |(key, value)| {
                Some(Variable {
                    name: document.text(*key)?,
                    value: document.text(*value).filter(|_| source == "variables"),
                    node: *key,
                })
            })
        })
        .collect()
}

fn docker_runtime(document: &Document, phases: NodeId) -> Option<NodeId> {
    let versions = document.get(document.get(phases, "install")?, "runtime-versions")?;
    document.entry(versions, "docker").map(|(key, _)| key)
}

/// Line and column, from 1.
pub(super) type Spot = (usize, usize);

/// Where a node is written.
pub(super) fn spot(document: &Document, node: NodeId) -> Spot {
    let node = document.as_written(node);
    (node.line, node.column)
}
