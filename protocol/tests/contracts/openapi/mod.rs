//! `openapi.json`: the HTTP API. Bodies are the protocol's types; paths, parameters and refusals are
//! written here, and the end-to-end tests hold them against a running gateway.

mod alerts;
mod batches;
mod commands;
mod devices;
mod gateway;
mod history;
mod problem;
mod session;

use crate::schemas::{collect, reference, split};
use protocol::{
    Alert, AuditEntry, Batch, BatchRequest, Command, CommandDetails, CommandRequest, Device,
    DeviceDescription, DevicePatch, DeviceState, DeviceType, DryRun, Page, Problem, ServerMessage,
    Session, SignIn,
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The whole document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    let groups = [
        devices::paths(),
        history::paths(),
        commands::paths(),
        batches::paths(),
        alerts::paths(),
        gateway::paths(),
        session::paths(),
    ];
    for group in groups {
        paths.extend(group);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sluice: HTTP",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Devices, commands and the past over HTTP. docs/protocol.md says what it means; \
                `/asyncapi.json` describes the WebSocket and MQTT. Times are integer milliseconds since \
                the Unix epoch (UTC). Unknown members of a body are ignored, unknown query parameters \
                are refused. Once there are tokens, each request needs one.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080", "description": "As it listens out of the box."}],
        "security": [{}, {"token": []}, {"cookie": []}],
        "tags": [
            {"name": "devices", "description": "What is known of devices, and what they said."},
            {"name": "commands", "description": "What devices were asked to do."},
            {"name": "alerts", "description": "What is wrong."},
            {"name": "audit", "description": "Who did what."},
            {"name": "gateway", "description": "The gateway itself, and its live channels."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "sluice_session"},
            },
        },
    })
}

fn schemas() -> Map<String, Value> {
    let mut schemas = collect(
        SchemaSettings::draft2020_12(),
        |written| {
            written.subschema_for::<Page<Device>>();
            written.subschema_for::<Page<Command>>();
            written.subschema_for::<CommandDetails>();
            written.subschema_for::<DryRun>();
            written.subschema_for::<DeviceState>();
            written.subschema_for::<Page<Alert>>();
            written.subschema_for::<Page<AuditEntry>>();
            written.subschema_for::<Batch>();
            written.subschema_for::<Page<DeviceType>>();
            written.subschema_for::<Problem>();
            written.subschema_for::<Session>();
            written.subschema_for::<ServerMessage>();
        },
        |read| {
            read.subschema_for::<DeviceDescription>();
            read.subschema_for::<DevicePatch>();
            read.subschema_for::<CommandRequest>();
            read.subschema_for::<SignIn>();
            read.subschema_for::<BatchRequest>();
        },
    );
    split(&mut schemas, "Reply");
    schemas
}

/// A JSON body with this schema.
fn content(schema: &str) -> Value {
    json!({"application/json": {"schema": reference(schema)}})
}

/// A body that is needed, with an example.
fn body(schema: &str, example: Value) -> Value {
    let mut content = content(schema);
    content["application/json"]["example"] = example;
    json!({"required": true, "content": content})
}

/// An answer of JSON.
fn answer(description: &str, schema: &str) -> Value {
    json!({"description": description, "content": content(schema)})
}

/// An answer of plain text.
fn text(description: &str) -> Value {
    json!({
        "description": description,
        "content": {"text/plain": {"schema": {"type": "string"}}},
    })
}

/// The device in the path.
fn device() -> Value {
    path_id("The device.", "DeviceId", "pump-1")
}

/// The command in the path.
fn command() -> Value {
    path_id("The command.", "CommandId", "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c")
}

fn path_id(description: &str, schema: &str, example: &str) -> Value {
    json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": description,
        "schema": reference(schema),
        "example": example,
    })
}

/// A parameter of the query that may be left out.
fn query(name: &str, description: &str, schema: Value, example: Value) -> Value {
    json!({
        "name": name,
        "in": "query",
        "description": description,
        "schema": schema,
        "example": example,
    })
}

/// How long a page is, unless told and at most.
fn limit(rows: u32, rows_max: u32) -> Value {
    let schema = json!({"type": "integer", "minimum": 1, "maximum": rows_max, "default": rows});
    query("limit", "The most rows of a page.", schema, json!(10))
}

/// A header of the request that may be left out.
fn header(name: &str, description: &str, schema: Value, example: &str) -> Value {
    json!({
        "name": name,
        "in": "header",
        "description": description,
        "schema": schema,
        "example": example,
    })
}
