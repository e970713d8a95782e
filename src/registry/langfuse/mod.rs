//! Somebody's Langfuse as a registry: Serin reads prompts there, and steers their labels.
//!
//! What is done here follows from Langfuse's published contract (OpenAPI document and source of its
//! server 4.16), which is not what one would wish for:
//!
//! - **`PATCH …/versions/{n}` only adds.** `newLabels` joins the labels that the version has, and is taken
//!   from every other version. A label cannot be taken away, so "the
//!   canary is over" means that its label is parked on the stable version. `DELETE …?label=` deletes the
//!   *version* that holds the label: it is never sent, and [`transport::Method`] has no word for it.
//! - **No compare-and-set.** A move is read → compare → `PATCH` → read back, and two askers can race
//!   between the first two. Serin moves only what a committed transition asks for, one move at a time,
//!   and a label that is elsewhere is left there and pauses the rollout.
//! - **No fences.** A `PATCH` whose answer was lost may be carried out late; see
//!   [`LATE_MOVE_SECONDS_MAX`]. What nobody can mend: carried out after a person has moved the same
//!   label, it overruns them. Their move has paused the rollout by then, and the audit tells of the
//!   move that got no answer.
//! - **No journal**: who moved a label is not told. Serin's own audit has its moves.
//! - **The list does not say who holds which label**: it shows the union over all versions. So there
//!   is one `GET` for each label that a policy steers.
//! - **Protected labels do not bind API keys**: protection is checked for people in the user interface,
//!   and not in the public API. Any key of the project can move any label, Serin's among them; Serin's
//!   own rules say who may ask it to.
//! - Should `PATCH` come to replace labels instead of adding them (there is a pull request that does), the
//!   answer shows it, and the log says so.

mod cache;
mod client;
pub mod pace;
mod shelf;
pub mod survey;
pub mod transport;
pub mod webhook;
mod wire;

use self::client::{Change, Client};
use self::pace::Urgency;
use self::shelf::Shelf;
use self::survey::Survey;
use self::transport::Transport;
use self::wire::Row;
use super::{Freshness, LabelState, MoveOutcome, MoveReason, Registry, RegistryError, Served};
use crate::clock::Clock;
use crate::ids::{Actor, Label, PromptName, Version};
use crate::prompt::composition::Which;
use crate::prompt::labels::LATEST;
use crate::prompt::parents::Compositions;
use crate::prompt::{Evaluation, PromptVersion};
use crate::rollout::LabelMove;
use async_trait::async_trait;
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after it was sent a move may be carried out that got no answer, in seconds.
///
/// Langfuse goes on with a request whose caller has hung up. It writes labels in one database
/// transaction of a few milliseconds; what takes longer is waiting for a connection, which Prisma (its
/// database layer) gives up after ten seconds by default, and its transaction after five more.
pub const LATE_MOVE_SECONDS_MAX: u64 = 30;
/// Labels whose place is remembered; beyond, all are forgotten and asked for anew.
const LABELS_REMEMBERED_MAX: usize = 50_000;

/// How Langfuse is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Most requests a minute; a sixth of them can be made at once, and label moves have a part for
    /// themselves.
    pub requests_per_minute: u32,
    /// Shortest time between two looks at the same label; a policy with a shorter `every` is told what
    /// was seen at the last look.
    pub look_every: Duration,
    /// How long prompts are kept for applications.
    pub cache: CacheManner,
}

/// How long a prompt that was read is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheManner {
    /// So long it is as good as read now.
    pub fresh: Duration,
    /// So long beyond that it is still served, while it is asked for again; then it is refused.
    pub stale: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            requests_per_minute: 600,
            look_every: Duration::from_secs(5),
            cache: CacheManner::default(),
        }
    }
}

impl Default for CacheManner {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(60),
            stale: Duration::from_secs(3_600),
        }
    }
}

/// A project of a Langfuse.
pub struct Langfuse {
    client: Arc<Client>,
    manner: Manner,
    shelf: Arc<Shelf>,
    survey: Survey,
    seen: Mutex<BTreeMap<(PromptName, Label), Seen>>,
}

/// Where a label was seen, or that no version had it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    version: Option<Version>,
    at: Timestamp,
}

impl Langfuse {
    /// The project that `transport` leads to.
    pub fn new(transport: Arc<dyn Transport>, manner: Manner, clock: Clock) -> Self {
        let client = Arc::new(Client::new(transport, clock, manner.requests_per_minute));
        Self {
            shelf: Arc::new(Shelf::new(Arc::clone(&client), manner.cache)),
            survey: Survey::new(Arc::clone(&client)),
            client,
            manner,
            seen: Mutex::default(),
        }
    }

    /// A version as applications are to have it, with its references to other prompts replaced by Langfuse
    /// itself: fresh from the cache, else stale while it is asked for anew, else read now.
    ///
    /// However many ask for the same, Langfuse is asked once.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NotFound`] when there is no such prompt, version or label, whatever other labels
    /// there are; the others when it cannot be read, and what was read is too old.
    pub async fn serve(&self, prompt: &PromptName, which: &Which) -> Result<Served, RegistryError> {
        self.shelf.serve(prompt, which).await
    }

    /// Looks for prompts that take in others, as far as the budget allows now; true when that is at an end
    /// for [`survey::SURVEY_EVERY_SECONDS`]. To be called again and again.
    pub async fn survey(&self) -> bool {
        self.survey.go_on().await
    }

    /// Where a label points; none when no version holds it.
    async fn find(
        &self,
        prompt: &PromptName,
        label: &Label,
        freshness: Freshness,
    ) -> Result<Option<Version>, RegistryError> {
        let urgency = match freshness {
            Freshness::Now => Urgency::Move,
            Freshness::Told => Urgency::Look,
            Freshness::Polled => match self.seen_lately(prompt, label) {
                Some(seen) => return Ok(seen.version),
                None => Urgency::Look,
            },
        };
        let row = self.client.labelled(prompt, label, urgency).await;
        let row = row.inspect_err(|_| {
            // Where the clock is put back to when it was seen, that would pass for new, and nobody could say
            // what has happened since.
            self.forget(prompt, label);
        })?;
        let version = row
            .map(|row| row.number())
            .transpose()
            .map_err(incomprehensible)?;
        self.remember(prompt, label, version);
        Ok(version)
    }

    fn seen_lately(&self, prompt: &PromptName, label: &Label) -> Option<Seen> {
        let seen = *self.seen().get(&(prompt.clone(), label.clone()))?;
        let age = self.client.clock().now().duration_since(seen.at);
        // What was seen in the future was seen before the clock was put back.
        let lately = SignedDuration::ZERO..SignedDuration::try_from(self.manner.look_every).ok()?;
        lately.contains(&age).then_some(seen)
    }

    fn remember(&self, prompt: &PromptName, label: &Label, version: Option<Version>) {
        self.shelf.saw(prompt, label, version);
        let place = (prompt.clone(), label.clone());
        let at = self.client.clock().now();
        let before = {
            let mut seen = self.seen();
            if seen.len() >= LABELS_REMEMBERED_MAX {
                seen.clear();
            }
            seen.insert(place.clone(), Seen { version, at })
        };
        // What was read of prompts that take it in has the text of before.
        if before.is_none_or(|before| before.version != version) {
            let parents = self.survey.known().parents(&BTreeSet::from([place]));
            for ((prompt, label), version) in parents {
                self.shelf
                    .changed(&prompt, &[Which::Label(label), Which::Version(version)]);
            }
        }
    }

    fn forget(&self, prompt: &PromptName, label: &Label) {
        self.seen().remove(&(prompt.clone(), label.clone()));
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<(PromptName, Label), Seen>> {
        // Each change of it is one insert or removal, so a panic elsewhere leaves it whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the label to its new version; a lost answer is found out by reading.
    async fn add(&self, label_move: &LabelMove, target: &Row) -> Result<MoveOutcome, RegistryError> {
        let LabelMove {
            prompt, label, to, ..
        } = label_move;
        match self.client.add_label(prompt, *to, label).await {
            Change::Done(row) => {
                tell_of_lost_labels(target, &row);
                Ok(MoveOutcome::Moved)
            }
            Change::Failed(error) => Err(error),
            Change::Unknown(why) => match self.find(prompt, label, Freshness::Now).await {
                Ok(found) if found == Some(*to) => Ok(MoveOutcome::Moved),
                // It may still be carried out.
                Ok(_) | Err(_) => Err(RegistryError::Unavailable(why)),
            },
        }
    }
}

impl std::fmt::Debug for Langfuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Langfuse")
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Registry for Langfuse {
    async fn labels(
        &self,
        prompt: &PromptName,
        wanted: &[Label],
        freshness: Freshness,
    ) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
        let reads = wanted.iter().map(async |label| {
            let version = self.find(prompt, label, freshness).await?;
            Ok::<_, RegistryError>((label.clone(), version))
        });
        let found = try_join_all(reads).await?;
        let held = found.into_iter().filter_map(|(label, version)| {
            Some((
                label,
                LabelState {
                    version: version?,
                    by: None,
                },
            ))
        });
        Ok(held.collect())
    }

    async fn version(&self, prompt: &PromptName, version: Version) -> Result<PromptVersion, RegistryError> {
        match self.client.numbered(prompt, version, Urgency::Move).await? {
            Some(row) => row.into_version(prompt).map_err(incomprehensible),
            None => Err(no_version(prompt, version)),
        }
    }

    /// None for a version that was written with an API key, whoever held it.
    async fn author(&self, prompt: &PromptName, version: Version) -> Result<Option<Actor>, RegistryError> {
        let author = self.version(prompt, version).await?.author;
        Ok(Some(author).filter(wire::is_person))
    }

    /// None: Langfuse keeps scores of traces, and no evaluations of versions.
    async fn evaluations(&self, _: &PromptName, _: Version) -> Result<Vec<Evaluation>, RegistryError> {
        Ok(Vec::new())
    }

    async fn move_label(&self, label_move: &LabelMove, _: &MoveReason) -> Result<MoveOutcome, RegistryError> {
        let LabelMove {
            prompt,
            label,
            from,
            to,
            ..
        } = label_move;
        let found = self.find(prompt, label, Freshness::Now).await?;
        if found == Some(*to) {
            return Ok(MoveOutcome::InPlace);
        }
        if found != *from {
            return Ok(MoveOutcome::Elsewhere { found });
        }
        let target = self.client.numbered(prompt, *to, Urgency::Move).await?;
        let target = target.ok_or_else(|| no_version(prompt, *to))?;
        let outcome = self.add(label_move, &target).await;
        // Whoever looks next looks anew, whatever came of it.
        self.forget(prompt, label);
        outcome
    }

    /// What [`Langfuse::survey`] has found.
    async fn compositions(&self) -> Result<Arc<Compositions>, RegistryError> {
        Ok(self.survey.known())
    }

    fn late_moves_within(&self) -> Duration {
        Duration::from_secs(LATE_MOVE_SECONDS_MAX)
    }
}

fn no_version(prompt: &PromptName, version: Version) -> RegistryError {
    RegistryError::NotFound(format!("prompt `{prompt}` has no version {version}"))
}

fn incomprehensible(why: String) -> RegistryError {
    RegistryError::Unavailable(format!("its answer cannot be understood: {why}"))
}

/// Says so when a version has lost labels by being given one.
fn tell_of_lost_labels(before: &Row, after: &Row) {
    let kept = |label: &&String| after.labels.contains(label) || *label == LATEST;
    let lost: Vec<&String> = before.labels.iter().filter(|label| !kept(label)).collect();
    if !lost.is_empty() {
        tracing::error!(
            prompt.name = before.name,
            version = before.version,
            ?lost,
            "langfuse replaced the labels of a version instead of adding one: set the lost ones again"
        );
    }
}
