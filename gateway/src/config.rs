//! The configuration: defaults, then the file, then `SLUICE_` variables, then flags.

use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The MQTT listener.
    pub mqtt: Mqtt,
    /// The HTTP listener: dashboard, WebSocket, API.
    pub http: Http,
    /// Where the gateway keeps its files.
    pub data_dir: PathBuf,
    /// Bounds on what peers may do.
    pub limits: Limits,
}

/// The MQTT listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How long a new connection may take to send its CONNECT.
    pub connect_timeout_ms: u64,
    /// How long a write to a peer may take before the connection is given up.
    pub write_timeout_ms: u64,
}

/// The HTTP listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
}

/// Bounds on what peers may do; each has a counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest MQTT packet, in bytes.
    pub mqtt_packet_bytes: u32,
    /// MQTT connections at the same time.
    pub mqtt_connections: u32,
    /// The longest topic or filter, in bytes.
    pub topic_bytes: u32,
    /// The most levels of a topic or filter.
    pub topic_levels: u32,
    /// Filters that one MQTT client may subscribe.
    pub mqtt_subscriptions: u32,
    /// Sessions kept for MQTT clients that are away.
    pub mqtt_sessions: u32,
    /// How long such a session is kept at most, in seconds.
    pub mqtt_session_seconds: u32,
    /// Messages that may wait to be written to one MQTT client; more are dropped, whatever their QoS,
    /// and counted by it.
    pub mqtt_queue_messages: u32,
    /// Their payload bytes.
    pub mqtt_queue_bytes: u32,
    /// Retained messages in all.
    pub retained_messages: u32,
    /// Their bytes.
    pub retained_bytes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mqtt: Mqtt {
                listen: SocketAddr::from(([127, 0, 0, 1], 1883)),
                connect_timeout_ms: 10_000,
                write_timeout_ms: 10_000,
            },
            http: Http { listen: SocketAddr::from(([127, 0, 0, 1], 8080)) },
            data_dir: "./data".into(),
            limits: Limits {
                mqtt_packet_bytes: 256 * 1024,
                mqtt_connections: 10_000,
                topic_bytes: 1_024,
                topic_levels: 16,
                mqtt_subscriptions: 1_000,
                mqtt_sessions: 10_000,
                mqtt_session_seconds: 7 * 24 * 3_600,
                mqtt_queue_messages: 10_000,
                mqtt_queue_bytes: 16 * 1024 * 1024,
                retained_messages: 100_000,
                retained_bytes: 256 * 1024 * 1024,
            },
        }
    }
}
