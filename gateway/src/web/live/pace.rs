//! When the next frame may leave. While little is delivered in all, at once. When much is, each connection
//! gathers updates and writes a frame every `http.flush_ms`; but after a quiet time a few go at once, and a
//! full one always does.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// So many frames may follow each other after a quiet time: as many as a command has stages, and some more.
const AT_ONCE: u32 = 8;

/// How long deliveries are counted before it is decided anew.
const WINDOW: Duration = Duration::from_millis(20);

/// From so many deliveries in a window on, a frame for each would cost too much: 2,000 a second take about
/// 2% of a processor.
const DELIVERIES_MAX: u64 = 40;

/// How much is delivered, by all connections together.
#[derive(Debug)]
pub(in crate::web) struct Traffic {
    began: Instant,
    /// The number of the window that is counted.
    window: AtomicU64,
    deliveries: AtomicU64,
    busy: AtomicBool,
}

/// What is left in the outbox after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Enough for a full frame: waiting would gather nothing.
    Full,
    /// Less.
    Little,
}

/// The pace of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    every: Duration,
    next_at: Instant,
}

impl Traffic {
    pub(in crate::web) fn new(now: Instant) -> Self {
        let (window, deliveries, busy) = Default::default();
        Self { began: now, window, deliveries, busy }
    }

    /// Notes what was delivered in a frame, and tells whether it is much by now. Two connections that count
    /// at the same moment may miscount a little; that does no harm.
    fn note(&self, now: Instant, deliveries: u64) -> bool {
        let window = (now - self.began).as_millis() / WINDOW.as_millis();
        let window = u64::try_from(window).unwrap_or(u64::MAX);
        let last = self.window.swap(window, Ordering::Relaxed);
        if last != window {
            let before = self.deliveries.swap(0, Ordering::Relaxed);
            let busy = before >= DELIVERIES_MAX && last + 1 == window;
            self.busy.store(busy, Ordering::Relaxed);
        }
        let by_now = self.deliveries.fetch_add(deliveries, Ordering::Relaxed) + deliveries;
        if by_now >= DELIVERIES_MAX {
            self.busy.store(true, Ordering::Relaxed);
        }
        self.busy.load(Ordering::Relaxed)
    }
}

impl Pace {
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self { every, next_at: rested(every, now) }
    }

    /// When the next frame may leave.
    pub(super) const fn next_at(&self) -> Instant {
        self.next_at
    }

    /// A frame with so many updates leaves.
    pub(super) fn wrote(&mut self, now: Instant, deliveries: u64, rest: Rest, traffic: &Traffic) {
        let busy = traffic.note(now, deliveries);
        self.next_at = self.next_at.max(rested(self.every, now));
        match rest {
            Rest::Little if busy => self.next_at += self.every,
            Rest::Little => {}
            Rest::Full => self.next_at = self.next_at.min(now),
        }
    }
}

/// Where a connection stands after a quiet time: however long that was, it allows [`AT_ONCE`] frames.
fn rested(every: Duration, now: Instant) -> Instant {
    now.checked_sub(every * (AT_ONCE - 1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(20);

    struct Writer {
        start: Instant,
        traffic: Traffic,
        pace: Pace,
    }

    impl Writer {
        fn new() -> Self {
            let start = Instant::now() + Duration::from_secs(3_600);
            let pace = Pace { every: EVERY, next_at: start - Duration::from_secs(60) };
            Self { start, traffic: Traffic::new(start), pace }
        }

        /// Writes frames of so many updates whenever it may, and gives when, in milliseconds.
        fn writes(&mut self, from_ms: u64, updates: u64, count: usize) -> Vec<u64> {
            let mut now = self.start + Duration::from_millis(from_ms);
            let write = |_| {
                now = now.max(self.pace.next_at());
                self.pace.wrote(now, updates, Rest::Little, &self.traffic);
                u64::try_from((now - self.start).as_millis()).unwrap()
            };
            (0..count).map(write).collect()
        }
    }

    #[test]
    fn while_much_is_delivered_a_few_frames_leave_at_once_and_then_one_every_flush_interval() {
        let mut writer = Writer::new();
        assert_eq!(writer.writes(0, 100, 10), [0, 0, 0, 0, 0, 0, 0, 0, 20, 40]);
        assert_eq!(writer.writes(100, 100, 4), [100, 100, 100, 120]);
    }

    #[test]
    fn while_little_is_delivered_every_frame_leaves_at_once() {
        let mut writer = Writer::new();
        for ms in 0..1_000 {
            assert_eq!(writer.writes(ms, 1, 1), [ms]);
        }
    }

    #[test]
    fn what_others_are_sent_counts_too() {
        let mut writer = Writer::new();
        writer.traffic.note(writer.start, DELIVERIES_MAX);
        assert_eq!(writer.writes(0, 1, 10).last(), Some(&40));
    }

    #[test]
    fn a_full_frame_does_not_wait() {
        let mut writer = Writer::new();
        writer.writes(0, 100, 20);
        let now = writer.start + Duration::from_millis(240);
        writer.pace.wrote(now, 100, Rest::Full, &writer.traffic);
        assert_eq!(writer.pace.next_at(), now);
    }
}
