//! `serin hash --scheme …`: the vectors of other systems, row by row, and rows that have no answer.

use super::world::{Ran, serin, serin_reading, serin_with};
use serde_json::{Map, Value, json};

const VECTORS: [(&str, &str); 9] = [
    (
        "growthbook-v1",
        include_str!("../conformance/assignment/growthbook-v1.public.json"),
    ),
    (
        "growthbook-v2",
        include_str!("../conformance/assignment/growthbook-v2.public.json"),
    ),
    (
        "unleash",
        include_str!("../conformance/assignment/unleash.public.json"),
    ),
    (
        "launchdarkly",
        include_str!("../conformance/assignment/launchdarkly.public.json"),
    ),
    (
        "flagd-v2",
        include_str!("../conformance/assignment/flagd.public.json"),
    ),
    (
        "flagd-v3",
        include_str!("../conformance/assignment/flagd-v3.public.json"),
    ),
    ("eppo", include_str!("../conformance/assignment/eppo.public.json")),
    (
        "optimizely",
        include_str!("../conformance/assignment/optimizely.public.json"),
    ),
    (
        "statsig",
        include_str!("../conformance/assignment/statsig.public.json"),
    ),
];

/// Kinds of rows that ask for more than a hash.
const EVALUATED: [&str; 4] = ["spec", "ufc", "choose", "ranges"];

fn rows(vectors: &str) -> Vec<Map<String, Value>> {
    serde_json::from_str(vectors).unwrap()
}

fn needs_evaluation(row: &Map<String, Value>) -> bool {
    EVALUATED.contains(&row["kind"].as_str().unwrap())
}

/// `rows` as lines, without what is expected of them.
fn asked(rows: &[Map<String, Value>]) -> String {
    let lines = rows.iter().map(|row| {
        let fields = row.iter().filter(|(name, _)| !name.starts_with("expect"));
        let row: Map<String, Value> = fields
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        format!("{}\n", Value::Object(row))
    });
    lines.collect()
}

fn hash(scheme: &str, input: &str) -> Ran {
    serin_reading(input, &[], &["hash", "--scheme", scheme])
}

fn is_same(found: &Value, expected: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
        _ => found == expected,
    }
}

#[test]
fn every_row_of_every_scheme_is_what_its_sdks_say() {
    for (scheme, vectors) in VECTORS {
        let rows: Vec<_> = rows(vectors)
            .into_iter()
            .filter(|row| !needs_evaluation(row))
            .collect();
        assert!(rows.len() > 100, "{scheme}");
        let answered = hash(scheme, &asked(&rows)).json_lines();
        assert_eq!(answered.len(), rows.len(), "{scheme}");
        for (row, answer) in rows.iter().zip(answered) {
            for (field, expected) in row {
                let found = &answer[field];
                assert!(
                    is_same(found, expected),
                    "{scheme}, `{field}` of {row:?}: {found}"
                );
            }
        }
    }
}

#[test]
fn users_at_a_boundary_get_what_the_real_sdks_gave_them() {
    let rows = rows(include_str!("../conformance/assignment/boundaries.json"));
    for (scheme, at_least) in [
        ("flagd-v3", 50),
        ("launchdarkly", 30),
        ("eppo", 50),
        ("optimizely", 50),
        ("statsig", 80),
    ] {
        let rows: Vec<_> = rows
            .iter()
            .filter(|row| row["scheme"] == scheme)
            .cloned()
            .collect();
        assert!(rows.len() >= at_least, "{scheme}");
        for (row, answer) in rows.iter().zip(hash(scheme, &asked(&rows)).json_lines()) {
            for (field, expected) in row {
                assert!(
                    is_same(&answer[field], expected),
                    "{scheme}, `{field}` of {row:?}: {answer}"
                );
            }
            // What these SDKs decide by a shard or a bucket, the row has beside it.
            if let Some(is_in) = row.get("is_in") {
                let place = answer.get("expect_shard").unwrap_or(&answer["expect_bucket"]);
                let is_below = place.as_u64().unwrap() < row["end"].as_u64().unwrap();
                assert_eq!(is_in, &Value::Bool(is_below), "{row:?}");
            }
        }
    }
}

#[test]
fn both_readings_of_a_rollout_s_edge_are_given() {
    let mut edges = 0;
    for (scheme, vectors) in &VECTORS[..2] {
        for row in rows(vectors) {
            if row["kind"] == "rollout-boundary" {
                let answer = &hash(scheme, &asked(&[row])).json_lines()[0];
                assert_eq!(answer["expect_bucket"], answer["coverage"]);
                assert_eq!(answer["expect_in_js_1.8.0"], true);
                assert_eq!(answer["expect_in_python_4.0.0_rust_0.4.0"], false);
                edges += 1;
            }
        }
    }
    assert!(edges > 10, "{edges}");
}

#[test]
fn rows_that_need_an_evaluation_say_so_and_the_others_are_answered() {
    let mut refused = 0;
    for (scheme, vectors) in VECTORS {
        let rows = rows(vectors);
        let evaluated = rows.iter().filter(|row| needs_evaluation(row)).count();
        if evaluated == 0 {
            continue;
        }
        let ran = hash(scheme, &asked(&rows));
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let summary = format!("error: {evaluated} of {} rows have no answer\n", rows.len());
        assert!(ran.stderr.starts_with(&summary), "{}", ran.stderr);
        for (at, (row, line)) in rows.iter().zip(ran.stdout.lines()).enumerate() {
            let answer: Value = serde_json::from_str(line).unwrap();
            let error = answer["error"].as_str();
            assert_eq!(error.is_some(), needs_evaluation(row), "{line}");
            if let Some(error) = error {
                let begins = format!("line {}: `kind` is `{}`", at + 1, row["kind"].as_str().unwrap());
                assert!(error.starts_with(&begins), "{error}");
                assert!(
                    error.ends_with("that takes the evaluation of a feature, and this verb hashes only"),
                    "{error}"
                );
            }
        }
        refused += evaluated;
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn bad_rows_name_their_line_and_field() {
    let refusal = |scheme: &str, row: &str| {
        let ran = hash(scheme, &format!("\n{row}\n"));
        assert_eq!(ran.code, 1, "{row}");
        let answer: Value = serde_json::from_str(ran.stdout.trim_end()).unwrap();
        let error = answer["error"].as_str().unwrap();
        error
            .strip_prefix("line 2: ")
            .unwrap_or_else(|| panic!("{error}"))
            .to_owned()
    };
    for (scheme, row, error) in [
        (
            "growthbook-v2",
            r#"{"kind": "hash", "seed": "s"}"#,
            "`id` is missing",
        ),
        (
            "growthbook-v2",
            r#"{"kind": "hash", "seed": 1, "id": "a"}"#,
            "`seed` must be a string",
        ),
        (
            "growthbook-v2",
            r#"{"kind": "range", "seed": "s", "id": "a", "range": [0]}"#,
            "`range` must be two numbers",
        ),
        (
            "growthbook-v1",
            r#"{"kind": "namespace", "namespace": ["n", 0], "id": "a"}"#,
            "`namespace` must be a name and two numbers",
        ),
        (
            "unleash",
            r#"{"kind": "rollout", "group": "g", "id": "a", "rollout": 0.5}"#,
            "`rollout` must be a whole number from 0 to 4294967295",
        ),
        (
            "unleash",
            r#"{"kind": "varient", "group": "g"}"#,
            "`kind` is `varient`, did you mean `variant`?; it must be one of `bucket`, `rollout`, `variant`",
        ),
        (
            "flagd-v2",
            r#"{"scheme": "flagd-v3", "kind": "shorthand"}"#,
            "`scheme` must be `flagd-v2`, as `--scheme` says",
        ),
        (
            "flagd-v2",
            r#"{"kind": "shorthand", "flag": "f", "id": "a", "dist": [["a", 0.5]]}"#,
            "`dist` must be a list of pairs, each a name and a whole number",
        ),
        (
            "eppo",
            r#"{"kind": "shard", "salt": "s", "id": "a", "total": 0}"#,
            "`total` must be at least 1",
        ),
        ("optimizely", "[]", "the line is not a JSON object"),
        ("statsig", r#"{"id": "a"}"#, "`kind` is missing"),
        (
            "launchdarkly",
            r#"{"kind": "bucket", "key": "k", "salt": "s", "seed": 0.5, "id": "a"}"#,
            "`seed` must be a whole number or null",
        ),
    ] {
        assert_eq!(refusal(scheme, row), error, "{row}");
    }
    assert!(refusal("statsig", "{").starts_with("the line is not JSON: EOF"));
}

#[test]
fn users_without_a_key_are_answered_as_the_sdks_do() {
    let answer = |scheme: &str, row: Value| hash(scheme, &row.to_string()).json_lines().remove(0);
    let null = |row: &mut Value| row["id"] = Value::Null;
    let mut row = json!({"kind": "shorthand", "flag": "f", "id": 7, "dist": [["a", 1], ["b", 0]]});
    for scheme in ["flagd-v2", "flagd-v3"] {
        assert_eq!(answer(scheme, row.clone())["expect_variant"], "a");
    }
    null(&mut row);
    assert_eq!(answer("flagd-v3", row)["expect_variant"], Value::Null);
    let mut row =
        json!({"kind": "bucket", "key": "k", "salt": "s", "id": 7, "weights": [[3, 1], [4, 99_999]]});
    assert_eq!(answer("launchdarkly", row.clone())["expect_variation"], 4);
    null(&mut row);
    let found = answer("launchdarkly", row);
    assert_eq!(
        (&found["expect_bucket"], &found["expect_variation"]),
        (&json!(0.0), &json!(3))
    );
    let row = json!({"kind": "rollout", "group": "g", "id": "", "rollout": 100});
    assert_eq!(answer("unleash", row)["expect_in"], false);
}

#[test]
fn an_unknown_scheme_is_a_usage_error_with_a_suggestion() {
    let ran = serin(&["hash", "--scheme", "growthbook-v3"]);
    assert_eq!(ran.code, 2, "{}", ran.page());
    assert!(ran.stderr.contains("growthbook-v2"), "{}", ran.stderr);
    assert!(ran.stderr.contains("similar value"), "{}", ran.stderr);
}

#[test]
fn users_lie_on_the_line_of_a_policy_s_scheme_without_a_secret() {
    let args = ["hash", "--scheme", "unleash", "--salt", "my-group", "anna", "bob"];
    insta::assert_snapshot!(serin_with(&[], &args).good(), @r"
    USER  BUCKET                  SHARE  CLUSTER
    anna  6a7ef9db22d0e561  41.6000000%        –
    bob   553f7ced916872b1  33.3000000%        –
    ");
    let ran = serin(&["hash", "--scheme", "unleash", "--salt", "s"]);
    assert_eq!(ran.code, 2, "{}", ran.page());
}
