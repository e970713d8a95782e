//! A rollout's report: one page that holds everything and loads nothing.

use crate::world::{Answer, GREETING, World, token};
use base64::Engine as _;
use serde_json::json;
use serin::ids::{Exposure, MetricName, Tick};
use serin::store::{MetricPoint, Point, PointStore as _, Scope, Store as _};
use sha2::{Digest as _, Sha256};

const REPORT: &str = "/v1/rollouts/r1/report";

async fn ask(world: &World, path: &str, token: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer
        .iter()
        .map(|bearer| ("authorization", bearer.as_str()))
        .collect();
    world.browser().send("GET", path, &headers, String::new()).await
}

/// What is between two texts.
#[track_caller]
fn between<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let (_, rest) = page
        .split_once(from)
        .unwrap_or_else(|| panic!("no {from} in {page}"));
    rest.split_once(to)
        .unwrap_or_else(|| panic!("no {to} after {from}"))
        .0
}

/// Every tag of a page, without what it names its namespace with; what is escaped is none.
fn tags(page: &str) -> String {
    let parts = page.split('<').skip(1);
    let tags = parts.map(|part| format!("<{} ", part.split('>').next().unwrap()));
    tags.collect::<String>()
        .replace("xmlns=\"http://www.w3.org/2000/svg\"", "")
}

/// Everything by which a page could load something, run something, or lead away.
#[track_caller]
fn assert_loads_nothing(page: &str) {
    let tags = tags(page);
    for blocked in [
        "<script",
        "<img",
        "<iframe",
        "<object",
        "<embed",
        "<base",
        "<form",
        "<a ",
        " src=",
        " srcset=",
        " style=",
        " onload",
        " onclick",
        " onerror",
        "javascript:",
        "http://",
        "https://",
        "http-equiv=\"refresh\"",
    ] {
        assert!(!tags.contains(blocked), "{blocked} in {tags}");
    }
    let links: Vec<&str> = tags.split("<link").skip(1).collect();
    assert_eq!(links.len(), 1, "{links:?}");
    assert!(
        links[0].starts_with(" rel=\"icon\" href=\"data:,\""),
        "{}",
        links[0]
    );
}

/// Numbers of three moments, as charts show them.
async fn keep_points(world: &World) {
    let rollout = world.store.rollouts(None, None, 1).await.unwrap()[0].clone();
    let metric = |name: &str, second: f64| MetricPoint {
        metric: MetricName::new(name).unwrap(),
        control_count: 100,
        treatment_count: 90,
        control: Some(0.9),
        treatment: Some(0.8 - second / 100.0),
        difference: Some(-0.1 - second / 100.0),
        interval: Some((-0.3, 0.1)),
        margin: Some(0.05),
        log_e_worse: second,
        log_e_non_inferior: -second,
    };
    let began = Tick::of(rollout.started_at).second();
    let point = |after: i32| Point {
        tick: Tick::new(began + i64::from(after)),
        exposure: Exposure::EVERYBODY,
        log_e_combined: Some(1.0),
        treated_share: Some(0.4),
        planned_share: Some(0.5),
        metrics: ["faithfulness", "errors"]
            .map(|name| metric(name, f64::from(after)))
            .to_vec(),
    };
    let points = (1..4).map(|after| (rollout.id, point(after)));
    world.store.keep_points(points.collect()).await.unwrap();
}

#[tokio::test]
async fn the_page_holds_everything_and_loads_nothing() {
    let mut world = World::new().await.with_rollout().await;
    for _ in 0..12 {
        world.observe(400, 0.55).await;
    }
    keep_points(&world).await;
    let answer = ask(&world, REPORT, None).await;
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(
        answer.headers["content-disposition"],
        "inline; filename=\"greeting-r1.html\""
    );
    let allowed = answer.headers["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    let page = answer.ok();
    assert_loads_nothing(&page);
    // The page has the hash of its own style, in the header and in itself.
    let style = between(&page, "<style>", "</style>");
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    );
    assert_eq!(allowed, format!("{policy}; frame-ancestors 'none'"));
    let inside = between(
        &page,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"",
        "\"",
    );
    assert_eq!(inside.replace("&#39;", "'"), policy);
    for needed in [
        "The candidate is worse in <code>faithfulness</code>",
        "0.5799 in treatment against 0.8799 in control, a difference of -0.300",
        "Difference of faithfulness: the table below has the numbers",
        "Evidence of faithfulness: the table below has the numbers",
        "faithfulness over time, newest first",
        "<details id=\"rows-1\" open>",
        "<h2 id=\"quality-title\">Data quality</h2>",
        "Left out: a value was out of range",
        "After a rollback Serin assigns nobody to the candidate any more",
        "<td>local</td><td>Pending: local asked for it: it greets better</td>",
        "<td>serin</td>",
        "prompt: team/greeting",
        "<dt>Owner</dt><dd>growth</dd>",
    ] {
        assert!(page.contains(needed), "no {needed} in {page}");
    }
    assert_eq!(
        page.matches("<svg").count(),
        9,
        "four charts of two metrics, and exposure"
    );
}

/// The ladder says when users came to each step and how long they were there, pauses included.
#[tokio::test]
async fn steps_have_their_times() {
    let mut world = World::new().await.with_rollout().await;
    world.tick(60).await;
    world
        .post("/v1/rollouts/r1/pause", json!({"reason": "lunch"}))
        .await;
    world.tick(60).await;
    world
        .post("/v1/rollouts/r1/rollback", json!({"reason": "no appetite"}))
        .await;
    world.tick(600).await;
    let page = ask(&world, REPORT, None).await.ok();
    let ladder = between(&page, "<caption class=\"unseen\">Steps,", "</table>");
    let rows: Vec<&str> = ladder.split("<tr").skip(2).collect();
    assert!(
        rows[0].contains("2026-11-21 12:00:02 UTC") && rows[0].contains(">2 min 1 s<"),
        "{}",
        rows[0]
    );
    assert_eq!(rows[1].matches('–').count(), 4, "never entered: {}", rows[1]);
    let stays = between(&page, "<caption>Exposure over time", "</table>");
    for needed in [
        ">Step 1<",
        ">Paused in step 1<",
        ">Rolled back<",
        ">1 min",
        ">50%<",
        ">0%<",
    ] {
        assert!(
            stays.to_lowercase().contains(&needed.to_lowercase()),
            "no {needed} in {stays}"
        );
    }
}

#[tokio::test]
async fn what_people_wrote_is_text() {
    let hostile = "</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>";
    let policy = format!("# {hostile}{GREETING}");
    let world = World::with(&[&policy], &[]).await.with_rollout().await;
    let reason = "<b>lunch</b>\"'><svg onload=alert(1)>";
    world
        .post("/v1/rollouts/r1/pause", json!({"reason": reason}))
        .await;
    let page = ask(&world, REPORT, None).await.ok();
    assert_loads_nothing(&page);
    assert!(!page.contains("<b>lunch") && !page.contains("<img"), "{page}");
    assert!(
        page.contains("&#60;b&#62;lunch&#60;/b&#62;&#34;&#39;&#62;&#60;svg onload"),
        "{page}"
    );
    assert!(
        page.contains("# &#60;/code&#62;&#60;/pre&#62;&#60;script&#62;"),
        "{page}"
    );
}

#[tokio::test]
async fn whoever_may_not_operate_sees_no_file() {
    let (ops, eyes) = (token(), token());
    let tokens = [
        ("ops", ops.as_str(), Scope::Operate),
        ("eyes", eyes.as_str(), Scope::Observe),
        ("root", &token(), Scope::Admin),
    ];
    let world = World::with(&[GREETING], &tokens)
        .await
        .with_rollout_as(&ops)
        .await;
    let file = "prompt: team/greeting";
    assert!(ask(&world, REPORT, Some(&ops)).await.ok().contains(file));
    let page = ask(&world, REPORT, Some(&eyes)).await.ok();
    assert!(
        !page.contains(file) && page.contains("whoever asks with the scope"),
        "{page}"
    );
    for token in [None, Some("srn_wrong")] {
        let refused = ask(&world, REPORT, token).await;
        assert_eq!(refused.status.as_u16(), 401);
        assert_eq!(refused.headers["content-type"], "application/problem+json");
    }
    // On the console it is the session that counts.
    let page = "/rollouts/r1/report";
    assert!(
        world
            .browser()
            .get(page)
            .await
            .leads_to()
            .starts_with("/sign-in?next=%2F")
    );
    let mut browser = world.browser();
    browser
        .fill("/sign-in", "/sign-in", &[("token", &eyes)])
        .await
        .leads_to();
    let answer = browser.get(page).await;
    assert!(
        answer.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("sha256-")
    );
    assert!(answer.ok().contains("whoever asks with the scope"));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_and_the_route_is_described() {
    let world = World::new().await;
    let refused = ask(&world, "/v1/rollouts/r9/report", None).await;
    assert_eq!(refused.status.as_u16(), 404);
    assert!(
        refused.text.contains("\"code\":\"unknown_rollout\""),
        "{}",
        refused.text
    );
    assert_eq!(
        ask(&world, "/v1/rollouts/x/report", None).await.status.as_u16(),
        400
    );
    assert_eq!(
        ask(&world, "/v1/rollouts/r9/report?a=b", None)
            .await
            .status
            .as_u16(),
        400
    );
    assert_eq!(
        world.browser().get("/rollouts/r9/report").await.status.as_u16(),
        404
    );
    let document = world.get("/openapi.json").await;
    let answers = &document["paths"]["/v1/rollouts/{rollout}/report"]["get"]["responses"];
    assert_eq!(answers["200"]["content"]["text/html"]["schema"]["type"], "string");
    assert!(
        answers["401"]["content"]["application/problem+json"].is_object(),
        "{answers}"
    );
}
