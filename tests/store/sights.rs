//! Users at first sight, and what was left out.

use crate::sqlite::rows;
use crate::world::{World, counted, start, transition};
use serin::analysis::{Headcount, PerArm};
use serin::ids::{Arm, Exposure, RolloutId, Tick, UserHash};
use serin::rollout::{Cause, Checkpoint, Phase, VerdictCause};
use serin::store::{Batch, Counted, Exclusion, ExclusionCause, Sight};

fn half() -> Exposure {
    Exposure::from_ppm(500_000).unwrap()
}

fn seen(rollout: RolloutId, user: u64, planned: Option<Exposure>) -> Counted {
    Counted {
        sight: Some(Sight {
            user: UserHash(user),
            planned,
        }),
        ..counted(rollout, None)
    }
}

fn left_out(rollout: RolloutId, user: u64, arm: Arm, cause: ExclusionCause) -> Exclusion {
    let planned = Some(half());
    Exclusion {
        rollout,
        arm,
        cause,
        sight: Some(Sight {
            user: UserHash(user),
            planned,
        }),
    }
}

/// Everything that closed ticks say of who came.
async fn headcount(world: &World, rollout: RolloutId, after: Option<Tick>) -> Headcount {
    let mut whole = Headcount::default();
    for tick in world.store.closed_ticks(rollout, after).await.unwrap().ticks {
        whole.merge(&tick.headcount);
    }
    whole
}

#[tokio::test]
async fn a_user_counts_once_for_each_rollout_at_the_share_of_first_sight() {
    for world in World::every() {
        let (one, other) = (world.begin("greeting").await.id, world.begin("farewell").await.id);
        let quarter = Exposure::from_ppm(250_000).unwrap();
        let first = vec![
            seen(one, 1, Some(quarter)),
            seen(one, 1, Some(quarter)),
            // 0 and the highest number are hashes like all others.
            seen(one, 0, Some(quarter)),
            seen(one, u64::MAX, None),
            seen(other, 1, Some(quarter)),
        ];
        world.ingest(first).await.unwrap();
        world.advance(3);
        let later = vec![
            seen(one, 1, Some(half())),
            seen(one, 0, Some(half())),
            seen(one, u64::MAX, Some(half())),
            seen(one, 2, Some(half())),
        ];
        world.ingest(later.clone()).await.unwrap();
        world.ingest(later).await.unwrap();
        world.advance(1);
        let treated = |treatment| PerArm {
            control: 0,
            treatment,
        };
        let users = headcount(&world, one, None).await.users;
        assert_eq!(
            users,
            [(quarter, treated(2)), (half(), treated(1))].into(),
            "{}",
            world.name
        );
        assert_eq!(
            headcount(&world, other, None).await.users,
            [(quarter, treated(1))].into()
        );
        let after = Some(Tick::of(start()));
        assert_eq!(
            headcount(&world, one, after).await.users,
            [(half(), treated(1))].into()
        );
    }
}

#[tokio::test]
async fn what_is_left_out_counts_by_cause_and_its_users_once() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let exclusions = vec![
            left_out(rollout, 1, Arm::Control, ExclusionCause::Fallback),
            left_out(rollout, 1, Arm::Control, ExclusionCause::OutOfRange),
            left_out(rollout, 2, Arm::Treatment, ExclusionCause::OutOfRange),
        ];
        for _ in 0..2 {
            let batch = Batch {
                key: None,
                observations: vec![seen(rollout, 1, Some(half()))],
                exclusions: exclusions.clone(),
            };
            world.store.ingest(batch).await.unwrap();
        }
        world.advance(1);
        let per_arm = |control, treatment| PerArm { control, treatment };
        let expected = Headcount {
            users: [(half(), per_arm(0, 1))].into(),
            excluded: [(half(), per_arm(1, 1))].into(),
            fallback: per_arm(2, 0),
            out_of_range: per_arm(2, 2),
        };
        assert_eq!(headcount(&world, rollout, None).await, expected, "{}", world.name);
    }
}

#[tokio::test]
async fn a_restart_remembers_who_was_seen() {
    for mut world in World::durable() {
        let rollout = world.begin("greeting").await.id;
        world.ingest(vec![seen(rollout, 1, Some(half()))]).await.unwrap();
        world = world.reopen();
        world
            .ingest(vec![
                seen(rollout, 1, Some(half())),
                seen(rollout, 2, Some(half())),
            ])
            .await
            .unwrap();
        world.advance(1);
        let users = headcount(&world, rollout, None).await.users;
        assert_eq!(users[&half()].treatment, 2, "the open tick goes on");
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_notes_nobody() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let unknown = counted(RolloutId::new(99), None);
        let refused = world.ingest(vec![seen(rollout, 1, Some(half())), unknown]).await;
        assert!(refused.is_err());
        world.ingest(vec![seen(rollout, 1, Some(half()))]).await.unwrap();
        world.advance(1);
        let users = headcount(&world, rollout, None).await.users;
        assert_eq!(users[&half()].treatment, 1, "{}", world.name);
    }
}

#[tokio::test]
async fn a_checkpoint_takes_the_headcounts_that_it_holds() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        world.ingest(vec![seen(rollout, 1, Some(half()))]).await.unwrap();
        world.advance(1);
        let checkpoint = Checkpoint {
            through: Tick::of(start()),
            engine: vec![1],
        };
        world.store.save_checkpoint(rollout, checkpoint).await.unwrap();
        assert_eq!(
            headcount(&world, rollout, None).await,
            Headcount::default(),
            "{}",
            world.name
        );
        world.ingest(vec![seen(rollout, 1, Some(half()))]).await.unwrap();
        world.advance(1);
        assert!(
            headcount(&world, rollout, None).await.users.is_empty(),
            "the user is still known"
        );
    }
}

#[tokio::test]
async fn users_of_a_rollout_that_is_over_are_forgotten_and_no_others() {
    let world = World::sqlite_file();
    let (one, other) = (world.begin("greeting").await, world.begin("farewell").await);
    for state in [&one, &other] {
        let users = (0..1_500)
            .map(|user| seen(state.id, user, Some(half())))
            .collect();
        world.ingest(users).await.unwrap();
    }
    assert_eq!(rows(world.directory(), "sights"), 3_000);
    let cause = Cause::Verdict(VerdictCause::Passed);
    let over = transition(&one, Phase::RolledBack { cause: cause.clone() }, cause);
    world.store.commit(start(), &over, None).await.unwrap();
    for _ in 0..3 {
        world.ingest(vec![seen(one.id, 7, Some(half()))]).await.unwrap();
    }
    assert_eq!(rows(world.directory(), "sights"), 1_500);
    assert_eq!(rows(world.directory(), "sights_to_forget"), 0);
    assert_eq!(rows(world.directory(), "headcounts"), 1);
}
