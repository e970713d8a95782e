//! Prompts: versions that never change, lists, evaluations.

use crate::world::{World, actor, reason, start, version};
use jiff::SignedDuration;
use serin::ids::{Label, PromptName, Version};
use serin::prompt::{
    ChatItem, Draft, Evaluation, LabelRequest, PromptError, PromptVersion, SemanticVersion, Template,
    TemplateKind,
};

pub(crate) fn prompt(name: &str) -> PromptName {
    PromptName::new(name).unwrap()
}

pub(crate) fn text(template: &str) -> Draft {
    Draft {
        template: Template::Text(template.into()),
        semantic_version: None,
        reason: reason("a first try"),
        config: serde_json::Map::new(),
        owner: None,
        tags: [].into(),
    }
}

fn message(role: &str, content: &str) -> ChatItem {
    ChatItem::Message {
        role: role.into(),
        content: content.into(),
    }
}

pub(crate) async fn create(world: &World, name: &str, draft: Draft) -> PromptVersion {
    let name = prompt(name);
    let created = world
        .store
        .create_version(&name, draft, actor("alice"), Vec::new());
    created.await.unwrap()
}

fn label_request(label: &str) -> LabelRequest {
    LabelRequest {
        prompt: prompt("ignored"),
        label: Label::new(label).unwrap(),
        expect: None,
        to: None,
        actor: actor("alice"),
        reason: reason("it is new"),
        rollout: None,
        may_move_protected: false,
    }
}

#[tokio::test]
async fn versions_are_numbered_from_one_and_come_back_as_they_were() {
    for world in World::every() {
        let mut full = text("ignored");
        full.template = Template::Chat(vec![
            message("system", "You greet {{name}}.\n“Kindly” — 🐦"),
            ChatItem::Placeholder {
                name: "history".into(),
            },
        ]);
        full.semantic_version = Some(SemanticVersion {
            major: 1,
            minor: 20,
            patch: 3,
        });
        let config = r#"{"model": "m-1", "temperature": 0.1234567890123456789, "seed": 18446744073709551615,
            "tools": [{"name": "z"}, null, true], "a": {"b": []}}"#;
        full.config = serde_json::from_str(config).unwrap();
        full.owner = Some("support".into());
        full.tags = ["b".into(), "a".into()].into();
        let mut plain = full.clone();
        plain.config.clear();
        plain.owner = None;
        let first = create(&world, "folder/greeting", full.clone()).await;
        world.advance(7);
        let second = create(&world, "folder/greeting", plain).await;
        assert_eq!(
            (first.version, second.version),
            (version(1), version(2)),
            "{}",
            world.name
        );
        assert_eq!(first.draft, full);
        assert_eq!(first.created_at, start());
        assert_eq!(second.created_at, start() + SignedDuration::from_secs(7));
        assert_eq!(create(&world, "other", text("x")).await.version, Version::FIRST);
        for made in [first, second] {
            let found = world
                .store
                .version(&prompt("folder/greeting"), made.version)
                .await
                .unwrap();
            assert_eq!(found, made, "{}", world.name);
        }
    }
}

#[tokio::test]
async fn the_first_version_fixes_the_kind() {
    for world in World::every() {
        create(&world, "greeting", text("hi")).await;
        let mut chat = text("");
        chat.template = Template::Chat(vec![message("system", "hi")]);
        let name = prompt("greeting");
        let refused = world
            .store
            .create_version(&name, chat, actor("alice"), Vec::new())
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "prompt `greeting` is of type `text`, and the draft of type `chat`: give it another name",
            "{}",
            world.name
        );
        assert_eq!(world.store.prompt(&name).await.unwrap().newest, version(1));
    }
}

#[tokio::test]
async fn a_draft_that_breaks_a_rule_leaves_nothing() {
    for world in World::every() {
        let name = prompt("greeting");
        let refused = world
            .store
            .create_version(&name, text("  "), actor("alice"), Vec::new())
            .await
            .unwrap_err();
        assert!(
            matches!(refused, PromptError::InvalidDraft(_)),
            "{}: {refused}",
            world.name
        );
        assert_eq!(world.store.prompts(None, 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    for world in World::every() {
        let (name, known) = (prompt("nobody"), prompt("greeting"));
        create(&world, "greeting", text("hi")).await;
        let store = &world.store;
        let unknown = PromptError::UnknownPrompt(name.clone());
        assert_eq!(store.prompt(&name).await, Err(unknown.clone()), "{}", world.name);
        assert_eq!(store.version(&name, version(1)).await, Err(unknown.clone()));
        assert_eq!(store.versions(&name, None, 9).await, Err(unknown.clone()));
        assert_eq!(store.history(&name, None, 9).await, Err(unknown.clone()));
        let label = Label::new("production").unwrap();
        assert_eq!(
            store.protect_label(&name, &label, true).await,
            Err(unknown.clone())
        );
        assert_eq!(
            store
                .record_evaluation(&name, version(1), evaluation("d", 0))
                .await,
            Err(unknown)
        );
        let missing = PromptError::UnknownVersion {
            prompt: known.clone(),
            version: version(2),
        };
        assert_eq!(store.version(&known, version(2)).await, Err(missing.clone()));
        assert_eq!(
            store
                .record_evaluation(&known, version(2), evaluation("d", 0))
                .await,
            Err(missing)
        );
    }
}

#[tokio::test]
async fn a_version_may_be_created_with_labels() {
    for world in World::every() {
        let name = prompt("greeting");
        let labels = vec![label_request("staging"), label_request("canary")];
        let store = &world.store;
        let made = store
            .create_version(&name, text("hi"), actor("alice"), labels)
            .await
            .unwrap();
        let summary = store.prompt(&name).await.unwrap();
        let pointing: Vec<(&str, Version)> = summary
            .labels
            .iter()
            .map(|(label, version)| (label.as_str(), *version))
            .collect();
        assert_eq!(
            pointing,
            [("canary", made.version), ("staging", made.version)],
            "{}",
            world.name
        );
        assert_eq!(store.history(&name, None, 9).await.unwrap().len(), 2);

        // A label that cannot be moved takes the version with it.
        let canary = Label::new("canary").unwrap();
        store.protect_label(&name, &canary, true).await.unwrap();
        let labels = vec![label_request("staging"), label_request("canary")];
        let refused = store
            .create_version(&name, text("ho"), actor("alice"), labels)
            .await;
        assert_eq!(
            refused,
            Err(PromptError::Protected {
                prompt: name.clone(),
                label: canary
            })
        );
        let after = store.prompt(&name).await.unwrap();
        assert_eq!((after.newest, after.labels), (version(1), summary.labels));
        assert_eq!(store.history(&name, None, 9).await.unwrap().len(), 2);
        assert_eq!(create(&world, "new", text("ho")).await.version, version(1));
    }
}

#[tokio::test]
async fn lists_come_by_pages() {
    for world in World::every() {
        for name in ["b/c", "b", "a", "ü"] {
            create(&world, name, text("hi")).await;
        }
        for _ in 0..4 {
            create(&world, "b", text("ho")).await;
        }
        world.advance(3);
        let mut chat = text("");
        chat.template = Template::Chat(vec![message("system", "hi")]);
        create(&world, "chat", chat).await;

        let store = &world.store;
        let all = store.prompts(None, 100).await.unwrap();
        let names: Vec<&str> = all.iter().map(|summary| summary.prompt.as_str()).collect();
        assert_eq!(names, ["a", "b", "b/c", "chat", "ü"], "{}", world.name);
        assert_eq!(store.prompts(Some(&all[1].prompt), 2).await.unwrap(), all[2..4]);
        assert_eq!(store.prompts(Some(&all[4].prompt), 2).await.unwrap(), []);
        assert_eq!((all[1].kind, all[1].newest), (TemplateKind::Text, version(5)));
        assert_eq!(all[3].kind, TemplateKind::Chat);
        assert_eq!(all[3].updated_at, start() + SignedDuration::from_secs(3));

        let b = prompt("b");
        let numbers = |versions: Vec<PromptVersion>| -> Vec<u32> {
            versions.iter().map(|version| version.version.get()).collect()
        };
        assert_eq!(
            numbers(store.versions(&b, None, 100).await.unwrap()),
            [5, 4, 3, 2, 1]
        );
        assert_eq!(
            numbers(store.versions(&b, Some(version(4)), 2).await.unwrap()),
            [3, 2]
        );
        assert_eq!(
            numbers(store.versions(&b, Some(version(1)), 2).await.unwrap()),
            [0_u32; 0]
        );
    }
}

fn evaluation(dataset: &str, hour: i64) -> Evaluation {
    Evaluation {
        dataset: dataset.into(),
        at: start() + SignedDuration::from_hours(hour),
        actor: actor("ci"),
        scores: [
            ("faithfulness".parse().unwrap(), 0.1 + 0.2),
            ("relevance".parse().unwrap(), -0.0),
        ]
        .into(),
    }
}

#[tokio::test]
async fn evaluations_stay_with_their_version_newest_last() {
    for world in World::every() {
        let name = prompt("greeting");
        create(&world, "greeting", text("hi")).await;
        create(&world, "greeting", text("ho")).await;
        let recorded = [
            evaluation("golden", 2),
            evaluation("other", 1),
            evaluation("golden", 3),
        ];
        for evaluation in &recorded {
            world
                .store
                .record_evaluation(&name, version(1), evaluation.clone())
                .await
                .unwrap();
        }
        let found = world.store.versions(&name, None, 9).await.unwrap();
        assert_eq!(found[1].evaluations, recorded, "{}", world.name);
        assert_eq!(found[0].evaluations, []);
        let one = world.store.version(&name, version(1)).await.unwrap();
        assert_eq!(one.evaluations, recorded);
    }
}
