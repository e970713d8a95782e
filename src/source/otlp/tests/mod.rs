//! Recorded exports of real SDKs, and exports of which a part is wrong.

mod facts;
mod held;

use super::*;
use serde_json::{Value, json};

const AB: &[u8] = include_bytes!("../../../../tests/conformance/otlp/seed1-ab.bin");
const AB_JSON: &[u8] = include_bytes!("../../../../tests/conformance/otlp/seed1-ab.json");
const ERROR: &[u8] = include_bytes!("../../../../tests/conformance/otlp/seed1-error-fallback.bin");
const ERROR_JSON: &[u8] = include_bytes!("../../../../tests/conformance/otlp/seed1-error-fallback.json");
const VARIANT: &[u8] = include_bytes!("../../../../tests/conformance/otlp/seed2-variant.bin");
const VARIANT_JSON: &[u8] = include_bytes!("../../../../tests/conformance/otlp/seed2-variant.json");
const PYTHON_4: &[u8] = include_bytes!("../../../../tests/conformance/otlp/langfuse-sdk-py4.bin");
const PYTHON_5: &[u8] = include_bytes!("../../../../tests/conformance/otlp/langfuse-sdk-py5.bin");

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

fn json_export(spans: Value) -> Export {
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
    read(body.to_string().as_bytes(), Encoding::Json).unwrap()
}

fn texts<'s>(export: &'s Export, key: &str) -> Vec<&'s str> {
    let spans = export.spans.iter();
    spans
        .filter_map(|exported| exported.span.attributes.first_of(&[key])?.text())
        .collect()
}

#[test]
fn both_encodings_of_recorded_exports_say_the_same() {
    for (binary, text, spans) in [
        (AB, AB_JSON, 6),
        (ERROR, ERROR_JSON, 6),
        (VARIANT, VARIANT_JSON, 2),
    ] {
        let binary = read(binary, Encoding::Protobuf).unwrap();
        let text = read(text, Encoding::Json).unwrap();
        assert_eq!(binary.spans, text.spans);
        assert_eq!(binary.spans.len(), spans);
        assert_eq!((binary.rejected.count(), text.rejected.count()), (0, 0));
    }
}

#[test]
fn a_recorded_export_is_read_in_full() {
    let export = read(AB, Encoding::Protobuf).unwrap();
    let name = "langfuse.observation.prompt.name";
    assert_eq!(texts(&export, name), ["order-status-answer"; 2]);
    assert_eq!(
        texts(&export, "session.id"),
        ["conv_00", "conv_00", "conv_01", "conv_01"]
    );
    let call = &export.spans[0];
    assert_eq!(call.environment.as_deref(), Some("production"));
    let span = &call.span;
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 20_262_724);
    let version = ["langfuse.observation.prompt.version"];
    assert_eq!(
        span.attributes.first_of(&version),
        Some(&AttributeValue::Whole(1))
    );
    let tags = export.spans[2].span.attributes.first_of(&["langfuse.trace.tags"]);
    assert_eq!(
        tags.unwrap().texts(),
        ["order-status", "prompt-ab-test", "prod-a"]
    );
    assert!(!span.has_failed());

    let export = read(ERROR, Encoding::Protobuf).unwrap();
    assert!(export.spans[0].span.has_failed());
    assert_eq!(export.spans[4].span.events[0].name, "prompt.cache_fallback");
}

#[test]
fn exports_of_langfuse_sdks_name_their_prompt() {
    for recorded in [PYTHON_4, PYTHON_5] {
        let export = read(recorded, Encoding::Protobuf).unwrap();
        let name = "langfuse.observation.prompt.name";
        assert_eq!(texts(&export, name), ["order-status-answer"]);
    }
}

#[test]
fn a_span_that_is_wrong_is_refused_alone() {
    let good = json!({"traceId": TRACE, "spanId": "eee19b7ec3c1b174"});
    let export = json_export(json!([
        good,
        {"traceId": TRACE, "spanId": "eee19b7ec3c1b1"},
        {"traceId": "0".repeat(32), "spanId": "eee19b7ec3c1b174"},
        {"traceId": "xyz", "spanId": "eee19b7ec3c1b174"},
        {"traceId": TRACE, "spanId": "eee19b7ec3c1b174", "startTimeUnixNano": {}},
        7,
        good,
    ]));
    assert_eq!((export.spans.len(), export.rejected.count()), (2, 5));
    assert_eq!(
        export.rejected.to_string(),
        "3 refused: no span can be read there; 1 refused: the trace id must be 16 bytes, not all of them \
         zero; 1 refused: the span id must be 8 bytes, not all of them zero"
    );
}

#[test]
fn a_span_of_bytes_that_is_wrong_is_refused_alone() {
    // Two resources with a span each: of the second one, the span's id is cut off in the middle.
    let span = |bytes: &[u8]| [&[0x0a, 16], [1; 16].as_slice(), bytes].concat();
    let wrapped = |tag: u8, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
    let export_of = |span: Vec<u8>| wrapped(0x0a, &wrapped(0x12, &wrapped(0x12, &span)));
    let good = span(&[0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let body = [export_of(good), export_of(span(&[0x12, 8, 1]))].concat();
    let export = read(&body, Encoding::Protobuf).unwrap();
    assert_eq!((export.spans.len(), export.rejected.count()), (1, 1));
    assert_eq!(export.spans[0].span.span_id, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn json_is_read_by_the_rules_of_otlp() {
    let export = json_export(json!([{
        "traceId": TRACE.to_uppercase(), "spanId": "EEE19B7EC3C1B174", "parentSpanId": null,
        "startTimeUnixNano": "18446744073709551615", "endTimeUnixNano": 12, "droppedEventsCount": 1,
        "trace_state": "snake case is not a key", "status": null, "events": null,
        "attributes": [
            {"key": "whole", "value": {"intValue": "-3"}},
            {"key": "plain", "value": {"intValue": 4}},
            {"key": "double", "value": {"doubleValue": 2.5}},
            {"key": "endless", "value": {"doubleValue": "Infinity"}},
            {"key": "map", "value": {"kvlistValue": {"values": []}}},
            {"key": "absent"},
        ],
    }]));
    let span = &export.spans[0].span;
    assert_eq!(span.start_time_unix_nano, u64::MAX);
    assert_eq!(span.end_time_unix_nano, 12);
    assert!(span.parent_span_id.is_empty() && !span.has_failed());
    let number = |key| span.attributes.first_of(&[key]).and_then(AttributeValue::number);
    assert_eq!(
        (number("whole"), number("plain"), number("double")),
        (Some(-3.0), Some(4.0), Some(2.5))
    );
    for key in ["endless", "map", "absent"] {
        assert_eq!(number(key), None, "{key}");
    }
}

#[test]
fn bodies_that_are_no_exports_are_refused_whole() {
    for (body, encoding) in [
        (&b"{}{}"[..], Encoding::Json),
        (b"[1]", Encoding::Json),
        (b"{\"resourceSpans\": 3}", Encoding::Json),
        (b"\x0a\xff", Encoding::Protobuf),
        (b"{}", Encoding::Protobuf),
    ] {
        read(body, encoding).unwrap_err();
    }
    for (body, encoding) in [(&b""[..], Encoding::Protobuf), (b"{}", Encoding::Json)] {
        assert_eq!(read(body, encoding).unwrap().spans, []);
    }
}

#[test]
fn bounds_refuse_what_is_beyond_them() {
    let attribute = json!({"key": "k", "value": {"boolValue": true}});
    let span = |attributes: usize| json!({"traceId": TRACE, "spanId": "eee19b7ec3c1b174", "attributes": vec![attribute.clone(); attributes]});
    let export = json_export(json!([
        span(ATTRIBUTES_PER_SPAN_MAX),
        span(ATTRIBUTES_PER_SPAN_MAX + 1)
    ]));
    assert_eq!((export.spans.len(), export.rejected.count()), (1, 1));
    let export = json_export(json!(vec![span(0); SPANS_PER_EXPORT_MAX + 3]));
    assert_eq!(
        (export.spans.len(), export.rejected.count()),
        (SPANS_PER_EXPORT_MAX, 3)
    );
    assert_eq!(
        export.rejected.to_string(),
        "3 refused: more than 20000 spans: send fewer at once"
    );
}

#[test]
fn answers_say_how_many_were_refused() {
    let none = Rejected::default();
    assert_eq!(answer::accepted(&none, Encoding::Protobuf), b"");
    assert_eq!(answer::accepted(&none, Encoding::Json), b"{}");
    let some = json_export(json!([1, 2])).rejected;
    let text: Value = serde_json::from_slice(&answer::accepted(&some, Encoding::Json)).unwrap();
    let message = "2 refused: no span can be read there";
    assert_eq!(
        text,
        json!({"partialSuccess": {"rejectedSpans": "2", "errorMessage": message}})
    );
    let binary = answer::accepted(&some, Encoding::Protobuf);
    // Field 1, a message: field 1 is the number 2, field 2 the text.
    let inner = [
        &[0x08, 2, 0x12, u8::try_from(message.len()).unwrap()],
        message.as_bytes(),
    ]
    .concat();
    assert_eq!(binary[2..], inner);
    assert_eq!(usize::from(binary[1]), inner.len());
    let status = answer::refused(3, "no", Encoding::Protobuf);
    assert_eq!(status, [8, 3, 0x12, 2, b'n', b'o']);
    let status: Value = serde_json::from_slice(&answer::refused(3, "no", Encoding::Json)).unwrap();
    assert_eq!(status, json!({"code": 3, "message": "no"}));
}

#[test]
fn media_types_may_have_parameters() {
    let of = Encoding::of_media_type;
    assert_eq!(of("application/x-protobuf"), Some(Encoding::Protobuf));
    assert_eq!(of("Application/JSON; charset=utf-8"), Some(Encoding::Json));
    assert_eq!(of("text/plain"), None);
}
