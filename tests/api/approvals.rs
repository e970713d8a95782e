//! Who approves what: never the author alone, and nobody whom the policy does not name.

use crate::world::{Setting, World};
use serde_json::{Value, json};

/// One approval opens the start, two of three people the way out of the first step.
const BY_ANYBODY: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting}
spec:
  prompt: team/greeting
  gates: {approval: {before: start, from: 1}}
  steps:
    - {exposure: 50%, bake: 1h, samples: 5, approval: required}
    - {exposure: 100%, bake: 1h}
  analysis: {every: 1s}
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";

/// The same with names.
const BY_NAME: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting}
spec:
  prompt: team/greeting
  gates: {approval: {before: start, from: 2, by: [alice, bob, root]}}
  steps: [{exposure: 100%, bake: 1h, samples: 5}]
  analysis: {every: 1s}
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";

/// Administrators alone.
const BY_SCOPE: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting}
spec:
  prompt: team/greeting
  gates: {approval: {before: start, scope: admin}}
  steps: [{exposure: 100%, bake: 1h, samples: 5}]
  analysis: {every: 1s}
  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]
";

/// A world with tokens for `root` (an administrator), `alice`, `bob` and `carol`, in which Alice has
/// written version 3 and started its rollout.
struct People {
    world: World,
    tokens: Vec<(&'static str, String)>,
}

impl People {
    async fn under(policy: &'static str) -> Self {
        let setting = Setting {
            policies: Box::leak(Box::new([policy])),
            ..Setting::default()
        };
        let mut world = World::with(setting).await.with_prompt().await;
        world.tick(1).await;
        let root = world
            .post("/v1/tokens", json!({"name": "root", "scopes": ["admin"]}))
            .await
            .ok(201);
        let mut tokens = vec![("root", root["token"].as_str().unwrap().to_owned())];
        for name in ["alice", "bob", "carol"] {
            let body = json!({"name": name, "scopes": ["operate"]});
            let made = world
                .send(World::authorized("POST", "/v1/tokens", &tokens[0].1, &body))
                .await
                .ok(201);
            tokens.push((name, made["token"].as_str().unwrap().to_owned()));
        }
        let people = Self { world, tokens };
        let draft = json!({"name": "team/greeting", "type": "text", "prompt": "Hi", "reason": "shorter"});
        people.ask("alice", "/v1/prompts", &draft).await.ok(201);
        let start = json!({"policy": "greeting", "candidate": 3, "reason": "it is shorter"});
        let started = people.ask("alice", "/v1/rollouts", &start).await.ok(201);
        assert_eq!(started["author"], "alice");
        people
    }

    async fn ask(&self, who: &str, path: &str, body: &Value) -> crate::world::Answer {
        let (_, token) = self.tokens.iter().find(|(name, _)| *name == who).unwrap();
        self.world
            .send(World::authorized("POST", path, token, body))
            .await
    }

    async fn verb(&self, who: &str, verb: &str) -> crate::world::Answer {
        let body = json!({"reason": "reviewed"});
        self.ask(who, &format!("/v1/rollouts/r1/{verb}"), &body).await
    }

    async fn look(&self, path: &str) -> Value {
        let (_, token) = &self.tokens[0];
        self.world
            .send(World::authorized("GET", path, token, &Value::Null))
            .await
            .ok(200)
    }
}

#[tokio::test]
async fn the_author_is_never_the_only_one() {
    let mut people = People::under(BY_ANYBODY).await;
    people.world.tick(1).await;
    let rollout = people.look("/v1/rollouts/r1").await;
    assert_eq!(
        rollout["stay"],
        json!({
            "code": "approval", "step": null, "given": 0, "by": [], "needed": 1, "from": null,
            "scope": "operate", "but": "alice",
            "text": "waiting for approval to start: 0 of 1 given; 1 more from anybody other than alice, who wrote \
                     the candidate",
        })
    );
    let refused = people
        .verb("alice", "approve")
        .await
        .problem(403, "approver_refused");
    assert!(refused.contains("anybody other than alice"), "{refused}");
    people.verb("bob", "approve").await.ok(200);
    people.world.tick(1).await;
    let rollout = people.look("/v1/rollouts/r1").await;
    assert_eq!(rollout["phase"]["code"], "ramping");
    assert_eq!(rollout["approvals"], json!([{"step": null, "actor": "bob"}]));
    for verb in ["step", "promote"] {
        let refused = people.verb("bob", verb).await.problem(403, "approvals_missing");
        assert!(
            refused.contains(
                "step 1 is left only after approval: 0 of 1 given, and it needs anybody other than alice"
            ),
            "{refused}"
        );
    }
    let audit = people.look("/v1/rollouts/r1/audit").await;
    let told: Vec<&str> = audit["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["text"].as_str().unwrap())
        .filter(|text| text.contains("approve"))
        .collect();
    assert_eq!(
        told,
        [
            "alice asked: cannot approve a rollout that is pending: alice may not: they wrote version 3, and \
             nobody is the only one to approve their own; it needs anybody other than alice, who wrote the candidate",
        ]
    );
    let approval = &audit["records"][3]["event"]["cause"];
    assert_eq!(
        (&approval["code"], &approval["actor"]),
        (&json!("operator"), &json!("bob")),
        "{audit}"
    );
}

#[tokio::test]
async fn those_whom_the_policy_names_approve_and_the_author_may_be_one_of_two() {
    let mut people = People::under(BY_NAME).await;
    let refused = people
        .verb("carol", "approve")
        .await
        .problem(403, "approver_refused");
    assert!(refused.contains("it needs alice or bob or root"), "{refused}");
    let given = people.verb("alice", "approve").await.ok(200);
    assert_eq!(
        given["stay"]["text"],
        "waiting for approval to start: 1 of 2 given, by alice; 1 more from bob or root"
    );
    people
        .verb("alice", "approve")
        .await
        .problem(409, "command_refused");
    people.verb("root", "approve").await.ok(200);
    people.world.tick(1).await;
    let rollout = people.look("/v1/rollouts/r1").await;
    assert_eq!(rollout["phase"]["code"], "ramping");
}

#[tokio::test]
async fn a_policy_may_ask_for_administrators() {
    let people = People::under(BY_SCOPE).await;
    let refused = people
        .verb("bob", "approve")
        .await
        .problem(403, "approver_refused");
    assert!(
        refused.contains("bob may not: they are no administrator"),
        "{refused}"
    );
    people.verb("root", "approve").await.ok(200);
}
