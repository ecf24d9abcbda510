//! What is not below `/api/v1`: health, figures, the contracts, `/ws`.

use super::{
    problem::{answers, core_answers},
    text,
};
use serde_json::{Map, Value, json};

pub(super) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    for (path, operation) in [
        ("/ws", websocket()),
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
                (400, &["websocket_only", "bad_subprotocol"]),
                (426, &["websocket_only"]),
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
        "responses": answers(json!({"200": text("It does.")}), &[]),
    })
}

fn readyz() -> Value {
    json!({
        "operationId": "getReadiness",
        "tags": ["gateway"],
        "summary": "Whether the gateway takes work.",
        "responses": core_answers(json!({"200": text("It does.")}), &[]),
    })
}

fn metrics() -> Value {
    let content = json!({"application/openmetrics-text": {"schema": {"type": "string"}}});
    json!({
        "operationId": "getMetrics",
        "tags": ["gateway"],
        "summary": "Everything that is counted, as Prometheus reads it (OpenMetrics 1.0).",
        "responses": answers(
            json!({"200": {"description": "The figures.", "content": content}}),
            &[(500, &["metrics"])],
        ),
    })
}

fn contract(operation: &str, summary: &str) -> Value {
    let content = json!({"application/json": {"schema": {"type": "object"}}});
    json!({
        "operationId": operation,
        "tags": ["gateway"],
        "summary": summary,
        "responses": answers(json!({"200": {"description": "It.", "content": content}}), &[]),
    })
}
