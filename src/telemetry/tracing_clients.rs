//! What clients of tracing systems send.

use super::{Telemetry, counter};
use prometheus::core::Collector;
use prometheus::{Error, IntCounterVec};

/// What tracing clients send, for [`Telemetry::trace_events`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TraceEvents {
    /// About a trace as a whole.
    Trace,
    /// About a part of a trace.
    Observation,
    /// A score.
    Score,
    /// Of the client itself.
    Log,
    /// An export of OpenTelemetry, whatever is in it.
    Export,
}

impl TraceEvents {
    fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Observation => "observation",
            Self::Score => "score",
            Self::Log => "log",
            Self::Export => "export",
        }
    }
}

/// The counters of what they send.
#[derive(Debug)]
pub(super) struct Counters {
    scores: IntCounterVec,
    trace_events: IntCounterVec,
}

impl Counters {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            scores: counter(
                "serin_scores_total",
                "Scores of clients of Langfuse, by what became of them.",
                &["outcome"],
            )?,
            trace_events: counter(
                "serin_trace_events_total",
                "Events and exports of tracing clients that were accepted, by what they are about.",
                &["source"],
            )?,
        })
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 2] {
        [Box::new(self.scores.clone()), Box::new(self.trace_events.clone())]
    }
}

impl Telemetry {
    /// Counts a score; `outcome` is one of the words of what a score is worth.
    pub fn scored(&self, outcome: &'static str) {
        self.tracing.scores.with_label_values(&[outcome]).inc();
    }

    /// Counts what tracing clients sent.
    pub fn trace_events(&self, source: TraceEvents, events: u64) {
        self.tracing
            .trace_events
            .with_label_values(&[source.as_str()])
            .inc_by(events);
    }
}
