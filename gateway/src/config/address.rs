//! Addresses to listen on: what a mistake in one says.

use serde::{Deserialize, Deserializer, de::Error};
use std::net::SocketAddr;

/// An address with its port.
pub(super) fn one<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    parse(&String::deserialize(from)?)
}

/// The same, where there may be one.
pub(super) fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    Option::<String>::deserialize(from)?.as_deref().map(parse).transpose()
}

fn parse<E: Error>(text: &str) -> Result<SocketAddr, E> {
    let mistake = "not an IP address with a port, such as 127.0.0.1:0 or [::1]:0";
    text.parse().map_err(|_| E::custom(mistake))
}
