//! Confidence sequences and e-processes: bounds that hold at every look at once.
//!
//! Each file is one method with its source. `normal`, `gamma_exponential` and `beta_binomial` mix
//! likelihood ratios over a prior and bound a sum against its intrinsic time; `stitching` does the
//! same in closed form. `empirical_bernstein` bounds a mean, `quantile` one quantile of counts in
//! bins. `band` and `double_stitching` bound all quantiles at once, `quantile_equality` compares
//! one quantile of two samples. `multinomial` tests shares of counts.
//!
//! Underneath: `tuning` says where a mixture is tightest, `boundary` turns a mixture into a bound,
//! `tails` and `quadrature` integrate what has no closed form, `special` holds scalar functions.
//!
//! Sums and intrinsic times are in the units of the process (for a sum of observations, their unit
//! and its square). Every function is total: what lies outside the documented range of an argument
//! is said to be refused, to count as the nearest value within it, or to carry no evidence, and no
//! argument makes a result that is not a number.
//!
//! The sources, by the names that the files use:
//! - Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence
//!   sequences", Annals of Statistics 49(2); its propositions S1 to S6 are in the supplement.
//! - Howard & Ramdas 2022, "Sequential estimation of quantiles with applications to A/B testing and
//!   best-arm identification", Bernoulli 28(3).
//! - Lindon & Malek 2022, "Anytime-valid inference for multinomial count data", NeurIPS 35.

pub mod band;
pub mod beta_binomial;
mod boundary;
pub mod double_stitching;
pub mod empirical_bernstein;
pub mod gamma_exponential;
pub mod multinomial;
pub mod normal;
mod quadrature;
pub mod quantile;
pub mod quantile_equality;
mod special;
pub mod stitching;
mod tails;
pub mod tuning;

/// A parameter that a method does not take.
///
/// ```
/// use serin::analysis::sequence::tuning::Tuning;
///
/// let refused = Tuning::new(0.0, 3.0).unwrap_err();
/// assert_eq!(refused.to_string(), "`tuning time` must be 1e-9 to 1e18, not `0`");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("`{name}` must be {rule}, not `{value}`")]
pub struct OutOfRange {
    /// The parameter.
    pub name: &'static str,
    /// What its values must be.
    pub rule: &'static str,
    /// The value that was refused.
    pub value: f64,
}

impl OutOfRange {
    /// `value` itself, if it is in the closed range; the rule says the same in words.
    fn check(
        name: &'static str,
        value: f64,
        (least, greatest): (f64, f64),
        rule: &'static str,
    ) -> Result<f64, Self> {
        // Not a number is in no range.
        if (least..=greatest).contains(&value) {
            Ok(value)
        } else {
            Err(Self { name, rule, value })
        }
    }
}

/// Which sums speak against the null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Large positive ones.
    One,
    /// Large ones of either sign.
    Two,
}
