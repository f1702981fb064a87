//! How results look: tables, times, diffs. Everything may carry colour; the stream takes it out where none is wanted.

use super::cards;
use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement, Width, presets};
use jiff::{SignedDuration, Timestamp};

/// For whom a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
}

/// What a piece of text conveys, shown by its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// A name or number that matters.
    Strong,
    /// Beside the point.
    Dim,
    /// All is well; something is added.
    Good,
    /// Worth a look; something is changed.
    Warn,
    /// Something is wrong; something is taken away.
    Bad,
}

/// A text in a tone.
pub fn paint(tone: Tone, text: impl std::fmt::Display) -> String {
    let style = match tone {
        Tone::Plain => return text.to_string(),
        Tone::Strong => Style::new().bold(),
        Tone::Dim => Style::new().dimmed(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Warn => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
    };
    format!("{style}{text}{style:#}")
}

/// One cell of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text in a tone.
    pub fn new(tone: Tone, text: impl Into<String>) -> Cell {
        Cell { text: text.into(), tone }
    }
}

impl Cell {
    /// The same with more text behind.
    pub fn with(self, more: &str) -> Cell {
        Cell { text: self.text + more, ..self }
    }

    /// The text without its tone.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the text conveys.
    pub fn tone(&self) -> Tone {
        self.tone
    }

    /// The text in its tone, for a line of its own.
    pub fn painted(&self) -> String {
        paint(self.tone, &self.text)
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::new(Tone::Plain, text)
    }
}

/// The columns of the terminal that standard output is; none in a pipe.
pub fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width().filter(|width| *width > 0)
}

/// Broken at blanks into lines that begin at the column where the first did. A narrow terminal keeps at least some columns.
pub fn wrapped(says: &str, place: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return says.to_string() };
    let room = width.saturating_sub(place).max(16);
    let mut lines: Vec<String> = vec![String::new()];
    for word in says.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(last) if line == 0 || line + 1 + word.chars().count() <= room => {
                if line > 0 {
                    last.push(' ');
                }
                last.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(place)))
}

/// A sentence on standard output, broken between words where that is a terminal. Further lines begin at this column.
pub fn sentence(says: impl AsRef<str>, place: usize) -> String {
    wrapped(says.as_ref(), place, terminal_width().map(usize::from))
}

/// A terminal narrower than this is not fitted.
const LEAST_WIDTH: u16 = 24;

/// A word longer than this is no word.
const LONGEST_WORD: usize = 28;

/// Rows under headings, without lines. It fits the terminal; in a pipe nothing is wrapped.
#[derive(Debug)]
pub struct Table {
    table: comfy_table::Table,
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
    /// The longest word of each column.
    words: Vec<usize>,
}

impl Table {
    /// With these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Table {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .enforce_styling()
            .set_header(headings.map(|text| comfy_table::Cell::new(text).add_attribute(Attribute::Bold)));
        let words = headings.iter().map(|text| longest_word(text)).collect();
        Table { table, headings: headings.map(str::to_string).into(), rows: Vec::new(), words }
    }

    /// One more row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) -> &mut Table {
        for (longest, cell) in self.words.iter_mut().zip(&cells) {
            *longest = longest_word(&cell.text).max(*longest);
        }
        self.rows.push(cells.to_vec());
        self.table.add_row(cells.map(cell));
        self
    }

    /// Numbers read best from the right.
    pub fn right(&mut self, column: usize) -> &mut Table {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self
    }

    /// Not wider than this, whatever the terminal.
    pub fn width(&mut self, columns: u16) -> &mut Table {
        self.table.set_width(columns);
        self
    }

    /// Two columns narrower than the terminal, to be printed with a margin.
    pub fn indented(&mut self) -> &mut Table {
        if let Some(width) = self.table.width() {
            self.table.set_width(width.saturating_sub(2));
        }
        self
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// As text that ends with a line break.
    pub fn render(&mut self) -> String {
        // Some terminals say 0; and words cut into letters help nobody.
        if self.table.width().is_some_and(|width| width < LEAST_WIDTH) {
            self.table.set_content_arrangement(ContentArrangement::Disabled);
        }
        let columns = self.table.column_count();
        let padding = |n| if n + 1 == columns { 0 } else { 2 };
        let least = |(n, word): (usize, &usize)| u16::try_from(word + padding(n)).unwrap_or(u16::MAX);
        let least: Vec<u16> = self.words.iter().enumerate().map(least).collect();
        let all: u32 = least.iter().map(|width| u32::from(*width)).sum();
        let words_fit = self.table.width().is_none_or(|width| all <= width.into());
        if let Some(width) = self.table.width().filter(|width| !words_fit && *width >= LEAST_WIDTH) {
            return self.cards(width.into());
        }
        for ((n, column), least) in self.table.column_iter_mut().enumerate().zip(least) {
            column.set_padding((0, if n + 1 == columns { 0 } else { 2 }));
            if words_fit {
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
            }
        }
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(&trimmed(&line));
            text.push('\n');
        }
        text
    }
}

impl Table {
    fn cards(&self, width: usize) -> String {
        let row = |row: &Vec<Cell>| row.iter().map(|cell| (cell.text.clone(), cell.painted())).collect();
        let rows: Vec<Vec<(String, String)>> = self.rows.iter().map(row).collect();
        cards::render(&self.headings, &rows, width)
    }
}

/// The characters of the longest word. Ids and ARNs don't count: they are cut where nothing else helps.
fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(|word| word.chars().count()).filter(|count| *count <= LONGEST_WORD).max().unwrap_or(0)
}

/// Without blanks at the end, those before a closing colour code included.
fn trimmed(line: &str) -> String {
    let (mut rest, mut codes) = (line.trim_end(), String::new());
    while let Some((before, code)) = rest.rsplit_once('\u{1b}')
        && rest.ends_with('m')
        && code.bytes().all(|byte| matches!(byte, b'[' | b';' | b'm' | b'0'..=b'9'))
    {
        codes.insert_str(0, &format!("\u{1b}{code}"));
        rest = before.trim_end();
    }
    format!("{rest}{codes}")
}

fn cell(cell: Cell) -> comfy_table::Cell {
    let Cell { text, tone } = cell;
    let cell = comfy_table::Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(Attribute::Bold),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
        Tone::Good => cell.fg(Color::Green),
        Tone::Warn => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
    }
}

/// A diff with its added, removed and changed lines coloured. The first character of a line is its sign.
pub fn diff(text: &str) -> String {
    let paint_line = |line: &str| match line.chars().next() {
        Some('+') => paint(Tone::Good, line),
        Some('-') => paint(Tone::Bad, line),
        Some('~') => paint(Tone::Warn, line),
        _ => line.to_string(),
    };
    text.lines().map(paint_line).collect::<Vec<_>>().join("\n")
}

/// A length of time as people say it, to two units: `450ms`, `4m 12s`, `3d 4h`.
pub fn duration(duration: SignedDuration) -> String {
    let millis = duration.as_millis().max(0);
    let seconds = millis / 1000;
    let units = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    match units.iter().position(|(count, _)| *count > 0) {
        None if millis == 0 => "0s".to_string(),
        None => format!("{millis}ms"),
        Some(first) => {
            let named = units.iter().skip(first).take(2).filter(|(count, _)| *count > 0);
            let named: Vec<String> = named.map(|(count, unit)| format!("{count}{unit}")).collect();
            named.join(" ")
        }
    }
}

/// A moment, to the second, in UTC.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long ago a moment is, or how long until it.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let passed = at.duration_until(now);
    if passed.is_negative() {
        return format!("in {}", duration(passed.abs()));
    }
    match passed.as_secs() {
        0 => "just now".to_string(),
        _ => format!("{} ago", duration(passed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use rstest::rstest;

    fn table() -> Table {
        let mut table = Table::new(["PROJECT", "PHASE", "SECONDS"]);
        table
            .row(["web".into(), Cell::new(Tone::Good, "PROVISIONING"), "7".into()])
            .row(["payments-api".into(), "BUILD".into(), "112".into()])
            .right(2);
        table
    }

    #[test]
    fn a_table_is_aligned_and_ends_no_line_with_blanks() {
        let text = anstream::adapter::strip_str(&table().render()).to_string();
        assert_snapshot!(text, @r#"
        PROJECT       PHASE         SECONDS
        web           PROVISIONING        7
        payments-api  BUILD             112
        "#);
    }

    #[test]
    fn a_table_fits_the_terminal_unless_that_is_too_narrow_to_read() {
        let mut table = table();
        let long = "the project's role may not read the secret and a person must look";
        table.row(["docs".into(), long.into(), "1".into()]);
        let lines = |table: &mut Table, width| {
            let text = table.width(width).render();
            let text = anstream::adapter::strip_str(&text).to_string();
            text.lines().map(|line| line.chars().count()).collect::<Vec<_>>()
        };
        let fitted = lines(&mut table, 60);
        assert!(fitted.len() > 4 && fitted.iter().all(|count| *count <= 60), "{fitted:?}");
        let unfitted = lines(&mut table, 0);
        assert_eq!(unfitted.len(), 4, "{unfitted:?}");
    }

    #[test]
    fn no_word_is_cut_where_all_words_fit() {
        let mut table = Table::new(["PROJECT", "WHAT"]);
        let long = "another registry throttled, and a login does nothing for it".repeat(3);
        table.row(["svc-web".into(), "registry_credential".into()]).row(["svc-docs".into(), long.into()]);
        table.row(["a-project-of-22-letters".into(), "x".into()]);
        let text = table.width(50).render();
        assert!(text.contains("a-project-of-22-letters") && text.contains("registry_credential"), "{text}");
    }

    #[test]
    fn no_line_ends_in_blanks() {
        let mut table = Table::new(["A", "B"]);
        table.row(["x".into(), Cell::new(Tone::Warn, "y")]).row(["x".into(), Cell::new(Tone::Dim, "a longer one")]);
        let text = anstream::adapter::strip_str(&table.render()).to_string();
        assert!(text.lines().all(|line| line == line.trim_end()), "{text:?}");
    }

    #[test]
    fn a_tone_is_colour_and_nothing_else() {
        let text = table().render();
        assert!(text.contains("\u{1b}[38;5;10m") || text.contains("\u{1b}[32m"), "{text:?}");
        assert_eq!(paint(Tone::Plain, "x"), "x");
        assert_eq!(anstream::adapter::strip_str(&paint(Tone::Bad, "x")).to_string(), "x");
    }

    #[test]
    fn a_diff_is_coloured_by_its_signs() {
        let text = "~ project\n+   added\n-   gone\n    kept - not a sign";
        let painted = diff(text);
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), text);
        let lines: Vec<&str> = painted.lines().collect();
        assert_eq!(lines[0], paint(Tone::Warn, "~ project"));
        assert_eq!(lines[1], paint(Tone::Good, "+   added"));
        assert_eq!(lines[2], paint(Tone::Bad, "-   gone"));
        assert_eq!(lines[3], "    kept - not a sign");
    }

    #[rstest]
    #[case(0, "0s")]
    #[case(450, "450ms")]
    #[case(59_999, "59s")]
    #[case(252_000, "4m 12s")]
    #[case(7_200_000, "2h")]
    #[case(7_201_000, "2h")]
    #[case(273_600_000, "3d 4h")]
    #[case(-5, "0s")]
    fn durations_have_two_units(#[case] millis: i64, #[case] text: &str) {
        assert_eq!(duration(SignedDuration::from_millis(millis)), text);
    }

    #[test]
    fn moments() {
        let at: Timestamp = "2026-11-21T10:00:00.5Z".parse().unwrap();
        let later = |seconds| at + SignedDuration::from_secs(seconds);
        assert_eq!(time(at), "2026-11-21 10:00:00 UTC");
        assert_eq!(ago(at, later(192)), "3m 12s ago");
        assert_eq!(ago(at, later(-3600)), "in 1h");
        assert_eq!(ago(at, at), "just now");
    }
}
