//! Effects: committed with their transition, finished once.

use crate::world::{World, label_move, new_rollout, start, transition, version};
use jiff::SignedDuration;
use serin::rollout::{AuditEvent, Cause, Effect, LabelMoveOutcome, Phase, VerdictCause};
use serin::store::{EffectId, PendingEffect, StoreError};

fn failed(error: &str) -> LabelMoveOutcome {
    LabelMoveOutcome::Failed {
        error: error.to_owned(),
    }
}

/// A rollout with one unfinished effect.
async fn with_effect(world: &World) -> PendingEffect {
    let state = world.begin("greeting").await;
    let mut moved = transition(&state, Phase::Promoting, Cause::Verdict(VerdictCause::Passed));
    moved.effects.push(label_move(&state, "production", Some(1), 2));
    world.store.commit(start(), &moved, None).await.unwrap().remove(0)
}

async fn outcomes(world: &World, effect: &PendingEffect) -> Vec<LabelMoveOutcome> {
    let history = world
        .store
        .audit(effect.label_move.rollout, None, 1_000)
        .await
        .unwrap();
    history
        .into_iter()
        .filter_map(|record| match record.event {
            AuditEvent::LabelMove { label_move, outcome } => {
                assert_eq!(label_move, effect.label_move);
                Some(outcome)
            }
            AuditEvent::Moved(_)
            | AuditEvent::Registry { .. }
            | AuditEvent::Cache { .. }
            | AuditEvent::Fallback(_)
            | AuditEvent::Notice { .. }
            | AuditEvent::Refused { .. } => None,
        })
        .collect()
}

#[tokio::test]
async fn effects_of_a_beginning_get_the_id_of_their_rollout() {
    for world in World::every() {
        world.begin("farewell").await;
        let unnumbered = new_rollout("greeting", Vec::new()).state;
        let effects = vec![
            label_move(&unnumbered, "canary", None, 2),
            label_move(&unnumbered, "production", Some(1), 2),
        ];
        let begun = world.store.begin(new_rollout("greeting", effects)).await.unwrap();
        assert_eq!(begun.effects.len(), 2, "{}", world.name);
        assert!(begun.effects.is_sorted_by(|a, b| a.id < b.id));
        for effect in &begun.effects {
            assert_eq!(effect.label_move.rollout, begun.state.id);
            assert_eq!(effect.attempts, 0);
        }
        assert_eq!(begun.effects[0].label_move.from, None);
        assert_eq!(begun.effects[1].label_move.from, Some(version(1)));
        assert_eq!(world.store.load().await.unwrap().effects, begun.effects);
        let history = world.store.audit(begun.state.id, None, 1).await.unwrap();
        let AuditEvent::Moved(beginning) = &history[0].event else {
            panic!("{history:?}");
        };
        let first = Effect::MoveLabel(begun.effects[0].label_move.clone());
        assert_eq!(beginning.effects[0], first);
    }
}

#[tokio::test]
async fn every_outcome_but_a_failure_finishes_an_effect() {
    for outcome in [
        LabelMoveOutcome::Confirmed,
        LabelMoveOutcome::Superseded,
        LabelMoveOutcome::Foreign { found: None },
        LabelMoveOutcome::Foreign {
            found: Some(version(7)),
        },
    ] {
        for world in World::every() {
            let effect = with_effect(&world).await;
            world
                .store
                .record_effect(start(), effect.id, outcome.clone())
                .await
                .unwrap();
            assert_eq!(
                world.store.load().await.unwrap().effects,
                [],
                "{}: {outcome:?}",
                world.name
            );
            // A repeat, and whatever comes late, changes nothing.
            for late in [outcome.clone(), failed("late"), LabelMoveOutcome::Confirmed] {
                world.store.record_effect(start(), effect.id, late).await.unwrap();
            }
            assert_eq!(world.store.load().await.unwrap().effects, []);
            assert_eq!(outcomes(&world, &effect).await, std::slice::from_ref(&outcome));
        }
    }
}

#[tokio::test]
async fn a_failed_effect_waits_and_its_attempts_are_counted() {
    for world in World::durable() {
        let effect = with_effect(&world).await;
        for attempts in 1..=3 {
            world
                .store
                .record_effect(start(), effect.id, failed("away"))
                .await
                .unwrap();
            let waiting = PendingEffect {
                attempts,
                ..effect.clone()
            };
            assert_eq!(
                world.store.load().await.unwrap().effects,
                [waiting],
                "{}",
                world.name
            );
        }
        let world = world.reopen();
        let later = start() + SignedDuration::from_secs(9);
        world
            .store
            .record_effect(later, effect.id, LabelMoveOutcome::Confirmed)
            .await
            .unwrap();
        assert_eq!(world.store.load().await.unwrap().effects, []);
        let last = outcomes(&world, &effect).await.pop();
        assert_eq!(last, Some(LabelMoveOutcome::Confirmed));
    }
}

#[tokio::test]
async fn a_registry_that_is_away_for_long_does_not_fill_the_history() {
    for world in World::every() {
        let effect = with_effect(&world).await;
        for _ in 0..100 {
            world
                .store
                .record_effect(start(), effect.id, failed("away"))
                .await
                .unwrap();
        }
        // Attempts 1, 2, 4, 8, 16, 32 and 64.
        assert_eq!(
            outcomes(&world, &effect).await,
            vec![failed("away"); 7],
            "{}",
            world.name
        );
        for error in ["refused", "refused", "away", "away"] {
            world
                .store
                .record_effect(start(), effect.id, failed(error))
                .await
                .unwrap();
        }
        assert_eq!(
            outcomes(&world, &effect).await[7..],
            [failed("refused"), failed("away")]
        );
    }
}

#[tokio::test]
async fn an_effect_that_does_not_exist_is_refused() {
    for world in World::every() {
        let refused = world
            .store
            .record_effect(start(), EffectId(99), LabelMoveOutcome::Confirmed)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, StoreError::UnknownEffect(EffectId(99))),
            "{}",
            world.name
        );
        assert_eq!(refused.to_string(), "there is no effect 99");
    }
}
