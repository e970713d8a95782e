//! Prompts that refer to others.

use crate::world::World;
use serde_json::{Value, json};

async fn create(world: &World, name: &str, text: &str) -> crate::world::Answer {
    let body = json!({"name": name, "prompt": text, "labels": ["production"]});
    world.post("/api/public/v2/prompts", body).await
}

async fn text(world: &World, path: &str) -> Value {
    world.get(&format!("/api/public/v2/prompts/{path}")).await.ok(200)["prompt"].clone()
}

fn tag(name: &str) -> String {
    format!("@@@langfusePrompt:name={name}|label=production@@@")
}

#[tokio::test]
async fn references_are_resolved_all_the_way_down() {
    let world = World::new().await;
    create(&world, "tone", "Be kind to {{name}}.").await.ok(201);
    create(&world, "team/rules", &format!("Cite. {}", tag("tone")))
        .await
        .ok(201);
    let chat = json!({
        "name": "answer", "type": "chat", "labels": ["production"],
        "prompt": [
            {"role": "system", "content": format!("{} {}", tag("team/rules"), tag("tone"))},
            {"type": "placeholder", "name": "history"},
        ],
    });
    world.post("/api/public/v2/prompts", chat).await.ok(201);
    let answer = world.get("/api/public/v2/prompts/answer").await.ok(200);
    assert_eq!(
        answer["prompt"][0]["content"],
        "Cite. Be kind to {{name}}. Be kind to {{name}}."
    );
    let graph = &answer["resolutionGraph"];
    assert_eq!(
        (&graph["root"]["name"], &graph["root"]["version"]),
        (&json!("answer"), &json!(1))
    );
    assert_eq!(graph["root"]["id"], answer["id"]);
    let parts = graph["dependencies"][answer["id"].as_str().unwrap()]
        .as_array()
        .unwrap();
    let names: Vec<&Value> = parts.iter().map(|part| &part["name"]).collect();
    assert_eq!(names, [&json!("team/rules"), &json!("tone")]);
    // As it is kept.
    let raw = world
        .get("/api/public/v2/prompts/answer?resolve=false")
        .await
        .ok(200);
    assert_eq!(
        raw["prompt"][0]["content"],
        format!("{} {}", tag("team/rules"), tag("tone"))
    );
    assert!(raw["resolutionGraph"].is_null());
    // A label that moves in a part moves the whole.
    create(&world, "tone", "Be brief.").await.ok(201);
    assert_eq!(text(&world, "team/rules").await, "Cite. Be brief.");
    let pinned = "@@@langfusePrompt:name=tone|version=1@@@";
    create(&world, "pinned", pinned).await.ok(201);
    assert_eq!(text(&world, "pinned").await, "Be kind to {{name}}.");
}

#[tokio::test]
async fn what_cannot_be_put_together_is_refused_when_it_is_made() {
    let world = World::new().await;
    let refused = |answer: crate::world::Answer| {
        let refusal = answer.ok(400);
        assert_eq!(refusal["error"], "InvalidRequestError");
        refusal["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        refused(create(&world, "a", &tag("nobody")).await),
        "Prompt dependency not found: 'nobody' with label 'production'"
    );
    let itself = refused(create(&world, "a", &tag("a")).await);
    assert_eq!(
        itself,
        "Circular dependency detected involving prompt 'a' with label 'production'"
    );
    let chat = json!({"name": "chat", "type": "chat", "labels": ["production"],
        "prompt": [{"role": "user", "content": "Hi"}]});
    world.post("/api/public/v2/prompts", chat).await.ok(201);
    let message = refused(create(&world, "a", &tag("chat")).await);
    assert!(
        message.starts_with("Prompt dependency is not a text prompt"),
        "{message}"
    );
}

#[tokio::test]
async fn circles_and_depth_are_bounded() {
    let world = World::new().await;
    create(&world, "a", "leaf").await.ok(201);
    create(&world, "b", &tag("a")).await.ok(201);
    // `b` refers to `a`, whose next version would refer to `b`.
    let answer = create(&world, "a", &tag("b")).await;
    assert_eq!(
        answer.status, 201,
        "version 1 of `a` is still what `b` gets until the label moves"
    );
    let around = world.get("/api/public/v2/prompts/b").await.ok(400);
    assert!(
        around["message"].as_str().unwrap().starts_with("Circular"),
        "{around}"
    );
    create(&world, "p0", "leaf").await.ok(201);
    for level in 1..=4 {
        let below = tag(&format!("p{}", level - 1));
        create(&world, &format!("p{level}"), &below).await.ok(201);
    }
    assert_eq!(text(&world, "p4").await, "leaf");
    let deep = create(&world, "p5", &tag("p4")).await.ok(400);
    assert!(deep["message"].as_str().unwrap().contains("depth"), "{deep}");
    let many: String = (0..101)
        .map(|number| format!("@@@langfusePrompt:name=p{number}|label=x@@@"))
        .collect();
    create(&world, "many", &many).await.ok(400);
}
