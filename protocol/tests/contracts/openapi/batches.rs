//! `/api/v1/command-batches`.

use super::{
    answer, body,
    devices::{BODY, MALFORMED},
    header,
    problem::core_answers,
};
use serde_json::{Map, Value, json};

const UNKNOWN: (u16, &[&str]) = (404, &["unknown_batch"]);

pub(super) fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    paths.insert("/api/v1/command-batches".into(), json!({"post": create()}));
    let id = super::path_id("The batch.", "CommandId", "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c");
    let one = json!({"parameters": [id], "get": get()});
    paths.insert("/api/v1/command-batches/{id}".into(), one);
    for (name, operation, summary) in [
        ("pause", "pauseBatch", "Begins and sends no more rows."),
        ("resume", "resumeBatch", "Begins rows again."),
        (
            "cancel",
            "cancelBatch",
            "Cancels the rows that were not sent yet; those that were sent go on to their end.",
        ),
    ] {
        let change = json!({"parameters": [id], "post": change(operation, summary)});
        paths.insert(format!("/api/v1/command-batches/{{id}}/{name}"), change);
    }
    paths
}

fn create() -> Value {
    let key = "The same key with the same body gives the same batch again.";
    let key_schema = json!({"type": "string", "minLength": 1, "maxLength": 255});
    let example = json!({
        "devices": ["pump-1"],
        "command": {"name": "open", "params": {"percent": 40}},
        "concurrency": 10,
        "rate": 5,
        "abort_after": {"failures": 3},
    });
    json!({
        "operationId": "createBatch",
        "tags": ["commands"],
        "summary": "Commands many devices, a few at a time: those that are named, those of a type, or those \
            with a tag. Each has a command of its own in it.",
        "parameters": [header("Idempotency-Key", key, key_schema, "roll-out-1")],
        "requestBody": body("BatchRequest", example),
        "responses": core_answers(
            json!({"202": answer("It is accepted.", "Batch")}),
            &[
                &[
                    MALFORMED,
                    (400, &["bad_params"]),
                    (404, &["unknown_device"]),
                    (409, &["idempotency_key_reused"]),
                    (429, &["too_many_batches"]),
                ],
                &BODY[..],
            ]
            .concat(),
        ),
    })
}

fn get() -> Value {
    json!({
        "operationId": "getBatch",
        "tags": ["commands"],
        "summary": "A batch; its commands are those of `GET /commands?batch=`.",
        "responses": core_answers(
            json!({"200": answer("The batch.", "Batch")}),
            &[MALFORMED, UNKNOWN],
        ),
    })
}

fn change(operation: &str, summary: &str) -> Value {
    json!({
        "operationId": operation,
        "tags": ["commands"],
        "summary": summary,
        "responses": core_answers(
            json!({"200": answer("The batch as it is now.", "Batch")}),
            &[MALFORMED, UNKNOWN, (409, &["already_final"])],
        ),
    })
}
