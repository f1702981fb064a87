//! Holds a request against AWS's own model of it: required members, types, enums, lengths, patterns.
//!
//! `model_shapes.json` is cut out of botocore's service models by `tests/model/shapes.py`, and `tests/model/check.py` fails when
//! the two differ.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use super::refusal::Refusal;

static SHAPES: &str = include_str!("model_shapes.json");

/// Refuses what the model of the operation forbids. `also` are enum values that AWS knows and the model at hand does not yet.
pub(super) fn check(service: &str, operation: &str, input: &Value, also: &BTreeSet<String>) -> Result<(), Refusal> {
    static PARSED: OnceLock<Value> = OnceLock::new();
    let models = PARSED.get_or_init(|| serde_json::from_str(SHAPES).unwrap_or_default());
    let model = &models[service];
    let Some(shape) = model["operations"][operation].as_str() else {
        return Ok(());
    };
    let checker = Checker { shapes: &model["shapes"], xml: matches!(service, "iam" | "sts"), also };
    checker.value(shape, input, "").map_err(|violation| match violation {
        Violation::Type(message) => Refusal::new(400, "SerializationException", message),
        Violation::Constraint(message) => Refusal::new(
            400,
            match service {
                "codebuild" => "InvalidInputException",
                "logs" => "InvalidParameterException",
                "secretsmanager" => "ValidationException",
                _ => "ValidationError",
            },
            format!("1 validation error detected: {message}"),
        ),
    })
}

enum Violation {
    Type(String),
    Constraint(String),
}

struct Checker<'m> {
    shapes: &'m Value,
    /// The query protocol writes numbers and booleans as text.
    xml: bool,
    also: &'m BTreeSet<String>,
}

impl Checker<'_> {
    fn value(&self, shape: &str, value: &Value, path: &str) -> Result<(), Violation> {
        let shape = &self.shapes[shape];
        let kind = shape["type"].as_str().unwrap_or_default();
        match (kind, value) {
            ("structure", Value::Object(_)) => self.structure(shape, value, path),
            ("list", Value::Array(items)) => {
                length(shape, items.len() as u64, path)?;
                let member = shape["member"].as_str().unwrap_or_default();
                items
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, item)| self.value(member, item, &format!("{path}.{}", at + 1)))
            }
            // An empty list is written as an empty text by the query protocol.
            ("list", Value::String(text)) if self.xml && text.is_empty() => Ok(()),
            ("string" | "blob", Value::String(text)) => self.text(shape, text, path),
            ("integer" | "long", Value::Number(number)) => range(shape, number.as_i64().unwrap_or_default(), path),
            ("integer" | "long", Value::String(text)) if self.xml => match text.parse() {
                Ok(number) => range(shape, number, path),
                Err(_) => Err(wrong_type(path)),
            },
            ("boolean", Value::Bool(_)) | ("map", Value::Object(_)) => Ok(()),
            ("boolean", Value::String(text)) if self.xml && matches!(text.as_str(), "true" | "false") => Ok(()),
            ("timestamp", Value::Number(_)) => Ok(()),
            _ => Err(wrong_type(path)),
        }
    }

    /// Members that the model does not have are passed over: a newer service may know them.
    fn structure(&self, shape: &Value, value: &Value, path: &str) -> Result<(), Violation> {
        for required in shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value[required].is_null() {
                return Err(violated("null", &joined(path, required), "Member must not be null"));
            }
        }
        for (name, member) in shape["members"].as_object().into_iter().flatten() {
            let given = &value[name];
            if !given.is_null() {
                self.value(member.as_str().unwrap_or_default(), given, &joined(path, name))?;
            }
        }
        Ok(())
    }

    fn text(&self, shape: &Value, text: &str, path: &str) -> Result<(), Violation> {
        length(shape, text.chars().count() as u64, path)?;
        if let Some(values) = shape["enum"].as_array()
            && !values.iter().any(|value| value == text)
            && !self.also.contains(text)
        {
            let all: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            let rule = format!("Member must satisfy enum value set: [{}]", all.join(", "));
            return Err(violated(text, path, &rule));
        }
        if let Some(pattern) = shape["pattern"].as_str()
            && !matches_class(pattern, text)
        {
            let rule = format!("Member must satisfy regular expression pattern: {pattern}");
            return Err(violated(text, path, &rule));
        }
        Ok(())
    }
}

fn length(shape: &Value, length: u64, path: &str) -> Result<(), Violation> {
    bounds(shape, i64::try_from(length).unwrap_or(i64::MAX), path, "have length")
}

fn range(shape: &Value, number: i64, path: &str) -> Result<(), Violation> {
    bounds(shape, number, path, "have value")
}

fn bounds(shape: &Value, measure: i64, path: &str, what: &str) -> Result<(), Violation> {
    if let Some(min) = shape["min"].as_i64().filter(|min| measure < *min) {
        let rule = format!("Member must {what} greater than or equal to {min}");
        return Err(violated("", path, &rule));
    }
    if let Some(max) = shape["max"].as_i64().filter(|max| measure > *max) {
        let rule = format!("Member must {what} less than or equal to {max}");
        return Err(violated("", path, &rule));
    }
    Ok(())
}

fn joined(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

fn violated(value: &str, path: &str, rule: &str) -> Violation {
    let value = if value.is_empty() { String::new() } else { format!(" '{value}'") };
    Violation::Constraint(format!("Value{value} at '{path}' failed to satisfy constraint: {rule}"))
}

fn wrong_type(path: &str) -> Violation {
    Violation::Type(format!("Unexpected token at '{path}'"))
}

/// The models' patterns are almost all one class of characters, repeated: `^[\w+=,.@-]+$`. Others are taken for matching.
fn matches_class(pattern: &str, text: &str) -> bool {
    let inner = pattern.trim_start_matches(['^', '(']).trim_end_matches(['$', ')']);
    let Some(class) = inner
        .strip_suffix(['+', '*'])
        .and_then(|class| class.strip_prefix('['))
        .and_then(|class| class.strip_suffix(']'))
    else {
        return true;
    };
    let negated = class.starts_with('^');
    let items = class_items(class.trim_start_matches('^'));
    text.chars().all(|c| items.iter().any(|item| item.has(c)) != negated)
}

enum ClassItem {
    Range(char, char),
    Kind(fn(char) -> bool),
}

impl ClassItem {
    fn has(&self, c: char) -> bool {
        match self {
            ClassItem::Range(first, last) => (*first..=*last).contains(&c),
            ClassItem::Kind(is) => is(c),
        }
    }
}

fn class_items(class: &str) -> Vec<ClassItem> {
    let mut items = Vec::new();
    let mut rest = class;
    while let Some((item, after)) = class_item(rest) {
        rest = after;
        let end = rest.strip_prefix('-').filter(|end| !end.is_empty()).and_then(class_item);
        match (item, end) {
            (ClassItem::Range(first, _), Some((ClassItem::Range(last, _), after))) => {
                items.push(ClassItem::Range(first, last));
                rest = after;
            }
            (item, _) => items.push(item),
        }
    }
    items
}

fn class_item(text: &str) -> Option<(ClassItem, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some((ClassItem::Range(first, first), chars.as_str()));
    }
    let escaped = chars.next()?;
    let rest = chars.as_str();
    let kind: fn(char) -> bool = match escaped {
        'w' => |c| c.is_ascii_alphanumeric() || c == '_',
        'd' => |c| c.is_ascii_digit(),
        'p' => {
            let (name, rest) = rest.strip_prefix('{')?.split_once('}')?;
            let kind: fn(char) -> bool = match name {
                "L" => char::is_alphabetic,
                "N" => char::is_numeric,
                _ => |c| c.is_whitespace() && !c.is_control(),
            };
            return Some((ClassItem::Kind(kind), rest));
        }
        'u' => {
            let (digits, rest) = rest.split_at_checked(4)?;
            let c = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
            return Some((ClassItem::Range(c, c), rest));
        }
        other => return Some((ClassItem::Range(other, other), rest)),
    };
    Some((ClassItem::Kind(kind), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn ids(count: usize) -> Value {
        json!({"ids": vec!["web:1"; count]})
    }

    fn typed(kind: &str) -> Value {
        json!({"name": "web", "environment": {"type": kind, "image": "node", "computeType": "BUILD_GENERAL1_SMALL"}})
    }

    fn policy(name: &str) -> Value {
        json!({"RoleName": "web", "PolicyName": name})
    }

    #[rstest]
    #[case::one_too_few("codebuild", "BatchGetBuilds", ids(0), Some("InvalidInputException"))]
    #[case::as_many_as_allowed("codebuild", "BatchGetBuilds", ids(100), None)]
    #[case::one_too_many("codebuild", "BatchGetBuilds", ids(101), Some("InvalidInputException"))]
    #[case::wrong_type("codebuild", "BatchGetBuilds", json!({"ids": "a"}), Some("SerializationException"))]
    #[case::missing("codebuild", "BatchGetBuilds", json!({}), Some("InvalidInputException"))]
    #[case::of_the_enum("codebuild", "UpdateProject", typed("LINUX_CONTAINER"), None)]
    #[case::of_the_future("codebuild", "UpdateProject", typed("LINUX_FUTURE"), None)]
    #[case::not_of_the_enum("codebuild", "UpdateProject", typed("LINUX"), Some("InvalidInputException"))]
    #[case::tag("codebuild", "UpdateProject", json!({"name": "a", "tags": [{"key": ";"}]}), Some("InvalidInputException"))]
    #[case::stream("logs", "GetLogEvents", json!({"logStreamName": "a:b"}), Some("InvalidParameterException"))]
    #[case::limit("logs", "GetLogEvents", json!({"logStreamName": "a", "limit": 10_001}), Some("InvalidParameterException"))]
    #[case::name("iam", "GetRolePolicy", policy("a.b-c@d"), None)]
    #[case::odd_name("iam", "GetRolePolicy", policy("a b"), Some("ValidationError"))]
    #[case::long_name("iam", "GetRolePolicy", policy(&"a".repeat(129)), Some("ValidationError"))]
    #[case::items("iam", "ListRolePolicies", json!({"RoleName": "web", "MaxItems": "0"}), Some("ValidationError"))]
    fn requests_that_the_models_forbid(
        #[case] service: &str,
        #[case] operation: &str,
        #[case] input: Value,
        #[case] expected: Option<&str>,
    ) {
        let also = BTreeSet::from(["LINUX_FUTURE".to_owned()]);
        let refused = check(service, operation, &input, &also).err();
        assert_eq!(refused.map(|refusal| refusal.code).as_deref(), expected);
    }

    #[test]
    fn classes_with_ranges_escapes_and_scripts() {
        assert!(matches_class(r"^([\p{L}\p{Z}\p{N}_.:/=@+\-]*)$", "Ärger 1-2"));
        assert!(!matches_class(r"^([\p{L}\p{Z}\p{N}_.:/=@+\-]*)$", "a;b"));
        assert!(matches_class(r"[\u0020-\u00FF]+", "aü"));
        assert!(!matches_class(r"[\u0020-\u00FF]+", "a\n"));
        assert!(matches_class(r"[\.\-_/#A-Za-z0-9]+", "/aws/codebuild/web-1"));
        assert!(!matches_class(r"[^:*]*", "a*"));
    }
}
