//! Tallies in, verdicts out: pure functions, sums of sums, logarithms of e-values.
//!
//! [`Tally`] is what observations become; [`TickTally`] is what one closed tick holds.
//! [`Engine`](engine::Engine) folds ticks in order and yields an [`Assessment`] at any time.
//!
//! From the outside in: `settings` says which tests a policy asks for; `engine` holds one `metric`
//! each, with a `contrast` (treatment against control) and perhaps a `limit` (treatment against a
//! number, be it declared or what control had in the `past`). What is compared at once is a `stratum`: a
//! tick, or several where traffic is low. A test reads each through `arm`, sums
//! it in `variance`, and turns the sums into e-values by `mixture` (means) or `bernoulli` (rates, whose
//! margins are bet on by `health`). `verdict` makes one conclusion of all metrics, `evidence` shows each.
//! `tally` adds up, `codec` and `checkpoint` write down.
//! [`power`] asks all of that before a rollout begins, of data as they are expected.
//!
//! [`sequence`] is a library of bounds that hold at every look at once, each with its source: the
//! intervals of quantiles and the test of the sample ratio are among them.

use crate::ids::{Cluster, MetricName, Tick};
use crate::policy::{Quantile, Role};
use bins::LogBin;
use jiff::Timestamp;
use std::collections::BTreeMap;

pub use headcount::{ByShare, HEADCOUNT_FORMAT, Headcount, PerArm};
pub use observation::Observation;

mod arm;
mod bernoulli;
pub mod bins;
mod checkpoint;
pub mod codec;
mod contrast;
pub mod engine;
mod evidence;
mod headcount;
mod health;
mod limit;
mod metric;
mod mixture;
mod observation;
mod past;
mod plan;
pub mod power;
mod quantile;
pub mod reading;
mod sample_ratio;
pub mod sequence;
pub mod settings;
mod special;
mod stratum;
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
    /// How many of them were cut before they were added up.
    pub clipped: u64,
    /// Count and sum by cluster; clusters without observations are absent.
    pub clusters: BTreeMap<Cluster, ClusterTally>,
    /// Counts by cluster and bin, where quantiles are compared; a cluster's add up to its count.
    pub bins: BTreeMap<(Cluster, LogBin), u64>,
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
    /// Who came, and what was left out.
    pub headcount: Headcount,
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
    /// Their mean, in metric units: the geometric one where logarithms are compared, that of the cut
    /// values where they are cut at a cap; none without observations.
    pub mean: Option<f64>,
    /// How many values were cut: at the cap, or at the least value that has a logarithm.
    pub clipped: u64,
    /// The last tick with an observation.
    pub last_seen: Option<Tick>,
}

/// What one metric shows; all differences are treatment − control.
///
/// They are in metric units, or where [`Self::relative`] says so ratios of the control's: 0.12 is 12%
/// more. Of several quantiles, they are those of the highest.
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
    /// Each quantile, rising, where quantiles are compared.
    pub quantiles: Vec<QuantileEvidence>,
    /// Whether difference, interval and margin are ratios of the control's mean.
    pub relative: bool,
    /// Estimated difference.
    pub difference: Option<f64>,
    /// Confidence interval of the difference, lower and upper, at 1 − alpha for all looks at once;
    /// none until there is enough data for any.
    pub interval: Option<(f64, f64)>,
    /// The tolerated worsening in the unit of the difference, as a positive number; none while a
    /// relative one has no control to be relative to, and where it is one of exceedances.
    pub margin: Option<f64>,
    /// Whether the estimate, stratified by tick, is no worse than the margin; none without one.
    pub within_margin: Option<bool>,
    /// Log e-value against "not worse"; reaching `threshold` is proof of worsening.
    ///
    /// This and the other log e-values are 0 until there is enough data for any evidence.
    pub log_e_worse: f64,
    /// Log e-value against "worse than the margin"; reaching `threshold_non_inferior` is proof of health.
    pub log_e_non_inferior: f64,
    /// Log e-value of the fixed limit on treatment, where one is declared.
    pub log_e_limit: Option<f64>,
    /// The comparison with control as it was, while nobody is in control.
    pub past: Option<PastEvidence>,
    /// About how many more treated observations until it passes, at the present estimate and
    /// variance; none when it is decided, or when that cannot be told.
    pub needs: Option<u64>,
    /// Its own conclusion.
    pub verdict: Verdict,
    /// Since when an arm of this guardrail has been silent, once that is too long; the verdict is
    /// then [`Verdict::Invalid`], unless it is [`Verdict::Fail`].
    pub silent_since: Option<Timestamp>,
}

/// What treatment shows against control as it was: a comparison with the past, in which a change that is
/// common to everybody looks like one of the candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PastEvidence {
    /// The last tick at which control was looked at.
    pub since: Option<Tick>,
    /// The worst that control may have been, made worse by the margin, in metric units; of several
    /// quantiles, that of the highest.
    pub limit: f64,
    /// Treated observations since.
    pub treated: u64,
    /// Log e-value against "treatment is within the limit"; reaching `−ln` of
    /// [`Alpha::PAST`](crate::policy::Alpha) is proof that it is not.
    pub log_e: f64,
}

/// What one quantile of a metric shows.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantileEvidence {
    /// The quantile.
    pub quantile: Quantile,
    /// Its value among control's observations, to 1%, in metric units; none without observations.
    pub control: Option<f64>,
    /// Its value among treatment's observations.
    pub treatment: Option<f64>,
    /// What it can be in control.
    pub control_interval: QuantileInterval,
    /// What it can be in treatment.
    pub treatment_interval: QuantileInterval,
    /// Log e-value against "treatment lies above the control's quantile no more often than control".
    pub log_e_worse: f64,
    /// Log e-value against "worse than the margin".
    pub log_e_non_inferior: f64,
    /// Its own conclusion.
    pub verdict: Verdict,
}

/// Confidence interval of one quantile of one arm, in metric units, at 1 − alpha for all looks at once.
///
/// It is widened by the design effect of the comparison, which is approximate where users come back, and
/// its ends are edges of bins.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QuantileInterval {
    /// Its lower end; none while nothing is known.
    pub lower: Option<f64>,
    /// Its upper end; none while nothing is known, and among values beyond the last edge.
    pub upper: Option<f64>,
}

/// Whether users came to the arms as planned.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RatioEvidence {
    /// How many there are.
    pub users: PerArm,
    /// How many of them were planned for treatment.
    pub expected: f64,
    /// Log e-value against "as planned"; reaching `−ln` of [`Alpha::SAMPLE_RATIO`](crate::policy::Alpha)
    /// is proof that they did not.
    pub log_e: f64,
    /// When that was proved first; a proof stays one.
    pub since: Option<Timestamp>,
}

/// Whether the data can carry a verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DataQuality {
    /// Users, each at first sight.
    pub split: RatioEvidence,
    /// Users of whom an observation was left out, each at the first of them.
    pub excluded: RatioEvidence,
    /// Observations that were left out because the application had served a fallback of its own.
    pub fallback: PerArm,
    /// Observations that were left out because a value was out of range.
    pub out_of_range: PerArm,
}

/// Users who did not come to the arms as planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mismatch {
    /// Which users.
    pub of: MismatchOf,
    /// How many there are in treatment.
    pub treatment: u64,
    /// How many there are in both arms.
    pub users: u64,
    /// About how many were planned for treatment.
    pub expected: u64,
    /// When it was proved.
    pub since: Timestamp,
}

/// Which users did not come as planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MismatchOf {
    /// All who were observed.
    Users,
    /// Those of whom an observation was left out.
    Exclusions,
}

/// What to blame for [`Verdict::Fail`]: the metric with the largest part in
/// [`Assessment::log_e_combined`] when it first failed, or the one whose limit broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The metric.
    pub metric: MetricName,
    /// What it is proved to be worse than.
    pub versus: Versus,
}

/// What treatment is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versus {
    /// The users who have the stable version at the same time.
    Control,
    /// A declared floor or ceiling.
    Limit,
    /// Control as it was before everybody had the candidate.
    Past,
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
    /// What makes the verdict [`Verdict::Fail`]; none with other verdicts.
    pub blame: Option<Blame>,
    /// Least number of treated observations over the guardrails.
    pub treated: u64,
    /// Whether the data can carry a verdict.
    pub data: DataQuality,
    /// One entry per metric of the policy, in its order.
    pub metrics: Vec<Evidence>,
}

/// What there is to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Both arms are served.
    Concurrent,
    /// Nobody is left in control: limits, control as it was, and what was proved before watch on.
    TreatmentOnly,
}
