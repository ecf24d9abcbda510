//! How long to wait before coming back: full jitter, so that clients do not come back in step.

use protocol::Retry;
use std::time::Duration;

/// No wait after a connection that broke is shorter.
const WAIT_MIN: Duration = Duration::from_millis(500);

/// No wait is longer.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The longest first wait; it doubles with each connection that did not last.
const WAIT_FIRST: Duration = Duration::from_secs(1);

/// A connection that lasted this long counts as well again.
const STABLE: Duration = Duration::from_secs(20);

/// Counts the connections in a row that did not last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The wait after a connection that lasted `lasted`; `None`: do not come back.
    ///
    /// "At once" is taken at its word once; a gateway that keeps saying it is backed off from.
    /// `random` is in `0.0..1.0`.
    pub(crate) fn wait(&mut self, retry: Retry, lasted: Duration, random: f64) -> Option<Duration> {
        if lasted >= STABLE {
            self.failures = 0;
        }
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        match retry {
            Retry::Never => None,
            Retry::AtOnce if failures == 0 => Some(Duration::ZERO),
            Retry::AtOnce | Retry::BackOff => Some(jittered(failures, random)),
        }
    }
}

fn jittered(failures: u32, random: f64) -> Duration {
    let doubled = WAIT_FIRST.saturating_mul(2_u32.saturating_pow(failures));
    let span = doubled.min(WAIT_MAX) - WAIT_MIN;
    WAIT_MIN + span.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    fn waits(retry: Retry, random: f64) -> Vec<Option<Duration>> {
        let mut back_off = BackOff::default();
        (0..7).map(|_| back_off.wait(retry, SHORT, random)).collect()
    }

    #[test]
    fn waits_grow_from_half_a_second_to_twenty() {
        let longest = [1, 2, 4, 8, 16, 20, 20].map(|s| Some(Duration::from_secs(s)));
        assert_eq!(waits(Retry::BackOff, 1.0), longest);
        assert_eq!(waits(Retry::BackOff, 0.0), [Some(WAIT_MIN); 7]);
    }

    #[test]
    fn a_connection_that_lasted_starts_over() {
        let mut back_off = BackOff { failures: 5 };
        assert_eq!(back_off.wait(Retry::BackOff, STABLE, 1.0), Some(WAIT_FIRST));
    }

    #[test]
    fn at_once_is_believed_once_in_a_row() {
        assert_eq!(waits(Retry::AtOnce, 0.0)[..2], [Some(Duration::ZERO), Some(WAIT_MIN)]);
    }

    #[test]
    fn never_is_never() {
        assert_eq!(waits(Retry::Never, 0.5), [None; 7]);
    }

    #[test]
    fn many_failures_do_not_overflow() {
        let mut back_off = BackOff { failures: u32::MAX };
        assert_eq!(back_off.wait(Retry::BackOff, SHORT, 1.0), Some(WAIT_MAX));
    }
}
