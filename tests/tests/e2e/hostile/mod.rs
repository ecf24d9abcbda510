//! Attacks on the real gateway: after each, another client is served and the memory is what it may be.

mod http;
mod mqtt;
mod tls;
mod websocket;

use serde_json::json;
use std::{net::SocketAddr, time::Duration};
use tests::{Connect, Peer, TestGateway, Version, soon};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

/// What an attack may leave in memory, at most: less than any of them sends where nothing is bounded.
const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A gateway under attack.
struct Target {
    gateway: TestGateway,
    memory_bytes: u64,
}

impl Target {
    async fn with(settings: &[(&str, &str)]) -> Self {
        let gateway = TestGateway::with(settings).await;
        serves(&gateway).await;
        let memory_bytes = gateway.memory_bytes();
        Self { gateway, memory_bytes }
    }

    /// A device, a browser, a script and another MQTT client are served, and the memory has not grown.
    async fn stands(&self) {
        serves(&self.gateway).await;
        let grown = self.gateway.memory_bytes().saturating_sub(self.memory_bytes);
        assert!(grown < GROWTH_BYTES_MAX, "the gateway has grown by {grown} bytes");
        assert_eq!(self.gateway.metric("sluice_mqtt_panics_total").await, 0);
    }
}

/// The gateway takes telemetry, shows it, and says that it is well.
pub(crate) async fn serves(gateway: &TestGateway) {
    let mut live = gateway.live().await;
    live.subscribe_with(&["telemetry/probe"], json!({"snapshot": false})).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "probe")).await;
    peer.subscribe("echo/#", 1).await;
    peer.publish("devices/probe/telemetry", br#"{"well":true}"#, 1).await;
    assert_eq!(live.update("telemetry/probe").await["data"], json!({"well": true}));
    peer.publish("echo/1", b"hi", 1).await;
    assert_eq!(peer.message().await.payload, b"hi");
    assert_eq!(gateway.get_text("/readyz").await.0, 200);
}

/// A bare connection to the HTTP port that has said `bytes`.
async fn said(gateway: &TestGateway, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.http()).await.expect("it accepts");
    // It may have been refused already.
    let _refused = stream.write_all(bytes).await;
    stream
}

/// Says `bytes` one after the other, slowly and again and again, until the gateway closes.
async fn trickle(address: SocketAddr, bytes: &[u8]) {
    let stream = TcpStream::connect(address).await.expect("it accepts");
    let (mut reader, mut writer) = stream.into_split();
    let saying = async {
        for byte in bytes.iter().cycle() {
            if writer.write_u8(*byte).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let mut answer = Vec::new();
    let closed = async {
        let _reset = reader.read_to_end(&mut answer).await;
    };
    let ended = async {
        tokio::select! {
            () = saying => {}
            () = closed => {}
        }
    };
    soon("a close", ended).await;
}

/// Everything that comes until the gateway closes.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends it as well.
    let _reset = soon("a close", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// What is answered to `request`, which asks for the connection's end.
async fn answer(gateway: &TestGateway, request: &[u8]) -> String {
    until_closed(&mut said(gateway, request).await).await
}
