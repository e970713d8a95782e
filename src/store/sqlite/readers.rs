//! Read-only connections, for what needs no place in the order of writes.

use super::queue::{Portion, Queue};
use crate::store::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Read connections, each with a thread and a cache of its own.
pub(super) const READERS: usize = 2;

/// What each of them caches, in KiB.
const READER_CACHE_KIB: i64 = 4 * 1024;

/// A reader takes one job at a time, so that a slow one keeps nobody else waiting.
const PORTION: Portion = Portion {
    jobs_max: 1,
    observations_max: 0,
};

/// Something to read; it answers its caller itself.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Opens a connection to a database that exists already.
pub(super) fn connect(database: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    super::prepare(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

/// Runs jobs until the queue is closed and empty.
pub(super) fn serve(connection: &Connection, queue: &Queue<Read>) {
    while let Some(jobs) = queue.take(PORTION) {
        for job in jobs {
            job(connection);
        }
    }
}

/// Runs `read` so that all its statements see one moment.
pub(super) fn in_transaction<T, E: From<StoreError>>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
    let answer = read(&transaction);
    // It has changed nothing, so how it ends is all the same.
    drop(transaction);
    answer
}
