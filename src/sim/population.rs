//! Who comes, how often, and what is observed of them: the design of a simulated population.
//!
//! Arrivals are Poisson. Each metric of each arm has a [`Law`]; a visitor's place in it is uniform,
//! and, for users who come back, correlated through the user's mood (a Gaussian copula).

use super::variates::{BetaQuantiles, normal, normal_quantile, normal_share_below, poisson, uniform};
use crate::ids::{Arm, MetricName};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::sync::Arc;

/// Concentration of simulated scores: with a mean of 0.8 they are Beta(8, 2).
pub const SCORE_CONCENTRATION: f64 = 10.0;

/// No standard normal number that is ever drawn is larger: one of 10²³ would be.
const NORMAL_SIZE_MAX: f64 = 10.0;

/// How the values of one metric are distributed.
#[derive(Debug, Clone, PartialEq)]
pub enum Law {
    /// Scores between 0 and 1.
    Beta(BetaQuantiles),
    /// 1 with this probability, else 0.
    Bernoulli(f64),
    /// Numbers above 0 whose logarithm is normal, such as latencies in seconds.
    Lognormal {
        /// Half of the values are below it; above 0.
        median: f64,
        /// The standard deviation of the logarithm, at least 0.
        sigma: f64,
    },
}

impl Law {
    /// Scores with this mean; none when no such distribution exists (see [`BetaQuantiles::new`]).
    pub fn score(mean: f64) -> Option<Self> {
        BetaQuantiles::new(mean, SCORE_CONCENTRATION).map(Self::Beta)
    }

    /// Zeros and ones; none unless the probability is from 0 to 1.
    pub fn rate(probability: f64) -> Option<Self> {
        (0.0..=1.0)
            .contains(&probability)
            .then_some(Self::Bernoulli(probability))
    }

    /// Lognormal numbers; none unless the median is above 0 and the shape at least 0, both finite.
    pub fn lognormal(median: f64, sigma: f64) -> Option<Self> {
        let sound = median > 0.0 && sigma >= 0.0 && median.is_finite() && sigma.is_finite();
        sound.then_some(Self::Lognormal { median, sigma })
    }

    /// The value that `share` of the population is below.
    pub fn at(&self, share: f64) -> f64 {
        match self {
            Self::Beta(quantiles) => quantiles.at(share),
            Self::Bernoulli(probability) if share > 1.0 - probability => 1.0,
            Self::Bernoulli(_) => 0.0,
            // `share` is a rounded number, and no latency is infinite.
            Self::Lognormal { median, sigma } => {
                let z = normal_quantile(share).clamp(-NORMAL_SIZE_MAX, NORMAL_SIZE_MAX);
                median * libm::exp(sigma * z)
            }
        }
    }
}

/// What is observed of one metric in both arms.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// The metric.
    pub metric: MetricName,
    /// Under the stable version.
    pub control: Law,
    /// Under the candidate.
    pub treatment: Law,
}

impl Behaviour {
    /// The law of one arm.
    pub fn of(&self, arm: Arm) -> &Law {
        match arm {
            Arm::Control => &self.control,
            Arm::Treatment => &self.treatment,
        }
    }
}

/// Who comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Users {
    /// Everybody comes once.
    Fresh,
    /// The same people come back.
    Returning {
        /// How many there are.
        count: u32,
        /// Correlation of two observations of the same user, from 0 to 1, before the [`Law`].
        correlation: f64,
        /// Activity is lognormal: the standard deviation of its logarithm.
        activity_sigma: f64,
    },
}

/// A seeded stream of visitors.
#[derive(Debug, Clone)]
pub struct Population {
    arrivals: ChaCha8Rng,
    values: ChaCha8Rng,
    come: u64,
    /// Empty when everybody comes once.
    people: Vec<Person>,
    correlation: f64,
}

#[derive(Debug, Clone)]
struct Person {
    user: Arc<str>,
    mood: f64,
    /// Activity of everybody up to and including this person.
    activity_until: f64,
}

/// Somebody who has come.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Their key.
    pub user: Arc<str>,
    mood: f64,
}

impl Population {
    /// The population of a seed: arrivals and values are drawn from streams of their own, so that two
    /// runs with other laws see the same visitors.
    pub fn new(seed: u64, users: Users) -> Self {
        let stream = |stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(stream);
            rng
        };
        let (people, correlation) = match users {
            Users::Fresh => (Vec::new(), 0.0),
            Users::Returning {
                count,
                correlation,
                activity_sigma,
            } => (people(&mut stream(3), count, activity_sigma), correlation),
        };
        Self {
            arrivals: stream(1),
            values: stream(2),
            come: 0,
            people,
            correlation,
        }
    }

    /// Those who come in a time in which `mean` are expected.
    pub fn arrivals(&mut self, mean: f64) -> Vec<Visitor> {
        let count = poisson(&mut self.arrivals, mean);
        (0..count).map(|_| self.visitor()).collect()
    }

    fn visitor(&mut self) -> Visitor {
        self.come += 1;
        let Some(whole) = self.people.last().map(|last| last.activity_until) else {
            let user = format!("user-{}", self.come).into();
            return Visitor { user, mood: 0.0 };
        };
        let place = uniform(&mut self.arrivals) * whole;
        let index = self
            .people
            .partition_point(|person| person.activity_until < place);
        let person = &self.people[index.min(self.people.len() - 1)];
        Visitor {
            user: Arc::clone(&person.user),
            mood: person.mood,
        }
    }

    /// What is observed of a visitor whose metric follows `law`.
    pub fn value(&mut self, visitor: &Visitor, law: &Law) -> f64 {
        law.at(self.place(visitor))
    }

    /// A visitor's place in whatever law their metric follows: the share of people below it.
    pub fn place(&mut self, visitor: &Visitor) -> f64 {
        if self.people.is_empty() {
            return uniform(&mut self.values);
        }
        let own = normal(&mut self.values);
        normal_share_below(self.correlation.sqrt() * visitor.mood + (1.0 - self.correlation).sqrt() * own)
    }
}

fn people(rng: &mut ChaCha8Rng, count: u32, activity_sigma: f64) -> Vec<Person> {
    let mut whole = 0.0;
    (0..count)
        .map(|number| {
            let mood = normal(rng);
            whole += libm::exp(activity_sigma * normal(rng));
            Person {
                user: format!("user-{number}").into(),
                mood,
                activity_until: whole,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const CLUSTERED: Users = Users::Returning {
        count: 300,
        correlation: 0.5,
        activity_sigma: 1.0,
    };

    fn values(seed: u64, users: Users, law: &Law) -> Vec<(Arc<str>, f64)> {
        let mut population = Population::new(seed, users);
        let visitors = population.arrivals(30_000.0);
        visitors
            .into_iter()
            .map(|visitor| (Arc::clone(&visitor.user), population.value(&visitor, law)))
            .collect()
    }

    fn mean(values: &[(Arc<str>, f64)]) -> f64 {
        let count = u32::try_from(values.len()).unwrap();
        values.iter().map(|(_, value)| value).sum::<f64>() / f64::from(count)
    }

    #[test]
    fn a_seed_is_a_population() {
        let law = Law::score(0.8).unwrap();
        for users in [Users::Fresh, CLUSTERED] {
            assert_eq!(values(1, users, &law), values(1, users, &law));
            assert_ne!(values(1, users, &law), values(2, users, &law));
        }
    }

    #[test]
    fn another_law_has_the_same_visitors() {
        let users = |law: Option<Law>| -> Vec<Arc<str>> {
            let values = values(1, Users::Fresh, &law.unwrap());
            values.into_iter().map(|(user, _)| user).collect()
        };
        assert_eq!(users(Law::score(0.8)), users(Law::rate(0.01)));
    }

    #[test]
    fn values_have_the_mean_of_their_law() {
        // Four standard errors of 30,000 independent values are 0.003.
        assert!((mean(&values(3, Users::Fresh, &Law::score(0.8).unwrap())) - 0.8).abs() < 0.003);
        assert!((mean(&values(3, Users::Fresh, &Law::rate(0.01).unwrap())) - 0.01).abs() < 0.003);
    }

    #[test]
    fn lognormal_values_have_their_quantiles() {
        let law = Law::lognormal(2.0, 0.6).unwrap();
        assert!((law.at(0.5) - 2.0).abs() < 1e-12);
        assert!((law.at(0.95) - 2.0 * f64::exp(0.6 * 1.644_853_626_951_472_2)).abs() < 1e-12);
        assert!(law.at(0.0) > 0.0 && law.at(1.0).is_finite());
        let mut values: Vec<f64> = values(5, CLUSTERED, &law)
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        // 300 people with an effective number of about a hundred: a standard error of 8% of the median.
        assert!((values[values.len() / 2] / 2.0).ln().abs() < 0.25);
        for (median, sigma) in [
            (0.0, 1.0),
            (-1.0, 1.0),
            (1.0, -0.1),
            (f64::INFINITY, 1.0),
            (1.0, f64::NAN),
        ] {
            assert_eq!(Law::lognormal(median, sigma), None);
        }
    }

    #[test]
    fn users_who_come_back_are_alike_and_some_come_often() {
        let values = values(4, CLUSTERED, &Law::score(0.8).unwrap());
        let mut by_user: BTreeMap<Arc<str>, Vec<f64>> = BTreeMap::new();
        for (user, value) in &values {
            by_user.entry(Arc::clone(user)).or_default().push(*value);
        }
        let whole = mean(&values);
        // The product of two neighbouring visits of one user, in units of the variance of all.
        let variance = values
            .iter()
            .map(|(_, value)| (value - whole).powi(2))
            .sum::<f64>();
        let variance = variance / f64::from(u32::try_from(values.len()).unwrap());
        let (mut products, mut pairs) = (0.0, 0.0);
        for values in by_user.values() {
            for pair in values.as_chunks::<2>().0 {
                products += (pair[0] - whole) * (pair[1] - whole);
                pairs += 1.0;
            }
        }
        let correlation = products / pairs / variance;
        assert!((0.4..0.6).contains(&correlation), "{correlation}");
        let busiest = by_user.values().map(Vec::len).max().unwrap();
        assert!(busiest > 3 * values.len() / by_user.len(), "{busiest}");
    }

    #[test]
    fn laws_refuse_what_does_not_exist() {
        assert_eq!(Law::score(1.2), None);
        assert_eq!(Law::rate(-0.1), None);
        let certain = Law::rate(1.0).unwrap();
        assert!((certain.at(1e-9) - 1.0).abs() < f64::EPSILON);
        let never = Law::rate(0.0).unwrap();
        assert!(never.at(1.0 - 1e-9).abs() < f64::EPSILON);
    }
}
