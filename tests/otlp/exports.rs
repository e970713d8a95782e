//! Requests and answers.

use crate::spans::{TRACES, call, counted, export, first, outcomes, send, series, traced};
use crate::world::{Answer, Setting, World};
use serde_json::{Value, json};
use serin::api::access::AccessMode;
use std::io::Write as _;

const LANGFUSE: &str = "/api/public/otel/v1/traces";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

async fn send_bytes(world: &World, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    world
        .send(World::request_bytes("POST", path, headers, body))
        .await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_may_be_compressed_and_go_to_both_paths() {
    let mut world = traced().await;
    let body = |trace: u32| {
        export(&[call(trace, 1, 2), first(trace, "user-1")])
            .to_string()
            .into_bytes()
    };
    for (trace, path, encoding, body) in [
        (1, TRACES, "identity", body(1)),
        (2, TRACES, "gzip", gzip(&body(2))),
        (
            3,
            LANGFUSE,
            "zstd",
            zstd::encode_all(body(3).as_slice(), 0).unwrap(),
        ),
        (4, LANGFUSE, "gzip", gzip(&body(4))),
    ] {
        let headers = [("content-type", JSON), ("content-encoding", encoding)];
        let answer = send_bytes(&world, path, &headers, body).await;
        assert_eq!(answer.headers["content-type"], JSON);
        assert_eq!(answer.ok(200), json!({}));
        assert_eq!(counted(&mut world, "latency").await, [0, trace]);
    }
}

#[tokio::test]
async fn a_wrong_span_is_refused_and_the_others_count() {
    let mut world = traced().await;
    let mut wrong = call(1, 2, 2);
    wrong["spanId"] = json!("00");
    let answer = world
        .post(TRACES, export(&[call(1, 1, 2), wrong, first(1, "user-1")]))
        .await
        .ok(200);
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1");
    let message = answer["partialSuccess"]["errorMessage"].as_str().unwrap();
    assert!(message.contains("the span id must be 8 bytes"), "{message}");
    assert_eq!(counted(&mut world, "latency").await, [0, 1]);
    assert_eq!(outcomes(&world).await["rejected"], 1);
}

#[tokio::test]
async fn a_body_that_is_no_export_is_refused_in_its_encoding() {
    let world = traced().await;
    let answer = send_bytes(&world, TRACES, &[("content-type", JSON)], b"[".to_vec()).await;
    assert_eq!(answer.headers["content-type"], JSON);
    let status = answer.ok(400);
    assert_eq!(status["code"], 3);
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .contains("ExportTraceServiceRequest")
    );
    let answer = send_bytes(&world, TRACES, &[("content-type", PROTOBUF)], vec![0x0a, 0xff]).await;
    assert_eq!(answer.headers["content-type"], PROTOBUF);
    assert!(answer.ok_text(400).starts_with("\u{8}\u{3}\u{12}"));
    assert_eq!(
        series(&world, r#"serin_source_up{source="otlp"}"#).await,
        Some(0.0)
    );
    send(&world, &[]).await;
    assert_eq!(
        series(&world, r#"serin_source_up{source="otlp"}"#).await,
        Some(1.0)
    );

    let answer = send_bytes(&world, TRACES, &[("content-type", "text/plain")], Vec::new()).await;
    answer.problem(415, "unsupported_media_type");
    let too_large = vec![b' '; 65 * 1024];
    let answer = send_bytes(&world, TRACES, &[("content-type", JSON)], too_large).await;
    assert_eq!(answer.ok(413)["code"], 8);
    let headers = [("content-type", JSON), ("content-encoding", "br")];
    let answer = send_bytes(&world, TRACES, &headers, Vec::new()).await;
    assert_eq!(answer.ok(415)["code"], 3);
    world.get(TRACES).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_token_that_may_observe_is_needed_where_any_is() {
    let setting = Setting {
        mode: AccessMode::Tokens,
        ..Setting::default()
    };
    let world = World::with(setting).await;
    let body = || export(&[]).to_string().into_bytes();
    let headers = [("content-type", JSON), ("authorization", "Bearer srn_unknown")];
    let answer: Value = send_bytes(&world, TRACES, &headers, body()).await.ok(401);
    assert_eq!(answer["code"], 16);
    let answer = send_bytes(&world, TRACES, &[("content-type", JSON)], body()).await;
    assert_eq!(answer.ok(401)["code"], 16);
}
