//! What is simulated: three metrics, five kinds of people and troubles, and regressions.

use crate::peers::Harm;
use serin::analysis::bins::{EDGE_RATIO, bins_of_ratio};
use serin::ids::Exposure;
use serin::policy::Policy;
use serin::policy::check::check;
use serin::sim::population::{Law, Users};
use serin::sim::stream::{Design, Drift};
use serin::sim::variates::normal_quantile;

/// Observations expected in a tick.
const PER_TICK: f64 = 40.0;
/// Mean of the control's scores; they are Beta(8, 2).
pub(crate) const SCORE: f64 = 0.8;
/// The control's rate of errors.
pub(crate) const ERROR_RATE: f64 = 0.01;
/// Mean of the control's scores that are 0 or 1, nearly all of them 1.
const PASSES: f64 = 0.95;
/// The same where few are.
const SUCCESSES: f64 = 0.1;
/// Shape of latencies; their median is a second.
pub(crate) const LATENCY_SIGMA: f64 = 0.6;
/// The control's 95th percentile in seconds, as the policy declares it: to the millisecond.
pub(crate) const LATENCY_P95: f64 = 2.683;

/// One of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// A mean of values in a range.
    Score,
    /// A share of zeros and ones.
    Errors,
    /// A quantile, with a margin in exceedances.
    Latency,
    /// The same, with a margin of values.
    LatencyByValue,
    /// Scores of 0 or 1, nearly all of them 1.
    Passes,
    /// Scores of 0 or 1, few of them 1.
    Successes,
}

impl Measure {
    /// The metrics that tables of rollbacks have.
    pub(crate) const COMPARED: [Self; 3] = [Self::Score, Self::Errors, Self::Latency];

    /// How tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Errors => "errors",
            Self::Latency | Self::LatencyByValue => "p95",
            Self::Passes => "score of 0 or 1, 95% ones",
            Self::Successes => "score of 0 or 1, 10% ones",
        }
    }

    /// Its line in a policy: baselines are the truth about control, margins those of STATISTICS.
    fn metric(self) -> &'static str {
        match self {
            Self::Score => "{name: score, kind: score, margin: 0.02, baseline: 0.8}",
            Self::Errors => "{name: errors, kind: rate, better: lower, margin: 1pp, baseline: 1%}",
            Self::Latency => "{name: latency, kind: latency, quantile: 95%, margin: 2pp, baseline: 2683ms}",
            Self::LatencyByValue => {
                "{name: latency, kind: latency, quantile: 95%, margin: 10%, baseline: 2683ms}"
            }
            Self::Passes => "{name: passes, kind: score, margin: 0.02, baseline: 0.95}",
            Self::Successes => "{name: successes, kind: score, margin: 0.02, baseline: 0.1}",
        }
    }

    /// The values under a version that is this much worse: scores lower by it, errors more by it,
    /// latencies longer by that share.
    fn law(self, worse: f64) -> Option<Law> {
        match self {
            Self::Score => Law::score(SCORE - worse),
            Self::Errors => Law::rate(ERROR_RATE + worse),
            Self::Latency | Self::LatencyByValue => Law::lognormal(1.0 + worse, LATENCY_SIGMA),
            Self::Passes => Law::rate(PASSES - worse),
            Self::Successes => Law::rate(SUCCESSES - worse),
        }
    }

    /// The control's share of ones among zeros and ones; 0 for other values.
    pub(crate) fn mean_of_ones(self) -> f64 {
        match self {
            Self::Passes => PASSES,
            Self::Successes => SUCCESSES,
            Self::Errors => ERROR_RATE,
            Self::Score | Self::Latency | Self::LatencyByValue => 0.0,
        }
    }

    /// How much worse a candidate is that is exactly at the margin.
    pub(crate) fn margin_as_worse(self) -> f64 {
        match self {
            Self::Score | Self::Passes | Self::Successes => 0.02,
            Self::Errors => 0.01,
            // With two points more above the control's p95, 93% lie below it.
            Self::Latency => {
                let nearer = normal_quantile(0.95) - normal_quantile(0.93);
                libm::exp(LATENCY_SIGMA * nearer) - 1.0
            }
            // Edges are moved by whole bins: 10% are five.
            Self::LatencyByValue => libm::pow(EDGE_RATIO, bins_of_ratio(1.10).into()) - 1.0,
        }
    }

    /// What a drift of both arms is.
    fn drift(self) -> Drift {
        match self {
            Self::Score | Self::Passes | Self::Successes => Drift::Shift(-0.05),
            Self::Errors => Drift::Scale(2.0),
            Self::Latency | Self::LatencyByValue => Drift::Scale(1.3),
        }
    }

    /// How the peers see it, with the fixed limits that somebody might set.
    pub(crate) fn harm(self) -> Harm {
        match self {
            Self::Score => Harm::Low { limit: 0.78 },
            Self::Passes => Harm::Low { limit: 0.93 },
            Self::Successes => Harm::Low { limit: 0.08 },
            Self::Errors => Harm::Share { limit: 0.02 },
            Self::Latency | Self::LatencyByValue => Harm::Tail {
                edge: LATENCY_P95,
                limit: 1.1 * LATENCY_P95,
            },
        }
    }
}

/// Who comes, and what befalls both arms alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    /// Everybody comes once.
    Independent,
    /// 3,000 users with a correlation of .3.
    Clustered,
    /// Everybody comes once, and both arms change alike with the second step.
    Drifting,
    /// 600 users with a correlation of .5.
    HardClustered,
    /// 300 users with a correlation of .8.
    FewUsers,
    /// 20,000 users with a correlation of .3.
    ManyUsers,
}

impl World {
    /// The worlds in which nothing is wrong with the candidate.
    pub(crate) const HARMLESS: [Self; 5] = [
        Self::Independent,
        Self::Clustered,
        Self::Drifting,
        Self::HardClustered,
        Self::FewUsers,
    ];

    /// How tables call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Clustered => "clustered: 3,000 users, .3",
            Self::Drifting => "drift in both arms",
            Self::HardClustered => "clustered: 600 users, .5",
            Self::FewUsers => "clustered: 300 users, .8",
            Self::ManyUsers => "clustered: 20,000 users, .3",
        }
    }

    fn users(self) -> Users {
        let returning = |count, correlation| Users::Returning {
            count,
            correlation,
            activity_sigma: 1.0,
        };
        match self {
            Self::Independent | Self::Drifting => Users::Fresh,
            Self::Clustered => returning(3_000, 0.3),
            Self::HardClustered => returning(600, 0.5),
            Self::FewUsers => returning(300, 0.8),
            Self::ManyUsers => returning(20_000, 0.3),
        }
    }
}

/// Shares of users in treatment, and for how many ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ladder {
    /// 5%, 25%, 50%, in which about 16,600 observations are treated: for error rates.
    Long,
    /// 5% for 3,000 ticks, about 6,000 treated observations: for speed.
    Flat,
    /// 5%, 25%, 50% by the clock, ten minutes each: for harm.
    Clocked,
}

impl Ladder {
    /// Parts per million, and ticks.
    fn steps(self) -> &'static [(u32, u32)] {
        match self {
            Self::Long => &[(50_000, 800), (250_000, 500), (500_000, 500)],
            Self::Flat => &[(50_000, 3_000)],
            Self::Clocked => &[(50_000, 600), (250_000, 600), (500_000, 600)],
        }
    }
}

/// One place of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// The metric.
    pub(crate) measure: Measure,
    /// What the engine is told.
    pub(crate) policy: Policy,
    /// What comes.
    pub(crate) design: Design,
}

impl Cell {
    /// The metric of a candidate that is `worse` by so much.
    pub(crate) fn new(measure: Measure, world: World, ladder: Ladder, worse: f64) -> anyhow::Result<Self> {
        let policy = policy(measure.metric())?;
        let no_law = || anyhow::anyhow!("no {} is {worse} worse", measure.title());
        let no_metric = || anyhow::anyhow!("the policy has no metric");
        let steps = ladder.steps();
        let drift_from = steps.first().map_or(0, |(_, ticks)| *ticks);
        let design = Design {
            metric: policy.metrics.first().ok_or_else(no_metric)?.clone(),
            users: world.users(),
            per_tick: PER_TICK,
            control: measure.law(0.0).ok_or_else(no_law)?,
            treatment: measure.law(worse).ok_or_else(no_law)?,
            steps: steps
                .iter()
                .map(|(ppm, ticks)| Ok((Exposure::from_ppm(*ppm)?, *ticks)))
                .collect::<anyhow::Result<_>>()?,
            drift: (world == World::Drifting).then(|| (drift_from, measure.drift())),
        };
        Ok(Self {
            measure,
            policy,
            design,
        })
    }
}

/// A policy with one metric, as a file would say it.
fn policy(metric: &str) -> anyhow::Result<Policy> {
    let text = format!(
        "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {{name: answer}}
spec:
  prompt: answer
  steps:
    - {{exposure: 5%, bake: 1h, samples: 500}}
    - {{exposure: 100%, bake: 1h}}
  metrics:
    - {metric}
"
    );
    let sound = check("answer.yaml", &text).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(sound.policy)
}
