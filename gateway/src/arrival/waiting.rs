//! Places for sockets whose protocol has not begun. There is always one for who comes: where all are taken, who
//! has waited longest loses theirs. So thousands of sockets that say nothing keep nobody out, as they would if
//! newcomers were refused: a handshake that goes on takes milliseconds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// All places of a listener.
#[derive(Debug)]
pub(super) struct Waiting {
    max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    last: u64,
    /// By the order of their coming; dropping a sender takes the place away.
    places: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Arc<Waiting>,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Waiting {
    pub(super) fn new(max: usize) -> Self {
        Self { max, taken: Mutex::default() }
    }

    pub(super) fn place(self: &Arc<Self>) -> Place {
        let (sender, lost) = oneshot::channel();
        let mut taken = self.taken();
        if taken.places.len() >= self.max {
            taken.places.pop_first();
        }
        taken.last += 1;
        let number = taken.last;
        taken.places.insert(number, sender);
        drop(taken);
        Place { waiting: Arc::clone(self), number, lost }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until somebody else needs the place.
    pub(super) async fn lost(&mut self) {
        let _dropped = (&mut self.lost).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.taken().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn who_has_waited_longest_makes_room_for_who_comes() {
        let waiting = Arc::new(Waiting::new(2));
        let (mut first, mut second) = (waiting.place(), waiting.place());
        assert!(first.lost().now_or_never().is_none());
        let mut third = waiting.place();
        assert!(first.lost().now_or_never().is_some());
        assert!(second.lost().now_or_never().is_none());
        assert!(third.lost().now_or_never().is_none());
    }

    #[test]
    fn a_place_that_was_left_is_free() {
        let waiting = Arc::new(Waiting::new(2));
        let mut first = waiting.place();
        drop(waiting.place());
        let _second = waiting.place();
        assert!(first.lost().now_or_never().is_none());
    }
}
