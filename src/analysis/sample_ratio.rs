//! Whether users came to the arms as planned: a split that is off by a little spoils every comparison.
//!
//! Each user counts once, at first sight, at the share that was planned for treatment at that moment.
//! A user's hash does not depend on when the user comes, so that under the plan each of them is an
//! independent draw with that share: the [multinomial](super::sequence::multinomial) e-process. The
//! e-processes of different shares multiply (STATISTICS 1.6).

use super::headcount::{ByShare, PerArm};
use super::sequence::multinomial::Multinomial;
use super::special::{ceil_as_count, count_as_f64};
use super::{DataQuality, Mismatch, MismatchOf, RatioEvidence};
use crate::ids::{Exposure, Tick};
use crate::policy::Alpha;

/// Weight of the prior, in users (K): the split is guessed to be off by some five points.
const PRIOR_USERS: f64 = 100.0;

/// Users at one share beyond which nobody is counted: more than a hundred times mankind.
const USERS_MAX: u64 = 1 << 40;

/// Users of both arms over all ticks so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SampleRatio {
    pub(super) users: ByShare,
    /// The first tick after which the split was proved not to be the planned one: a proof stays one.
    pub(super) since: Option<Tick>,
}

impl SampleRatio {
    pub(super) fn absorb(&mut self, tick: Tick, seen: &ByShare) {
        if seen.is_empty() {
            return;
        }
        for (&share, &counts) in seen {
            let mut users = self.users.get(&share).copied().unwrap_or_default();
            users.merge(counts);
            if (1..=USERS_MAX).contains(&users.total()) {
                self.users.insert(share, users);
            }
        }
        if self.since.is_none() && self.log_e() >= Alpha::SAMPLE_RATIO.log_threshold() {
            self.since = Some(tick);
        }
    }

    /// Log e-value against "users came as planned".
    pub(super) fn log_e(&self) -> f64 {
        self.users
            .iter()
            .map(|(&share, &users)| log_e(share, users))
            .sum()
    }

    pub(super) fn evidence(&self) -> RatioEvidence {
        let mut together = PerArm::default();
        let mut expected = 0.0;
        for (share, users) in &self.users {
            together.merge(*users);
            expected += share.ratio() * count_as_f64(users.total());
        }
        RatioEvidence {
            users: together,
            expected,
            log_e: self.log_e(),
            since: self.since.map(Tick::begins),
        }
    }
}

impl DataQuality {
    /// The users who are proved not to have come as planned, those of all before those of some.
    pub fn mismatch(&self) -> Option<Mismatch> {
        let of = |of, ratio: &RatioEvidence| {
            ratio.since.map(|since| Mismatch {
                of,
                treatment: ratio.users.treatment,
                users: ratio.users.total(),
                expected: ceil_as_count(ratio.expected),
                since,
            })
        };
        of(MismatchOf::Users, &self.split).or_else(|| of(MismatchOf::Exclusions, &self.excluded))
    }
}

/// Log e-value of the users at one share; 0 where the plan leaves one arm to nobody, so that there is no
/// split to test.
fn log_e(share: Exposure, users: PerArm) -> f64 {
    let plan = [share.ratio(), share.complement().ratio()];
    Multinomial::new(&plan, PRIOR_USERS).map_or(0.0, |test| test.log_e(&[users.treatment, users.control]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(ppm: u32) -> Exposure {
        Exposure::from_ppm(ppm).unwrap()
    }

    fn users(control: u64, treatment: u64) -> PerArm {
        PerArm { control, treatment }
    }

    proptest! {
        /// The defining property, by enumeration: under the plan the mean of e is 1.
        #[test]
        fn it_is_an_e_value(ppm in 1_000..=999_000_u32, n in 1..40_u64) {
            let theta = share(ppm).ratio();
            let mut expectation = 0.0;
            let mut mass = (1.0 - theta).powi(i32::try_from(n).unwrap());
            for treated in 0..=n {
                expectation += mass * log_e(share(ppm), users(n - treated, treated)).exp();
                mass *= (n - treated) as f64 / (treated + 1) as f64 * theta / (1.0 - theta);
            }
            prop_assert!((expectation - 1.0).abs() < 1e-9, "{expectation}");
        }

        #[test]
        fn it_is_finite_whatever_is_counted(ppm in 0..=1_000_000_u32, control: u64, treatment: u64) {
            let mut ratio = SampleRatio::default();
            for second in 0..3 {
                ratio.absorb(Tick::new(second), &ByShare::from([(share(ppm), users(control, treatment))]));
            }
            prop_assert!(ratio.log_e().is_finite());
        }
    }

    #[test]
    fn a_split_as_planned_is_never_called_wrong() {
        let mut ratio = SampleRatio::default();
        for second in 0..1_000 {
            ratio.absorb(Tick::new(second), &ByShare::from([(share(50_000), users(95, 5))]));
            ratio.absorb(
                Tick::new(second),
                &ByShare::from([(share(250_000), users(30, 10))]),
            );
        }
        assert!(ratio.log_e() < 0.0);
        let evidence = ratio.evidence();
        assert_eq!((evidence.users, evidence.since), (users(125_000, 15_000), None));
        assert!((evidence.expected - 15_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_wrong_split_is_proved_and_stays_proved() {
        let mut ratio = SampleRatio::default();
        let mut second = 0;
        while ratio.since.is_none() {
            ratio.absorb(
                Tick::new(second),
                &ByShare::from([(share(500_000), users(60, 50))]),
            );
            second += 1;
        }
        // 55 of 110 were planned; 50 are more than four standard deviations off after 2,300 users.
        assert!((5..30).contains(&second), "{second}");
        for later in second..second + 1_000 {
            ratio.absorb(
                Tick::new(later),
                &ByShare::from([(share(500_000), users(50, 50))]),
            );
        }
        assert!(ratio.log_e() < Alpha::SAMPLE_RATIO.log_threshold());
        assert_eq!(ratio.since, Some(Tick::new(second - 1)));
    }

    #[test]
    fn shares_that_leave_an_arm_to_nobody_prove_nothing() {
        for (ppm, users) in [(0, users(10, 5)), (1_000_000, users(5, 10))] {
            assert_eq!(log_e(share(ppm), users).to_bits(), 0.0_f64.to_bits());
        }
    }
}
