//! What is fuzzed before a protocol begins.

use super::proxy;
use futures_util::FutureExt as _;
use std::net::{IpAddr, SocketAddr};

/// What comes from a load balancer: a header of the PROXY protocol, and what follows it.
pub fn proxy(bytes: &[u8]) {
    let (told, left) = read(bytes);
    let header = bytes.len() - left;
    let Ok(told) = told else { return };
    // A header ends where it ends, whatever follows, and not before.
    assert_eq!(read(&bytes[..header]), (Ok(told), 0));
    assert!(read(&bytes[..header - 1]).0.is_err(), "cut, it is no header");
    if let Some(address) = told {
        let again = header_for(address);
        assert_eq!(read(&again), (Ok(told), 0), "{address}");
    }
}

/// What is told, and how many bytes are left.
fn read(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, ()>, usize) {
    let told = proxy::read(&mut bytes).now_or_never().expect("a slice never waits");
    (told.map_err(|error| assert!(!error.to_string().is_empty())), bytes.len())
}

/// A header of version 1.
fn header_for(address: SocketAddr) -> Vec<u8> {
    let (family, target) = match address.ip() {
        IpAddr::V4(_) => ("TCP4", "192.0.2.1"),
        IpAddr::V6(_) => ("TCP6", "2001:db8::1"),
    };
    let (source, port) = (address.ip(), address.port());
    format!("PROXY {family} {source} {target} {port} 1883\r\n").into_bytes()
}
