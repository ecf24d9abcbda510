//! What the `data` of an update is, by its channel (docs/protocol.md, section 2).

use crate::schemas::reference;
use serde_json::{Map, Value, json};

/// Each kind of channel: how its name begins, and the schema of its data.
const DATA: [(&str, &str); 8] = [
    ("^telemetry/", "TelemetryData"),
    ("^presence/", "Presence"),
    ("^state/", "DeviceState"),
    ("^alerts/", "Alert"),
    ("^commands/", "Command"),
    ("^batches/", "Batch"),
    ("^topics/", "TopicData"),
    ("^gateway/stats$", "GatewayStats"),
];

/// Those of which `fields` may leave members out.
const SELECTED: [&str; 2] = ["TopicData", "GatewayStats"];

/// Adds the schemas of the data, and makes that of an update say which one it bears.
pub(super) fn describe(schemas: &mut Map<String, Value>) {
    schemas.insert("TelemetryData".into(), telemetry());
    schemas.insert("TopicData".into(), topic());
    for name in SELECTED {
        select(&mut schemas[name]);
    }
    let by_channel = DATA.map(|(pattern, schema)| {
        json!({
            "if": {"properties": {"channel": {"pattern": pattern}}},
            "then": {"properties": {"data": reference(schema)}},
        })
    });
    schemas["Update"]["allOf"] = by_channel.as_slice().into();
}

/// Lets members be missing, as those that the option `fields` does not name are.
fn select(schema: &mut Value) {
    let all = schema["description"].as_str().expect("a schema has a description");
    let selected = format!("{all} With the option `fields` of a subscription only what it names.");
    schema["description"] = selected.into();
    schema.as_object_mut().expect("a schema is an object").remove("required");
}

fn telemetry() -> Value {
    json!({
        "description": "Metrics by name; a value is any JSON.",
        "type": "object",
        "additionalProperties": true,
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
    })
}
