//! Serin's own counters: what it decided, what it was told, how long it took.
//!
//! Every name and label of DESIGN section 12 is written in this folder and nowhere else. Labels come
//! from closed sets, from policies or from route templates, never from what a client sends. What
//! follows from the [`Board`] alone is not kept: it is drawn anew for each scrape, so that it can be
//! neither stale nor left over.

mod board;
pub mod log;
mod notices;
mod own_spans;
mod prompts;
pub mod traces;
mod tracing_clients;

pub use self::notices::NoticeResult;
pub use self::tracing_clients::TraceEvents;

use crate::controller::Board;
use crate::ids::{Arm, Label, MetricName, PolicyName, RegistryName};
use crate::rollout::{Cause, Phase, explain};
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Media type of [`Telemetry::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Upper bounds of the length of rollouts, in seconds: a minute to sixty days.
const ROLLOUT_SECONDS: [f64; 13] = [
    60.0,
    300.0,
    900.0,
    3_600.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    259_200.0,
    604_800.0,
    1_209_600.0,
    5_184_000.0,
];
/// Upper bounds of what a registry or a tick takes, in seconds.
const WORK_SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// Upper bounds of what answering a request takes, in seconds.
const HTTP_SECONDS: [f64; 13] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0,
];

/// Phases that a rollout can end in.
const OUTCOMES: [&str; 3] = ["promoted", "rolled_back", "superseded"];

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    transitions: IntCounterVec,
    rollout_seconds: HistogramVec,
    ended: IntCounterVec,
    assignments: IntCounterVec,
    observations: IntCounterVec,
    refused: IntCounterVec,
    ignored: IntCounterVec,
    prompts: prompts::Counters,
    notices: notices::Counters,
    tracing: tracing_clients::Counters,
    own_spans: own_spans::Counters,
    tracer: traces::Tracer,
    label_moves: IntCounterVec,
    label_move_seconds: Histogram,
    tick_seconds: Histogram,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
    gauges: board::Gauges,
    shown: Mutex<BTreeSet<PolicyName>>,
}

/// How a label move ended, for [`Telemetry::label_moved`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveResult {
    /// Read back and found in place.
    Confirmed,
    /// Somebody else had moved the label.
    Foreign,
    /// The registry failed.
    Failed,
}

impl MoveResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Foreign => "foreign",
            Self::Failed => "failed",
        }
    }
}

/// The series of requests with the same method, route and status.
#[derive(Debug, Clone)]
pub struct Answers {
    requests: IntCounter,
    seconds: Histogram,
}

impl Answers {
    /// Counts an answered request, and notes how long it took.
    pub fn add(&self, took: Duration) {
        self.requests.inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

impl Telemetry {
    /// A registry of its own with every series of Serin.
    ///
    /// Fails only when two of the names below are the same.
    pub fn new() -> Result<Self, Error> {
        Self {
            transitions: counter(
                "serin_rollout_transitions_total",
                "Committed transitions of rollouts.",
                &["policy", "from", "to", "cause"],
            )?,
            rollout_seconds: histogram(
                "serin_rollout_duration_seconds",
                "Time from the start of a rollout to its end.",
                &["policy", "outcome"],
                &ROLLOUT_SECONDS,
            )?,
            ended: counter(
                "serin_rollouts_ended_total",
                "Rollouts that are over; there from 0 on, so that the first one shows as an increase.",
                &["policy", "outcome"],
            )?,
            assignments: counter(
                "serin_assignments_total",
                "Assignments answered.",
                &["policy", "arm", "reason"],
            )?,
            observations: counter(
                "serin_observations_total",
                "Values counted for a rollout, each once.",
                &["policy", "metric", "arm"],
            )?,
            refused: counter(
                "serin_observations_refused_total",
                "Lines of observations that were refused.",
                &["reason"],
            )?,
            ignored: counter(
                "serin_observations_ignored_total",
                "Lines of observations that belong to no running comparison.",
                &["reason"],
            )?,
            prompts: prompts::Counters::new()?,
            notices: notices::Counters::new()?,
            tracing: tracing_clients::Counters::new()?,
            own_spans: own_spans::Counters::new()?,
            tracer: traces::Tracer::default(),
            label_moves: counter(
                "serin_label_moves_total",
                "Label moves that were tried.",
                &["registry", "label", "outcome"],
            )?,
            label_move_seconds: work(
                "serin_label_move_duration_seconds",
                "Time from asking to reading back.",
            )?,
            tick_seconds: work("serin_tick_duration_seconds", "One pass of the controller.")?,
            http_requests: counter(
                "serin_http_requests_total",
                "HTTP requests answered, by route template.",
                &["method", "route", "status"],
            )?,
            http_seconds: histogram(
                "serin_http_request_duration_seconds",
                "Time from the request's head to the answer's head.",
                &["method", "route"],
                &HTTP_SECONDS,
            )?,
            gauges: board::Gauges::new()?,
            shown: Mutex::default(),
            registry: Registry::new(),
        }
        .register()
    }

    fn register(self) -> Result<Self, Error> {
        let build = IntGaugeVec::new(
            Opts::new("serin_build_info", "The version that runs, as a label; always 1."),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let own: [Box<dyn Collector>; 13] = [
            Box::new(build),
            Box::new(self.transitions.clone()),
            Box::new(self.rollout_seconds.clone()),
            Box::new(self.ended.clone()),
            Box::new(self.assignments.clone()),
            Box::new(self.observations.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.ignored.clone()),
            Box::new(self.label_moves.clone()),
            Box::new(self.label_move_seconds.clone()),
            Box::new(self.tick_seconds.clone()),
            Box::new(self.http_requests.clone()),
            Box::new(self.http_seconds.clone()),
        ];
        own.into_iter()
            .chain(self.prompts.collectors())
            .chain(self.notices.collectors())
            .chain(self.tracing.collectors())
            .chain([self.own_spans.collector()])
            .try_for_each(|it| self.registry.register(it))?;
        Ok(self)
    }

    /// Counts a committed transition.
    pub fn moved(&self, policy: &PolicyName, from: &Phase, to: &Phase, cause: &Cause) {
        self.transitions
            .with_label_values(&[
                policy.as_str(),
                from.as_str(),
                to.as_str(),
                explain::cause_word(cause),
            ])
            .inc();
    }

    /// Counts a rollout that ended in `last`, and notes how long it took.
    pub fn ended(&self, policy: &PolicyName, last: &Phase, took: Duration) {
        self.ended
            .with_label_values(&[policy.as_str(), last.as_str()])
            .inc();
        self.rollout_seconds
            .with_label_values(&[policy.as_str(), last.as_str()])
            .observe(took.as_secs_f64());
    }

    /// Counts an assignment; `reason` is one of the words on the wire.
    pub fn assigned(&self, policy: &PolicyName, arm: Arm, reason: &'static str) {
        self.assignments
            .with_label_values(&[policy.as_str(), arm.as_str(), reason])
            .inc();
    }

    /// Counts values that were added to tallies.
    pub fn observed(&self, policy: &PolicyName, metric: &MetricName, arm: Arm, values: u64) {
        self.observations
            .with_label_values(&[policy.as_str(), metric.as_str(), arm.as_str()])
            .inc_by(values);
    }

    /// Counts refused lines; `reason` is one of the codes on the wire.
    pub fn observations_refused(&self, reason: &'static str, lines: u64) {
        self.refused.with_label_values(&[reason]).inc_by(lines);
    }

    /// Counts lines that belong to no running comparison; `reason` is one of the codes on the wire.
    pub fn observations_ignored(&self, reason: &'static str, lines: u64) {
        self.ignored.with_label_values(&[reason]).inc_by(lines);
    }

    /// Counts a label move and notes how long it took.
    pub fn label_moved(&self, registry: &RegistryName, label: &Label, result: MoveResult, took: Duration) {
        self.label_moves
            .with_label_values(&[registry.as_str(), label.as_str(), result.as_str()])
            .inc();
        self.label_move_seconds.observe(took.as_secs_f64());
    }

    /// Notes how long one pass of the controller took.
    pub fn ticked(&self, took: Duration) {
        self.tick_seconds.observe(took.as_secs_f64());
    }

    /// Counts an answered request and notes how long it took; `route` is a template, never a path.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.answers(method, route, status).add(took);
    }

    /// The series of requests that are answered so, for a route that is asked too often to look them up each time.
    pub fn answers(&self, method: &'static str, route: &str, status: u16) -> Answers {
        let status = status_text(status);
        let labels = [method, route, status.as_str()];
        Answers {
            requests: self.http_requests.with_label_values(&labels),
            seconds: self.http_seconds.with_label_values(&labels[..2]),
        }
    }

    /// Everything in Prometheus' text format, with what `board` says at this moment.
    ///
    /// Series of policies that are no longer on the board are dropped.
    pub fn render(&self, board: &Board) -> Result<String, Error> {
        // One scrape at a time: the gauges are filled and emptied for each.
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let present: BTreeSet<PolicyName> = board.policies.keys().cloned().collect();
        if *shown != present {
            let gone: BTreeSet<&str> = shown.difference(&present).map(PolicyName::as_str).collect();
            forget(&self.transitions, &gone);
            forget(&self.rollout_seconds, &gone);
            forget(&self.ended, &gone);
            forget(&self.assignments, &gone);
            forget(&self.observations, &gone);
            self.tracing.forget(&gone);
            self.notices.forget(&gone);
            *shown = present;
        }
        // From the start of a rollout on, so that its end is seen as an increase.
        for (policy, _) in board
            .policies
            .iter()
            .filter(|(_, status)| status.rollout.is_some())
        {
            for outcome in OUTCOMES {
                self.ended.with_label_values(&[policy.as_str(), outcome]);
            }
        }
        self.notices.show(board);
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        self.gauges.show(board, &mut text);
        Ok(text)
    }
}

/// The status as text without an allocation for those that Serin answers.
fn status_text(status: u16) -> StatusText {
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or_default();
    StatusText([digit(status / 100), digit(status / 10), digit(status)])
}

struct StatusText([u8; 3]);

impl StatusText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("000")
    }
}

/// Drops the series of policies that are gone.
fn forget<T: MetricVecBuilder>(series: &MetricVec<T>, gone: &BTreeSet<&str>) {
    for family in series.collect() {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> = metric
                .get_label()
                .iter()
                .map(|pair| (pair.name(), pair.value()))
                .collect();
            if labels.get("policy").is_some_and(|policy| gone.contains(policy)) {
                // Absent already is as good as removed.
                series.remove(&labels).ok();
            }
        }
    }
}

fn counter(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn work(name: &str, help: &str) -> Result<Histogram, Error> {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(WORK_SECONDS.to_vec()))
}

fn histogram(name: &str, help: &str, labels: &[&str], bounds: &[f64]) -> Result<HistogramVec, Error> {
    HistogramVec::new(HistogramOpts::new(name, help).buckets(bounds.to_vec()), labels)
}

#[cfg(test)]
mod tests;
