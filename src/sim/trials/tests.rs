use super::*;
use crate::analysis::power::{Change, Conditions, Moments, Outcome, Visits, forecast, values};
use crate::policy::check::check;
use std::collections::BTreeMap;

const SCORE: &str = "{name: m, kind: score, margin: 0.05, baseline: 0.8}";

/// Two steps of two minutes, and a short watch.
fn policy(rules: &str, metrics: &[&str]) -> Policy {
    let metrics: String = metrics.iter().map(|metric| format!("    - {metric}\n")).collect();
    let text = format!(
        "apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: answer}}
spec:
  prompt: answer
  watch: 30s
  steps:
    - {{exposure: 20%, bake: 2m, samples: 100}}
    - {{exposure: 100%, bake: 2m}}
  {rules}
  metrics:
{metrics}"
    );
    check("answer.yaml", &text).unwrap().policy
}

fn conditions(per_second: f64) -> Conditions {
    Conditions {
        observations_per_hour: per_second * 3_600.0,
        visits: Visits::ONCE,
        baselines: BTreeMap::new(),
    }
}

fn design(policy: Policy, per_second: f64, changes: &[Change]) -> Design {
    let metrics = policy.metrics.iter().map(|metric| metric.name.clone());
    let changes: Vec<_> = metrics.zip(changes.iter().copied()).collect();
    let values = values(&policy, &conditions(per_second), &changes).unwrap();
    let drawn = policy.metrics.iter().zip(values);
    Design {
        users: Users::Fresh,
        per_second,
        metrics: drawn
            .map(|(metric, values)| Drawn::new(metric.kind, values).unwrap())
            .collect(),
        horizon: patience_of(&policy),
        policy: Arc::new(policy),
    }
}

fn trials(design: &Design, runs: u32) -> Vec<Trial> {
    run(design, 7, runs, |_| ())
}

#[test]
fn neither_threads_nor_other_rollouts_change_a_rollout() {
    let design = Design {
        users: Users::Returning {
            count: 500,
            correlation: 0.3,
            activity_sigma: 1.0,
        },
        ..design(
            policy("labels: {control: a, treatment: b}", &[SCORE]),
            40.0,
            &[Change::By(-0.06)],
        )
    };
    let mut heard = Vec::new();
    let alone = run_on(1, &design, 7, 6, &mut |done| heard.push(done));
    assert_eq!(heard, [1, 2, 3, 4, 5, 6]);
    assert_eq!(run_on(3, &design, 7, 6, &mut |_| ()), alone);
    assert_eq!(run_on(2, &design, 7, 3, &mut |_| ()), alone[..3]);
    assert_ne!(run_on(2, &design, 8, 6, &mut |_| ()), alone);
    assert!(alone[1..].iter().any(|trial| *trial != alone[0]));
}

#[test]
fn a_bad_candidate_is_taken_back_about_when_it_was_foretold() {
    let policy = policy("analysis: {every: 1s}", &[SCORE]);
    let change = Change::By(-0.08);
    let asked = [(policy.metrics[0].name.clone(), change)];
    let foretold = forecast(&policy, &conditions(40.0), &asked).unwrap();
    let Outcome::Caught { median, .. } = foretold.regressions[0].outcome else {
        unreachable!("{:?}", foretold.regressions)
    };
    let design = design(policy, 40.0, &[change]);
    let trials = trials(&design, 41);
    let worse = End::RolledBack(Reason::Worse(design.policy.metrics[0].name.clone()));
    assert!(trials.iter().all(|trial| trial.end == worse), "{trials:?}");
    let figures = Figures::of(&trials);
    let found = figures.users_until_rollback.unwrap().median / median.users;
    assert!((0.6..1.7).contains(&found), "{found}");
    assert_eq!(
        figures.rollback_reasons.values().copied().collect::<Vec<_>>(),
        [41]
    );
    assert_eq!(figures.hours_until_promotion, None);
    assert_eq!(figures.treated_until_rollback, figures.users_until_rollback);
}

#[test]
fn a_good_candidate_is_promoted_after_its_bakes_and_watched() {
    let design = design(policy("analysis: {every: 1s}", &[SCORE]), 40.0, &[]);
    for trial in trials(&design, 8) {
        assert_eq!(trial.end, End::Promoted, "{trial:?}");
        let promoted = trial.promoted_after.unwrap();
        assert!(promoted >= SignedDuration::from_mins(4), "{trial:?}");
        assert_eq!(trial.ended_after, promoted + SignedDuration::from_secs(30));
        // 20% of 40 a second for two minutes, then all of them: 7,000 expected at least, sd 84.
        assert!(
            trial.treated > 6_600 && trial.treated == trial.treated_users,
            "{trial:?}"
        );
    }
}

#[test]
fn what_stays_undecided_ends_as_the_policy_says() {
    let margin = "{name: m, kind: score, margin: 0.001, baseline: 0.8}";
    let ends = |rules: &str, horizon: Option<i64>| {
        let mut design = design(policy(rules, &[margin]), 20.0, &[]);
        design.horizon = horizon.map_or(design.horizon, SignedDuration::from_secs);
        trials(&design, 3)
            .into_iter()
            .map(|trial| (trial.end, trial.ended_after.as_secs()))
            .collect::<Vec<_>>()
    };
    let after = |then| format!("analysis: {{every: 1s, inconclusive: {{after: 5m, then: {then}}}}}");
    assert_eq!(
        ends(&after("pause"), None),
        vec![(End::Paused(Reason::Patience), 300); 3]
    );
    assert_eq!(
        ends(&after("rollBack"), None),
        vec![(End::RolledBack(Reason::Patience), 300); 3]
    );
    assert_eq!(ends(&after("hold"), Some(400)), vec![(End::OutOfTime, 400); 3]);
    let figures = Figures::of(&trials(
        &Design {
            horizon: SignedDuration::from_secs(200),
            ..design(policy(&after("hold"), &[margin]), 20.0, &[])
        },
        4,
    ));
    assert_eq!((figures.undecided.count, figures.out_of_time), (4, 4));
}

#[test]
fn rare_visits_are_silence_in_its_own_second() {
    let rules = "analysis: {every: 5s, noData: {after: 3m, then: pause}}";
    let design = design(policy(rules, &[SCORE]), 1e-5, &[]);
    for trial in trials(&design, 4) {
        assert_eq!((trial.end, trial.treated), (End::Paused(Reason::Silence), 0));
        assert_eq!(trial.ended_after, SignedDuration::from_mins(3));
    }
}

#[test]
fn the_same_users_come_back_to_the_same_arm() {
    let mut design = design(policy("analysis: {every: 1s}", &[SCORE]), 40.0, &[]);
    design.users = Users::Returning {
        count: 400,
        correlation: 0.2,
        activity_sigma: 0.5,
    };
    for trial in trials(&design, 4) {
        assert!(trial.treated_users <= 400 && trial.treated > 6_000, "{trial:?}");
        // Everybody is in treatment at last.
        assert!(
            trial.end != End::Promoted || trial.treated_users > 390,
            "{trial:?}"
        );
    }
}

#[test]
fn values_have_the_moments_that_were_asked_for() {
    let kinds = [
        "{name: a, kind: score, range: [1, 5], margin: 5%, baseline: 3.9}",
        "{name: b, kind: rate, better: lower, margin: 1pp, baseline: 3%}",
        "{name: c, kind: latency, quantile: 95%, margin: 10%, baseline: 800ms}",
        "{name: d, kind: amount, better: lower, margin: 10%, baseline: 0.2}",
    ];
    let changes = [
        Change::By(-0.3),
        Change::Times(2.0),
        Change::Times(1.5),
        Change::By(0.1),
    ];
    let design = design(policy("analysis: {every: 1s}", &kinds), 40.0, &changes);
    let shares = || (0..20_000).map(|place| (f64::from(place) + 0.5) / 20_000.0);
    let mean = |scaled: &Scaled| shares().map(|share| scaled.at(share)).sum::<f64>() / 20_000.0;
    let [score, rate, latency, amount] = &design.metrics[..] else {
        unreachable!("there are four metrics")
    };
    for (drawn, control, treatment) in [(score, 3.9, 3.6), (rate, 0.03, 0.06)] {
        assert!((mean(&drawn.control) - control).abs() < 1e-3 * control);
        assert!((mean(&drawn.treatment) - treatment).abs() < 1e-3 * treatment);
    }
    assert!((latency.control.at(0.95) - 0.8).abs() < 1e-9 && (latency.treatment.at(0.95) - 1.2).abs() < 1e-9);
    assert!((amount.control.at(0.5) - 0.2).abs() < 1e-9 && (amount.treatment.at(0.5) - 0.3).abs() < 1e-9);
    let wide = Values::Scores(Moments {
        mean: 0.5,
        variance: 0.2,
    });
    let wide = ArmValues {
        stable: wide,
        candidate: wide,
    };
    assert_eq!(Drawn::new(MetricKind::Score { min: 0.0, max: 1.0 }, wide), None);
}
