//! The playground, with a server that speaks OpenAI's chat completions in the same process.

use crate::pages::assert_self_contained;
use crate::world::{Answer, Browser, GREETING, World, token};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use serin::config::{Hidden, PlaygroundSettings};
use serin::console::playground::Model;
use serin::store::Scope;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAGE: &str = "/prompts/team%2Fgreeting/playground";
const CHAT: &str = "/prompts/chat/playground";

/// What the model was asked, and what it says.
#[derive(Clone)]
struct Endpoint {
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    says: (StatusCode, String),
}

impl Endpoint {
    /// An endpoint that always answers the same; gives where it is, too.
    async fn start(status: StatusCode, body: &str) -> (Self, String) {
        let endpoint = Self {
            asked: Arc::default(),
            says: (status, body.to_owned()),
        };
        let router = Router::new()
            .route("/v1/chat/completions", post(Self::answer))
            .with_state(endpoint.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (endpoint, base)
    }

    async fn answer(
        State(endpoint): State<Self>,
        headers: HeaderMap,
        Json(body): Json<Value>,
    ) -> (StatusCode, String) {
        endpoint.asked.lock().unwrap().push((headers, body));
        endpoint.says
    }

    async fn saying(body: Value) -> (Self, String) {
        Self::start(StatusCode::OK, &body.to_string()).await
    }
}

fn model(base: &str, timeout: Duration) -> Model {
    Model::new(&PlaygroundSettings {
        base_url: base.parse().unwrap(),
        key: Some(Hidden("sk-test".to_owned())),
        model: Some("small-model".to_owned()),
        timeout,
    })
    .unwrap()
}

/// A world with the prompt of the policy and a chat, whose playground asks the model at `base`.
async fn world(base: Option<&str>) -> World {
    let model = base.map(|base| model(base, Duration::from_secs(30)));
    let world = World::build(&[GREETING], &[], model).await.with_rollout().await;
    let chat = json!({
        "name": "chat", "type": "chat", "reason": "to talk", "labels": ["production"], "owner": "growth",
        "tags": ["polite"], "config": {"model": "large-model", "temperature": 0.3, "note": "mine"},
        "prompt": [
            {"role": "system", "content": "You know {{place}}."},
            {"placeholder": "history"},
            {"role": "user", "content": "{{question}}"},
        ],
    });
    world.post("/v1/prompts", chat).await;
    world
}

/// Sends the form of a page with these fields.
async fn press(browser: &mut Browser, page: &str, fields: &[(&str, &str)]) -> Answer {
    browser.fill(page, page, fields).await
}

/// The form of the chat, with everything filled in.
const FILLED: [(&str, &str); 9] = [
    ("version", "1"),
    ("item.0.role", "system"),
    ("item.0.content", "You know {{place}}."),
    ("item.1.placeholder", "history"),
    ("item.2.role", "user"),
    ("item.2.content", "{{question}}"),
    ("var.place", "Bern"),
    ("var.question", "Where?"),
    (
        "config",
        "{\"model\": \"large-model\", \"temperature\": 0.3, \"note\": \"mine\"}",
    ),
];

fn filled(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&FILLED, more].concat()
}

#[tokio::test]
async fn a_version_is_chosen_and_its_variables_are_filled() {
    let world = world(None).await;
    let mut browser = world.browser();
    let page = browser.get(&format!("{PAGE}?version=2")).await.ok();
    assert_self_contained(&page);
    for shown in [
        "never the source of truth for approval",
        "name=\"var.name\"",
        "name=\"var.wish\"",
        "Good day {{name}}, {{wish}}</textarea>",
        "This server has no model to ask",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    assert!(!page.contains("value=\"call\""), "{page}");
    let text = [
        ("version", "2"),
        ("text", "Good day {{name}},\r\n{{wish}}"),
        ("do", "compile"),
    ];
    let missing = press(&mut browser, PAGE, &[&text[..], &[("var.name", "Ann")]].concat()).await;
    assert_eq!(missing.status.as_u16(), 400);
    assert!(
        missing.text.contains("Variable <code>wish</code> is missing"),
        "{}",
        missing.text
    );
    let hostile = "<script>alert(1)</script> {{name}}";
    let values = [("var.name", "Ann"), ("var.wish", hostile), ("var.gone", "x")];
    let page = press(&mut browser, PAGE, &[&text[..], &values].concat())
        .await
        .ok();
    assert_self_contained(&page);
    assert!(
        page.contains("<code>Good day Ann,\n&#60;script&#62;alert(1)&#60;/script&#62; {{name}}</code>"),
        "values are escaped, and not read for tags: {page}"
    );
    assert_eq!(
        browser.get("/prompts/nobody/playground").await.status.as_u16(),
        404
    );
    assert_eq!(
        browser.get(&format!("{PAGE}?version=9")).await.status.as_u16(),
        404
    );
    let link = browser.get("/prompts/team%2Fgreeting").await.ok();
    assert!(link.contains(&format!("href=\"{PAGE}?version=2\"")), "{link}");
}

#[tokio::test]
async fn the_model_gets_the_messages_and_its_answer_is_shown() {
    let (endpoint, base) = Endpoint::saying(json!({
        "model": "large-model-7", "usage": {"prompt_tokens": 21, "completion_tokens": 4},
        "choices": [{"message": {"content": "In <b>Switzerland</b>."}, "finish_reason": "stop"}],
    }))
    .await;
    let world = world(Some(&base)).await;
    let mut browser = world.browser();
    let history = r#"[{"role": "assistant", "content": "Ask me."}]"#;
    let page = press(
        &mut browser,
        CHAT,
        &filled(&[("fill.history", history), ("do", "call")]),
    )
    .await
    .ok();
    assert_self_contained(&page);
    assert!(page.contains("In &#60;b&#62;Switzerland&#60;/b&#62;."), "{page}");
    assert!(
        page.contains("large-model-7 · 21 tokens in, 4 out · ended by `stop`"),
        "{page}"
    );
    assert!(page.ends_with("</html>"), "{page}");
    let asked = endpoint.asked.lock().unwrap().clone();
    let [(headers, body)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(headers["authorization"], "Bearer sk-test");
    assert_eq!(
        *body,
        json!({
            "model": "large-model", "temperature": 0.3, "stream": false,
            "messages": [
                {"role": "system", "content": "You know Bern."},
                {"role": "assistant", "content": "Ask me."},
                {"role": "user", "content": "Where?"},
            ],
        })
    );
}

#[tokio::test]
async fn what_a_model_cannot_be_asked_is_not_sent() {
    let (endpoint, base) = Endpoint::saying(json!({})).await;
    let world = world(Some(&base)).await;
    let mut browser = world.browser();
    for (field, value, why) in [
        ("config", "[1]", "<code>config</code> must be a JSON object"),
        (
            "fill.history",
            "hello",
            "the messages of placeholder <code>history</code>",
        ),
        (
            "fill.history",
            "[7]",
            "<code>history</code> must be a list of messages",
        ),
    ] {
        let mut fields = filled(&[("do", "call")]);
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let refused = press(&mut browser, CHAT, &fields).await;
        assert_eq!(refused.status.as_u16(), 400);
        let text = refused.text.to_lowercase();
        assert!(text.contains(&why.to_lowercase()), "{why}: {text}");
    }
    assert!(endpoint.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_model_that_fails_is_told_in_a_sentence() {
    let error = json!({"error": {"message": "You are <i>too fast</i>"}}).to_string();
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(2_000_000));
    for (status, body, why) in [
        (
            429,
            error.as_str(),
            "The model&#39;s server answered 429: You are &#60;i&#62;too fast&#60;/i&#62;",
        ),
        (302, "", "The model&#39;s server answered 302"),
        (200, "<html>", "The answer is no chat completion"),
        (200, &large, "The answer has more than 1048576 bytes"),
    ] {
        let (_, base) = Endpoint::start(StatusCode::from_u16(status).unwrap(), body).await;
        let world = world(Some(&base)).await;
        let page = press(&mut world.browser(), CHAT, &filled(&[("do", "call")]))
            .await
            .ok();
        assert!(page.contains(why), "{why}: {page}");
        assert!(page.contains("You know Bern."), "the messages are shown: {page}");
    }
    // Port 9 discards (RFC 863), and nobody listens on it here.
    let world = world(Some("http://127.0.0.1:9/v1")).await;
    let page = press(&mut world.browser(), CHAT, &filled(&[("do", "call")]))
        .await
        .ok();
    assert!(page.contains("The model cannot be reached"), "{page}");
}

#[tokio::test]
async fn a_model_that_says_nothing_is_not_waited_for() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", silent.local_addr().unwrap());
    let model = model(&base, Duration::from_millis(50));
    let world = World::build(&[GREETING], &[], Some(model))
        .await
        .with_rollout()
        .await;
    let fields = [("version", "1"), ("text", "Hello"), ("do", "call")];
    let page = press(&mut world.browser(), PAGE, &fields).await.ok();
    assert!(
        page.contains("The model has not answered within 0.05 s"),
        "{page}"
    );
}

#[tokio::test]
async fn a_result_is_saved_as_a_version_without_a_label() {
    let world = world(None).await;
    let mut browser = world.browser();
    let named = ("actor", "Ann");
    let nameless = press(
        &mut browser,
        CHAT,
        &filled(&[("do", "save"), ("reason", "shorter")]),
    )
    .await;
    assert_eq!(nameless.status.as_u16(), 400, "{}", nameless.text);
    let refused = press(&mut browser, CHAT, &filled(&[("do", "save"), named])).await;
    assert_eq!(refused.status.as_u16(), 400);
    assert!(
        refused.text.contains("The reason ") && refused.text.contains("value=\"Ann\""),
        "{}",
        refused.text
    );
    let wrong = [("do", "save"), named, ("reason", "shorter"), ("semantic", "two")];
    let wrong = press(&mut browser, CHAT, &filled(&wrong)).await;
    assert!(wrong.text.contains("is not a semantic version"), "{}", wrong.text);
    let mut fields = filled(&[
        ("do", "save"),
        named,
        ("reason", "shorter,\r\nand kinder"),
        ("semantic", "1.1.0"),
    ]);
    fields.push(("item.3.role", "assistant"));
    fields.push(("item.3.content", "Gladly,\r\n{{place}}"));
    fields[2].1 = "";
    let saved = press(&mut browser, CHAT, &fields).await;
    assert_eq!(saved.leads_to(), "/prompts/chat/playground?version=2&done=saved");
    let page = browser
        .get("/prompts/chat/playground?version=2&done=saved")
        .await
        .ok();
    assert!(
        page.contains("Saved as version 2. No label points at it"),
        "{page}"
    );
    let version = world.get("/v1/prompts/chat/versions/2").await;
    assert_eq!(version["prompt"][0], json!({"placeholder": "history"}));
    assert_eq!(version["prompt"][2]["content"], "Gladly,\n{{place}}");
    assert_eq!(
        version["prompt"].as_array().unwrap().len(),
        3,
        "an empty message is left out: {version}"
    );
    for (field, value) in [
        ("labels", json!([])),
        ("owner", json!("growth")),
        ("tags", json!(["polite"])),
        ("reason", json!("shorter, and kinder")),
        ("author", json!("local:Ann")),
        ("semanticVersion", json!("1.1.0")),
    ] {
        assert_eq!(version[field], value, "{field}: {version}");
    }
    assert!(
        page.contains("<span>local:Ann</span>"),
        "the name is remembered: {page}"
    );
}

#[tokio::test]
async fn only_those_who_operate_may_play_and_only_from_our_own_pages() {
    let (eyes, ops, root) = (token(), token(), token());
    let tokens = [
        ("eyes", eyes.as_str(), Scope::Assign),
        ("ops", &ops, Scope::Operate),
        ("root", &root, Scope::Admin),
    ];
    let (endpoint, base) = Endpoint::saying(json!({})).await;
    let model = model(&base, Duration::from_secs(30));
    let world = World::build(&[GREETING], &tokens, Some(model)).await;
    let body = json!({"name": "team/greeting", "type": "text", "prompt": "Hello", "reason": "r"});
    world.post_as(&ops, "/v1/prompts", body).await;
    assert!(world.browser().get(PAGE).await.leads_to().starts_with("/sign-in"));
    let mut browser = world.browser();
    browser
        .fill("/sign-in", "/sign-in", &[("token", &eyes)])
        .await
        .leads_to();
    assert_eq!(browser.get(PAGE).await.status.as_u16(), 403);
    let mut browser = world.browser();
    browser
        .fill("/sign-in", "/sign-in", &[("token", &ops)])
        .await
        .leads_to();
    browser.get(PAGE).await.ok();
    let forged = [
        ("version", "1"),
        ("text", "Hello"),
        ("do", "call"),
        ("form_token", "AAAA"),
    ];
    assert_eq!(browser.submit(PAGE, &forged).await.status.as_u16(), 400);
    let foreign = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "cross-site"),
    ];
    let body = "version=1&text=Hello&do=call".to_owned();
    assert_eq!(
        browser.send("POST", PAGE, &foreign, body).await.status.as_u16(),
        400
    );
    assert!(endpoint.asked.lock().unwrap().is_empty());
}
