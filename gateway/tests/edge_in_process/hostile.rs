//! Peers that send nonsense: each ends its own connection with the right word, and nobody else's.

use super::{packets::*, support::*};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config as Runs, TestRunner},
};

/// What the edge says to an MQTT 5 client that sends `bytes`, before it closes.
async fn said(edge: &TestEdge, bytes: &[u8]) -> Vec<u8> {
    let mut peer = edge.connect(5, "hostile").await;
    peer.send(bytes).await;
    peer.rest().await
}

#[tokio::test]
async fn malformed_packets_close_with_their_reason() {
    let edge = TestEdge::start().await;
    let malformed: [(&str, Vec<u8>); 16] = [
        ("id 0 with qos 1", publish(5, "a", 1, 0, "x")),
        ("id 0 with qos 2", publish(5, "a", 2, 0, "x")),
        ("qos 3", publish_with(5, 0x06, &[], "a", 1, "x")),
        ("a duplicate of qos 0", publish_with(5, 0x08, &[], "a", 1, "x")),
        ("a topic longer than the packet", packet(0x30, &[0, 9, b'a'])),
        ("a topic that is not utf-8", packet(0x30, &[0, 1, 0xFF, 0])),
        ("a topic with a null", publish(5, "a\0b", 0, 0, "x")),
        ("no properties", packet(0x30, &[0, 1, b'a'])),
        ("subscribe with wrong flags", packet(0x80, &subscribe(5, 1, &[("a", 0)])[2..])),
        ("subscribe with id 0", subscribe(5, 0, &[("a", 0)])),
        ("subscribe with qos 3", subscribe(5, 1, &[("a", 3)])),
        ("subscribe with reserved options", subscribe(5, 1, &[("a", 0x40)])),
        ("unsubscribe with id 0", unsubscribe(5, 0, &["a"])),
        ("puback with id 0", ack(0x40, 0)),
        ("a ping with a body", packet(0xC0, &[1])),
        ("packet type 0", packet(0x00, &[])),
    ];
    for (what, bytes) in &malformed {
        assert_eq!(said(&edge, bytes).await, [0xE0, 1, 0x81], "{what}");
    }
    let errors: [(&str, Vec<u8>); 8] = [
        ("a second connect", client(5, "again").packet()),
        ("a packet only servers send", packet(0x20, &[0, 0, 0])),
        ("auth that nobody agreed on", packet(0xF0, &[])),
        ("subscribe without a filter", subscribe(5, 1, &[])),
        ("unsubscribe without a filter", unsubscribe(5, 1, &[])),
        ("retain handling 3", subscribe(5, 1, &[("a", 0x30)])),
        ("subscription identifier 0", subscribe_with(5, &[0x0B, 0], 1, &[("a", 0)])),
        ("a publish with a subscription identifier", publish_with(5, 0, &[0x0B, 1], "a", 0, "x")),
    ];
    for (what, bytes) in &errors {
        assert_eq!(said(&edge, bytes).await, [0xE0, 1, 0x82], "{what}");
    }
    for topic in ["a/+", "#", "a+b"] {
        assert_eq!(said(&edge, &publish(5, topic, 0, 0, "x")).await, [0xE0, 1, 0x90], "{topic}");
    }
    assert_eq!(edge.counters.decode_errors.get(), 24);
    assert_eq!(edge.counters.violations.get(), 27);
    assert_eq!(edge.counters.panics.get(), 0);
    edge.serves().await;
}

#[tokio::test]
async fn a_client_of_version_3_is_closed_without_a_word() {
    let edge = TestEdge::start().await;
    for bytes in [
        publish(4, "a", 1, 0, "x"),
        publish(4, "", 0, 0, "x"),
        publish(4, "a/#", 0, 0, "x"),
        subscribe(4, 1, &[("a", 0x04)]),
        client(4, "again").packet(),
        packet(0xF0, &[]),
    ] {
        let mut peer = edge.connect(4, "hostile").await;
        peer.send(&bytes).await;
        peer.closes().await;
    }
    edge.serves().await;
}

#[tokio::test]
async fn an_oversized_packet_is_refused_before_it_comes() {
    let edge = TestEdge::with(|config| config.limits.mqtt_packet_bytes = 1_000).await;
    // 1,000 bytes are 3 of header, 2 + 1 of topic, 1 of properties and the rest.
    let most = publish(5, "a", 0, 0, &"x".repeat(993));
    assert_eq!(most.len(), 1_000);
    let mut peer = edge.connect(5, "large").await;
    peer.send(&most).await;
    peer.hears_nothing().await;
    peer.send(&publish(5, "a", 0, 0, &"x".repeat(994))[..3]).await;
    assert_eq!(peer.rest().await, [0xE0, 1, 0x95]);
    let mut early = edge.socket().await;
    early.send(&[0x10, 0xFF, 0xFF, 0x7F]).await;
    early.closes().await;
    edge.counts("limit_packet", 2).await;
    edge.serves().await;
}

#[tokio::test]
async fn packets_may_come_byte_by_byte() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.socket().await;
    let bytes =
        [client(4, "drip").packet(), publish(4, "devices/d/telemetry", 1, 5, "{}")].concat();
    for byte in bytes {
        peer.send(&[byte]).await;
    }
    assert_eq!(peer.raw().await, [0x20, 2, 0, 0]);
    edge.ingest().await.1.unwrap().send(()).unwrap();
    assert_eq!(peer.raw().await, ack(0x40, 5));
}

#[tokio::test]
async fn topics_beyond_ascii_are_topics() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "intl").await;
    peer.send(&subscribe(5, 1, &[("ü/+", 0), ("日本", 0)])).await;
    peer.packet().await;
    let mut publisher = edge.connect(4, "p").await;
    publisher.send(&[publish(4, "ü/é", 0, 0, "x"), publish(4, "日本", 0, 0, "y")].concat()).await;
    assert_eq!(peer.raw().await, publish(5, "ü/é", 0, 0, "x"));
    assert_eq!(peer.raw().await, publish(5, "日本", 0, 0, "y"));
}

/// Right packets of all kinds, to be broken.
fn packets(version: u8) -> Vec<Vec<u8>> {
    let will = Connect { will: Some(("w", "x")), keep_alive: 60, ..client(version, "m") };
    vec![
        will.packet(),
        client(version, "m").packet(),
        publish(version, "devices/m/telemetry", 1, 3, r#"{"a":1}"#),
        publish(version, "a/b", 2, 4, "x"),
        publish_with(version, 0x01, &[0x23, 0, 1, 0x02, 0, 0, 0, 9], "r", 0, "x"),
        subscribe(version, 5, &[("a/#", 2), ("devices/m/commands/#", 1)]),
        unsubscribe(version, 6, &["a/#"]),
        ack(0x40, 1),
        ack(0x50, 1),
        ack(0x62, 4),
        ack(0x70, 1),
        PINGREQ.to_vec(),
        DISCONNECT.to_vec(),
    ]
}

/// A few right packets with some of their bytes changed, cut or added.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let version = prop_oneof![Just(4_u8), Just(5)];
    let some = prop::collection::vec(any::<prop::sample::Index>(), 1..6);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6);
    (version, some, changes, any::<bool>()).prop_map(|(version, some, changes, past_connect)| {
        let all = packets(version);
        let mut bytes = client(version, "m").packet();
        let from = if past_connect { bytes.len() } else { 0 };
        bytes.extend(some.iter().flat_map(|index| index.get(&all).clone()));
        for (at, byte, kind) in changes {
            if bytes.len() == from {
                break;
            }
            let at = from + at.index(bytes.len() - from);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

#[tokio::test]
async fn no_bytes_panic_a_connection() {
    let mut edge = TestEdge::start().await;
    edge.ignore_inputs();
    let mut runner = TestRunner::new(Runs::default());
    for run in 0..600 {
        let bytes = if run % 3 == 0 {
            prop::collection::vec(any::<u8>(), 0..200).new_tree(&mut runner).unwrap().current()
        } else {
            broken().new_tree(&mut runner).unwrap().current()
        };
        let mut peer = edge.socket().await;
        peer.try_send(&bytes).await;
        peer.says_no_more().await;
        peer.rest().await;
        assert_eq!(edge.counters.panics.get(), 0, "{bytes:x?}");
    }
    edge.serves().await;
    let counters = edge.counters.clone();
    edge.stop().await;
    assert_eq!(counters.panics.get(), 0);
    assert!(counters.connections_accepted.get() > 200, "enough of them come past CONNECT");
}
