//! What a person sees: tables that align by display width, colours where they are seen, JSON.

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use std::io::{self, Write as _};
use unicode_width::UnicodeWidthStr as _;

/// Ordinary text.
pub(crate) const PLAIN: Style = Style::new();
/// What is less important than the rest.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What the eye should find first.
pub(crate) const STRONG: Style = Style::new().bold();
/// All is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Somebody should look.
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default();
/// Something is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Space between two columns.
const GAP: &str = "  ";

/// Prints `text`; escapes go where they are understood, and nowhere with `NO_COLOR`.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints `text` byte by byte, for programs.
pub(crate) fn print_exactly(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints one JSON value, indented.
pub(crate) fn print_json(value: &Value) -> io::Result<()> {
    print_exactly(&format!("{value:#}\n"))
}

/// Columns of the terminal; none when nobody looks.
pub(crate) fn width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(width.0.into())
}

/// Rows of the terminal, where there is one.
pub(crate) fn height() -> Option<usize> {
    let (_, height) = terminal_size::terminal_size_of(io::stdout())?;
    Some(height.0.into())
}

/// `text` in `style`.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if style == PLAIN || text.is_empty() {
        text.to_owned()
    } else {
        format!("{style}{text}{style:#}")
    }
}

/// `text` without what could change the terminal's state: control characters other than line breaks
/// and tabs, and the marks that turn the direction of writing.
pub(crate) fn harmless(text: &str) -> String {
    let is_harmless = |letter: &char| {
        let turns =
            matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !turns && (!letter.is_control() || matches!(letter, '\n' | '\t'))
    };
    text.chars().filter(is_harmless).collect()
}

/// Side on which a column's cells are flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// One place in a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// `text` in `style`, on one line.
    pub(crate) fn new(style: Style, text: impl AsRef<str>) -> Self {
        let text = harmless(text.as_ref()).replace(['\n', '\t'], " ");
        Self { text, style }
    }

    /// Ordinary text.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(PLAIN, text)
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Its text alone.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Its text in its style.
    pub(crate) fn render(&self) -> String {
        paint(self.style, &self.text)
    }
}

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Flush)>,
    rows: Vec<Row>,
}

/// Cells, and a line below them.
#[derive(Debug)]
struct Row {
    cells: Vec<Cell>,
    note: Option<String>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: &[(&'static str, Flush)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, one cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(Row {
            cells: cells.into_iter().collect(),
            note: None,
        });
    }

    /// Puts a line below the last row.
    pub(crate) fn note(&mut self, note: String) {
        if let Some(row) = self.rows.last_mut() {
            row.note = Some(note);
        }
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Columns of the terminal that the longest line takes.
    pub(crate) fn width(&self) -> usize {
        let columns: usize = self.widths().iter().sum();
        columns + GAP.len() * self.columns.len().saturating_sub(1)
    }

    /// One line for the headings and one for each row, each after `indent` and with a line break.
    pub(crate) fn render(&self, indent: &str) -> String {
        let widths = self.widths();
        let headings: Vec<Cell> = self
            .columns
            .iter()
            .map(|(heading, _)| Cell::new(FAINT, heading))
            .collect();
        let mut text = self.line(&headings, &widths, indent);
        for row in &self.rows {
            text.push_str(&self.line(&row.cells, &widths, indent));
            if let Some(note) = &row.note {
                text.push_str(&format!("{indent}{note}\n"));
            }
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            let widths = cells.map(|cell| cell.text.width());
            widths.chain([self.columns[column].0.width()]).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width_of).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], indent: &str) -> String {
        let mut line = indent.to_owned();
        // Spaces wait until something follows them, so that no line ends with one.
        let mut spaces = 0;
        for ((cell, width), (_, flush)) in row.iter().zip(widths).zip(&self.columns) {
            let missing = width - cell.text.width();
            let (before, after) = match flush {
                Flush::Left => (0, missing),
                Flush::Right => (missing, 0),
            };
            if cell.text.is_empty() {
                spaces += missing + GAP.len();
                continue;
            }
            line.push_str(&" ".repeat(spaces + before));
            line.push_str(&cell.render());
            spaces = after + GAP.len();
        }
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_display_width_and_lines_end_without_spaces() {
        let mut table = Table::new(&[("name", Flush::Left), ("n", Flush::Right), ("note", Flush::Left)]);
        table.row([Cell::plain("漢字"), Cell::plain("7"), Cell::plain("wide")]);
        table.row([Cell::new(BAD, "a"), Cell::plain("1234"), Cell::plain("")]);
        let shown = anstream::adapter::strip_str(&table.render("| ")).to_string();
        assert_eq!(shown, "| name     n  note\n| 漢字     7  wide\n| a     1234\n");
    }

    #[test]
    fn what_others_wrote_cannot_drive_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}c\n\td\u{7}"), "a[2Jbc\n\td");
        assert_eq!(Cell::plain("two\nlines").text, "two lines");
    }
}
