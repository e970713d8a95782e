//! Which prompts of a project take in others.
//!
//! Langfuse tells of it nowhere: no list has it, and no webhook comes for a prompt whose parts have
//! changed. So the project is looked through by and by, a page of the list and one version at a time, as
//! fast as its budget allows beside everything else; then what the list shows as unchanged is not read
//! again for a while.

use super::client::{Client, PAGE_PROMPTS};
use super::pace::Urgency;
use super::wire::{Listed, Row};
use crate::ids::{Label, PromptName, Version};
use crate::prompt::composition::{Reference, Which};
use crate::prompt::parents::{Compositions, Gap};
use crate::registry::RegistryError;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Time between the end of a survey and the next one, in seconds.
pub const SURVEY_EVERY_SECONDS: i64 = 600;
/// Time after which a text is read again although the list shows its prompt as unchanged, in seconds.
const READ_AGAIN_SECONDS: i64 = 3_600;
/// Most pages of the list that are read.
const PAGES_MAX: u32 = 50;
/// Most texts that are read in one survey.
const TEXTS_MAX: usize = 10_000;
/// Most requests of one call; what is left is for the next one.
const REQUESTS_AT_ONCE_MAX: usize = 100;
/// Texts that may fail to be read before a survey ends without them.
const FAILURES_MAX: usize = 10;

/// Time for which nothing is asked after a request failed, in seconds.
const REST_SECONDS: i64 = 30;

/// What is said before the first survey has ended.
const NOT_YET: &str = "the project has not been looked through yet";

/// Looks a project through, and keeps what it found.
pub(super) struct Survey {
    client: Arc<Client>,
    progress: tokio::sync::Mutex<Progress>,
    known: Mutex<Arc<Compositions>>,
}

#[derive(Default)]
struct Progress {
    ended_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
    /// None between two surveys.
    stage: Option<Stage>,
    /// What the last survey read.
    kept: BTreeMap<PromptName, Kept>,
}

enum Stage {
    Listing { page: u32, listed: Vec<Listed> },
    Reading(Reading),
}

/// A survey that knows the list, and reads texts.
#[derive(Default)]
struct Reading {
    waiting: VecDeque<(PromptName, Which)>,
    /// What was asked for, or is not to be.
    asked: BTreeSet<(PromptName, Which)>,
    found: BTreeMap<PromptName, Kept>,
    failures: usize,
    gap: Option<Gap>,
}

/// What was read of a prompt, when the list showed it so.
#[derive(Clone)]
struct Kept {
    listed: Listed,
    read_at: Timestamp,
    texts: Vec<Text>,
}

/// A version that takes in others.
#[derive(Clone)]
struct Text {
    version: Version,
    labels: Vec<Label>,
    refers: BTreeSet<Reference>,
}

impl Survey {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            progress: tokio::sync::Mutex::default(),
            known: Mutex::new(Arc::new(Compositions::unread(NOT_YET))),
        }
    }

    /// What the last survey that ended has found.
    pub(super) fn known(&self) -> Arc<Compositions> {
        Arc::clone(&self.lock())
    }

    /// Goes on, as far as the budget allows now; whether it is at an end for the time being.
    pub(super) async fn go_on(&self) -> bool {
        let mut progress = self.progress.lock().await;
        let now = self.client.clock().now();
        if is_within(progress.failed_at, REST_SECONDS, now) {
            return false;
        }
        if progress.stage.is_none() {
            if is_within(progress.ended_at, SURVEY_EVERY_SECONDS, now) {
                return true;
            }
            progress.stage = Some(Stage::Listing {
                page: 1,
                listed: Vec::new(),
            });
        }
        for _ in 0..REQUESTS_AT_ONCE_MAX {
            if self.is_over(&mut progress, now) {
                return true;
            }
            if !self.client.may_ask(Urgency::Survey) {
                return false;
            }
            if let Err(error) = self.step(&mut progress, now).await {
                tracing::debug!(%error, "a project could not be looked through");
                self.note_trouble(&error);
                progress.failed_at = Some(now);
                return false;
            }
        }
        false
    }

    /// Publishes what was found when nothing is left to read.
    fn is_over(&self, progress: &mut Progress, now: Timestamp) -> bool {
        let at_end =
            |stage: &mut Stage| matches!(stage, Stage::Reading(reading) if reading.waiting.is_empty());
        let Some(Stage::Reading(reading)) = progress.stage.take_if(at_end) else {
            return false;
        };
        *self.lock() = Arc::new(reading.compositions());
        progress.kept = reading.found;
        progress.ended_at = Some(now);
        true
    }

    /// One request.
    async fn step(&self, progress: &mut Progress, now: Timestamp) -> Result<(), RegistryError> {
        match &mut progress.stage {
            Some(Stage::Listing { page, listed }) => {
                let (prompts, is_last) = self.client.page(*page).await?;
                listed.extend(prompts);
                let is_limit = *page >= PAGES_MAX;
                *page += 1;
                if is_last || is_limit {
                    let listed = std::mem::take(listed);
                    let mut reading = Reading::begin(listed, &progress.kept, now);
                    if !is_last {
                        let prompts = PAGES_MAX as usize * PAGE_PROMPTS;
                        let limit = format!("only the first {prompts} prompts of the project are looked at");
                        reading.gap = Some(Gap::Limit(limit));
                    }
                    progress.stage = Some(Stage::Reading(reading));
                }
                Ok(())
            }
            Some(Stage::Reading(reading)) => self.read(reading).await,
            None => Ok(()),
        }
    }

    /// Reads the text that waits longest; one that cannot be read waits once more.
    async fn read(&self, reading: &mut Reading) -> Result<(), RegistryError> {
        let Some((prompt, which)) = reading.waiting.pop_front() else {
            return Ok(());
        };
        let read = match &which {
            Which::Label(label) => self.client.labelled(&prompt, label, Urgency::Survey).await,
            Which::Version(version) => self.client.numbered(&prompt, *version, Urgency::Survey).await,
        };
        // A label that has gone since the list was read.
        let read = read.and_then(|row| row.map(text).transpose());
        match read {
            Ok(Some(text)) => reading.take(&prompt, text),
            Ok(None) => {}
            Err(error) => {
                reading.failures += 1;
                if reading.failures > FAILURES_MAX {
                    let why = format!("prompt `{prompt}` and others could not be read: {error}");
                    reading.gap.get_or_insert(Gap::Unread(why));
                    reading.waiting.clear();
                    return Ok(());
                }
                reading.waiting.push_back((prompt, which));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Says why nothing is known yet; what is known stays.
    fn note_trouble(&self, error: &RegistryError) {
        let mut known = self.lock();
        if matches!(&known.gap, Some(Gap::Unread(_))) {
            let mut changed = Compositions::clone(&known);
            changed.gap = Some(Gap::Unread(format!(
                "the project could not be looked through: {error}"
            )));
            *known = Arc::new(changed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Compositions>> {
        // It is replaced whole, so a panic elsewhere leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// What is to be read of a list; prompts that it shows as they were are not.
    fn begin(listed: Vec<Listed>, kept: &BTreeMap<PromptName, Kept>, now: Timestamp) -> Self {
        let mut reading = Self::default();
        for listed in listed {
            let Ok(prompt) = PromptName::new(&listed.name) else {
                continue;
            };
            let kept = kept.get(&prompt).filter(|kept| {
                kept.listed == listed
                    && listed.last_updated_at.is_some()
                    && is_within(Some(kept.read_at), READ_AGAIN_SECONDS, now)
            });
            if let Some(kept) = kept {
                for reference in kept.texts.iter().flat_map(|text| &text.refers) {
                    reading.ask_numbered(reference);
                }
                reading.found.insert(prompt, kept.clone());
                continue;
            }
            let labels = listed.labels.iter().filter_map(|label| Label::new(label).ok());
            for label in labels {
                reading.ask(prompt.clone(), Which::Label(label));
            }
            let fresh = Kept {
                listed,
                read_at: now,
                texts: Vec::new(),
            };
            reading.found.insert(prompt, fresh);
        }
        reading
    }

    fn ask(&mut self, prompt: PromptName, which: Which) {
        if self.asked.len() >= TEXTS_MAX {
            let limit = format!("only {TEXTS_MAX} texts of the project are looked at");
            self.gap.get_or_insert(Gap::Limit(limit));
            return;
        }
        if self.asked.insert((prompt.clone(), which.clone())) {
            self.waiting.push_back((prompt, which));
        }
    }

    /// A text may take in another by its number, and that one a third by its label.
    fn ask_numbered(&mut self, reference: &Reference) {
        match &reference.which {
            Which::Version(_) => self.ask(reference.prompt.clone(), reference.which.clone()),
            Which::Label(_) => {}
        }
    }

    /// Notes a text, and need not ask for it by its other labels.
    fn take(&mut self, prompt: &PromptName, text: Text) {
        let held = |which: &Which| match which {
            Which::Label(label) => text.labels.contains(label),
            Which::Version(version) => *version == text.version,
        };
        self.waiting.retain(|(of, which)| of != prompt || !held(which));
        for reference in &text.refers {
            self.ask_numbered(reference);
        }
        if let Some(kept) = self.found.get_mut(prompt)
            && !text.refers.is_empty()
            && kept.texts.iter().all(|known| known.version != text.version)
        {
            kept.texts.push(text);
        }
    }

    fn compositions(&self) -> Compositions {
        let mut all = Compositions::default();
        for (prompt, kept) in &self.found {
            for text in &kept.texts {
                all.add_references(prompt, text.version, text.refers.clone());
                for label in &text.labels {
                    all.add_label(prompt, label, text.version);
                }
            }
        }
        all.gap.clone_from(&self.gap);
        all
    }
}

/// Whether something was less than so many seconds ago; never, where the clock was put back since.
fn is_within(at: Option<Timestamp>, seconds: i64, now: Timestamp) -> bool {
    let lately = SignedDuration::ZERO..SignedDuration::from_secs(seconds);
    at.is_some_and(|at| lately.contains(&now.duration_since(at)))
}

fn text(row: Row) -> Result<Text, RegistryError> {
    let labels = row.labels.iter().filter_map(|label| Label::new(label).ok());
    Ok(Text {
        version: row.number().map_err(super::incomprehensible)?,
        labels: labels.collect(),
        refers: row.references().map_err(super::incomprehensible)?,
    })
}
