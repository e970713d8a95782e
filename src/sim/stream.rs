//! Closed ticks of one metric, straight from a seeded population: for measuring verdicts by the
//! thousand, without a server between.
//!
//! Users are placed as in production, arm and cluster by the keyed hashes of
//! [`bucket`](crate::assignment::bucket), and values are tallied as a source does it.

use super::population::{Law, Population, Users};
use crate::analysis::{ArmTallies, Headcount, Observation, TickTally};
use crate::assignment::bucket::{Purpose, SECRET_BYTES, SplitKey, SplitSalt};
use crate::ids::{Arm, Exposure, PolicyName, Tick, UserKey, Version};
use crate::policy::Metric;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::BTreeMap;

/// How one metric of one rollout comes about.
#[derive(Debug, Clone)]
pub struct Design {
    /// The metric.
    pub metric: Metric,
    /// Who comes.
    pub users: Users,
    /// How many observations are expected in a tick; they come by a Poisson process.
    pub per_tick: f64,
    /// What is observed under the stable version.
    pub control: Law,
    /// What is observed under the candidate.
    pub treatment: Law,
    /// Shares of users in treatment, each for a number of ticks.
    pub steps: Vec<(Exposure, u32)>,
    /// What befalls both arms alike from a tick on, counted from 0.
    pub drift: Option<(u32, Drift)>,
}

/// A change of both arms that is no fault of the candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Drift {
    /// Values are that much larger, and then cut to the metric's range.
    Shift(f64),
    /// Probabilities and values are that many times as large.
    Scale(f64),
}

/// A seeded stream of closed ticks.
#[derive(Debug)]
pub struct Stream<'d> {
    design: &'d Design,
    population: Population,
    split: SplitKey,
    cluster: SplitKey,
    second: u32,
    now: Observed,
}

/// What one tick shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// As the engine sees it.
    pub tick: TickTally,
    /// The values of control, in the order in which they came.
    pub control: Vec<f64>,
    /// The values of treatment.
    pub treatment: Vec<f64>,
}

impl Design {
    /// How many ticks the steps have together.
    pub fn ticks(&self) -> u32 {
        self.steps.iter().map(|(_, ticks)| ticks).sum()
    }

    /// The share of users in treatment in a tick; that of the last step after it.
    fn exposure(&self, second: u32) -> Exposure {
        let mut begins = 0;
        let mut exposure = Exposure::NOBODY;
        for &(of_step, ticks) in &self.steps {
            if begins > second {
                break;
            }
            exposure = of_step;
            begins += ticks;
        }
        exposure
    }
}

impl Drift {
    fn apply(self, law: &Law, place: f64, (least, greatest): (f64, f64)) -> f64 {
        match (self, law) {
            (Self::Shift(by), _) => (law.at(place) + by).clamp(least, greatest),
            (Self::Scale(by), Law::Bernoulli(probability)) => Law::Bernoulli(by * probability).at(place),
            (Self::Scale(by), Law::Beta(_) | Law::Lognormal { .. }) => {
                (by * law.at(place)).clamp(least, greatest)
            }
        }
    }
}

impl<'d> Stream<'d> {
    /// The stream of a seed: people, arrivals, values and the split all follow from it.
    pub fn new(design: &'d Design, policy: &PolicyName, seed: u64) -> Self {
        let mut secret = [0; SECRET_BYTES];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut secret);
        let salt = SplitSalt::of(None, policy, Version::FIRST);
        Self {
            population: Population::new(seed, design.users),
            split: SplitKey::derive(&secret, Purpose::Split, &salt),
            cluster: SplitKey::derive(&secret, Purpose::Cluster, &salt),
            second: 0,
            now: Observed {
                tick: TickTally {
                    tick: Tick::new(0),
                    metrics: BTreeMap::from([(design.metric.name.clone(), ArmTallies::default())]),
                    headcount: Headcount::default(),
                },
                control: Vec::new(),
                treatment: Vec::new(),
            },
            design,
        }
    }

    /// The next tick; none after the last one of the design.
    pub fn next_tick(&mut self) -> Option<&Observed> {
        let design = self.design;
        if self.second >= design.ticks() {
            return None;
        }
        let exposure = design.exposure(self.second);
        let drift = design.drift.filter(|(from, _)| *from <= self.second);
        let range = design.metric.kind.range();
        self.now.tick.tick = Tick::new(self.second.into());
        self.now.control.clear();
        self.now.treatment.clear();
        let mut tallies = ArmTallies::default();
        for visitor in self.population.arrivals(design.per_tick) {
            let Ok(user) = UserKey::new(&visitor.user) else {
                continue;
            };
            let (arm, law, values) = if self.split.bucket(user).is_below(exposure) {
                (Arm::Treatment, &design.treatment, &mut self.now.treatment)
            } else {
                (Arm::Control, &design.control, &mut self.now.control)
            };
            let place = self.population.place(&visitor);
            let value = match drift {
                Some((_, drift)) => drift.apply(law, place, range),
                None => law.at(place),
            };
            values.push(value);
            let observation = Observation::of(&design.metric, value);
            tallies.add(arm, self.cluster.cluster(user), observation);
        }
        if let Some(entry) = self.now.tick.metrics.get_mut(&design.metric.name) {
            *entry = tallies;
        }
        self.second += 1;
        Some(&self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check::check;

    const POLICY: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  steps: [{exposure: 25%, bake: 1h}, {exposure: 100%, bake: 1h}]
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";

    fn design(drift: Option<(u32, Drift)>) -> (PolicyName, Design) {
        let policy = check("answer.yaml", POLICY).unwrap().policy;
        let share = |ppm| Exposure::from_ppm(ppm).unwrap();
        let design = Design {
            metric: policy.metrics[0].clone(),
            users: Users::Fresh,
            per_tick: 40.0,
            control: Law::rate(0.10).unwrap(),
            treatment: Law::rate(0.20).unwrap(),
            steps: vec![(share(50_000), 300), (share(500_000), 300)],
            drift,
        };
        (policy.name, design)
    }

    /// Counts and sums of the second half of a stream: control, then treatment.
    fn second_half(name: &PolicyName, design: &Design, seed: u64) -> [(f64, f64); 2] {
        let mut stream = Stream::new(design, name, seed);
        let mut found = [(0.0, 0.0); 2];
        while let Some(observed) = stream.next_tick() {
            let tallies = observed.tick.metrics.values().next().unwrap();
            for (values, tally) in [
                (&observed.control, &tallies.control),
                (&observed.treatment, &tallies.treatment),
            ] {
                assert_eq!(tally.count, values.len() as u64);
                assert!((tally.sum - values.iter().sum::<f64>()).abs() < 1e-9);
            }
            if observed.tick.tick.second() >= 300 {
                for (found, values) in found.iter_mut().zip([&observed.control, &observed.treatment]) {
                    found.0 += f64::from(u32::try_from(values.len()).unwrap());
                    found.1 += values.iter().sum::<f64>();
                }
            }
        }
        found
    }

    #[test]
    fn exposures_rates_and_drift_are_as_designed() {
        for (drift, rates) in [
            (None, [0.10, 0.20]),
            (Some((300, Drift::Scale(2.0))), [0.20, 0.40]),
        ] {
            let (name, design) = design(drift);
            let arms = second_half(&name, &design, 1);
            for ((count, sum), rate) in arms.into_iter().zip(rates) {
                // 6,000 expected in each arm: four standard errors are 310, and 0.026 of a rate.
                assert!((count - 6_000.0).abs() < 310.0, "{count}");
                assert!((sum / count - rate).abs() < 0.026, "{sum} of {count}");
            }
        }
    }

    #[test]
    fn a_shift_is_cut_to_the_range() {
        let law = Law::score(0.8).unwrap();
        let value = law.at(0.5);
        assert!((Drift::Shift(-0.05).apply(&law, 0.5, (0.0, 1.0)) - (value - 0.05)).abs() < 1e-12);
        assert!(Drift::Shift(-2.0).apply(&law, 0.5, (0.0, 1.0)).abs() < 1e-12);
    }

    #[test]
    fn a_seed_is_a_stream() {
        let (name, design) = design(None);
        let run = |seed| second_half(&name, &design, seed);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
