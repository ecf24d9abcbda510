//! `/api/v1/devices`.

use super::{answer, body, device, limit, problem::core_answers, query};
use crate::schemas::reference;
use serde_json::{Map, Value, json};

/// What a body may be refused for before it is looked into.
pub(super) const BODY: [(u16, &[&str]); 3] =
    [(413, &["bad_request"]), (415, &["bad_request"]), (422, &["bad_request"])];

/// An id or a query that is not what it should be.
pub(super) const MALFORMED: (u16, &[&str]) = (400, &["bad_request", "bad_query"]);

const UNKNOWN: (u16, &[&str]) = (404, &["unknown_device"]);
const FULL: (u16, &[&str]) = (429, &["too_many_devices"]);

pub(super) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    paths.insert("/api/v1/devices".into(), json!({"get": list()}));
    paths.insert("/api/v1/device-types".into(), json!({"get": types()}));
    paths.insert(
        "/api/v1/devices/{id}".into(),
        json!({
            "parameters": [device()],
            "get": get(),
            "put": put(),
            "patch": patch(),
            "delete": delete(),
        }),
    );
    paths
}

fn types() -> Value {
    json!({
        "operationId": "listDeviceTypes",
        "tags": ["devices"],
        "summary": "The types of devices that are described: the commands of each, and what their \
            parameters are.",
        "responses": core_answers(
            json!({"200": answer("All of them.", "DeviceTypePage")}),
            &[(400, &["bad_query"])],
        ),
    })
}

fn list() -> Value {
    let text = || json!({"type": "string"});
    let orders = json!({
        "type": "string",
        "enum": ["id", "-id", "last_seen_at", "-last_seen_at"],
        "default": "id",
    });
    json!({
        "operationId": "listDevices",
        "tags": ["devices"],
        "summary": "Devices, page by page.",
        "parameters": [
            query("q", "Only ids that contain this.", text(), json!("pump")),
            query("type", "Only devices of this type.", text(), json!("pump")),
            query(
                "tag",
                "Only devices with this label: `name`, or `name:value`.",
                text(),
                json!("site:north"),
            ),
            query("status", "Only these.", reference("Status"), json!("online")),
            query("sort", "The order; `-` is descending.", orders, json!("-last_seen_at")),
            limit(100, 1_000),
            query("cursor", "`next` of the page before.", text(), json!("~pump-1")),
        ],
        "responses": core_answers(
            json!({"200": answer("A page.", "DevicePage")}),
            &[(400, &["bad_query"])],
        ),
    })
}

fn get() -> Value {
    json!({
        "operationId": "getDevice",
        "tags": ["devices"],
        "summary": "One device with its newest values.",
        "responses": core_answers(
            json!({"200": answer("The device.", "Device")}),
            &[MALFORMED, UNKNOWN],
        ),
    })
}

fn put() -> Value {
    let example = json!({"type": "pump", "tags": {"site": "north"}});
    json!({
        "operationId": "putDevice",
        "tags": ["devices"],
        "summary": "Describes a device; one that was not known is from then on.",
        "requestBody": body("DeviceDescription", example),
        "responses": core_answers(
            json!({"200": answer("The device as it is now.", "Device")}),
            &[&[MALFORMED, FULL], &BODY[..]].concat(),
        ),
    })
}

fn patch() -> Value {
    let example = json!({"tags": {"site": "south", "line": null}});
    let mut body = body("DevicePatch", example);
    let merge = body["content"]["application/json"].clone();
    body["content"]["application/merge-patch+json"] = merge;
    json!({
        "operationId": "patchDevice",
        "tags": ["devices"],
        "summary": "Changes what is told of a device (RFC 7396).",
        "requestBody": body,
        "responses": core_answers(
            json!({"200": answer("The device as it is now.", "Device")}),
            &[&[MALFORMED, UNKNOWN, FULL], &BODY[..]].concat(),
        ),
    })
}

fn delete() -> Value {
    json!({
        "operationId": "deleteDevice",
        "tags": ["devices"],
        "summary": "Forgets a device and closes its connection.",
        "responses": core_answers(
            json!({"204": {"description": "It is forgotten."}}),
            &[MALFORMED, UNKNOWN],
        ),
    })
}
