//! The wall clock, the one place where it is read.

use protocol::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time now.
#[must_use]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// How long it is until `at`; zero if that has passed.
#[must_use]
pub(crate) fn until(at: Timestamp) -> Duration {
    Duration::from_millis(at.since(now()).0)
}
