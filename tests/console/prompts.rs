//! Prompts and policies as pages, with hostile texts in them.

use crate::pages::assert_self_contained;
use crate::world::{GREETING, World, token};
use serde_json::json;
use serin::store::Scope;

const HOSTILE: &str = "</code></pre><script>alert('x')</script><img src=x onerror=alert(1)> {{name}}";
/// As long as a tag may be.
const HOSTILE_TAG: &str = "</li><script>alert('x')</script><img src=x onerror=alert(1)>";

#[tokio::test]
async fn a_prompt_shows_its_versions_labels_and_what_changed() {
    let world = World::new().await.with_rollout().await;
    let mut browser = world.browser();
    let list = browser.get("/prompts").await.ok();
    assert_self_contained(&list);
    assert!(list.contains("href=\"/prompts/team%2Fgreeting\""), "{list}");
    let page = browser.get("/prompts/team%2Fgreeting").await.ok();
    assert_self_contained(&page);
    for shown in [
        "Version 2",
        "production <b>1</b>",
        "- Hello {{name}}",
        "+ Good day {{name}}, {{wish}}",
        "Labels over time",
        "href=\"/rollouts/r1\"",
    ] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    let same = browser.get("/prompts/team%2Fgreeting?from=2&to=2").await.ok();
    assert!(same.contains("These are the same version"), "{same}");
    assert_eq!(
        browser
            .get("/prompts/team%2Fgreeting?from=7")
            .await
            .status
            .as_u16(),
        404
    );
    assert_eq!(browser.get("/prompts/nobody").await.status.as_u16(), 404);
}

#[tokio::test]
async fn what_people_write_is_escaped_everywhere() {
    let world = World::new().await;
    for text in ["first", HOSTILE] {
        let body = json!({"name": "hostile", "type": "text", "prompt": text, "reason": HOSTILE,
                          "labels": ["production"], "config": {"model": HOSTILE}, "tags": [HOSTILE_TAG]});
        world.post("/v1/prompts", body).await;
    }
    let mut browser = world.browser();
    for path in [
        "/prompts",
        "/prompts/hostile",
        "/?q=%3Cscript%3Ealert(1)%3C/script%3E",
    ] {
        let page = browser.get(path).await.ok();
        assert_self_contained(&page);
        assert!(!page.contains("<img src=x"), "{path}");
    }
}

#[tokio::test]
async fn a_policy_shows_its_file_its_problems_and_a_plan() {
    let broken = GREETING
        .replace("bake: 1h, samples", "bake: soon, samples")
        .replace("greeting", "broken");
    let world = World::with(&[GREETING, &broken], &[]).await;
    let mut browser = world.browser();
    let list = browser.get("/policies").await.ok();
    assert_self_contained(&list);
    assert!(
        list.contains("1.yaml:") && list.contains("<code>soon</code>"),
        "{list}"
    );
    let page = browser.get("/policies/greeting").await.ok();
    assert_self_contained(&page);
    assert!(
        page.contains("kind: RolloutPolicy") && page.contains("Say how many observations"),
        "{page}"
    );
    let planned = browser
        .get("/policies/greeting?per_hour=20000&per_user=2")
        .await
        .ok();
    assert!(
        planned.contains("until promotion") && planned.contains("faithfulness worse by 5 margins"),
        "{planned}"
    );
    let refused = browser.get("/policies/greeting?per_hour=many").await.ok();
    assert!(refused.contains("the traffic must be above 0"), "{refused}");
    assert_eq!(browser.get("/policies/nobody").await.status.as_u16(), 404);
    assert!(page.contains("Nothing is wrong with it"), "{page}");
    let hasty = GREETING.replace("every: 1s", "every: 30m");
    let page = World::with(&[&hasty], &[])
        .await
        .browser()
        .get("/policies/greeting")
        .await
        .ok();
    assert!(
        page.contains("<span class=\"chip caution\">warning SRN"),
        "{page}"
    );
}

#[tokio::test]
async fn files_of_policies_are_for_those_who_operate() {
    let (eyes, root) = (token(), token());
    let tokens = [
        ("eyes", eyes.as_str(), Scope::Observe),
        ("root", &root, Scope::Admin),
    ];
    let world = World::with(&[GREETING], &tokens).await;
    let mut browser = world.browser();
    browser
        .fill("/sign-in", "/sign-in", &[("token", &eyes)])
        .await
        .leads_to();
    let page = browser.get("/policies/greeting").await.ok();
    assert!(!page.contains("kind: RolloutPolicy"), "{page}");
    assert_eq!(
        browser.get("/prompts").await.status.as_u16(),
        403,
        "prompts need the scope `assign`"
    );
}
