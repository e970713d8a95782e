//! How the database's errors become [`StoreError`]s.

use crate::store::{StoreError, rows};
use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What stands in the way of opening the data.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("cannot {doing} `{path}`")]
    Path {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot open `{path}`")]
    Database { path: PathBuf, source: DatabaseError },
    #[error("`{path}` is on a file system without shared memory, which the write-ahead log needs")]
    NoWriteAheadLog { path: PathBuf },
    #[error(
        "the data were written by a newer Serin (schema {found}, this one knows {known}): start that one, \
         or take a copy of the data from before the upgrade"
    )]
    Newer { found: usize, known: usize },
    #[error("cannot migrate the data to schema {schema} (`{name}`)")]
    Migration {
        schema: u32,
        name: &'static str,
        source: DatabaseError,
    },
    #[error("cannot start the thread `{name}`")]
    Thread { name: &'static str, source: io::Error },
}

impl OpenError {
    /// For `map_err` on what the file system answers.
    pub(super) fn path(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Path {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// What SQLite says, once, with the number under which its manual explains it.
#[derive(Debug)]
pub(super) struct DatabaseError(rusqlite::Error);

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self.0.sqlite_extended_error_code() {
            Some(code) => write!(f, " (SQLite code {code})"),
            None => Ok(()),
        }
    }
}

impl Error for DatabaseError {}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let damaged = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        );
        let unexpected = matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::InvalidColumnType(..)
        );
        let error = DatabaseError(error);
        if damaged {
            rows::corrupt("a file", error)
        } else if unexpected {
            rows::corrupt("a column", error)
        } else {
            Self::Failed(Box::new(error))
        }
    }
}

impl From<FromSqlError> for StoreError {
    fn from(error: FromSqlError) -> Self {
        rows::corrupt("a column", error)
    }
}

/// Why a whole group of jobs was not committed; every one of them is answered with it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the transaction was not committed")]
pub(super) struct NotCommitted(#[source] Arc<dyn Error + Send + Sync>);

impl NotCommitted {
    /// The cause without the words that a [`StoreError`] puts before it.
    pub(super) fn because(error: StoreError) -> Self {
        if let StoreError::Failed(source) = error {
            Self(source.into())
        } else {
            Self(Arc::new(error))
        }
    }
}

impl From<NotCommitted> for StoreError {
    fn from(error: NotCommitted) -> Self {
        Self::Failed(Box::new(error))
    }
}
