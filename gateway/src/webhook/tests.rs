use super::*;
use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use protocol::{AlertId, AlertState};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::{net::TcpListener, sync::mpsc};

const SECRET: &str = "kept between the two";

/// No post takes longer, unless something is broken.
const DEADLINE: Duration = Duration::from_secs(30);

/// A receiver that refuses the first `refusals` attempts, and what it took.
struct Receiver {
    url: String,
    taken: mpsc::UnboundedReceiver<(HeaderMap, Bytes)>,
    attempts: Arc<AtomicU32>,
}

#[derive(Clone)]
struct Taking {
    refusals: u32,
    attempts: Arc<AtomicU32>,
    taken: mpsc::UnboundedSender<(HeaderMap, Bytes)>,
}

async fn take(State(taking): State<Taking>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if taking.attempts.fetch_add(1, Ordering::Relaxed) < taking.refusals {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    taking.taken.send((headers, body)).expect("the test goes on");
    std::future::ready(StatusCode::NO_CONTENT).await
}

async fn receiver(refusals: u32, tasks: &mut tokio::task::JoinSet<()>) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, taken) = mpsc::unbounded_channel();
    let attempts = Arc::new(AtomicU32::new(0));
    let taking = Taking { refusals, attempts: Arc::clone(&attempts), taken: sender };
    let router = Router::new().route("/hook", post(take)).with_state(taking);
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Receiver { url, taken, attempts }
}

fn settings(url: &str) -> config::Webhook {
    let secret = config::Secret(SECRET.into());
    config::Webhook { url: url.into(), secret, ..config::Webhook::default() }
}

fn change(occasion: Occasion, severity: Severity) -> Change {
    let alert = Alert {
        id: AlertId::new(Timestamp(1), 1),
        device: "pump-1".parse().unwrap(),
        severity,
        code: "dry".into(),
        message: "no water".into(),
        data: serde_json::json!({}),
        state: AlertState::Active,
        count: 1,
        raised_at: Timestamp(1),
        acknowledged_at: None,
        acknowledged_by: None,
        cleared_at: None,
        cleared_by: None,
    };
    Change { occasion, alert }
}

async fn next(receiver: &mut Receiver) -> (HeaderMap, serde_json::Value) {
    let (headers, body) =
        time::timeout(DEADLINE, receiver.taken.recv()).await.expect("a post comes").unwrap();
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let timestamp_s = text("webhook-timestamp").parse().unwrap();
    let signature = Key::of(SECRET).signature(&text("webhook-id"), timestamp_s, &body);
    assert_eq!(text("webhook-signature"), signature);
    let body = serde_json::from_slice(&body).unwrap();
    (headers, body)
}

#[tokio::test]
async fn changes_are_posted_signed_and_in_order() {
    let mut tasks = tokio::task::JoinSet::new();
    let mut receiver = receiver(0, &mut tasks).await;
    let (webhook, posting) = Webhook::new(&settings(&receiver.url)).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    for occasion in [Occasion::Raised, Occasion::Counted, Occasion::Acknowledged, Occasion::Cleared]
    {
        webhook.tell(&change(occasion, Severity::Critical));
    }
    for expected in ["alert.raised", "alert.acknowledged", "alert.cleared"] {
        let (headers, body) = next(&mut receiver).await;
        assert_eq!((&body["type"], &body["data"]["code"]), (&expected.into(), &"dry".into()));
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_post_is_tried_again_with_its_own_id_until_it_is_taken() {
    let mut tasks = tokio::task::JoinSet::new();
    let mut receiver = receiver(1, &mut tasks).await;
    let (webhook, posting) = Webhook::new(&settings(&receiver.url)).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    webhook.tell(&change(Occasion::Raised, Severity::Info));
    next(&mut receiver).await;
    assert_eq!(receiver.attempts.load(Ordering::Relaxed), 2);
    assert_eq!(webhook.counters().attempts_failed.get(), 1);
}

#[tokio::test]
async fn a_post_that_nobody_takes_is_given_up() {
    let mut tasks = tokio::task::JoinSet::new();
    let mut receiver = receiver(1, &mut tasks).await;
    let once = config::Webhook { attempts: 1, ..settings(&receiver.url) };
    let (webhook, posting) = Webhook::new(&once).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    webhook.tell(&change(Occasion::Raised, Severity::Info));
    webhook.tell(&change(Occasion::Cleared, Severity::Info));
    let (_, body) = next(&mut receiver).await;
    assert_eq!(body["type"], "alert.cleared", "the next one goes on");
    assert_eq!(webhook.counters().given_up.get(), 1);
}

#[tokio::test]
async fn what_waits_is_bounded_and_less_bad_alerts_may_be_left_out() {
    let bounded = config::Webhook {
        queue: 2,
        severity: Severity::Warning,
        ..settings("http://127.0.0.1:9/hook")
    };
    let (webhook, _posting) = Webhook::new(&bounded).unwrap();
    for severity in [Severity::Info, Severity::Warning, Severity::Critical, Severity::Critical] {
        webhook.tell(&change(Occasion::Raised, severity));
    }
    assert_eq!((webhook.counters().dropped.get(), webhook.counters().queued_now.get()), (1, 2));
}

#[test]
fn waits_grow_to_five_minutes() {
    let longest = [1, 2, 3, 9, 10, 99].map(|attempt| wait(attempt, 1.0).as_secs());
    assert_eq!(longest, [1, 2, 4, 256, 300, 300]);
    assert_eq!(wait(1, 0.0), Duration::from_millis(500));
}
