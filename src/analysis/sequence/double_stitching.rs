//! The double stitched bound: all quantiles at once, each as tight as its variance allows.
//!
//! Howard & Ramdas 2022, theorem 3: stitching over epochs of time, as for one sum, and over a grid of
//! probabilities, whose spacing δ is in logits. Near the ends, where a count up to a quantile hardly
//! varies, it is far below a band of one width.

use super::OutOfRange;
use super::beta_binomial::SHARES;
use super::stitching::Epochs;
use super::tuning::TIME_MAX;

/// Counts from which the bound can be tight.
pub const STARTS: (f64, f64) = (1.0, 1e18);

/// Spacings of the grid of probabilities, in logits.
pub const SPACINGS: (f64, f64) = (1e-3, 1e3);

/// The spacing that Howard & Ramdas use throughout.
pub const SPACING_RECOMMENDED: f64 = 0.5;

/// A double stitched bound.
///
/// ```
/// use serin::analysis::sequence::double_stitching::{DoubleStitching, SPACING_RECOMMENDED};
/// use serin::analysis::sequence::stitching::Epochs;
///
/// let stitching = DoubleStitching::new(Epochs::RECOMMENDED, 100.0, SPACING_RECOMMENDED)?;
/// let (median, high) = (stitching.bound(0.5, 1e4, 3.0)?, stitching.bound(0.99, 1e4, 3.0)?);
/// assert!(high < median / 3.0, "{high} against {median}");
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoubleStitching {
    epochs: Epochs,
    start: f64,
    spacing: f64,
    log_total: f64,
}

impl DoubleStitching {
    /// The bound from `start` values on (m, in [`STARTS`]; before them it is what it is there), for a grid
    /// of the given `spacing` (δ, in [`SPACINGS`]).
    pub fn new(epochs: Epochs, start: f64, spacing: f64) -> Result<Self, OutOfRange> {
        let total = epochs.total();
        Ok(Self {
            epochs,
            start: OutOfRange::check("start of stitching", start, STARTS, "1 to 1e18")?,
            spacing: OutOfRange::check("spacing of probabilities", spacing, SPACINGS, "0.001 to 1000")?,
            log_total: (2.0 * total * (2.0 * total + 1.0)).ln(),
        })
    }

    /// By how much, of `count` values, the number up to the quantile of `probability` (p, in [`SHARES`])
    /// exceeds its expectation at any count and any probability with probability at most
    /// `exp(−log_threshold)`. How far it falls short is the same for 1 − p.
    ///
    /// `log_threshold` is above 0. Infinite where `count` is not 0 to [`TIME_MAX`].
    ///
    /// # Errors
    ///
    /// When the probability is out of range.
    pub fn bound(&self, probability: f64, count: f64, log_threshold: f64) -> Result<f64, OutOfRange> {
        let p = OutOfRange::check("probability", probability, SHARES, "1e-6 to 1 - 1e-6")?;
        if !(0.0..=TIME_MAX).contains(&count) {
            return Ok(f64::INFINITY);
        }
        let count = count.max(self.start);
        let growth = count / self.start;
        let spacing = self.spacing / growth.sqrt();
        let logit = (p / (1.0 - p)).ln();
        let root_of_ratio = self.epochs.ratio().sqrt();
        // The probability of the next point of the grid towards the middle, whose variance is larger.
        let next = if p >= 0.5 {
            p
        } else {
            ((-logit - 2.0 * spacing * root_of_ratio).exp() + 1.0)
                .recip()
                .min(0.5)
        };
        let variance = next * (1.0 - next);
        let place = logit.abs() / (2.0 * spacing) + 1.0;
        let log_crossing = self.epochs.log_rarity(growth)
            + self.epochs.log_rarity_of_place(place)
            + self.log_total
            + log_threshold;
        let curve = self
            .epochs
            .curve(count * variance, (1.0 - 2.0 * p) / 3.0, log_crossing);
        Ok(self.spacing * root_of_ratio * (growth * variance).sqrt() + curve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let new = |start, spacing| DoubleStitching::new(Epochs::RECOMMENDED, start, spacing);
        assert_eq!(new(0.0, 0.5).unwrap_err().name, "start of stitching");
        assert_eq!(new(1.0, 0.0).unwrap_err().name, "spacing of probabilities");
        let stitching = new(1.0, 0.5).unwrap();
        for probability in [0.0, 1.0, f64::NAN] {
            let refused = stitching.bound(probability, 10.0, 3.0).unwrap_err();
            assert_eq!(refused.name, "probability");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_not_a_number(
            ratio in 1.001..1e3_f64, decay in 1.001..50.0_f64, log_start in 0.0..41.0_f64,
            log_spacing in -6.9..6.9_f64, probability in 1e-6..=1.0 - 1e-6, count in any::<f64>(),
            log_threshold in 1e-6..1e6_f64
        ) {
            let epochs = Epochs::new(ratio, decay).unwrap();
            let stitching = DoubleStitching::new(epochs, log_start.exp(), log_spacing.exp()).unwrap();
            let bound = stitching.bound(probability, count, log_threshold).unwrap();
            prop_assert!(bound > 0.0, "{bound}");
        }
    }
}
