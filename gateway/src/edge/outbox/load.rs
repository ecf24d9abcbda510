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

    /// Takes `entry` where so many wait already; false: a bound is reached.
    pub(super) fn take(&mut self, entry: &Entry, waiting: usize) -> bool {
        let bytes = self.payload_bytes + entry.payload_bytes();
        let bytes_fit = bytes <= self.bounds.payload_bytes_max || self.payload_bytes == 0;
        let taken = waiting < self.bounds.messages_max
            && bytes_fit
            && self.bounds.budget.take(entry.footprint_bytes());
        if taken {
            self.payload_bytes = bytes;
        }
        taken
    }

    /// Takes what was promised, whatever the bounds are now.
    pub(super) fn take_anyway(&mut self, entry: &Entry) {
        self.bounds.budget.take_anyway(entry.footprint_bytes());
        self.payload_bytes += entry.payload_bytes();
    }

    pub(super) fn give_back(&mut self, entry: &Entry) {
        self.payload_bytes -= entry.payload_bytes();
        self.bounds.budget.give_back(entry.footprint_bytes());
    }

    /// Gives back all that is held, as the outbox ends.
    pub(super) fn give_back_all<'a>(&self, held: impl Iterator<Item = &'a Entry>) {
        self.bounds.budget.give_back(held.map(Entry::footprint_bytes).sum());
    }
}
