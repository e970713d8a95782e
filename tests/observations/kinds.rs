//! Latencies and amounts, from the request to the evidence.

use crate::ndjson;
use crate::world::{Setting, World};
use serde_json::{Value, json};

/// The greeting's policy, with every way to compare latencies and amounts.
const TIMED: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting}
spec:
  prompt: team/greeting
  steps:
    - {exposure: 50%, bake: 1h, samples: 5}
    - {exposure: 100%, bake: 1h}
  analysis: {every: 1s}
  metrics:
    - {name: latency, kind: latency, quantile: 95%, margin: 10%, ceiling: 3s}
    - {name: first-token, kind: latency, unit: ms, quantiles: [50%, 99%], margin: 150ms}
    - {name: last-token, kind: latency, scale: log, margin: 10%}
    - {name: tokens, kind: amount, unit: tokens, margin: 5%}
    - {name: cost, kind: amount, unit: USD, scale: winsorised, cap: 0.5, margin: 5%, critical: true}
";

async fn world() -> World {
    let setting = Setting {
        policies: &[TIMED],
        ..Setting::default()
    };
    World::with(setting).await.with_rollout().await
}

fn line(arm: &str, user: usize, metrics: &Value) -> Value {
    json!({"policy": "greeting", "user": format!("u{user}"), "arm": arm, "metrics": metrics})
}

async fn evidence(world: &mut World) -> Vec<Value> {
    world.tick(2).await;
    let evidence = world.get("/v1/rollouts/r1/evidence").await.ok(200);
    evidence["assessment"]["metrics"].as_array().unwrap().clone()
}

#[tokio::test]
async fn values_out_of_range_are_refused_in_the_unit_that_they_come_in() {
    let world = world().await;
    let cases = [
        ("latency", json!(-0.1), "must be from 0 to 86400, in `s`"),
        ("latency", json!(86_401), "must be from 0 to 86400, in `s`"),
        (
            "first-token",
            json!(86_400_001),
            "must be from 0 to 86400000, in `ms`",
        ),
        ("tokens", json!(-1), "must be from 0 to 1000000000000000"),
        ("cost", json!(1e16), "must be from 0 to 1000000000000000"),
        ("cost", json!(true), "must be a number, not true or false"),
    ];
    for (metric, value, rule) in cases {
        let line = line("control", 1, &json!({metric: value}));
        let answer = world.observe(&ndjson(&[line])).await.json();
        let detail = answer["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with(rule), "{detail}");
    }
    let ends = json!({"latency": 0, "first-token": 86_400_000, "tokens": 0, "cost": 1e15});
    let answer = world.observe(&ndjson(&[line("control", 1, &ends)])).await.ok(200);
    assert_eq!(answer["accepted"], 1);
}

#[tokio::test]
async fn what_arrives_is_what_is_shown() {
    let mut world = world().await;
    for (number, arm, seconds) in [(1, "control", 1.0), (2, "treatment", 1.5)] {
        let lines: Vec<Value> = (0..50)
            .map(|user| {
                let metrics = json!({
                    "latency": seconds, "first-token": 400.0 * seconds, "last-token": 2.0 * seconds,
                    "tokens": 800.0 * seconds, "cost": 0.4 * seconds,
                });
                line(arm, 50 * number + user, &metrics)
            })
            .collect();
        world.observe(&ndjson(&lines)).await.ok(200);
    }
    let metrics = evidence(&mut world).await;
    let number = |metric: usize, path: &str| metrics[metric].pointer(path).and_then(Value::as_f64);
    let close = |found: Option<f64>, expected: f64| {
        let found = found.unwrap();
        assert!(
            (found / expected - 1.0).abs() < 0.011,
            "{found} is not {expected}"
        );
    };
    close(number(0, "/quantiles/0/quantile"), 0.95);
    close(number(0, "/quantiles/0/control"), 1.0);
    close(number(0, "/quantiles/0/treatment"), 1.5);
    close(number(1, "/quantiles/1/control"), 0.4);
    close(number(1, "/treatment/mean"), 0.6);
    close(number(2, "/control/mean"), 2.0);
    close(number(3, "/treatment/mean"), 1_200.0);
    close(number(4, "/treatment/mean"), 0.5);
    let clipped = |metric: usize| metrics[metric]["treatment"]["clipped"].clone();
    assert_eq!((clipped(3), clipped(4)), (json!(0), json!(50)));
    let relative: Vec<_> = metrics.iter().map(|metric| metric["relative"].clone()).collect();
    assert_eq!(relative, [false, false, true, true, false]);
}

#[tokio::test]
async fn a_slower_candidate_is_taken_back_and_latency_is_blamed() {
    let mut world = world().await;
    for second in 0..60 {
        let lines: Vec<Value> = (0..40)
            .map(|user| {
                // A uniform second, from a Weyl sequence, twice as long in treatment.
                let turn = (second * 40 + user) as f64 * 0.618_033_988_749_894_9;
                let (arm, times) = if user % 2 == 0 {
                    ("control", 1.0)
                } else {
                    ("treatment", 2.0)
                };
                let user = usize::try_from(second * 40 + user).unwrap();
                line(arm, user, &json!({"latency": (0.2 + turn.fract()) * times}))
            })
            .collect();
        world.observe(&ndjson(&lines)).await.ok(200);
        world.tick(1).await;
    }
    let rollout = world.get("/v1/rollouts/r1").await.ok(200);
    let text = rollout["phase"]["text"].as_str().unwrap();
    assert!(text.ends_with("the candidate is worse in `latency`"), "{text}");
}

#[tokio::test]
async fn the_policy_says_what_is_compared() {
    let world = world().await;
    let policy = world.get("/v1/policies/greeting").await.ok(200);
    let metrics = policy["metrics"].as_array().unwrap();
    let field = |name: &str| -> Vec<&Value> { metrics.iter().map(|metric| &metric[name]).collect() };
    assert_eq!(
        field("statistic"),
        [
            "quantiles",
            "quantiles",
            "log_mean",
            "log_mean",
            "winsorised_mean"
        ]
    );
    assert_eq!(
        field("unit"),
        [
            &json!("s"),
            &json!("s"),
            &json!("s"),
            &json!("tokens"),
            &json!("USD")
        ]
    );
    assert_eq!(metrics[1]["observed"], "ms");
    assert_eq!(metrics[1]["quantiles"], json!([0.5, 0.99]));
    assert_eq!(
        field("marginOf"),
        ["control", "value", "control", "control", "control"]
    );
    assert_eq!(
        (&metrics[4]["cap"], &metrics[4]["critical"]),
        (&json!(0.5), &json!(true))
    );
    assert_eq!(
        (&metrics[0]["limit"], &metrics[0]["max"]),
        (&json!(3.0), &json!(86_400.0))
    );
}
