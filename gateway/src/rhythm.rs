//! When to answer at once and when to gather.
//!
//! A worker that is woken for each message of a fleet spends more on waking, with cold caches, than on
//! the message. So when many clients speak, an idle worker rests for a moment before it waits for the
//! next event, and finds several then: what network cards do with interrupts. When one client speaks,
//! however fast, it is answered at once; what tells a fleet from it is how often the sender changes.

use bridge::event::ConnectionId;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long an idle worker rests: far below what a person or a flush notices.
const REST: Duration = Duration::from_millis(2);

/// How long the senders are watched before it is decided anew.
const WINDOW: Duration = Duration::from_millis(20);

/// From this many changes of sender in a window on, many speak: 1,000 a second.
const CHANGES_MIN: u32 = 20;

/// Whether many speak; shared by the core, which hears them, and the workers.
#[derive(Debug, Default)]
pub struct Rhythm {
    many: AtomicBool,
}

impl Rhythm {
    /// Rests if many speak; each worker calls it when it has nothing to do.
    pub fn rest(&self) {
        if self.many.load(Ordering::Relaxed) {
            thread::sleep(REST);
        }
    }
}

/// Watches the senders.
#[derive(Debug)]
pub(crate) struct Listener {
    window_ends: Instant,
    changes: u32,
    last: Option<ConnectionId>,
}

impl Listener {
    pub(crate) fn new(now: Instant) -> Self {
        Self { window_ends: now + WINDOW, changes: 0, last: None }
    }

    /// Notes who sent a message.
    pub(crate) fn heard(&mut self, sender: ConnectionId) {
        self.changes += u32::from(self.last != Some(sender));
        self.last = Some(sender);
    }

    /// Decides anew, at the end of each window. What was heard in a longer time than a window counts
    /// for less.
    pub(crate) fn decide(&mut self, now: Instant, rhythm: &Rhythm) {
        let Some(late) = now.checked_duration_since(self.window_ends) else { return };
        let windows = 1 + late.as_millis() / WINDOW.as_millis();
        let many = u128::from(self.changes) >= u128::from(CHANGES_MIN) * windows;
        rhythm.many.store(many, Ordering::Relaxed);
        self.changes = 0;
        self.window_ends = now + WINDOW;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether many speak after `senders` spoke in turns, one every `gap_us`, for half a second.
    fn many(senders: u64, gap_us: u64) -> bool {
        let (start, rhythm) = (Instant::now(), Rhythm::default());
        let mut listener = Listener::new(start);
        for turn in 0..500_000 / gap_us {
            listener.heard(ConnectionId(turn % senders));
            listener.decide(start + Duration::from_micros(turn * gap_us), &rhythm);
        }
        rhythm.many.load(Ordering::Relaxed)
    }

    #[test]
    fn one_client_is_not_many_however_fast_it_speaks() {
        assert!(!many(1, 10));
    }

    #[test]
    fn a_fleet_is_many_and_a_few_that_seldom_speak_are_not() {
        assert!(many(100, 200));
        assert!(!many(100, 5_000));
    }

    #[test]
    fn when_the_fleet_falls_silent_its_last_burst_is_forgotten() {
        let (start, rhythm) = (Instant::now(), Rhythm::default());
        let mut listener = Listener::new(start);
        (0..50).for_each(|sender| listener.heard(ConnectionId(sender)));
        listener.decide(start + WINDOW, &rhythm);
        assert!(rhythm.many.load(Ordering::Relaxed));
        listener.decide(start + WINDOW * 3, &rhythm);
        assert!(!rhythm.many.load(Ordering::Relaxed));
    }
}
