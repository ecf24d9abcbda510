//! Where the core puts what a WebSocket connection is to write: an [`Outbox`] behind a lock that is
//! held for a push or a frame, never across a wait.

use crate::clock;
use bridge::{
    data::Data,
    hub::Sink,
    outbox::{Delivery, Encoding, Frame, Haste, Outbox, Wake},
    update::{Stamp, Update},
};
use protocol::{Offset, Reply, TopicName};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{sync::Notify, time};

/// The handle that core and connection share.
#[derive(Clone, Debug)]
pub struct Outlet(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    outbox: Mutex<Outbox>,
    wake: Notify,
}

impl Outlet {
    /// An empty one; `epoch` is what the numbers of updates belong to.
    #[must_use]
    pub fn new(epoch: Arc<str>, encoding: Encoding) -> Self {
        let outbox = Mutex::new(Outbox::new(epoch, encoding));
        Self(Arc::new(Shared { outbox, wake: Notify::new() }))
    }

    /// Waits until there is something to take.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub async fn ready(&self) {
        loop {
            let next_due = {
                let outbox = self.lock();
                if outbox.is_ready(clock::steady()) {
                    return;
                }
                outbox.next_due()
            };
            match next_due {
                None => self.0.wake.notified().await,
                Some(at) => {
                    let _woken_or_due =
                        time::timeout(clock::steadily_until(at), self.0.wake.notified()).await;
                }
            }
        }
    }

    /// How soon what waits is to be taken.
    #[must_use]
    pub fn haste(&self) -> Haste {
        self.lock().haste()
    }

    /// Waits until there is something to take where there was nothing, or what there is should go sooner. May
    /// also end for nothing.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub async fn hurried(&self) {
        self.0.wake.notified().await;
    }

    /// The next frame.
    #[must_use]
    pub fn take(&self, bytes_max: usize) -> Option<Frame> {
        self.lock().take(clock::steady(), bytes_max)
    }

    /// Whether the reader is too slow to be kept.
    #[must_use]
    pub fn is_too_slow(&self) -> bool {
        self.lock().is_too_slow(clock::steady())
    }

    /// The outbox, to look at.
    pub fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.0.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a reply in, from the connection itself.
    pub fn say(&self, reply: &Reply) {
        self.reply(reply);
    }

    fn put(&self, put: impl FnOnce(&mut Outbox) -> Wake) {
        let wake = put(&mut self.lock());
        match wake {
            Wake::Yes => self.0.wake.notify_one(),
            Wake::No => {}
        }
    }
}

impl Sink for Outlet {
    fn offer(&self, update: &Arc<Update>, delivery: Delivery) {
        self.put(|outbox| match delivery {
            Delivery::Every => outbox.every(update),
            Delivery::Latest { interval } => outbox.latest(clock::steady(), update, interval),
        });
    }

    fn replay(&self, update: &Arc<Update>) {
        self.put(|outbox| outbox.replay(update));
    }

    fn supersede(&self, update: &Update, offset: Offset) {
        self.lock().supersede(update, offset);
    }

    fn snapshot(&self, channel: &TopicName, stamp: Stamp, data: &Data) {
        self.put(|outbox| outbox.snapshot(channel.clone(), stamp, data.clone()));
    }

    fn release(&self, channel: &TopicName) {
        self.put(|outbox| outbox.release(channel));
    }

    fn withdraw(&self, channel: &TopicName) {
        self.lock().withdraw(channel);
    }

    fn reply(&self, reply: &Reply) {
        self.put(|outbox| outbox.reply(reply));
    }
}
