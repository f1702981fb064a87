//! The patch as a script of AWS CLI commands, which makes the very changes that the daemon would.

use super::parts::{Insertion, Members};
use super::quote::shell;
use super::{Sheet, words};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Once at the top of the script.
const HEAD: &str = r#"#!/usr/bin/env bash
# Needs bash, the AWS CLI (a current one: members that it does not know would be lost) and jq. It runs in the account of
# your own credentials, and writes nothing unless each project is as it was when this was made.
set -euo pipefail
umask 077
"#;

/// Where a project is read and the update is made of it. `UpdateProject` takes the environment as a whole, and tags that
/// it is not given are removed; what is read stays in a private folder, as it holds plain values.
const LOOK: &str = r#"
look() {
  aws codebuild batch-get-projects --names "$project" --output json >"$folder/now.json"
"#;

/// Looks whether the project is as it was, or refuses. `$change` holds the members of the environment that change.
const UPDATE: &str = r#"
def refuse(condition; what): if condition then error(what) else . end;
(.projects[0] // error("there is no such project in this account and region"))
| . as $now
| ($now.environment.environmentVariables // []) as $there
| ($change.environmentVariables // []) as $ours
| ([$ours[] | select(. as $one | $there | index([$one]) | not)]) as $new
| refuse($now.environment.image != $image; "the project has another image now")
| refuse($now.serviceRole | split("/") | last != $role; "the project has another role now")
| refuse($change.registryCredential and $now.environment.registryCredential
    and $change.registryCredential != $now.environment.registryCredential; "the project has another registry credential")
| refuse(any($new[]; .name as $name | any($there[]; .name == $name)); "the project uses a variable of that name")
"#;

/// What is sent.
const SENT: &str = r#"| {
    name,
    tags: [.tags[]? | select(.key | startswith("aws:") | not)],
    environment: (.environment + $change + {environmentVariables: ($there + $new)})
  }
"#;

/// Refuses where this AWS CLI has dropped a member from what it read: it would be lost in the update.
const UNKNOWN: &str = r#"| reduce $unknown[] as $path (.;
    ([$path | splits("[.\\[\\]]+") | select(. != "") | tonumber? // .]) as $steps
    | refuse($now | getpath($steps) == null; "this AWS CLI does not know \($path), and would lose it: use a newer one"))
"#;

/// The source with the new buildspec, without the members that CodeBuild answers but refuses to take for its type.
const SOURCE: &str = r#"
| .source = ($now.source + {buildspec: $buildspec}
    | (.type | IN("GITHUB", "GITHUB_ENTERPRISE", "BITBUCKET", "GITLAB", "GITLAB_SELF_MANAGED")) as $reports
    | (if $reports then . else del(.reportBuildStatus, .buildStatusConfig) end)
    | (if $reports or .type == "CODECOMMIT" then . else del(.gitSubmodulesConfig) end))
"#;

/// Digests and bytes of the buildspec, of which a command substitution would lose the end.
const DIGEST: &str = r#"
digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

expect() {
  [ "$(digest "$1")" = "$2" ] || { echo "project $project: $3" >&2; exit 1; }
}
"#;

pub(super) fn render(sheets: &[Sheet<'_>]) -> String {
    let mut text = HEAD.to_string();
    if sheets.iter().any(|sheet| sheet.parts.buildspec.is_some()) {
        text += DIGEST;
    }
    for sheet in sheets {
        text.push('\n');
        text += &one(sheet);
    }
    text
}

fn one(sheet: &Sheet<'_>) -> String {
    let mut text = words::comments("#", words::head(sheet).iter().map(String::as_str));
    if let Some(words) = words::buildspec(sheet) {
        text += &words::comments("#", words.lines());
    }
    let has_update = !sheet.parts.members.is_empty() || sheet.parts.buildspec.is_some();
    if sheet.parts.grants.is_empty() && !has_update {
        return text;
    }
    // A subshell: what one project sets and cleans up is not the next one's.
    let _ = writeln!(text, "(\nproject={}", shell(sheet.project.as_str()));
    // Without a secret nothing tells the region: it is that of the person's own settings.
    if let Some(region) = sheet.region() {
        let _ = writeln!(text, "export AWS_REGION={0} AWS_DEFAULT_REGION={0}", shell(region));
    }
    text += "folder=$(mktemp -d)\ntrap 'rm -rf \"$folder\"' EXIT\n";
    if has_update {
        text += &look(sheet);
        text += "\nlook # refuses before anything is written\n";
    }
    for grant in &sheet.parts.grants {
        let _ = writeln!(
            text,
            "aws iam put-role-policy --role-name={} --policy-name={} \\\n  --policy-document={}",
            shell(grant.role),
            shell(grant.policy),
            shell(&grant.document.to_string())
        );
    }
    if has_update {
        if !sheet.parts.grants.is_empty() {
            text += "# Builds fail as long as a project names a secret that its role can't read: IAM is given time.\n";
            text += "sleep \"${SETTLE_SECONDS:-15}\"\nlook\n";
        }
        text +=
            "aws codebuild update-project --cli-input-json \"file://$folder/update.json\" >\"$folder/answer.json\"\n";
        text += "echo \"project $project is changed\"\n";
    }
    text + ")\n"
}

/// The function that reads the project and makes the update.
fn look(sheet: &Sheet<'_>) -> String {
    let role = sheet.role.as_str();
    let mut text = LOOK.to_string();
    let mut program = UPDATE.to_string();
    let mut known = String::new();
    if !sheet.unknown.is_empty() {
        program += UNKNOWN;
        known = format!(" --argjson unknown {}", shell(&json!(sheet.unknown).to_string()));
    }
    program += SENT;
    let mut buildspec = "";
    if let Some(insertion) = &sheet.parts.buildspec {
        text += &edited(insertion);
        program += SOURCE;
        buildspec = " \\\n    --rawfile buildspec \"$folder/after\"";
    }
    let _ = writeln!(
        text,
        "  jq --arg image {} --arg role {}{known} \\\n    --argjson change {}{buildspec} \\\n    {} \"$folder/now.json\" \
         >\"$folder/update.json\"\n}}",
        shell(sheet.image),
        shell(role),
        shell(&change(sheet).to_string()),
        shell(&program)
    );
    text
}

/// The members of the environment that change, as the API names them.
fn change(sheet: &Sheet<'_>) -> Value {
    let Members { image, credential, pull_credentials, variables } = &sheet.parts.members;
    let mut change = Map::new();
    if let Some(image) = image {
        change.insert("image".to_string(), json!(image));
    }
    if let Some(kind) = pull_credentials {
        change.insert("imagePullCredentialsType".to_string(), json!(kind));
    }
    if let Some(secret) = credential {
        let credential = json!({ "credential": secret, "credentialProvider": "SECRETS_MANAGER" });
        change.insert("registryCredential".to_string(), credential);
    }
    if !variables.is_empty() {
        let variable =
            |(name, reference): &(&str, &str)| json!({ "name": name, "value": reference, "type": "SECRETS_MANAGER" });
        change.insert("environmentVariables".to_string(), variables.iter().map(variable).collect());
    }
    Value::Object(change)
}

/// The steps that make the buildspec's new text, byte by byte.
fn edited(insertion: &Insertion<'_>) -> String {
    let Insertion { before, after, splice } = insertion;
    format!(
        "  jq -j '.projects[0].source.buildspec // \"\"' \"$folder/now.json\" >\"$folder/before\"\n  \
         expect \"$folder/before\" {before} 'the buildspec has changed since this was made'\n  \
         {{ head -c {} \"$folder/before\"; printf %s {}; tail -c +{} \"$folder/before\"; }} >\"$folder/after\"\n  \
         expect \"$folder/after\" {after} 'the line could not be put in'\n",
        splice.at,
        shell(&splice.insert),
        splice.at + 1
    )
}
