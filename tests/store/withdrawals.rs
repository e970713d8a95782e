//! Versions that are taken out of use, and labels that move together.

use crate::prompts::{create, prompt, text};
use crate::world::{World, actor, reason, version};
use serin::ids::{Label, Version};
use serin::prompt::{LabelRequest, PromptError, Withdrawal};

fn withdrawal(versions: &[u32], labels: &[&str]) -> Withdrawal {
    Withdrawal {
        prompt: prompt("greeting"),
        versions: versions.iter().map(|number| version(*number)).collect(),
        labels: labels.iter().map(|label| Label::new(label).unwrap()).collect(),
        actor: actor("alice"),
        reason: reason("a slip"),
        may_move_protected: false,
    }
}

fn pointing(label: &str, to: u32) -> LabelRequest {
    LabelRequest {
        prompt: prompt("greeting"),
        label: Label::new(label).unwrap(),
        expect: None,
        to: Some(version(to)),
        actor: actor("alice"),
        reason: reason("to try it"),
        rollout: None,
        may_move_protected: false,
    }
}

async fn with_three_versions() -> Vec<World> {
    let mut worlds = Vec::new();
    for world in World::every() {
        for words in ["one", "two", "three"] {
            create(&world, "greeting", text(words)).await;
        }
        worlds.push(world);
    }
    worlds
}

async fn offered(world: &World) -> Vec<u32> {
    let times = world.store.version_times(&prompt("greeting")).await.unwrap();
    times.into_keys().map(Version::get).collect()
}

#[tokio::test]
async fn withdrawn_versions_are_not_offered_and_their_numbers_not_used_again() {
    for world in with_three_versions().await {
        let greeting = prompt("greeting");
        world.store.withdraw(withdrawal(&[1, 3], &[])).await.unwrap();
        assert_eq!(offered(&world).await, [2]);
        let summary = world.store.prompt(&greeting).await.unwrap();
        assert_eq!(summary.newest, version(2));
        let unknown = PromptError::UnknownVersion {
            prompt: greeting.clone(),
            version: version(3),
        };
        assert_eq!(
            world.store.version(&greeting, version(3)).await,
            Err(unknown.clone())
        );
        assert_eq!(
            world.store.change_label(pointing("canary", 3)).await,
            Err(unknown.clone())
        );
        assert_eq!(world.store.withdraw(withdrawal(&[2, 3], &[])).await, Err(unknown));
        assert_eq!(offered(&world).await, [2], "all or none");
        let listed = world.store.versions(&greeting, None, 9).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(create(&world, "greeting", text("four")).await.version, version(4));
    }
}

#[tokio::test]
async fn a_prompt_without_versions_is_unknown_until_it_has_one() {
    for world in with_three_versions().await {
        let greeting = prompt("greeting");
        world.store.withdraw(withdrawal(&[1, 2, 3], &[])).await.unwrap();
        assert_eq!(
            world.store.prompt(&greeting).await,
            Err(PromptError::UnknownPrompt(greeting.clone()))
        );
        assert_eq!(world.store.prompts(None, 9).await.unwrap(), []);
        create(&world, "greeting", text("four")).await;
        assert_eq!(world.store.prompts(None, 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn labels_go_with_their_version_when_the_asker_knows_them() {
    for world in with_three_versions().await {
        world.store.change_label(pointing("canary", 2)).await.unwrap();
        let refused = world.store.withdraw(withdrawal(&[2], &[])).await.unwrap_err();
        assert!(matches!(refused, PromptError::LabelElsewhere { .. }), "{refused}");
        let canary = Label::new("canary").unwrap();
        let greeting = prompt("greeting");
        world.store.protect_label(&greeting, &canary, true).await.unwrap();
        let refused = world
            .store
            .withdraw(withdrawal(&[2], &["canary"]))
            .await
            .unwrap_err();
        assert!(matches!(refused, PromptError::Protected { .. }), "{refused}");
        assert_eq!(offered(&world).await, [1, 2, 3]);
        let request = Withdrawal {
            may_move_protected: true,
            ..withdrawal(&[2], &["canary"])
        };
        world.store.withdraw(request).await.unwrap();
        let last = world.store.history(&greeting, None, 1).await.unwrap();
        assert_eq!((last[0].from, last[0].to), (Some(version(2)), None));
        assert_eq!(world.store.prompt(&greeting).await.unwrap().labels, [].into());
    }
}

#[tokio::test]
async fn labels_move_together_or_not_at_all() {
    for world in with_three_versions().await {
        let moves = vec![pointing("canary", 2), pointing("beta", 9)];
        world.store.change_labels(moves).await.unwrap_err();
        let greeting = prompt("greeting");
        assert_eq!(world.store.prompt(&greeting).await.unwrap().labels, [].into());
        let moves = vec![pointing("canary", 2), pointing("beta", 3)];
        let changes = world.store.change_labels(moves).await.unwrap();
        assert_eq!(changes.len(), 2);
        assert_eq!(world.store.prompt(&greeting).await.unwrap().labels.len(), 2);
    }
}
