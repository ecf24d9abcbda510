//! The wall clock, read in one place.

use protocol::Timestamp;
use std::time::SystemTime;

/// The time now; the epoch itself on a machine whose clock is before it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
