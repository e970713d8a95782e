//! Which observations were counted, by their ids.
//!
//! Ids are hashes, so they come in no order, and each one put straight into a tree in the file would
//! change a page of its own. New ids therefore go into memory, and in the order of arrival into a log
//! in the file. When they are many, they are sorted and moved into the tree, a part with each group,
//! so that neighbours share a page. A [filter](filter::Filter) spares most searches of the tree, and a
//! walk through the tree, a part with each group too, deletes what is old and renews the filter.

use self::filter::Filter;
use crate::ids::Tick;
use crate::store::StoreError;
use crate::store::rows;
use rusqlite::{Connection, params};
use std::collections::HashSet;
use std::mem::{replace, take};

mod filter;
#[cfg(test)]
mod tests;

/// How long an id or key is recognised at least, in seconds: 7 days.
pub(super) const SEEN_KEPT_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Ids that are moved into the tree for each new one: above 1, so that a move ends before the next.
const MOVED_PER_NOTED: usize = 2;

/// Ids that the walk passes for each new one: above 1, so that forgetting keeps up.
const WALKED_PER_NOTED: usize = 4;

/// What bounds the memory that ids take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// New ids in memory before they are moved; as many again may be on their way.
    pub(super) recent_ids_max: usize,
    /// Size of the filter, of which there are two during a walk.
    pub(super) filter_bytes: usize,
}

impl Limits {
    /// At most some 30 MB for ids, and 32 MiB for filters that serve some 10 million ids well.
    pub(super) const DEFAULT: Self = Self {
        recent_ids_max: 1 << 19,
        filter_bytes: 16 << 20,
    };
}

/// The ids that were counted.
#[derive(Debug)]
pub(super) struct SeenIds {
    limits: Limits,
    /// Those of the log that are not on their way into the tree.
    recent: HashSet<u128>,
    moving: Moving,
    /// Those of `recent` that the present group has noted, and the log does not have yet.
    noted: Vec<u128>,
    tree: Tree,
}

/// Ids on their way into the tree.
#[derive(Debug, Default)]
struct Moving {
    /// In order.
    ids: Vec<u128>,
    /// How many of them are in the tree.
    moved: usize,
    /// The last entry of the log that they come from.
    log_through: i64,
}

/// What is known of the tree.
#[derive(Debug)]
enum Tree {
    /// It has no ids.
    Empty,
    /// It has some.
    Walked {
        /// Has all of them; none until a walk has passed them all.
        filter: Option<Filter>,
        walk: Walk,
    },
}

/// A walk through the tree from the lowest id to the highest.
#[derive(Debug)]
struct Walk {
    /// Where it has come to; none at the beginning.
    last: Option<[u8; 16]>,
    /// What it has passed, and what was moved into the tree meanwhile.
    filter: Filter,
}

impl SeenIds {
    /// Reads what the log holds.
    pub(super) fn load(connection: &Connection, limits: Limits) -> Result<Self, StoreError> {
        let tree_has_ids = connection
            .prepare_cached("SELECT 1 FROM seen_observations LIMIT 1")?
            .exists([])?;
        Ok(Self {
            limits,
            recent: read_log(connection)?,
            moving: Moving::default(),
            noted: Vec::new(),
            tree: if tree_has_ids {
                Tree::Walked {
                    filter: None,
                    walk: Walk::start(limits),
                }
            } else {
                Tree::Empty
            },
        })
    }

    /// Reads the log again after a group that was not committed.
    pub(super) fn reload(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.noted.clear();
        // What had been moved but is not in the tree stays in the filters, which does no harm.
        self.moving = Moving::default();
        self.recent = read_log(connection)?;
        Ok(())
    }

    /// Notes an id; false when it was seen before.
    pub(super) fn note(&mut self, connection: &Connection, id: [u8; 16]) -> Result<bool, StoreError> {
        let number = u128::from_be_bytes(id);
        let seen = self.recent.contains(&number)
            || self.moving.ids.binary_search(&number).is_ok()
            || (self.tree.may_hold(number) && tree_holds(connection, id)?);
        if !seen {
            self.recent.insert(number);
            self.noted.push(number);
        }
        Ok(!seen)
    }

    /// How many ids the present group has noted; for [`Self::take_back`].
    pub(super) fn noted(&self) -> usize {
        self.noted.len()
    }

    /// Takes back what was noted since `noted` was the answer of [`Self::noted`].
    pub(super) fn take_back(&mut self, noted: usize) {
        for id in self.noted.drain(noted..) {
            self.recent.remove(&id);
        }
    }

    /// Writes what the group has noted, and does its share of moving and walking.
    pub(super) fn write(&mut self, connection: &Connection, tick: Tick) -> Result<(), StoreError> {
        let noted = take(&mut self.noted);
        if noted.is_empty() {
            return Ok(());
        }
        let entry: Vec<u8> = noted.iter().flat_map(|id| id.to_be_bytes()).collect();
        connection
            .prepare_cached("INSERT INTO seen_log (ids) VALUES (?1)")?
            .execute([entry])?;
        if self.recent.len() >= self.limits.recent_ids_max && self.moving.ids.is_empty() {
            self.begin_move(connection)?;
        }
        self.move_part(connection, MOVED_PER_NOTED * noted.len(), tick)?;
        self.walk_part(connection, WALKED_PER_NOTED * noted.len(), tick)
    }

    fn begin_move(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut ids: Vec<u128> = self.recent.drain().collect();
        ids.sort_unstable();
        self.moving = Moving {
            ids,
            moved: 0,
            log_through: connection
                .prepare_cached("SELECT max(sequence) FROM seen_log")?
                .query_row([], |row| row.get(0))?,
        };
        if matches!(self.tree, Tree::Empty) {
            self.tree = Tree::Walked {
                filter: Some(Filter::with_bytes(self.limits.filter_bytes)),
                walk: Walk::start(self.limits),
            };
        }
        Ok(())
    }

    fn move_part(&mut self, connection: &Connection, most: usize, tick: Tick) -> Result<(), StoreError> {
        let Moving { ids, moved, .. } = &mut self.moving;
        let part = &ids[*moved..ids.len().min(*moved + most)];
        // After a restart some may be there already, or still there from long ago.
        let mut insert = connection.prepare_cached(
            "INSERT INTO seen_observations (id, tick) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET tick = excluded.tick",
        )?;
        for id in part {
            insert.execute(params![id.to_be_bytes(), tick.second()])?;
            self.tree.add(*id);
        }
        *moved += part.len();
        if *moved == ids.len() && *moved > 0 {
            connection
                .prepare_cached("DELETE FROM seen_log WHERE sequence <= ?1")?
                .execute([self.moving.log_through])?;
            self.moving = Moving::default();
        }
        Ok(())
    }

    fn walk_part(&mut self, connection: &Connection, most: usize, tick: Tick) -> Result<(), StoreError> {
        let Tree::Walked { filter, walk } = &mut self.tree else {
            return Ok(());
        };
        let kept_from = tick.second().saturating_sub(SEEN_KEPT_SECONDS);
        if walk.pass(connection, most, kept_from)? {
            let walked = replace(walk, Walk::start(self.limits));
            *filter = Some(walked.filter);
        }
        Ok(())
    }
}

impl Tree {
    /// False only for an id that is not there.
    fn may_hold(&self, id: u128) -> bool {
        match self {
            Self::Empty => false,
            Self::Walked { filter, .. } => filter.as_ref().is_none_or(|filter| filter.may_hold(id)),
        }
    }

    fn add(&mut self, id: u128) {
        if let Self::Walked { filter, walk } = self {
            walk.filter.add(id);
            if let Some(filter) = filter {
                filter.add(id);
            }
        }
    }
}

impl Walk {
    fn start(limits: Limits) -> Self {
        Self {
            last: None,
            filter: Filter::with_bytes(limits.filter_bytes),
        }
    }

    /// Passes the next `most` ids, and deletes those from before `kept_from`; true at the end.
    fn pass(&mut self, connection: &Connection, most: usize, kept_from: i64) -> Result<bool, StoreError> {
        let mut select = connection
            .prepare_cached("SELECT id, tick FROM seen_observations WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        // Every id comes after the empty one.
        let last = self.last.as_ref().map_or(&[][..], |last| last);
        let mut found = select.query(params![last, most])?;
        let mut old = Vec::new();
        let mut passed = 0;
        while let Some(row) = found.next()? {
            let id: [u8; 16] = row.get(0)?;
            if row.get::<_, i64>(1)? < kept_from {
                old.push(id);
            } else {
                self.filter.add(u128::from_be_bytes(id));
            }
            self.last = Some(id);
            passed += 1;
        }
        let mut delete = connection.prepare_cached("DELETE FROM seen_observations WHERE id = ?1")?;
        for id in old {
            delete.execute([id])?;
        }
        Ok(passed < most)
    }
}

fn tree_holds(connection: &Connection, id: [u8; 16]) -> Result<bool, StoreError> {
    let holds = connection
        .prepare_cached("SELECT 1 FROM seen_observations WHERE id = ?1")?
        .exists([id])?;
    Ok(holds)
}

fn read_log(connection: &Connection) -> Result<HashSet<u128>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT ids FROM seen_log")?;
    let mut found = statement.query([])?;
    let mut ids = HashSet::new();
    while let Some(row) = found.next()? {
        let (entry, rest) = row.get_ref(0)?.as_blob()?.as_chunks();
        if !rest.is_empty() {
            return Err(rows::corrupt("a log of ids", "an id is cut off"));
        }
        ids.extend(entry.iter().map(|id| u128::from_be_bytes(*id)));
    }
    Ok(ids)
}
