//! The Sluice gateway: the shell round `bridge`, which decides.
//!
//! `edge` speaks MQTT with devices and other clients, `exchange` carries ordinary messages between
//! them, `core` is the one task that owns the bridge, `web` speaks HTTP and WebSocket. [`app::App`]
//! puts them together. ARCHITECTURE.md is the map.

pub mod acl;
pub mod app;
pub mod args;
pub mod arrival;
pub mod auth;
mod clock;
pub mod config;
pub mod core;
mod count;
mod demo;
pub mod devices;
pub mod edge;
pub mod exchange;
pub mod exit;
mod fault;
mod files;
pub mod fuzzing;
pub mod logging;
pub mod mailbox;
mod metrics;
pub mod process;
mod reload;
pub mod rhythm;
pub mod stats;
pub mod store;
pub mod tokens;
mod watch;
pub mod web;
pub mod webhook;
