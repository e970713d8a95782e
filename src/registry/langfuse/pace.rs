//! How fast Langfuse is asked: a budget of requests, waits that it asked for, and rests after silence.

use jiff::{SignedDuration, Timestamp};

/// Longest wait that Langfuse's 429 is granted at once, in seconds; then it is asked again, so that a
/// limit that was lifted meanwhile is noticed.
pub const RETRY_AFTER_SECONDS_MAX: i64 = 300;
/// Wait after a 429 that does not say how long, in seconds.
const RETRY_AFTER_SECONDS_DEFAULT: i64 = 10;
/// Time for which nothing is looked at after a request without an answer, in seconds; every look would
/// keep the controller waiting for the whole timeout.
const REST_SECONDS: i64 = 5;
/// Share of the budget that can be spent at once.
const BURST_MINUTES: f64 = 1.0 / 6.0;
/// Share of the burst that looks leave to label moves.
const MOVE_RESERVE_RATIO: f64 = 0.25;
/// Share of the burst that a survey leaves to looks and label moves.
const LOOK_RESERVE_RATIO: f64 = 0.5;

/// How much a request matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Nobody waits for it.
    Survey,
    /// It can be made later.
    Look,
    /// A label moves, or somebody waits.
    Move,
}

/// When the next request may be made.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: f64,
    /// Requests that may be made now.
    tokens: f64,
    filled_at: Option<Timestamp>,
    /// Until when Langfuse wants to be left alone.
    told_until: Option<Timestamp>,
    /// Until when nothing is looked at, and why.
    rest: Option<(Timestamp, String)>,
}

impl Pace {
    pub(super) fn new(per_minute: u32) -> Self {
        let per_minute = f64::from(per_minute);
        Self {
            per_minute,
            tokens: burst(per_minute),
            filled_at: None,
            told_until: None,
            rest: None,
        }
    }

    /// Takes a request from the budget, or says why it must not be made now.
    pub(super) fn admit(&mut self, urgency: Urgency, now: Timestamp) -> Result<(), String> {
        if let Some(until) = ahead(self.told_until, now, RETRY_AFTER_SECONDS_MAX) {
            return Err(format!(
                "it asked to be left alone for {} s more (429)",
                seconds(until, now)
            ));
        }
        let rest = self.rest.as_ref();
        if urgency != Urgency::Move
            && let Some((until, why)) = rest
            && ahead(Some(*until), now, REST_SECONDS).is_some()
        {
            return Err(format!("{why}; asked again in {} s", seconds(*until, now)));
        }
        self.fill(now);
        let reserve = match urgency {
            Urgency::Survey => burst(self.per_minute) * LOOK_RESERVE_RATIO,
            Urgency::Look => burst(self.per_minute) * MOVE_RESERVE_RATIO,
            Urgency::Move => 0.0,
        };
        if self.tokens - 1.0 < reserve {
            return Err(format!(
                "its budget of {} requests a minute is spent",
                self.per_minute
            ));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    /// Whether a request would be admitted now; it is taken from no budget.
    pub(super) fn would_admit(&mut self, urgency: Urgency, now: Timestamp) -> bool {
        let is_admitted = self.admit(urgency, now).is_ok();
        if is_admitted {
            self.tokens += 1.0;
        }
        is_admitted
    }

    fn fill(&mut self, now: Timestamp) {
        let since = self
            .filled_at
            .map_or(0.0, |filled| now.duration_since(filled).as_secs_f64());
        // A clock that was put back gives nothing, and goes on from there.
        self.filled_at = Some(now);
        let gained = since.max(0.0) * self.per_minute / 60.0;
        self.tokens = (self.tokens + gained).min(burst(self.per_minute));
    }

    /// Notes that Langfuse wants to be left alone, for as long as it said; how long that is, in seconds.
    pub(super) fn told(&mut self, seconds: Option<i64>, now: Timestamp) -> i64 {
        let seconds = seconds.unwrap_or(RETRY_AFTER_SECONDS_DEFAULT);
        let seconds = seconds.clamp(1, RETRY_AFTER_SECONDS_MAX);
        self.told_until = now.checked_add(SignedDuration::from_secs(seconds)).ok();
        seconds
    }

    /// Notes that a request got no answer.
    pub(super) fn unanswered(&mut self, why: &str, now: Timestamp) {
        let until = now.checked_add(SignedDuration::from_secs(REST_SECONDS));
        self.rest = until.ok().map(|until| (until, why.to_owned()));
    }

    /// Notes that a request was answered.
    pub(super) fn answered(&mut self) {
        self.rest = None;
    }
}

fn burst(per_minute: f64) -> f64 {
    // Looks need more than the reserve: four is one for them and three for a move.
    (per_minute * BURST_MINUTES).max(4.0)
}

/// A moment that is still ahead, and not further than it can be unless the clock was put back.
fn ahead(until: Option<Timestamp>, now: Timestamp, seconds_max: i64) -> Option<Timestamp> {
    let until = until.filter(|until| *until > now)?;
    (until.duration_since(now) <= SignedDuration::from_secs(seconds_max)).then_some(until)
}

/// Whole seconds until then, at least one.
fn seconds(until: Timestamp, now: Timestamp) -> i64 {
    let left = until.duration_since(now);
    left.as_secs() + i64::from(left.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000_000_000 + milliseconds).unwrap()
    }

    /// How many requests are admitted in a row.
    fn admitted(pace: &mut Pace, urgency: Urgency, now: Timestamp) -> usize {
        (0..10_000)
            .take_while(|_| pace.admit(urgency, now).is_ok())
            .count()
    }

    #[test]
    fn looks_leave_a_reserve_to_moves_and_the_budget_fills_again() {
        let mut pace = Pace::new(240);
        assert_eq!(admitted(&mut pace, Urgency::Look, at(0)), 30);
        assert_eq!(admitted(&mut pace, Urgency::Move, at(0)), 10);
        let spent = pace.admit(Urgency::Move, at(0)).unwrap_err();
        assert_eq!(spent, "its budget of 240 requests a minute is spent");
        // Four a second.
        assert_eq!(admitted(&mut pace, Urgency::Move, at(1_000)), 4);
        assert_eq!(admitted(&mut pace, Urgency::Move, at(600_000)), 40);
        assert_eq!(
            admitted(&mut pace, Urgency::Move, at(0)),
            0,
            "a clock put back gives nothing"
        );
        assert_eq!(
            admitted(&mut pace, Urgency::Move, at(1_000)),
            4,
            "and goes on from there"
        );
    }

    #[test]
    fn a_survey_leaves_a_reserve_to_looks() {
        let mut pace = Pace::new(240);
        assert_eq!(admitted(&mut pace, Urgency::Survey, at(0)), 20);
        assert_eq!(admitted(&mut pace, Urgency::Look, at(0)), 10);
        assert_eq!(admitted(&mut Pace::new(1), Urgency::Survey, at(0)), 2);
    }

    #[test]
    fn the_smallest_budget_is_enough_to_look_and_to_move() {
        let mut pace = Pace::new(1);
        assert_eq!(admitted(&mut pace, Urgency::Look, at(0)), 3);
        assert_eq!(admitted(&mut pace, Urgency::Move, at(0)), 1);
    }

    #[test]
    fn a_wait_that_was_asked_for_holds_for_everything_and_is_bounded() {
        let mut pace = Pace::new(600);
        assert_eq!(pace.told(Some(12), at(0)), 12);
        let words = "it asked to be left alone for 2 s more (429)";
        for urgency in [Urgency::Look, Urgency::Move] {
            assert_eq!(pace.admit(urgency, at(10_500)).unwrap_err(), words);
            assert_eq!(pace.admit(urgency, at(12_000)), Ok(()));
        }
        assert_eq!(pace.told(Some(86_400), at(0)), RETRY_AFTER_SECONDS_MAX);
        assert_eq!(
            pace.admit(Urgency::Move, at(1_000 * RETRY_AFTER_SECONDS_MAX)),
            Ok(())
        );
        assert_eq!(pace.told(None, at(0)), RETRY_AFTER_SECONDS_DEFAULT);
        assert_eq!(pace.told(Some(-5), at(0)), 1);
        pace.told(Some(300), at(3_600_000));
        assert_eq!(
            pace.admit(Urgency::Move, at(0)),
            Ok(()),
            "the clock was put back by an hour"
        );
    }

    #[test]
    fn after_silence_looks_rest_and_moves_do_not() {
        let mut pace = Pace::new(600);
        pace.unanswered("no answer within 3 s", at(0));
        let refused = pace.admit(Urgency::Look, at(1_000)).unwrap_err();
        assert_eq!(refused, "no answer within 3 s; asked again in 4 s");
        assert_eq!(pace.admit(Urgency::Move, at(1_000)), Ok(()));
        pace.answered();
        assert_eq!(pace.admit(Urgency::Look, at(1_000)), Ok(()));
        pace.unanswered("no answer within 3 s", at(2_000));
        assert_eq!(pace.admit(Urgency::Look, at(7_000)), Ok(()));
    }
}
