//! What an open page is told.

use crate::world::World;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use std::time::Duration;
use tower::ServiceExt as _;

/// Only a page that is never told takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_open_page_is_told_that_its_rollout_has_new_numbers() {
    let mut world = World::new().await.with_rollout().await;
    let request = Request::get("/events?policy=greeting").header("host", "127.0.0.1:8080");
    let answer = world
        .front
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let told = tokio::spawn(async move { body.frame().await.unwrap().unwrap().into_data().unwrap() });
    // What there is when the stream is first looked at is no news, so it goes on until there is some.
    let lived = async {
        while !told.is_finished() {
            world.observe(5, 0.85).await;
        }
    };
    tokio::time::timeout(PATIENCE, lived).await.unwrap();
    // Browsers throw away an event without data.
    assert_eq!(told.await.unwrap(), "event: changed\ndata: ask again\n\n");
}
