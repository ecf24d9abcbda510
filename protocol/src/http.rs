//! Bodies of the HTTP API under `/api/v1`, and the data of `gateway/stats`.

use crate::{AlertFigures, DeviceId, Millis, Status, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};

/// A device as `GET /devices` gives it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its type, where it was told.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Labels given to it.
    pub tags: BTreeMap<String, String>,
    /// Whether it is there.
    pub status: Status,
    /// Since when it has this status.
    pub since: Timestamp,
    /// When it last said something, or its own connection began or ended; null where it never did.
    pub last_seen_at: Option<Timestamp>,
    /// The newest value of each metric.
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub values: Arc<RawValue>,
    /// Counts the changes of its type and tags.
    pub version: u64,
}

/// The body of `PUT /devices/{id}`: what it leaves out is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceDescription {
    /// Its type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its labels; no name has a colon.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The body of `PATCH /devices/{id}` (RFC 7396): `null` removes, what it leaves out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevicePatch {
    /// Its new type; `Some(None)` where it is to have none.
    #[serde(default, rename = "type", deserialize_with = "given")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub kind: Option<Option<String>>,
    /// The labels that change; no new name has a colon.
    #[serde(default)]
    pub tags: BTreeMap<String, Option<String>>,
}

/// Tells a member that is `null` from one that is not there.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "{T}Page"))]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts: the `cursor` to ask for; null on the last.
    pub next: Option<String>,
}

/// An error, as `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// The status code again.
    pub status: u16,
    /// The status code in words.
    pub title: String,
    /// What is wrong, with the value and the way out.
    pub detail: String,
    /// For programs; stable.
    pub code: String,
}

/// The data of `gateway/stats`, once a second. Rates are of the last second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatewayStats {
    /// The gateway's version.
    pub version: String,
    /// Time since it started.
    pub uptime_ms: Millis,
    /// Devices that are online.
    pub devices_online: u64,
    /// Devices that are known.
    pub devices_known: u64,
    /// MQTT connections, devices' and others'.
    pub mqtt_connections: u64,
    /// WebSocket connections.
    pub websocket_connections: u64,
    /// PUBLISH packets received a second.
    pub messages_in_per_s: f64,
    /// Updates given to WebSocket connections a second.
    pub deliveries_per_s: f64,
    /// Payloads that did not decode, since the start.
    pub undecodable_payloads: u64,
    /// Updates that slow consumers lost to conflation, since the start.
    pub dropped_updates: u64,
    /// Connections that lag now.
    pub lagging_connections: u64,
    /// Commands that have not ended.
    pub commands_open: u64,
    /// Alerts that are not cleared.
    pub alerts: AlertFigures,
    /// What commands came to since the start.
    pub commands: CommandFigures,
    /// Resident memory of the process in bytes; 0 where the system does not tell.
    pub memory_bytes: u64,
    /// How the store is.
    pub store: StoreFigures,
}

/// What commands came to since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandFigures {
    /// Accepted.
    pub created: u64,
    /// Sent, each attempt.
    pub sent: u64,
    /// Ended as succeeded.
    pub succeeded: u64,
    /// Ended as failed.
    pub failed: u64,
    /// Ended as rejected.
    pub rejected: u64,
    /// Ended as timed out; some of them were settled late.
    pub timed_out: u64,
    /// Ended as expired.
    pub expired: u64,
    /// Ended as cancelled.
    pub cancelled: u64,
    /// Ended as superseded.
    pub superseded: u64,
    /// Settled by an answer after they had timed out.
    pub late: u64,
    /// Batches that have not ended.
    pub batches_open: u64,
}

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreFigures {
    /// Whether it keeps what it is given.
    pub state: StoreState,
    /// Why it does not; null while it does.
    pub error: Option<String>,
    /// Updates that wait to be stored.
    pub pending_updates: u64,
    /// Updates that could not be kept, since the start: history has a hole there.
    pub lost_updates: u64,
    /// Bytes of the database.
    pub bytes: u64,
}

/// Whether the store keeps what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StoreState {
    /// It does.
    #[default]
    Ok,
    /// The disk is full or fails: live data flows, nothing is kept.
    Failing,
}
