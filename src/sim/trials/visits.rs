//! Who comes in a tick, and what is observed of them, as the engine sees it.

use super::Design;
use super::dense::DenseTally;
use crate::analysis::{ArmTallies, Headcount, Observation, PerArm, TickTally};
use crate::assignment::bucket::Bucket;
use crate::ids::{Arm, Cluster, Exposure, Tick};
use crate::sim::population::Users;
use crate::sim::variates::{normal, normal_share_below, poisson, uniform};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// Streams of random numbers of one rollout.
const STREAMS_PER_TRIAL: u64 = 3;

/// A seeded stream of visits to one rollout.
#[derive(Debug)]
pub(super) struct Visits<'d> {
    design: &'d Design,
    arrivals: ChaCha8Rng,
    values: ChaCha8Rng,
    /// Empty when everybody comes once.
    people: People,
    correlation: f64,
    sums: Vec<ArmSums>,
    /// Treated observations so far.
    pub(super) treated: u64,
    /// Treated users so far.
    pub(super) treated_users: u64,
}

#[derive(Debug, Clone)]
struct ArmSums {
    control: DenseTally,
    treatment: DenseTally,
}

#[derive(Debug, Clone, Copy)]
struct Person {
    place: Place,
    mood: f64,
    seen: bool,
    treated: bool,
}

/// Those who come back, busier ones more often.
#[derive(Debug, Default)]
struct People {
    persons: Vec<Person>,
    /// Activity of everybody up to and including a person.
    activity_until: Vec<f64>,
    /// For each of as many equal parts of all activity, the person at its begin: whoever is at a place in
    /// the part is found a few steps from there.
    at_part: Vec<usize>,
}

/// Where the hashes of a user's key lie.
#[derive(Debug, Clone, Copy)]
struct Place {
    bucket: Bucket,
    cluster: Cluster,
}

impl Place {
    /// A place of somebody: hashes are uniform, and those of arm and cluster independent.
    fn of_anybody(rng: &mut ChaCha8Rng) -> Self {
        Self {
            bucket: Bucket::new(rng.next_u64()),
            cluster: Cluster::from_hash(rng.next_u64()),
        }
    }
}

/// Somebody who has come.
struct Visitor {
    place: Place,
    mood: f64,
    first: bool,
    first_treated: bool,
}

impl<'d> Visits<'d> {
    /// The visits to rollout `number` of a seed.
    pub(super) fn new(design: &'d Design, seed: u64, number: u32) -> Self {
        let stream = |which: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(u64::from(number) * STREAMS_PER_TRIAL + which);
            rng
        };
        let (people, correlation) = match design.users {
            Users::Fresh => (People::default(), 0.0),
            Users::Returning {
                count,
                correlation,
                activity_sigma,
            } => (People::draw(&mut stream(2), count, activity_sigma), correlation),
        };
        let sums = ArmSums {
            control: DenseTally::new(),
            treatment: DenseTally::new(),
        };
        Self {
            arrivals: stream(0),
            values: stream(1),
            people,
            correlation,
            sums: vec![sums; design.metrics.len()],
            treated: 0,
            treated_users: 0,
            design,
        }
    }

    /// How many come in the next tick.
    pub(super) fn count(&mut self) -> u32 {
        poisson(&mut self.arrivals, self.design.per_second)
    }

    /// What is observed of `count` visits in a tick, at an exposure.
    pub(super) fn tick(&mut self, tick: Tick, exposure: Exposure, count: u32) -> TickTally {
        let mut users = PerArm::default();
        for _ in 0..count {
            let visitor = self.visitor(exposure);
            let arm = if visitor.place.bucket.is_below(exposure) {
                Arm::Treatment
            } else {
                Arm::Control
            };
            if visitor.first {
                users.add(arm);
            }
            if arm == Arm::Treatment {
                self.treated += 1;
                self.treated_users += u64::from(visitor.first_treated);
            }
            self.observe(&visitor, arm);
        }
        let mut headcount = Headcount::default();
        if users.total() > 0 {
            headcount.users.insert(exposure, users);
        }
        let metrics = self.design.policy.metrics.iter().zip(&mut self.sums);
        TickTally {
            tick,
            metrics: metrics
                .map(|(metric, sums)| {
                    let tallies = ArmTallies {
                        control: sums.control.close(),
                        treatment: sums.treatment.close(),
                    };
                    (metric.name.clone(), tallies)
                })
                .collect(),
            headcount,
        }
    }

    fn visitor(&mut self, exposure: Exposure) -> Visitor {
        let Some(person) = self.people.next(&mut self.arrivals) else {
            return Visitor {
                place: Place::of_anybody(&mut self.arrivals),
                mood: 0.0,
                first: true,
                first_treated: true,
            };
        };
        let visitor = Visitor {
            place: person.place,
            mood: person.mood,
            first: !person.seen,
            first_treated: !person.treated,
        };
        person.seen = true;
        person.treated |= person.place.bucket.is_below(exposure);
        visitor
    }

    fn observe(&mut self, visitor: &Visitor, arm: Arm) {
        let returning = !self.people.persons.is_empty();
        let metrics = self.design.policy.metrics.iter().zip(&self.design.metrics);
        for ((metric, drawn), sums) in metrics.zip(&mut self.sums) {
            let share = if returning {
                let own = normal(&mut self.values);
                let correlation = self.correlation;
                normal_share_below(correlation.sqrt() * visitor.mood + (1.0 - correlation).sqrt() * own)
            } else {
                uniform(&mut self.values)
            };
            let (law, sums) = match arm {
                Arm::Control => (&drawn.control, &mut sums.control),
                Arm::Treatment => (&drawn.treatment, &mut sums.treatment),
            };
            let (least, greatest) = metric.kind.range();
            let value = law.at(share).clamp(least, greatest);
            sums.add(visitor.place.cluster, Observation::of(metric, value));
        }
    }
}

impl People {
    fn draw(rng: &mut ChaCha8Rng, count: u32, activity_sigma: f64) -> Self {
        let mut people = Self::default();
        let mut whole = 0.0;
        for _ in 0..count {
            let (place, mood) = (Place::of_anybody(rng), normal(rng));
            whole += libm::exp(activity_sigma * normal(rng));
            people.activity_until.push(whole);
            people.persons.push(Person {
                place,
                mood,
                seen: false,
                treated: false,
            });
        }
        let mut index = 0;
        for part in 0..count {
            let begin = whole * f64::from(part) / f64::from(count);
            while people
                .activity_until
                .get(index)
                .is_some_and(|until| *until < begin)
            {
                index += 1;
            }
            people.at_part.push(index);
        }
        people
    }

    /// Whoever comes next; none when nobody comes back.
    fn next(&mut self, rng: &mut ChaCha8Rng) -> Option<&mut Person> {
        let whole = *self.activity_until.last()?;
        let share = uniform(rng);
        let place = share * whole;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count of at most ten million"
        )]
        let part = (share * self.at_part.len() as f64) as usize;
        let last = self.persons.len() - 1;
        // Rounding may have put the begin of a part behind the place by its last bit.
        let mut index = self
            .at_part
            .get(part)
            .map_or(last, |index| index.saturating_sub(1));
        while index < last && self.activity_until.get(index).is_some_and(|until| *until < place) {
            index += 1;
        }
        self.persons.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_come_in_proportion_to_their_activity() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut people = People::draw(&mut rng, 20, 1.0);
        let moods: Vec<f64> = people.persons.iter().map(|person| person.mood).collect();
        let mut visits = vec![0_u32; 20];
        for _ in 0..40_000 {
            let mood = people.next(&mut rng).unwrap().mood;
            let who = moods.iter().position(|other| other.total_cmp(&mood).is_eq());
            visits[who.unwrap()] += 1;
        }
        let whole = people.activity_until[19];
        let begins = [0.0].into_iter().chain(people.activity_until.iter().copied());
        for ((begin, until), visits) in begins.zip(&people.activity_until).zip(visits) {
            let expected = (until - begin) / whole * 40_000.0;
            assert!(
                (f64::from(visits) - expected).abs() < 5.0 * expected.sqrt(),
                "{visits} of {expected}"
            );
        }
        assert!(People::default().next(&mut rng).is_none());
    }
}
