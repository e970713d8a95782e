use super::*;
use crate::policy::OnInconclusive;
use crate::policy::check::check;

const SCORE: &str = "{name: m, kind: score, margin: 0.02, baseline: 0.8}";

/// Four steps of ten minutes, with some rules and metrics.
fn policy(rules: &str, metrics: &[&str]) -> Policy {
    let metrics: String = metrics.iter().map(|metric| format!("    - {metric}\n")).collect();
    let text = format!(
        "apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: answer}}
spec:
  prompt: answer
  steps:
    - {{exposure: 5%, bake: 10m, samples: 100}}
    - {{exposure: 25%, bake: 10m}}
    - {{exposure: 50%, bake: 10m}}
    - {{exposure: 100%, bake: 10m}}
  {rules}
  metrics:
{metrics}"
    );
    check("answer.yaml", &text).unwrap().policy
}

fn at(per_second: f64) -> Conditions {
    Conditions {
        observations_per_hour: per_second * 3_600.0,
        visits: Visits::ONCE,
        baselines: BTreeMap::new(),
    }
}

fn outcome(policy: &Policy, conditions: &Conditions, change: Change) -> Outcome {
    let metric = policy.metrics[0].name.clone();
    forecast(policy, conditions, &[(metric, change)])
        .unwrap()
        .regressions[0]
        .outcome
}

fn median(policy: &Policy, conditions: &Conditions, change: Change) -> Catch {
    match outcome(policy, conditions, change) {
        Outcome::Caught { median, .. } => median,
        other @ (Outcome::Tolerated { .. } | Outcome::Unnoticed) => unreachable!("{other:?}"),
    }
}

fn close(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 1e-3, "{found} is not {expected}");
}

#[test]
fn evidence_is_carried_over_so_that_the_first_step_waits_for_all() {
    let policy = policy("analysis: {every: 1s}", &[SCORE]);
    let forecast = forecast(&policy, &at(4.0), &[]).unwrap();
    let [first, others @ ..] = &forecast.steps[..] else {
        unreachable!("there are four steps")
    };
    assert_eq!(
        first.waits_for,
        WaitsFor::Evidence(policy.metrics[0].name.clone())
    );
    assert!(first.hours > Some(first.bake_hours));
    for step in others {
        assert_eq!(
            (&step.waits_for, step.hours),
            (&WaitsFor::Bake, Some(step.bake_hours))
        );
        assert_eq!(step.proofs[0].1, Some(0.0));
    }
    let taken: f64 = forecast.steps.iter().filter_map(|step| step.hours).sum();
    close(forecast.hours.unwrap(), taken);
    // At half of all users the same proof needs a fraction of all observations.
    let text = policy.source.replace("exposure: 5%,", "exposure: 24%,");
    let steeper = check("answer.yaml", &text).unwrap().policy;
    let sooner = super::forecast(&steeper, &at(4.0), &[]).unwrap().steps[0].proofs[0].1;
    assert!(sooner.unwrap() * 3.0 < first.proofs[0].1.unwrap());
}

#[test]
fn a_step_waits_for_whatever_comes_last() {
    let samples = policy("analysis: {every: 1s}", &[SCORE]);
    let text = samples.source.replace("samples: 100", "samples: 100000");
    let samples = check("answer.yaml", &text).unwrap().policy;
    let step = &forecast(&samples, &at(40.0), &[]).unwrap().steps[0];
    assert_eq!(step.waits_for, WaitsFor::Samples);
    close(step.hours.unwrap(), 100_000.0 / 7_200.0);
    close(step.treated, 100_000.0);
}

#[test]
fn a_goal_holds_no_step_and_is_caught_on_the_way() {
    let guardrail = "{name: g, kind: score, margin: 0.1, baseline: 0.8}";
    let goal = "{name: m, kind: score, margin: 0.01, baseline: 0.8, role: goal}";
    let policy = policy("analysis: {every: 1s}", &[goal, guardrail]);
    let caught = median(&policy, &at(40.0), Change::By(-0.008));
    assert_eq!(caught.step, Some(1));
    // Treated users of the first step, and some of the second.
    assert!(caught.treated > 1_200.0 && caught.treated < 7_200.0, "{caught:?}");
    close(caught.treated, 1_200.0 + (caught.hours - 1.0 / 6.0) * 36_000.0);
}

#[test]
fn inside_of_the_margin_is_tolerated_and_critical_is_not() {
    let conditions = at(40.0);
    let wide = "{name: m, kind: score, margin: 0.1, baseline: 0.8}";
    let tolerated = outcome(&policy("watch: 1h", &[wide]), &conditions, Change::By(-0.02));
    assert!(matches!(tolerated, Outcome::Tolerated { .. }), "{tolerated:?}");
    let critical = "{name: m, kind: score, margin: 0.1, baseline: 0.8, critical: true}";
    let caught = median(&policy("watch: 1h", &[critical]), &conditions, Change::By(-0.02));
    assert!(caught.hours > 0.0);
}

#[test]
fn a_metric_with_less_weight_takes_longer() {
    let alone = median(&policy("watch: 1h", &[SCORE]), &at(40.0), Change::By(-0.05));
    let beside = "{name: other, kind: rate, better: lower, margin: 1pp, weight: 9}";
    let shared = median(
        &policy("watch: 1h", &[SCORE, beside]),
        &at(40.0),
        Change::By(-0.05),
    );
    assert!(shared.treated > 1.2 * alone.treated, "{shared:?} after {alone:?}");
}

#[test]
fn a_limit_catches_what_no_comparison_is_left_for() {
    let floor = "{name: m, kind: score, margin: 0.3, baseline: 0.8, floor: 0.79}";
    let conditions = at(40.0);
    assert!(matches!(
        outcome(
            &policy(
                "watch: 1h",
                &["{name: m, kind: score, margin: 0.3, baseline: 0.8}"]
            ),
            &conditions,
            Change::By(-0.02)
        ),
        Outcome::Tolerated { .. }
    ));
    let caught = median(&policy("watch: 1h", &[floor]), &conditions, Change::By(-0.02));
    assert!(caught.step > Some(0), "{caught:?}");
}

#[test]
fn when_nobody_is_in_control_its_past_stands_in() {
    // Too little to be proved by the few who see it on the way up, and plain once everybody has it.
    let guardrail = "{name: g, kind: score, margin: 0.1, baseline: 0.8}";
    for (goal, per_second, change) in [
        (
            "{name: m, kind: score, margin: 0.002, baseline: 0.8, role: goal}",
            4.0,
            Change::By(-0.012),
        ),
        (
            "{name: m, kind: latency, quantiles: [90%, 95%], margin: 2%, role: goal}",
            2.0,
            Change::Times(1.12),
        ),
    ] {
        let policy = policy("watch: 7d", &[goal, guardrail]);
        let caught = median(&policy, &at(per_second), change);
        assert!(caught.step.is_none_or(|step| step == 3), "{goal}: {caught:?}");
    }
}

#[test]
fn the_same_users_tell_less() {
    let policy = policy("analysis: {every: 1s}", &[SCORE]);
    let once = median(&policy, &at(40.0), Change::By(-0.02));
    let visits = Visits {
        per_user: 3.0,
        activity_cv: 1.0,
        icc: 0.3,
    };
    close(visits.design_effect(), 2.5);
    let clustered = Conditions { visits, ..at(40.0) };
    let often = median(&policy, &clustered, Change::By(-0.02));
    let ratio = often.treated / once.treated;
    assert!((2.2..2.8).contains(&ratio), "{ratio}");
    close(often.users, often.treated / 3.0);
}

#[test]
fn what_comes_rarely_waits_for_the_other_arm() {
    let policy = policy("analysis: {every: 1s}", &[SCORE]);
    let busy = forecast(&policy, &at(40.0), &[]).unwrap();
    let quiet = forecast(&policy, &at(0.1), &[]).unwrap();
    let treated = |forecast: &Forecast| forecast.steps[0].proofs[0].1.unwrap();
    // Of the weight of one stratum, (λ − 1 + exp(−λ))/λ is left at 40 in a second: 0.975. One at a time, it
    // is 0.043 28 of an observation, where 0.05 × 0.95 are the most.
    let ratio = treated(&quiet) / treated(&busy) / (400.0 * 0.975 * 0.05 * 0.95 / 0.043_28);
    assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
}

#[test]
fn patience_ends_as_the_policy_says() {
    let rules = |then: &str| format!("analysis: {{every: 1s, inconclusive: {{after: 12m, then: {then}}}}}");
    let conditions = at(1.0);
    let late = |then: &str| forecast(&policy(&rules(then), &[SCORE]), &conditions, &[]).unwrap();
    let paused = late("pause");
    let warned = paused.cautions.iter().find_map(|caution| match caution {
        Caution::OutlastsPatience { step, then, .. } => Some((*step, *then)),
        Caution::GuardsOutlastPatience { .. }
        | Caution::SamplesBelowGuards { .. }
        | Caution::Silence { .. }
        | Caution::Dominates { .. }
        | Caution::LongerThanBakes { .. } => None,
    });
    assert_eq!(warned, Some((0, OnInconclusive::Pause)));
    assert!(matches!(paused.steps[0].waits_for, WaitsFor::Evidence(_)));
    // Estimates are within their margins, so that no step takes longer than the patience and its samples.
    let advanced = late("advance");
    assert!(advanced.hours.unwrap() < paused.hours.unwrap());
    let second = &advanced.steps[1];
    assert_eq!(second.waits_for, WaitsFor::Patience);
    close(second.hours.unwrap(), 0.2);
    let caught = outcome(
        &policy(&rules("rollBack"), &[SCORE]),
        &conditions,
        Change::By(-0.02),
    );
    let Outcome::Caught { patience_hours, .. } = caught else {
        unreachable!("{caught:?}")
    };
    close(patience_hours.unwrap(), 0.2);
}

#[test]
fn what_stands_in_the_way_is_said() {
    let said = |metric: &str, rules: &str, per_second: f64| {
        forecast(&policy(rules, &[metric]), &at(per_second), &[])
            .unwrap()
            .cautions
    };
    let errors = "{name: m, kind: rate, better: lower, margin: 0.1pp, baseline: 0.1%}";
    let guards = said(errors, "analysis: {inconclusive: {after: 1h, then: pause}}", 1.0);
    assert!(
        guards
            .iter()
            .any(|caution| matches!(caution, Caution::GuardsOutlastPatience { step: 0, .. })),
        "{guards:?}"
    );
    let silence = said(SCORE, "analysis: {noData: {after: 30s, then: hold}}", 1.0);
    assert!(
        silence
            .iter()
            .any(|caution| matches!(caution, Caution::Silence { step: 0, .. })),
        "{silence:?}"
    );
    assert!(
        silence
            .iter()
            .any(|caution| matches!(caution, Caution::LongerThanBakes { .. })),
        "{silence:?}"
    );
    assert!(
        silence
            .iter()
            .any(|caution| matches!(caution, Caution::Dominates { step: 0, .. })),
        "{silence:?}"
    );
    assert_eq!(said(SCORE, "watch: 1h", 40.0), []);
    let text = policy("watch: 1h", &[SCORE])
        .source
        .replace("samples: 100", "samples: 14");
    let few = check("answer.yaml", &text).unwrap().policy;
    assert_eq!(
        forecast(&few, &at(40.0), &[]).unwrap().cautions,
        [Caution::SamplesBelowGuards {
            step: 0,
            samples: 14,
            least: 15
        }]
    );
}

#[test]
fn impossible_conditions_are_named() {
    let policy = policy("watch: 1h", &[SCORE]);
    let told = |conditions: &Conditions, change: Change| {
        let metric = policy.metrics[0].name.clone();
        forecast(&policy, conditions, &[(metric, change)])
            .unwrap_err()
            .to_string()
    };
    let sound = at(40.0);
    let harmless = Change::By(-0.01);
    assert_eq!(
        told(&at(0.0), harmless),
        "the traffic must be above 0 and at most 3600000000 observations per hour"
    );
    let alike = Visits {
        icc: 1.5,
        ..Visits::ONCE
    };
    assert_eq!(
        told(
            &Conditions {
                visits: alike,
                ..sound.clone()
            },
            harmless
        ),
        "the correlation within users must be from 0 to 1"
    );
    let wide = KnownBaseline {
        centre: None,
        spread: Some(0.5),
    };
    let baselines = BTreeMap::from([(policy.metrics[0].name.clone(), wide)]);
    assert_eq!(
        told(
            &Conditions {
                baselines,
                ..sound.clone()
            },
            harmless
        ),
        "the baseline of `m` has a standard deviation that no score with this mean has"
    );
    assert_eq!(
        told(&sound, Change::By(0.01)),
        "`m` cannot change like that: that is no regression"
    );
    assert_eq!(
        told(&sound, Change::By(-0.8)),
        "`m` cannot change like that: its values would leave their range"
    );
    let unknown = MetricName::new("other").unwrap();
    let refused = forecast(&policy, &sound, &[(unknown, harmless)]).unwrap_err();
    assert_eq!(refused.to_string(), "the policy has no metric `other`");
}

#[test]
fn every_kind_can_be_foretold_in_its_margins() {
    let kinds = [
        "{name: a, kind: score, range: [1, 5], margin: 5%, baseline: 3.9}",
        "{name: b, kind: rate, better: higher, margin: 10%}",
        "{name: c, kind: rate, better: lower, margin: 1pp, baseline: 0%}",
        "{name: d, kind: latency, quantiles: [50%, 95%], margin: 200ms}",
        "{name: e, kind: latency, quantile: 95%, margin: 2pp}",
        "{name: f, kind: latency, scale: log, margin: 10%}",
        "{name: g, kind: amount, better: lower, margin: 10%}",
        "{name: h, kind: amount, better: lower, scale: winsorised, cap: 2, margin: 0.02}",
    ];
    let policy = policy("analysis: {every: 1s}", &kinds);
    let conditions = at(400.0);
    let regressions = regressions_in_margins(&policy, &conditions);
    assert!(regressions.len() >= 22, "{regressions:?}");
    let forecast = forecast(&policy, &conditions, &regressions).unwrap();
    assert!(forecast.hours.is_some(), "{:?}", forecast.steps);
    for one in forecast.regressions.iter().filter(|one| one.margins > Some(1.5)) {
        assert!(matches!(one.outcome, Outcome::Caught { .. }), "{one:?}");
    }
}

#[test]
fn what_nobody_declared_is_guessed_where_the_limit_leaves_room() {
    let lines = [
        "{name: a, kind: score, margin: 0.02, floor: 0.75}",
        "{name: b, kind: score, margin: 0.02, better: lower, ceiling: 0.3}",
        "{name: c, kind: rate, margin: 1pp, better: lower, ceiling: 4%}",
        "{name: d, kind: rate, margin: 1pp, better: higher, floor: 97%}",
        "{name: e, kind: latency, quantile: 95%, margin: 10%, ceiling: 500ms}",
        "{name: f, kind: amount, margin: 10%, better: higher, floor: 3}",
        "{name: g, kind: score, margin: 0.02, floor: 0.1}",
    ];
    let forecast = forecast(&policy("", &lines), &at(40.0), &[]).unwrap();
    let centres = forecast
        .assumptions
        .iter()
        .map(|assumption| assumption.baseline.centre);
    for (centre, expected) in centres.zip([0.875, 0.15, 0.02, 0.985, 0.25, 6.0, 0.55]) {
        close(centre, expected);
    }
}
