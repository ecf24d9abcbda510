//! The WebSocket protocol: subscriptions and their options, refusals, close codes.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tests::{Connect, Live, Peer, TestGateway, Version, is_update};
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

/// The code of the error that answers a request.
async fn refusal(live: &mut Live, request: Value) -> String {
    let reply = live.reply(request.clone()).await;
    assert_eq!(reply["type"], "error", "{request}");
    assert!(reply["message"].as_str().is_some_and(|text| !text.is_empty()));
    reply["code"].as_str().expect("an error has a code").to_owned()
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
async fn what_is_wrong_with_a_request_is_told_and_the_connection_goes_on() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    let subscribe = |options: Value| json!({"type": "subscribe", "channels": ["telemetry/#"], "options": options});
    for (request, code) in [
        (json!({"type": "dance"}), "unknown_type"),
        (json!({"no": "type"}), "unknown_type"),
        (json!({"type": 7}), "unknown_type"),
        (subscribe(json!({"mode": "newest"})), "bad_options"),
        (subscribe(json!({"speed": 1})), "bad_options"),
        (subscribe(json!({"mode": "every", "throttle": 1})), "bad_options"),
        (subscribe(json!({"throttle": 0})), "bad_options"),
        (subscribe(json!({"throttle": -1})), "bad_options"),
        (subscribe(json!({"throttle": "fast"})), "bad_options"),
        (subscribe(json!({"snapshot": 1})), "bad_options"),
        (subscribe(json!([])), "bad_options"),
        (json!({"type": "subscribe", "channels": ["a", "a/#/b"]}), "bad_filter"),
        (json!({"type": "subscribe", "channels": [""]}), "bad_filter"),
        (json!({"type": "subscribe", "channels": ["a+"]}), "bad_filter"),
        (json!({"type": "unsubscribe", "channels": ["#a"]}), "bad_filter"),
        (json!({"type": "subscribe", "channels": []}), "bad_request"),
        (json!({"type": "subscribe"}), "bad_request"),
        (json!({"type": "replay", "channel": "telemetry/#", "from": 1, "to": 2}), "bad_request"),
        (json!({"type": "replay", "channel": "telemetry/x", "from": 1, "to": 2}), "bad_range"),
        (json!({"type": "cancel", "command": "7"}), "bad_request"),
    ] {
        assert_eq!(refusal(&mut live, request.clone()).await, code, "{request}");
    }
    live.send_text(r#"{"type":"ping","id":[1]}"#).await;
    assert_eq!(live.next().await["code"], "bad_id");
    let mut peer = publisher(&gateway).await;
    measure(&mut peer, "d1", json!({"n": 1})).await;
    assert_eq!(live.settle().await, Vec::<Value>::new(), "no refused filter was granted");
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
async fn a_filter_is_bounded_as_topics_are() {
    let settings = [("LIMITS__TOPIC_BYTES", "20"), ("LIMITS__TOPIC_LEVELS", "3")];
    let gateway = TestGateway::with(&settings).await;
    let mut live = gateway.live().await;
    let longest = format!("topics/{}", "x".repeat(20));
    live.subscribe(&["topics/a/b/c", &longest]).await;
    for filter in ["topics/a/b/c/d".to_owned(), longest + "x"] {
        let request = json!({"type": "subscribe", "channels": ["a", filter]});
        assert_eq!(refusal(&mut live, request).await, "bad_filter", "{filter}");
        let (status, problem) = gateway.get(&format!("/sse?channels={filter}")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("bad_query")));
    }
}

#[tokio::test]
async fn a_connection_takes_only_so_many_filters() {
    let gateway = TestGateway::with(&[("LIMITS__WEBSOCKET_SUBSCRIPTIONS", "2")]).await;
    let mut live = gateway.live().await;
    assert_eq!(live.welcome["limits"]["subscriptions"], 2);
    live.subscribe(&["a", "b"]).await;
    live.subscribe(&["a", "b"]).await;
    let request = json!({"type": "subscribe", "channels": ["a", "c"]});
    assert_eq!(refusal(&mut live, request).await, "too_many_subscriptions");
}

#[tokio::test]
async fn frames_that_are_no_object_end_the_connection() {
    let gateway = TestGateway::start().await;
    for frame in ["", "hi", "[]", "[{}]", "7", "null", "{\"type\":\"ping\"", "{} {}"] {
        let mut live = gateway.live().await;
        live.send_text(frame).await;
        assert_eq!(live.closed().await, 4004, "{frame:?}");
    }
    let mut live = gateway.live().await;
    live.send_frame(Message::Binary(b"{}".to_vec().into())).await;
    assert_eq!(live.closed().await, 4004);
}

#[tokio::test]
async fn a_message_that_is_too_big_ends_the_connection() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    let most = live.welcome["limits"]["message_bytes"].as_u64().expect("a number");
    assert_eq!(most, 64 * 1024);
    let most = usize::try_from(most).expect("it fits");
    let filled = |bytes: usize| {
        let frame = r#"{"type":"ping","id":""}"#;
        frame.replace(r#""""#, &format!("\"{}\"", "x".repeat(bytes - frame.len())))
    };
    live.send_text(filled(most)).await;
    assert_eq!(live.next().await["type"], "pong");
    live.send_text(filled(most + 1)).await;
    assert_eq!(live.closed().await, 1009);
}

#[tokio::test]
async fn too_many_messages_end_the_connection() {
    let gateway = TestGateway::with(&[("LIMITS__WEBSOCKET_MESSAGES_PER_S", "20")]).await;
    let mut live = gateway.live().await;
    assert_eq!(live.welcome["limits"]["messages_per_s"], 20);
    let mut other = gateway.live().await;
    for _ in 0..100 {
        live.send_text(r#"{"type":"ping"}"#).await;
    }
    assert_eq!(live.closed().await, 4113);
    assert_eq!(other.reply(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let gateway = TestGateway::with(&[("LIMITS__WEBSOCKET_CONNECTIONS", "1")]).await;
    let _live = gateway.live().await;
    let request = gateway.request(reqwest::Method::GET, "/ws");
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    let request = request.header("sec-websocket-version", "13");
    let answer = request.header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==").send().await;
    assert_eq!(answer.expect("an answer").status(), 503);
}

#[tokio::test]
async fn a_client_that_closes_is_answered_with_a_close() {
    let gateway = TestGateway::start().await;
    let mut live = Live::connect(gateway.http()).await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    live.send_frame(Message::Close(Some(frame))).await;
    assert_eq!(live.closed().await, 1000);
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
