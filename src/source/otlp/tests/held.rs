//! Which calls are held, and until when.

use super::*;
use crate::source::otlp::facts::{Facts, TraceId, facts};
use crate::source::otlp::held::{
    CALLS_HELD_MAX, CALLS_PER_TRACE_MAX, FIRST_SPAN_WAIT, Settled, SpanTraces, TRACE_KEPT, TRACES_KEPT_MAX,
};
use jiff::{SignedDuration, Timestamp};

const START: Timestamp = Timestamp::UNIX_EPOCH;

/// What a span of a trace says: the first one where its number is 0, else a call with this version.
fn span(trace: u32, number: u32, version: i64) -> Facts {
    let attributes = if number == 0 {
        json!([{"key": "user.id", "value": {"stringValue": format!("user-{trace}")}}])
    } else {
        json!([
            {"key": "prompt.name", "value": {"stringValue": "p"}},
            {"key": "prompt.version", "value": {"intValue": version}},
        ])
    };
    let parent = if number == 0 { "" } else { "00000000000000ff" };
    let span = json!({
        "traceId": format!("{:032x}", trace + 1), "spanId": format!("{:016x}", number + 1),
        "parentSpanId": parent, "attributes": attributes,
    });
    facts(&json_export(json!([span])).spans[0]).unwrap()
}

/// The user of each trace that is settled, and how many calls it has.
fn shown(settled: &[Settled]) -> Vec<(Option<&str>, usize)> {
    let shown = settled.iter();
    shown
        .map(|trace| (trace.whole.user.as_deref(), trace.calls.len()))
        .collect()
}

#[test]
fn calls_wait_for_the_first_span_of_their_trace() {
    let mut traces = SpanTraces::default();
    assert!(traces.hear(span(1, 1, 1), START));
    assert!(traces.hear(span(2, 1, 1), START));
    assert!(traces.hear(span(1, 2, 1), START));
    assert_eq!(traces.settle(START, false), []);
    assert_eq!(traces.calls_held(), 3);
    assert!(traces.hear(span(1, 0, 0), START));
    assert_eq!(shown(&traces.settle(START, false)), [(Some("user-1"), 2)]);
    assert_eq!(traces.calls_held(), 1);
    // What is late finds what was known; what is sent again is not handed on again.
    assert!(traces.hear(span(1, 2, 1), START));
    assert_eq!(traces.settle(START, false), []);
    assert!(traces.hear(span(1, 3, 1), START));
    assert_eq!(shown(&traces.settle(START, false)), [(Some("user-1"), 1)]);
}

#[test]
fn the_first_span_is_not_waited_for_for_ever() {
    let mut traces = SpanTraces::default();
    assert!(traces.hear(span(1, 1, 1), START));
    let nearly = START + FIRST_SPAN_WAIT - SignedDuration::from_secs(1);
    assert!(traces.hear(span(2, 1, 1), nearly));
    assert_eq!(traces.settle(nearly, false), []);
    assert_eq!(shown(&traces.settle(START + FIRST_SPAN_WAIT, false)), [(None, 1)]);
    assert_eq!(shown(&traces.settle(nearly, true)), [(None, 1)]);
    assert_eq!(traces.calls_held(), 0);
}

#[test]
fn several_versions_make_a_trace_ambiguous() {
    let mut traces = SpanTraces::default();
    for version in [1, 1, 0] {
        assert!(traces.hear(span(1, u32::try_from(version).unwrap() + 1, version), START));
    }
    assert!(traces.hear(span(1, 0, 0), START));
    assert!(traces.settle(START, false)[0].ambiguous.is_empty());
    // The second version comes late: it is known to be one of two.
    assert!(traces.hear(span(1, 7, 2), START));
    let settled = traces.settle(START, false);
    assert_eq!(settled[0].ambiguous, ["p".to_owned()].into());
}

#[test]
fn what_could_not_be_counted_is_held_again() {
    let mut traces = SpanTraces::default();
    assert!(traces.hear(span(1, 1, 1), START));
    assert!(traces.hear(span(1, 0, 0), START));
    let settled = traces.settle(START, false);
    assert_eq!(traces.calls_held(), 0);
    traces.restore(settled.clone());
    assert_eq!(traces.calls_held(), 1);
    // The exporter sends it again meanwhile.
    assert!(traces.hear(span(1, 1, 1), START));
    assert_eq!(traces.settle(START, false), settled);
    assert_eq!((traces.calls_held(), traces.settle(START, false)), (0, vec![]));
}

#[test]
fn the_oldest_make_room() {
    let mut traces = SpanTraces::default();
    for number in 1..=u32::try_from(CALLS_PER_TRACE_MAX).unwrap() {
        assert!(traces.hear(span(1, number, 1), START));
    }
    assert!(!traces.hear(span(1, 100_000, 1), START));
    assert!(traces.hear(span(1, 1, 1), START));
    assert_eq!(traces.calls_held(), CALLS_PER_TRACE_MAX);

    let mut traces = SpanTraces::default();
    let mut call = span(1, 1, 1);
    let other = span(2, 1, 1);
    let mut later = START;
    let mut crowd = (10_u128..).map(|number| TraceId::from(number.to_be_bytes()));
    for _ in 0..TRACES_KEPT_MAX {
        call.trace = crowd.next().unwrap();
        assert!(traces.hear(call.clone(), later));
        later += SignedDuration::from_nanos(1);
    }
    assert_eq!(traces.calls_held(), TRACES_KEPT_MAX);
    assert!(traces.hear(other.clone(), later));
    assert_eq!(traces.settle(later, false).len(), 1);
    let much_later = later + TRACE_KEPT + SignedDuration::from_secs(1);
    assert!(traces.hear(other, much_later));
    assert_eq!(traces.settle(later, false).len(), TRACES_KEPT_MAX);
    assert_eq!(traces.calls_held(), 1);
}

#[test]
fn no_more_calls_are_held_than_there_is_room_for() {
    let per_trace = u32::try_from(CALLS_PER_TRACE_MAX).unwrap();
    let calls: Vec<Facts> = (1..=per_trace).map(|number| span(1, number, 1)).collect();
    let mut traces = SpanTraces::default();
    let crowd = CALLS_HELD_MAX / CALLS_PER_TRACE_MAX + 2;
    for number in 1..=crowd as u128 {
        for call in &calls {
            let trace = TraceId::from(number.to_be_bytes());
            assert!(traces.hear(
                Facts {
                    trace,
                    ..call.clone()
                },
                START
            ));
        }
    }
    assert!(traces.calls_held() > CALLS_HELD_MAX);
    let settled = traces.settle(START, false);
    assert_eq!(settled.len(), 2);
    assert_eq!(settled[0].trace, TraceId::from(1_u128.to_be_bytes()));
    assert!(traces.calls_held() <= CALLS_HELD_MAX);
}
