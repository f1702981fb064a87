//! The patch as Terraform: a new resource for the grant, and what goes into the project's own.

use super::parts::{Grant, Members};
use super::quote::{hcl, identifier};
use super::{Sheet, words};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const IN_A_STRING: &str = "In a string or heredoc of Terraform, `${` of that line is written `$${`.";

pub(super) fn render(sheets: &[Sheet<'_>]) -> String {
    let mut granted = BTreeSet::new();
    let parts: Vec<String> = sheets.iter().map(|sheet| one(sheet, &mut granted)).collect();
    parts.join("\n")
}

fn one<'s>(sheet: &'s Sheet<'_>, granted: &mut BTreeSet<(&'s str, &'s str)>) -> String {
    let mut text = words::preamble("#", sheet, IN_A_STRING);
    for grant in &sheet.parts.grants {
        // Projects share roles.
        if granted.insert((grant.role, grant.policy)) {
            text += "\n# New: the service role may read the secret. A role of the same configuration is better named by reference.\n";
            text += &policy(grant);
        }
    }
    if !sheet.parts.members.is_empty() {
        text += "\n# Into the project's own resource, under its own name there; everything else in it stays.\n";
        text += &project(sheet);
    }
    text
}

fn name(grant: &Grant<'_>) -> String {
    format!("{}_{}", identifier(grant.policy), identifier(grant.role))
}

fn policy(grant: &Grant<'_>) -> String {
    format!(
        "resource \"aws_iam_role_policy\" {} {{\n  name = {}\n  role = {}\n  policy = jsonencode({})\n}}\n",
        hcl(&name(grant)),
        hcl(grant.policy),
        hcl(grant.role),
        literal(grant.document, 2)
    )
}

fn project(sheet: &Sheet<'_>) -> String {
    let Members { image, credential, pull_credentials, variables } = &sheet.parts.members;
    let mut text = format!("resource \"aws_codebuild_project\" {} {{\n", hcl(&identifier(sheet.project.as_str())));
    if !sheet.parts.grants.is_empty() {
        let names: Vec<String> =
            sheet.parts.grants.iter().map(|grant| format!("aws_iam_role_policy.{}", name(grant))).collect();
        // A project that names a secret which its role can't read fails every build.
        let _ = writeln!(text, "  depends_on = [{}]\n", names.join(", "));
    }
    text += "  environment {\n";
    let mut blocks = Vec::new();
    if let Some(image) = image {
        blocks.push(format!("    image = {}\n", hcl(image)));
    }
    if let Some(kind) = pull_credentials {
        blocks.push(format!("    image_pull_credentials_type = {}\n", hcl(kind)));
    }
    if let Some(secret) = credential {
        blocks.push(format!(
            "    registry_credential {{\n      credential          = {}\n      credential_provider = \"SECRETS_MANAGER\"\n    }}\n",
            hcl(secret)
        ));
    }
    for (name, reference) in variables {
        blocks.push(format!(
            "    environment_variable {{\n      name  = {}\n      value = {}\n      type  = \"SECRETS_MANAGER\"\n    }}\n",
            hcl(name),
            hcl(reference)
        ));
    }
    text + &blocks.join("\n") + "  }\n}\n"
}

/// A value as an expression, laid out as `terraform fmt` does.
fn literal(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent + 2);
    let end = " ".repeat(indent);
    match value {
        Value::String(text) => hcl(text),
        Value::Array(items) => {
            let items: String = items.iter().map(|item| format!("{pad}{},\n", literal(item, indent + 2))).collect();
            format!("[\n{items}{end}]")
        }
        Value::Object(members) => {
            let members: Vec<(String, String)> =
                members.iter().map(|(key, value)| (member_name(key), literal(value, indent + 2))).collect();
            format!("{{\n{}{end}}}", aligned(&members, &pad))
        }
        other => other.to_string(),
    }
}

fn member_name(key: &str) -> String {
    let is_name = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.chars().all(|c| c.is_ascii_alphanumeric());
    if is_name { key.to_string() } else { hcl(key) }
}

/// Members one below the other; the signs of neighbours of one line each stand in a column.
fn aligned(members: &[(String, String)], pad: &str) -> String {
    let mut text = String::new();
    for run in members.chunk_by(|(_, a), (_, b)| !a.contains('\n') && !b.contains('\n')) {
        let width = run.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
        for (key, value) in run {
            let _ = writeln!(text, "{pad}{key:width$} = {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_within_values_is_indented_by_two_more_each_time() {
        let expected = "[\n  [\n    {\n      a = [\n        \"b\",\n      ]\n    },\n  ],\n]";
        assert_eq!(literal(&json!([[{"a": ["b"]}]]), 0), expected);
    }
}
