//! Golden files: every message of the WebSocket protocol as it stands on the wire, with what differs
//! from run to run replaced by its name.

use reqwest::Method;
use serde_json::{Map, Value, json};
use tests::{Connect, Live, Peer, TestGateway, Version};

/// Members whose values differ from run to run.
const UNSTABLE: [&str; 18] = [
    "acknowledged_at",
    "address",
    "cleared_at",
    "created_at",
    "deliver_by",
    "epoch",
    "finish_by",
    "at",
    "memory_bytes",
    "node",
    "offset",
    "raised_at",
    "server_time",
    "session",
    "since",
    "timestamp",
    "uptime_ms",
    "last_seen_at",
];

/// The same message with unstable values replaced; an id of a command too.
fn stable(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(members.into_iter().map(stable_member).collect()),
        Value::Array(items) => items.into_iter().map(stable).collect(),
        Value::String(text) => strip_ids(text).into(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn stable_member((name, value): (String, Value)) -> (String, Value) {
    let hidden = UNSTABLE.contains(&name.as_str()) && !value.is_null();
    let value = if hidden { format!("[{name}]").into() } else { stable(value) };
    (name, value)
}

/// A text without UUIDs.
fn strip_ids(text: String) -> String {
    const LENGTH: usize = 36;
    let is_id =
        |part: &str| part.len() == LENGTH && part.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let parts: Vec<_> =
        text.split(['\'', '/', ' ']).filter(|part| is_id(part)).map(str::to_owned).collect();
    parts.iter().fold(text, |text, id| text.replace(id, "[uuid]"))
}

macro_rules! golden {
    ($name:literal, $message:expr) => {
        insta::assert_snapshot!(
            $name,
            serde_json::to_string_pretty(&stable($message)).expect("messages are JSON")
        )
    };
}

async fn publisher(gateway: &TestGateway) -> Peer {
    Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await
}

async fn arrange() -> (TestGateway, Live, Peer) {
    let gateway = TestGateway::start().await;
    let live = gateway.live().await;
    let peer = publisher(&gateway).await;
    (gateway, live, peer)
}

#[tokio::test]
async fn replies_read_so() {
    let (gateway, mut live, mut peer) = arrange().await;
    golden!("welcome", live.welcome.clone());
    peer.publish("devices/d1/telemetry", br#"{"temperature":21.5,"ok":true}"#, 1).await;
    let [subscribed, snapshot, live_now] =
        <[Value; 3]>::try_from(live.subscribe(&["telemetry/d1"]).await)
            .expect("subscribed, the value, live");
    golden!("subscribed", subscribed);
    golden!("snapshot", snapshot);
    golden!("live", live_now);
    peer.publish("devices/d1/telemetry", br#"{"temperature":22}"#, 1).await;
    golden!("update", live.next().await);
    golden!("pong", live.reply(json!({"type": "ping"})).await);
    golden!("ok", live.reply(json!({"type": "hello"})).await);
    golden!("error", live.reply(json!({"type": "dance"})).await);
    let ask = json!({"type": "replay", "channel": "telemetry/d1", "from": 1, "to": 1});
    let id = live.ask(ask).await;
    let replayed = live.through(|message| message["id"] == id).await;
    golden!("replay", Value::Array(replayed));
    let ask = json!({"type": "unsubscribe", "channels": ["telemetry/d1"]});
    golden!("unsubscribed", live.reply(ask).await);
    drop(gateway);
}

#[tokio::test]
async fn the_data_of_each_channel_reads_so() {
    let (gateway, mut live, mut peer) = arrange().await;
    live.subscribe(&["#"]).await;
    let mut device = gateway.device("d1").await;
    golden!("presence_online", live.update("presence/d1").await);
    device.say("telemetry/level", &json!(7)).await;
    golden!("telemetry", live.update("telemetry/d1").await);
    device.say("state", &json!({"valve": "open"})).await;
    golden!("state", live.update("state/d1").await);
    for (name, payload) in
        [("json", &b"{\"a\":[1]}"[..]), ("utf8", "grün".as_bytes()), ("base64", &[0, 255])]
    {
        peer.publish("plain/topic", payload, 1).await;
        golden_topic(name, live.update("topics/plain/topic").await);
    }
    device.peer.disconnect().await;
    golden!("presence_offline", live.find(|message| message["data"]["status"] == "offline").await);
    let stats = live.update("gateway/stats").await;
    let names: Map<String, Value> = stats["data"]
        .as_object()
        .expect("an object")
        .keys()
        .map(|name| (name.clone(), "[value]".into()))
        .collect();
    golden!("stats", Value::Object(names));
}

fn golden_topic(name: &str, message: Value) {
    let mut message = message;
    // How often the topic was heard before is of no matter here.
    message["seq"] = "[seq]".into();
    let text = serde_json::to_string_pretty(&stable(message)).expect("messages are JSON");
    insta::assert_snapshot!(format!("topic_{name}"), text);
}

#[tokio::test]
async fn a_commands_messages_read_so() {
    let (gateway, mut live, _) = arrange().await;
    let put = gateway.request(Method::PUT, "/api/v1/devices/d1").json(&json!({"type": "pump"}));
    assert!(put.send().await.expect("an answer").status().is_success());
    live.subscribe(&["commands/d1"]).await;
    let ask = json!({
        "type": "command", "device": "d1", "name": "set_speed", "params": {"rpm": 900}, "priority": 2,
    });
    let reply = live.reply(ask).await;
    golden!("command_accepted", reply.clone());
    let mut device = gateway.device("d1").await;
    let order = device.take().await;
    golden!("command_sent", live.find(|message| message["data"]["state"] == "sent").await);
    let answer = json!({"status": "failed", "error": {"code": "dry", "message": "no water"}});
    device.answer(&order.id, &answer).await;
    golden!("command_failed", live.find(|message| message["data"]["state"] == "failed").await);
    let (_, details) = gateway.get(&format!("/api/v1/commands/{}", order.id)).await;
    golden!("command_with_its_story", details);
    let (_, device) = gateway.get("/api/v1/devices/d1").await;
    golden!("device", device);
    let refused = live.reply(json!({"type": "cancel", "command": order.id})).await;
    golden!("error_already_final", refused);
}

#[tokio::test]
async fn what_a_device_receives_reads_so() {
    let (gateway, _, _) = arrange().await;
    let mut device = gateway.device("d1").await;
    let path = "/api/v1/devices/d1/commands";
    gateway.post(path, &json!({"name": "fill", "params": {"l": 3}, "timeout_ms": 5000})).await;
    let mut order = device.take().await.order;
    for key in ["issued_at", "not_after"] {
        order[key] = format!("[{key}]").into();
    }
    golden!("delivery", order);
}

#[tokio::test]
async fn alerts_read_so() {
    let (gateway, mut live, mut peer) = arrange().await;
    live.subscribe(&["alerts/#"]).await;
    let event = json!({
        "severity": "critical", "code": "dry", "message": "no water", "data": {"flow": 0.5},
    });
    peer.publish("devices/d1/events", event.to_string().as_bytes(), 1).await;
    let raised = live.update("alerts/critical/d1").await;
    golden!("alert_raised", raised.clone());
    let id = raised["data"]["id"].as_str().expect("a text");
    let (_, acknowledged) = gateway.post(&format!("/api/v1/alerts/{id}/ack"), &json!({})).await;
    golden!("alert_answer", acknowledged);
    golden!("alert_acknowledged", live.update("alerts/critical/d1").await);
    let over = json!({"severity": "critical", "code": "dry", "clear": true});
    peer.publish("devices/d1/events", over.to_string().as_bytes(), 1).await;
    golden!("alert_cleared", live.update("alerts/critical/d1").await);
    let (_, refused) = gateway.post(&format!("/api/v1/alerts/{id}/ack"), &json!({})).await;
    golden!("problem_already_cleared", refused);
    let (_, page) = gateway.get("/api/v1/audit?action=alert.acknowledged").await;
    let mut entry = page["items"][0].clone();
    for hash in ["hash", "previous"] {
        entry[hash] = "0".repeat(64).into();
    }
    golden!("audit_entry", entry);
}

#[tokio::test]
async fn desired_states_read_so() {
    let (gateway, mut live, mut peer) = arrange().await;
    peer.publish("devices/d1/state", br#"{"valve":20}"#, 1).await;
    live.subscribe(&["state/d1"]).await;
    let path = "/api/v1/devices/d1/desired";
    let put = gateway.request(Method::PUT, path).json(&json!({"valve": 40})).send().await;
    let answer: Value = put.expect("an answer").json().await.expect("JSON");
    golden!("desired_answer", answer);
    golden!("state_desired", live.update("state/d1").await);
    peer.subscribe("devices/d1/desired", 1).await;
    let delivered = peer.message().await.payload;
    golden!("desired_delivery", serde_json::from_slice(&delivered).expect("JSON"));
    let again = gateway.request(Method::PUT, path).json(&json!({"valve": 50})).send().await;
    let problem: Value = again.expect("an answer").json().await.expect("JSON");
    golden!("problem_precondition_required", problem);
}

#[tokio::test]
async fn lag_reads_so() {
    let (gateway, mut watcher, mut peer) = arrange().await;
    let mut slow = Live::connect_narrow(gateway.http()).await;
    slow.subscribe(&["telemetry/#"]).await;
    let payload = json!({"padding": "x".repeat(1_000)}).to_string();
    while gateway.metric("sluice_websocket_lags_total").await == 0 {
        for _ in 0..500 {
            peer.publish("devices/d1/telemetry", payload.as_bytes(), 0).await;
        }
        peer.settle().await;
    }
    for on in [true, false] {
        let mut lag = slow.find(|message| message["type"] == "lag").await;
        assert!(lag["dropped"].is_u64(), "{lag}");
        lag["dropped"] = "[count]".into();
        if on {
            golden!("lag_on", lag);
        } else {
            golden!("lag_off", lag);
        }
    }
    watcher.settle().await;
}

#[tokio::test]
async fn problems_read_so() {
    let gateway = TestGateway::start().await;
    golden!("problem_unknown_device", gateway.get("/api/v1/devices/nobody").await.1);
    golden!("problem_bad_query", gateway.get("/api/v1/devices?colour=red").await.1);
}
