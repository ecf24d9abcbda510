//! The decisions of Sluice, without IO.
//!
//! No tokio, socket, clock or randomness: time and ids are parameters. `gateway` feeds what happened
//! and does what is decided; the tests run a day of fleet in a second.

pub mod acl;
pub mod alerts;
pub mod audit;
pub mod bridge;
mod columns;
pub mod command;
pub mod data;
pub mod devices;
pub mod event;
pub mod history;
pub mod hub;
pub mod ingest;
pub mod mapping;
pub mod outbox;
pub mod rights;
pub mod route;
pub mod shadow;
pub mod types;
pub mod update;
