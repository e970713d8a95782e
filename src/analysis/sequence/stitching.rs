//! The polynomial stitched bound: for sub-gamma sums, in closed form.
//!
//! Howard et al. 2021, theorem 1 with equation (3.1) and `h(k) = (k + 1)^s ζ(s)`: intrinsic time is cut
//! into epochs that grow by a ratio η, each is bounded by a straight line, epoch k with a share
//! `1/h(k)` of the error, and one smooth curve lies above all lines. It grows as the law of the
//! iterated logarithm has it, `√(V ln ln V)`: the narrowest of all for very long times.

use super::OutOfRange;
use super::special::zeta;
use super::tuning::{TUNING_TIMES, readable};
use std::f64::consts::SQRT_2;

/// How intrinsic time is cut into epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epochs {
    ratio: f64,
    decay: f64,
}

impl Epochs {
    /// η = 2 and s = 1.4, the choice of Howard et al. 2021 for equation (3.4).
    pub const RECOMMENDED: Self = Self {
        ratio: 2.0,
        decay: 1.4,
    };

    /// Epochs that grow by `ratio` (η, 1.001 to 1000), with shares of the error that fall with the
    /// power `decay` of their number (s, 1.001 to 50).
    pub fn new(ratio: f64, decay: f64) -> Result<Self, OutOfRange> {
        Ok(Self {
            ratio: OutOfRange::check("ratio of epochs", ratio, (1.001, 1e3), "1.001 to 1000")?,
            decay: OutOfRange::check("decay of epochs", decay, (1.001, 50.0), "1.001 to 50")?,
        })
    }

    /// `ζ(s)`: the sum of the shares before they are made to sum to 1.
    pub(super) fn total(self) -> f64 {
        zeta(self.decay)
    }

    /// `s ln(ln(η V/m)/ln η)` for `V/m` at least 1: by how much later epochs are rarer.
    pub(super) fn log_rarity(self, growth: f64) -> f64 {
        self.decay * ((self.ratio.ln() + growth.ln()) / self.ratio.ln()).ln()
    }

    /// `s ln j`: by how much the j-th point of a grid is rarer.
    pub(super) fn log_rarity_of_place(self, place: f64) -> f64 {
        self.decay * place.ln()
    }

    /// η.
    pub(super) fn ratio(self) -> f64 {
        self.ratio
    }

    /// The curve above the lines, `√(k₁² V ℓ + (k₂ c ℓ)²) + k₂ c ℓ` (equation 3.1).
    pub(super) fn curve(self, variance: f64, scale: f64, log_crossing: f64) -> f64 {
        let root = self.ratio.powf(0.25);
        let k1 = (root + root.recip()) / SQRT_2;
        let k2 = (self.ratio.sqrt() + 1.0) / 2.0;
        let linear = k2 * scale * log_crossing;
        (k1 * k1 * variance * log_crossing + linear * linear).sqrt() + linear
    }
}

/// A polynomial stitched bound.
///
/// ```
/// use serin::analysis::sequence::stitching::{Epochs, PolynomialStitching};
///
/// // Sub-Gaussian, from the intrinsic time 1 on; α = 0.05.
/// let stitching = PolynomialStitching::new(Epochs::RECOMMENDED, 1.0, 0.0)?;
/// let bound = stitching.bound(1e6, -f64::ln(0.05));
/// assert!((4_000.0..4_200.0).contains(&bound), "{bound}");
/// # Ok::<(), serin::analysis::sequence::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolynomialStitching {
    epochs: Epochs,
    start: f64,
    scale: f64,
    log_total: f64,
}

impl PolynomialStitching {
    /// For a sub-gamma process of the given `scale` (c, 0 to 1e6, in the unit of the sum; 0 is
    /// sub-Gaussian) from the intrinsic time `start` on (m, 1e-9 to 1e18); before it, the bound is what
    /// it is there.
    pub fn new(epochs: Epochs, start: f64, scale: f64) -> Result<Self, OutOfRange> {
        Ok(Self {
            epochs,
            start: OutOfRange::check("start of stitching", start, TUNING_TIMES, "1e-9 to 1e18")?,
            scale: OutOfRange::check("scale of a sub-gamma process", scale, (0.0, 1e6), "0 to 1e6")?,
            log_total: epochs.total().ln(),
        })
    }

    /// What the sum reaches at any time, ever, with probability at most `exp(−log_threshold)`, at the
    /// intrinsic time `time`.
    ///
    /// `log_threshold` is above 0. Infinite where `time` is not 0 to
    /// [`TIME_MAX`](super::tuning::TIME_MAX).
    pub fn bound(&self, time: f64, log_threshold: f64) -> f64 {
        let Some((_, time)) = readable(0.0, time) else {
            return f64::INFINITY;
        };
        let time = time.max(self.start);
        let log_crossing = self.epochs.log_rarity(time / self.start) + self.log_total + log_threshold;
        self.epochs.curve(time, self.scale, log_crossing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        assert_eq!(Epochs::new(1.0, 1.4).unwrap_err().name, "ratio of epochs");
        assert_eq!(Epochs::new(2.0, 1.0).unwrap_err().name, "decay of epochs");
        let stitching = |start, scale| PolynomialStitching::new(Epochs::RECOMMENDED, start, scale);
        assert_eq!(stitching(0.0, 1.0).unwrap_err().name, "start of stitching");
        assert_eq!(
            stitching(1.0, -1.0).unwrap_err().name,
            "scale of a sub-gamma process"
        );
    }

    /// Howard et al. 2021, equation (3.4), whose constants are rounded up.
    #[test]
    fn the_published_example_holds() {
        let stitching = PolynomialStitching::new(Epochs::RECOMMENDED, 1.0, 0.0).unwrap();
        for time in [1.0_f64, 10.0, 1e3, 1e6, 1e12] {
            let alpha: f64 = 0.025;
            let published = 1.7 * (time * ((2.0 * time).ln().ln() + 0.72 * (5.2 / alpha).ln())).sqrt();
            let bound = stitching.bound(time, -alpha.ln());
            assert!(
                (0.99 * published..=published).contains(&bound),
                "{bound} at {time} is not {published}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_is_not_a_number(
            ratio in 1.001..1e3_f64, decay in 1.001..50.0_f64, log_start in -20.0..41.0_f64,
            scale in 0.0..1e6_f64, time in any::<f64>(), log_threshold in 1e-3..1e6_f64
        ) {
            let epochs = Epochs::new(ratio, decay).unwrap();
            let stitching = PolynomialStitching::new(epochs, log_start.exp(), scale).unwrap();
            prop_assert!(stitching.bound(time, log_threshold) > 0.0);
        }

        #[test]
        fn the_bound_grows_with_time(log_time in -5.0..41.0_f64, scale in 0.0..10.0_f64) {
            let stitching = PolynomialStitching::new(Epochs::RECOMMENDED, 1.0, scale).unwrap();
            let time = log_time.exp().min(4e17);
            prop_assert!(stitching.bound(time, 3.0) <= stitching.bound(2.0 * time, 3.0));
        }
    }
}
