//! What devices publish, and where it goes (`docs/protocol.md`, sections 1 and 2), from outside.

use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};
use tests::{Connect, Device, Live, Peer, TestGateway, Version, until};

async fn publisher(gateway: &TestGateway, version: Version) -> Peer {
    Peer::connect(gateway.mqtt(), Connect::new(version, "by-hand")).await
}

async fn listener(gateway: &TestGateway, channels: &[&str]) -> Live {
    let mut live = gateway.live().await;
    live.subscribe(channels).await;
    live
}

#[tokio::test]
async fn every_form_of_telemetry_becomes_updates() {
    let gateway = TestGateway::start().await;
    for version in [Version::V3, Version::V5] {
        let device = format!("d-{version:?}");
        let channel = format!("telemetry/{device}");
        let mut live = listener(&gateway, &[&channel]).await;
        let mut peer = publisher(&gateway, version).await;
        let topic = format!("devices/{device}/telemetry");
        for (payload, expected) in [
            (r#"{"a":1,"b":"x"}"#, vec![(None, json!({"a": 1, "b": "x"}))]),
            (r#" { "timestamp" : 1000 , "data" : {"a":2} } "#, vec![(Some(1000), json!({"a": 2}))]),
            (
                r#"[{"timestamp":2000,"data":{"a":3}},{"a":4},{"timestamp":1500,"data":{"b":true}}]"#,
                vec![
                    (Some(2000), json!({"a": 3})),
                    (None, json!({"a": 4})),
                    (Some(1500), json!({"b": true})),
                ],
            ),
            (
                r#"{"text":"ü","none":null,"list":[1,"2"],"deep":{"x":[{}]}}"#,
                vec![(
                    None,
                    json!({"text": "ü", "none": null, "list": [1, "2"], "deep": {"x": [{}]}}),
                )],
            ),
        ] {
            peer.publish(&topic, payload.as_bytes(), 1).await;
            for (timestamp, data) in expected {
                let update = live.next().await;
                assert_eq!(update["data"], data, "{payload}");
                let told = update["timestamp"].as_i64().expect("each update has a time");
                match timestamp {
                    Some(timestamp) => assert_eq!(told, timestamp),
                    None => assert!(told > 1_700_000_000_000, "its arrival"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_batch_with_a_bad_entry_is_no_update_at_all() {
    let gateway = TestGateway::start().await;
    let mut live = listener(&gateway, &["telemetry/d", "topics/#"]).await;
    let mut peer = publisher(&gateway, Version::V5).await;
    let batch = br#"[{"a":1},{"timestamp":"late","data":{"a":2}},7]"#;
    peer.publish("devices/d/telemetry", batch, 1).await;
    peer.publish("devices/d/telemetry", br#"{"a":3}"#, 1).await;
    assert_eq!(live.next().await["channel"], "topics/devices/d/telemetry");
    let update = live.update("telemetry/d").await;
    assert_eq!((&update["seq"], &update["data"]), (&json!(1), &json!({"a": 3})));
    assert_eq!(gateway.metric("sluice_mqtt_undecodable_total").await, 1);
}

#[tokio::test]
async fn a_metric_by_itself_may_be_any_value() {
    let gateway = TestGateway::start().await;
    let mut live = listener(&gateway, &["telemetry/d"]).await;
    let mut peer = publisher(&gateway, Version::V3).await;
    for (payload, value) in [
        ("21.5", json!(21.5)),
        ("-3", json!(-3)),
        ("1e3", json!(1e3)),
        ("true", json!(true)),
        ("null", json!(null)),
        (r#""text""#, json!("text")),
        ("open", json!("open")),
        ("21,5", json!("21,5")),
        ("0x10", json!("0x10")),
        (r#"{"x":1}"#, json!({"x": 1})),
        ("[1,2]", json!([1, 2])),
    ] {
        peer.publish("devices/d/telemetry/m", payload.as_bytes(), 1).await;
        assert_eq!(live.next().await["data"], json!({"m": value}), "{payload}");
    }
}

#[tokio::test]
async fn what_is_no_payload_of_its_topic_is_counted_and_goes_to_topics_only() {
    let gateway = TestGateway::start().await;
    let mut live = listener(&gateway, &["#"]).await;
    let mut peer = publisher(&gateway, Version::V3).await;
    let wrong: [(&str, &[u8]); 9] = [
        ("telemetry", b""),
        ("telemetry", b"7"),
        ("telemetry", b"{\"a\":1} x"),
        ("telemetry", b"{\"timestamp\":true,\"data\":{\"a\":1}}"),
        ("telemetry/m", b""),
        ("telemetry/m", b"\xff\xfe"),
        ("state", b"[]"),
        ("events", b"{\"severity\":\"loud\",\"code\":\"x\",\"message\":\"y\"}"),
        ("commands/0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c/ack", b"{\"status\":\"tired\"}"),
    ];
    for (number, (below, payload)) in wrong.iter().enumerate() {
        let topic = format!("devices/d/{below}");
        peer.publish(&topic, payload, 1).await;
        let update = live.find(|message| message["channel"] == format!("topics/{topic}")).await;
        let encoding = if std::str::from_utf8(payload).is_err() { "base64" } else { "utf8" };
        let is_json = serde_json::from_slice::<Value>(payload).is_ok();
        assert_eq!(update["data"]["encoding"], if is_json { "json" } else { encoding }, "{update}");
        assert_eq!(
            gateway.metric("sluice_mqtt_undecodable_total").await,
            number as u64 + 1,
            "{topic} {payload:?}"
        );
    }
    let (_, page) = gateway.get("/api/v1/devices").await;
    assert_eq!(page["items"], json!([]), "none of it makes a device");
    // Once a minute for a device.
    assert_eq!(gateway.log().matches("a payload is not what its route says").count(), 1);
}

#[tokio::test]
async fn the_reported_state_is_retained_and_on_its_channel() {
    let gateway = TestGateway::start().await;
    let mut live = listener(&gateway, &["state/+"]).await;
    for version in [Version::V3, Version::V5] {
        let device = format!("d-{version:?}");
        let topic = format!("devices/{device}/state");
        let mut peer = Peer::connect(gateway.mqtt(), Connect::new(version, &device)).await;
        let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
        let body = [&tests::mqtt::field(topic.as_bytes())[..], properties, br#"{"mode":"eco"}"#];
        peer.send(&tests::mqtt::packet(3, 1, &body.concat())).await;
        let update = live.next().await;
        assert_eq!(update["channel"], format!("state/{device}"));
        assert_eq!(update["data"]["reported"], json!({"mode": "eco"}));
        let mut late = publisher(&gateway, version).await;
        late.subscribe(&topic, 1).await;
        let message = late.message().await;
        assert_eq!((&message.payload[..], message.retain), (&br#"{"mode":"eco"}"#[..], true));
    }
}

#[tokio::test]
async fn a_device_may_be_told_of_by_others_and_exists_from_then_on() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway, Version::V3).await;
    peer.publish("devices/zigbee:0x00:1/telemetry", br#"{"a":1}"#, 1).await;
    peer.publish("devices/not a device/telemetry", br#"{"a":1}"#, 1).await;
    peer.publish("elsewhere/telemetry", br#"{"a":1}"#, 1).await;
    let (_, page) = gateway.get("/api/v1/devices").await;
    let items = page["items"].as_array().expect("a list");
    let names: Vec<&Value> = items.iter().map(|item| &item["id"]).collect();
    assert_eq!(names, ["zigbee:0x00:1"]);
    assert_eq!(items[0]["values"], json!({"a": 1}));
}

#[tokio::test]
async fn routes_of_the_configuration_come_before_the_built_in_ones() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("sluice.toml");
    let routes = r#"
        [[routes]]
        topic = "plant/{area}/{device}/{metric}"
        channel = "telemetry/{device}"
        payload = "scalar"

        [[routes]]
        topic = "plant/{area}/{device}/{metric}"
        channel = "never/{metric}"
        payload = "json"

        [[routes]]
        topic = "weather/{place...}"
        channel = "weather/{place...}"
        payload = "json"

        [[routes]]
        topic = "notes/{who}"
        channel = "notes/{who}"
        payload = "text"

        [[routes]]
        topic = "devices/special/telemetry"
        channel = "special/raw"
        payload = "json"
    "#;
    fs::write(&file, routes).expect("a file");
    let path = file.to_str().expect("it is text");
    let gateway = TestGateway::with_flags(&[], &["--config", path]).await;
    let channels = ["telemetry/+", "weather/#", "notes/+", "special/#", "never/#"];
    let mut live = listener(&gateway, &channels).await;
    let mut peer = publisher(&gateway, Version::V3).await;
    for (topic, payload, channel, data) in [
        ("plant/hall-1/pump-7/pressure", "2.4", "telemetry/pump-7", json!({"pressure": 2.4})),
        ("weather/at/vienna", "[1]", "weather/at/vienna", json!([1])),
        ("weather/x", r#"{"sun":true}"#, "weather/x", json!({"sun": true})),
        ("notes/me", "12", "notes/me", json!("12")),
        ("devices/special/telemetry", r#"{"a":1}"#, "special/raw", json!({"a": 1})),
        ("devices/other/telemetry", r#"{"a":2}"#, "telemetry/other", json!({"a": 2})),
    ] {
        peer.publish(topic, payload.as_bytes(), 1).await;
        let update = live.next().await;
        assert_eq!((&update["channel"], &update["data"]), (&json!(channel), &data), "{topic}");
    }
}

#[tokio::test]
async fn a_command_goes_to_the_device_itself_as_soon_as_it_listens() {
    let gateway = TestGateway::start().await;
    let create = async || {
        let path = "/api/v1/devices/pump-1/commands";
        let (_, command) = gateway.post(path, &json!({"name": "fill"})).await;
        command["id"].as_str().expect("it has an id").to_owned()
    };
    let mut hub = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "hub")).await;
    hub.subscribe("devices/pump-1/commands/+", 1).await;
    let state = async |id: &str| gateway.get(&format!("/api/v1/commands/{id}")).await.1;
    // The device is there, but does not listen: the hub that names it does.
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "pump-1")).await;
    peer.publish("devices/pump-1/telemetry", br#"{"a":1}"#, 1).await;
    let first = create().await;
    let message = hub.message().await;
    assert!(message.topic.ends_with(&first));
    hub.puback(message.id).await;
    let ack = format!("devices/pump-1/commands/{first}/ack");
    hub.publish(&ack, br#"{"status":"executed"}"#, 1).await;
    until("the end", async || state(&first).await["state"] == "succeeded").await;
    peer.disconnect().await;

    let mut device = Device::connect(gateway.mqtt(), "pump-1").await;
    let second = create().await;
    assert_eq!(device.take().await.id, second);
    until("delivery", async || state(&second).await["state"] == "delivered").await;
    // A command is retained for nobody, and one of another device's names is not its own.
    let mut late = publisher(&gateway, Version::V3).await;
    late.subscribe("devices/+/commands/#", 1).await;
    late.settle().await;
    assert!(late.waiting().is_empty());
    device.answer(&second, &json!({"status": "rejected", "error": {"code": "busy"}})).await;
    until("the end", async || state(&second).await["state"] == "rejected").await;
}

#[tokio::test]
async fn the_figures_have_mosquittos_names() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway, Version::V3).await;
    peer.publish("a", b"12345", 1).await;
    peer.subscribe("$SYS/#", 0).await;
    let names = [
        "bytes/received",
        "bytes/sent",
        "clients/connected",
        "clients/disconnected",
        "clients/maximum",
        "clients/total",
        "load/bytes/received/1min",
        "load/connections/5min",
        "load/messages/sent/15min",
        "messages/received",
        "messages/sent",
        "messages/stored",
        "publish/bytes/received",
        "publish/messages/dropped",
        "publish/messages/received",
        "publish/messages/sent",
        "retained messages/count",
        "store/messages/bytes",
        "store/messages/count",
        "subscriptions/count",
        "uptime",
        "version",
    ];
    peer.settle().await;
    let came: BTreeMap<String, String> = peer
        .waiting()
        .iter()
        .map(|packet| packet.message(Version::V3))
        .map(|message| (message.topic, String::from_utf8(message.payload).expect("text")))
        .collect();
    for name in names {
        assert!(came.contains_key(&format!("$SYS/broker/{name}")), "{name} is not in {came:?}");
    }
    assert_eq!(came["$SYS/broker/clients/connected"], "1");
    assert_eq!(came["$SYS/broker/publish/messages/received"], "1");
    assert_eq!(came["$SYS/broker/publish/bytes/received"], "5");
    assert!(came["$SYS/broker/uptime"].ends_with(" seconds"));
}
