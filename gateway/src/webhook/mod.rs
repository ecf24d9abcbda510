//! The webhook: posts alerts to a URL when they are raised, acknowledged or cleared.
//!
//! Posts go one after the other, in order, each signed (`sign`); one that fails is tried again after a
//! back-off with jitter and given up after `webhook.attempts`. What waits is bounded and counted, and kept in the
//! store from the moment the alert is: the next start goes on with it. So a post may come twice, with the same id.

mod sign;

pub(crate) use sign::Key;

use crate::{
    clock, config,
    count::counters,
    store::{Gathering, KeyAndBody, Receipt, Row, StoreHandle, Table},
};
use axum::http::Request;
use bridge::alerts::{Change, Occasion};
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use protocol::{Alert, Severity, Timestamp};
use rustls::ClientConfig;
use serde::Serialize;
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;

counters! {
    /// What the webhook counts.
    Counters {
        /// Posts that were taken.
        posted,
        /// Attempts that failed: no answer in time, or none of 2xx.
        attempts_failed,
        /// Posts given up after webhook.attempts.
        given_up,
        /// Posts given up because more waited than webhook.queue.
        dropped,
        /// Posts that wait or are being tried.
        queued_now,
    }
}

/// The longest wait after the first attempt; it doubles with each one.
const WAIT_FIRST: Duration = Duration::from_secs(1);

/// No wait is longer.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The body of a post.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: &'a Alert,
}

/// What is to be posted.
#[derive(Clone, Debug)]
struct Post {
    id: String,
    body: Bytes,
}

/// The handle: takes what happened, never waits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhook(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    severity: Severity,
    /// Posts that may wait behind the first one.
    waiting_max: usize,
    /// The first one is being tried, or will be next; it stays until it is over.
    queue: Mutex<VecDeque<Post>>,
    wake: Notify,
    store: StoreHandle,
    counters: Arc<Counters>,
}

/// The task that posts.
#[derive(Debug)]
pub struct Posting {
    shared: Arc<Shared>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    /// Whose it is: more of it, its path above all, may be a secret.
    receiver: String,
    timeout: Duration,
    key: Key,
    attempts: u32,
}

impl Webhook {
    /// The webhook of these settings with the task that posts, which goes on with the posts that were `kept`; none
    /// where the settings name no URL: then these are given up.
    ///
    /// # Panics
    /// Never: the settings were checked, and the client needs nothing of the system.
    #[must_use]
    pub fn new(
        settings: &config::Webhook,
        kept: Vec<KeyAndBody>,
        store: StoreHandle,
    ) -> Option<(Self, Posting)> {
        if settings.url.is_empty() {
            let gone = Gathering::new(store);
            kept.into_iter().for_each(|(id, _)| gone.add(Row::gone(Table::Post, id)));
            return None;
        }
        let client = Client::builder(TokioExecutor::new()).build(connector(settings));
        let shared = Arc::new(Shared {
            severity: settings.severity,
            waiting_max: settings.queue as usize,
            queue: Mutex::default(),
            wake: Notify::new(),
            store,
            counters: Arc::default(),
        });
        for (id, body) in kept {
            shared.put(Post { id, body: body.into() });
        }
        let posting = Posting {
            shared: Arc::clone(&shared),
            client,
            url: settings.url.clone(),
            receiver: settings.receiver(),
            timeout: Duration::from_millis(settings.timeout_ms),
            key: Key::of(&settings.secret.0).expect("checked with the other settings"),
            attempts: settings.attempts,
        };
        Some((Self(shared), posting))
    }

    /// Takes a change of an alert: what is to be kept with it, and what posts it once that is kept. That it was
    /// raised once more is not posted.
    #[must_use]
    pub fn take(&self, change: &Change) -> Option<(Row, Receipt)> {
        let r#type = match change.occasion {
            Occasion::Raised => "alert.raised",
            Occasion::Acknowledged => "alert.acknowledged",
            Occasion::Cleared => "alert.cleared",
            Occasion::Counted => return None,
        };
        if change.alert.severity < self.0.severity {
            return None;
        }
        let body = Body { r#type, timestamp: clock::now(), data: &change.alert };
        let body = serde_json::to_vec(&body).expect("an alert has text keys only");
        let post = Post { id: uuid::Uuid::now_v7().to_string(), body: body.into() };
        let row = Row::set(Table::Post, post.id.as_str(), post.body.to_vec());
        let shared = Arc::clone(&self.0);
        // One that cannot be kept is posted all the same: it may be about that very disk.
        Some((row, Receipt::impatient(move |_kept_or_not| shared.put(post))))
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }
}

impl Shared {
    /// Has a post wait; when there is no room for it, the one that waits longest is given up.
    fn put(&self, post: Post) {
        let mut queue = self.queue();
        if queue.len() > self.waiting_max {
            if let Some(oldest) = queue.remove(1) {
                self.forget(&oldest);
            }
            self.counters.dropped.increment();
            self.counters.queued_now.decrement();
        }
        queue.push_back(post);
        self.counters.queued_now.increment();
        self.wake.notify_one();
    }

    /// A post is no longer kept.
    fn forget(&self, post: &Post) {
        Gathering::new(self.store.clone()).add(Row::gone(Table::Post, post.id.as_str()));
    }

    /// The post that is first in the queue, once there is one.
    async fn first(&self) -> Post {
        loop {
            let post = self.queue().front().cloned();
            match post {
                Some(post) => return post,
                None => self.wake.notified().await,
            }
        }
    }

    /// The first post was taken or given up.
    fn first_is_over(&self) {
        let over = self.queue().pop_front();
        over.iter().for_each(|post| self.forget(post));
        self.counters.queued_now.decrement();
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Post>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Posting {
    /// Posts until `stop` fires.
    pub async fn run(self, stop: CancellationToken) {
        let served = stop.run_until_cancelled(self.serve()).await;
        let left = self.shared.counters.queued_now.get();
        if served.is_none() && left > 0 {
            tracing::info!(left, "the gateway stops: posts to the webhook wait for its next start");
        }
    }

    async fn serve(&self) {
        loop {
            let post = self.shared.first().await;
            self.deliver(&post).await;
            self.shared.first_is_over();
        }
    }

    async fn deliver(&self, post: &Post) {
        let counters = &self.shared.counters;
        for attempt in 1..=self.attempts {
            match self.attempt(post).await {
                Ok(()) => return counters.posted.increment(),
                Err(error) => {
                    counters.attempts_failed.increment();
                    tracing::debug!(
                        receiver = self.receiver,
                        attempt,
                        error,
                        "the webhook did not take a post"
                    );
                }
            }
            if attempt < self.attempts {
                time::sleep(wait(attempt, rand::random())).await;
            }
        }
        counters.given_up.increment();
        tracing::warn!(
            receiver = self.receiver,
            post = post.id,
            "a post to the webhook is given up"
        );
    }

    async fn attempt(&self, post: &Post) -> Result<(), String> {
        let timestamp_s = clock::now().0 / 1_000;
        let signature = self.key.signature(&post.id, timestamp_s, &post.body);
        let request = Request::post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", &post.id)
            .header("webhook-timestamp", timestamp_s.to_string())
            .header("webhook-signature", signature)
            .body(Full::new(post.body.clone()))
            .map_err(|error| error.to_string())?;
        match time::timeout(self.timeout, self.client.request(request)).await {
            Ok(Ok(response)) if response.status().is_success() => Ok(()),
            Ok(Ok(response)) => Err(format!("it answered {}", response.status())),
            Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::from(error))),
            Err(_elapsed) => Err("it did not answer in time".into()),
        }
    }
}

/// Plain or with TLS, which trusts whom the settings name.
fn connector(settings: &config::Webhook) -> HttpsConnector<HttpConnector> {
    let tls = trusted(settings.ca.as_deref());
    HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build()
}

/// Trusts who is in the file, or without one whom the system trusts.
fn trusted(ca: Option<&Path>) -> ClientConfig {
    match ca.map(trust::in_file) {
        Some(Ok(known)) => known,
        Some(Err(error)) => {
            tracing::error!(%error, "webhook.ca cannot be read any more: no post is taken");
            trust::in_nobody()
        }
        None => trust::in_system(),
    }
}

/// How long to wait after an attempt; `random` is in `0.0..1.0`.
fn wait(attempt: u32, random: f64) -> Duration {
    let longest = WAIT_FIRST.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(WAIT_MAX);
    longest.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests;
