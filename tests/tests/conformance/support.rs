//! The broker that is tested, and clients of bare sockets.

use super::packets::*;
use std::{net::SocketAddr, process::Stdio};
use tests::{Message, Packet, Peer, TestGateway, Version, soon, until};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

/// Both versions of MQTT.
pub(crate) const BOTH: [Version; 2] = [Version::V3, Version::V5];

/// The broker that is tested: the gateway, or with `CONFORMANCE_BROKER=mosquitto` Debian's Mosquitto, which
/// tells whether a test asks for what the standard says or only for what the gateway does.
pub(crate) enum Broker {
    Gateway(Box<TestGateway>),
    Mosquitto(Box<Mosquitto>),
}

/// A Mosquitto on ports of its own.
pub(crate) struct Mosquitto {
    _child: Child,
    _folder: tempfile::TempDir,
    mqtt: SocketAddr,
    websocket: SocketAddr,
}

impl Broker {
    /// With the settings of a fresh installation.
    pub(crate) async fn start() -> Self {
        match std::env::var("CONFORMANCE_BROKER").as_deref() {
            Err(_) | Ok("sluice") => Self::Gateway(Box::new(TestGateway::start().await)),
            Ok("mosquitto") => Self::Mosquitto(Box::new(mosquitto().await)),
            Ok(other) => panic!("CONFORMANCE_BROKER is `{other}`: it may be sluice or mosquitto"),
        }
    }

    /// Where it speaks MQTT.
    pub(crate) fn mqtt(&self) -> SocketAddr {
        match self {
            Self::Gateway(gateway) => gateway.mqtt(),
            Self::Mosquitto(mosquitto) => mosquitto.mqtt,
        }
    }

    /// Where it speaks MQTT over WebSocket, at the path `/mqtt`.
    pub(crate) fn websocket(&self) -> SocketAddr {
        match self {
            Self::Gateway(gateway) => gateway.http(),
            Self::Mosquitto(mosquitto) => mosquitto.websocket,
        }
    }

    /// A connection on which nothing was said.
    pub(crate) async fn open(&self, version: Version) -> Client {
        Client { peer: Peer::open(self.mqtt(), version).await, version, last_id: 0x1200 }
    }

    /// A client with a clean session.
    pub(crate) async fn client(&self, version: Version, id: &str) -> Client {
        self.connect(&connect(version, id)).await
    }

    /// A client that was accepted.
    pub(crate) async fn connect(&self, connect: &Connect<'_>) -> Client {
        self.come_back(connect).await.0
    }

    /// The client `c` with a session that stays and a subscription of topic `a`.
    pub(crate) async fn subscriber(&self, version: Version, qos: u8) -> Client {
        let mut client = self.comes_back(version).await;
        client.subscribe(&[("a", qos)]).await;
        client
    }

    /// The client `c`, with its session where there is one.
    pub(crate) async fn comes_back(&self, version: Version) -> Client {
        self.connect(&kept(version, "c")).await
    }

    /// Ends the session of the client `c`.
    pub(crate) async fn forgets(&self, version: Version) {
        self.client(version, "c").await.leaves().await;
    }

    /// A client that was accepted, and whether it found its session.
    pub(crate) async fn come_back(&self, connect: &Connect<'_>) -> (Client, bool) {
        let (client, connack) = self.introduce(connect).await;
        (client, connack.body[0] == 1)
    }

    /// A client that was accepted, and what it was told.
    pub(crate) async fn introduce(&self, connect: &Connect<'_>) -> (Client, Packet) {
        let mut client = self.open(connect.version).await;
        client.send(&connect.packet()).await;
        let connack = client.next().await;
        assert_eq!((connack.kind, connack.body[1]), (CONNACK, 0), "{connack:?}");
        (client, connack)
    }

    /// What the first bytes of a connection are answered with, to the close that follows.
    pub(crate) async fn refuses(&self, bytes: &[u8]) -> Vec<Packet> {
        let mut client = self.open(Version::V5).await;
        client.send(bytes).await;
        client.rest().await
    }

    /// The broker still serves others.
    pub(crate) async fn serves(&self) {
        for version in BOTH {
            self.client(version, "still-there").await.hears_nothing().await;
        }
    }
}

/// A client of bare bytes.
pub(crate) struct Client {
    peer: Peer,
    pub(crate) version: Version,
    last_id: u16,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.peer.send(bytes).await;
    }

    /// The next packet.
    pub(crate) async fn next(&mut self) -> Packet {
        self.peer.next().await.expect("a packet comes before the close")
    }

    /// The next packet; none where the broker closes.
    pub(crate) async fn maybe_next(&mut self) -> Option<Packet> {
        self.peer.next().await
    }

    /// The next packet, which is of a kind.
    pub(crate) async fn takes(&mut self, kind: u8) -> Packet {
        let packet = self.next().await;
        assert_eq!(packet.kind, kind, "{packet:?}");
        packet
    }

    /// The first packet of a kind; messages that come before it stay for later.
    pub(crate) async fn takes_among_messages(&mut self, kind: u8) -> Packet {
        self.peer.expect(kind).await
    }

    /// The next packet, which is a message.
    pub(crate) async fn message(&mut self) -> Message {
        self.takes(PUBLISH).await.message(self.version)
    }

    /// The next packet, which is a message with this payload.
    pub(crate) async fn hears(&mut self, payload: &str) -> Message {
        let message = self.message().await;
        assert_eq!(String::from_utf8_lossy(&message.payload), payload, "{message:?}");
        message
    }

    /// Nothing comes before the answer to a ping.
    pub(crate) async fn hears_nothing(&mut self) {
        self.send(&ping()).await;
        self.takes(PINGRESP).await;
    }

    /// Whatever comes until the broker closes.
    pub(crate) async fn rest(&mut self) -> Vec<Packet> {
        let mut rest = Vec::new();
        while let Some(packet) = self.peer.next().await {
            rest.push(packet);
        }
        rest
    }

    /// Sends bytes that break the protocol, which ends the connection: with a DISCONNECT of a reason from
    /// 0x80 on for MQTT 5 where there is one, without a word for 3.1.1.
    pub(crate) async fn violates(mut self, what: &str, bytes: &[u8]) -> Option<u8> {
        self.send(bytes).await;
        let rest = self.rest().await;
        rest.first().map(|packet| {
            let is_goodbye = packet.kind == DISCONNECT && packet.body[0] >= 0x80;
            let allowed = is_goodbye && self.version == Version::V5 && rest.len() == 1;
            assert!(allowed, "{what} with {:?}: {rest:?}", self.version);
            packet.body[0]
        })
    }

    /// Subscribes; gives the codes of the SUBACK.
    pub(crate) async fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        let id = self.next_id();
        self.send(&subscribe(self.version, id, filters)).await;
        let suback = self.takes(SUBACK).await;
        assert_eq!(suback.body[..2], id.to_be_bytes());
        self.codes(&suback)
    }

    /// Unsubscribes; gives the codes of the UNSUBACK, which has none with 3.1.1.
    pub(crate) async fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let id = self.next_id();
        self.send(&unsubscribe(self.version, id, filters)).await;
        let unsuback = self.takes(UNSUBACK).await;
        assert_eq!(unsuback.body[..2], id.to_be_bytes());
        self.codes(&unsuback)
    }

    /// The codes of a SUBACK or UNSUBACK.
    pub(crate) fn codes(&self, packet: &Packet) -> Vec<u8> {
        match self.version {
            Version::V3 => packet.body[2..].to_vec(),
            Version::V5 => properties(&packet.body[2..]).1.to_vec(),
        }
    }

    /// Publishes and waits until the broker has the message.
    pub(crate) async fn publish(&mut self, topic: &str, qos: u8, payload: &str) {
        self.publish_as(qos << 1, &[], topic, payload).await;
    }

    /// Publishes a retained message and waits until the broker has it.
    pub(crate) async fn retain(&mut self, topic: &str, qos: u8, payload: &str) {
        self.publish_as(qos << 1 | 1, &[], topic, payload).await;
    }

    /// Publishes with flags and properties, and waits until the broker has the message.
    pub(crate) async fn publish_as(
        &mut self,
        flags: u8,
        properties: &[u8],
        topic: &str,
        payload: &str,
    ) {
        let id = self.next_id();
        let payload = payload.as_bytes();
        self.send(&publish_with(self.version, flags, properties, topic, id, payload)).await;
        match flags >> 1 & 3 {
            // What it hears of its own may come first, and stays for later.
            0 => {
                self.send(&ping()).await;
                self.takes_among_messages(PINGRESP).await;
            }
            1 => assert_eq!(self.takes(PUBACK).await.body[..2], id.to_be_bytes()),
            _ => {
                assert_eq!(self.takes(PUBREC).await.body[..2], id.to_be_bytes());
                self.send(&answer(PUBREL, id)).await;
                assert_eq!(self.takes(PUBCOMP).await.body[..2], id.to_be_bytes());
            }
        }
    }

    /// Says goodbye, and waits for the close.
    pub(crate) async fn leaves(mut self) {
        self.send(&goodbye()).await;
        assert_eq!(self.rest().await, []);
    }

    fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }
}

async fn mosquitto() -> Mosquitto {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mqtt, websocket) = (free_address().await, free_address().await);
    let settings = format!(
        "allow_anonymous true\npersistence false\nlog_dest none\n\
         listener {} 127.0.0.1\n\
         listener {} 127.0.0.1\nprotocol websockets\n",
        mqtt.port(),
        websocket.port()
    );
    let file = folder.path().join("mosquitto.conf");
    std::fs::write(&file, settings).expect("a file");
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(&file).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("mosquitto is installed");
    until("mosquitto", async || {
        TcpStream::connect(mqtt).await.is_ok() && TcpStream::connect(websocket).await.is_ok()
    })
    .await;
    Mosquitto { _child: child, _folder: folder, mqtt, websocket }
}

async fn free_address() -> SocketAddr {
    let listener = soon("a port", TcpListener::bind("127.0.0.1:0")).await.expect("a free port");
    listener.local_addr().expect("it is bound")
}
