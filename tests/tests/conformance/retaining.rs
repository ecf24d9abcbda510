//! Retained messages (chapter 3.3.1.3).

use super::{packets::*, support::*};
use tests::Version;

/// What a new subscription brings of retained messages: topics, payloads, QoS and flag.
async fn shelf(broker: &Broker, version: Version, filter: &str) -> Vec<(String, String, u8, bool)> {
    let mut client = broker.client(version, "shelf").await;
    client.subscribe(&[(filter, 2)]).await;
    client.send(&ping()).await;
    let mut found = Vec::new();
    loop {
        let packet = client.next().await;
        if packet.kind == PINGRESP {
            found.sort();
            return found;
        }
        let message = packet.message(version);
        let payload = String::from_utf8(message.payload).unwrap();
        found.push((message.topic, payload, message.qos, message.retain));
    }
}

#[tokio::test]
async fn the_last_retained_message_waits_for_who_subscribes_later() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut publisher = broker.client(version, "p").await;
        for (qos, payload) in [(0, "old"), (1, "older"), (2, "new")] {
            publisher.retain("r/a", qos, payload).await;
        }
        publisher.retain("r/b", 1, "b").await;
        publisher.retain("r/b", 0, "b of QoS 0").await;
        publisher.retain("other", 1, "x").await;
        let expected = [
            ("r/a".to_owned(), "new".to_owned(), 2, true),
            ("r/b".to_owned(), "b of QoS 0".to_owned(), 0, true),
        ];
        assert_eq!(shelf(&broker, version, "r/#").await, expected);
        assert_eq!(shelf(&broker, version, "r/+").await, expected);
        assert_eq!(shelf(&broker, version, "r/a").await, expected[..1]);
    }
}

#[tokio::test]
async fn an_empty_payload_takes_a_retained_message_away_and_is_not_kept() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut listener = broker.client(version, "listener").await;
        listener.subscribe(&[("r", 1)]).await;
        let mut publisher = broker.client(version, "p").await;
        publisher.retain("r", 1, "x").await;
        publisher.retain("r", 1, "").await;
        // It goes to who has subscribed, as any other message.
        for payload in ["x", ""] {
            let message = listener.hears(payload).await;
            assert!(!message.retain);
            listener.send(&answer(PUBACK, message.id)).await;
        }
        assert_eq!(shelf(&broker, version, "#").await, []);
        publisher.retain("r", 1, "").await;
        assert_eq!(shelf(&broker, version, "#").await, []);
    }
}

#[tokio::test]
async fn a_message_that_is_not_retained_changes_nothing() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("r", 1, "passing").await;
        assert_eq!(shelf(&broker, version, "r").await, []);
        publisher.retain("r", 1, "kept").await;
        publisher.publish("r", 1, "passing").await;
        publisher.publish("r", 1, "").await;
        assert_eq!(shelf(&broker, version, "r").await, [("r".into(), "kept".into(), 1, true)]);
        publisher.retain("r", 0, "").await;
    }
}

#[tokio::test]
async fn retained_messages_outlive_the_session_that_published_them() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut publisher = broker.connect(&kept(version, "p")).await;
        publisher.retain("r", 1, "kept").await;
        publisher.leaves().await;
        broker.client(version, "p").await.leaves().await;
        assert_eq!(shelf(&broker, version, "r").await, [("r".into(), "kept".into(), 1, true)]);
        broker.client(version, "p").await.retain("r", 0, "").await;
    }
}

#[tokio::test]
async fn who_has_subscribed_gets_a_live_message_without_the_flag() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("r", 0)]).await;
        broker.client(version, "p").await.retain("r", 0, "x").await;
        assert!(!client.hears("x").await.retain);
        broker.client(version, "p").await.retain("r", 0, "").await;
    }
}

#[tokio::test]
async fn retain_as_published_keeps_the_flag() {
    let broker = Broker::start().await;
    let mut publisher = broker.client(Version::V5, "p").await;
    for (option, kept) in [(0x08, true), (0x00, false)] {
        let mut client = broker.client(Version::V5, "c").await;
        client.subscribe(&[("live", option)]).await;
        publisher.retain("live", 0, "retained").await;
        publisher.publish("live", 0, "not").await;
        assert_eq!(client.hears("retained").await.retain, kept);
        assert!(!client.hears("not").await.retain);
        publisher.retain("live", 0, "").await;
    }
}

#[tokio::test]
async fn retain_handling_says_when_retained_messages_come() {
    let broker = Broker::start().await;
    broker.client(Version::V5, "p").await.retain("r/a", 0, "kept").await;
    let mut client = broker.client(Version::V5, "c").await;
    // 0: always. 1: where the subscription is new. 2: never.
    for (filter, handling, comes) in [
        ("r/#", 0, true),
        ("r/#", 0, true),
        ("r/#", 1, false),
        ("r/+", 1, true),
        ("r/+", 1, false),
        ("r/a", 2, false),
        ("r/a", 0, true),
    ] {
        client.subscribe(&[(filter, handling << 4)]).await;
        if comes {
            assert!(client.hears("kept").await.retain, "{filter} {handling}");
        }
        client.hears_nothing().await;
    }
    client.unsubscribe(&["r/+"]).await;
    client.subscribe(&[("r/+", 0x10)]).await;
    client.hears("kept").await;
    let wrong = subscribe(Version::V5, 1, &[("r/+", 0x30)]);
    client.violates("retain handling 3", &wrong).await;
}

#[tokio::test]
async fn a_retained_message_expires() {
    let broker = Broker::start().await;
    let mut publisher = broker.client(Version::V5, "p").await;
    publisher.publish_as(3, &[EXPIRY, 0, 0, 0, 1], "r", "brief").await;
    let quick = Connect { keep_alive_s: 1, ..connect(Version::V3, "quick") };
    broker.connect(&quick).await.rest().await;
    assert_eq!(shelf(&broker, Version::V5, "r").await, []);
}
