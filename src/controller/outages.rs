//! Registries that are away while rollouts run: the history tells when, and for how long.

use super::Controller;
use crate::ids::PolicyName;
use crate::rollout::AuditEvent;
use crate::store::StoreError;
use jiff::{SignedDuration, Timestamp};

/// A registry that answers again before this is not told of: one that comes and goes would fill the history.
const OUTAGE_SECONDS_MIN: i64 = 30;

/// A registry that does not answer for a policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    since: Timestamp,
    is_told: bool,
}

impl Controller {
    /// Puts into the history of running rollouts that their registry is away, and that it is back.
    pub(super) async fn tell_outages(&mut self, now: Timestamp) -> Result<(), StoreError> {
        // Those that are over have no news but the end of an outage.
        let names = self.rollouts.keys();
        let names = names.filter(|name| self.is_running(name) || self.outages.contains_key(*name));
        let names: Vec<PolicyName> = names.cloned().collect();
        for name in names {
            let Some((outage, event)) = self.news_of_outage(&name, now) else {
                continue;
            };
            if let (Some(event), Some(running)) = (event, self.rollouts.get(&name)) {
                let rollout = running.course.state.id;
                self.store.record_event(now, rollout, event).await?;
            }
            match outage {
                Some(outage) => self.outages.insert(name, outage),
                None => self.outages.remove(&name),
            };
        }
        Ok(())
    }

    /// What is to be remembered of a policy's registry, and told, where that has changed.
    fn news_of_outage(
        &self,
        name: &PolicyName,
        now: Timestamp,
    ) -> Option<(Option<Outage>, Option<AuditEvent>)> {
        let running = self.rollouts.get(name)?;
        let known = self.outages.get(name).copied();
        let error = self.labels.get(name).and_then(|seen| seen.error.clone());
        if running.course.state.phase.is_over() {
            return known.map(|_| (None, None));
        }
        let event = |since, error| AuditEvent::Registry {
            registry: running.course.policy.registry.clone(),
            since,
            error,
        };
        match (error, known) {
            (None, None) => None,
            (None, Some(Outage { since, is_told })) => Some((None, is_told.then(|| event(since, None)))),
            (Some(_), None) => {
                let outage = Outage {
                    since: now,
                    is_told: false,
                };
                Some((Some(outage), None))
            }
            (
                Some(error),
                Some(Outage {
                    since,
                    is_told: false,
                }),
            ) => {
                let least = SignedDuration::from_secs(OUTAGE_SECONDS_MIN);
                let is_long = now.duration_since(since) >= least;
                let outage = Outage { since, is_told: true };
                is_long.then(|| (Some(outage), Some(event(since, Some(error)))))
            }
            (Some(_), Some(Outage { is_told: true, .. })) => None,
        }
    }
}
