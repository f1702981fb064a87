//! What every form says around its code: for what it is, and what becomes of the buildspec.

use super::quote::comment;
use super::{BuildspecPart, Sheet};
use std::fmt::Write as _;

/// The lines over a patch, without the mark of a comment.
pub(super) fn head(sheet: &Sheet<'_>) -> Vec<String> {
    vec![
        format!("CodeBuild project {}: {}", sheet.project, what(sheet)),
        format!("Because build {} was refused an image of Docker Hub in {}.", sheet.because, sheet.phase),
    ]
}

fn what(sheet: &Sheet<'_>) -> &'static str {
    let members = !sheet.parts.members.is_empty();
    match (&sheet.buildspec, members) {
        (BuildspecPart::None, _) if sheet.parts.members.image.is_some() => "take the same image from ECR Public",
        (BuildspecPart::None, _) if !sheet.parts.members.variables.is_empty() => {
            "log in to Docker Hub by a variable that docker reads"
        }
        (BuildspecPart::None, _) => "pull with the Docker Hub credential",
        (_, true) => "log in to Docker Hub: the role, the variables, and one line of the buildspec",
        (_, false) => "log in to Docker Hub: one line of the buildspec",
    }
}

/// What becomes of the buildspec.
pub(super) fn buildspec(sheet: &Sheet<'_>) -> Option<String> {
    let mut text = String::new();
    match &sheet.buildspec {
        BuildspecPart::None => return None,
        BuildspecPart::InProject(Some(diff)) => {
            let _ = write!(text, "The buildspec stands in the project. One line goes into it:\n\n{diff}");
        }
        BuildspecPart::InProject(None) => {
            let insertion = sheet.parts.buildspec?;
            let splice = insertion.splice;
            let _ = writeln!(
                text,
                "The buildspec stands in the project. In its {} phase, line {}, above `{}`, goes:\n\n{}",
                splice.phase,
                splice.line,
                splice.above,
                splice.insert.trim()
            );
        }
        BuildspecPart::File(diff) => {
            let _ = write!(text, "The buildspec, for `git apply` or `patch -p1`:\n\n{diff}");
        }
        BuildspecPart::Line(login) => {
            let _ = writeln!(
                text,
                "The buildspec is not in the project, or can't be edited safely. This line goes into each file that its\n\
                 builds run, as a command of its own before the first that pulls an image, and after a docker daemon\n\
                 that the build starts itself (`unthrottled plan --project {} --buildspec FILE` makes the diff):\n\n      \
                 - {}",
                sheet.project,
                login.line()
            );
        }
    }
    Some(text)
}

/// Lines as comments.
pub(super) fn comments<'t>(mark: &str, lines: impl IntoIterator<Item = &'t str>) -> String {
    lines.into_iter().fold(String::new(), |mut text, line| {
        let line = comment(line);
        let _ = writeln!(text, "{}", format!("{mark} {line}").trim_end());
        text
    })
}

/// The head and the buildspec's part as comments; `note` says how the line is written inside the owner's code.
pub(super) fn preamble(mark: &str, sheet: &Sheet<'_>, note: &str) -> String {
    let mut text = comments(mark, head(sheet).iter().map(String::as_str));
    if let Some(words) = buildspec(sheet) {
        text += &comments(mark, ["", "The variables and the grant come first: without them the line fails the build."]);
        text += &comments(mark, words.lines());
        if matches!(sheet.buildspec, BuildspecPart::InProject(_)) && !note.is_empty() {
            text += &comments(mark, [note]);
        }
    }
    text
}
