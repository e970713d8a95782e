//! How far it is, on one line of the terminal that is written again and again.

use crate::cli::figures;
use crate::clock::Stopwatch;
use crate::replay::Replay;
use crate::rollout::explain;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// Time between two looks of a person.
const PAUSE: Duration = Duration::from_millis(200);
/// Lines between two looks at the watch.
const LINES_PER_LOOK: u64 = 4_096;
/// Takes the line away.
const CLEAR: &str = "\r\u{1b}[2K";

/// A line on standard error, where somebody looks at it.
pub(super) struct Progress {
    is_seen: bool,
    is_shown: bool,
    since: Stopwatch,
}

impl Progress {
    /// Nothing is shown yet, and never where standard error is no terminal.
    pub(super) fn new() -> Self {
        Self {
            is_seen: io::stderr().is_terminal(),
            is_shown: false,
            since: Stopwatch::start(),
        }
    }

    /// Shows how far it is, from time to time.
    pub(super) fn show(&mut self, replay: &Replay, share_read: Option<f64>) {
        let is_due = self.is_seen && replay.counts().read.is_multiple_of(LINES_PER_LOOK);
        if !is_due || self.since.elapsed() < PAUSE {
            return;
        }
        self.since = Stopwatch::start();
        let share = share_read.map(|share| format!("{:3.0}%  ", share * 100.0));
        let lines = figures::count(replay.counts().read);
        let place = replay.rehearsal().map(|rehearsal| {
            let through = rehearsal
                .through()
                .map(|tick| figures::moment(&tick.begins().to_string()));
            let phase = explain::place(&rehearsal.state().phase);
            format!("  {}  {phase}", through.unwrap_or_default())
        });
        let (share, place) = (share.unwrap_or_default(), place.unwrap_or_default());
        // Nobody misses a line that could not be shown.
        write!(io::stderr(), "{CLEAR}{share}{lines} lines{place}").ok();
        self.is_shown = true;
    }

    /// Takes the line away, before something else is printed.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            write!(io::stderr(), "{CLEAR}").ok();
        }
    }
}
