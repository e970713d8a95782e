//! Shares of counts: whether things fall into groups as planned.
//!
//! Lindon & Malek 2022, theorem 3.2: for draws that fall into group i with probability θᵢ, the likelihood
//! ratio of the counts under a Dirichlet mixture of probabilities is a martingale. With a prior αᵢ = Kθᵢ
//! around the plan, it is `Γ(K)/Γ(K + n) ∏ Γ(αᵢ + nᵢ)/(Γ(αᵢ) θᵢ^nᵢ)`. The smaller K is, the larger the
//! deviations that it looks for. The order of draws does not matter, nor how many come at a time.

use super::OutOfRange;
use super::special::{LN_SQRT_TWO_PI, entropy, stirling_remainder};
use crate::analysis::special::count_as_f64;

/// Weights of the prior that a test takes, in draws.
pub const PRIOR_DRAWS: (f64, f64) = (1e-3, 1e12);

/// The least share of a group.
pub const SHARE_MIN: f64 = 1e-9;

/// How far the sum of the shares may be from 1: rounding.
const ROUNDING: f64 = 1e-9;

/// The test of planned shares.
///
/// ```
/// use serin::analysis::sequence::multinomial::Multinomial;
///
/// let halves = Multinomial::new(&[0.5, 0.5], 100.0)?;
/// assert!(halves.log_e(&[505, 495]) < 0.0);
/// assert!(halves.log_e(&[5_300, 4_700]) > -f64::ln(0.001));
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Multinomial {
    shares: Vec<f64>,
    prior_draws: f64,
    log_part_at_start: f64,
}

impl Multinomial {
    /// The test for these `shares` (θ, each at least [`SHARE_MIN`], with the sum 1 to 1e-9), with a prior
    /// that weighs as much as `prior_draws` draws as planned (K, in [`PRIOR_DRAWS`]).
    pub fn new(shares: &[f64], prior_draws: f64) -> Result<Self, OutOfRange> {
        for &share in shares {
            OutOfRange::check("planned share", share, (SHARE_MIN, 1.0), "1e-9 to 1")?;
        }
        let range = (1.0 - ROUNDING, 1.0 + ROUNDING);
        let sum = OutOfRange::check("sum of planned shares", shares.iter().sum(), range, "1")?;
        let mut test = Self {
            shares: shares.iter().map(|share| share / sum).collect(),
            prior_draws: OutOfRange::check("weight of a prior", prior_draws, PRIOR_DRAWS, "0.001 to 1e12")?,
            log_part_at_start: 0.0,
        };
        test.log_part_at_start = test.log_part(&vec![0; shares.len()]);
        Ok(test)
    }

    /// Log e-value of counts by group against "they fell as planned".
    ///
    /// A missing count is 0, and one too many is not looked at.
    pub fn log_e(&self, counts: &[u64]) -> f64 {
        self.log_part(counts) - self.log_part_at_start
    }

    /// `Σ [ln Γ(xᵢ) − xᵢ ln θᵢ] − ln Γ(Σ x)` with xᵢ = Kθᵢ + nᵢ, each gamma function by Stirling's formula
    /// so that what is large cancels on paper.
    fn log_part(&self, counts: &[u64]) -> f64 {
        let counts = || {
            counts
                .iter()
                .copied()
                .map(count_as_f64)
                .chain(std::iter::repeat(0.0))
        };
        let drawn: f64 = self.shares.iter().zip(counts()).map(|(_, count)| count).sum();
        let all = self.prior_draws + drawn;
        let of_group = |(&share, count): (&f64, f64)| {
            let expected = all * share;
            let weight = self.prior_draws * share + count;
            let excess = count - drawn * share;
            expected * entropy(excess / expected) + stirling_remainder(weight) - 0.5 * weight.ln()
                + LN_SQRT_TWO_PI
        };
        let groups: f64 = self.shares.iter().zip(counts()).map(of_group).sum();
        groups - (stirling_remainder(all) - 0.5 * all.ln() + LN_SQRT_TWO_PI)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shares() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(1e-3..1.0_f64, 1..6).prop_map(|weights| {
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        })
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let name = |shares: &[f64], prior_draws| Multinomial::new(shares, prior_draws).unwrap_err().name;
        assert_eq!(name(&[0.0, 1.0], 100.0), "planned share");
        assert_eq!(name(&[0.5, f64::NAN], 100.0), "planned share");
        assert_eq!(name(&[0.5, 0.4], 100.0), "sum of planned shares");
        assert_eq!(name(&[], 100.0), "sum of planned shares");
        assert_eq!(name(&[0.5, 0.5], 0.0), "weight of a prior");
    }

    #[test]
    fn missing_counts_are_none_and_more_are_not_looked_at() {
        let test = Multinomial::new(&[0.2, 0.3, 0.5], 10.0).unwrap();
        assert_eq!(test.log_e(&[]).to_bits(), 0.0_f64.to_bits());
        assert_eq!(test.log_e(&[3]).to_bits(), test.log_e(&[3, 0, 0]).to_bits());
        assert_eq!(
            test.log_e(&[3, 1, 2, 9]).to_bits(),
            test.log_e(&[3, 1, 2]).to_bits()
        );
    }

    proptest! {
        /// The next draw, as planned, does not change the mean: a martingale.
        #[test]
        fn the_next_draw_as_planned_is_a_fair_bet(
            shares in shares(), prior_draws in 0.01..1e4_f64, counts in prop::collection::vec(0..200_u64, 5)
        ) {
            let test = Multinomial::new(&shares, prior_draws).unwrap();
            let now = test.log_e(&counts);
            let next: f64 = (0..shares.len())
                .map(|group| {
                    let mut counts = counts.clone();
                    counts[group] += 1;
                    shares[group] * (test.log_e(&counts) - now).exp()
                })
                .sum();
            prop_assert!((next - 1.0).abs() < 1e-9, "{next}");
        }

        #[test]
        fn it_is_finite_whatever_is_counted(
            shares in shares(), prior_draws in 1e-3..1e12_f64, counts in prop::collection::vec(any::<u64>(), 5)
        ) {
            let test = Multinomial::new(&shares, prior_draws).unwrap();
            prop_assert!(test.log_e(&counts).is_finite());
        }

        /// As planned, evidence falls with the logarithm of the draws, whatever their number.
        #[test]
        fn a_split_as_planned_is_never_called_wrong(draws in 1..1_000_000_000_000_000_u64) {
            let log_e = Multinomial::new(&[0.5, 0.5], 100.0).unwrap().log_e(&[draws, draws]);
            let expected = -0.5 * (2.0 * count_as_f64(draws) / 100.0).ln_1p();
            prop_assert!((log_e - expected).abs() < 0.01, "{log_e} is not {expected}");
        }
    }
}
