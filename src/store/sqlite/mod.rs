//! The store in one SQLite file: the default, for one server.
//!
//! One thread [writes](writer), and folds what waits into one transaction, which is durable
//! (write-ahead log, `synchronous=FULL`) before anybody is answered. A few others [read](readers).
//! No method blocks its caller's thread.

use self::data_dir::DataDir;
use self::error::OpenError;
use self::queue::{Lane, Queue};
use self::readers::Read;
use self::writer::{Call, Group, Job, Writer};
use super::{
    Batch, BatchReceipt, Begun, ClosedTicks, EffectId, Loaded, NewRollout, PendingEffect, Secret, Store,
    StoreError, TokenRecord,
};
use crate::clock::Clock;
use crate::ids::{PolicyName, Revision, RolloutId, Tick};
use crate::rollout::{AuditEvent, AuditRecord, Checkpoint, LabelMoveOutcome, RolloutState, Transition};
use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

mod audit;
mod checkpoints;
mod clearings;
mod composed;
mod data_dir;
mod effects;
mod error;
mod migrate;
mod notices;
mod observations;
mod points;
mod prompts;
mod queue;
mod readers;
mod rollouts;
mod scores;
mod seen;
mod servings;
mod sights;
mod tokens;
mod writer;

/// Rows that a list hands out at once, whatever its caller asks for.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// What the write connection caches, in KiB.
const WRITER_CACHE_KIB: i64 = 32 * 1024;

/// Size to which the write-ahead log is cut back once its content is in the file, in bytes.
const LOG_KEPT_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Statements that a connection keeps prepared: more than there are in this room.
const STATEMENTS_CACHED_MAX: usize = 128;

/// How long to wait for another program that has the file (a backup, perhaps).
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// A store in one SQLite file.
///
/// Dropping it waits until what was asked before is committed; [`Self::close`] does the same without
/// blocking the thread.
pub struct SqliteStore {
    writes: Arc<Queue<Box<dyn Job>>>,
    /// None for a database in memory, which has one connection only.
    reads: Option<Arc<Queue<Read>>>,
    threads: Vec<JoinHandle<()>>,
    /// Ends when every thread has.
    ended: watch::Receiver<()>,
}

/// What every thread holds for as long as it lives.
#[derive(Clone)]
struct Alive {
    _lock: Option<Arc<DataDir>>,
    _ended: watch::Sender<()>,
}

impl SqliteStore {
    /// Opens the data in `directory`, which is made (for its owner only) when there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] at once when another process has the directory, [`StoreError::Failed`] when
    /// it cannot be made or read, or was written by a newer program.
    pub fn open(directory: &Path, clock: Clock) -> Result<Self, StoreError> {
        let lock = Arc::new(DataDir::lock(directory)?);
        let failed = |error: rusqlite::Error| OpenError::Database {
            path: lock.database().to_owned(),
            source: error.into(),
        };
        let mut connection = Connection::open(lock.database()).map_err(failed)?;
        prepare(&connection, WRITER_CACHE_KIB).map_err(failed)?;
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
            .map_err(failed)?;
        if mode != "wal" {
            let path = lock.database().to_owned();
            return Err(OpenError::NoWriteAheadLog { path }.into());
        }
        for (pragma, value) in [
            ("synchronous", "full"),
            ("fullfsync", "on"),
            ("journal_size_limit", &LOG_KEPT_BYTES_MAX.to_string()),
        ] {
            connection.pragma_update(None, pragma, value).map_err(failed)?;
        }
        migrate::migrate(&mut connection)?;
        let mut readers = Vec::with_capacity(readers::READERS);
        for _ in 0..readers::READERS {
            readers.push(readers::connect(lock.database()).map_err(failed)?);
        }
        Self::start(connection, readers, Some(lock), clock)
    }

    /// A store that dies with this value, for tests and simulation; the same code as on disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] when there is no memory or no thread for it.
    pub fn in_memory(clock: Clock) -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        prepare(&connection, WRITER_CACHE_KIB)?;
        migrate::migrate(&mut connection)?;
        Self::start(connection, Vec::new(), None, clock)
    }

    fn start(
        connection: Connection,
        readers: Vec<Connection>,
        lock: Option<Arc<DataDir>>,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let writer = Writer::new(connection, clock)?;
        let (sender, ended) = watch::channel(());
        let alive = Alive {
            _lock: lock,
            _ended: sender,
        };
        let mut store = Self {
            writes: Arc::new(Queue::new()),
            reads: (!readers.is_empty()).then(|| Arc::new(Queue::new())),
            threads: Vec::with_capacity(1 + readers.len()),
            ended,
        };
        let queue = Arc::clone(&store.writes);
        store.spawn("store-writer", alive.clone(), move || {
            let _ending = queue.ending();
            writer.run(&queue);
        })?;
        for connection in readers {
            if let Some(queue) = store.reads.clone() {
                store.spawn("store-reader", alive.clone(), move || {
                    let _ending = queue.ending();
                    readers::serve(&connection, &queue);
                })?;
            }
        }
        Ok(store)
    }

    fn spawn(
        &mut self,
        name: &'static str,
        alive: Alive,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                work();
                drop(alive);
            })
            .map_err(|source| OpenError::Thread { name, source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Refuses what is asked from now on ([`StoreError::Closed`]), and waits until what was asked before
    /// is committed and answered, and the directory is free for others.
    pub async fn close(&self) {
        self.stop();
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    fn stop(&self) {
        self.writes.close();
        if let Some(reads) = &self.reads {
            reads.close();
        }
    }

    /// Hands `work` to the writer and waits for the commit of its group.
    async fn write<T, E>(
        &self,
        lane: Lane,
        work: impl FnOnce(&mut Group<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (call, answer) = Call::new(work);
        self.writes.push(lane, Box::new(call))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Hands `read` to a reader; it sees everything that was acknowledged before.
    async fn read<T, E>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some(reads) = &self.reads else {
            return self
                .write(Lane::Control, move |group| read(group.connection))
                .await;
        };
        let (caller, answer) = oneshot::channel();
        let job: Read = Box::new(move |connection| {
            // A caller that has gone away wants no answer.
            let _ = caller.send(readers::in_transaction(connection, read));
        });
        reads.push(Lane::Control, job)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on standard error already.
            let _ = thread.join();
        }
    }
}

/// What both kinds of connections need.
fn prepare(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -cache_kib)
}

/// A caller's limit, within [`PAGE_ROWS_MAX`].
fn page(limit: usize) -> i64 {
    i64::try_from(limit.min(PAGE_ROWS_MAX)).unwrap_or(i64::MAX)
}

#[async_trait]
impl Store for SqliteStore {
    async fn secret(&self) -> Result<Secret, StoreError> {
        self.write(Lane::Control, |group| tokens::secret(group.connection))
            .await
    }

    async fn load(&self) -> Result<Loaded, StoreError> {
        self.read(rollouts::load).await
    }

    async fn begin(&self, start: NewRollout) -> Result<Begun, StoreError> {
        self.write(Lane::Control, move |group| {
            rollouts::begin(group.connection, start)
        })
        .await
    }

    async fn commit(
        &self,
        at: Timestamp,
        transition: &Transition,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Vec<PendingEffect>, StoreError> {
        let transition = transition.clone();
        self.write(Lane::Control, move |group| {
            rollouts::commit(group, at, transition, checkpoint.as_ref())
        })
        .await
    }

    async fn record_effect(
        &self,
        at: Timestamp,
        effect: EffectId,
        outcome: LabelMoveOutcome,
    ) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| {
            effects::record(group.connection, at, effect, &outcome)
        })
        .await
    }

    async fn record_event(
        &self,
        at: Timestamp,
        rollout: RolloutId,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| {
            rollouts::check_exists(group.connection, rollout)?;
            audit::append(group.connection, at, rollout, &event).map(drop)
        })
        .await
    }

    async fn save_checkpoint(&self, rollout: RolloutId, checkpoint: Checkpoint) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| {
            rollouts::check_exists(group.connection, rollout)?;
            checkpoints::save(group, rollout, &checkpoint)
        })
        .await
    }

    async fn checkpoint(&self, rollout: RolloutId) -> Result<Option<Checkpoint>, StoreError> {
        self.read(move |connection| checkpoints::find(connection, rollout))
            .await
    }

    async fn ingest(&self, batch: Batch) -> Result<BatchReceipt, StoreError> {
        let lane = Lane::Batch {
            observations: batch.observations.len() + batch.exclusions.len(),
        };
        self.write(lane, move |group| observations::ingest(group, &batch))
            .await
    }

    async fn closed_ticks(&self, rollout: RolloutId, after: Option<Tick>) -> Result<ClosedTicks, StoreError> {
        let through = self
            .write(Lane::Control, move |group| {
                rollouts::check_exists(group.connection, rollout)?;
                observations::close_earlier(group)
            })
            .await?;
        // What is closed does not change, so it can be read (and decoded) beside the writer.
        self.read(move |connection| observations::read_closed(connection, rollout, after, through))
            .await
    }

    async fn rollout(&self, rollout: RolloutId) -> Result<Option<RolloutState>, StoreError> {
        self.read(move |connection| rollouts::find(connection, rollout))
            .await
    }

    async fn rollouts(
        &self,
        policy: Option<&PolicyName>,
        before: Option<RolloutId>,
        limit: usize,
    ) -> Result<Vec<RolloutState>, StoreError> {
        let policy = policy.cloned();
        self.read(move |connection| rollouts::list(connection, policy.as_ref(), before, page(limit)))
            .await
    }

    async fn audit(
        &self,
        rollout: RolloutId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(move |connection| audit::read(connection, rollout, after, page(limit)))
            .await
    }

    async fn policy_source(&self, revision: &Revision) -> Result<Option<Arc<str>>, StoreError> {
        let revision = *revision;
        self.read(move |connection| rollouts::policy_source(connection, &revision))
            .await
    }

    async fn add_token(&self, token: TokenRecord) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| tokens::add(group.connection, &token))
            .await
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.read(tokens::in_use).await
    }

    async fn revoke_token(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.write(Lane::Control, move |group| {
            tokens::revoke(group.connection, group.now, &name)
        })
        .await
    }
}
