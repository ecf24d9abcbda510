//! The WebSocket (docs/protocol.md, section 3).

use super::examples;
use crate::schemas::{message_name, reference};
use protocol::{CloseCode, Retry, SUBPROTOCOL, SUBPROTOCOL_COLUMNS};
use serde_json::{Map, Value, json};

/// The messages in frames: one for each that a client sends, and the gateway's two kinds of frames.
pub(super) fn messages(schemas: &Map<String, Value>, asked: &[String]) -> Map<String, Value> {
    let client = asked.iter().map(|kind| {
        let schema = message_name(kind);
        let message = json!({
            "name": kind,
            "title": kind,
            "summary": schemas[&schema]["description"],
            "payload": reference(&schema),
            "examples": examples::of_client(kind),
        });
        (kind.clone(), message)
    });
    client.chain([("frame".into(), frame()), ("columns".into(), columns())]).collect()
}

fn frame() -> Value {
    json!({
        "name": "frame",
        "title": "text frame",
        "summary": "An array of messages: what the gateway has to say, in order.",
        "payload": {"type": "array", "minItems": 1, "items": reference("ServerMessage")},
        "examples": examples::frames(),
    })
}

fn columns() -> Value {
    json!({
        "name": "columns",
        "title": "binary frame",
        "summary": "Updates of `telemetry/...` as typed columns.",
        "description": format!(
            "Only with the subprotocol `{SUBPROTOCOL_COLUMNS}`. Little-endian; header, dictionary, tables \
            and columns each begin at a multiple of 8 bytes. docs/protocol.md, section 3, gives the layout."
        ),
        "contentType": "application/octet-stream",
        "payload": {"type": "string", "format": "binary"},
    })
}

pub(super) fn channel(asked: &[String]) -> Value {
    let names = asked.iter().map(String::as_str).chain(["frame", "columns"]);
    json!({
        "address": "/ws",
        "title": "WebSocket",
        "description": format!(
            "A client sends one JSON object a text frame. The gateway sends a JSON array of messages a text \
            frame; `welcome` is the first. With `{SUBPROTOCOL_COLUMNS}` updates of telemetry come as \
            binary frames, and the order of frames is the order of messages."
        ),
        "servers": [{"$ref": "#/servers/websocket"}],
        "messages": names.map(|name| (name.to_owned(), message(name))).collect::<Map<_, _>>(),
        "bindings": {"ws": {
            "method": "GET",
            "headers": {
                "type": "object",
                "properties": {"Sec-WebSocket-Protocol": {
                    "type": "string",
                    "description": "One or both, with a comma between them; columns are chosen where offered.",
                    "examples": [SUBPROTOCOL, format!("{SUBPROTOCOL_COLUMNS}, {SUBPROTOCOL}")],
                }},
            },
            "bindingVersion": "0.1.0",
        }},
        "x-close-codes": CloseCode::ALL.iter().map(|code| close(*code)).collect::<Vec<_>>(),
    })
}

fn message(name: &str) -> Value {
    json!({"$ref": format!("#/components/messages/{name}")})
}

fn close(code: CloseCode) -> Value {
    let retry = match code.retry() {
        Retry::Never => "never",
        Retry::BackOff => "after a random wait of 0.5-20 s",
        Retry::AtOnce => "at once",
    };
    json!({"code": code.code(), "reason": code.reason(), "retry": retry})
}

pub(super) fn operations(asked: &[String]) -> Map<String, Value> {
    let of_channel = |name: &str| json!({"$ref": format!("#/channels/websocket/messages/{name}")});
    let channel = json!({"$ref": "#/channels/websocket"});
    let told = ["frame", "columns"].map(of_channel);
    let mut operations = Map::new();
    operations.insert(
        "ask".into(),
        json!({
            "action": "receive",
            "title": "What a client asks",
            "channel": channel,
            "messages": asked.iter().map(|kind| of_channel(kind)).collect::<Vec<_>>(),
            "reply": {"channel": channel, "messages": [of_channel("frame")]},
        }),
    );
    operations.insert(
        "tell".into(),
        json!({
            "action": "send",
            "title": "What the gateway says",
            "channel": channel,
            "messages": told,
        }),
    );
    operations
}
