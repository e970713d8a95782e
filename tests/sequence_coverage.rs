//! Bounds of the library by simulation: whoever looks after every batch is misled no more often than α.
//!
//! The draws are seeded, so that each run is the same.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serin::analysis::sequence::empirical_bernstein::{Batch, EmpiricalBernstein};
use serin::analysis::sequence::multinomial::Multinomial;
use serin::analysis::sequence::quantile::FixedQuantile;
use serin::analysis::sequence::tuning::Tuning;
use std::collections::BTreeMap;

const ALPHA: f64 = 0.1;
const RUNS: u64 = 200;
const LOOKS: u64 = 40;

/// In how many of the runs something is seen that should not be, at any look.
fn misled(seen: impl Fn(&mut ChaCha8Rng) -> bool) -> u64 {
    (0..RUNS)
        .map(|run| u64::from(seen(&mut ChaCha8Rng::seed_from_u64(run))))
        .sum()
}

/// At most α of the runs, to two standard errors.
fn assert_holds(misled: u64) {
    let runs = RUNS as f64;
    let most = ALPHA * runs + 2.0 * (ALPHA * (1.0 - ALPHA) * runs).sqrt();
    assert!(misled as f64 <= most, "{misled} of {RUNS} runs");
}

/// The quantile that is looked for, of values that are uniform over 100 bins.
#[test]
fn the_interval_of_a_quantile_holds_it_at_every_look() {
    let sequence = FixedQuantile::tuned(0.9, 200.0, -ALPHA.ln()).unwrap();
    let narrow = std::cell::Cell::new(0);
    let runs = misled(|random| {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        let mut ever_wrong = false;
        for _ in 0..LOOKS {
            for _ in 0..20 {
                *counts.entry(random.random_range(1..=100)).or_default() += 1;
            }
            let (lower, upper) = sequence.interval(counts.iter().map(|(&bin, &count)| (bin, count)), 1.0);
            // Exactly nine tenths lie up to the edge of bin 90.
            ever_wrong |= lower.is_some_and(|lower| lower >= 90) || upper.is_some_and(|upper| upper < 90);
            narrow.set(narrow.get() + u64::from(lower > Some(80) && upper < Some(98) && upper.is_some()));
        }
        ever_wrong
    });
    assert_holds(runs);
    assert!(
        narrow.get() > RUNS * LOOKS / 3,
        "{} looks with a narrow interval",
        narrow.get()
    );
}

/// Rare large values, whose mean is told by their variance rather than their range.
#[test]
fn the_interval_of_a_mean_holds_it_at_every_look() {
    let log_threshold = -(ALPHA / 2.0).ln();
    let narrow = std::cell::Cell::new(0);
    let runs = misled(|random| {
        let mut sequence = EmpiricalBernstein::tuned(Tuning::new(20.0, log_threshold).unwrap()).unwrap();
        let mut ever_wrong = false;
        for _ in 0..LOOKS {
            let happened = (0..50).filter(|_| random.random_bool(0.05)).count() as f64;
            sequence.add(Batch::new(50, happened, happened).unwrap());
            let (lower, upper) = sequence.interval(log_threshold);
            ever_wrong |= 0.05 < lower || upper < 0.05;
            narrow.set(narrow.get() + u64::from(upper - lower < 0.08));
        }
        ever_wrong
    });
    assert_holds(runs);
    assert!(
        narrow.get() > RUNS * LOOKS / 4,
        "{} looks with a narrow interval",
        narrow.get()
    );
}

#[test]
fn a_split_as_planned_is_called_wrong_in_few_runs_and_another_in_all() {
    let test = Multinomial::new(&[0.5, 0.3, 0.2], 100.0).unwrap();
    let proved = |shares: [f64; 2]| {
        misled(|random| {
            let mut counts = [0_u64; 3];
            (0..LOOKS * 100).any(|_| {
                let place: f64 = random.random();
                let group = shares.iter().filter(|&&edge| place >= edge).count();
                counts[group] += 1;
                test.log_e(&counts) >= -ALPHA.ln()
            })
        })
    };
    assert_holds(proved([0.5, 0.8]));
    assert_eq!(proved([0.45, 0.8]), RUNS);
}
