//! The server itself: health, telemetry, and real connections.

use crate::world::{FAREWELL, Setting, World};
use axum::routing::get;
use http_body_util::BodyExt as _;
use serde_json::json;
use serin::api::serve;
use serin::config::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tower::ServiceExt as _;

/// A file that is refused.
const NO_POLICY: &str = "kind: RolloutPolicy\nmetadata: {nme: farewell}\n";

#[tokio::test]
async fn a_bad_policy_file_does_not_make_the_server_unready() {
    let mut world = World::with(Setting {
        policies: &[FAREWELL],
        ..Setting::default()
    })
    .await;
    assert_eq!(world.get("/readyz").await.ok(503)["controller"], false);
    world.tick(1).await;
    assert_eq!(
        world.get("/readyz").await.ok(200),
        json!({
            "ready": true, "store": true, "controller": true, "policies": true, "policyErrors": 0,
            "tickedAt": "2026-11-21T12:00:01Z",
        })
    );
    let mut world = World::with(Setting {
        policies: &[FAREWELL, NO_POLICY],
        ..Setting::default()
    })
    .await;
    world.tick(1).await;
    let ready = world.get("/readyz").await.ok(200);
    assert!(ready["policyErrors"].as_u64().unwrap() > 0, "{ready}");
    let policies = world.get("/v1/policies").await.ok(200);
    assert_eq!(policies["policies"][0]["name"], "farewell");
    let severities = policies["problems"].as_array().unwrap().iter();
    assert!(
        severities.clone().any(|problem| problem["severity"] == "error"),
        "{policies}"
    );
    let metrics = world.get("/metrics").await.text;
    assert!(
        !metrics.contains(r#"serin_policy_problems{severity="error"} 0"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn the_status_says_how_each_policy_stands() {
    let world = World::new().await.with_rollout().await;
    let status = world.get("/v1/status").await.ok(200);
    assert_eq!(status["policies"][0]["text"], "no rollout yet");
    assert_eq!(status["policies"][1]["text"], "step 1: baking until 13:00:01 UTC");
    assert_eq!(status["troubles"], json!([]));
}

#[tokio::test]
async fn telemetry_shows_the_rollout() {
    let world = World::new().await.with_rollout().await;
    let answer = world.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4");
    for line in [
        r#"serin_rollout_phase{phase="ramping",policy="greeting"} 1"#,
        r#"serin_rollout_exposure_ratio{policy="greeting"} 0.5"#,
        r#"serin_rollout_status{policy="farewell"} 1"#,
    ] {
        assert!(
            answer.text.lines().any(|shown| shown == line),
            "{line} is not in {}",
            answer.text
        );
    }
}

/// A server on a real port, until told to stop.
async fn listening(
    world: &World,
    grace: Duration,
) -> (
    TcpStream,
    oneshot::Sender<()>,
    tokio::task::JoinHandle<std::io::Result<()>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (app, front) = (world.app.clone(), world.front.clone());
    let serving = tokio::spawn(async move {
        let shutdown = async move { drop(stopped.await) };
        serve(listener, app, front, shutdown, grace).await
    });
    (TcpStream::connect(address).await.unwrap(), stop, serving)
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(length > 0, "the connection ended after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_ends_streams() {
    let world = World::new().await.with_rollout().await;
    let (mut stream, stop, serving) = listening(&world, Duration::from_secs(60)).await;
    stream
        .write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "event: snapshot").await;
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut_off_and_said() {
    let world = World::new().await;
    let (mut stream, stop, serving) = listening(&world, World::short()).await;
    stream
        .write_all(b"POST /v1/assignments HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut stream, "100 Continue").await;
    stop.send(()).unwrap();
    let error = serving.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn heads_are_bounded() {
    let world = World::new().await;
    let (mut stream, stop, serving) = listening(&world, Duration::from_secs(60)).await;
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    stream.write_all(head.as_bytes()).await.ok();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    drop(stream);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

/// The answer of a route that the console could add, and that goes wrong.
async fn gone_wrong(world: &World, path: &str) -> serde_json::Value {
    async fn panics() {
        panic!("the secret of the house");
    }
    let routes = serin::api::routes(utoipa_axum::router::OpenApiRouter::new())
        .route("/panics", get(panics))
        .route("/hangs", get(std::future::pending::<()>));
    let front = serin::api::wrap(routes, world.app.clone());
    let request = World::request("GET", path, &[], "");
    let response = front.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn a_panic_is_told_by_number_only() {
    let world = World::new().await;
    let problem = gone_wrong(&world, "/panics").await;
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(500), &json!("internal"))
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("the server's log tells more under incident "),
        "{detail}"
    );
    world.get("/healthz").await.ok(200);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let limits = Limits {
        request_timeout: World::short(),
        ..Limits::default()
    };
    let world = World::with(Setting {
        limits,
        ..Setting::default()
    })
    .await;
    let problem = gone_wrong(&world, "/hangs").await;
    assert_eq!(
        (&problem["status"], &problem["code"]),
        (&json!(503), &json!("timed_out"))
    );
}
