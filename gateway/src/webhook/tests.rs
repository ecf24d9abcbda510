mod https;

use super::*;
use crate::store;
use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use protocol::{AlertId, AlertState};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

const SECRET: &str = "kept between the two";

/// No post takes longer, unless something is broken.
const DEADLINE_MS: u64 = 30_000;
const DEADLINE: Duration = Duration::from_millis(DEADLINE_MS);

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
    receiver_at(url, listener, refusals, tasks)
}

fn receiver_at<L>(
    url: String,
    listener: L,
    refusals: u32,
    tasks: &mut tokio::task::JoinSet<()>,
) -> Receiver
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
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

/// A store of its own for a webhook.
struct Kept {
    database: store::Database,
    posts: Vec<KeyAndBody>,
}

fn open(folder: &TempDir) -> Kept {
    let (database, mut restored) = store::open(store::Settings::new(folder.path().into())).unwrap();
    Kept { database, posts: restored.rows.take(Table::Post) }
}

impl Kept {
    fn webhook(&mut self, settings: &config::Webhook) -> Option<(Webhook, Posting)> {
        Webhook::new(settings, std::mem::take(&mut self.posts), self.database.handle())
    }

    /// Has a change kept, and posted once it is.
    async fn tell(&self, webhook: &Webhook, change: &Change) {
        let Some((row, receipt)) = webhook.take(change) else { return };
        let (sender, kept) = oneshot::channel();
        let gathering = Gathering::new(self.database.handle());
        gathering.add(row);
        gathering.then(Receipt::impatient(move |outcome| {
            receipt.tell(outcome);
            sender.send(()).expect("the test waits");
        }));
        drop(gathering);
        kept.await.unwrap();
    }
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
    let signature = Key::of(SECRET).unwrap().signature(&text("webhook-id"), timestamp_s, &body);
    assert_eq!(text("webhook-signature"), signature);
    let body = serde_json::from_slice(&body).unwrap();
    (headers, body)
}

#[tokio::test]
async fn changes_are_posted_signed_and_in_order() {
    let folder = TempDir::new().unwrap();
    let (mut tasks, mut kept) = (tokio::task::JoinSet::new(), open(&folder));
    let mut receiver = receiver(0, &mut tasks).await;
    let (webhook, posting) = kept.webhook(&settings(&receiver.url)).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    for occasion in [Occasion::Raised, Occasion::Counted, Occasion::Acknowledged, Occasion::Cleared]
    {
        kept.tell(&webhook, &change(occasion, Severity::Critical)).await;
    }
    for expected in ["alert.raised", "alert.acknowledged", "alert.cleared"] {
        let (headers, body) = next(&mut receiver).await;
        assert_eq!((&body["type"], &body["data"]["code"]), (&expected.into(), &"dry".into()));
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn a_post_is_tried_again_with_its_own_id_until_it_is_taken() {
    let folder = TempDir::new().unwrap();
    let (mut tasks, mut kept) = (tokio::task::JoinSet::new(), open(&folder));
    let mut receiver = receiver(1, &mut tasks).await;
    let (webhook, posting) = kept.webhook(&settings(&receiver.url)).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    kept.tell(&webhook, &change(Occasion::Raised, Severity::Info)).await;
    next(&mut receiver).await;
    assert_eq!(receiver.attempts.load(Ordering::Relaxed), 2);
    assert_eq!(webhook.counters().attempts_failed.get(), 1);
}

#[tokio::test]
async fn a_post_that_nobody_takes_is_given_up() {
    let folder = TempDir::new().unwrap();
    let (mut tasks, mut kept) = (tokio::task::JoinSet::new(), open(&folder));
    let mut receiver = receiver(1, &mut tasks).await;
    let once = config::Webhook { attempts: 1, ..settings(&receiver.url) };
    let (webhook, posting) = kept.webhook(&once).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    kept.tell(&webhook, &change(Occasion::Raised, Severity::Info)).await;
    kept.tell(&webhook, &change(Occasion::Cleared, Severity::Info)).await;
    let (_, body) = next(&mut receiver).await;
    assert_eq!(body["type"], "alert.cleared", "the next one goes on");
    assert_eq!(webhook.counters().given_up.get(), 1);
}

#[tokio::test]
async fn what_waits_survives_a_restart_and_what_was_taken_is_not_posted_again() {
    let folder = TempDir::new().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    let mut receiver = receiver(0, &mut tasks).await;
    let mut kept = open(&folder);
    let (webhook, posting) = kept.webhook(&settings(&receiver.url)).unwrap();
    // Nobody posts before the end.
    for occasion in [Occasion::Raised, Occasion::Cleared] {
        kept.tell(&webhook, &change(occasion, Severity::Info)).await;
    }
    drop((webhook, posting));
    kept.database.close(protocol::Offset(0)).unwrap();

    let mut kept = open(&folder);
    assert_eq!(kept.posts.len(), 2);
    let (webhook, posting) = kept.webhook(&settings(&receiver.url)).unwrap();
    let stop = CancellationToken::new();
    tasks.spawn(posting.run(stop.clone()));
    for expected in ["alert.raised", "alert.cleared"] {
        assert_eq!(next(&mut receiver).await.1["type"], expected);
    }
    while webhook.counters().queued_now.get() > 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    kept.database.close(protocol::Offset(0)).unwrap();
    assert_eq!(open(&folder).posts, []);
}

#[tokio::test]
async fn without_a_webhook_what_was_kept_for_it_goes() {
    let folder = TempDir::new().unwrap();
    let mut kept = open(&folder);
    let (webhook, _posting) = kept.webhook(&settings("http://127.0.0.1:9/hook")).unwrap();
    kept.tell(&webhook, &change(Occasion::Raised, Severity::Info)).await;
    kept.database.close(protocol::Offset(0)).unwrap();
    let mut kept = open(&folder);
    assert!(kept.posts.len() == 1 && kept.webhook(&config::Webhook::default()).is_none());
    kept.database.close(protocol::Offset(0)).unwrap();
    assert_eq!(open(&folder).posts, []);
}

#[tokio::test]
async fn what_waits_is_bounded_and_less_bad_alerts_may_be_left_out() {
    let bounded = config::Webhook {
        queue: 2,
        severity: Severity::Warning,
        ..settings("http://127.0.0.1:9/hook")
    };
    let folder = TempDir::new().unwrap();
    let mut kept = open(&folder);
    let (webhook, _posting) = kept.webhook(&bounded).unwrap();
    let badly = [Severity::Warning, Severity::Critical, Severity::Critical, Severity::Critical];
    for severity in [Severity::Info].into_iter().chain(badly) {
        kept.tell(&webhook, &change(Occasion::Raised, severity)).await;
    }
    let counted =
        |webhook: &Webhook| (webhook.counters().dropped.get(), webhook.counters().queued_now.get());
    assert_eq!(counted(&webhook), (1, 3), "one to be tried, and two that wait");
    kept.database.close(protocol::Offset(0)).unwrap();
    let mut kept = open(&folder);
    assert_eq!(kept.posts.len(), 3, "what was dropped is not kept either");
    let (webhook, _posting) = kept.webhook(&bounded).unwrap();
    assert_eq!(counted(&webhook), (0, 3), "all that was kept goes on");
}

#[tokio::test]
async fn the_post_that_is_tried_takes_no_room_of_those_that_wait_and_is_not_lost_when_it_ends() {
    let folder = TempDir::new().unwrap();
    let (mut tasks, mut kept) = (tokio::task::JoinSet::new(), open(&folder));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", silent.local_addr().unwrap());
    let narrow = config::Webhook { queue: 1, timeout_ms: DEADLINE_MS, ..settings(&url) };
    let (webhook, posting) = kept.webhook(&narrow).unwrap();
    tasks.spawn(posting.run(CancellationToken::new()));
    kept.tell(&webhook, &change(Occasion::Raised, Severity::Info)).await;
    let _never_answered = silent.accept().await.unwrap();
    for occasion in [Occasion::Acknowledged, Occasion::Cleared] {
        kept.tell(&webhook, &change(occasion, Severity::Info)).await;
    }
    let counted =
        |webhook: &Webhook| (webhook.counters().dropped.get(), webhook.counters().queued_now.get());
    assert_eq!(counted(&webhook), (1, 2));
    kept.database.close(protocol::Offset(0)).unwrap();
    let mut kept = open(&folder);
    let types = kept
        .posts
        .iter()
        .map(|(_, body)| serde_json::from_slice::<serde_json::Value>(body).unwrap()["type"].take());
    assert_eq!(types.collect::<Vec<_>>(), ["alert.raised", "alert.cleared"]);
    let (webhook, _posting) = kept.webhook(&narrow).unwrap();
    assert_eq!(counted(&webhook), (0, 2), "all that was kept goes on");
}

#[test]
fn waits_grow_to_five_minutes() {
    let longest = [1, 2, 3, 9, 10, 99].map(|attempt| wait(attempt, 1.0).as_secs());
    assert_eq!(longest, [1, 2, 4, 256, 300, 300]);
    assert_eq!(wait(1, 0.0), Duration::from_millis(500));
}
