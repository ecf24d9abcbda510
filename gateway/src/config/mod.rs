//! The configuration: defaults, then the file, then `SLUICE_` variables, then flags.
//!
//! [`Config`] is what the rest of the gateway sees; [`load`] reads it and reports all mistakes at once;
//! `check` knows what a value must be beyond its type. `config/sluice.toml` explains every key.

mod alerts;
mod auth;
mod check;
mod load;
mod secure;
mod types;

pub use alerts::{AlertRule, Alerting, CommandAlerts, Secret, Webhook};
pub use auth::{AclAction, AclEffect, AclRule, Auth, Jwt};
pub use check::Unusable;
pub(crate) use load::of_text;
pub use load::{Mistakes, Sources, load};
pub use secure::{Ask, ClientCertificates, DeviceName, Network, Proxy, Tls};

use crate::store;
use bridge::{mapping::MappingSettings, route::Codec, types::DeviceTypes};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The MQTT listener.
    pub mqtt: Mqtt,
    /// The HTTP listener: dashboard, WebSocket, API.
    pub http: Http,
    /// How MQTT clients sign in.
    pub auth: Auth,
    /// What clients that signed in may publish and subscribe, before the built-in rules.
    pub acl: Vec<AclRule>,
    /// The certificate of the listeners with TLS.
    pub tls: Tls,
    /// Load balancers before the listeners.
    pub proxy: Proxy,
    /// Where the gateway keeps its files.
    pub data_dir: DataDir,
    /// What is written to the log.
    pub log: Log,
    /// Bounds on what peers may do.
    pub limits: Limits,
    /// When what devices publish is acknowledged.
    pub ingest: Ingest,
    /// What is kept on disk.
    pub store: Store,
    /// How long the updates of channels are kept: the first whose channels match; what none matches is kept
    /// for good.
    pub retention: Vec<Retention>,
    /// Devices without a connection of their own.
    pub presence: Presence,
    /// How the gateway ends.
    pub shutdown: Shutdown,
    /// Topics that feed channels, before the built-in ones.
    pub routes: Vec<Route>,
    /// Devices that know only their own topics.
    pub mappings: Vec<MappingSettings>,
    /// What raises alerts by itself.
    pub alerting: Alerting,
    /// Rules that raise alerts.
    pub alerts: Vec<AlertRule>,
    /// Who is told of alerts.
    pub webhook: Webhook,
    /// Types of devices.
    pub types: Types,
}

/// Where the gateway keeps its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataDir(pub PathBuf);

impl Default for DataDir {
    fn default() -> Self {
        Self("./data".into())
    }
}

/// The MQTT listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where to listen for MQTT over TLS; none: nowhere.
    pub tls_listen: Option<SocketAddr>,
    /// The certificates of clients of that listener.
    pub client_certificates: ClientCertificates,
    /// Connections begin with a header of the PROXY protocol where they come from `proxy.trusted`.
    pub proxy_protocol: bool,
    /// How long a new connection may take to send its CONNECT.
    pub connect_timeout_ms: u64,
    /// How long a write to a peer may take before the connection is given up.
    pub write_timeout_ms: u64,
    /// The longest keep-alive, in seconds: MQTT 5 clients that want a longer one, or none, are told; 0: as
    /// clients want.
    pub keep_alive_max_s: u16,
    /// A client id that connects more often in a minute is banned; 0: never.
    pub flapping_connects: u32,
    /// For how long, in seconds.
    pub flapping_ban_s: u64,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 1883)),
            tls_listen: None,
            client_certificates: ClientCertificates::default(),
            proxy_protocol: false,
            connect_timeout_ms: 10_000,
            write_timeout_ms: 10_000,
            keep_alive_max_s: 0,
            flapping_connects: 0,
            flapping_ban_s: 300,
        }
    }
}

/// The HTTP listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Whether it is HTTPS.
    pub tls: bool,
    /// Connections begin with a header of the PROXY protocol where they come from `proxy.trusted`.
    pub proxy_protocol: bool,
    /// How long live values are gathered into one frame to a subscriber while many are delivered.
    pub flush_ms: u64,
    /// How long the head of a request may take, and a connection rest between two requests.
    pub header_timeout_ms: u64,
    /// How long the body of a request may take.
    pub body_timeout_ms: u64,
    /// How long a peer may take nothing of what is written to it.
    pub write_timeout_ms: u64,
    /// Origins beside the gateway's own from which browsers may use it, such as
    /// `https://dashboard.example`.
    pub allowed_origins: Vec<String>,
    /// Names beside the listening address under which the gateway is reached.
    pub allowed_hosts: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            tls: false,
            proxy_protocol: false,
            flush_ms: 20,
            header_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 60_000,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
        }
    }
}

/// What is written to the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` for people or `json` for collectors.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`; or directives such as `info,gateway::edge=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Bounds on what peers may do; each has a counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest MQTT packet, in bytes.
    pub mqtt_packet_bytes: u32,
    /// MQTT connections at the same time.
    pub mqtt_connections: u32,
    /// Filters that one MQTT client may subscribe.
    pub mqtt_subscriptions: u32,
    /// Sessions kept for MQTT clients that are away.
    pub mqtt_sessions: u32,
    /// How long such a session is kept at most, in seconds.
    pub mqtt_session_seconds: u32,
    /// Messages that may wait to be written to one MQTT client.
    pub mqtt_queue_messages: u32,
    /// Their bytes, and those of what is in flight to it.
    pub mqtt_queue_bytes: u32,
    /// Memory for what waits for and is in flight to all MQTT clients, in bytes.
    pub mqtt_queued_bytes: u32,
    /// QoS 1 and 2 messages that may be in flight from and to one MQTT client.
    pub mqtt_inflight: u16,
    /// Messages that one MQTT client may send in a second; 0: any number.
    pub mqtt_messages_per_s: u32,
    /// Bytes of their payloads, likewise.
    pub mqtt_bytes_per_s: u32,
    /// Messages that one MQTT client is sent in a second; 0: any number.
    pub mqtt_deliveries_per_s: u32,
    /// The longest topic or filter, in bytes.
    pub topic_bytes: u32,
    /// The most levels of a topic or filter.
    pub topic_levels: u32,
    /// Retained messages in all.
    pub retained_messages: u32,
    /// Their bytes.
    pub retained_bytes: u32,
    /// The largest message from a WebSocket client, in bytes.
    pub websocket_message_bytes: u32,
    /// WebSocket connections at the same time.
    pub websocket_connections: u32,
    /// Messages that one WebSocket client may send in a second.
    pub websocket_messages_per_s: u32,
    /// Channel filters that one WebSocket client may subscribe.
    pub websocket_subscriptions: u32,
    /// WebSockets and listeners to `/sse` that one token may have at the same time.
    pub token_connections: u32,
    /// Messages that all of them may send in a second.
    pub token_messages_per_s: u32,
    /// Channel filters that all of them may subscribe.
    pub token_subscriptions: u32,
    /// Memory for the newest updates of all channels, in bytes: for subscribers that come back soon.
    pub ring_bytes: u32,
    /// The largest body of an HTTP request, in bytes.
    pub http_body_bytes: u32,
    /// HTTP connections at the same time, beside WebSockets.
    pub http_connections: u32,
    /// Sockets of one listener that are at their PROXY header or TLS handshake at the same time; one more ends
    /// the one that has been at it longest.
    pub handshakes: u32,
    /// Devices in all.
    pub devices: u32,
    /// Channels in all.
    pub channels: u32,
    /// Commands of one device that have not ended.
    pub commands_per_device: u32,
    /// Ended commands that are kept, the newest.
    pub commands_kept: u32,
    /// Alerts in all that are not cleared.
    pub alerts_open: u32,
    /// Of these, those of one device.
    pub alerts_per_device: u32,
    /// Cleared alerts that are kept, the newest.
    pub alerts_kept: u32,
    /// The longest desired state of a device, in bytes.
    pub desired_bytes: u32,
    /// Entries of the audit log that are kept, the newest.
    pub audit_entries: u32,
    /// Parameters of a command as JSON, in bytes.
    pub command_params_bytes: u32,
    /// Result or error of a command as JSON, in bytes; a larger one is left out.
    pub command_result_bytes: u32,
    /// Devices of one batch.
    pub batch_devices: u32,
    /// Batches that have not ended.
    pub batches_open: u32,
    /// Ended batches that are kept, the newest.
    pub batches_kept: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mqtt_packet_bytes: 256 * 1024,
            mqtt_connections: 100_000,
            mqtt_subscriptions: 1_000,
            mqtt_sessions: 10_000,
            mqtt_session_seconds: 7 * 24 * 3_600,
            mqtt_queue_messages: 10_000,
            mqtt_queue_bytes: 16 * 1024 * 1024,
            mqtt_queued_bytes: 512 * 1024 * 1024,
            mqtt_inflight: 1_000,
            mqtt_messages_per_s: 0,
            mqtt_bytes_per_s: 0,
            mqtt_deliveries_per_s: 0,
            topic_bytes: 1_024,
            topic_levels: 16,
            retained_messages: 100_000,
            retained_bytes: 256 * 1024 * 1024,
            websocket_message_bytes: 64 * 1024,
            websocket_connections: 20_000,
            websocket_messages_per_s: 1_000,
            websocket_subscriptions: 1_000,
            token_connections: 5_000,
            token_messages_per_s: 5_000,
            token_subscriptions: 50_000,
            ring_bytes: 16 * 1024 * 1024,
            http_body_bytes: 256 * 1024,
            http_connections: 10_000,
            handshakes: 1_000,
            devices: 100_000,
            channels: 500_000,
            commands_per_device: 100,
            alerts_open: 10_000,
            alerts_per_device: 100,
            alerts_kept: 10_000,
            desired_bytes: 64 * 1024,
            audit_entries: 100_000,
            commands_kept: 20_000,
            command_params_bytes: 64 * 1024,
            command_result_bytes: 64 * 1024,
            batch_devices: 10_000,
            batches_open: 100,
            batches_kept: 1_000,
        }
    }
}

/// Types of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Types {
    /// A directory with a JSON file for each type; none: no type is described.
    pub dir: Option<PathBuf>,
}

/// When what devices publish is acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// What a QoS 1 or 2 publish must survive once it is acknowledged.
    pub ack: Ack,
}

/// What a QoS 1 or 2 publish must survive once it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Nothing: it is in memory.
    Accepted,
    /// The end of the process, however it comes: it is committed.
    #[default]
    Stored,
    /// A power cut too: it is on the disk.
    Synced,
}

/// What is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Bytes of the newest updates of all channels, packed: how far back a subscriber can resume.
    pub recovery_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { recovery_bytes: 64 * 1024 * 1024 }
    }
}

/// How long the updates of some channels are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// A filter with MQTT's wildcards.
    pub channels: String,
    /// Older updates may go; in hours.
    #[serde(default)]
    pub hours: Option<u64>,
    /// All these channels together keep so many bytes; the oldest go first.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// The types of the devices that `--demo` simulates.
///
/// # Panics
/// Never: they are part of the program, and a test reads them.
pub(crate) fn demo_types() -> DeviceTypes {
    let known = types::DEMO.map(|text| types::parse(text).expect("the demo's types are valid"));
    DeviceTypes::new(known)
}

impl Config {
    /// The types of devices that are described, compiled.
    ///
    /// # Errors
    /// What is wrong with each file of `types.dir`.
    pub fn device_types(&self) -> Result<DeviceTypes, Vec<String>> {
        self.types.dir.as_deref().map_or_else(|| Ok(DeviceTypes::default()), types::read_dir)
    }

    /// The store's settings.
    ///
    /// # Panics
    /// Where [`Self::mistakes`] has something to say of `retention`.
    #[must_use]
    pub fn store_settings(&self) -> store::Settings {
        let rule = |retention: &Retention| store::Rule {
            channels: retention.channels.parse().expect("checked with the other settings"),
            age: retention.hours.map(|hours| Duration::from_secs(hours * 3_600)),
            bytes: retention.bytes,
        };
        store::Settings {
            survives: match self.ingest.ack {
                Ack::Accepted | Ack::Stored => store::Survives::KilledProcess,
                Ack::Synced => store::Survives::PowerCut,
            },
            retention: self.retention.iter().map(rule).collect(),
            recovery_bytes: self.store.recovery_bytes,
            ..store::Settings::new(self.data_dir.0.clone())
        }
    }
}

/// Devices without a connection of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// After this time without a message such a device is offline.
    pub silent_after_ms: u64,
}

impl Default for Presence {
    fn default() -> Self {
        Self { silent_after_ms: 300_000 }
    }
}

/// How the gateway ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long it may take to finish what is under way.
    pub grace_ms: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace_ms: 5_000 }
    }
}

/// A route from topics to channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The topic's template: `{name}` stands for one level, a last `{name...}` for the rest.
    pub topic: String,
    /// The channel's template, with names of the topic's.
    pub channel: String,
    /// How the payload reads: `json`, `scalar` or `text`.
    #[serde(default)]
    pub payload: Codec,
}
