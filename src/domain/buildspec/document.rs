//! What does the text say as YAML, and where does each part of it stand?
//!
//! JSON is YAML in flow style, so both are read here. Everything is bounded before it is walked: the length of the
//! text, the depth of its nesting, and aliases, which are never expanded.

use super::login::Shell;
use super::refusal::{Refusal, Unsupported};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// More bytes than any text of 25,600 characters can have; a longer one is refused unread.
const MOST_BYTES: usize = 4 * 25_600;

/// Collections within collections. Buildspecs have about seven.
const DEEPEST: usize = 40;

/// A parsed text: its nodes in the order in which they begin.
pub(super) struct Document {
    nodes: Vec<Node>,
    root: NodeId,
    comments: BTreeMap<usize, String>,
    pieces: Vec<Piece>,
}

/// A node's number within its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// One node and its place.
pub(super) struct Node {
    /// Where its content begins: for a block scalar the first line with text, for a block list its first item's content.
    pub(super) start: usize,
    /// The line of `start`, from 1.
    pub(super) line: usize,
    /// The column of `start`, from 1.
    pub(super) column: usize,
    /// What it is.
    pub(super) kind: Kind,
    anchored: bool,
}

/// What a node is.
pub(super) enum Kind {
    /// A text, as YAML reads it.
    Scalar { text: Rc<str>, style: ScalarStyle },
    /// A list.
    List { style: StructureStyle, items: Vec<NodeId> },
    /// A mapping.
    Map { entries: Vec<(NodeId, NodeId)> },
    /// Another name for a node that stands above.
    Alias(Option<NodeId>),
}

/// One thing the parser saw. Two texts with the same pieces mean the same, down to the quoting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    List(StructureStyle),
    Map(StructureStyle),
    End,
    Scalar(Rc<str>, ScalarStyle),
    Alias(usize),
}

impl Document {
    /// Reads a text that must hold exactly one YAML document.
    pub(super) fn parse(text: &str) -> Result<Document, Refusal> {
        if text.len() > MOST_BYTES {
            return Err(Refusal::too_long(text, super::MOST_CHARACTERS));
        }
        let options = granit_parser::options! {
            flow_nesting_limit: DEEPEST,
            block_nesting_limit: DEEPEST,
            max_buffered_comment_events: MOST_BYTES,
        };
        let mut builder = Builder::default();
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| not_yaml(&error, text))?;
            builder.take(event, &span)?;
        }
        builder.finish()
    }

    /// The outermost node.
    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    /// A node by its number, aliases followed.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        let node = &self.nodes[id.0];
        match node.kind {
            // The target of an alias stands above it and is no alias itself, so this ends.
            Kind::Alias(Some(target)) => self.node(target),
            _ => node,
        }
    }

    /// A node where it stands: an alias is itself.
    pub(super) fn as_written(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Whether other places may mean this node too, or it stands elsewhere.
    pub(super) fn is_shared(&self, id: NodeId) -> bool {
        let node = &self.nodes[id.0];
        node.anchored || matches!(node.kind, Kind::Alias(_))
    }

    /// The text of a scalar.
    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is written there.
    pub(super) fn is_null(&self, id: NodeId) -> bool {
        match &self.node(id).kind {
            Kind::Scalar { text, style } => {
                *style == ScalarStyle::Plain && matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// The entries of a mapping; none for anything else.
    pub(super) fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.node(id).kind {
            Kind::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The key and the value under this name.
    pub(super) fn entry(&self, id: NodeId, name: &str) -> Option<(NodeId, NodeId)> {
        let mut entries = self.entries(id).iter();
        entries.find(|(key, _)| self.text(*key) == Some(name)).copied()
    }

    /// The value under this name.
    pub(super) fn get(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.entry(id, name).map(|(_, value)| value)
    }

    /// All mappings, as they are written.
    pub(super) fn maps(&self) -> impl Iterator<Item = (NodeId, &[(NodeId, NodeId)])> {
        self.nodes.iter().enumerate().filter_map(|(id, node)| match &node.kind {
            Kind::Map { entries, .. } => Some((NodeId(id), entries.as_slice())),
            _ => None,
        })
    }

    /// Whether a comment begins at this byte.
    pub(super) fn is_comment(&self, at: usize) -> bool {
        self.comments.contains_key(&at)
    }

    /// The comments in order.
    pub(super) fn comments(&self) -> impl Iterator<Item = &String> {
        self.comments.values()
    }

    /// Everything else the parser saw, in order.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

/// Builds the nodes from the parser's events, without recursion.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    /// The open collections, each with the key that waits for its value.
    open: Vec<(NodeId, Option<NodeId>)>,
    root: Option<NodeId>,
    anchors: HashMap<usize, NodeId>,
    comments: BTreeMap<usize, String>,
    pieces: Vec<Piece>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Refusal> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_empty = span.byte_range().is_some_and(|range| range.is_empty()) && style == ScalarStyle::Plain;
                let text: Rc<str> = if is_empty { Rc::from("") } else { Rc::from(&*text) };
                self.pieces.push(Piece::Scalar(Rc::clone(&text), style));
                self.add(Kind::Scalar { text, style }, anchor, span)?;
            }
            Event::SequenceStart(style, anchor, _) => {
                self.pieces.push(Piece::List(style));
                let id = self.add(Kind::List { style, items: Vec::new() }, anchor, span)?;
                self.open.push((id, None));
            }
            Event::MappingStart(style, anchor, _) => {
                self.pieces.push(Piece::Map(style));
                let entries = Vec::new();
                let id = self.add(Kind::Map { entries }, anchor, span)?;
                self.open.push((id, None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.pieces.push(Piece::End);
                self.open.pop();
            }
            Event::Alias(anchor) => {
                self.pieces.push(Piece::Alias(anchor));
                let target = self.anchors.get(&anchor).copied();
                self.add(Kind::Alias(target), 0, span)?;
            }
            Event::Comment(text, _) => {
                self.comments.extend(span.start.byte_offset().map(|at| (at, text.into_owned())));
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, kind: Kind, anchor: usize, span: &Span) -> Result<NodeId, Refusal> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node {
            start: span.start.byte_offset().unwrap_or_default(),
            line,
            column,
            kind,
            anchored: anchor != 0,
        });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let Some((parent, key)) = self.open.last_mut() else {
            if self.root.replace(id).is_some() {
                let what = Unsupported::SeveralDocuments;
                return Err(Refusal::NotSupported { line, column, what });
            }
            return Ok(id);
        };
        match (&mut self.nodes[parent.0].kind, key.take()) {
            (Kind::List { items, .. }, _) => items.push(id),
            (Kind::Map { entries, .. }, Some(key)) => entries.push((key, id)),
            (Kind::Map { .. }, None) => *key = Some(id),
            (Kind::Scalar { .. } | Kind::Alias(_), _) => {}
        }
        Ok(id)
    }

    fn finish(self) -> Result<Document, Refusal> {
        Ok(Document {
            root: self.root.ok_or(Refusal::NoPhases { line: 1, column: 1 })?,
            nodes: self.nodes,
            comments: self.comments,
            pieces: self.pieces,
        })
    }
}

fn not_yaml(error: &ScanError, text: &str) -> Refusal {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    if *error.kind() == granit_parser::ErrorKind::RecursionLimitExceeded {
        let what = Unsupported::TooDeep;
        return Refusal::NotSupported { line, column, what };
    }
    if let Some((line, column, what)) = template_mark(text, &["{{", "{%", "<%", "%{"]) {
        return Refusal::Template { line, column, what };
    }
    let what = error.info();
    Refusal::NotYaml { line, column, what }
}

/// The first character that ends a line for YAML 1.1, of which CodeBuild's parser may be, and does not for ours.
pub(super) fn older_line_break(text: &str) -> Option<(usize, usize)> {
    let at = text.find(['\u{85}', '\u{2028}', '\u{2029}'])?;
    let (line, column, _) = place_of(text, at, "");
    Some((line, column))
}

/// Where a dollar is escaped for a language that fills the text in before a shell reads it, and what that looks like.
pub(super) fn escaped_dollar(text: &str, shell: Shell) -> Option<(usize, usize, String)> {
    // `$$` alone is the shell's own number, and in PowerShell a variable.
    let doubled = text.match_indices("$$").find(|(at, _)| {
        let next = text[at + 2..].chars().next();
        next.is_some_and(|c| c == '{' || shell == Shell::Sh && (c == '(' || c == '_' || c.is_ascii_alphabetic()))
    });
    let doubled = doubled.map(|(at, _)| (at, text[at..].chars().take(3).collect::<String>()));
    let pseudo = text.find("${AWS::").map(|at| (at, "${AWS::".to_string()));
    let (at, mark) = doubled.into_iter().chain(pseudo).min()?;
    Some(place_of(text, at, &mark))
}

/// The first of these marks in the text: line, column and the mark.
fn template_mark(text: &str, marks: &[&str]) -> Option<(usize, usize, String)> {
    let (at, mark) = marks.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min()?;
    Some(place_of(text, at, mark))
}

/// Line, column and the mark at this byte.
fn place_of(text: &str, at: usize, mark: &str) -> (usize, usize, String) {
    let head = &text[..at];
    let line = head.matches('\n').count() + 1;
    let column = head.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column, format!("`{mark}`"))
}
