//! What is not below `/api/v1`: health, figures, the contracts, `/ws`.

use super::{
    problem::{answers, core_answers},
    text,
};
use serde_json::{Map, Value, json};

/// The refusal of what takes no query.
const NO_QUERY: (u16, &[&str]) = (400, &["bad_query"]);

pub(super) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for (path, operation) in [
        ("/ws", websocket()),
        ("/mqtt", mqtt()),
        ("/sse", events()),
        ("/healthz", healthz()),
        ("/readyz", readyz()),
        ("/metrics", metrics()),
        ("/openapi.json", contract("getOpenapi", "This document.")),
        ("/asyncapi.json", contract("getAsyncapi", "The WebSocket and MQTT, as AsyncAPI 3.0.")),
    ] {
        paths.insert(path.into(), json!({ "get": operation }));
    }
    paths
}

fn websocket() -> Value {
    let protocols = [protocol::SUBPROTOCOL, protocol::SUBPROTOCOL_COLUMNS];
    json!({
        "operationId": "openWebSocket",
        "tags": ["gateway"],
        "summary": "The handshake of the WebSocket; `/asyncapi.json` describes what comes after it.",
        "parameters": [super::header(
            "Sec-WebSocket-Protocol",
            "One or both, with a comma between them; columns are chosen where they are offered.",
            json!({"type": "string", "examples": protocols, "default": protocol::SUBPROTOCOL}),
            protocol::SUBPROTOCOL,
        )],
        "responses": answers(
            json!({"101": {"description": "From here on it is a WebSocket."}}),
            &[
                (400, &["websocket_only", "bad_subprotocol", "bad_query"]),
                (426, &["websocket_only"]),
                (503, &["too_many_connections"]),
            ],
        ),
    })
}

fn mqtt() -> Value {
    json!({
        "operationId": "openMqtt",
        "tags": ["gateway"],
        "summary": "The handshake of MQTT over WebSocket: MQTT in binary frames, cut where one likes.",
        "parameters": [super::header(
            "Sec-WebSocket-Protocol",
            "What MQTT asks of its clients.",
            json!({"type": "string", "const": "mqtt"}),
            "mqtt",
        )],
        "responses": answers(
            json!({"101": {"description": "From here on it is a WebSocket."}}),
            &[
                (400, &["websocket_only", "bad_subprotocol", "bad_query"]),
                (426, &["websocket_only"]),
                (429, &["too_many_connections"]),
            ],
        ),
    })
}

fn events() -> Value {
    let mut channels = super::query(
        "channels",
        "Filters with MQTT's wildcards, with commas between them.",
        json!({"type": "string", "minLength": 1}),
        json!("telemetry/+,presence/#"),
    );
    channels["required"] = true.into();
    let frame = json!({
        "description": "The `data` of each event: what a text frame of the WebSocket would be. Its `id` is \
            `{epoch}:{offset}`.",
        "type": "array",
        "items": crate::schemas::reference("ServerMessage"),
    });
    json!({
        "operationId": "openEvents",
        "tags": ["gateway"],
        "summary": "Channels one way, as server-sent events.",
        "parameters": [channels, super::header(
            "Last-Event-ID",
            "The last event that was seen: everything after it comes first. A browser sends it by itself.",
            json!({"type": "string", "pattern": "^.+:[0-9]+$"}),
            "6f1c:41807",
        )],
        "responses": core_answers(
            json!({"200": {
                "description": "Events, until the client goes.",
                "content": {"text/event-stream": {"schema": frame}},
            }}),
            &[
                (400, &["bad_query", "bad_request"]),
                (429, &["too_many_connections"]),
                (503, &["too_many_connections"]),
            ],
        ),
    })
}

fn healthz() -> Value {
    json!({
        "operationId": "getHealth",
        "tags": ["gateway"],
        "summary": "Whether the process answers.",
        "responses": answers(json!({"200": text("It does.")}), &[NO_QUERY]),
    })
}

fn readyz() -> Value {
    json!({
        "operationId": "getReadiness",
        "tags": ["gateway"],
        "summary": "Whether the gateway takes work.",
        "responses": core_answers(json!({"200": text("It does.")}), &[NO_QUERY]),
    })
}

fn metrics() -> Value {
    let text = json!({"schema": {"type": "string"}});
    let content = json!({"text/plain": text, "application/openmetrics-text": text});
    json!({
        "operationId": "getMetrics",
        "tags": ["gateway"],
        "summary": "Everything that is counted, as Prometheus reads it: plain text, or OpenMetrics 1.0 where `Accept` names it.",
        "responses": answers(
            json!({"200": {"description": "The figures.", "content": content}}),
            &[NO_QUERY, (500, &["metrics"])],
        ),
    })
}

fn contract(operation: &str, summary: &str) -> Value {
    let content = json!({"application/json": {"schema": {"type": "object"}}});
    json!({
        "operationId": operation,
        "tags": ["gateway"],
        "summary": summary,
        "responses": answers(json!({"200": {"description": "It.", "content": content}}), &[NO_QUERY]),
    })
}
