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

#[test]
fn every_move_has_its_cause_and_its_numbers() {
    let rollout = json!({
        "id": "r17", "policy": "order-status-answer", "stable": 3, "candidate": 4,
        "phase": {"code": "rolled_back", "text": "rolled back: the candidate is worse in `faithfulness`"},
        "exposure": 0.0, "ladder": [0.05, 0.25, 1.0], "verdict": "fail",
        "stay": {"code": "ended", "text": "the rollout is over"}, "changedAt": "2026-11-21T12:31:01Z"
    });
    let worse = json!({"code": "verdict_failed", "text": "the candidate is worse in `faithfulness`"});
    let moved =
        |cause: Value, assessment: Value| json!({"code": "moved", "cause": cause, "assessment": assessment});
    let records = [
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
    let now = "2026-11-21T12:33:01Z".parse().unwrap();
    let shown = render(&view(&rollout).unwrap(), &records, &view(&evidence).unwrap(), now);
    insta::assert_snapshot!(anstream::adapter::strip_str(&shown).to_string(), @"
    order-status-answer r17  version 3 → 4
      rolled back: the candidate is worse in `faithfulness`
      ✗ 5% 25% 100%

    HISTORY
    2026-11-21 12:00:00 UTC  pending
      ann asked for it: shorter: much shorter
    2026-11-21 12:10:00 UTC  bob asked: cannot resume a rollout that is ramping: it is not paused
      their reason: go[2J on
    2026-11-21 12:31:00 UTC  step 1 → rolling back
      the candidate is worse in `faithfulness`
      verdict fail
        METRIC        ROLE       CONTROL       n  TREATMENT    n  DIFFERENCE  INTERVAL              MARGIN  VERDICT
        faithfulness  guardrail   0.8123  10,412     0.7511  512    -0.06120  [-0.09110, -0.03130]    0.02  fail
        cost          watched          –       0          –    0           –  [-∞, +∞]                   –  invalid
        EVIDENCE THAT  IT IS WORSE          IT IS HEALTHY           ITS LIMIT IS BROKEN
        faithfulness   164 (5.10)           0.0907 (-2.40 of 3.00)  1.35 (0.30 of 4.61)
        cost           –                    –                       –
        all together   70.1 (4.25 of 3.00)
    2026-11-21 12:31:01 UTC  label `canary` from version 4 to version 3: read back and confirmed
    2026-11-21 12:31:01 UTC  rolling back → rolled back
      the candidate is worse in `faithfulness`
      verdict fail, by the same numbers

    AT THE END
    since 2026-11-21 12:31:01 UTC (2 min)  rolled back: the candidate is worse in `faithfulness`
      verdict fail
        METRIC        ROLE       CONTROL       n  TREATMENT    n  DIFFERENCE  INTERVAL              MARGIN  VERDICT
        faithfulness  guardrail   0.8123  10,412     0.7511  513    -0.06120  [-0.09110, -0.03130]    0.02  fail
        cost          watched          –       0          –    0           –  [-∞, +∞]                   –  invalid
        EVIDENCE THAT  IT IS WORSE          IT IS HEALTHY           ITS LIMIT IS BROKEN
        faithfulness   164 (5.10)           0.0907 (-2.40 of 3.00)  1.35 (0.30 of 4.61)
        cost           –                    –                       –
        all together   70.1 (4.25 of 3.00)

    Differences are treatment - control, with an interval that holds however often one looks.
    E-values are written as `e (ln e of what it must reach)`. Evidence that the candidate is worse, over
    all guarded metrics together, rolls it back; so does evidence that a limit is broken. Evidence that a
    guardrail is healthy, no worse than its margin, lets it advance. Watched metrics only show.
    ");
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
