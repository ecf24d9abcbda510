//! How fast a client may send and be sent to. Pure.

use crate::config::Limits;
use std::time::Duration;
use tokio::time::Instant;

/// Rests that a client's rates ask for; what has no bound costs nothing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pub(super) rests: Rests,
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    deliveries: Option<Bucket>,
}

impl Pace {
    /// None where no rate is bounded.
    pub(super) fn new(limits: &Limits, now: Instant) -> Option<Box<Self>> {
        let bucket = |per_s: u32| (per_s > 0).then(|| Bucket::new(per_s, now));
        let pace = Self {
            rests: Rests::default(),
            messages: bucket(limits.mqtt_messages_per_s),
            bytes: bucket(limits.mqtt_bytes_per_s),
            deliveries: bucket(limits.mqtt_deliveries_per_s),
        };
        let bounded = pace.messages.is_some() || pace.bytes.is_some() || pace.deliveries.is_some();
        bounded.then(|| Box::new(pace))
    }

    /// A message of `bytes` came; whether the client now rests from sending.
    pub(super) fn came(&mut self, bytes: usize, now: Instant) -> bool {
        let messages = self.messages.as_mut().and_then(|bucket| bucket.take(1, now));
        let bytes = self.bytes.as_mut().and_then(|bucket| bucket.take(bytes, now));
        self.rests.reading = messages.max(bytes);
        self.rests.reading.is_some()
    }

    /// Ends the rests that are over.
    pub(super) fn rest_until(&mut self, now: Instant) {
        let Rests { reading, writing } = &mut self.rests;
        for rest in [reading, writing] {
            rest.take_if(|until| *until <= now);
        }
    }

    /// A message was delivered; whether the client now rests from receiving.
    pub(super) fn delivered(&mut self, now: Instant) -> bool {
        self.rests.writing = self.deliveries.as_mut().and_then(|bucket| bucket.take(1, now));
        self.rests.writing.is_some()
    }
}

/// Until when a client that was too fast is neither read nor sent messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rests {
    pub(super) reading: Option<Instant>,
    pub(super) writing: Option<Instant>,
}

/// Fills at a rate, holds what comes in a second, and may be overdrawn once.
#[derive(Debug)]
struct Bucket {
    per_s: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    fn new(per_s: u32, now: Instant) -> Self {
        Self { per_s: per_s.into(), level: per_s.into(), at: now }
    }

    /// Takes `amount`; gives when nothing is owed any more, if something is.
    #[expect(clippy::cast_precision_loss, reason = "packets are far smaller than 2^52 bytes")]
    fn take(&mut self, amount: usize, now: Instant) -> Option<Instant> {
        let gained = now.duration_since(self.at).as_secs_f64() * self.per_s;
        self.level = (self.level + gained).min(self.per_s) - amount as f64;
        self.at = now;
        (self.level < 0.0).then(|| now + Duration::from_secs_f64(-self.level / self.per_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_messages_may_come_at_once_and_more_only_at_the_rate() {
        let now = Instant::now();
        let limits = Limits { mqtt_messages_per_s: 4, ..Limits::default() };
        let mut pace = Pace::new(&limits, now).unwrap();
        assert_eq!([(); 4].map(|()| pace.came(9, now)), [false; 4]);
        let later = now + Duration::from_millis(250);
        assert!(pace.came(9, now));
        assert_eq!(pace.rests.reading, Some(later));
        assert!(pace.came(9, later));
        assert_eq!(pace.rests.reading, Some(later + Duration::from_millis(250)));
        assert!(!pace.came(9, later + Duration::from_secs(9)));
        assert!(!pace.delivered(now));
    }

    #[test]
    fn a_message_larger_than_a_second_of_bytes_passes_and_is_paid_for() {
        let now = Instant::now();
        let limits = Limits { mqtt_bytes_per_s: 100, ..Limits::default() };
        let mut pace = Pace::new(&limits, now).unwrap();
        assert!(pace.came(300, now));
        assert_eq!(pace.rests.reading, Some(now + Duration::from_secs(2)));
    }

    #[test]
    fn without_bounds_there_is_no_pace() {
        assert!(Pace::new(&Limits::default(), Instant::now()).is_none());
    }
}
