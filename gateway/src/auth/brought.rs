//! What a connection brought before its first byte of MQTT: whoever accepts streams says it at the
//! [door](crate::edge::Door), and signing in begins with it.

use super::User;
use protocol::{DeviceId, Timestamp};

/// What a connection brought before its first byte of MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// Nothing: a plain socket, or TLS without a certificate.
    Nothing,
    /// Nothing, and it came through HTTP as MQTT over WebSocket: it must sign in where HTTP wants a token.
    NothingByHttp,
    /// A certificate that was verified.
    Certificate(Certified),
    /// The user that an HTTP request showed the token of, before it became MQTT over WebSocket; the local
    /// one where HTTP trusts everybody. HTTP ends the connection when that token counts no more.
    User(User),
}

/// What a certificate says that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Whose it is.
    pub device: DeviceId,
    /// When it expires.
    pub ends_at: Timestamp,
}
