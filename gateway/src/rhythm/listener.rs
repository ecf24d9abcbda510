//! Tells whether many clients speak.

use super::{Cue, REST, Rhythm};
use bridge::event::ConnectionId;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// So many changes of sender are worth waking for: a rest is as long as they take.
const CHANGES_A_REST: u32 = 10;

/// How long the senders are watched before it is decided anew.
const WINDOW: Duration = Duration::from_millis(20);

/// From this many changes of sender in a window on, many speak: 1,000 a second.
const CHANGES_MIN: u32 = 20;

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

    /// Notes who sent a message, and why. Who takes turns with the gateway is not waited for.
    pub(crate) fn heard(&mut self, sender: ConnectionId, cue: Cue) {
        if cue == Cue::Own {
            self.changes += u32::from(self.last != Some(sender));
            self.last = Some(sender);
        }
    }

    /// Decides anew, at the end of each window. What was heard in a longer time than a window counts
    /// for less.
    pub(crate) fn decide(&mut self, now: Instant, rhythm: &Rhythm) {
        let Some(late) = now.checked_duration_since(self.window_ends) else { return };
        // What was heard in more windows than could be counted is next to nothing.
        let windows = u32::try_from(1 + late.as_millis() / WINDOW.as_millis()).unwrap_or(u32::MAX);
        let many = self.changes >= CHANGES_MIN.saturating_mul(windows);
        let rest = if many { rest_among(self.changes, WINDOW * windows) } else { Duration::ZERO };
        rhythm.rest_us.store(rest.as_micros() as u32, Ordering::Relaxed);
        self.changes = 0;
        self.window_ends = now + WINDOW;
    }
}

/// How long to rest where the sender changes so often in so long.
fn rest_among(changes: u32, within: Duration) -> Duration {
    (within * CHANGES_A_REST / changes).clamp(Duration::from_micros(1), REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long workers rest after `senders` spoke in turns, one every `gap_us`, for half a second; none: not many
    /// speak.
    fn rest(senders: u64, gap_us: u64) -> Option<u128> {
        rest_on(Cue::Own, senders, gap_us)
    }

    fn rest_on(cue: Cue, senders: u64, gap_us: u64) -> Option<u128> {
        let (start, rhythm) = (Instant::now(), Rhythm::default());
        let mut listener = Listener::new(start);
        for turn in 0..500_000 / gap_us {
            listener.heard(ConnectionId(turn % senders), cue);
            listener.decide(start + Duration::from_micros(turn * gap_us), &rhythm);
        }
        rhythm.resting().map(|rest| rest.as_micros())
    }

    #[test]
    fn one_client_is_not_many_however_fast_it_speaks() {
        assert_eq!(rest(1, 10), None);
    }

    #[test]
    fn a_fleet_is_many_and_a_few_that_seldom_speak_are_not() {
        assert_eq!(rest(100, 200), Some(2_000));
        assert_eq!(rest(100, 5_000), None);
    }

    #[test]
    fn who_waits_for_acknowledgements_is_not_waited_for() {
        assert_eq!(rest_on(Cue::Acknowledgement, 100, 200), None);
    }

    #[test]
    fn the_more_speak_the_shorter_is_the_rest() {
        assert_eq!(rest(100, 800), Some(2_000));
        assert_eq!(rest(100, 40), Some(400));
        assert_eq!(rest(100, 10), Some(100));
    }

    #[test]
    fn when_the_fleet_falls_silent_its_last_burst_is_forgotten() {
        let (start, rhythm) = (Instant::now(), Rhythm::default());
        let mut listener = Listener::new(start);
        (0..50).for_each(|sender| listener.heard(ConnectionId(sender), Cue::Own));
        listener.decide(start + WINDOW, &rhythm);
        assert!(rhythm.resting().is_some());
        listener.decide(start + WINDOW * 3, &rhythm);
        assert!(rhythm.resting().is_none());
    }
}
