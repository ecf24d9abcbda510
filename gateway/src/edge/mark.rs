//! A mark that somebody else sets.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Something has happened, once; all clones tell the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Mark(Arc<AtomicBool>);

impl Mark {
    /// It has happened.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it has.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
