//! When a notification that was not taken is tried again, and when it is given up.

use super::delivery::Refused;
use crate::store::PendingNotice;
use jiff::{SignedDuration, Timestamp};

/// Longest wait between two attempts, in seconds, without the jitter.
const WAIT_SECONDS_MAX: i64 = 900;
/// Longest wait that a receiver may ask for.
const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Age at which a notification that is not taken is given up: nobody acts on older news.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// The largest share of the jitter, in thousandths.
const JITTER_MAX: u32 = 1_000;
/// Most attempts.
const ATTEMPTS_MAX: u32 = 100;

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next attempt.
    At(Timestamp),
    /// No other one.
    Never,
}

/// What follows from an attempt that failed at `now`; `jitter` is from 0 to [`JITTER_MAX`].
pub(super) fn next(pending: &PendingNotice, refused: &Refused, now: Timestamp, jitter: u32) -> Next {
    let is_old = now.duration_since(pending.record.at) >= AGE_MAX;
    if refused.is_final || is_old || pending.attempts + 1 >= ATTEMPTS_MAX {
        return Next::Never;
    }
    let asked = refused.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    Next::At(
        now.saturating_add(wait(pending.attempts, jitter).max(asked))
            .unwrap_or(now),
    )
}

/// 1, 2, 4, … seconds after so many attempts, and up to half of that more, so that many do not knock at once.
fn wait(attempts: u32, jitter: u32) -> SignedDuration {
    let seconds = (1_i64 << attempts.min(30)).min(WAIT_SECONDS_MAX);
    let more = seconds * i64::from(jitter.min(JITTER_MAX)) / 2;
    SignedDuration::from_secs(seconds) + SignedDuration::from_millis(more)
}

/// A random number from 0 to [`JITTER_MAX`]; the middle, where the system has none.
pub(super) fn jitter() -> u32 {
    getrandom::u32().map_or(JITTER_MAX / 2, |drawn| drawn % (JITTER_MAX + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour_and_differ() {
        let waits: Vec<i64> = (0..12).map(|attempts| wait(attempts, 0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(wait(u32::MAX, JITTER_MAX), SignedDuration::from_secs(1_350));
        assert_eq!(wait(0, JITTER_MAX), SignedDuration::from_millis(1_500));
        assert_eq!(wait(0, u32::MAX), wait(0, JITTER_MAX));
        assert!((0..100).all(|_| jitter() <= JITTER_MAX));
    }

    #[test]
    fn a_day_is_over_before_the_attempts_are() {
        let spent: i64 = (0..ATTEMPTS_MAX)
            .map(|attempts| wait(attempts, JITTER_MAX / 2).as_secs())
            .sum();
        assert!(spent >= AGE_MAX.as_secs(), "{spent} s");
    }
}
