//! The life of a command, through HTTP and WebSocket, with a device whose answers the test decides.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    Connect, Device, Live, Message, Peer, TestGateway, Version,
    mqtt::{PUBLISH, field, packet},
};

const DEVICE: &str = "pump-1";

/// The kind of a PUBACK (MQTT 5.0, section 2.1.2).
const PUBACK: u8 = 4;

/// A gateway that knows the device, and a client that follows its commands.
async fn arrange() -> (TestGateway, Live) {
    let gateway = TestGateway::start().await;
    make_known(&gateway).await;
    let mut live = gateway.live().await;
    live.subscribe(&["commands/#"]).await;
    (gateway, live)
}

async fn make_known(gateway: &TestGateway) {
    let put = gateway.request(Method::PUT, &format!("/api/v1/devices/{DEVICE}")).json(&json!({}));
    assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
}

/// Creates a command and gives it as it was accepted.
async fn create(gateway: &TestGateway, body: Value) -> Value {
    let (status, command) =
        gateway.post(&format!("/api/v1/devices/{DEVICE}/commands"), &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{command}");
    command
}

fn id(command: &Value) -> String {
    command["id"].as_str().expect("a command has an id").to_owned()
}

async fn cancel(gateway: &TestGateway, id: &str) -> (StatusCode, Value) {
    gateway.post(&format!("/api/v1/commands/{id}/cancel"), &json!({})).await
}

/// The command when it comes to a state, as its channel tells.
async fn reaches(live: &mut Live, id: &str, state: &str) -> Value {
    let is = |message: &Value| message["data"]["id"] == id && message["data"]["state"] == state;
    live.find(is).await["data"].take()
}

/// Each step it took: the state and who made it so.
async fn story(gateway: &TestGateway, id: &str) -> Vec<String> {
    let (_, command) = gateway.get(&format!("/api/v1/commands/{id}")).await;
    let steps = command["transitions"].as_array().expect("a command alone has its story");
    let text = |step: &Value, key: &str| step[key].as_str().expect("a text").to_owned();
    steps.iter().map(|step| format!("{} by {}", text(step, "state"), text(step, "by"))).collect()
}

#[tokio::test]
async fn a_command_waits_for_its_device_and_goes_through_its_whole_life() {
    let (gateway, mut live) = arrange().await;
    let body = json!({"name": "set_speed", "params": {"rpm": 900}, "timeout_ms": 20_000});
    let command = create(&gateway, body).await;
    let id = id(&command);
    assert_eq!((&command["state"], &command["attempt"]), (&json!("queued"), &json!(0)));
    reaches(&mut live, &id, "queued").await;

    let mut device = gateway.device(DEVICE).await;
    let order = device.command().await;
    let sent = reaches(&mut live, &id, "sent").await;
    assert_eq!(
        order.order,
        json!({
            "id": id, "name": "set_speed", "params": {"rpm": 900}, "attempt": 1,
            "issued_at": command["created_at"], "not_after": sent["finish_by"],
            "timeout_ms": 20_000,
        })
    );
    device.peer.puback(order.message.id).await;
    reaches(&mut live, &id, "delivered").await;
    device.answer(&id, &json!({"status": "started", "attempt": 1})).await;
    reaches(&mut live, &id, "started").await;
    device.answer(&id, &json!({"status": "progress", "progress": 40})).await;
    assert_eq!(reaches(&mut live, &id, "started").await["progress"], 40.0);
    device.answer(&id, &json!({"status": "succeeded", "result": {"rpm": 899}})).await;
    let ended = reaches(&mut live, &id, "succeeded").await;
    assert_eq!((&ended["result"], &ended["late"]), (&json!({"rpm": 899}), &json!(false)));
    assert_eq!(
        story(&gateway, &id).await,
        [
            "queued by user:local",
            "sent by gateway",
            "delivered by device",
            "started by device",
            "succeeded by device",
        ]
    );
}

#[tokio::test]
async fn a_device_may_fail_reject_and_skip_stages() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let why = json!({"code": "dry", "message": "no water"});
    for (answer, state) in [
        (json!({"status": "failed", "error": why}), "failed"),
        (json!({"status": "rejected", "error": why}), "rejected"),
        (json!({"status": "succeeded"}), "succeeded"),
        (json!({"status": "executed"}), "succeeded"),
    ] {
        let id = id(&create(&gateway, json!({"name": "fill"})).await);
        assert_eq!(device.take().await.id, id);
        device.answer(&id, &answer).await;
        let ended = reaches(&mut live, &id, state).await;
        assert_eq!(ended["error"], answer.get("error").cloned().unwrap_or(Value::Null));
    }
}

#[tokio::test]
async fn received_is_as_good_as_a_puback() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.command().await;
    device.answer(&id, &json!({"status": "received"})).await;
    reaches(&mut live, &id, "delivered").await;
}

#[tokio::test]
async fn a_command_without_an_answer_times_out_and_one_late_answer_settles_it() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill", "timeout_ms": 100})).await);
    device.take().await;
    assert_eq!(reaches(&mut live, &id, "timed_out").await["late"], false);
    device.answer(&id, &json!({"status": "failed", "error": {"code": "dry", "message": ""}})).await;
    assert_eq!(reaches(&mut live, &id, "failed").await["late"], true);
    device.answer(&id, &json!({"status": "succeeded"})).await;
    let (_, command) = gateway.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!((&command["state"], &command["late"]), (&json!("failed"), &json!(true)));
    let last = story(&gateway, &id).await;
    assert_eq!(last[last.len() - 2..], ["failed by device", "failed by device"], "kept as a note");
}

#[tokio::test]
async fn a_command_that_is_never_sent_expires() {
    let (gateway, mut live) = arrange().await;
    let command = create(&gateway, json!({"name": "fill", "ttl_ms": 100})).await;
    assert_eq!(command["state"], "queued");
    assert_eq!(reaches(&mut live, &id(&command), "expired").await["attempt"], 0);
    assert_eq!(story(&gateway, &id(&command)).await.last().expect("a step"), "expired by timer");
}

#[tokio::test]
async fn without_time_to_wait_a_command_is_sent_at_once_or_expires_at_once() {
    let (gateway, mut live) = arrange().await;
    let now_or_never = json!({"name": "fill", "ttl_ms": 0});
    assert_eq!(create(&gateway, now_or_never.clone()).await["state"], "expired");
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, now_or_never).await);
    assert_eq!(device.take().await.id, id);
    reaches(&mut live, &id, "delivered").await;
}

#[tokio::test]
async fn before_it_is_sent_a_command_is_cancelled_at_once() {
    let (gateway, mut live) = arrange().await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    let (status, command) = cancel(&gateway, &id).await;
    assert_eq!((status, &command["state"]), (StatusCode::OK, &json!("cancelled")));
    reaches(&mut live, &id, "cancelled").await;
    let (status, problem) = cancel(&gateway, &id).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already_final")));
    let (status, problem) = cancel(&gateway, "01890000-0000-7000-8000-000000000000").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown_command")));
}

#[tokio::test]
async fn once_it_is_sent_the_device_decides_whether_it_is_cancelled() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.take().await;
    reaches(&mut live, &id, "delivered").await;

    let (status, command) = cancel(&gateway, &id).await;
    assert_eq!((status, &command["state"]), (StatusCode::OK, &json!("cancelling")));
    assert_eq!(device.cancel().await, id);
    device.answer(&id, &json!({"status": "not_cancelled"})).await;
    reaches(&mut live, &id, "delivered").await;

    cancel(&gateway, &id).await;
    assert_eq!(device.cancel().await, id);
    device.answer(&id, &json!({"status": "cancelled"})).await;
    reaches(&mut live, &id, "cancelled").await;
}

#[tokio::test]
async fn a_device_that_listens_to_no_cancel_cannot_be_asked() {
    let (gateway, _live) = arrange().await;
    let connect = Connect::new(Version::V3, DEVICE);
    let mut device = Device::connect_as(gateway.mqtt(), connect, "commands/+").await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.take().await;
    let (status, problem) = cancel(&gateway, &id).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("device_cannot_cancel")));
}

#[tokio::test]
async fn commands_come_one_at_a_time_by_priority_and_then_in_their_order() {
    let (gateway, mut live) = arrange().await;
    for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5)] {
        create(&gateway, json!({"name": name, "priority": priority})).await;
    }
    let mut device = gateway.device(DEVICE).await;
    let mut order = Vec::new();
    for _ in 0..5 {
        let command = device.take().await;
        order.push(command.order["name"].as_str().expect("a name").to_owned());
        reaches(&mut live, &command.id, "delivered").await;
        let (_, underway) = gateway.get("/api/v1/commands?state=delivered").await;
        assert_eq!(underway["items"].as_array().expect("a list").len(), 1);
        device.answer(&command.id, &json!({"status": "succeeded"})).await;
    }
    assert_eq!(order, ["b", "e", "a", "c", "d"]);
}

#[tokio::test]
async fn a_newer_command_takes_the_place_of_a_queued_one() {
    let (gateway, mut live) = arrange().await;
    let old = id(&create(&gateway, json!({"name": "set", "supersede": "speed"})).await);
    let other = id(&create(&gateway, json!({"name": "other", "supersede": "light"})).await);
    let new = id(&create(&gateway, json!({"name": "set", "supersede": "speed"})).await);
    reaches(&mut live, &old, "superseded").await;
    let mut device = gateway.device(DEVICE).await;
    for expected in [other, new] {
        assert_eq!(device.take().await.id, expected);
        device.answer(&expected, &json!({"status": "succeeded"})).await;
    }
}

#[tokio::test]
async fn a_scheduled_command_waits_for_its_time() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let now = live.reply(json!({"type": "ping"})).await["server_time"].as_i64().expect("a time");
    let command = create(&gateway, json!({"name": "fill", "not_before": now + 300})).await;
    assert_eq!(command["state"], "scheduled");
    let order = device.take().await;
    reaches(&mut live, &order.id, "queued").await;
    let (_, details) = gateway.get(&format!("/api/v1/commands/{}", order.id)).await;
    assert!(details["transitions"][1]["at"].as_i64().expect("a time") >= now + 300, "{details}");
}

#[tokio::test]
async fn a_command_is_sent_again_only_while_no_puback_came() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    assert_eq!(device.command().await.order["attempt"], 1);
    drop(device);
    let mut device = gateway.device(DEVICE).await;
    let again = device.command().await;
    assert_eq!((&again.id, &again.order["attempt"]), (&id, &json!(2)));
    device.peer.puback(again.message.id).await;
    reaches(&mut live, &id, "delivered").await;
    drop(device);

    let mut device = gateway.device(DEVICE).await;
    let next = create(&gateway, json!({"name": "next", "priority": 9})).await;
    device.answer(&id, &json!({"status": "succeeded", "attempt": 2})).await;
    assert_eq!(device.take().await.id, next["id"], "what was acknowledged does not come again");
}

#[tokio::test]
async fn an_idempotent_command_is_sent_again_though_its_puback_came() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill", "idempotent": true})).await);
    device.take().await;
    reaches(&mut live, &id, "delivered").await;
    drop(device);
    let mut device = gateway.device(DEVICE).await;
    let again = device.take().await;
    assert_eq!((again.id, &again.order["attempt"]), (id, &json!(2)));
}

#[tokio::test]
async fn an_answer_to_an_older_attempt_settles_the_command_but_its_progress_is_a_note() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.command().await;
    drop(device);
    let mut device = gateway.device(DEVICE).await;
    device.command().await;
    device.answer(&id, &json!({"status": "progress", "progress": 10, "attempt": 1})).await;
    let (_, command) = gateway.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!((&command["state"], &command["progress"]), (&json!("sent"), &Value::Null));
    device.answer(&id, &json!({"status": "succeeded", "attempt": 1})).await;
    reaches(&mut live, &id, "succeeded").await;
}

#[tokio::test]
async fn progress_renews_the_time_where_it_may() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    for extends in [true, false] {
        let body = json!({"name": "fill", "progress_extends": extends});
        let id = id(&create(&gateway, body).await);
        let before = device.take().await.order["not_after"].as_i64().expect("a time");
        let mut after = before;
        // The clock has whole milliseconds: the first answers may come within the same one.
        for progress in 1..=50 {
            device.answer(&id, &json!({"status": "progress", "progress": progress})).await;
            let told = reaches(&mut live, &id, "started").await;
            after = told["finish_by"].as_i64().expect("it was sent");
        }
        assert_eq!(after > before, extends, "{before} became {after}");
        device.answer(&id, &json!({"status": "succeeded"})).await;
    }
}

#[tokio::test]
async fn a_caller_may_wait_for_the_end() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let body = json!({"name": "fill"});
    let post = gateway.request(Method::POST, &path).header("prefer", "wait=20").json(&body).send();
    let device_works = async {
        let id = device.take().await.id;
        device.answer(&id, &json!({"status": "succeeded", "result": 7})).await;
    };
    let (answer, ()) = tokio::join!(post, device_works);
    let answer = answer.expect("an answer");
    assert_eq!(
        (answer.status(), &answer.headers()["preference-applied"]),
        (StatusCode::OK, &"wait=20".parse().expect("a header"))
    );
    let command: Value = answer.json().await.expect("a command");
    assert_eq!((&command["state"], &command["result"]), (&json!("succeeded"), &json!(7)));

    let post = gateway.request(Method::POST, &path).header("prefer", "wait=0").json(&body).send();
    let answer = post.await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let open: Value = answer.json().await.expect("a command");
    let open = id(&open);
    assert_eq!(device.take().await.id, open);
    device.answer(&open, &json!({"status": "succeeded"})).await;
    reaches(&mut live, &open, "succeeded").await;
}

#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let body = json!({"name": "fill"});
    let post = gateway.request(Method::POST, &path).header("prefer", "wait=60").json(&body).send();
    let id = tokio::select! {
        answer = post => panic!("answered before the end: {answer:?}"),
        command = device.take() => command.id,
    };
    device.answer(&id, &json!({"status": "succeeded"})).await;
    reaches(&mut live, &id, "succeeded").await;
}

#[tokio::test]
async fn a_websocket_commands_and_cancels_too() {
    let (gateway, mut live) = arrange().await;
    let ask = json!({"type": "command", "device": DEVICE, "name": "fill", "params": {"l": 3}});
    let answer = live.reply(ask).await;
    assert_eq!(answer["type"], "ok");
    let id = id(&answer["command"]);
    let mut device = gateway.device(DEVICE).await;
    let order = device.take().await;
    assert_eq!((&order.id, &order.order["params"]), (&id, &json!({"l": 3})));
    reaches(&mut live, &id, "delivered").await;
    let answer = live.reply(json!({"type": "cancel", "command": id})).await;
    assert_eq!(
        (&answer["type"], &answer["command"]["state"]),
        (&json!("ok"), &json!("cancelling"))
    );
    assert_eq!(device.cancel().await, id);
    device.answer(&id, &json!({"status": "cancelled"})).await;
    reaches(&mut live, &id, "cancelled").await;
    for (ask, code) in [
        (json!({"type": "cancel", "command": id}), "already_final"),
        (json!({"type": "command", "device": "nobody", "name": "fill"}), "unknown_device"),
        (json!({"type": "command", "device": DEVICE, "name": ""}), "bad_request"),
        (json!({"type": "command", "device": DEVICE}), "bad_request"),
    ] {
        let refused = live.reply(ask).await;
        assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!(code)));
    }
}

#[tokio::test]
async fn a_device_takes_only_so_many_open_commands() {
    let gateway = TestGateway::with(&[("LIMITS__COMMANDS_PER_DEVICE", "2")]).await;
    make_known(&gateway).await;
    for _ in 0..2 {
        create(&gateway, json!({"name": "fill"})).await;
    }
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let (status, problem) = gateway.post(&path, &json!({"name": "fill"})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_commands"))
    );
}

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
