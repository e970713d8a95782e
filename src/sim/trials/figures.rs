//! What many rollouts show together.

use super::{End, Reason, Trial};
use std::collections::BTreeMap;

/// The normal value that 97.5% of a population is below: limits of 95%, on both sides.
const NORMAL_975: f64 = 1.959_963_984_540_054;

/// What many rollouts show together.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Those whose candidate was taken back.
    pub rolled_back: Share,
    /// Those whose candidate is the stable version.
    pub promoted: Share,
    /// All others: paused, or out of time.
    pub undecided: Share,
    /// Why candidates were taken back.
    pub rollback_reasons: BTreeMap<Reason, u32>,
    /// Why rollouts were paused.
    pub pause_reasons: BTreeMap<Reason, u32>,
    /// Rollouts whose time was over.
    pub out_of_time: u32,
    /// Treated observations until rollback, over those that were rolled back.
    pub treated_until_rollback: Option<Spread>,
    /// Treated users until rollback.
    pub users_until_rollback: Option<Spread>,
    /// Hours until rollback.
    pub hours_until_rollback: Option<Spread>,
    /// Hours until the control label moved, over those that were promoted in the end.
    pub hours_until_promotion: Option<Spread>,
}

/// A part of all rollouts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// How many.
    pub count: u32,
    /// Their share of all.
    pub share: f64,
    /// Limits that hold the true share with 95%: Wilson 1927, "Probable inference, the law of
    /// succession, and statistical inference".
    pub limits: (f64, f64),
}

/// How a number is distributed over rollouts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Half of them have at most this.
    pub median: f64,
    /// Nine of ten have at most this.
    pub p90: f64,
}

impl Figures {
    /// The figures of these rollouts.
    pub fn of(trials: &[Trial]) -> Self {
        let all = u32::try_from(trials.len()).unwrap_or(u32::MAX);
        let (mut rollback_reasons, mut pause_reasons) = (BTreeMap::new(), BTreeMap::new());
        let (mut promoted, mut out_of_time) = (0, 0);
        for trial in trials {
            match &trial.end {
                End::RolledBack(reason) => *rollback_reasons.entry(reason.clone()).or_default() += 1,
                End::Paused(reason) => *pause_reasons.entry(reason.clone()).or_default() += 1,
                End::Promoted => promoted += 1,
                End::OutOfTime => out_of_time += 1,
            }
        }
        let rolled_back = rollback_reasons.values().sum();
        let back = || {
            let all = trials.iter();
            all.filter(|trial| matches!(trial.end, End::RolledBack(_)))
        };
        let through = trials.iter().filter(|trial| trial.end == End::Promoted);
        Self {
            rolled_back: Share::of(rolled_back, all),
            promoted: Share::of(promoted, all),
            undecided: Share::of(all - rolled_back - promoted, all),
            treated_until_rollback: Spread::of(back().map(|trial| count(trial.treated))),
            users_until_rollback: Spread::of(back().map(|trial| count(trial.treated_users))),
            hours_until_rollback: Spread::of(back().map(|trial| trial.ended_after.as_secs_f64() / 3_600.0)),
            hours_until_promotion: Spread::of(through.filter_map(|trial| {
                let after = trial.promoted_after?;
                Some(after.as_secs_f64() / 3_600.0)
            })),
            rollback_reasons,
            pause_reasons,
            out_of_time,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a relative error of 1e-16 in a count of 1e16 is harmless"
)]
fn count(number: u64) -> f64 {
    number as f64
}

impl Share {
    fn of(count: u32, all: u32) -> Self {
        let (n, share) = (f64::from(all), f64::from(count) / f64::from(all.max(1)));
        let square = NORMAL_975 * NORMAL_975;
        let middle = (share + square / (2.0 * n)) / (1.0 + square / n);
        let width =
            NORMAL_975 * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt() / (1.0 + square / n);
        // Rounding must not take the ends of the range from a share that is one of them.
        let lower = if count == 0 { 0.0 } else { middle - width };
        let upper = if count == all { 1.0 } else { middle + width };
        Self {
            count,
            share,
            limits: if all == 0 { (0.0, 1.0) } else { (lower, upper) },
        }
    }
}

impl Spread {
    /// By the nearest rank; none of nothing.
    fn of(numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = |tenths: usize| {
            let rank = (sorted.len() * tenths).div_ceil(10);
            sorted.get(rank.saturating_sub(1)).copied()
        };
        Some(Self {
            median: rank(5)?,
            p90: rank(9)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    #[test]
    fn shares_have_the_published_limits() {
        for (count, all, lower, upper) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let Share { limits, .. } = Share::of(count, all);
            assert!(
                (limits.0 - lower).abs() < 5e-5 && (limits.1 - upper).abs() < 5e-5,
                "{limits:?}"
            );
        }
        assert!((Share::of(20, 20).limits.1 - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn spreads_are_by_rank() {
        let spread = |numbers: &[f64]| Spread::of(numbers.iter().copied()).map(|one| (one.median, one.p90));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some((3.0, 3.0)));
        let ten: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!(spread(&ten), Some((5.0, 9.0)));
        let eleven: Vec<f64> = (1..=11).map(f64::from).collect();
        assert_eq!(spread(&eleven), Some((6.0, 10.0)));
    }
}
