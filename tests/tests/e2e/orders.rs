//! Commands as the tests of many kinds make and follow them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Live, TestGateway};

/// Makes a device known, which never was there.
pub(crate) async fn make_known(gateway: &TestGateway, device: &str) {
    let put = gateway.request(Method::PUT, &format!("/api/v1/devices/{device}")).json(&json!({}));
    assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
}

/// Creates a command and gives it as it was accepted.
pub(crate) async fn create(gateway: &TestGateway, device: &str, body: Value) -> Value {
    let path = format!("/api/v1/devices/{device}/commands");
    let (status, command) = gateway.post(&path, &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{command}");
    command
}

pub(crate) fn id(command: &Value) -> String {
    command["id"].as_str().expect("a command has an id").to_owned()
}

/// A command as it is now.
pub(crate) async fn command(gateway: &TestGateway, id: &str) -> Value {
    let (status, command) = gateway.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{command}");
    command
}

/// The command when it comes to a state, as its channel tells.
pub(crate) async fn reaches(live: &mut Live, id: &str, state: &str) -> Value {
    let is = |message: &Value| message["data"]["id"] == id && message["data"]["state"] == state;
    live.find(is).await["data"].take()
}
