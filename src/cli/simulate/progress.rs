//! A bar on standard error, for people who wait.

use crate::cli::figures;
use crate::clock::Stopwatch;
use std::io::{self, IsTerminal as _, Write as _};

/// Cells of the bar.
const CELLS: u32 = 30;

/// How far a simulation has come; nothing is drawn where nobody looks.
pub(super) struct Progress {
    all: u32,
    since: Stopwatch,
    /// What stands on the line.
    drawn: String,
    seen: bool,
}

impl Progress {
    /// Nothing of `all` is done.
    pub(super) fn of(all: u32) -> Self {
        Self {
            all,
            since: Stopwatch::start(),
            drawn: String::new(),
            seen: io::stderr().is_terminal(),
        }
    }

    /// Draws the line, where it looks otherwise than before.
    pub(super) fn show(&mut self, done: u32) {
        if !self.seen {
            return;
        }
        let elapsed = self.since.elapsed().as_secs_f64();
        let line = line(done, self.all, elapsed);
        if line != self.drawn {
            // A terminal that is gone takes nothing from the result.
            write!(io::stderr(), "\r{line}\u{1b}[K").ok();
            self.drawn = line;
        }
    }

    /// Takes the line away.
    pub(super) fn end(self) {
        if !self.drawn.is_empty() {
            write!(io::stderr(), "\r\u{1b}[K").ok();
        }
    }
}

fn line(done: u32, all: u32, elapsed_seconds: f64) -> String {
    let share = f64::from(done) / f64::from(all.max(1));
    let full = u64::from(CELLS) * u64::from(done) / u64::from(all.max(1));
    let bar: String = (0..u64::from(CELLS))
        .map(|cell| if cell < full { '━' } else { '╌' })
        .collect();
    let left = if share > 0.0 {
        format!(
            ", {} left",
            figures::hours(elapsed_seconds * (1.0 / share - 1.0) / 3_600.0)
        )
    } else {
        String::new()
    };
    format!(
        "{bar} {} of {}{left}",
        figures::count(done.into()),
        figures::count(all.into())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_and_says_how_long() {
        insta::assert_snapshot!([line(0, 500, 0.0), line(250, 500, 90.0), line(500, 500, 180.0)].join("\n"), @"
        ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 0 of 500
        ━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 250 of 500, 1m30s left
        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 500 of 500, 0s left
        ");
    }
}
