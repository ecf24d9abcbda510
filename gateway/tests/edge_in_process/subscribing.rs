//! SUBSCRIBE and what follows: who gets what, how often, with which QoS and flags.

use super::{packets::*, support::*};

async fn subscribed(edge: &TestEdge, version: u8, filters: &[(&str, u8)]) -> (Peer, Vec<u8>) {
    let mut peer = edge.connect(version, "").await;
    peer.send(&subscribe(version, 9, filters)).await;
    let (head, body) = peer.packet().await;
    assert_eq!((head, &body[..2]), (0x90, &[0, 9][..]));
    (peer, body[if version == 5 { 3 } else { 2 }..].to_vec())
}

#[tokio::test]
async fn subscribers_get_what_matches_with_the_lower_qos() {
    let mut edge = TestEdge::start().await;
    edge.ignore_inputs();
    let mut publisher = edge.connect(4, "publisher").await;
    for (granted, published, delivered) in [(0, 2, 0), (1, 2, 1), (2, 1, 1), (2, 2, 2)] {
        let (mut peer, codes) = subscribed(&edge, 4, &[("a/+", granted)]).await;
        assert_eq!(codes, [granted]);
        publisher.send(&publish(4, "b", published, 1, "no")).await;
        publisher.send(&publish(4, "a/x", published, 2, "yes")).await;
        assert_eq!(peer.raw().await, publish(4, "a/x", delivered, 1, "yes"));
        publisher.send(&[ack(0x62, 1), ack(0x62, 2)].concat()).await;
    }
}

#[tokio::test]
async fn overlapping_filters_deliver_once_with_all_identifiers() {
    let mut edge = TestEdge::start().await;
    edge.ignore_inputs();
    let mut peer = edge.connect(5, "s").await;
    peer.send(&subscribe_with(5, &[0x0B, 7], 1, &[("a/#", 0)])).await;
    peer.send(&subscribe_with(5, &[0x0B, 8], 2, &[("a/+", 1), ("+/x", 0)])).await;
    for _ in 0..2 {
        assert_eq!(peer.packet().await.0, 0x90);
    }
    let mut publisher = edge.connect(5, "p").await;
    publisher.send(&publish(5, "a/x", 1, 1, "once")).await;
    let expected = publish_with(5, 0x02, &[0x0B, 7, 0x0B, 8, 0x0B, 8], "a/x", 1, "once");
    assert_eq!(peer.raw().await, expected);
    peer.hears_nothing().await;
}

#[tokio::test]
async fn bad_filters_are_refused_one_by_one() {
    let edge = TestEdge::with(|config| config.limits.mqtt_subscriptions = 2).await;
    let deep = "/".repeat(16);
    let filters =
        [("a", 1), ("a#", 0), ("$share/g", 0), (deep.as_str(), 0), ("b", 2), ("c", 0), ("a", 0)];
    let (_, codes) = subscribed(&edge, 5, &filters).await;
    assert_eq!(codes, [1, 0x8F, 0x8F, 0x8F, 2, 0x97, 0]);
    let (_, codes) = subscribed(&edge, 4, &filters).await;
    assert_eq!(codes, [1, 0x80, 0x80, 0x80, 2, 0x80, 0]);
    assert_eq!(edge.counters.limit_subscriptions.get(), 2);
}

#[tokio::test]
async fn unsubscribing_ends_deliveries_and_says_what_was_there() {
    let edge = TestEdge::start().await;
    let (mut peer, _) = subscribed(&edge, 5, &[("a", 0), ("b", 0)]).await;
    peer.send(&unsubscribe(5, 3, &["a", "x"])).await;
    assert_eq!(peer.raw().await, [0xB0, 5, 0, 3, 0, 0, 0x11]);
    let mut publisher = edge.connect(5, "p").await;
    publisher.send(&publish(5, "a", 0, 0, "no")).await;
    publisher.send(&publish(5, "b", 0, 0, "yes")).await;
    assert_eq!(peer.raw().await, publish(5, "b", 0, 0, "yes"));
    peer.send(&unsubscribe(5, 4, &["b"])).await;
    assert_eq!(peer.raw().await, [0xB0, 4, 0, 4, 0, 0]);
    let (mut three, _) = subscribed(&edge, 4, &[("a", 0)]).await;
    three.send(&unsubscribe(4, 3, &["a"])).await;
    assert_eq!(three.raw().await, [0xB0, 2, 0, 3]);
}

#[tokio::test]
async fn retained_messages_come_as_the_retain_handling_says() {
    let edge = TestEdge::start().await;
    let mut publisher = edge.connect(5, "p").await;
    let retained = |topic, payload| publish_with(5, 0x03, &[], topic, 1, payload);
    publisher
        .send(&[retained("r/a", "old"), retained("r/a", "new"), retained("r/b", "b")].concat())
        .await;
    publisher.send(&retained("r/b", "")).await;
    for _ in 0..4 {
        publisher.packet().await;
    }
    let with_retain = publish_with(5, 0x01, &[], "r/a", 0, "new");
    // Handling 0: always.
    let (mut peer, _) = subscribed(&edge, 5, &[("r/#", 0)]).await;
    assert_eq!(peer.raw().await, with_retain);
    peer.send(&subscribe(5, 1, &[("r/#", 0)])).await;
    peer.packet().await;
    assert_eq!(peer.raw().await, with_retain);
    // 1: for a new subscription only; 2: never.
    peer.send(&subscribe(5, 1, &[("r/#", 0x10), ("r/a", 0x20)])).await;
    peer.packet().await;
    peer.hears_nothing().await;
    peer.send(&subscribe(5, 1, &[("r/+", 0x10)])).await;
    peer.packet().await;
    assert_eq!(peer.raw().await, with_retain);
}

#[tokio::test]
async fn a_live_message_is_not_marked_retained_unless_as_published() {
    let edge = TestEdge::start().await;
    let (mut plain, _) = subscribed(&edge, 5, &[("r", 0)]).await;
    let (mut as_published, _) = subscribed(&edge, 5, &[("r", 0x08)]).await;
    let mut publisher = edge.connect(5, "p").await;
    publisher.send(&publish_with(5, 0x01, &[], "r", 0, "x")).await;
    assert_eq!(plain.raw().await, publish_with(5, 0x00, &[], "r", 0, "x"));
    assert_eq!(as_published.raw().await, publish_with(5, 0x01, &[], "r", 0, "x"));
}

#[tokio::test]
async fn no_local_spares_a_client_its_own_messages() {
    let edge = TestEdge::start().await;
    let (mut peer, _) = subscribed(&edge, 5, &[("a", 0x04)]).await;
    peer.send(&publish(5, "a", 0, 0, "mine")).await;
    peer.hears_nothing().await;
    edge.connect(5, "p").await.send(&publish(5, "a", 0, 0, "theirs")).await;
    assert_eq!(peer.raw().await, publish(5, "a", 0, 0, "theirs"));
}

#[tokio::test]
async fn properties_travel_with_the_message_and_expiry_counts_down() {
    let edge = TestEdge::start().await;
    let (mut peer, _) = subscribed(&edge, 5, &[("a", 0)]).await;
    let (mut three, _) = subscribed(&edge, 4, &[("a", 0)]).await;
    let properties = [
        &[0x01, 1][..],
        &[0x02, 0, 0, 0, 60],
        &[0x03, 0, 1, b't'],
        &[0x08, 0, 1, b'r'],
        &[0x09, 0, 1, 0xFF],
        &[0x26, 0, 1, b'k', 0, 1, b'v'],
    ]
    .concat();
    let message = publish_with(5, 0, &properties, "a", 0, "x");
    edge.connect(5, "p").await.send(&message).await;
    assert_eq!(peer.raw().await, message);
    assert_eq!(three.raw().await, publish(4, "a", 0, 0, "x"));
}

#[tokio::test]
async fn an_expiry_of_0_reaches_those_who_can_have_the_message_at_once() {
    let edge = TestEdge::start().await;
    let kept = Connect { clean: false, properties: &[0x11, 0, 0, 0, 60], ..client(5, "kept") };
    let mut subscribers = [edge.connect(5, "s").await, edge.connect_as(&kept).await];
    for peer in &mut subscribers {
        peer.send(&subscribe(5, 1, &[("a", 1)])).await;
        peer.packet().await;
    }
    let mut publisher = edge.connect(5, "p").await;
    // On a machine that is busy not each of them is on its way for a moment only.
    for id in 1..=20 {
        let message = publish_with(5, 0x02, &[0x02, 0, 0, 0, 0], "a", id, "now");
        publisher.send(&message).await;
        publisher.packet().await;
    }
    for peer in &mut subscribers {
        let (head, body) = peer.packet().await;
        let told = [&[5, 0x02, 0, 0, 0, 0][..], b"now"].concat();
        assert!(head == 0x32 && body.ends_with(&told), "{body:?}");
    }
}

#[tokio::test]
async fn the_figures_count_what_is_retained_and_what_waits_for_who_is_away() {
    let edge = TestEdge::start().await;
    let mut away = edge.connect_as(&Connect { clean: false, ..client(4, "away") }).await;
    away.send(&subscribe(4, 1, &[("a", 1)])).await;
    away.packet().await;
    away.send(&DISCONNECT).await;
    away.closes().await;
    let mut publisher = edge.connect(4, "p").await;
    for (flags, topic, payload) in [(0x02, "a", "12"), (0x02, "a", "345"), (0x03, "b", "6")] {
        publisher.send(&publish_with(4, flags, &[], topic, 7, payload)).await;
        publisher.packet().await;
    }
    for (name, figure) in
        [("messages/stored", "3"), ("store/messages/count", "3"), ("store/messages/bytes", "6")]
    {
        let topic = format!("$SYS/broker/{name}");
        publisher.send(&subscribe(4, 8, &[(&topic, 0)])).await;
        publisher.packet().await;
        assert_eq!(publisher.raw().await, publish_with(4, 0x01, &[], &topic, 0, figure));
    }
}

#[tokio::test]
async fn wills_are_published_unless_the_client_says_goodbye() {
    let edge = TestEdge::start().await;
    let (mut peer, _) = subscribed(&edge, 5, &[("will", 0)]).await;
    let mortal = Connect { will: Some(("will", "gone")), ..client(5, "mortal") };
    let gone = publish(5, "will", 0, 0, "gone");

    edge.connect_as(&mortal).await.send(&DISCONNECT).await;
    peer.hears_nothing().await;
    drop(edge.connect_as(&mortal).await);
    assert_eq!(peer.raw().await, gone);
    edge.connect_as(&mortal).await.send(&[0xE0, 1, 0x04]).await;
    assert_eq!(peer.raw().await, gone);
    edge.connect_as(&mortal).await.send(&[0x00, 0]).await;
    assert_eq!(peer.raw().await, gone);
    let _displaced = edge.connect_as(&mortal).await;
    let _heir = edge.connect(5, "mortal").await;
    assert_eq!(peer.raw().await, gone);
}

#[tokio::test]
async fn a_client_gets_no_more_unacknowledged_than_it_takes() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect_as(&Connect { properties: &[0x21, 0, 2], ..client(5, "s") }).await;
    peer.send(&subscribe(5, 1, &[("a", 2)])).await;
    peer.packet().await;
    let mut publisher = edge.connect(5, "p").await;
    for id in 1..=3 {
        publisher.send(&publish(5, "a", if id == 1 { 2 } else { 1 }, id, "x")).await;
    }
    assert_eq!(peer.raw().await, publish(5, "a", 2, 1, "x"));
    assert_eq!(peer.raw().await, publish(5, "a", 1, 2, "x"));
    peer.hears_nothing().await;
    peer.send(&ack(0x50, 1)).await;
    assert_eq!(peer.raw().await, ack(0x62, 1));
    peer.hears_nothing().await;
    peer.send(&ack(0x70, 1)).await;
    assert_eq!(peer.raw().await, publish(5, "a", 1, 3, "x"));
}

#[tokio::test]
async fn messages_too_large_for_the_client_are_dropped_and_counted() {
    let edge = TestEdge::start().await;
    let small = Connect { properties: &[0x27, 0, 0, 0, 60], ..client(5, "s") };
    let mut peer = edge.connect_as(&small).await;
    peer.send(&subscribe(5, 1, &[("a", 1)])).await;
    peer.packet().await;
    let mut publisher = edge.connect(5, "p").await;
    publisher.send(&publish(5, "a", 1, 1, &"x".repeat(60))).await;
    publisher.send(&publish(5, "a", 1, 2, "fits")).await;
    assert_eq!(peer.raw().await, publish(5, "a", 1, 2, "fits"));
    assert_eq!(edge.counters.dropped_too_large.get(), 1);
}

#[tokio::test]
async fn a_stuck_subscriber_harms_only_itself() {
    let edge = TestEdge::with(|config| {
        config.limits.mqtt_queue_messages = 50;
        config.mqtt.write_timeout_ms = 500;
    })
    .await;
    let (mut stuck, _) = subscribed(&edge, 5, &[("a", 0)]).await;
    let (mut quick, _) = subscribed(&edge, 5, &[("a", 0)]).await;
    let mut publisher = edge.connect(5, "p").await;
    let message = publish(5, "a", 0, 0, &"x".repeat(100_000));
    while edge.counters.write_timeouts.get() == 0 {
        publisher.send(&message).await;
        assert_eq!(quick.raw().await.len(), message.len());
    }
    assert!(edge.counters.dropped_qos0.get() > 0);
    stuck.rest().await;
    edge.serves().await;
}

#[tokio::test]
async fn what_was_retained_before_a_subscription_comes_once_and_nothing_older_after_it() {
    let edge = TestEdge::start().await;
    let mut other = edge.connect(4, "other").await;
    other.send(&subscribe(4, 1, &[("other", 0)])).await;
    for round in 0..20 {
        let topic = format!("r/{round}");
        let mut publisher = edge.connect(4, "p").await;
        let mut peer = edge.connect(4, "s").await;
        let burst =
            (1..=20).flat_map(|n| publish_with(4, 0x01, &[], &topic, 0, &format!("{n:02}")));
        publisher.send(&burst.collect::<Vec<_>>()).await;
        peer.send(&subscribe(4, 1, &[(&topic, 0)])).await;
        assert_eq!(peer.packet().await.0, 0x90);
        publisher.hears_nothing().await;
        edge.exchange_is_idle().await;
        peer.send(&PINGREQ).await;
        let mut came = Vec::new();
        loop {
            match peer.packet().await {
                (0xD0, _) => break,
                (_, body) => {
                    came.push(String::from_utf8(body[2 + topic.len()..].to_vec()).unwrap())
                }
            }
        }
        assert!(came.is_sorted_by(|one, next| one < next), "{came:?}");
        assert_eq!(came.last().map(String::as_str), Some("20"));
    }
}

#[tokio::test]
async fn a_subscription_does_not_overtake_the_messages_before_it() {
    let edge = TestEdge::start().await;
    let mut other = edge.connect(4, "other").await;
    other.send(&subscribe(4, 1, &[("other", 0)])).await;
    assert_eq!(other.packet().await.0, 0x90);
    for (version, qos) in [(4, 0), (4, 1), (5, 0), (5, 1)] {
        let mut peer = edge.connect(version, "s").await;
        let before = publish(version, "t", qos, 7, "before");
        let retained = publish_with(version, 0x01 | qos << 1, &[], "r", 8, "retained");
        let subscribes = subscribe(version, 9, &[("t", 0), ("r", 0)]);
        peer.send(&[&before[..], &retained, &subscribes].concat()).await;
        let mut came = Vec::new();
        for _ in 0..2 + 2 * usize::from(qos) {
            came.push(peer.raw().await);
        }
        came.retain(|packet| packet[0] & 0xF0 == 0x30);
        assert_eq!(came, [publish_with(version, 0x01, &[], "r", 0, "retained")], "{version} {qos}");
        edge.exchange_is_idle().await;
        peer.hears_nothing().await;
        peer.send(&DISCONNECT).await;
        peer.closes().await;
    }
}
