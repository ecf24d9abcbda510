//! The MQTT listener: `[mqtt]`.

use super::{
    address,
    check::{DAY_MS, Range},
    secure::ClientCertificates,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The MQTT listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Where to listen; port 0 picks a free one.
    #[serde(deserialize_with = "address::one")]
    pub listen: SocketAddr,
    /// Where to listen for MQTT over TLS; none: nowhere.
    #[serde(deserialize_with = "address::some")]
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

impl Mqtt {
    pub(super) fn ranges(&self) -> [Range; 3] {
        [
            ("mqtt.connect_timeout_ms", self.connect_timeout_ms, 100..=DAY_MS),
            ("mqtt.write_timeout_ms", self.write_timeout_ms, 100..=DAY_MS),
            ("mqtt.flapping_ban_s", self.flapping_ban_s, 1..=365 * 86_400),
        ]
    }
}
