//! The HTTP listener: `[http]`.

use super::{
    address,
    check::{DAY_MS, Range, Unusable, unusable},
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The HTTP listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to listen; port 0 picks a free one.
    #[serde(deserialize_with = "address::one")]
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

impl Http {
    pub(super) fn ranges(&self) -> [Range; 4] {
        [
            ("http.flush_ms", self.flush_ms, 0..=10_000),
            ("http.header_timeout_ms", self.header_timeout_ms, 100..=DAY_MS),
            ("http.body_timeout_ms", self.body_timeout_ms, 100..=DAY_MS),
            ("http.write_timeout_ms", self.write_timeout_ms, 100..=DAY_MS),
        ]
    }

    /// What is wrong with its other values.
    pub(super) fn mistakes(&self) -> impl Iterator<Item = Unusable> {
        self.allowed_origins.iter().filter_map(|text| bad_origin(text))
    }
}

fn bad_origin(text: &str) -> Option<Unusable> {
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let good = authority.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', ' ']));
    let why = format!("'{text}' is not an origin such as https://dashboard.example:8443");
    (!good).then(|| unusable("http.allowed_origins", why))
}
