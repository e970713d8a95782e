//! Labels: compare-and-set, protection, the fence of generations, the journal.

use crate::prompts::{create, prompt, text};
use crate::world::{World, actor, reason, start, version};
use jiff::SignedDuration;
use serin::ids::{Generation, Label, RolloutId, Version};
use serin::prompt::{LabelChange, LabelRequest, PromptError};

fn label(name: &str) -> Label {
    Label::new(name).unwrap()
}

/// A person's request, without conditions.
fn to(name: &str, to: Option<u32>) -> LabelRequest {
    LabelRequest {
        prompt: prompt("greeting"),
        label: label(name),
        expect: None,
        to: to.map(version),
        actor: actor("alice"),
        reason: reason("because"),
        rollout: None,
        may_move_protected: false,
    }
}

/// Serin's request, for a generation of rollout 5.
fn serin(name: &str, from: Option<u32>, target: u32, generation: u64) -> LabelRequest {
    LabelRequest {
        expect: Some(from.map(version)),
        actor: actor("serin"),
        rollout: Some((RolloutId::new(5), Generation::new(generation))),
        may_move_protected: true,
        ..to(name, Some(target))
    }
}

/// Every world, with three versions of `greeting`.
async fn worlds() -> Vec<World> {
    let worlds = World::every();
    for world in &worlds {
        for template in ["one", "two", "three"] {
            create(world, "greeting", text(template)).await;
        }
    }
    worlds
}

async fn pointing(world: &World) -> Vec<(String, u32)> {
    let summary = world.store.prompt(&prompt("greeting")).await.unwrap();
    let labels = summary.labels.iter();
    labels
        .map(|(label, version)| (label.to_string(), version.get()))
        .collect()
}

async fn journal(world: &World) -> Vec<LabelChange> {
    let history = world.store.history(&prompt("greeting"), None, 100).await;
    history.unwrap()
}

#[tokio::test]
async fn a_label_is_set_moved_and_removed_and_the_journal_says_by_whom() {
    for world in worlds().await {
        let set = world.store.change_label(to("canary", Some(1))).await.unwrap();
        world.advance(1);
        let moved = world
            .store
            .change_label(serin("canary", Some(1), 3, 7))
            .await
            .unwrap();
        let removed = world.store.change_label(to("canary", None)).await.unwrap();
        assert_eq!(pointing(&world).await, [], "{}", world.name);
        assert_eq!((set.from, set.to), (None, Some(version(1))));
        assert_eq!((moved.from, moved.to), (Some(version(1)), Some(version(3))));
        assert_eq!((removed.from, removed.to), (Some(version(3)), None));
        assert_eq!(moved.at, start() + SignedDuration::from_secs(1));
        assert_eq!(moved.actor, actor("serin"));
        assert_eq!(moved.rollout, Some((RolloutId::new(5), Generation::new(7))));
        assert_eq!(
            journal(&world).await,
            [removed.clone(), moved.clone(), set.clone()]
        );
        let history = |before: Option<u64>| world.store.history(&removed.prompt, before, 2);
        assert_eq!(history(None).await.unwrap(), [removed.clone(), moved.clone()]);
        assert_eq!(history(Some(moved.sequence)).await.unwrap(), [set]);
    }
}

#[tokio::test]
async fn a_move_that_expects_another_version_is_refused() {
    for world in worlds().await {
        world.store.change_label(to("canary", Some(1))).await.unwrap();
        for expected in [None, Some(version(2))] {
            let request = LabelRequest {
                expect: Some(expected),
                ..to("canary", Some(3))
            };
            let refused = world.store.change_label(request).await.unwrap_err();
            let elsewhere = PromptError::LabelElsewhere {
                prompt: prompt("greeting"),
                label: label("canary"),
                expected,
                found: Some(version(1)),
            };
            assert_eq!(refused, elsewhere, "{}", world.name);
        }
        let request = LabelRequest {
            expect: Some(Some(version(1))),
            ..to("fresh", Some(3))
        };
        let refused = world.store.change_label(request).await.unwrap_err();
        assert!(
            matches!(refused, PromptError::LabelElsewhere { found: None, .. }),
            "{refused}"
        );
        assert_eq!(pointing(&world).await, [("canary".to_owned(), 1)]);
        assert_eq!(journal(&world).await.len(), 1);
    }
}

#[tokio::test]
async fn a_label_points_only_at_what_exists() {
    for world in worlds().await {
        let refused = world.store.change_label(to("canary", Some(4))).await;
        let unknown = PromptError::UnknownVersion {
            prompt: prompt("greeting"),
            version: version(4),
        };
        assert_eq!(refused, Err(unknown), "{}", world.name);
        let nowhere = world.store.change_label(to("canary", None)).await;
        let unknown = PromptError::UnknownLabel {
            prompt: prompt("greeting"),
            label: label("canary"),
        };
        assert_eq!(nowhere, Err(unknown));
        let request = LabelRequest {
            prompt: prompt("nobody"),
            ..to("canary", Some(1))
        };
        let refused = world.store.change_label(request).await;
        assert_eq!(refused, Err(PromptError::UnknownPrompt(prompt("nobody"))));
    }
}

#[tokio::test]
async fn a_protected_label_moves_for_those_who_may() {
    for world in worlds().await {
        world.store.change_label(to("production", Some(1))).await.unwrap();
        let (name, production) = (prompt("greeting"), label("production"));
        for _ in 0..2 {
            world.store.protect_label(&name, &production, true).await.unwrap();
        }
        world
            .store
            .protect_label(&name, &label("future"), true)
            .await
            .unwrap();
        let summary = world.store.prompt(&name).await.unwrap();
        assert_eq!(
            summary.protected,
            [label("future"), production.clone()].into(),
            "{}",
            world.name
        );

        for (label, target) in [("production", Some(2)), ("production", None), ("future", Some(1))] {
            let refused = world.store.change_label(to(label, target)).await.unwrap_err();
            assert!(matches!(refused, PromptError::Protected { .. }), "{refused}");
        }
        let admin = LabelRequest {
            may_move_protected: true,
            ..to("production", Some(2))
        };
        world.store.change_label(admin).await.unwrap();
        assert_eq!(pointing(&world).await, [("production".to_owned(), 2)]);
        world
            .store
            .protect_label(&name, &production, false)
            .await
            .unwrap();
        world.store.change_label(to("production", Some(3))).await.unwrap();
        assert_eq!(pointing(&world).await, [("production".to_owned(), 3)]);
    }
}

#[tokio::test]
async fn the_same_request_again_changes_nothing_and_succeeds() {
    for world in worlds().await {
        let first = world.store.change_label(to("canary", Some(1))).await.unwrap();
        assert_eq!(
            world.store.change_label(to("canary", Some(1))).await.unwrap(),
            first,
            "{}",
            world.name
        );
        let gone = world.store.change_label(to("canary", None)).await.unwrap();
        assert_eq!(world.store.change_label(to("canary", None)).await.unwrap(), gone);

        let moved = world
            .store
            .change_label(serin("canary", None, 2, 1))
            .await
            .unwrap();
        assert_eq!(
            world
                .store
                .change_label(serin("canary", None, 2, 1))
                .await
                .unwrap(),
            moved
        );
        // Not when somebody has moved the label since, be it back to where it came from.
        for target in [Some(3), None] {
            world.store.change_label(to("canary", target)).await.unwrap();
            let again = world.store.change_label(serin("canary", None, 2, 1)).await;
            let elsewhere = PromptError::LabelElsewhere {
                prompt: prompt("greeting"),
                label: label("canary"),
                expected: Some(version(2)),
                found: target.map(version),
            };
            assert_eq!(again, Err(elsewhere), "{}", world.name);
        }
        assert_eq!(pointing(&world).await, []);
        assert_eq!(journal(&world).await.len(), 5);
    }
}

#[tokio::test]
async fn a_move_of_an_older_generation_is_refused() {
    for world in worlds().await {
        world.store.change_label(to("production", Some(1))).await.unwrap();
        // Promotion at generation 5 is on its way while generation 6 takes it back, and comes late.
        // The journal has nothing of generation 6, because the label was in place.
        let back = world
            .store
            .change_label(serin("production", Some(1), 1, 6))
            .await
            .unwrap();
        assert_eq!(back.rollout, None, "{}", world.name);
        assert_eq!(journal(&world).await.len(), 1);
        let refused = world.store.change_label(serin("production", Some(1), 2, 5)).await;
        let stale = PromptError::Stale {
            rollout: RolloutId::new(5),
            asked: Generation::new(5),
            seen: Generation::new(6),
        };
        assert_eq!(refused, Err(stale.clone()));
        // The fence holds for every label of the prompt.
        let refused = world.store.change_label(serin("canary", None, 2, 5)).await;
        assert_eq!(refused, Err(stale));
        assert_eq!(pointing(&world).await, [("production".to_owned(), 1)]);
        world
            .store
            .change_label(serin("production", Some(1), 2, 7))
            .await
            .unwrap();
        assert_eq!(pointing(&world).await, [("production".to_owned(), 2)]);
    }
}

#[tokio::test]
async fn an_older_rollout_has_no_say_after_a_newer_one() {
    for world in worlds().await {
        world.store.change_label(to("production", Some(1))).await.unwrap();
        let newer = |from, target, generation| LabelRequest {
            rollout: Some((RolloutId::new(6), Generation::new(generation))),
            ..serin("production", Some(from), target, 0)
        };
        world.store.change_label(newer(1, 3, 1)).await.unwrap();
        world.store.change_label(newer(3, 1, 2)).await.unwrap();
        // The same versions as long ago, but what was meant is over.
        let refused = world.store.change_label(serin("production", Some(1), 2, 9)).await;
        let overtaken = PromptError::Overtaken {
            label: label("production"),
            rollout: RolloutId::new(5),
            by: RolloutId::new(6),
        };
        assert_eq!(refused, Err(overtaken), "{}", world.name);
        assert_eq!(pointing(&world).await, [("production".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn latest_is_neither_set_nor_protected() {
    for world in worlds().await {
        let reserved = || PromptError::ReservedLabel(label("latest"));
        let set = world.store.change_label(to("latest", Some(1))).await;
        assert_eq!(set, Err(reserved()), "{}", world.name);
        let name = prompt("greeting");
        let protected = world.store.protect_label(&name, &label("latest"), true).await;
        assert_eq!(protected, Err(reserved()));
    }
}

#[tokio::test]
async fn of_many_who_expect_the_same_one_moves_the_label() {
    for world in worlds().await {
        world.store.change_label(to("canary", Some(1))).await.unwrap();
        let rivals: Vec<_> = (0..20)
            .map(|rival| {
                let request = LabelRequest {
                    expect: Some(Some(version(1))),
                    ..to("canary", Some(2 + rival % 2))
                };
                let store = world.store.clone();
                tokio::spawn(async move { store.change_label(request).await })
            })
            .collect();
        let mut targets: Vec<Option<Version>> = Vec::new();
        for rival in rivals {
            if let Ok(change) = rival.await.unwrap() {
                targets.push(change.to);
            }
        }
        // Those who asked for the winner's version find it in place.
        assert_eq!(targets.len(), 10, "{}", world.name);
        assert!(targets.iter().all(|target| target == &targets[0]));
        assert_eq!(journal(&world).await.len(), 2);
    }
}
