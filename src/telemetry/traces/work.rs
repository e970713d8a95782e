//! Pieces of work and their parts: a tick or a command, with the verdicts, transitions and label moves in it.

use super::{Recorder, Told};
use crate::analysis::{Assessment, Evidence};
use crate::rollout::{Cause, LabelMove, LabelMoveOutcome, Phase, RolloutState, Transition, explain};
use crate::telemetry::board::evidence::word;
use jiff::Timestamp;
use opentelemetry::trace::{Span as _, SpanKind, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use std::sync::Arc;
use std::time::SystemTime;

/// A piece of work; its own span is made with its first part, and none is where nothing is to be told.
#[derive(Debug, Default)]
pub struct Work {
    recorder: Option<Arc<Recorder>>,
    name: &'static str,
    began: Timestamp,
    root: Option<Context>,
}

/// A span that others may be put below, also later on.
#[derive(Debug, Clone, Default)]
pub struct Parent(Option<Context>);

/// A move of a rollout.
#[derive(Debug)]
pub struct Change<'c> {
    /// The phase before; none where it begins.
    pub from: Option<&'c Phase>,
    /// The state after.
    pub to: &'c RolloutState,
    /// Why.
    pub cause: &'c Cause,
    /// The numbers that it rests on, where it rests on numbers.
    pub assessment: Option<&'c Assessment>,
}

impl<'c> From<&'c Transition> for Change<'c> {
    fn from(transition: &'c Transition) -> Self {
        Self {
            from: Some(&transition.from),
            to: &transition.to,
            cause: &transition.cause,
            assessment: transition.assessment.as_ref(),
        }
    }
}

/// An attempt to move a label.
#[derive(Debug)]
pub struct Moved<'m> {
    /// The registry that was asked.
    pub registry: &'m str,
    /// The move.
    pub label_move: &'m LabelMove,
    /// How often it was tried before.
    pub attempts: u32,
    /// When the attempt began.
    pub began: Timestamp,
    /// What came of it.
    pub outcome: &'m LabelMoveOutcome,
}

impl Work {
    pub(super) fn new(recorder: Option<Arc<Recorder>>, name: &'static str, began: Timestamp) -> Self {
        Self {
            recorder,
            name,
            began,
            root: None,
        }
    }

    /// The span of the whole, which is made when it is asked for first.
    fn root(&mut self, recorder: &Recorder) -> Context {
        let (name, began) = (self.name, self.began);
        let root = self.root.get_or_insert_with(|| {
            let mut whole = Told {
                name: name.into(),
                kind: SpanKind::Internal,
                began,
                attributes: Vec::new(),
                error: None,
            };
            Context::new().with_span(recorder.begin(&mut whole, &Context::new()))
        });
        root.clone()
    }

    /// Tells what the numbers of a rollout say now, where that is another verdict than `before`, or where
    /// something was observed and it is drawn.
    pub fn judged(&mut self, state: &RolloutState, now: &Assessment, before: Option<&Assessment>) {
        let Some(recorder) = self.recorder.clone() else {
            return;
        };
        let is_news = before.is_none_or(|before| is_other_verdict(before, now));
        let is_quiet = before.is_some_and(|before| before.metrics == now.metrics && before.data == now.data);
        if !is_news && (is_quiet || !recorder.draws()) {
            return;
        }
        let root = self.root(&recorder);
        let mut span = Told {
            name: "serin.judge".into(),
            kind: SpanKind::Internal,
            began: now.at,
            attributes: of_rollout(state),
            error: None,
        };
        let mut begun = recorder.begin(&mut span, &root);
        add_verdicts(&mut begun, state, now);
        begun.end_with_timestamp(recorder.clock.now().into());
    }

    /// Tells that a rollout moved, with the numbers that it rests on; what follows from it is put below.
    pub fn moved(&mut self, change: &Change<'_>, at: Timestamp) -> Parent {
        let Some(recorder) = self.recorder.clone() else {
            return Parent::default();
        };
        let root = self.root(&recorder);
        let mut attributes = of_rollout(change.to);
        attributes.extend([
            KeyValue::new("serin.cause", explain::cause_word(change.cause)),
            KeyValue::new("serin.reason", explain::cause(change.cause)),
        ]);
        let from = change.from.map(Phase::as_str);
        attributes.extend(from.map(|from| KeyValue::new("serin.phase.from", from)));
        let mut span = Told {
            name: "serin.transition".into(),
            kind: SpanKind::Internal,
            began: at,
            attributes,
            error: None,
        };
        let mut begun = recorder.begin(&mut span, &root);
        if let Some(assessment) = change.assessment {
            add_verdicts(&mut begun, change.to, assessment);
        }
        begun.end_with_timestamp(recorder.clock.now().into());
        Parent(Some(Context::new().with_span(begun)))
    }

    /// Tells of an attempt to move a label, below the transition that asked for it, where that is known.
    pub fn label_moved(&mut self, moved: &Moved<'_>, asked_by: &Parent) {
        let Some(recorder) = self.recorder.clone() else {
            return;
        };
        let (outcome, error) = match moved.outcome {
            LabelMoveOutcome::Confirmed => ("confirmed", None),
            LabelMoveOutcome::Foreign { .. } => ("foreign", None),
            LabelMoveOutcome::Superseded => ("superseded", None),
            LabelMoveOutcome::Failed { error } => ("failed", Some(error.clone())),
        };
        let LabelMove {
            prompt,
            label,
            from,
            to,
            rollout,
            generation,
            parents: _,
        } = moved.label_move;
        let mut attributes = vec![
            KeyValue::new("serin.rollout", rollout.to_string()),
            KeyValue::new("serin.generation", generation.to_string()),
            KeyValue::new("serin.registry", moved.registry.to_owned()),
            KeyValue::new("serin.prompt", prompt.to_string()),
            KeyValue::new("serin.label", label.to_string()),
            KeyValue::new("serin.version.to", i64::from(to.get())),
            KeyValue::new("serin.attempt", i64::from(moved.attempts) + 1),
            KeyValue::new("serin.outcome", outcome),
        ];
        attributes.extend(from.map(|from| KeyValue::new("serin.version.from", i64::from(from.get()))));
        let span = Told {
            name: "serin.label_move".into(),
            kind: SpanKind::Client,
            began: moved.began,
            attributes,
            error,
        };
        let parent = match &asked_by.0 {
            Some(parent) => parent.clone(),
            None => self.root(&recorder),
        };
        recorder.tell(span, &parent);
    }
}

impl Drop for Work {
    /// It is over.
    fn drop(&mut self) {
        if let (Some(recorder), Some(root)) = (&self.recorder, self.root.take()) {
            root.span()
                .end_with_timestamp(SystemTime::from(recorder.clock.now()));
        }
    }
}

fn is_other_verdict(before: &Assessment, now: &Assessment) -> bool {
    let verdict = |evidence: &Evidence| evidence.verdict;
    before.verdict != now.verdict
        || !before
            .metrics
            .iter()
            .map(verdict)
            .eq(now.metrics.iter().map(verdict))
}

fn of_rollout(state: &RolloutState) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("serin.policy", state.policy.to_string()),
        KeyValue::new("serin.rollout", state.id.to_string()),
        KeyValue::new("serin.phase", state.phase.as_str()),
        KeyValue::new("serin.version.stable", i64::from(state.stable.get())),
        KeyValue::new("serin.version.candidate", i64::from(state.candidate.get())),
    ];
    attributes.extend(step(state));
    attributes
}

/// The step that users are in, from 1.
fn step(state: &RolloutState) -> Option<KeyValue> {
    let step = i64::try_from(state.phase.step()?).ok()?;
    Some(KeyValue::new("serin.step", step + 1))
}

/// One event for all metrics together, and one for each.
fn add_verdicts(span: &mut opentelemetry_sdk::trace::Span, state: &RolloutState, assessment: &Assessment) {
    let at = SystemTime::from(assessment.at);
    let common = || {
        let mut attributes = vec![
            KeyValue::new("serin.policy", state.policy.to_string()),
            KeyValue::new("serin.rollout", state.id.to_string()),
        ];
        attributes.extend(step(state));
        attributes
    };
    let mut all = common();
    all.extend([
        KeyValue::new("serin.verdict", word(assessment.verdict)),
        number("serin.log_e.threshold", assessment.threshold),
        count("serin.treated", assessment.treated),
    ]);
    all.extend(
        assessment
            .log_e_combined
            .map(|log_e| number("serin.log_e.worse", log_e)),
    );
    all.extend(
        assessment
            .blame
            .as_ref()
            .map(|blame| KeyValue::new("serin.blame", blame.metric.to_string())),
    );
    span.add_event_with_timestamp("serin.verdict", at, all);
    for evidence in &assessment.metrics {
        let mut attributes = common();
        attributes.extend(of_metric(evidence, assessment));
        span.add_event_with_timestamp("serin.verdict", at, attributes);
    }
}

fn of_metric(evidence: &Evidence, assessment: &Assessment) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("serin.metric", evidence.metric.to_string()),
        KeyValue::new("serin.verdict", word(evidence.verdict)),
        number("serin.log_e.worse", evidence.log_e_worse),
        number("serin.log_e.threshold", assessment.threshold),
        number("serin.log_e.healthy", evidence.log_e_non_inferior),
        number("serin.log_e.threshold_healthy", assessment.threshold_non_inferior),
        count("serin.control.count", evidence.control.count),
        count("serin.treatment.count", evidence.treatment.count),
        KeyValue::new("serin.relative", evidence.relative),
    ];
    let optional = [
        ("serin.control.mean", evidence.control.mean),
        ("serin.treatment.mean", evidence.treatment.mean),
        ("serin.difference", evidence.difference),
        ("serin.interval.lower", evidence.interval.map(|(lower, _)| lower)),
        ("serin.interval.upper", evidence.interval.map(|(_, upper)| upper)),
        ("serin.margin", evidence.margin),
        ("serin.log_e.limit", evidence.log_e_limit),
        ("serin.log_e.past", evidence.past.map(|past| past.log_e)),
    ];
    let known = optional
        .into_iter()
        .filter_map(|(key, value)| Some(number(key, value?)));
    attributes.extend(known);
    attributes
}

fn number(key: &'static str, value: f64) -> KeyValue {
    KeyValue::new(key, value)
}

fn count(key: &'static str, count: u64) -> KeyValue {
    KeyValue::new(key, i64::try_from(count).unwrap_or(i64::MAX))
}
