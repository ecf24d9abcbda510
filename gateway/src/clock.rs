//! The clocks, the one place where they are read: the wall clock, which people and devices go by, and a
//! steady one for pace, which never jumps.

use protocol::Timestamp;
use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

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

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The steady clock: milliseconds since it was first read.
#[must_use]
pub(crate) fn steady() -> Timestamp {
    Timestamp(i64::try_from(START.elapsed().as_millis()).unwrap_or(i64::MAX))
}

/// How long it is until `at` on the steady clock; zero if that has passed.
#[must_use]
pub(crate) fn steadily_until(at: Timestamp) -> Duration {
    Duration::from_millis(at.since(steady()).0)
}
