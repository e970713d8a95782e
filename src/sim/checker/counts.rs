//! What was acknowledged is counted, once, and nothing is counted that was not sent.

use super::{Checker, Look, Violation};
use crate::controller::RolloutStatus;
use crate::ids::{Arm, Tick};

impl Checker {
    pub(super) fn check_counts(&self, look: &Look<'_>, rollout: &RolloutStatus) -> Result<(), Violation> {
        let Some(assessment) = rollout
            .assessment
            .as_ref()
            .filter(|_| !rollout.state.phase.is_over())
        else {
            return Ok(());
        };
        // After the clock was put back, the last observations wait in a tick that is not closed yet.
        let is_current = look.world.is_ahead() && rollout.through == Some(Tick::of(look.now).previous());
        for evidence in &assessment.metrics {
            for (arm, found) in [
                (Arm::Control, evidence.control.count),
                (Arm::Treatment, evidence.treatment.count),
            ] {
                let key = (rollout.state.id, evidence.metric.clone(), arm);
                let account = look.world.accounts().get(&key).copied().unwrap_or_default();
                if found > account.sent || (is_current && found < account.acknowledged) {
                    let detail = format!("{found} of `{}` in {arm}, {account:?}", evidence.metric);
                    return Err(look.broken("an acknowledged observation is counted once", detail));
                }
            }
        }
        Ok(())
    }
}
