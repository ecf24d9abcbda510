//! The exchange: ordinary MQTT between clients, by rumqttd's router.
//!
//! Sees validated messages of the edge only. A session holds a [`Link`] while it subscribes to ordinary
//! topics; what arrives on it the session filters once more by its own subscriptions (QoS, no-local).
//!
//! Handles put messages and commands into a queue; one task, the engine, takes them in rounds. In a round
//! the router matches topics with filters; what crosses into it is a topic and a number, never the message.
//! The router knows us as one connection and each filter once, however many links have it; from filter to
//! links is our own map.
//!
//! Guaranteed, while the process lives:
//! - Of each shared subscription one member gets a message, in turn: one whose client is connected, where
//!   there is such a one with room. What it has not acknowledged when its session ends goes to another.
//! - A link gets every message that matches one of its filters, once, in the order of publishing, as long
//!   as it keeps its queue from filling up. A full queue drops what comes for that link only
//!   ([`Counters::dropped`]); no link delays another, or a publisher.
//! - A router that dies or falls silent is replaced with all subscriptions, and the round it died of is
//!   played again. Only if it kills the next one too is it given up ([`Counters::lost`]): at most
//!   a few hundred messages.
//! - What rumqttd never frees is bounded: of filters it is given [`Settings::filters_max`] and no more, and past
//!   [`Settings::topics_max`] a new router takes over between two rounds. The old one can only be ended by
//!   a panic of its thread, so its message on standard error is no failure.
//!
//! When the exchange stops, what is on its way is dropped.

mod counters;
mod engine;
mod index;
mod link;
mod message;
mod outlets;
mod round;
mod router;
mod routes;
mod settings;
#[cfg(test)]
mod tests;
mod watchdog;

pub use counters::Counters;
pub use link::Link;
pub use message::{Arrival, Attendance, Interest, Keeping, Message, Properties, Share};
pub use settings::Settings;

use crate::store::Gathering;
use engine::{Input, Parts};
use round::Queued;
use routes::LinkId;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{UnboundedSender, unbounded_channel},
    oneshot,
};
use tokio_util::sync::CancellationToken;

/// The exchange has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exchange has stopped")]
pub struct Stopped;

/// The handle: publishes messages and opens links. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    counters: Arc<Counters>,
    /// Messages in it are bounded by `room`, commands by links that wait for each of theirs.
    inputs: UnboundedSender<Input>,
    room: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    next_link: AtomicU64,
}

impl Exchange {
    /// Makes an exchange and the future that runs it, until `stop` or until the future is dropped.
    ///
    /// The router is started by the future; what comes before waits for it.
    pub fn start(
        settings: Settings,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (inputs, inputs_out) = unbounded_channel();
        let room = Arc::new(Semaphore::new(settings.queue_bytes_max as usize));
        let slots = Arc::new(Semaphore::new(settings.links_max.min(Semaphore::MAX_PERMITS)));
        let counters = Arc::new(Counters::default());
        let parts = Parts {
            settings: settings.clone(),
            counters: Arc::clone(&counters),
            inputs: inputs_out,
            semaphores: [Arc::clone(&room), Arc::clone(&slots)],
        };
        let next_link = AtomicU64::new(0);
        let shared = Shared { settings, counters, inputs, room, slots, next_link };
        (Self { shared: Arc::new(shared) }, engine::run(parts, stop))
    }

    /// Whether there is any link: without one, publishing is for nobody.
    #[must_use]
    pub fn has_links(&self) -> bool {
        self.shared.counters.links_now.get() > 0
    }

    /// Whether a link keeps what comes: without one, publishers have nothing to wait for.
    #[must_use]
    pub fn has_keeping_links(&self) -> bool {
        self.shared.counters.keeping_links_now.get() > 0
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// Publishes to all links; waits while [`Settings::queue_bytes_max`] are on their way.
    ///
    /// # Errors
    /// The exchange has stopped.
    ///
    /// # Cancel safety
    /// If given up, the message has not been published.
    pub async fn publish(&self, message: Message) -> Result<(), Stopped> {
        self.publish_gathering(message, None).await
    }

    /// As [`Self::publish`]; links that keep what comes add to `gathering` what must be stored.
    ///
    /// # Errors
    /// The exchange has stopped.
    ///
    /// # Cancel safety
    /// If given up, the message has not been published.
    pub async fn publish_gathering(
        &self,
        message: Message,
        gathering: Option<Gathering>,
    ) -> Result<(), Stopped> {
        let room = Arc::clone(&self.shared.room).acquire_many_owned(self.room_for(&message)).await;
        self.enqueue(message, gathering, room.map_err(|_closed| Stopped)?)
    }

    /// Publishes if there is room at once; else the message is dropped and counted. For copies of
    /// what its receiver gets by another way.
    pub fn offer(&self, message: Message) {
        let room = Arc::clone(&self.shared.room).try_acquire_many_owned(self.room_for(&message));
        let published = room.is_ok_and(|room| self.enqueue(message, None, room).is_ok());
        if !published {
            self.shared.counters.dropped.increment();
        }
    }

    /// Gives another member of `share` what one did not acknowledge before it went. Without room it is dropped and
    /// counted.
    pub fn pass_on(&self, share: Arc<Share>, message: Arc<Message>) {
        let room = Arc::clone(&self.shared.room).try_acquire_many_owned(self.room_for(&message));
        let passed = room.is_ok_and(|room| {
            let queued = Queued { message, gathering: None, _room: room };
            self.shared.inputs.send(Input::PassOn { share, queued }).is_ok()
        });
        if !passed {
            self.shared.counters.dropped.increment();
        }
    }

    /// Waits until all that was published before is in the queues of the links it is for.
    ///
    /// # Errors
    /// The exchange has stopped.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn caught_up(&self) -> Result<(), Stopped> {
        let (done, caught_up) = oneshot::channel();
        self.shared.inputs.send(Input::CaughtUp { done }).map_err(|_gone| Stopped)?;
        caught_up.await.map_err(|_gone| Stopped)
    }

    fn room_for(&self, message: &Message) -> u32 {
        let bytes = u32::try_from(message.weight_bytes()).unwrap_or(u32::MAX);
        bytes.min(self.shared.settings.queue_bytes_max)
    }

    fn enqueue(
        &self,
        message: Message,
        gathering: Option<Gathering>,
        room: OwnedSemaphorePermit,
    ) -> Result<(), Stopped> {
        let queued = Queued { message: Arc::new(message), gathering, _room: room };
        self.shared.inputs.send(Input::Publish(queued)).map_err(|_gone| Stopped)?;
        self.shared.counters.published.increment();
        Ok(())
    }

    /// Opens a link without subscriptions; waits while there are [`Settings::links_max`] already.
    ///
    /// # Errors
    /// The exchange has stopped.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn link(&self, keeping: Keeping) -> Result<Link, Stopped> {
        let shared = &self.shared;
        let slot = Arc::clone(&shared.slots).acquire_owned().await.map_err(|_closed| Stopped)?;
        let id = LinkId(shared.next_link.fetch_add(1, Relaxed));
        let (outlet, inlet) = outlets::queue(shared.settings.link_queue_messages_max, keeping);
        let open = Input::Open { link: id, outlet };
        shared.inputs.send(open).map_err(|_gone| Stopped)?;
        shared.counters.links_now.increment();
        if keeping == Keeping::OnDisk {
            shared.counters.keeping_links_now.increment();
        }
        Ok(Link {
            id,
            inputs: shared.inputs.clone(),
            inlet,
            keeping,
            counters: Arc::clone(&shared.counters),
            _slot: slot,
        })
    }
}
