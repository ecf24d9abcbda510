//! Bounds that a client can reach, each with its counter and what it is told; and what is told at CONNECT.

use super::{packets::*, support::*};
use gateway::config::Config;

async fn subscribed(edge: &TestEdge, connect: &Connect<'_>, filters: &[(&str, u8)]) -> Peer {
    let mut peer = edge.connect_as(connect).await;
    peer.send(&subscribe(connect.version, 1, filters)).await;
    assert_eq!(peer.packet().await.0, 0x90);
    peer
}

/// The CONNACK to `connect`, whole.
async fn connack(edge: &TestEdge, connect: &Connect<'_>) -> Vec<u8> {
    let mut peer = edge.socket().await;
    peer.send(&connect.packet()).await;
    peer.packet().await.1
}

#[tokio::test]
async fn who_comes_too_often_is_banned_for_a_while_and_others_are_not() {
    let edge = TestEdge::with(|config| config.mqtt.flapping_connects = 3).await;
    for _ in 0..3 {
        edge.connect(5, "flapper").await;
    }
    assert_eq!(connack(&edge, &client(5, "flapper")).await, [0, 0x8A, 0]);
    assert_eq!(connack(&edge, &client(4, "flapper")).await, [0, 5]);
    assert_eq!(edge.counters.refused_banned.get(), 2);
    edge.serves().await;
}

#[tokio::test]
async fn a_keep_alive_over_the_bound_is_told_to_who_can_hear_it() {
    let edge = TestEdge::with(|config| config.mqtt.keep_alive_max_s = 60).await;
    for (keep_alive, told) in [(0, true), (61, true), (60, false), (5, false)] {
        let body = connack(&edge, &Connect { keep_alive, ..client(5, "s") }).await;
        assert_eq!(body.windows(3).any(|bytes| bytes == [0x13, 0, 60]), told, "{keep_alive}");
    }
    assert_eq!(connack(&edge, &Connect { keep_alive: 61, ..client(4, "s") }).await, [0, 0]);
}

#[tokio::test]
async fn reasons_come_in_words_where_they_are_wanted_and_fit() {
    let edge = TestEdge::start().await;
    let wordy = Connect { properties: &[], ..client(5, "s") };
    let mut peer = edge.connect_as(&wordy).await;
    peer.send(&publish(5, "$SYS/x", 1, 7, "x")).await;
    let (head, body) = peer.packet().await;
    assert_eq!((head, &body[..3], body[4]), (0x40, &[0, 7, 0x90][..], 0x1F), "{body:?}");
    peer.send(&subscribe(5, 8, &[("a#", 0)])).await;
    let (_, body) = peer.packet().await;
    assert_eq!((body[3], body.last()), (0x1F, Some(&0x8F)), "{body:?}");
    peer.send(&[0x00, 0]).await;
    let bytes = peer.rest().await;
    assert!(bytes[0] == 0xE0 && bytes[2] == 0x81 && bytes[4] == 0x1F, "{bytes:?}");
    // Within 20 bytes there is no room for words.
    let small = Connect { properties: &[0x27, 0, 0, 0, 20], ..client(5, "s") };
    let mut peer = edge.socket().await;
    peer.send(&small.packet()).await;
    peer.packet().await;
    peer.send(&[0x00, 0]).await;
    assert_eq!(peer.rest().await, [0xE0, 1, 0x81]);
}

#[tokio::test]
async fn topics_get_aliases_towards_a_client_that_takes_some() {
    let edge = TestEdge::start().await;
    let connect = Connect { properties: &[0x22, 0, 1], ..client(5, "s") };
    let mut peer = subscribed(&edge, &connect, &[("#", 0)]).await;
    let mut publisher = edge.connect(4, "p").await;
    for topic in ["a", "a", "b"] {
        publisher.send(&publish(4, topic, 0, 0, "x")).await;
    }
    assert_eq!(peer.raw().await, publish_with(5, 0, &[0x23, 0, 1], "a", 0, "x"));
    assert_eq!(peer.raw().await, publish_with(5, 0, &[0x23, 0, 1], "", 0, "x"));
    assert_eq!(peer.raw().await, publish_with(5, 0, &[], "b", 0, "x"));
}

/// With 50 in a second: the first 50 come at once, the others in half a second.
async fn seventy_five_take_their_time(edge: &TestEdge, publisher: &mut Peer) {
    let mut peer = subscribed(edge, &client(4, "s"), &[("a", 0)]).await;
    let start = std::time::Instant::now();
    publisher.send(&publish(4, "a", 0, 0, "x").repeat(75)).await;
    for _ in 0..75 {
        peer.packet().await;
    }
    assert!(start.elapsed() >= std::time::Duration::from_millis(450), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_slowed_down_and_loses_nothing() {
    let edge = TestEdge::with(|config| config.limits.mqtt_messages_per_s = 50).await;
    let mut publisher = edge.connect(4, "p").await;
    seventy_five_take_their_time(&edge, &mut publisher).await;
    assert!(edge.counters.limit_rate_in.get() > 0);
    publisher.hears_nothing().await;
}

#[tokio::test]
async fn a_client_is_sent_no_more_in_a_second_than_allowed() {
    let edge = TestEdge::with(|config| config.limits.mqtt_deliveries_per_s = 50).await;
    let mut publisher = edge.connect(4, "p").await;
    seventy_five_take_their_time(&edge, &mut publisher).await;
    assert!(edge.counters.limit_rate_out.get() > 0);
}

#[tokio::test]
async fn what_waits_for_all_clients_together_is_bounded() {
    let edge = TestEdge::with(|config| config.limits.mqtt_queued_bytes = 20_000).await;
    for id in ["one", "two"] {
        let kept = Connect { clean: false, ..client(4, id) };
        drop(subscribed(&edge, &kept, &[("a", 1)]).await);
    }
    edge.counts("sessions_now", 2).await;
    let mut publisher = edge.connect(4, "p").await;
    for id in 1..=50 {
        publisher.send(&publish(4, "a", 1, id, &"x".repeat(1_000))).await;
        assert_eq!(publisher.raw().await, ack(0x40, id));
    }
    let dropped = edge.counters.dropped_qos12.get();
    assert!((80..100).contains(&dropped), "{dropped}");
    edge.serves().await;
}

#[tokio::test]
async fn an_offline_queue_keeps_the_oldest_and_counts_what_it_drops() {
    let edge = TestEdge::with(|config| config.limits.mqtt_queue_messages = 3).await;
    let kept = Connect { clean: false, ..client(4, "s") };
    drop(subscribed(&edge, &kept, &[("a", 1)]).await);
    edge.counts("sessions_now", 1).await;
    let mut publisher = edge.connect(4, "p").await;
    for id in 1..=5 {
        publisher.send(&publish(4, "a", 1, id, &id.to_string())).await;
        assert_eq!(publisher.raw().await, ack(0x40, id));
    }
    assert_eq!(edge.counters.dropped_qos12.get(), 2);
    let mut peer = edge.connect_as(&kept).await;
    for id in 1..=3 {
        assert_eq!(peer.raw().await, publish(4, "a", 1, id, &id.to_string()));
    }
    peer.hears_nothing().await;
}

#[tokio::test]
async fn an_answer_of_another_flow_ends_the_connection() {
    let edge = TestEdge::start().await;
    for (qos, wrong) in [(1, 0x50), (1, 0x70), (2, 0x40), (2, 0x70)] {
        let mut peer = subscribed(&edge, &client(5, "s"), &[("a", 2)]).await;
        edge.connect(4, "p").await.send(&publish(4, "a", qos, 1, "x")).await;
        assert_eq!(peer.raw().await, publish(5, "a", qos, 1, "x"));
        peer.send(&ack(wrong, 1)).await;
        assert_eq!(peer.rest().await, [0xE0, 1, 0x82], "{qos} {wrong:x}");
    }
}

#[tokio::test]
async fn acknowledgements_may_come_out_of_order() {
    let edge = TestEdge::start().await;
    let connect = Connect { properties: &[0x17, 0, 0x21, 0, 3], ..client(5, "s") };
    let mut peer = subscribed(&edge, &connect, &[("a", 1)]).await;
    let mut publisher = edge.connect(4, "p").await;
    for id in 1..=6 {
        publisher.send(&publish(4, "a", 1, id, "x")).await;
    }
    for id in 1..=3 {
        assert_eq!(peer.raw().await, publish(5, "a", 1, id, "x"));
    }
    for (answered, next) in [(3, 4), (1, 5), (2, 6)] {
        peer.send(&ack(0x40, answered)).await;
        assert_eq!(peer.raw().await, publish(5, "a", 1, next, "x"));
    }
}

#[tokio::test]
async fn a_session_that_was_to_end_does_not_go_on_by_a_takeover() {
    let edge = TestEdge::start().await;
    let _old = subscribed(&edge, &client(5, "s"), &[("a", 1)]).await;
    let kept =
        Connect { clean: false, properties: &[0x17, 0, 0x11, 0, 0, 0, 60], ..client(5, "s") };
    let (_peer, present) = edge.come_back(&kept).await;
    assert!(!present);
    let (_peer, present) = edge.come_back(&kept).await;
    assert!(present);
    let (_peer, present) = edge.come_back(&client(5, "s")).await;
    assert!(!present);
}

#[tokio::test]
async fn many_retained_messages_come_to_one_subscriber_whole_and_in_order() {
    let edge = TestEdge::start().await;
    let mut publisher = edge.connect(4, "p").await;
    for first in (0..2_000).step_by(500) {
        let all = (first..first + 500)
            .flat_map(|n| publish_with(4, 0x03, &[], &format!("r/{n:04}/x"), n + 1, "x"));
        publisher.send(&all.collect::<Vec<_>>()).await;
        for n in first..first + 500 {
            assert_eq!(publisher.raw().await, ack(0x40, n + 1));
        }
    }
    let mut peer = subscribed(&edge, &client(4, "s"), &[("r/+/x", 0)]).await;
    for n in 0..2_000 {
        let expected = publish_with(4, 0x01, &[], &format!("r/{n:04}/x"), 0, "x");
        assert_eq!(peer.raw().await, expected);
    }
    peer.hears_nothing().await;
}

/// Retains `count` messages with `payload`, and gives their topics in order.
async fn retain(edge: &TestEdge, count: u16, payload: &str) -> Vec<String> {
    let topics: Vec<_> = (0..count).map(|n| format!("r/{n:04}/x")).collect();
    let mut publisher = edge.connect(4, "p").await;
    for (topic, id) in topics.iter().zip(1..) {
        publisher.send(&publish_with(4, 0x03, &[], topic, id, payload)).await;
        assert_eq!(publisher.raw().await, ack(0x40, id));
    }
    topics
}

#[tokio::test]
async fn retained_messages_wait_for_room_in_a_small_queue_and_none_is_dropped() {
    let large = "x".repeat(900);
    for (change, payload) in [
        ((|config| config.limits.mqtt_queue_messages = 3) as fn(&mut Config), "x"),
        (|config| config.limits.mqtt_queue_bytes = 1_000, &large),
    ] {
        let edge = TestEdge::with(change).await;
        let topics = retain(&edge, 40, payload).await;
        for qos in [0, 1] {
            let mut peer = subscribed(&edge, &client(4, &format!("s{qos}")), &[("r/#", qos)]).await;
            for (topic, id) in topics.iter().zip(1..) {
                let expected = publish_with(4, qos * 2 + 1, &[], topic, id, payload);
                assert_eq!(peer.raw().await, expected, "{topic} {qos}");
                if qos == 1 {
                    peer.send(&ack(0x40, id)).await;
                }
            }
            peer.hears_nothing().await;
        }
        assert_eq!(edge.counters.dropped_qos0.get() + edge.counters.dropped_qos12.get(), 0);
    }
}

#[tokio::test]
async fn properties_count_among_the_bytes_of_retained_messages() {
    let edge = TestEdge::with(|config| config.limits.retained_bytes = 450).await;
    let mut publisher = edge.connect(5, "p").await;
    let user = [&[0x26, 0, 1, b'k', 0, 100][..], &[b'v'; 100]].concat();
    for (id, kept) in (1..=8).zip([true, true, true, true, false, false, false, false]) {
        publisher.send(&publish_with(5, 0x03, &user, &format!("r/{id}"), id, "x")).await;
        publisher.packet().await;
        assert_eq!(edge.counters.limit_retained.get() == 0, kept, "{id}");
    }
}

#[tokio::test]
async fn who_asks_for_a_larger_answer_than_it_takes_is_told_so_and_sent_away() {
    let edge = TestEdge::start().await;
    let small = Connect { properties: &[0x27, 0, 0, 0, 20], ..client(5, "s") };
    for (most, fits) in [(15, true), (16, false)] {
        let filters = vec!["a"; most];
        let with_qos: Vec<_> = filters.iter().map(|filter| (*filter, 0)).collect();
        for (packet, head) in
            [(subscribe(5, 1, &with_qos), 0x90), (unsubscribe(5, 1, &filters), 0xB0)]
        {
            let mut peer = edge.connect_as(&small).await;
            peer.send(&packet).await;
            match fits {
                true => assert_eq!(peer.packet().await.0, head),
                false => assert_eq!(peer.rest().await, [0xE0, 1, 0x95]),
            }
        }
    }
}

#[tokio::test]
async fn the_gateway_tells_its_figures_under_mosquittos_names() {
    let edge = TestEdge::start().await;
    let mut all = subscribed(&edge, &client(4, "all"), &[("#", 0)]).await;
    let short = [edge.connect(4, "a").await, edge.connect(4, "b").await];
    edge.until_connected(3).await;
    for mut short in short {
        short.send(&DISCONNECT).await;
        short.closes().await;
    }
    edge.until_connected(1).await;
    let filters = [("$SYS/broker/version", 0), ("$SYS/broker/clients/#", 0)];
    let mut peer = edge.connect(4, "s").await;
    peer.send(&subscribe(4, 1, &filters)).await;
    peer.packet().await;
    let mut came = std::collections::BTreeMap::new();
    while came.len() < 8 {
        let (head, body) = peer.packet().await;
        let length = usize::from(body[1]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(head, 0x31, "as retained");
        came.insert(text(&body[2..2 + length]), text(&body[2 + length..]));
    }
    assert!(came["$SYS/broker/version"].starts_with("sluice version "));
    assert_eq!(came["$SYS/broker/clients/connected"], "2");
    assert_eq!(came["$SYS/broker/clients/maximum"], "3", "though nobody asked then");
    all.hears_nothing().await;
}
