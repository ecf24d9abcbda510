//! What the router does in one go.

use super::{message::Message, router::Router, routes::Change};
use crate::store::Gathering;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// After so many steps a round takes no more. For a new filter rumqttd goes through all topics it has seen,
/// for a new topic through all filters; a round of nothing else still ends well before its deadline.
const STEPS: usize = 256;

/// A message that waits to be routed.
#[derive(Debug)]
pub(super) struct Queued {
    /// The message.
    pub(super) message: Arc<Message>,
    /// What its publisher waits for, in links that keep what comes.
    pub(super) gathering: Option<Gathering>,
    /// The room it takes in the queue, until it has been delivered.
    pub(super) _room: OwnedSemaphorePermit,
}

/// One thing for the router to do.
pub(super) enum Step {
    /// Change a subscription.
    Change(Change),
    /// Publish the message with this ticket.
    Publish(u64, Arc<Message>),
    /// Die of it.
    #[cfg(test)]
    Poison,
}

/// Changes of subscriptions and messages, in order.
pub(super) struct Round {
    steps: Vec<Step>,
    messages: Vec<Queued>,
    done: Vec<oneshot::Sender<()>>,
    first_ticket: u64,
    log_bytes: usize,
    heartbeat: bool,
}

impl Round {
    /// A round whose messages are numbered from `first_ticket`.
    pub(super) fn new(first_ticket: u64) -> Self {
        Self {
            steps: Vec::new(),
            messages: Vec::new(),
            done: Vec::new(),
            first_ticket,
            log_bytes: 0,
            heartbeat: false,
        }
    }

    /// Has the router play the round even if there is nothing to do: a sign of life.
    pub(super) fn beat(&mut self) {
        self.heartbeat = true;
    }

    /// Whether it takes more.
    pub(super) fn has_room(&self) -> bool {
        self.steps.len() + self.done.len() < STEPS
    }

    /// Whether it needs the router.
    pub(super) fn concerns_router(&self) -> bool {
        self.heartbeat || !self.steps.is_empty()
    }

    /// Adds something that kills routers.
    #[cfg(test)]
    pub(super) fn poison(&mut self) {
        self.steps.push(Step::Poison);
    }

    /// Adds changes.
    pub(super) fn change(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.steps.extend(changes.into_iter().map(Step::Change));
    }

    /// Tells `done` when the round is over.
    pub(super) fn tell(&mut self, done: oneshot::Sender<()>) {
        self.done.push(done);
    }

    /// Adds a message, or gives it back because the round is full. The first always fits.
    pub(super) fn publish(&mut self, queued: Queued) -> Result<(), Queued> {
        let log_bytes = self.log_bytes + Router::log_bytes(&queued.message.topic);
        if log_bytes > Router::ROUND_BYTES && !self.messages.is_empty() {
            return Err(queued);
        }
        self.log_bytes = log_bytes;
        self.steps.push(Step::Publish(self.next_ticket(), Arc::clone(&queued.message)));
        self.messages.push(queued);
        Ok(())
    }

    /// What there is to do, in order.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many messages there are.
    pub(super) fn messages_count(&self) -> usize {
        self.messages.len()
    }

    /// The message with this ticket.
    pub(super) fn message(&self, ticket: u64) -> Option<&Queued> {
        let index = usize::try_from(ticket.checked_sub(self.first_ticket)?).ok()?;
        self.messages.get(index)
    }

    /// The ticket that the next message gets.
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
