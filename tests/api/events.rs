//! The stream of events.

use crate::world::{Setting, World};
use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use serin::config::Limits;

/// A client that follows the events.
struct Follower {
    body: BodyDataStream,
    text: String,
}

impl Follower {
    async fn of(world: &World) -> Self {
        let request = Request::get("/v1/events").body(Body::empty()).unwrap();
        let response = world.respond(request).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event; none when the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                let found = field("event: ").zip(field("data: "));
                self.text = rest.to_owned();
                if let Some((name, data)) = found {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let bytes = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

#[tokio::test]
async fn a_follower_is_told_everything_and_then_what_changes() {
    let mut world = World::new().await.with_rollout().await;
    let mut follower = Follower::of(&world).await;
    let (name, rollout) = follower.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &rollout["phase"]["code"]),
        ("rollout", &json!("ramping"))
    );
    let (name, snapshot) = follower.next().await.unwrap();
    assert_eq!(name, "snapshot");
    world.tick(2).await;
    world
        .post("/v1/rollouts/r1/rollback", json!({"reason": "enough"}))
        .await
        .ok(200);
    let (name, rollout) = follower.next().await.unwrap();
    assert_eq!(name, "rollout");
    assert!(
        ["rolling_back", "rolled_back"].contains(&rollout["phase"]["code"].as_str().unwrap()),
        "{rollout}"
    );
    let mut newer = follower.next().await.unwrap();
    while newer.0 != "snapshot" {
        newer = follower.next().await.unwrap();
    }
    assert!(newer.1["number"].as_u64() > snapshot["number"].as_u64());
}

#[tokio::test]
async fn followers_are_bounded_and_go_when_the_server_stops() {
    let limits = Limits {
        event_subscribers_max: 1,
        ..Limits::default()
    };
    let world = World::with(Setting {
        limits,
        ..Setting::default()
    })
    .await;
    let mut follower = Follower::of(&world).await;
    let answer = world.get("/v1/events").await;
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(
        answer.problem(503, "overloaded"),
        "1 clients follow the events already"
    );
    assert_eq!(follower.next().await.unwrap().0, "snapshot");
    drop(follower);
    let mut next = Follower::of(&world).await;
    assert_eq!(next.next().await.unwrap().0, "snapshot");
    world.app.stop();
    assert_eq!(next.next().await, None);
}
