//! Memory that all queues of clients share.

use std::{
    iter::Sum,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// So many bytes may wait for all clients together.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    messages: AtomicUsize,
    payload_bytes: AtomicUsize,
    footprint_bytes: AtomicUsize,
}

/// What messages take of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) messages: usize,
    pub(super) payload_bytes: usize,
    /// The memory they count for, payloads among it.
    pub(super) footprint_bytes: usize,
}

impl Sum for Weight {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            messages: sum.messages + one.messages,
            payload_bytes: sum.payload_bytes + one.payload_bytes,
            footprint_bytes: sum.footprint_bytes + one.footprint_bytes,
        })
    }
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            messages: AtomicUsize::new(0),
            payload_bytes: AtomicUsize::new(0),
            footprint_bytes: AtomicUsize::new(0),
        }
    }

    /// Takes `weight` if that much is left.
    pub(super) fn take(&self, weight: Weight) -> bool {
        let fits = self.take_anyway(weight) <= self.bytes_max;
        if !fits {
            self.give_back(weight);
        }
        fits
    }

    /// Takes `weight`, whether that much is left or not; gives the memory that is taken then.
    pub(super) fn take_anyway(&self, weight: Weight) -> usize {
        self.messages.fetch_add(weight.messages, Relaxed);
        self.payload_bytes.fetch_add(weight.payload_bytes, Relaxed);
        let before = self.footprint_bytes.fetch_add(weight.footprint_bytes, Relaxed);
        before + weight.footprint_bytes
    }

    /// Gives `weight` back that was taken.
    pub(super) fn give_back(&self, weight: Weight) {
        self.footprint_bytes.fetch_sub(weight.footprint_bytes, Relaxed);
        self.messages.fetch_sub(weight.messages, Relaxed);
        self.payload_bytes.fetch_sub(weight.payload_bytes, Relaxed);
    }

    /// What is taken.
    pub(super) fn used(&self) -> Weight {
        Weight {
            messages: self.messages.load(Relaxed),
            payload_bytes: self.payload_bytes.load(Relaxed),
            footprint_bytes: self.footprint_bytes.load(Relaxed),
        }
    }
}
