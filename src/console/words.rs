//! Small parts that every page is made of: sentences, moments, chips, ladders.

use crate::analysis::Verdict;
use crate::controller::{PolicyStatus, RolloutStatus};
use crate::figures;
use crate::policy::Policy;
use crate::rollout::{Phase, explain};
use askama::Template;
use askama::filters::{Html, HtmlSafe, escape};
use jiff::Timestamp;
use std::fmt;

/// A moment, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) text: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp) -> Self {
        let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
        Self {
            iso: whole.to_string(),
            text: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        }
    }
}

/// A sentence in which what stands in backticks is set as code; everything is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prose(String);

impl Prose {
    /// The sentence with a capital at its beginning.
    pub(super) fn new(text: &str) -> Self {
        Self(capital(text))
    }

    /// The sentence as it was written.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl HtmlSafe for Prose {}

impl fmt::Display for Prose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A backtick without its partner is one.
        let parts: Vec<&str> = self.0.split('`').collect();
        for (at, part) in parts.iter().enumerate() {
            let is_code = at % 2 == 1 && at + 1 < parts.len();
            let (before, after) = match (is_code, at % 2) {
                (true, _) => ("<code>", "</code>"),
                (false, 1) => ("`", ""),
                (false, _) => ("", ""),
            };
            // Escaping cannot fail for a string.
            let escaped = escape(part, Html).map_err(|_| fmt::Error)?;
            write!(f, "{before}{escaped}{after}")?;
        }
        Ok(())
    }
}

/// A text with a capital at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// How something is to be taken: the word of a CSS class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Caution,
    Busy,
    Quiet,
}

impl Tone {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Caution => "caution",
            Self::Busy => "busy",
            Self::Quiet => "quiet",
        }
    }
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word in a tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Template)]
#[template(
    source = "<span class=\"chip {{ tone }}\">{{ word }}</span>",
    ext = "html",
    config = "src/console/askama.toml"
)]
pub(super) struct Chip {
    pub(super) word: &'static str,
    pub(super) tone: Tone,
}

/// Its template has escaped it.
impl HtmlSafe for Chip {}

/// Where a rollout stands.
pub(super) fn phase_chip(phase: &Phase) -> Chip {
    let (word, tone) = match phase {
        Phase::Pending => ("pending", Tone::Busy),
        Phase::Ramping { .. } => ("ramping", Tone::Busy),
        Phase::Paused { .. } => ("paused", Tone::Caution),
        Phase::Promoting => ("promoting", Tone::Busy),
        Phase::Watching => ("watching", Tone::Busy),
        Phase::Promoted => ("promoted", Tone::Good),
        Phase::RollingBack { .. } => ("rolling back", Tone::Bad),
        Phase::RolledBack { .. } => ("rolled back", Tone::Bad),
        Phase::Superseded { .. } => ("superseded", Tone::Quiet),
    };
    Chip { word, tone }
}

/// What the numbers say.
pub(super) fn verdict_chip(verdict: Verdict) -> Chip {
    let (word, tone) = match verdict {
        Verdict::Pass => ("pass", Tone::Good),
        Verdict::Fail => ("fail", Tone::Bad),
        Verdict::Inconclusive => ("inconclusive", Tone::Quiet),
        Verdict::Invalid => ("invalid", Tone::Caution),
    };
    Chip { word, tone }
}

/// The ladder of a policy, with the place of its rollout.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "ladder.html", config = "src/console/askama.toml")]
pub(super) struct Ladder {
    pub(super) rungs: Vec<Rung>,
}

/// Its template has escaped it.
impl HtmlSafe for Ladder {}

/// A rung of the ladder, as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) exposure: String,
    /// The word of a CSS class: `done`, `here`, `held`, `taken` or nothing.
    pub(super) state: &'static str,
    /// The same for those who hear the page.
    pub(super) said: &'static str,
}

/// The ladder of a policy, with the place of its rollout.
pub(super) fn ladder(policy: &Policy, phase: Option<&Phase>) -> Ladder {
    let rung = |index: usize| {
        let (state, said) = phase.map_or(("", ""), |phase| rung_state(phase, index));
        Rung {
            exposure: figures::percentage(policy.exposure_of(index).ratio()),
            state,
            said,
        }
    };
    Ladder {
        rungs: (0..policy.steps.len()).map(rung).collect(),
    }
}

fn rung_state(phase: &Phase, index: usize) -> (&'static str, &'static str) {
    if let Some(step) = phase.step() {
        let is_paused = matches!(phase, Phase::Paused { .. });
        return match (index.cmp(&step), is_paused) {
            (std::cmp::Ordering::Less, _) => ("done", "done"),
            (std::cmp::Ordering::Equal, false) => ("here", "here"),
            (std::cmp::Ordering::Equal, true) => ("held", "paused here"),
            (std::cmp::Ordering::Greater, _) => ("", ""),
        };
    }
    match phase {
        Phase::Promoting | Phase::Watching | Phase::Promoted | Phase::Paused { .. }
            if phase.is_beyond_ladder() || phase.is_over() =>
        {
            ("done", "done")
        }
        Phase::RollingBack { .. } | Phase::RolledBack { .. } => ("taken", ""),
        Phase::Pending
        | Phase::Ramping { .. }
        | Phase::Paused { .. }
        | Phase::Promoting
        | Phase::Watching
        | Phase::Promoted
        | Phase::Superseded { .. } => ("", ""),
    }
}

/// How a policy stands, in one sentence: what its rollout waits for, or how it ended.
pub(super) fn standing(status: &PolicyStatus, now: Timestamp) -> Prose {
    let text = match status.rollout.as_deref() {
        None => "no rollout yet".to_owned(),
        Some(rollout) => rollout_standing(rollout, now),
    };
    Prose::new(&text)
}

/// What a rollout waits for, or how it ended.
pub(super) fn rollout_standing(rollout: &RolloutStatus, now: Timestamp) -> String {
    match &rollout.state.phase {
        // The phase itself says that it was taken back.
        Phase::RollingBack { cause } | Phase::RolledBack { cause } => explain::cause(cause),
        phase @ (Phase::Promoted | Phase::Superseded { .. }) => explain::phase(phase),
        Phase::Pending
        | Phase::Ramping { .. }
        | Phase::Paused { .. }
        | Phase::Promoting
        | Phase::Watching => explain::stay(&rollout.stay, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_escaped_and_sets_code() {
        let shown = |text: &str| Prose::new(text).to_string();
        assert_eq!(shown("the `score` fell"), "The <code>score</code> fell");
        assert_eq!(
            shown("<script>alert(\"x\")</script> `a<b` it's & `odd"),
            "&#60;script&#62;alert(&#34;x&#34;)&#60;/script&#62; <code>a&#60;b</code> it&#39;s &#38; `odd"
        );
        assert_eq!(shown(""), "");
    }

    #[test]
    fn moments_are_whole_seconds() {
        let moment = Moment::new("2026-11-21T14:02:10.123456Z".parse().unwrap());
        assert_eq!(moment.iso, "2026-11-21T14:02:10Z");
        assert_eq!(moment.text, "2026-11-21 14:02:10 UTC");
    }
}
