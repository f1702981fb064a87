//! Are the lines around a message source code, or a page?

use crate::domain::detect::clean::Line;

/// The lines near a message.
pub struct Around<'a> {
    /// Nearest last.
    pub before: Vec<&'a str>,
    after: Vec<&'a str>,
    /// The same without pieces that a terminal wrapped off the line itself.
    others: (Vec<&'a str>, Vec<&'a str>),
    /// Whether pytest reports the line, below the source that raised it.
    is_reported: bool,
}

impl<'a> Around<'a> {
    const REACH: usize = 6;

    /// Those of a line, blank ones left out.
    pub fn of(lines: &'a [Line], line: usize) -> Around<'a> {
        let texts =
            |range: &'a [Line]| range.iter().map(|line| line.text.as_str()).filter(|t| !t.trim().is_empty()).collect();
        let from = line.saturating_sub(Self::REACH);
        let to = lines.len().min(line + 1 + Self::REACH);
        let (first, last) = wrapped(lines, line, from, to);
        // Where a terminal wrapped the lines, the end of a full one says nothing either.
        let full = lines.get(first).filter(|_| first < last).map(|line| line.width);
        let others = |range: std::ops::Range<usize>| {
            let range = lines.get(range).unwrap_or_default().iter().filter(|line| Some(line.width) != full);
            range.map(|line| line.text.as_str()).filter(|text| !text.trim().is_empty()).collect()
        };
        Around {
            before: texts(lines.get(from..line).unwrap_or_default()),
            after: texts(lines.get(line + 1..to).unwrap_or_default()),
            others: (others(from..first), others(last + 1..to)),
            is_reported: lines.get(first).is_some_and(|line| line.text.starts_with("E    ")),
        }
    }

    /// Whether the neighbours are source code or a page: a fence, or at least two lines of code or markup and no fewer of
    /// them than of others.
    pub fn is_listing(&self) -> bool {
        let all = || self.before.iter().chain(&self.after);
        if all().any(|line| {
            line.trim_start().starts_with("```")
                || (line.trim_start().starts_with("~~~") && !line.contains("~~~ ") && !line.contains("~~~~"))
                || line.contains(".. code-block::")
                || line.starts_with("[source")
        }) {
            return true;
        }
        // An error with its stack: what is near is what the program shows of its source.
        let is_frame = |line: &&str| ["at ", "❯ ", "from /"].iter().any(|start| line.starts_with(start));
        // Python's, of which the last frame and its source stand before.
        let is_raised = self
            .others
            .0
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|line| line.starts_with("File \"") && line.contains("\", line "));
        if self.others.1.first().is_some_and(is_frame) || is_raised || self.is_reported {
            return false;
        }
        let near = || self.others.0.iter().rev().take(4).chain(self.others.1.iter().take(4));
        let is_json = near().any(|line| is_json(line));
        let is_brace = |line: &str| !is_json && matches!(line.trim(), "}" | ")" | "]" | "{" | "end");
        let code = near().filter(|line| is_code(line) || is_brace(line)).count();
        code >= 2 && code * 2 >= near().count()
    }
}

/// Whether a line goes on with what a terminal wrapped off the line before.
pub fn is_wrapped_rest(lines: &[Line], line: usize) -> bool {
    let from = line.saturating_sub(Around::REACH);
    let to = lines.len().min(line + 1 + Around::REACH);
    wrapped(lines, line, from, to).0 < line
}

/// The lines into which a terminal wrapped the one that a line is a piece of: all but the last fill the same width, which
/// is the widest near. Where a piece ends says nothing.
fn wrapped(lines: &[Line], line: usize, from: usize, to: usize) -> (usize, usize) {
    const NARROWEST: usize = 60;
    let width = |index: usize| lines.get(index).map_or(0, |line| line.width);
    let widest = (from..to).map(width).max().unwrap_or(0);
    let is_full = |index: usize| widest >= NARROWEST && width(index) == widest;
    let first = (from..line).rev().take_while(|index| is_full(*index)).last().unwrap_or(line);
    let last = (line..to).find(|index| !is_full(*index)).unwrap_or(to).min(to.saturating_sub(1));
    (first, last)
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
    let is_heading = line.strip_prefix('#').is_some_and(|rest| {
        // `##[command]` is a log's.
        rest.starts_with([' ', '#']) && !rest.starts_with("#[")
    });
    // `$global:code = 17` of PowerShell; a prompt has a blank behind its sign.
    let is_assignment = line.starts_with('$') && !line.starts_with("$ ") && line.contains(" = ");
    !is_json(line)
        && (is_element
            || is_assignment
            || is_heading
            || STARTS.iter().any(|start| line.starts_with(start))
            || (line.len() > 1 && ENDS.iter().any(|end| line.ends_with(end))))
}
