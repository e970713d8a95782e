//! What every page is: whole, self-contained, and quick for many policies.

use crate::world::{GREETING, World};

/// Everything in a page that a strict content security policy would block, or that reaches elsewhere.
#[track_caller]
pub(crate) fn assert_self_contained(page: &str) {
    for blocked in [
        " style=",
        "<style",
        "javascript:",
        " onclick",
        " onload",
        "href=\"http",
        "src=\"http",
        "src=\"//",
    ] {
        assert!(!page.contains(blocked), "{blocked} in {page}");
    }
    for part in page.split("<script").skip(1) {
        assert!(part.starts_with(" src=\"/static/"), "a script of its own: {part}");
    }
    for needed in ["<html lang=\"en\">", "<main id=\"main\"", "class=\"skip\"", "<h1"] {
        assert!(page.contains(needed), "no {needed}");
    }
}

#[tokio::test]
async fn the_overview_says_what_a_rollout_waits_for() {
    let world = World::new().await.with_rollout().await;
    let page = world.browser().get("/").await.ok();
    assert_self_contained(&page);
    assert!(page.contains("<a href=\"/rollouts/r1\">greeting</a>"), "{page}");
    assert!(page.contains("Baking until 13:00:"), "{page}");
    assert!(page.contains("aria-current=\"step\">50%"), "{page}");
}

#[tokio::test]
async fn without_a_rollout_the_policy_rests() {
    let world = World::new().await;
    let page = world.browser().get("/").await.ok();
    assert!(page.contains("No rollout yet"), "{page}");
    let empty = World::with(&[], &[]).await;
    let page = empty.browser().get("/").await.ok();
    assert!(page.contains("No policies yet"), "{page}");
}

#[tokio::test]
async fn a_thousand_policies_come_in_small_pages_and_are_found_by_name() {
    let texts: Vec<String> = (0..1_000)
        .map(|number| {
            let text = GREETING.replace("name: greeting", &format!("name: policy-{number:04}"));
            text.replace("team/greeting", &format!("team/prompt-{number}"))
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let world = World::with(&texts, &[]).await;
    let mut browser = world.browser();
    let page = browser.get("/").await.ok();
    assert!(page.len() < 300_000, "{} bytes", page.len());
    assert!(page.contains("Policies 1 to 100 of 1000"));
    assert!(page.contains("policy-0099") && !page.contains("policy-0100"));
    let next = browser.get("/?page=2").await.ok();
    assert!(next.contains("policy-0100") && next.contains("rel=\"prev\" href=\"/\""));
    let found = browser.get("/?q=policy-077").await.ok();
    assert!(
        found.contains("of 10,") && found.contains("policy-0771"),
        "{found}"
    );
    let none = browser.get("/?show=failing&page=99999999999999999999").await.ok();
    assert!(none.contains("No policy fits"));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so() {
    let world = World::new().await;
    for path in [
        "/rollouts/r9",
        "/rollouts/%3Cscript%3E",
        "/rollouts/r1/explode",
        "/static/none.css",
    ] {
        let answer = world.browser().get(path).await;
        assert_eq!(answer.status.as_u16(), 404, "{path}");
        assert_self_contained(&answer.text);
    }
}

#[tokio::test]
async fn files_are_kept_and_pages_are_not() {
    let world = World::new().await;
    let mut browser = world.browser();
    let answer = browser.get("/").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let policy = answer.headers["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    for name in ["console.css", "console.js"] {
        let (_, address) = answer.text.split_once(&format!("\"/static/{name}?")).unwrap();
        let address = format!("/static/{name}?{}", address.split('"').next().unwrap());
        let file = browser.get(&address).await;
        assert_eq!(
            file.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        assert!(!file.ok().is_empty());
    }
}
