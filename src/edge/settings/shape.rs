//! The shape of the settings: their JSON Schema, and what in a tree of values does not fit it.
//!
//! Serde stops at the first thing that does not fit. Here all are found in one pass and taken out of the tree, so that
//! the rest can be checked too and one run shows every mistake.

use super::layers::DEFAULTS;
use super::place::{KeyPath, Segment};
use super::raw::RawSettings;
use figment::providers::{Format, Toml};
use figment::value::Value;
use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

/// The JSON Schema of a settings file.
pub fn schema() -> Json {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<RawSettings>();
    let mut schema = Json::from(schema);
    tidy(&mut schema);
    let defaults: Json = Toml::from_str(DEFAULTS).unwrap_or_default();
    insert_defaults(&mut schema, &defaults);
    schema
}

/// The schema of the key at a path.
pub(super) fn at<'a>(schema: &'a Json, path: &KeyPath) -> Option<&'a Json> {
    path.segments().iter().try_fold(schema, |schema, segment| match segment {
        Segment::Key(key) => member(schema, key),
        Segment::Index(_) => schema.get("items"),
    })
}

/// Whether the schema is of a text.
pub(super) fn is_text(schema: &Json) -> bool {
    schema_type(schema) == "string"
}

/// Something that does not fit the schema.
pub(super) struct Misfit {
    pub(super) at: KeyPath,
    pub(super) what: Unfit,
    pub(super) allowed: String,
}

/// In which way it does not fit.
pub(super) enum Unfit {
    /// No such key; perhaps this one was meant.
    UnknownKey(Option<String>),
    /// A key that must be there is not.
    Missing,
    /// The value is of another type, not one of the choices, or out of range.
    Value(String),
}

/// What does not fit; it is taken out of the tree.
pub(super) fn prune(value: &mut Value, schema: &Json) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    prune_at(value, schema, &KeyPath::default(), &mut misfits);
    misfits
}

/// The candidate that a mistyped word was probably meant to be.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Words as people read a list of choices.
pub(super) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

/// The choices that the schema leaves, if they are finite.
pub(super) fn choices(schema: &Json) -> Option<Vec<&str>> {
    let listed =
        |key, pick: fn(&Json) -> Option<&str>| Some(schema.get(key)?.as_array()?.iter().filter_map(pick).collect());
    listed("enum", Json::as_str).or_else(|| listed("oneOf", |choice| choice.get("const").and_then(Json::as_str)))
}

/// `string`, `integer`, `array` or `object`.
pub(super) fn schema_type(schema: &Json) -> &str {
    match schema.get("type").and_then(Json::as_str) {
        Some(name) => name,
        None => "string",
    }
}

/// What a value of the schema looks like, in words.
pub(super) fn expected(schema: &Json) -> String {
    if let Some(choices) = choices(schema) {
        return quoted(choices);
    }
    let such = schema.get("default").filter(|default| !is_empty(default));
    let such = match such.or_else(|| schema.get("examples")?.get(0)) {
        Some(such) => format!(", as in {such}"),
        None => String::new(),
    };
    match schema_type(schema) {
        "integer" => match schema.get("minimum") {
            Some(least) => format!("a whole number from {least}"),
            None => "a whole number".to_string(),
        },
        "array" => match schema.get("items") {
            Some(items) if choices(items).is_some() => format!("a list of {}", expected(items)),
            Some(items) if schema_type(items) == "object" => "tables in double brackets".to_string(),
            _ => format!("a list of texts{such}"),
        },
        "object" => "a table".to_string(),
        "boolean" => "true or false".to_string(),
        _ => format!("text{such}"),
    }
}

enum Fit {
    Keep,
    Drop,
}

fn prune_at(value: &mut Value, schema: &Json, at: &KeyPath, misfits: &mut Vec<Misfit>) -> Fit {
    let unfit = match (schema_type(schema), &mut *value) {
        ("object", Value::Dict(..)) => {
            prune_table(value, schema, at, misfits);
            return Fit::Keep;
        }
        ("array", Value::Array(_, items)) => match schema.get("items") {
            _ if items.is_empty() && schema.get("minItems").is_some() => "an empty list".to_string(),
            Some(of) => return prune_list(items, of, at, misfits),
            None => return Fit::Keep,
        },
        ("integer", Value::Num(_, number)) => {
            let least = schema.get("minimum").and_then(Json::as_i64).map(i128::from);
            // `to_i128` knows the signed types alone.
            let unsigned = || number.to_u128().and_then(|number| i128::try_from(number).ok());
            match (number.to_i128().or_else(unsigned), least) {
                (None, _) => "not a whole number".to_string(),
                (Some(number), Some(least)) if number < least => "too small".to_string(),
                (Some(number), _) if number > i128::from(u32::MAX) => "too large".to_string(),
                (Some(_), _) => return Fit::Keep,
            }
        }
        ("boolean", Value::Bool(..)) => return Fit::Keep,
        ("string", Value::String(_, text)) => match choices(schema) {
            Some(choices) if !choices.contains(&text.as_str()) => not_a_choice(text, &choices),
            None if text.trim().is_empty() && schema.get("minLength").is_some() => "an empty text".to_string(),
            Some(_) | None => return Fit::Keep,
        },
        (_, Value::Array(..)) if at.segments().len() == 1 && schema_type(schema) == "object" => {
            "a list; write the table's name in single brackets".to_string()
        }
        (_, other) => kind(other).to_string(),
    };
    misfits.push(Misfit { at: at.clone(), what: Unfit::Value(unfit), allowed: expected(schema) });
    Fit::Drop
}

fn prune_table(value: &mut Value, schema: &Json, at: &KeyPath, misfits: &mut Vec<Misfit>) {
    let Value::Dict(_, dict) = value else {
        return;
    };
    let required = schema.get("required").and_then(Json::as_array);
    for key in required.into_iter().flatten().filter_map(Json::as_str) {
        if !dict.contains_key(key) {
            misfits.push(Misfit {
                at: at.key(key),
                what: Unfit::Missing,
                allowed: member(schema, key).map(expected).unwrap_or_default(),
            });
        }
    }
    dict.retain(|key, value| match member(schema, key) {
        Some(of) => matches!(prune_at(value, of, &at.key(key), misfits), Fit::Keep),
        None => {
            let known = || schema.get("properties").and_then(Json::as_object).into_iter();
            let known = || known().flat_map(|members| members.keys().map(String::as_str));
            misfits.push(Misfit {
                at: at.key(key),
                what: Unfit::UnknownKey(nearest(key, known()).map(ToString::to_string)),
                allowed: known().collect::<Vec<_>>().join(", "),
            });
            false
        }
    });
}

/// A list is dropped as a whole, so that the others keep their places.
fn prune_list(items: &mut [Value], of: &Json, at: &KeyPath, misfits: &mut Vec<Misfit>) -> Fit {
    let mut fit = Fit::Keep;
    for (n, item) in items.iter_mut().enumerate() {
        if let Fit::Drop = prune_at(item, of, &at.index(n), misfits) {
            fit = Fit::Drop;
        }
    }
    fit
}

fn not_a_choice(text: &str, choices: &[&str]) -> String {
    match nearest(text, choices.iter().copied()) {
        Some(meant) => format!("no such choice, did you mean \"{meant}\"?"),
        None => "no such choice".to_string(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "text does not belong here",
        Value::Bool(..) => "a truth value does not belong here",
        Value::Num(..) => "a number does not belong here",
        Value::Empty(..) => "nothing does not belong here",
        // How the TOML parser hands a date over.
        Value::Dict(_, dict) if dict.contains_key("$__toml_private_datetime") => "a date does not belong here",
        Value::Dict(..) => "a table does not belong here",
        Value::Array(..) => "a list does not belong here",
    }
}

fn member<'a>(schema: &'a Json, key: &str) -> Option<&'a Json> {
    let named = schema.get("properties").and_then(|members| members.get(key));
    named.or_else(|| schema.get("additionalProperties").filter(|of| of.is_object()))
}

/// TOML has no null, and a table's default says nothing that its keys' defaults don't.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Object(members) => {
            if let Some(Json::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_string(), only);
                }
            }
            if let Some([of, _null]) = members.get("anyOf").and_then(Json::as_array).map(Vec::as_slice) {
                let of = of.clone();
                members.remove("anyOf");
                if let Json::Object(of) = of {
                    for (key, value) in of {
                        members.entry(key).or_insert(value);
                    }
                }
            }
            let is_table = members.contains_key("properties");
            let is_required = members.contains_key("minLength") || members.contains_key("minItems");
            let says_nothing = |default: &Json| default.is_null() || is_table || is_required && is_empty(default);
            if members.get("default").is_some_and(says_nothing) {
                members.remove("default");
            }
            members.values_mut().for_each(tidy);
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        _ => (),
    }
}

fn is_empty(value: &Json) -> bool {
    [json!(""), json!([]), json!({})].contains(value)
}

fn insert_defaults(schema: &mut Json, defaults: &Json) {
    let Json::Object(tables) = defaults else {
        return;
    };
    for (key, value) in tables {
        let Some(of) = schema.get_mut("properties").and_then(|members| members.get_mut(key)) else {
            continue;
        };
        match value {
            Json::Object(_) => insert_defaults(of, value),
            _ => of["default"] = value.clone(),
        }
    }
}
