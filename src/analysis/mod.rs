//! Tallies in, verdicts out: pure functions, sums of sums, logarithms of e-values.
//!
//! [`Tally`] is what observations become; [`TickTally`] is what one closed tick holds.
//! [`Engine`](engine::Engine) folds ticks in order and yields an [`Assessment`] at any time.
//!
//! From the outside in: `settings` says which tests a policy asks for; `engine` holds one `metric`
//! each, with a `contrast` (treatment against control) and perhaps a `limit` (treatment against a
//! number). A test reads each tick through `arm`, sums it in `variance`, and turns the sums into
//! e-values by `mixture` (means) or `bernoulli` (rates). `verdict` makes one conclusion of all
//! metrics, `evidence` shows each. `tally` adds up, `codec` and `checkpoint` write down.

use crate::ids::{Cluster, MetricName, Tick};
use crate::policy::Role;
use jiff::Timestamp;
use std::collections::BTreeMap;

mod arm;
mod bernoulli;
mod checkpoint;
pub mod codec;
mod contrast;
pub mod engine;
mod evidence;
mod limit;
mod metric;
mod mixture;
pub mod reading;
pub mod settings;
mod special;
mod tally;
#[cfg(test)]
mod tests;
mod variance;
pub mod verdict;

/// Mergeable sufficient statistics of one arm of one metric in one tick.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// How many observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_of_squares: f64,
    /// Count and sum by cluster; clusters without observations are absent.
    pub clusters: BTreeMap<Cluster, ClusterTally>,
}

/// Count and sum of one cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClusterTally {
    /// How many observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

/// Both arms of one metric in one tick.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmTallies {
    /// Users with the stable version.
    pub control: Tally,
    /// Users with the candidate.
    pub treatment: Tally,
}

/// Everything that arrived for one rollout in one tick.
#[derive(Debug, Clone, PartialEq)]
pub struct TickTally {
    /// The tick.
    pub tick: Tick,
    /// By metric; metrics without observations are absent.
    pub metrics: BTreeMap<MetricName, ArmTallies>,
}

/// What a metric, or all of them together, say about the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Proved to be no worse than the margin.
    Pass,
    /// Proved to be worse.
    Fail,
    /// Not enough evidence either way.
    Inconclusive,
    /// The data cannot carry a verdict: missing, stale or unbalanced.
    Invalid,
}

/// Numbers of one arm of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmEvidence {
    /// Observations so far.
    pub count: u64,
    /// Their mean; none without observations.
    pub mean: Option<f64>,
    /// The last tick with an observation.
    pub last_seen: Option<Tick>,
}

/// What one metric shows; all differences are treatment − control in metric units.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The metric.
    pub metric: MetricName,
    /// Its part in the verdict.
    pub role: Role,
    /// The stable version's numbers.
    pub control: ArmEvidence,
    /// The candidate's numbers.
    pub treatment: ArmEvidence,
    /// Estimated difference.
    pub difference: Option<f64>,
    /// Confidence interval of the difference, lower and upper, at 1 − alpha for all looks at once;
    /// none until there is enough data for any.
    pub interval: Option<(f64, f64)>,
    /// The tolerated worsening in metric units, as a positive number; none while a relative one has
    /// no control to be relative to.
    pub margin: Option<f64>,
    /// Log e-value against "not worse"; reaching `threshold` is proof of worsening.
    ///
    /// This and the other log e-values are 0 until there is enough data for any evidence.
    pub log_e_worse: f64,
    /// Log e-value against "worse than the margin"; reaching `threshold_non_inferior` is proof of health.
    pub log_e_non_inferior: f64,
    /// Log e-value of the fixed limit on treatment, where one is declared.
    pub log_e_limit: Option<f64>,
    /// About how many more treated observations until it passes, at the present estimate and
    /// variance; none when it is decided, or when that cannot be told.
    pub needs: Option<u64>,
    /// Its own conclusion.
    pub verdict: Verdict,
    /// Since when an arm of this guardrail has been silent, once that is too long; the verdict is
    /// then [`Verdict::Invalid`], unless it is [`Verdict::Fail`].
    pub silent_since: Option<Timestamp>,
}

/// The conclusion over all metrics at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// When it was drawn.
    pub at: Timestamp,
    /// The last closed tick that it saw.
    pub through: Tick,
    /// What to make of it; a failure stays one, whatever comes after.
    pub verdict: Verdict,
    /// Log of the weighted sum of e-values over the metrics that are not proved healthy.
    pub log_e_combined: Option<f64>,
    /// What [`Self::log_e_combined`] must reach: −ln alpha.
    pub threshold: f64,
    /// What a metric's non-inferiority must reach.
    pub threshold_non_inferior: f64,
    /// What a fixed limit's log e-value must reach.
    pub threshold_limit: f64,
    /// The metric that makes the verdict [`Verdict::Fail`]: the one with the largest part in
    /// [`Self::log_e_combined`] when it first failed, or whose limit broke; none with other verdicts.
    pub blame: Option<MetricName>,
    /// Least number of treated observations over the guardrails.
    pub treated: u64,
    /// One entry per metric of the policy, in its order.
    pub metrics: Vec<Evidence>,
}

/// What there is to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Both arms are served.
    Concurrent,
    /// Nobody is left in control: limits, and what was proved before, watch on.
    TreatmentOnly,
}
