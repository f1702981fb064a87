//! The layers of settings and their merge: compiled-in defaults < file < environment < arguments.

use super::place::{Document, KeyPath, Origin, Segment};
use super::shape;
use super::{Problem, SettingsError};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::path::{Path, PathBuf};

/// The lowest layer.
pub(super) const DEFAULTS: &str = include_str!("../../../config/unthrottled.toml");

const DEFAULT_NAME: &str = "built-in defaults";

/// What a variable's name begins with to be a setting.
const PREFIX: &str = "UNTHROTTLED_";

/// Names the settings file, so it can't be a setting itself.
const FILE_VARIABLE: &str = "UNTHROTTLED_CONFIG";

/// Where settings are read from. The same sources read again are a reload.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The settings file; without one, the first of `search` that is there.
    pub file: Option<PathBuf>,
    /// Where a settings file is looked for.
    pub search: Vec<PathBuf>,
    /// The variables of the environment; those that begin with `UNTHROTTLED_` are settings.
    pub environment: Vec<(String, String)>,
    /// Keys with dots, and their values.
    pub arguments: Vec<(String, String)>,
    /// The text of the settings file, where it is at hand and need not be read.
    pub text: Option<String>,
}

impl Default for Sources {
    fn default() -> Sources {
        Sources {
            file: None,
            search: vec![PathBuf::from("unthrottled.toml"), PathBuf::from("/etc/unthrottled/unthrottled.toml")],
            environment: Vec::new(),
            arguments: Vec::new(),
            text: None,
        }
    }
}

impl Sources {
    /// Settings from a text instead of a file.
    pub fn text(toml: impl Into<String>) -> Sources {
        Sources { file: Some(PathBuf::from("unthrottled.toml")), text: Some(toml.into()), ..Sources::default() }
    }

    /// The settings file, if there is one.
    pub fn path(&self) -> Option<PathBuf> {
        let found = || self.search.iter().find(|path| path.exists()).cloned();
        self.file.clone().or_else(found)
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        match &self.text {
            Some(text) => Ok(text.clone()),
            None => std::fs::read_to_string(path),
        }
    }
}

/// The layers on top of each other.
pub(super) struct Layers {
    figment: Figment,
    document: Option<Document>,
    merged: Value,
    names: Vec<String>,
}

impl Layers {
    /// Reads all layers and merges them.
    pub(super) fn read(sources: &Sources, schema: &serde_json::Value) -> Result<Layers, SettingsError> {
        let mut figment = Figment::from(Layer::toml(Metadata::named(DEFAULT_NAME), DEFAULTS)?);
        let mut document = None;
        let mut names = vec![DEFAULT_NAME.to_string()];
        if let Some(path) = sources.path() {
            let text = sources.read(&path).map_err(|error| unreadable(&path, &error))?;
            document = Some(parse(&path, &text)?);
            let metadata = Metadata::from("file", path.as_path());
            figment = figment.merge(Layer::toml(metadata, &text)?);
            names.push(path.display().to_string());
        }
        for (name, key, text) in assignments(sources) {
            let value = value_of(&text, shape::at(schema, &KeyPath::dotted(&key)));
            figment = figment.merge(Layer { metadata: Metadata::named(name.clone()), dict: nest(&key, value) });
            names.push(name);
        }
        let mut merged = figment.data().map_err(|error| SettingsError::from(Problem::plain(error.to_string())))?;
        let merged = Value::from(merged.remove(&Profile::Default).unwrap_or_default());
        Ok(Layers { figment, document, merged, names })
    }

    /// All layers as one tree.
    pub(super) fn merged(&self) -> &Value {
        &self.merged
    }

    /// The layers in words, lowest first.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where the value of a key, or else the table around it, was written.
    pub(super) fn origin(&self, at: &KeyPath) -> Origin {
        let mut seek = Some(at.clone());
        while let Some(path) = seek {
            let metadata = self.value(&path).and_then(|value| self.figment.get_metadata(value.tag()));
            match (metadata.and_then(|metadata| metadata.source.as_ref()), metadata) {
                (Some(figment::Source::File(_)), _) => {
                    if let Some(document) = &self.document {
                        return document.origin(at);
                    }
                }
                (_, Some(metadata)) if metadata.name != DEFAULT_NAME => {
                    return Origin::Named(metadata.name.to_string());
                }
                _ => (),
            }
            seek = path.parent();
        }
        match &self.document {
            Some(document) => document.origin(&KeyPath::default()),
            None => Origin::Named("no settings file".to_string()),
        }
    }

    /// The value of a key as a person wrote it, shortened.
    pub(super) fn written(&self, at: &KeyPath) -> Option<String> {
        let value = self.value(at)?;
        let in_file = match self.origin(at) {
            Origin::File { .. } => self.document.as_ref()?.written(at),
            Origin::Named(_) => None,
        };
        let text = in_file.map_or_else(|| render(value), ToString::to_string);
        Some(shorten(&text))
    }

    /// The value of a key, if any layer gives it.
    pub(super) fn value(&self, at: &KeyPath) -> Option<&Value> {
        at.segments().iter().try_fold(&self.merged, |value, segment| match (segment, value) {
            (Segment::Key(key), Value::Dict(_, dict)) => dict.get(key),
            (Segment::Index(n), Value::Array(_, items)) => items.get(*n),
            _ => None,
        })
    }

    /// The value of a key that is a text.
    pub(super) fn text(&self, at: &KeyPath) -> Option<&str> {
        self.value(at)?.as_str()
    }
}

/// One layer: a file, or a single variable or argument, so that each value knows exactly where it is from.
struct Layer {
    metadata: Metadata,
    dict: Dict,
}

impl Layer {
    fn toml(metadata: Metadata, text: &str) -> Result<Layer, SettingsError> {
        let dict = Toml::from_str(text).map_err(|error| SettingsError::from(Problem::plain(error.to_string())))?;
        Ok(Layer { metadata, dict })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

/// Settings given one by one: how to call the place, the key, the text. Arguments come last, as the last wins.
fn assignments(sources: &Sources) -> Vec<(String, String, String)> {
    let mut variables: Vec<_> = sources
        .environment
        .iter()
        .filter(|(name, _)| name != FILE_VARIABLE)
        .filter_map(|(name, text)| {
            let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase().replace("__", ".");
            Some((format!("environment variable {name}"), key, text.clone()))
        })
        .collect();
    variables.sort();
    let arguments =
        sources.arguments.iter().map(|(key, text)| (format!("argument --set {key}"), key.clone(), text.clone()));
    variables.into_iter().chain(arguments).collect()
}

/// A text as the type that its key has: `42` is text where text belongs.
fn value_of(text: &str, schema: Option<&serde_json::Value>) -> Value {
    if schema.is_some_and(shape::is_text) {
        return Value::from(text);
    }
    match text.parse() {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn nest(key: &str, value: Value) -> Dict {
    match figment::util::nest(key, value) {
        Value::Dict(_, dict) => dict,
        bare => Dict::from([(key.to_string(), bare)]),
    }
}

fn parse(path: &Path, text: &str) -> Result<Document, SettingsError> {
    Document::parse(path, text).map_err(|error| {
        SettingsError::from(Problem {
            origin: Origin::File { path: path.to_path_buf(), line: error.line },
            key: None,
            read: None,
            problem: format!("not TOML: {}", error.message),
            allowed: "TOML 1.0".to_string(),
        })
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> SettingsError {
    SettingsError::from(Problem {
        origin: Origin::File { path: path.to_path_buf(), line: None },
        key: None,
        read: None,
        problem: format!("can't be read: {error}"),
        allowed: "a TOML file that this user may read".to_string(),
    })
}

/// A value as text, for those that were not written in a file.
fn render(value: &Value) -> String {
    match serde_json::to_string(value) {
        Ok(json) => json,
        Err(_) => "something that is no text".to_string(),
    }
}

/// The first line, and not too much of it. A Docker Hub token that someone wrote somewhere is not repeated.
fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.contains("dckr_") {
        return "\"dckr_…\"".to_string();
    }
    if line.chars().count() > MOST || line.len() < text.len() {
        let start: String = line.chars().take(MOST).collect();
        return format!("{start}…");
    }
    line.to_string()
}
