//! What survives the end of the process: sessions, their queues and flows, wills, retained messages.

use super::{packets::*, support::*};
use bridge::ingest::Inbound;
use gateway::{
    config::Ack,
    core::Input,
    exchange::{Interest, Keeping},
};
use rusqlite::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

/// An MQTT 5 client whose session is to last for an hour.
fn kept(id: &str) -> Connect<'_> {
    const HOUR: [u8; 7] = [0x17, 0, 0x11, 0, 0, 0x0E, 0x10];
    Connect { clean: false, properties: &HOUR, ..client(5, id) }
}

async fn subscribed(edge: &TestEdge, connect: &Connect<'_>, filters: &[(&str, u8)]) -> Peer {
    let mut peer = edge.connect_as(connect).await;
    peer.send(&subscribe(connect.version, 1, filters)).await;
    assert_eq!(peer.packet().await.0, 0x90);
    peer
}

#[tokio::test]
async fn queued_messages_survive_a_kill_and_come_once_without_dup() {
    for version in [4, 5] {
        let edge = TestEdge::start().await;
        let connect = Connect { version, ..kept("s") };
        let mut peer = subscribed(&edge, &connect, &[("a/+", 2)]).await;
        peer.send(&DISCONNECT).await;
        peer.closes().await;
        edge.counts("sessions_now", 1).await;
        let mut publisher = edge.connect(4, "p").await;
        for (id, qos) in [(1, 1), (2, 2), (3, 1)] {
            publisher.send(&publish(4, "a/x", qos, id, "x")).await;
            let answer = if qos == 1 { 0x40 } else { 0x50 };
            assert_eq!(publisher.raw().await, ack(answer, id));
        }
        let edge = edge.killed_and_restarted().await;
        let (mut peer, present) = edge.come_back(&connect).await;
        assert!(present);
        for (id, qos) in [(1, 1), (2, 2), (3, 1)] {
            assert_eq!(peer.raw().await, publish(version, "a/x", qos, id, "x"));
        }
        peer.send(&[ack(0x40, 1), ack(0x50, 2), ack(0x40, 3)].concat()).await;
        assert_eq!(peer.raw().await, ack(0x62, 2));
        peer.send(&ack(0x70, 2)).await;
        peer.hears_nothing().await;
        // It is subscribed still, and what it had is gone from the disk.
        let mut publisher = edge.connect(4, "p").await;
        publisher.send(&publish(4, "a/y", 1, 1, "new")).await;
        assert_eq!(peer.raw().await, publish(version, "a/y", 1, 4, "new"));
        peer.send(&ack(0x40, 4)).await;
        peer.hears_nothing().await;
        let edge = edge.killed_and_restarted().await;
        let (mut peer, present) = edge.come_back(&connect).await;
        assert!(present);
        peer.hears_nothing().await;
    }
}

#[tokio::test]
async fn flows_go_on_after_kills_with_the_same_ids() {
    for kills in 1..=2 {
        let mut edge = TestEdge::start().await;
        let mut peer = subscribed(&edge, &kept("s"), &[("a", 2)]).await;
        let mut publisher = edge.connect(4, "p").await;
        for id in 1..=3 {
            publisher.send(&publish(4, "a", 2, id, "x")).await;
            assert_eq!(peer.raw().await, publish(5, "a", 2, id, "x"));
        }
        peer.send(&[ack(0x50, 1), ack(0x50, 3)].concat()).await;
        assert_eq!(peer.raw().await, ack(0x62, 1));
        assert_eq!(peer.raw().await, ack(0x62, 3));
        peer.send(&ack(0x70, 3)).await;
        peer.hears_nothing().await;
        for _ in 0..kills {
            edge = edge.killed_and_restarted().await;
            edge.counts("sessions_now", 1).await;
        }
        let (mut peer, present) = edge.come_back(&kept("s")).await;
        assert!(present);
        assert_eq!(peer.raw().await, ack(0x62, 1));
        assert_eq!(peer.raw().await, publish_with(5, 0x0C, &[], "a", 2, "x"));
        peer.send(&ack(0x70, 1)).await;
        peer.hears_nothing().await;
    }
}

#[tokio::test]
async fn a_kept_session_is_sent_nothing_before_it_is_stored_whatever_publishers_wait_for() {
    for ack_when in [Ack::Accepted, Ack::Stored] {
        let edge = TestEdge::with(|config| config.ingest.ack = ack_when).await;
        let mut peer = subscribed(&edge, &kept("s"), &[("a", 2)]).await;
        peer.hears_nothing().await;
        let other = Connection::open(edge.data_dir().join("sluice.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut publisher = edge.connect(4, "p").await;
        publisher.send(&publish(4, "a", 2, 1, "x")).await;
        if ack_when == Ack::Accepted {
            assert_eq!(publisher.raw().await, ack(0x50, 1));
        }
        publisher.hears_nothing().await;
        edge.exchange_is_idle().await;
        // A kill in between would have the id mean another message.
        peer.hears_nothing().await;
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(peer.raw().await, publish(5, "a", 2, 1, "x"));
    }
}

#[tokio::test]
async fn a_qos_2_message_received_before_a_kill_is_a_duplicate_after_it() {
    let edge = TestEdge::start().await;
    let _reader = subscribed(&edge, &kept("reader"), &[("a", 0)]).await;
    let mut peer = edge.connect_as(&kept("s")).await;
    peer.send(&[publish(5, "a", 2, 7, "x"), publish(5, "a", 2, 8, "x")].concat()).await;
    assert_eq!(peer.raw().await, ack(0x50, 7));
    assert_eq!(peer.raw().await, ack(0x50, 8));
    peer.send(&ack(0x62, 8)).await;
    assert_eq!(peer.raw().await, ack(0x70, 8));
    let edge = edge.killed_and_restarted().await;
    let mut reader = edge.connect_as(&kept("reader")).await;
    let (mut peer, present) = edge.come_back(&kept("s")).await;
    assert!(present);
    peer.send(&publish_with(5, 0x0C, &[], "a", 7, "x")).await;
    assert_eq!(peer.raw().await, ack(0x50, 7));
    peer.send(&ack(0x62, 7)).await;
    assert_eq!(peer.raw().await, ack(0x70, 7));
    // 8 was released: it may mean another message now.
    peer.send(&publish(5, "a", 2, 8, "new")).await;
    assert_eq!(peer.raw().await, ack(0x50, 8));
    assert_eq!(reader.raw().await, publish(5, "a", 0, 0, "new"));
}

#[tokio::test]
async fn a_qos_2_message_that_is_over_leaves_no_id_behind_whatever_is_waited_for() {
    const FLOWS: std::ops::RangeInclusive<u16> = 1..=40;
    for ack_when in [Ack::Accepted, Ack::Stored, Ack::Synced] {
        let edge = TestEdge::with(|config| config.ingest.ack = ack_when).await;
        let _reader = subscribed(&edge, &kept("reader"), &[("a", 0)]).await;
        let mut peer = edge.connect_as(&kept("s")).await;
        for id in FLOWS {
            peer.send(&publish(5, "a", 2, id, "old")).await;
            assert_eq!(peer.raw().await, ack(0x50, id));
            peer.send(&ack(0x62, id)).await;
            assert_eq!(peer.raw().await, ack(0x70, id));
        }
        let edge = edge.killed_and_restarted().await;
        let mut reader = edge.connect_as(&kept("reader")).await;
        let (mut peer, present) = edge.come_back(&kept("s")).await;
        assert!(present);
        for id in FLOWS {
            peer.send(&publish(5, "a", 2, id, "new")).await;
            assert_eq!(peer.raw().await, ack(0x50, id));
            assert_eq!(reader.raw().await, publish(5, "a", 0, 0, "new"), "{ack_when:?}, {id}");
        }
    }
}

#[tokio::test]
async fn the_id_of_a_qos_2_message_is_not_on_the_disk_before_what_it_says() {
    let topic = "devices/d1/telemetry";
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect_as(&kept("d1")).await;
    peer.send(&publish(5, topic, 2, 7, "{}")).await;
    // The core has it, and dies before it gives it to the store.
    let taken = edge.message_input().await;
    let mut edge = edge.killed_and_restarted().await;
    drop(taken);
    let (mut peer, present) = edge.come_back(&kept("d1")).await;
    assert!(present);
    peer.send(&publish_with(5, 0x0C, &[], topic, 7, "{}")).await;
    edge.message_input().await;
}

/// After a kill: of the QoS 2 message 7 of `d1` the core has stored what it says, but not what it leaves in the queue
/// of `reader`.
async fn killed_with_only_what_is_said(topic: &str) -> TestEdge {
    let mut edge = TestEdge::start().await;
    drop(subscribed(&edge, &kept("reader"), &[(topic, 1)]).await);
    let mut peer = edge.connect_as(&kept("d1")).await;
    peer.send(&publish(5, topic, 2, 7, "{}")).await;
    let taken = edge.message_input().await;
    edge.store_what_is_said(&taken).await;
    let edge = edge.killed_and_restarted().await;
    drop(taken);
    edge
}

#[tokio::test]
async fn a_qos_2_message_of_which_a_kill_left_what_it_says_leaves_the_rest_when_it_is_sent_again() {
    let topic = "devices/d1/telemetry";
    let mut edge = killed_with_only_what_is_said(topic).await;
    let (mut peer, present) = edge.come_back(&kept("d1")).await;
    assert!(present);
    for _ in 0..2 {
        peer.send(&publish_with(5, 0x0C, &[], topic, 7, "{}")).await;
        assert_eq!(peer.raw().await, ack(0x50, 7));
    }
    let mut reader = edge.connect_as(&kept("reader")).await;
    assert_eq!(reader.raw().await, publish(5, topic, 1, 1, "{}"));
    reader.send(&ack(0x40, 1)).await;
    reader.hears_nothing().await;
    peer.send(&publish(5, topic, 2, 8, r#"{"next":1}"#)).await;
    let Input::Ingest { inbound, .. } = edge.message_input().await else { unreachable!() };
    let [Inbound::Update { data, .. }] = &inbound[..] else { panic!("{inbound:?}") };
    assert_eq!(data.text(), r#"{"next":1}"#, "the core does not hear the other one again");
}

#[tokio::test]
async fn a_qos_2_message_whose_rest_was_not_stored_in_time_is_not_heard_twice() {
    let topic = "devices/d1/telemetry";
    let mut edge = killed_with_only_what_is_said(topic).await;
    // Nothing is stored of a message as long as somebody has not taken it.
    let mut slow = soon(edge.exchange.link(Keeping::OnDisk)).await.unwrap();
    soon(slow.subscribe(Interest::Own(topic.parse().unwrap()))).await.unwrap();
    let again = publish_with(5, 0x0C, &[], topic, 7, "{}");
    let mut peer = edge.connect_as(&kept("d1")).await;
    peer.send(&again).await;
    edge.counts("publishes_in_qos2", 1).await;
    drop(peer);
    edge.counts("sessions_now", 2).await;
    drop(slow);
    let mut peer = edge.connect_as(&kept("d1")).await;
    peer.send(&again).await;
    assert_eq!(peer.raw().await, ack(0x50, 7));
    peer.send(&publish(5, topic, 2, 8, r#"{"next":1}"#)).await;
    let Input::Ingest { inbound, .. } = edge.message_input().await else { unreachable!() };
    let [Inbound::Update { data, .. }] = &inbound[..] else { panic!("{inbound:?}") };
    assert_eq!(data.text(), r#"{"next":1}"#);
}

#[tokio::test]
async fn a_session_that_ended_is_not_there_after_a_restart() {
    let edge = TestEdge::start().await;
    let filters = [("a", 1)];
    drop(subscribed(&edge, &kept("cleaned"), &filters).await);
    edge.counts("sessions_now", 1).await;
    drop(edge.connect_as(&Connect { clean: true, ..client(5, "cleaned") }).await);
    let mut ended = subscribed(&edge, &kept("ended"), &filters).await;
    ended.send(&packet(0xE0, &[0, 5, 0x11, 0, 0, 0, 0])).await;
    ended.closes().await;
    drop(subscribed(&edge, &client(5, "brief"), &filters).await);
    let mut kept_one = subscribed(&edge, &kept("kept"), &[("a", 1), ("b", 1)]).await;
    kept_one.send(&unsubscribe(5, 2, &["a"])).await;
    kept_one.packet().await;
    let edge = edge.restarted().await;
    for id in ["cleaned", "ended", "brief"] {
        assert!(!edge.come_back(&kept(id)).await.1, "{id}");
    }
    let (mut peer, present) = edge.come_back(&kept("kept")).await;
    assert!(present);
    let mut publisher = edge.connect(4, "p").await;
    publisher.send(&[publish(4, "a", 1, 1, "no"), publish(4, "b", 1, 2, "yes")].concat()).await;
    assert_eq!(peer.raw().await, publish(5, "b", 1, 1, "yes"));
}

#[tokio::test]
async fn a_will_that_waits_survives_a_kill_and_one_whose_client_was_connected_too() {
    let edge = TestEdge::start().await;
    let mut delayed = kept("delayed");
    delayed.will = Some(("will", "gone"));
    let mut peer = edge.connect_as(&delayed).await;
    peer.hears_nothing().await;
    let watcher = subscribed(&edge, &kept("watcher"), &[("will", 1)]).await;
    drop(watcher);
    edge.counts("sessions_now", 1).await;
    let edge = edge.killed_and_restarted().await;
    let mut watcher = edge.connect_as(&kept("watcher")).await;
    // It was published with QoS 0: who is here gets it, or the process that restarted came first.
    edge.counts("wills", 1).await;
    watcher.send(&PINGREQ).await;
    assert!(edge.come_back(&Connect { will: None, ..delayed }).await.1);
}

#[tokio::test]
async fn retained_messages_survive_a_kill_with_their_properties() {
    let edge = TestEdge::start().await;
    let mut publisher = edge.connect(5, "p").await;
    let properties = [&[0x03, 0, 1, b't'][..], &[0x26, 0, 1, b'k', 0, 1, b'v']].concat();
    publisher.send(&publish_with(5, 0x03, &properties, "r/a", 1, "kept")).await;
    publisher.send(&publish_with(5, 0x03, &[], "r/b", 2, "gone")).await;
    publisher.send(&publish_with(5, 0x03, &[], "r/b", 3, "")).await;
    for id in 1..=3 {
        assert_eq!(publisher.raw().await, ack(0x40, id));
    }
    let edge = edge.killed_and_restarted().await;
    let mut peer = subscribed(&edge, &client(5, "s"), &[("r/#", 0)]).await;
    assert_eq!(peer.raw().await, publish_with(5, 0x01, &properties, "r/a", 0, "kept"));
    peer.hears_nothing().await;
}

#[tokio::test]
async fn a_share_survives_a_restart() {
    let edge = TestEdge::start().await;
    drop(subscribed(&edge, &kept("worker"), &[("$share/g/jobs", 1)]).await);
    edge.counts("sessions_now", 1).await;
    let edge = edge.restarted().await;
    let mut publisher = edge.connect(4, "p").await;
    publisher.send(&publish(4, "jobs", 1, 1, "job")).await;
    publisher.packet().await;
    let mut peer = edge.connect_as(&kept("worker")).await;
    assert_eq!(peer.raw().await, publish(5, "jobs", 1, 1, "job"));
}

#[tokio::test]
async fn a_client_without_a_kept_session_leaves_nothing_on_the_disk() {
    let edge = TestEdge::start().await;
    let mut peer = subscribed(&edge, &client(5, "brief"), &[("a", 2)]).await;
    peer.send(&publish(5, "a", 2, 1, "x")).await;
    for _ in 0..2 {
        peer.packet().await;
    }
    assert_eq!(edge.session_rows().await, Vec::<String>::new());
    let _kept = subscribed(&edge, &kept("kept"), &[("a", 2)]).await;
    assert_eq!(edge.session_rows().await, ["kept"]);
}

#[tokio::test]
async fn who_comes_back_before_the_sessions_are_restored_waits_for_its_own() {
    let edge = TestEdge::start().await;
    let connect = Connect { version: 4, properties: &[], ..kept("s") };
    let mut peer = subscribed(&edge, &connect, &[("a", 1)]).await;
    peer.send(&DISCONNECT).await;
    peer.closes().await;
    edge.counts("sessions_now", 1).await;
    let (mut early, far_end) = duplex(4_096);
    early.write_all(&connect.packet()).await.unwrap();
    let edge = edge.restarted_under(Some(far_end)).await;
    let mut answer = [0; 4];
    soon(early.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, [0x20, 2, 1, 0], "its session is present");
    let mut publisher = edge.connect(4, "p").await;
    publisher.send(&publish(4, "a", 1, 1, "x")).await;
    let mut message = vec![0; publish(4, "a", 1, 1, "x").len()];
    soon(early.read_exact(&mut message)).await.unwrap();
    assert_eq!(message, publish(4, "a", 1, 1, "x"), "nobody takes its place");
}
