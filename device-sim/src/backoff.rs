//! How long to wait before connecting again.

use rand::{RngExt, rngs::StdRng};
use std::time::Duration;

/// No wait is shorter.
pub(crate) const WAIT_MIN: Duration = Duration::from_millis(500);
/// No wait is longer.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);
/// A connection that lasted this long was a good one: the next wait starts small again.
pub(crate) const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Exponential back-off with full jitter: each wait is anything between [`WAIT_MIN`] and a ceiling
/// that doubles from 1 s to [`WAIT_MAX`], so that a fleet does not come back in step.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after a connection that lasted for `uptime`; zero where none came about.
    pub(crate) fn after(&mut self, uptime: Duration, rng: &mut StdRng) -> Duration {
        if uptime >= STABLE_AFTER {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        rng.random_range(WAIT_MIN..=self.ceiling())
    }

    fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        WAIT_MIN.saturating_mul(factor).min(WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn waits_stay_within_a_ceiling_that_doubles_to_its_bound() {
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::default();
            for ceiling_s in [1, 2, 4, 8, 16, 20, 20, 20] {
                let wait = backoff.after(Duration::ZERO, &mut rng);
                assert!(wait >= WAIT_MIN && wait <= Duration::from_secs(ceiling_s), "{wait:?}");
            }
        }
    }

    #[test]
    fn endless_failures_do_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX };
        let wait = backoff.after(Duration::ZERO, &mut StdRng::seed_from_u64(1));
        assert!(wait <= WAIT_MAX);
    }

    #[test]
    fn waits_differ() {
        let mut rng = StdRng::seed_from_u64(4);
        let waits: Vec<_> =
            (0..10).map(|_| Backoff::default().after(Duration::ZERO, &mut rng)).collect();
        assert!(waits.iter().any(|wait| wait.abs_diff(waits[0]) > Duration::from_millis(50)));
    }

    #[test]
    fn a_stable_connection_starts_over_and_a_short_one_does_not() {
        let mut rng = StdRng::seed_from_u64(5);
        let mut backoff = Backoff { failures: 9 };
        let short = STABLE_AFTER - Duration::from_millis(1);
        backoff.after(short, &mut rng);
        assert_eq!(backoff.ceiling(), WAIT_MAX);
        backoff.after(STABLE_AFTER, &mut rng);
        assert_eq!(backoff.ceiling(), 2 * WAIT_MIN);
    }
}
