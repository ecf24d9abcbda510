//! A listener that cannot accept, as when the process has too many open files: it rests, and says why now and then.

use std::{io, time::Duration};
use tokio::time::{Instant, sleep};

/// How long accepting rests after it failed.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one line in the log is enough, however often it fails.
const SAID_FOR: Duration = Duration::from_secs(60);

/// Whether it was said that a listener cannot accept.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    said: Option<Instant>,
}

impl Failing {
    /// Rests after `error`; `protocol` is what the listener's peers speak.
    pub(crate) async fn rest(&mut self, protocol: &str, error: &io::Error) {
        if self.is_to_be_said(Instant::now()) {
            tracing::warn!(%error, "cannot accept {protocol} connections; tried again all the time, said once a minute");
        }
        sleep(PAUSE).await;
    }

    fn is_to_be_said(&mut self, now: Instant) -> bool {
        let is_due = self.said.is_none_or(|said| now - said >= SAID_FOR);
        if is_due {
            self.said = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_once_a_minute() {
        let (mut failing, start) = (Failing::default(), Instant::now());
        let said = (0..600).filter(|tries| failing.is_to_be_said(start + PAUSE * *tries)).count();
        assert_eq!(said, 1);
        assert!(failing.is_to_be_said(start + SAID_FOR));
    }
}
