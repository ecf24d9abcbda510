//! Examples of WebSocket messages. Each is read as the gateway or a client reads it before it is written.

use protocol::{ClientMessage, ServerMessage};
use serde_json::{Value, json};

const COMMAND: &str = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";

/// What a client may send under this type.
pub(super) fn of_client(kind: &str) -> Vec<Value> {
    let examples = match kind {
        "hello" => vec![json!({"type": "hello", "id": 1})],
        "subscribe" => vec![
            json!({"type": "subscribe", "id": 2, "channels": ["telemetry/+", "presence/#"]}),
            json!({
                "type": "subscribe",
                "id": 3,
                "channels": ["telemetry/pump-1"],
                "options": {"throttle": 2, "fields": ["rpm"], "snapshot": false},
            }),
            json!({
                "type": "subscribe",
                "id": 4,
                "channels": ["telemetry/pump-1"],
                "options": {"since": {"epoch": "6f1c", "offset": 41_807}},
            }),
        ],
        "unsubscribe" => vec![json!({"type": "unsubscribe", "id": 5, "channels": ["telemetry/+"]})],
        "replay" => vec![
            json!({"type": "replay", "id": 6, "channel": "telemetry/pump-1", "from": 1, "to": 1}),
        ],
        "command" => vec![json!({
            "type": "command",
            "id": "open-1",
            "device": "pump-1",
            "name": "open",
            "params": {"percent": 40},
            "ttl_ms": 60_000,
        })],
        "cancel" => vec![json!({"type": "cancel", "id": 8, "command": COMMAND})],
        "ping" => vec![json!({"type": "ping", "id": 9})],
        other => panic!("give an example of '{other}'"),
    };
    examples.into_iter().map(client_example).collect()
}

fn client_example(payload: Value) -> Value {
    let read = ClientMessage::decode(&payload.to_string());
    assert!(read.is_ok(), "{payload}: {read:?}");
    json!({ "payload": payload })
}

/// Frames that the gateway sends.
pub(super) fn frames() -> Vec<Value> {
    let update = json!({
        "channel": "telemetry/pump-1",
        "seq": 7,
        "offset": 41_807,
        "timestamp": 1_767_225_600_000_i64,
        "data": {"rpm": 900, "open": true},
    });
    let mut snapshot = update.clone();
    snapshot["snapshot"] = true.into();
    let selected = [
        ("topics/hall/door", json!({"payload": "open"})),
        ("gateway/stats", json!({"devices_online": 12, "messages_in_per_s": 3})),
    ];
    let selected = selected.map(|(channel, data)| {
        let mut update = update.clone();
        (update["channel"], update["data"]) = (channel.into(), data);
        update
    });
    let history = json!({
        "type": "history",
        "channel": "telemetry/pump-1",
        "from": 1_767_225_600_000_i64,
        "to": 1_767_225_620_000_i64,
        "bucket_ms": 10_000,
        "timestamps": [1_767_225_600_000_i64, 1_767_225_610_000_i64],
        "metrics": {"rpm": {"min": [890, null], "max": [910, null], "last": [900, null]}},
    });
    let examples = [
        ("the first frame", json!([welcome()])),
        (
            "a subscription",
            json!([
                {"type": "subscribed", "id": 2, "channels": ["telemetry/+", "presence/#"]},
                snapshot,
                {"type": "live", "id": 2, "offset": 41_807},
            ]),
        ),
        ("live updates", json!([update])),
        ("only the members that `fields` names", json!(selected)),
        ("the past", json!([history])),
        (
            "continuity is lost",
            json!([{
                "type": "reset",
                "channels": ["telemetry/pump-1"],
                "epoch": "6f1c",
                "offset": 41_807,
                "reason": "expired",
            }]),
        ),
        ("a slow reader", json!([{"type": "lag", "on": true, "dropped": 12}])),
        (
            "replies",
            json!([
                {"type": "ok", "id": 1},
                {"type": "unsubscribed", "id": 5, "channels": ["telemetry/+"]},
                {"type": "pong", "id": 9, "server_time": 1_767_225_600_000_i64},
            ]),
        ),
        (
            "a refusal",
            json!([{
                "type": "error",
                "id": 3,
                "code": "bad_options",
                "message": "throttle 0 is not above 0 and at most 1000",
            }]),
        ),
    ];
    examples.map(|(name, payload)| frame_example(name, payload)).into()
}

fn welcome() -> Value {
    json!({
        "type": "welcome",
        "session": "17",
        "epoch": "6f1c",
        "offset": 41_806,
        "server_time": 1_767_225_600_000_i64,
        "ping_interval_ms": 25_000,
        "user": null,
        "limits": {"message_bytes": 65_536, "subscriptions": 1_000, "messages_per_s": 1_000},
    })
}

fn frame_example(name: &str, payload: Value) -> Value {
    let read: Result<Vec<ServerMessage>, _> = serde_json::from_str(&payload.to_string());
    assert!(read.is_ok(), "{name}: {read:?}");
    json!({"name": name, "payload": payload})
}
