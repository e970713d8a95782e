//! What to expect of a rollout before it begins: how long each step takes when the candidate is as good
//! as the stable version, and how many users meet a worse one before it is taken back.
//!
//! Nothing is simulated. Expected sums grow in proportion to time, and the engine's own tests are asked
//! at which time they would decide on them (`expected`); `ladder` goes through the steps with that, as
//! `decide` would. A sequential test that stops at the first crossing of expected evidence stops near
//! its median (STATISTICS 7: within 40% of simulated medians); what chance does to it is known from
//! simulations ([`P90_PER_MEDIAN`]).

use crate::ids::{Exposure, MetricName};
use crate::policy::{Margin, Metric, Policy, Role};
use std::collections::BTreeMap;

mod cautions;
mod expected;
mod ladder;
mod regression;
#[cfg(test)]
mod tests;
mod values;

pub use cautions::Caution;
pub use values::{Moments, Values};

/// How many treated observations nine of ten detections have needed at most, over their median: 1.8 to
/// 2.3 in simulations of regressions that need more than the least sample (STATISTICS 7).
pub const P90_PER_MEDIAN: f64 = 2.3;

/// Longest time that is looked ahead, in hours: a year.
pub const HORIZON_HOURS_MAX: f64 = 8_766.0;

/// What is known of the traffic and of the stable version.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Observations of each metric in an hour, of both arms together; above 0.
    pub observations_per_hour: f64,
    /// How often the same users come.
    pub visits: Visits,
    /// What is known of metrics beyond the policy.
    pub baselines: BTreeMap<MetricName, KnownBaseline>,
}

/// How often the same users come, and how alike their observations are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visits {
    /// Observations of one user, on average over users; at least 1.
    pub per_user: f64,
    /// Standard deviation of that number over its mean; at least 0.
    pub activity_cv: f64,
    /// Correlation of two observations of the same user, 0 to 1 (intra-class correlation).
    pub icc: f64,
}

/// Part of a [`Baseline`] that somebody has given.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KnownBaseline {
    /// See [`Baseline::centre`].
    pub centre: Option<f64>,
    /// See [`Baseline::spread`].
    pub spread: Option<f64>,
}

/// What the values of a metric are under the stable version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// What is compared, in metric units: a score's mean, a rate, a latency's highest quantile, a
    /// geometric mean, or the mean of amounts that are cut.
    pub centre: f64,
    /// Standard deviation: of a score in its own units, of the logarithm of a latency or an amount. A
    /// rate's follows from the rate.
    pub spread: f64,
}

/// What a candidate does to a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// It adds this, in metric units.
    By(f64),
    /// It multiplies by this, which is above 0; all values above 0 alike.
    Times(f64),
}

/// Why nothing can be foretold.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConditionsError {
    /// There are no observations, or more than there can be.
    #[error(
        "the traffic must be above 0 and at most {} observations per hour",
        Conditions::OBSERVATIONS_PER_HOUR_MAX
    )]
    Traffic,
    /// A number about users is out of its range.
    #[error("{0}")]
    Visits(&'static str),
    /// No values have such a baseline.
    #[error("the baseline of `{metric}` {why}")]
    Baseline {
        /// The metric.
        metric: MetricName,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The policy has no such metric.
    #[error("the policy has no metric `{metric}`")]
    NoSuchMetric {
        /// The name that was given.
        metric: MetricName,
    },
    /// No values can be changed so.
    #[error("`{metric}` cannot change like that: {why}")]
    Change {
        /// The metric.
        metric: MetricName,
        /// What stands against it.
        why: &'static str,
    },
}

/// What was assumed of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumption {
    /// The metric.
    pub metric: MetricName,
    /// Its values under the stable version.
    pub baseline: Baseline,
    /// Whether [`Baseline::centre`] was guessed, because neither policy nor person gave it.
    pub centre_guessed: bool,
    /// Whether [`Baseline::spread`] was guessed.
    pub spread_guessed: bool,
}

/// What to expect of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// What was assumed of each metric, in the policy's order.
    pub assumptions: Vec<Assumption>,
    /// The steps when the candidate is as good as the stable version.
    pub steps: Vec<StepForecast>,
    /// Hours until promotion, then; none when a step is never passed.
    pub hours: Option<f64>,
    /// What comes of each regression, in the order in which they were asked for.
    pub regressions: Vec<RegressionForecast>,
    /// What to think about.
    pub cautions: Vec<Caution>,
}

/// A step when the candidate is as good as the stable version.
#[derive(Debug, Clone, PartialEq)]
pub struct StepForecast {
    /// Share of users in treatment, without the holdback.
    pub exposure: Exposure,
    /// The policy's least time in it, in hours.
    pub bake_hours: f64,
    /// Treated observations that it waits for.
    pub samples: u64,
    /// Hours until they are there.
    pub samples_hours: f64,
    /// Hours from its beginning until each guardrail is proved healthy, in the policy's order: 0 where
    /// earlier steps have proved it, none where that takes longer than [`HORIZON_HOURS_MAX`].
    pub proofs: Vec<(MetricName, Option<f64>)>,
    /// What it waits for longest.
    pub waits_for: WaitsFor,
    /// Hours in it; none when it is never passed.
    pub hours: Option<f64>,
    /// Treated observations in it.
    pub treated: f64,
    /// Whether people must approve before it is left, which takes no time here.
    pub approval: bool,
}

/// What holds a step longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// Its least time.
    Bake,
    /// Its least number of treated observations.
    Samples,
    /// The proof that this guardrail is healthy.
    Evidence(MetricName),
    /// The end of the policy's patience, after which it goes on without proof.
    Patience,
}

/// What comes of a worse candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionForecast {
    /// The metric that it makes worse; all others stay what they are.
    pub metric: MetricName,
    /// The metric's part in the verdict.
    pub role: Role,
    /// How much worse.
    pub change: Change,
    /// Of how many margins that is; none where the margin is one of exceedances.
    pub margins: Option<f64>,
    /// What comes of it.
    pub outcome: Outcome,
}

/// What comes of a worse candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// It is proved to be worse.
    Caught {
        /// In half of all rollouts by then.
        median: Catch,
        /// In nine of ten by then; none where the rollout is over before.
        p90: Option<Catch>,
        /// Hours at which the policy's patience ends, where that is before the median.
        patience_hours: Option<f64>,
    },
    /// It is proved to be inside of the margin.
    Tolerated {
        /// Hours until then.
        hours: f64,
    },
    /// Neither is proved while the rollout runs, or within [`HORIZON_HOURS_MAX`].
    Unnoticed,
}

/// The moment of a proof.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Catch {
    /// Treated observations until then.
    pub treated: f64,
    /// Treated users until then.
    pub users: f64,
    /// Hours until then.
    pub hours: f64,
    /// The step, from 0; none when the last one is over.
    pub step: Option<usize>,
}

/// What to expect of a rollout of `policy` under `conditions`, and of these regressions.
///
/// # Errors
/// When the conditions are impossible, or a regression is none.
pub fn forecast(
    policy: &Policy,
    conditions: &Conditions,
    regressions: &[(MetricName, Change)],
) -> Result<Forecast, ConditionsError> {
    conditions.check(policy)?;
    let rollout = ladder::Rollout::new(policy, conditions)?;
    let healthy = rollout.healthy();
    let steps = ladder::step_forecasts(&rollout, &healthy);
    let regressions: Result<Vec<_>, _> = regressions
        .iter()
        .map(|(metric, change)| regression::foretell(&rollout, metric, *change))
        .collect();
    Ok(Forecast {
        assumptions: assumptions(policy, conditions),
        hours: steps.iter().map(|step| step.hours).sum(),
        cautions: cautions::of(&rollout, &steps),
        steps,
        regressions: regressions?,
    })
}

/// The values of a metric under both versions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmValues {
    /// Under the stable version.
    pub stable: Values,
    /// Under the candidate.
    pub candidate: Values,
}

/// The values of every metric of `policy`, in its order, when the candidate makes these changes, for the
/// better or for the worse; of several changes of a metric, the last one counts.
///
/// # Errors
/// When a baseline is impossible, or a change leaves the range of a metric or is of none.
pub fn values(
    policy: &Policy,
    conditions: &Conditions,
    changes: &[(MetricName, Change)],
) -> Result<Vec<ArmValues>, ConditionsError> {
    conditions.check(policy)?;
    let unknown = changes
        .iter()
        .find(|(name, _)| policy.metrics.iter().all(|metric| metric.name != *name));
    if let Some((metric, _)) = unknown {
        return Err(ConditionsError::NoSuchMetric {
            metric: metric.clone(),
        });
    }
    let both = |metric: &Metric| {
        let baseline = Baseline::of(metric, conditions);
        let stable = Values::stable(metric, baseline)?;
        let change = changes.iter().rfind(|(name, _)| metric.name == *name);
        let candidate = match change {
            Some((_, change)) => stable.changed(metric, baseline.centre, *change),
            None => Some(stable),
        };
        let candidate = candidate.ok_or_else(|| ConditionsError::leaves_range(metric))?;
        Ok(ArmValues { stable, candidate })
    };
    policy.metrics.iter().map(both).collect()
}

impl ConditionsError {
    fn leaves_range(metric: &Metric) -> Self {
        Self::Change {
            metric: metric.name.clone(),
            why: "its values would leave their range",
        }
    }
}

/// Regressions by one, two and five margins of every metric that acts, as far as they are possible.
pub fn regressions_in_margins(policy: &Policy, conditions: &Conditions) -> Vec<(MetricName, Change)> {
    policy
        .guarded_metrics()
        .flat_map(|metric| regression::in_margins(metric, conditions))
        .collect()
}

fn assumptions(policy: &Policy, conditions: &Conditions) -> Vec<Assumption> {
    let assumption = |metric: &Metric| {
        let given = conditions
            .baselines
            .get(&metric.name)
            .copied()
            .unwrap_or_default();
        Assumption {
            metric: metric.name.clone(),
            baseline: Baseline::of(metric, conditions),
            centre_guessed: given.centre.is_none() && metric.baseline.is_none(),
            spread_guessed: given.spread.is_none(),
        }
    };
    policy.metrics.iter().map(assumption).collect()
}

impl Conditions {
    /// Most observations in an hour: a million in a second.
    pub const OBSERVATIONS_PER_HOUR_MAX: f64 = 3.6e9;

    fn check(&self, policy: &Policy) -> Result<(), ConditionsError> {
        let sound =
            self.observations_per_hour > 0.0 && self.observations_per_hour <= Self::OBSERVATIONS_PER_HOUR_MAX;
        if !sound {
            return Err(ConditionsError::Traffic);
        }
        self.visits.check()?;
        match self
            .baselines
            .keys()
            .find(|name| policy.metrics.iter().all(|metric| metric.name != **name))
        {
            Some(metric) => Err(ConditionsError::NoSuchMetric {
                metric: metric.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl Visits {
    /// Everybody comes once.
    pub const ONCE: Self = Self {
        per_user: 1.0,
        activity_cv: 0.0,
        icc: 0.0,
    };

    fn check(self) -> Result<(), ConditionsError> {
        if !(self.per_user >= 1.0 && self.per_user.is_finite()) {
            return Err(ConditionsError::Visits(
                "the observations per user must be at least 1",
            ));
        }
        if !(self.activity_cv >= 0.0 && self.activity_cv.is_finite()) {
            return Err(ConditionsError::Visits(
                "the variation of activity must be at least 0",
            ));
        }
        if !(0.0..=1.0).contains(&self.icc) {
            return Err(ConditionsError::Visits(
                "the correlation within users must be from 0 to 1",
            ));
        }
        Ok(())
    }

    /// Observations of the user of a typical observation, which is likelier that of a busy user.
    fn per_observed_user(self) -> f64 {
        self.per_user * (1.0 + self.activity_cv * self.activity_cv)
    }

    /// How much the variance of a mean is widened by users who come back: Kish 1965, "Survey sampling",
    /// section 5.4, with unequal clusters (STATISTICS 7).
    pub fn design_effect(self) -> f64 {
        1.0 + (self.per_observed_user() - 1.0) * self.icc
    }

    /// Effective clusters of `observations` by users who fall into `clusters` at random: the expectation
    /// of `Σ N²` is `n per_observed_user + n² / clusters`.
    fn effective_clusters(self, observations: f64, clusters: f64) -> f64 {
        if observations > 0.0 {
            1.0 / (self.per_observed_user() / observations + 1.0 / clusters)
        } else {
            0.0
        }
    }
}

/// Of how many margins a change from `centre` is; none where the margin is one of exceedances.
fn in_margins(margin: Margin, change: Change, centre: f64) -> Option<f64> {
    let size = match change {
        Change::By(size) => size.abs(),
        Change::Times(ratio) => (ratio - 1.0).abs() * centre,
    };
    match margin {
        Margin::Absolute(margin) => Some(size / margin),
        Margin::Relative(margin) => Some(size / centre / margin),
        Margin::Exceedance(_) => None,
    }
}
