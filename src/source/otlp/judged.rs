//! What calls are worth: lines of observations, and what was served.

use super::facts::Call;
use super::held::Settled;
use crate::assignment::receipt::Receipt;
use crate::ids::PolicyName;
use crate::policy::{Feed, Metric, MetricKind};
use crate::source::attribute::World;
use crate::source::served::{Said, Servings};
use crate::store::Serving;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What became of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanOutcome {
    /// It is a call that counts for a rollout.
    Counted,
    /// It is no call of a model with a prompt; what it says of its trace is used.
    NoPrompt,
    /// Its application fell back on something else than the prompt.
    Fallback,
    /// Its trace has several versions of the prompt.
    Ambiguous,
    /// No policy compares what was served.
    Unmatched,
    /// No metric is fed by what it says.
    NoMetric,
    /// Its trace has too many calls.
    Overlooked,
    /// It cannot be read.
    Rejected,
}

impl SpanOutcome {
    /// The word in telemetry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::NoPrompt => "no_prompt",
            Self::Fallback => "fallback",
            Self::Ambiguous => "ambiguous",
            Self::Unmatched => "unmatched",
            Self::NoMetric => "no_metric",
            Self::Overlooked => "overlooked",
            Self::Rejected => "rejected",
        }
    }
}

/// What calls are worth.
#[derive(Debug, Default)]
pub struct Judged {
    /// Lines of observations. Their id is that of the span, so that one that is sent again is counted once.
    pub lines: Vec<String>,
    /// What was served, for scores to be matched with.
    pub servings: Vec<Serving>,
    /// What became of the calls.
    pub outcomes: BTreeMap<SpanOutcome, u64>,
}

/// Judges calls of traces that are settled.
pub fn judge(settled: &[Settled], world: &World<'_>) -> Judged {
    let judge = Judge {
        servings: Servings::new(world),
        world,
    };
    let mut judged = Judged::default();
    for trace in settled {
        for call in &trace.calls {
            let outcome = judge.call(trace, call, &mut judged);
            *judged.outcomes.entry(outcome).or_default() += 1;
        }
    }
    judged
}

struct Judge<'w> {
    servings: Servings<'w>,
    world: &'w World<'w>,
}

impl Judge<'_> {
    fn call(&self, settled: &Settled, call: &Call, judged: &mut Judged) -> SpanOutcome {
        if call.prompt.is_none() && settled.names_prompts {
            // Its receipt is for the calls that do name their prompt.
            return SpanOutcome::NoPrompt;
        }
        let served = self.served(settled, call);
        let is_fallback = settled.whole.is_fallback || call.version == Some(0);
        if !is_fallback {
            for (policy, receipt) in &served {
                judged.servings.push(Serving {
                    trace: settled.trace.to_string(),
                    observation: call.span.to_string(),
                    session: settled.whole.session.clone(),
                    policy: policy.clone(),
                    receipt: self.world.receipts.issue(receipt).as_str().to_owned(),
                });
            }
        }
        let is_ambiguous = call
            .prompt
            .as_ref()
            .is_some_and(|prompt| settled.ambiguous.contains(prompt));
        let lines = served
            .iter()
            .filter_map(|(policy, receipt)| self.line(settled, call, policy, receipt, is_fallback));
        let before = judged.lines.len();
        if !is_ambiguous {
            judged.lines.extend(lines);
        }
        match (is_fallback, is_ambiguous, judged.lines.len() > before) {
            (true, _, _) => SpanOutcome::Fallback,
            (false, true, _) => SpanOutcome::Ambiguous,
            (false, false, true) => SpanOutcome::Counted,
            (false, false, false) if served.is_empty() => SpanOutcome::Unmatched,
            (false, false, false) => SpanOutcome::NoMetric,
        }
    }

    /// What was served, by the call's own receipt, by those that its trace shows, else by what it says.
    fn served(&self, settled: &Settled, call: &Call) -> Vec<(PolicyName, Receipt)> {
        let trace = settled.trace.to_string();
        let said = Said {
            receipt: call.receipt.as_deref(),
            prompt: call.prompt.as_deref(),
            // A version that is a fallback's says nothing of the arm; the label may.
            version: call.version.filter(|version| *version > 0),
            label: call.label.as_deref(),
            tags: &settled.whole.tags,
            user: settled.whole.user.as_deref(),
            stranger: settled.whole.session.as_deref().unwrap_or(&trace),
        };
        let shown = settled.calls.iter().filter(|other| other.prompt.is_none());
        let shown = shown.filter_map(|other| other.receipt.as_deref());
        let by_trace: BTreeMap<PolicyName, Receipt> = shown
            .filter(|_| call.receipt.is_none())
            .flat_map(|receipt| {
                self.servings.of(Said {
                    receipt: Some(receipt),
                    ..Said::default()
                })
            })
            .filter(|(policy, _)| self.prompt_of(policy) == call.prompt.as_deref())
            .collect();
        if !by_trace.is_empty() {
            return by_trace.into_iter().collect();
        }
        self.servings.of(said)
    }

    fn prompt_of(&self, policy: &PolicyName) -> Option<&str> {
        let context = self.world.context(policy.as_str())?;
        Some(context.status.policy.prompt.as_str())
    }

    /// A line as if it had been pushed; none where the call says nothing that is measured. That of a
    /// fallback is left out, and counted as such for its arm.
    fn line(
        &self,
        settled: &Settled,
        call: &Call,
        policy: &PolicyName,
        receipt: &Receipt,
        is_fallback: bool,
    ) -> Option<String> {
        let context = self.world.context(policy.as_str())?;
        let metrics = context.running.metrics.iter();
        let metrics: Map<String, Value> = metrics
            .filter_map(|metric| Some((metric.name.to_string(), value(metric, call)?.into())))
            .collect();
        if metrics.is_empty() {
            return None;
        }
        let mut line = json!({
            "policy": policy.as_str(),
            "receipt": self.world.receipts.issue(receipt).as_str(),
            "metrics": metrics,
            "id": format!("span:{}:{}", settled.trace, call.span),
        });
        if is_fallback {
            line["version"] = json!(0);
        }
        Some(line.to_string())
    }
}

/// What the call says of a metric, in the unit that the metric's observations come in.
fn value(metric: &Metric, call: &Call) -> Option<f64> {
    let fact = match &metric.feed {
        Feed::Span(fact) => *fact,
        Feed::Observations | Feed::Evaluation(_) => return None,
    };
    let value = call.measures.get(fact)?;
    match metric.kind {
        MetricKind::Latency { unit, .. } => Some(value * unit.per_second()),
        MetricKind::Score { .. } | MetricKind::Rate | MetricKind::Amount { .. } => Some(value),
    }
}
