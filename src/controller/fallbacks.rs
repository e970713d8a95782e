//! Applications that do not get the prompts that they ask for: the history tells when that began, and
//! how it ended.
//!
//! Whoever serves notes it in memory; what is told is written with the tick. A run that goes on when the
//! process ends is told to have begun, and no more.

use super::Controller;
use crate::ids::{Label, PolicyName, PromptName};
use crate::rollout::AuditEvent;
use crate::rollout::fallback::{Fallback, FallbackEnd, FallbackKind, kept_words};
use crate::store::StoreError;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A run of fallbacks is over when there was none for so long, in seconds: one that comes and goes would
/// fill the history.
const QUIET_SECONDS: i64 = 300;
/// Runs that are kept at once; what comes beyond is counted by telemetry alone.
const RUNS_MAX: usize = 10_000;
/// Runs that one tick tells of; the rest is for the next ones.
const TOLD_PER_TICK_MAX: usize = 100;

/// What applications did not get, as it was noted; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted(Arc<Mutex<BTreeMap<Key, Run>>>);

/// What runs are told apart by: names that the policy gives, and closed words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    policy: PolicyName,
    label: Option<Label>,
    kind: FallbackKind,
}

#[derive(Debug, Clone)]
struct Run {
    prompt: PromptName,
    words: String,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    is_told: bool,
}

impl Noted {
    /// Notes a request that was not served as usual.
    pub(super) fn note(
        &self,
        policy: &PolicyName,
        prompt: &PromptName,
        label: Option<&Label>,
        (kind, words): (FallbackKind, &str),
        now: Timestamp,
    ) {
        let key = Key {
            policy: policy.clone(),
            label: label.cloned(),
            kind,
        };
        let mut runs = self.runs();
        if let Some(run) = runs.get_mut(&key) {
            run.last = run.last.max(now);
            run.count = run.count.saturating_add(1);
        } else if runs.len() < RUNS_MAX {
            let run = Run {
                prompt: prompt.clone(),
                words: kept_words(words),
                first: now,
                last: now,
                count: 1,
                is_told: false,
            };
            runs.insert(key, run);
        }
    }

    /// Runs that have begun and were not told, and those that are over.
    fn news(&self, now: Timestamp) -> Vec<(Key, Fallback)> {
        let quiet = SignedDuration::from_secs(QUIET_SECONDS);
        let runs = self.runs();
        let news = runs.iter().filter_map(|(key, run)| {
            let is_over = run.is_told && now.duration_since(run.last) >= quiet;
            (is_over || !run.is_told).then(|| (key.clone(), run.fallback(key, is_over)))
        });
        news.take(TOLD_PER_TICK_MAX).collect()
    }

    /// Notes that what [`Self::news`] had was told.
    fn told(&self, key: &Key, fallback: &Fallback) {
        let mut runs = self.runs();
        if fallback.end.is_none() {
            if let Some(run) = runs.get_mut(key) {
                run.is_told = true;
            }
        } else if let Some(run) = runs.remove(key)
            && let Some(end) = fallback.end
            && run.count > end.count
        {
            // One came while its end was written: that is another run.
            let since = Run {
                first: run.last,
                count: run.count - end.count,
                is_told: false,
                ..run
            };
            runs.insert(key.clone(), since);
        }
    }

    fn forget(&self, key: &Key) {
        self.runs().remove(key);
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<Key, Run>> {
        // Each change of it is one insert or removal, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn fallback(&self, key: &Key, is_over: bool) -> Fallback {
        Fallback {
            prompt: self.prompt.clone(),
            label: key.label.clone(),
            kind: key.kind,
            words: self.words.clone(),
            first: self.first,
            end: is_over.then_some(FallbackEnd {
                last: self.last,
                count: self.count,
            }),
        }
    }
}

impl Controller {
    /// Puts into the history of the policies' rollouts that applications are not served as usual, and that
    /// they are again; the last rollout of a policy has it when none runs.
    pub(super) async fn tell_fallbacks(&mut self, now: Timestamp) -> Result<(), StoreError> {
        for (key, fallback) in self.side.fallbacks.news(now) {
            // A policy without any rollout has no history.
            let Some(running) = self.rollouts.get(&key.policy) else {
                self.side.fallbacks.forget(&key);
                continue;
            };
            let event = AuditEvent::Fallback(fallback.clone());
            self.store
                .record_event(now, running.course.state.id, event)
                .await?;
            self.side.fallbacks.told(&key, &fallback);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn note(noted: &Noted, policy: &str, words: &str, second: i64) {
        let policy = PolicyName::new(policy).unwrap();
        let (prompt, label) = (PromptName::new("p").unwrap(), Label::new("production").unwrap());
        let what = (FallbackKind::Stale, words);
        noted.note(&policy, &prompt, Some(&label), what, at(second));
    }

    /// Words, first second, last second and count.
    type Told = (String, i64, Option<(i64, u64)>);

    /// What there is to tell, which is then told.
    fn told(noted: &Noted, second: i64) -> Vec<Told> {
        let news = noted.news(at(second));
        news.iter().for_each(|(key, fallback)| noted.told(key, fallback));
        let shown = news.into_iter().map(|(_, fallback)| {
            let end = fallback.end.map(|end| (end.last.as_second(), end.count));
            (fallback.words, fallback.first.as_second(), end)
        });
        shown.collect()
    }

    #[test]
    fn a_run_is_told_when_it_begins_and_when_it_is_over() {
        let noted = Noted::default();
        for second in 10..20 {
            note(&noted, "a", &format!("away {second}"), second);
        }
        assert_eq!(told(&noted, 20), [("away 10".to_owned(), 10, None)]);
        assert_eq!(told(&noted, 21), []);
        note(&noted, "a", "away", 100);
        assert_eq!(told(&noted, 399), []);
        assert_eq!(told(&noted, 400), [("away 10".to_owned(), 10, Some((100, 11)))]);
        assert_eq!(told(&noted, 900), []);
        note(&noted, "a", "again", 901);
        assert_eq!(told(&noted, 902), [("again".to_owned(), 901, None)]);
    }

    #[test]
    fn what_comes_while_an_end_is_written_is_another_run() {
        let noted = Noted::default();
        note(&noted, "a", "away", 10);
        told(&noted, 11);
        let news = noted.news(at(400));
        note(&noted, "a", "away", 400);
        news.iter().for_each(|(key, fallback)| noted.told(key, fallback));
        assert_eq!(told(&noted, 401), [("away".to_owned(), 400, None)]);
    }

    #[test]
    fn runs_and_words_and_what_a_tick_tells_are_bounded() {
        let noted = Noted::default();
        for number in 0..=RUNS_MAX {
            note(&noted, &format!("policy-{number}"), &"x".repeat(10_000), 10);
        }
        assert_eq!(noted.runs().len(), RUNS_MAX);
        let told = told(&noted, 11);
        assert_eq!(told.len(), TOLD_PER_TICK_MAX);
        assert!(told[0].0.len() < 1_000);
    }
}
