//! The MQTT edge from outside: a real listener on a port of its own, raw packets, a core that only
//! notes what it is told. Every wait has a deadline; none is a sleep.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests: what is not as expected fails the test"
)]

mod attacks;
mod connecting;
mod devices;
mod durable;
mod hostile;
mod limits;
mod packets;
mod publishing;
mod real_clients;
mod sessions;
mod shares;
mod sign_in;
mod subscribing;
mod support;
