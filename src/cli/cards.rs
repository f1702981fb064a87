//! Rows as cards, one value a line: for terminals that are too narrow for a table whose words stay whole.

/// Each row as `HEADING  value` lines, values wrapped; cards stand apart by an empty line. Values without a text are left
/// out. Texts may carry colour by `paint`, which is given the plain text.
pub fn render(headings: &[String], rows: &[Vec<(String, String)>], width: usize) -> String {
    let margin = headings.iter().map(|heading| heading.chars().count()).max().unwrap_or(0) + 2;
    let room = width.saturating_sub(margin).max(1);
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            text.push('\n');
        }
        for (heading, (value, painted)) in headings.iter().zip(row).filter(|(_, (value, _))| !value.is_empty()) {
            for (n, line) in wrap(value, room).iter().enumerate() {
                let heading = if n == 0 { heading.as_str() } else { "" };
                // What is wrapped loses its colour, which would have to end and begin again in each line.
                let line = if line == value { painted } else { line };
                text.push_str(&format!("{heading:margin$}{line}"));
                text.push('\n');
            }
        }
    }
    text
}

/// Lines of whole words; a word longer than a line is cut.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut length) = (Vec::new(), String::new(), 0);
    for word in text.split_whitespace() {
        let mut letters: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + letters.len() > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        while letters.len() > width {
            let rest = letters.split_off(width);
            lines.push(letters.into_iter().collect());
            letters = rest;
        }
        length += letters.len();
        line.extend(letters);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_long_ones_are_cut() {
        assert_eq!(wrap("a word and another", 8), ["a word", "and", "another"]);
        assert_eq!(wrap("an arn:aws:secret", 8), ["an", "arn:aws:", "secret"]);
        assert_eq!(wrap("exactly8 x", 8), ["exactly8", "x"]);
        assert_eq!(wrap("  ", 8), Vec::<String>::new());
    }

    #[test]
    fn a_row_is_a_card() {
        let cell = |text: &str| (text.to_string(), format!("<{text}>"));
        let headings = ["PROJECT".to_string(), "WHY".to_string()];
        let rows = [vec![cell("web"), cell("no remedy applies")], vec![cell("api"), cell("")]];
        assert_eq!(
            render(&headings, &rows, 20),
            "PROJECT  <web>\nWHY      no remedy\n         applies\n\nPROJECT  <api>\n"
        );
    }
}
