//! Keys follow labels, whoever moves them and whatever becomes of the Redis.

use crate::model::{Model, Mood};
use crate::world::{OWN, THEIRS, World};
use serde_json::{Value, json};
use serin::caches::Then;
use serin::controller::Trouble;

const PASSWORD: Option<&str> = Some("deep");

fn key(prompt: &str, label: &str) -> String {
    format!("prompt:{prompt}:{label}")
}

#[tokio::test]
async fn a_rollback_reaches_what_applications_keep_in_redis() {
    let redis = Model::start(PASSWORD).await;
    let (mut world, mut keepers) = World::new(&[("answers", &redis, Then::Delete)]).await;
    let keeper = &mut keepers[0];
    keeper.follow().await.unwrap();
    assert_eq!(
        redis.take_commands(),
        [""; 0],
        "what moved before is not its concern"
    );
    world.move_own("canary", Some(2)).await;
    world.move_theirs("canary", 2);
    world.pass(1).await;
    keeper.follow().await.unwrap();
    assert_eq!(redis.database().as_deref(), Some("3"));
    assert_eq!(
        redis.take_commands(),
        ["DEL prompt:greeting:canary", "DEL prompt:order/status:canary"]
    );
    world.pass(100).await;
    keeper.follow().await.unwrap();
    redis.take_commands();
    for prompt in [OWN, THEIRS] {
        redis.put(&key(prompt, "canary"), "version 2", 300);
        redis.put(&key(prompt, "production"), "version 1", 300);
    }
    for rollout in [1, 2] {
        world.roll_back(rollout).await;
    }
    world.pass(1).await;
    keeper.follow().await.unwrap();
    for prompt in [OWN, THEIRS] {
        assert_eq!(redis.get(&key(prompt, "canary")), None);
        assert!(redis.get(&key(prompt, "production")).is_some(), "it did not move");
    }
    // A process that kept the old version for a while puts it back, and it goes again.
    world.pass(50).await;
    redis.put(&key(THEIRS, "canary"), "version 2", 300);
    world.pass(45).await;
    keeper.follow().await.unwrap();
    assert_eq!(redis.get(&key(THEIRS, "canary")), None);
    redis.take_commands();
    world.pass(200).await;
    keeper.follow().await.unwrap();
    assert_eq!(
        redis.take_commands(),
        [""; 0],
        "after the sweep nothing is left to do"
    );
    for policy in ["own", "theirs"] {
        let told = world.history(policy).await;
        let cleared =
            |version| format!("cache `answers` after label `canary` came to version {version}: cleared");
        assert_eq!(told, [cleared(2), cleared(1)], "{policy}");
    }
    let aftermath = world.handle.board().policies["theirs"]
        .rollout
        .clone()
        .unwrap()
        .aftermath
        .clone();
    assert_eq!(aftermath.at_most().as_secs(), 60, "{}", aftermath.sentence());
}

#[tokio::test]
async fn labels_that_no_policy_guards_are_followed_too_and_a_label_that_is_gone() {
    let redis = Model::start(PASSWORD).await;
    let (mut world, mut keepers) = World::new(&[("answers", &redis, Then::Rewrite)]).await;
    keepers[0].follow().await.unwrap();
    redis.put(&key(OWN, "staging"), "version 1", 300);
    world.move_own("staging", Some(2)).await;
    keepers[0].follow().await.unwrap();
    let (value, ttl) = redis.get(&key(OWN, "staging")).unwrap();
    let expected = json!({
        "name": "greeting", "version": 2, "type": "text", "prompt": "Answer 2: {{question}}",
        "config": {}, "labels": ["staging"], "tags": []
    });
    assert_eq!(serde_json::from_str::<Value>(&value).unwrap(), expected);
    assert_eq!(ttl, Some(300), "it lives as long as it would have");
    assert_eq!(
        redis.get(&key(OWN, "canary")),
        None,
        "what is not there is not made"
    );
    world.move_own("staging", None).await;
    world.pass(1).await;
    keepers[0].follow().await.unwrap();
    assert_eq!(
        redis.get(&key(OWN, "staging")),
        None,
        "a label that is gone is served to nobody"
    );
}

#[tokio::test]
async fn a_redis_that_is_away_is_tried_again_and_shown_and_holds_up_nothing() {
    let redis = Model::start(PASSWORD).await;
    let (mut world, mut keepers) = World::new(&[("answers", &redis, Then::Delete)]).await;
    keepers[0].follow().await.unwrap();
    redis.set_mood(Mood::Away);
    world.move_theirs("canary", 2);
    world.pass(1).await;
    redis.put(&key(THEIRS, "canary"), "version 1", 300);
    keepers[0].follow().await.unwrap();
    world.pass(1).await;
    let board = world.handle.board();
    assert_eq!(
        board.policies["theirs"]
            .rollout
            .as_ref()
            .unwrap()
            .state
            .phase
            .as_str(),
        "ramping"
    );
    let [Trouble::Cache { cache, error }] = &board.troubles[..] else {
        panic!("{:?}", board.troubles);
    };
    assert_eq!(cache.as_str(), "answers");
    assert!(!error.contains("deep"), "{error}");
    assert!(
        world
            .series()
            .contains(&r#"serin_cache_uncleared{cache="answers"} 1"#.to_owned())
    );
    redis.set_mood(Mood::Silent);
    world.pass(2).await;
    keepers[0].follow().await.unwrap();
    redis.set_mood(Mood::ReadOnly);
    world.pass(5).await;
    keepers[0].follow().await.unwrap();
    world.pass(1).await;
    let series = world.series();
    assert!(
        series.contains(&r#"serin_cache_clearings_total{cache="answers",outcome="failed"} 3"#.to_owned()),
        "{series:?}"
    );
    assert!(
        series.contains(&r#"serin_cache_behind_seconds{cache="answers"} 9"#.to_owned()),
        "{series:?}"
    );
    redis.set_mood(Mood::Well);
    // The process ends meanwhile; another one goes on where it was.
    drop(keepers);
    let mut keeper = world.keeper("answers", &redis, Then::Delete);
    keeper.follow().await.unwrap();
    assert!(redis.get(&key(THEIRS, "canary")).is_some(), "it is not due yet");
    world.pass(5).await;
    keeper.follow().await.unwrap();
    assert_eq!(redis.get(&key(THEIRS, "canary")), None);
    world.pass(1).await;
    assert_eq!(world.handle.board().troubles, []);
    let told = world.history("theirs").await;
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].starts_with(
            "cache `answers` after label `canary` came to version 2: failed, and is tried again:"
        )
    );
    assert!(told[2].ends_with("version 2: cleared"), "{told:#?}");
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let redis = Model::start(Some("another")).await;
    let (mut world, mut keepers) = World::new(&[("answers", &redis, Then::Delete)]).await;
    keepers[0].follow().await.unwrap();
    world.move_own("production", Some(2)).await;
    keepers[0].follow().await.unwrap();
    world.pass(1).await;
    let board = world.handle.board();
    let shown = format!("{:?} {:?}", board.troubles, board.caches);
    assert!(shown.to_lowercase().contains("password"), "{shown}");
    assert!(!shown.contains("deep"));
}

#[tokio::test]
async fn caches_are_kept_one_by_one_and_a_label_that_comes_back_is_cleared_as_well() {
    let (first, second) = (Model::start(PASSWORD).await, Model::start(PASSWORD).await);
    let both = [("first", &first, Then::Delete), ("second", &second, Then::Delete)];
    let (mut world, mut keepers) = World::new(&both).await;
    for keeper in &mut keepers {
        keeper.follow().await.unwrap();
    }
    second.set_mood(Mood::Away);
    // There and back before anybody looked: an application may have read it in between.
    world.move_own("canary", Some(2)).await;
    world.move_own("canary", Some(1)).await;
    world.pass(1).await;
    for keeper in &mut keepers {
        keeper.follow().await.unwrap();
    }
    assert_eq!(first.take_commands(), ["DEL prompt:greeting:canary"]);
    world.pass(1).await;
    let caches = world.handle.board().caches.clone();
    assert_eq!((caches["first"].uncleared, caches["second"].uncleared), (0, 1));
}

#[tokio::test]
async fn prompts_that_take_in_another_by_its_label_are_cleared_with_it() {
    let redis = Model::start(PASSWORD).await;
    let (mut world, mut keepers) = World::new(&[("answers", &redis, Then::Rewrite)]).await;
    world
        .compose("letter", "@@@langfusePrompt:name=greeting|label=canary@@@")
        .await;
    world
        .compose("book", "One: @@@langfusePrompt:name=letter|label=production@@@")
        .await;
    world
        .compose("other", "@@@langfusePrompt:name=greeting|version=1@@@")
        .await;
    keepers[0].follow().await.unwrap();
    for prompt in ["letter", "book", "other"] {
        redis.put(&key(prompt, "production"), "as it was", 300);
    }
    world.move_own("canary", Some(2)).await;
    world.pass(1).await;
    keepers[0].follow().await.unwrap();
    assert_eq!(redis.get(&key("letter", "production")), None);
    assert_eq!(redis.get(&key("book", "production")), None, "through another");
    assert!(
        redis.get(&key("other", "production")).is_some(),
        "a version does not change"
    );
}

#[tokio::test]
async fn prompts_of_others_that_take_in_a_label_are_cleared_with_it() {
    let redis = Model::start(PASSWORD).await;
    let (mut world, mut keepers) = World::new(&[("answers", &redis, Then::Rewrite)]).await;
    world.compose_theirs("letter", "@@@langfusePrompt:name=order/status|label=canary@@@");
    world.compose_theirs("other", "@@@langfusePrompt:name=order/status|label=production@@@");
    world.pass(1).await;
    keepers[0].follow().await.unwrap();
    for prompt in ["letter", "other", THEIRS] {
        redis.put(&key(prompt, "production"), "as it was", 300);
    }
    redis.take_commands();
    world.move_theirs("canary", 2);
    world.pass(1).await;
    redis.set_mood(Mood::Away);
    keepers[0].follow().await.unwrap();
    assert!(redis.get(&key("letter", "production")).is_some());
    redis.set_mood(Mood::Well);
    world.pass(60).await;
    keepers[0].follow().await.unwrap();
    assert_eq!(redis.get(&key("letter", "production")), None);
    for kept in ["other", THEIRS] {
        assert!(
            redis.get(&key(kept, "production")).is_some(),
            "{kept} has not changed"
        );
    }
}
