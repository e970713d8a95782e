//! What is measured, as it is written.

use super::super::problem::Span;
use super::super::quantity::{Percentage, Quantity};
use super::super::{Better, Quantiles, Role};
use super::read::Given;
use super::value::Items;
use super::words::{KindWord, ScaleWord};
use schemars::JsonSchema;

/// What `from` may say, for editors.
const FEED_PATTERN: &str = concat!(
    "^(observations|span\\.(duration|firstToken|error|inputTokens|outputTokens|totalTokens|cost)",
    "|evaluation:\\S(.*\\S)?)$"
);

/// What is measured.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(rename = "Metric", deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MetricDocument {
    #[schemars(skip)]
    pub(crate) span: Span,
    /// Its name in observations.
    #[schemars(extend("maxLength" = 64, "pattern" = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"))]
    pub(crate) name: Given<String>,
    /// What its values are.
    pub(crate) kind: Given<KindWord>,
    /// Which way is good; a score is better when it is higher, a rate must say.
    #[schemars(default)]
    pub(crate) better: Given<Better>,
    /// The worsening that is tolerated: a number in a score's or an amount's own units, percentage points
    /// of a rate (`0.5pp`), a duration (`200ms`), or a percentage of the control's mean or quantile
    /// (`10%`). Percentage points of a latency (`2pp`) are values above the control's quantile in excess.
    pub(crate) margin: Given<Quantity>,
    /// Its part in the verdict.
    #[schemars(default, extend("default" = "guardrail"))]
    pub(crate) role: Given<Role>,
    /// Least and greatest value of a score; 0 and 1 without it.
    #[schemars(default)]
    pub(crate) range: Given<Items<f64, 2, 2>>,
    /// Least mean of the treatment arm, where higher is better: a number for a score, a percentage
    /// for a rate.
    #[schemars(default)]
    pub(crate) floor: Given<Quantity>,
    /// Greatest mean of the treatment arm, where lower is better: a number for a score or an amount, a
    /// percentage for a rate, a duration for a latency (of several quantiles, for the highest).
    #[schemars(default)]
    pub(crate) ceiling: Given<Quantity>,
    /// Mean, rate or quantile from before the rollout.
    #[schemars(default)]
    pub(crate) baseline: Given<Quantity>,
    /// Its share in alpha, relative to the other metrics': above 0, at most 1000.
    #[schemars(default, extend("default" = 1, "exclusiveMinimum" = 0, "maximum" = 1000))]
    pub(crate) weight: Given<f64>,
    /// The quantile of a latency that is compared, such as `95%`.
    #[schemars(default)]
    pub(crate) quantile: Given<Percentage>,
    /// Several quantiles of a latency, rising; they share the metric's weight.
    #[schemars(default)]
    pub(crate) quantiles: Given<Items<Percentage, 1, { Quantiles::MAX }>>,
    /// What mean of an amount is compared; `log` compares that of a latency instead of quantiles.
    #[schemars(default)]
    pub(crate) scale: Given<ScaleWord>,
    /// For `scale: winsorised`: values above it count as much as it. The 99.9th percentile from before
    /// the rollout is a good one.
    #[schemars(default, extend("exclusiveMinimum" = 0, "maximum" = 1e15))]
    pub(crate) cap: Given<f64>,
    /// `s` (the default) or `ms`, in which observations of a latency come; for an amount, what is
    /// counted (`USD`, `tokens`), to be shown.
    #[schemars(default, extend("maxLength" = 32))]
    pub(crate) unit: Given<String>,
    /// Whether every worsening of this guardrail that is proved takes the candidate back at once: inside
    /// of the margin, too, and whatever `analysis.onFail` says.
    #[schemars(default, extend("default" = false))]
    pub(crate) critical: Given<bool>,
    /// What feeds it besides observations that name it: a fact of each traced call with the prompt
    /// (`span.duration`, `span.error`, …), the scores of a name (`evaluation:NAME`), or nothing
    /// (`observations`). Without it, the fact that its name usually means, else scores of its own name.
    #[schemars(default, extend("pattern" = FEED_PATTERN))]
    pub(crate) from: Given<String>,
}
