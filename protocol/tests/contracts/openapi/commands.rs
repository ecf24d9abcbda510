//! `/api/v1/commands`, and what creates them.

use super::{
    answer, body, command, device,
    devices::{BODY, MALFORMED},
    header, limit,
    problem::core_answers,
    query,
};
use crate::schemas::reference;
use serde_json::{Map, Value, json};

const UNKNOWN: (u16, &[&str]) = (404, &["unknown_command"]);

pub(super) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    let of_device = json!({"parameters": [device()], "post": create()});
    paths.insert("/api/v1/devices/{id}/commands".into(), of_device);
    paths.insert("/api/v1/commands".into(), json!({"get": list()}));
    paths.insert("/api/v1/commands/{id}".into(), json!({"parameters": [command()], "get": get()}));
    let cancel = json!({"parameters": [command()], "post": cancel()});
    paths.insert("/api/v1/commands/{id}/cancel".into(), cancel);
    paths
}

fn create() -> Value {
    let wait = "`wait=` and seconds, at most 600 (RFC 7240): the answer is held back until the \
        command has ended, at most so long.";
    let key = "The same key with the same body gives the same command again.";
    let ended = json!({"oneOf": [reference("CommandDetails"), reference("DryRun")]});
    json!({
        "operationId": "createCommand",
        "tags": ["commands"],
        "summary": "Commands a device. The command is stored before it is answered or sent.",
        "parameters": [
            header("Prefer", wait, json!({"type": "string"}), "wait=0"),
            header(
                "Idempotency-Key",
                key,
                json!({"type": "string", "minLength": 1, "maxLength": 255}),
                "open-1",
            ),
        ],
        "requestBody": body("CommandRequest", json!({"name": "open", "params": {"percent": 40}})),
        "responses": core_answers(
            json!({
                "200": {
                    "description": "It has ended (with `Prefer`); or, with `dry_run`, what would \
                        become of it.",
                    "headers": {"Preference-Applied": applied()},
                    "content": {"application/json": {"schema": ended}},
                },
                "202": {
                    "description": "It is accepted and has not ended yet.",
                    "headers": {"Preference-Applied": applied()},
                    "content": super::content("CommandDetails"),
                },
            }),
            &[
                &[
                    MALFORMED,
                    (400, &["bad_params"]),
                    (404, &["unknown_device", "unknown_command"]),
                    (409, &["idempotency_key_reused"]),
                    (429, &["too_many_commands"]),
                ],
                &BODY[..],
            ]
            .concat(),
        ),
    })
}

fn applied() -> Value {
    json!({
        "description": "`wait=` and the seconds, where `Prefer` asked for it.",
        "schema": {"type": "string"},
    })
}

fn list() -> Value {
    let text = json!({"type": "string"});
    let cursor = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";
    json!({
        "operationId": "listCommands",
        "tags": ["commands"],
        "summary": "Commands, the newest first, page by page.",
        "parameters": [
            query("device", "Only those of this device.", reference("DeviceId"), json!("pump-1")),
            query("state", "Only those in this state.", reference("CommandState"), json!("queued")),
            query("name", "Only those with this name.", text, json!("open")),
            query("batch", "Only those of this batch.", reference("CommandId"), json!(cursor)),
            limit(100, 1_000),
            query("cursor", "`next` of the page before.", reference("CommandId"), json!(cursor)),
        ],
        "responses": core_answers(
            json!({"200": answer("A page.", "CommandPage")}),
            &[(400, &["bad_query"])],
        ),
    })
}

fn get() -> Value {
    json!({
        "operationId": "getCommand",
        "tags": ["commands"],
        "summary": "One command with its story.",
        "responses": core_answers(
            json!({"200": answer("The command.", "CommandDetails")}),
            &[MALFORMED, UNKNOWN],
        ),
    })
}

fn cancel() -> Value {
    json!({
        "operationId": "cancelCommand",
        "tags": ["commands"],
        "summary": "Withdraws a command: at once before it was sent, else the device is asked.",
        "responses": core_answers(
            json!({"200": answer("The command as it is now.", "CommandDetails")}),
            &[MALFORMED, UNKNOWN, (409, &["already_final", "device_cannot_cancel"])],
        ),
    })
}
