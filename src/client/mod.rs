//! Assignment inside a Rust service: the route table over HTTP, then no request for any user.
//!
//! A [`Client`] asks a Serin for its route table, follows its changes, and answers
//! [`assign`](Client::assign) from memory in well under a microsecond, with exactly what
//! `GET /v1/assignments` says. It is fail-static: whatever becomes of the server, assignments go on from
//! the last good table. With a [file](Settings::with_file) they do so after a restart of the service, too.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use serin::client::{Client, Settings};
//!
//! let settings = Settings::new("http://127.0.0.1:8080")?
//!     .with_token("srn_…")
//!     .with_file("/var/lib/answers/serin.json");
//! let client = Client::start(settings)?;
//! client.ready().await;
//! let label = match client.assign("order-status-answer", "user-17") {
//!     Ok(assigned) => assigned.label.to_string(),
//!     // No table has come yet, or it has no such policy: what users have without Serin.
//!     Err(_) => "production".to_owned(),
//! };
//! # drop(label);
//! # Ok(())
//! # }
//! ```
//!
//! The token needs the scope `assign` (see `GET /v1/route-table` for what it lets its holder know). There is no
//! receipt, because those are signed by the server alone: send observations with `user` and the `version`
//! that was assigned. Observations of a policy with conditions on attributes are counted by receipt alone: ask the
//! server for the users of such a policy, or leave its conditions to shares and groups.
//!
//! Everything is bounded: the table in bytes, the notices of the stream, the time to connect, to answer and
//! to be silent, and the pause between two attempts. A policy that this version cannot read, because the
//! server is newer, is an error for that policy alone.
//!
//! Policies with targeting need what the server would be told, and whoever signs in keeps their arm by the key
//! that they had before: see [`User`].

use crate::assignment::{Assignment, Reason};
use crate::clock::Clock;
use crate::ids::{Arm, Exposure, Label, RolloutId, Version};
use crate::targeting::AttributeName;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::AbortHandle;

mod admission;
mod connection;
mod events;
mod file;
mod follow;
mod settings;
mod table;
mod trouble;
mod user;
mod wire;

pub use self::settings::{Settings, SettingsError};
pub use self::table::{Table, TableError};
pub use self::user::User;

/// Assigns users by the table of a server, which it keeps up to date in the background.
///
/// Share it in an [`Arc`]; when the last one is dropped, it stops following.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    following: AbortHandle,
}

/// What the background task writes and everybody reads.
#[derive(Debug)]
struct Shared {
    table: ArcSwapOption<Table>,
    status: watch::Sender<Status>,
}

/// What a user gets; [`Assignment`] without the table that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    /// The user's group.
    pub arm: Arm,
    /// The label to fetch the prompt by.
    pub label: Label,
    /// The version behind the label; none while the registry has not told.
    pub version: Option<Version>,
    /// Share of users in treatment.
    pub exposure: Exposure,
    /// Why this arm.
    pub reason: Reason,
    /// The attribute that keeps the user out, where one does.
    pub attribute: Option<AttributeName>,
    /// The rollout, while one exposes a candidate.
    pub rollout: Option<RolloutId>,
}

/// Why a user cannot be assigned; serve what they have without Serin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    /// Nothing has been read yet.
    #[error("no route table has come yet: `Client::ready` waits for the first one")]
    NoTable,
    /// The table has no such policy.
    #[error("the server has no policy `{policy}`")]
    UnknownPolicy {
        /// What was asked for.
        policy: String,
    },
    /// The table has the policy in a form that this version does not know.
    #[error(
        "policy `{policy}` cannot be assigned here, {why}: ask the server, or use a client of its version"
    )]
    Unread {
        /// The policy.
        policy: String,
        /// What is unknown about it.
        why: String,
    },
    /// The user key is empty or too long; it is not repeated.
    #[error("the user {rule}")]
    BadUser {
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The key that the user had before they signed in is empty or too long; it is not repeated.
    #[error("the anonymous key {rule}")]
    BadAnonymous {
        /// The rule that it breaks.
        rule: &'static str,
    },
}

/// Where the table at hand is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There is none yet.
    Nowhere,
    /// The file that an earlier run left.
    File,
    /// The server, in this run.
    Server,
}

/// How a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where the table at hand is from.
    pub origin: Origin,
    /// The table's `ETag`.
    pub tag: Option<String>,
    /// When the server last said that this is its table.
    pub confirmed_at: Option<Timestamp>,
    /// Whether the server tells of changes at this moment.
    pub is_following: bool,
    /// Why it does not, or why the table could not be kept in its file; for logs.
    pub trouble: Option<String>,
}

impl Client {
    /// Reads the file, if there is one, and begins to follow the server; needs a Tokio runtime.
    ///
    /// Does not wait for the server, which may be away: see [`ready`](Self::ready).
    ///
    /// # Errors
    ///
    /// The token cannot be sent, or there is no TLS on this machine. A file that cannot be read is logged
    /// and left alone.
    pub fn start(settings: Settings) -> Result<Self, SettingsError> {
        let connection = connection::Connection::new(&settings)?;
        let status = Status {
            origin: Origin::Nowhere,
            tag: None,
            confirmed_at: None,
            is_following: false,
            trouble: None,
        };
        let shared = Arc::new(Shared {
            table: ArcSwapOption::empty(),
            status: watch::Sender::new(status),
        });
        let copy = settings
            .file
            .map(|path: PathBuf| file::Copy::new(path, &settings.server));
        if let Some(copy) = &copy {
            shared.take_over(copy);
        }
        let follower = follow::Follower::new(Arc::clone(&shared), connection, copy, Clock::System);
        let following = tokio::spawn(follower.run()).abort_handle();
        Ok(Self { shared, following })
    }

    /// What `user` gets under `policy`.
    ///
    /// # Errors
    ///
    /// No table has come yet, the table has no such policy, or a key of the user is not 1 to 256 bytes long.
    pub fn assign<'a>(&self, policy: &str, user: impl Into<User<'a>>) -> Result<Assigned, AssignError> {
        let table = self.shared.table.load();
        let table = table.as_deref().ok_or(AssignError::NoTable)?;
        table.assign(policy, user).map(|assignment| (&assignment).into())
    }

    /// The table as it is now, to assign many users by the same one.
    pub fn table(&self) -> Option<Arc<Table>> {
        self.shared.table.load_full()
    }

    /// Waits until there is a table, from the server or the file.
    ///
    /// Bound it with [`tokio::time::timeout`] where the service must start without Serin, too.
    pub async fn ready(&self) {
        let mut changes = self.changes();
        // The sender lives in this client, so waiting cannot fail before there is a table.
        changes
            .wait_for(|status| status.origin != Origin::Nowhere)
            .await
            .ok();
    }

    /// How the client stands, for health checks and logs.
    pub fn status(&self) -> Status {
        self.shared.status.borrow().clone()
    }

    /// Changes of the status; a new `tag` is a new table.
    pub fn changes(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Shared {
    /// Begins with what an earlier run left.
    fn take_over(&self, copy: &file::Copy) {
        match copy.read() {
            Ok(None) => {}
            Ok(Some((tag, table))) => self.put(Origin::File, tag, table),
            Err(trouble) => {
                tracing::warn!(trouble = %trouble, "the kept route table is of no use");
                self.status
                    .send_modify(|status| status.trouble = Some(trouble.to_string()));
            }
        }
    }

    /// Assigns by this table from now on.
    fn put(&self, origin: Origin, tag: String, table: Table) {
        self.table.store(Some(Arc::new(table)));
        self.status.send_modify(|status| {
            status.origin = origin;
            status.tag = Some(tag);
        });
    }
}

impl From<&Assignment<'_>> for Assigned {
    fn from(assignment: &Assignment<'_>) -> Self {
        Self {
            arm: assignment.arm,
            label: assignment.served.label.clone(),
            version: assignment.served.version,
            exposure: assignment.exposure,
            reason: assignment.reason,
            attribute: assignment.attribute.cloned(),
            rollout: assignment.rollout.map(|(rollout, _)| rollout),
        }
    }
}
