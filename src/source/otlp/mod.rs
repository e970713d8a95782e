//! Exports of OpenTelemetry: from the bytes of a request to spans, each read by itself.
//!
//! OTLP 1.9, "OTLP/HTTP" and "JSON Protobuf Encoding": messages `ExportTraceServiceRequest` and
//! `ExportTraceServiceResponse` of `opentelemetry/proto/collector/trace/v1`. Spans are cut out of the
//! request before they are read, so that one that cannot be read is refused alone, which the answer
//! says as a partial success.

pub mod answer;
pub mod facts;
pub mod held;
mod json;
pub mod judged;
mod measures;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub use self::measures::Measures;
pub use self::wire::{AttributeValue, Attributes, Event, Span};

/// Most spans of one export; further ones are refused.
pub const SPANS_PER_EXPORT_MAX: usize = 20_000;
/// Most attributes of one span, those of its events among them; a span with more is refused.
pub const ATTRIBUTES_PER_SPAN_MAX: usize = 1_024;

/// How an export is written, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protocol Buffers.
    Protobuf,
    /// JSON, as OTLP has it: ids in hexadecimal, 64-bit numbers as text.
    Json,
}

impl Encoding {
    /// The encoding of a media type, whatever its parameters.
    pub fn of_media_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        [Self::Protobuf, Self::Json]
            .into_iter()
            .find(|encoding| essence.eq_ignore_ascii_case(encoding.media_type()))
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// An export of which no span can be told apart.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no Protocol Buffers message of this kind.
    #[error("the body is no `ExportTraceServiceRequest`: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// It is no such message in JSON.
    #[error("the body is no `ExportTraceServiceRequest` in JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The spans of an export.
#[derive(Debug, Default)]
pub struct Export {
    /// Those that can be read, in order.
    pub spans: Vec<ExportedSpan>,
    /// Those that cannot.
    pub rejected: Rejected,
}

/// A span, and where the application that made it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedSpan {
    /// The span.
    pub span: Span,
    /// The environment that its resource names, such as `production`.
    pub environment: Option<String>,
}

/// Why a span is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rejection {
    Malformed,
    TraceId,
    SpanId,
    Attributes,
    Spans,
}

/// The spans that are refused, by reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rejected(BTreeMap<Rejection, u64>);

impl Rejected {
    fn note(&mut self, rejection: Rejection) {
        *self.0.entry(rejection).or_default() += 1;
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Rejected {
    /// What is wrong, for whoever reads the exporter's log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (rejection, spans)) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{spans} refused: ")?;
            match rejection {
                Rejection::Malformed => f.write_str("no span can be read there")?,
                Rejection::TraceId => f.write_str("the trace id must be 16 bytes, not all of them zero")?,
                Rejection::SpanId => f.write_str("the span id must be 8 bytes, not all of them zero")?,
                Rejection::Attributes => write!(f, "more than {ATTRIBUTES_PER_SPAN_MAX} attributes")?,
                Rejection::Spans => write!(f, "more than {SPANS_PER_EXPORT_MAX} spans: send fewer at once")?,
            }
        }
        Ok(())
    }
}

/// Reads an export; refuses it whole only when its spans cannot be told apart.
///
/// # Errors
///
/// The body is not what `encoding` says.
pub fn read(body: &[u8], encoding: Encoding) -> Result<Export, Unreadable> {
    let mut export = Export::default();
    match encoding {
        Encoding::Protobuf => wire::read(body, &mut export)?,
        Encoding::Json => json::read(body, &mut export)?,
    }
    Ok(export)
}

impl Export {
    /// Takes a span in, or refuses it; `read` is asked only while there is room.
    fn add(&mut self, environment: Option<&str>, read: impl FnOnce() -> Option<Span>) {
        let seen = u64::try_from(self.spans.len())
            .unwrap_or(u64::MAX)
            .saturating_add(self.rejected.count());
        let judged = if seen >= SPANS_PER_EXPORT_MAX as u64 {
            Err(Rejection::Spans)
        } else {
            read().ok_or(Rejection::Malformed).and_then(checked)
        };
        match judged {
            Ok(span) => self.spans.push(ExportedSpan {
                span,
                environment: environment.map(str::to_owned),
            }),
            Err(rejection) => self.rejected.note(rejection),
        }
    }
}

fn checked(span: Span) -> Result<Span, Rejection> {
    let is_id = |id: &[u8], bytes: usize| id.len() == bytes && id.iter().any(|byte| *byte != 0);
    if !is_id(&span.trace_id, 16) {
        return Err(Rejection::TraceId);
    }
    if !is_id(&span.span_id, 8) {
        return Err(Rejection::SpanId);
    }
    let of_events: usize = span.events.iter().map(|event| event.attributes.len()).sum();
    if span.attributes.len().saturating_add(of_events) > ATTRIBUTES_PER_SPAN_MAX {
        return Err(Rejection::Attributes);
    }
    Ok(span)
}
