//! What spans say.

use super::*;
use crate::policy::SpanFact;
use crate::source::otlp::facts::{Call, EvaluationValue, Facts, facts};

/// The facts of a span with these attributes, each a key and a value.
fn said(attributes: Value, more: Value) -> Facts {
    let attributes: Vec<Value> = attributes.as_object().unwrap().iter().map(attribute).collect();
    let mut span = json!({
        "traceId": TRACE, "spanId": "eee19b7ec3c1b174", "parentSpanId": "eee19b7ec3c1b173",
        "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2500000000", "attributes": attributes,
    });
    span.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    facts(&json_export(json!([span])).spans[0]).unwrap()
}

fn attribute((key, value): (&String, &Value)) -> Value {
    let value = match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        Value::Array(texts) => {
            let values: Vec<Value> = texts.iter().map(|text| json!({"stringValue": text})).collect();
            json!({"arrayValue": {"values": values}})
        }
        Value::Bool(_) | Value::Null | Value::Object(_) => panic!("{value} is no attribute here"),
    };
    json!({"key": key, "value": value})
}

fn call(attributes: Value) -> Call {
    said(attributes, json!({})).call.unwrap()
}

fn measured(attributes: Value, fact: SpanFact) -> Option<f64> {
    let mut named = json!({"prompt.name": "p"});
    named
        .as_object_mut()
        .unwrap()
        .extend(attributes.as_object().unwrap().clone());
    call(named).measures.get(fact)
}

#[test]
fn recorded_exports_say_what_they_should() {
    let export = read(AB, Encoding::Protobuf).unwrap();
    let said: Vec<Facts> = export.spans.iter().map(|span| facts(span).unwrap()).collect();
    assert_eq!(
        said.iter().map(|facts| facts.is_first).collect::<Vec<_>>(),
        [false, false, true, false, false, true]
    );
    assert_eq!(said[0].trace.to_string(), "c44ec2b46710c825931222ec9d0b0c52");
    assert_eq!(said[0].span.to_string(), "63dd3606932e93c3");
    let call = said[0].call.as_ref().unwrap();
    assert_eq!(
        (call.prompt.as_deref(), call.version, call.label.as_deref()),
        (Some("order-status-answer"), Some(1), Some("prod-a"))
    );
    for (fact, value) in [
        (SpanFact::Duration, 0.020_262_724),
        (SpanFact::Error, 0.0),
        (SpanFact::InputTokens, 412.0),
        (SpanFact::OutputTokens, 57.0),
        (SpanFact::TotalTokens, 469.0),
        (SpanFact::Cost, 0.0016),
    ] {
        assert_eq!(call.measures.get(fact), Some(value), "{fact:?}");
    }
    assert_eq!(call.measures.get(SpanFact::FirstToken), None);
    let whole = &said[2].whole;
    assert_eq!(
        (whole.user.as_deref(), whole.session.as_deref()),
        (Some("usr_prompt_ab_00"), Some("conv_00"))
    );
    assert_eq!(whole.tags, ["order-status", "prompt-ab-test", "prod-a"]);
    assert_eq!(said[2].call, None);
    assert_eq!(said[2].environment.as_deref(), Some("production"));

    let export = read(ERROR, Encoding::Protobuf).unwrap();
    let said: Vec<Facts> = export.spans.iter().map(|span| facts(span).unwrap()).collect();
    let failed = said[0].call.as_ref().unwrap().measures.get(SpanFact::Error);
    assert_eq!(failed, Some(1.0));
    let fallbacks: Vec<bool> = said.iter().map(|facts| facts.whole.is_fallback).collect();
    assert_eq!(fallbacks, [false, false, false, false, true, false]);

    let export = read(VARIANT, Encoding::Protobuf).unwrap();
    let call = facts(&export.spans[1]).unwrap().call.unwrap();
    assert_eq!(
        (call.prompt.as_deref(), call.version, call.label.as_deref()),
        (Some("customer-support-system"), Some(2), Some("treatment"))
    );
    for recorded in [PYTHON_4, PYTHON_5] {
        let export = read(recorded, Encoding::Protobuf).unwrap();
        let facts = facts(&export.spans[0]).unwrap();
        let call = facts.call.unwrap();
        assert!(facts.is_first);
        assert_eq!(call.prompt.as_deref(), Some("order-status-answer"));
        assert!(call.version.is_some_and(|version| version > 0));
        assert_eq!(call.measures.get(SpanFact::TotalTokens), Some(15.0));
        assert_eq!(call.measures.get(SpanFact::Cost), Some(0.001));
    }
}

#[test]
fn the_first_name_that_is_there_wins() {
    let both = call(json!({
        "prompt.name": "private", "gen_ai.prompt.name": "semantic", "prompt.version": 9,
        "gen_ai.prompt.version": "4", "langfuse.user.id": "anna",
    }));
    assert_eq!(
        (both.prompt.as_deref(), both.version),
        (Some("semantic"), Some(4))
    );
    let flag = |key: &str| {
        call(json!({"prompt.name": "p", "feature_flag.key": key, "feature_flag.result.variant": "canary"}))
            .label
    };
    assert_eq!(flag("p").as_deref(), Some("canary"));
    assert_eq!(flag("another flag"), None);
    for (version, number) in [
        (json!("v2.3.1"), None),
        (json!(-1), None),
        (json!(3.0), Some(3)),
        (json!(3.5), None),
        (json!(0), Some(0)),
    ] {
        let found = call(json!({"prompt.name": "p", "prompt.version": version})).version;
        assert_eq!(found, number, "{version}");
    }
    let said = said(json!({"user.id": "ben", "langfuse.user.id": "anna"}), json!({}));
    assert_eq!((said.whole.user.as_deref(), said.call), (Some("anna"), None));
}

#[test]
fn what_is_too_long_is_not_said() {
    let long = "x".repeat(300);
    let said = said(
        json!({"prompt.name": long, "user.id": long, "session.id": long, "langfuse.trace.tags": [long, "t"]}),
        json!({}),
    );
    assert_eq!(
        (said.call, said.whole.user, said.whole.session),
        (None, None, None)
    );
    assert_eq!(said.whole.tags, ["t"]);
}

#[test]
fn measures_come_in_many_spellings() {
    let first_token = "langfuse.observation.completion_start_time";
    for (attributes, fact, value) in [
        (json!({}), SpanFact::Duration, Some(1.5)),
        (
            json!({first_token: "\"1970-01-01T00:00:01.25Z\""}),
            SpanFact::FirstToken,
            Some(0.25),
        ),
        (
            json!({first_token: "1969-01-01T00:00:00Z"}),
            SpanFact::FirstToken,
            None,
        ),
        (
            json!({"gen_ai.response.time_to_first_chunk": 0.5}),
            SpanFact::FirstToken,
            Some(0.5),
        ),
        (
            json!({"langfuse.observation.level": "ERROR"}),
            SpanFact::Error,
            Some(1.0),
        ),
        (json!({"error.type": "TimeoutError"}), SpanFact::Error, Some(1.0)),
        (
            json!({"langfuse.observation.usage_details": "{\"input\": 7}", "gen_ai.usage.output_tokens": 3}),
            SpanFact::TotalTokens,
            Some(10.0),
        ),
        (
            json!({"langfuse.observation.usage_details": "{\"input\": 7, \"total\": 9}"}),
            SpanFact::TotalTokens,
            Some(9.0),
        ),
        (
            json!({"llm.token_count.prompt": 5}),
            SpanFact::InputTokens,
            Some(5.0),
        ),
        (
            json!({"gen_ai.usage.input_tokens": -5}),
            SpanFact::InputTokens,
            None,
        ),
        (
            json!({"langfuse.observation.cost_details": "{\"input\": 0.25, \"output\": 0.5}"}),
            SpanFact::Cost,
            Some(0.75),
        ),
        (
            json!({"langfuse.observation.cost_details": "no JSON", "llm.cost.total": "0.5"}),
            SpanFact::Cost,
            Some(0.5),
        ),
        (json!({}), SpanFact::Cost, None),
    ] {
        assert_eq!(measured(attributes.clone(), fact), value, "{attributes}");
    }
    let backwards = said(json!({"prompt.name": "p"}), json!({"endTimeUnixNano": "1"}));
    let duration = backwards.call.unwrap().measures.get(SpanFact::Duration);
    assert_eq!(duration, None);
}

#[test]
fn evaluations_are_events_or_spans() {
    let event = |attributes: Value| {
        let attributes: Vec<Value> = attributes.as_object().unwrap().iter().map(attribute).collect();
        json!({"name": "gen_ai.evaluation.result", "attributes": attributes})
    };
    let events = json!([
        event(json!({"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": 0.75})),
        event(json!({"gen_ai.evaluation.name": "kind", "gen_ai.evaluation.score.label": "yes"})),
        event(json!({"gen_ai.evaluation.score.value": 1})),
        {"name": "exception", "attributes": []},
    ]);
    let own = json!({"gen_ai.evaluation.name": "own", "gen_ai.evaluation.score.value": 1});
    let found = said(own, json!({"events": events})).evaluations;
    let found: Vec<_> = found.into_iter().map(|found| (found.name, found.value)).collect();
    assert_eq!(
        found,
        [
            ("own".to_owned(), EvaluationValue::Number(1.0)),
            ("tone".to_owned(), EvaluationValue::Number(0.75)),
            ("kind".to_owned(), EvaluationValue::Word("yes".to_owned())),
        ]
    );
}
