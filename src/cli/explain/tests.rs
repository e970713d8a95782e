use super::*;
use serde_json::{Value, json};

fn assessment(treated: u64) -> Value {
    let arm = |count: u64, mean: f64| json!({"count": count, "mean": mean, "lastSeen": null});
    json!({
        "verdict": "fail", "logECombined": 4.25, "threshold": 2.9957, "thresholdNonInferior": 2.9957,
        "thresholdLimit": 4.6052,
        "metrics": [
            {
                "metric": "faithfulness", "role": "guardrail", "control": arm(10_412, 0.8123),
                "treatment": arm(treated, 0.7511), "difference": -0.0612,
                "interval": {"lower": -0.0911, "upper": -0.0313}, "margin": 0.02, "logEWorse": 5.1,
                "logENonInferior": -2.4, "logELimit": 0.3, "verdict": "fail"
            },
            {
                "metric": "cost", "role": "watched", "control": {"count": 0, "mean": null},
                "treatment": {"count": 0, "mean": null}, "difference": null,
                "interval": {"lower": null, "upper": null}, "margin": null, "logEWorse": null,
                "logENonInferior": null, "logELimit": null, "verdict": "invalid"
            }
        ]
    })
}

fn record(at: &str, event: Value, text: &str) -> AuditRecord {
    view(&json!({"at": at, "event": event, "text": text})).unwrap()
}

/// A rollout that was taken back, with its history and its numbers at the end.
fn story() -> (Rollout, Vec<AuditRecord>, Evidence) {
    let rollout = json!({
        "id": "r17", "policy": "order-status-answer", "stable": 3, "candidate": 4,
        "phase": {"code": "rolled_back", "text": "rolled back: the candidate is worse in `faithfulness`"},
        "exposure": 0.0, "ladder": [0.05, 0.25, 1.0], "verdict": "fail",
        "stay": {"code": "ended", "text": "the rollout is over"}, "startedAt": "2026-11-21T12:00:00Z",
        "changedAt": "2026-11-21T12:31:01Z"
    });
    let worse = json!({"code": "verdict_failed", "text": "the candidate is worse in `faithfulness`"});
    let moved =
        |cause: Value, assessment: Value| json!({"code": "moved", "cause": cause, "assessment": assessment});
    let records = vec![
        record(
            "2026-11-21T12:00:00Z",
            moved(
                json!({"code": "operator", "text": "ann asked for it: shorter: much shorter"}),
                Value::Null,
            ),
            "pending: ann asked for it: shorter: much shorter",
        ),
        record(
            "2026-11-21T12:10:00Z",
            json!({"code": "refused", "command": "resume", "actor": "bob", "reason": "go\u{1b}[2J on", "refusal": "…"}),
            "bob asked: cannot resume a rollout that is ramping: it is not paused",
        ),
        record(
            "2026-11-21T12:31:00Z",
            moved(worse.clone(), assessment(512)),
            "step 1 → rolling back: the candidate is worse in `faithfulness`",
        ),
        record(
            "2026-11-21T12:31:01Z",
            json!({"code": "label_move", "label": "canary", "outcome": {"code": "confirmed"}}),
            "label `canary` from version 4 to version 3: read back and confirmed",
        ),
        record(
            "2026-11-21T12:31:01Z",
            moved(worse, assessment(512)),
            "rolling back → rolled back: the candidate is worse in `faithfulness`",
        ),
    ];
    let evidence = json!({"assessment": assessment(513)});
    (view(&rollout).unwrap(), records, view(&evidence).unwrap())
}

#[test]
fn every_move_has_its_cause_and_its_numbers() {
    let (rollout, records, evidence) = story();
    let now = "2026-11-21T12:33:01Z".parse().unwrap();
    let shown = render(&rollout, &records, &evidence, now);
    insta::assert_snapshot!(anstream::adapter::strip_str(&shown).to_string());
}

#[test]
fn the_same_is_there_for_an_incident_report() {
    let (rollout, records, evidence) = story();
    insta::assert_snapshot!(markdown::render(&rollout, &records, &evidence));
}

#[test]
fn before_the_first_tick_there_are_no_numbers() {
    let rollout = json!({
        "id": "r1", "policy": "greeting", "stable": 1, "candidate": 2,
        "phase": {"code": "pending", "text": "waiting for its gates, nobody is in treatment"},
        "exposure": 0.0, "ladder": null, "verdict": null,
        "stay": {"code": "approval", "text": "waiting for approval to start: 0 of 1 given"},
        "changedAt": "2026-11-21T12:31:01Z"
    });
    let evidence = json!({"assessment": null});
    let now = "2026-11-21T12:33:01Z".parse().unwrap();
    let shown = render(&view(&rollout).unwrap(), &[], &view(&evidence).unwrap(), now);
    insta::assert_snapshot!(anstream::adapter::strip_str(&shown).to_string(), @"
    greeting r1  version 1 → 2
      waiting for its gates, nobody is in treatment
      waiting for approval to start: 0 of 1 given

    HISTORY

    NOW
    since 2026-11-21 12:31:01 UTC (2 min)  waiting for its gates, nobody is in treatment
      waiting for approval to start: 0 of 1 given
      no tick is closed yet: there are no numbers
    ");
}

#[test]
fn what_is_tried_again_and_again_is_said_once() {
    let rollout = json!({
        "id": "r1", "policy": "greeting", "stable": 1, "candidate": 2,
        "phase": {"code": "rolling_back", "text": "being rolled back: …"}, "exposure": 0.0, "ladder": null,
        "verdict": null, "stay": null, "changedAt": "2026-11-21T12:31:01Z"
    });
    let failed = json!({"code": "label_move", "label": "canary", "outcome": {"code": "failed"}});
    let records: Vec<AuditRecord> = (10..50)
        .map(|minute| {
            record(
                &format!("2026-11-21T12:{minute}:00Z"),
                failed.clone(),
                "label `canary`: failed",
            )
        })
        .collect();
    let evidence = view(&json!({"assessment": null})).unwrap();
    let now = "2026-11-21T13:00:00Z".parse().unwrap();
    let shown = render(&view(&rollout).unwrap(), &records, &evidence, now);
    let shown = anstream::adapter::strip_str(&shown).to_string();
    assert_eq!(shown.matches("label `canary`: failed").count(), 1);
    assert!(
        shown.contains("\n  the same 39 times more, last at 2026-11-21 12:49:00 UTC\n"),
        "{shown}"
    );
}
