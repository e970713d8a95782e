//! Prompts that take in others: a project is looked through for them.

use crate::server::{NAME, World, label, prompt, version, world, world_with};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use serin::clock::{Clock, ManualClock};
use serin::ids::PromptName;
use serin::prompt::Template;
use serin::prompt::composition::Which;
use serin::prompt::parents::Compositions;
use serin::registry::langfuse::survey::SURVEY_EVERY_SECONDS;
use serin::registry::langfuse::{Langfuse, Manner};
use serin::registry::{Freshness, ReadFrom, Registry as _};
use serin::sim::langfuse::{Call, Fault, Model};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Refers to the prompt of the tests.
const TAG: &str = "@@@langfusePrompt:name=support/order status?|label=production@@@";

fn advance(world: &World, seconds: i64) {
    world.clock.advance(SignedDuration::from_secs(seconds));
}

async fn known(registry: &Langfuse) -> Arc<Compositions> {
    registry.compositions().await.unwrap()
}

/// The labels that change with `production`, and why there may be others.
async fn parents(registry: &Langfuse) -> (Vec<String>, Option<String>) {
    let all = known(registry).await;
    let found = all.parents(&BTreeSet::from([(prompt(), label("production"))]));
    let found = found
        .into_iter()
        .map(|((prompt, label), version)| format!("{prompt} {label} {version}"));
    (
        found.collect(),
        all.gap.as_ref().map(|gap| gap.words().to_owned()),
    )
}

/// `page` takes it in by its label, and `site` takes that in by its number.
async fn composed(manner: Manner) -> World {
    let world = world_with(manner).await;
    let model = &world.model;
    model.create(
        "page",
        json!([{"role": "system", "content": format!("{TAG} Be kind.")}]),
    );
    model.create("page", json!("nothing is taken in any more"));
    model.point("page", "production", Some(1));
    model.create("site", json!("@@@langfusePrompt:name=page|version=1@@@"));
    model.point("site", "live", Some(1));
    world
}

#[tokio::test]
async fn parents_are_found_through_labels_and_numbers() {
    let world = composed(Manner::default()).await;
    let (none, gap) = parents(&world.registry).await;
    assert_eq!(none, [""; 0]);
    assert_eq!(gap.unwrap(), "the project has not been looked through yet");
    assert!(world.registry.survey().await);
    let found = ["page production 1", "site latest 1", "site live 1"];
    assert_eq!(
        parents(&world.registry).await,
        (found.map(str::to_owned).to_vec(), None)
    );
    let methods: BTreeSet<String> = world
        .take_seen()
        .iter()
        .map(|seen| seen.method.to_string())
        .collect();
    assert_eq!(methods, BTreeSet::from(["GET".to_owned()]), "it only reads");
}

#[tokio::test]
async fn what_takes_in_a_label_that_moved_is_read_anew() {
    let world = world().await;
    world.model.create("letter", json!(format!("{TAG} Yours")));
    world.model.point("letter", "production", Some(1));
    assert!(world.registry.survey().await);
    let letter = PromptName::new("letter").unwrap();
    let read_as = [Which::Label(label("production")), Which::Version(version(1))];
    let texts = async || {
        let mut texts = Vec::new();
        for which in &read_as {
            let served = world.registry.serve(&letter, which).await.unwrap();
            match &served.version.draft.template {
                Template::Text(text) => texts.push((text.to_string(), served.source)),
                Template::Chat(_) => panic!("it is text"),
            }
        }
        texts
    };
    world.labels(Freshness::Told).await.unwrap();
    assert_eq!(texts().await[0].0, "text 1 Yours");
    world.model.point(NAME, "production", Some(3));
    assert_eq!(texts().await[0].1, ReadFrom::Cache, "nobody has looked yet");
    world.labels(Freshness::Told).await.unwrap();
    let anew = "text 3 Yours".to_owned();
    assert_eq!(
        texts().await,
        [(anew.clone(), ReadFrom::Registry), (anew, ReadFrom::Cache)]
    );
    // What has not moved is kept.
    world.labels(Freshness::Told).await.unwrap();
    assert_eq!(texts().await[0].1, ReadFrom::Cache);
}

#[tokio::test]
async fn what_the_list_shows_as_unchanged_is_not_read_again() {
    let world = composed(Manner::default()).await;
    assert!(world.registry.survey().await);
    let first = world.take_seen().len();
    advance(&world, SURVEY_EVERY_SECONDS - 1);
    assert!(world.registry.survey().await);
    assert_eq!(world.take_seen().len(), 0, "it was looked through lately");
    advance(&world, 1);
    assert!(world.registry.survey().await);
    assert!(first > 4, "{first}");
    // The list, and the version that is taken in by its number.
    assert_eq!(world.take_seen().len(), 2);
    world.model.point("page", "production", Some(2));
    advance(&world, SURVEY_EVERY_SECONDS);
    assert!(world.registry.survey().await);
    let found = vec!["site latest 1".to_owned(), "site live 1".to_owned()];
    assert_eq!(
        parents(&world.registry).await,
        (found, None),
        "version 1 is taken in by number"
    );
}

#[tokio::test]
async fn a_small_budget_makes_it_slow_and_leaves_room_for_looks() {
    let manner = Manner {
        requests_per_minute: 60,
        look_every: Duration::ZERO,
        ..Manner::default()
    };
    let world = composed(manner).await;
    assert!(!world.registry.survey().await);
    assert_eq!(world.take_seen().len(), 5, "half of what may be asked at once");
    assert!(!world.registry.survey().await);
    assert_eq!(world.take_seen().len(), 0);
    assert!(world.labels(Freshness::Polled).await.is_ok());
    let mut rounds = 0;
    while !world.registry.survey().await {
        advance(&world, 1);
        rounds += 1;
        assert!(rounds < 60, "it does not end");
    }
    assert_eq!(parents(&world.registry).await.0.len(), 3);
}

#[tokio::test]
async fn a_failure_is_waited_for_and_told() {
    let world = composed(Manner::default()).await;
    world.model.inject(Call::Read, Fault::Status(500));
    assert!(!world.registry.survey().await);
    let (_, gap) = parents(&world.registry).await;
    let told = "the project could not be looked through: the registry is unavailable: it answered 500";
    assert!(gap.as_ref().unwrap().starts_with(told), "{gap:?}");
    let requests = world.model.requests();
    advance(&world, 29);
    assert!(!world.registry.survey().await);
    assert_eq!(world.model.requests(), requests, "it rests");
    advance(&world, 1);
    assert!(world.registry.survey().await);
    assert_eq!(parents(&world.registry).await.1, None);
}

#[tokio::test]
async fn a_text_that_cannot_be_read_does_not_stop_it_for_ever() {
    let world = world().await;
    world.model.create("broken", json!({"neither": "text nor chat"}));
    world.model.create("page", json!(TAG));
    let mut rounds = 0;
    while !world.registry.survey().await {
        advance(&world, 30);
        rounds += 1;
        assert!(rounds < 60, "it does not end");
    }
    let (found, gap) = parents(&world.registry).await;
    assert_eq!(found, ["page latest 1"]);
    let told = "prompt `broken` and others could not be read: ";
    assert!(gap.as_ref().unwrap().starts_with(told), "{gap:?}");
}

#[tokio::test]
async fn only_so_many_prompts_are_looked_at() {
    let clock = ManualClock::starting_at("2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap());
    let model = Arc::new(Model::new(clock.clone()));
    for number in 0..5_001 {
        model.create(&format!("prompt-{number:04}"), json!("text"));
    }
    model.create(NAME, json!("text"));
    let manner = Manner {
        requests_per_minute: 600_000,
        ..Manner::default()
    };
    let registry = Langfuse::new(model, manner, Clock::Manual(clock));
    while !registry.survey().await {}
    let (found, gap) = parents(&registry).await;
    assert_eq!(found, [""; 0]);
    assert_eq!(
        gap.unwrap(),
        "only the first 5000 prompts of the project are looked at"
    );
}
