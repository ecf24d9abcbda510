//! Devices that know only their own topics, by the mappings in `config/`. The exchanges are written after the public
//! documentation that each of these files names.

use crate::orders::{self, id, reaches};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{Connect, Live, Message, Peer, TestGateway, Version};

/// A gateway with one of the files in `config/`, and a client that follows commands and presence.
async fn arrange(file: &str) -> (TestGateway, Live) {
    let path = format!("{}/../config/{file}", env!("CARGO_MANIFEST_DIR"));
    let gateway = TestGateway::with_flags(&[], &["--config", &path]).await;
    let mut live = gateway.live().await;
    live.subscribe(&["commands/#", "presence/#"]).await;
    (gateway, live)
}

/// A client of MQTT 3.1.1 with one subscription.
async fn client(gateway: &TestGateway, id: &str, filter: &str, qos: u8) -> Peer {
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, id)).await;
    assert_eq!(peer.subscribe(filter, qos).await, qos);
    peer
}

async fn say(peer: &mut Peer, topic: &str, payload: &Value) {
    let text = payload.as_str().map_or_else(|| payload.to_string(), str::to_owned);
    peer.publish(topic, text.as_bytes(), 1).await;
}

async fn create(gateway: &TestGateway, device: &str, body: Value) -> String {
    id(&orders::create(gateway, device, body).await)
}

/// The next message that comes down, acknowledged where it wants that. What a hub itself said comes back to it.
async fn down(peer: &mut Peer) -> (String, String) {
    loop {
        let Message { topic, payload, qos, id, .. } = peer.message().await;
        if qos > 0 {
            peer.puback(id).await;
        }
        let goes_down = ["/set", "/request/", "cmnd/", "/rpc"];
        if goes_down.iter().any(|part| topic.contains(part)) {
            return (topic, String::from_utf8(payload.clone()).expect("a text"));
        }
    }
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

async fn comes(live: &mut Live, device: &str, status: &str) -> Value {
    let channel = format!("presence/{device}");
    let is = |message: &Value| message["channel"] == channel && message["data"]["status"] == status;
    live.find(is).await["data"].take()
}

async fn state(gateway: &TestGateway, id: &str) -> Value {
    gateway.get(&format!("/api/v1/commands/{id}")).await.1["state"].take()
}

#[tokio::test]
async fn a_lamp_behind_zigbee2mqtt_is_set_and_its_state_is_the_answer() {
    let (gateway, mut live) = arrange("zigbee2mqtt.toml").await;
    let mut hub = client(&gateway, "mqttjs_1a2b3c4d", "zigbee2mqtt/#", 0).await;
    say(&mut hub, "zigbee2mqtt/bridge/state", &json!({"state": "online"})).await;
    say(&mut hub, "zigbee2mqtt/lamp", &json!({"state": "OFF", "brightness": 10})).await;
    say(&mut hub, "zigbee2mqtt/lamp/availability", &json!({"state": "online"})).await;
    comes(&mut live, "lamp", "online").await;
    let (_, device) = gateway.get("/api/v1/devices/lamp").await;
    assert_eq!((&device["type"], &device["values"]["brightness"]), (&json!("zigbee"), &json!(10)));

    let params = json!({"state": "ON", "brightness": 215, "transition": 2});
    let id = create(&gateway, "lamp", json!({"name": "set", "params": params})).await;
    let (topic, payload) = down(&mut hub).await;
    assert_eq!((topic.as_str(), read(&payload)), ("zigbee2mqtt/lamp/set", params));
    // What it reports of itself meanwhile is not the answer.
    say(&mut hub, "zigbee2mqtt/lamp", &json!({"state": "OFF", "linkquality": 90})).await;
    say(&mut hub, "zigbee2mqtt/lamp", &json!({"state": "ON", "brightness": 215})).await;
    let ended = reaches(&mut live, &id, "succeeded").await;
    assert_eq!(ended["result"], json!({"state": "ON", "brightness": 215}));

    say(&mut hub, "zigbee2mqtt/lamp/availability", &json!({"state": "offline"})).await;
    assert_eq!(comes(&mut live, "lamp", "offline").await["reason"], "connection_lost");
}

#[tokio::test]
async fn requests_to_zigbee2mqtt_are_answered_by_their_transaction() {
    let (gateway, mut live) = arrange("zigbee2mqtt.toml").await;
    let mut hub = client(&gateway, "mqttjs_1a2b3c4d", "zigbee2mqtt/#", 0).await;
    for name in ["lamp", "plug"] {
        say(&mut hub, &format!("zigbee2mqtt/{name}"), &json!({"state": "ON"})).await;
    }
    let lamp = create(&gateway, "lamp", json!({"name": "ota_check"})).await;
    let plug = create(&gateway, "plug", json!({"name": "ota_check"})).await;
    for (device, id) in [("lamp", &lamp), ("plug", &plug)] {
        let (topic, payload) = down(&mut hub).await;
        assert_eq!(topic, "zigbee2mqtt/bridge/request/device/ota_update/check");
        assert_eq!(read(&payload), json!({"id": device, "transaction": id}));
    }
    let response = "zigbee2mqtt/bridge/response/device/ota_update/check";
    let error = "Failed to check if update available for 'plug' (timeout)";
    let failed = json!({"data": {}, "status": "error", "error": error, "transaction": plug});
    say(&mut hub, response, &failed).await;
    let data = json!({"id": "lamp", "update_available": true});
    say(&mut hub, response, &json!({"data": data, "status": "ok", "transaction": lamp})).await;
    assert_eq!(reaches(&mut live, &plug, "failed").await["error"]["message"], error);
    assert_eq!(reaches(&mut live, &lamp, "succeeded").await["result"], data);
}

#[tokio::test]
async fn a_device_that_cannot_answer_is_settled_by_its_puback_or_by_what_is_expected() {
    let (gateway, mut live) = arrange("zigbee2mqtt.toml").await;
    let mut hub = client(&gateway, "mqttjs_1a2b3c4d", "zigbee2mqtt/#", 1).await;
    say(&mut hub, "zigbee2mqtt/lamp", &json!({"state": "ON"})).await;
    let id = create(&gateway, "lamp", json!({"name": "act", "params": {"effect": "blink"}})).await;
    let (topic, payload) = down(&mut hub).await;
    assert_eq!(
        (topic.as_str(), read(&payload)),
        ("zigbee2mqtt/lamp/set", json!({"effect": "blink"}))
    );
    reaches(&mut live, &id, "succeeded").await;
    hub.disconnect().await;

    // Without a PUBACK, at QoS 0, what was expected and seen counts.
    let mut hub = client(&gateway, "mqttjs_5e6f7a8b", "zigbee2mqtt/#", 0).await;
    let expect = json!({"metric": "scene", "op": "==", "value": 3});
    let body = json!({"name": "act", "params": {"scene_recall": 3}, "expect": expect});
    let id = create(&gateway, "lamp", body).await;
    down(&mut hub).await;
    assert_eq!(state(&gateway, &id).await, "sent");
    say(&mut hub, "zigbee2mqtt/lamp", &json!({"scene": 3})).await;
    let ended = live.find(|it| it["data"]["id"] == id && it["data"]["verified"] == true).await;
    assert_eq!(ended["data"]["state"], "succeeded");
}

#[tokio::test]
async fn a_puback_that_refuses_the_message_settles_nothing() {
    let (gateway, mut live) = arrange("zigbee2mqtt.toml").await;
    let mut hub = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "mqttjs_1a2b3c4d")).await;
    assert_eq!(hub.subscribe("zigbee2mqtt/lamp/set", 1).await, 1);
    say(&mut hub, "zigbee2mqtt/lamp", &json!({"state": "ON"})).await;
    let id = create(&gateway, "lamp", json!({"name": "act", "params": {"effect": "blink"}})).await;
    let message = hub.message().await;
    hub.puback_with(message.id, 0x97).await;
    reaches(&mut live, &id, "delivered").await;
    assert_eq!(state(&gateway, &id).await, "delivered");
}

#[tokio::test]
async fn a_tasmota_device_is_switched_and_answers_on_its_result_topic() {
    let (gateway, mut live) = arrange("tasmota.toml").await;
    let mut device = client(&gateway, "DVES_9CF9D1", "cmnd/tasmota_9CF9D1/#", 0).await;
    say(&mut device, "tele/tasmota_9CF9D1/LWT", &json!("Online")).await;
    comes(&mut live, "tasmota_9CF9D1", "online").await;
    let switch = |value: &str| json!({"name": "POWER", "params": {"value": value}});
    let on = create(&gateway, "tasmota_9CF9D1", switch("ON")).await;
    assert_eq!(down(&mut device).await, ("cmnd/tasmota_9CF9D1/POWER".into(), "ON".into()));
    // Somebody pressed the button: not the answer.
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"POWER": "OFF"})).await;
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"POWER": "ON"})).await;
    say(&mut device, "stat/tasmota_9CF9D1/POWER", &json!("ON")).await;
    assert_eq!(reaches(&mut live, &on, "succeeded").await["result"], json!({"POWER": "ON"}));

    let params = json!({"value": 50});
    let dim = json!({"name": "Dimmer", "params": params});
    let dim = create(&gateway, "tasmota_9CF9D1", dim).await;
    assert_eq!(down(&mut device).await, ("cmnd/tasmota_9CF9D1/Dimmer".into(), "50".into()));
    let result = json!({"POWER": "ON", "Dimmer": 50});
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &result).await;
    reaches(&mut live, &dim, "succeeded").await;

    let nonsense = json!({"name": "Nonsense", "params": {"value": 1}});
    let nonsense = create(&gateway, "tasmota_9CF9D1", nonsense).await;
    down(&mut device).await;
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"Command": "Unknown"})).await;
    reaches(&mut live, &nonsense, "rejected").await;
    say(&mut device, "tele/tasmota_9CF9D1/LWT", &json!("Offline")).await;
    comes(&mut live, "tasmota_9CF9D1", "offline").await;
}

#[tokio::test]
async fn a_late_answer_without_an_id_is_not_credited_to_the_next_command() {
    let (gateway, mut live) = arrange("tasmota.toml").await;
    let mut device = client(&gateway, "DVES_9CF9D1", "cmnd/tasmota_9CF9D1/#", 1).await;
    say(&mut device, "tele/tasmota_9CF9D1/LWT", &json!("Online")).await;
    let switch = |value: &str, timeout_ms: u64| json!({"name": "POWER", "params": {"value": value}, "timeout_ms": timeout_ms});
    let on = create(&gateway, "tasmota_9CF9D1", switch("ON", 100)).await;
    down(&mut device).await;
    reaches(&mut live, &on, "timed_out").await;
    let off = create(&gateway, "tasmota_9CF9D1", switch("OFF", 20_000)).await;
    down(&mut device).await;
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"POWER": "ON"})).await;
    assert_eq!(reaches(&mut live, &on, "succeeded").await["late"], true);
    assert_eq!(state(&gateway, &off).await, "delivered");
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"POWER": "OFF"})).await;
    assert_eq!(reaches(&mut live, &off, "succeeded").await["late"], false);
}

#[tokio::test]
async fn a_late_answer_that_fits_the_next_command_too_is_not_credited_to_it() {
    let (gateway, mut live) = arrange("tasmota.toml").await;
    let mut device = client(&gateway, "DVES_9CF9D1", "cmnd/tasmota_9CF9D1/#", 1).await;
    say(&mut device, "tele/tasmota_9CF9D1/LWT", &json!("Online")).await;
    let nonsense = json!({"name": "Nonsense", "params": {"value": 1}, "timeout_ms": 100});
    let nonsense = create(&gateway, "tasmota_9CF9D1", nonsense).await;
    down(&mut device).await;
    reaches(&mut live, &nonsense, "timed_out").await;
    let dim = json!({"name": "Dimmer", "params": {"value": 50}});
    let dim = create(&gateway, "tasmota_9CF9D1", dim).await;
    down(&mut device).await;
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"Command": "Unknown"})).await;
    assert_eq!(reaches(&mut live, &nonsense, "rejected").await["late"], true);
    assert_eq!(state(&gateway, &dim).await, "delivered");
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"Dimmer": 50})).await;
    reaches(&mut live, &dim, "succeeded").await;
}

#[tokio::test]
async fn a_shelly_of_the_second_generation_answers_by_json_rpc() {
    let (gateway, mut live) = arrange("shelly-gen2.toml").await;
    let name = "shellyplus1-a8032abe54dc";
    let mut device = client(&gateway, name, &format!("{name}/rpc"), 1).await;
    say(&mut device, &format!("{name}/online"), &json!(true)).await;
    comes(&mut live, name, "online").await;
    let params = json!({"id": 0, "on": true});
    let switch = json!({"name": "Switch.Set", "params": params});
    let id = create(&gateway, name, switch.clone()).await;
    let (topic, payload) = down(&mut device).await;
    let (src, answers) = (format!("sluice/{name}"), format!("sluice/{name}/rpc"));
    let request = json!({"id": id, "src": src, "method": "Switch.Set", "params": params});
    assert_eq!((topic, read(&payload)), (format!("{name}/rpc"), request));
    let was_on = json!({"was_on": false});
    // An answer to somebody else's request comes first.
    let other = json!({"id": "7", "src": name, "dst": src, "result": {}});
    say(&mut device, &answers, &other).await;
    say(&mut device, &answers, &json!({"id": id, "src": name, "dst": src, "result": was_on})).await;
    assert_eq!(reaches(&mut live, &id, "succeeded").await["result"], was_on);

    let id = create(&gateway, name, json!({"name": "Switch.Sett"})).await;
    down(&mut device).await;
    let error = json!({"code": 404, "message": "No handler for Switch.Sett"});
    say(&mut device, &answers, &json!({"id": id, "src": name, "dst": src, "error": error})).await;
    let failed = reaches(&mut live, &id, "failed").await;
    let told = json!({"code": "404", "message": "No handler for Switch.Sett"});
    assert_eq!(failed["error"], told);
    say(&mut device, &format!("{name}/online"), &json!(false)).await;
    comes(&mut live, name, "offline").await;
}

#[tokio::test]
async fn a_mapped_command_waits_for_its_receiver_and_a_monitor_is_none() {
    let (gateway, mut live) = arrange("tasmota.toml").await;
    let mut monitor = client(&gateway, "monitor", "#", 0).await;
    say(&mut monitor, "tele/tasmota_9CF9D1/LWT", &json!("Online")).await;
    let body = json!({"name": "POWER", "params": {"value": "ON"}, "idempotent": true});
    let id = create(&gateway, "tasmota_9CF9D1", body.clone()).await;
    assert_eq!(state(&gateway, &id).await, "queued");
    let (_, dry) = {
        let mut dry = body.clone();
        dry["dry_run"] = true.into();
        gateway.post("/api/v1/devices/tasmota_9CF9D1/commands", &dry).await
    };
    assert_eq!(dry["receiver"], "offline");
    let mut device = client(&gateway, "DVES_9CF9D1", "cmnd/tasmota_9CF9D1/#", 1).await;
    let first = device.message().await;
    assert_eq!(first.topic, "cmnd/tasmota_9CF9D1/POWER");
    drop(device);
    // It did not acknowledge, and comes back: sent again.
    let mut device = client(&gateway, "DVES_9CF9D1", "cmnd/tasmota_9CF9D1/#", 1).await;
    down(&mut device).await;
    say(&mut device, "stat/tasmota_9CF9D1/RESULT", &json!({"POWER": "ON"})).await;
    assert_eq!(reaches(&mut live, &id, "succeeded").await["attempt"], 2);
}

#[tokio::test]
async fn what_a_mapping_cannot_say_is_refused_when_it_is_asked_for() {
    let (gateway, _live) = arrange("tasmota.toml").await;
    let mut device = client(&gateway, "DVES_9CF9D1", "cmnd/tasmota_9CF9D1/#", 1).await;
    say(&mut device, "tele/tasmota_9CF9D1/LWT", &json!("Online")).await;
    for (body, named) in [
        (json!({"name": "POWER"}), "params.value: the mapping of its device needs it"),
        (json!({"name": "../POWER", "params": {"value": 1}}), "is no topic"),
        (json!({"name": "a/b", "params": {"value": 1}}), "is no topic"),
        (json!({"name": "#", "params": {"value": 1}}), "is no topic"),
    ] {
        let (status, problem) =
            gateway.post("/api/v1/devices/tasmota_9CF9D1/commands", &body).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad_params")));
        assert!(problem["detail"].as_str().expect("a text").contains(named), "{problem}");
    }
}

#[tokio::test]
async fn somebody_elses_device_cannot_answer_a_mapped_command() {
    let (gateway, _live) = arrange("shelly-gen2.toml").await;
    let (one, two) = ("shellyplus1-1", "shellyplus1-2");
    let mut first = client(&gateway, one, &format!("{one}/rpc"), 1).await;
    let mut second = client(&gateway, two, &format!("{two}/rpc"), 1).await;
    say(&mut first, &format!("{one}/online"), &json!(true)).await;
    say(&mut second, &format!("{two}/online"), &json!(true)).await;
    let id = create(&gateway, one, json!({"name": "Switch.Toggle", "params": {"id": 0}})).await;
    down(&mut first).await;
    let answer = json!({"id": id, "src": two, "result": {"was_on": true}});
    say(&mut second, &format!("sluice/{two}/rpc"), &answer).await;
    assert_eq!(state(&gateway, &id).await, "delivered");
    say(&mut first, &format!("sluice/{one}/rpc"), &answer).await;
    assert_eq!(state(&gateway, &id).await, "succeeded");
}
