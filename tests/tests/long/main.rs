//! Tests that take longer than a moment: `tests/run --quick` leaves them out.

#[cfg(feature = "faults")]
mod faults;
mod flapping;
mod fleet;
mod kills;
mod past;
mod pong;
mod slow;
