//! TLS: who says nothing, or says it slowly.

use super::{GROWTH_BYTES_MAX, serves, trickle};
use tests::{Authority, Connect, Peer, TestGateway, TlsVersion, Version, until};
use tokio::net::TcpStream;

/// What a TLS client sends first, up to the random: a record of a ClientHello that says it has 252 bytes.
const HELLO: &[u8] = &[0x16, 3, 1, 0, 0xfc, 1, 0, 0, 0xf8, 3, 3];

/// A client that comes over TLS is served, and so is everybody else.
async fn stands(gateway: &TestGateway, authority: &Authority, memory_before: u64) {
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let stream = authority.connect(gateway.mqtt_tls(), version, None).await.expect("TLS");
        let mut peer = Peer::over(stream, Version::V5);
        peer.come_in(Connect::new(Version::V5, "secure-probe")).await;
        peer.settle().await;
    }
    serves(gateway).await;
    let grown = gateway.memory_bytes().saturating_sub(memory_before);
    assert!(grown < GROWTH_BYTES_MAX, "the gateway has grown by {grown} bytes");
}

async fn target(settings: &[(&str, &str)]) -> (TestGateway, Authority, u64) {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, settings).await;
    serves(&gateway).await;
    let memory = gateway.memory_bytes();
    (gateway, authority, memory)
}

#[tokio::test]
async fn sockets_that_say_nothing_keep_nobody_out_however_many_they_are() {
    let (gateway, authority, memory) = target(&[("LIMITS__HANDSHAKES", "100")]).await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(gateway.mqtt_tls()).await.expect("it accepts"));
    }
    stands(&gateway, &authority, memory).await;
    until("the bound", async || {
        gateway.metric("sluice_listeners_crowded_out_total").await >= 500
            && gateway.metric("sluice_listeners_handshakes").await <= 100
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_trickles_ends_at_its_deadline() {
    let (gateway, authority, memory) = target(&[("TLS__HANDSHAKE_TIMEOUT_MS", "500")]).await;
    let slow = (0..20).map(|_| trickle(gateway.mqtt_tls(), HELLO));
    futures_util::future::join_all(slow).await;
    gateway.until_metric("sluice_listeners_tls_timeouts_total", 20).await;
    gateway.until_metric("sluice_listeners_handshakes", 0).await;
    stands(&gateway, &authority, memory).await;
}

#[tokio::test]
async fn a_connect_that_trickles_over_tls_ends_at_its_deadline() {
    let (gateway, authority, memory) = target(&[("MQTT__CONNECT_TIMEOUT_MS", "500")]).await;
    let stream = authority.connect(gateway.mqtt_tls(), TlsVersion::V13, None).await.expect("TLS");
    let mut peer = Peer::over(stream, Version::V5);
    peer.send(&[0x10, 40]).await;
    peer.closed().await;
    gateway.until_metric("sluice_mqtt_refused_timeout_total", 1).await;
    stands(&gateway, &authority, memory).await;
}
