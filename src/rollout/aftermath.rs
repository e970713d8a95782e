//! How long users may still meet the candidate after it was taken back.
//!
//! Serin's own answers change with the decision. An application that fetches by label keeps what it
//! fetched: in the process, and perhaps in a Redis under several. An SDK that answers a stale prompt
//! once while it fetches the new one (Langfuse's do) adds one such answer to the time to live, whenever
//! that process is called next.

use super::explain::span;
use crate::policy::Clients;
use jiff::SignedDuration;

/// What applications may serve after a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aftermath {
    /// How long a process keeps the candidate.
    pub cache_ttl: SignedDuration,
    /// How long a Redis keeps it, where processes share one.
    pub redis_ttl: Option<SignedDuration>,
    /// Whether Serin clears that Redis with the move of the label.
    pub is_cleared: bool,
}

impl Aftermath {
    /// What the policy's clients may serve; `is_cleared` where Serin clears their Redis.
    pub fn of(clients: &Clients, is_cleared: bool) -> Self {
        Self {
            cache_ttl: clients.cache_ttl,
            redis_ttl: clients.redis_ttl,
            is_cleared,
        }
    }

    /// Time from the move of the label until no cache holds the candidate as fresh.
    pub fn at_most(&self) -> SignedDuration {
        let redis = self.redis_ttl.filter(|_| !self.is_cleared).unwrap_or_default();
        self.cache_ttl.saturating_add(redis)
    }

    /// The same as one English sentence.
    pub fn sentence(&self) -> String {
        let mut text = "after a rollback Serin assigns nobody to the candidate any more".to_owned();
        let redis = self.redis_ttl.filter(|ttl| ttl.is_positive());
        if self.cache_ttl.is_zero() && redis.is_none() {
            text.push_str(
                ", and applications that keep no prompts fetch the stable version with their next call",
            );
        } else {
            text.push_str(&format!(
                "; an application that fetches by label may serve it for {} more ({})",
                span(self.at_most()),
                self.caches(redis)
            ));
        }
        if self.cache_ttl.is_positive() {
            text.push_str(
                ", and each process once more with its first call after that, however late, while it fetches \
                 the stable version",
            );
        }
        if let Some(redis) = redis.filter(|_| self.cache_ttl.is_positive()) {
            text.push_str(&format!(
                ", which Redis may then keep for another {}",
                span(redis)
            ));
        }
        text.push_str(
            "; what is observed meanwhile counts for the version that it names, whenever it arrives",
        );
        text
    }

    fn caches(&self, redis: Option<SignedDuration>) -> String {
        let process = format!("{} in the process", span(self.cache_ttl));
        match redis {
            None => process,
            Some(ttl) if self.is_cleared => {
                format!(
                    "{process}; the {} in Redis are cut short with the label",
                    span(ttl)
                )
            }
            Some(ttl) => format!("{process}, {} in Redis", span(ttl)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cache: i64, redis: Option<i64>, is_cleared: bool) -> (i64, String) {
        let clients = Clients {
            cache_ttl: SignedDuration::from_secs(cache),
            redis_ttl: redis.map(SignedDuration::from_secs),
        };
        let aftermath = Aftermath::of(&clients, is_cleared);
        (aftermath.at_most().as_secs(), aftermath.sentence())
    }

    #[test]
    fn every_cache_adds_its_time() {
        let (seconds, text) = told(60, Some(300), false);
        assert_eq!(seconds, 360);
        assert_eq!(
            text,
            "after a rollback Serin assigns nobody to the candidate any more; an application that fetches by \
             label may serve it for 6 min more (1 min in the process, 5 min in Redis), and each process once \
             more with its first call after that, however late, while it fetches the stable version, which \
             Redis may then keep for another 5 min; what is observed meanwhile counts for the version that \
             it names, whenever it arrives"
        );
    }

    #[test]
    fn a_redis_that_is_cleared_adds_nothing() {
        let (seconds, text) = told(0, Some(300), true);
        assert_eq!(seconds, 0);
        assert!(
            text.contains(
                "for 0 s more (0 s in the process; the 5 min in Redis are cut short with the label);"
            ),
            "{text}"
        );
        assert!(!text.contains("once more"), "{text}");
        assert_eq!(told(60, Some(300), true).0, 60);
    }

    #[test]
    fn without_caches_nothing_is_left() {
        let (seconds, text) = told(0, None, false);
        assert_eq!(seconds, 0);
        assert!(text.contains("with their next call;"), "{text}");
    }
}
