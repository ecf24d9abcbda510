//! Retained messages for a new subscription: sent as fast as the client takes them, however many there are.

use super::retained::Retained;
use crate::exchange::Message;
use protocol::{TopicFilter, TopicName};
use std::sync::Arc;

/// How many messages are found at once, and how many topics are looked at for them.
const MESSAGES_AT_ONCE: usize = 100;
const TOPICS_AT_ONCE: usize = 1_000;

/// Subscriptions whose retained messages have not all been sent.
#[derive(Debug, Default)]
pub(super) struct Backlog(Vec<Wanted>);

/// A subscription whose retained messages are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) filter: TopicFilter,
    pub(super) qos: u8,
    pub(super) identifier: Option<u32>,
    /// The last topic that was looked at.
    after: Option<TopicName>,
}

impl Wanted {
    pub(super) const fn new(filter: TopicFilter, qos: u8, identifier: Option<u32>) -> Self {
        Self { filter, qos, identifier, after: None }
    }
}

impl Backlog {
    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the retained messages of a subscription, in the place of what is still wanted of it.
    pub(super) fn add(&mut self, wanted: Wanted) {
        self.remove(&wanted.filter);
        self.0.push(wanted);
    }

    /// The subscription is gone.
    pub(super) fn remove(&mut self, filter: &TopicFilter) {
        self.0.retain(|known| known.filter != *filter);
        self.tidy();
    }

    /// An empty one, which most have, takes no memory.
    fn tidy(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    /// The next messages, perhaps none yet, with the subscription that wants them.
    pub(super) fn next(&mut self, retained: &Retained) -> Option<(Wanted, Vec<Arc<Message>>)> {
        let wanted = self.0.first_mut()?;
        let page =
            retained.page(&wanted.filter, wanted.after.as_ref(), MESSAGES_AT_ONCE, TOPICS_AT_ONCE);
        let told = wanted.clone();
        match page.after {
            Some(after) => wanted.after = Some(after),
            None => {
                self.0.remove(0);
                self.tidy();
            }
        }
        Some((told, page.messages))
    }
}
