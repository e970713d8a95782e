//! Many rollouts at once, from the command line.

use super::world::{serin, serin_reading};
use serde_json::Value;

/// Minutes for hours, so that a run takes a fraction of a second.
const POLICY: &str = "apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  watch: 30s
  steps:
    - {exposure: 10%, bake: 1m, samples: 100}
    - {exposure: 100%, bake: 1m}
  analysis: {every: 1s, inconclusive: {after: 5m, then: pause}}
  metrics:
    - {name: faithfulness, kind: score, margin: 0.05, baseline: 0.8}
    - {name: latency, kind: latency, quantile: 90%, margin: 25%}
";

fn simulated(args: &str) -> super::world::Ran {
    let args: Vec<&str> = ["simulate", "-"].into_iter().chain(args.split(' ')).collect();
    serin_reading(POLICY, &[], &args)
}

#[test]
fn a_bad_candidate_is_taken_back() {
    let shown =
        simulated("--traffic 40/s --candidate-effect faithfulness=-0.1 latency=+10% --runs 20 --seed 7");
    insta::assert_snapshot!(shown.good());
}

#[test]
fn a_good_candidate_is_promoted() {
    let shown = simulated("--traffic 2400/m --runs 5 --users 3000 --icc 0.2 --activity-sigma 0.5");
    insta::assert_snapshot!(shown.good());
}

#[test]
fn figures_are_json_for_programs_and_a_seed_is_a_simulation() {
    let args =
        "--traffic 40/s --candidate-effect faithfulness=-10% --baseline latency=1s+-0.4 --runs 6 --json";
    let first = simulated(args).good();
    assert_eq!(simulated(args).good(), first);
    let other = simulated(&format!("{args} --seed 2")).json();
    let figures: Value = serde_json::from_str(&first).unwrap();
    assert_ne!(other["until_rollback"], figures["until_rollback"]);
    assert_eq!((&figures["runs"], &figures["seed"]), (&6.into(), &1.into()));
    assert_eq!(figures["rolled_back"]["count"], 6);
    let reasons = &figures["rollback_reasons"][0];
    assert_eq!(
        (&reasons["code"], &reasons["metric"]),
        (&"worse".into(), &"faithfulness".into())
    );
    assert_eq!(figures["effects"][0]["times"], 0.9);
    let until = |what: &str, at: &str| figures["until_rollback"][what][at].as_f64().unwrap();
    assert!(until("treated_users", "median") <= until("treated_users", "p90"));
    assert!(until("hours", "median") > 0.0);
    assert_eq!(figures["until_promotion"]["hours"], Value::Null);
}

#[test]
fn what_is_not_decided_in_time_is_undecided() {
    let figures = simulated("--traffic 1/s --horizon 1m --runs 3 --json").json();
    assert_eq!(
        (&figures["undecided"]["count"], &figures["out_of_time"]),
        (&3.into(), &3.into())
    );
    let paused = simulated("--traffic 1/s --runs 3 --json").json();
    assert_eq!(paused["pause_reasons"][0]["code"], "patience");
}

#[test]
fn what_cannot_be_simulated_is_a_usage_error() {
    for args in [
        "--runs 5",
        "--traffic 40/s --runs 0",
        "--traffic 1000000/s",
        "--traffic 40/s --icc 0.5",
        "--traffic 40/s --users 100 --icc 2",
        "--traffic 40/s --horizon 91d",
        "--traffic 40/s --candidate-effect other=1",
        "--traffic 40/s --candidate-effect faithfulness=+0.3",
        "--traffic 40/s --baseline faithfulness=0.8+-0.39",
    ] {
        let ran = simulated(args);
        assert_eq!(ran.code, 2, "{args}: {}", ran.page());
        assert!(ran.stderr.starts_with("error: "), "{args}: {}", ran.page());
    }
    assert_eq!(
        serin(&["simulate", "no-such-file.yaml", "--traffic", "40/s"]).code,
        2
    );
}
