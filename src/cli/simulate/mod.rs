//! `serin simulate`: many seeded rollouts of one policy, by the real engine and the real rules.

use super::conditions::{self, About, Traffic};
use super::help::examples;
use super::lint;
use super::report::Usage;
use super::screen;
use crate::analysis::power::{ArmValues, Change, values};
use crate::ids::MetricName;
use crate::policy::Policy;
use crate::policy::quantity::duration;
use crate::sim::population::Users;
use crate::sim::trials::{
    self, Design, Drawn, Figures, HORIZON_HOURS_MAX, PER_SECOND_MAX, USERS_MAX, patience_of,
};
use jiff::SignedDuration;
use progress::Progress;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

mod page;
mod progress;

/// Most rollouts of one simulation.
const RUNS_MAX: u32 = 1_000_000;

/// Rehearse a policy many times, and count how often and how soon a candidate is taken back
///
/// Every rollout is decided by the engine and the rules of a real one, second by second; approvals are
/// given at once, and a pause ends it, because a person would act. The same seed gives the same rollouts
/// on every machine. Without an effect this counts false alarms.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin simulate policy.yaml --candidate-effect 'faithfulness=-0.05' --traffic 40/s --runs 500 --seed 7"
    "$ serin simulate policy.yaml --traffic 40/s --users 20000 --icc 0.3 --activity-sigma 1 --json"
))]
pub(crate) struct SimulateArgs {
    /// Policy file, or - for standard input
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    /// Observations of each metric in both arms together: 40/s, 2400/m, 144000/h
    #[arg(long, value_name = "RATE")]
    traffic: Traffic,
    /// What the candidate does, such as faithfulness=-0.05, errors=+1pp, latency=+10%, cost=x1.2
    #[arg(long, value_name = "METRIC=CHANGE", num_args = 1..)]
    candidate_effect: Vec<About>,
    /// What a metric is like under the stable version: its mean, rate or quantile, and the standard
    /// deviation of a score, or of the logarithm of a latency or an amount
    #[arg(long, value_name = "METRIC=CENTRE±SPREAD", num_args = 1..)]
    baseline: Vec<About>,
    /// How many rollouts
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=i64::from(RUNS_MAX)))]
    runs: u32,
    /// Draws other people and other values
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How many users there are, who come back [default: everybody comes once]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(USERS_MAX)))]
    users: Option<u32>,
    /// Correlation of two observations of the same user, 0 to 1
    #[arg(long, value_name = "RATIO", default_value_t = 0.0, requires = "users", value_parser = conditions::correlation)]
    icc: f64,
    /// How much busier some users are: the standard deviation of the logarithm of their activity
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, requires = "users", value_parser = conditions::not_negative)]
    activity_sigma: f64,
    /// Time after which a rollout counts as undecided, such as 12h or 7d [default: every bake, or the
    /// policy's patience where that is longer, and the watch]
    #[arg(long, value_name = "TIME", value_parser = horizon)]
    horizon: Option<SignedDuration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn horizon(text: &str) -> Result<SignedDuration, String> {
    let most = SignedDuration::from_hours(HORIZON_HOURS_MAX);
    duration(text)
        .filter(|time| *time >= SignedDuration::from_secs(1) && *time <= most)
        .ok_or_else(|| "must be a time from 1s to 90d, such as `12h`".to_owned())
}

/// What was asked for, and what came of it.
struct Simulation<'s> {
    args: &'s SimulateArgs,
    effects: &'s [(MetricName, Change)],
    design: &'s Design,
    figures: &'s Figures,
}

/// Runs the verb.
pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let policy = lint::policy_in(&args.file)?;
    let effects = args.candidate_effect.iter();
    let effects: Vec<_> = effects
        .map(|about| conditions::change(&policy, about))
        .collect::<Result<_, _>>()?;
    let design = design(args, policy, &effects)?;
    let mut progress = Progress::of(args.runs);
    let trials = trials::run(&design, args.seed, args.runs, |done| progress.show(done));
    progress.end();
    let simulation = Simulation {
        args,
        effects: &effects,
        design: &design,
        figures: &Figures::of(&trials),
    };
    if args.json {
        screen::print_json(&document(&simulation))
    } else {
        screen::print(&page::of(&simulation))
    }?;
    Ok(())
}

fn design(args: &SimulateArgs, policy: Policy, effects: &[(MetricName, Change)]) -> Result<Design, Usage> {
    let per_second = args.traffic.per_hour / 3_600.0;
    if per_second > PER_SECOND_MAX {
        return Err(Usage(format!(
            "at most {PER_SECOND_MAX} observations in a second are simulated: the verdict of more is soon clear"
        )));
    }
    let conditions = conditions::known(&policy, args.traffic, &args.baseline)?;
    let values = values(&policy, &conditions, effects).map_err(|error| Usage(error.to_string()))?;
    let metrics = policy.metrics.iter().zip(values);
    let drawn = |(metric, values): (&crate::policy::Metric, ArmValues)| {
        Drawn::new(metric.kind, values).ok_or_else(|| {
            Usage(format!(
                "no distribution of `{}` with this mean and spread can be drawn: give a smaller standard deviation \
                 with `--baseline`",
                metric.name
            ))
        })
    };
    Ok(Design {
        users: match args.users {
            Some(count) => Users::Returning {
                count,
                correlation: args.icc,
                activity_sigma: args.activity_sigma,
            },
            None => Users::Fresh,
        },
        per_second,
        metrics: metrics.map(drawn).collect::<Result<_, _>>()?,
        horizon: args.horizon.unwrap_or_else(|| patience_of(&policy)),
        policy: Arc::new(policy),
    })
}

fn document(simulation: &Simulation<'_>) -> Value {
    let Simulation {
        args,
        effects,
        design,
        figures,
    } = simulation;
    let share = |share: trials::Share| {
        json!({
            "count": share.count,
            "share": share.share,
            "lower": share.limits.0,
            "upper": share.limits.1,
        })
    };
    let spread = |spread: Option<trials::Spread>| {
        spread.map(|spread| json!({"median": spread.median, "p90": spread.p90}))
    };
    let reasons = |reasons: &std::collections::BTreeMap<trials::Reason, u32>| -> Vec<Value> {
        let all = reasons.iter();
        all.map(|(reason, count)| {
            let (code, metric) = page::reason_code(reason);
            json!({"code": code, "metric": metric, "count": count})
        })
        .collect()
    };
    let effects = effects.iter().map(|(metric, change)| {
        let (by, times) = match change {
            Change::By(size) => (Some(size), None),
            Change::Times(ratio) => (None, Some(ratio)),
        };
        json!({"metric": metric.as_str(), "by": by, "times": times})
    });
    json!({
        "policy": design.policy.name.as_str(),
        "seed": args.seed,
        "runs": args.runs,
        "observations_per_second": design.per_second,
        "users": args.users,
        "icc": args.icc,
        "activity_sigma": args.activity_sigma,
        "horizon_hours": design.horizon.as_secs_f64() / 3_600.0,
        "effects": effects.collect::<Vec<_>>(),
        "rolled_back": share(figures.rolled_back),
        "promoted": share(figures.promoted),
        "undecided": share(figures.undecided),
        "rollback_reasons": reasons(&figures.rollback_reasons),
        "pause_reasons": reasons(&figures.pause_reasons),
        "out_of_time": figures.out_of_time,
        "until_rollback": {
            "treated_users": spread(figures.users_until_rollback),
            "treated_observations": spread(figures.treated_until_rollback),
            "hours": spread(figures.hours_until_rollback),
        },
        "until_promotion": {"hours": spread(figures.hours_until_promotion)},
    })
}
