//! Lines wait until no earlier one is expected any more, and come out tick by tick.

use crate::ids::Tick;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Most bytes of lines that wait at once; beyond it the oldest tick is closed before its time.
pub const WAITING_BYTES_MAX: usize = 256 << 20;

/// The lines of one tick, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct TickLines {
    /// The texts, each with a line break.
    pub(super) body: Vec<u8>,
    /// The number of each.
    pub(super) numbers: Vec<u64>,
}

/// Lines that wait.
#[derive(Debug)]
pub(super) struct Reorder {
    disorder: SignedDuration,
    waiting: BTreeMap<Tick, TickLines>,
    waiting_bytes: usize,
    /// The latest time of all lines.
    latest: Option<Timestamp>,
    /// Ticks up to this one are closed.
    closed: Option<Tick>,
    bytes_max: usize,
}

impl Reorder {
    /// For lines that come at most `disorder` after a line with a later time.
    pub(super) fn new(disorder: SignedDuration) -> Self {
        Self {
            disorder,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            latest: None,
            closed: None,
            bytes_max: WAITING_BYTES_MAX,
        }
    }

    /// Has a line wait for its turn; false when it comes too late.
    pub(super) fn push(&mut self, number: u64, at: Timestamp, text: &[u8]) -> bool {
        let tick = Tick::of(at);
        if self.closed.is_some_and(|closed| tick <= closed) {
            return false;
        }
        self.latest = self.latest.max(Some(at));
        let lines = self.waiting.entry(tick).or_default();
        lines.body.extend_from_slice(text);
        lines.body.push(b'\n');
        lines.numbers.push(number);
        self.waiting_bytes += text.len() + 1;
        true
    }

    /// The next tick that no line is expected for any more, earliest first.
    pub(super) fn pop(&mut self) -> Option<(Tick, TickLines)> {
        let earliest = *self.waiting.first_key_value()?.0;
        let latest = self.latest?;
        // Another line may still come at this time or later.
        let expected = latest.checked_sub(self.disorder).unwrap_or(Timestamp::MIN);
        let is_closed = earliest < Tick::of(expected) || self.waiting_bytes > self.bytes_max;
        if is_closed { self.pop_any() } else { None }
    }

    /// The next tick, expected lines or not.
    pub(super) fn pop_any(&mut self) -> Option<(Tick, TickLines)> {
        let (tick, lines) = self.waiting.pop_first()?;
        self.waiting_bytes -= lines.body.len();
        self.closed = Some(tick);
        Some((tick, lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    fn popped(reorder: &mut Reorder) -> Vec<(i64, Vec<u64>)> {
        std::iter::from_fn(|| reorder.pop())
            .map(|(tick, lines)| (tick.second(), lines.numbers))
            .collect()
    }

    #[test]
    fn lines_come_out_by_tick_once_none_is_expected_any_more() {
        let mut reorder = Reorder::new(SignedDuration::from_secs(2));
        assert!(reorder.push(1, at(10_900), b"a"));
        assert!(reorder.push(2, at(9_100), b"b"));
        assert!(reorder.push(3, at(10_100), b"c"));
        assert_eq!(popped(&mut reorder), []);
        assert!(reorder.push(4, at(12_999), b"d"));
        assert_eq!(popped(&mut reorder), [(9, vec![2])]);
        assert!(!reorder.push(5, at(9_999), b"too late"));
        assert!(reorder.push(6, at(13_000), b"e"));
        let (tick, lines) = reorder.pop().unwrap();
        assert_eq!((tick.second(), lines.body.as_slice()), (10, b"a\nc\n".as_slice()));
        assert_eq!(reorder.pop_any().unwrap().1.numbers, [4]);
        assert_eq!(reorder.pop_any().unwrap().1.numbers, [6]);
        assert!(reorder.pop_any().is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let mut reorder = Reorder::new(SignedDuration::from_hours(1));
        reorder.bytes_max = 10;
        assert!(reorder.push(1, at(1_000), b"12345"));
        assert_eq!(popped(&mut reorder), []);
        assert!(reorder.push(2, at(2_000), b"12345"));
        assert_eq!(popped(&mut reorder), [(1, vec![1])]);
        assert!(!reorder.push(3, at(1_500), b"x"));
    }
}
