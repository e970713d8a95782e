//! What tracing clients tell, one event after the other, put together by trace.
//!
//! The user stands in one event, the prompt in another, in any order and in different requests. What was
//! told is held in memory for a while, users' keys among it; what is kept for longer is what follows from
//! it, in which no key stands. Both are bounded: [`TRACES_HELD_MAX`] traces, [`HELD_FOR`].

use super::served::{Said, Servings};
use crate::assignment::receipt::ReceiptKey;
use crate::store::Serving;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// How long a trace is held for its other events.
pub const HELD_FOR: SignedDuration = SignedDuration::from_mins(10);
/// Traces that are held at once; the oldest one makes room.
pub const TRACES_HELD_MAX: usize = 20_000;
/// Parts of a trace that are held; further ones are not looked at.
const PARTS_HELD_MAX: usize = 64;

/// What one event tells of a trace, or of a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The trace.
    pub trace: String,
    /// The part; empty for the whole.
    pub observation: String,
    /// The user's key.
    pub user: Option<String>,
    /// The conversation.
    pub session: Option<String>,
    /// The receipt of the assignment.
    pub receipt: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// Its version.
    pub version: Option<u64>,
    /// The label that it was fetched by.
    pub label: Option<String>,
}

/// Traces of which more may be told.
#[derive(Debug, Default)]
pub struct Traces {
    held: HashMap<String, Held>,
    /// In the order in which they were first told of.
    arrivals: VecDeque<(Timestamp, String)>,
}

/// One trace, as far as it is told.
#[derive(Debug, Default)]
struct Held {
    user: Option<String>,
    session: Option<String>,
    parts: BTreeMap<String, Part>,
}

#[derive(Debug, Default)]
struct Part {
    receipt: Option<String>,
    prompt: Option<String>,
    version: Option<u64>,
    label: Option<String>,
}

impl Traces {
    /// Adds what an event tells.
    pub fn tell(&mut self, told: Told, now: Timestamp) {
        self.forget(now);
        if !self.held.contains_key(&told.trace) {
            self.arrivals.push_back((now, told.trace.clone()));
        }
        let held = self.held.entry(told.trace).or_default();
        keep(&mut held.user, told.user);
        keep(&mut held.session, told.session);
        let says_what = told.receipt.is_some() || told.prompt.is_some() || told.label.is_some();
        let fits = held.parts.len() < PARTS_HELD_MAX || held.parts.contains_key(&told.observation);
        if says_what && fits {
            let part = held.parts.entry(told.observation).or_default();
            keep(&mut part.receipt, told.receipt);
            keep(&mut part.prompt, told.prompt);
            keep(&mut part.version, told.version);
            keep(&mut part.label, told.label);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((at, trace)) = self.arrivals.front() {
            let is_old = now.duration_since(*at) > HELD_FOR;
            if !is_old && self.arrivals.len() < TRACES_HELD_MAX {
                break;
            }
            self.held.remove(trace);
            self.arrivals.pop_front();
        }
    }

    /// The user's key and the conversation of a trace, where they are known.
    pub fn context(&self, trace: &str) -> (Option<&str>, Option<&str>) {
        let held = self.held.get(trace);
        let user = held.and_then(|held| held.user.as_deref());
        (user, held.and_then(|held| held.session.as_deref()))
    }

    /// What was served in a trace, as far as it is told. The label of the whole holds for its parts.
    pub fn servings(&self, trace: &str, servings: &Servings<'_>, key: &ReceiptKey) -> Vec<Serving> {
        let Some(held) = self.held.get(trace) else {
            return Vec::new();
        };
        let whole = held.parts.get("").and_then(|whole| whole.label.as_deref());
        let mut found = Vec::new();
        for (observation, part) in &held.parts {
            let said = Said {
                receipt: part.receipt.as_deref(),
                prompt: part.prompt.as_deref(),
                version: part.version,
                label: part.label.as_deref().or(whole),
                tags: &[],
                user: held.user.as_deref(),
                stranger: held.session.as_deref().unwrap_or(trace),
            };
            let served = servings.of(said).into_iter();
            found.extend(served.map(|(policy, receipt)| Serving {
                trace: trace.to_owned(),
                observation: observation.clone(),
                session: held.session.clone(),
                policy,
                receipt: key.issue(&receipt).as_str().to_owned(),
            }));
        }
        found
    }
}

/// The last word counts.
fn keep<T>(held: &mut Option<T>, told: Option<T>) {
    if told.is_some() {
        *held = told;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(trace: &str) -> Told {
        Told {
            trace: trace.to_owned(),
            user: Some("anna".to_owned()),
            ..Told::default()
        }
    }

    #[test]
    fn a_trace_is_held_for_a_while_and_then_forgotten() {
        let mut traces = Traces::default();
        let start = Timestamp::UNIX_EPOCH;
        traces.tell(told("a"), start);
        traces.tell(told("b"), start + HELD_FOR);
        assert_eq!(traces.context("a"), (Some("anna"), None));
        let later = start + HELD_FOR + SignedDuration::from_secs(1);
        traces.tell(
            Told {
                trace: "c".to_owned(),
                ..Told::default()
            },
            later,
        );
        assert_eq!(traces.context("a"), (None, None));
        assert_eq!(traces.context("b"), (Some("anna"), None));
    }

    #[test]
    fn no_more_are_held_than_there_is_room_for() {
        let mut traces = Traces::default();
        for number in 0..=TRACES_HELD_MAX {
            traces.tell(told(&number.to_string()), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(traces.held.len(), TRACES_HELD_MAX);
        assert_eq!(traces.arrivals.len(), TRACES_HELD_MAX);
        assert_eq!(traces.context("0"), (None, None));
        for number in 0..2 * PARTS_HELD_MAX {
            let part = Told {
                observation: number.to_string(),
                prompt: Some("greet".to_owned()),
                ..told("1")
            };
            traces.tell(part, Timestamp::UNIX_EPOCH);
        }
        assert_eq!(traces.held["1"].parts.len(), PARTS_HELD_MAX);
    }

    #[test]
    fn an_event_that_does_not_say_takes_nothing_back() {
        let mut traces = Traces::default();
        let first = Told {
            session: Some("s".to_owned()),
            prompt: Some("greet".to_owned()),
            version: Some(2),
            ..told("a")
        };
        traces.tell(first, Timestamp::UNIX_EPOCH);
        let second = Told {
            trace: "a".to_owned(),
            label: Some("canary".to_owned()),
            ..Told::default()
        };
        traces.tell(second, Timestamp::UNIX_EPOCH);
        assert_eq!(traces.context("a"), (Some("anna"), Some("s")));
        let part = &traces.held["a"].parts[""];
        assert_eq!((part.version, part.label.as_deref()), (Some(2), Some("canary")));
    }
}
