//! Lines that are right, and every way in which one can be wrong.

use crate::counts;
use crate::world::World;
use serde_json::{Value, json};
use serin::source::refusal::RefusalCode;
use std::collections::BTreeSet;

/// The code and the detail of the only line of a request.
async fn refusal(world: &World, line: &str) -> (String, String) {
    let answer = world.observe(line).await;
    let error = answer.json()["errors"][0].clone();
    answer.problem(422, "all_refused");
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    assert_eq!(error["line"], 1);
    (text("code"), text("detail"))
}

#[tokio::test]
async fn objects_arrays_and_lines_are_counted_alike() {
    let mut world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("treatment").await;
    let one = json!({"policy": "greeting", "user": user, "metrics": {"faithfulness": 0.5, "errors": false}});
    assert_eq!(
        world.post("/v1/observations", one.clone()).await.ok(200)["accepted"],
        1
    );
    assert_eq!(
        world.post("/v1/observations", json!([one, one])).await.ok(200)["accepted"],
        2
    );
    let lines = format!("{one}\r\n\n  \n{one}");
    assert_eq!(world.observe(&lines).await.ok(200)["accepted"], 2);
    assert_eq!(
        world.post("/v1/observations", json!([])).await.ok(200)["accepted"],
        0
    );
    assert_eq!(world.observe("").await.ok(200)["accepted"], 0);
    assert_eq!(counts(&mut world, "faithfulness").await, (0, 5));
    assert_eq!(counts(&mut world, "errors").await, (0, 5));
    let metrics = world.get("/metrics").await.text;
    let counted = r#"serin_observations_total{arm="treatment",metric="errors",policy="greeting"} 5"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(!metrics.contains(&user), "{metrics}");
}

#[tokio::test]
async fn compressed_bodies_are_read() {
    let mut world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("control").await;
    let line = json!({"policy": "greeting", "user": user, "metrics": {"errors": 1}}).to_string();
    let packed = zstd::encode_all(line.as_bytes(), 3).unwrap();
    let headers = [
        ("content-type", "application/x-ndjson"),
        ("content-encoding", "zstd"),
    ];
    world
        .send(World::request_bytes("POST", "/v1/observations", &headers, packed))
        .await
        .ok(200);
    assert_eq!(counts(&mut world, "errors").await, (1, 0));
}

#[tokio::test]
async fn good_lines_count_beside_bad_ones_and_each_bad_one_is_named() {
    let mut world = World::new().await.with_rollout().await;
    let (user, _) = world.user_in("treatment").await;
    let good = json!({"policy": "greeting", "user": user, "metrics": {"errors": 0}});
    let half = json!({"policy": "greeting", "user": user, "metrics": {"errors": 0, "faithfulness": 7}});
    let lines = format!("{good}\n\n{half}\nnonsense\n{good}\n");
    let answer = world.observe(&lines).await.ok(200);
    assert_eq!(answer["accepted"], 2);
    assert_eq!(
        answer["refused"],
        json!([
            {"line": 3, "code": "out_of_range", "detail": "`faithfulness` is 7, and must be from 0 to 1"},
            {"line": 4, "code": "malformed", "detail": "not a JSON object"},
        ])
    );
    // The line with one bad value is refused whole.
    assert_eq!(counts(&mut world, "errors").await, (0, 2));
    let metrics = world.get("/metrics").await.text;
    assert!(
        metrics.contains(r#"serin_observations_refused_total{reason="malformed"} 1"#),
        "{metrics}"
    );
}

/// Lines that say about whom and what in the wrong way, with their codes.
fn wrong_fields() -> Vec<(String, &'static str)> {
    let long = "x".repeat(257);
    vec![
        ("5".to_owned(), "malformed"),
        (r#"{"policy": "greeting""#.to_owned(), "malformed"),
        (r#"{"policy": "greeting"} x"#.to_owned(), "malformed"),
        (
            r#"{"user": "u", "metrics": {"errors": 0}}"#.to_owned(),
            "unknown_policy",
        ),
        (
            r#"{"policy": "greetin", "user": "u", "metrics": {"errors": 0}}"#.to_owned(),
            "unknown_policy",
        ),
        (
            r#"{"policy": 5, "user": "u", "metrics": {"errors": 0}}"#.to_owned(),
            "bad_field",
        ),
        (line(r#""usr": "u""#, "errors", "0"), "unknown_key"),
        (
            line(r#""user": "u", "user": "v""#, "errors", "0"),
            "duplicate_key",
        ),
        (line(r#""arm": "control""#, "errors", "0"), "no_user_or_receipt"),
        (line(r#""user": """#, "errors", "0"), "bad_user"),
        (line(&format!(r#""user": "{long}""#), "errors", "0"), "bad_user"),
        (line(r#""user": 7"#, "errors", "0"), "bad_field"),
        (
            line(r#""receipt": "AQECTVW2qqw8ZgwZ""#, "errors", "0"),
            "bad_receipt",
        ),
        (line(r#""receipt": "x""#, "errors", "0"), "bad_receipt"),
        (
            line(r#""user": "u", "version": 0"#, "errors", "0"),
            "fallback_version",
        ),
        (line(r#""user": "u", "version": -1"#, "errors", "0"), "bad_field"),
        (
            line(r#""user": "u", "version": 4294967296"#, "errors", "0"),
            "bad_field",
        ),
        (
            line(r#""user": "u", "arm": "canary""#, "errors", "0"),
            "bad_field",
        ),
        (
            line(&format!(r#""user": "u", "id": "{long}""#), "errors", "0"),
            "bad_field",
        ),
        (line(r#""user": "u", "id": """#, "errors", "0"), "bad_field"),
    ]
}

/// Lines with wrong values, with their codes.
fn wrong_values() -> Vec<(String, &'static str)> {
    vec![
        (r#"{"policy": "greeting", "user": "u"}"#.to_owned(), "no_metrics"),
        (
            r#"{"policy": "greeting", "user": "u", "metrics": {}}"#.to_owned(),
            "no_metrics",
        ),
        (
            r#"{"policy": "greeting", "user": "u", "metrics": [1]}"#.to_owned(),
            "bad_field",
        ),
        (line(r#""user": "u""#, "error", "0"), "unknown_metric"),
        (line(r#""user": "u""#, "errors", "0.5"), "out_of_range"),
        (line(r#""user": "u""#, "errors", "2"), "out_of_range"),
        (line(r#""user": "u""#, "errors", "\"0\""), "not_a_number"),
        (line(r#""user": "u""#, "errors", "\"NaN\""), "not_a_number"),
        (line(r#""user": "u""#, "errors", "null"), "not_a_number"),
        (line(r#""user": "u""#, "faithfulness", "true"), "not_a_number"),
        (
            line(r#""user": "u""#, "faithfulness", "\"Infinity\""),
            "not_a_number",
        ),
        (line(r#""user": "u""#, "faithfulness", "[0.5]"), "not_a_number"),
        (line(r#""user": "u""#, "faithfulness", "-0.01"), "out_of_range"),
        (line(r#""user": "u""#, "faithfulness", "1e400"), "out_of_range"),
        (line(r#""user": "u""#, "faithfulness", "NaN"), "malformed"),
        (
            line(r#""user": "u""#, "faithfulness", "0.5, \"faithfulness\": 0.5"),
            "duplicate_key",
        ),
        (too_many_metrics(), "too_many_metrics"),
    ]
}

#[tokio::test]
async fn every_mistake_has_its_code_and_its_mend() {
    let world = World::new().await.with_rollout().await;
    let cases = [wrong_fields(), wrong_values()].concat();
    for (line, expected) in &cases {
        let (code, detail) = refusal(&world, line).await;
        assert_eq!(&code, expected, "{line}: {detail}");
        assert!(!detail.ends_with('.') && !detail.contains("xxxx"), "{detail}");
    }
    let named: BTreeSet<&str> = cases.iter().map(|(_, code)| *code).collect();
    let all = RefusalCode::ALL.map(RefusalCode::as_str);
    let missing: Vec<&str> = all.into_iter().filter(|code| !named.contains(code)).collect();
    assert_eq!(missing, ["receipt_of_other_policy"], "it has a test of its own");
}

fn line(fields: &str, metric: &str, value: &str) -> String {
    format!(r#"{{"policy": "greeting", {fields}, "metrics": {{"{metric}": {value}}}}}"#)
}

fn too_many_metrics() -> String {
    let metrics: serde_json::Map<String, Value> =
        (0..65).map(|number| (format!("m{number}"), json!(0))).collect();
    json!({"policy": "greeting", "user": "u", "metrics": metrics}).to_string()
}

#[tokio::test]
async fn slips_are_met_with_the_word_that_was_meant() {
    let world = World::new().await.with_rollout().await;
    for (line, hint) in [
        (
            r#"{"polcy": "greeting", "user": "u", "metrics": {"errors": 0}}"#.to_owned(),
            "policy",
        ),
        (
            r#"{"policy": "greetin", "user": "u", "metrics": {"errors": 0}}"#.to_owned(),
            "greeting",
        ),
        (line(r#""user": "u""#, "faithfullness", "0.5"), "faithfulness"),
    ] {
        let (_, detail) = refusal(&world, &line).await;
        assert!(detail.ends_with(&format!(", did you mean `{hint}`?")), "{detail}");
    }
}

#[tokio::test]
async fn escapes_in_text_mean_what_they_say() {
    let world = World::new().await.with_rollout().await;
    let line = r#"{"\u0070olicy": "greet\u0069ng", "user": "\u0061nn\u00e9", "metrics": {"err\u006frs": 1}}"#;
    assert_eq!(world.observe(line).await.ok(200)["accepted"], 1);
}

#[tokio::test]
async fn what_is_not_utf_8_is_one_bad_line() {
    let world = World::new().await.with_rollout().await;
    let good = line(r#""user": "u""#, "errors", "0");
    let mut body = good.clone().into_bytes();
    body.extend_from_slice(b"\n{\"policy\": \"\xff\"}\n");
    body.extend_from_slice(good.as_bytes());
    let headers = [("content-type", "application/x-ndjson")];
    let answer = world
        .send(World::request_bytes("POST", "/v1/observations", &headers, body))
        .await
        .ok(200);
    assert_eq!(answer["accepted"], 2);
    assert_eq!(
        answer["refused"],
        json!([{"line": 2, "code": "malformed", "detail": "not UTF-8"}])
    );
}

#[tokio::test]
async fn bodies_whose_lines_cannot_be_told_apart_are_refused_whole() {
    let world = World::new().await.with_rollout().await;
    let json = [("content-type", "application/json; charset=utf-8")];
    for (body, status, code) in [
        ("", 400, "malformed_body"),
        ("[{}", 400, "malformed_body"),
        ("[{},]", 400, "malformed_body"),
        ("{} {}", 400, "malformed_body"),
        ("5", 400, "bad_field"),
        ("null", 400, "bad_field"),
    ] {
        let request = World::request("POST", "/v1/observations", &json, body);
        world.send(request).await.problem(status, code);
    }
    let empty_object = world
        .send(World::request("POST", "/v1/observations", &json, "{}"))
        .await;
    empty_object.problem(422, "all_refused");
    let many = "{}\n".repeat(10_001);
    world.observe(&many).await.problem(413, "too_many_observations");
    let many = format!("[{}5]", "5,".repeat(10_000));
    let request = World::request("POST", "/v1/observations", &json, &many);
    world.send(request).await.problem(413, "too_many_observations");
}
