//! Labels and versions as Langfuse answers them.

use crate::server::{NAME, label, prompt, version, world};
use axum::http::header;
use jiff::SignedDuration;
use serde_json::json;
use serin::ids::PromptName;
use serin::prompt::Template;
use serin::registry::{Freshness, LabelState, Registry, RegistryError};
use serin::sim::langfuse::{Call, Fault};
use std::collections::BTreeMap;

#[tokio::test]
async fn each_wanted_label_is_asked_for_by_itself_and_unresolved() {
    let world = world().await;
    let wanted = ["production", "canary", "nowhere"].map(label);
    let found = world
        .registry
        .labels(&prompt(), &wanted, Freshness::Now)
        .await
        .unwrap();
    let state = |number| LabelState {
        version: version(number),
        by: None,
    };
    assert_eq!(
        found,
        BTreeMap::from([(label("production"), state(1)), (label("canary"), state(2))])
    );
    let mut asked: Vec<String> = world
        .take_seen()
        .iter()
        .map(|seen| seen.uri.to_string())
        .collect();
    asked.sort();
    let path = "/api/public/v2/prompts/support%2Forder%20status%3F";
    assert_eq!(
        asked,
        [
            format!("{path}?label=canary&resolve=false"),
            format!("{path}?label=nowhere&resolve=false"),
            format!("{path}?label=production&resolve=false"),
        ]
    );
}

#[tokio::test]
async fn requests_say_who_makes_them_and_show_the_keys() {
    let world = world().await;
    world.labels(Freshness::Now).await.unwrap();
    let seen = world.take_seen().remove(0);
    let text = |name| seen.headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        text(header::USER_AGENT.as_str()),
        format!("serin/{}", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(text("x-langfuse-public-key"), "pk-lf-1234");
    assert_eq!(
        text(header::AUTHORIZATION.as_str()),
        "Basic cGstbGYtMTIzNDpzay1sZi01Njc4"
    );
}

#[tokio::test]
async fn a_prompt_that_is_not_there_has_no_labels() {
    let world = world().await;
    let unknown = PromptName::new("nowhere").unwrap();
    let labels = world
        .registry
        .labels(&unknown, &[label("production")], Freshness::Now)
        .await;
    assert_eq!(labels, Ok(BTreeMap::new()));
}

#[tokio::test]
async fn versions_are_read_and_there_are_no_evaluations() {
    let world = world().await;
    let second = world.registry.version(&prompt(), version(2)).await.unwrap();
    assert_eq!(second.version, version(2));
    assert_eq!(second.draft.template, Template::Text("text 2".into()));
    let missing = world.registry.version(&prompt(), version(9)).await;
    let words = format!("prompt `{NAME}` has no version 9");
    assert_eq!(missing, Err(RegistryError::NotFound(words)));
    assert_eq!(
        world.registry.evaluations(&prompt(), version(2)).await,
        Ok(vec![])
    );
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_the_mend_and_without_the_key() {
    let world = world().await;
    let registry = world.with_key("sk-lf-wrong");
    let refused = registry
        .labels(&prompt(), &[label("production")], Freshness::Now)
        .await
        .unwrap_err();
    let RegistryError::Refused(words) = &refused else {
        panic!("{refused:?}");
    };
    assert!(
        words.ends_with("check `publicKey`, `secretKey` and `baseUrl` in the settings"),
        "{words}"
    );
    assert!(!format!("{refused:?} {registry:?}").contains("wrong"));
}

#[tokio::test]
async fn what_is_not_langfuse_says_nothing_about_labels() {
    let world = world().await;
    // A label that seems to be gone would pause the rollout.
    for status in [404, 500, 502, 422, 409, 302] {
        world.model.inject(Call::Read, Fault::Status(status));
    }
    world.model.inject(Call::Read, Fault::Lost);
    let mut unavailable = 0;
    for _ in 0..7 {
        let read = world
            .registry
            .labels(&prompt(), &[label("production")], Freshness::Now)
            .await;
        unavailable += usize::from(matches!(read, Err(RegistryError::Unavailable(_))));
        // The model's 404 is Langfuse's own: then the label is not there, and that is an answer.
        assert!(read.is_err() || read == Ok(BTreeMap::new()), "{read:?}");
    }
    assert_eq!(unavailable, 5, "all but 404 and 302");
    assert!(world.labels(Freshness::Now).await.is_ok());
}

#[tokio::test]
async fn looks_are_no_denser_than_the_settings_say() {
    let world = world().await;
    let looks = async |freshness| {
        world.take_seen();
        world.labels(freshness).await.unwrap();
        world.take_seen().len()
    };
    assert_eq!(looks(Freshness::Polled).await, 2);
    world.model.point(NAME, "canary", Some(3));
    assert_eq!(looks(Freshness::Polled).await, 0);
    world.clock.advance(SignedDuration::from_millis(4_999));
    assert_eq!(looks(Freshness::Polled).await, 0);
    let before = world.labels(Freshness::Polled).await.unwrap();
    assert_eq!(before[&label("canary")].version, version(2));
    assert_eq!(looks(Freshness::Now).await, 2, "somebody waits");
    let after = world.labels(Freshness::Polled).await.unwrap();
    assert_eq!(after[&label("canary")].version, version(3));
    world.clock.advance(SignedDuration::from_secs(5));
    assert_eq!(looks(Freshness::Polled).await, 2);
    world.clock.advance(SignedDuration::from_secs(-60));
    assert_eq!(looks(Freshness::Polled).await, 2, "the clock was put back");
}

#[tokio::test]
async fn a_reference_to_another_prompt_that_leads_nowhere_hides_no_label() {
    let world = world().await;
    let text = "@@@langfusePrompt:name=gone|label=production@@@";
    let composed = world.model.create(NAME, json!(text));
    world.model.point(NAME, "canary", Some(composed));
    let labels = world.labels(Freshness::Now).await.unwrap();
    assert_eq!(labels[&label("canary")].version, version(composed));
}
