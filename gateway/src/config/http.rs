//! The HTTP listener: `[http]`.

use super::{
    address,
    check::{DAY_MS, Range, Unusable, unusable},
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

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
        let origins = self.allowed_origins.iter().filter_map(|text| bad_origin(text));
        origins.chain(self.allowed_hosts.iter().filter_map(|text| bad_host(text)))
    }
}

/// An origin that no browser sends allows nothing.
fn bad_origin(text: &str) -> Option<Unusable> {
    let lower = text.to_lowercase();
    let authority = |scheme: &str, port: &str| {
        let authority = lower.strip_prefix(scheme)?;
        Some((authority, authority.ends_with(port)))
    };
    let why = match authority("http://", ":80").or_else(|| authority("https://", ":443")) {
        Some((_, true)) => "names the usual port, which browsers leave out: leave it out too",
        Some((rest, false))
            if !rest.is_empty() && !rest.contains(['/', '*', ' ', '@', '?', '#']) =>
        {
            return None;
        }
        Some(_) | None => "is not an origin such as https://dashboard.example:8443",
    };
    Some(unusable("http.allowed_origins", format!("'{text}' {why}")))
}

/// A name that no `Host` is allows nothing.
fn bad_host(text: &str) -> Option<Unusable> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = !text.is_empty() && text.bytes().all(is_part);
    let why = format!("'{text}' is not a name such as gateway.example: without scheme, port and *");
    (!is_name && text.parse::<IpAddr>().is_err()).then(|| unusable("http.allowed_hosts", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_origins_that_never_match_are_told() {
        let origins = ["https://a.example", "HTTP://A.example:8080", "https://[::1]:8443"];
        assert!(origins.iter().all(|text| bad_origin(text).is_none()));
        let bad = ["null", "https://", "https://a/", "https://a:443", "http://a:80", "https://u@a"];
        assert!(bad.iter().all(|text| bad_origin(text).is_some()));
        assert!(
            ["a.example", "Plant_7", "::1", "10.0.0.1"].iter().all(|text| bad_host(text).is_none())
        );
        let bad = ["", "http://a", "a:8080", "*.a", "a b", "[::1]"];
        assert!(bad.iter().all(|text| bad_host(text).is_some()));
    }
}
