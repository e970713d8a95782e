//! What a span measured: times in seconds, counts of tokens, a cost.

use super::wire::{AttributeValue, Attributes as _, KeyValue, Span};
use crate::policy::SpanFact;
use jiff::Timestamp;
use serde_json::{Map, Value};

const FIRST_TOKEN_AT: [&str; 1] = ["langfuse.observation.completion_start_time"];
const FIRST_TOKEN: [&str; 3] = [
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
    "gen_ai.response.time_to_first_token",
];
const ERROR_TYPES: [&str; 1] = ["error.type"];
const LEVELS: [&str; 1] = ["langfuse.observation.level"];
/// JSON in a text: a count by kind of tokens.
const USAGES: [&str; 1] = ["langfuse.observation.usage_details"];
const INPUTS: [&str; 3] = [
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
];
const OUTPUTS: [&str; 3] = [
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
];
const TOTALS: [&str; 3] = [
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
];
/// JSON in a text: a cost by kind of tokens.
const COST_DETAILS: [&str; 1] = ["langfuse.observation.cost_details"];
const COSTS: [&str; 2] = ["gen_ai.usage.cost", "llm.cost.total"];

/// What was measured, each fact once; nothing is negative.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures(Vec<(SpanFact, f64)>);

impl Measures {
    /// The value of a fact: seconds, tokens, a cost, or 0 or 1.
    pub fn get(&self, fact: SpanFact) -> Option<f64> {
        let mut found = self.0.iter().filter(|(known, _)| *known == fact);
        found.next().map(|(_, value)| *value)
    }
}

pub(super) fn measures(span: &Span) -> Measures {
    let usage = details(&span.attributes, &USAGES);
    let costs = details(&span.attributes, &COST_DETAILS);
    let count = |kinds: &[&str], keys: &[&str]| {
        let detailed = usage.as_ref().and_then(|usage| number_of(usage, kinds));
        detailed.or_else(|| number(&span.attributes, keys))
    };
    let input = count(&["input", "input_tokens", "prompt_tokens"], &INPUTS);
    let output = count(&["output", "output_tokens", "completion_tokens"], &OUTPUTS);
    let both = || (input.is_some() || output.is_some()).then(|| input.unwrap_or(0.0) + output.unwrap_or(0.0));
    let cost = costs
        .as_ref()
        .and_then(|costs| number_of(costs, &["total"]).or_else(|| sum(costs)));
    let facts = [
        (SpanFact::Duration, duration(span)),
        (SpanFact::FirstToken, first_token(span)),
        (SpanFact::Error, Some(f64::from(u8::from(has_failed(span))))),
        (SpanFact::InputTokens, input),
        (SpanFact::OutputTokens, output),
        (
            SpanFact::TotalTokens,
            count(&["total", "total_tokens"], &TOTALS).or_else(both),
        ),
        (SpanFact::Cost, cost.or_else(|| number(&span.attributes, &COSTS))),
    ];
    let known = facts.into_iter().filter_map(|(fact, value)| Some((fact, value?)));
    Measures(known.filter(|(_, value)| *value >= 0.0).collect())
}

fn number(attributes: &[KeyValue], keys: &[&str]) -> Option<f64> {
    attributes.first_of(keys)?.number()
}

/// Numbers by name, in a text that is JSON.
fn details(attributes: &[KeyValue], keys: &[&str]) -> Option<Map<String, Value>> {
    serde_json::from_str(attributes.first_of(keys)?.text()?).ok()
}

fn number_of(details: &Map<String, Value>, kinds: &[&str]) -> Option<f64> {
    kinds.iter().find_map(|kind| details.get(*kind)?.as_f64())
}

fn sum(details: &Map<String, Value>) -> Option<f64> {
    let numbers: Vec<f64> = details.values().filter_map(Value::as_f64).collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum())
}

#[expect(clippy::cast_precision_loss, reason = "observations are 64-bit floats")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn duration(span: &Span) -> Option<f64> {
    let began = Some(span.start_time_unix_nano).filter(|began| *began > 0)?;
    span.end_time_unix_nano.checked_sub(began).map(seconds)
}

/// As the span says it, or by the moment at which the first token came.
fn first_token(span: &Span) -> Option<f64> {
    let at = span.attributes.first_of(&FIRST_TOKEN_AT);
    let waited = at.and_then(AttributeValue::text).and_then(|text| {
        // A date that was made JSON keeps its quotes.
        let at: Timestamp = text.trim_matches('"').parse().ok()?;
        let at = u64::try_from(at.as_nanosecond()).ok()?;
        at.checked_sub(span.start_time_unix_nano).map(seconds)
    });
    waited.or_else(|| number(&span.attributes, &FIRST_TOKEN))
}

fn has_failed(span: &Span) -> bool {
    let level = span.attributes.first_of(&LEVELS).and_then(AttributeValue::text);
    span.has_failed() || span.attributes.first_of(&ERROR_TYPES).is_some() || level == Some("ERROR")
}
