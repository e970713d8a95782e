//! A rollout's page, and what is asked on it.

use crate::pages::assert_self_contained;
use crate::world::{Answer, Browser, World};

/// Opens the page of a verb and sends its form.
async fn command(browser: &mut Browser, verb: &str, fields: &[(&str, &str)]) -> Answer {
    let path = format!("/rollouts/r1/{verb}");
    browser.fill(&path, &path, fields).await
}

#[tokio::test]
async fn a_rollout_is_paused_with_a_reason_that_is_written_down() {
    let world = World::new().await.with_rollout().await;
    let mut browser = world.browser();
    let page = browser.get("/rollouts/r1").await.ok();
    assert_self_contained(&page);
    for verb in ["pause", "approve", "step", "promote", "rollback"] {
        assert!(
            page.contains(&format!("href=\"/rollouts/r1/{verb}\"")),
            "{verb}: {page}"
        );
    }
    assert!(!page.contains("href=\"/rollouts/r1/resume\""));
    let refused = command(&mut browser, "pause", &[("actor", "Ann"), ("reason", " ")]).await;
    assert_eq!(refused.status.as_u16(), 400);
    assert!(refused.text.contains("role=\"alert\""), "{}", refused.text);
    assert!(refused.text.contains("value=\"Ann\""), "{}", refused.text);
    let done = command(
        &mut browser,
        "pause",
        &[("actor", "Ann"), ("reason", "<b>lunch</b>")],
    )
    .await;
    assert_eq!(done.leads_to(), "/rollouts/r1?done=pause");
    let page = browser.get("/rollouts/r1?done=pause").await.ok();
    assert!(page.contains("Done: Pause"), "{page}");
    assert!(
        page.contains("local:Ann asked for it: &#60;b&#62;lunch&#60;/b&#62;"),
        "{page}"
    );
    assert!(!page.contains("<b>lunch"), "reasons are escaped");
}

#[tokio::test]
async fn a_rollout_is_resumed_approved_and_taken_back() {
    let world = World::new().await.with_rollout().await;
    let mut browser = world.browser();
    command(&mut browser, "pause", &[("actor", "Ann"), ("reason", "lunch")])
        .await
        .leads_to();
    let ask = browser.get("/rollouts/r1/resume").await.ok();
    assert!(
        ask.contains("under local:Ann") && !ask.contains("name=\"actor\""),
        "{ask}"
    );
    let because = |reason| [("reason", reason)];
    command(&mut browser, "resume", &because("back")).await.leads_to();
    let again = command(&mut browser, "resume", &because("again")).await;
    assert_eq!(again.status.as_u16(), 409);
    assert!(again.text.contains("it is not paused"), "{}", again.text);
    command(&mut browser, "approve", &because("fine"))
        .await
        .leads_to();
    command(&mut browser, "rollback", &because("not so fine"))
        .await
        .leads_to();
    let page = browser.get("/rollouts/r1").await.ok();
    assert!(page.contains("local:Ann asked for it: not so fine"), "{page}");
}

#[tokio::test]
async fn a_failure_is_told_in_a_sentence_with_its_numbers() {
    let mut world = World::new().await.with_rollout().await;
    for _ in 0..12 {
        world.observe(400, 0.55).await;
    }
    let page = world.browser().get("/rollouts/r1").await.ok();
    assert!(
        page.contains("The candidate is worse in <code>faithfulness</code>"),
        "{page}"
    );
    assert!(
        page.contains("0.5799 in treatment against 0.8799 in control, a difference of -0.300"),
        "{page}"
    );
    assert!(
        page.contains("; 0.05 less is tolerated. It is proved to be worse: evidence "),
        "{page}"
    );
    let overview = world.browser().get("/").await.ok();
    assert!(
        overview.contains("The candidate is worse in <code>faithfulness</code>"),
        "{overview}"
    );
}

#[tokio::test]
async fn a_rollout_that_its_policy_has_left_behind_is_still_shown() {
    let mut world = World::new().await.with_rollout().await;
    world
        .post(
            "/v1/rollouts/r1/rollback",
            serde_json::json!({"reason": "once more"}),
        )
        .await;
    world.tick(2).await;
    let start = serde_json::json!({"policy": "greeting", "candidate": 2, "reason": "again"});
    world.post("/v1/rollouts", start).await;
    world.tick(1).await;
    let page = world.browser().get("/rollouts/r1").await.ok();
    assert!(
        page.contains("rolled back") && page.contains("href=\"/rollouts/r2\""),
        "{page}"
    );
    assert!(
        !page.contains("href=\"/rollouts/r1/pause\""),
        "nothing is left to ask: {page}"
    );
}
