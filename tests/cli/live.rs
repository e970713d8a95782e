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
        "prompt create team/greeting --text - --reason 'shorter lines'",
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
    moves(&live, "start greeting --candidate 2 --reason 'shorter lines'");
    live.wait_for("greeting", "pending");
    insta::assert_snapshot!(live.run("status").page(), @"
    exit code 0
    -- stdout
    POLICY    ROLLOUT  VERSIONS  PHASE    LADDER    EXPOSURE  VERDICT       WAITS FOR
    greeting  r1       1 → 2     pending  25% 100%        0%  inconclusive  waiting for approval to start: 0 of 1 given

    PROBLEMS OF POLICY FILES
      policies/greeting.yaml:11:7: warning SRN902: the first step asks for no samples, so that few observations may carry it
        help: add `samples: 100` or more
    -- stderr
    ");

    moves(&live, "approve r1 --reason 'reviewed'");
    live.wait_for("greeting", "ramping");
    insta::assert_snapshot!(live.run("status greeting").page(), @"
    exit code 0
    -- stdout
    POLICY    ROLLOUT  VERSIONS  PHASE    LADDER       EXPOSURE  VERDICT       WAITS FOR
    greeting  r1       1 → 2     ramping  ▸[25%] 100%       25%  inconclusive  baking until 00:00:00 UTC
    -- stderr
    ");
    insta::assert_snapshot!(live.run("assign greeting qa-7 probe").page(), @"
    exit code 0
    -- stdout
    POLICY    USER   ARM        LABEL       VERSION  REASON
    greeting  qa-7   treatment  canary            2  forced
    greeting  probe  control    production        1  forced
    -- stderr
    ");

    insta::assert_snapshot!(live.run("pause greeting --reason 'lunch'").page(), @"
    exit code 0
    -- stdout
    greeting r1  version 1 → 2
      paused in step 1: local:ann asked for it: lunch; 25% of users have the candidate
    -- stderr
    ");
    insta::assert_snapshot!(live.run("step greeting --reason 'hurry'").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: cannot step a rollout that is paused: it is paused; resume it first [command_refused]
    ");
    moves(&live, "resume greeting --reason 'back'");
    insta::assert_snapshot!(live.run("resume greeting --reason 'back again'").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: cannot resume a rollout that is ramping: it is not paused [command_refused]
    ");

    let moved = live
        .run("rollback greeting --reason 'support hears complaints' --json")
        .json();
    assert_eq!((&moved["id"], &moved["exposure"]), (&json!("r1"), &json!(0.0)));
    live.wait_for("greeting", "rolled_back");
    insta::assert_snapshot!(live.run("status").page(), @"
    exit code 0
    -- stdout
    POLICY    ROLLOUT  VERSIONS  PHASE        LADDER      EXPOSURE  VERDICT       WAITS FOR
    greeting  r1       1 → 2     rolled back  ✗ 25% 100%        0%  inconclusive  local:ann asked for it: support hears complaints

    PROBLEMS OF POLICY FILES
      policies/greeting.yaml:11:7: warning SRN902: the first step asks for no samples, so that few observations may carry it
        help: add `samples: 100` or more
    -- stderr
    ");
    insta::assert_snapshot!(live.run("explain greeting").page(), @"
    exit code 0
    -- stdout
    greeting r1  version 1 → 2
      rolled back: local:ann asked for it: support hears complaints
      ✗ 25% 100%

    HISTORY
    0000-00-00 00:00:00 UTC  pending
      local:ann asked for it: shorter lines
    0000-00-00 00:00:00 UTC  label `canary` from no version to version 2: read back and confirmed
    0000-00-00 00:00:00 UTC  pending
      local:ann asked for it: reviewed
      verdict inconclusive: no observations so far
    0000-00-00 00:00:00 UTC  pending → step 1
      every gate before the start is open
      verdict inconclusive: no observations so far
    0000-00-00 00:00:00 UTC  step 1 → paused in step 1
      local:ann asked for it: lunch
      verdict inconclusive: no observations so far
    0000-00-00 00:00:00 UTC  local:ann asked: cannot step a rollout that is paused: it is paused; resume it first
      their reason: hurry
    0000-00-00 00:00:00 UTC  paused in step 1 → step 1
      local:ann asked for it: back
      verdict inconclusive: no observations so far
    0000-00-00 00:00:00 UTC  local:ann asked: cannot resume a rollout that is ramping: it is not paused
      their reason: back again
    0000-00-00 00:00:00 UTC  step 1 → rolling back
      local:ann asked for it: support hears complaints
      verdict inconclusive: no observations so far
    0000-00-00 00:00:00 UTC  label `canary` from version 2 to version 1: read back and confirmed
    0000-00-00 00:00:00 UTC  rolling back → rolled back
      the labels are where they should be
      verdict inconclusive: no observations so far

    AT THE END
    since 0000-00-00 00:00:00 UTC (AGE)  rolled back: local:ann asked for it: support hears complaints
      verdict inconclusive: no observations so far
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt history team/greeting").page(), @"
    exit code 0
    -- stdout
    AT                       LABEL       FROM  TO  BY         ROLLOUT  REASON
    0000-00-00 00:00:00 UTC  canary         2   1  local:ann  r1       rollback of r1: local:ann asked for it: support hears complaints
    0000-00-00 00:00:00 UTC  canary         –   2  serin      r1       start of r1
    0000-00-00 00:00:00 UTC  production     –   1  local:ann           first version
    -- stderr
    ");
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
    insta::assert_snapshot!(live.run("status").page(), @"
    exit code 0
    -- stdout
    POLICY    ROLLOUT  VERSIONS  PHASE       LADDER  EXPOSURE  VERDICT  WAITS FOR
    greeting  –        –         no rollout  –              –  –

    PROBLEMS OF POLICY FILES
      policies/broken.yaml:5:3: error SRN011: unknown key `promt` in `spec`
        help: did you mean `prompt`?
      policies/broken.yaml:5:3: error SRN012: `spec` lacks `steps`
      policies/broken.yaml:5:3: error SRN012: `spec` lacks `metrics`
      policies/greeting.yaml:11:7: warning SRN902: the first step asks for no samples, so that few observations may carry it
        help: add `samples: 100` or more
    -- stderr
    ");
    insta::assert_snapshot!(live.run("status greting").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: there is no policy `greting`, did you mean `greeting`?

    hint: `serin status` lists what there is
    ");
    insta::assert_snapshot!(live.run("rollback greting --reason x").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: there is no policy `greting`, did you mean `greeting`?

    hint: `serin status` lists what there is
    ");
    insta::assert_snapshot!(live.run("pause greeting --reason x").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: policy `greeting` has had no rollout

    hint: start one with `serin start greeting`
    ");
    insta::assert_snapshot!(live.run("explain r9").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: there is no rollout r9 [unknown_rollout]
    ");
    insta::assert_snapshot!(live.run("start greeting --candidate 2 --reason x").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: prompt `team/greeting` has no label `production`; set it on the version that users have now [start_refused]
    ");
    insta::assert_snapshot!(live.run("assign greting anna").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: there is no policy `greting` [unknown_policy]
    ");
    insta::assert_snapshot!(live.run("prompt show nothing").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: there is no prompt `nothing` [unknown_prompt]
    ");
}

#[test]
fn prompts_are_made_shown_and_compared() {
    let live = world();
    insta::assert_snapshot!(live.run("prompt list").page(), @"
    exit code 0
    -- stdout
    PROMPT         TYPE  NEWEST  UPDATED                  LABELS
    team/greeting  text       2  0000-00-00 00:00:00 UTC  production → 1
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt show team/greeting --label production").page(), @"
    exit code 0
    -- stdout
    team/greeting version 1  text
      labels        production
      made          0000-00-00 00:00:00 UTC by local:ann
      reason        first version
      variables     name

    Hello {{name}}, how can I help?
    -- stderr
    ");
    assert_eq!(
        live.run("prompt show team/greeting --raw").good(),
        "Hello {{name}}.\nHow can I help?"
    );
    insta::assert_snapshot!(live.run("prompt diff team/greeting production 2").page(), @"
    exit code 0
    -- stdout
    --- version 1 template
    +++ version 2 template
    @@ -1,1 +1,2 @@
    -Hello {{name}}, how can I help?
    +Hello {{name}}.
    +How can I help?
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt diff team/greeting 2 2").page(), @"
    exit code 0
    -- stdout
    versions 2 and 2 say the same
    -- stderr
    ");

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
    insta::assert_snapshot!(live.run("prompt evaluate chat 1 --dataset golden.jsonl --score faithfulness=0.82 --score relevance=0.9").page(), @"
    exit code 0
    -- stdout
    recorded the evaluation of chat version 1 on golden.jsonl
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt show chat").page(), @r#"
    exit code 0
    -- stdout
    chat version 1  1.0.0  chat
      made          0000-00-00 00:00:00 UTC by local:ann
      reason        as chat
      owner         growth
      tags          kind, warm
      variables     name
      placeholders  history
      evaluation    golden.jsonl: faithfulness 0.82, relevance 0.9 (0000-00-00 00:00:00 UTC by local:ann)

    [system]
    Be kind to {{name}}.
    [placeholder history]

    config
    {
      "model": "m-1",
      "temperature": 0.2
    }
    -- stderr
    "#);
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
}

#[test]
fn labels_are_moved_protected_and_removed() {
    let live = world();
    insta::assert_snapshot!(live.run("prompt label team/greeting staging 2 --reason 'to review' --expect 0").page(), @"
    exit code 0
    -- stdout
    label staging of team/greeting points at version 2 now; before: nowhere
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt label team/greeting staging 1 --reason 'to review' --expect 1").page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: label `staging` of prompt `team/greeting` points at version 2, not at version 1 [label_elsewhere]
    ");
    insta::assert_snapshot!(live.run("prompt label team/greeting staging 1 --reason 'the old one'").page(), @"
    exit code 0
    -- stdout
    label staging of team/greeting points at version 1 now; before: version 2
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt protect team/greeting staging").page(), @"
    exit code 0
    -- stdout
    label staging of team/greeting is protected
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt list").page(), @"
    exit code 0
    -- stdout
    PROMPT         TYPE  NEWEST  UPDATED                  LABELS
    team/greeting  text       2  0000-00-00 00:00:00 UTC  production → 1, staging → 1 (protected)
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt protect team/greeting staging --off").page(), @"
    exit code 0
    -- stdout
    label staging of team/greeting is not protected any more
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt label team/greeting staging --remove --reason 'review is over'").page(), @"
    exit code 0
    -- stdout
    removed label staging of team/greeting; it pointed at version 1
    -- stderr
    ");
    insta::assert_snapshot!(live.run("prompt history team/greeting --last 2").page(), @"
    exit code 0
    -- stdout
    AT                       LABEL    FROM  TO  BY         ROLLOUT  REASON
    0000-00-00 00:00:00 UTC  staging     1   –  local:ann           review is over
    0000-00-00 00:00:00 UTC  staging     2   1  local:ann           the old one
    -- stderr
    ");
}
