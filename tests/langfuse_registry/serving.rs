//! Prompts on their way to applications: fresh, stale, refused.

use crate::server::{NAME, World, label, prompt, version, world};
use jiff::SignedDuration;
use serde_json::json;
use serin::ids::PromptName;
use serin::prompt::Template;
use serin::prompt::composition::Which;
use serin::registry::{Freshness, MoveOutcome, ReadFrom, RegistryError, Served};
use serin::sim::langfuse::{Call, Fault};

fn advance(world: &World, seconds: i64) {
    world.clock.advance(SignedDuration::from_secs(seconds));
}

async fn serve(world: &World, which: &Which) -> Result<Served, RegistryError> {
    world.registry.serve(&prompt(), which).await
}

fn production() -> Which {
    Which::Label(label("production"))
}

/// The text that was served, and where it came from.
#[track_caller]
fn told(served: Result<Served, RegistryError>) -> (String, ReadFrom) {
    let served = served.unwrap();
    match &served.version.draft.template {
        Template::Text(text) => (text.to_string(), served.source),
        Template::Chat(_) => panic!("it is text"),
    }
}

/// Asks until what is stale was asked for anew; its text then.
async fn revalidated(world: &World, which: &Which) -> (String, ReadFrom) {
    loop {
        match told(serve(world, which).await) {
            (_, ReadFrom::Stale) => tokio::task::yield_now().await,
            fresh => return fresh,
        }
    }
}

#[tokio::test]
async fn it_is_fresh_then_stale_while_it_is_read_again() {
    let world = world().await;
    let first = "text 1".to_owned();
    assert_eq!(
        told(serve(&world, &production()).await),
        (first.clone(), ReadFrom::Registry)
    );
    let requests = world.model.requests();
    advance(&world, 59);
    let served = serve(&world, &production()).await.unwrap();
    assert_eq!((served.source, served.age.as_secs()), (ReadFrom::Cache, 59));
    assert_eq!(world.model.requests(), requests);
    world.model.point(NAME, "production", Some(3));
    advance(&world, 1);
    assert_eq!(told(serve(&world, &production()).await), (first, ReadFrom::Stale));
    assert_eq!(
        revalidated(&world, &production()).await,
        ("text 3".to_owned(), ReadFrom::Cache)
    );
}

#[tokio::test]
async fn without_langfuse_it_is_served_for_a_bounded_time() {
    let world = world().await;
    serve(&world, &production()).await.unwrap();
    world.model.set_away(true);
    advance(&world, 60 + 3_599);
    assert_eq!(
        told(serve(&world, &production()).await),
        ("text 1".to_owned(), ReadFrom::Stale)
    );
    advance(&world, 1);
    let refused = serve(&world, &production()).await;
    assert!(
        matches!(refused, Err(RegistryError::Unavailable(_))),
        "{refused:?}"
    );
    world.model.set_away(false);
    advance(&world, 6);
    assert_eq!(
        told(serve(&world, &production()).await),
        ("text 1".to_owned(), ReadFrom::Registry)
    );
}

#[tokio::test]
async fn a_thousand_who_ask_at_once_are_one_request() {
    let world = world().await;
    let which = production();
    let asking = (0..1_000).map(|_| serve(&world, &which));
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.into_iter().all(|served| told(served).0 == "text 1"));
    assert_eq!(world.model.requests(), 1);
}

#[tokio::test]
async fn a_label_that_is_not_there_is_refused_and_latest_is_no_way_out() {
    let world = world().await;
    let missing = Which::Label(label("staging"));
    let refused = serve(&world, &missing).await.unwrap_err();
    let words = format!("prompt `{NAME}` has no label `staging`");
    assert_eq!(refused, RegistryError::NotFound(words));
    let requests = world.model.requests();
    assert!(serve(&world, &missing).await.is_err());
    assert_eq!(world.model.requests(), requests, "it is remembered for a while");
    serve(&world, &production()).await.unwrap();
    world.model.point(NAME, "production", None);
    advance(&world, 60);
    assert_eq!(told(serve(&world, &production()).await).1, ReadFrom::Stale);
    while serve(&world, &production()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_label_that_moved_is_read_anew_at_once() {
    let world = world().await;
    serve(&world, &production()).await.unwrap();
    assert_eq!(
        world.move_label("production", Some(1), 2).await,
        Ok(MoveOutcome::Moved)
    );
    world.labels(Freshness::Now).await.unwrap();
    assert_eq!(
        told(serve(&world, &production()).await),
        ("text 2".to_owned(), ReadFrom::Registry)
    );
    world.model.point(NAME, "production", Some(3));
    world.labels(Freshness::Told).await.unwrap();
    assert_eq!(told(serve(&world, &production()).await).0, "text 3");
}

#[tokio::test]
async fn a_version_and_its_label_are_one_reading() {
    let world = world().await;
    serve(&world, &production()).await.unwrap();
    let numbered = serve(&world, &Which::Version(version(1))).await.unwrap();
    assert_eq!(numbered.source, ReadFrom::Cache);
    assert!(numbered.labels.contains(&label("production")));
    assert_eq!(world.model.requests(), 1);
}

#[tokio::test]
async fn langfuse_puts_a_prompt_together_from_its_parts() {
    let world = world().await;
    let tag = format!("Be kind. @@@langfusePrompt:name={NAME}|label=production@@@");
    world.model.create("whole", json!(tag));
    let whole = PromptName::new("whole").unwrap();
    let served = world.registry.serve(&whole, &Which::Version(version(1))).await;
    assert_eq!(told(served).0, "Be kind. text 1");
}

#[tokio::test]
async fn a_failure_is_not_asked_about_again_by_everybody() {
    let world = world().await;
    world.model.inject(Call::Read, Fault::Status(500));
    assert!(serve(&world, &production()).await.is_err());
    let requests = world.model.requests();
    for _ in 0..100 {
        assert!(serve(&world, &production()).await.is_err());
    }
    assert_eq!(world.model.requests(), requests);
    advance(&world, 5);
    assert_eq!(told(serve(&world, &production()).await).1, ReadFrom::Registry);
}
