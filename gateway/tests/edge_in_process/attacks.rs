//! Clients that try to take the gateway down or its memory; after each, another client is served.

use super::{packets::*, support::*};

/// How much the memory of this process may grow in one test, in bytes; others run beside it.
const GROWTH_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Resident memory (proc(5), statm).
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

#[tokio::test]
async fn packets_cut_at_each_byte_harm_nobody() {
    let mut edge = TestEdge::start().await;
    edge.ignore_inputs();
    for version in [4, 5] {
        let will = Connect { will: Some(("w", "x")), keep_alive: 9, ..client(version, "cut") };
        let whole = [
            will.packet(),
            publish(version, "devices/m/telemetry", 2, 3, r#"{"a":1}"#),
            subscribe(version, 5, &[("a/#", 2), ("$share/g/a", 1)]),
            unsubscribe(version, 6, &["a/#"]),
            ack(0x62, 3),
        ]
        .concat();
        for end in 0..whole.len() {
            let mut peer = edge.socket().await;
            peer.try_send(&whole[..end]).await;
            peer.says_no_more().await;
            peer.rest().await;
        }
    }
    edge.serves().await;
    assert_eq!(edge.counters.panics.get(), 0);
}

#[tokio::test]
async fn exactly_once_without_release_is_bounded() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "greedy").await;
    let flood = (1..=1_001).flat_map(|id| publish(5, "a", 2, id, "x"));
    peer.send(&flood.collect::<Vec<_>>()).await;
    let said = peer.rest().await;
    assert!(said.ends_with(&[0xE0, 1, 0x93]));
    edge.serves().await;
}

#[tokio::test]
async fn a_storm_of_subscriptions_ends_at_the_limit() {
    let edge = TestEdge::with(|config| config.limits.mqtt_subscriptions = 100).await;
    let before = resident_bytes();
    let mut peer = edge.connect(5, "storm").await;
    let names: Vec<String> = (0..1_000).map(|number| format!("s/{number}/#")).collect();
    let filters: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    peer.send(&subscribe(5, 1, &filters)).await;
    let (_, body) = peer.packet().await;
    let codes = &body[body.len() - 1_000..];
    assert!(codes[..100].iter().all(|code| *code == 1));
    assert!(codes[100..].iter().all(|code| *code == 0x97));
    edge.serves().await;
    assert!(resident_bytes() < before + GROWTH_BYTES_MAX);
}

#[tokio::test]
async fn a_flood_of_retained_messages_ends_at_the_limit() {
    let edge = TestEdge::with(|config| config.limits.retained_bytes = 1_000_000).await;
    let before = resident_bytes();
    let mut peer = edge.connect(4, "flood").await;
    let payload = "x".repeat(100_000);
    for number in 1..=100 {
        peer.send(&publish_with(4, 0x03, &[], &format!("r/{number}"), number, &payload)).await;
        assert_eq!(peer.raw().await, ack(0x40, number));
    }
    assert!(edge.counters.limit_retained.get() >= 90);
    edge.serves().await;
    assert!(resident_bytes() < before + GROWTH_BYTES_MAX);
}

#[tokio::test]
async fn clients_that_displace_each_other_with_wills_to_themselves_end() {
    let edge = TestEdge::start().await;
    for _ in 0..50 {
        let mortal = Connect { will: Some(("loop", "gone")), ..client(5, "loop") };
        let mut peer = edge.connect_as(&mortal).await;
        peer.send(&subscribe(5, 1, &[("loop", 0)])).await;
        peer.packet().await;
    }
    edge.counts("wills", 49).await;
    edge.serves().await;
}
