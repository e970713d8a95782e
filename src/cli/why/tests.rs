use super::*;

fn change(at: &str, label: &str, to: Option<u32>, reason: &str) -> LabelChange {
    view(&json!({
        "label": label, "from": null, "to": to, "at": at, "actor": "anna", "reason": reason, "rollout": null,
    }))
    .unwrap()
}

/// Newest first, as the journal is read.
fn journal() -> Vec<LabelChange> {
    vec![
        change("2026-11-21T15:00:00Z", "production", Some(14), "promotion of r7"),
        change("2026-11-21T12:00:00Z", "canary", None, "tidied up"),
        change("2026-11-20T09:00:00Z", "canary", Some(14), "shorter"),
        change("2026-11-20T09:00:00Z", "canary", Some(14), "shorter, again"),
        change("2026-10-01T08:00:00Z", "production", Some(13), "first"),
    ]
}

#[test]
fn a_stay_ends_where_the_next_begins() {
    let told: Vec<String> = tenure::tenures("embedded", &journal())
        .iter()
        .map(|stay| {
            let until = stay.until.as_deref().unwrap_or("now");
            format!(
                "{} {} {} to {until}: {}",
                stay.label, stay.version, stay.from, stay.reason
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "canary 14 2026-11-20T09:00:00Z to 2026-11-21T12:00:00Z: shorter, again",
            "production 14 2026-11-21T15:00:00Z to now: promotion of r7",
            "production 13 2026-10-01T08:00:00Z to 2026-11-21T15:00:00Z: first",
        ]
    );
}

fn rollout(candidate: u32, began: &str, phase: &str) -> Rollout {
    view(&json!({
        "id": "r7", "policy": "answer", "stable": 13, "candidate": candidate,
        "phase": {"code": phase, "text": "the candidate is the stable version"}, "exposure": null,
        "stay": null, "startedAt": began, "changedAt": "2026-11-21T16:00:00Z", "ladder": null, "verdict": null,
    }))
    .unwrap()
}

fn metric(name: &str, verdict: &str, past: Value) -> Value {
    json!({
        "metric": name, "role": "guardrail", "control": {"count": 10_000, "mean": 0.8125},
        "treatment": {"count": 9_000, "mean": 0.8015}, "difference": -0.011,
        "interval": {"lower": -0.018, "upper": -0.004}, "margin": 0.02, "logEWorse": 3.0,
        "logENonInferior": 4.0, "logELimit": null, "past": past, "verdict": verdict,
    })
}

#[test]
fn a_rollout_speaks_for_its_candidate_while_it_ran() {
    let stays = tenure::tenures("embedded", &journal());
    let concerned = |candidate, began, phase| {
        let comparison = Comparison::new(rollout(candidate, began, phase), Vec::new()).unwrap();
        let concerned = stays.iter().filter(|stay| comparison.concerns(stay));
        concerned.map(|stay| stay.label.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        concerned(14, "2026-11-20T09:00:01Z", "promoted"),
        ["canary", "production"]
    );
    assert_eq!(concerned(14, "2026-11-21T13:00:00Z", "ramping"), ["production"]);
    assert_eq!(concerned(12, "2026-11-20T09:00:01Z", "promoted"), [""; 0]);
}

#[test]
fn each_guarded_metric_is_answered() {
    let past = json!({"limit": 0.79, "treated": 4_211, "logE": -3.0, "threshold": 5.3});
    let metrics = vec![
        metric("faithfulness", "pass", past),
        metric("errors", "fail", Value::Null),
        metric("tone", "inconclusive", Value::Null),
    ];
    let comparison = Comparison::new(rollout(14, "2026-11-20T09:00:01Z", "promoted"), metrics).unwrap();
    let mut stays = tenure::tenures("embedded", &journal());
    for stay in stays.iter_mut().filter(|stay| comparison.concerns(stay)) {
        stay.comparisons.push(comparison.clone());
    }
    let page = anstream::adapter::strip_str(&page::render("answer", None, &stays)).to_string();
    insta::assert_snapshot!(page);
    assert!(page::render("answer", Some(9), &[]).contains("version 9 has never held a label"));
}

/// A rollout of a policy whose registry keeps no journal: promoted, moved by a foreign hand, and taken back.
#[test]
fn rollouts_tell_where_labels_were_where_nothing_else_does() {
    let policy: PolicyPrompt = view(&json!({
        "name": "answer", "prompt": "answer", "registry": "ours",
        "control": {"label": "production"}, "treatment": {"label": "canary"},
    }))
    .unwrap();
    let at = |minute: u32| format!("2026-11-20T09:{minute:02}:00Z");
    let moved = |minute, cause: Value, text: &str| json!({"at": at(minute), "event": {"code": "moved", "cause": cause}, "text": text});
    let label = |minute, label: &str, to: u32, outcome: &str| {
        let outcome = json!({"code": outcome});
        json!({"at": at(minute), "event": {"code": "label_move", "label": label, "to": to, "outcome": outcome}})
    };
    let records = [
        moved(
            0,
            json!({"code": "candidate_appeared", "by": "ann"}),
            "pending: ann moved the label",
        ),
        moved(
            1,
            json!({"code": "verdict_passed"}),
            "step 1 → promoting: every guardrail passed",
        ),
        label(2, "production", 14, "failed"),
        label(3, "production", 14, "confirmed"),
        moved(
            4,
            json!({"code": "foreign_move", "label": "canary", "found": null, "by": null}),
            "paused",
        ),
        moved(
            5,
            json!({"code": "operator", "actor": "bob"}),
            "watching → rolling back: bob asked for it",
        ),
        label(6, "production", 13, "confirmed"),
        label(6, "canary", 13, "confirmed"),
    ];
    let mut told = journal::Told::default();
    told.rollout(&policy, &rollout(14, &at(0), "rolled_back"), &records);
    let lines: Vec<String> = told
        .changes
        .iter()
        .map(|change| {
            let place =
                |version: Option<u32>| version.map_or("–".to_owned(), |version| version.to_string());
            let (from, to) = (place(change.from), place(change.to));
            format!(
                "{} {} {from} → {to}, {}: {}",
                &change.at[14..16],
                change.label,
                change.actor,
                change.reason
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    00 production – → 13, somebody: found so when r7 began
    00 canary – → 14, ann: pending: ann moved the label
    03 production 13 → 14, serin: step 1 → promoting: every guardrail passed
    04 canary 14 → –, somebody: by a foreign hand
    06 production 14 → 13, bob: watching → rolling back: bob asked for it
    06 canary – → 13, bob: watching → rolling back: bob asked for it
    ");
}

#[test]
fn every_registry_of_the_prompt_is_told() {
    let policy = |name: &str, registry: &str| -> PolicyPrompt {
        view(&json!({
            "name": name, "prompt": "answer", "registry": registry,
            "control": {"label": "production"}, "treatment": {"label": "canary"},
        }))
        .unwrap()
    };
    let policies = [policy("a", "ours"), policy("b", "embedded"), policy("c", "ours")];
    assert_eq!(registries(&policies), BTreeSet::from(["embedded", "ours"]));
    assert_eq!(registries(&[]), BTreeSet::from(["embedded"]));
    let mut stays = tenure::tenures("embedded", &journal()[4..]);
    stays.extend(tenure::tenures("ours", &journal()[..1]));
    let page = anstream::adapter::strip_str(&page::render("answer", None, &stays)).to_string();
    for heading in ["\nproduction  in embedded\n", "\nproduction  in ours\n"] {
        assert!(page.contains(heading), "{page}");
    }
}
