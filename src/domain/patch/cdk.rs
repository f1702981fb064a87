//! The patch as TypeScript for an app of the AWS CDK: one function to be called with the project.

use super::parts::{Grant, Members};
use super::quote::{identifier, logical_id, typescript};
use super::{Sheet, words};
use serde_json::Value;
use std::fmt::Write as _;

const IN_A_STRING: &str = "In a template literal of TypeScript, `${` of that line is written `\\${`.";

const IMPORTS: &str =
    "import * as codebuild from \"aws-cdk-lib/aws-codebuild\";\nimport * as iam from \"aws-cdk-lib/aws-iam\";\n";

pub(super) fn render(sheets: &[Sheet<'_>]) -> String {
    let has_code = |sheet: &Sheet<'_>| !sheet.parts.grants.is_empty() || !sheet.parts.members.is_empty();
    let parts: Vec<String> = sheets.iter().map(one).collect();
    let imports = if sheets.iter().any(has_code) { format!("{IMPORTS}\n") } else { String::new() };
    imports + &parts.join("\n")
}

fn one(sheet: &Sheet<'_>) -> String {
    let mut text = words::preamble("//", sheet, IN_A_STRING);
    let has_members = !sheet.parts.members.is_empty();
    if sheet.parts.grants.is_empty() && !has_members {
        return text;
    }
    let name = format!("unthrottle{}", logical_id(sheet.project.as_str()));
    let _ = writeln!(text, "// Call it where the project is made: {name}(project);");
    let _ = writeln!(text, "export function {name}(project: codebuild.Project): void {{");
    text += "  const resource = project.node.defaultChild as codebuild.CfnProject;\n";
    for grant in &sheet.parts.grants {
        text += &policy(grant);
    }
    if has_members {
        text += &environment(sheet);
    }
    text + "}\n"
}

fn policy(grant: &Grant<'_>) -> String {
    let name = identifier(grant.policy);
    format!(
        "  // The service role may read the secret, before the project names it.\n  \
         const {name} = new iam.CfnRolePolicy(project, {}, {{\n    roleName: {},\n    policyName: {},\n    \
         policyDocument: {},\n  }});\n  resource.node.addDependency({name});\n",
        typescript(&logical_id(grant.policy)),
        typescript(grant.role),
        typescript(grant.policy),
        literal(grant.document, 4)
    )
}

fn environment(sheet: &Sheet<'_>) -> String {
    let Members { image, credential, pull_credentials, variables } = &sheet.parts.members;
    let mut text =
        "  const environment = resource.environment as codebuild.CfnProject.EnvironmentProperty;\n".to_string();
    if !variables.is_empty() {
        text += "  const variables = (environment.environmentVariables ?? []) as codebuild.CfnProject.EnvironmentVariableProperty[];\n";
    }
    text += "  resource.environment = {\n    ...environment,\n";
    if let Some(image) = image {
        let _ = writeln!(text, "    image: {},", typescript(image));
    }
    if let Some(kind) = pull_credentials {
        let _ = writeln!(text, "    imagePullCredentialsType: {},", typescript(kind));
    }
    if let Some(secret) = credential {
        let _ = writeln!(
            text,
            "    registryCredential: {{\n      credential: {},\n      credentialProvider: \"SECRETS_MANAGER\",\n    }},",
            typescript(secret)
        );
    }
    if !variables.is_empty() {
        text += "    environmentVariables: [\n      ...variables,\n";
        for (name, reference) in variables {
            let _ = writeln!(
                text,
                "      {{ name: {}, type: \"SECRETS_MANAGER\", value: {} }},",
                typescript(name),
                typescript(reference)
            );
        }
        text += "    ],\n";
    }
    text + "  };\n"
}

/// A value as an expression.
fn literal(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent + 2);
    let end = " ".repeat(indent);
    match value {
        Value::String(text) => typescript(text),
        Value::Array(items) => {
            let items: String = items.iter().map(|item| format!("{pad}{},\n", literal(item, indent + 2))).collect();
            format!("[\n{items}{end}]")
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                format!("{pad}{}: {},\n", member_name(key), literal(value, indent + 2))
            };
            format!("{{\n{}{end}}}", members.iter().map(member).collect::<String>())
        }
        other => other.to_string(),
    }
}

fn member_name(key: &str) -> String {
    if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic()) { key.to_string() } else { typescript(key) }
}
