//! Brings a database to the schema that this program knows.
//!
//! Migrations are numbered from 1 and append-only: a file that has been released is never changed.
//! The number of the last one that was applied is the database's `user_version`.

use super::error::OpenError;
use crate::store::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// A step from one schema to the next.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// All of them, in order; the first one makes schema 1.
const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "0001_initial",
        sql: include_str!("../../migrations/0001_initial.sql"),
    },
    Migration {
        name: "0002_prompts",
        sql: include_str!("../../migrations/0002_prompts.sql"),
    },
    Migration {
        name: "0003_sights",
        sql: include_str!("../../migrations/0003_sights.sql"),
    },
    Migration {
        name: "0004_withdrawals",
        sql: include_str!("../../migrations/0004_withdrawals.sql"),
    },
    Migration {
        name: "0005_scores",
        sql: include_str!("../../migrations/0005_scores.sql"),
    },
    Migration {
        name: "0006_points",
        sql: include_str!("../../migrations/0006_points.sql"),
    },
    Migration {
        name: "0007_authors",
        sql: include_str!("../../migrations/0007_authors.sql"),
    },
    Migration {
        name: "0008_clearings",
        sql: include_str!("../../migrations/0008_clearings.sql"),
    },
    Migration {
        name: "0009_notices",
        sql: include_str!("../../migrations/0009_notices.sql"),
    },
    Migration {
        name: "0010_parents",
        sql: include_str!("../../migrations/0010_parents.sql"),
    },
];

/// Applies what is missing, each migration in its own transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        return Err(OpenError::Newer { found, known }.into());
    }
    for (migration, schema) in MIGRATIONS.iter().zip(1_u32..).skip(found) {
        apply(connection, migration, schema).map_err(|error| OpenError::Migration {
            schema,
            name: migration.name,
            source: error.into(),
        })?;
    }
    Ok(())
}

fn apply(connection: &mut Connection, migration: &Migration, schema: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(migration.sql)?;
    transaction.pragma_update(None, "user_version", schema)?;
    transaction.commit()
}

#[cfg(test)]
mod tests;
