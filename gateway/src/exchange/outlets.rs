//! The links' ends in the engine: a bounded queue each.

use super::{counters::Counters, message::Message, routes::LinkId};
use protocol::TopicFilter;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// The way into a link's queue.
#[derive(Debug)]
pub(super) struct Outlet {
    queue: Sender<Arc<Message>>,
    queued_bytes: Arc<AtomicUsize>,
    /// The newest message that was offered; a link gets each only once.
    newest_ticket: Option<u64>,
    filters: HashSet<TopicFilter>,
}

/// The way out of it.
#[derive(Debug)]
pub(super) struct Inlet {
    queue: Receiver<Arc<Message>>,
    queued_bytes: Arc<AtomicUsize>,
}

/// A queue for `messages_max` messages.
pub(super) fn queue(messages_max: usize) -> (Outlet, Inlet) {
    let (sender, receiver) = channel(messages_max);
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let outlet = Outlet {
        queue: sender,
        queued_bytes: Arc::clone(&queued_bytes),
        newest_ticket: None,
        filters: HashSet::new(),
    };
    (outlet, Inlet { queue: receiver, queued_bytes })
}

impl Inlet {
    /// The next message; none when the exchange has stopped.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn recv(&mut self) -> Option<Arc<Message>> {
        let message = self.queue.recv().await?;
        self.queued_bytes.fetch_sub(message.weight_bytes(), Relaxed);
        Some(message)
    }
}

impl Outlet {
    fn offer(&mut self, message: &Arc<Message>, bytes_max: usize, counters: &Counters) {
        let bytes = message.weight_bytes();
        let before = self.queued_bytes.fetch_add(bytes, Relaxed);
        let fits = before == 0 || before + bytes <= bytes_max;
        let refused = match fits.then(|| self.queue.try_send(Arc::clone(message))) {
            Some(Ok(())) => return counters.delivered.increment(),
            Some(Err(TrySendError::Closed(_))) => 0,
            Some(Err(TrySendError::Full(_))) | None => 1,
        };
        self.queued_bytes.fetch_sub(bytes, Relaxed);
        counters.dropped.add(refused as u64);
    }
}

/// The outlets of all links.
pub(super) struct Outlets {
    by_link: HashMap<LinkId, Outlet>,
    bytes_max: usize,
    counters: Arc<Counters>,
}

impl Outlets {
    /// No links; each queue will hold `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize, counters: Arc<Counters>) -> Self {
        Self { by_link: HashMap::new(), bytes_max, counters }
    }

    /// A link came.
    pub(super) fn open(&mut self, link: LinkId, outlet: Outlet) {
        self.by_link.insert(link, outlet);
    }

    /// A link went; returns what it had subscribed.
    pub(super) fn close(&mut self, link: LinkId) -> HashSet<TopicFilter> {
        self.by_link.remove(&link).map(|outlet| outlet.filters).unwrap_or_default()
    }

    /// Notes a subscription; false if it is there already.
    pub(super) fn subscribe(&mut self, link: LinkId, filter: &TopicFilter) -> bool {
        self.by_link.get_mut(&link).is_some_and(|outlet| outlet.filters.insert(filter.clone()))
    }

    /// Removes a subscription; false if it isn't there.
    pub(super) fn unsubscribe(&mut self, link: LinkId, filter: &TopicFilter) -> bool {
        self.by_link.get_mut(&link).is_some_and(|outlet| outlet.filters.remove(filter))
    }

    /// Gives a link a message unless it has had it already: tickets must ascend. A full queue drops it.
    pub(super) fn offer(&mut self, link: LinkId, ticket: u64, message: &Arc<Message>) {
        let Some(outlet) = self.by_link.get_mut(&link) else { return };
        if outlet.newest_ticket.replace(ticket) != Some(ticket) {
            outlet.offer(message, self.bytes_max, &self.counters);
        }
    }
}
