//! Conformance with MQTT 3.1.1 and 5.0, statement by statement, in raw packets against a running broker.
//!
//! `tests/conformance/*.toml` lists every normative statement of both standards with the tests that hold a
//! server to it, or the reason why a server cannot be held to it; [`table`] checks the lists and writes
//! `docs/mqtt-conformance.md`. The tests know nothing of the gateway:
//! `CONFORMANCE_BROKER=mosquitto cargo test -p tests --test conformance` holds Debian's Mosquitto to the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what is not as expected fails the test")]

mod bytes;
mod connack;
mod connecting;
mod ending;
mod flows;
mod limits;
mod packets;
mod publishing;
mod retaining;
mod sessions;
mod shares;
mod subscribing;
mod support;
mod table;
mod topics;
mod websocket;
mod wills;
