//! Tallies of the open tick, and what makes repeats harmless.

use super::seen::SEEN_KEPT_SECONDS;
use super::sights::{self, Among, Looked, Remembered};
use super::writer::Group;
use crate::analysis::{ArmTallies, Headcount, Observation, TickTally};
use crate::ids::{Arm, MetricName, RolloutId, Tick};
use crate::store::rows;
use crate::store::{
    Batch, BatchKey, BatchReceipt, ClosedTicks, Counted, Exclusion, ExclusionCause, Sight, StoreError,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem::take;
use std::sync::Arc;

/// Tallies and headcounts that [`read_closed`] hands out at once (some 10 kB each); the rest waits for the
/// next call.
const TALLIES_READ_MAX: usize = 8_192;

/// Keys that a group may forget: as many as it can note, so that forgetting keeps up.
const KEYS_FORGOTTEN_PER_GROUP: i64 = 1_024;

/// Largest magnitude of an observed value: the square of it can be added up for ever without overflow.
const VALUE_MAGNITUDE_MAX: f64 = 1e120;

/// The tick that observations are added to, and its tallies as far as they were touched.
///
/// A tally is read from the file when it is first touched, changed in memory, and written once per
/// group: the cost of a group follows the number of cells, not of observations.
#[derive(Debug)]
pub(super) struct OpenTick {
    /// The tick of the newest group; it never goes back, whatever the clock does.
    tick: Tick,
    /// The last tick that the file knows to be closed.
    closed: Option<Tick>,
    /// What was touched in this tick, by rollout.
    rollouts: BTreeMap<RolloutId, OpenRollout>,
    /// Who was seen a short while ago.
    remembered: Remembered,
}

#[derive(Debug)]
struct OpenRollout {
    /// Nothing is added to a rollout that is over: its verdict is final, and nobody would read it.
    over: bool,
    cells: BTreeMap<MetricName, Cell>,
    headcount: Headcount,
    /// Whether the headcount differs from the file.
    touched: bool,
}

#[derive(Debug)]
struct Cell {
    arms: ArmTallies,
    /// Whether it differs from the file.
    touched: bool,
}

impl OpenTick {
    /// Goes on after the last tick that somebody was told is closed.
    pub(super) fn after(closed: Option<Tick>) -> Self {
        Self {
            tick: closed.map_or(Tick::new(i64::MIN), next),
            closed,
            rollouts: BTreeMap::new(),
            remembered: Remembered::nobody(),
        }
    }

    /// The tick of a group that begins at `now`.
    pub(super) fn begin(&mut self, now: Timestamp) -> Tick {
        let tick = Tick::of(now);
        if tick > self.tick {
            self.tick = tick;
            self.rollouts.clear();
        }
        self.tick
    }

    /// Drops everything that the file may not hold.
    pub(super) fn forget(&mut self) {
        self.closed = None;
        self.rollouts.clear();
        self.remembered.forget();
    }

    /// Drops a rollout's tallies, which the caller deletes from the file.
    pub(super) fn forget_rollout(&mut self, rollout: RolloutId) {
        self.rollouts.remove(&rollout);
    }

    /// Writes each touched tally and headcount once.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut write = connection.prepare_cached(
            "INSERT INTO tallies (rollout, tick, metric, arms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET arms = excluded.arms",
        )?;
        let mut write_headcount = connection.prepare_cached(
            "INSERT INTO headcounts (rollout, tick, counts) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET counts = excluded.counts",
        )?;
        for (id, rollout) in &mut self.rollouts {
            if take(&mut rollout.touched) {
                let counts = rollout.headcount.encode();
                write_headcount.execute(params![rows::integer(id.get())?, self.tick.second(), counts])?;
            }
            let touched = rollout.cells.iter_mut().filter(|(_, cell)| cell.touched);
            for (metric, cell) in touched {
                write.execute(params![
                    rows::integer(id.get())?,
                    self.tick.second(),
                    metric.as_str(),
                    cell.arms.encode()
                ])?;
                cell.touched = false;
            }
        }
        Ok(())
    }

    /// The rollout in memory.
    fn rollout(&mut self, connection: &Connection, id: RolloutId) -> Result<&mut OpenRollout, StoreError> {
        Ok(match self.rollouts.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(OpenRollout {
                over: is_over(connection, id)?,
                cells: BTreeMap::new(),
                headcount: stored_headcount(connection, id, self.tick)?.unwrap_or_default(),
                touched: false,
            }),
        })
    }

    /// Makes sure that the rollout, and the cells that `counted` will be added to, are in memory, and
    /// looks at the user.
    fn load(&mut self, connection: &Connection, counted: &Counted) -> Result<Option<Looked>, StoreError> {
        let tick = self.tick;
        let rollout = self.rollout(connection, counted.rollout)?;
        if rollout.over {
            return Ok(None);
        }
        for (metric, _) in &counted.values {
            if !rollout.cells.contains_key(metric) {
                let arms = stored_tally(connection, counted.rollout, tick, metric)?.unwrap_or_default();
                rollout
                    .cells
                    .insert(metric.clone(), Cell { arms, touched: false });
            }
        }
        self.look(
            connection,
            counted.rollout,
            Among::Observed,
            counted.sight.as_ref(),
        )
    }

    /// Looks at the user of an observation of a rollout that is not over.
    fn look(
        &self,
        connection: &Connection,
        rollout: RolloutId,
        among: Among,
        sight: Option<&Sight>,
    ) -> Result<Option<Looked>, StoreError> {
        sight
            .map(|sight| sights::look(connection, &self.remembered, rollout, among, sight))
            .transpose()
    }

    /// Makes sure that the rollout is in memory, and looks at the user.
    fn load_exclusion(
        &mut self,
        connection: &Connection,
        exclusion: &Exclusion,
    ) -> Result<Option<Looked>, StoreError> {
        if self.rollout(connection, exclusion.rollout)?.over {
            return Ok(None);
        }
        self.look(
            connection,
            exclusion.rollout,
            Among::Excluded,
            exclusion.sight.as_ref(),
        )
    }

    /// Adds an observation whose cells are loaded; cannot fail.
    fn add(&mut self, counted: &Counted, looked: Option<Looked>) {
        self.meet(counted.rollout, counted.arm, Among::Observed, looked);
        let Some(rollout) = self.rollouts.get_mut(&counted.rollout) else {
            return;
        };
        for (metric, observation) in &counted.values {
            let Some(cell) = rollout.cells.get_mut(metric) else {
                continue;
            };
            cell.arms.add(counted.arm, counted.cluster, *observation);
            cell.touched = true;
        }
    }

    /// Adds what is left out, of a rollout that is loaded; cannot fail.
    fn add_exclusion(&mut self, exclusion: &Exclusion, looked: Option<Looked>) {
        let Exclusion { rollout, arm, .. } = *exclusion;
        self.meet(rollout, arm, Among::Excluded, looked);
        let Some(rollout) = self.rollouts.get_mut(&rollout).filter(|rollout| !rollout.over) else {
            return;
        };
        rollout.touched = true;
        match exclusion.cause {
            ExclusionCause::Fallback => rollout.headcount.fallback.add(arm),
            ExclusionCause::OutOfRange => rollout.headcount.out_of_range.add(arm),
        }
    }

    /// Counts a user who was looked at, if for the first time, and remembers them.
    fn meet(&mut self, rollout: RolloutId, arm: Arm, among: Among, looked: Option<Looked>) {
        let Some(Looked { mark, counts_at }) = looked else {
            return;
        };
        if let Some(mark) = mark {
            self.remembered.remember(mark);
        }
        if let (Some(share), Some(rollout)) = (counts_at, self.rollouts.get_mut(&rollout)) {
            let by_share = match among {
                Among::Observed => &mut rollout.headcount.users,
                Among::Excluded => &mut rollout.headcount.excluded,
            };
            by_share.entry(share).or_default().add(arm);
            rollout.touched = true;
        }
    }
}

/// Adds a batch to the tallies of the open tick, unless it or parts of it were counted before.
pub(super) fn ingest(group: &mut Group<'_>, batch: &Batch) -> Result<BatchReceipt, StoreError> {
    let noted = group.seen.noted();
    let receipt = count(group, batch);
    if receipt.is_err() {
        group.seen.take_back(noted);
    }
    receipt
}

fn count(group: &mut Group<'_>, batch: &Batch) -> Result<BatchReceipt, StoreError> {
    if let Some(key) = &batch.key
        && let Some(answer) = seen_batch(group, key)?
    {
        return Ok(BatchReceipt::Repeated { answer });
    }
    let mut duplicates = Vec::new();
    let mut fresh = Vec::with_capacity(batch.observations.len());
    for (position, counted) in batch.observations.iter().enumerate() {
        let new = match counted.id {
            Some(id) => group.seen.note(group.connection, id)?,
            None => true,
        };
        if new {
            check_values(counted)?;
            let looked = group.open.load(group.connection, counted)?;
            fresh.push((counted, looked));
        } else {
            duplicates.push(position);
        }
    }
    let mut left_out = Vec::with_capacity(batch.exclusions.len());
    for exclusion in &batch.exclusions {
        let looked = group.open.load_exclusion(group.connection, exclusion)?;
        left_out.push((exclusion, looked));
    }
    if let Some(key) = &batch.key {
        note_batch(group, key, duplicates.len())?;
    }
    // From here on nothing can fail, so a batch is added whole or not at all.
    for (counted, looked) in fresh {
        group.open.add(counted, looked);
    }
    for (exclusion, looked) in left_out {
        group.open.add_exclusion(exclusion, looked);
    }
    Ok(BatchReceipt::Counted { duplicates })
}

/// The answer that was given to the same request before.
fn seen_batch(group: &Group<'_>, key: &BatchKey) -> Result<Option<Arc<str>>, StoreError> {
    let seen = group
        .connection
        .prepare_cached("SELECT body, answer FROM seen_batches WHERE key = ?1")?
        .query_row([key.key], |row| {
            Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Arc<str>>(1)?))
        })
        .optional()?;
    match seen {
        Some((body, answer)) if body == key.body => Ok(Some(answer)),
        Some(_) => Err(StoreError::KeyReused),
        None => Ok(None),
    }
}

/// Notes a new request with the answer that it is given.
fn note_batch(group: &Group<'_>, key: &BatchKey, duplicates: usize) -> Result<(), StoreError> {
    let answer = key.answer.with_duplicates(duplicates);
    group
        .connection
        .prepare_cached("INSERT INTO seen_batches (key, body, answer, tick) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![key.key, key.body, answer, group.tick.second()])?;
    Ok(())
}

/// Forgets the oldest keys that were kept long enough, a few with each group.
pub(super) fn forget_keys(group: &Group<'_>) -> Result<(), StoreError> {
    group
        .connection
        .prepare_cached(
            "DELETE FROM seen_batches WHERE key IN
             (SELECT key FROM seen_batches WHERE tick < ?1 ORDER BY tick LIMIT ?2)",
        )?
        .execute([
            group.tick.second().saturating_sub(SEEN_KEPT_SECONDS),
            KEYS_FORGOTTEN_PER_GROUP,
        ])?;
    Ok(())
}

fn check_values(counted: &Counted) -> Result<(), StoreError> {
    for (metric, Observation { value, .. }) in &counted.values {
        // False for what is not a number, too.
        let within = value.abs() <= VALUE_MAGNITUDE_MAX;
        if !within {
            return Err(StoreError::Failed(
                format!(
                    "an observation of `{metric}` is {value:e}: it must be within ±{VALUE_MAGNITUDE_MAX:e}"
                )
                .into(),
            ));
        }
    }
    Ok(())
}

fn is_over(connection: &Connection, rollout: RolloutId) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT over FROM rollouts WHERE id = ?1")?
        .query_row([rows::integer(rollout.get())?], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::UnknownRollout(rollout))
}

fn stored_tally(
    connection: &Connection,
    rollout: RolloutId,
    tick: Tick,
    metric: &MetricName,
) -> Result<Option<ArmTallies>, StoreError> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT arms FROM tallies WHERE rollout = ?1 AND tick = ?2 AND metric = ?3")?
        .query_row(
            params![rows::integer(rollout.get())?, tick.second(), metric.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    bytes.map(|bytes| decode_tally(&bytes)).transpose()
}

fn stored_headcount(
    connection: &Connection,
    rollout: RolloutId,
    tick: Tick,
) -> Result<Option<Headcount>, StoreError> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT counts FROM headcounts WHERE rollout = ?1 AND tick = ?2")?
        .query_row(params![rows::integer(rollout.get())?, tick.second()], |row| {
            row.get(0)
        })
        .optional()?;
    bytes.map(|bytes| decode_headcount(&bytes)).transpose()
}

fn decode_headcount(bytes: &[u8]) -> Result<Headcount, StoreError> {
    Headcount::decode(bytes).map_err(|error| rows::corrupt("a headcount", error))
}

fn decode_tally(bytes: &[u8]) -> Result<ArmTallies, StoreError> {
    ArmTallies::decode(bytes).map_err(|error| rows::corrupt("a tally", error))
}

/// The last tick that somebody was told is closed.
pub(super) fn last_closed(connection: &Connection) -> Result<Option<Tick>, StoreError> {
    let through = connection
        .prepare_cached("SELECT through FROM closed")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(through.map(Tick::new))
}

/// Closes every tick before the group's own, for ever: the file remembers it, so that not even a
/// restart under a clock that went back adds to one of them.
pub(super) fn close_earlier(group: &mut Group<'_>) -> Result<Tick, StoreError> {
    let through = group.tick.previous();
    if group.open.closed.is_none_or(|closed| closed < through) {
        group
            .connection
            .prepare_cached(
                "INSERT INTO closed (id, through) VALUES (1, ?1)
                 ON CONFLICT DO UPDATE SET through = max(through, excluded.through)",
            )?
            .execute([through.second()])?;
        group.open.closed = Some(through);
    }
    Ok(through)
}

/// The tallies and headcounts of a rollout after `after` and up to `through`, which must be closed.
///
/// When there are more than [`TALLIES_READ_MAX`], it stops after a whole tick and says so in
/// [`ClosedTicks::through`].
pub(super) fn read_closed(
    connection: &Connection,
    rollout: RolloutId,
    after: Option<Tick>,
    through: Tick,
) -> Result<ClosedTicks, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT tick, metric, arms FROM tallies WHERE rollout = ?1 AND tick > ?2 AND tick <= ?3
         UNION ALL
         SELECT tick, NULL, counts FROM headcounts WHERE rollout = ?1 AND tick > ?2 AND tick <= ?3
         ORDER BY 1, 2",
    )?;
    let after = after.map_or(i64::MIN, Tick::second);
    let mut found = statement.query(params![rows::integer(rollout.get())?, after, through.second()])?;
    let mut ticks: Vec<TickTally> = Vec::new();
    let mut tallies = 0;
    while let Some(row) = found.next()? {
        let tick = Tick::new(row.get(0)?);
        if ticks.last().is_none_or(|last| last.tick != tick) {
            if tallies >= TALLIES_READ_MAX
                && let Some(last) = ticks.last()
            {
                return Ok(ClosedTicks {
                    through: last.tick,
                    ticks,
                });
            }
            ticks.push(TickTally {
                tick,
                metrics: BTreeMap::new(),
                headcount: Headcount::default(),
            });
        }
        let bytes = row.get_ref(2)?.as_blob()?;
        if let Some(last) = ticks.last_mut() {
            match row.get_ref(1)?.as_str_or_null()? {
                Some(metric) => {
                    let metric = rows::parse("a metric's name", metric)?;
                    last.metrics.insert(metric, decode_tally(bytes)?);
                }
                None => last.headcount = decode_headcount(bytes)?,
            }
        }
        tallies += 1;
    }
    Ok(ClosedTicks { through, ticks })
}

/// The tick after `tick`.
fn next(tick: Tick) -> Tick {
    Tick::new(tick.second().saturating_add(Tick::SECONDS))
}
