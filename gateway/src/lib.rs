//! The Sluice gateway: the shell round `bridge`.

pub mod config;
pub mod core;
pub mod edge;
pub mod exchange;
