//! The exchange as a whole, with a real router.

mod failing;
mod links;
mod routing;

use super::{
    Exchange, Interest, Keeping, Link, Message, Properties, Settings, engine::Input, router::Router,
};
use protocol::{TopicFilter, TopicName};
use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{task::JoinSet, task::yield_now, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// An exchange that runs until the fixture is dropped.
struct Fixture {
    exchange: Exchange,
    stop: CancellationToken,
    running: JoinSet<()>,
    settled: AtomicU64,
}

impl Fixture {
    fn start(settings: Settings) -> Self {
        let stop = CancellationToken::new();
        let (exchange, run) = Exchange::start(settings, stop.clone());
        let mut running = JoinSet::new();
        running.spawn(run);
        Self { exchange, stop, running, settled: AtomicU64::new(0) }
    }

    async fn link(&self, filters: &[&str]) -> Link {
        let mut link = within(self.exchange.link(Keeping::InMemory)).await.unwrap();
        for filter in filters {
            within(link.subscribe(own(filter))).await.unwrap();
        }
        link
    }

    async fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        within(self.exchange.publish(message(topic, payload))).await.unwrap();
    }

    /// Publishes a message only for `link`, and returns what that received before it.
    async fn settle(&self, link: &mut Link) -> Vec<Arc<Message>> {
        let end = format!("settled/{}", self.settled.fetch_add(1, Relaxed));
        within(link.subscribe(own(&end))).await.unwrap();
        self.publish(&end, "").await;
        let mut received = Vec::new();
        loop {
            let message = within(link.recv()).await.unwrap().message;
            if message.topic.as_str() == end {
                within(link.unsubscribe(own(&end))).await.unwrap();
                return received;
            }
            received.extend((!message.topic.as_str().starts_with("settled/")).then_some(message));
        }
    }

    /// Does something to the router.
    fn sabotage(&self, act: fn(&mut Router)) {
        self.exchange.shared.inputs.send(Input::Sabotage(act)).unwrap();
    }

    async fn until(&self, counter: fn(&super::Counters) -> &crate::count::Counter, wanted: u64) {
        let counter = counter(self.exchange.counters());
        within(async {
            while counter.get() < wanted {
                yield_now().await;
            }
        })
        .await;
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("should have happened long ago")
}

fn filter(filter: &str) -> TopicFilter {
    filter.parse().unwrap()
}

fn own(filter: &str) -> Interest {
    Interest::Own(self::filter(filter))
}

fn topic(topic: &str) -> TopicName {
    topic.parse().unwrap()
}

fn message(topic: &str, payload: impl Into<Vec<u8>>) -> Message {
    Message {
        topic: self::topic(topic),
        payload: payload.into().into(),
        qos: 0,
        retain: false,
        publisher: None,
        served: None,
        retained_as: 0,
        properties: Properties::default(),
    }
}

fn topics(messages: &[Arc<Message>]) -> Vec<&str> {
    messages.iter().map(|message| message.topic.as_str()).collect()
}

fn payloads(messages: &[Arc<Message>]) -> Vec<&str> {
    messages.iter().map(|message| str::from_utf8(&message.payload).unwrap()).collect()
}
