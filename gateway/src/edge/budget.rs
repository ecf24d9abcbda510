//! Memory that all queues of clients share.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many bytes may wait for all clients together.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, used: AtomicUsize::new(0) }
    }

    /// Takes `bytes` if that many are left.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Relaxed);
        let fits = before + bytes <= self.bytes_max;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    /// Takes `bytes`, whether they are left or not.
    pub(super) fn take_anyway(&self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
    }

    /// Gives `bytes` back that were taken.
    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }

    /// How many are taken.
    pub(super) fn used_bytes(&self) -> usize {
        self.used.load(Relaxed)
    }
}
