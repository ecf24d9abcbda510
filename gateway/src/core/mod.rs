//! The core: one task that owns every decision about devices, channels and commands.
//!
//! [`Core`] is the cheap handle that edge and web hold; what they send arrives in one queue and so in one order
//! ([`Inputs`]).

mod actor;
mod commands;
mod deferred;
mod outlet;
mod queue;
mod record;
#[cfg(test)]
mod tests;
pub(crate) mod watched;

pub use actor::{Actor, Keeping};
pub use outlet::Outlet;
pub use queue::Inputs;
pub(crate) use record::{report_guesses, take_over};
pub use watched::Watchers;

use crate::{
    exchange::Arrival,
    mailbox::Sender,
    rhythm::Cue,
    store::{Gathering, NotStored, Receipt},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bridge::{
    bridge::Bridge,
    data::Data,
    event::{ConnectionId, EdgeEvent},
    ingest::{Inbound, raw_message},
};
use bytes::Bytes;
use protocol::{CommandDetails, CommandId, DeviceId, Timestamp, TopicName};
use queue::Queue;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{mpsc::error::TrySendError, oneshot};

/// How many messages may wait for one connection's task: a hub receives for many devices, of each one
/// command at a time or a few. A command that finds it full has failed (`receiver_full`).
pub const MAILBOX_MESSAGES_MAX: usize = 4_096;

/// A question to the bridge that answers itself.
pub type Question = Box<dyn FnOnce(&mut Bridge<Outlet>, Timestamp) + Send>;

/// A change; gives what is to be done when the store has it, or could not take it.
pub type Change = Box<dyn FnOnce(&mut Bridge<Outlet>, Timestamp) -> Receipt + Send>;

/// A look at the bridge; gives how it is answered when the store has what was seen.
pub type Look = Box<dyn FnOnce(&Bridge<Outlet>, Timestamp) -> Answer + Send>;

/// Answers who looked.
pub type Answer = Box<dyn FnOnce() + Send>;

/// What comes to the core.
pub enum Input {
    /// Decoded messages of one connection, in their order.
    Ingest {
        /// Where they came from.
        connection: ConnectionId,
        /// Why they came.
        cue: Cue,
        /// What they say.
        inbound: Vec<Inbound>,
        /// Fires once they are where `ingest.ack` says; dropped when that failed.
        receipt: Option<oneshot::Sender<()>>,
        /// What else they leave, which must not be stored without what they say: the id of a QoS 2 message means that
        /// it is here.
        gathering: Option<Gathering>,
    },
    /// A decoded will.
    LastWords(Vec<Inbound>),
    /// A message for `topics/{topic}`; sent only while [`Core::topics_wanted`].
    Raw {
        /// The MQTT topic.
        topic: TopicName,
        /// As `topics/…` says it.
        data: Data,
    },
    /// Something happened on a device's connection.
    Edge {
        /// What.
        event: EdgeEvent,
        /// Where to write to the connection; with `Attached` and `Receives`.
        mailbox: Option<Sender<Downlink>>,
    },
    /// Somebody asks: see [`Core::ask`].
    Ask(Question),
    /// Somebody changes what is stored: see [`Core::change`].
    Change(Change),
    /// Somebody looks at what is stored before it is told: see [`Core::look`].
    Look(Look),
    /// Somebody waits for the end of a command; dropped where there is no such command.
    AwaitEnd {
        /// The command.
        command: CommandId,
        /// Gets it when it has ended.
        reply: oneshot::Sender<CommandDetails>,
    },
    /// A connection has ended: nothing is sent to it any more.
    Gone(ConnectionId),
    /// A device's own connection is to be closed.
    Kick {
        /// The device.
        device: DeviceId,
    },
}

impl Input {
    /// The connection that sent messages, and why.
    fn sender(&self) -> Option<(ConnectionId, Cue)> {
        match self {
            Self::Ingest { connection, cue, .. } => Some((*connection, *cue)),
            Self::LastWords(_)
            | Self::Raw { .. }
            | Self::Edge { .. }
            | Self::Ask(_)
            | Self::Change(_)
            | Self::Look(_)
            | Self::AwaitEnd { .. }
            | Self::Gone(_)
            | Self::Kick { .. } => None,
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ingest { connection, inbound, .. } => {
                f.debug_tuple("Ingest").field(connection).field(inbound).finish()
            }
            Self::LastWords(inbound) => f.debug_tuple("LastWords").field(inbound).finish(),
            Self::Raw { topic, .. } => f.debug_tuple("Raw").field(topic).finish(),
            Self::Edge { event, .. } => f.debug_tuple("Edge").field(event).finish(),
            Self::Ask(_) => f.write_str("Ask"),
            Self::Change(_) => f.write_str("Change"),
            Self::Look(_) => f.write_str("Look"),
            Self::AwaitEnd { command, .. } => f.debug_tuple("AwaitEnd").field(command).finish(),
            Self::Gone(connection) => f.debug_tuple("Gone").field(connection).finish(),
            Self::Kick { device } => f.debug_tuple("Kick").field(device).finish(),
        }
    }
}

/// What comes to a connection's task beside what its client sends. A session keeps its mailbox from one
/// connection to the next: what is said to one of them means nothing to another, for the core says it again.
#[derive(Clone, Debug)]
pub enum Downlink {
    /// Write this PUBLISH, QoS 1 or what the subscription grants, never retained.
    Publish(ConnectionId, Arc<DeviceMessage>),
    /// Give this command back if it still waits for the client's window.
    Recall(ConnectionId, CommandId, u32),
    /// Close the connection (`kicked`).
    Kick(ConnectionId),
    /// Another client's message to one of the device's own topics.
    Pass(Arrival),
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
    /// Response Topic; none: the device has its own way of answering, and is sent no Correlation Data.
    pub answer_topic: Option<TopicName>,
}

/// The handle to the core.
#[derive(Clone, Debug)]
pub struct Core {
    queue: Queue,
    topics_wanted: Arc<AtomicBool>,
}

impl Core {
    /// A handle and the queue that it fills.
    #[must_use]
    pub fn channel() -> (Self, Inputs) {
        let (queue, inputs) = queue::queue();
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

    /// Hands `input` on if there is room at once.
    ///
    /// # Errors
    /// With the input, when there is no room or the core has ended.
    pub fn try_send(&self, input: Input) -> Result<(), TrySendError<Input>> {
        self.queue.try_send(input)
    }

    /// Asks the bridge, or has it change what is not stored. Answered at once, whatever the store does.
    ///
    /// # Errors
    /// [`Stopped`] when the core has ended.
    ///
    /// # Cancel safety
    /// Cancelled while it waits for room, nothing was asked; later, the answer is lost.
    pub async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Bridge<Outlet>, Timestamp) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (reply, answer) = oneshot::channel();
        let question = move |bridge: &mut Bridge<Outlet>, now| {
            let _caller_may_be_gone = reply.send(question(bridge, now));
        };
        self.send(Input::Ask(Box::new(question))).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// Has the bridge change what is stored. The answer comes when it is.
    ///
    /// # Errors
    /// [`Unanswered`]: the core has ended, or what changed could not be stored.
    ///
    /// # Cancel safety
    /// Cancelled while it waits for room, nothing was changed; later, the answer is lost.
    pub async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Bridge<Outlet>, Timestamp) -> R + Send + 'static,
    ) -> Result<R, Unanswered> {
        self.change_then(change, |_| {}).await
    }

    /// The same; `then` hears the answer when what changed is stored, before anybody is told what follows from it.
    ///
    /// # Errors
    /// As [`Self::change`]; `then` is not called.
    ///
    /// # Cancel safety
    /// As [`Self::change`]; `then` is called all the same.
    pub async fn change_then<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Bridge<Outlet>, Timestamp) -> R + Send + 'static,
        then: impl FnOnce(&R) + Send + 'static,
    ) -> Result<R, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let change = move |bridge: &mut Bridge<Outlet>, now| {
            let result = change(bridge, now);
            Receipt::impatient(move |stored| {
                let answer = stored.map(|()| result);
                if let Ok(result) = &answer {
                    then(result);
                }
                let _caller_may_be_gone = reply.send(answer);
            })
        };
        self.send(Input::Change(Box::new(change))).await?;
        Ok(answer.await.map_err(|_| Stopped)??)
    }

    /// Looks at what the bridge knows of commands. The answer comes when what was seen is stored, or is
    /// known not to be: nobody sees what a crash could undo.
    ///
    /// # Errors
    /// [`Stopped`] when the core has ended.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub async fn look<R: Send + 'static>(
        &self,
        question: impl FnOnce(&Bridge<Outlet>, Timestamp) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (reply, answer) = oneshot::channel();
        let look = move |bridge: &Bridge<Outlet>, now| {
            let result = question(bridge, now);
            let answer: Answer = Box::new(move || {
                let _caller_may_be_gone = reply.send(result);
            });
            answer
        };
        self.send(Input::Look(Box::new(look))).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// Waits for the end of a command; none where there is no such command.
    ///
    /// # Errors
    /// [`Stopped`] when the core has ended.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost; the command is not touched.
    pub async fn end_of(&self, command: CommandId) -> Result<Option<CommandDetails>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(Input::AwaitEnd { command, reply }).await?;
        Ok(answer.await.ok())
    }

    /// Whether somebody listens to a channel under `topics/`.
    #[must_use]
    pub fn topics_wanted(&self) -> bool {
        self.topics_wanted.load(Ordering::Relaxed)
    }

    /// Says a message on `topics/...`, where somebody listens and the core has room: never waits.
    pub fn offer_raw(&self, topic: &TopicName, payload: &[u8], qos: u8, retain: bool) {
        if self.topics_wanted() {
            let data = raw(payload, qos, retain);
            let _may_be_full = self.try_send(Input::Raw { topic: topic.clone(), data });
        }
    }
}

/// What `topics/{topic}` says of a message.
pub(crate) fn raw(payload: &[u8], qos: u8, retain: bool) -> Data {
    raw_message(payload, qos, retain, |bytes| BASE64_STANDARD.encode(bytes))
}

/// The core has ended: the gateway is shutting down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the gateway is shutting down")]
pub struct Stopped;

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unanswered {
    /// The core has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// What the question changed is not stored.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}
