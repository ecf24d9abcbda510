//! PUBLISH: acknowledged when it is stored, refused with the right reason, never lost in silence.

use super::{packets::*, support::*};
use bridge::ingest::Inbound;
use serde_json::json;

const TELEMETRY: &str = "devices/d1/telemetry";

fn texts(inbound: Vec<Inbound>) -> Vec<String> {
    let text = |inbound| match inbound {
        Inbound::Update { channel, data, .. } => format!("{channel} {}", data.text()),
        Inbound::State { device, reported } => format!("state {device} {reported}"),
        Inbound::Event { device, event } => format!("{device} raises {}", event.code),
        Inbound::Recent { device, answers } => format!("recent {device} {}", answers.len()),
        Inbound::Answer { device, command, answer } => {
            format!("{device} {command} {:?}", answer.status)
        }
        Inbound::Mapped { payload, .. } => format!("mapped {payload}"),
    };
    inbound.into_iter().map(text).collect()
}

#[tokio::test]
async fn one_write_of_many_messages_is_one_batch_in_order() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "hub").await;
    let id = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";
    peer.send(
        &[
            publish(4, TELEMETRY, 0, 0, r#"{"a":1}"#),
            publish(4, "devices/d1/telemetry/b", 1, 7, "on"),
            publish(4, "devices/d2/state", 1, 8, "{}"),
            publish(4, &format!("devices/d1/commands/{id}/ack"), 0, 0, r#"{"status":"received"}"#),
            publish(4, "elsewhere", 0, 0, "x"),
        ]
        .concat(),
    )
    .await;
    let (inbound, receipt) = edge.ingest().await;
    assert_eq!(
        texts(inbound),
        [
            r#"telemetry/d1 {"a":1}"#,
            r#"telemetry/d1 {"b":"on"}"#,
            "state d2 {}",
            &format!("d1 {id} Received"),
        ]
    );
    peer.hears_nothing().await;
    receipt.unwrap().send(()).unwrap();
    assert_eq!(peer.raw().await, ack(0x40, 7));
    assert_eq!(peer.raw().await, ack(0x40, 8));
}

#[tokio::test]
async fn a_message_that_was_not_stored_is_never_acknowledged() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "hub").await;
    peer.send(&publish(4, TELEMETRY, 1, 7, "{}")).await;
    drop(edge.ingest().await);
    edge.counts("unstored", 1).await;
    peer.send(&publish(4, TELEMETRY, 1, 8, "{}")).await;
    edge.ingest().await.1.unwrap().send(()).unwrap();
    assert_eq!(peer.raw().await, ack(0x40, 8));
}

#[tokio::test]
async fn qos_2_is_recorded_when_it_is_stored_and_counts_once() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "hub").await;
    let message = publish(5, TELEMETRY, 2, 7, "{}");
    peer.send(&message).await;
    let (_, receipt) = edge.ingest().await;
    peer.send(&message).await;
    peer.hears_nothing().await;
    receipt.unwrap().send(()).unwrap();
    assert_eq!(peer.raw().await, ack(0x50, 7));
    peer.send(&message).await;
    assert_eq!(peer.raw().await, ack(0x50, 7));
    peer.send(&ack(0x62, 7)).await;
    assert_eq!(peer.raw().await, ack(0x70, 7));
    peer.send(&ack(0x62, 7)).await;
    assert_eq!(peer.raw().await, [0x70, 3, 0, 7, 0x92]);
    peer.send(&message).await;
    edge.ingest().await;
}

#[tokio::test]
async fn a_release_that_comes_early_waits_for_its_message_and_frees_the_id() {
    let edge = TestEdge::start().await;
    for (version, clean) in [(4, true), (4, false), (5, true)] {
        let mut hears = edge.connect(4, "hears").await;
        hears.send(&subscribe(4, 1, &[("a", 0)])).await;
        hears.packet().await;
        let mut peer = edge.connect_as(&Connect { clean, ..client(version, "hub") }).await;
        for payload in ["1", "2"] {
            peer.send(&[publish(version, "a", 2, 3, payload), ack(0x62, 3)].concat()).await;
            assert_eq!(peer.raw().await, ack(0x50, 3), "{version}");
            assert_eq!(peer.raw().await, ack(0x70, 3), "{version}");
            assert_eq!(hears.raw().await, publish(4, "a", 0, 0, payload));
        }
    }
}

#[tokio::test]
async fn what_comes_behind_an_early_release_waits_for_it() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "hub").await;
    let flow = [publish(5, "a", 2, 3, "x"), ack(0x62, 3)].concat();
    peer.send(&[&flow[..], &flow, &PINGREQ].concat()).await;
    for answer in [ack(0x50, 3), ack(0x70, 3), ack(0x50, 3), ack(0x70, 3), PINGRESP.to_vec()] {
        assert_eq!(peer.raw().await, answer);
    }
}

#[tokio::test]
async fn a_message_that_goes_nowhere_is_acknowledged_at_once() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "hub").await;
    peer.send(&publish(4, "elsewhere", 1, 7, "x")).await;
    assert_eq!(peer.raw().await, ack(0x40, 7));
}

#[tokio::test]
async fn an_empty_payload_that_deletes_what_is_retained_is_no_mistake() {
    const RETAIN: u8 = 1;
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "hub").await;
    let mut delete = publish(4, "devices/d1/state", 1, 7, "");
    peer.send(&delete).await;
    assert_eq!(peer.raw().await, ack(0x40, 7));
    assert_eq!(
        edge.counters.undecodable.get(),
        1,
        "without RETAIN it says nothing where it should"
    );
    delete[0] |= RETAIN;
    peer.send(&delete).await;
    assert_eq!(peer.raw().await, ack(0x40, 7));
    assert_eq!(edge.counters.undecodable.get(), 1);
}

#[tokio::test]
async fn an_answer_with_a_wrong_error_is_counted_and_settles_its_command() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "hub").await;
    let topic = "devices/d1/commands/0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c/ack";
    peer.send(&publish(4, topic, 0, 0, r#"{"status":"failed","error":"stuck"}"#)).await;
    let (inbound, _) = edge.ingest().await;
    let [Inbound::Answer { answer, .. }] = &inbound[..] else { panic!("{inbound:?}") };
    assert_eq!(answer.error.as_ref().unwrap().message, "stuck");
    assert_eq!(edge.counters.undecodable.get(), 1);
}

#[tokio::test]
async fn deleting_what_is_retained_says_nothing_to_mappings_and_to_routes_that_take_any_text() {
    const RETAIN: u8 = 1;
    let edge = TestEdge::with(|config| {
        config.routes = serde_json::from_value(json!([
            {"topic": "said/{device}/{metric}", "channel": "telemetry/{device}", "payload": "text"},
        ]))
        .unwrap();
        config.mappings = serde_json::from_value(json!([{
            "type": "lamp",
            "topic": "lamps/{device}/set",
            "presence": {"topic": "lamps/{device}", "online": "yes", "offline": "no"},
        }]))
        .unwrap();
    });
    let mut edge = edge.await;
    let mut peer = edge.connect(4, "hub").await;
    for topic in ["lamps/a", "said/a/word"] {
        let mut delete = publish(4, topic, 1, 7, "");
        delete[0] |= RETAIN;
        peer.send(&delete).await;
        assert_eq!(peer.raw().await, ack(0x40, 7));
    }
    peer.send(&publish(4, "lamps/a", 0, 0, "")).await;
    assert_eq!(texts(edge.ingest().await.0), [r#"mapped """#], "without RETAIN it is a message");
    assert_eq!(edge.counters.undecodable.get(), 0);
}

#[tokio::test]
async fn an_undecodable_payload_is_counted_and_acknowledged_but_not_ingested() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "hub").await;
    peer.send(&publish(4, TELEMETRY, 1, 7, "no json")).await;
    assert_eq!(peer.raw().await, ack(0x40, 7));
    assert_eq!(edge.counters.undecodable.get(), 1);
    peer.send(&publish(4, TELEMETRY, 0, 0, r#"{"a":1}"#)).await;
    assert_eq!(texts(edge.ingest().await.0), [r#"telemetry/d1 {"a":1}"#]);
}

#[tokio::test]
async fn system_topics_are_the_gateways() {
    let edge = TestEdge::start().await;
    let mut five = edge.connect(5, "five").await;
    five.send(&publish(5, "$SYS/x", 1, 7, "x")).await;
    assert_eq!(five.raw().await, [0x40, 3, 0, 7, 0x90]);
    five.send(&publish(5, "$SYS/x", 2, 8, "x")).await;
    assert_eq!(five.raw().await, [0x50, 3, 0, 8, 0x90]);
    five.send(&publish(5, "$SYS/x", 0, 0, "x")).await;
    five.hears_nothing().await;
    let mut three = edge.connect(4, "three").await;
    three.send(&publish(4, "$SYS/x", 1, 7, "x")).await;
    assert_eq!(three.raw().await, ack(0x40, 7));
    assert_eq!(edge.counters.dropped_forbidden.get(), 4);
}

#[tokio::test]
async fn topics_over_the_limits_are_refused_and_who_cannot_be_told_is_closed() {
    let edge = TestEdge::start().await;
    let (long, deep) = ("x".repeat(1_025), "/".repeat(16));
    for topic in [&long, &deep] {
        let mut five = edge.connect(5, "five").await;
        five.send(&publish(5, topic, 1, 7, "x")).await;
        assert_eq!(five.raw().await, [0x40, 3, 0, 7, 0x90]);
        five.send(&publish(5, topic, 0, 0, "x")).await;
        assert_eq!(five.rest().await, [0xE0, 1, 0x90]);
        let mut three = edge.connect(4, "three").await;
        three.send(&publish(4, topic, 1, 7, "x")).await;
        three.closes().await;
    }
    assert_eq!(edge.counters.limit_topic.get(), 6);
    let most = format!("{}{}", "x".repeat(1_024 - 15), "/".repeat(15));
    let mut peer = edge.connect(4, "most").await;
    peer.send(&publish(4, &most, 1, 7, "x")).await;
    assert_eq!(peer.raw().await, ack(0x40, 7));
}

#[tokio::test]
async fn topic_aliases_stand_for_topics() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "hub").await;
    let with_alias =
        |topic, alias: u8| publish_with(5, 0, &[0x23, 0, alias], topic, 0, r#"{"a":1}"#);
    peer.send(&[with_alias(TELEMETRY, 64), with_alias("", 64)].concat()).await;
    assert_eq!(edge.ingest().await.0.len(), 2);
    for (topic, alias, reason) in [("a", 0, 0x94), ("a", 65, 0x94), ("", 5, 0x82)] {
        let mut peer = edge.connect(5, "bad").await;
        peer.send(&with_alias(topic, alias)).await;
        assert_eq!(peer.rest().await, [0xE0, 1, reason], "{alias}");
    }
    let mut peer = edge.connect(5, "bad").await;
    peer.send(&publish(5, "", 0, 0, "x")).await;
    assert_eq!(peer.rest().await, [0xE0, 1, 0x82]);
}

#[tokio::test]
async fn more_than_the_receive_maximum_is_a_violation_of_version_5() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "eager").await;
    let messages = (1..=1_001).flat_map(|id| publish(5, TELEMETRY, 1, id, "{}"));
    peer.send(&messages.collect::<Vec<_>>()).await;
    assert_eq!(peer.rest().await, [0xE0, 1, 0x93]);
    assert_eq!(edge.counters.limit_receive_maximum.get(), 1);
}

#[tokio::test]
async fn an_eager_client_of_version_3_is_read_as_fast_as_it_is_stored() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "eager").await;
    let messages = (1..=3_000).flat_map(|id| publish(4, TELEMETRY, 1, id, "{}"));
    peer.send(&messages.collect::<Vec<_>>()).await;
    let mut receipts = Vec::new();
    let mut held = 0;
    while held < 1_000 {
        let (inbound, receipt) = edge.ingest().await;
        held += inbound.len();
        receipts.push(receipt.unwrap());
    }
    assert_eq!(held, 1_000);
    edge.ignore_inputs();
    receipts.into_iter().for_each(|receipt| receipt.send(()).unwrap());
    for id in 1..=3_000 {
        assert_eq!(peer.raw().await, ack(0x40, id));
    }
}

#[tokio::test]
async fn a_full_core_slows_its_publisher_down_and_loses_nothing() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "flood").await;
    let mut other = edge.connect(4, "other").await;
    // The core takes nothing: what fits into its queue and the sockets is all that can be sent.
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000));
    let message = publish(4, TELEMETRY, 0, 0, &long);
    let sent = std::cell::Cell::new(0);
    let mut flood = std::pin::pin!(async {
        loop {
            peer.send(&message).await;
            sent.set(sent.get() + 1);
        }
    });
    while !edge.core_is_full() {
        let moment = std::time::Duration::from_millis(10);
        let _never: Result<(), _> = tokio::time::timeout(moment, &mut flood).await;
    }
    other.hears_nothing().await;
    let mut arrived = 0;
    while arrived < sent.get() {
        arrived += edge.ingest().await.0.len();
    }
}

#[tokio::test]
async fn what_came_before_the_end_still_counts() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.connect(4, "brief").await;
    peer.send(&[publish(4, TELEMETRY, 0, 0, "{}"), DISCONNECT.to_vec()].concat()).await;
    drop(peer);
    assert_eq!(edge.ingest().await.0.len(), 1);
}

/// What a client of a kept session and one of none get to read that send `packets` and then say nothing more.
async fn read_to_the_end(edge: &TestEdge, version: u8, packets: &[u8]) -> [Vec<u8>; 2] {
    let mut all = [Vec::new(), Vec::new()];
    for (clean, read) in [true, false].into_iter().zip(&mut all) {
        let properties: &[u8] = if clean { &[0x17, 0] } else { &[0x17, 0, 0x11, 0, 0, 0, 60] };
        let connect = Connect { clean, properties, ..client(version, "s") };
        let mut peer = edge.connect_as(&connect).await;
        peer.send(packets).await;
        peer.says_no_more().await;
        *read = peer.rest().await;
    }
    all
}

#[tokio::test]
async fn what_came_before_the_end_is_answered() {
    let mut edge = TestEdge::start().await;
    edge.ignore_inputs();
    for version in [4, 5] {
        let messages = [
            (PINGREQ.to_vec(), PINGRESP.to_vec()),
            (publish(version, "devices/s/telemetry", 1, 7, r#"{"a":1}"#), ack(0x40, 7)),
            (publish(version, "devices/s/telemetry", 2, 7, r#"{"a":1}"#), ack(0x50, 7)),
            (
                subscribe(version, 7, &[("a", 1)]),
                packet(
                    0x90,
                    &[&[0, 7][..], version_properties(version, &[]).as_slice(), &[1]].concat(),
                ),
            ),
        ];
        for (packets, answer) in messages {
            let goodbye = [&packets[..], &DISCONNECT].concat();
            for end in [&packets, &goodbye] {
                for read in read_to_the_end(&edge, version, end).await {
                    assert_eq!(read, answer, "{version} {end:x?}");
                }
            }
            let bad = [&packets[..], &[0x00, 0]].concat();
            let told: &[u8] = if version == 5 { &[0xE0, 1, 0x81] } else { &[] };
            for read in read_to_the_end(&edge, version, &bad).await {
                assert_eq!(read, [&answer[..], told].concat(), "{version} {bad:x?}");
            }
        }
        let mut peer = edge.socket().await;
        peer.send(&[&client(version, "s").packet()[..], &DISCONNECT].concat()).await;
        assert_eq!(peer.packet().await.0, 0x20);
        peer.closes().await;
    }
}
