//! `serin plan`: what to expect of a rollout before it begins.

use super::cautions;
use super::conditions::{self, About, Traffic, VisitArgs};
use super::help::examples;
use super::lint;
use super::report::Usage;
use super::screen;
use crate::analysis::power::{
    Catch, Change, Conditions, Forecast, Outcome, RegressionForecast, StepForecast, WaitsFor, forecast,
    regressions_in_margins,
};
use crate::policy::Policy;
use serde_json::{Value, json};
use std::path::PathBuf;

pub(super) mod page;

/// Foretell how long a rollout takes, and how many users meet a worse candidate
///
/// Nothing is simulated: the tests of the rollout are asked when the expected data would decide them.
/// Half of all rollouts take less than what is shown, and half take more; simulated medians lie within
/// 40% of it. What nobody declared is guessed, and marked. Every metric is taken to be observed each time.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin plan policies/order-status-answer.yaml --traffic 40/s"
    "$ serin plan policy.yaml --traffic 2400/m --observations-per-user 3 --activity-cv 1 --icc 0.3 \\"
    "      --baseline 'faithfulness=0.86±0.1' --regression 'faithfulness=-0.05' 'latency=+10%'"
))]
pub(crate) struct PlanArgs {
    /// Policy file, or - for standard input
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    /// Observations of each metric in both arms together: 40/s, 2400/m, 144000/h
    #[arg(long, value_name = "RATE")]
    traffic: Traffic,
    #[command(flatten)]
    visits: VisitArgs,
    /// What a metric is like under the stable version: its mean, rate or quantile, and the standard
    /// deviation of a score, or of the logarithm of a latency or an amount
    #[arg(long, value_name = "METRIC=CENTRE±SPREAD", num_args = 1..)]
    baseline: Vec<About>,
    /// Regressions to look at, such as faithfulness=-0.05, errors=+1pp, latency=+10%, cost=x1.2
    /// [default: one, two and five margins of every metric that acts]
    #[arg(long, value_name = "METRIC=CHANGE", num_args = 1..)]
    regression: Vec<About>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let policy = lint::policy_in(&args.file)?;
    let conditions = Conditions {
        visits: args.visits.visits(),
        ..conditions::known(&policy, args.traffic, &args.baseline)?
    };
    let regressions = if args.regression.is_empty() {
        regressions_in_margins(&policy, &conditions)
    } else {
        let asked = args.regression.iter();
        asked
            .map(|about| conditions::change(&policy, about))
            .collect::<Result<_, _>>()?
    };
    let forecast = forecast(&policy, &conditions, &regressions).map_err(|error| Usage(error.to_string()))?;
    if args.json {
        screen::print_json(&document(&policy, &conditions, &forecast))
    } else {
        screen::print(&page::of(&policy, &conditions, &forecast))
    }?;
    Ok(())
}

fn document(policy: &Policy, conditions: &Conditions, forecast: &Forecast) -> Value {
    let per_user = conditions.visits.per_user;
    let assumptions = forecast.assumptions.iter().map(|assumption| {
        json!({
            "metric": assumption.metric.as_str(),
            "centre": assumption.baseline.centre,
            "spread": assumption.baseline.spread,
            "centre_guessed": assumption.centre_guessed,
            "spread_guessed": assumption.spread_guessed,
        })
    });
    let warnings = forecast.cautions.iter().map(|caution| {
        let code = cautions::problem(caution, policy, "").map(|problem| problem.code);
        json!({"code": code, "message": cautions::sentence(caution)})
    });
    let steps = forecast.steps.iter().enumerate();
    json!({
        "policy": policy.name.as_str(),
        "observations_per_hour": conditions.observations_per_hour,
        "observations_per_user": per_user,
        "activity_cv": conditions.visits.activity_cv,
        "icc": conditions.visits.icc,
        "design_effect": conditions.visits.design_effect(),
        "assumptions": assumptions.collect::<Vec<_>>(),
        "steps": steps.map(|(index, step)| step_view(index, step, per_user)).collect::<Vec<_>>(),
        "hours": forecast.hours,
        "watch_hours": policy.watch.as_secs_f64() / 3_600.0,
        "regressions": forecast.regressions.iter().map(regression_view).collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(),
    })
}

fn step_view(index: usize, step: &StepForecast, per_user: f64) -> Value {
    let proofs = step
        .proofs
        .iter()
        .map(|(metric, hours)| json!({"metric": metric.as_str(), "hours": hours}));
    let (waits_for, metric) = match &step.waits_for {
        WaitsFor::Bake => ("bake", None),
        WaitsFor::Samples => ("samples", None),
        WaitsFor::Evidence(metric) => ("evidence", Some(metric.as_str())),
        WaitsFor::Patience => ("patience", None),
    };
    json!({
        "step": index + 1,
        "exposure": step.exposure.ratio(),
        "bake_hours": step.bake_hours,
        "samples": step.samples,
        "samples_hours": step.samples_hours,
        "proofs": proofs.collect::<Vec<_>>(),
        "waits_for": {"code": waits_for, "metric": metric},
        "hours": step.hours,
        "treated_observations": step.hours.map(|_| step.treated),
        "treated_users": step.hours.map(|_| step.treated / per_user),
        "approval": step.approval,
    })
}

fn regression_view(regression: &RegressionForecast) -> Value {
    let change = match regression.change {
        Change::By(size) => json!({"by": size}),
        Change::Times(ratio) => json!({"times": ratio}),
    };
    let outcome = match regression.outcome {
        Outcome::Caught {
            median,
            p90,
            patience_hours,
        } => json!({
            "code": "caught",
            "median": catch_view(median),
            "p90": p90.map(catch_view),
            "patience_ends_hours": patience_hours,
        }),
        Outcome::Tolerated { hours } => json!({"code": "tolerated", "hours": hours}),
        Outcome::Unnoticed => json!({"code": "unnoticed"}),
    };
    json!({
        "metric": regression.metric.as_str(),
        "change": change,
        "margins": regression.margins,
        "outcome": outcome,
    })
}

fn catch_view(catch: Catch) -> Value {
    json!({
        "treated_observations": catch.treated,
        "treated_users": catch.users,
        "hours": catch.hours,
        "step": catch.step.map(|step| step + 1),
    })
}
