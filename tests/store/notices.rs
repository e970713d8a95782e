//! Notifications: committed with their transition, handed out in order, finished once.

use crate::world::{World, new_rollout, start, transition};
use jiff::SignedDuration;
use serin::policy::{NotifyFormat, NotifyOn};
use serin::rollout::{AuditEvent, Cause, Effect, Notice, NoticeOutcome, Phase, RolloutState, VerdictCause};
use serin::store::{FailingNotices, NOTICES_WAITING_MAX, NoticeId, PendingNotice, StoreError};

fn notice(state: &RolloutState, on: NotifyOn, place: usize) -> Effect {
    Effect::Notify(Notice {
        rollout: state.id,
        generation: state.generation,
        on,
        place,
        format: NotifyFormat::Standard,
    })
}

fn failed(error: &str) -> NoticeOutcome {
    NoticeOutcome::Failed {
        error: error.to_owned(),
    }
}

/// What is due now, as what it tells and where.
async fn due(world: &World) -> Vec<PendingNotice> {
    world.store.due_notices(world.clock.now(), 100).await.unwrap()
}

fn told(due: &[PendingNotice]) -> Vec<(NotifyOn, usize)> {
    due.iter()
        .map(|pending| (pending.notice.on, pending.notice.place))
        .collect()
}

/// A rollout whose beginning and promotion are told in two places.
async fn two_places(world: &World) -> RolloutState {
    let unnumbered = new_rollout("greeting", Vec::new()).state;
    let effects = [0, 1]
        .map(|place| notice(&unnumbered, NotifyOn::Started, place))
        .to_vec();
    let state = world
        .store
        .begin(new_rollout("greeting", effects))
        .await
        .unwrap()
        .state;
    let mut moved = transition(&state, Phase::Promoting, Cause::Verdict(VerdictCause::Passed));
    moved.effects = [0, 1]
        .map(|place| notice(&moved.to, NotifyOn::Advanced, place))
        .to_vec();
    let label_moves = world.store.commit(start(), &moved, None).await.unwrap();
    assert!(label_moves.is_empty(), "people are not labels");
    moved.to
}

async fn record(world: &World, id: NoticeId, outcome: NoticeOutcome, wait: i64) {
    let now = world.clock.now();
    let due_at = now + SignedDuration::from_secs(wait);
    world.store.record_notice(now, id, outcome, due_at).await.unwrap();
}

#[tokio::test]
async fn each_place_is_told_in_order_and_a_failure_holds_back_its_own_place_alone() {
    use NotifyOn::{Advanced, Started};
    for world in World::durable() {
        let state = two_places(&world).await;
        let first = due(&world).await;
        assert_eq!(told(&first), [(Started, 0), (Started, 1)]);
        for pending in &first {
            assert_eq!(pending.notice.rollout, state.id);
            let AuditEvent::Moved(beginning) = &pending.record.event else {
                panic!("{pending:?}");
            };
            assert_eq!(beginning.to.generation, pending.notice.generation);
            assert!(!pending.policy_source.is_empty());
        }
        record(&world, first[0].id, failed("away"), 10).await;
        record(&world, first[1].id, NoticeOutcome::Delivered, 0).await;
        assert_eq!(told(&due(&world).await), [(Advanced, 1)]);
        let failing = world.store.failing_notices().await.unwrap();
        let expected = FailingNotices {
            policy: state.policy.clone(),
            waiting: 3,
            error: "away".to_owned(),
        };
        assert_eq!(failing, [expected]);
        let world = world.reopen();
        world.advance(10);
        let later = due(&world).await;
        assert_eq!(told(&later), [(Started, 0), (Advanced, 1)]);
        assert_eq!(later[0].attempts, 1);
        record(&world, later[0].id, NoticeOutcome::Delivered, 0).await;
        assert_eq!(told(&due(&world).await), [(Advanced, 0), (Advanced, 1)]);
        assert_eq!(world.store.failing_notices().await.unwrap(), []);
    }
}

#[tokio::test]
async fn outcomes_are_in_the_history_and_the_first_end_is_the_last() {
    for world in World::every() {
        let state = two_places(&world).await;
        let id = due(&world).await[0].id;
        for _ in 0..5 {
            record(&world, id, failed("away"), 0).await;
        }
        record(&world, id, failed("still away"), 0).await;
        let given_up = NoticeOutcome::GivenUp {
            error: "too old".to_owned(),
        };
        record(&world, id, given_up.clone(), 0).await;
        // A repeat, and whatever comes late, changes nothing.
        for late in [given_up.clone(), failed("late"), NoticeOutcome::Delivered] {
            record(&world, id, late, 0).await;
        }
        let history = world.store.audit(state.id, None, 1_000).await.unwrap();
        let outcomes: Vec<_> = history
            .into_iter()
            .filter_map(|record| match record.event {
                AuditEvent::Notice { outcome, .. } => Some(outcome),
                AuditEvent::Moved(_)
                | AuditEvent::LabelMove { .. }
                | AuditEvent::Registry { .. }
                | AuditEvent::Cache { .. }
                | AuditEvent::Fallback(_)
                | AuditEvent::Refused { .. } => None,
            })
            .collect();
        // The first, the second and the fourth attempt; then other words.
        let away = || failed("away");
        assert_eq!(
            outcomes,
            [away(), away(), away(), failed("still away"), given_up],
            "{}",
            world.name
        );
    }
}

#[tokio::test]
async fn what_comes_beyond_the_bound_is_given_up_and_said() {
    let world = World::sqlite_file();
    let unnumbered = new_rollout("greeting", Vec::new()).state;
    let most = usize::try_from(NOTICES_WAITING_MAX).unwrap();
    let effects = (0..=most)
        .map(|place| notice(&unnumbered, NotifyOn::Started, place))
        .collect();
    let state = world
        .store
        .begin(new_rollout("greeting", effects))
        .await
        .unwrap()
        .state;
    let history = world.store.audit(state.id, None, 10).await.unwrap();
    let [_, last] = &history[..] else {
        panic!("{} records", history.len());
    };
    let AuditEvent::Notice { notice, outcome } = &last.event else {
        panic!("{last:?}");
    };
    assert_eq!((notice.place, notice.rollout), (most, state.id));
    assert!(matches!(outcome, NoticeOutcome::GivenUp { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_notification_that_is_not_there_is_an_error() {
    for world in World::every() {
        let at = world.clock.now();
        let unknown = world
            .store
            .record_notice(at, NoticeId(7), NoticeOutcome::Delivered, at)
            .await;
        assert!(
            matches!(unknown, Err(StoreError::UnknownNotice(NoticeId(7)))),
            "{unknown:?}"
        );
    }
}
