//! What the `data` of an update is, by its channel (docs/protocol.md, section 2).

use crate::schemas::reference;
use serde_json::{Map, Value, json};

/// Each kind of channel: how its name begins, and the schema of its data.
const DATA: [(&str, &str); 7] = [
    ("^telemetry/", "TelemetryData"),
    ("^presence/", "Presence"),
    ("^state/", "StateData"),
    ("^commands/", "Command"),
    ("^batches/", "Batch"),
    ("^topics/", "TopicData"),
    ("^gateway/stats$", "GatewayStats"),
];

/// Adds the schemas of the data, and makes that of an update say which one it bears.
pub(super) fn describe(schemas: &mut Map<String, Value>) {
    schemas.insert("TelemetryData".into(), telemetry());
    schemas.insert("StateData".into(), state());
    schemas.insert("TopicData".into(), topic());
    let by_channel = DATA.map(|(pattern, schema)| {
        json!({
            "if": {"properties": {"channel": {"pattern": pattern}}},
            "then": {"properties": {"data": reference(schema)}},
        })
    });
    schemas["Update"]["allOf"] = by_channel.as_slice().into();
}

fn telemetry() -> Value {
    json!({
        "description": "Metrics by name; a value is any JSON.",
        "type": "object",
        "additionalProperties": true,
    })
}

fn state() -> Value {
    json!({
        "description": "What a device reports of its state, and what is desired of it.",
        "type": "object",
        "properties": {
            "reported": {"type": "object", "additionalProperties": true},
            "desired": {"type": "object", "additionalProperties": true},
            "version": {"type": "integer", "minimum": 0, "description": "Counts the changes of `desired`."},
            "in_sync": {
                "type": "boolean",
                "description": "Each member of `desired` is equal in `reported`.",
            },
        },
        "required": ["reported", "desired", "version", "in_sync"],
    })
}

fn topic() -> Value {
    json!({
        "description": "An MQTT message as it came.",
        "type": "object",
        "properties": {
            "payload": {"description": "The value itself for `json`, else a text."},
            "encoding": {
                "type": "string",
                "enum": ["json", "utf8", "base64"],
                "description": "How the payload's bytes are written.",
            },
            "qos": {"type": "integer", "minimum": 0, "maximum": 2},
            "retain": {"type": "boolean"},
        },
        "required": ["payload", "encoding", "qos", "retain"],
    })
}
