//! What becomes of spans when the endpoint does not do as it should.

use crate::receiver::{Answer, Receiver};
use serin::clock::Clock;
use serin::controller::Board;
use serin::rollout::NoticeOutcome;
use serin::telemetry::Telemetry;
use serin::telemetry::traces::{Exporting, Head, Notified, TraceSettings};

/// More than the queue and one batch hold.
const SPANS_TOO_MANY: usize = 4_000;

fn settings(url: &str) -> TraceSettings {
    TraceSettings {
        endpoint: url.parse().unwrap(),
        headers: reqwest::header::HeaderMap::new(),
        service: "serin".to_owned(),
        ratio_ppm: 1_000_000,
        gzip: false,
    }
}

fn telemetry(settings: &TraceSettings) -> (Telemetry, Exporting) {
    let telemetry = Telemetry::new().unwrap();
    telemetry.with_traces(settings, Clock::System).unwrap()
}

/// Tells of one notification.
fn tell(telemetry: &Telemetry) {
    telemetry.tracer().notified(&Notified {
        policy: "greeting",
        rollout: "r1",
        on: "rolledBack",
        format: "slack",
        resend_count: 0,
        began: Clock::System.now(),
        status: Some(200),
        outcome: &NoticeOutcome::Delivered,
    });
}

/// How many spans were exported, failed and dropped.
fn counted(telemetry: &Telemetry) -> [u64; 3] {
    let page = telemetry.render(&Board::default()).unwrap();
    ["exported", "failed", "dropped"].map(|outcome| {
        let name = format!("serin_own_spans_total{{outcome=\"{outcome}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.unwrap_or_else(|| panic!("no {name} in {page}"))
            .parse()
            .unwrap()
    })
}

#[tokio::test]
async fn what_is_left_is_sent_at_the_end_in_the_asked_form() {
    let receiver = Receiver::start(&[]).await;
    let (telemetry, exporting) = telemetry(&TraceSettings {
        gzip: true,
        ..settings(&receiver.url)
    });
    (0..700).for_each(|_| tell(&telemetry));
    exporting.stop().await;
    assert_eq!(receiver.spans().len(), 700);
    assert_eq!(receiver.exports()[0].headers["content-encoding"], "gzip");
    assert_eq!(counted(&telemetry), [700, 0, 0]);
    // Whoever still works afterwards is not held up.
    tell(&telemetry);
    assert_eq!(counted(&telemetry), [700, 0, 1]);
}

#[tokio::test]
async fn a_passing_failure_is_passed_and_a_lasting_one_is_counted() {
    let receiver = Receiver::start(&[Answer::Refuse(503), Answer::Take, Answer::Refuse(400)]).await;
    let (telemetry, exporting) = telemetry(&settings(&receiver.url));
    tell(&telemetry);
    receiver
        .until("the second attempt", |spans| spans.len() == 1)
        .await;
    tell(&telemetry);
    exporting.stop().await;
    assert_eq!(receiver.spans().len(), 1);
    assert_eq!(counted(&telemetry), [1, 1, 0]);
}

#[tokio::test]
async fn what_an_endpoint_rejects_is_counted() {
    let receiver = Receiver::start(&[Answer::Reject(2)]).await;
    let (telemetry, exporting) = telemetry(&settings(&receiver.url));
    (0..5).for_each(|_| tell(&telemetry));
    exporting.stop().await;
    assert_eq!(counted(&telemetry), [3, 2, 0]);
}

/// Nobody waits for an endpoint that hangs: what does not fit is dropped.
#[tokio::test]
async fn a_full_queue_drops_and_holds_up_nobody() {
    let receiver = Receiver::start(&[Answer::Hang]).await;
    let (telemetry, exporting) = telemetry(&settings(&receiver.url));
    // The runtime has one thread, which does nothing else meanwhile.
    (0..SPANS_TOO_MANY).for_each(|_| tell(&telemetry));
    let [exported, failed, dropped] = counted(&telemetry);
    assert_eq!((exported, failed), (0, 0));
    assert_eq!(dropped, u64::try_from(SPANS_TOO_MANY - 2_048).unwrap());
    drop(exporting);
}

#[tokio::test]
async fn an_endpoint_that_is_away_costs_the_spans_alone() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    drop(listener);
    let (telemetry, exporting) = telemetry(&settings(&url));
    tell(&telemetry);
    exporting.stop().await;
    assert_eq!(counted(&telemetry), [0, 1, 0]);
}

/// The same share of requests as is asked for, within five standard errors.
#[tokio::test]
async fn a_ratio_draws_requests() {
    const REQUESTS: u32 = 20_000;
    let receiver = Receiver::start(&[]).await;
    let (telemetry, _exporting) = telemetry(&TraceSettings {
        ratio_ppm: 10_000,
        ..settings(&receiver.url)
    });
    let headers = reqwest::header::HeaderMap::new();
    let head = Head {
        method: "GET",
        route: Some("/v1/assignments/{policy}"),
        path: "/v1/assignments/greeting",
        headers: &headers,
    };
    let told = (0..REQUESTS).filter(|_| telemetry.tracer().request(&head).is_some());
    let told = told.count();
    assert!((130..=270).contains(&told), "{told} of {REQUESTS}");
    let off = Telemetry::new().unwrap();
    assert!(off.tracer().request(&head).is_none());
}
