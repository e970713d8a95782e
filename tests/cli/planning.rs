//! What is foretold of a rollout before it begins.

use super::world::{serin, serin_reading};
use serde_json::Value;

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/order-status-answer.yaml");

/// A policy whose patience is shorter than its proof at a low traffic.
const HASTY: &str = "apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: hasty}
spec:
  prompt: hasty
  steps:
    - {exposure: 1%, bake: 10m, samples: 10}
    - {exposure: 100%, bake: 10m}
  analysis: {inconclusive: {after: 12h, then: rollBack}}
  metrics:
    - {name: score, kind: score, margin: 0.01}
";

#[test]
fn a_plan_shows_steps_regressions_and_what_was_assumed() {
    let shown = serin(&[
        "plan",
        POLICY,
        "--traffic",
        "40/s",
        "--observations-per-user",
        "3",
        "--activity-cv",
        "1",
        "--icc",
        "0.3",
        "--baseline",
        "faithfulness=0.86+-0.13",
        "latency=800ms",
        "errors=1%",
    ]);
    insta::assert_snapshot!(shown.good());
}

#[test]
fn a_plan_says_what_stands_in_the_way() {
    let shown = serin_reading(
        HASTY,
        &[],
        &[
            "plan",
            "-",
            "--traffic",
            "60/m",
            "--regression",
            "score=-0.002",
            "score=-10%",
        ],
    );
    insta::assert_snapshot!(shown.good());
}

#[test]
fn a_plan_is_json_for_programs() {
    let plan = serin(&[
        "plan",
        POLICY,
        "--traffic",
        "144000/h",
        "--regression",
        "faithfulness=-0.05",
        "--regression",
        "latency=x1.25",
        "--json",
    ])
    .json();
    assert_eq!(plan["policy"], "order-status-answer");
    assert_eq!(plan["steps"].as_array().unwrap().len(), 4);
    assert_eq!(plan["steps"][0]["waits_for"]["code"], "bake");
    let hours: f64 = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["hours"].as_f64().unwrap())
        .sum();
    assert_eq!(plan["hours"].as_f64(), Some(hours));
    let [score, latency] = &plan["regressions"].as_array().unwrap()[..] else {
        panic!("{plan:#}")
    };
    assert_eq!(
        (&score["change"]["by"], &latency["change"]["times"]),
        (&Value::from(-0.05), &1.25.into())
    );
    for regression in [score, latency] {
        let outcome = &regression["outcome"];
        assert_eq!(
            (&outcome["code"], &outcome["median"]["step"]),
            (&"caught".into(), &1.into())
        );
        let users = |at: &str| outcome[at]["treated_users"].as_f64().unwrap();
        assert!(users("median") < users("p90"));
    }
}

#[test]
fn what_cannot_be_planned_is_a_usage_error() {
    for args in [
        &["--traffic", "40"][..],
        &["--traffic", "40/s", "--icc", "2"],
        &["--traffic", "40/s", "--observations-per-user", "0"],
        &["--traffic", "40/s", "--baseline", "nothing=1"],
        &["--traffic", "40/s", "--baseline", "errors=0.01"],
        &["--traffic", "40/s", "--baseline", "faithfulness=0.8±0.7"],
        &["--traffic", "40/s", "--baseline", "errors=1%", "errors=2%"],
        &["--traffic", "40/s", "--regression", "faithfulness=+0.05"],
        &["--traffic", "40/s", "--regression", "faithfulness"],
        &["--traffic", "40/s", "--regression", "faithfulness=-1pp"],
    ] {
        let ran = serin(&[&["plan", POLICY], args].concat());
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.page());
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {}", ran.page());
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    let refused = serin_reading("kind: [", &[], &["plan", "-", "--traffic", "40/s"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("SRN004"), "{}", refused.page());
    let missing = serin(&["plan", "no-such-file.yaml", "--traffic", "40/s"]);
    assert_eq!(missing.code, 2, "{}", missing.page());
}

/// The codes that `serin lint` finds in a policy with this traffic.
fn codes(policy: &str, traffic: &str) -> Vec<String> {
    let ran = serin_reading(policy, &[], &["lint", "-", "--traffic", traffic, "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.page());
    let problems: Value = serde_json::from_str(&ran.stdout).unwrap();
    let problems = problems.as_array().unwrap().iter();
    problems
        .map(|problem| problem["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn lint_warns_of_what_the_traffic_cannot_show() {
    assert_eq!(codes(HASTY, "400/s"), ["SRN923"]);
    assert_eq!(codes(HASTY, "1/s"), ["SRN921", "SRN923", "SRN925"]);
    let rare = "{name: score, kind: rate, better: lower, margin: 0.1pp, baseline: 0.1%}";
    let rare = HASTY.replace("{name: score, kind: score, margin: 0.01}", rare);
    assert_eq!(codes(&rare, "1/s"), ["SRN922", "SRN923", "SRN925"]);
    assert_eq!(codes(HASTY, "20/h"), ["SRN922", "SRN923", "SRN924"]);
    let ran = serin_reading(HASTY, &[], &["lint", "-", "--traffic", "1/s"]);
    insta::assert_snapshot!(ran.good());
    let strict = ["lint", "-", "--traffic", "1/s", "--deny-warnings"];
    assert_eq!(serin_reading(HASTY, &[], &strict).code, 1);
    assert_eq!(
        serin_reading(HASTY, &[], &["lint", "-", "--deny-warnings"]).code,
        0
    );
}
