//! Where the demo is seen: a terminal that is redrawn in place, or a log.

use super::scene::{Row, Scene};
use crate::cli::screen;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

/// Columns where nobody can tell.
const COLUMNS_DEFAULT: usize = 80;
/// Rows that a terminal must have to be redrawn in place.
const ROWS_MIN: u16 = 16;
/// Looks at a scene of which one is written into a log.
const LOG_EVERY: u32 = 12;

/// Where the demo is seen.
#[derive(Debug)]
pub(super) struct Stage {
    kind: Kind,
    /// Rows of the scene that is on the terminal.
    drawn: usize,
    looks: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The scene stays in place, below what was told.
    Live,
    /// One line after the other.
    Log,
    /// Nothing is told.
    Silent,
}

impl Stage {
    /// The stage for standard output: live on a terminal that is large enough, unless told `plain`.
    pub(super) fn new(plain: bool) -> Self {
        let is_large = terminal_size::terminal_size_of(io::stdout())
            .is_some_and(|(_, terminal_size::Height(rows))| rows >= ROWS_MIN);
        let kind = if !plain && is_large && io::stdout().is_terminal() {
            Kind::Live
        } else {
            Kind::Log
        };
        Self::of(kind)
    }

    /// A stage that nobody sees.
    pub(super) fn silent() -> Self {
        Self::of(Kind::Silent)
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            drawn: 0,
            looks: 0,
        }
    }

    /// Tells something that stays.
    pub(super) fn tell(&mut self, row: &Row) -> io::Result<()> {
        match self.kind {
            Kind::Silent => Ok(()),
            Kind::Log => screen::print(&format!("{}\n", row.wrap(usize::MAX))),
            Kind::Live => {
                let text = format!("{}{}\n", self.erase(), shown(&row.wrap(columns())));
                write(&text)
            }
        }
    }

    /// Shows a scene in place of the one before.
    pub(super) fn show(&mut self, scene: &Scene<'_>) -> io::Result<()> {
        self.looks += 1;
        match self.kind {
            Kind::Silent => Ok(()),
            Kind::Log if self.looks.is_multiple_of(LOG_EVERY) => {
                screen::print(&format!("          {}\n", scene.line()))
            }
            Kind::Log => Ok(()),
            Kind::Live => {
                let columns = columns();
                let rows = scene.rows();
                // Nothing blinks: the cursor is hidden, and every row is overwritten, then cut.
                let mut text = String::from("\x1b[?25l");
                text.push_str(&up(self.drawn));
                for row in &rows {
                    // Writing to a `String` cannot fail.
                    writeln!(text, "\r{}\x1b[K", shown(&row.render(columns))).ok();
                }
                text.push_str("\x1b[J\x1b[?25h");
                self.drawn = rows.len();
                write(&text)
            }
        }
    }

    /// Leaves the scene on the terminal as it is.
    pub(super) fn leave(&mut self) {
        self.drawn = 0;
    }

    fn erase(&mut self) -> String {
        let drawn = std::mem::take(&mut self.drawn);
        format!("{}\r\x1b[J", up(drawn))
    }
}

fn columns() -> usize {
    screen::width().unwrap_or(COLUMNS_DEFAULT)
}

fn up(rows: usize) -> String {
    if rows == 0 {
        String::new()
    } else {
        format!("\x1b[{rows}A")
    }
}

/// Styles where they are wanted: positions are always.
fn shown(text: &str) -> String {
    match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        anstream::ColorChoice::Auto | anstream::ColorChoice::AlwaysAnsi | anstream::ColorChoice::Always => {
            text.to_owned()
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
