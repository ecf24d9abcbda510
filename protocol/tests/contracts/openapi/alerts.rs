//! `/api/v1/alerts`, `/api/v1/audit`, and what is desired of devices.

use super::{
    answer, content, device,
    devices::{BODY, MALFORMED},
    header, limit, path_id,
    problem::core_answers,
    query,
};
use crate::schemas::reference;
use serde_json::{Map, Value, json};

const UNKNOWN: (u16, &[&str]) = (404, &["unknown_device"]);

pub(super) fn paths() -> Map<String, Value> {
    let id = path_id("The alert.", "AlertId", "0190d9c2-7c3a-7000-8000-000000000001");
    let mut paths = Map::new();
    paths.insert(
        "/api/v1/devices/{id}/desired".into(),
        json!({"parameters": [device()], "get": get_desired(), "put": put_desired()}),
    );
    paths.insert("/api/v1/alerts".into(), json!({"get": list()}));
    let acknowledge =
        change("acknowledgeAlert", "Says that somebody knows of an alert. Who was first stays.");
    let acknowledge = json!({"parameters": [id], "post": acknowledge});
    paths.insert("/api/v1/alerts/{id}/ack".into(), acknowledge);
    let clear =
        change("clearAlert", "Says that the cause of an alert is gone, where nothing else does.");
    paths.insert("/api/v1/alerts/{id}/clear".into(), json!({"parameters": [id], "post": clear}));
    paths.insert("/api/v1/audit".into(), json!({"get": audit()}));
    paths
}

fn state_answer(description: &str) -> Value {
    json!({
        "description": description,
        "headers": {"ETag": {
            "description": "The version in quotes.",
            "schema": {"type": "string", "pattern": "^\"[0-9]+\"$"},
        }},
        "content": content("DeviceState"),
    })
}

fn get_desired() -> Value {
    json!({
        "operationId": "getDesired",
        "tags": ["devices"],
        "summary": "What is desired of a device, and what it reports.",
        "responses": core_answers(
            json!({"200": state_answer("Both, and whether they agree.")}),
            &[MALFORMED, UNKNOWN],
        ),
    })
}

fn put_desired() -> Value {
    let schema = json!({"type": "object", "additionalProperties": true});
    let example = json!({"target": 21});
    let condition = "The `ETag` of the version that is replaced; needed once there is one.";
    json!({
        "operationId": "putDesired",
        "tags": ["devices"],
        "summary": "Desires something of a device. It is stored before it is answered or sent.",
        "parameters": [header("If-Match", condition, json!({"type": "string"}), "*")],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": schema, "example": example}},
        },
        "responses": core_answers(
            json!({"200": state_answer("Both as they are now.")}),
            &[
                &[
                    MALFORMED,
                    UNKNOWN,
                    (412, &["precondition_failed"]),
                    (413, &["desired_too_large"]),
                    (428, &["precondition_required"]),
                ],
                &BODY[..],
            ]
            .concat(),
        ),
    })
}

fn list() -> Value {
    let cursor = "0190d9c2-7c3a-7000-8000-000000000001";
    json!({
        "operationId": "listAlerts",
        "tags": ["alerts"],
        "summary": "Alerts, the newest first, page by page.",
        "parameters": [
            query("state", "Only those in this state.", reference("AlertState"), json!("active")),
            query("severity", "Only those that are so bad.", reference("Severity"), json!("critical")),
            query("device", "Only those of this device.", reference("DeviceId"), json!("pump-1")),
            limit(100, 1_000),
            query("cursor", "`next` of the page before.", reference("AlertId"), json!(cursor)),
        ],
        "responses": core_answers(
            json!({"200": answer("A page.", "AlertPage")}),
            &[(400, &["bad_query"])],
        ),
    })
}

fn change(operation: &str, summary: &str) -> Value {
    json!({
        "operationId": operation,
        "tags": ["alerts"],
        "summary": summary,
        "responses": core_answers(
            json!({"200": answer("The alert as it is now.", "Alert")}),
            &[MALFORMED, (404, &["unknown_alert"]), (409, &["already_cleared"])],
        ),
    })
}

fn audit() -> Value {
    let text = || json!({"type": "string"});
    let action =
        "Only this action; `command` stands for `command.sent` and all others of commands.";
    let time = || reference("Timestamp");
    json!({
        "operationId": "listAudit",
        "tags": ["audit"],
        "summary": "The audit log, the newest entry first, page by page. A page may be short though there \
            are more.",
        "parameters": [
            query("from", "Only from this time on.", time(), json!(1_767_225_600_000_i64)),
            query("to", "Only before this time.", time(), json!(1_767_312_000_000_i64)),
            query("user", "Only what this user did.", text(), json!("local")),
            query("action", action, text(), json!("command.created")),
            limit(100, 1_000),
            query(
                "cursor",
                "`next` of the page before.",
                json!({"type": "integer", "minimum": 0}),
                json!(17),
            ),
        ],
        "responses": core_answers(
            json!({"200": answer("A page.", "AuditEntryPage")}),
            &[(400, &["bad_query"]), (503, &["store_busy", "store_damaged"])],
        ),
    })
}
