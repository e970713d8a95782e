//! Who sees pages and sends forms, and who does not.

use crate::world::{Browser, GREETING, World, form, form_token, token};
use serin::store::Scope;

const PAUSE: &str = "/rollouts/r1/pause";

#[tokio::test]
async fn with_tokens_nobody_sees_a_page_without_one() {
    let (secret, root) = (token(), token());
    let tokens = [
        ("ops", secret.as_str(), Scope::Operate),
        ("root", &root, Scope::Admin),
    ];
    let world = World::with(&[GREETING], &tokens).await;
    for path in ["/", "/rollouts/r1", PAUSE, "/events"] {
        let answer = world.browser().get(path).await;
        assert!(answer.leads_to().starts_with("/sign-in?next=%2F"), "{path}");
    }
    let mut browser = world.browser();
    let refused = browser
        .fill("/sign-in", "/sign-in", &[("token", "srn_wrong"), ("next", "/")])
        .await;
    assert_eq!(refused.status.as_u16(), 401);
    assert!(
        refused.text.contains("The token is not known"),
        "{}",
        refused.text
    );
    let answer = browser
        .fill(
            "/sign-in",
            "/sign-in",
            &[("token", &secret), ("next", "//evil.example")],
        )
        .await;
    assert_eq!(answer.leads_to(), "/");
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains(&secret), "the token itself is not kept");
    let page = browser.get("/").await.ok();
    assert!(page.contains("<span>ops</span>"), "{page}");
    world.revoke("ops", &root).await;
    assert!(browser.get("/").await.leads_to().starts_with("/sign-in"));
}

#[tokio::test]
async fn a_session_ends_when_it_is_asked_to() {
    let secret = token();
    let world = World::with(&[GREETING], &[("ops", &secret, Scope::Operate)]).await;
    let mut browser = world.browser();
    browser
        .fill("/sign-in", "/sign-in", &[("token", &secret)])
        .await
        .leads_to();
    browser.fill("/", "/sign-out", &[]).await.leads_to();
    assert_eq!(browser.cookie, None);
    assert!(browser.get("/").await.leads_to().starts_with("/sign-in"));
}

#[tokio::test]
async fn a_token_that_may_not_operate_only_looks() {
    let secret = token();
    let world = World::with(
        &[GREETING],
        &[
            ("eyes", &secret, Scope::Observe),
            ("root", &token(), Scope::Admin),
        ],
    )
    .await;
    let mut browser = world.browser();
    browser
        .fill("/sign-in", "/sign-in", &[("token", &secret)])
        .await
        .leads_to();
    browser.get("/").await.ok();
    let refused = browser.get(PAUSE).await;
    assert_eq!(refused.status.as_u16(), 403);
    assert!(refused.text.contains("needs the scope"), "{}", refused.text);
}

#[tokio::test]
async fn forms_of_other_sites_and_other_sessions_are_refused() {
    let world = World::new().await.with_rollout().await;
    let mut mine = world.browser();
    let token = form_token(&mine.get(PAUSE).await.ok());
    let fields = [
        ("form_token", token.as_str()),
        ("actor", "ann"),
        ("reason", "lunch"),
    ];
    let body = form(&fields);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let attempts: [&[(&str, &str)]; 4] = [
        &[
            kind,
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://evil.example"),
        ],
        &[
            kind,
            ("sec-fetch-site", "same-site"),
            ("origin", "http://other.127.0.0.1:8080"),
        ],
        &[kind, ("origin", "https://evil.example")],
        &[kind],
    ];
    for headers in attempts {
        let answer = mine.send("POST", PAUSE, headers, body.clone()).await;
        assert_eq!(answer.status.as_u16(), 400, "{headers:?}");
    }
    let mut other: Browser = world.browser();
    other.get("/").await.ok();
    assert_eq!(other.submit(PAUSE, &fields).await.status.as_u16(), 400);
    assert_eq!(
        mine.submit(PAUSE, &[("actor", "ann"), ("reason", "lunch")])
            .await
            .status
            .as_u16(),
        400
    );
    let page = mine.get("/rollouts/r1").await.ok();
    assert!(page.contains("ramping"), "nothing was done: {page}");
    mine.submit(PAUSE, &fields).await.leads_to();
}
