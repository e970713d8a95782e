//! A Redis, or whatever speaks its protocol (RESP).

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo as _};
use std::time::Duration;

/// Longest part of what a Redis says that is repeated, in characters.
const WORDS_CHARS_MAX: usize = 200;

/// Where a Redis is, and who asks it.
#[derive(Clone)]
pub struct Reach {
    /// `redis://host:port/database`, or `rediss://` with TLS; without user and password.
    pub url: String,
    /// The user, where it has users (ACL).
    pub username: Option<String>,
    /// The password, where it asks for one.
    pub password: Option<String>,
    /// Longest time for a connection, and again for an answer.
    pub timeout: Duration,
}

/// A Redis that cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("the address of the Redis cannot be used")]
pub struct RedisError(#[source] redis::RedisError);

/// A Redis in which applications keep prompts.
pub struct Redis {
    client: Client,
    timeout: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client knows the password.
        f.debug_struct("Redis")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Errand {
    /// It is deleted; it need not exist.
    Delete { key: String },
    /// It gets another value and keeps its time to live, if it exists.
    Rewrite { key: String, value: String },
}

impl Redis {
    /// A Redis that is connected to when there is something to do.
    ///
    /// # Errors
    ///
    /// [`RedisError`] when the address is none, or TLS cannot be set up.
    pub fn new(reach: &Reach) -> Result<Self, RedisError> {
        // Another part of the process may have chosen a provider before; any will do.
        rustls::crypto::ring::default_provider().install_default().ok();
        let info = reach.url.as_str().into_connection_info().map_err(RedisError)?;
        // What a connection says of itself is one more thing that a user without many rights is refused.
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(username) = &reach.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &reach.password {
            settings = settings.set_password(password);
        }
        Ok(Self {
            client: Client::open(info.set_redis_settings(settings)).map_err(RedisError)?,
            timeout: reach.timeout,
        })
    }

    /// Runs all errands over one connection, and says of each what came of it, in the Redis' words.
    pub(super) async fn run(&self, errands: &[Errand]) -> Vec<Result<(), String>> {
        if errands.is_empty() {
            return Vec::new();
        }
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return errands.iter().map(|_| Err(error.clone())).collect(),
        };
        let asked = errands.iter().map(|errand| {
            let mut connection = connection.clone();
            async move { command(errand).exec_async(&mut connection).await }
        });
        let answers = join_all(asked).await.into_iter();
        answers
            .map(|answer| answer.map_err(|error| words(&error)))
            .collect()
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        // Also where an address resolves slowly, or somebody accepts and says nothing.
        match tokio::time::timeout(2 * self.timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| words(&error)),
            Err(_) => Err(format!("no connection within {:?}", 2 * self.timeout)),
        }
    }
}

/// `DEL` (also of what is not there), or `SET … XX KEEPTTL` (Redis 6.0 and later).
fn command(errand: &Errand) -> Cmd {
    match errand {
        Errand::Delete { key } => redis::cmd("DEL").arg(key).to_owned(),
        Errand::Rewrite { key, value } => {
            let mut set = redis::cmd("SET");
            set.arg(key).arg(value).arg("XX").arg("KEEPTTL");
            set
        }
    }
}

/// A Redis' words for a log or a person, on one line.
fn words(error: &redis::RedisError) -> String {
    let line = error.to_string();
    let clean = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(WORDS_CHARS_MAX).collect()
}
