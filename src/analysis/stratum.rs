//! What is compared at once: a tick, or where traffic is low as many as it takes until both arms are there.
//!
//! A tick in which one arm is silent compares nothing. It is held, and later ticks are added to it, until
//! the other arm has come: together they are one stratum of the comparison with control. Where a stratum
//! ends follows from arrivals alone, never from values, so that given the counts it is a sample like any
//! other: weights and bets hold as for a tick (Mantel & Haenszel 1959; Turner, Ly & Grünwald 2024).
//! What befalls both arms alike within a stratum does not cancel, so that its time is bounded, and it
//! never goes over the begin of a step: there users move from one arm to the other.

use super::ArmTallies;
use crate::ids::Tick;

/// One arm's observations that are held for the other; no more, so that the state stays small. Only where
/// fewer than one observation in as many is of the other arm are some not compared for it.
pub(super) const HELD_OBSERVATIONS_MAX: u64 = 256;

/// The stratum of one metric that is still open.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OpenStratum(Option<Held>);

/// Ticks in which one arm has come, and the other not yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    /// The first of them.
    pub(super) first: Tick,
    /// What they add up to; one arm is empty.
    pub(super) tallies: ArmTallies,
}

impl OpenStratum {
    /// Goes on from what was held.
    pub(super) fn resume(held: Option<Held>) -> Self {
        Self(held)
    }

    /// What is held.
    pub(super) fn held(&self) -> Option<&Held> {
        self.0.as_ref()
    }

    /// Takes in one tick, and hands over each stratum that it ends, in order. One that ends without its
    /// other arm is handed over, too: there is something to learn from it.
    ///
    /// No stratum lasts longer than `seconds_max`, or goes from before `step_begins` to after it. With 0
    /// seconds, each tick is a stratum.
    pub(super) fn absorb(
        &mut self,
        tick: Tick,
        tallies: &ArmTallies,
        seconds_max: i64,
        step_begins: Option<Tick>,
        mut ended: impl FnMut(&ArmTallies),
    ) {
        let is_over = |held: &Held| {
            let seconds = tick.second().saturating_sub(held.first.second());
            seconds >= seconds_max || step_begins.is_some_and(|begin| held.first < begin && begin <= tick)
        };
        if let Some(held) = self.0.take_if(|held| is_over(held)) {
            ended(&held.tallies);
        }
        if self.0.is_none() && (seconds_max <= 0 || is_whole(tallies)) {
            ended(tallies);
            return;
        }
        let mut held = self.0.take().unwrap_or_else(|| Held {
            first: tick,
            tallies: ArmTallies::default(),
        });
        held.add(tallies);
        if is_whole(&held.tallies) {
            ended(&held.tallies);
        } else if held.is_sound() {
            self.0 = Some(held);
        }
    }
}

impl Held {
    /// Adds the arms that can be weighed: a sum that has overflowed would spoil whatever it is added to.
    fn add(&mut self, tick: &ArmTallies) {
        for (mine, others) in [
            (&mut self.tallies.control, &tick.control),
            (&mut self.tallies.treatment, &tick.treatment),
        ] {
            if others.is_usable() {
                mine.merge(others);
            }
        }
    }

    /// Whether there is something to go on with.
    fn is_sound(&self) -> bool {
        self.tallies.control.is_usable() || self.tallies.treatment.is_usable()
    }
}

/// Whether both arms have come, or one of them too often to wait for the other.
fn is_whole(tallies: &ArmTallies) -> bool {
    let ArmTallies { control, treatment } = tallies;
    let both = control.is_usable() && treatment.is_usable();
    both || control.count.saturating_add(treatment.count) > HELD_OBSERVATIONS_MAX
}
