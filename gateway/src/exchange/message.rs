//! What travels through the exchange.

use crate::store::Gathering;
use bridge::event::ConnectionId;
use bytes::Bytes;
use protocol::{TopicFilter, TopicName};
use std::sync::Arc;

/// What a message costs beside its bytes: the structs, the queues' entries, the router's own copy.
const OVERHEAD_BYTES: usize = 256;

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
    /// Its place among all messages that were retained, from 1 on; 0: it was not, or not by this process.
    pub retained_as: u64,
    /// MQTT 5 properties that travel with the message.
    pub properties: Properties,
}

/// A message as it comes out of a link.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The message.
    pub message: Arc<Message>,
    /// The shared subscription it comes by; none: all others that match.
    pub share: Option<Arc<Share>>,
    /// Where a link that keeps what comes puts what must be stored before the publisher is acknowledged.
    pub gathering: Option<Gathering>,
}

/// A shared subscription: each message that matches goes to one of its members (MQTT 5.0, section 4.8.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// The name of the share.
    pub name: Box<str>,
    /// What its members want together.
    pub filter: TopicFilter,
}

/// What a link subscribes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Interest {
    /// All messages that match.
    Own(TopicFilter),
    /// A part of them.
    Shared(Arc<Share>),
}

/// Whether the client of a link is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attendance {
    /// It reads what comes: shared messages are for it.
    Here,
    /// Its session collects for it: it gets shared messages only where nobody is here.
    Away,
}

/// Whether a link keeps what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is gone with the process.
    InMemory,
    /// Its client finds it again; publishers wait for that.
    OnDisk,
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

impl Message {
    /// How many bytes it counts for in a bounded queue.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        OVERHEAD_BYTES + self.content_bytes()
    }

    /// The bytes that its publisher chose: topic, payload and properties.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.topic.as_str().len() + self.payload.len() + self.properties.weight_bytes()
    }
}

impl Properties {
    fn weight_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        text(&self.content_type)
            + text(&self.response_topic)
            + self.correlation_data.as_ref().map_or(0, Bytes::len)
            + self.user.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    }
}
