//! The topics under `devices/`: how they are written, in one place.

use crate::{CommandId, DeviceId};

/// `devices/{device}/telemetry`: metrics, up.
#[must_use]
pub fn telemetry(device: &DeviceId) -> String {
    format!("devices/{device}/telemetry")
}

/// `devices/{device}/commands/{command}`: a command, down.
#[must_use]
pub fn command(device: &DeviceId, command: CommandId) -> String {
    format!("devices/{device}/commands/{command}")
}

/// `devices/{device}/commands/{command}/ack`: its answers, up.
#[must_use]
pub fn answer(device: &DeviceId, command: CommandId) -> String {
    format!("devices/{device}/commands/{command}/ack")
}

/// `devices/{device}/commands/recent`: what it knows of its last commands, up.
#[must_use]
pub fn recent(device: &DeviceId) -> String {
    format!("devices/{device}/commands/recent")
}

/// `devices/{device}/commands/{command}/cancel`: the wish to give it up, down.
#[must_use]
pub fn cancel(device: &DeviceId, command: CommandId) -> String {
    format!("devices/{device}/commands/{command}/cancel")
}
