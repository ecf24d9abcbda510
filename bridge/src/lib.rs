//! The decisions of Sluice, without IO.
//!
//! No tokio, socket, clock or randomness: time and ids are parameters. `gateway` feeds what happened
//! and does what is decided; the tests run a day of fleet in a second.

pub mod data;
pub mod event;
pub mod ingest;
pub mod route;
