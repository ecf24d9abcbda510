//! `/api/v1/session`: signing in and out.

use super::{answer, body, devices::BODY, problem::answers};
use serde_json::{Map, Value, json};

pub(super) fn paths() -> Map<String, Value> {
    let bad_query: (u16, &[&str]) = (400, &["bad_query"]);
    let bad_body: (u16, &[&str]) = (400, &["bad_request", "bad_query"]);
    let mut paths = Map::new();
    paths.insert(
        "/api/v1/session".into(),
        json!({
            "get": {
                "operationId": "getSession",
                "tags": ["gateway"],
                "summary": "Who is signed in.",
                "responses": answers(json!({"200": answer("The user.", "Session")}), &[bad_query]),
            },
            "post": {
                "operationId": "signIn",
                "tags": ["gateway"],
                "summary": "Keeps a token in a cookie that no script can read.",
                "requestBody": body("SignIn", json!({"token": "slt_0123456789ab_secret"})),
                "responses": answers(
                    json!({"200": answer("The user; the cookie is set.", "Session")}),
                    &[&BODY[..], &[bad_body]].concat(),
                ),
            },
            "delete": {
                "operationId": "signOut",
                "tags": ["gateway"],
                "summary": "Forgets the cookie.",
                "responses": answers(
                    json!({"204": {"description": "It is forgotten."}}),
                    &[bad_query],
                ),
            },
        }),
    );
    paths
}
