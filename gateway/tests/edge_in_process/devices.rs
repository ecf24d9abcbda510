//! Devices' own connections: what the core hears of them and what it sends down.

use super::{packets::*, support::*};
use bridge::event::{ConnectionId, EdgeEvent};
use gateway::core::{CarriedCommand, DeviceMessage, Downlink, MAILBOX_MESSAGES_MAX};
use gateway::exchange::{Message, Properties};
use gateway::mailbox::Sender;
use protocol::{PresenceReason, Timestamp};
use std::sync::Arc;

const COMMAND: &str = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";

fn attached(event: EdgeEvent) -> (String, ConnectionId, &'static str, bool) {
    match event {
        EdgeEvent::Attached { device, connection, protocol, took_over, .. } => {
            (device.to_string(), connection, protocol, took_over)
        }
        other => panic!("{other:?}"),
    }
}

fn detached(event: EdgeEvent) -> (String, PresenceReason) {
    match event {
        EdgeEvent::Detached { device, reason, .. } => (device.to_string(), reason),
        other => panic!("{other:?}"),
    }
}

fn receives(event: EdgeEvent) -> (String, bool, bool) {
    match event {
        EdgeEvent::Receives { device, own, cancels, .. } => (device.to_string(), own, cancels),
        other => panic!("{other:?}"),
    }
}

/// A device that receives commands, and where the core writes to it.
async fn device(
    edge: &mut TestEdge,
    version: u8,
    options: u8,
) -> (Peer, ConnectionId, Sender<Downlink>) {
    let mut peer = edge.connect(version, "d1").await;
    peer.send(&subscribe(version, 1, &[("devices/d1/commands/#", options)])).await;
    assert_eq!(peer.packet().await.0, 0x90);
    let (event, _) = edge.event().await;
    let (name, connection, ..) = attached(event);
    assert_eq!(name, "d1");
    let (event, mailbox) = edge.event().await;
    assert_eq!(receives(event), ("d1".into(), true, true));
    (peer, connection, mailbox.expect("it comes with the mailbox"))
}

fn command_topic() -> String {
    format!("devices/d1/commands/{COMMAND}")
}

/// The core writes a command to `receiver`.
fn order(mailbox: &Sender<Downlink>, receiver: ConnectionId) {
    mailbox.try_send(command(receiver), MAILBOX_MESSAGES_MAX).unwrap();
}

fn command(receiver: ConnectionId) -> Downlink {
    let message = DeviceMessage {
        topic: command_topic().parse().unwrap(),
        payload: "{}".into(),
        command: Some(CarriedCommand {
            id: COMMAND.parse().unwrap(),
            attempt: 3,
            not_after: Timestamp(i64::MAX),
            answer_topic: Some("answers".parse().unwrap()),
        }),
    };
    Downlink::Publish(receiver, Arc::new(message))
}

/// Maximum Packet Size (MQTT 5.0, section 3.1.2.11.4): 60 bytes.
const SMALL: [u8; 5] = [0x27, 0, 0, 0, 60];

#[tokio::test]
async fn a_command_that_is_larger_than_its_receiver_takes_is_told_at_once() {
    let mut edge = TestEdge::start().await;
    let small = Connect { properties: &SMALL, ..client(5, "d1") };
    let mut peer = edge.connect_as(&small).await;
    peer.send(&subscribe(5, 1, &[("devices/d1/commands/#", 1)])).await;
    assert_eq!(peer.packet().await.0, 0x90);
    let (_, me, ..) = attached(edge.event().await.0);
    let (_, mailbox) = edge.event().await;
    order(&mailbox.unwrap(), me);
    let (event, _) = edge.event().await;
    let why = bridge::command::book::Unwritten::TooLarge;
    let command = COMMAND.parse().unwrap();
    assert_eq!(event, EdgeEvent::NotWritten { command, attempt: 3, why });
}

#[tokio::test]
async fn a_device_is_attached_by_its_first_use_of_its_topics() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "d1").await;
    peer.send(&publish(4, "devices/d2/telemetry", 0, 0, "{}")).await;
    edge.ingest().await;
    let both = [publish(4, "devices/d1/telemetry", 0, 0, "{}"), publish(4, "x", 0, 0, "")];
    peer.send(&both.concat()).await;
    let (name, _, protocol, took_over) = attached(edge.event().await.0);
    assert_eq!((&*name, protocol, took_over), ("d1", "mqtt3.1.1", false));
    edge.ingest().await;
    peer.send(&DISCONNECT).await;
    let (event, mailbox) = edge.event().await;
    assert_eq!(detached(event), ("d1".into(), PresenceReason::Disconnected));
    assert!(mailbox.is_none());
}

#[tokio::test]
async fn the_end_of_a_device_has_its_reason() {
    let mut edge = TestEdge::start().await;
    let telemetry = publish(5, "devices/d1/telemetry", 0, 0, "{}");
    let quick = Connect { keep_alive: 1, ..client(5, "d1") };
    for (bytes, stays, expected) in [
        (&[][..], false, PresenceReason::ConnectionLost),
        (&[0xF0, 0], true, PresenceReason::ConnectionLost),
        (&[], true, PresenceReason::KeepAlive),
    ] {
        let mut peer = edge.connect_as(&quick).await;
        peer.send(&telemetry).await;
        attached(edge.event().await.0);
        edge.ingest().await;
        peer.send(bytes).await;
        let _kept = stays.then_some(peer);
        assert_eq!(detached(edge.event().await.0), ("d1".into(), expected));
    }
    let mut peer = edge.connect(5, "d1").await;
    peer.send(&telemetry).await;
    let (event, mailbox) = edge.event().await;
    edge.ingest().await;
    let kick = Downlink::Kick(attached(event).1);
    mailbox.unwrap().try_send(kick, MAILBOX_MESSAGES_MAX).unwrap();
    assert_eq!(peer.rest().await, [0xE0, 1, 0x98]);
    assert_eq!(detached(edge.event().await.0).1, PresenceReason::Kicked);
    let mut peer = edge.connect(5, "d1").await;
    peer.send(&telemetry).await;
    edge.event().await;
    edge.ingest().await;
    let mut inputs = edge.stop().await;
    assert!(matches!(inputs.next().await, Some(gateway::core::Input::Gone(_))));
    match inputs.next().await {
        Some(gateway::core::Input::Edge { event, .. }) => {
            assert_eq!(detached(event).1, PresenceReason::Shutdown);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_takes_a_device_over_is_attached_at_once() {
    let mut edge = TestEdge::start().await;
    let (mut old, first, _) = device(&mut edge, 5, 1).await;
    let _new = edge.connect(4, "d1").await;
    assert_eq!(old.rest().await, [0xE0, 1, 0x8E]);
    assert!(
        matches!(edge.event().await.0, EdgeEvent::ReceivesNot { connection, .. } if connection == first)
    );
    assert_eq!(detached(edge.event().await.0).1, PresenceReason::TakenOver);
    let (_, second, protocol, took_over) = attached(edge.event().await.0);
    assert_eq!((protocol, took_over), ("mqtt3.1.1", true));
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_command_goes_down_and_its_acknowledgement_is_told() {
    let mut edge = TestEdge::start().await;
    let (mut peer, me, mailbox) = device(&mut edge, 4, 2).await;
    order(&mailbox, me);
    assert_eq!(peer.raw().await, publish(4, &command_topic(), 1, 1, "{}"));
    peer.send(&ack(0x40, 1)).await;
    let (event, _) = edge.event().await;
    let (connection, command) = (me, COMMAND.parse().unwrap());
    assert_eq!(event, EdgeEvent::Delivered { connection, command, attempt: 3, refused: None });
}

#[tokio::test]
async fn an_acknowledgement_that_refuses_a_command_is_told_with_its_reason() {
    let mut edge = TestEdge::start().await;
    let (mut peer, me, mailbox) = device(&mut edge, 5, 1).await;
    for (id, code, reason) in [(1, 0x10, None), (2, 0x80, Some(0x80)), (3, 0x97, Some(0x97))] {
        order(&mailbox, me);
        peer.raw().await;
        peer.send(&[0x40, 3, 0, id, code]).await;
        let (event, _) = edge.event().await;
        let EdgeEvent::Delivered { refused, .. } = event else { panic!("{event:?}") };
        assert_eq!(refused, reason, "{code:#x}");
    }
}

#[tokio::test]
async fn a_command_that_waits_for_the_window_is_written_or_given_back_and_that_is_told() {
    let mut edge = TestEdge::start().await;
    let one_at_a_time = Connect { properties: &[0x21, 0, 1], ..client(5, "d1") };
    let mut peer = edge.connect_as(&one_at_a_time).await;
    peer.send(&subscribe(5, 1, &[("devices/d1/commands/#", 1)])).await;
    assert_eq!(peer.packet().await.0, 0x90);
    let (_, me, ..) = attached(edge.event().await.0);
    let mailbox = edge.event().await.1.unwrap();
    let (command, attempt) = (COMMAND.parse().unwrap(), 3);
    let recall = || {
        let recall = Downlink::Recall(me, command, attempt);
        mailbox.try_send(recall, MAILBOX_MESSAGES_MAX).unwrap();
    };
    order(&mailbox, me);
    assert_eq!(peer.packet().await.0, 0x32);
    order(&mailbox, me);
    assert_eq!(edge.event().await.0, EdgeEvent::HeldUp { command, attempt });
    peer.send(&ack(0x40, 1)).await;
    assert_eq!(peer.packet().await.0, 0x32);
    let delivered = EdgeEvent::Delivered { connection: me, command, attempt, refused: None };
    assert_eq!(edge.event().await.0, delivered);
    assert_eq!(edge.event().await.0, EdgeEvent::Written { command, attempt });
    // It was written: there is nothing to give back. The next one waits.
    recall();
    order(&mailbox, me);
    assert_eq!(edge.event().await.0, EdgeEvent::HeldUp { command, attempt });
    recall();
    assert_eq!(edge.event().await.0, EdgeEvent::GivenBack { command, attempt });
    peer.send(&ack(0x40, 2)).await;
    assert_eq!(edge.event().await.0, delivered);
    peer.hears_nothing().await;
}

#[tokio::test]
async fn a_command_bears_its_properties_for_version_5() {
    let mut edge = TestEdge::start().await;
    let (mut peer, me, mailbox) = device(&mut edge, 5, 0).await;
    order(&mailbox, me);
    let properties = [
        &[0x02, 0xFF, 0xFF, 0xFF, 0xFF][..],
        &[0x03],
        &text("application/json"),
        &[0x08],
        &text("answers"),
        &[0x09],
        &text(COMMAND),
    ]
    .concat();
    let expected = publish_with(5, 0, &properties, &command_topic(), 0, "{}");
    assert_eq!(peer.raw().await, expected);
}

#[tokio::test]
async fn own_topics_need_no_link_and_still_bring_what_others_publish_there() {
    let mut edge = TestEdge::start().await;
    let (mut peer, _, _) = device(&mut edge, 4, 1).await;
    assert!(!edge.exchange.has_links());
    let mut other = edge.connect(4, "other").await;
    other.send(&publish(4, &command_topic(), 1, 1, "by hand")).await;
    assert_eq!(peer.raw().await, publish(4, &command_topic(), 1, 1, "by hand"));
    assert_eq!(other.raw().await, ack(0x40, 1));
    peer.send(&unsubscribe(4, 2, &["devices/d1/commands/#"])).await;
    peer.packet().await;
    assert!(matches!(edge.event().await.0, EdgeEvent::ReceivesNot { .. }));
    other.send(&publish(4, &command_topic(), 0, 0, "unheard")).await;
    other.hears_nothing().await;
    peer.hears_nothing().await;
}

#[tokio::test]
async fn an_order_to_an_earlier_connection_of_the_session_is_not_for_the_next_one() {
    let mut edge = TestEdge::start().await;
    let lasting = Connect { clean: false, ..client(4, "d1") };
    let mut old = edge.connect_as(&lasting).await;
    old.send(&subscribe(4, 1, &[("devices/d1/commands/#", 1)])).await;
    assert_eq!(old.packet().await.0, 0x90);
    let (_, first, ..) = attached(edge.event().await.0);
    let (_, mailbox) = edge.event().await;
    let mailbox = mailbox.expect("it comes with the mailbox");
    let mut new = edge.connect_as(&lasting).await;
    assert!(matches!(edge.event().await.0, EdgeEvent::ReceivesNot { .. }));
    detached(edge.event().await.0);
    let (_, second, ..) = attached(edge.event().await.0);
    order(&mailbox, first);
    new.hears_nothing().await;
    order(&mailbox, second);
    assert_eq!(new.raw().await, publish(4, &command_topic(), 1, 1, "{}"));
}

#[tokio::test]
async fn a_monitors_copy_is_not_for_the_receiver_itself() {
    let mut edge = TestEdge::start().await;
    let (mut peer, me, mailbox) = device(&mut edge, 4, 0).await;
    peer.send(&subscribe(4, 2, &[("#", 0)])).await;
    peer.packet().await;
    order(&mailbox, me);
    edge.exchange.publish(copy(&command_topic(), Some(me))).await.unwrap();
    edge.exchange.publish(copy("other", None)).await.unwrap();
    assert_eq!(peer.raw().await, publish(4, &command_topic(), 0, 0, "{}"));
    assert_eq!(peer.raw().await, publish(4, "other", 0, 0, "{}"));
}

/// What the gateway sends through the exchange; `served` has received it already.
fn copy(topic: &str, served: Option<ConnectionId>) -> Message {
    Message {
        topic: topic.parse().unwrap(),
        payload: "{}".into(),
        qos: 1,
        retain: false,
        publisher: None,
        served,
        retained_as: 0,
        properties: Properties::default(),
    }
}

#[tokio::test]
async fn who_names_a_device_and_is_not_its_receiver_gets_no_copy() {
    let edge = TestEdge::start().await;
    let lasting = Connect { clean: false, ..client(4, "away") };
    let mut hubs = [edge.connect(4, "hub").await, edge.connect_as(&lasting).await];
    for hub in &mut hubs {
        hub.send(&subscribe(4, 1, &[("devices/d1/commands/#", 1), ("other", 1)])).await;
        hub.packet().await;
    }
    let mut monitors = [edge.connect(4, "all").await, edge.connect(4, "both").await];
    monitors[0].send(&subscribe(4, 1, &[("#", 0)])).await;
    monitors[1].send(&subscribe(4, 1, &[("devices/d1/#", 0), ("devices/+/commands/#", 0)])).await;
    for monitor in &mut monitors {
        monitor.packet().await;
    }
    let [mut here, away] = hubs;
    drop(away);
    edge.counts("sessions_now", 1).await;

    let cancel = format!("{}/cancel", command_topic());
    for topic in [&command_topic(), &cancel] {
        edge.exchange.publish(copy(topic, Some(ConnectionId(u64::MAX)))).await.unwrap();
        for monitor in &mut monitors {
            assert_eq!(monitor.raw().await, publish(4, topic, 0, 0, "{}"));
        }
    }
    edge.exchange.publish(copy("other", None)).await.unwrap();
    assert_eq!(here.raw().await, publish(4, "other", 1, 1, "{}"));
    edge.exchange_is_idle().await;
    let (mut away, _) = edge.come_back(&lasting).await;
    assert_eq!(away.raw().await, publish(4, "other", 1, 1, "{}"));
}

#[tokio::test]
async fn another_client_receives_for_devices_it_names() {
    let mut edge = TestEdge::start().await;
    let mut hub = edge.connect(5, "hub").await;
    hub.send(&subscribe(5, 1, &[("devices/d1/commands/+", 1), ("devices/+/commands/#", 1)])).await;
    hub.packet().await;
    let (event, mailbox) = edge.event().await;
    let EdgeEvent::Receives { connection: me, .. } = event else { panic!("{event:?}") };
    assert_eq!(receives(event), ("d1".into(), false, false));
    order(&mailbox.unwrap(), me);
    assert_eq!(hub.packet().await.0, 0x32);
    hub.send(&unsubscribe(5, 1, &["devices/d1/commands/+"])).await;
    assert!(matches!(edge.event().await.0, EdgeEvent::ReceivesNot { .. }));
}

#[tokio::test]
async fn cancels_are_told_when_they_can_be_received() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "d1").await;
    peer.send(&subscribe(5, 1, &[("devices/d1/commands/+", 1)])).await;
    attached(edge.event().await.0);
    assert_eq!(receives(edge.event().await.0), ("d1".into(), true, false));
    peer.send(&subscribe(5, 2, &[("devices/d1/commands/+/cancel", 1)])).await;
    assert_eq!(receives(edge.event().await.0), ("d1".into(), true, true));
}
