//! How much the outbox of one client holds, and whether one more message may come.

use super::{super::budget::Budget, entry::Entry};
use std::sync::Arc;

/// The bounds of an outbox.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Bounds {
    /// Waiting.
    pub(in crate::edge) messages_max: usize,
    /// Waiting and in flight.
    pub(in crate::edge) payload_bytes_max: usize,
    /// What all outboxes have together.
    pub(in crate::edge) budget: Arc<Budget>,
}

impl Bounds {
    /// How much may come where so many messages wait, and so many bytes are held.
    pub(in crate::edge) const fn room(&self, waiting: usize, payload_bytes: usize) -> Room {
        Room {
            messages: self.messages_max.saturating_sub(waiting),
            bytes: self.payload_bytes_max.saturating_sub(payload_bytes),
            any: payload_bytes == 0,
        }
    }
}

/// How much may still come.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge) struct Room {
    pub(in crate::edge) messages: usize,
    /// Of payloads.
    pub(in crate::edge) bytes: usize,
    /// Nothing is held: one message may be of any size.
    pub(in crate::edge) any: bool,
}

impl Room {
    /// Whether there is room for one more message of so many bytes.
    pub(in crate::edge) const fn has(self, bytes: usize) -> bool {
        self.messages > 0 && (self.any || bytes <= self.bytes)
    }

    /// Takes room for one more message; false: there is none.
    pub(in crate::edge) const fn take(&mut self, bytes: usize) -> bool {
        if !self.has(bytes) {
            return false;
        }
        self.messages -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.any = self.any && bytes == 0;
        true
    }
}

/// What is held, and its bounds.
#[derive(Debug)]
pub(super) struct Load {
    bounds: Bounds,
    pub(super) payload_bytes: usize,
}

impl Load {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, payload_bytes: 0 }
    }

    /// How much may come where so many messages wait already.
    pub(super) fn room(&self, waiting: usize) -> Room {
        self.bounds.room(waiting, self.payload_bytes)
    }

    /// Takes `entry` where so many wait already; false: a bound is reached.
    pub(super) fn take(&mut self, entry: &Entry, waiting: usize) -> bool {
        let bytes = entry.payload_bytes();
        let taken = self.room(waiting).has(bytes) && self.bounds.budget.take(entry.weight());
        if taken {
            self.payload_bytes += bytes;
        }
        taken
    }

    /// Takes what was promised, whatever the bounds are now.
    pub(super) fn take_anyway(&mut self, entry: &Entry) {
        self.bounds.budget.take_anyway(entry.weight());
        self.payload_bytes += entry.payload_bytes();
    }

    pub(super) fn give_back(&mut self, entry: &Entry) {
        self.payload_bytes -= entry.payload_bytes();
        self.bounds.budget.give_back(entry.weight());
    }

    /// Gives back all that is held, as the outbox ends.
    pub(super) fn give_back_all<'a>(&self, held: impl Iterator<Item = &'a Entry>) {
        self.bounds.budget.give_back(held.map(Entry::weight).sum());
    }
}
