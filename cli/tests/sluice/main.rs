//! The real binary against a gateway: what it prints, what it asks for, and how it ends.
//!
//! `support` holds the way to run `sluice` and a fake gateway that plays a script.

#![expect(clippy::unwrap_used, reason = "all of this is tests, their helpers too")]

mod alerts;
mod batch;
mod command;
mod desired;
mod devices;
mod send;
mod support;
mod top;
mod usage;
mod watch;
