//! Prompts on their way to applications: read once however many ask, and kept for a while.

use super::CacheManner;
use super::cache::{Cache, Found, Key, Reading};
use super::client::Client;
use super::pace::Urgency;
use crate::ids::{Label, PromptName, Version};
use crate::prompt::composition::Which;
use crate::registry::{ReadFrom, RegistryError, Served};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most prompts that are asked for at once; whoever asks for one more is refused.
const FLIGHTS_MAX: usize = 64;

/// A request that somebody waits for.
type Flight = Shared<BoxFuture<'static, Result<Reading, RegistryError>>>;

/// Reads prompts through a [`Cache`].
pub(super) struct Shelf {
    client: Arc<Client>,
    state: Mutex<State>,
}

struct State {
    cache: Cache,
    flights: BTreeMap<Key, Flight>,
    /// Where labels were seen while they were asked for.
    seen: BTreeMap<Key, Option<Version>>,
}

impl Shelf {
    pub(super) fn new(client: Arc<Client>, manner: CacheManner) -> Self {
        let state = State {
            cache: Cache::new(manner),
            flights: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        Self {
            client,
            state: Mutex::new(state),
        }
    }

    /// A version as applications are to have it.
    pub(super) async fn serve(
        self: &Arc<Self>,
        prompt: &PromptName,
        which: &Which,
    ) -> Result<Served, RegistryError> {
        let key = Key {
            prompt: prompt.clone(),
            which: which.clone(),
        };
        let now = self.client.clock().now();
        let flight = {
            let mut state = self.state();
            match state.cache.find(&key, now) {
                Found::Fresh(reading) => return Ok(served(reading, ReadFrom::Cache, now)),
                Found::Stale { reading, failure } => {
                    if failure.is_none() {
                        // It flies by itself, and whoever asks next has what it brings.
                        self.fly(&mut state, &key).ok();
                    }
                    let stale = served(reading, ReadFrom::Stale, now);
                    return Ok(Served { failure, ..stale });
                }
                Found::Failed(error) => return Err(error),
                Found::Nothing => self.fly(&mut state, &key)?,
            }
        };
        let reading = flight.await?;
        Ok(served(reading, ReadFrom::Registry, now))
    }

    /// The request for `key` that is under way, or a new one.
    fn fly(self: &Arc<Self>, state: &mut State, key: &Key) -> Result<Flight, RegistryError> {
        if let Some(flight) = state.flights.get(key) {
            return Ok(flight.clone());
        }
        if state.flights.len() >= FLIGHTS_MAX {
            let why = format!("{FLIGHTS_MAX} prompts are being asked for already");
            return Err(RegistryError::Unavailable(why));
        }
        let (shelf, asked) = (Arc::clone(self), key.clone());
        // Whoever asked first may go away, and the others wait on.
        let task = tokio::spawn(async move {
            let outcome = shelf.fetch(&asked).await;
            shelf.settle(asked, &outcome);
            outcome
        });
        let broken = |_| Err(RegistryError::Unavailable("asking broke off".to_owned()));
        let flight = task
            .map(move |ended| ended.unwrap_or_else(broken))
            .boxed()
            .shared();
        state.flights.insert(key.clone(), flight.clone());
        Ok(flight)
    }

    async fn fetch(&self, key: &Key) -> Result<Reading, RegistryError> {
        let at = self.client.clock().now();
        let found = self
            .client
            .resolved(&key.prompt, &key.which, Urgency::Look)
            .await?;
        let row = found.ok_or_else(|| absent(key))?;
        let labels = row.labels.iter().filter_map(|label| Label::new(label).ok());
        let labels = labels.collect();
        let version = row.into_version(&key.prompt).map_err(super::incomprehensible)?;
        Ok(Reading {
            version: Arc::new(version),
            labels,
            at,
        })
    }

    fn settle(&self, key: Key, outcome: &Result<Reading, RegistryError>) {
        let now = self.client.clock().now();
        let mut state = self.state();
        state.flights.remove(&key);
        let seen = state.seen.remove(&key);
        match outcome {
            // The label moved while it was asked for.
            Ok(reading) if seen.is_some_and(|seen| seen != Some(reading.version.version)) => {}
            Ok(reading) => state.cache.keep(key, reading.clone()),
            Err(error) => {
                tracing::warn!(prompt.name = %key.prompt, %error, "a prompt could not be read");
                state.cache.note_failure(key, error.clone(), now);
            }
        }
    }

    /// Notes where a label was seen: what is known of it otherwise is forgotten.
    pub(super) fn saw(&self, prompt: &PromptName, label: &Label, version: Option<Version>) {
        let mut state = self.state();
        let key = Key {
            prompt: prompt.clone(),
            which: Which::Label(label.clone()),
        };
        state.cache.forget(&key, version);
        if state.flights.contains_key(&key) {
            state.seen.insert(key, version);
        }
    }

    /// Forgets what is known of a prompt whose text has changed without a move of its own.
    pub(super) fn changed(&self, prompt: &PromptName, read_as: &[Which]) {
        let mut state = self.state();
        for which in read_as {
            state.cache.remove(&Key {
                prompt: prompt.clone(),
                which: which.clone(),
            });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn served(reading: Reading, source: ReadFrom, now: Timestamp) -> Served {
    let age = now.duration_since(reading.at);
    Served {
        version: reading.version,
        labels: reading.labels,
        source,
        age: Duration::try_from(age).unwrap_or_default(),
        failure: None,
    }
}

fn absent(Key { prompt, which }: &Key) -> RegistryError {
    RegistryError::NotFound(match which {
        Which::Label(label) => format!("prompt `{prompt}` has no label `{label}`"),
        Which::Version(version) => format!("prompt `{prompt}` has no version {version}"),
    })
}
