//! Spans that are held until their trace is known: the user often stands in its first span alone, which
//! ends, and so arrives, last.
//!
//! A trace is *settled* when its first span has arrived, or after [`FIRST_SPAN_WAIT`]; what arrives later
//! is settled with what was known then. Calls are held in memory, users' keys among what is known of
//! their traces, and nowhere else: what ends the process meanwhile loses them. Everything is bounded;
//! where there is no room, the oldest traces are settled early.

use super::facts::{Call, Facts, SpanId, TraceId, Whole};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// How long the first span of a trace is waited for.
pub const FIRST_SPAN_WAIT: SignedDuration = SignedDuration::from_mins(2);
/// How long it is remembered what was said of a trace.
pub const TRACE_KEPT: SignedDuration = SignedDuration::from_mins(10);
/// Traces that are remembered at once; the oldest one makes room.
pub const TRACES_KEPT_MAX: usize = 50_000;
/// Calls of all traces that are held at once; the oldest traces are settled to make room.
pub const CALLS_HELD_MAX: usize = 100_000;
/// Calls of one trace; further ones are overlooked.
pub const CALLS_PER_TRACE_MAX: usize = 256;

/// Traces of which more may be said.
#[derive(Debug, Default)]
pub struct SpanTraces {
    kept: HashMap<TraceId, Kept>,
    /// In the order in which they were first heard of.
    arrivals: VecDeque<(Timestamp, TraceId)>,
    /// Likewise, without those that were waited for long enough.
    waiting: VecDeque<(Timestamp, TraceId)>,
    /// Traces of which something is new.
    touched: BTreeSet<TraceId>,
    /// What had to make room.
    evicted: Vec<Settled>,
    calls_held: usize,
}

/// What is known of a trace.
#[derive(Debug, Default)]
struct Kept {
    whole: Whole,
    /// Whether it is settled: its first span has arrived, or was waited for.
    is_settled: bool,
    /// Calls that are held.
    calls: BTreeMap<SpanId, Call>,
    /// Calls that were handed on.
    handed: BTreeSet<SpanId>,
    /// The versions of each prompt.
    versions: BTreeSet<(String, u64)>,
    /// Whether a call names a prompt.
    names_prompts: bool,
}

/// Calls of a trace that is settled.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The trace.
    pub trace: TraceId,
    /// What is said of it.
    pub whole: Whole,
    /// Its calls, without those that were handed on before.
    pub calls: Vec<Call>,
    /// Whether a call that is here, or was handed on, names a prompt.
    pub names_prompts: bool,
    /// Prompts that were used in several versions.
    pub ambiguous: BTreeSet<String>,
}

impl SpanTraces {
    /// Adds what a span says; false where there is no room for it in its trace.
    #[must_use]
    pub fn hear(&mut self, facts: Facts, now: Timestamp) -> bool {
        self.forget(now);
        let trace = facts.trace;
        if !self.kept.contains_key(&trace) {
            self.arrivals.push_back((now, trace));
            self.waiting.push_back((now, trace));
        }
        let kept = self.kept.entry(trace).or_default();
        kept.whole.add(facts.whole, facts.is_first);
        kept.is_settled |= facts.is_first;
        self.touched.insert(trace);
        facts.call.is_none_or(|call| {
            let held = kept.calls.len();
            let has_room = kept.hold(call);
            self.calls_held += kept.calls.len() - held;
            has_room
        })
    }

    /// What can be counted now: calls of traces that are settled, were waited for, or have to make room;
    /// of all traces, where `everything` is asked for.
    pub fn settle(&mut self, now: Timestamp, everything: bool) -> Vec<Settled> {
        let mut settled = std::mem::take(&mut self.evicted);
        while let Some((since, trace)) = self.waiting.front() {
            let is_over = now.duration_since(*since) >= FIRST_SPAN_WAIT;
            if !is_over && !everything && self.calls_held <= CALLS_HELD_MAX {
                break;
            }
            if let Some(kept) = self.kept.get_mut(trace) {
                kept.is_settled = true;
                if let Some(calls) = kept.hand_on(*trace) {
                    self.calls_held -= calls.calls.len();
                    settled.push(calls);
                }
            }
            self.waiting.pop_front();
        }
        for trace in std::mem::take(&mut self.touched) {
            if let Some(kept) = self.kept.get_mut(&trace).filter(|kept| kept.is_settled)
                && let Some(calls) = kept.hand_on(trace)
            {
                self.calls_held -= calls.calls.len();
                settled.push(calls);
            }
        }
        settled
    }

    /// Takes back what could not be counted, for the next time.
    pub fn restore(&mut self, settled: Vec<Settled>) {
        for Settled { trace, calls, .. } in settled {
            let Some(kept) = self.kept.get_mut(&trace) else {
                continue;
            };
            for call in calls {
                kept.handed.remove(&call.span);
                // One that was sent again meanwhile is as good.
                if kept.calls.insert(call.span, call).is_none() {
                    self.calls_held += 1;
                }
            }
            self.touched.insert(trace);
        }
    }

    /// How many calls are held.
    pub fn calls_held(&self) -> usize {
        self.calls_held
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((since, trace)) = self.arrivals.front() {
            let is_old = now.duration_since(*since) > TRACE_KEPT;
            if !is_old && self.arrivals.len() < TRACES_KEPT_MAX {
                break;
            }
            if let Some(mut kept) = self.kept.remove(trace)
                && let Some(calls) = kept.hand_on(*trace)
            {
                self.calls_held -= calls.calls.len();
                self.evicted.push(calls);
            }
            self.arrivals.pop_front();
        }
    }
}

impl Whole {
    /// What the first span says goes before what the others do.
    fn add(&mut self, said: Self, by_first: bool) {
        let keep = |held: &mut Option<String>, said: Option<String>| {
            if said.is_some() && (by_first || held.is_none()) {
                *held = said;
            }
        };
        keep(&mut self.user, said.user);
        keep(&mut self.session, said.session);
        if !said.tags.is_empty() && (by_first || self.tags.is_empty()) {
            self.tags = said.tags;
        }
        self.is_fallback |= said.is_fallback;
    }
}

impl Kept {
    fn hold(&mut self, call: Call) -> bool {
        if self.handed.contains(&call.span) {
            return true;
        }
        if self.calls.len() + self.handed.len() >= CALLS_PER_TRACE_MAX && !self.calls.contains_key(&call.span)
        {
            return false;
        }
        if let (Some(prompt), Some(version @ 1..)) = (&call.prompt, call.version) {
            self.versions.insert((prompt.clone(), version));
        }
        self.names_prompts |= call.prompt.is_some();
        self.calls.insert(call.span, call);
        true
    }

    fn hand_on(&mut self, trace: TraceId) -> Option<Settled> {
        let calls: Vec<Call> = std::mem::take(&mut self.calls).into_values().collect();
        if calls.is_empty() {
            return None;
        }
        self.handed.extend(calls.iter().map(|call| call.span));
        let names = self.versions.iter().map(|(prompt, _)| prompt);
        let following = names.clone().skip(1);
        Some(Settled {
            trace,
            whole: self.whole.clone(),
            calls,
            names_prompts: self.names_prompts,
            ambiguous: names
                .zip(following)
                .filter(|(one, next)| one == next)
                .map(|(prompt, _)| prompt.clone())
                .collect(),
        })
    }
}
