//! What a span says of the call of a model behind it: the first attribute that is there wins.
//!
//! The names are those of Langfuse's mapping of OpenTelemetry, of the semantic conventions for generative
//! AI (with older names of theirs), and of the libraries that instrument applications.

use super::measures::{Measures, measures};
use super::wire::{AttributeValue, Attributes as _, Event, Span};
use super::{ExportedSpan, wire::KeyValue};
use std::fmt;

/// Longest name of a prompt, in bytes; as for policies.
const PROMPT_BYTES_MAX: usize = 255;
/// Longest label, in bytes.
const LABEL_BYTES_MAX: usize = 36;
/// Longest receipt, in bytes.
const RECEIPT_BYTES_MAX: usize = 512;
/// Longest user key, in bytes; longer ones are none.
const USER_BYTES_MAX: usize = 256;
/// Longest name of a conversation, an environment or an evaluation, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Tags of a trace that are looked at.
const TAGS_MAX: usize = 32;
/// Evaluations of one span that are looked at.
const EVALUATIONS_MAX: usize = 64;

const RECEIPTS: [&str; 3] = [
    "serin.receipt",
    "langfuse.observation.metadata.serin_receipt",
    "langfuse.trace.metadata.serin_receipt",
];
const PROMPTS: [&str; 6] = [
    "langfuse.observation.prompt.name",
    "langfuse.prompt.name",
    "gen_ai.prompt.name",
    "promptlayer.prompt.name",
    "traceloop.prompt.key",
    "prompt.name",
];
const VERSIONS: [&str; 6] = [
    "langfuse.observation.prompt.version",
    "langfuse.prompt.version",
    "gen_ai.prompt.version",
    "promptlayer.prompt.version",
    "traceloop.prompt.version",
    "prompt.version",
];
const LABELS: [&str; 2] = [
    "langfuse.observation.metadata.prompt_label",
    "promptlayer.prompt.label",
];
const FLAG_KEYS: [&str; 1] = ["feature_flag.key"];
const FLAG_VARIANTS: [&str; 2] = ["feature_flag.result.variant", "feature_flag.variant"];
const VARIANTS: [&str; 1] = ["prompt.variant"];
const TRACE_LABELS: [&str; 1] = ["langfuse.trace.metadata.prompt_label"];
const TAGS: [&str; 1] = ["langfuse.trace.tags"];
const USERS: [&str; 2] = ["langfuse.user.id", "user.id"];
const SESSIONS: [&str; 3] = ["langfuse.session.id", "session.id", "gen_ai.conversation.id"];
const ENVIRONMENTS: [&str; 1] = ["langfuse.environment"];
/// Where an application says whence its prompt came; it is its registry's name, but for those below.
const FETCHED_FROM: [&str; 1] = ["app.prompt.fetch.source"];
const FALLBACKS: [&str; 3] = ["cache", "unavailable", "fallback"];
const FALLBACK_EVENT: &str = "prompt.cache_fallback";
/// What events of evaluations begin with.
const EVALUATION_EVENT: &str = "gen_ai.evaluation";
const EVALUATION_NAMES: [&str; 1] = ["gen_ai.evaluation.name"];
const EVALUATION_VALUES: [&str; 1] = ["gen_ai.evaluation.score.value"];
const EVALUATION_LABELS: [&str; 1] = ["gen_ai.evaluation.score.label"];

/// The id of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl From<[u8; 16]> for TraceId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a span says.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether it is the first one of its trace, which ends last.
    pub is_first: bool,
    /// What it says of the trace as a whole.
    pub whole: Whole,
    /// The call of a model that it is.
    pub call: Option<Call>,
    /// Evaluations of it.
    pub evaluations: Vec<Evaluation>,
    /// The environment of the application.
    pub environment: Option<String>,
}

/// What is said of a trace as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Whole {
    /// The user's key.
    pub user: Option<String>,
    /// The conversation.
    pub session: Option<String>,
    /// Words among which the label may be.
    pub tags: Vec<String>,
    /// Whether the application fell back on something else than the prompt that it asked for.
    pub is_fallback: bool,
}

/// A call of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The span.
    pub span: SpanId,
    /// The receipt of the assignment.
    pub receipt: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// Its version; 0 is a fallback of the application.
    pub version: Option<u64>,
    /// The label that it was fetched by, or the arm.
    pub label: Option<String>,
    /// What was measured.
    pub measures: Measures,
}

/// A judgement of what a model said.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Of what.
    pub name: String,
    /// How much.
    pub value: EvaluationValue,
}

/// How much.
#[derive(Debug, Clone, PartialEq)]
pub enum EvaluationValue {
    /// A number.
    Number(f64),
    /// A word.
    Word(String),
}

/// What a span says; none where its ids have other lengths than they should.
pub fn facts(exported: &ExportedSpan) -> Option<Facts> {
    let ExportedSpan { span, environment } = exported;
    let id = SpanId(span.span_id.as_slice().try_into().ok()?);
    let attributes = span.attributes.as_slice();
    let own = text(attributes, &ENVIRONMENTS, NAME_BYTES_MAX);
    Some(Facts {
        trace: <[u8; 16]>::try_from(span.trace_id.as_slice()).ok()?.into(),
        span: id,
        is_first: span.parent_span_id.iter().all(|byte| *byte == 0),
        whole: whole(span),
        call: call(span, id),
        evaluations: evaluations(span),
        environment: own.or_else(|| environment.clone().filter(|name| name.len() <= NAME_BYTES_MAX)),
    })
}

fn text(attributes: &[KeyValue], keys: &[&str], bytes_max: usize) -> Option<String> {
    let text = attributes.first_of(keys)?.text()?;
    (text.len() <= bytes_max).then(|| text.to_owned())
}

fn whole(span: &Span) -> Whole {
    let attributes = span.attributes.as_slice();
    let labels = attributes.first_of(&TRACE_LABELS).into_iter();
    let tags = labels.chain(attributes.first_of(&TAGS));
    let tags = tags.flat_map(AttributeValue::texts);
    let source = attributes.first_of(&FETCHED_FROM).and_then(AttributeValue::text);
    let is_event = |event: &Event| event.name == FALLBACK_EVENT;
    Whole {
        user: text(attributes, &USERS, USER_BYTES_MAX),
        session: text(attributes, &SESSIONS, NAME_BYTES_MAX),
        tags: tags
            .filter(|tag| tag.len() <= LABEL_BYTES_MAX)
            .take(TAGS_MAX)
            .map(str::to_owned)
            .collect(),
        is_fallback: source.is_some_and(|source| FALLBACKS.contains(&source))
            || span.events.iter().any(is_event),
    }
}

/// A span is a call where it names a prompt, or shows a receipt.
fn call(span: &Span, id: SpanId) -> Option<Call> {
    let attributes = span.attributes.as_slice();
    let receipt = text(attributes, &RECEIPTS, RECEIPT_BYTES_MAX);
    let prompt = text(attributes, &PROMPTS, PROMPT_BYTES_MAX);
    if receipt.is_none() && prompt.is_none() {
        return None;
    }
    let label = text(attributes, &LABELS, LABEL_BYTES_MAX)
        .or_else(|| variant(attributes, prompt.as_deref()?))
        .or_else(|| text(attributes, &VARIANTS, LABEL_BYTES_MAX));
    Some(Call {
        span: id,
        receipt,
        prompt,
        version: attributes.first_of(&VERSIONS).and_then(whole_number),
        label,
        measures: measures(span),
    })
}

/// The variant of a feature flag that has the prompt's name.
fn variant(attributes: &[KeyValue], prompt: &str) -> Option<String> {
    let flag = attributes.first_of(&FLAG_KEYS)?.text()?;
    (flag == prompt)
        .then(|| text(attributes, &FLAG_VARIANTS, LABEL_BYTES_MAX))
        .flatten()
}

/// A version; a text such as `v2.3.1` is none of the registry's numbers.
fn whole_number(value: &AttributeValue) -> Option<u64> {
    match value {
        AttributeValue::Whole(whole) => u64::try_from(*whole).ok(),
        AttributeValue::Text(text) => text.trim().parse().ok(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and in range"
        )]
        AttributeValue::Number(number)
            if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number) =>
        {
            Some(*number as u64)
        }
        AttributeValue::Number(_) | AttributeValue::Truth(_) | AttributeValue::List(_) => None,
    }
}

/// Evaluations stand in events, or are spans of their own.
fn evaluations(span: &Span) -> Vec<Evaluation> {
    let events = span.events.iter();
    let events = events.filter(|event| event.name.starts_with(EVALUATION_EVENT));
    let of_events = events.map(|event| event.attributes.as_slice());
    let all = std::iter::once(span.attributes.as_slice()).chain(of_events);
    all.filter_map(evaluation).take(EVALUATIONS_MAX).collect()
}

fn evaluation(attributes: &[KeyValue]) -> Option<Evaluation> {
    let number = attributes.first_of(&EVALUATION_VALUES);
    let number = number
        .and_then(AttributeValue::number)
        .map(EvaluationValue::Number);
    let word = || text(attributes, &EVALUATION_LABELS, NAME_BYTES_MAX).map(EvaluationValue::Word);
    Some(Evaluation {
        name: text(attributes, &EVALUATION_NAMES, NAME_BYTES_MAX)?,
        value: number.or_else(word)?,
    })
}
