//! Seconds, into which observations are sorted.

/// Second of the Unix epoch in which observations arrived; a tick is closed when it is over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tick(i64);

impl Tick {
    /// Length of a tick, in seconds.
    pub const SECONDS: i64 = 1;

    /// The tick that begins at `second` of the Unix epoch.
    pub fn new(second: i64) -> Self {
        Self(second)
    }

    /// The tick in which `at` lies.
    pub fn of(at: jiff::Timestamp) -> Self {
        Self(at.as_second() - i64::from(at.subsec_nanosecond() < 0))
    }

    /// The second at which it begins.
    pub fn second(self) -> i64 {
        self.0
    }

    /// The tick before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0 - Self::SECONDS)
    }

    /// The tick after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(Self::SECONDS))
    }

    /// The moment at which it begins.
    pub fn begins(self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
}
