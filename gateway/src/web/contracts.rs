//! `/openapi.json` and `/asyncapi.json`: the contracts, embedded in the binary.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// The HTTP API.
pub(super) async fn openapi() -> Response {
    std::future::ready(json(protocol::OPENAPI)).await
}

/// The WebSocket and MQTT.
pub(super) async fn asyncapi() -> Response {
    std::future::ready(json(protocol::ASYNCAPI)).await
}

fn json(document: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
