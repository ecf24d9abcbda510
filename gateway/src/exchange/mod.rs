//! The exchange: ordinary MQTT between clients, by rumqttd's router.
//!
//! Sees validated messages of the edge only. Sessions hold a [`Link`] while they subscribe to ordinary
//! topics; what arrives on it the session filters once more by its own subscriptions (QoS, no-local,
//! `$` topics), so a link may deliver a message once though several filters match, or more often.

use bridge::event::ConnectionId;
use bytes::Bytes;
use protocol::TopicName;

/// An application message on its way between clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: TopicName,
    /// The payload.
    pub payload: Bytes,
    /// The QoS it was published with, 0 to 2.
    pub qos: u8,
    /// Whether the publisher set RETAIN.
    pub retain: bool,
    /// Who published it, for no-local; none: the gateway.
    pub publisher: Option<ConnectionId>,
    /// Who has received it already by the direct path of commands.
    pub served: Option<ConnectionId>,
    /// MQTT 5 properties that travel with the message.
    pub properties: Properties,
}

/// The MQTT 5 properties of a PUBLISH that are forwarded unchanged (MQTT 5.0, section 3.3.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Payload Format Indicator.
    pub payload_is_utf8: Option<bool>,
    /// When the Message Expiry Interval ends, in milliseconds since the Unix epoch.
    pub expires_at: Option<protocol::Timestamp>,
    /// Content Type.
    pub content_type: Option<String>,
    /// Response Topic.
    pub response_topic: Option<String>,
    /// Correlation Data.
    pub correlation_data: Option<Bytes>,
    /// User Properties, in order.
    pub user: Vec<(String, String)>,
}

use protocol::TopicFilter;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::mpsc;

/// The exchange has ended.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the exchange has stopped")]
pub struct Stopped;

/// The handle.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    links: Arc<Mutex<Vec<Route>>>,
    count: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Route {
    id: usize,
    filters: Vec<TopicFilter>,
    sender: mpsc::UnboundedSender<Arc<Message>>,
}

impl Exchange {
    /// Whether somebody listens.
    #[must_use]
    pub fn has_links(&self) -> bool {
        !self.links.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Publishes.
    ///
    /// # Errors
    /// Stopped.
    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub async fn publish(&self, message: Message) -> Result<(), Stopped> {
        let message = Arc::new(message);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|route| !route.sender.is_closed());
        for route in links.iter() {
            if route.filters.iter().any(|filter| filter.matches(message.topic.as_str())) {
                let _gone = route.sender.send(message.clone());
            }
        }
        Ok(())
    }

    /// Opens a link.
    ///
    /// # Errors
    /// Stopped.
    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub async fn link(&self) -> Result<Link, Stopped> {
        let id = self.count.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::unbounded_channel();
        let route = Route { id, filters: Vec::new(), sender };
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push(route);
        Ok(Link { id, exchange: self.clone(), receiver })
    }
}

/// A link.
#[derive(Debug)]
pub struct Link {
    id: usize,
    exchange: Exchange,
    receiver: mpsc::UnboundedReceiver<Arc<Message>>,
}

impl Link {
    fn change(&self, change: impl FnOnce(&mut Vec<TopicFilter>)) {
        let mut links = self.exchange.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = links.iter_mut().find(|route| route.id == self.id) {
            change(&mut route.filters);
        }
    }

    /// Subscribes.
    ///
    /// # Errors
    /// Stopped.
    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub async fn subscribe(&mut self, filter: &TopicFilter) -> Result<(), Stopped> {
        self.change(|filters| filters.push(filter.clone()));
        Ok(())
    }

    /// Unsubscribes.
    ///
    /// # Errors
    /// Stopped.
    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub async fn unsubscribe(&mut self, filter: &TopicFilter) -> Result<(), Stopped> {
        self.change(|filters| filters.retain(|known| known != filter));
        Ok(())
    }

    /// The next message.
    pub async fn recv(&mut self) -> Option<Arc<Message>> {
        self.receiver.recv().await
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut links = self.exchange.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|route| route.id != self.id);
    }
}
