//! Carries a schedule of faults through a world.

use super::schedule::{Fault, MoveFault, Schedule};
use crate::ids::{Actor, Arm, InvalidId, Justification, Label, Version};
use crate::policy::Policy;
use crate::prompt::PromptError;
use crate::registry::in_memory;
use crate::rollout::{Command, Verb};
use crate::sim::world::{World, WorldError};
use jiff::SignedDuration;

/// Who moves labels and gives commands in a storm.
pub const STRANGER: &str = "stranger";

/// A schedule of faults that all concern one policy.
#[derive(Debug)]
pub struct Storm {
    schedule: Schedule,
    policy: Policy,
    stranger: Actor,
    reason: Justification,
    tick: u32,
    /// Ticks until the registry is back.
    away_ticks: u32,
}

impl Storm {
    /// The storm of a schedule, before its first tick.
    pub fn new(schedule: Schedule, policy: Policy) -> Result<Self, InvalidId> {
        Ok(Self {
            schedule,
            policy,
            stranger: Actor::new(STRANGER)?,
            reason: Justification::new("to see what happens")?,
            tick: 0,
            away_ticks: 0,
        })
    }

    /// Lets strike what is due, and lets one second pass.
    pub async fn tick(&mut self, world: &mut World) -> Result<(), WorldError> {
        if self.away_ticks > 0 {
            self.away_ticks -= 1;
            world.set_registry_away(self.away_ticks > 0);
        }
        for fault in self.schedule.at(self.tick).to_vec() {
            self.strike(world, fault).await?;
        }
        self.tick += 1;
        world.tick().await
    }

    async fn strike(&mut self, world: &mut World, fault: Fault) -> Result<(), WorldError> {
        match fault {
            Fault::Crash { points, down_ticks } => world.crash_after(points, down_ticks),
            Fault::Store { calls, strike } => world.hazards().fail_store_after(calls, strike),
            Fault::Ingest(strike) => world.sender_hazards().fail_store_after(0, strike),
            Fault::Move(fault) => self.strike_move(world, fault),
            Fault::Request(call, fault) => {
                if let Some(model) = world.langfuse() {
                    model.inject(call, fault);
                }
            }
            Fault::RegistryAway { ticks } => {
                self.away_ticks = self.away_ticks.max(ticks);
                world.set_registry_away(true);
            }
            Fault::StrangerMoves { arm, to } => self.stranger_moves(world, arm, to),
            Fault::ClockJump { seconds } => world.jump(SignedDuration::from_secs(seconds)),
            Fault::Command(verb) => self.command(world, verb).await?,
        }
        Ok(())
    }

    fn strike_move(&self, world: &World, fault: MoveFault) {
        let fault = match fault {
            MoveFault::LostReply => in_memory::Fault::LostReply,
            MoveFault::Repeated => in_memory::Fault::Repeated,
            MoveFault::RepeatedLater { calls } => in_memory::Fault::RepeatedLater { calls },
            MoveFault::Slow { seconds } => in_memory::Fault::Slow(SignedDuration::from_secs(seconds)),
            MoveFault::Silence(strike) => return world.hazards().silence_move(strike),
            MoveFault::StrangerFirst { arm, to } => in_memory::Fault::ForeignMove {
                label: self.label(arm),
                to,
                actor: self.stranger.clone(),
                reason: self.reason.clone(),
            },
        };
        world.registry().inject(in_memory::Call::MoveLabel, fault);
    }

    fn stranger_moves(&self, world: &World, arm: Arm, to: Option<Version>) {
        let (actor, reason) = (self.stranger.clone(), self.reason.clone());
        let (prompt, label) = (&self.policy.prompt, self.label(arm));
        if let Some(model) = world.langfuse() {
            return model.point(prompt.as_str(), label.as_str(), to.map(Version::get));
        }
        // A label that is not there cannot be removed, and then nothing happens.
        let _: Result<(), PromptError> = world.registry().move_label_as(actor, reason, prompt, &label, to);
    }

    async fn command(&self, world: &mut World, verb: Verb) -> Result<(), WorldError> {
        let command = Command {
            verb,
            actor: self.stranger.clone(),
            reason: self.reason.clone(),
            is_admin: false,
        };
        let latest = world.rollout_of(&self.policy.name);
        let Some(rollout) = latest.map(|rollout| rollout.state.id) else {
            return Ok(());
        };
        match world.command(rollout, command).await {
            // A refusal is as good an answer as any, and whoever asks a server that is down gets none.
            Ok(Ok(_)) | Ok(Err(_)) | Err(WorldError::Down) => Ok(()),
            Err(error @ (WorldError::Store(_) | WorldError::Telemetry(_) | WorldError::Refused(_))) => {
                Err(error)
            }
        }
    }

    fn label(&self, arm: Arm) -> Label {
        match arm {
            Arm::Control => self.policy.labels.control.clone(),
            Arm::Treatment => self.policy.labels.treatment.clone(),
        }
    }
}
