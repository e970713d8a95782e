//! What goes wrong when, drawn from a seed.

use super::hazards::Strike;
use crate::ids::{Arm, Version};
use crate::rollout::Verb;
use crate::sim::langfuse;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::collections::BTreeMap;

/// Something that goes wrong, or that somebody does without being asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The server dies while the controller is at work, and is started again.
    Crash {
        /// Points at which the controller waits for store or registry, before it dies at the next one.
        points: u32,
        /// Ticks until it is started again.
        down_ticks: u32,
    },
    /// A call of the controller to the store fails.
    Store {
        /// Calls before it.
        calls: u32,
        /// How.
        strike: Strike,
    },
    /// The store fails the next batch of observations, which is sent again.
    Ingest(Strike),
    /// The next label move goes wrong.
    Move(MoveFault),
    /// The next request of this kind to a Langfuse goes wrong.
    Request(langfuse::Call, langfuse::Fault),
    /// The registry does not answer for a while.
    RegistryAway {
        /// How long.
        ticks: u32,
    },
    /// Somebody else moves a label.
    StrangerMoves {
        /// The label of this arm.
        arm: Arm,
        /// Where it points then; none removes it.
        to: Option<Version>,
    },
    /// The clock is put forward or back.
    ClockJump {
        /// By how much.
        seconds: i64,
    },
    /// Somebody asks for something, whether it makes sense or not.
    Command(Verb),
}

/// How a label move goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum MoveFault {
    /// It is done, and the answer is lost.
    LostReply,
    /// It arrives twice.
    Repeated,
    /// It arrives a second time after so many other calls.
    RepeatedLater {
        /// From 1.
        calls: u64,
    },
    /// The answer takes so long.
    Slow {
        /// In seconds.
        seconds: i64,
    },
    /// There is no answer, not even an error.
    Silence(Strike),
    /// Somebody else moves the label just before.
    StrangerFirst {
        /// The label of this arm.
        arm: Arm,
        /// Where to.
        to: Version,
    },
}

/// Faults by the tick at which they strike.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schedule {
    by_tick: BTreeMap<u32, Vec<Fault>>,
}

/// How much goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    /// Ticks in which faults may strike, from 0; at least one.
    pub ticks: u32,
    /// Most faults in them.
    pub faults_max: u32,
    /// Strangers move labels to versions from 1 to this one.
    pub versions: u32,
    /// Whether labels live in a Langfuse, whose requests then go wrong.
    pub is_langfuse: bool,
    /// The labels of the policy, control first.
    pub labels: [&'static str; 2],
}

/// Most points or calls before a crash or a failure: more than one tick of the controller has.
const POINTS_MAX: u32 = 24;
/// Requests are carried out sooner than so many seconds after their callers have gone.
const LATE_SECONDS_END: i64 = 30;

impl Schedule {
    /// The schedule of a seed.
    pub fn seeded(seed: u64, trouble: &Trouble) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut schedule = Self::default();
        for _ in 0..rng.random_range(1..=trouble.faults_max.max(1)) {
            let tick = rng.random_range(0..trouble.ticks.max(1));
            schedule
                .by_tick
                .entry(tick)
                .or_default()
                .push(fault(&mut rng, trouble));
        }
        schedule
    }

    /// What strikes at `tick`, in this order.
    pub fn at(&self, tick: u32) -> &[Fault] {
        self.by_tick.get(&tick).map_or(&[], Vec::as_slice)
    }
}

fn fault(rng: &mut ChaCha8Rng, trouble: &Trouble) -> Fault {
    // Crashes and lost moves are the hardest to get right, so they come most often.
    match rng.random_range(0..100) {
        0..15 | 48..66 if trouble.is_langfuse => request_fault(rng, trouble),
        0..30 => Fault::Crash {
            points: rng.random_range(0..POINTS_MAX),
            down_ticks: one_of(rng, &[0, 0, 1, 5]),
        },
        30..42 => Fault::Store {
            calls: rng.random_range(0..POINTS_MAX / 2),
            strike: strike(rng),
        },
        42..48 => Fault::Ingest(strike(rng)),
        48..66 => Fault::Move(move_fault(rng, trouble)),
        66..74 => Fault::RegistryAway {
            ticks: rng.random_range(1..=30),
        },
        74..84 => Fault::StrangerMoves {
            arm: arm(rng),
            to: Some(version(rng, trouble)).filter(|_| rng.random_bool(0.9)),
        },
        84..90 => Fault::ClockJump {
            seconds: one_of(rng, &[-30, -3, -1, 2, 45]),
        },
        _ => Fault::Command(one_of(
            rng,
            &[
                Verb::Pause,
                Verb::Resume,
                Verb::Resume,
                Verb::Step,
                Verb::Promote,
                Verb::RollBack,
                Verb::Approve,
            ],
        )),
    }
}

fn move_fault(rng: &mut ChaCha8Rng, trouble: &Trouble) -> MoveFault {
    match rng.random_range(0..6) {
        0 => MoveFault::LostReply,
        1 => MoveFault::Repeated,
        2 => MoveFault::RepeatedLater {
            calls: rng.random_range(1..=20),
        },
        3 => MoveFault::Slow {
            seconds: rng.random_range(1..=20),
        },
        4 => MoveFault::Silence(strike(rng)),
        _ => MoveFault::StrangerFirst {
            arm: arm(rng),
            to: version(rng, trouble),
        },
    }
}

fn request_fault(rng: &mut ChaCha8Rng, trouble: &Trouble) -> Fault {
    use langfuse::{Call, Fault as F};
    let (call, fault) = match rng.random_range(0..12) {
        0..2 => (Call::Change, F::LostReply),
        // What only Serin's own patience can make good comes most often.
        2..6 => (Call::Change, F::Late(rng.random_range(1..LATE_SECONDS_END))),
        6 => (Call::Change, F::StatusAfter(one_of(rng, &[502, 504]))),
        7 => (Call::Change, F::Lost),
        8 => (Call::Change, F::Slow(rng.random_range(1..=20))),
        9 => (
            one_of(rng, &[Call::Read, Call::Change]),
            F::RateLimited(rng.random_range(1..=20)),
        ),
        10 => (
            one_of(rng, &[Call::Read, Call::Change]),
            F::Status(one_of(rng, &[500, 503, 409, 422, 401])),
        ),
        _ => {
            let label = one_of(rng, &trouble.labels).to_owned();
            let to = Some(version(rng, trouble).get());
            (Call::Read, F::PersonFirst { label, to })
        }
    };
    Fault::Request(call, fault)
}

fn strike(rng: &mut ChaCha8Rng) -> Strike {
    one_of(rng, &[Strike::BeforeCall, Strike::AfterCall])
}

fn arm(rng: &mut ChaCha8Rng) -> Arm {
    one_of(rng, &[Arm::Control, Arm::Treatment])
}

fn version(rng: &mut ChaCha8Rng, trouble: &Trouble) -> Version {
    (1..rng.random_range(1..=trouble.versions.max(1))).fold(Version::FIRST, |version, _| version.next())
}

fn one_of<T: Clone>(rng: &mut ChaCha8Rng, choices: &[T]) -> T {
    choices[rng.random_range(0..choices.len())].clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const TROUBLE: Trouble = Trouble {
        ticks: 50,
        faults_max: 10,
        versions: 4,
        is_langfuse: false,
        labels: ["production", "canary"],
    };

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(Schedule::seeded(7, &TROUBLE), Schedule::seeded(7, &TROUBLE));
        assert_ne!(Schedule::seeded(7, &TROUBLE), Schedule::seeded(8, &TROUBLE));
    }

    #[test]
    fn every_kind_of_fault_is_drawn_within_its_ticks() {
        let of_langfuse = Trouble {
            is_langfuse: true,
            ..TROUBLE
        };
        let mut kinds = BTreeSet::new();
        for seed in 0..200 {
            let trouble = if seed % 2 == 0 { &TROUBLE } else { &of_langfuse };
            let schedule = Schedule::seeded(seed, trouble);
            let drawn: Vec<_> = (0..TROUBLE.ticks).flat_map(|tick| schedule.at(tick)).collect();
            assert_eq!(
                drawn.len(),
                schedule.by_tick.values().map(Vec::len).sum::<usize>()
            );
            assert!((1..=10).contains(&drawn.len()));
            for fault in drawn {
                let words = format!("{fault:?}");
                kinds.insert(words.split([' ', '(']).next().unwrap().to_owned());
            }
        }
        let all = [
            "ClockJump",
            "Command",
            "Crash",
            "Ingest",
            "Move",
            "RegistryAway",
            "Request",
            "Store",
            "StrangerMoves",
        ];
        assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
    }
}
