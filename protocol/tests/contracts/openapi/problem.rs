//! Refusals: `application/problem+json` with a `code`, and what each code means.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a code means. A code that is used and not here stops the test that writes the document.
fn meaning(code: &str) -> &'static str {
    match code {
        "already_cleared" => "the alert is cleared",
        "already_final" => "the command or batch has ended",
        "bad_host" => "`Host` is not a name of this gateway, or there is not one",
        "bad_origin" => "a page of another site asks, or there are several `Origin`",
        "bad_params" => {
            "the parameters are not what the device's type says; each mistake names its field"
        }
        "bad_query" => "a query parameter is unknown or has a value it cannot have",
        "bad_request" => "an id, a header or the body is not what it should be",
        "bad_subprotocol" => "no subprotocol that is offered is spoken here",
        "csv" => "the page could not be written",
        "desired_too_large" => "the desired state is longer than it may be",
        "device_cannot_cancel" => "the device did not subscribe to its cancel topic",
        "forbidden" => {
            "the role of the user does not allow it, or the token is narrowed to other things"
        }
        "gone" => "what was asked for is no longer kept",
        "idempotency_key_reused" => "the key was used for another command",
        "metrics" => "the figures could not be written",
        "precondition_failed" => "somebody else changed it: `If-Match` names another version",
        "precondition_required" => "there is a version already: `If-Match` must name it",
        "shutting_down" => "the gateway is shutting down",
        "store_busy" => "the store has more to read than it can now",
        "store_damaged" => "the database is damaged there",
        "store_unavailable" => "the disk is full or fails, and nothing is kept",
        "too_many_batches" => "as many batches have not ended as may",
        "too_many_commands" => "the device has as many open commands as it may",
        "too_many_connections" => {
            "there are as many connections as there may be, in all or with this token"
        }
        "too_many_devices" => "there are as many devices as there may be",
        "too_many_sign_ins" => {
            "as many of the address are held back after wrong tokens as may be: come back in a few seconds"
        }
        "too_much_history" => "there are too many values to condense: ask for less time",
        "unknown_alert" => "there is no such alert",
        "unknown_batch" => "there is no such batch",
        "unauthenticated" => "a token is needed that is neither revoked nor expired",
        "unknown_command" => "there is no such command",
        "unknown_device" => "there is no such device",
        "websocket_only" => "the request is no WebSocket handshake",
        other => panic!("what does the code '{other}' mean?"),
    }
}

/// The answers of an operation: those that are given, its refusals, and those that every path has.
pub(super) fn answers(given: Value, refusals: &[(u16, &[&str])]) -> Value {
    let Value::Object(mut answers) = given else { panic!("answers stand by their status") };
    let mut by_status = BTreeMap::from([
        (400, vec!["bad_host", "bad_origin"]),
        (401, vec!["unauthenticated"]),
        (403, vec!["bad_host", "bad_origin", "forbidden"]),
        (429, vec!["too_many_sign_ins"]),
    ]);
    for (status, codes) in refusals {
        by_status.entry(*status).or_default().extend_from_slice(codes);
    }
    let refused = |(status, codes): (&u16, &Vec<_>)| (status.to_string(), problem(*status, codes));
    answers.extend(by_status.iter().map(refused));
    Value::Object(answers)
}

/// The same for what asks the core, which may be shutting down or unable to store what it did.
pub(super) fn core_answers(given: Value, refusals: &[(u16, &[&str])]) -> Value {
    let stopping: (u16, &[&str]) = (503, &["shutting_down", "store_unavailable"]);
    answers(given, &[refusals, &[stopping]].concat())
}

fn problem(status: u16, codes: &[&str]) -> Value {
    let sentences: Vec<_> =
        codes.iter().map(|code| format!("`{code}`: {}.", meaning(code))).collect();
    let mut schema = Map::new();
    schema.insert("allOf".into(), json!([crate::schemas::reference("Problem")]));
    schema
        .insert("properties".into(), json!({"status": {"const": status}, "code": {"enum": codes}}));
    json!({
        "description": sentences.join(" "),
        "content": {"application/problem+json": {"schema": schema}},
    })
}
