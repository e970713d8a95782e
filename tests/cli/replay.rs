//! `serin replay`: a recorded stream, and what the policy would have done.

use super::world::{serin, serin_reading, serin_with};
use serde_json::json;
use std::path::Path;

const POLICY: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: answer}
spec:
  prompt: answer
  steps:
    - {exposure: 50%, bake: 20s, samples: 20, approval: required}
    - {exposure: 100%, bake: 10s}
  watch: 10s
  analysis: {every: 1s}
  metrics:
    - {name: quality, kind: score, margin: 0.3}
    - {name: errors, kind: rate, better: lower, margin: 40pp, role: watched}
";

const SECRET: (&str, &str) = (
    "SERIN_SECRET",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
);

/// A folder with the policy.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("answer.yaml"), POLICY).unwrap();
    folder
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

/// One line for each of eight users a second, half of them in treatment.
fn record(seconds: u32, quality_of_treatment: f64) -> String {
    let mut text = String::new();
    for number in 0..seconds * 8 {
        let is_treated = number % 2 == 1;
        let spread = f64::from(number % 5) * 0.02;
        let quality = spread + if is_treated { quality_of_treatment } else { 0.8 };
        let (arm, version) = if is_treated {
            ("treatment", 4)
        } else {
            ("control", 3)
        };
        let line = json!({
            "time": 1_795_269_730 + number / 8, "policy": "answer", "user": format!("user-{number}"), "arm": arm,
            "version": version, "metrics": {"quality": quality, "errors": u8::from(number % 50 == 0)},
        });
        text.push_str(&format!("{line}\n"));
    }
    text
}

#[test]
fn a_bad_candidate_is_told_with_the_line_that_gave_it_away() {
    let folder = folder();
    let policy = path(folder.path(), "answer.yaml");
    let mut lines: Vec<String> = record(60, 0.3).lines().map(str::to_owned).collect();
    lines.insert(
        2,
        r#"{"time": 1795269730, "user": "user-2", "metrics": {"quality": 0.8}}"#.to_owned(),
    );
    lines.insert(
        4,
        r#"{"time": "yesterday", "user": "user-2", "arm": "control"}"#.to_owned(),
    );
    lines.insert(6, r#"{"time": 1795269730, "policy": "greeting", "user": "user-2", "arm": "control", "metrics": {"x": 1}}"#.to_owned());
    std::fs::write(folder.path().join("record.ndjson"), lines.join("\n")).unwrap();
    let args = [
        "replay",
        &policy,
        &path(folder.path(), "record.ndjson"),
        "--planned",
        "50%",
    ];
    insta::assert_snapshot!(serin(&args).page());
}

#[test]
fn a_good_candidate_is_told_step_by_step() {
    let folder = folder();
    let policy = path(folder.path(), "answer.yaml");
    let compressed = zstd::encode_all(record(60, 0.8).as_bytes(), 3).unwrap();
    std::fs::write(folder.path().join("record.zst"), compressed).unwrap();
    let record = path(folder.path(), "record.zst");
    let args = ["replay", &policy, &record, "--stable", "3", "--candidate", "4"];
    insta::assert_snapshot!(serin(&args).page());
}

#[test]
fn programs_get_one_document() {
    let folder = folder();
    let policy = path(folder.path(), "answer.yaml");
    let told = serin_reading(&record(60, 0.8), &[], &["replay", &policy, "-", "--json"]).json();
    let moves: Vec<(u64, &str, &str)> = told["moves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|moved| {
            let line = moved["line"].as_u64().unwrap_or(0);
            (
                line,
                moved["at"].as_str().unwrap(),
                moved["text"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        (
            0,
            "2026-11-21T14:02:10Z",
            "pending → step 1: every gate before the start is open",
        ),
        (
            160,
            "2026-11-21T14:02:30Z",
            "step 1: assumed-1 asked for it: assumed in a rehearsal",
        ),
        (
            160,
            "2026-11-21T14:02:30Z",
            "step 1 → step 2: every guardrail passed, and bake and samples were met",
        ),
        (
            240,
            "2026-11-21T14:02:40Z",
            "step 2 → promoting: every guardrail passed, and bake and samples were met",
        ),
        (
            240,
            "2026-11-21T14:02:40Z",
            "promoting → watching: the labels are where they should be",
        ),
        (
            320,
            "2026-11-21T14:02:50Z",
            "watching → promoted: it was watched long enough after its promotion",
        ),
    ];
    assert_eq!(moves, expected);
    assert_eq!(told["end"]["phase"]["code"], "promoted");
    assert_eq!(told["end"]["line"], 320);
    assert_eq!(told["lines"]["used"], json!({"control": 160, "treatment": 160}));
    assert!(
        told["moves"][2]["assessment"]["metrics"][0]["logENonInferior"]
            .as_f64()
            .unwrap()
            > 3.0
    );
}

#[test]
fn a_rollout_waits_for_approvals_that_are_withheld() {
    let folder = folder();
    let policy = path(folder.path(), "answer.yaml");
    let args = ["replay", &policy, "-", "--json", "--approvals", "withheld"];
    let told = serin_reading(&record(60, 0.8), &[], &args).json();
    assert_eq!(
        told["end"]["stay"]["text"],
        "waiting for approval to leave step 1: 0 of 1 given"
    );
    assert_eq!(told["end"]["exposure"], 0.5);
}

#[test]
fn a_record_that_says_nothing_of_this_policy_is_a_failure() {
    let folder = folder();
    let policy = path(folder.path(), "answer.yaml");
    let line =
        r#"{"time": 1795269730, "policy": "greeting", "user": "ann", "arm": "control", "metrics": {"x": 1}}"#;
    insta::assert_snapshot!(serin_reading(line, &[], &["replay", &policy, "-"]).page(), @"
    exit code 1
    -- stdout
    answer
      50% 100%

    LINES
      1 read
      0 counted: 0 of control and 0 of treatment, of 0 users while both were served
      1 passed over: of other policies

    REMARKS
      approvals were taken to be given at once
      whether users came to the arms as planned was not looked at: `--planned` says what was planned
    -- stderr
    error: no line of `-` counts for `answer`

    hint: lines need `time`, `user`, `metrics` and what was served; `serin help replay` shows one
    ");
    let missing = serin(&["replay", &policy, "/no/such/record"]);
    insta::assert_snapshot!(missing.page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: cannot read `/no/such/record`
      caused by: no such file or directory (os error 2)
    ");
}

#[test]
fn a_policy_that_is_not_good_is_told_as_lint_tells_it() {
    let folder = folder();
    std::fs::write(folder.path().join("bad.yaml"), POLICY.replace("0.3", "0.3pp")).unwrap();
    let ran = serin(&["replay", &path(folder.path(), "bad.yaml"), "-"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("0.3pp") && ran.stderr.contains("1 file checked"),
        "{}",
        ran.page()
    );
}

#[test]
fn what_makes_no_sense_together_is_a_usage_error() {
    let folder = folder();
    let policy = path(folder.path(), "answer.yaml");
    std::fs::write(
        folder.path().join("held.yaml"),
        POLICY.replace(
            "  prompt: answer\n",
            "  prompt: answer\n  assignment: {holdback: 5%}\n",
        ),
    )
    .unwrap();
    let held = path(folder.path(), "held.yaml");
    let refused = |variables: &[(&str, &str)], args: &[&str]| {
        let ran = serin_with(variables, &[&["replay"], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.page());
        ran.stderr.lines().next().unwrap_or_default().to_owned()
    };
    insta::assert_snapshot!(refused(&[], &["-", "-"]), @"error: `-` is standard input, which is the policy or the record: give it once");
    insta::assert_snapshot!(refused(&[], &[&policy, "-", "--stable", "3", "--candidate", "3"]), @"error: `--stable` and `--candidate` must be two versions");
    insta::assert_snapshot!(refused(&[SECRET], &[&policy, "-"]), @"error: the split of this policy is drawn from the candidate version: with a secret, give `--stable` and `--candidate`");
    insta::assert_snapshot!(refused(&[], &[&held, "-", "--planned", "policy"]), @"error: who is in the policy's holdback is known with the server's secret alone: name it with `--secret-file`, or give `--planned` a percentage of all users");
    insta::assert_snapshot!(refused(&[], &[&policy, "-", "--disorder", "soon"]), @"error: invalid value 'soon' for '--disorder <DURATION>': must be a duration such as `30s`, `5m` or `1h30m`");
}
