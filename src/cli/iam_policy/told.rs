//! A policy told to people, statement by statement, and what is to be said about it as a whole.

use crate::cli::frame::Frame;
use crate::cli::output::{Format, Tone, paint, terminal_width, wrapped};
use crate::domain::iam_policy::{Document, Effect, Grantee, INLINE_LIMIT, MANAGED_LIMIT, Statement};
use std::io::Write as _;

/// The document for programs; for people each statement with its sentence. Warnings go to standard error.
pub(super) fn print(document: &Document, grantee: &Grantee<'_>, format: Format, frame: &Frame) -> anyhow::Result<()> {
    let mut out = frame.out();
    let width = terminal_width().map(usize::from);
    match format {
        Format::Json => writeln!(out, "{:#}", document.json())?,
        Format::Text => {
            for statement in &document.statements {
                write!(out, "{}", told(statement, width))?;
            }
            writeln!(out, "{}", wrapped(&size(document), 0, width))?;
        }
    }
    out.flush()?;
    for warning in warnings(document, grantee) {
        writeln!(frame.err(), "{} {warning}", paint(Tone::Warn, "warning:"))?;
    }
    Ok(())
}

/// A statement for people: its name, its sentence, and what is allowed on what.
fn told(statement: &Statement, width: Option<usize>) -> String {
    let tone = match statement.effect {
        Effect::Allow => Tone::Good,
        Effect::Deny => Tone::Bad,
    };
    let word = match statement.effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    let mut text = format!("{} {}\n", paint(tone, word), paint(Tone::Strong, &statement.sid));
    text.push_str(&format!("  {}\n", wrapped(&statement.sentence, 2, width)));
    for action in &statement.actions {
        text.push_str(&format!("    {action}\n"));
    }
    for resource in &statement.resources {
        text.push_str(&format!("    on {resource}\n"));
    }
    for condition in &statement.conditions {
        text.push_str(&format!("    if {} {} {}\n", condition.key, condition.operator, condition.values.join(" or ")));
    }
    text.push('\n');
    text
}

fn size(document: &Document) -> String {
    format!(
        "{} characters of the {MANAGED_LIMIT} that a managed policy may have, and the {INLINE_LIMIT} of a role's inline \
         policies together. The document itself: --format json",
        document.characters()
    )
}

fn warnings(document: &Document, grantee: &Grantee<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let characters = document.characters();
    if characters > INLINE_LIMIT {
        warnings.push(format!(
            "{characters} characters are more than a role's inline policies may have ({INLINE_LIMIT}): name projects by \
             fewer globs, or give scopes roles of their own"
        ));
    } else if characters > MANAGED_LIMIT {
        warnings.push(format!(
            "{characters} characters are more than a managed policy may have ({MANAGED_LIMIT}): make it an inline policy \
             of the role"
        ));
    }
    let writes = document
        .statements
        .iter()
        .any(|statement| statement.effect == Effect::Allow && statement.actions.contains(&"iam:PutRolePolicy"));
    let wide = grantee.bounds.roles.iter().any(|pattern| pattern.starts_with(['*', '?']));
    if writes && wide && grantee.bounds.boundary.is_none() {
        warnings.push(
            "a role path of `/` stands for every role of the account, and whoever may write to a role can become it: name \
             a prefix, or a --boundary that your service roles carry"
                .to_string(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::iam_policy::Condition;

    fn statement() -> Statement {
        Statement {
            sid: "GrantTheSecret".to_string(),
            effect: Effect::Allow,
            actions: vec!["iam:PutRolePolicy"],
            resources: vec!["arn:aws:iam::111122223333:role/service-role/codebuild-*".to_string()],
            conditions: vec![Condition {
                operator: "StringEquals",
                key: "iam:PermissionsBoundary".to_string(),
                values: vec!["arn:aws:iam::111122223333:policy/builds".to_string()],
            }],
            sentence: "Grants service roles the secret by one inline policy each, and takes it back.".to_string(),
        }
    }

    #[test]
    fn a_sentence_is_fitted_to_a_narrow_terminal_and_an_arn_is_not_broken() {
        let text = anstream::adapter::strip_str(&told(&statement(), Some(40))).to_string();
        insta::assert_snapshot!(text, @"
        Allow GrantTheSecret
          Grants service roles the secret by one
          inline policy each, and takes it back.
            iam:PutRolePolicy
            on arn:aws:iam::111122223333:role/service-role/codebuild-*
            if iam:PermissionsBoundary StringEquals arn:aws:iam::111122223333:policy/builds
        ");
    }
}
