//! Many seeded rollouts of one policy, each in memory with the real engine and the real `decide`.
//!
//! A [`Design`] says who comes and what the candidate does; [`run`] rehearses it once for each seed, on
//! every core. What a rollout sees depends on the seed and on its number alone, so that the number of
//! threads changes nothing.

use crate::analysis::power::{ArmValues, Values};
use crate::ids::{MetricName, Tick};
use crate::policy::{MetricKind, Policy};
use crate::sim::population::{Law, Users};
use crate::sim::variates::BetaQuantiles;
use jiff::{SignedDuration, Timestamp};
use rollout::rehearse;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

mod dense;
mod figures;
mod rollout;
#[cfg(test)]
mod tests;
mod visits;

pub use figures::{Figures, Share, Spread};

/// The moment at which every rollout starts; nothing depends on it.
const START_SECOND: i64 = 1_800_000_000;

/// Most users of a population that comes back.
pub const USERS_MAX: u32 = 10_000_000;

/// Longest rollout, in hours: 90 days.
pub const HORIZON_HOURS_MAX: i64 = 90 * 24;

/// Most observations that are expected in a second.
pub const PER_SECOND_MAX: f64 = 100_000.0;

/// What is tried.
#[derive(Debug, Clone)]
pub struct Design {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Who comes.
    pub users: Users,
    /// How many observations of each metric are expected in a second, of both arms together; they come
    /// by a Poisson process.
    pub per_second: f64,
    /// The values of each metric, in the policy's order.
    pub metrics: Vec<Drawn>,
    /// How long a rollout may take before it counts as undecided.
    pub horizon: SignedDuration,
}

/// How the values of one metric are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    control: Scaled,
    treatment: Scaled,
}

/// A law, moved and stretched.
#[derive(Debug, Clone, PartialEq)]
struct Scaled {
    law: Law,
    least: f64,
    span: f64,
}

impl Scaled {
    /// The value that `share` of the population is below.
    fn at(&self, share: f64) -> f64 {
        self.least + self.span * self.law.at(share)
    }

    fn new(kind: MetricKind, values: Values) -> Option<Self> {
        let plain = |law: Option<Law>| {
            law.map(|law| Self {
                law,
                least: 0.0,
                span: 1.0,
            })
        };
        match values {
            Values::Scores(moments) => {
                let (least, greatest) = kind.range();
                let span = greatest - least;
                let mean = (moments.mean - least) / span;
                // The variance of a beta distribution is mean (1 − mean) / (concentration + 1).
                let concentration = mean * (1.0 - mean) * span * span / moments.variance - 1.0;
                let law = BetaQuantiles::new(mean, concentration).map(Law::Beta)?;
                Some(Self { law, least, span })
            }
            Values::Rate(share) => plain(Law::rate(share)),
            Values::Lognormal { mean_log, sigma } => plain(Law::lognormal(libm::exp(mean_log), sigma)),
        }
    }
}

impl Drawn {
    /// Values with these moments; none when no distribution that can be drawn has them.
    pub fn new(kind: MetricKind, values: ArmValues) -> Option<Self> {
        Some(Self {
            control: Scaled::new(kind, values.stable)?,
            treatment: Scaled::new(kind, values.candidate)?,
        })
    }
}

/// How long a policy itself would have a rollout take: every bake, or the patience where that is longer,
/// and the watch.
pub fn patience_of(policy: &Policy) -> SignedDuration {
    let patience = policy.analysis.inconclusive.after;
    let steps = policy.steps.iter().map(|step| step.bake.max(patience));
    let whole = steps.fold(policy.watch, SignedDuration::saturating_add);
    whole.min(SignedDuration::from_hours(HORIZON_HOURS_MAX))
}

/// How one rollout ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What came of it.
    pub end: End,
    /// Treated observations until the end.
    pub treated: u64,
    /// Treated users until the end.
    pub treated_users: u64,
    /// When the control label moved to the candidate; none when it never did.
    pub promoted_after: Option<SignedDuration>,
    /// When it ended.
    pub ended_after: SignedDuration,
}

/// What came of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The candidate was taken back.
    RolledBack(Reason),
    /// The candidate is the stable version.
    Promoted,
    /// It waits for a person.
    Paused(Reason),
    /// The time was over.
    OutOfTime,
}

/// Why a rollout moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// This metric was proved to be worse.
    Worse(MetricName),
    /// It stayed undecided for too long.
    Patience,
    /// A guardrail was silent for too long.
    Silence,
    /// Users were proved not to have come to the arms as planned.
    SampleRatio,
    /// Anything else.
    Other,
}

/// Rehearses rollouts 0 to `runs` of a seed on every core; what came of each, in that order.
///
/// `done` is told the number of finished rollouts after each.
pub fn run(design: &Design, seed: u64, runs: u32, mut done: impl FnMut(u32)) -> Vec<Trial> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    run_on(threads, design, seed, runs, &mut done)
}

fn run_on(threads: usize, design: &Design, seed: u64, runs: u32, done: &mut dyn FnMut(u32)) -> Vec<Trial> {
    let next = AtomicU32::new(0);
    let (sender, finished) = mpsc::channel();
    let mut trials: Vec<(u32, Trial)> = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // Whoever listens is gone only when this thread's work is of no use any more.
                    if number >= runs || sender.send((number, rehearse(design, seed, number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let finished = finished.into_iter().zip(1..);
        finished
            .map(|(trial, count)| {
                done(count);
                trial
            })
            .collect()
    });
    trials.sort_unstable_by_key(|(number, _)| *number);
    trials.into_iter().map(|(_, trial)| trial).collect()
}

/// The moment at which every rollout starts.
fn start() -> Timestamp {
    Tick::new(START_SECOND).begins()
}
