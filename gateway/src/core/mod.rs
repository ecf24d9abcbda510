//! The core: one task that owns every decision about devices, channels and commands.
//!
//! [`Core`] is the cheap handle that edge and web hold; what they send arrives in one bounded queue
//! and so in one order.

use bridge::{
    event::{ConnectionId, EdgeEvent},
    ingest::Inbound,
};
use bytes::Bytes;
use protocol::{CommandId, Timestamp, TopicName};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::{mpsc, oneshot};

/// How many inputs may wait for the core. When it is full, senders wait: the edge stops reading from
/// that socket, and nothing is lost.
pub const QUEUE_INPUTS_MAX: usize = 1_024;

/// How many messages may wait for one connection's task. When it is full the command stays queued.
pub const MAILBOX_MESSAGES_MAX: usize = 64;

/// What comes to the core.
#[derive(Debug)]
pub enum Input {
    /// Decoded messages of one connection, in their order.
    Ingest {
        /// Where they came from.
        connection: ConnectionId,
        /// What they say.
        inbound: Vec<Inbound>,
        /// Fires once they are where `ingest.ack` says; dropped when that failed.
        receipt: Option<oneshot::Sender<()>>,
    },
    /// A message for `topics/{topic}`; sent only while [`Core::topics_wanted`].
    Raw {
        /// The MQTT topic.
        topic: TopicName,
        /// As `topics/…` says it.
        data: bridge::data::Data,
    },
    /// Something happened on a device's connection.
    Edge {
        /// What.
        event: EdgeEvent,
        /// Where to write to the connection; with `Attached` and `Receives`.
        mailbox: Option<mpsc::Sender<Downlink>>,
    },
}

/// What the core asks a connection's task to do.
#[derive(Clone, Debug)]
pub enum Downlink {
    /// Write this PUBLISH, QoS 1 or what the subscription grants, never retained.
    Publish(Arc<DeviceMessage>),
    /// Close the connection (`kicked`).
    Kick,
}

/// A message to a device's receiver.
#[derive(Clone, Debug)]
pub struct DeviceMessage {
    /// The topic.
    pub topic: TopicName,
    /// JSON.
    pub payload: Bytes,
    /// The command it carries, for the report of its PUBACK; none for a cancel.
    pub command: Option<CarriedCommand>,
}

/// What a command's message bears beside its payload (MQTT 5 properties).
#[derive(Clone, Debug)]
pub struct CarriedCommand {
    /// The command; its text is the Correlation Data.
    pub id: CommandId,
    /// Which sending of it.
    pub attempt: u32,
    /// Message Expiry is the time to this, in seconds, rounded up.
    pub not_after: Timestamp,
    /// Response Topic.
    pub answer_topic: TopicName,
}

/// The handle to the core.
#[derive(Clone, Debug)]
pub struct Core {
    queue: mpsc::Sender<Input>,
    topics_wanted: Arc<AtomicBool>,
}

impl Core {
    /// A handle and the queue that it fills.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Input>) {
        let (queue, inputs) = mpsc::channel(QUEUE_INPUTS_MAX);
        (Self { queue, topics_wanted: Arc::default() }, inputs)
    }

    /// Hands `input` on, waiting for room.
    ///
    /// # Errors
    /// [`Stopped`] when the core has ended: the gateway is shutting down.
    ///
    /// # Cancel safety
    /// Cancelled before it returns, the input was not sent.
    pub async fn send(&self, input: Input) -> Result<(), Stopped> {
        self.queue.send(input).await.map_err(|_| Stopped)
    }

    /// Whether somebody listens to a channel under `topics/`.
    #[must_use]
    pub fn topics_wanted(&self) -> bool {
        self.topics_wanted.load(Ordering::Relaxed)
    }
}

/// The core has ended: the gateway is shutting down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the gateway is shutting down")]
pub struct Stopped;
