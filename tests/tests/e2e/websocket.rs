//! The WebSocket protocol: subscriptions and their options.

mod refusals;

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tests::{Connect, Live, Peer, TestGateway, Version, is_update, until};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

async fn publisher(gateway: &TestGateway) -> Peer {
    Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await
}

async fn measure(peer: &mut Peer, device: &str, metrics: Value) {
    let topic = format!("devices/{device}/telemetry");
    peer.publish(&topic, metrics.to_string().as_bytes(), 1).await;
}

#[tokio::test]
async fn a_subscriber_gets_exactly_what_was_published_in_order() {
    const DEVICES: usize = 5;
    const EACH: usize = 200;
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/+"]).await;
    let mut peer = publisher(&gateway).await;
    for number in 1..=EACH {
        for device in 0..DEVICES {
            let topic = format!("devices/d{device}/telemetry");
            let metrics = json!({"n": number, "text": "ä\"\\\n", "x": [1.5, null, {"a": true}]});
            peer.publish(&topic, metrics.to_string().as_bytes(), 0).await;
        }
    }
    let mut last_offset = live.welcome["offset"].as_u64().expect("a number");
    let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..EACH * DEVICES {
        let update = live.next().await;
        let offset = update["offset"].as_u64().expect("an update has an offset");
        assert!(offset > last_offset, "offsets grow");
        last_offset = offset;
        let number = numbers.entry(update["channel"].to_string()).or_default();
        *number += 1;
        let text = json!({"n": number, "text": "ä\"\\\n", "x": [1.5, null, {"a": true}]});
        assert_eq!((&update["seq"], &update["data"]), (&json!(number), &text));
    }
    assert_eq!(live.settle().await, Vec::<Value>::new(), "and nothing more");
}

#[tokio::test]
async fn the_value_comes_first_and_is_the_newest_of_each_metric() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    measure(&mut peer, "d1", json!({"a": 1, "b": 1})).await;
    measure(&mut peer, "d1", json!({"b": 2})).await;
    let mut live = gateway.live().await;
    let answer = live.subscribe(&["telemetry/d1", "telemetry/none"]).await;
    let kinds: Vec<_> = answer.iter().map(|message| message.get("type")).collect();
    assert_eq!(kinds, [Some(&json!("subscribed")), None, Some(&json!("live"))]);
    let value = &answer[1];
    assert_eq!((&value["snapshot"], &value["seq"]), (&json!(true), &json!(2)));
    assert_eq!(value["data"], json!({"a": 1, "b": 2}));
    let answer = live.subscribe_with(&["telemetry/d1"], json!({"snapshot": false})).await;
    assert_eq!(answer.len(), 2, "{answer:?}");
}

#[tokio::test]
async fn a_batch_is_one_update_an_entry_with_the_devices_own_times() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/d1"]).await;
    let mut peer = publisher(&gateway).await;
    let batch =
        json!([{"timestamp": 1000, "data": {"a": 1}}, {"timestamp": 2000, "data": {"a": 2}}]);
    measure(&mut peer, "d1", batch).await;
    for (seq, timestamp) in [(1, 1000), (2, 2000)] {
        let update = live.next().await;
        assert_eq!((&update["seq"], &update["timestamp"]), (&json!(seq), &json!(timestamp)));
        assert_eq!(update["data"], json!({ "a": seq }));
    }
}

#[tokio::test]
async fn what_does_not_decode_goes_to_topics_only() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#", "topics/#"]).await;
    let mut peer = publisher(&gateway).await;
    peer.publish("devices/d1/telemetry", b"no JSON", 0).await;
    peer.publish("devices/d1/telemetry", b"\xff\x00", 0).await;
    measure(&mut peer, "d1", json!({"a": 1})).await;
    let told: Vec<_> = live.through(|message| is_update(message, "telemetry/d1")).await;
    let encodings: Vec<_> = told.iter().map(|message| message["data"].get("encoding")).collect();
    assert!(encodings.starts_with(&[Some(&json!("utf8")), Some(&json!("base64"))]), "{told:?}");
    assert_eq!(told.last().expect("not empty")["seq"], 1);
    assert_eq!(gateway.metric("sluice_mqtt_undecodable_total").await, 2);
}

#[tokio::test]
async fn what_is_gathered_leaves_when_nobody_speaks_any_more() {
    const FLUSH: Duration = Duration::from_secs(10);
    let flush_ms = FLUSH.as_millis().to_string();
    let gateway = TestGateway::with(&[("HTTP__FLUSH_MS", &flush_ms)]).await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/d"]).await;
    let mut peer = publisher(&gateway).await;
    // So many that from here on live values are gathered.
    let burst = (1..=200).map(|number| json!({"n": number})).collect();
    measure(&mut peer, "d", Value::Array(burst)).await;
    live.find(|message| message["data"]["n"] == 200).await;
    let began = Instant::now();
    measure(&mut peer, "d", json!({"n": 201})).await;
    live.find(|message| message["data"]["n"] == 201).await;
    assert!(began.elapsed() < FLUSH / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn latest_ends_with_the_newest_values_of_every_metric() {
    const COUNT: u64 = 2_000;
    for options in [
        json!({"mode": "latest"}),
        json!({"throttle": 5}),
        json!({"mode": "latest", "throttle": 50}),
    ] {
        let gateway = TestGateway::start().await;
        let mut live = gateway.live().await;
        live.subscribe_with(&["telemetry/#"], options.clone()).await;
        let mut peer = publisher(&gateway).await;
        for number in 1..=COUNT {
            let metrics =
                if number % 2 == 0 { json!({"even": number}) } else { json!({"odd": number}) };
            let payload = metrics.to_string();
            peer.publish("devices/d1/telemetry", payload.as_bytes(), 0).await;
        }
        let mut merged = serde_json::Map::new();
        let (mut updates, mut last) = (0, 0);
        while last < COUNT {
            let update = live.update("telemetry/d1").await;
            let seq = update["seq"].as_u64().expect("a number");
            assert!(seq > last, "{seq} after {last}");
            last = seq;
            updates += 1;
            merged.extend(update["data"].as_object().expect("metrics").clone());
        }
        assert_eq!(Value::Object(merged), json!({"even": COUNT, "odd": COUNT - 1}), "{options}");
        assert!(updates < COUNT, "{updates} updates with {options}");
    }
}

#[tokio::test]
async fn what_must_come_whole_is_never_merged() {
    const COUNT: usize = 50;
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("d1").await;
    let mut live = gateway.live().await;
    live.subscribe_with(&["#"], json!({"throttle": 0.1, "snapshot": false})).await;
    for _ in 0..COUNT {
        let path = "/api/v1/devices/d1/commands";
        let (_, command) = gateway.post(path, &json!({"name": "fill"})).await;
        let order = device.take().await;
        assert_eq!(order.id, command["id"]);
        device.answer(&order.id, &json!({"status": "succeeded"})).await;
    }
    for seq in 1..=COUNT * 4 {
        assert_eq!(live.update("commands/d1").await["seq"], seq);
    }
}

#[tokio::test]
async fn what_several_subscriptions_match_comes_once_by_the_one_that_gives_most() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe_with(&["telemetry/#"], json!({"throttle": 0.1})).await;
    live.subscribe(&["telemetry/d1", "telemetry/+"]).await;
    let mut peer = publisher(&gateway).await;
    for number in 1..=20 {
        measure(&mut peer, "d1", json!({ "n": number })).await;
        assert_eq!(live.next().await["seq"], number);
    }
}

#[tokio::test]
async fn what_is_live_comes_while_an_answer_waits_for_the_store() {
    const TRIES: u64 = 10;
    let mut gateway = TestGateway::start().await;
    // Where the machine is slow, the store gives up before the update is here.
    gateway.expect_error("database is locked");
    let mut live = gateway.live().await;
    let mut peer = publisher(&gateway).await;
    measure(&mut peer, "d1", json!({"n": 0})).await;
    live.subscribe(&["telemetry/d1"]).await;
    let file = gateway.data_dir().join("sluice.db");
    for number in 1..=TRIES {
        let database = rusqlite::Connection::open(&file).expect("the gateway's database");
        database.execute_batch("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE").expect("a moment");
        let asked = live.ask(json!({"type": "command", "device": "d1", "name": "go"})).await;
        let reading = json!({ "n": number }).to_string();
        peer.publish("devices/d1/telemetry", reading.as_bytes(), 0).await;
        assert_eq!(live.update("telemetry/d1").await["data"]["n"], number);
        database.execute_batch("ROLLBACK").expect("it is ours");
        if live.find(|message| message["id"] == asked).await["type"] == "ok" {
            return;
        }
        until("the store keeps again", async || gateway.get_text("/readyz").await.0.is_success())
            .await;
    }
    panic!("each update came only when the store had given the command up");
}

#[tokio::test]
async fn after_unsubscribe_nothing_comes() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/d1", "telemetry/d2"]).await;
    let mut peer = publisher(&gateway).await;
    measure(&mut peer, "d1", json!({"n": 1})).await;
    live.update("telemetry/d1").await;
    let request = json!({"type": "unsubscribe", "channels": ["telemetry/d1"]});
    let reply = live.reply(request).await;
    assert_eq!(
        (&reply["type"], &reply["channels"]),
        (&json!("unsubscribed"), &json!(["telemetry/d1"]))
    );
    measure(&mut peer, "d1", json!({"n": 2})).await;
    measure(&mut peer, "d2", json!({"n": 1})).await;
    assert_eq!(live.next().await["channel"], "telemetry/d2");
    let value = live.subscribe(&["telemetry/d1"]).await;
    assert_eq!(value[1]["seq"], 2, "it comes back to the value");
}

#[tokio::test]
async fn a_filter_that_is_subscribed_takes_the_new_options() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe_with(&["telemetry/#"], json!({"throttle": 0.01})).await;
    live.subscribe(&["telemetry/#"]).await;
    let mut peer = publisher(&gateway).await;
    for number in 1..=5 {
        measure(&mut peer, "d1", json!({ "n": number })).await;
        assert_eq!(live.next().await["seq"], number);
    }
}

#[tokio::test]
async fn topics_are_told_while_somebody_listens() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    let mut peer = publisher(&gateway).await;
    peer.publish("plain/a", b"unheard", 1).await;
    live.subscribe(&["topics/plain/#"]).await;
    peer.publish("plain/a", b"heard", 1).await;
    let update = live.next().await;
    assert_eq!(
        (&update["channel"], &update["data"]["payload"]),
        (&json!("topics/plain/a"), &json!("heard"))
    );
    assert!(update.get("snapshot").is_none(), "topics have no history");
}

#[tokio::test]
async fn topics_have_what_the_gateway_says_itself_too() {
    let gateway = TestGateway::start().await;
    let device = gateway.device("pump-1").await;
    let mut live = gateway.live().await;
    live.subscribe(&["topics/devices/#"]).await;
    let path = "/api/v1/devices/pump-1/commands";
    let (_, command) = gateway.post(path, &json!({"name": "fill"})).await;
    let id = command["id"].as_str().expect("a text");
    let sent = live.next().await;
    assert_eq!(sent["channel"], format!("topics/devices/pump-1/commands/{id}"));
    assert_eq!((&sent["data"]["payload"]["id"], &sent["data"]["qos"]), (&json!(id), &json!(1)));
    let desired = gateway.request(reqwest::Method::PUT, "/api/v1/devices/pump-1/desired");
    desired.json(&json!({"level": 3})).send().await.expect("an answer");
    let sent = live.next().await;
    assert_eq!(sent["channel"], "topics/devices/pump-1/desired");
    let told = json!({"payload": {"version": 1, "desired": {"level": 3}}, "encoding": "json", "qos": 1, "retain": true});
    assert_eq!(sent["data"], told);
    drop(device);
}

#[tokio::test]
async fn the_gateway_tells_its_figures_every_second() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["gateway/stats"]).await;
    let first = live.update("gateway/stats").await["seq"].as_u64().expect("a number");
    let next = live.update("gateway/stats").await;
    assert_eq!(
        (&next["seq"], &next["data"]["websocket_connections"]),
        (&json!(first + 1), &json!(1))
    );
}

#[tokio::test]
async fn a_request_keeps_its_own_mark() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    for id in [json!(0), json!(-7), json!(1.5), json!("ä text"), json!(9_007_199_254_740_993_u64)]
    {
        live.send_text(json!({"type": "ping", "id": id, "unknown": "ignored"}).to_string()).await;
        assert_eq!(live.next().await["id"], id);
    }
}

#[tokio::test]
async fn what_is_not_asked_for_may_be_as_deep_as_it_likes() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    live.send_text(format!(r#"{{"type":"ping","id":1,"unknown":{deep}}}"#)).await;
    assert_eq!(live.next().await["type"], "pong");
    live.send_text(format!(r#"{{"type":"hello","id":2,"token":{deep}}}"#)).await;
    assert_eq!(live.next().await["code"], "bad_request");
}

#[tokio::test]
async fn who_makes_the_gateway_work_long_rests_and_is_answered_all_the_same() {
    let gateway = TestGateway::start().await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "many")).await;
    for device in 0..1_000 {
        peer.publish(&format!("devices/d{device}/telemetry"), b"{}", 0).await;
    }
    peer.publish("devices/last/telemetry", b"{}", 1).await;
    let mut live = gateway.live().await;
    live.subscribe_with(&["#"], json!({"snapshot": false})).await;
    assert_eq!(live.reply(json!({"type": "ping"})).await["type"], "pong");
    assert!(gateway.metric("sluice_websocket_rests_total").await >= 1);
}
