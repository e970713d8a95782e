//! What was read of somebody's prompts: for how long it is good, and how much of it is kept.

use super::CacheManner;
use crate::ids::{Label, PromptName, Version};
use crate::prompt::PromptVersion;
use crate::prompt::composition::Which;
use crate::prompt::draft::template_bytes;
use crate::registry::RegistryError;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most prompts that are kept, those that could not be read included; what was used least lately goes first.
pub(super) const ENTRIES_MAX: usize = 10_000;
/// Most bytes of prompts that are kept.
pub(super) const BYTES_MAX: usize = 64 * 1024 * 1024;
/// What an entry takes beside its text and its `config`, in bytes.
const ENTRY_BYTES: usize = 1024;
/// Time for which a failure is repeated to those who ask, in seconds: until then Langfuse is not asked again.
pub(super) const FAILURE_SECONDS: i64 = 5;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) prompt: PromptName,
    pub(super) which: Which,
}

/// A version as Langfuse gave it.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) version: Arc<PromptVersion>,
    /// The labels that it had.
    pub(super) labels: Arc<[Label]>,
    /// When it was asked for.
    pub(super) at: Timestamp,
}

impl Reading {
    fn bytes(&self) -> usize {
        let draft = &self.version.draft;
        let config = serde_json::to_vec(&draft.config).map_or(0, |config| config.len());
        template_bytes(&draft.template) + config
    }
}

/// What is known of a key.
#[derive(Debug)]
pub(super) enum Found {
    /// It is fresh.
    Fresh(Reading),
    /// It may still be used, and should be asked for again unless that failed just before.
    Stale {
        reading: Reading,
        failure: Option<RegistryError>,
    },
    /// It could not be read just before.
    Failed(RegistryError),
    /// It is to be asked for.
    Nothing,
}

#[derive(Debug)]
struct Entry {
    reading: Option<Reading>,
    failure: Option<(Timestamp, RegistryError)>,
    bytes: usize,
    /// When it was last used, as a count of uses.
    used: u64,
}

/// Prompts in memory, bounded in entries and bytes.
#[derive(Debug)]
pub(super) struct Cache {
    fresh: SignedDuration,
    /// Age from which on nothing is used any more.
    end: SignedDuration,
    entries: BTreeMap<Key, Entry>,
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(manner: CacheManner) -> Self {
        let signed = |length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        let (fresh, stale) = (signed(manner.fresh), signed(manner.stale));
        Self {
            fresh,
            end: fresh.saturating_add(stale),
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
        }
    }

    /// What is known of `key` now.
    pub(super) fn find(&mut self, key: &Key, now: Timestamp) -> Found {
        self.uses += 1;
        let Some(entry) = self.entries.get_mut(key) else {
            return Found::Nothing;
        };
        self.by_use.remove(&entry.used);
        entry.used = self.uses;
        self.by_use.insert(self.uses, key.clone());
        let lately = SignedDuration::ZERO..SignedDuration::from_secs(FAILURE_SECONDS);
        let failure = entry.failure.as_ref();
        let failure = failure.filter(|(at, _)| lately.contains(&now.duration_since(*at)));
        let reading = entry
            .reading
            .as_ref()
            .map(|reading| (reading, now.duration_since(reading.at)));
        match (reading, failure) {
            // What was read in the future was read before the clock was put back.
            (Some((reading, age)), _) if (SignedDuration::ZERO..self.fresh).contains(&age) => {
                Found::Fresh(reading.clone())
            }
            (Some((reading, age)), failure) if age < self.end => Found::Stale {
                reading: reading.clone(),
                failure: failure.map(|(_, error)| error.clone()),
            },
            (_, Some((_, error))) => Found::Failed(error.clone()),
            (_, None) => Found::Nothing,
        }
    }

    /// Keeps what was read, under `key` and under its number.
    pub(super) fn keep(&mut self, key: Key, reading: Reading) {
        let bytes = reading.bytes();
        let numbered = Key {
            prompt: key.prompt.clone(),
            which: Which::Version(reading.version.version),
        };
        if key != numbered {
            self.put(numbered, Some(reading.clone()), None, bytes);
        }
        self.put(key, Some(reading), None, bytes);
    }

    /// Notes that `key` could not be read; what is not there any more is not used any more.
    pub(super) fn note_failure(&mut self, key: Key, error: RegistryError, now: Timestamp) {
        let reading = match &error {
            RegistryError::NotFound(_) => None,
            RegistryError::Refused(_) | RegistryError::Unavailable(_) => {
                self.entries.get(&key).and_then(|entry| entry.reading.clone())
            }
        };
        let bytes = reading.as_ref().map_or(0, Reading::bytes);
        self.put(key, reading, Some((now, error)), bytes);
    }

    /// Forgets what is known of `key`, unless it is `version`.
    pub(super) fn forget(&mut self, key: &Key, version: Option<Version>) {
        let known = self.entries.get(key).map(|entry| entry.reading.as_ref());
        if known.is_some_and(|reading| reading.map(|reading| reading.version.version) != version) {
            self.remove(key);
        }
    }

    fn put(
        &mut self,
        key: Key,
        reading: Option<Reading>,
        failure: Option<(Timestamp, RegistryError)>,
        bytes: usize,
    ) {
        self.remove(&key);
        self.uses += 1;
        let entry = Entry {
            reading,
            failure,
            bytes: bytes + ENTRY_BYTES,
            used: self.uses,
        };
        self.bytes += entry.bytes;
        self.by_use.insert(entry.used, key.clone());
        self.entries.insert(key, entry);
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.remove(&oldest);
        }
    }

    /// Forgets what is known of `key`.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Actor, Justification};
    use crate::prompt::{Draft, Template};
    use std::time::Duration;

    fn cache() -> Cache {
        Cache::new(CacheManner {
            fresh: Duration::from_secs(60),
            stale: Duration::from_secs(600),
        })
    }

    fn key(prompt: &str, which: Which) -> Key {
        Key {
            prompt: PromptName::new(prompt).unwrap(),
            which,
        }
    }

    fn production() -> Which {
        Which::Label(Label::new("production").unwrap())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn reading(prompt: &str, number: u32, text: &str, at: Timestamp) -> Reading {
        Reading {
            version: Arc::new(PromptVersion {
                prompt: PromptName::new(prompt).unwrap(),
                version: Version::new(number).unwrap(),
                created_at: at,
                author: Actor::new("anna").unwrap(),
                draft: Draft {
                    template: Template::Text(text.into()),
                    semantic_version: None,
                    reason: Justification::new("to try it").unwrap(),
                    config: serde_json::Map::new(),
                    owner: None,
                    tags: std::collections::BTreeSet::new(),
                },
                evaluations: Vec::new(),
            }),
            labels: Arc::new([]),
            at,
        }
    }

    #[test]
    fn it_is_fresh_then_stale_then_gone() {
        let (mut cache, key) = (cache(), key("answer", production()));
        cache.keep(key.clone(), reading("answer", 1, "Hi", at(1_000)));
        assert!(matches!(cache.find(&key, at(1_059)), Found::Fresh(_)));
        assert!(matches!(
            cache.find(&key, at(1_060)),
            Found::Stale { failure: None, .. }
        ));
        assert!(matches!(
            cache.find(&key, at(1_659)),
            Found::Stale { failure: None, .. }
        ));
        assert!(matches!(cache.find(&key, at(1_660)), Found::Nothing));
        assert!(
            matches!(cache.find(&key, at(999)), Found::Stale { failure: None, .. }),
            "the clock was put back"
        );
    }

    #[test]
    fn a_failure_is_repeated_for_a_while_and_what_is_gone_is_not_used() {
        let (mut cache, key) = (cache(), key("answer", production()));
        cache.keep(key.clone(), reading("answer", 1, "Hi", at(1_000)));
        let away = RegistryError::Unavailable("no answer".to_owned());
        cache.note_failure(key.clone(), away.clone(), at(1_100));
        assert!(matches!(
            cache.find(&key, at(1_104)),
            Found::Stale { failure: Some(_), .. }
        ));
        assert!(matches!(
            cache.find(&key, at(1_105)),
            Found::Stale { failure: None, .. }
        ));
        cache.note_failure(key.clone(), away.clone(), at(1_700));
        assert!(matches!(cache.find(&key, at(1_701)), Found::Failed(error) if error == away));
        assert!(matches!(cache.find(&key, at(1_705)), Found::Nothing));
        cache.keep(key.clone(), reading("answer", 1, "Hi", at(1_710)));
        let gone = RegistryError::NotFound("no such label".to_owned());
        cache.note_failure(key.clone(), gone.clone(), at(1_711));
        assert!(matches!(cache.find(&key, at(1_712)), Found::Failed(error) if error == gone));
    }

    #[test]
    fn a_label_that_moved_is_forgotten_and_its_version_is_not() {
        let (mut cache, key) = (cache(), key("answer", production()));
        let first = Version::new(1).unwrap();
        cache.keep(key.clone(), reading("answer", 1, "Hi", at(0)));
        cache.forget(&key, Some(first));
        assert!(matches!(cache.find(&key, at(1)), Found::Fresh(_)));
        cache.forget(&key, Some(first.next()));
        assert!(matches!(cache.find(&key, at(1)), Found::Nothing));
        let numbered = Key {
            which: Which::Version(first),
            ..key
        };
        assert!(matches!(cache.find(&numbered, at(1)), Found::Fresh(_)));
    }

    #[test]
    fn what_was_used_least_lately_makes_room() {
        let mut cache = cache();
        let text = "x".repeat(BYTES_MAX / 8);
        let numbered = |prompt: usize| key(&format!("prompt-{prompt}"), Which::Version(Version::FIRST));
        for prompt in 0..7 {
            let name = format!("prompt-{prompt}");
            cache.keep(numbered(prompt), reading(&name, 1, &text, at(0)));
        }
        assert!(matches!(cache.find(&numbered(0), at(1)), Found::Fresh(_)));
        cache.keep(numbered(7), reading("prompt-7", 1, &text, at(0)));
        assert!(
            matches!(cache.find(&numbered(1), at(1)), Found::Nothing),
            "it went"
        );
        assert!(matches!(cache.find(&numbered(0), at(1)), Found::Fresh(_)));
        assert!(cache.bytes <= BYTES_MAX);
        for prompt in 0..ENTRIES_MAX {
            let error = RegistryError::Unavailable("no answer".to_owned());
            cache.note_failure(numbered(prompt), error, at(1));
        }
        assert_eq!(cache.entries.len(), cache.by_use.len());
        assert!(cache.entries.len() <= ENTRIES_MAX);
    }
}
