//! The patch as YAML for a CloudFormation template: a new resource for the grant, and what goes into the project's own.

use super::parts::{Grant, Members};
use super::quote::{logical_id, yaml};
use super::{Sheet, words};
use serde_json::Value;
use std::fmt::Write as _;

const IN_A_STRING: &str = "Under Fn::Sub, `${` of that line is written `${!`.";

/// One document for each project, as each may be of another stack.
pub(super) fn render(sheets: &[Sheet<'_>]) -> String {
    let documents: Vec<String> = sheets.iter().map(one).collect();
    documents.join("---\n")
}

fn one(sheet: &Sheet<'_>) -> String {
    let mut text = words::preamble("#", sheet, IN_A_STRING);
    let Members { image, credential, pull_credentials, variables } = &sheet.parts.members;
    let has_members = !sheet.parts.members.is_empty();
    if sheet.parts.grants.is_empty() && !has_members {
        return text;
    }
    text += "Resources:\n";
    for grant in &sheet.parts.grants {
        text += "  # New: the service role may read the secret. A role of the same template is better named by !Ref.\n";
        text += &policy(grant);
    }
    if !has_members {
        return text;
    }
    text += "  # Into the project's own resource, under its own logical id; everything else in it stays.\n";
    let _ = writeln!(text, "  {}:\n    Type: AWS::CodeBuild::Project", logical_id(sheet.project.as_str()));
    if !sheet.parts.grants.is_empty() {
        // A project that names a secret which its role can't read fails every build.
        text += "    DependsOn:\n";
        sheet.parts.grants.iter().for_each(|grant| {
            let _ = writeln!(text, "      - {}", name(grant));
        });
    }
    text += "    Properties:\n      Environment:\n";
    if let Some(image) = image {
        let _ = writeln!(text, "        Image: {}", yaml(image));
    }
    if let Some(kind) = pull_credentials {
        let _ = writeln!(text, "        ImagePullCredentialsType: {}", yaml(kind));
    }
    if let Some(secret) = credential {
        text += "        RegistryCredential:\n";
        let _ = writeln!(text, "          Credential: {}", yaml(secret));
        text += "          CredentialProvider: SECRETS_MANAGER\n";
    }
    if !variables.is_empty() {
        text += "        EnvironmentVariables: # with those that are there\n";
    }
    for (name, reference) in variables {
        let _ = writeln!(text, "          - Name: {}", yaml(name));
        text += "            Type: SECRETS_MANAGER\n";
        let _ = writeln!(text, "            Value: {}", yaml(reference));
    }
    text
}

fn name(grant: &Grant<'_>) -> String {
    logical_id(&format!("{} {}", grant.policy, grant.role))
}

fn policy(grant: &Grant<'_>) -> String {
    format!(
        "  {}:\n    Type: AWS::IAM::RolePolicy\n    Properties:\n      PolicyName: {}\n      RoleName: {}\n      \
         PolicyDocument:{}\n",
        name(grant),
        yaml(grant.policy),
        yaml(grant.role),
        block(grant.document, 8)
    )
}

/// A value as what follows a key, each member on a line of its own.
fn block(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match value {
        Value::String(text) => format!(" {}", yaml(text)),
        Value::Array(items) if items.is_empty() => " []".to_string(),
        Value::Object(members) if members.is_empty() => " {}".to_string(),
        Value::Array(items) => items.iter().map(|item| format!("\n{pad}-{}", item_of(item, indent + 2))).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| format!("\n{pad}{}:{}", member_name(key), block(value, indent + 2)))
            .collect(),
        other => format!(" {other}"),
    }
}

/// An item of a list: its first member stands beside the dash.
fn item_of(item: &Value, indent: usize) -> String {
    let text = block(item, indent);
    match text.strip_prefix(&format!("\n{}", " ".repeat(indent))) {
        Some(rest) => format!(" {rest}"),
        None => text,
    }
}

fn member_name(key: &str) -> String {
    if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic()) { key.to_string() } else { yaml(key) }
}
