//! What the router does in one go.

use super::{message::Message, router::Router, routes::Change};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A message that waits to be routed.
pub(super) struct Queued {
    /// The message.
    pub(super) message: Arc<Message>,
    /// The room it takes in the queue, until it has been delivered.
    pub(super) _room: OwnedSemaphorePermit,
}

/// Changes of subscriptions, then messages.
pub(super) struct Round {
    changes: Vec<Change>,
    done: Vec<oneshot::Sender<()>>,
    messages: Vec<Queued>,
    log_bytes: usize,
    first_ticket: u64,
}

impl Round {
    /// A round whose messages are numbered from `first_ticket`.
    pub(super) fn new(first_ticket: u64) -> Self {
        Self { changes: vec![], done: vec![], messages: vec![], log_bytes: 0, first_ticket }
    }

    /// Adds changes; `done` is told when the round is over.
    pub(super) fn change(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.changes.extend(changes);
    }

    /// Tells `done` when the round is over.
    pub(super) fn tell(&mut self, done: oneshot::Sender<()>) {
        self.done.push(done);
    }

    /// Adds a message, or gives it back because the round is full. The first always fits.
    pub(super) fn add(&mut self, queued: Queued) -> Result<(), Queued> {
        let log_bytes = self.log_bytes + Router::log_bytes(&queued.message.topic);
        if log_bytes > Router::ROUND_BYTES && !self.messages.is_empty() {
            return Err(queued);
        }
        self.log_bytes = log_bytes;
        self.messages.push(queued);
        Ok(())
    }

    /// The changes, in order.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The messages with their tickets, in order.
    pub(super) fn messages(&self) -> impl Iterator<Item = (u64, &Arc<Message>)> {
        (self.first_ticket..).zip(self.messages.iter().map(|queued| &queued.message))
    }

    /// How many messages there are.
    pub(super) fn messages_count(&self) -> usize {
        self.messages.len()
    }

    /// The message with this ticket.
    pub(super) fn message(&self, ticket: u64) -> Option<&Arc<Message>> {
        let index = usize::try_from(ticket.checked_sub(self.first_ticket)?).ok()?;
        self.messages.get(index).map(|queued| &queued.message)
    }

    /// The ticket that the next round begins with.
    pub(super) fn next_ticket(&self) -> u64 {
        self.first_ticket + self.messages.len() as u64
    }

    /// Tells everybody who waits for the end of this round.
    pub(super) fn end(self) {
        for done in self.done {
            let _gave_up_waiting = done.send(());
        }
    }
}
