//! What the exchange counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the start; read them relaxed.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages taken from publishers.
    pub published: AtomicU64,
    /// Messages put into links' queues, each link counted.
    pub delivered: AtomicU64,
    /// Messages a link did not get because its queue was full.
    pub dropped: AtomicU64,
    /// Messages nobody got, or a filter missed, because of the router: given up after it died of them
    /// twice, or gone from its log.
    pub lost: AtomicU64,
    /// Routers that died or fell silent and were replaced.
    pub restarts: AtomicU64,
    /// Routers that were replaced in good order because they had seen too many topics or filters.
    pub renewals: AtomicU64,
    /// Links there are now.
    pub links: AtomicU64,
}

/// Adds `n` to a counter.
pub(super) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Relaxed);
}
