//! Where each policy's rollout stands.

use super::gauge::{GaugeVec, IntGaugeVec};
use super::{Families, real, whole};
use crate::controller::{PolicyStatus, RolloutStatus};
use crate::ids::{Arm, PolicyName};
use crate::rollout::{Phase, explain};
use jiff::SignedDuration;
use prometheus::Error;

/// Shown as the phase of a policy that never had a rollout.
const IDLE: &str = "idle";

#[derive(Debug)]
pub(super) struct Gauges {
    phase: IntGaugeVec,
    status: IntGaugeVec,
    step: IntGaugeVec,
    version: IntGaugeVec,
    waiting: IntGaugeVec,
    started: IntGaugeVec,
    entered: IntGaugeVec,
    changed: IntGaugeVec,
    moves_unconfirmed: IntGaugeVec,
    exposure: GaugeVec,
    ladder: GaugeVec,
    bake: GaugeVec,
}

impl Gauges {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            phase: whole(
                "serin_rollout_phase",
                "1 for the phase that the policy's rollout is in, 0 for the others.",
                &["policy", "phase"],
            )?,
            status: whole(
                "serin_rollout_status",
                "0 running, 1 idle or promoted, 2 rolled back or paused.",
                &["policy"],
            )?,
            step: whole(
                "serin_rollout_step",
                "Step of the ladder, from 1; 0 outside it.",
                &["policy"],
            )?,
            version: whole(
                "serin_rollout_version",
                "Number of the prompt version on trial (treatment), and of the one that users had (control).",
                &["policy", "arm"],
            )?,
            waiting: whole(
                "serin_rollout_waiting",
                "1 for the reason why the rollout does not move, 0 for the others.",
                &["policy", "reason"],
            )?,
            started: whole(
                "serin_rollout_started_timestamp_seconds",
                "When the rollout began.",
                &["policy"],
            )?,
            entered: whole(
                "serin_rollout_entered_timestamp_seconds",
                "When the present phase or step began, moved forward by the length of each pause.",
                &["policy"],
            )?,
            changed: whole(
                "serin_rollout_changed_timestamp_seconds",
                "When the present phase or step began, pauses included.",
                &["policy"],
            )?,
            moves_unconfirmed: whole(
                "serin_rollout_label_moves_unconfirmed",
                "Label moves that are committed and not confirmed by read-back yet.",
                &["policy"],
            )?,
            exposure: real(
                "serin_rollout_exposure_ratio",
                "Share of users in treatment.",
                &["policy"],
            )?,
            ladder: real(
                "serin_rollout_step_exposure_ratio",
                "Share of users in treatment at each step of the ladder, by its number from 1.",
                &["policy", "step"],
            )?,
            bake: real(
                "serin_rollout_bake_seconds",
                "Least time in the present step, or of the watch after promotion; absent elsewhere.",
                &["policy"],
            )?,
        })
    }

    pub(super) fn families(&self) -> Families<'_> {
        let whole = vec![
            &self.phase,
            &self.status,
            &self.step,
            &self.version,
            &self.waiting,
            &self.started,
            &self.entered,
            &self.changed,
            &self.moves_unconfirmed,
        ];
        (whole, vec![&self.exposure, &self.ladder, &self.bake])
    }

    pub(super) fn show(&self, name: &PolicyName, policy: &PolicyStatus) {
        let rollout = policy.rollout.as_deref();
        let name = name.as_str();
        let phase = rollout.map(|rollout| &rollout.state.phase);
        let present = phase.map_or(IDLE, Phase::as_str);
        for word in Phase::WORDS.into_iter().chain([IDLE]) {
            let on = i64::from(word == present);
            self.phase.with_label_values(&[name, word]).set(on);
        }
        self.status
            .with_label_values(&[name])
            .set(phase.map_or(1, status));
        let exposure = rollout.map_or(0.0, |rollout| rollout.exposure.ratio());
        self.exposure.with_label_values(&[name]).set(exposure);
        let step = phase.and_then(Phase::step).map_or(0, |step| step + 1);
        self.step
            .with_label_values(&[name])
            .set(step.try_into().unwrap_or(i64::MAX));
        let ladder = rollout.map_or(&policy.policy, |rollout| &rollout.policy);
        for index in 0..ladder.steps.len() {
            self.ladder
                .with_label_values(&[name, (index + 1).to_string().as_str()])
                .set(ladder.exposure_of(index).ratio());
        }
        if let Some(rollout) = rollout {
            self.show_rollout(name, rollout);
        }
    }

    fn show_rollout(&self, name: &str, rollout: &RolloutStatus) {
        let state = &rollout.state;
        for (arm, version) in [(Arm::Control, state.stable), (Arm::Treatment, state.candidate)] {
            self.version
                .with_label_values(&[name, arm.as_str()])
                .set(version.get().into());
        }
        let present = explain::stay_word(&rollout.stay);
        for word in explain::STAY_WORDS {
            self.waiting
                .with_label_values(&[name, word])
                .set(i64::from(word == present));
        }
        for (gauge, at) in [
            (&self.started, state.started_at),
            (&self.entered, state.entered_at),
            (&self.changed, state.changed_at),
        ] {
            gauge.with_label_values(&[name]).set(at.as_second());
        }
        self.moves_unconfirmed
            .with_label_values(&[name])
            .set(rollout.moves_unconfirmed.try_into().unwrap_or(i64::MAX));
        if let Some(bake) = bake(rollout) {
            self.bake.with_label_values(&[name]).set(bake.as_secs_f64());
        }
    }
}

/// Least time in the present step, or of the watch after promotion.
fn bake(rollout: &RolloutStatus) -> Option<SignedDuration> {
    let phase = &rollout.state.phase;
    match phase.step() {
        Some(step) => rollout.policy.steps.get(step).map(|step| step.bake),
        None => (*phase == Phase::Watching).then_some(rollout.policy.watch),
    }
}

/// What `serin_rollout_status` shows.
fn status(phase: &Phase) -> i64 {
    match phase {
        Phase::Pending | Phase::Ramping { .. } | Phase::Promoting | Phase::Watching => 0,
        Phase::Promoted | Phase::Superseded { .. } => 1,
        Phase::Paused { .. } | Phase::RollingBack { .. } | Phase::RolledBack { .. } => 2,
    }
}
