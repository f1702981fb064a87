//! The query protocol of IAM and STS: a form in, XML out.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::refusal::Refusal;

/// A form body as JSON: `ActionNames.member.1=a` becomes `{"ActionNames": ["a"]}`.
pub(super) fn read_form(body: &str) -> Value {
    let mut root = json!({});
    for pair in body.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        let path: Vec<&str> = name.split('.').collect();
        insert(&mut root, &path, value);
    }
    root
}

fn insert(at: &mut Value, path: &[&str], value: String) {
    match path {
        [] => *at = Value::String(value),
        ["member", index, rest @ ..] => {
            if !at.is_array() {
                *at = json!([]);
            }
            let index = index.parse::<usize>().unwrap_or(1).clamp(1, 1000) - 1;
            if let Some(items) = at.as_array_mut() {
                while items.len() <= index {
                    items.push(Value::Null);
                }
                insert(&mut items[index], rest, value);
            }
        }
        [member, rest @ ..] => {
            if !at.is_object() {
                *at = json!({});
            }
            insert(&mut at[*member], rest, value);
        }
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// The XML of an answer.
pub(super) fn answer(service: &str, operation: &str, value: &Value, request_id: &str) -> String {
    let mut xml = format!("<{operation}Response xmlns=\"{}\">", namespace(service));
    if let Some(members) = value.as_object().filter(|members| !members.is_empty()) {
        let _ = write!(xml, "<{operation}Result>");
        write_members(&mut xml, members);
        let _ = write!(xml, "</{operation}Result>");
    }
    let _ =
        write!(xml, "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>");
    xml
}

/// The XML of an error.
pub(super) fn error(service: &str, refusal: &Refusal, request_id: &str) -> String {
    let kind = if refusal.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse xmlns=\"{}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        namespace(service),
        escaped(&refusal.code),
        escaped(&refusal.message)
    )
}

fn namespace(service: &str) -> &'static str {
    match service {
        "sts" => "https://sts.amazonaws.com/doc/2011-06-15/",
        _ => "https://iam.amazonaws.com/doc/2010-05-08/",
    }
}

fn write_members(xml: &mut String, members: &Map<String, Value>) {
    for (name, value) in members {
        let _ = write!(xml, "<{name}>");
        write_value(xml, value);
        let _ = write!(xml, "</{name}>");
    }
}

fn write_value(xml: &mut String, value: &Value) {
    match value {
        Value::Object(members) => write_members(xml, members),
        Value::Array(items) => {
            for item in items {
                xml.push_str("<member>");
                write_value(xml, item);
                xml.push_str("</member>");
            }
        }
        Value::String(text) => xml.push_str(&escaped(text)),
        other => xml.push_str(&other.to_string()),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_structures_and_lists() {
        assert_eq!(
            read_form("Action=X&ActionNames.member.1=a%3Ab&ActionNames.member.2=c+d&E.member.1.K=v&Empty="),
            json!({"Action": "X", "ActionNames": ["a:b", "c d"], "E": [{"K": "v"}], "Empty": ""})
        );
    }

    #[test]
    fn text_is_escaped() {
        let xml = answer("iam", "Get", &json!({"A": "<&>", "L": [1, true]}), "r");
        assert!(
            xml.contains("<GetResult><A>&lt;&amp;&gt;</A><L><member>1</member><member>true</member></L></GetResult>")
        );
    }
}
