//! What a client of MQTT 5 takes: packet size, messages in flight, topic aliases, reasons in words.

use super::{packets::*, support::*};
use tests::{Packet, Version, mqtt::packet};

const V5: Version = Version::V5;

/// Maximum Packet Size.
fn packet_bytes(most: u8) -> Vec<u8> {
    vec![0x27, 0, 0, 0, most]
}

const PACKET_TOO_LARGE: u8 = 0x95;

fn size(packet: &Packet) -> usize {
    // None of these is longer than 127 bytes.
    2 + packet.body.len()
}

#[tokio::test]
async fn no_packet_is_larger_than_the_client_takes() {
    let broker = Broker::start().await;
    let small = Connect { properties: packet_bytes(60), ..connect(V5, "c") };
    let (mut client, connack) = broker.introduce(&small).await;
    assert!(size(&connack) <= 60, "{connack:?}");
    client.subscribe(&[("a", 1)]).await;
    let mut publisher = broker.client(V5, "p").await;
    for number in 0..3 {
        publisher.publish("a", 1, &"x".repeat(60)).await;
        publisher.publish("a", 0, &"x".repeat(60)).await;
        publisher.publish("a", 1, &number.to_string()).await;
    }
    // As if the large ones had been sent and acknowledged.
    for number in 0..3 {
        let message = client.hears(&number.to_string()).await;
        client.send(&answer(PUBACK, message.id)).await;
    }
    client.hears_nothing().await;
}

#[tokio::test]
async fn a_client_that_takes_no_connack_gets_none() {
    let broker = Broker::start().await;
    // What refuses a client fits into five bytes, what lets it in does not.
    for (most, told) in
        [(1, None), (4, None), (5, Some(PACKET_TOO_LARGE)), (15, Some(PACKET_TOO_LARGE))]
    {
        let tiny = Connect { properties: packet_bytes(most), ..connect(V5, "c") };
        let mut client = broker.open(V5).await;
        client.send(&tiny.packet()).await;
        let answers = client.rest().await;
        let reasons: Vec<_> = answers.iter().map(|answer| answer.body[1]).collect();
        assert_eq!(reasons, told.into_iter().collect::<Vec<_>>(), "{most}");
    }
    let (_, connack) = broker.introduce(&connect(V5, "c")).await;
    let just = u8::try_from(size(&connack)).expect("it is small");
    let small = Connect { properties: packet_bytes(just), ..connect(V5, "c") };
    broker.connect(&small).await.leaves().await;
}

#[tokio::test]
async fn the_largest_packet_that_a_client_takes_comes() {
    let broker = Broker::start().await;
    let small = Connect { properties: packet_bytes(60), ..connect(V5, "c") };
    let mut client = broker.connect(&small).await;
    client.subscribe(&[("a", 0)]).await;
    // Two bytes of head, two and one of the topic, one of properties.
    let most = "x".repeat(60 - 6);
    let mut publisher = broker.client(V5, "p").await;
    publisher.publish("a", 0, &format!("{most}x")).await;
    publisher.publish("a", 0, &most).await;
    client.hears(&most).await;
}

#[tokio::test]
async fn words_are_left_out_where_they_do_not_fit() {
    let broker = Broker::start().await;
    let small = Connect { properties: packet_bytes(24), ..connect(V5, "c") };
    let mut client = broker.open(V5).await;
    client.send(&small.packet()).await;
    let mut all = vec![client.takes(CONNACK).await];
    client.send(&publish(V5, 2, "$SYS/broker/x", 1, b"x")).await;
    all.push(client.takes(PUBACK).await);
    client.send(&publish(V5, 4, "$SYS/broker/x", 2, b"x")).await;
    all.push(client.takes(PUBREC).await);
    client.send(&answer(PUBREL, 99)).await;
    all.push(client.takes(PUBCOMP).await);
    client.send(&subscribe(V5, 3, &[("$share/", 0)])).await;
    all.extend(client.maybe_next().await);
    client.send(&unsubscribe(V5, 4, &["never"])).await;
    all.extend(client.maybe_next().await);
    client.send(&packet(0, 0, &[])).await;
    all.extend(client.rest().await);
    for packet in all {
        assert!(size(&packet) <= 24, "{packet:?}");
    }
}

#[tokio::test]
async fn who_wants_no_reasons_in_words_gets_none() {
    let broker = Broker::start().await;
    let codes = Connect { properties: vec![0x17, 0], ..connect(V5, "c") };
    let mut client = broker.connect(&codes).await;
    client.send(&publish(V5, 2, "$SYS/broker/x", 1, b"x")).await;
    assert!(client.takes(PUBACK).await.body.len() <= 4);
    client.send(&publish(V5, 4, "$SYS/broker/x", 2, b"x")).await;
    assert!(client.takes(PUBREC).await.body.len() <= 4);
    client.send(&answer(PUBREL, 99)).await;
    assert!(client.takes(PUBCOMP).await.body.len() <= 4);
    client.send(&subscribe(V5, 3, &[("a", 0)])).await;
    assert_eq!(client.takes(SUBACK).await.body, [0, 3, 0, 0]);
    client.send(&unsubscribe(V5, 4, &["never"])).await;
    assert_eq!(client.takes(UNSUBACK).await.body, [0, 4, 0, 0x11]);
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_client_takes_and_all_else_goes_on() {
    let broker = Broker::start().await;
    let modest = Connect { properties: vec![0x21, 0, 2], ..connect(V5, "c") };
    let mut client = broker.connect(&modest).await;
    client.subscribe(&[("a", 2)]).await;
    let mut publisher = broker.client(V5, "p").await;
    for (qos, payload) in [(1, "one"), (2, "two"), (1, "three"), (2, "four")] {
        publisher.publish("a", qos, payload).await;
    }
    let one = client.hears("one").await;
    let two = client.hears("two").await;
    // Pings, subscriptions and publishing are served while the window is full.
    client.hears_nothing().await;
    client.subscribe(&[("b", 0)]).await;
    client.publish("c", 2, "x").await;
    client.send(&answer(PUBREC, two.id)).await;
    client.takes(PUBREL).await;
    client.hears_nothing().await;
    client.send(&answer(PUBACK, one.id)).await;
    let three = client.hears("three").await;
    client.hears_nothing().await;
    client.send(&answer(PUBCOMP, two.id)).await;
    let four = client.hears("four").await;
    // A refusal ends a flow, too.
    client.send(&answer_with(PUBREC, four.id, 0x83)).await;
    client.send(&answer(PUBACK, three.id)).await;
    publisher.publish("a", 1, "five").await;
    client.hears("five").await;
}

#[tokio::test]
async fn a_client_may_have_so_many_in_flight_as_it_was_told_and_no_more() {
    let broker = Broker::start().await;
    let (mut client, connack) = broker.introduce(&connect(V5, "c")).await;
    let (told, _) = properties(&connack.body[2..]);
    let most =
        property(&told, 0x21).map_or(u16::MAX, |most| u16::from_be_bytes([most[0], most[1]]));
    assert!(most < u16::MAX, "it is told");
    for id in 1..=most {
        client.send(&publish(V5, 4, "a", id, b"x")).await;
        client.takes(PUBREC).await;
    }
    client.hears_nothing().await;
    let reason = client.violates("one more", &publish(V5, 4, "a", most + 1, b"x")).await;
    assert!(matches!(reason, None | Some(0x93)), "{reason:?}");
}

#[tokio::test]
async fn no_alias_comes_to_a_client_that_takes_none() {
    let broker = Broker::start().await;
    for properties in [vec![], vec![TOPIC_ALIAS_MAXIMUM, 0, 0]] {
        let mut client = broker.connect(&Connect { properties, ..connect(V5, "c") }).await;
        client.subscribe(&[("a", 0)]).await;
        let mut publisher = broker.client(V5, "p").await;
        for _ in 0..3 {
            publisher.publish("a", 0, "x").await;
            let message = client.hears("x").await;
            assert_eq!((&*message.topic, &message.properties[..]), ("a", &[][..]));
        }
    }
}

#[tokio::test]
async fn aliases_to_a_client_stay_within_what_it_takes() {
    let broker = Broker::start().await;
    let takes_two = Connect { properties: vec![TOPIC_ALIAS_MAXIMUM, 0, 2], ..connect(V5, "c") };
    let mut client = broker.connect(&takes_two).await;
    client.subscribe(&[("a/+", 0)]).await;
    let mut publisher = broker.client(V5, "p").await;
    let mut known = [String::new(), String::new()];
    for number in [1, 2, 3, 1, 2, 3, 3, 1, 4, 4] {
        let topic = format!("a/{number}");
        publisher.publish(&topic, 0, "x").await;
        let message = client.hears("x").await;
        let (came, _) = properties(&with_properties(V5, &message.properties));
        let Some(alias) = property(&came, TOPIC_ALIAS) else {
            assert_eq!(message.topic, topic);
            continue;
        };
        let alias = usize::from(u16::from_be_bytes([alias[0], alias[1]]));
        assert!((1..=2).contains(&alias), "{alias}");
        if !message.topic.is_empty() {
            known[alias - 1] = message.topic;
        }
        assert_eq!(known[alias - 1], topic);
    }
}
