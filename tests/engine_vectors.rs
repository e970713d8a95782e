//! The decision engine against the traces of the specification: every figure, every verdict.
//!
//! `engine_trace` holds single metrics, `engine_multi` several together. Both run through the same
//! [`Engine`] as production; a test of a fixed limit is a metric without a comparison.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use jiff::SignedDuration;
use serde_json::Value;
use serin::analysis::bins::LogBin;
use serin::analysis::engine::Engine;
use serin::analysis::reading::Reading;
use serin::analysis::settings::{
    ContrastPlan, ContrastSettings, EnginePlan, HarmUnit, LimitSettings, MetricPlan, MixturePoint,
    QuantileSettings, Statistic, TestSettings,
};
use serin::analysis::{ArmTallies, ClusterTally, Headcount, Observation, Tally, TickTally, Verdict};
use serin::ids::{Cluster, MetricName, Tick};
use serin::policy::{Alpha, Better, Quantile, Role};
use std::collections::BTreeMap;

/// Tolerances of ENGINE section 8: relative for figures and for logarithms beyond 1.
const RELATIVE: f64 = 1e-9;
const ABSOLUTE: f64 = 1e-12;

#[test]
fn single_metrics_match_every_figure() {
    for file in ["engine_trace.public.json", "engine_edge.json"] {
        for trace in traces(file) {
            single(&trace);
        }
    }
}

#[test]
fn several_metrics_match_every_figure() {
    for trace in traces("engine_multi.public.json") {
        several(&trace);
    }
}

/// The traces of quantiles once more, from values in bins: half of the edge and twice the edge.
#[test]
fn quantiles_match_every_figure_through_bins() {
    let edge = LogBin::of(1.0);
    let all = traces("engine_trace.public.json");
    let of_quantiles = all
        .iter()
        .filter(|trace| trace["settings"]["kind"] == "quantile_exceedance");
    let mut seen = 0;
    for trace in of_quantiles {
        let name = MetricName::new("metric").unwrap();
        let mut plan = EnginePlan {
            alpha: alpha(&trace["settings"]["alpha"]),
            silence_max: SignedDuration::MAX,
            metrics: vec![metric_plan("metric", 1.0, &trace["settings"])],
        };
        let Some(ContrastPlan::Values(exceedance)) = plan.metrics[0].contrast.take() else {
            panic!("the trace has two arms")
        };
        plan.metrics[0].contrast = Some(ContrastPlan::Quantiles(vec![QuantileSettings {
            quantile: Quantile::from_ppm(950_000).unwrap(),
            seed: Some(edge),
            control_min: u64::MAX,
            exceedance,
            moved: None,
        }]));
        let mut engine = Engine::from_plan(plan.clone());
        let id = &trace["id"];
        run(
            &mut engine,
            &plan,
            trace,
            |tick| BTreeMap::from([(name.clone(), binned(&arms(tick), edge))]),
            |engine, expected| {
                let at = format!("{id} in bins after tick {}", expected["after_tick"]);
                assert_reading(&at, engine.contrast(&name).unwrap(), expected);
            },
        );
        seen += 1;
    }
    assert!(seen > 0, "no trace is of quantiles");
}

/// Exceedances as values: `s` of each cluster's `n` lie above the edge.
fn binned(arms: &ArmTallies, edge: LogBin) -> ArmTallies {
    let of_arm = |exceedances: &Tally| {
        let mut tally = Tally::default();
        for (&cluster, part) in &exceedances.clusters {
            for index in 0..part.count {
                #[expect(clippy::cast_precision_loss, reason = "the traces' counts are far below 2^53")]
                let above = (index as f64) < part.sum;
                let value = edge.upper_edge() * if above { 2.0 } else { 0.5 };
                let bin = Some(LogBin::of(value));
                let clipped = false;
                tally.add(cluster, Observation { value, bin, clipped });
            }
        }
        tally
    };
    ArmTallies {
        control: of_arm(&arms.control),
        treatment: of_arm(&arms.treatment),
    }
}

fn traces(file: &str) -> Vec<Value> {
    let path = format!(
        "{}/tests/conformance/statistics/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(vectors["format"], 1, "{file}");
    let Value::Array(traces) = vectors["traces"].take() else {
        panic!("{file} has no traces")
    };
    assert!(!traces.is_empty(), "{file} is empty");
    traces
}

fn single(trace: &Value) {
    let id = trace["id"].as_str().unwrap();
    let name = MetricName::new("metric").unwrap();
    let settings = &trace["settings"];
    let plan = EnginePlan {
        alpha: alpha(&settings["alpha"]),
        silence_max: SignedDuration::MAX,
        metrics: vec![metric_plan("metric", 1.0, settings)],
    };
    let mut engine = Engine::from_plan(plan.clone());
    run(
        &mut engine,
        &plan,
        trace,
        |tick| BTreeMap::from([(name.clone(), arms(tick))]),
        |engine, expected| {
            let at = format!("{id} after tick {}", expected["after_tick"]);
            let reading = engine.contrast(&name).or(engine.limit(&name)).unwrap();
            assert_reading(&at, reading, expected);
            let rolled_back = engine.conclusion().verdict == Verdict::Fail;
            assert_eq!(expected["rolled_back"], rolled_back, "{at}: rolled_back");
        },
    );
}

fn several(trace: &Value) {
    let id = trace["id"].as_str().unwrap();
    let metrics = trace["metrics"].as_array().unwrap();
    let plan = EnginePlan {
        alpha: alpha(&trace["alpha"]),
        silence_max: SignedDuration::MAX,
        metrics: metrics
            .iter()
            .map(|metric| {
                let weight = metric["weight"].as_f64().unwrap_or(1.0);
                metric_plan(metric["id"].as_str().unwrap(), weight, &metric["settings"])
            })
            .collect(),
    };
    let mut engine = Engine::from_plan(plan.clone());
    let tallies = |tick: &Value| {
        let by_metric = tick.as_object().unwrap();
        let data = |tick: &Value| match tick["same_as"].as_str() {
            Some(other) => arms(&by_metric[other]),
            None => arms(tick),
        };
        by_metric
            .iter()
            .map(|(name, tick)| (MetricName::new(name).unwrap(), data(tick)))
            .collect()
    };
    run(&mut engine, &plan, trace, tallies, |engine, expected| {
        let at = format!("{id} after tick {}", expected["after_tick"]);
        let conclusion = engine.conclusion();
        let name = |name: &Option<MetricName>| name.as_ref().map_or(Value::Null, |name| name.as_str().into());
        assert_log(&at, "log_M", conclusion.log_e_all, &expected["log_M"]);
        assert_log(&at, "log_M_open", conclusion.log_e_open, &expected["log_M_open"]);
        assert_eq!(name(&conclusion.lead), expected["lead"], "{at}: lead");
        let blamed = conclusion.blame.map(|blame| blame.metric);
        assert_eq!(name(&blamed), expected["blame"], "{at}: blame");
        assert_eq!(expected["state"], state(conclusion.verdict), "{at}: state");
        for (metric, expected) in expected["metrics"].as_object().unwrap() {
            let at = format!("{at}, {metric}");
            let metric = MetricName::new(metric).unwrap();
            let reading = engine.contrast(&metric).or(engine.limit(&metric)).unwrap();
            assert_log(
                &at,
                "log_e_rollback",
                Some(reading.log_e_worse),
                &expected["log_e_rollback"],
            );
            assert_log(
                &at,
                "non-inferior",
                Some(reading.log_e_non_inferior),
                &expected["log_e_noninferior"],
            );
            assert_figure(&at, "estimate", reading.estimate(), &expected["estimate"]);
            assert_eq!(expected["verdict"], word(reading.verdict), "{at}: verdict");
        }
    });
    let ticks = trace["ticks"].as_array().unwrap();
    let rollback_tick = rollback_tick(plan, ticks.iter().map(tallies));
    assert_eq!(
        trace["rollback_tick"],
        Value::from(rollback_tick),
        "{id}: rollback_tick"
    );
}

/// The first tick, counted from 1, after which the conclusion is a failure.
fn rollback_tick(
    plan: EnginePlan,
    ticks: impl Iterator<Item = BTreeMap<MetricName, ArmTallies>>,
) -> Option<i64> {
    let mut engine = Engine::from_plan(plan);
    (1..).zip(ticks).find_map(|(second, metrics)| {
        engine.absorb(&TickTally {
            tick: Tick::new(second),
            metrics,
            headcount: Headcount::default(),
        });
        (engine.conclusion().verdict == Verdict::Fail).then_some(second)
    })
}

/// Feeds a trace, and hands each expected state to `check` together with the engine at that tick.
///
/// At every one of them the engine is also written and read back, and goes on from there.
fn run(
    engine: &mut Engine,
    plan: &EnginePlan,
    trace: &Value,
    tallies: impl Fn(&Value) -> BTreeMap<MetricName, ArmTallies>,
    check: impl Fn(&Engine, &Value),
) {
    let expected = trace["expected"].as_array().unwrap();
    let mut checked = 0;
    for (second, tick) in (1..).zip(trace["ticks"].as_array().unwrap()) {
        assert!(engine.absorb(&TickTally {
            tick: Tick::new(second),
            metrics: tallies(tick),
            headcount: Headcount::default(),
        }));
        for expected in expected
            .iter()
            .filter(|expected| expected["after_tick"] == second)
        {
            check(engine, expected);
            let restored = Engine::decode_plan(plan.clone(), &engine.encode()).unwrap();
            assert_eq!(restored, *engine);
            *engine = restored;
            checked += 1;
        }
    }
    assert_eq!(
        checked,
        expected.len(),
        "{}: every expected state was reached",
        trace["id"]
    );
}

fn metric_plan(name: &str, weight: f64, settings: &Value) -> MetricPlan {
    let number = |key: &str| settings[key].as_f64().unwrap();
    let kind = settings["kind"].as_str().unwrap();
    let (statistic, is_limit) = match kind {
        "mean" => (Statistic::Mean, false),
        "rate" | "quantile_exceedance" => (Statistic::Rate, false),
        "floor" => (Statistic::Mean, true),
        "ceiling" => (Statistic::Rate, true),
        other => panic!("unknown kind `{other}`"),
    };
    let better = match settings["better"].as_str().unwrap() {
        "higher" => Better::Higher,
        "lower" => Better::Lower,
        other => panic!("unknown direction `{other}`"),
    };
    let test = TestSettings {
        statistic,
        better,
        alpha: alpha(&settings["alpha"]),
        scales: points(&settings["taus"], &settings["tau_weights"]),
        odds_ratios: points::<4>(&settings["thetas"], &settings["theta_weights"]).into(),
        clusters: settings["buckets"].as_u64().unwrap().try_into().unwrap(),
        treated_min: settings["min_treated"].as_u64().unwrap(),
        effective_clusters_min: number("min_effective_buckets"),
        prior_centre: number("prior_centre"),
    };
    let contrast = ContrastSettings {
        test,
        alpha_non_inferior: alpha(&settings["alpha_ni"]),
        health_scales: test.scales,
        margin: number("margin"),
        tolerance: number("tolerance"),
        unit: if settings["margin_is_relative"] == true {
            HarmUnit::ControlMean
        } else {
            HarmUnit::Metric
        },
        prior_weight: number("prior_weight"),
        control_min: 0,
        control_variance_weight: 0.0,
        health: None,
        tempered_by_control: false,
    };
    MetricPlan {
        name: MetricName::new(name).unwrap(),
        role: Role::Guardrail,
        weight,
        critical: false,
        logarithmic: false,
        span: 1.0,
        stratum_seconds_max: 0,
        contrast: (!is_limit).then_some(ContrastPlan::Values(contrast)),
        limit: is_limit.then(|| LimitSettings {
            test,
            limit: number("limit"),
            edge: None,
        }),
    }
}

fn points<const N: usize>(sizes: &Value, shares: &Value) -> [MixturePoint; N] {
    let (sizes, shares) = (sizes.as_array().unwrap(), shares.as_array().unwrap());
    assert_eq!((sizes.len(), shares.len()), (N, N));
    std::array::from_fn(|index| MixturePoint {
        size: sizes[index].as_f64().unwrap(),
        share: shares[index].as_f64().unwrap(),
    })
}

fn alpha(value: &Value) -> Alpha {
    Alpha::new(value.as_f64().unwrap()).unwrap()
}

fn arms(tick: &Value) -> ArmTallies {
    ArmTallies {
        control: tally(&tick["control"]),
        treatment: tally(&tick["treatment"]),
    }
}

fn tally(arm: &Value) -> Tally {
    let Some(count) = arm["n"].as_u64() else {
        return Tally::default();
    };
    let cluster = |bucket: &Value| {
        let number = Cluster::new(bucket[0].as_u64().unwrap().try_into().unwrap()).unwrap();
        (
            number,
            ClusterTally {
                count: bucket[1].as_u64().unwrap(),
                sum: bucket[2].as_f64().unwrap(),
            },
        )
    };
    Tally {
        count,
        sum: arm["s"].as_f64().unwrap(),
        sum_of_squares: arm["q"].as_f64().unwrap(),
        clusters: arm["buckets"].as_array().unwrap().iter().map(cluster).collect(),
        ..Tally::default()
    }
}

fn assert_reading(at: &str, reading: &Reading, expected: &Value) {
    #[expect(clippy::cast_precision_loss, reason = "the traces' counts are far below 2^53")]
    let count = |count: u64| Some(count as f64);
    for (key, found) in [
        ("n_T", count(reading.treated)),
        ("n_C", count(reading.controls)),
        ("S", Some(reading.sum)),
        ("W", Some(reading.weight)),
        ("Vi", Some(reading.variance_by_observation)),
        ("Vc", Some(reading.variance_by_cluster)),
        ("df", Some(reading.df)),
        ("G_T", Some(reading.effective_clusters_treatment)),
        ("G_C", Some(reading.effective_clusters_control)),
        ("design_effect", Some(reading.design_effect)),
        ("estimate", reading.estimate()),
        ("se", reading.standard_error()),
    ] {
        assert_figure(at, key, found, &expected[key]);
    }
    assert_log(
        at,
        "log_e_rollback",
        Some(reading.log_e_worse),
        &expected["log_e_rollback"],
    );
    assert_log(
        at,
        "log_e_noninferior",
        Some(reading.log_e_non_inferior),
        &expected["log_e_noninferior"],
    );
    assert_eq!(expected["guards"], reading.guards_hold, "{at}: guards");
    assert_eq!(expected["verdict"], word(reading.verdict), "{at}: verdict");
}

fn assert_figure(at: &str, key: &str, found: Option<f64>, expected: &Value) {
    assert_within(at, key, found, expected, |expected| {
        RELATIVE * expected.abs() + ABSOLUTE
    });
}

fn assert_log(at: &str, key: &str, found: Option<f64>, expected: &Value) {
    assert_within(at, key, found, expected, |expected| {
        RELATIVE * expected.abs().max(1.0)
    });
}

fn assert_within(at: &str, key: &str, found: Option<f64>, expected: &Value, allowed: impl Fn(f64) -> f64) {
    match (found, expected.as_f64()) {
        (Some(found), Some(expected)) => {
            assert!(
                (found - expected).abs() <= allowed(expected),
                "{at}: {key} is {found}, not {expected}"
            );
        }
        (None, None) => assert!(expected.is_null(), "{at}: {key} is missing from the trace"),
        (found, _) => panic!("{at}: {key} is {found:?}, not {expected}"),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "HEALTHY",
        Verdict::Fail => "REGRESSED",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Invalid => "INVALID",
    }
}

fn state(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "ROLLBACK",
        Verdict::Pass | Verdict::Inconclusive | Verdict::Invalid => word(verdict),
    }
}
