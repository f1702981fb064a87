//! Where a setting was written: the path of its key, and the line of that key in a TOML text.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml_edit::{ImDocument, Item, Table, TableLike, Value};

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A settings file.
    File {
        /// As it was named.
        path: PathBuf,
        /// The line, from 1.
        line: Option<usize>,
    },
    /// Anything else, in words: a variable of the environment, an argument.
    Named(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::Named(name) => f.write_str(name),
        }
    }
}

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

/// The path of a key, as in `policy[1].settle`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Segment>);

impl KeyPath {
    /// The path of keys that dots divide.
    pub(super) fn dotted(text: &str) -> KeyPath {
        KeyPath(text.split('.').map(|key| Segment::Key(key.to_string())).collect())
    }

    /// One key further down.
    pub(super) fn key(&self, key: &str) -> KeyPath {
        self.with(Segment::Key(key.to_string()))
    }

    /// One element further down.
    pub(super) fn index(&self, n: usize) -> KeyPath {
        self.with(Segment::Index(n))
    }

    /// The steps from the top.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The path without its last step.
    pub(super) fn parent(&self) -> Option<KeyPath> {
        let (_, rest) = self.0.split_last()?;
        Some(KeyPath(rest.to_vec()))
    }

    /// Whether the path leads into this table.
    pub(super) fn is_within(&self, table: &str) -> bool {
        matches!(self.0.first(), Some(Segment::Key(key)) if key == table)
    }

    fn with(&self, segment: Segment) -> KeyPath {
        let mut segments = self.0.clone();
        segments.push(segment);
        KeyPath(segments)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if n == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A TOML text that knows where each of its keys stands.
#[derive(Debug)]
pub(super) struct Document {
    path: PathBuf,
    toml: ImDocument<String>,
}

/// A text that is not TOML.
#[derive(Debug)]
pub(super) struct NotToml {
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl Document {
    /// Reads a text.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Document, NotToml> {
        match ImDocument::parse(text.to_string()) {
            Ok(toml) => Ok(Document { path: path.to_path_buf(), toml }),
            Err(error) => Err(NotToml {
                line: error.span().map(|span| line_of(text, span.start)),
                message: error.message().trim_end().replace('\n', ", "),
            }),
        }
    }

    /// The place of a key; of the nearest table around it if it was not written.
    pub(super) fn origin(&self, at: &KeyPath) -> Origin {
        let line = self.walk(at).1.map(|span| line_of(self.toml.raw(), span.start));
        Origin::File { path: self.path.clone(), line }
    }

    /// The value of a key as it was written.
    pub(super) fn written(&self, at: &KeyPath) -> Option<&str> {
        let span = self.walk(at).0?.span()?;
        self.toml.raw().get(span)
    }

    /// The node at the end of the path, if it is there, and the last place on the way that has one.
    fn walk(&self, at: &KeyPath) -> (Option<Node<'_>>, Option<Range<usize>>) {
        let mut node = Node::Item(self.toml.as_item());
        let mut place = None;
        for segment in at.segments() {
            let Some((child, span)) = node.child(segment) else {
                return (None, place);
            };
            place = span.or(place);
            node = child;
        }
        (Some(node), place)
    }
}

/// What a path can lead through.
#[derive(Clone, Copy)]
enum Node<'a> {
    Item(&'a Item),
    Table(&'a Table),
    Value(&'a Value),
}

impl<'a> Node<'a> {
    fn child(self, segment: &Segment) -> Option<(Node<'a>, Option<Range<usize>>)> {
        match (segment, self) {
            (Segment::Key(key), _) => {
                let (key, item) = self.table()?.get_key_value(key)?;
                Some((Node::Item(item), key.span().or_else(|| item.span())))
            }
            (Segment::Index(n), Node::Item(Item::ArrayOfTables(tables))) => {
                let table = tables.get(*n)?;
                Some((Node::Table(table), table.span()))
            }
            (Segment::Index(n), Node::Item(Item::Value(value)) | Node::Value(value)) => {
                let element = value.as_array()?.get(*n)?;
                Some((Node::Value(element), element.span()))
            }
            (Segment::Index(_), Node::Item(_) | Node::Table(_)) => None,
        }
    }

    fn table(self) -> Option<&'a dyn TableLike> {
        match self {
            Node::Item(item) => item.as_table_like(),
            Node::Table(table) => Some(table),
            Node::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
        }
    }

    fn span(self) -> Option<Range<usize>> {
        match self {
            Node::Item(item) => item.span(),
            Node::Table(table) => table.span(),
            Node::Value(value) => value.span(),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
