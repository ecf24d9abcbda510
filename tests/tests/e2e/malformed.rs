//! Bytes that no client should send: each harms the connection it came on, and nobody else.

use crate::hostile::serves;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tests::{
    Connect, Peer, TestGateway, Version,
    mqtt::{field, packet, publish},
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREL: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;

const VERSIONS: [Version; 2] = [Version::V3, Version::V5];

fn text(text: &str) -> Vec<u8> {
    field(text.as_bytes())
}

/// Without a CONNECT before them.
fn first_words() -> Vec<(&'static str, Vec<u8>)> {
    let connect = |name: &str, level: u8, flags: u8, client: &[u8]| {
        packet(CONNECT, 0, &[text(name), vec![level, flags, 0, 0], field(client)].concat())
    };
    vec![
        ("a browser", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("zeros", vec![0; 64]),
        ("a packet before CONNECT", packet(PINGREQ, 0, &[])),
        ("a message before CONNECT", publish(Version::V3, "a", b"", 0, 0)),
        ("another protocol's name", connect("MQIsdp", 4, 2, b"a")),
        ("an unknown version", connect("MQTT", 6, 2, b"a")),
        ("reserved flags of CONNECT", connect("MQTT", 4, 3, b"a")),
        ("a client id that is not UTF-8", connect("MQTT", 4, 2, &[0xff, 0xfe])),
        ("a length of five bytes", vec![CONNECT << 4, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("a length beyond the limit", vec![CONNECT << 4, 0xff, 0xff, 0xff, 0x7f]),
        ("a CONNECT whose fields are longer than itself", packet(CONNECT, 0, &[0xff, 0xff])),
    ]
}

/// After a good CONNECT; each a violation that ends the connection.
fn violations(version: Version) -> Vec<(&'static str, Vec<u8>)> {
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    let raw = |topic: &[u8]| packet(PUBLISH, 0, &[&field(topic), properties].concat());
    let subscribe = |filter: &[u8], options: u8| {
        let body = [&[0, 1], properties, &field(filter), &[options]].concat();
        packet(SUBSCRIBE, 2, &body)
    };
    vec![
        ("a second CONNECT", Connect::new(version, "again").encode()),
        ("a topic that is not UTF-8", raw(&[b'a', 0xff])),
        ("a topic with a surrogate", raw(&[0xed, 0xa0, 0x80])),
        ("a topic with a zero", raw(b"a\0b")),
        ("an empty topic", raw(b"")),
        ("a topic with +", raw(b"a/+/b")),
        ("a topic with #", raw(b"#")),
        ("a message with packet id 0", publish(version, "a", b"x", 1, 0)),
        ("a message of QoS 2 with packet id 0", publish(version, "a", b"x", 2, 0)),
        ("a message of QoS 3", publish(version, "a", b"x", 3, 1)),
        ("a message that is cut", packet(PUBLISH, 0, &[0, 9, b'a'])),
        ("a message beyond the limit", publish(version, "a", &vec![b'x'; 300 * 1024], 0, 0)),
        ("a PUBACK that is cut", packet(PUBACK, 0, &[0])),
        ("a SUBSCRIBE without a filter", packet(SUBSCRIBE, 2, &[&[0, 1], properties].concat())),
        (
            "a SUBSCRIBE with packet id 0",
            packet(SUBSCRIBE, 2, &[&[0, 0], properties, &text("a"), &[0]].concat()),
        ),
        (
            "a SUBSCRIBE without its flags",
            packet(SUBSCRIBE, 0, &[&[0, 1], properties, &text("a"), &[0]].concat()),
        ),
        ("a SUBSCRIBE with QoS 3", subscribe(b"a", 3)),
        ("a filter that is not UTF-8", subscribe(&[0xff], 0)),
        (
            "an UNSUBSCRIBE without a filter",
            packet(UNSUBSCRIBE, 2, &[&[0, 1], properties].concat()),
        ),
        ("a PUBREL without its flags", packet(PUBREL, 0, &[0, 1])),
        ("a packet of kind 0", packet(0, 0, &[])),
        ("a CONNACK from a client", packet(2, 0, &[0, 0])),
    ]
}

#[tokio::test]
async fn bad_first_words_end_their_connection_only() {
    let gateway = TestGateway::with(&[("MQTT__CONNECT_TIMEOUT_MS", "500")]).await;
    for (name, bytes) in first_words() {
        eprintln!("{name}");
        let mut peer = Peer::open(gateway.mqtt(), Version::V3).await;
        peer.send(&bytes).await;
        peer.closed().await;
    }
    serves(&gateway).await;
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let gateway = TestGateway::with(&[("MQTT__CONNECT_TIMEOUT_MS", "200")]).await;
    let connect = Connect::new(Version::V3, "slow").encode();
    for cut in [0, 1, 2, connect.len() - 1] {
        let mut peer = Peer::open(gateway.mqtt(), Version::V3).await;
        peer.send(&connect[..cut]).await;
        peer.closed().await;
    }
    serves(&gateway).await;
}

#[tokio::test]
async fn a_violation_ends_its_connection_only() {
    let gateway = TestGateway::start().await;
    for version in VERSIONS {
        for (name, bytes) in violations(version) {
            eprintln!("{version:?}: {name}");
            let mut peer = Peer::connect(gateway.mqtt(), Connect::new(version, "bad")).await;
            peer.send(&bytes).await;
            peer.closed().await;
        }
    }
    serves(&gateway).await;
    assert_eq!(gateway.metric("sluice_exchange_restarts_total").await, 0);
}

#[tokio::test]
async fn acknowledgements_of_nothing_harm_nobody() {
    let gateway = TestGateway::start().await;
    for version in VERSIONS {
        for kind in [PUBACK, 5, PUBREL, 7] {
            let mut peer = Peer::connect(gateway.mqtt(), Connect::new(version, "bogus")).await;
            peer.subscribe("backlog/#", 1).await;
            let mut other = Peer::connect(gateway.mqtt(), Connect::new(version, "other")).await;
            for number in 0..50_u8 {
                other.publish("backlog/1", &[number], 1).await;
            }
            let flags = if kind == PUBREL { 2 } else { 0 };
            for id in [1_u16, 7, 999, 65_535] {
                peer.send(&packet(kind, flags, &id.to_be_bytes())).await;
            }
        }
    }
    serves(&gateway).await;
    assert_eq!(gateway.metric("sluice_exchange_restarts_total").await, 0);
}

#[tokio::test]
async fn topics_may_be_written_in_any_script() {
    let gateway = TestGateway::start().await;
    let topics = ["ü", "температура/1", "室温/センサー", "a/🌡", "\u{10ffff}", "/", "//", " "];
    for version in VERSIONS {
        let mut live = gateway.live().await;
        live.subscribe(&["topics/#"]).await;
        let mut peer = Peer::connect(gateway.mqtt(), Connect::new(version, "poet")).await;
        peer.subscribe("#", 1).await;
        for topic in topics {
            peer.publish(topic, b"1", 1).await;
            let message = peer.message().await;
            peer.puback(message.id).await;
            assert_eq!((message.topic.as_str(), &message.payload[..]), (topic, &b"1"[..]));
            let update = live.next().await;
            assert_eq!(update["channel"], format!("topics/{topic}"));
            assert_eq!(
                update["data"],
                json!({"payload": 1, "encoding": "json", "qos": 1, "retain": false})
            );
        }
    }
}

#[tokio::test]
async fn random_bytes_end_their_connection_only() {
    const SEED: u64 = 1;
    let gateway = TestGateway::start().await;
    let mut rng = StdRng::seed_from_u64(SEED);
    for round in 0..400 {
        let mut bytes = match round % 4 {
            0 => Vec::new(),
            1 => Connect::new(Version::V5, "noise").encode(),
            _ => Connect::new(Version::V3, "noise").encode(),
        };
        for _ in 0..rng.random_range(1..4) {
            let (_, mut piece) = violations(Version::V3).swap_remove(rng.random_range(0..10));
            let place = rng.random_range(0..piece.len());
            piece[place] = rng.random();
            bytes.extend(piece);
        }
        let noise = rng.random_range(0..64);
        bytes.extend((0..noise).map(|_| rng.random::<u8>()));
        let mut stream = TcpStream::connect(gateway.mqtt()).await.expect("the gateway accepts");
        let _closed_already = stream.write_all(&bytes).await;
    }
    serves(&gateway).await;
    assert_eq!(gateway.metric("sluice_exchange_restarts_total").await, 0);
}
