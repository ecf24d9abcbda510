//! The MQTT topics of devices (docs/protocol.md, section 1).

use crate::schemas::reference;
use protocol::{Answer, CommandId, Delivery, Desired, DeviceEvent, DeviceId, Timestamp, topics};
use serde_json::{Map, Value, json};

/// A topic of devices.
struct Topic {
    name: &'static str,
    address: String,
    /// What the gateway does.
    action: &'static str,
    summary: &'static str,
    payload: Value,
    examples: Vec<Value>,
    /// What the gateway or the device sets on it, where it matters.
    binding: Value,
}

fn all() -> [Topic; 9] {
    [
        telemetry(),
        telemetry_metric(),
        state(),
        event(),
        desired_state(),
        command(),
        answer(),
        recent(),
        cancel_wish(),
    ]
}

fn telemetry() -> Topic {
    Topic {
        name: "telemetry",
        address: address(|device, _| topics::telemetry(device)),
        action: "receive",
        summary: "Metrics: an object, one with its time, or an array of those kept while offline.",
        payload: reference("Telemetry"),
        examples: vec![
            json!({"rpm": 900, "open": true}),
            json!({"timestamp": 1_767_225_600_000_i64, "data": {"rpm": 900}}),
            json!([{"timestamp": 1_767_225_600_000_i64, "data": {"rpm": 900}}]),
        ],
        binding: json!({}),
    }
}

fn telemetry_metric() -> Topic {
    Topic {
        name: "telemetryMetric",
        address: address(|device, _| topics::telemetry(device)) + "/{metric}",
        action: "receive",
        summary: "One metric: a number, a boolean, a text or any JSON.",
        payload: json!({"description": "A text that is no JSON stands for itself."}),
        examples: vec![json!(21.5), json!("open")],
        binding: json!({}),
    }
}

fn state() -> Topic {
    Topic {
        name: "state",
        address: address(|device, _| topics::state(device)),
        action: "receive",
        summary: "The reported state.",
        payload: json!({"type": "object", "additionalProperties": true}),
        examples: vec![json!({"valve": "open"})],
        binding: json!({"retain": true}),
    }
}

fn event() -> Topic {
    Topic {
        name: "event",
        address: address(|device, _| topics::events(device)),
        action: "receive",
        summary: "Something is wrong, or no longer: raises, counts up or clears an alert.",
        payload: reference("DeviceEvent"),
        examples: events(),
        binding: json!({}),
    }
}

fn desired_state() -> Topic {
    Topic {
        name: "desired",
        address: address(|device, _| topics::desired(device)),
        action: "send",
        summary: "What the device is wanted to be.",
        payload: reference("Desired"),
        examples: vec![desired()],
        binding: json!({"qos": 1, "retain": true}),
    }
}

fn command() -> Topic {
    Topic {
        name: "delivery",
        address: address(topics::command),
        action: "send",
        summary: "A command, to the device that subscribed to its topic.",
        payload: reference("Delivery"),
        examples: vec![delivery()],
        binding: json!({"qos": 1, "retain": false}),
    }
}

fn answer() -> Topic {
    Topic {
        name: "answer",
        address: address(topics::answer),
        action: "receive",
        summary: "How far the device is with a command.",
        payload: reference("Answer"),
        examples: answers(),
        binding: json!({}),
    }
}

fn recent() -> Topic {
    Topic {
        name: "recent",
        address: topics::recent(&"device".parse().expect("a device id"))
            .replace("/device/", "/{device}/"),
        action: "receive",
        summary: "What the device knows of its last commands: commands that timed out settle from it.",
        payload: json!({
            "type": "array",
            "maxItems": 256,
            "items": {
                "oneOf": [
                    {
                        "description": "A command that was carried out.",
                        "allOf": [reference("CommandId")],
                    },
                    {
                        "description": "A command, and an answer to it.",
                        "type": "object",
                        "properties": {"id": reference("CommandId")},
                        "required": ["id"],
                        "allOf": [reference("Answer")],
                    },
                ],
            },
        }),
        examples: vec![json!([
            "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c",
            {"id": "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5d", "status": "failed"},
        ])],
        binding: json!({}),
    }
}

fn cancel_wish() -> Topic {
    Topic {
        name: "cancelWish",
        address: address(topics::cancel),
        action: "send",
        summary: "The wish to give a command up; only to a device that subscribed to it.",
        payload: reference("CancelWish"),
        examples: vec![json!({"id": "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c"})],
        binding: json!({"qos": 1, "retain": false}),
    }
}

/// A topic as the protocol writes it, with the names of its levels.
fn address(topic: impl Fn(&DeviceId, CommandId) -> String) -> String {
    let device: DeviceId = "device".parse().expect("a device id");
    let command = CommandId::from_u128(0);
    topic(&device, command)
        .replace("/device/", "/{device}/")
        .replace(&command.to_string(), "{command}")
}

fn delivery() -> Value {
    let example = json!({
        "id": "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c",
        "name": "open",
        "params": {"percent": 40},
        "attempt": 1,
        "issued_at": 1_767_225_600_000_i64,
        "not_after": 1_767_225_630_000_i64,
        "timeout_ms": 30_000,
    });
    let read: Result<Delivery, _> = serde_json::from_value(example.clone());
    assert!(read.is_ok(), "{read:?}");
    example
}

fn answers() -> Vec<Value> {
    let examples = vec![
        json!({"status": "progress", "attempt": 1, "progress": 50}),
        json!({"status": "succeeded", "attempt": 1, "result": {"percent": 40}}),
        json!({"status": "failed", "error": {"code": "dry", "message": "no water"}}),
    ];
    for example in &examples {
        let read: Result<Answer, _> = serde_json::from_value(example.clone());
        assert!(read.is_ok(), "{read:?}");
    }
    examples
}

fn events() -> Vec<Value> {
    let examples = vec![
        json!({"severity": "critical", "code": "dry", "message": "no water", "data": {"flow": 0}}),
        json!({"severity": "critical", "code": "dry", "clear": true}),
    ];
    for example in &examples {
        let read: Result<DeviceEvent, _> = serde_json::from_value(example.clone());
        assert!(read.is_ok(), "{read:?}");
    }
    examples
}

fn desired() -> Value {
    let example = json!({"version": 3, "desired": {"valve": 40}});
    let read: Result<Desired, _> = serde_json::from_str(&example.to_string());
    assert!(read.is_ok(), "{read:?}");
    example
}

/// Adds the payloads that are no types of the protocol: the gateway reads metrics without making values
/// of them.
pub(super) fn describe(schemas: &mut Map<String, Value>) {
    let time = json!({"allOf": [reference("Timestamp")], "maximum": Timestamp::MAX});
    let metrics = json!({"type": "object", "maxProperties": 256, "additionalProperties": true});
    schemas.insert(
        "TelemetryReading".into(),
        json!({
            "description": "Metrics by name, a value is any JSON; or, where `timestamp` is beside a `data` that is \
                an object, metrics with their time.",
            "type": "object",
            "if": {"properties": {"data": {"type": "object"}}, "required": ["timestamp", "data"]},
            "then": {"properties": {"timestamp": time, "data": metrics}},
            "else": metrics,
        }),
    );
    let one = reference("TelemetryReading");
    schemas.insert(
        "Telemetry".into(),
        json!({
            "description": "Metrics, with their time or without; several stand in their order.",
            "anyOf": [one, {"type": "array", "items": one}],
        }),
    );
    schemas.insert(
        "CancelWish".into(),
        json!({
            "description": "What a device is sent when its command is to be given up.",
            "type": "object",
            "properties": {"id": reference("CommandId")},
            "required": ["id"],
        }),
    );
}

pub(super) fn messages() -> Map<String, Value> {
    let message = |topic: Topic| {
        let examples = topic.examples.into_iter().map(|payload| json!({ "payload": payload }));
        let message = json!({
            "name": topic.name,
            "summary": topic.summary,
            "payload": topic.payload,
            "examples": examples.collect::<Vec<_>>(),
        });
        (topic.name.to_owned(), message)
    };
    all().into_iter().map(message).collect()
}

pub(super) fn channels() -> Map<String, Value> {
    all().into_iter().map(|topic| (topic.name.to_owned(), channel(&topic))).collect()
}

fn channel(topic: &Topic) -> Value {
    let parameters = [
        ("device", "A device id: 1-128 characters of `A-Z a-z 0-9 . _ : -`."),
        ("command", "The command's id, a UUID in text."),
        ("metric", "The metric's name, one level."),
    ];
    let parameters = parameters
        .into_iter()
        .filter(|(name, _)| topic.address.split('/').any(|level| level == format!("{{{name}}}")));
    let parameter = |(name, description): (&str, &str)| {
        (name.to_owned(), json!({ "description": description }))
    };
    json!({
        "address": topic.address,
        "description": topic.summary,
        "servers": [{"$ref": "#/servers/mqtt"}],
        "parameters": parameters.map(parameter).collect::<Map<_, _>>(),
        "messages": {topic.name: {"$ref": format!("#/components/messages/{}", topic.name)}},
    })
}

pub(super) fn operations() -> Map<String, Value> {
    all().into_iter().map(|topic| (format!("{}Of", topic.name), operation(topic))).collect()
}

fn operation(topic: Topic) -> Value {
    let channel = format!("#/channels/{}", topic.name);
    let mut binding = topic.binding;
    binding["bindingVersion"] = "0.2.0".into();
    json!({
        "action": topic.action,
        "summary": topic.summary,
        "channel": {"$ref": channel},
        "messages": [{"$ref": format!("{channel}/messages/{}", topic.name)}],
        "bindings": {"mqtt": binding},
    })
}
