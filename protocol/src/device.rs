//! What is known of a device's connection: the data of `presence/{device}`.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// The data of `presence/{device}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Presence {
    /// Whether it is there.
    pub status: Status,
    /// Since when it has this status.
    pub since: Timestamp,
    /// What made it so.
    pub reason: PresenceReason,
    /// Its network address, while it has a connection of its own.
    pub address: Option<String>,
    /// `mqtt3.1.1` or `mqtt5`, while it has a connection of its own.
    pub protocol: Option<String>,
    /// The node that holds its connection.
    pub node: String,
}

/// Whether a device is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Status {
    /// It has a connection, or was heard of lately.
    Online,
    /// It has none, or was silent for long.
    Offline,
}

impl Status {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// What made a device online or offline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum PresenceReason {
    /// Its connection was accepted.
    Connected,
    /// It sent DISCONNECT.
    Disconnected,
    /// Its connection broke.
    ConnectionLost,
    /// It was silent for one and a half times its keep-alive.
    KeepAlive,
    /// A new connection took its place; still online.
    TakenOver,
    /// The gateway closed its connection.
    Kicked,
    /// The gateway is shutting down.
    Shutdown,
    /// Without a connection of its own, a message came for it.
    Heard,
    /// Without a connection of its own, nothing came for long.
    Silent,
}
