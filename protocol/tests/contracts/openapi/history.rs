//! `/api/v1/devices/{id}/telemetry`: the past of a device.

use super::{device, devices::MALFORMED, limit, problem::core_answers, query};
use crate::schemas::reference;
use serde_json::{Map, Value, json};

pub(super) fn paths() -> Map<String, Value> {
    let telemetry = json!({"parameters": [device()], "get": telemetry()});
    [("/api/v1/devices/{id}/telemetry".to_owned(), telemetry)].into_iter().collect()
}

fn telemetry() -> Value {
    json!({
        "operationId": "getTelemetry",
        "tags": ["devices"],
        "summary": "What a device's metrics were, as columns of equal length.",
        "description": "Without `points` the values as they came, page by page; with it at most so many \
            buckets, each with its least, greatest and last value.",
        "parameters": parameters(),
        "responses": core_answers(
            json!({"200": {
                "description": "A page.",
                "headers": {"Link": link()},
                "content": {
                    "application/json": {"schema": page()},
                    "text/csv": {"schema": {
                        "type": "string",
                        "description": "A first row with names. The columns: `timestamp`, then one a metric by its name; \
                            downsampled three, `{metric}.min`, `{metric}.max` and `{metric}.last`.",
                    }},
                },
            }}),
            &[MALFORMED, (404, &["unknown_device"])],
        ),
    })
}

fn parameters() -> [Value; 7] {
    let points = json!({"type": "integer", "minimum": 1, "maximum": 10_000});
    let formats = json!({"type": "string", "enum": ["json", "csv"], "default": "json"});
    let mut cursor =
        query("cursor", "`next` of the page before.", json!({"type": "string"}), json!(""));
    // What a cursor looks like is the gateway's own matter.
    cursor.as_object_mut().expect("a parameter is an object").remove("example");
    let time = || reference("Timestamp");
    [
        query("from", "The beginning, itself included.", time(), json!(0)),
        query(
            "to",
            "The end, itself not included; without it there is none, also where a device's clock is ahead.",
            time(),
            json!(1_893_456_000_000_i64),
        ),
        query("points", "At most so many values of each metric.", points, json!(100)),
        query(
            "fields",
            "Only these metrics, with commas between them.",
            json!({"type": "string"}),
            json!("rpm,temperature"),
        ),
        query("format", "How the page is written.", formats, json!("csv")),
        limit(10_000, 10_000),
        cursor,
    ]
}

fn link() -> Value {
    json!({
        "description": "CSV: the next page, `<...>; rel=\"next\"` (RFC 8288); not there on the last.",
        "schema": {"type": "string"},
    })
}

fn page() -> Value {
    json!({
        "allOf": [reference("History")],
        "properties": {
            "type": {"const": "history"},
            "next": {
                "type": ["string", "null"],
                "description": "The `cursor` of the next page; null on the last.",
            },
        },
        "required": ["type", "next"],
    })
}
