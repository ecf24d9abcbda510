//! Tests that take longer than a moment: `tests/run --quick` leaves them out.

mod fleet;
mod kills;
mod slow;
