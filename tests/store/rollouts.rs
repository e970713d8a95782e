//! Rollouts, their history and their checkpoints.

use crate::world::{
    World, actor, counted, label_move, new_rollout, policy_source, reason, start, transition, version,
};
use jiff::SignedDuration;
use serin::analysis::{Assessment, Blame, DataQuality, Verdict, Versus};
use serin::ids::{Generation, PolicyName, Revision, RolloutId, Tick};
use serin::rollout::{
    Approval, ApprovalPoint, AuditEvent, Cause, Checkpoint, Command, Objection, Phase, PolicyCause, Refusal,
    Resumable, RolloutState, Transition, Verb, VerdictCause,
};
use serin::store::StoreError;

fn passed() -> Cause {
    Cause::Verdict(VerdictCause::Passed)
}

fn superseded(state: &RolloutState) -> Transition {
    transition(state, Phase::Superseded { by: version(3) }, passed())
}

#[tokio::test]
async fn a_rollout_comes_back_as_it_was_begun_and_moved() {
    for world in World::every() {
        let begun = world.begin("greeting").await;
        assert_eq!(begun.id, RolloutId::new(1), "{}", world.name);
        assert_eq!(world.store.rollout(begun.id).await.unwrap(), Some(begun.clone()));

        let mut moved = transition(
            &begun,
            Phase::Ramping { step: 1 },
            Cause::Policy(PolicyCause::GatesPassed),
        );
        moved.to.entered_at = start() + SignedDuration::from_nanos(1_234_567_891);
        moved.to.changed_at = start() + SignedDuration::from_hours(5);
        moved.to.treated_at_entry = 4_711;
        moved.to.stepped_back = true;
        moved.to.promoted = true;
        moved.to.fail_overruled = true;
        moved.to.approvals.insert(Approval {
            point: ApprovalPoint::Step(1),
            actor: actor("alice"),
        });
        let effects = world.store.commit(start(), &moved, None).await.unwrap();
        assert_eq!(effects, []);
        assert_eq!(world.store.rollout(begun.id).await.unwrap(), Some(moved.to));
        assert_eq!(world.store.rollout(RolloutId::new(99)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_policy_has_one_rollout_at_a_time() {
    for world in World::every() {
        let first = world.begin("greeting").await;
        world.begin("farewell").await;
        let refused = world
            .store
            .begin(new_rollout("greeting", Vec::new()))
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, StoreError::AlreadyRunning { policy, rollout }
                if policy.as_str() == "greeting" && *rollout == first.id),
            "{}: {refused}",
            world.name
        );
        world
            .store
            .commit(start(), &superseded(&first), None)
            .await
            .unwrap();
        assert!(world.begin("greeting").await.id > first.id);
    }
}

#[tokio::test]
async fn a_stale_commit_changes_nothing() {
    for world in World::every() {
        let begun = world.begin("greeting").await;
        let to_first = transition(&begun, Phase::Ramping { step: 0 }, passed());
        let mut rival = transition(&begun, Phase::Promoting, passed());
        rival.effects.push(label_move(&begun, "production", Some(1), 2));
        world.store.commit(start(), &to_first, None).await.unwrap();
        for late in [rival, to_first.clone()] {
            let refused = world.store.commit(start(), &late, None).await.unwrap_err();
            assert!(
                matches!(refused, StoreError::Stale { rollout, expected, found }
                    if rollout == begun.id && expected == begun.generation && found == to_first.to.generation),
                "{}: {refused}",
                world.name
            );
        }
        assert_eq!(world.store.rollout(begun.id).await.unwrap(), Some(to_first.to));
        assert_eq!(world.store.audit(begun.id, None, 10).await.unwrap().len(), 2);
        assert_eq!(world.store.load().await.unwrap().effects, []);

        let mut unknown = transition(&begun, Phase::Promoting, passed());
        unknown.to.id = RolloutId::new(99);
        let refused = world.store.commit(start(), &unknown, None).await.unwrap_err();
        assert!(matches!(refused, StoreError::UnknownRollout(id) if id == RolloutId::new(99)));
        let mut impossible = transition(&begun, Phase::Promoting, passed());
        impossible.to.generation = Generation::ZERO;
        let refused = world.store.commit(start(), &impossible, None).await.unwrap_err();
        assert!(matches!(refused, StoreError::Stale { .. }), "{refused}");
    }
}

#[tokio::test]
async fn of_two_controllers_one_commits() {
    for world in World::every() {
        let mut state = world.begin("greeting").await;
        for step in 0..20 {
            let rivals = [step, step + 100].map(|step| {
                let rival = transition(&state, Phase::Ramping { step }, passed());
                let store = world.store.clone();
                tokio::spawn(async move { store.commit(start(), &rival, None).await.map(|_| rival.to) })
            });
            let mut winners = Vec::new();
            for rival in rivals {
                match rival.await.unwrap() {
                    Ok(won) => winners.push(won),
                    Err(error) => assert!(matches!(error, StoreError::Stale { .. }), "{error}"),
                }
            }
            assert_eq!(winners.len(), 1, "{}", world.name);
            state = winners.remove(0);
            assert_eq!(world.store.rollout(state.id).await.unwrap(), Some(state.clone()));
        }
    }
}

fn blame() -> Blame {
    Blame {
        metric: "latency".parse().unwrap(),
        versus: Versus::Limit,
    }
}

fn assessment() -> Assessment {
    Assessment {
        at: start(),
        through: Tick::of(start()).previous(),
        verdict: Verdict::Fail,
        log_e_combined: Some(3.25),
        threshold: 2.995_732_273_553_991,
        threshold_non_inferior: 0.1 + 0.2,
        threshold_limit: f64::INFINITY,
        blame: Some(blame()),
        treated: 812,
        data: DataQuality::default(),
        metrics: Vec::new(),
    }
}

fn refused() -> AuditEvent {
    AuditEvent::Refused {
        command: Command {
            verb: Verb::Promote,
            actor: actor("alice"),
            reason: reason("it looks fine\nto me"),
            is_admin: false,
        },
        refusal: Refusal {
            verb: Verb::Promote,
            phase: "rolling back".into(),
            why: "it is going back".into(),
            objection: Objection::ApprovalsMissing,
        },
    }
}

#[tokio::test]
async fn history_tells_everything_in_order() {
    for world in World::every() {
        let begun = world.begin("greeting").await;
        let blamed = Cause::Verdict(VerdictCause::Failed { blame: blame() });
        let mut rolled_back = transition(&begun, Phase::RollingBack { cause: passed() }, blamed);
        rolled_back.assessment = Some(assessment());
        rolled_back.effects.push(label_move(&begun, "canary", Some(2), 1));
        let later = start() + SignedDuration::from_nanos(99);
        world.store.commit(later, &rolled_back, None).await.unwrap();
        let event = world.store.record_event(later, begun.id, refused());
        event.await.unwrap();

        let history = world.store.audit(begun.id, None, 10).await.unwrap();
        let start = new_rollout("greeting", Vec::new());
        let beginning = Transition {
            from: Phase::Pending,
            to: begun.clone(),
            cause: start.cause,
            assessment: None,
            effects: Vec::new(),
        };
        let events: Vec<AuditEvent> = history.iter().map(|record| record.event.clone()).collect();
        let [beginning, rolled_back] =
            [beginning, rolled_back].map(|moved| AuditEvent::Moved(Box::new(moved)));
        assert_eq!(events, [beginning, rolled_back, refused()], "{}", world.name);
        assert_eq!(history[0].at, start.at);
        assert_eq!(history[1].at, later);
        assert!(history.iter().all(|record| record.policy.as_str() == "greeting"));
        assert!(history.iter().all(|record| record.rollout == begun.id));
    }
}

#[tokio::test]
async fn history_is_read_by_rollout_and_by_pages() {
    for world in World::every() {
        let rollouts = [world.begin("greeting").await.id, world.begin("farewell").await.id];
        for number in 0..6 {
            let event = world.store.record_event(start(), rollouts[number % 2], refused());
            event.await.unwrap();
        }
        for rollout in rollouts {
            let all = world.store.audit(rollout, None, 10).await.unwrap();
            assert_eq!(all.len(), 4, "{}", world.name);
            assert!(all.iter().all(|record| record.rollout == rollout));
            assert!(all.is_sorted_by(|a, b| a.sequence < b.sequence));
            let first = world.store.audit(rollout, None, 3).await.unwrap();
            let second = world.store.audit(rollout, Some(first[2].sequence), 3).await;
            assert_eq!([first, second.unwrap()].concat(), all);
        }
        let nobody = RolloutId::new(99);
        let refused = world.store.record_event(start(), nobody, refused()).await;
        assert!(
            matches!(refused, Err(StoreError::UnknownRollout(_))),
            "{refused:?}"
        );
        assert_eq!(world.store.audit(nobody, None, 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_start_finds_what_runs_and_what_ran_last() {
    for world in World::every() {
        let mut ended = Vec::new();
        for _ in 0..3 {
            let state = world.begin("greeting").await;
            let over = superseded(&state);
            world.store.commit(start(), &over, None).await.unwrap();
            ended.push(over.to);
        }
        let paused = Phase::Paused {
            from: Resumable::Watching,
            cause: passed(),
        };
        let farewell = world.begin("farewell").await;
        let mut waiting = transition(&farewell, paused, passed());
        waiting.effects.push(label_move(&farewell, "canary", None, 2));
        waiting
            .effects
            .push(label_move(&farewell, "production", Some(1), 2));
        let effects = world.store.commit(start(), &waiting, None).await.unwrap();
        assert_eq!(effects.len(), 2);

        let loaded = world.store.load().await.unwrap();
        assert_eq!(loaded.rollouts, [ended[2].clone(), waiting.to], "{}", world.name);
        assert_eq!(loaded.effects, effects);
    }
}

#[tokio::test]
async fn rollouts_are_listed_newest_first_by_pages() {
    for world in World::every() {
        let mut all = Vec::new();
        for policy in ["a", "b", "a", "b", "a"] {
            let state = world.begin(policy).await;
            let over = superseded(&state);
            world.store.commit(start(), &over, None).await.unwrap();
            all.insert(0, over.to);
        }
        let store = &world.store;
        assert_eq!(
            store.rollouts(None, None, 10).await.unwrap(),
            all,
            "{}",
            world.name
        );
        assert_eq!(store.rollouts(None, Some(all[1].id), 2).await.unwrap(), all[2..4]);
        let a = PolicyName::new("a").unwrap();
        let only_a: Vec<RolloutState> = all.iter().filter(|state| state.policy == a).cloned().collect();
        assert_eq!(store.rollouts(Some(&a), None, 10).await.unwrap(), only_a);
        assert_eq!(
            store.rollouts(Some(&a), Some(only_a[0].id), 1).await.unwrap(),
            only_a[1..2]
        );
        assert_eq!(store.rollouts(None, None, usize::MAX).await.unwrap(), all);
        assert_eq!(store.rollouts(None, None, 0).await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_text_of_a_policy_is_kept_by_its_revision() {
    for world in World::every() {
        let state = world.begin("greeting").await;
        let text = world.store.policy_source(&state.revision).await.unwrap();
        assert_eq!(text, Some(policy_source("greeting")), "{}", world.name);
        let other = Revision::of("another text");
        assert_eq!(world.store.policy_source(&other).await.unwrap(), None);
    }
}

fn checkpoint(through: Tick, engine: u8) -> Checkpoint {
    Checkpoint {
        through,
        engine: vec![engine; 3],
    }
}

#[tokio::test]
async fn a_checkpoint_takes_the_place_of_the_ticks_that_it_holds() {
    for world in World::every() {
        let state = world.begin("greeting").await;
        assert_eq!(world.store.checkpoint(state.id).await.unwrap(), None);
        let first = Tick::of(start());
        for _ in 0..4 {
            world.ingest(vec![counted(state.id, None)]).await.unwrap();
            world.advance(1);
        }
        let second = Tick::new(first.second() + 1);
        let saved = checkpoint(second, 1);
        world
            .store
            .save_checkpoint(state.id, saved.clone())
            .await
            .unwrap();
        assert_eq!(
            world.store.checkpoint(state.id).await.unwrap(),
            Some(saved.clone())
        );
        let left = world.counts(state.id, None).await;
        assert_eq!(
            left.keys().copied().collect::<Vec<_>>(),
            [second.second() + 1, second.second() + 2]
        );

        // An older one, late, would bring back what is deleted.
        world
            .store
            .save_checkpoint(state.id, checkpoint(first, 9))
            .await
            .unwrap();
        assert_eq!(
            world.store.checkpoint(state.id).await.unwrap(),
            Some(saved),
            "{}",
            world.name
        );

        let open = checkpoint(Tick::of(world.clock.now()), 9);
        let refused = world.store.save_checkpoint(state.id, open).await.unwrap_err();
        assert!(refused.chain().contains("not closed"), "{}", refused.chain());
        let nobody = RolloutId::new(99);
        let refused = world
            .store
            .save_checkpoint(nobody, checkpoint(first, 1))
            .await
            .unwrap_err();
        assert!(matches!(refused, StoreError::UnknownRollout(id) if id == nobody));
    }
}

#[tokio::test]
async fn a_commit_and_its_checkpoint_are_one() {
    for world in World::every() {
        let state = world.begin("greeting").await;
        world.ingest(vec![counted(state.id, None)]).await.unwrap();
        let through = Tick::of(start());
        world.advance(1);
        let moved = transition(&state, Phase::Ramping { step: 0 }, passed());
        let open = checkpoint(Tick::of(world.clock.now()), 9);
        world.store.commit(start(), &moved, Some(open)).await.unwrap_err();
        assert_eq!(
            world.store.rollout(state.id).await.unwrap(),
            Some(state.clone()),
            "{}",
            world.name
        );
        assert_eq!(world.store.audit(state.id, None, 10).await.unwrap().len(), 1);

        let saved = checkpoint(through, 1);
        world
            .store
            .commit(start(), &moved, Some(saved.clone()))
            .await
            .unwrap();
        assert_eq!(world.store.checkpoint(state.id).await.unwrap(), Some(saved));
        assert_eq!(world.counts(state.id, None).await.len(), 0);

        let mut stale = transition(&state, Phase::Promoting, passed());
        stale.to.generation = moved.to.generation;
        let newer = checkpoint(through, 7);
        world
            .store
            .commit(start(), &stale, Some(newer))
            .await
            .unwrap_err();
        assert_eq!(
            world.store.checkpoint(state.id).await.unwrap().unwrap().engine,
            [1; 3]
        );
    }
}
