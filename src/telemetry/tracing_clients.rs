//! What clients of tracing systems send.

use super::{Telemetry, counter, forget};
use crate::ids::{Arm, MetricName, PolicyName};
use prometheus::core::Collector;
use prometheus::{Error, IntCounterVec, IntGaugeVec, Opts};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

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
    spans: IntCounterVec,
    span_values: IntCounterVec,
    span_calls_held: IntGaugeVec,
    source_up: IntGaugeVec,
    /// Metrics that were told to be fed twice.
    fed_twice: Mutex<BTreeSet<(PolicyName, MetricName)>>,
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
            spans: counter(
                "serin_spans_total",
                "Spans of OpenTelemetry, by what became of them.",
                &["outcome"],
            )?,
            span_values: counter(
                "serin_span_values_total",
                "Values counted for a rollout that spans say; they are among serin_observations_total.",
                &["policy", "metric", "arm"],
            )?,
            span_calls_held: IntGaugeVec::new(
                Opts::new(
                    "serin_span_calls_held",
                    "Calls of models that wait for the first span of their trace.",
                ),
                &[],
            )?,
            source_up: IntGaugeVec::new(
                Opts::new(
                    "serin_source_up",
                    "Whether what the source sent last could be counted; absent until it sends something.",
                ),
                &["source"],
            )?,
            fed_twice: Mutex::default(),
        })
    }

    /// Drops the series of policies that are gone.
    pub(super) fn forget(&self, gone: &BTreeSet<&str>) {
        forget(&self.span_values, gone);
        let mut told = self.fed_twice.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(policy, _)| !gone.contains(policy.as_str()));
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 6] {
        [
            Box::new(self.scores.clone()),
            Box::new(self.trace_events.clone()),
            Box::new(self.spans.clone()),
            Box::new(self.span_values.clone()),
            Box::new(self.span_calls_held.clone()),
            Box::new(self.source_up.clone()),
        ]
    }
}

impl Telemetry {
    /// Counts a score; `outcome` is one of the words of what a score is worth.
    pub fn scored(&self, outcome: &'static str) {
        self.tracing.scores.with_label_values(&[outcome]).inc();
    }

    /// Counts spans; each outcome is one of the words of what a span is worth.
    pub fn spans(&self, outcomes: impl IntoIterator<Item = (&'static str, u64)>) {
        for (outcome, spans) in outcomes {
            self.tracing.spans.with_label_values(&[outcome]).inc_by(spans);
        }
    }

    /// Counts values that were added to tallies, and that spans say; those of [`Self::observed`] are among
    /// the same observations.
    ///
    /// Where more was observed of the metric than spans said, somebody pushes it as well, and each call may
    /// count twice: that is logged, once for each metric.
    pub fn observed_by_spans(&self, policy: &PolicyName, metric: &MetricName, arm: Arm, values: u64) {
        let labels = [policy.as_str(), metric.as_str(), arm.as_str()];
        let of_spans = self.tracing.span_values.with_label_values(&labels);
        of_spans.inc_by(values);
        if self.observations.with_label_values(&labels).get() <= of_spans.get() {
            return;
        }
        let mut told = self
            .tracing
            .fed_twice
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if told.insert((policy.clone(), metric.clone())) {
            tracing::warn!(
                %policy, %metric,
                "spans and pushed observations both feed this metric, and each of them counts: \
                 set `from: observations` for what is pushed"
            );
        }
    }

    /// Notes how many calls wait for the first span of their trace.
    pub fn span_calls_held(&self, calls: usize) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.tracing
            .span_calls_held
            .with_label_values::<&str>(&[])
            .set(calls);
    }

    /// Notes whether what exporters of spans sent last could be counted.
    pub fn spans_up(&self, is_up: bool) {
        let up = i64::from(is_up);
        self.tracing.source_up.with_label_values(&["otlp"]).set(up);
    }

    /// Counts what tracing clients sent.
    pub fn trace_events(&self, source: TraceEvents, events: u64) {
        self.tracing
            .trace_events
            .with_label_values(&[source.as_str()])
            .inc_by(events);
    }
}
