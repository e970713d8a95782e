//! The task that keeps the table as the server has it.

use super::connection::Connection;
use super::file::Copy;
use super::trouble::Trouble;
use super::{Origin, Shared, wire};
use crate::clock::Clock;
use bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Pause after the first failure; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause: where a proxy allows no streams, the table is asked for this often.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Follows one server.
#[derive(Debug)]
pub(super) struct Follower {
    shared: Arc<Shared>,
    connection: Connection,
    copy: Option<Copy>,
    clock: Clock,
    tag: Option<String>,
    pause: Duration,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, connection: Connection, copy: Option<Copy>, clock: Clock) -> Self {
        let tag = shared.status.borrow().tag.clone();
        Self {
            shared,
            connection,
            copy,
            clock,
            tag,
            pause: PAUSE_MIN,
        }
    }

    /// Goes on until the client is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let Err(trouble) = self.follow().await;
            tracing::warn!(trouble = %trouble, "the route table is not followed");
            self.shared.status.send_modify(|status| {
                status.is_following = false;
                status.trouble = Some(trouble.to_string());
            });
            tokio::time::sleep(uneven(self.pause)).await;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }

    /// Follows until something goes wrong.
    async fn follow(&mut self) -> Result<Infallible, Trouble> {
        self.refresh().await?;
        let mut stream = self.connection.follow().await?;
        self.pause = PAUSE_MIN;
        self.shared.status.send_modify(|status| {
            status.is_following = true;
            status.trouble = None;
        });
        loop {
            let tag = stream.next().await?;
            if self.tag.as_ref() != Some(&tag) {
                self.refresh().await?;
            }
        }
    }

    /// Asks for the table, and assigns by it where it is a new one.
    async fn refresh(&mut self) -> Result<(), Trouble> {
        if let Some(sent) = self.connection.table(self.tag.as_deref()).await? {
            let table = wire::table(&sent.body)?;
            tracing::info!(policies = table.len(), "assigning by a new route table");
            self.shared.put(Origin::Server, sent.tag.clone(), table);
            self.tag = Some(sent.tag.clone());
            self.keep(sent.tag, sent.body).await;
        }
        let now = self.clock.now();
        self.shared.status.send_modify(|status| {
            status.origin = Origin::Server;
            status.confirmed_at = Some(now);
        });
        Ok(())
    }

    /// A table that cannot be kept is assigned by all the same.
    async fn keep(&self, tag: String, body: Bytes) {
        let Some(copy) = self.copy.clone() else {
            return;
        };
        let kept = tokio::task::spawn_blocking(move || copy.write(&tag, &body)).await;
        // A task that panicked or was stopped with the runtime has nothing to say.
        if let Ok(Err(trouble)) = kept {
            tracing::warn!(trouble = %trouble, "the route table cannot be kept");
            self.shared
                .status
                .send_modify(|status| status.trouble = Some(trouble.to_string()));
        }
    }
}

/// Half of the pause at least, so that the clients of a server that comes back do not come all at once.
fn uneven(pause: Duration) -> Duration {
    let part = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + part / 2.0)
}
