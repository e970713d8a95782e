//! A rollout and its prompt, from the first version to the rollback, by the command line alone.

use super::world::Live;
use serde_json::{Value, json};

/// Waits for a person at every turn, so that nothing here depends on time.
const GREETING: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting, owner: growth}
spec:
  prompt: team/greeting
  registry: embedded
  labels: {control: production, treatment: canary}
  assignment: {force: {treatment: [qa-7], control: [probe]}}
  steps:
    - {exposure: 25%, bake: 1h, approval: required}
    - {exposure: 100%, bake: 1h}
  analysis: {every: 1s}
  metrics:
    - {name: faithfulness, kind: score, better: higher, margin: 0.05}
  gates:
    approval: {before: start, from: 1}
";

const BROKEN: &str =
    "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {name: broken}\nspec:\n  promt: x\n";

/// A server with two versions of a prompt, the first of which everybody has.
fn world() -> Live {
    let live = Live::start(&[("greeting.yaml", GREETING)]);
    live.run_reading(
        "Hello {{name}}, how can I help?",
        "prompt create team/greeting --text - --reason 'first version' --label production",
    )
    .good();
    live.run_reading(
        "Hello {{name}}.\nHow can I help?",
        "prompt create team/greeting --text - --reason 'shorter lines' --actor bob",
    )
    .good();
    live
}

/// Runs a verb that moves the rollout on; where it has come to by then is a matter of chance.
fn moves(live: &Live, line: &str) {
    let told = live.run(line).good();
    assert!(told.starts_with("greeting r1  version 1 → 2\n  "), "{told}");
}

#[test]
fn a_rollout_from_start_to_rollback() {
    let live = world();
    let mut transcript = String::new();
    moves(&live, "start greeting --candidate 2 --reason 'shorter lines'");
    live.wait_for("greeting", "pending");
    live.show(&mut transcript, "status");

    moves(&live, "approve r1 --reason 'reviewed'");
    live.wait_for("greeting", "ramping");
    live.show(&mut transcript, "status greeting");
    live.show(&mut transcript, "assign greeting qa-7 probe");

    live.show(&mut transcript, "pause greeting --reason 'lunch'");
    live.show(&mut transcript, "step greeting --reason 'hurry'");
    moves(&live, "resume greeting --reason 'back'");
    live.show(&mut transcript, "resume greeting --reason 'back again'");

    let moved = live
        .run("rollback greeting --reason 'support hears complaints' --json")
        .json();
    assert_eq!((&moved["id"], &moved["exposure"]), (&json!("r1"), &json!(0.0)));
    live.wait_for("greeting", "rolled_back");
    live.show(&mut transcript, "status");
    live.show(&mut transcript, "explain greeting");
    live.show(&mut transcript, "prompt history team/greeting");
    live.show(&mut transcript, "why team/greeting");
    insta::assert_snapshot!(transcript);
}

/// A Langfuse that is never asked: nothing listens on that port.
const SETTINGS: &str = "
registries:
  ours: {kind: langfuse, baseUrl: 'http://127.0.0.1:9', publicKey: {file: key}, secretKey: {file: key}}
";

#[test]
fn a_prompt_that_only_another_registry_has_is_no_error() {
    let folders = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folders.path().join(name), text).unwrap();
    std::fs::create_dir(folders.path().join("policies")).unwrap();
    write("serin.yaml", SETTINGS);
    write("key", "k");
    write("policies/embedded.yaml", GREETING);
    let theirs = GREETING.replace("name: greeting", "name: theirs");
    write(
        "policies/ours.yaml",
        &theirs.replace("registry: embedded", "registry: ours"),
    );
    let live = Live::in_folders(folders);
    let told = live.run("why team/greeting").good();
    assert_eq!(told, "team/greeting\n  no version has ever held a label\n");
    let unknown = live.run("why team/farewell");
    assert!(unknown.stderr.contains("[unknown_prompt]"), "{}", unknown.page());
}

#[test]
fn lint_asks_a_server_what_takes_in_a_label() {
    let live = world();
    live.run_reading(
        "@@@langfusePrompt:name=team/greeting|label=production@@@ Yours",
        "prompt create letter --text - --reason 'to write' --label production",
    )
    .good();
    let file = live.folders.path().join("policies/greeting.yaml");
    let file = file.to_str().unwrap();
    let taken_in = |line: String| {
        let problems = live.run(&line).json();
        let problems = problems.as_array().unwrap().iter();
        let found = problems.filter(|problem| problem["code"] == "SRN926");
        found.cloned().collect::<Vec<Value>>()
    };
    assert_eq!(taken_in(format!("lint {file} --json")), [Value::Null; 0]);
    let warned = taken_in(format!("lint {file} --json --server http://{}", live.address));
    assert_eq!(warned.len(), 1);
    assert_eq!(
        warned[0]["message"],
        "prompt `letter` (label `production`) takes in label `production`, and changes for all of its users when \
         it moves"
    );
    assert_eq!(
        (&warned[0]["line"], &warned[0]["length"]),
        (&json!(8), &json!(10))
    );
    let away = live.run(&format!("lint {file} --server http://127.0.0.1:1"));
    assert_eq!(away.code, 1);
    assert!(away.stderr.contains("http://127.0.0.1:1"), "{}", away.page());
}

#[test]
fn json_is_what_programs_need() {
    let live = world();
    let started = live
        .run("start greeting --candidate 2 --reason 'shorter lines' --json")
        .json();
    assert_eq!(started["id"], "r1");
    live.run("approve greeting --reason 'reviewed'").good();
    live.wait_for("greeting", "ramping");
    let status = live.run("status --json").json();
    let rollout = &status["policies"][0]["rollout"];
    assert_eq!(
        (&rollout["phase"]["step"], &rollout["ladder"]),
        (&json!(1), &json!([0.25, 1.0]))
    );
    let explained = live.run("explain r1 --json").json();
    let codes = |explained: &Value| -> Vec<String> {
        let records = explained["audit"].as_array().unwrap();
        records
            .iter()
            .map(|record| record["event"]["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(codes(&explained), ["moved", "label_move", "moved", "moved"]);
    assert_eq!(explained["rollout"]["id"], "r1");
    let page = live.run("explain greeting --format html").good();
    assert!(
        page.starts_with("<!doctype html>") && page.contains("<h2 id=\"trail-title\">"),
        "{page}"
    );
    let users: String = (0..1_500).map(|number| format!("user-{number}\n")).collect();
    let assigned = live.run_reading(&users, "assign greeting - --json").json_lines();
    assert_eq!(assigned.len(), 1_500);
    assert_eq!(assigned[1_499]["user"], "user-1499");
    let treated = assigned.iter().filter(|line| line["arm"] == "treatment").count();
    // A quarter of 1,500 is 375; ten standard errors are 168.
    assert!((207..=543).contains(&treated), "{treated}");
}

#[test]
fn what_does_not_exist_is_named() {
    let live = Live::start(&[("greeting.yaml", GREETING), ("broken.yaml", BROKEN)]);
    let mut transcript = String::new();
    live.show(&mut transcript, "status");
    live.show(&mut transcript, "status greting");
    live.show(&mut transcript, "rollback greting --reason x");
    live.show(&mut transcript, "pause greeting --reason x");
    live.show(&mut transcript, "explain r9");
    live.show(&mut transcript, "start greeting --candidate 2 --reason x");
    live.show(&mut transcript, "assign greting anna");
    live.show(&mut transcript, "prompt show nothing");
    insta::assert_snapshot!(transcript);
}

#[test]
fn prompts_are_made_shown_and_compared() {
    let live = world();
    let mut transcript = String::new();
    live.show(&mut transcript, "prompt list");
    live.show(&mut transcript, "prompt show team/greeting --label production");
    assert_eq!(
        live.run("prompt show team/greeting --raw").good(),
        "Hello {{name}}.\nHow can I help?"
    );
    live.show(&mut transcript, "prompt diff team/greeting production 2");
    live.show(&mut transcript, "prompt diff team/greeting 2 2");

    let config = live.folders.path().join("config.json");
    std::fs::write(&config, r#"{"model": "m-1", "temperature": 0.2}"#).unwrap();
    let chat = r#"[{"role": "system", "content": "Be kind to {{name}}."}, {"placeholder": "history"}]"#;
    let make = format!(
        "prompt create chat --chat - --config {} --semver 1.0.0 --owner growth --tag warm --tag kind --reason 'as chat'",
        config.display()
    );
    insta::assert_snapshot!(live.run_reading(chat, &make).page(), @"
    exit code 0
    -- stdout
    made chat version 1
    -- stderr
    ");
    live.show(
        &mut transcript,
        "prompt evaluate chat 1 --dataset golden.jsonl --score faithfulness=0.82 --score relevance=0.9",
    );
    live.show(&mut transcript, "prompt show chat");
    assert_eq!(
        live.run("prompt show chat --raw").json(),
        serde_json::from_str::<Value>(chat).unwrap()
    );
    assert_eq!(
        live.run("prompt show chat --json").json()["semanticVersion"],
        "1.0.0"
    );
    assert_eq!(
        live.run("prompt list --json").json()["prompts"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    insta::assert_snapshot!(transcript);
}

#[test]
fn labels_are_moved_protected_and_removed() {
    let live = world();
    let mut transcript = String::new();
    live.show(
        &mut transcript,
        "prompt label team/greeting staging 2 --reason 'to review' --expect 0",
    );
    live.show(
        &mut transcript,
        "prompt label team/greeting staging 1 --reason 'to review' --expect 1",
    );
    live.show(
        &mut transcript,
        "prompt label team/greeting staging 1 --reason 'the old one'",
    );
    live.show(&mut transcript, "prompt protect team/greeting staging");
    live.show(&mut transcript, "prompt list");
    live.show(&mut transcript, "prompt protect team/greeting staging --off");
    live.show(
        &mut transcript,
        "prompt label team/greeting staging --remove --reason 'review is over'",
    );
    live.show(&mut transcript, "prompt history team/greeting --last 2");
    insta::assert_snapshot!(transcript);
}
