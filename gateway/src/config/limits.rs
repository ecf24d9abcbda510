//! Bounds on what peers may do: `[limits]`.

use super::check::{MANY, Range};
use serde::{Deserialize, Serialize};

/// The longest topic that still fits a channel `topics/{topic}`.
const TOPIC_BYTES_MAX: u64 = 65_000;

/// No limit for packets of MQTT is smaller.
const PACKET_BYTES_MIN: u64 = 1_024;

/// The largest packet of MQTT (MQTT 5.0, section 2.1.4).
const PACKET_BYTES_MAX: u64 = 268_435_460;

/// The most messages that wait for one client: each has a packet id of its own.
const QUEUE_MESSAGES_MAX: u64 = 50_000;

/// The largest body or message over HTTP, or document of a device.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Declares each limit once: what it bounds, its default, and between which values it must be.
macro_rules! limits {
    ($($(#[$doc:meta])+ $name:ident: $type:ident = $default:expr, in $range:expr;)+) => {
        /// Bounds on what peers may do; each has a counter.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Limits {
            $($(#[$doc])+ pub $name: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            pub(super) fn ranges(&self) -> impl Iterator<Item = Range> {
                [$((concat!("limits.", stringify!($name)), self.$name.into(), $range),)+].into_iter()
            }
        }
    };
}

limits! {
    /// The largest MQTT packet, in bytes.
    mqtt_packet_bytes: u32 = 256 * 1024, in PACKET_BYTES_MIN..=PACKET_BYTES_MAX;
    /// MQTT connections at the same time.
    mqtt_connections: u32 = 100_000, in 1..=MANY;
    /// Filters that one MQTT client may subscribe.
    mqtt_subscriptions: u32 = 1_000, in 1..=MANY;
    /// Sessions kept for MQTT clients that are away.
    mqtt_sessions: u32 = 10_000, in 0..=MANY;
    /// How long such a session is kept at most, in seconds.
    mqtt_session_seconds: u32 = 7 * 24 * 3_600, in 0..=MANY;
    /// Messages that may wait to be written to one MQTT client.
    mqtt_queue_messages: u32 = 10_000, in 1..=QUEUE_MESSAGES_MAX;
    /// Their bytes, and those of what is in flight to it.
    mqtt_queue_bytes: u32 = 16 * 1024 * 1024, in PACKET_BYTES_MIN..=MANY;
    /// Memory for what waits for and is in flight to all MQTT clients, in bytes.
    mqtt_queued_bytes: u32 = 512 * 1024 * 1024, in PACKET_BYTES_MIN..=MANY;
    /// QoS 1 and 2 messages that may be in flight from and to one MQTT client; to one of MQTT 3.1.1 100 at most.
    mqtt_inflight: u16 = 1_000, in 1..=10_000;
    /// Messages that one MQTT client may send in a second; 0: any number.
    mqtt_messages_per_s: u32 = 0, in 0..=MANY;
    /// Bytes of their payloads, likewise.
    mqtt_bytes_per_s: u32 = 0, in 0..=MANY;
    /// Messages that one MQTT client is sent in a second; 0: any number.
    mqtt_deliveries_per_s: u32 = 0, in 0..=MANY;
    /// The longest topic or filter, in bytes.
    topic_bytes: u32 = 1_024, in 1..=TOPIC_BYTES_MAX;
    /// The most levels of a topic or filter.
    topic_levels: u32 = 16, in 1..=TOPIC_BYTES_MAX;
    /// Retained messages in all.
    retained_messages: u32 = 100_000, in 0..=MANY;
    /// Their bytes.
    retained_bytes: u32 = 256 * 1024 * 1024, in 0..=MANY;
    /// The largest message from a WebSocket client, in bytes.
    websocket_message_bytes: u32 = 64 * 1024, in 1_024..=BODY_BYTES_MAX;
    /// WebSocket connections at the same time.
    websocket_connections: u32 = 20_000, in 1..=MANY;
    /// Messages that one WebSocket client may send in a second.
    websocket_messages_per_s: u32 = 1_000, in 1..=MANY;
    /// Channel filters that one WebSocket client may subscribe.
    websocket_subscriptions: u32 = 1_000, in 1..=MANY;
    /// WebSockets and listeners to `/sse` that one token may have at the same time.
    token_connections: u32 = 5_000, in 1..=MANY;
    /// Messages that all of them may send in a second.
    token_messages_per_s: u32 = 5_000, in 1..=MANY;
    /// Channel filters that all of them may subscribe.
    token_subscriptions: u32 = 50_000, in 1..=MANY;
    /// Memory for the newest updates of all channels, in bytes: for subscribers that come back soon.
    ring_bytes: u32 = 16 * 1024 * 1024, in 64 * 1024..=MANY;
    /// The largest body of an HTTP request, in bytes.
    http_body_bytes: u32 = 256 * 1024, in 1_024..=BODY_BYTES_MAX;
    /// HTTP connections at the same time, beside WebSockets.
    http_connections: u32 = 10_000, in 1..=MANY;
    /// Sockets of one listener that are at their PROXY header or TLS handshake at the same time; one more ends
    /// the one that has been at it longest.
    handshakes: u32 = 1_000, in 1..=MANY;
    /// Devices in all.
    devices: u32 = 100_000, in 1..=MANY;
    /// Channels in all.
    channels: u32 = 500_000, in 1..=MANY;
    /// Commands of one device that have not ended.
    commands_per_device: u32 = 100, in 1..=MANY;
    /// Ended commands that are kept, the newest.
    commands_kept: u32 = 20_000, in 1..=MANY;
    /// Alerts in all that are not cleared.
    alerts_open: u32 = 10_000, in 1..=MANY;
    /// Of these, those of one device.
    alerts_per_device: u32 = 100, in 1..=MANY;
    /// Cleared alerts that are kept, the newest.
    alerts_kept: u32 = 10_000, in 0..=MANY;
    /// The longest desired state of a device, in bytes.
    desired_bytes: u32 = 64 * 1024, in 2..=BODY_BYTES_MAX;
    /// Entries of the audit log that are kept, the newest.
    audit_entries: u32 = 100_000, in 1_000..=MANY;
    /// Parameters of a command as JSON, in bytes.
    command_params_bytes: u32 = 64 * 1024, in 2..=BODY_BYTES_MAX;
    /// Result or error of a command as JSON, in bytes; a larger one is left out.
    command_result_bytes: u32 = 64 * 1024, in 2..=MANY;
    /// Devices of one batch.
    batch_devices: u32 = 10_000, in 1..=100_000;
    /// Batches that have not ended.
    batches_open: u32 = 100, in 1..=10_000;
    /// Ended batches that are kept, the newest.
    batches_kept: u32 = 1_000, in 1..=MANY;
}

impl Limits {
    /// Limits that must not be greater than another one.
    pub(super) fn within_others(&self) -> [(Limit, Limit); 3] {
        let packet = ("limits.mqtt_packet_bytes", self.mqtt_packet_bytes);
        let queue = ("limits.mqtt_queue_bytes", self.mqtt_queue_bytes);
        let queued = ("limits.mqtt_queued_bytes", self.mqtt_queued_bytes);
        let params = ("limits.command_params_bytes", self.command_params_bytes);
        let body = ("limits.http_body_bytes", self.http_body_bytes);
        [(packet, queue), (queue, queued), (params, body)]
    }
}

/// A limit's key and its value.
pub(super) type Limit = (&'static str, u32);
