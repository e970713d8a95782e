//! The one thread that writes: it folds all jobs that wait into one transaction.
//!
//! A job answers its caller only after the commit of its group. Each runs in a savepoint of its own,
//! so that one that fails takes nothing from the others. When the commit itself fails, every job of
//! the group is answered with that failure, and what memory held of the open tick is dropped: the
//! file alone says what is true.

use super::error::NotCommitted;
use super::observations::{self, OpenTick};
use super::queue::{Portion, Queue};
use super::seen::{Limits, SeenIds};
use super::sights;
use crate::clock::Clock;
use crate::ids::Tick;
use crate::store::StoreError;
use jiff::Timestamp;
use rusqlite::Connection;
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// The most that one transaction takes in, so that nobody waits long for its end.
const GROUP: Portion = Portion {
    jobs_max: 1_024,
    observations_max: 32_768,
};

/// What a job works with: the transaction of its group.
pub(super) struct Group<'c> {
    /// The write connection, in a transaction.
    pub(super) connection: &'c Connection,
    /// The tick that this group's observations belong to; no earlier group has a later one.
    pub(super) tick: Tick,
    /// When the group began.
    pub(super) now: Timestamp,
    /// The tallies of that tick.
    pub(super) open: &'c mut OpenTick,
    /// The ids of observations that were counted.
    pub(super) seen: &'c mut SeenIds,
}

/// Something to do in a transaction.
pub(super) trait Job: Send {
    /// Does it, and keeps the answer; false when the changes must be taken back.
    fn run(&mut self, group: &mut Group<'_>) -> bool;

    /// Sends the answer, or why there is none after all.
    fn answer(self: Box<Self>, committed: Result<(), NotCommitted>);
}

/// A [`Job`] made of a function, whose caller waits for the answer.
pub(super) struct Call<F, T, E> {
    work: Option<F>,
    answer: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Call<F, T, E>
where
    F: FnOnce(&mut Group<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    /// The job, and where its answer will arrive.
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (caller, answer) = oneshot::channel();
        let call = Self {
            work: Some(work),
            answer: None,
            caller,
        };
        (call, answer)
    }
}

impl<F, T, E> Job for Call<F, T, E>
where
    F: FnOnce(&mut Group<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, group: &mut Group<'_>) -> bool {
        let answer = self.work.take().map(|work| work(group));
        let done = matches!(answer, Some(Ok(_)));
        self.answer = answer;
        done
    }

    fn answer(self: Box<Self>, committed: Result<(), NotCommitted>) {
        let answer = match (committed, self.answer) {
            (Ok(()), Some(answer)) => answer,
            (Ok(()), None) => Err(StoreError::Closed.into()),
            (Err(error), _) => Err(StoreError::from(error).into()),
        };
        // A caller that has gone away wants no answer.
        let _ = self.caller.send(answer);
    }
}

/// The thread's own things.
pub(super) struct Writer {
    connection: Connection,
    clock: Clock,
    open: OpenTick,
    seen: SeenIds,
    /// Whether memory must be made from the file anew, because a group was not committed.
    stale: bool,
}

impl Writer {
    /// Takes over the write connection, and reads from it where the last process stopped.
    pub(super) fn new(connection: Connection, clock: Clock) -> Result<Self, StoreError> {
        let open = OpenTick::after(observations::last_closed(&connection)?);
        let seen = SeenIds::load(&connection, Limits::DEFAULT)?;
        Ok(Self {
            connection,
            clock,
            open,
            seen,
            stale: false,
        })
    }

    /// Runs jobs until the queue is closed and empty.
    pub(super) fn run(mut self, queue: &Queue<Box<dyn Job>>) {
        while let Some(jobs) = queue.take(GROUP) {
            self.run_group(jobs);
        }
        // Leaves everything in the one file, for whoever copies it; the log would do as well.
        let _ = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    fn run_group(&mut self, mut jobs: VecDeque<Box<dyn Job>>) {
        // More than one round only when SQLite itself gives a transaction up half-way.
        while !jobs.is_empty() {
            let mut done = Vec::with_capacity(jobs.len());
            let outcome = self.transact(&mut jobs, &mut done).map_err(NotCommitted::because);
            if outcome.is_err() {
                self.abandon();
                // A transaction that cannot even begin must not be tried for each job anew.
                if done.is_empty() {
                    done.extend(jobs.drain(..));
                }
            }
            for job in done {
                job.answer(outcome.clone());
            }
        }
    }

    /// Moves jobs from `jobs` to `done` while running them, and commits.
    fn transact(
        &mut self,
        jobs: &mut VecDeque<Box<dyn Job>>,
        done: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let tick = self.open.begin(now);
        run(&self.connection, "BEGIN IMMEDIATE")?;
        if self.stale {
            self.open.forget();
            self.seen.reload(&self.connection)?;
            self.stale = false;
        }
        let mut group = Group {
            connection: &self.connection,
            tick,
            now,
            open: &mut self.open,
            seen: &mut self.seen,
        };
        while let Some(mut job) = jobs.pop_front() {
            run(group.connection, "SAVEPOINT job")?;
            let kept = job.run(&mut group);
            done.push(job);
            if group.connection.is_autocommit() {
                return Err(StoreError::Failed(
                    "SQLite gave the transaction up, for want of disk space or memory, or after a read error"
                        .into(),
                ));
            }
            if !kept {
                run(group.connection, "ROLLBACK TO job")?;
            }
            run(group.connection, "RELEASE job")?;
        }
        observations::forget_keys(&group)?;
        sights::forget_part(group.connection)?;
        self.open.write(&self.connection)?;
        self.seen.write(&self.connection, tick)?;
        run(&self.connection, "COMMIT")
    }

    /// After a failure: nothing of the group may stay, neither in the file nor in memory.
    fn abandon(&mut self) {
        self.stale = true;
        if !self.connection.is_autocommit() {
            // Should even this fail, the next `BEGIN` fails too and says so to its callers.
            let _ = run(&self.connection, "ROLLBACK");
        }
    }
}

fn run(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
