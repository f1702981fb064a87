//! Are the lines around a message source code, or a page?

use crate::domain::detect::clean::Line;

/// The lines near a message.
pub struct Around<'a> {
    /// Nearest last.
    pub before: Vec<&'a str>,
    after: Vec<&'a str>,
}

impl<'a> Around<'a> {
    const REACH: usize = 6;

    /// Those of a line, blank ones left out.
    pub fn of(lines: &'a [Line], line: usize) -> Around<'a> {
        let texts =
            |range: &'a [Line]| range.iter().map(|line| line.text.as_str()).filter(|t| !t.trim().is_empty()).collect();
        let from = line.saturating_sub(Self::REACH);
        let to = lines.len().min(line + 1 + Self::REACH);
        Around {
            before: texts(lines.get(from..line).unwrap_or_default()),
            after: texts(lines.get(line + 1..to).unwrap_or_default()),
        }
    }

    /// Whether the neighbours are source code or a page: a fence, or at least two lines of code or markup and no fewer of
    /// them than of others.
    pub fn is_listing(&self) -> bool {
        let all = || self.before.iter().chain(&self.after);
        if all().any(|line| line.trim_start().starts_with("```") || line.contains(".. code-block::")) {
            return true;
        }
        let near = || self.before.iter().rev().take(4).chain(self.after.iter().take(4));
        let is_json = near().any(|line| is_json(line));
        let is_brace = |line: &str| !is_json && matches!(line.trim(), "}" | ")" | "]" | "{" | "end");
        let code = near().filter(|line| is_code(line) || is_brace(line)).count();
        code >= 2 && code * 2 >= near().count()
    }
}

fn is_json(line: &str) -> bool {
    line.trim_start().starts_with('"') && line.contains("\": ")
}

/// Whether a line is source code or a page's markup.
fn is_code(line: &str) -> bool {
    const STARTS: [&str; 45] = [
        "func ",
        "def ",
        "class ",
        "import ",
        "from ",
        "return ",
        "const ",
        "let ",
        "var ",
        "public ",
        "private ",
        "fn ",
        "use ",
        "package ",
        "assert",
        "expect(",
        "raise ",
        "throw ",
        "try ",
        "try:",
        "except",
        "} catch",
        "case ",
        "switch ",
        "export ",
        "echo ",
        "grep ",
        "fi",
        "done",
        "esac",
        "#include",
        "//",
        "/*",
        "*/",
        "@",
        "it(",
        "test(",
        "describe(",
        "else {",
        "## ",
        "### ",
        "- **",
        "```",
        "elif ",
        "else:",
    ];
    const ENDS: [&str; 15] =
        ["{", "};", "});", ");", ") {", "):", "=>", "),", "\\", "((", "],", ";;", "then", "})", ";"];
    let line = line.trim();
    let is_element = (line.starts_with('"') || line.starts_with('\''))
        && (line.ends_with("\",") || line.ends_with("',"))
        && !line.contains("\": ");
    let is_heading = line.strip_prefix('#').is_some_and(|rest| rest.starts_with([' ', '#']));
    // `$global:code = 17` of PowerShell; a prompt has a blank behind its sign.
    let is_assignment = line.starts_with('$') && !line.starts_with("$ ") && line.contains(" = ");
    !is_json(line)
        && (is_element
            || is_assignment
            || is_heading
            || STARTS.iter().any(|start| line.starts_with(start))
            || (line.len() > 1 && ENDS.iter().any(|end| line.ends_with(end))))
}
