//! The bounded queue to a thread that owns a connection.

use crate::store::StoreError;
use std::collections::VecDeque;
use std::mem::take;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs of the controller and of people that may wait at once.
const CONTROL_JOBS_QUEUED_MAX: usize = 4_096;

/// Batches of observations that may wait at once.
const BATCHES_QUEUED_MAX: usize = 16_384;

/// Observations in those batches, which bounds the memory that they take (some 200 bytes each).
const OBSERVATIONS_QUEUED_MAX: usize = 262_144;

/// Which jobs go first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lane {
    /// Everything but observations: few, and a rollback must not wait behind a flood.
    Control,
    /// A batch of so many observations.
    Batch {
        /// How many.
        observations: usize,
    },
}

/// Jobs in two lanes, each first in, first out.
pub(super) struct Queue<J> {
    waiting: Mutex<Waiting<J>>,
    changed: Condvar,
}

struct Waiting<J> {
    control: VecDeque<J>,
    batches: VecDeque<(usize, J)>,
    observations: usize,
    closed: bool,
}

/// The most that is taken at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion {
    /// Jobs of either lane.
    pub(super) jobs_max: usize,
    /// Observations; a single larger batch is taken alone.
    pub(super) observations_max: usize,
}

impl<J> Queue<J> {
    /// An empty queue.
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                control: VecDeque::new(),
                batches: VecDeque::new(),
                observations: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds a job, or refuses it at once: [`StoreError::Overloaded`] when the lane is full,
    /// [`StoreError::Closed`] after [`Self::close`].
    pub(super) fn push(&self, lane: Lane, job: J) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        match lane {
            Lane::Control => {
                if waiting.control.len() >= CONTROL_JOBS_QUEUED_MAX {
                    return Err(StoreError::Overloaded);
                }
                waiting.control.push_back(job);
            }
            Lane::Batch { observations } => {
                let full = waiting.batches.len() >= BATCHES_QUEUED_MAX
                    || (waiting.observations > 0
                        && waiting.observations + observations > OBSERVATIONS_QUEUED_MAX);
                if full {
                    return Err(StoreError::Overloaded);
                }
                waiting.observations += observations;
                waiting.batches.push_back((observations, job));
            }
        }
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for jobs and takes at most `portion` of them, control first; `None` once the queue is
    /// closed and empty.
    pub(super) fn take(&self, portion: Portion) -> Option<VecDeque<J>> {
        let mut waiting = self.lock();
        while waiting.control.is_empty() && waiting.batches.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let controls = waiting.control.len().min(portion.jobs_max);
        let mut taken: VecDeque<J> = waiting.control.drain(..controls).collect();
        let mut observations = 0;
        while taken.len() < portion.jobs_max
            && let Some((size, _)) = waiting.batches.front()
            && (observations == 0 || observations + size <= portion.observations_max)
            && let Some((size, job)) = waiting.batches.pop_front()
        {
            observations += size;
            waiting.observations -= size;
            taken.push_back(job);
        }
        Some(taken)
    }

    /// Refuses jobs from now on; those that wait are still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// For the thread that takes: when the value goes, even in a panic, nobody waits in vain.
    pub(super) fn ending(&self) -> Ending<'_, J> {
        Ending(self)
    }

    /// A poisoned lock is as good as any: no method leaves the lanes half changed.
    fn lock(&self) -> MutexGuard<'_, Waiting<J>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue and drops what still waits in it, which tells the callers.
pub(super) struct Ending<'q, J>(&'q Queue<J>);

impl<J> Drop for Ending<'_, J> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.closed = true;
        let dropped = (take(&mut waiting.control), take(&mut waiting.batches));
        drop(waiting);
        self.0.changed.notify_all();
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTION: Portion = Portion {
        jobs_max: 3,
        observations_max: 10,
    };

    fn batch(observations: usize) -> Lane {
        Lane::Batch { observations }
    }

    #[test]
    fn control_goes_before_batches_and_portions_are_bounded() {
        let queue = Queue::new();
        queue.push(batch(6), "a").unwrap();
        queue.push(batch(4), "b").unwrap();
        queue.push(batch(1), "c").unwrap();
        queue.push(Lane::Control, "x").unwrap();
        assert_eq!(queue.take(PORTION).unwrap(), ["x", "a", "b"]);
        assert_eq!(queue.take(PORTION).unwrap(), ["c"]);
        queue.push(batch(50), "large").unwrap();
        queue.push(batch(1), "d").unwrap();
        assert_eq!(queue.take(PORTION).unwrap(), ["large"]);
        assert_eq!(queue.take(PORTION).unwrap(), ["d"]);
    }

    #[test]
    fn a_full_lane_refuses_and_the_other_does_not() {
        let queue = Queue::new();
        queue.push(batch(OBSERVATIONS_QUEUED_MAX + 1), ()).unwrap();
        assert!(matches!(queue.push(batch(1), ()), Err(StoreError::Overloaded)));
        for _ in 0..CONTROL_JOBS_QUEUED_MAX {
            queue.push(Lane::Control, ()).unwrap();
        }
        assert!(matches!(
            queue.push(Lane::Control, ()),
            Err(StoreError::Overloaded)
        ));
        while queue.take(PORTION).unwrap().len() == PORTION.jobs_max {}
        for _ in 0..BATCHES_QUEUED_MAX {
            queue.push(batch(1), ()).unwrap();
        }
        assert!(matches!(queue.push(batch(1), ()), Err(StoreError::Overloaded)));
    }

    #[test]
    fn when_the_taker_ends_nobody_waits_in_vain() {
        let queue = Queue::new();
        let job = std::sync::Arc::new(());
        queue.push(Lane::Control, job.clone()).unwrap();
        drop(queue.ending());
        assert_eq!(std::sync::Arc::strong_count(&job), 1);
        assert!(matches!(queue.push(Lane::Control, job), Err(StoreError::Closed)));
        assert!(queue.take(PORTION).is_none());
    }

    #[test]
    fn a_closed_queue_hands_out_what_waits_and_takes_no_more() {
        let queue = Queue::new();
        queue.push(Lane::Control, "x").unwrap();
        queue.close();
        assert!(matches!(queue.push(Lane::Control, "y"), Err(StoreError::Closed)));
        assert_eq!(queue.take(PORTION).unwrap(), ["x"]);
        assert!(queue.take(PORTION).is_none());
    }
}
