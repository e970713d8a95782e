//! What became of Serin's own spans.

use super::traces::{ClientError, Exporting, TraceSettings, Tracer};
use super::{Telemetry, counter};
use crate::clock::Clock;
use prometheus::core::Collector;
use prometheus::{Error, IntCounterVec};

/// What became of a span of Serin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanOutcome {
    /// The endpoint has taken it.
    Exported,
    /// The endpoint did not take it.
    Failed,
    /// It did not fit into the queue.
    Dropped,
}

impl SpanOutcome {
    const ALL: [Self; 3] = [Self::Exported, Self::Failed, Self::Dropped];

    fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// The counters of them.
#[derive(Debug, Clone)]
pub(super) struct Counters(IntCounterVec);

impl Counters {
    pub(super) fn new() -> Result<Self, Error> {
        let spans = counter(
            "serin_own_spans_total",
            "Spans of Serin's own, by what became of them; there from 0 on.",
            &["outcome"],
        )?;
        for outcome in SpanOutcome::ALL {
            spans.with_label_values(&[outcome.as_str()]);
        }
        Ok(Self(spans))
    }

    pub(super) fn add(&self, outcome: SpanOutcome, spans: u64) {
        self.0.with_label_values(&[outcome.as_str()]).inc_by(spans);
    }

    pub(super) fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.0.clone())
    }
}

impl Telemetry {
    /// Makes spans where there is somebody to send them to, which is nobody unless
    /// [`Self::with_traces`] named them.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// The same with spans of its own, which go where `settings` say; called in a runtime.
    ///
    /// # Errors
    ///
    /// When there is no HTTP client to be had.
    pub fn with_traces(
        self,
        settings: &TraceSettings,
        clock: Clock,
    ) -> Result<(Self, Exporting), ClientError> {
        let (tracer, exporting) = Exporting::start(settings, clock, self.own_spans.clone())?;
        Ok((Self { tracer, ..self }, exporting))
    }
}
