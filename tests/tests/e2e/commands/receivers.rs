//! Who receives a command and may answer it: devices of MQTT 5, hubs, nobody else.

use super::*;
use tests::{
    Connect, Device, Message, Peer, Version,
    mqtt::{PUBLISH, field, packet},
};

/// The kind of a PUBACK (MQTT 5.0, section 2.1.2).
const PUBACK: u8 = 4;

#[tokio::test]
async fn an_mqtt_5_device_is_told_where_and_how_to_answer() {
    let (gateway, mut live) = arrange().await;
    let connect = Connect::new(Version::V5, DEVICE);
    let mut device = Device::connect_as(gateway.mqtt(), connect, "commands/#").await;
    let created = create(&gateway, json!({"name": "fill", "timeout_ms": 20_000})).await;
    let Message { properties, id, .. } = device.command().await.message;
    let Properties { expiry_s, content_type, response_topic, correlation } = read(&properties);
    assert_eq!(response_topic, format!("devices/{DEVICE}/commands/{}/ack", self::id(&created)));
    assert_eq!(correlation, self::id(&created));
    assert_eq!(content_type, "application/json");
    assert!((1..=20).contains(&expiry_s), "{expiry_s}");
    device.peer.puback(id).await;
    device.peer.publish(&response_topic, br#"{"status":"succeeded"}"#, 1).await;
    reaches(&mut live, &correlation, "succeeded").await;
}

#[tokio::test]
async fn who_knows_mqtt_5_only_answers_with_the_correlation_data_alone() {
    let (gateway, mut live) = arrange().await;
    let connect = Connect::new(Version::V5, DEVICE);
    let mut device = Device::connect_as(gateway.mqtt(), connect, "commands/+").await;
    create(&gateway, json!({"name": "fill"})).await;
    let Message { properties, .. } = device.take().await.message;
    let Properties { response_topic, correlation, .. } = read(&properties);
    for (mark, packet_id) in [("another", 901_u16), (correlation.as_str(), 902)] {
        let mark = [&[0x09][..], &field(mark.as_bytes())].concat();
        let length = [u8::try_from(mark.len()).expect("short")];
        let id = packet_id.to_be_bytes();
        let topic = field(response_topic.as_bytes());
        let body = [&topic[..], &id, &length, &mark, br#"{"rpm": 3}"#].concat();
        device.peer.send(&packet(PUBLISH, 2, &body)).await;
        device.peer.expect(PUBACK).await;
    }
    let ended = reaches(&mut live, &correlation, "succeeded").await;
    assert_eq!(ended["result"], json!({"rpm": 3}));
    assert_eq!(
        story(&gateway, &correlation).await.last().map(String::as_str),
        Some("succeeded by device"),
        "what bore another mark was no answer"
    );
}

#[tokio::test]
async fn a_hub_receives_for_the_devices_it_names_and_monitors_get_a_copy() {
    let (gateway, mut live) = arrange().await;
    let mut monitor = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "monitor")).await;
    monitor.subscribe("#", 1).await;
    let command = create(&gateway, json!({"name": "fill"})).await;
    assert_eq!(command["state"], "queued", "a monitor is no receiver");
    let mut hub = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "hub")).await;
    hub.subscribe(&format!("devices/{DEVICE}/commands/+"), 1).await;
    let message = hub.message().await;
    hub.puback(message.id).await;
    let id = id(&command);
    reaches(&mut live, &id, "delivered").await;
    let copy = monitor.message().await;
    assert_eq!((copy.topic, copy.payload), (message.topic, message.payload));
    let ack = format!("devices/{DEVICE}/commands/{id}/ack");
    hub.publish(&ack, br#"{"status":"succeeded"}"#, 1).await;
    reaches(&mut live, &id, "succeeded").await;
}

#[tokio::test]
async fn the_answer_of_another_device_does_not_count() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let mut other = gateway.device("pump-2").await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.take().await;
    other.answer(&id, &json!({"status": "succeeded"})).await;
    device.answer(&id, &json!({"status": "failed"})).await;
    reaches(&mut live, &id, "failed").await;
    gateway.until_metric("sluice_refused_answers_total", 1).await;
}

/// The properties of a command's PUBLISH (MQTT 5.0, section 3.3.2.3).
#[derive(Debug, Default)]
struct Properties {
    expiry_s: u32,
    content_type: String,
    response_topic: String,
    correlation: String,
}

fn read(mut bytes: &[u8]) -> Properties {
    let mut found = Properties::default();
    while let Some((kind, rest)) = bytes.split_first() {
        if *kind == 0x02 {
            let (value, rest) = rest.split_first_chunk().expect("four bytes");
            found.expiry_s = u32::from_be_bytes(*value);
            bytes = rest;
            continue;
        }
        let (length, rest) = rest.split_first_chunk().expect("a length");
        let (text, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        let text = String::from_utf8(text.to_vec()).expect("texts are UTF-8");
        match kind {
            0x03 => found.content_type = text,
            0x08 => found.response_topic = text,
            0x09 => found.correlation = text,
            other => panic!("property {other:#x} was not expected"),
        }
        bytes = rest;
    }
    found
}

#[tokio::test]
async fn what_a_receiver_never_took_has_expired_and_comes_no_more() {
    let gateway = TestGateway::with(&[("LIMITS__MQTT_INFLIGHT", "1")]).await;
    make_known(&gateway, DEVICE).await;
    let mut live = gateway.live().await;
    live.subscribe(&["commands/#"]).await;
    let mut device = Device::connect(gateway.mqtt(), DEVICE).await;
    device.peer.subscribe("news", 1).await;
    let mut other = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "other")).await;
    other.publish("news", b"something", 1).await;
    let news = device.peer.message().await;
    let command = create(&gateway, json!({"name": "fill", "timeout_ms": 300})).await;
    let expired = reaches(&mut live, &id(&command), "expired").await;
    assert_eq!(expired["error"], json!(null));
    let steps = ["queued by user:local", "sent by gateway", "expired by timer"];
    assert_eq!(story(&gateway, &id(&command)).await, steps);
    device.peer.puback(news.id).await;
    let next = create(&gateway, json!({"name": "drain"})).await;
    assert_eq!(device.command().await.id, id(&next), "the first comes no more");
}
