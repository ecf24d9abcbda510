//! The PROXY protocol: where a client is that comes through a load balancer.

use serde_json::json;
use tests::{Authority, Connect, Peer, TestGateway, Version, soon, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 1883\r\n";

/// `LOCAL`: a load balancer that looks whether we are there.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Of 2001:db8::7, port 40001, with more behind the addresses.
fn v2() -> Vec<u8> {
    let source = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let rest = [&source[..], &[0; 16], &40_001_u16.to_be_bytes(), &[7, 91], &[4, 0, 1, 0]].concat();
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x21", &length[..], &rest].concat()
}

const MQTT: (&str, &str) = ("MQTT__PROXY_PROTOCOL", "true");
const LOOPBACK: (&str, &str) = ("PROXY__TRUSTED", "127.0.0.0/8, ::1");

/// Where the device is that comes in over `peer`, after a header.
async fn address_of(gateway: &TestGateway, mut peer: Peer, header: &[u8], id: &str) -> String {
    let mut live = gateway.live().await;
    live.subscribe(&["presence/#"]).await;
    peer.send(header).await;
    peer.come_in(Connect::new(Version::V5, id)).await;
    peer.publish(&format!("devices/{id}/telemetry"), b"{\"n\":1}", 1).await;
    let presence = live.update(&format!("presence/{id}")).await;
    presence["data"]["address"].as_str().expect("it is online").into()
}

#[tokio::test]
async fn a_device_is_where_the_load_balancer_says() {
    let gateway = TestGateway::with(&[MQTT, LOOPBACK]).await;
    let open = || Peer::open(gateway.mqtt(), Version::V5);
    assert_eq!(address_of(&gateway, open().await, V1, "v1").await, "192.0.2.7:40000");
    assert_eq!(address_of(&gateway, open().await, &v2(), "v2").await, "[2001:db8::7]:40001");
    let own = address_of(&gateway, open().await, LOCAL, "local").await;
    assert!(own.starts_with("127.0.0.1:"), "{own}");
    let unknown = address_of(&gateway, open().await, b"PROXY UNKNOWN\r\n", "unknown").await;
    assert!(unknown.starts_with("127.0.0.1:"), "{unknown}");
    assert_eq!(gateway.metric("sluice_listeners_proxy_accepted_total").await, 4);
}

#[tokio::test]
async fn a_header_comes_before_tls() {
    let authority = Authority::new();
    let gateway = TestGateway::with_tls(&authority, &[MQTT, LOOPBACK]).await;
    let mut socket = TcpStream::connect(gateway.mqtt_tls()).await.expect("it accepts");
    socket.write_all(V1).await.expect("it is open");
    let stream = authority.over(socket).await.expect("a TLS handshake");
    let peer = Peer::over(stream, Version::V5);
    assert_eq!(address_of(&gateway, peer, b"", "secure").await, "192.0.2.7:40000");
}

#[tokio::test]
async fn what_is_no_header_is_closed_and_counted() {
    let settings = [MQTT, LOOPBACK, ("PROXY__HEADER_TIMEOUT_MS", "300")];
    let gateway = TestGateway::with(&settings).await;
    let connect = Connect::new(Version::V5, "impatient").encode();
    let bad: [&[u8]; 3] =
        [&connect, b"PROXY TCP4 192.0.2.7\r\n", &[b"PROXY ", &[b'x'; 200][..]].concat()];
    for bytes in bad {
        let mut peer = Peer::open(gateway.mqtt(), Version::V5).await;
        peer.send(bytes).await;
        peer.closed().await;
    }
    gateway.until_metric("sluice_listeners_proxy_refused_total", 3).await;
    // Nothing, and half of one: both come too late.
    for bytes in [&b""[..], b"PROXY TCP4 192.0"] {
        let mut peer = Peer::open(gateway.mqtt(), Version::V5).await;
        peer.send(bytes).await;
        peer.closed().await;
    }
    gateway.until_metric("sluice_listeners_proxy_timeouts_total", 2).await;
    gateway.until_metric("sluice_listeners_handshakes", 0).await;
}

#[tokio::test]
async fn who_is_not_trusted_is_not_believed() {
    let gateway = TestGateway::with(&[MQTT, ("PROXY__TRUSTED", "10.0.0.0/8")]).await;
    let mut liar = Peer::open(gateway.mqtt(), Version::V5).await;
    liar.send(V1).await;
    liar.closed().await;
    let peer = Peer::open(gateway.mqtt(), Version::V5).await;
    let own = address_of(&gateway, peer, b"", "direct").await;
    assert!(own.starts_with("127.0.0.1:"), "{own}");
}

/// What HTTP answers to a request behind a header; it closes then.
async fn http(gateway: &TestGateway, header: &[u8], request: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(gateway.http()).await.expect("it accepts");
    let request = format!(
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(&[header, request.as_bytes()].concat()).await.expect("it is open");
    let mut answer = String::new();
    let _reset = soon("an answer", stream.read_to_string(&mut answer)).await;
    answer
}

#[tokio::test]
async fn the_audit_log_has_the_address_that_the_load_balancer_says() {
    let gateway = TestGateway::with(&[("HTTP__PROXY_PROTOCOL", "true"), LOOPBACK]).await;
    let put = "PUT /api/v1/devices/pump-1";
    let answer = http(&gateway, &v2(), put, &json!({"type": "pump"}).to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    until("the entry", async || {
        let audit = http(&gateway, LOCAL, "GET /api/v1/audit", "").await;
        audit.contains(r#""address":"[2001:db8::7]:40001""#)
    })
    .await;
    let refused = http(&gateway, b"", "GET /healthz", "").await;
    assert_eq!(refused, "", "without a header nothing is answered");
}
