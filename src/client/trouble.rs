//! What goes wrong between a client, its server and its file.

use super::connection::{SILENCE_SECONDS_MAX, TABLE_BYTES_MAX};
use super::events::LINE_BYTES_MAX;
use super::table::TableError;
use crate::outbound;
use std::io;
use std::path::PathBuf;

/// Why the table at hand could not be brought up to date, or kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// No connection, or it broke off.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It answered otherwise than with a table.
    #[error("the server answered {status}: check address, token and its scope `assign`")]
    Refused {
        /// What it answered.
        status: reqwest::StatusCode,
    },
    /// It sent a table without a tag.
    #[error("the server sent a table without `ETag`: it is no Serin, or a proxy removes the header")]
    NoTag,
    /// More than a table may be.
    #[error("the table is longer than {TABLE_BYTES_MAX} bytes")]
    TableTooLong,
    /// A line of the stream is more than a notice may be.
    #[error("a line of the stream is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// It sent something else than a table.
    #[error(transparent)]
    NoTable(#[from] TableError),
    /// The stream shows no sign of life.
    #[error("the stream has been silent for {SILENCE_SECONDS_MAX} s")]
    Silent,
    /// The stream has ended.
    #[error("the server has ended the stream")]
    Ended,
    /// The file cannot be read or written.
    #[error("`{}`: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// The file is not one of a client.
    #[error("`{}` is no kept route table: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: serde_json::Error,
    },
    /// The file is from another server.
    #[error("`{}` is from `{server}`: give each server a file of its own", path.display())]
    OtherServer {
        /// The file.
        path: PathBuf,
        /// Whose table it has.
        server: String,
    },
}

impl Trouble {
    /// Why there was no answer, or no whole one.
    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        Self::Unreachable(outbound::cause(error))
    }
}
