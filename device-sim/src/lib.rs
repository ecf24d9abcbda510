//! Simulated fleets of MQTT devices: the library under the `device-sim` binary, the gateway's
//! `--demo` and the end-to-end tests.
//!
//! A [`Fleet`] runs one task a device. Each device is a pure core (a physical model and its
//! commands, `device` and `model`: time and seed come in, readings and answers go out) inside a
//! shell that owns its connection (`actor` and `link`). The shell speaks only the MQTT contract
//! in `docs/protocol.md`; nothing here knows the gateway.

mod actor;
mod backoff;
mod chaos;
mod clock;
mod config;
mod counters;
mod device;
mod fleet;
mod flight;
mod kind;
mod link;
mod mail;
mod model;
mod outbox;
mod secrets;
mod summary;
mod wire;

pub use chaos::{BadChaos, Chaos};
pub use config::{BadConfig, Broker, FleetConfig, MqttVersion, TelemetryQos, Transport};
pub use counters::{Counters, Totals};
pub use fleet::{Fleet, FleetError};
pub use kind::{BadKind, Kind};
pub use outbox::OUTBOX_READINGS_MAX;
pub use secrets::{BadSecrets, Secrets};
pub use summary::{CommandRecord, DeviceSummary, Outcome, Summary};
