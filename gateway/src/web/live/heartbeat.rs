//! Whether the client still answers: when it is pinged, and when its pong is late. Who pings and who closes is
//! the connection.

use std::time::Duration;
use tokio::time::Instant;

/// How often the gateway pings.
pub(super) const PING_EVERY: Duration = Duration::from_secs(25);

/// How long a pong may take.
const PONG_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Heartbeat {
    next_at: Instant,
    /// A ping went out, or should have, and this is when its pong is late.
    pong_by: Option<Instant>,
}

/// What is to be done at a beat.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// A ping is to go out.
    Ping,
    /// There is a moment left for the pong.
    Wait,
    /// The pong did not come.
    Late,
}

impl Heartbeat {
    pub(super) fn new(now: Instant) -> Self {
        Self { next_at: now + PING_EVERY, pong_by: None }
    }

    /// When [`Self::beat`] wants to be called.
    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        match self.pong_by {
            Some(by) if by <= now => Beat::Late,
            Some(by) => {
                self.next_at = by;
                Beat::Wait
            }
            None => {
                let by = now + PONG_WITHIN;
                (self.next_at, self.pong_by) = (by, Some(by));
                Beat::Ping
            }
        }
    }

    /// A pong came.
    pub(super) fn pong(&mut self, now: Instant) {
        if self.pong_by.take().is_some() {
            self.next_at = now + PING_EVERY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_is_late_after_its_time_and_one_that_came_begins_anew() {
        let began = Instant::now();
        let mut heartbeat = Heartbeat::new(began);
        let pinged = began + PING_EVERY;
        assert_eq!(heartbeat.next_at(), pinged);
        assert_eq!(heartbeat.beat(pinged), Beat::Ping);
        assert_eq!(heartbeat.beat(pinged + PONG_WITHIN / 2), Beat::Wait);
        heartbeat.pong(pinged + PONG_WITHIN / 2);
        let again = pinged + PONG_WITHIN / 2 + PING_EVERY;
        assert_eq!(heartbeat.next_at(), again);
        assert_eq!(heartbeat.beat(again), Beat::Ping);
        assert_eq!(heartbeat.next_at(), again + PONG_WITHIN);
        assert_eq!(heartbeat.beat(again + PONG_WITHIN), Beat::Late);
    }
}
