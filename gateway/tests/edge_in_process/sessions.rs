//! Sessions that outlive their connection.

use super::{packets::*, support::*};
use bridge::event::EdgeEvent;

/// A 3.1.1 client that wants its session kept.
fn kept(id: &str) -> Connect<'_> {
    Connect { clean: false, ..client(4, id) }
}

/// An MQTT 5 client whose session is to last for an hour.
fn kept_5(id: &str) -> Connect<'_> {
    Connect { clean: false, properties: &[0x11, 0, 0, 0x0E, 0x10], ..client(5, id) }
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed() {
    let edge = TestEdge::start().await;
    for (round, connect) in [kept("three"), kept_5("five")].iter().enumerate() {
        let version = connect.version;
        let (mut peer, present) = edge.come_back(connect).await;
        assert!(!present);
        peer.send(&subscribe(version, 1, &[("a", 2)])).await;
        peer.packet().await;
        drop(peer);
        edge.counts("sessions_now", 1).await;

        let mut publisher = edge.connect(5, "p").await;
        for (qos, payload) in [(0, "lost"), (1, "one"), (2, "two")] {
            publisher.send(&publish(5, "a", qos, 7, payload)).await;
        }
        publisher.packet().await;
        publisher.packet().await;
        edge.exchange_is_idle().await;

        let (mut peer, present) = edge.come_back(connect).await;
        assert!(present);
        assert_eq!(peer.raw().await, publish(version, "a", 1, 1, "one"));
        assert_eq!(peer.raw().await, publish(version, "a", 2, 2, "two"));
        peer.send(&[ack(0x40, 1), ack(0x50, 2)].concat()).await;
        assert_eq!(peer.raw().await, ack(0x62, 2));
        peer.send(&[ack(0x70, 2), DISCONNECT.to_vec()].concat()).await;
        peer.closes().await;
        edge.counts("sessions_now", 1).await;
        let (mut peer, present) = edge.come_back(&Connect { clean: true, ..*connect }).await;
        assert!(!present);
        peer.hears_nothing().await;
        assert_eq!(edge.counters.dropped_qos12.get(), 0, "{round}");
        // A session of MQTT 5 lasts as long as its last connection said.
        peer.send(&if version == 5 {
            packet(0xE0, &[0, 5, 0x11, 0, 0, 0, 0])
        } else {
            DISCONNECT.to_vec()
        })
        .await;
        peer.closes().await;
        let (mut peer, present) = edge.come_back(connect).await;
        assert!(!present);
        peer.send(&unsubscribe(version, 1, &["a"])).await;
        peer.packet().await;
        let _clean = edge.connect(version, connect.id).await;
    }
}

#[tokio::test]
async fn who_comes_back_to_a_session_takes_nobodys_place() {
    let edge = TestEdge::start().await;
    let connect = kept("s");
    drop(edge.connect_as(&connect).await);
    edge.counts("sessions_now", 1).await;
    let (_open, present) = edge.come_back(&connect).await;
    assert!(present);
    assert_eq!(edge.counters.takeovers.get(), 0);
    let (_taking, present) = edge.come_back(&connect).await;
    assert!(present);
    assert_eq!(edge.counters.takeovers.get(), 1);
}

#[tokio::test]
async fn what_was_in_flight_is_sent_again_with_dup() {
    let edge = TestEdge::start().await;
    let connect = kept("s");
    let mut peer = edge.connect_as(&connect).await;
    peer.send(&subscribe(4, 1, &[("a", 2)])).await;
    peer.packet().await;
    let mut publisher = edge.connect(4, "p").await;
    for id in 1..=3 {
        publisher.send(&publish(4, "a", 2, id, "x")).await;
        assert_eq!(peer.raw().await, publish(4, "a", 2, id, "x"));
    }
    peer.send(&[ack(0x50, 1), ack(0x50, 3)].concat()).await;
    peer.packet().await;
    peer.packet().await;
    peer.send(&ack(0x70, 3)).await;
    peer.hears_nothing().await;

    let mut peer = edge.connect_as(&connect).await;
    assert_eq!(peer.raw().await, ack(0x62, 1));
    assert_eq!(peer.raw().await, publish_with(4, 0x0C, &[], "a", 2, "x"));
    peer.send(&ack(0x70, 1)).await;
    peer.hears_nothing().await;
}

#[tokio::test]
async fn a_qos_2_message_sent_again_after_coming_back_counts_once() {
    let mut edge = TestEdge::start().await;
    let connect = kept("s");
    let mut peer = edge.connect_as(&connect).await;
    let message = publish(4, "devices/d/telemetry", 2, 9, "{}");
    peer.send(&message).await;
    edge.ingest().await.1.unwrap().send(()).unwrap();
    assert_eq!(peer.raw().await, ack(0x50, 9));
    drop(peer);
    let mut peer = edge.connect_as(&connect).await;
    peer.send(&message).await;
    assert_eq!(peer.raw().await, ack(0x50, 9));
    peer.send(&ack(0x62, 9)).await;
    assert_eq!(peer.raw().await, ack(0x70, 9));
    assert_eq!(edge.waiting_inputs(), 0);
}

#[tokio::test]
async fn a_qos_2_message_that_was_not_stored_when_its_connection_ended_is_new_when_it_comes_again()
{
    let mut edge = TestEdge::with(|config| config.limits.mqtt_inflight = 3).await;
    let connect = kept("s");
    let mut peer = edge.connect_as(&connect).await;
    let message = |id| publish(4, "devices/d/telemetry", 2, id, "{}");
    for id in [1, 2] {
        peer.send(&message(id)).await;
        drop(edge.ingest().await);
        edge.counts("unstored", id.into()).await;
    }
    let mut taken = Vec::new();
    for id in [3, 4, 5] {
        peer.send(&message(id)).await;
        taken.push(edge.ingest().await);
    }
    // With the first of them the window is full of what is never acknowledged; the others end behind that.
    drop(taken);
    peer.closes().await;
    let (mut peer, present) = edge.come_back(&connect).await;
    assert!(present);
    for id in [3, 4, 5] {
        peer.send(&message(id)).await;
        edge.ingest().await.1.unwrap().send(()).unwrap();
        assert_eq!(peer.raw().await, ack(0x50, id));
        peer.send(&ack(0x62, id)).await;
        assert_eq!(peer.raw().await, ack(0x70, id));
    }
}

#[tokio::test]
async fn what_a_client_said_before_its_goodbye_is_in_its_session_though_it_is_back_before_that_is_read()
 {
    let mut edge = TestEdge::start().await;
    let (mut flood, connect) = (edge.connect(4, "flood").await, kept("s"));
    let mut peer = edge.connect_as(&connect).await;
    let message = |qos, id| publish(4, "devices/d/telemetry", qos, id, "{}");
    while !edge.core_is_full() {
        flood.send(&message(0, 0)).await;
        flood.send(&PINGREQ).await;
        tokio::task::yield_now().await;
    }
    peer.send(&message(2, 6)).await;
    edge.counts("publishes_in_qos2", 1).await;
    // The core has no room for that one, so this is not read yet.
    peer.send(&[message(2, 7), DISCONNECT.to_vec()].concat()).await;
    let mut heir = edge.socket().await;
    heir.send(&connect.packet()).await;
    edge.counts("takeovers", 1).await;
    edge.ignore_inputs();
    assert_eq!(heir.raw().await, [0x20, 2, 1, 0]);
    for id in [6, 7] {
        heir.send(&message(2, id)).await;
        assert_eq!(heir.raw().await, ack(0x50, id));
    }
    assert_eq!(edge.counters.publishes_in_qos2.get(), 4);
}

#[tokio::test]
async fn a_device_that_comes_back_to_its_session_receives_at_once() {
    let mut edge = TestEdge::start().await;
    let connect = kept("d1");
    let mut peer = edge.connect_as(&connect).await;
    peer.send(&subscribe(4, 1, &[("devices/d1/commands/#", 1)])).await;
    peer.packet().await;
    edge.event().await;
    edge.event().await;
    drop(peer);
    assert!(matches!(edge.event().await.0, EdgeEvent::ReceivesNot { .. }));
    assert!(matches!(edge.event().await.0, EdgeEvent::Detached { .. }));
    edge.counts("sessions_now", 1).await;
    let by_hand = publish(4, "devices/d1/commands/7", 1, 1, "by hand");
    let mut other = edge.connect(4, "other").await;
    other.send(&by_hand).await;
    other.packet().await;

    let (mut peer, present) = edge.come_back(&connect).await;
    assert!(present);
    assert!(matches!(edge.event().await.0, EdgeEvent::Attached { took_over: false, .. }));
    assert!(matches!(edge.event().await.0, EdgeEvent::Receives { own: true, cancels: true, .. }));
    assert_eq!(peer.raw().await, by_hand);
}

#[tokio::test]
async fn sessions_over_the_limit_end_with_their_connection() {
    let edge = TestEdge::with(|config| config.limits.mqtt_sessions = 1).await;
    drop(edge.connect_as(&kept("first")).await);
    edge.counts("sessions_now", 1).await;
    drop(edge.connect_as(&kept("second")).await);
    edge.counts("limit_sessions", 1).await;
    assert!(!edge.come_back(&kept("second")).await.1);
    assert!(edge.come_back(&kept("first")).await.1);
}

#[tokio::test]
async fn a_session_longer_than_allowed_is_told_its_end() {
    let edge = TestEdge::with(|config| config.limits.mqtt_session_seconds = 60).await;
    let mut peer = edge.socket().await;
    peer.send(&kept_5("s").packet()).await;
    let (_, body) = peer.packet().await;
    assert!(body.ends_with(&[0x11, 0, 0, 0, 60]), "{body:?}");
}

#[tokio::test]
async fn a_session_that_was_to_end_cannot_be_prolonged_by_disconnect() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "s").await;
    peer.send(&packet(0xE0, &[0, 5, 0x11, 0, 0, 0, 1])).await;
    assert_eq!(peer.rest().await, [0xE0, 1, 0x82]);
}
