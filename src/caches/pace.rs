//! When the keys of a label that moved are cleared, and cleared again.

use crate::store::Clearing;
use jiff::{SignedDuration, Timestamp};

/// Longest wait between two passes over the same keys, in seconds.
const PASS_SECONDS_MAX: i64 = 15;
/// Longest wait between two attempts that fail, in seconds, before up to a quarter more.
const RETRY_SECONDS_MAX: i64 = 60;

/// When the keys are to be cleared next.
pub(super) fn due_at(clearing: &Clearing, sweep: SignedDuration) -> Timestamp {
    let Some(tried_at) = clearing.tried_at else {
        return clearing.moved_at;
    };
    let wait = if clearing.failures > 0 {
        backoff(clearing.failures, tried_at)
    } else {
        // 1, 2, 4, … seconds: processes that have just read the old version put it back soon, others when
        // what they keep expires.
        let seconds = (1_i64 << clearing.passes.saturating_sub(1).min(6)).min(PASS_SECONDS_MAX);
        let end = clearing.moved_at.saturating_add(sweep).unwrap_or(Timestamp::MAX);
        SignedDuration::from_secs(seconds).min(end.duration_since(tried_at))
    };
    tried_at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// 1, 2, 4, … seconds and up to a quarter more: the moment of a failure is as good as drawn.
fn backoff(failures: u32, failed_at: Timestamp) -> SignedDuration {
    let seconds = (1_i64 << failures.saturating_sub(1).min(6)).min(RETRY_SECONDS_MAX);
    let spread = i64::from(failed_at.subsec_millisecond()) % 250 * seconds;
    SignedDuration::from_secs(seconds) + SignedDuration::from_millis(spread)
}

/// Notes that the keys were cleared; once after the sweep is enough.
pub(super) fn cleared(clearing: &mut Clearing, now: Timestamp, sweep: SignedDuration) {
    clearing.tried_at = Some(now);
    clearing.passes = clearing.passes.saturating_add(1);
    clearing.failures = 0;
    clearing.error = None;
    clearing.is_over = now.duration_since(clearing.moved_at) >= sweep;
}

/// Notes that they were not.
pub(super) fn failed(clearing: &mut Clearing, now: Timestamp, error: String) {
    clearing.tried_at = Some(now);
    clearing.failures = clearing.failures.saturating_add(1);
    clearing.error = Some(error);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CacheName, Label, PromptName, RegistryName, Version};
    use crate::store::SeenLabel;

    const SWEEP: SignedDuration = SignedDuration::from_secs(90);

    fn moved() -> Clearing {
        Clearing {
            cache: CacheName::new("answers").unwrap(),
            label: SeenLabel {
                registry: RegistryName::new("embedded").unwrap(),
                prompt: PromptName::new("greeting").unwrap(),
                label: Label::new("canary").unwrap(),
                version: Version::new(1).ok(),
            },
            moves: 1,
            moved_at: "2026-03-02T09:00:00Z".parse().unwrap(),
            tried_at: None,
            passes: 0,
            failures: 0,
            error: None,
            is_over: false,
        }
    }

    #[test]
    fn keys_are_cleared_at_once_and_until_what_processes_keep_has_expired() {
        let mut clearing = moved();
        let mut passes = Vec::new();
        while !clearing.is_over {
            let at = due_at(&clearing, SWEEP);
            passes.push(at.duration_since(clearing.moved_at).as_secs());
            cleared(&mut clearing, at, SWEEP);
        }
        assert_eq!(passes, [0, 1, 3, 7, 15, 30, 45, 60, 75, 90]);
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely_and_one_pass_after_the_sweep_is_the_last() {
        let mut clearing = moved();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let at = due_at(&clearing, SWEEP)
                .saturating_add(SignedDuration::from_millis(20))
                .unwrap();
            failed(&mut clearing, at, "connection refused".to_owned());
            waits.push(due_at(&clearing, SWEEP).duration_since(at).as_secs());
        }
        assert!(
            waits
                .iter()
                .zip([1, 2, 4, 8, 16, 32, 60, 60, 60])
                .all(|(wait, least)| (least..=least + least / 4).contains(wait)),
            "{waits:?}"
        );
        let at = due_at(&clearing, SWEEP);
        cleared(&mut clearing, at, SWEEP);
        assert!(clearing.is_over && clearing.error.is_none() && clearing.failures == 0);
    }
}
