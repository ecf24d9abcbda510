//! `asyncapi.json`: the WebSocket and the MQTT topics, from the gateway's side: it receives what clients
//! and devices send.

mod examples;
mod mqtt;
mod updates;
mod websocket;

use crate::schemas::{collect, message_name, reference, split};
use protocol::{
    Alert, Answer, Batch, ClientMessage, Command, Delivery, Desired, DeviceEvent, DeviceState,
    GatewayStats, Presence, RequestId, ServerMessage,
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The whole document.
pub(crate) fn document() -> Value {
    let (schemas, asked) = schemas();
    let mut messages = websocket::messages(&schemas, &asked);
    messages.extend(mqtt::messages());
    let mut channels = Map::new();
    channels.insert("websocket".into(), websocket::channel(&asked));
    channels.extend(mqtt::channels());
    let mut operations = websocket::operations(&asked);
    operations.extend(mqtt::operations());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sluice: WebSocket and MQTT",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What dashboards, operators and scripts say on `/ws`, and devices on MQTT. \
                docs/protocol.md says what it means; `/openapi.json` describes HTTP. The gateway is the \
                application: it *receives* what clients and devices send. Times are integer \
                milliseconds since the Unix epoch (UTC). Unknown members of a client's message are \
                ignored, unknown types and options are answered by an `error`.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "websocket": {
                "host": "127.0.0.1:8080",
                "protocol": "ws",
                "description": "As it listens out of the box.",
            },
            "mqtt": {
                "host": "127.0.0.1:1883",
                "protocol": "mqtt",
                "protocolVersion": "5",
                "description": "As it listens out of the box; 3.1.1 and 5 on one port.",
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    })
}

/// The schemas, and the `type`s that clients send.
fn schemas() -> (Map<String, Value>, Vec<String>) {
    let mut schemas = collect(
        SchemaSettings::draft07(),
        |written| {
            written.subschema_for::<ServerMessage>();
            written.subschema_for::<Command>();
            written.subschema_for::<Batch>();
            written.subschema_for::<Presence>();
            written.subschema_for::<GatewayStats>();
            written.subschema_for::<Delivery>();
            written.subschema_for::<Desired>();
            written.subschema_for::<DeviceState>();
            written.subschema_for::<Alert>();
        },
        |read| {
            read.subschema_for::<ClientMessage>();
            read.subschema_for::<RequestId>();
            read.subschema_for::<Answer>();
            read.subschema_for::<DeviceEvent>();
        },
    );
    split(&mut schemas, "Reply");
    let asked = split(&mut schemas, "ClientMessage");
    for kind in &asked {
        mark(&mut schemas, kind);
    }
    // Over HTTP only: here `true` is refused.
    schemas[&message_name("command")]["properties"]["dry_run"]["enum"] = json!([false, null]);
    updates::describe(&mut schemas);
    mqtt::describe(&mut schemas);
    (schemas, asked)
}

/// Every message of a client may bear a mark, which is read before the rest of it; `null` is none.
fn mark(schemas: &mut Map<String, Value>, kind: &str) {
    let id = json!({
        "description": "The client's own mark; comes back on the reply.",
        "anyOf": [reference("RequestId"), {"type": "null"}],
    });
    schemas[&message_name(kind)]["properties"]["id"] = id;
}
